/* How many calls of the API may be made, for whom, and how fast. */
#include "unit.h"

#include <sys/wait.h>

#include "filter/budget.h"

#define DAY 86400
#define MIDNIGHT (20833L * DAY) /* 00:00 UTC of some day */
#define MORNING (MIDNIGHT + 8 * 3600)

static struct statedir dir;

static int
dir_open(void **state)
{
	if (unit_dir_make(state) != 0)
		return 1;
	statedir_init(&dir, unit_dir);
	return 0;
}

static int
dir_close(void **state)
{
	statedir_close(&dir);
	return unit_dir_remove(state);
}

/* A call for this address, "" = one of the administrator's. */
static enum budget_result
take(const char *text, long limit, time_t now)
{
	struct budget_answer b, before;
	enum budget_result r;
	struct address a;
	bool refused;

	assert_true(*text == '\0' || address_parse(text, &a));
	refused = budget_refused(&dir, limit, *text != '\0' ? &a : NULL, now,
	    &before);
	r = budget_take(&dir, limit, *text != '\0' ? &a : NULL, now, 1000, &b);
	if (*text != '\0') /* both say the same */
		assert_int_equal(refused, r == BUDGET_REFUSED);
	if (r == BUDGET_REFUSED) {
		assert_true(b.until > now);
		assert_true(b.until <= budget_reset(now));
		assert_true(b.why[0] != '\0');
	}
	return r;
}

/* How many of so many calls are made, for the blocks of so many bits after. */
static int
calls(const char *first, int bits, int count, long limit, time_t now)
{
	char text[ADDRESS_TEXT_MAX];
	struct address a;
	int i, taken = 0;

	assert_true(address_parse(first, &a));
	for (i = 0; i < count; i++) {
		a.bytes[bits / 8 - 1] = (unsigned char)i;
		if (count > 256)
			a.bytes[bits / 8 - 2] = (unsigned char)(i >> 8);
		address_text(&a, text, sizeof(text));
		taken += take(text, limit, now) == BUDGET_TAKEN;
	}
	return taken;
}

static void
the_day(void **state)
{
	(void)state;
	assert_int_equal(take("", 2, MORNING), BUDGET_TAKEN);
	assert_int_equal(take("", 2, MORNING), BUDGET_TAKEN);
	assert_int_equal(take("", 2, MORNING), BUDGET_REFUSED);
	assert_int_equal(take("8.8.4.4", 2, MORNING), BUDGET_REFUSED);
	assert_int_equal(budget_used(&dir, MORNING), 2);
	assert_int_equal(take("8.8.4.4", 0, MORNING), BUDGET_TAKEN);
	assert_int_equal(take("", 2, MORNING + DAY), BUDGET_TAKEN);
	assert_int_equal(budget_used(&dir, MORNING + DAY), 1);
	assert_int_equal(budget_reset(DAY * 5), DAY * 6);
	assert_int_equal(budget_reset(DAY * 5 + DAY - 1), DAY * 6);
	unit_file(".budget", "garbage", 7);
	assert_int_equal(take("", 1, MORNING), BUDGET_TAKEN);
	assert_int_equal(take("", 1, MORNING), BUDGET_REFUSED);
}

static void
networks(void **state)
{
	static const struct {
		const char *first;
		int bits, count;
		long limit;
		int calls;
	} rows[] = {
		{ "2001:db8::", 128, 1000, 1000, 8 },
		{ "2001:db8::", 128, 1000, 0, 8 },
		{ "2001:db8::", 128, 1000, 200, 4 }, /* the /48's */
		{ "2001:db8::", 64, 1000, 1000, 20 },
		{ "2001:db8::", 64, 1000, 0, 20 },
		{ "2001:db8::", 64, 1000, 3000, 60 },
		{ "2001:db8::", 64, 1000, 99, 1 },
		{ "2001:db8::", 64, 1000, 1, 1 },
		{ "192.0.2.0", 32, 256, 1000, 20 },
		{ "192.0.2.0", 32, 256, 0, 20 },
		{ "192.0.2.0", 32, 256, 150, 3 },
		{ "192.0.2.0", 32, 256, 10, 1 },
	};
	time_t now = MORNING;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		now += DAY; /* another one */
		n = calls(rows[i].first, rows[i].bits, rows[i].count,
		    rows[i].limit, now);
		if (n != rows[i].calls)
			fail_msg("row %zu: %d calls", i, n);
		assert_int_equal(budget_used(&dir, now), n);
	}
	/* It is not the network of others. */
	assert_int_equal(calls("2001:db8::", 128, 1000, 1000, now + DAY), 8);
	assert_int_equal(calls("2001:db8:0:1::", 128, 9, 1000, now + DAY), 8);
	assert_int_equal(calls("2001:db8:1::", 128, 9, 1000, now + DAY), 8);
	assert_int_equal(take("::ffff:192.0.2.1", 1000, now + DAY),
	    BUDGET_TAKEN);
}

/* How many calls are made when one is wanted every second of a time. */
static long
wanted(long limit, time_t from, time_t to, time_t *first, time_t *last)
{
	static unsigned number;
	char text[32];
	long taken = 0;
	time_t t;

	*first = *last = 0;
	for (t = from; t < to; t++, number++) {
		snprintf(text, sizeof(text), "%u.%u.%u.1", number >> 16 & 127,
		    number >> 8 & 255, number & 255);
		if (take(text, limit, t) != BUDGET_TAKEN)
			continue;
		taken++;
		*last = t;
		if (*first == 0)
			*first = t;
	}
	return taken;
}

static void
half_is_free_at_any_hour(void **state)
{
	static const long hours[] = { 0, 1, 12, 20, 23 };
	time_t first, last;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(hours); i++) {
		time_t at = MIDNIGHT + (100 + (time_t)i) * DAY +
		    hours[i] * 3600;

		assert_int_equal(wanted(100, at, at + 50, &first, &last), 50);
		assert_int_equal(wanted(100, at + 50, at + 60, &first, &last),
		    0);
	}
	/* Half of an odd number, and of the least. */
	assert_int_equal(wanted(3, MORNING + 200 * DAY, MORNING + 200 * DAY +
	    5, &first, &last), 2);
	assert_int_equal(wanted(1, MORNING + 201 * DAY, MORNING + 201 * DAY +
	    5, &first, &last), 1);
}

static void
then_they_come_evenly(void **state)
{
	time_t first, last, day = MIDNIGHT + 300 * DAY;
	long n, spacing, hour;

	(void)state;
	/* Half is gone at 08:00. 16 hours are left for 50 calls. */
	assert_int_equal(wanted(100, day + 8 * 3600, day + 8 * 3600 + 50,
	    &first, &last), 50);
	spacing = 16 * 3600 / 51;
	assert_int_equal(wanted(100, day + 8 * 3600 + 50, day + 8 * 3600 +
	    spacing + 50, &first, &last), 1);
	assert_true(labs(first - (day + 8 * 3600 + 49 + spacing)) < 2);
	n = 1;
	for (hour = 9; hour < 24; hour++) {
		long more = wanted(100, day + hour * 3600 + 50 +
		    (hour == 9 ? spacing - 3600 : 0), day + hour * 3600 +
		    (hour < 23 ? 3650 : 3600), &first, &last);

		if (hour > 9 && (more < 3 || more > 4))
			fail_msg("%ld calls from %ld h on", more, hour);
		n += more;
	}
	assert_int_equal(n, 50); /* all are used in the end */
	assert_true(last > day + DAY - spacing - 60);
	assert_int_equal(take("8.8.4.4", 100, day + DAY - 1), BUDGET_REFUSED);
	assert_int_equal(take("8.8.4.4", 100, day + DAY), BUDGET_TAKEN);
}

static void
what_nobody_wanted_moves_closer(void **state)
{
	time_t first, last, day = MIDNIGHT + 400 * DAY;

	(void)state;
	assert_int_equal(wanted(100, day, day + 50, &first, &last), 50);
	/* Nobody wants one until 20:00; no heap of them has come up. */
	assert_int_equal(wanted(100, day + 20 * 3600, day + 20 * 3600 + 60,
	    &first, &last), 1);
	assert_int_equal(wanted(100, day + 20 * 3600 + 60, day + 22 * 3600,
	    &first, &last), 24);
	/* Ten seconds before the end all may be used. */
	assert_int_equal(wanted(100, day + DAY - 10, day + DAY - 9, &first,
	    &last), 1);
	assert_int_equal(take("9.9.9.9", 100, day + DAY - 9), BUDGET_TAKEN);
	assert_int_equal(take("9.9.8.9", 100, day + DAY - 9), BUDGET_TAKEN);
	/* The administrator need not wait, and a clock may be set back. */
	day += DAY;
	assert_int_equal(wanted(100, day + 3600, day + 3650, &first, &last),
	    50);
	assert_int_equal(take("9.9.9.9", 100, day + 3650), BUDGET_REFUSED);
	assert_int_equal(take("", 100, day + 3650), BUDGET_TAKEN);
	assert_int_equal(take("9.9.9.9", 100, day + 1800), BUDGET_TAKEN);
	/* Without a limit there is no pace. */
	assert_int_equal(wanted(0, day + 3660, day + 4000, &first, &last), 340);
}

static void
what_the_api_says(void **state)
{
	time_t first, last, day = MIDNIGHT + 500 * DAY;
	struct budget_answer b;

	(void)state;
	assert_int_equal(wanted(100, day + 3600, day + 3610, &first, &last),
	    10);
	budget_remaining(&dir, 100, 90, day + 3610, &b); /* as we know */
	budget_remaining(&dir, 100, 5000, day + 3610, &b);
	budget_remaining(&dir, 100, -1, day + 3610, &b);
	budget_remaining(&dir, 0, 3, day + 3610, &b);
	assert_int_equal(budget_used(&dir, day + 3610), 10);
	assert_string_equal(b.why, "");
	budget_remaining(&dir, 100, 60, day + 3610, &b);
	assert_int_equal(budget_used(&dir, day + 3610), 40);
	assert_string_equal(b.why, "");
	budget_remaining(&dir, 100, 30, day + 3620, &b);
	assert_int_equal(budget_used(&dir, day + 3620), 70);
	assert_non_null(strstr(b.why, "half"));
	assert_int_equal(take("9.9.9.9", 100, day + 3621), BUDGET_REFUSED);
	/* Its clock is slow: that was of the old day. */
	budget_remaining(&dir, 100, 1, day + DAY + 10, &b);
	assert_int_equal(budget_used(&dir, day + DAY + 10), 0);
}

/* The log is told when something is used up, and once. */
static void
news(void **state)
{
	static const char *const expected[] = {
		"today's API calls for 9.9.0.0/24 are used up (2)",
		"half of today's API budget is used up; the remaining calls "
		"are spread over the rest of the day",
		"today's API budget is used up (reputation.daily_limit)",
	};
	time_t day = MIDNIGHT + 600 * DAY;
	struct budget_answer b;
	struct address a;
	size_t told = 0;
	char text[32];
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "9.%d.%d.1", 9 + i / 256,
		    i < 2 ? 0 : i % 256);
		assert_true(address_parse(text, &a));
		if (budget_take(&dir, 100, &a, day + i * 86, 0, &b) !=
			BUDGET_TAKEN || b.why[0] == '\0')
			continue;
		assert_true(told < COUNT(expected));
		assert_string_equal(b.why, expected[told++]);
	}
	assert_int_equal(told, COUNT(expected));
}

static void
many_processes(void **state)
{
	time_t now = MORNING + 700 * DAY;
	int process, status, total = 0;
	pid_t pid[8];

	(void)state;
	for (process = 0; process < 8; process++) {
		pid[process] = fork();
		if (pid[process] == 0) {
			struct budget_answer b;
			struct statedir d;
			struct address a;
			int i, taken = 0;

			statedir_init(&d, unit_dir);
			address_parse("2001:db8::1", &a);
			for (i = 0; i < 125; i++) {
				a.bytes[7] = (unsigned char)i;
				taken += budget_take(&d, 1000, &a, now, 10000,
				    &b) == BUDGET_TAKEN;
			}
			_exit(taken);
		}
	}
	for (process = 0; process < 8; process++) {
		assert_int_equal(waitpid(pid[process], &status, 0),
		    pid[process]);
		total += WEXITSTATUS(status);
	}
	assert_int_equal(total, 20);
	assert_int_equal(budget_used(&dir, now), 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_day),
		cmocka_unit_test(networks),
		cmocka_unit_test(half_is_free_at_any_hour),
		cmocka_unit_test(then_they_come_evenly),
		cmocka_unit_test(what_nobody_wanted_moves_closer),
		cmocka_unit_test(what_the_api_says),
		cmocka_unit_test(news),
		cmocka_unit_test(many_processes),
	};

	return cmocka_run_group_tests(tests, dir_open, dir_close);
}
