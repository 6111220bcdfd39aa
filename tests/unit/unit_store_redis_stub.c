/*
 * A server that is none: what each operation does with replies that Redis
 * would not give, or not yet, or not to the end. And that it asks but once.
 */
#include "unit_store.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "store/redis/redis.h"

#define SCHEMA "$1\r\n1\r\n"

enum manner {
	CLOSES, /* after the reply */
	HOLDS,  /* the connection, and says nothing more */
	DRIPS,  /* a byte of it every 5 ms, for ever */
	POURS,  /* it again and again, for ever */
	ANSWERS, /* everything that is asked with it */
};

static int listener;
static pid_t stub_pid;
static const char *const *stub_more; /* replies of the next trips, or NULL */

/* Waits for the client's words; false when it has gone. */
static bool
stub_hears(int fd)
{
	static char heard[1 << 16];

	return read(fd, heard, sizeof(heard)) > 0;
}

/* One connection: the schema to whom opens, then the reply. */
static void
stub_serve(int fd, const char *reply, size_t n, enum manner manner)
{
	size_t i;

	if (!stub_hears(fd) ||
	    write(fd, SCHEMA, strlen(SCHEMA)) < 0 || !stub_hears(fd))
		return;
	for (i = 0; manner == DRIPS; i = (i + 1) % n) {
		if (write(fd, reply + i, 1) != 1)
			return;
		usleep(5000); /* the fault itself */
	}
	do {
		if (write(fd, reply, n) != (ssize_t)n)
			return;
	} while (manner == POURS);
	for (i = 0; stub_more != NULL && stub_more[i] != NULL; i++)
		if (!stub_hears(fd) || write(fd, stub_more[i],
		    strlen(stub_more[i])) < 0)
			return;
	while (manner == HOLDS && stub_hears(fd))
		;
	while (manner == ANSWERS && stub_hears(fd))
		if (write(fd, reply, n) != (ssize_t)n)
			return;
}

/* Starts the server that gives this reply to everything. */
static void
stub_start(const char *reply, size_t n, enum manner manner)
{
	int fd;

	stub_pid = store_fork();
	if (stub_pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		stub_serve(fd, reply, n, manner);
		shutdown(fd, SHUT_RDWR);
		close(fd);
	}
}

static void
stub_stop(void)
{
	int status;

	kill(stub_pid, SIGKILL);
	assert_int_equal(waitpid(stub_pid, &status, 0), stub_pid);
}

/* --- every operation --- */

static const struct store_rule rules[] = { { "auth", 3, DAY } };
static const struct store_hit hit = { "192.0.2.1/32", "auth", "k", NOW };
static const struct store_batch batch = { .hits = &hit, .hit_count = 1,
	.rules = rules, .rule_count = 1, .ban = 1, .ban_max = 1, .now = NOW,
	.source = "s", .position_old = "", .position_new = "1" };
static const struct store_account account = { .user = "a", .since = NOW };
static const struct store_offender offender = { .block = "192.0.2.1/32" };

static enum store_result
op_login(struct store *s)
{
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	struct store_counts c;

	return s->driver->login(s, &l, &c);
}

static enum store_result
op_forget(struct store *s)
{
	return s->driver->forget(s, "a");
}

static enum store_result
op_rate(struct store *s)
{
	return s->driver->rate_take(s, "r", 1, 60, NOW);
}

static enum store_result
op_add(struct store *s)
{
	return s->driver->account_add(s, &account, 0);
}

static enum store_result
op_find(struct store *s)
{
	struct store_account a;

	return s->driver->account_find(s, "a", &a);
}

static enum store_result
op_release(struct store *s)
{
	return s->driver->account_release(s, "a", NOW);
}

static enum store_result
op_ran(struct store *s)
{
	return s->driver->account_ran(s, "a");
}

static enum store_result
op_apply(struct store *s)
{
	return s->driver->offenders_apply(s, &batch);
}

static enum store_result
op_position(struct store *s)
{
	char position[STORE_TEXT_MAX];

	return s->driver->position(s, "s", position, sizeof(position));
}

static enum store_result
op_generation(struct store *s)
{
	int64_t generation;

	return s->driver->generation(s, &generation);
}

static enum store_result
op_offender_add(struct store *s)
{
	return s->driver->offender_add(s, &offender);
}

static enum store_result
op_offender_remove(struct store *s)
{
	return s->driver->offender_remove(s, "192.0.2.1/32");
}

static enum store_result
op_expire(struct store *s)
{
	return s->driver->offenders_expire(s, NOW);
}

static enum store_result
op_purge(struct store *s)
{
	const struct store_purge p = { .now = NOW };
	long removed;

	return s->driver->purge(s, &p, &removed);
}

static bool
row_ignore(void *arg, const struct store_row *row)
{
	(void)arg;
	(void)row;
	return true;
}

static enum store_result
op_logins(struct store *s)
{
	return s->driver->iterate(s, STORE_LOGIN, "", row_ignore, NULL);
}

static enum store_result
op_accounts(struct store *s)
{
	return s->driver->iterate(s, STORE_ACCOUNT, "", row_ignore, NULL);
}

static enum store_result
op_offenders(struct store *s)
{
	return s->driver->iterate(s, STORE_OFFENDER, "", row_ignore, NULL);
}

static enum store_result
op_hits(struct store *s)
{
	return s->driver->iterate(s, STORE_HIT, "", row_ignore, NULL);
}

static enum store_result
op_restore(struct store *s)
{
	struct store_row row = { .kind = STORE_OFFENDER };

	row.u.offender = offender;
	return s->driver->restore(s, &row, 1);
}

static enum store_result
op_status(struct store *s)
{
	struct store_status status;

	return s->driver->status(s, &status);
}

#define OK "+OK\r\n"
#define QUEUED "+QUEUED\r\n"
#define NOTHING "*0\r\n"
#define MORE "*2\r\n:7\r\n:1\r\n"
#define LAST "*2\r\n:0\r\n:0\r\n"
#define SUM "*2\r\n$1\r\n0\r\n*1\r\n:7\r\n"
#define SCAN "*2\r\n$1\r\n0\r\n*0\r\n"

/*
 * Each, with what is enough for it: the replies of each round trip. What mail
 * waits for has one.
 */
#define TRIPS 6
static const struct {
	const char *name;
	enum store_result (*run)(struct store *s);
	const char *replies[TRIPS];
} ops[] = {
	{ "login", op_login,
	    { "*4\r\n:1\r\n:1\r\n$0\r\n\r\n:0\r\n" } },
	{ "forget", op_forget, { OK QUEUED QUEUED QUEUED "*3\r\n:1\r\n:0\r\n"
	    ":1\r\n" } },
	{ "rate", op_rate, { ":1\r\n" } },
	{ "account add", op_add, { ":0\r\n" } },
	{ "account find", op_find, { SCAN } },
	{ "account release", op_release, { ":1\r\n" } },
	{ "account ran", op_ran, { ":1\r\n" } },
	{ "apply", op_apply, { OK "$-1\r\n", "$-1\r\n" NOTHING,
	    OK QUEUED QUEUED QUEUED QUEUED "*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n" } },
	{ "position", op_position, { "$-1\r\n" } },
	{ "generation", op_generation, { "$-1\r\n" } },
	{ "offender add", op_offender_add, { LAST } },
	{ "offender remove", op_offender_remove, { MORE, LAST } },
	{ "expire", op_expire, { MORE, MORE, LAST } },
	{ "purge", op_purge, { "*2\r\n:0\r\n$0\r\n\r\n", MORE, LAST } },
	{ "logins", op_logins, { "*2\r\n$3\r\n7 a\r\n*0\r\n", SCAN } },
	{ "accounts", op_accounts, { SCAN, SCAN } },
	{ "offenders", op_offenders, { SCAN } },
	{ "hits", op_hits, { SCAN } },
	{ "restore", op_restore, { OK QUEUED QUEUED QUEUED QUEUED QUEUED
	    "*5\r\n:1\r\n:1\r\n:1\r\n" OK ":1\r\n" } },
	{ "status", op_status, { SUM, SCAN, SCAN, SUM,
	    ":1\r\n:1\r\n:1\r\n" } },
};

/* --- */

/* Does each with so many replies; with fewer it fails. */
static void
op_with_replies(size_t op, size_t trips)
{
	const char *more[TRIPS + 1] = { NULL };
	const char *const *replies = ops[op].replies;
	enum store_result r;
	struct store *s;
	size_t i;
	bool whole;

	for (i = 1; i < trips; i++)
		more[i - 1] = replies[i];
	whole = trips == TRIPS || replies[trips] == NULL;
	stub_more = more;
	stub_start(replies[0], strlen(replies[0]), HOLDS);
	stub_more = NULL;
	s = store_again();
	s->wait_ms = whole ? 2000 : 25;
	r = ops[op].run(s);
	if ((r != STORE_ERROR) != whole)
		fail_msg("%s, %zu: %d %s", ops[op].name, trips, r, s->error);
	store_end(s);
	stub_stop();
}

/* And what has several round trips stops at the one that is not answered. */
static void
each_operation_asks_as_often_as_it_must(void **state)
{
	size_t i, trips;

	(void)state;
	for (i = 0; i < COUNT(ops); i++)
		for (trips = 1; trips <= TRIPS &&
		     ops[i].replies[trips - 1] != NULL; trips++)
			op_with_replies(i, trips);
}

#define TEXT(text) text, sizeof(text) - 1

static const struct {
	const char *reply;
	size_t n;
	enum manner manner;
} hostile[] = {
	{ TEXT("") , CLOSES },
	{ TEXT("*4294967295\r\n"), HOLDS },
	{ TEXT("*4294967296\r\n"), HOLDS },
	{ TEXT("*2147483647\r\n"), HOLDS },
	{ TEXT("*9223372036854775807\r\n"), HOLDS },
	{ TEXT("*100000000\r\n"), HOLDS },
	{ TEXT("*-2\r\n"), HOLDS },
	{ TEXT("$4294967295\r\n"), HOLDS },
	{ TEXT("$9223372036854775807\r\n"), HOLDS },
	{ TEXT("$18446744073709551615\r\n"), HOLDS },
	{ TEXT("$-2\r\n"), HOLDS },
	{ TEXT("$ 1\r\na\r\n"), HOLDS },
	{ TEXT("*1\r\n*1\r\n*1\r\n:1\r\n"), HOLDS },
	{ TEXT("*2\r\n*1\r\n:1\r\n:1\r\n"), HOLDS },
	{ TEXT("*-1\r\n"), HOLDS },
	{ TEXT("*0\r\n"), HOLDS },
	{ TEXT("$-1\r\n"), HOLDS },
	{ TEXT("$3\r\nabcd\r\n"), HOLDS },
	{ TEXT("$3\r\nab\r\n+\r\n"), HOLDS },
	{ TEXT("+OK\r\n"), HOLDS },
	{ TEXT("*5\r\n+a\r\n:1\r\n+b\r\n:2\r\n:3\r\n"), HOLDS },
	{ TEXT(":abc\r\n"), HOLDS },
	{ TEXT(":\r\n"), HOLDS },
	{ TEXT(":-1\r\n"), HOLDS },
	{ TEXT(":99999999999999999999\r\n"), HOLDS },
	{ TEXT("*1\r\n%1\r\n+a\r\n+b\r\n"), HOLDS },
	{ TEXT("*1\r\n*-1\r\n"), HOLDS },
	{ TEXT("*1\r\n*0\r\n"), HOLDS },
	{ TEXT("*1\r\n$1\r\naXX"), HOLDS },
	/* RESP3, which nobody has asked for */
	{ TEXT("_\r\n"), HOLDS },
	{ TEXT("*1\r\n_\r\n"), HOLDS },
	{ TEXT("*1\r\n#t\r\n"), HOLDS },
	{ TEXT("*1\r\n,1.5\r\n"), HOLDS },
	{ TEXT("*1\r\n(12\r\n"), HOLDS },
	{ TEXT("*1\r\n=5\r\ntxt:1\r\n"), HOLDS },
	{ TEXT("%1\r\n+a\r\n+b\r\n"), HOLDS },
	{ TEXT("~1\r\n:1\r\n"), HOLDS },
	{ TEXT(">1\r\n:1\r\n"), HOLDS },
	{ TEXT("HTTP/1.1 200 OK\r\n\r\n"), HOLDS },
	{ TEXT("\r\n"), HOLDS },
	{ TEXT("\n"), HOLDS },
	{ TEXT("\0\0\0\0\r\n"), HOLDS },
	{ TEXT(":1\n"), HOLDS },
	/* Cut */
	{ TEXT(""), HOLDS },
	{ TEXT(":1"), HOLDS },
	{ TEXT(":1\r"), HOLDS },
	{ TEXT(":1"), CLOSES },
	{ TEXT("*5\r\n:1\r\n"), HOLDS },
	{ TEXT("*5\r\n:1\r\n"), CLOSES },
	{ TEXT("*1\r\n$5\r\nab"), HOLDS },
	{ TEXT("*1\r\n$5\r\nab"), CLOSES },
	/* Errors of the server */
	{ TEXT("-LOADING Redis is loading the dataset in memory\r\n"), HOLDS },
	{ TEXT("-\r\n"), HOLDS },
	{ TEXT("-ERR \x1b[31m\xff\t%n%s\r\n"), HOLDS },
	{ TEXT("*3\r\n:1\r\n-ERR inside\r\n:1\r\n"), HOLDS },
	{ TEXT("-NOSCRIPT again and again\r\n"), POURS },
	/* Without an end */
	{ TEXT("x"), POURS },
	{ TEXT("x"), DRIPS },
	{ TEXT("*500\r\n:1\r\n:1\r\n"), DRIPS },
	{ TEXT("$10000\r\nabc"), DRIPS },
};

/* Runs one against the stub as it is. */
static void
must_end(size_t op, size_t row)
{
	struct store *s = store_again();
	double begun = seconds();
	const char *c;

	s->wait_ms = 25;
	if (ops[op].run(s) != STORE_ERROR)
		fail_msg("row %zu: %s is not an error", row, ops[op].name);
	if (seconds() - begun > 4) /* not the 5 of store.timeout */
		fail_msg("row %zu: %s: %f s", row, ops[op].name,
		    seconds() - begun);
	assert_true(strlen(s->error) > 10);
	for (c = s->error; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			fail_msg("row %zu: %s: %s", row, ops[op].name,
			    s->error);
	store_end(s);
}

static void
no_reply_but_a_good_one_is_taken_for_one(void **state)
{
	size_t row, op;

	(void)state;
	for (row = 0; row < COUNT(hostile); row++) {
		stub_start(hostile[row].reply, hostile[row].n,
		    hostile[row].manner);
		for (op = 0; op < COUNT(ops); op++)
			/* Nothing, for some of them, is a good reply. */
			if (strcmp(hostile[row].reply, ops[op].replies[0]) !=
			    0 || ops[op].replies[1] != NULL)
				must_end(op, row);
		stub_stop();
	}
}

static long
memory_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_KIB (700 * 1024) /* with 256 MiB that it does not let go of */
#else
#define MEMORY_KIB (150 * 1024)
#endif

/* Whatever is announced and poured out, memory and time are bounded. */
static void
a_flood_fills_no_memory(void **state)
{
	static const char *const heads[] = { "*1000000\r\n", "$33000000\r\n",
		"*2\r\n$0\r\n\r\n$33000000\r\n" };
	static char flood[1 << 20];
	long before = memory_kib();
	const struct redis_store *r;
	size_t i, n, k;
	struct store *s;

	(void)state;
	for (i = 0; i < COUNT(heads); i++) {
		n = strlen(heads[i]);
		memcpy(flood, heads[i], n);
		for (k = n; k + 4 <= sizeof(flood); k += 4)
			memcpy(flood + k, ":1\r\n", 4);
		stub_start(flood, k, POURS);
		s = store_again();
		must_fail(s, op_offenders(s), heads[i]);
		store_end(s);
		s = store_again();
		r = (struct redis_store *)s;
		must_fail(s, op_find(s), heads[i]);
		assert_true(r->fed <= REDIS_LITTLE);
		must_fail(s, op_login(s), heads[i]);
		assert_true(r->fed <= REDIS_LITTLE);
		assert_true(r->items <= REDIS_LITTLE / REDIS_ITEM);
		assert_null(r->parser);
		store_end(s);
		stub_stop();
	}
	if (memory_kib() - before >= MEMORY_KIB)
		fail_msg("%ld KiB", memory_kib() - before);
}

/* A server that always has more: it comes to an end, and not to a crash. */
static void
lists_without_an_end_end(void **state)
{
	static const char *const replies[] = {
		"*2\r\n$1\r\n1\r\n*0\r\n",
		"*2\r\n$1\r\n1\r\n*2\r\n$1\r\nb\r\n$1\r\n9\r\n",
	};
	struct store *s;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(replies); i++) {
		stub_start(replies[i], strlen(replies[i]), ANSWERS);
		s = store_again();
		must_fail(s, op_offenders(s), replies[i]);
		must_fail(s, op_logins(s), replies[i]);
		store_end(s);
		stub_stop();
	}
}

/* Errors of servers of several versions: what follows from them. */
static void
errors_are_sorted_by_what_follows_from_them(void **state)
{
	static const struct {
		const char *reply;
		enum store_failure failure;
	} rows[] = {
		{ "-BUSY Redis is busy running a script. You can only call "
		  "SCRIPT KILL or SHUTDOWN NOSAVE.", STORE_BUSY },
		{ "-TRYAGAIN Multiple keys request during rehashing of slot",
		    STORE_BUSY },
		{ "-ERR max number of clients reached", STORE_BUSY },
		{ "-LOADING Redis is loading the dataset in memory",
		    STORE_BROKEN },
		{ "-NOAUTH Authentication required.", STORE_BROKEN },
		{ "-WRONGPASS invalid username-password pair or user is "
		  "disabled.", STORE_BROKEN },
		{ "-OOM command not allowed when used memory > 'maxmemory'. "
		  "script: 12b6, on @user_script:1.", STORE_REFUSED },
		{ "-ERR Error running script (call to f_12b6): @user_script:1: "
		  "@user_script: 1: -OOM command not allowed when used memory "
		  "> 'maxmemory'.", STORE_REFUSED },
		{ "-READONLY You can't write against a read only replica.",
		    STORE_REFUSED },
		{ "-MISCONF Redis is configured to save RDB snapshots, but it "
		  "is currently not able to persist on disk.", STORE_REFUSED },
		{ "-NOPERM this user has no permissions to run the 'evalsha' "
		  "command", STORE_REFUSED },
		{ "-ERR unknown command 'EVALSHA', with args beginning with: ",
		    STORE_REFUSED },
		{ "-BUSYGROUP of streams", STORE_REFUSED },
		{ "-WRONGTYPE Operation against a key holding the wrong kind "
		  "of value", STORE_BAD_DATA },
		{ "-ERR Error running script (call to f_12b6): @user_script:1: "
		  "WRONGTYPE Operation against a key holding the wrong kind of "
		  "value", STORE_BAD_DATA },
		{ "-ERR user_script:1: attempt to compare nil with number "
		  "script: e9b6, on @user_script:1.", STORE_BAD_DATA },
		{ "-ERR Error running script (call to f_12b6): "
		  "@user_script:1: user_script:1: attempt to compare nil with "
		  "number ", STORE_BAD_DATA },
	};
	char reply[512];
	struct store *s;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(reply, sizeof(reply), "%s\r\n", rows[i].reply);
		stub_start(reply, strlen(reply), ANSWERS);
		s = store_again();
		fd = ((struct redis_store *)s)->fd;
		must_fail(s, op_login(s), rows[i].reply);
		if (s->failure != rows[i].failure)
			fail_msg("%s: kind %d", rows[i].reply, s->failure);
		/* What is asked next is answered on the same connection. */
		must_fail(s, op_find(s), rows[i].reply);
		assert_int_equal(s->failure, rows[i].failure);
		assert_int_equal(((struct redis_store *)s)->fd, fd);
		assert_int_equal(redis_reply_rest((struct redis_store *)s), 0);
		store_end(s);
		stub_stop();
	}
}

/* What was not asked for makes a connection useless, not an answer. */
static void
an_answer_to_nothing_is_no_answer(void **state)
{
	static const char twice[] = ":1\r\n:1\r\n";
	struct store *s;
	int i;

	(void)state;
	stub_start(twice, strlen(twice), HOLDS);
	s = store_again();
	s->wait_ms = 2000;
	assert_int_equal(op_rate(s), STORE_FOUND);
	/* Each is the first one of a new connection. */
	for (i = 0; i < 3; i++)
		if (op_rate(s) != STORE_FOUND)
			fail_msg("%s", s->error);
	store_end(s);
	stub_stop();
}

/* A server that takes nothing: a large batch does not wait for ever. */
static void
who_reads_nothing_is_not_waited_for(void **state)
{
	enum { ROWS = 6000 }; /* more than a socket takes */
	struct store_row *rows = calloc(ROWS, sizeof(*rows));
	struct store *s;
	double begun;
	size_t i;

	(void)state;
	assert_non_null(rows);
	for (i = 0; i < ROWS; i++) {
		rows[i].kind = STORE_OFFENDER;
		memset(rows[i].u.offender.note, 'n', 250);
	}
	stub_start(TEXT(""), HOLDS);
	s = store_again();
	kill(stub_pid, SIGSTOP);
	s->wait_ms = 100;
	begun = seconds();
	must_fail(s, s->driver->restore(s, rows, ROWS), "restore");
	assert_true(seconds() - begun < 4);
	store_end(s);
	stub_stop();
	free(rows);
}

static int
group_begin(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	signal(SIGPIPE, SIG_IGN); /* as the programs do */
	store_number = 0;
	if (store_dir_make(state) != 0)
		return 1;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/socket", unit_dir);
	snprintf(store_url, sizeof(store_url), "redis:///?socket=%s",
	    sa.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	return bind(listener, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(listener, 16) != 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_operation_asks_as_often_as_it_must),
		cmocka_unit_test(no_reply_but_a_good_one_is_taken_for_one),
		cmocka_unit_test(a_flood_fills_no_memory),
		cmocka_unit_test(lists_without_an_end_end),
		cmocka_unit_test(errors_are_sorted_by_what_follows_from_them),
		cmocka_unit_test(an_answer_to_nothing_is_no_answer),
		cmocka_unit_test(who_reads_nothing_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, group_begin, unit_dir_remove);
}
