/* The shared directory: cache files, markers, lock, clean-up. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "cache.h"
#include "fetch.h"
#include "base/backoff.h"

#define NOW 1800000000
static struct cache_policy policy = { .cache_ttl = 86400,
	.stale_ttl = 7 * 86400, .score = 70, .ipv6_prefix = 64 };
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

/* Writes a cache file of that age. */
static void
aged(const char *name, const char *content, long age)
{
	assert_true(statedir_usable(&dir));
	assert_int_equal(statedir_write(&dir, name, content, strlen(content),
			     NOW - age), 0);
}

static void
freshness(void **state)
{
	static const struct {
		long age;
		enum cache_result result;
	} rows[] = {
		{ 0, CACHE_FRESH }, { 86400, CACHE_FRESH },
		{ 86401, CACHE_STALE }, { 7 * 86400, CACHE_STALE },
		{ 7 * 86400 + 1, CACHE_MISS }, { -60, CACHE_FRESH },
		{ -86400, CACHE_MISS }, /* it would be fresh for ever */
	};
	struct cache_score s;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		aged("192.0.2.1", "71\n", rows[i].age);
		assert_int_equal(cache_get(&dir, "192.0.2.1", &policy, NOW, &s),
		    rows[i].result);
	}
	assert_int_equal(cache_get(&dir, "192.0.2.2", &policy, NOW, &s),
	    CACHE_MISS);
}

static void
contents(void **state)
{
	static const struct {
		const char *text;
		int score; /* -1: a miss */
	} rows[] = {
		{ "71\n", 71 }, { "0\n", 0 }, { "100\n", 100 }, { " 5 \r\n", 5 },
		{ "71\nfuture=x\n", 71 }, { "71\nno equals sign\n", 71 },
		{ "", -1 }, { "71", -1 }, { "\n", -1 }, { "null\n", -1 },
		{ "101\n", -1 }, { "-1\n", -1 }, { "7.5\n", -1 },
		{ "71x\n", -1 }, { "0x47\n", -1 }, { "\"71\"\n", -1 },
		{ "99999999999999999999\n", -1 }, { "71\nreporters=9", -1 },
		{ "71\nreporters=x\n", -1 }, { "71\ncountry=USA\n", -1 },
		{ "71\naddress=192.0.2.1\n", 71 },
		{ "71\naddress=\n", -1 }, { "71\naddress=1.2.3\n", -1 },
		{ "71\ntor=2\n", -1 }, { "{\"data\":1}\n", -1 },
		{ "\xff\xfe\n", -1 }, { "rest api 1 x\n", -1 },
	};
	struct cache_score s;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		aged("192.0.2.1", rows[i].text, 0);
		if (cache_get(&dir, "192.0.2.1", &policy, NOW, &s) ==
		    CACHE_MISS)
			s.score = -1;
		if (s.score != rows[i].score)
			fail_msg("%s: %d", rows[i].text, s.score);
	}
	/* As an earlier release wrote it. */
	aged("192.0.2.1", "71\ncountry=ZZ\n", 0);
	assert_int_equal(cache_get(&dir, "192.0.2.1", &policy, NOW, &s),
	    CACHE_FRESH);
	assert_string_equal(s.country, "");
}

static void
foreign_files(void **state)
{
	char big[4096], path[192], target[192];
	struct cache_score s;

	(void)state;
	memset(big, '\n', sizeof(big));
	memcpy(big, "71\n", 3);
	unit_file("192.0.2.3", big, sizeof(big));
	assert_int_equal(
	    cache_get(&dir, "192.0.2.3", &policy, time(NULL), &s), CACHE_MISS);
	unit_file("192.0.2.4", "71\n\0x\n", 6);
	assert_int_equal(
	    cache_get(&dir, "192.0.2.4", &policy, time(NULL), &s), CACHE_MISS);
	unit_file("real", "71\n", 3);
	snprintf(path, sizeof(path), "%s/192.0.2.5", unit_dir);
	snprintf(target, sizeof(target), "%s/real", unit_dir);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(
	    cache_get(&dir, "192.0.2.5", &policy, time(NULL), &s), CACHE_MISS);
	/* Writing replaces the link and not what it leads to. */
	s = (struct cache_score){ .score = 9, .reporters = -1, .reports = -1,
		.tor = -1 };
	assert_int_equal(cache_put(&dir, "192.0.2.5", &s, 0), 0);
	assert_int_equal(cache_get(&dir, "192.0.2.5", &policy, time(NULL), &s),
	    CACHE_FRESH);
	assert_int_equal(s.score, 9);
	snprintf(path, sizeof(path), "%s/192.0.2.6", unit_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(
	    cache_get(&dir, "192.0.2.6", &policy, time(NULL), &s), CACHE_MISS);
	snprintf(path, sizeof(path), "%s/192.0.2.7", unit_dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(
	    cache_get(&dir, "192.0.2.7", &policy, time(NULL), &s), CACHE_MISS);
}

static void
round_trip(void **state)
{
	struct cache_score in = { .score = 88, .reporters = 12, .reports = 345,
		.tor = 1, .country = "CN", .isp = "A \xc3\xa9 = B",
		.usage = "Data Center/Web Hosting/Transit", .fetched = NOW };
	char expected[CACHE_TEXT_MAX], text[CACHE_TEXT_MAX];
	struct cache_score out;
	struct cache_policy strict = policy;

	(void)state;
	assert_int_equal(cache_put(&dir, "192.0.2.8", &in, NOW), 0);
	strict.min_reporters = 3;
	assert_int_equal(
	    cache_get(&dir, "192.0.2.8", &strict, NOW, &out), CACHE_FRESH);
	assert_int_equal(out.fetched, NOW);
	assert_true(cache_format(&in, expected, sizeof(expected)) > 100);
	cache_format(&out, text, sizeof(text));
	assert_string_equal(text, expected);
	/* A score without the count is no answer to who asks for it. */
	aged("192.0.2.9", "71\n", 0);
	assert_int_equal(
	    cache_get(&dir, "192.0.2.9", &strict, NOW, &out), CACHE_MISS);
}

static void
keys(void **state)
{
	char key[ADDRESS_TEXT_MAX];
	struct address a;

	(void)state;
	address_parse("2001:DB8:1:2:3:4:5:6", &a);
	cache_key(&a, 64, key, sizeof(key));
	assert_string_equal(key, "2001:db8:1:2::");
	cache_key(&a, 128, key, sizeof(key));
	assert_string_equal(key, "2001:db8:1:2:3:4:5:6");
	address_parse("192.0.2.7", &a);
	cache_key(&a, 64, key, sizeof(key));
	assert_string_equal(key, "192.0.2.7");
}

/* What is known of an address: "SCORE of ADDRESS", as a miss in brackets. */
static const char *
known(const char *text)
{
	static const char *const state[] = { ")", "", ", stale" };
	static char out[80];
	struct cache_score s;
	enum cache_result r;
	struct address a;

	assert_true(address_parse(text, &a));
	r = cache_find(&dir, &a, &policy, NOW, &s);
	if (r == CACHE_MISS && s.address[0] == '\0')
		return "-";
	snprintf(out, sizeof(out), "%s%d of %s%s", r == CACHE_MISS ? "(" : "",
	    s.score, s.address, state[r]);
	return out;
}

/* AbuseIPDB said that about this address, so long ago. */
static void
keep(const char *text, int score, long age)
{
	struct cache_score s = { .score = score, .reporters = -1,
		.reports = -1, .tor = -1 };
	char name[ADDRESS_TEXT_MAX], content[CACHE_TEXT_MAX];
	struct address a;
	size_t i;

	assert_true(address_parse(text, &a));
	assert_int_equal(cache_keep(&dir, &a, &policy, &s), 0);
	for (i = 0; i < 2; i++) {
		cache_key(&a, i == 0 ? 128 : 64, name, sizeof(name));
		if (statedir_read(&dir, name, content, sizeof(content),
			NULL) == 1)
			assert_int_equal(statedir_write(&dir, name, content,
					     strlen(content), NOW - age), 0);
	}
}

static void
blocks(void **state)
{
	(void)state;
	keep("2001:db8:0:1::a", 71, 0);
	assert_string_equal(known("2001:db8:0:1::a"), "71 of 2001:db8:0:1::a");
	assert_string_equal(known("2001:db8:0:1::b"), "-");
	assert_string_equal(known("2001:db8:0:1::"), "-");
	keep("2001:db8:0:1::b", 69, 0);
	assert_string_equal(known("2001:db8:0:1::a"), "71 of 2001:db8:0:1::a");
	assert_string_equal(known("2001:db8:0:1::b"), "69 of 2001:db8:0:1::b");
	assert_string_equal(known("2001:db8:0:1::c"), "69 of 2001:db8:0:1::b");
	assert_string_equal(known("2001:db8:0:1::"), "69 of 2001:db8:0:1::b");
	assert_string_equal(known("2001:db8:0:2::b"), "-");
	/* The limit is lowered. */
	policy.score = 60;
	assert_string_equal(known("2001:db8:0:1::b"), "69 of 2001:db8:0:1::b");
	assert_string_equal(known("2001:db8:0:1::c"),
	    "(69 of 2001:db8:0:1::b)");
	policy.score = 70;
	/* The base of a block is an address too. */
	keep("2001:db8:0:3::", 71, 0);
	assert_string_equal(known("2001:db8:0:3::"), "71 of 2001:db8:0:3::");
	assert_string_equal(known("2001:db8:0:3::a"), "(71 of 2001:db8:0:3::)");
	/* An IPv4 address is always itself. */
	keep("192.0.2.9", 71, 0);
	assert_string_equal(known("192.0.2.9"), "71 of 192.0.2.9");
	assert_string_equal(known("::ffff:192.0.2.9"), "71 of 192.0.2.9");
	/* Each for itself: what the block has does not count. */
	policy.ipv6_prefix = 128;
	assert_string_equal(known("2001:db8:0:1::a"), "71 of 2001:db8:0:1::a");
	assert_string_equal(known("2001:db8:0:1::c"), "-");
	assert_string_equal(known("2001:db8:0:1::"), "-");
	policy.ipv6_prefix = 64;
}

/* Which do not say whom they are about. */
static void
files_of_an_earlier_release(void **state)
{
	(void)state;
	aged("2001:db8:1:1::", "71\n", 0);
	assert_string_equal(known("2001:db8:1:1::a"), "(71 of 2001:db8:1:1::)");
	assert_string_equal(known("2001:db8:1:1::"), "71 of 2001:db8:1:1::");
	aged("2001:db8:1:2::", "12\n", 0);
	assert_string_equal(known("2001:db8:1:2::a"), "12 of 2001:db8:1:2::");
	aged("2001:db8:1:3::a", "71\n", 0);
	assert_string_equal(known("2001:db8:1:3::a"), "71 of 2001:db8:1:3::a");
	assert_string_equal(known("2001:db8:1:3::b"), "-");
	/* Somebody has copied it. */
	aged("2001:db8:1:4::a", "71\naddress=2001:db8:1:4::b\n", 0);
	assert_string_equal(known("2001:db8:1:4::a"), "-");
	aged("192.0.2.1", "71\naddress=192.0.2.2\n", 0);
	assert_string_equal(known("192.0.2.1"), "-");
}

static void
who_is_known_to_be_bad(void **state)
{
	(void)state;
	keep("2001:db8:2:1::a", 71, 90000);
	keep("2001:db8:2:1::b", 12, 0);
	/* It is asked about again, whatever a neighbour is like. */
	assert_string_equal(known("2001:db8:2:1::a"),
	    "71 of 2001:db8:2:1::a, stale");
	keep("2001:db8:2:1::a", 3, 0);
	assert_string_equal(known("2001:db8:2:1::a"), "3 of 2001:db8:2:1::a");
	assert_string_equal(known("2001:db8:2:1::b"), "3 of 2001:db8:2:1::a");
	keep("2001:db8:2:1::a", 12, 90000);
	assert_string_equal(known("2001:db8:2:1::c"),
	    "12 of 2001:db8:2:1::a, stale");
	keep("2001:db8:2:1::a", 71, 90000);
	assert_string_equal(known("2001:db8:2:1::a"),
	    "71 of 2001:db8:2:1::a, stale");
	keep("2001:db8:2:1::a", 71, 8 * 86400);
	assert_string_equal(known("2001:db8:2:1::a"), "-");
}

static void
untrusted_directory(void **state)
{
	char path[192];
	struct cache_score s;
	struct statedir d;

	(void)state;
	snprintf(path, sizeof(path), "%s/shared", unit_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	statedir_init(&d, path);
	assert_true(statedir_usable(&d));
	statedir_close(&d);
	assert_int_equal(chmod(path, 0770), 0);
	assert_false(statedir_usable(&d));
	assert_int_equal(chmod(path, 0702), 0);
	assert_false(statedir_usable(&d));
	assert_int_equal(
	    cache_get(&d, "192.0.2.1", &policy, NOW, &s), CACHE_MISS);
	assert_int_equal(chmod(path, 0755), 0);
	assert_true(statedir_usable(&d));
	statedir_close(&d);
	assert_int_equal(rmdir(path), 0);
	assert_false(statedir_usable(&d));
	statedir_init(&d, NULL);
	assert_false(statedir_usable(&d));
}

static void
markers(void **state)
{
	char reason[BACKOFF_REASON_MAX];

	(void)state;
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason, 10), 0);
	backoff_set(&dir, BACKOFF_API, NOW, NOW + 15, "why\nnot\x01");
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason,
			     sizeof(reason)), NOW + 15);
	assert_string_equal(reason, "why?not?");
	/* A shorter rest does not end a longer one. */
	backoff_set(&dir, BACKOFF_API, NOW, NOW + 5, "shorter");
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW + 14, reason, 10),
	    NOW + 15);
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW + 15, reason, 10), 0);
	/* The clock went back: what would rest for years does not. */
	assert_int_equal(
	    backoff_until(&dir, BACKOFF_API, NOW - 30 * 86400, reason, 10), 0);
	backoff_set(&dir, BACKOFF_API, NOW, NOW + 1000L * 86400, "too long");
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason, 10),
	    NOW + BACKOFF_MAX);
	backoff_clear(&dir, BACKOFF_API);
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason, 10), 0);
	unit_file(".rest-api", "garbage\n", 8);
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason, 10), 0);
	unit_file(".rest-api", "1800000100", 10); /* torn */
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason, 10), 0);
	unit_file(".rest-api", "1800000100\n", 11);
	assert_int_equal(backoff_until(&dir, BACKOFF_API, NOW, reason, 10),
	    NOW + 100);
	backoff_clear(&dir, BACKOFF_API);
}

/* Without a directory a marker still holds for the process. */
static void
markers_alone(void **state)
{
	char reason[BACKOFF_REASON_MAX], what[32];
	struct statedir none;
	int i;

	(void)state;
	statedir_init(&none, NULL);
	for (i = 0; i < 20; i++) {
		snprintf(what, sizeof(what), BACKOFF_IP "192.0.2.%d", i);
		backoff_set(&none, what, NOW, NOW + 60 + i, "alone");
		assert_int_equal(backoff_until(&none, what, NOW, reason,
				     sizeof(reason)), NOW + 60 + i);
	}
	backoff_clear(&none, what);
	assert_int_equal(backoff_until(&none, what, NOW, reason, 10), 0);
}

static void
one_at_a_time(void **state)
{
	int first, second, status, let[2];
	pid_t pid;
	char go;

	(void)state;
	assert_int_equal(pipe(let), 0);
	first = cache_lock(&dir, "192.0.2.1", 0);
	assert_true(first >= 0);
	assert_int_equal(cache_lock(&dir, "192.0.2.1", 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(cache_lock(&dir, "192.0.2.1", 50), -1);
	assert_int_equal(errno, EAGAIN);
	second = cache_lock(&dir, "192.0.2.2", 0);
	assert_true(second >= 0);
	close(second);
	/* A copy in a child keeps it although we let go. */
	pid = fork();
	if (pid == 0) {
		if (read(let[0], &go, 1) != 1)
			_exit(1);
		poll(NULL, 0, 200);
		_exit(0);
	}
	close(first);
	assert_int_equal(cache_lock(&dir, "192.0.2.1", 0), -1);
	assert_int_equal(write(let[1], "x", 1), 1);
	second = cache_lock(&dir, "192.0.2.1", 20000);
	assert_true(second >= 0);
	close(second);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
lock_is_a_fifo(void **state)
{
	char path[192], target[192];
	struct stat st;
	int fd;

	(void)state;
	fd = statedir_lock(&dir, STATEDIR_LOCK_PROBE, 0);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	close(fd);
	snprintf(path, sizeof(path), "%s/.lock", unit_dir);
	assert_int_equal(unlink(path), 0);
	unit_file(".lock", "", 0);
	assert_int_equal(statedir_lock(&dir, STATEDIR_LOCK_PROBE, 0), -1);
	assert_int_equal(unlink(path), 0);
	snprintf(target, sizeof(target), "%s/other", unit_dir);
	assert_int_equal(mkfifo(target, 0600), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(statedir_lock(&dir, STATEDIR_LOCK_PROBE, 0), -1);
	assert_int_equal(unlink(path), 0);
}

static bool
there(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", unit_dir, name);
	return access(path, F_OK) == 0;
}

static void
clean_up(void **state)
{
	struct cache_cleaned done;

	(void)state;
	aged("198.51.100.1", "1\n", 0);
	aged("198.51.100.2", "1\n", 86401);
	aged("198.51.100.3", "1\n", 7 * 86400 + 1);
	aged("2001:db8::3", "1\n", 8 * 86400);
	aged("notes.txt", "x\n", 100 * 86400L);
	aged(".tmp-1", "x\n", 100);
	aged(".tmp-2", "x\n", 7200);
	aged(".budget", "20833 1000\n", 100 * 86400L);
	aged(".budget-198.51.100.0-24", "20833 3\n", 3600);
	aged(".budget-2001:db8::-48", "20832 8\n", NOW % 86400 + 1);
	backoff_set(&dir, "ip-198.51.100.8", NOW, NOW + 60, "x");
	backoff_set(&dir, "ip-198.51.100.9", NOW, NOW - 60, "x");
	assert_int_equal(cache_clean(&dir, &policy, NOW, NULL, &done), 0);
	assert_int_equal(done.failed, 0);
	assert_true(there("198.51.100.1"));
	assert_true(there("198.51.100.2"));
	assert_false(there("198.51.100.3"));
	assert_false(there("2001:db8::3"));
	assert_true(there("notes.txt"));
	assert_true(there(".budget"));
	assert_true(there(".budget-198.51.100.0-24"));
	assert_false(there(".budget-2001:db8::-48"));
	assert_true(there(".tmp-1"));
	assert_false(there(".tmp-2"));
	assert_true(there(".rest-ip-198.51.100.8"));
	assert_false(there(".rest-ip-198.51.100.9"));
}

static void
answers(void **state)
{
	char score[] = "71\ncountry=CN\n", rest[] = "rest api 1800000100 why\n",
	     cut[] = "rest api", torn[] = "71", empty[] = "";
	struct fetch_rest r;
	struct cache_score s;

	(void)state;
	assert_int_equal(fetch_parse(score, &s, &r), 1);
	assert_int_equal(s.score, 71);
	assert_int_equal(fetch_parse(rest, &s, &r), 0);
	assert_string_equal(r.what, "api");
	assert_string_equal(r.reason, "why");
	assert_int_equal(r.until, 1800000100);
	assert_int_equal(fetch_parse(cut, &s, &r), -1);
	assert_int_equal(fetch_parse(torn, &s, &r), -1);
	assert_int_equal(fetch_parse(empty, &s, &r), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freshness),
		cmocka_unit_test(contents),
		cmocka_unit_test(foreign_files),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(keys),
		cmocka_unit_test(untrusted_directory),
		cmocka_unit_test(markers),
		cmocka_unit_test(markers_alone),
		cmocka_unit_test(blocks),
		cmocka_unit_test(files_of_an_earlier_release),
		cmocka_unit_test(who_is_known_to_be_bad),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(lock_is_a_fifo),
		cmocka_unit_test(clean_up),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, dir_open, dir_close);
}
