/*
 * The conformance test of every store driver, against store.h only. It runs
 * once for each URL: a SQLite file in the scratch directory, and the URLs in
 * the variable STORE_URLS, separated by blanks. What is in those is lost.
 */
#include "unit_store.h"

#include "base/text.h"

/* Every test begins with an empty store. */
static int
store_begin(void **state)
{
	struct store *s = store_again();

	store_number++;
	store_empty(s);
	*state = s;
	return 0;
}

static int
store_finish(void **state)
{
	if (*state != NULL)
		store_end(*state);
	*state = NULL;
	return 0;
}

/* For tests with children: the parent's own connection is closed. */
static void
store_alone(void **state)
{
	store_end(*state);
	*state = NULL;
}

/* --- logins --- */

/* A line each: a login, and what the store must say to it. */
static void
logins_are_counted_with_the_one_at_hand(void **state)
{
	static const struct {
		const char *user, *block, *country;
		time_t now;
		long countries, addresses;
		const char *previous;
		time_t previous_time;
	} rows[] = {
		{ "a", "192.0.2.1", "GB", 0, 1, 1, "", 0 },
		/* The same again: the one before is of another block */
		{ "a", "192.0.2.1", "GB", 1, 1, 1, "", 0 },
		{ "a", "192.0.2.2", "GB", 2, 1, 2,
		    "192.0.2.1", 1 },
		{ "a", "2001:db8::", "SE", 3, 2, 3,
		    "192.0.2.2", 2 },
		/* A country that is not known is none */
		{ "a", "192.0.2.3", "", 4, 2, 4,
		    "2001:db8::", 3 },
		{ "b", "192.0.2.1", "", 5, 0, 1, "", 0 },
		{ "b", "192.0.2.2", "AA", 6, 1, 2,
		    "192.0.2.1", 5 },
		{ "b", "192.0.2.3", "ZZ", 7, 2, 3,
		    "192.0.2.2", 6 },
		/* An address that has moved: only its latest country counts */
		{ "a", "192.0.2.2", "FR", 8, 3, 4,
		    "192.0.2.3", 4 },
		{ "a", "192.0.2.1", "FR", 9, 2, 4,
		    "192.0.2.2", 8 },
		/* It stays in the country that was known last */
		{ "a", "2001:db8::", "", 10, 2, 4,
		    "192.0.2.1", 9 },
		{ "b", "192.0.2.3", "", 11, 2, 3,
		    "192.0.2.2", 6 },
	};
	struct store *s = *state;
	struct store_counts c;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		memset(&c, 0xee, sizeof(c)); /* all of it must be set */
		login_at(s, rows[i].user, rows[i].block, rows[i].country,
		    NOW + rows[i].now, &c);
		if (c.countries != rows[i].countries ||
		    c.addresses != rows[i].addresses)
			fail_msg("row %zu: countries %ld, addresses %ld", i,
			    c.countries, c.addresses);
		if (strcmp(c.previous, rows[i].previous) != 0 ||
		    c.previous_time != (rows[i].previous[0] == '\0' ? 0 :
			NOW + rows[i].previous_time))
			fail_msg("row %zu: previous %s %ld", i, c.previous,
			    (long)c.previous_time);
	}
	assert_int_equal(login_sum(s, "a"), 8);
	assert_int_equal(login_sum(s, "b"), 4);
	assert_int_equal(login_sum(s, ""), 12);
}

static void
only_logins_strictly_after_since_count(void **state)
{
	static const struct {
		time_t since; /* after NOW */
		long countries, addresses;
	} rows[] = {
		{ -1, 3, 3 }, { 0, 2, 2 }, { 59, 2, 2 }, { 60, 1, 1 },
		{ 61, 1, 1 }, { 365L * DAY, 1, 1 }, { -365L * DAY, 3, 3 },
	};
	struct store *s = *state;
	struct store_counts c;
	size_t i;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "a", "192.0.2.2", "SE", NOW + 60, &c);
	for (i = 0; i < COUNT(rows); i++) {
		login_peek(s, "a", "192.0.2.3", "FR", NOW + 100,
		    NOW + rows[i].since, &c);
		if (c.countries != rows[i].countries ||
		    c.addresses != rows[i].addresses)
			fail_msg("since %ld: countries %ld, addresses %ld",
			    (long)rows[i].since, c.countries, c.addresses);
		/* The login before is told however old it is. */
		assert_string_equal(c.previous, "192.0.2.2");
		assert_int_equal(c.previous_time, NOW + 60);
	}
	/* A login out of the window comes back by a new one. */
	login_peek(s, "a", "192.0.2.1", "", NOW + 99999, NOW + 60, &c);
	assert_int_equal(c.countries, 1);
	assert_int_equal(c.addresses, 1);
}

static void
peeking_counts_but_records_nothing(void **state)
{
	struct store *s = *state;
	struct store_counts c;

	login_peek(s, "a", "192.0.2.1", "GB", NOW, NOW - DAY, &c);
	assert_int_equal(c.countries, 1);
	assert_int_equal(c.addresses, 1);
	assert_string_equal(c.previous, "");
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 0);
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_peek(s, "a", "192.0.2.2", "SE", NOW + 1, NOW - DAY, &c);
	assert_int_equal(c.countries, 2);
	assert_int_equal(c.addresses, 2);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 1);
	assert_int_equal(login_sum(s, "a"), 1);
}

static void
a_clock_set_back_loses_no_login(void **state)
{
	struct store *s = *state;
	struct store_counts c;
	struct rows *r;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "a", "192.0.2.2", "SE", NOW - 3600, &c);
	assert_int_equal(c.addresses, 2);
	assert_int_equal(c.countries, 2);
	login_at(s, "a", "192.0.2.1", "GB", NOW - 3000, &c);
	assert_int_equal(c.addresses, 2);
	assert_int_equal(c.countries, 2);
	/* The latest by its time, not by the order in which they came */
	assert_string_equal(c.previous, "192.0.2.2");
	assert_int_equal(c.previous_time, NOW - 3600);
	login_at(s, "a", "192.0.2.2", "SE", NOW - 3600, &c);
	assert_string_equal(c.previous, "192.0.2.1");
	assert_int_equal(c.previous_time, NOW);
	r = rows_of(s, STORE_LOGIN, "a");
	assert_int_equal(r->count, 2);
	assert_int_equal(r->row[0].u.login.count + r->row[1].u.login.count, 4);
	assert_int_equal(strcmp(r->row[0].u.login.block, "192.0.2.1") == 0 ?
	    r->row[0].u.login.last : r->row[1].u.login.last, NOW);
	free(r);
}

static void
the_clock_may_stand_anywhere(void **state)
{
	static const time_t times[] = { 0, 1, 59, 86399, 951782400 /* 29 Feb */,
		2147483647, 2147483648, FUTURE - DAY };
	struct store *s = *state;
	struct store_counts c;
	struct rows *r;
	char user[16];
	size_t i;

	for (i = 0; i < COUNT(times); i++) {
		snprintf(user, sizeof(user), "u%zu", i);
		login_at(s, user, "192.0.2.1", "GB", times[i], &c);
		login_at(s, user, "192.0.2.2", "SE", times[i] + 1, &c);
		assert_int_equal(c.addresses, 2);
		assert_int_equal(c.previous_time, times[i]);
		r = rows_of(s, STORE_LOGIN, user);
		assert_int_equal(r->count, 2);
		assert_int_equal(r->row[0].u.login.last +
		    r->row[1].u.login.last, 2 * times[i] + 1);
		free(r);
	}
}

static void
a_forgotten_user_is_new(void **state)
{
	struct store *s = *state;
	struct store_counts c;

	assert_int_equal(s->driver->forget(s, "a"), STORE_ABSENT);
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "a", "192.0.2.2", "SE", NOW, &c);
	login_at(s, "a%", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "ab", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(s->driver->forget(s, "a"), STORE_FOUND);
	assert_int_equal(s->driver->forget(s, "a"), STORE_ABSENT);
	assert_int_equal(login_sum(s, ""), 2);
	login_at(s, "a", "192.0.2.3", "FR", NOW, &c);
	assert_int_equal(c.addresses, 1);
	assert_string_equal(c.previous, "");
	assert_int_equal(s->driver->forget(s, "_"), STORE_ABSENT);
	assert_int_equal(s->driver->forget(s, "%"), STORE_ABSENT);
	assert_int_equal(s->driver->forget(s, ""), STORE_ABSENT);
	assert_int_equal(login_sum(s, ""), 3);
}

static void
all_countries_and_many_addresses_are_counted(void **state)
{
	struct store *s = *state;
	struct store_counts c;
	char block[32], country[3] = "";
	int i;

	for (i = 0; i < 26 * 26; i++) {
		country[0] = (char)('A' + i / 26);
		country[1] = (char)('A' + i % 26);
		snprintf(block, sizeof(block), "192.0.%d.%d", i / 256, i % 256);
		login_at(s, "a", block, country, NOW + i, &c);
		assert_int_equal(c.countries, i + 1);
		assert_int_equal(c.addresses, i + 1);
	}
}

/* Users as they may come from a client, after store_user(). */
static const char *const hostile[] = {
	"' OR 1=1 --", "' or '1'='1", "'; DROP TABLE postfwd_logins; --",
	"\"quoted\"", "`ticks`", "back\\slash", "back\\", "per%cent", "%", "_",
	"%s%n%d", "a b", " leading", "trailing ", "*", "?1", ":x",
	"$1", "@x", "$(id)", "${x}", "new\nline", "cr\rlf\n", "tab\t", "\x01",
	"\x7f", "\xff\xfe", "\xc3\x28", "jos\xc3\xa9", "jose\xcc\x81", "jose",
	"\xf0\x9f\x98\x80", "\xed\xa0\x80", "\xc0\xaf", "\xe2\x80\xae" "evil",
	"\xc3\x9f", "ss", "\xc4\xb1", "i", "*3\r\n$3\r\nDEL\r\n", "null",
	"NULL'", "0", "00", "1e0", "1", "{a}", "[a]", "a:b", "a/b", "#", "a#",
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"012345678901234567890123456789", /* 100 bytes */
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"0123456789012345678901234567890", /* 101 */
	"0123456789012345678901234567890123456789012345678901234567890123456789"
	"0123456789012345678901234567891",
};

static void
hostile_users_are_kept_apart(void **state)
{
	char user[COUNT(hostile)][STORE_USER_MAX], block[32], key[160];
	struct store_account a = { .since = NOW }, found;
	struct store *s = *state;
	struct store_counts c;
	struct rows *r;
	size_t i;

	for (i = 0; i < COUNT(hostile); i++) {
		store_user(hostile[i], user[i], STORE_USER_MAX);
		snprintf(block, sizeof(block), "192.0.2.%zu", i);
		login_at(s, user[i], block, "GB", NOW, &c);
		if (c.addresses != 1 || c.previous[0] != '\0')
			fail_msg("%s: taken for another login", hostile[i]);
		snprintf(key, sizeof(key), "geocount:%.100s", user[i]);
		if (s->driver->rate_take(s, key, 1, 60, NOW) != STORE_FOUND ||
		    s->driver->rate_take(s, key, 1, 60, NOW) != STORE_ABSENT)
			fail_msg("%s: taken for another rate", hostile[i]);
		memcpy(a.user, user[i], STORE_USER_MAX);
		if (s->driver->account_add(s, &a, 0) != STORE_ABSENT)
			fail_msg("%s: taken for another account", hostile[i]);
	}
	for (i = 0; i < COUNT(hostile); i++) {
		if (s->driver->account_find(s, user[i], &found) !=
			STORE_FOUND || strcmp(found.user, user[i]) != 0)
			fail_msg("%s: account is not found", hostile[i]);
		r = rows_of(s, STORE_LOGIN, user[i]);
		if (r->count != 1 ||
		    strcmp(r->row[0].u.login.user, user[i]) != 0)
			fail_msg("%s: %zu rows", hostile[i], r->count);
		free(r);
	}
	for (i = 0; i < COUNT(hostile); i++)
		if (s->driver->forget(s, user[i]) != STORE_FOUND ||
		    rows_count(s, STORE_LOGIN, "") != COUNT(hostile) - 1 - i)
			fail_msg("%s: not forgotten alone", hostile[i]);
}

static void
hostile_texts_come_back_as_they_were(void **state)
{
	struct store_account a, found;
	struct store_offender o;
	struct store *s = *state;
	char source[STORE_TEXT_MAX], position[STORE_TEXT_MAX];
	struct store_batch b = { .source = source, .ban = 60, .ban_max = 60 };
	struct store_row *row;
	struct rows *r;
	size_t i;

	for (i = 0; i < COUNT(hostile); i++) {
		memset(&a, 0, sizeof(a));
		a.since = NOW;
		snprintf(a.user, sizeof(a.user), "u%zu", i);
		snprintf(a.reason, sizeof(a.reason), "%s", hostile[i]);
		snprintf(a.check, sizeof(a.check), "%.31s", hostile[i]);
		assert_int_equal(s->driver->account_add(s, &a, 0),
		    STORE_ABSENT);
		assert_int_equal(s->driver->account_find(s, a.user, &found),
		    STORE_FOUND);
		assert_string_equal(found.reason, a.reason);
		assert_string_equal(found.check, a.check);
		snprintf(source, sizeof(source), "%d %d %zu %s", (int)getpid(),
		    store_number, i, hostile[i]);
		b.position_old = "";
		b.position_new = hostile[i];
		assert_int_equal(s->driver->offenders_apply(s, &b),
		    STORE_FOUND);
		assert_int_equal(s->driver->position(s, source, position,
				     sizeof(position)), STORE_FOUND);
		assert_string_equal(position, hostile[i]);
		b.position_old = hostile[i];
		b.position_new = "x";
		assert_int_equal(s->driver->offenders_apply(s, &b),
		    STORE_FOUND);
		memset(&o, 0, sizeof(o));
		snprintf(o.block, sizeof(o.block), "192.0.2.%zu/32", i);
		snprintf(o.rule, sizeof(o.rule), "%.31s", hostile[i]);
		snprintf(o.note, sizeof(o.note), "%s", hostile[i]);
		assert_int_equal(s->driver->offender_add(s, &o), STORE_ABSENT);
	}
	r = rows_of(s, STORE_OFFENDER, "");
	assert_int_equal(r->count, COUNT(hostile));
	for (row = r->row; row < r->row + r->count; row++) {
		i = (size_t)atoi(row->u.offender.block + strlen("192.0.2."));
		assert_string_equal(row->u.offender.note, hostile[i]);
	}
	free(r);
}

/* --- rates --- */

static void
a_period_begins_with_the_first_one(void **state)
{
	static const struct {
		const char *key;
		long limit;
		time_t now;
		enum store_result result;
	} rows[] = {
		{ "a", 0, 0, STORE_ABSENT }, { "a", -1, 0, STORE_ABSENT },
		{ "a", 2, 0, STORE_FOUND }, { "a", 2, 30, STORE_FOUND },
		{ "a", 2, 31, STORE_ABSENT }, { "b", 2, 31, STORE_FOUND },
		{ "a", 2, 59, STORE_ABSENT }, { "a", 0, 59, STORE_ABSENT },
		/* The limit was raised meanwhile, and lowered again */
		{ "a", 3, 59, STORE_FOUND }, { "a", 1, 59, STORE_ABSENT },
		{ "a", 2, 60, STORE_FOUND }, /* the next period */
		{ "a", 2, 119, STORE_FOUND }, { "a", 2, 119, STORE_ABSENT },
		{ "b", 2, 60, STORE_FOUND }, { "b", 2, 90, STORE_ABSENT },
		{ "b", 2, 91, STORE_FOUND },
		{ "c", 1, 500, STORE_FOUND }, { "c", 1, 500, STORE_ABSENT },
		{ "c", 1, 499, STORE_FOUND }, /* see below */
		{ "d", 1, 100000, STORE_FOUND }, { "d", 1, 99, STORE_FOUND },
		{ "d", 1, 99, STORE_ABSENT }, { "d", 1, 158, STORE_ABSENT },
		{ "d", 1, 159, STORE_FOUND },
		{ "D", 1, 159, STORE_FOUND }, { "", 1, 0, STORE_FOUND },
	};
	struct store *s = *state;
	enum store_result r;
	size_t i;

	/*
	 * "c" and "d": a period that would end later than one that begins now
	 * was begun before the clock was set back, so a new one begins.
	 */
	for (i = 0; i < COUNT(rows); i++) {
		r = s->driver->rate_take(s, rows[i].key, rows[i].limit, 60,
		    NOW + rows[i].now);
		if (r != rows[i].result)
			fail_msg("row %zu: %s at %ld: %d %s", i, rows[i].key,
			    (long)rows[i].now, r, s->error);
	}
}

static int
child_rate(int n)
{
	struct store *s = store_again();
	int i, taken = 0;

	(void)n;
	for (i = 0; i < 10; i++)
		switch (s->driver->rate_take(s, "one", 5, 3600, NOW + i)) {
		case STORE_FOUND:
			taken++;
			break;
		case STORE_ABSENT:
			break;
		default:
			CHILD_HOLDS(false, s);
		}
	store_end(s);
	return taken;
}

static void
no_more_than_the_limit_are_taken_by_many(void **state)
{
	store_alone(state);
	assert_int_equal(in_children(10, child_rate), 5);
}

/* --- accounts --- */

static enum store_result
account_add(struct store *s, const char *user, time_t since, time_t expired,
    const char *reason)
{
	struct store_account a = { .since = since, .check = "geocount",
		.address = "192.0.2.1" };

	snprintf(a.user, sizeof(a.user), "%s", user);
	snprintf(a.reason, sizeof(a.reason), "%s", reason);
	return s->driver->account_add(s, &a, expired);
}

/*
 * One user's row does not fit: a store may take it or not, but all others go
 * on, on the same connection.
 */
static void
what_does_not_fit_fails_alone(void **state)
{
	static const char longer[] = "0123456789012345678901234567890123456789"
		"012345678901234567890123456789012345678901234567890123456789"
		"012345678901234567890123456789012345678901234567890123456789"
		"012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890";
	static const struct store_login odd[] = {
		{ .user = "odd", .block = longer, .country = "GB", .now = NOW },
		{ .user = longer, .block = "192.0.2.1", .country = "GB",
		    .now = NOW },
		{ .user = "odd", .block = "192.0.2.1", .country = longer,
		    .now = NOW },
		{ .user = "odd\xff", .block = "192.0.2.1", .country = "GB",
		    .now = NOW },
	};
	struct store *s = *state;
	enum store_result r;
	struct store_account a;
	struct store_counts c;
	size_t i;

	assert_int_equal(account_add(s, "stolen", NOW, 0, "why"), STORE_ABSENT);
	for (i = 0; i <= COUNT(odd); i++) {
		r = i < COUNT(odd) ? s->driver->login(s, &odd[i], &c) :
			s->driver->rate_take(s, longer, 1, 60, NOW);
		if (r == STORE_ERROR && s->failure != STORE_BAD_DATA)
			fail_msg("row %zu: kind %d: %s", i, s->failure,
			    s->error);
		login_at(s, "even", "192.0.2.1", "GB", NOW + (time_t)i, &c);
		assert_int_equal(c.addresses, 1);
		assert_int_equal(s->driver->account_find(s, "stolen", &a),
		    STORE_FOUND);
	}
	assert_int_equal(login_sum(s, "even"), COUNT(odd) + 1);
}

static void
an_account_is_new_once_until_it_is_released(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	struct store *s = *state;
	struct store_account a;

	assert_int_equal(d->account_find(s, "a", &a), STORE_ABSENT);
	assert_int_equal(account_add(s, "a", NOW, 0, "one"), STORE_ABSENT);
	assert_int_equal(account_add(s, "a", NOW + 9, 0, "two"), STORE_FOUND);
	assert_int_equal(d->account_find(s, "a", &a), STORE_FOUND);
	assert_string_equal(a.user, "a");
	assert_int_equal(a.since, NOW); /* the first one stays */
	assert_string_equal(a.reason, "one");
	assert_string_equal(a.check, "geocount");
	assert_string_equal(a.address, "192.0.2.1");
	assert_int_equal(a.released, 0);
	assert_false(a.command_ran);
	assert_int_equal(d->account_ran(s, "a"), STORE_FOUND);
	assert_int_equal(d->account_release(s, "a", NOW + 20), STORE_FOUND);
	assert_int_equal(d->account_release(s, "a", NOW + 30), STORE_ABSENT);
	assert_int_equal(d->account_find(s, "a", &a), STORE_FOUND);
	assert_int_equal(a.released, NOW + 20);
	assert_int_equal(account_add(s, "a", NOW + 40, 0, "three"),
	    STORE_ABSENT);
	assert_int_equal(d->account_find(s, "a", &a), STORE_FOUND);
	assert_int_equal(a.since, NOW + 40);
	assert_int_equal(a.released, 0);
	assert_false(a.command_ran);
	assert_string_equal(a.reason, "three");
	assert_int_equal(d->account_release(s, "b", NOW), STORE_ABSENT);
	assert_int_equal(rows_count(s, STORE_ACCOUNT, ""), 1);
}

static void
an_account_whose_time_is_over_is_new_again(void **state)
{
	struct store *s = *state;
	struct store_account a;

	assert_int_equal(account_add(s, "a", NOW, 0, "one"), STORE_ABSENT);
	assert_int_equal(account_add(s, "a", NOW + 99, NOW, "two"),
	    STORE_FOUND);
	assert_int_equal(account_add(s, "a", NOW + 100, NOW + 1, "three"),
	    STORE_ABSENT);
	assert_int_equal(s->driver->account_find(s, "a", &a), STORE_FOUND);
	assert_int_equal(a.since, NOW + 100);
	assert_string_equal(a.reason, "three");
}

static void
a_command_runs_once_for_each_detection(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	struct store *s = *state;
	struct store_account a;

	assert_int_equal(d->account_ran(s, "a"), STORE_ABSENT);
	account_add(s, "a", NOW, 0, "");
	assert_int_equal(d->account_ran(s, "a"), STORE_FOUND);
	assert_int_equal(d->account_ran(s, "a"), STORE_ABSENT);
	d->account_find(s, "a", &a);
	assert_true(a.command_ran);
	d->account_release(s, "a", NOW);
	account_add(s, "a", NOW + 1, 0, "");
	assert_int_equal(d->account_ran(s, "a"), STORE_FOUND);
	assert_int_equal(d->account_ran(s, "a"), STORE_ABSENT);
}

static int
child_account(int n)
{
	struct store *s = store_again();
	enum store_result r = account_add(s, "one", NOW + n, 0, "");
	int mine;

	CHILD_HOLDS(r != STORE_ERROR, s);
	mine = r == STORE_ABSENT;
	r = s->driver->account_ran(s, "one");
	CHILD_HOLDS(r != STORE_ERROR, s);
	mine += r == STORE_FOUND ? 20 : 0;
	store_end(s);
	return mine;
}

static void
of_many_who_find_an_account_one_is_first(void **state)
{
	store_alone(state);
	assert_int_equal(in_children(10, child_account), 21);
}

/* --- offenders --- */

#define BLOCK "192.0.2.1/32"

static const struct store_rule rules[] = {
	{ "auth", 3, 1000 },
	{ "once", 1, 1000 },
};
static char source[STORE_TEXT_MAX];

/* Applies hits at the position that is there. */
static enum store_result
apply(struct store *s, const struct store_hit *hits, size_t count)
{
	char old[STORE_TEXT_MAX] = "", new[32];
	static unsigned long moved;
	const struct store_batch b = { .hits = hits, .hit_count = count,
		.rules = rules, .rule_count = COUNT(rules), .ban = 100,
		.ban_max = 350, .now = NOW, .source = source,
		.position_old = old, .position_new = new };
	enum store_result r;

	snprintf(source, sizeof(source), "mx%d.%d /var/log/mail.log",
	    (int)getpid(), store_number);
	r = s->driver->position(s, source, old, sizeof(old));
	if (r == STORE_ERROR)
		return r;
	snprintf(new, sizeof(new), "%lu", ++moved);
	return s->driver->offenders_apply(s, &b);
}

/* One hit; whether the block is on the list then, and what it says. */
static bool
hit(struct store *s, const char *rule, const char *key, time_t t,
    struct store_offender *o)
{
	const struct store_hit h = { BLOCK, rule, key, NOW + t };
	enum store_result result = apply(s, &h, 1);
	struct rows *r;
	bool listed;

	if (result != STORE_FOUND)
		fail_msg("apply: %d %s", result, s->error);
	r = rows_of(s, STORE_OFFENDER, "");
	listed = r->count > 0;
	if (listed)
		*o = r->row[0].u.offender;
	free(r);
	return listed;
}

static int64_t
generation(struct store *s)
{
	int64_t g = -1;

	assert_int_not_equal(s->driver->generation(s, &g), STORE_ERROR);
	return g;
}

static void
the_nth_distinct_hit_within_the_period_lists(void **state)
{
	static const struct {
		const char *rule, *key;
		time_t time;
		bool listed;
	} rows[] = {
		{ "auth", "k1", 0, false }, { "auth", "k2", 1, false },
		{ "auth", "k2", 2, false }, { "auth", "k1", 3, false },
		{ "other", "k3", 4, false }, /* not a rule of ours */
		{ "auth", "k3", 1003, false }, /* k1, k2 are out of it now */
		{ "auth", "k4", 1004, false },
		{ "auth", "k3", 2002, false }, /* once more moves it on */
		{ "auth", "k4", 2003, false },
		{ "auth", "k5", 2004, true },
	};
	struct store *s = *state;
	struct store_offender o;
	int64_t before = generation(s);
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		if (hit(s, rows[i].rule, rows[i].key, rows[i].time, &o) !=
		    rows[i].listed)
			fail_msg("row %zu: %s %s", i, rows[i].rule,
			    rows[i].key);
		if ((generation(s) != before) != rows[i].listed)
			fail_msg("row %zu: generation", i);
	}
	assert_string_equal(o.block, BLOCK);
	assert_string_equal(o.rule, "auth");
	assert_int_equal(o.hits, 3);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.since, NOW + 2004);
	assert_int_equal(o.last, NOW + 2004);
	assert_int_equal(o.expires, NOW + 2104);
	/* They are spent. What follows makes the ban longer. */
	assert_int_equal(rows_count(s, STORE_HIT, BLOCK), 0);
	assert_true(hit(s, "auth", "k5", 2050, &o));
	assert_true(hit(s, "once", "k6", 2049, &o));
	assert_string_equal(o.rule, "auth");
	assert_int_equal(o.hits, 5);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.since, NOW + 2004);
	assert_int_equal(o.expires, NOW + 2150);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
	/* When it is over, three are needed again. */
	assert_true(hit(s, "auth", "k6", 2149, &o));
	s->driver->offenders_expire(s, NOW + 2249);
	assert_false(hit(s, "auth", "k7", 2249, &o));
	assert_false(hit(s, "auth", "k8", 2250, &o));
	assert_true(hit(s, "auth", "k9", 2251, &o));
	assert_int_equal(o.hits, 3);
	assert_int_equal(o.times, 2);
	assert_int_equal(o.expires, NOW + 2451);
}

/* Whatever lists a block, all its hits are spent, and no other one's. */
static void
a_rule_of_one_hit_spends_those_of_the_others(void **state)
{
	const struct store_hit batch[] = {
		{ BLOCK, "auth", "k1", NOW }, { BLOCK, "auth", "k2", NOW + 1 },
		{ "192.0.2.9/32", "auth", "k1", NOW + 2 },
		{ "192.0.2.9/32", "auth", "k2", NOW + 2 },
	};
	struct store *s = *state;
	struct store_offender o;

	assert_int_equal(apply(s, batch, COUNT(batch)), STORE_FOUND);
	assert_int_equal(rows_count(s, STORE_HIT, BLOCK), 2);
	assert_true(hit(s, "once", "k3", 3, &o));
	assert_string_equal(o.rule, "once");
	assert_int_equal(o.hits, 1);
	assert_int_equal(rows_count(s, STORE_HIT, BLOCK), 0);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 2);
	/* When the ban is over, three are needed again. */
	s->driver->offenders_expire(s, NOW + 103);
	assert_false(hit(s, "auth", "k3", 104, &o));
	assert_false(hit(s, "auth", "k4", 105, &o));
	assert_true(hit(s, "auth", "k5", 106, &o));
	assert_int_equal(o.times, 2);
	/* The same within one batch. */
	assert_int_equal(apply(s, (struct store_hit[]) {
	    { "192.0.2.8/32", "auth", "k1", NOW },
	    { "192.0.2.8/32", "once", "k2", NOW + 1 } }, 2), STORE_FOUND);
	assert_int_equal(rows_count(s, STORE_HIT, "192.0.2.8/32"), 0);
}

/* The logs of two hosts need not be read at the same time. */
static void
hits_count_together_in_whatever_order_they_come(void **state)
{
	static const struct {
		time_t time[4];
		bool listed; /* by the last one */
	} rows[] = {
		{ { 500, 600, 100 }, true },
		{ { 100, 600, 500 }, true },
		{ { 600, 500, 100 }, true },
		{ { 1101, 1102, 100 }, false }, /* 1000 s are too long ago */
		{ { 1099, 1098, 100 }, true },
		{ { 100, 2000, 101 }, false },
		{ { 100, 5000, 101, 102 }, true },
	};
	struct store *s = *state;
	struct store_offender o;
	bool listed = false;
	char key[16];
	size_t i, k;

	for (i = 0; i < COUNT(rows); i++) {
		s->driver->offender_remove(s, "");
		for (k = 0; k < COUNT(rows[i].time) &&
		     rows[i].time[k] != 0; k++) {
			snprintf(key, sizeof(key), "k%zu", k);
			listed = hit(s, "auth", key, rows[i].time[k], &o);
			if (listed && k < 2)
				fail_msg("row %zu: too early", i);
		}
		if (listed != rows[i].listed)
			fail_msg("row %zu: %d", i, listed);
	}
}

static void
hits_of_a_batch_count_together_and_by_block_and_rule(void **state)
{
	const struct store_hit hits[] = {
		{ "192.0.2.1/32", "auth", "a", NOW },
		{ "192.0.2.2/32", "auth", "a", NOW },
		{ "192.0.2.1/32", "auth", "b", NOW },
		{ "192.0.2.2/32", "auth", "a", NOW + 1 },
		{ "2001:db8::/64", "once", "a", NOW },
		{ "192.0.2.1/32", "auth", "c", NOW },
		{ "192.0.2.2/32", "unknown", "b", NOW },
		{ "192.0.2.2/32", "unknown", "c", NOW },
	};
	struct store *s = *state;
	struct rows *r;
	size_t i;

	assert_int_equal(apply(s, hits, COUNT(hits)), STORE_FOUND);
	r = rows_of(s, STORE_OFFENDER, "");
	assert_int_equal(r->count, 2);
	for (i = 0; i < r->count; i++)
		assert_string_not_equal(r->row[i].u.offender.block,
		    "192.0.2.2/32");
	free(r);
}

/* The end of each ban of a block that comes back. */
static void
who_returns_is_banned_for_twice_as_long_up_to_the_limit(void **state)
{
	static const struct {
		time_t time; /* of an offence */
		long times;
		time_t since, expires;
	} rows[] = {
		{ 0, 1, 0, 100 },
		{ 50, 1, 0, 150 }, /* still on: longer by its last offence */
		{ 40, 1, 0, 150 }, /* an older line */
		{ 1000, 2, 1000, 1200 },
		{ 5000, 3, 5000, 5350 }, /* not 400: ban_max */
		{ 9000, 4, 9000, 9350 },
		{ 9350, 5, 9350, 9700 }, /* just over: it returns */
	};
	struct store *s = *state;
	struct store_offender o;
	char key[16];
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		assert_true(hit(s, "once", key, rows[i].time, &o));
		if (o.times != rows[i].times ||
		    o.since != NOW + rows[i].since ||
		    o.expires != NOW + rows[i].expires)
			fail_msg("row %zu: times %ld, since %ld, expires %ld",
			    i, o.times, (long)o.since - NOW,
			    (long)o.expires - NOW);
	}
	/* Also when it was taken from the list meanwhile. */
	assert_int_equal(s->driver->offenders_expire(s, NOW + 20000),
	    STORE_FOUND);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 0);
	assert_true(hit(s, "once", "z", 20000, &o));
	assert_int_equal(o.times, 6);
	assert_int_equal(o.expires, NOW + 20350);
}

static void
who_comes_too_late_with_a_position_changes_nothing(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	struct store *s = *state;
	const struct store_hit h = { BLOCK, "once", "a", NOW };
	char name[STORE_TEXT_MAX], position[STORE_TEXT_MAX] = "?";
	struct store_batch b = { .hits = &h, .hit_count = 1, .rules = rules,
		.rule_count = COUNT(rules), .ban = 100, .ban_max = 100,
		.now = NOW, .source = name, .position_old = "5",
		.position_new = "9" };
	int64_t before = generation(s);

	snprintf(name, sizeof(name), "late%d.%d journal", (int)getpid(),
	    store_number);
	assert_int_equal(d->position(s, name, position, sizeof(position)),
	    STORE_ABSENT);
	assert_string_equal(position, "");
	assert_int_equal(d->offenders_apply(s, &b), STORE_ABSENT);
	assert_int_equal(d->position(s, name, position, sizeof(position)),
	    STORE_ABSENT);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 0);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
	assert_int_equal(generation(s), before);
	b.position_old = "";
	assert_int_equal(d->offenders_apply(s, &b), STORE_FOUND);
	assert_int_equal(generation(s) != before, true);
	before = generation(s);
	assert_int_equal(d->offenders_apply(s, &b), STORE_ABSENT);
	assert_int_equal(generation(s), before);
	assert_int_equal(d->position(s, name, position, sizeof(position)),
	    STORE_FOUND);
	assert_string_equal(position, "9");
	/* Without a hit only the position moves. */
	b.hit_count = 0;
	b.position_old = "9";
	b.position_new = "10";
	assert_int_equal(d->offenders_apply(s, &b), STORE_FOUND);
	assert_int_equal(generation(s), before);
	/* Another source has a position of its own. */
	name[0] = 'L';
	assert_int_equal(d->offenders_apply(s, &b), STORE_ABSENT);
}

static int
child_apply(int n)
{
	const struct store_hit h = { BLOCK, "once", "same", NOW };
	const struct store_batch b = { .hits = &h, .hit_count = 1,
		.rules = rules, .rule_count = COUNT(rules), .ban = 100,
		.ban_max = 100, .now = NOW, .source = source,
		.position_old = "", .position_new = "1" };
	struct store *s = store_again();
	enum store_result r = s->driver->offenders_apply(s, &b);

	(void)n;
	CHILD_HOLDS(r != STORE_ERROR, s);
	store_end(s);
	return r == STORE_FOUND;
}

static void
of_many_who_move_a_position_one_does(void **state)
{
	store_alone(state);
	snprintf(source, sizeof(source), "race%d.%d journal", (int)getpid(),
	    store_number);
	assert_int_equal(in_children(10, child_apply), 1);
}

static struct store_offender
manual(const char *block, time_t expires)
{
	struct store_offender o = { .rule = "manual", .note = "by hand",
		.since = NOW, .last = NOW, .expires = expires, .listed = true };

	snprintf(o.block, sizeof(o.block), "%s", block);
	return o;
}

static void
blocks_are_added_and_removed_by_hand(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	struct store_offender o = manual(BLOCK, 0), seen;
	struct store *s = *state;
	int64_t g[6];

	g[0] = generation(s);
	assert_int_equal(d->offender_remove(s, BLOCK), STORE_ABSENT);
	assert_int_equal(generation(s), g[0]);
	assert_int_equal(d->offender_add(s, &o), STORE_ABSENT);
	g[1] = generation(s);
	assert_int_not_equal(g[1], g[0]);
	/* For ever, whatever it does. */
	assert_true(hit(s, "once", "a", 10, &seen));
	assert_string_equal(seen.rule, "manual");
	assert_string_equal(seen.note, "by hand");
	assert_int_equal(seen.expires, 0);
	assert_int_equal(d->offenders_expire(s, FUTURE), STORE_ABSENT);
	assert_int_equal(generation(s), g[1]);
	o.expires = NOW + 50;
	snprintf(o.note, sizeof(o.note), "not so long");
	assert_int_equal(d->offender_add(s, &o), STORE_FOUND);
	g[2] = generation(s);
	assert_int_not_equal(g[2], g[1]);
	o = manual("2001:db8::/64", 0);
	assert_int_equal(d->offender_add(s, &o), STORE_ABSENT);
	assert_int_equal(d->offender_remove(s, BLOCK), STORE_FOUND);
	g[3] = generation(s);
	assert_int_not_equal(g[3], g[2]);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 1);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
	assert_int_equal(d->offender_remove(s, "%"), STORE_ABSENT);
	assert_int_equal(d->offender_remove(s, ""), STORE_FOUND);
	g[4] = generation(s);
	assert_int_not_equal(g[4], g[3]);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 0);
	assert_int_equal(d->offender_remove(s, ""), STORE_ABSENT);
	assert_int_equal(generation(s), g[4]);
}

static void
removing_a_block_forgets_its_hits(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	const struct store_hit other = { "192.0.2.9/32", "auth", "x", NOW };
	struct store *s = *state;
	struct store_offender o;

	assert_int_equal(apply(s, &other, 1), STORE_FOUND);
	assert_false(hit(s, "auth", "a", 0, &o));
	assert_false(hit(s, "auth", "b", 1, &o));
	d->offender_remove(s, BLOCK); /* it is not on the list yet */
	assert_false(hit(s, "auth", "c", 2, &o));
	assert_false(hit(s, "auth", "d", 3, &o));
	assert_true(hit(s, "auth", "e", 4, &o));
	assert_int_equal(d->offender_remove(s, BLOCK), STORE_FOUND);
	assert_false(hit(s, "auth", "f", 5, &o));
	assert_int_equal(rows_count(s, STORE_HIT, ""), 2);
	/* A removed block begins anew: it does not "return". */
	hit(s, "auth", "g", 6, &o);
	assert_true(hit(s, "auth", "h", 7, &o));
	assert_int_equal(o.times, 1);
	assert_int_equal(o.expires, NOW + 107);
}

static void
what_has_expired_leaves_the_list(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	struct store_offender o = manual("192.0.2.1/32", NOW + 10);
	struct store *s = *state;
	struct store_status status;
	int64_t before;

	d->offender_add(s, &o);
	o = manual("192.0.2.2/32", NOW + 20);
	d->offender_add(s, &o);
	o = manual("192.0.2.3/32", 0);
	d->offender_add(s, &o);
	before = generation(s);
	assert_int_equal(d->offenders_expire(s, NOW + 9), STORE_ABSENT);
	assert_int_equal(generation(s), before);
	assert_int_equal(d->offenders_expire(s, NOW + 10), STORE_FOUND);
	assert_int_not_equal(generation(s), before);
	before = generation(s);
	assert_int_equal(d->offenders_expire(s, NOW + 10), STORE_ABSENT);
	assert_int_equal(generation(s), before);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 2);
	assert_int_equal(d->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_OFFENDER], 2);
	assert_int_equal(d->offenders_expire(s, FUTURE), STORE_FOUND);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 1);
	/* The generation is everybody's. */
	store_end(s);
	*state = s = store_again();
	assert_int_not_equal(generation(s), before);
}

/* A server gives up a statement that takes long: no one has them all. */
static void
very_many_expire_and_are_purged_in_portions(void **state)
{
	enum { ALL = 25000, PART = 1000, PORTION = 10000 };
	static struct store_row rows[PART];
	const struct store_purge p = { .hits_before = NOW, .now = NOW };
	struct store *s = *state;
	struct store_status status;
	int64_t before;
	long removed;
	int i;

	for (i = 0; i < ALL; i++) {
		rows[i % PART].kind = STORE_OFFENDER;
		rows[i % PART].u.offender = manual("", NOW - 1);
		rows[i % PART].u.offender.last = NOW - DAY;
		snprintf(rows[i % PART].u.offender.block, STORE_BLOCK_MAX,
		    "10.0.%d.%d/32", i / 256, i % 256);
		if (i % PART == PART - 1)
			assert_int_equal(s->driver->restore(s, rows, PART),
			    STORE_FOUND);
	}
	s->wait_ms = 60000; /* it is not about time here */
	before = generation(s);
	if (s->driver->offenders_expire(s, NOW) != STORE_FOUND)
		fail_msg("%s", s->error);
	/* Each portion is a list of its own. */
	assert_true(generation(s) - before >= ALL / PORTION + 1);
	assert_int_equal(s->driver->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_OFFENDER], 0);
	assert_int_equal(s->driver->purge(s, &p, &removed), STORE_FOUND);
	assert_int_equal(removed, ALL);
}

/* --- purge, iterate, restore, status --- */

static void
only_what_is_old_is_purged(void **state)
{
	const struct store_driver *d = ((struct store *)*state)->driver;
	const struct store_purge p = { .logins_before = NOW,
		.hits_before = NOW, .accounts_before = NOW, .now = NOW };
	const struct store_hit hits[] = {
		{ BLOCK, "auth", "old", NOW - 1 },
		{ BLOCK, "auth", "new", NOW },
	};
	struct store *s = *state;
	struct store_status status;
	struct store_account a;
	struct store_counts c;
	long removed = -1;
	struct rows *r;

	assert_int_equal(d->purge(s, &p, &removed), STORE_ABSENT);
	assert_int_equal(removed, 0);
	login_at(s, "a", "192.0.2.1", "GB", NOW - 1, &c);
	login_at(s, "a", "192.0.2.2", "GB", NOW, &c);
	login_at(s, "b", "192.0.2.1", "GB", NOW - 1, &c);
	login_at(s, "b", "192.0.2.1", "GB", NOW + 1, &c);
	d->rate_take(s, "ended", 1, 60, NOW - 60);
	d->rate_take(s, "goes on", 1, 60, NOW - 59);
	account_add(s, "listed", NOW - DAY, 0, "");
	account_add(s, "old", NOW - DAY, 0, "");
	d->account_release(s, "old", NOW - 1);
	account_add(s, "new", NOW - DAY, 0, "");
	d->account_release(s, "new", NOW);
	assert_int_equal(apply(s, hits, 2), STORE_FOUND);
	assert_int_equal(d->purge(s, &p, &removed), STORE_FOUND);
	assert_int_equal(removed, 4);
	r = rows_of(s, STORE_LOGIN, "a");
	assert_int_equal(r->count, 1);
	assert_string_equal(r->row[0].u.login.block, "192.0.2.2");
	free(r);
	assert_int_equal(login_sum(s, "b"), 2);
	/* One that has ended would begin anew in any case. */
	assert_int_equal(d->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_RATE], 1);
	assert_int_equal(d->rate_take(s, "goes on", 1, 60, NOW), STORE_ABSENT);
	assert_int_equal(d->account_find(s, "old", &a), STORE_ABSENT);
	assert_int_equal(d->account_find(s, "new", &a), STORE_FOUND);
	assert_int_equal(d->account_find(s, "listed", &a), STORE_FOUND);
	r = rows_of(s, STORE_HIT, "");
	assert_int_equal(r->count, 1);
	assert_string_equal(r->row[0].u.hit.key, "new");
	free(r);
	assert_int_equal(d->purge(s, &p, &removed), STORE_ABSENT);
	assert_int_equal(removed, 0);
}

static void
restore_login(struct store *s, int n, time_t last)
{
	struct store_row row = { .kind = STORE_LOGIN };

	snprintf(row.u.login.user, STORE_USER_MAX, "user%d", n / 10);
	snprintf(row.u.login.block, ADDRESS_TEXT_MAX, "192.0.2.%d", n % 10);
	row.u.login.count = 1;
	row.u.login.last = last;
	assert_int_equal(s->driver->restore(s, &row, 1), STORE_FOUND);
}

/* Every second row is old: what stays must not stop it. */
static void
a_purge_takes_all_that_is_old(void **state)
{
	const struct store_purge p = { .logins_before = NOW, .now = NOW };
	struct store *s = *state;
	long removed;
	int i;

	for (i = 0; i < 7000; i++)
		restore_login(s, i, i % 2 == 0 ? NOW - 1 : NOW);
	assert_int_equal(s->driver->purge(s, &p, &removed), STORE_FOUND);
	assert_int_equal(removed, 3500);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 3500);
	/* And again, also what comes before all others. */
	restore_login(s, 1, NOW - 1);
	restore_login(s, 6999, NOW - 1);
	assert_int_equal(s->driver->purge(s, &p, &removed), STORE_FOUND);
	assert_int_equal(removed, 2);
	assert_int_equal(s->driver->purge(s, &p, &removed), STORE_ABSENT);
}

static void
iterating_goes_user_by_user_and_stops_when_told(void **state)
{
	static const char *const users[] = { "b", "a", "c", "a'b", "B" };
	struct store *s = *state;
	struct store_counts c;
	struct rows *r, *stop = calloc(1, sizeof(*stop));
	char block[32];
	size_t i, j, changes = 1;

	assert_non_null(stop);
	for (i = 0; i < 3; i++)
		for (j = 0; j < COUNT(users); j++) {
			snprintf(block, sizeof(block), "192.0.2.%zu", i);
			login_at(s, users[j], block, i == 0 ? "" : "GB",
			    NOW + (time_t)i, &c);
		}
	for (j = 0; j < COUNT(users); j++)
		account_add(s, users[j], NOW, 0, "");
	r = rows_of(s, STORE_LOGIN, "");
	assert_int_equal(r->count, 15);
	for (i = 1; i < r->count; i++)
		changes += strcmp(r->row[i].u.login.user,
			       r->row[i - 1].u.login.user) != 0;
	assert_int_equal(changes, COUNT(users));
	free(r);
	r = rows_of(s, STORE_LOGIN, "a");
	assert_int_equal(r->count, 3);
	for (i = 0; i < r->count; i++) {
		assert_int_equal(r->row[i].kind, STORE_LOGIN);
		assert_string_equal(r->row[i].u.login.user, "a");
		assert_int_equal(r->row[i].u.login.count, 1);
		assert_string_equal(r->row[i].u.login.country,
		    strcmp(r->row[i].u.login.block, "192.0.2.0") == 0 ? "" :
									"GB");
	}
	free(r);
	assert_int_equal(rows_count(s, STORE_LOGIN, "nobody"), 0);
	assert_int_equal(rows_count(s, STORE_ACCOUNT, ""), COUNT(users));
	assert_int_equal(rows_count(s, STORE_ACCOUNT, "a'b"), 1);
	assert_int_equal(rows_count(s, STORE_ACCOUNT, "nobody"), 0);
	stop->stop = 2;
	assert_int_equal(s->driver->iterate(s, STORE_LOGIN, "", rows_keep,
			     stop), STORE_FOUND);
	assert_int_equal(stop->count, 2);
	free(stop);
	/* The store is of use after an iteration that was stopped. */
	login_at(s, "z", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 16);
}

/* Something of every kind. */
static void
fill(struct store *s)
{
	const struct store_hit hits[] = {
		{ BLOCK, "auth", "k'1", NOW - 7 },
		{ BLOCK, "auth", "k2", NOW },
		{ "2001:db8::/64", "auth", "k\xc3\xa9", NOW + 5 },
		{ "2001:db8:1::/64", "once", "k", NOW + 5 },
	};
	struct store_offender o = manual("192.0.2.77/32", 0);
	struct store_counts c;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "a", "192.0.2.1", "GB", NOW + 1, &c);
	login_at(s, "a", "2001:db8:1::", "", NOW + 2, &c);
	login_at(s, "' OR 1=1 --", "192.0.2.1", "SE", NOW, &c);
	s->driver->rate_take(s, "geocount:a", 3, 60, NOW);
	s->driver->rate_take(s, "geocount:a", 3, 60, NOW);
	s->driver->rate_take(s, "geocount:b", 3, 3600, NOW);
	account_add(s, "a", NOW, 0, "6 countries; \"x\"");
	account_add(s, "b", NOW + 1, 0, "");
	s->driver->account_ran(s, "b");
	s->driver->account_release(s, "b", NOW + 2);
	s->driver->offender_add(s, &o);
	assert_int_equal(apply(s, hits, COUNT(hits)), STORE_FOUND);
}

static int
row_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct store_row));
}

/*
 * Rows in an order of our own, and without what is after the ends of texts:
 * to be compared byte by byte.
 */
static void
rows_tidy(struct rows *r)
{
	struct store_row in, *out;
	size_t i;

#define TEXT(member)                                                          \
	snprintf(out->u.member, sizeof(out->u.member), "%s", in.u.member)
#define VALUE(member) (out->u.member = in.u.member)
	for (i = 0; i < r->count; i++) {
		in = r->row[i];
		out = &r->row[i];
		memset(out, 0, sizeof(*out));
		out->kind = in.kind;
		switch (in.kind) {
		case STORE_LOGIN:
			TEXT(login.user), TEXT(login.block);
			TEXT(login.country), VALUE(login.count);
			VALUE(login.last);
			break;
		case STORE_ACCOUNT:
			TEXT(account.user), VALUE(account.since);
			VALUE(account.released), VALUE(account.command_ran);
			TEXT(account.check), TEXT(account.address);
			TEXT(account.reason);
			break;
		case STORE_OFFENDER:
			TEXT(offender.block), TEXT(offender.rule);
			TEXT(offender.note), VALUE(offender.hits);
			VALUE(offender.times), VALUE(offender.since);
			VALUE(offender.last), VALUE(offender.expires);
			VALUE(offender.listed);
			break;
		case STORE_RATE:
			break;
		case STORE_POSITION:
			TEXT(position.source), TEXT(position.position);
			break;
		case STORE_HIT:
			TEXT(hit.block), TEXT(hit.rule), TEXT(hit.key);
			VALUE(hit.time);
			break;
		}
	}
#undef TEXT
#undef VALUE
	qsort(r->row, r->count, sizeof(r->row[0]), row_compare);
}

static void
copy_all(struct store *from, struct store *to)
{
	struct rows *r;
	int kind;

	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++) {
		if (kind == STORE_RATE) /* soon over: not copied */
			continue;
		r = rows_whole(from, (enum store_kind)kind, "");
		if (to->driver->restore(to, r->row, r->count) != STORE_FOUND)
			fail_msg("restore %d: %s", kind, to->error);
		free(r);
	}
}

static void
assert_same(struct store *a, struct store *b)
{
	struct rows *in_a, *in_b;
	int kind;

	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++) {
		if (kind == STORE_RATE)
			continue;
		in_a = rows_whole(a, (enum store_kind)kind, "");
		in_b = rows_whole(b, (enum store_kind)kind, "");
		rows_tidy(in_a);
		rows_tidy(in_b);
		assert_int_equal(in_a->count, in_b->count);
		assert_true(in_a->count > 0);
		if (memcmp(in_a->row, in_b->row,
			in_a->count * sizeof(in_a->row[0])) != 0)
			fail_msg("rows of kind %d differ", kind);
		free(in_a);
		free(in_b);
	}
}

/* To a second store, and back from there. */
static void
a_copy_has_everything(void **state)
{
	struct store *s = *state, *copy;
	struct store_counts c;
	char url[128];

	snprintf(url, sizeof(url), "sqlite:%s/copy%d.db", unit_dir,
	    store_number);
	copy = store_at(url);
	fill(s);
	copy_all(s, copy);
	assert_same(s, copy);
	copy_all(s, copy); /* once more changes nothing */
	assert_same(s, copy);
	store_empty(s);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 0);
	copy_all(copy, s);
	assert_same(s, copy);
	/* And it lives. */
	login_at(s, "a", "192.0.2.1", "GB", NOW + 3, &c);
	assert_int_equal(c.addresses, 2);
	assert_int_equal(c.previous_time, NOW + 2);
	assert_int_equal(login_sum(s, "a"), 4);
	assert_int_equal(account_add(s, "a", NOW, 0, ""), STORE_FOUND);
	store_end(copy);
}

static void
a_restored_offender_changes_the_generation(void **state)
{
	struct store_row row = { .kind = STORE_OFFENDER };
	struct store *s = *state;
	int64_t before = generation(s);

	row.u.offender = manual(BLOCK, NOW);
	assert_int_equal(s->driver->restore(s, &row, 1), STORE_FOUND);
	assert_int_not_equal(generation(s), before);
}

static void
the_status_tells_how_much_there_is(void **state)
{
	static const long expected[] = { [STORE_LOGIN] = 3,
		[STORE_ACCOUNT] = 2, [STORE_OFFENDER] = 2, [STORE_RATE] = 2,
		[STORE_HIT] = 3 };
	struct store_status status;
	struct store *s = *state;
	int kind;

	fill(s);
	memset(&status, 0xee, sizeof(status));
	assert_int_equal(s->driver->status(s, &status), STORE_FOUND);
	assert_int_equal(status.schema, STORE_SCHEMA);
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		if (kind != STORE_POSITION &&
		    status.rows[kind] != expected[kind])
			fail_msg("kind %d: %ld", kind, status.rows[kind]);
	assert_true(status.rows[STORE_POSITION] >= 1);
	assert_true(status.bytes == -1 || status.bytes > 1000);
	assert_true(memchr(status.where, '\0', sizeof(status.where)) != NULL);
	assert_true(status.where[0] != '\0');
}

/* --- many at once --- */

#define CHILDREN 20
#define LOGINS 200

static int
child_logins(int n)
{
	struct store_login l = { .country = "GB" };
	struct store *s = store_again();
	struct store_counts c;
	char user[16], block[32];
	int i;

	l.user = user;
	l.block = block;
	for (i = 0; i < LOGINS; i++) {
		snprintf(user, sizeof(user), "user%d", i % 7);
		snprintf(block, sizeof(block), "192.0.2.%d",
		    (i * 31 + n) % 50);
		l.now = NOW + i;
		l.since = l.now - DAY;
		CHILD_HOLDS(s->driver->login(s, &l, &c) != STORE_ERROR, s);
		CHILD_HOLDS(c.addresses >= 1 && c.addresses <= 50, s);
		CHILD_HOLDS(c.countries == 1, s);
	}
	store_end(s);
	return 0;
}

static void
no_count_is_lost_among_many_processes(void **state)
{
	struct store *s;

	store_alone(state);
	assert_int_equal(in_children(CHILDREN, child_logins), 0);
	*state = s = store_again();
	assert_int_equal(login_sum(s, ""), CHILDREN * LOGINS);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_begin, \
	    store_finish)
	const struct CMUnitTest tests[] = {
		TEST(logins_are_counted_with_the_one_at_hand),
		TEST(only_logins_strictly_after_since_count),
		TEST(peeking_counts_but_records_nothing),
		TEST(a_clock_set_back_loses_no_login),
		TEST(the_clock_may_stand_anywhere),
		TEST(a_forgotten_user_is_new),
		TEST(all_countries_and_many_addresses_are_counted),
		TEST(hostile_users_are_kept_apart),
		TEST(hostile_texts_come_back_as_they_were),
		TEST(a_period_begins_with_the_first_one),
		TEST(no_more_than_the_limit_are_taken_by_many),
		TEST(what_does_not_fit_fails_alone),
		TEST(an_account_is_new_once_until_it_is_released),
		TEST(an_account_whose_time_is_over_is_new_again),
		TEST(a_command_runs_once_for_each_detection),
		TEST(of_many_who_find_an_account_one_is_first),
		TEST(the_nth_distinct_hit_within_the_period_lists),
		TEST(a_rule_of_one_hit_spends_those_of_the_others),
		TEST(hits_count_together_in_whatever_order_they_come),
		TEST(hits_of_a_batch_count_together_and_by_block_and_rule),
		TEST(who_returns_is_banned_for_twice_as_long_up_to_the_limit),
		TEST(who_comes_too_late_with_a_position_changes_nothing),
		TEST(of_many_who_move_a_position_one_does),
		TEST(blocks_are_added_and_removed_by_hand),
		TEST(removing_a_block_forgets_its_hits),
		TEST(what_has_expired_leaves_the_list),
		TEST(very_many_expire_and_are_purged_in_portions),
		TEST(only_what_is_old_is_purged),
		TEST(a_purge_takes_all_that_is_old),
		TEST(iterating_goes_user_by_user_and_stops_when_told),
		TEST(a_copy_has_everything),
		TEST(a_restored_offender_changes_the_generation),
		TEST(the_status_tells_how_much_there_is),
		TEST(no_count_is_lost_among_many_processes),
	};
	char urls[2048], name[64], *url, *save;
	const char *more = getenv("STORE_URLS");
	int failed = 0;

	if (store_dir_make(NULL) != 0)
		return 1;
	snprintf(urls, sizeof(urls), "sqlite:%s/store.db %s", unit_dir,
	    more != NULL ? more : "");
	for (url = strtok_r(urls, " ", &save); url != NULL;
	     url = strtok_r(NULL, " ", &save)) {
		snprintf(store_url, sizeof(store_url), "%s", url);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(url, ":"),
		    url);
		failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
	}
	unit_dir_remove(NULL);
	return failed;
}
