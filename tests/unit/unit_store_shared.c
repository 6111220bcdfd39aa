/*
 * What is around the drivers: the key of a user, a URL to be shown, and the
 * one store of a process with its rest after a failure.
 */
#include "unit_store.h"

#include <sha2.h>

#include "base/log.h"
#include "base/backoff.h"

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define HASHED NULL /* becomes 35 bytes, #, SHA-256 */

static void
users_are_folded_or_hashed(void **state)
{
	static const struct {
		const char *name;
		const char *key;   /* HASHED */
		const char *shown; /* of HASHED: what is before # */
	} rows[] = {
		{ "", "", NULL }, { "ann", "ann", NULL },
		{ " Ann", "ann", NULL }, { "ann \t ", "ann", NULL },
		{ "\tann b ", "ann b", NULL }, { " ", " ", NULL },
		{ "  ", "  ", NULL },
		{ " " HUNDRED "\t", HUNDRED, NULL },
		{ "Ann@Example.COM", "ann@example.com", NULL },
		{ "' OR 1=1 --", "' or 1=1 --", NULL },
		{ "a b\"%_\\", "a b\"%_\\", NULL },
		{ "jos\xc3\xa9", "jos\xc3\xa9", NULL },
		/* Only ASCII is folded. */
		{ "JOS\xc3\x89", "jos\xc3\x89", NULL },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", NULL },
		{ HUNDRED, HUNDRED, NULL },
		{ HUNDRED "x", HASHED, TEN TEN TEN "01234" },
		{ HUNDRED HUNDRED, HASHED, TEN TEN TEN "01234" },
		{ "\t", HASHED, "?" }, { "\xff", HASHED, "?" }, { "A\xff" "B", HASHED, "a?b" },
		{ "\xc3\x28", HASHED, "?(" }, { "\xc0\xaf", HASHED, "??" },
		{ "\xed\xa0\x80", HASHED, "???" }, /* a surrogate */
		{ "\xc3", HASHED, "?" },
		{ "\xff" HUNDRED, HASHED, "?" TEN TEN TEN "0123" },
		{ "\xc3\xa9" HUNDRED, HASHED, "??" TEN TEN TEN "012" },
	};
	char key[STORE_USER_MAX], expected[256], folded[512];
	char digest[SHA256_DIGEST_STRING_LENGTH];
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		store_user(rows[i].name, key, sizeof(key));
		if (rows[i].key == HASHED) {
			snprintf(folded, sizeof(folded), "%s", rows[i].name);
			for (j = 0; folded[j] != '\0'; j++)
				if (folded[j] >= 'A' && folded[j] <= 'Z')
					folded[j] = (char)(folded[j] + 32);
			SHA256Data((const uint8_t *)folded, strlen(folded),
			    digest);
			snprintf(expected, sizeof(expected), "%s#%s",
			    rows[i].shown, digest);
		} else
			snprintf(expected, sizeof(expected), "%s",
			    rows[i].key);
		if (strcmp(key, expected) != 0)
			fail_msg("%s: %s, not %s", rows[i].name, key, expected);
	}
}

/* Of 10,000 bytes, different at each place in turn. */
static void
no_two_long_users_are_one(void **state)
{
	char name[10001], last[STORE_USER_MAX] = "", key[STORE_USER_MAX];
	char blanks[10005];
	char digest[SHA256_DIGEST_STRING_LENGTH];
	size_t i;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[10000] = '\0';
	for (i = 0; i < 10000; i += 93) {
		name[i] = 'y';
		store_user(name, key, sizeof(key));
		SHA256Data((const uint8_t *)name, 10000, digest);
		assert_int_equal(strlen(key), STORE_USER_MAX - 1);
		assert_string_equal(key + 36, digest);
		assert_string_not_equal(key, last);
		memcpy(last, key, sizeof(last));
		name[i] = 'Y'; /* is folded */
		store_user(name, key, sizeof(key));
		assert_string_equal(key, last);
		snprintf(blanks, sizeof(blanks), "\t %s ", name);
		store_user(blanks, key, sizeof(key));
		assert_string_equal(key, last);
		name[i] = 'x';
	}
}

static void
a_url_is_shown_without_its_password(void **state)
{
	static const struct {
		const char *url, *shown;
	} rows[] = {
		{ "sqlite:/var/lib/x.db", "sqlite:/var/lib/x.db" },
		{ "sqlite:/a:b@c.db", "sqlite:/a:b@c.db" },
		{ "postgresql://u:secret@h/db", "postgresql://u@h/db" },
		{ "postgresql://u@h:5432/db", "postgresql://u@h:5432/db" },
		{ "postgresql://h:5432/db", "postgresql://h:5432/db" },
		{ "mysql://u:se@cr:et@h/db", "mysql://u@h/db" },
		{ "redis://:secret@h:6379/0", "redis://@h:6379/0" },
		{ "redis://u:@h", "redis://u@h" },
		{ "redis://h/0", "redis://h/0" },
		{ "mysql://u:secret@[2001:db8::1]:3306/db",
		    "mysql://u@[2001:db8::1]:3306/db" },
		{ "", "" }, { "://", "://" }, { "x://:@", "x://@" },
	};
	char shown[128];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		store_url_text(rows[i].url, shown, sizeof(shown));
		if (strcmp(shown, rows[i].shown) != 0)
			fail_msg("%s: %s", rows[i].url, shown);
	}
}

/* --- the one store of a process --- */

static char dir[128], cache[128];
static int errors, infos;

static void
count(enum log_level level, const char *line)
{
	(void)line;
	errors += level == LOG_LEVEL_ERROR;
	infos += level == LOG_LEVEL_INFO;
}

/* A store in a directory that is not there yet. */
static int
shared_begin(void **state)
{
	(void)state;
	store_number++;
	snprintf(dir, sizeof(dir), "%s/dir%d", unit_dir, store_number);
	snprintf(cache, sizeof(cache), "%s/cache%d", unit_dir, store_number);
	snprintf(store_url, sizeof(store_url), "sqlite:%s/x.db", dir);
	cfg.store.url = store_url;
	cfg.reputation.cache_dir = cache;
	errors = infos = 0;
	log_open("unit", "none", LOG_LEVEL_INFO);
	log_handler(count);
	return mkdir(cache, 0700);
}

static int
shared_finish(void **state)
{
	(void)state;
	store_close();
	log_handler(NULL);
	return 0;
}

static bool
file_is_there(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static struct store *
get(time_t now, char *error)
{
	double begun = own_seconds();
	struct store *s = store_get(&cfg, now, 1000, true, error, STORE_ERROR_MAX);

	assert_true(own_seconds() - begun < 0.5);
	return s;
}

/* In another process: 0 when it rests and nothing was opened. */
static int
child_gets(int n)
{
	char error[STORE_ERROR_MAX] = "";

	(void)n;
	if (store_get(&cfg, time(NULL), 1000, true,
	    error, sizeof(error)) != NULL)
		return 1;
	return strstr(error, "rests") == NULL || file_is_there("x.db");
}

static void
after_a_failure_all_processes_leave_it_alone(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	time_t now = time(NULL);
	struct store_counts c;
	struct store *s;

	(void)state;
	assert_null(get(now, error));
	assert_non_null(strstr(error, "No such file"));
	assert_int_equal(errors, 1);
	/* It could be opened now, but nobody tries. */
	assert_int_equal(mkdir(dir, 0700), 0);
	error[0] = '\0';
	assert_null(get(now, error));
	assert_non_null(strstr(error, "rests"));
	assert_non_null(strstr(error, "No such file"));
	assert_false(file_is_there("x.db"));
	assert_false(file_is_there("x.db-lock"));
	assert_int_equal(in_children(3, child_gets), 0);
	assert_int_equal(errors, 1); /* told once */
	/* When the rest is over */
	s = get(now + STORE_BACKOFF + 1, error);
	assert_non_null(s);
	assert_int_equal(infos, 0);
	assert_int_equal(store_done(&cfg, s, now,
			     login_at(s, "a", "192.0.2.1", "GB", now, &c),
			     error, sizeof(error)), STORE_FOUND);
	assert_int_equal(infos, 1); /* usable again, also once */
	store_done(&cfg, s, now, STORE_FOUND, error, sizeof(error));
	assert_int_equal(infos, 1);
	assert_ptr_equal(get(now + STORE_BACKOFF + 1, error), s);
}

static void
an_operation_that_fails_closes_and_rests(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	time_t now = time(NULL);
	struct store *s;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	s = get(now, error);
	assert_non_null(s);
	assert_ptr_equal(get(now, error), s);
	snprintf(s->error, sizeof(s->error), "the disk is full");
	assert_int_equal(store_done(&cfg, s, now, STORE_ERROR, error,
			     sizeof(error)), STORE_ERROR);
	assert_string_equal(error, "the disk is full");
	assert_int_equal(errors, 1);
	assert_null(get(now, error));
	assert_string_equal(error, "store rests: the disk is full");
	assert_null(get(now + STORE_BACKOFF - 1, error));
	s = get(now + STORE_BACKOFF + 1, error);
	assert_non_null(s);
	snprintf(s->error, sizeof(s->error), "still full");
	store_done(&cfg, s, now + STORE_BACKOFF + 1, STORE_ERROR, error,
	    sizeof(error));
	assert_int_equal(errors, 1); /* not again and again */
}

/* No marker: others go on, and so does this process, with what it has open. */
static void
what_is_no_fault_of_the_store_rests_nothing(void **state)
{
	static const struct {
		enum store_failure failure;
		int errors; /* that are told */
	} rows[] = { { STORE_BUSY, 0 }, { STORE_BAD_DATA, 0 },
		{ STORE_REFUSED, 1 } };
	char error[STORE_ERROR_MAX] = "", command[192];
	time_t now = time(NULL);
	struct store *s;
	size_t i;
	int n;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	for (i = 0; i < COUNT(rows); i++) {
		s = get(now, error);
		assert_non_null(s);
		for (n = 0; n < 3; n++) {
			snprintf(s->error, sizeof(s->error), "row %zu", i);
			s->failure = rows[i].failure;
			store_done(&cfg, s, now, STORE_ERROR, error,
			    sizeof(error));
			snprintf(command, sizeof(command), "row %zu", i);
			assert_string_equal(error, command);
			s = get(now, error); /* a file may be opened anew */
			assert_non_null(s);
		}
		assert_int_equal(errors, rows[i].errors);
	}
	snprintf(command, sizeof(command), "ls -A %s | grep -q rest-", cache);
	assert_int_not_equal(system(command), 0);
	/* Writing was refused: that some can be read proves nothing. */
	store_done_reading(&cfg, s, now, STORE_FOUND, error, sizeof(error));
	assert_int_equal(infos, 0);
	/* Nor the other way round. */
	s->failure = STORE_REFUSED;
	store_done_reading(&cfg, s, now, STORE_ERROR, error, sizeof(error));
	s = get(now, error);
	store_done(&cfg, s, now, STORE_FOUND, error, sizeof(error));
	assert_int_equal(infos, 0);
	store_done_reading(&cfg, s, now, STORE_ABSENT, error, sizeof(error));
	assert_int_equal(infos, 1);
	assert_int_equal(errors, 1);
}

static void
without_a_directory_for_markers_the_process_rests(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	time_t now = time(NULL);

	(void)state;
	assert_int_equal(rmdir(cache), 0);
	assert_null(get(now, error));
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_null(get(now, error));
	assert_false(file_is_there("x.db"));
	assert_non_null(get(now + STORE_BACKOFF + 1, error));
}

static void
the_marker_does_not_tell_the_url(void **state)
{
	char error[STORE_ERROR_MAX] = "", command[192];

	(void)state;
	cfg.store.url = "oracle://u:se-cret@h/db";
	assert_null(get(time(NULL), error));
	assert_null(strstr(error, "se-cret"));
	snprintf(command, sizeof(command), "grep -rq se-cret %s", cache);
	assert_int_not_equal(system(command), 0);
	snprintf(command, sizeof(command),
	    "ls -A %s | grep -Eq '^\\.rest-store-[0-9a-f]{16}$'", cache);
	assert_int_equal(system(command), 0);
}

/* Looking into a store that nobody has made yet makes none. */
static void
a_store_that_is_not_there_yet_is_an_empty_one(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	const struct store_login l = { "a", "192.0.2.1", "GB", NOW, NOW - DAY,
		true };
	struct store_account a;
	struct store_counts c;
	struct store *s;

	(void)state;
	/* Nor could a filter make one: no directory. */
	assert_null(store_get(&cfg, NOW, 1000, false, error, sizeof(error)));
	assert_non_null(strstr(error, "No such file"));
	assert_int_equal(mkdir(dir, 0700), 0);
	s = store_get(&cfg, NOW, 1000, false, error, sizeof(error));
	assert_non_null(s);
	assert_int_equal(s->driver->account_find(s, "a", &a), STORE_ABSENT);
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	assert_int_equal(c.countries, 1);
	assert_int_equal(c.addresses, 1);
	assert_false(file_is_there("x.db"));
	assert_int_equal(errors, 0);
	s = get(time(NULL), error);
	assert_non_null(s);
	assert_true(file_is_there("x.db"));
	assert_ptr_equal(store_get(&cfg, NOW, 1000, false, error,
			     sizeof(error)), s);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, shared_begin, \
	    shared_finish)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_folded_or_hashed),
		cmocka_unit_test(no_two_long_users_are_one),
		cmocka_unit_test(a_url_is_shown_without_its_password),
		TEST(after_a_failure_all_processes_leave_it_alone),
		TEST(an_operation_that_fails_closes_and_rests),
		TEST(what_is_no_fault_of_the_store_rests_nothing),
		TEST(without_a_directory_for_markers_the_process_rests),
		TEST(the_marker_does_not_tell_the_url),
		TEST(a_store_that_is_not_there_yet_is_an_empty_one),
	};

	return cmocka_run_group_tests(tests, store_dir_make, unit_dir_remove);
}
