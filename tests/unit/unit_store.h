/*
 * unit_store - what the tests of the store share: opening one, an empty one,
 * logins in a line, and copies of everything that is in it.
 *
 * Written against store.h only: what it needs of a driver is in there.
 */
#ifndef UNIT_STORE_H
#define UNIT_STORE_H

#include "unit.h"

#include <sys/wait.h>
#include <time.h>

#include "store/store.h"

#define NOW 1800000000 /* 2027-01-15 08:00:00 UTC */
#define DAY 86400
#define FUTURE 4102444800 /* 2100-01-01, after everything in a test */

static struct config cfg = { .store.timeout = 5,
	.filter.deadline = 10 };
static char store_url[256]; /* of the store under test */
static int store_number;    /* makes names that nobody has used */
static bool store_child;    /* cmocka is not ours: complain and exit */

/* Like fail_msg(), but ends a child with 99. */
#define STORE_FAIL(...)                                                       \
	do {                                                                  \
		if (store_child) {                                            \
			fprintf(stderr, __VA_ARGS__);                         \
			fputc('\n', stderr);                                  \
			_exit(99);                                            \
		}                                                             \
		fail_msg(__VA_ARGS__);                                        \
	} while (0)

/* A child whose signals are not cmocka's. 0 in the child. */
static inline pid_t
store_fork(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
		SIGABRT };
	pid_t pid = fork();
	size_t i;

	assert_true(pid >= 0);
	if (pid == 0) {
		store_child = true;
		for (i = 0; i < COUNT(faults); i++)
			signal(faults[i], SIG_DFL);
	}
	return pid;
}

/* Group setup: a scratch directory that every user may pass through. */
static inline int
store_dir_make(void **state)
{
	return unit_dir_make(state) != 0 || chmod(unit_dir, 0711) != 0;
}

static inline struct store *
store_at(const char *url)
{
	char error[STORE_ERROR_MAX] = "";
	struct store *s = store_open(&cfg, url, error, sizeof(error));

	if (s == NULL)
		STORE_FAIL("%s", error);
	return s;
}

/* Opens the store under test once more. */
static inline struct store *
store_again(void)
{
	return store_at(store_url);
}

static inline void
store_end(struct store *s)
{
	store_free(s);
}

/* --- copies of what is in a store --- */

#define ROWS_MAX 4096

struct rows {
	struct store_row row[ROWS_MAX];
	size_t count;
	size_t stop; /* after so many, 0 = never */
	bool whole;  /* offenders whose ban is over, too */
};

static inline bool
rows_keep(void *arg, const struct store_row *row)
{
	struct rows *r = arg;

	if (row->kind == STORE_OFFENDER && !row->u.offender.listed && !r->whole)
		return true;
	assert_true(r->count < ROWS_MAX);
	r->row[r->count++] = *row;
	return r->count != r->stop;
}

static inline struct rows *
rows_get(struct store *s, enum store_kind kind, const char *of, bool whole)
{
	struct rows *r = calloc(1, sizeof(*r));
	enum store_result result;

	assert_non_null(r);
	r->whole = whole;
	result = s->driver->iterate(s, kind, of, rows_keep, r);
	if (result == STORE_ERROR)
		STORE_FAIL("iterate %d: %s", kind, s->error);
	if (r->count > 0 || kind != STORE_OFFENDER)
		assert_int_equal(result,
		    r->count > 0 ? STORE_FOUND : STORE_ABSENT);
	return r;
}

/*
 * All rows of a kind (of a user or block, unless it is ""), for free(); of
 * offenders those on the list.
 */
static inline struct rows *
rows_of(struct store *s, enum store_kind kind, const char *of)
{
	return rows_get(s, kind, of, false);
}

/* The same with the offenders whose ban is over. */
static inline struct rows *
rows_whole(struct store *s, enum store_kind kind, const char *of)
{
	return rows_get(s, kind, of, true);
}

static inline size_t
rows_count(struct store *s, enum store_kind kind, const char *user)
{
	struct rows *r = rows_of(s, kind, user);
	size_t n = r->count;

	free(r);
	return n;
}

/* The sum of login_count of a user; of all with "". */
static inline long
login_sum(struct store *s, const char *user)
{
	struct rows *r = rows_of(s, STORE_LOGIN, user);
	long sum = 0;
	size_t i;

	for (i = 0; i < r->count; i++)
		sum += r->row[i].u.login.count;
	free(r);
	return sum;
}

/*
 * Takes everything out, by the driver's own means. Positions cannot be taken
 * out: tests use sources that are new.
 */
static inline void
store_empty(struct store *s)
{
	const struct store_purge all = { .logins_before = FUTURE,
		.hits_before = FUTURE, .accounts_before = FUTURE,
		.now = FUTURE };
	struct rows *r = rows_of(s, STORE_ACCOUNT, "");
	long removed;
	size_t i;

	for (i = 0; i < r->count; i++)
		s->driver->account_release(s, r->row[i].u.account.user, NOW);
	free(r);
	assert_int_not_equal(s->driver->offender_remove(s, ""), STORE_ERROR);
	assert_int_not_equal(s->driver->purge(s, &all, &removed), STORE_ERROR);
}

/*
 * Of an empty store: the generation of its list when the first block comes on
 * it, and that differs from the one of the empty list.
 */
static inline int64_t
generation_first(struct store *s)
{
	struct store_offender o = { .block = "192.0.2.7/32", .rule = "manual",
		.since = NOW, .last = NOW, .times = 1, .listed = true };
	int64_t empty = -1, first = -1;

	assert_int_not_equal(s->driver->generation(s, &empty), STORE_ERROR);
	assert_int_equal(s->driver->offender_add(s, &o), STORE_ABSENT);
	assert_int_equal(s->driver->generation(s, &first), STORE_FOUND);
	assert_int_not_equal(first, empty);
	return first;
}

/* --- short forms --- */

static inline enum store_result
login_at(struct store *s, const char *user, const char *block,
    const char *country, time_t now, struct store_counts *c)
{
	const struct store_login l = { .user = user, .block = block,
		.country = country, .now = now, .since = now - DAY };
	enum store_result r = s->driver->login(s, &l, c);

	if (r == STORE_ERROR)
		STORE_FAIL("login: %s", s->error);
	return r;
}

/* Counts without recording. */
static inline enum store_result
login_peek(struct store *s, const char *user, const char *block,
    const char *country, time_t now, time_t since, struct store_counts *c)
{
	const struct store_login l = { .user = user, .block = block,
		.country = country, .now = now, .since = since, .peek = true };
	enum store_result r = s->driver->login(s, &l, c);

	if (r == STORE_ERROR)
		STORE_FAIL("peek: %s", s->error);
	return r;
}

/* An operation must fail with a text, and be neither found nor absent. */
static inline void
must_fail(const struct store *s, enum store_result r, const char *what)
{
	if (r != STORE_ERROR)
		fail_msg("%s: %d, not an error", what, r);
	if (s->error[0] == '\0' || strstr(s->error, "not an error") != NULL)
		fail_msg("%s: the error says `%s'", what, s->error);
}

static inline double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * The same, but it stands still while this thread waits for a processor: what a
 * time limit is not about, on a machine with other work as well.
 */
static inline double
own_seconds(void)
{
	unsigned long long ran, waited = 0;
	FILE *f = fopen("/proc/thread-self/schedstat", "r");

	if (f != NULL) {
		if (fscanf(f, "%llu %llu", &ran, &waited) != 2)
			waited = 0;
		fclose(f);
	}
	return seconds() - (double)waited / 1e9;
}

/*
 * Runs fn(n) in so many children at once; each exits with what it returns. The
 * sum of these. A parent must have no connection of its own meanwhile.
 */
static inline int
in_children(int count, int (*fn)(int n))
{
	int gate[2], i, status, sum = 0;
	pid_t pid[64];
	char go;

	assert_true(count <= 64);
	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < count; i++) {
		pid[i] = store_fork();
		if (pid[i] == 0) {
			close(gate[1]);
			/* All begin when the last one is there. */
			(void)!read(gate[0], &go, 1);
			_exit(fn(i));
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (i = 0; i < count; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		if (!WIFEXITED(status))
			fail_msg("child %d: status %#x", i, (unsigned)status);
		sum += WEXITSTATUS(status);
	}
	return sum;
}

/* The assertion of a child. */
#define CHILD_HOLDS(condition, s)                                             \
	do {                                                                  \
		if (!(condition))                                             \
			STORE_FAIL("%s:%d: %s: %s", __FILE__, __LINE__,       \
			    #condition, (s)->error);                          \
	} while (0)

#endif
