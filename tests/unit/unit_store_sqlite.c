/*
 * What only the SQLite store can meet: a file that is damaged, locked, not
 * writable or not ours, a process killed while it writes, a full disk; and the
 * queries that people have for the table of logins.
 */
#include "unit_store.h"

#include "base/lock.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

static char path[192]; /* of the database */

static int
path_make(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/%d.db", unit_dir, ++store_number);
	snprintf(store_url, sizeof(store_url), "sqlite:%s", path);
	cfg.store.timeout = 5;
	return 0;
}

static char *
beside(const char *suffix)
{
	static char name[224];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return name;
}

static void
spoil(const char *content, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), len);
	close(fd);
}

/* Runs SQL on the file, as sqlite3(1) would. */
static void
sql(const char *text)
{
	char *error = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, text, NULL, NULL, &error);
	if (error != NULL)
		fail_msg("%s: %s", text, error);
	sqlite3_close(db);
}

static int
concatenate(void *arg, int count, char **values, char **names)
{
	char *out = arg;
	size_t n;
	int i;

	(void)names;
	for (i = 0; i < count; i++) {
		n = strlen(out);
		snprintf(out + n, 4096 - n, "%s%s", i == 0 ? "" : "|",
		    values[i] != NULL ? values[i] : "NULL");
	}
	n = strlen(out);
	snprintf(out + n, 4096 - n, "\n");
	return 0;
}

/* What a query gives, in the form of sqlite3(1). */
static const char *
query(const char *text)
{
	static char out[4096];
	char *error = NULL;
	sqlite3 *db;

	out[0] = '\0';
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, text, concatenate, out, &error);
	if (error != NULL)
		fail_msg("%s: %s", text, error);
	sqlite3_close(db);
	return out;
}

/* Some of everything, all in the file. */
static void
fill(void)
{
	const struct store_hit hits[] = {
		{ "192.0.2.1/32", "auth", "a", NOW },
		{ "192.0.2.2/32", "auth", "b", NOW },
	};
	const struct store_rule rule = { "auth", 1, 60 };
	const struct store_batch b = { .hits = hits, .hit_count = 2,
		.rules = &rule, .rule_count = 1, .ban = 60, .ban_max = 60,
		.now = NOW, .source = "mx /log", .position_old = "",
		.position_new = "1" };
	struct store_account a = { .since = NOW, .reason = "why" };
	struct store *s = store_again();
	struct store_counts c;
	char text[32];
	int i;

	for (i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i % 10);
		snprintf(a.user, sizeof(a.user), "user%d", i / 10);
		login_at(s, a.user, text, i % 3 == 0 ? "GB" : "SE", NOW + i,
		    &c);
		s->driver->account_add(s, &a, 0);
		s->driver->rate_take(s, a.user, 9, 60, NOW);
	}
	assert_int_equal(s->driver->offenders_apply(s, &b), STORE_FOUND);
	store_end(s);
}

/* --- what cannot be opened --- */

static void
open_fails(const char *url, const char *why)
{
	char error[STORE_ERROR_MAX] = "";
	struct store *s;
	double begun = own_seconds();

	s = store_open(&cfg, url, error, sizeof(error));
	if (s != NULL)
		fail_msg("%s: was opened", url);
	if (error[0] == '\0' || strstr(error, "not an error") != NULL ||
	    strstr(error, why) == NULL)
		fail_msg("%s: says `%s'", url, error);
	if (own_seconds() - begun > 0.5)
		fail_msg("%s: took %.1f s", url, own_seconds() - begun);
}

static void
a_url_that_leads_nowhere_is_told(void **state)
{
	char longest[1024] = "sqlite:/", missing[300];
	const struct {
		const char *url, *why;
	} rows[] = {
		{ "sqlite:", "absolute" }, { "sqlite:relative.db", "absolute" },
		{ "sqlite::memory:", "absolute" }, { "", "no kind" },
		{ "oracle:/x", "oracle" },
		{ "sqlite3:/tmp/x", "no kind" }, { "SQLITE:/tmp/x", "no kind" },
		{ longest, "absolute" }, { missing, "No such file" },
		{ "sqlite:/proc/x.db", "" }, { "sqlite:/dev/null", "" },
	};
	size_t i;

	(void)state;
	memset(longest + strlen(longest), 'x', 900);
	snprintf(missing, sizeof(missing), "sqlite:%s/none/x.db", unit_dir);
	for (i = 0; i < COUNT(rows); i++)
		open_fails(rows[i].url, rows[i].why);
	unlink("/dev/null-lock");
}

/* In a child: it may be read beyond its end. */
static void
a_url_without_a_colon_is_refused(void **state)
{
	char error[STORE_ERROR_MAX] = "", *url = strdup("sqlite");
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(url);
	pid = store_fork();
	if (pid == 0)
		_exit(store_open(&cfg, url, error, sizeof(error)) != NULL ||
		    error[0] == '\0');
	free(url);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
what_is_not_a_database_is_left_as_it_is(void **state)
{
	static const struct {
		const char *content;
		size_t len, repeat;
	} rows[] = {
		{ "xy", 2, 1 }, { "x", 1, 4096 }, { "\0", 1, 4096 },
		{ "SQLite format 3", 16, 1 }, { "SQLite format 3", 16, 400 },
		{ "# a text\n", 9, 1000 }, { "\xff", 1, 100000 },
	};
	char content[100001], after[100001];
	size_t i, j, n;
	FILE *f;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		for (j = n = 0; j < rows[i].repeat; j++, n += rows[i].len)
			memcpy(content + n, rows[i].content, rows[i].len);
		spoil(content, n);
		open_fails(store_url, path);
		f = fopen(path, "r");
		assert_non_null(f);
		assert_int_equal(fread(after, 1, sizeof(after), f), n);
		fclose(f);
		assert_memory_equal(content, after, n);
	}
}

static void
an_empty_file_becomes_a_database(void **state)
{
	struct store_counts c;
	struct store *s;

	(void)state;
	spoil("", 0);
	s = store_again();
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	store_end(s);
	assert_string_equal(query("PRAGMA user_version"), "1\n");
	assert_string_equal(query("PRAGMA journal_mode"), "wal\n");
}

static void
a_schema_of_another_time_is_not_touched(void **state)
{
	static const struct {
		const char *sql, *why;
	} rows[] = {
		{ "PRAGMA user_version = 2", "schema 2" },
		{ "PRAGMA user_version = 2147483647", "schema 2147483647" },
		{ "PRAGMA user_version = -1", "" },
		{ "PRAGMA user_version = -2147483648", "" },
	};
	size_t i;

	(void)state;
	fill();
	for (i = 0; i < COUNT(rows); i++) {
		sql(rows[i].sql);
		open_fails(store_url, rows[i].why);
	}
	assert_string_equal(query("SELECT count(*) FROM postfwd_logins"),
	    "300\n");
	/* Somebody else's database that has such a table. */
	path_make(NULL);
	sql("CREATE TABLE postfwd_logins (x); "
	    "INSERT INTO postfwd_logins VALUES (1)");
	open_fails(store_url, "postfwd_logins");
	assert_string_equal(query("SELECT * FROM postfwd_logins"), "1\n");
	assert_string_equal(query("SELECT count(*) FROM sqlite_schema"), "1\n");
}

static void
what_is_not_a_regular_file_is_refused(void **state)
{
	char real[192];

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	open_fails(store_url, path);
	path_make(NULL);
	assert_int_equal(mkfifo(path, 0600), 0);
	open_fails(store_url, path);
	path_make(NULL);
	snprintf(real, sizeof(real), "%s", path);
	fill();
	path_make(NULL);
	assert_int_equal(symlink(real, path), 0);
	open_fails(store_url, path);
	path_make(NULL);
	assert_int_equal(symlink(beside("-not-there"), path), 0);
	open_fails(store_url, path);
	assert_int_not_equal(access(beside("-not-there"), F_OK), 0);
	/* The lock beside it */
	path_make(NULL);
	assert_int_equal(symlink(real, beside("-lock")), 0);
	open_fails(store_url, "-lock");
	path_make(NULL);
	assert_int_equal(mkdir(beside("-lock"), 0700), 0);
	open_fails(store_url, "-lock");
}

/* --- the plugin's table --- */

/* As it is made by the plugin, with what might be in it. */
static void
plugin_fill(void)
{
	sql("CREATE TABLE IF NOT EXISTS postfwd_logins "
	    "(sasl_username varchar(100), ip_address varchar(45), "
	    "state_code varchar(4), login_count int, last_login timestamp);"
	    "CREATE INDEX postfwd_sasl_client_state_index ON postfwd_logins "
	    "(sasl_username, ip_address, state_code);"
	    "CREATE INDEX postfwd_sasl_username ON postfwd_logins "
	    "(sasl_username)");
	sql("INSERT INTO postfwd_logins VALUES "
	    "('ann', '192.0.2.1', 'GB', 2, '2026-10-21 12:00:00'), "
	    "('Ann', '192.0.2.1', 'SE', 4, '2026-10-21 12:05:00'), "
	    "('ann', '192.0.2.1', 'GB', 1, '2026-10-21 12:01:00'), "
	    "('ann', '192.0.2.2', NULL, 1, '2026-10-21 12:00:00'), "
	    "('bob', '192.0.2.1', 'GB', 1, '2026-10-21 12:00:00'), "
	    "('BOB', '192.0.2.1', 'FR', 2, '2026-10-21 12:00:01'), "
	    "('bob', '192.0.2.1', NULL, 3, '2026-10-21 12:00:02'), "
	    "('bob 	', '192.0.2.1', 'GB', 1, '2026-10-21 12:00:00'), "
	    "('jos\xc3\x89', '2001:db8::1', 'CN', 1, "
	    "'2026-10-21 12:00:00'), "
	    "('nothing', '192.0.2.9', '', NULL, NULL), "
	    "('odd', '192.0.2.9', 'US', 'many', 'yesterday'), "
	    "('odd', '192.0.2.9', 'US', 9223372036854775807, ''), "
	    "('odd', '192.0.2.9', 'US', 9223372036854775807, 1800000000), "
	    "(NULL, '192.0.2.9', 'GB', 1, '2026-10-21 12:00:00'), "
	    "('nobody', NULL, 'GB', 1, '2026-10-21 12:00:00')");
}

static void
plugin_rows_check(struct store *s)
{
	static const struct {
		const char *user, *block, *country;
		long count;
		time_t last;
	} merged[] = {
		{ "ann", "192.0.2.1", "SE", 7, 1792584300 },
		{ "ann", "192.0.2.2", "", 1, 1792584000 },
		{ "bob", "192.0.2.1", "FR", 7, 1792584002 },
		{ "jos\xc3\x89", "2001:db8::1", "CN", 1, 1792584000 },
		{ "nothing", "192.0.2.9", "", 1, 0 },
		{ "odd", "192.0.2.9", "US", LONG_MAX, 0 },
	};
	struct rows *r = rows_of(s, STORE_LOGIN, "");
	size_t i;

	assert_int_equal(r->count, COUNT(merged));
	for (i = 0; i < r->count; i++) {
		const struct store_login_row *l = &r->row[i].u.login;

		assert_string_equal(l->user, merged[i].user);
		assert_string_equal(l->block, merged[i].block);
		assert_string_equal(l->country, merged[i].country);
		assert_int_equal(l->count, merged[i].count);
		assert_int_equal(l->last, merged[i].last);
	}
	free(r);
}

static void
a_table_of_the_plugin_is_taken_over(void **state)
{
	struct store_counts c;
	struct store *s;

	(void)state;
	plugin_fill();
	s = store_again();
	plugin_rows_check(s);
	/* And it goes on from there. */
	login_at(s, "ann", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "ann", "192.0.2.3", "GB", NOW, &c);
	assert_int_equal(c.addresses, 2);
	assert_int_equal(login_sum(s, "ann"), 10);
	store_end(s);
	s = store_again();
	assert_int_equal(login_sum(s, "ann"), 10);
	store_end(s);
	assert_string_equal(query("SELECT name FROM sqlite_schema "
	    "WHERE name LIKE '%upgrade%' OR name LIKE 'postfwd%'"),
	    "postfwd_logins\n");
}

/* For copying it: not one byte of what people see in it changes. */
static void
a_table_of_the_plugin_can_be_read_only(void **state)
{
	static const char all[] = "SELECT quote(sasl_username), ip_address, "
	    "state_code, login_count, last_login FROM postfwd_logins";
	static const char schema[] = "SELECT type, name, sql "
	    "FROM sqlite_schema";
	char error[STORE_ERROR_MAX] = "", *rows, *tables;
	struct store *s;

	(void)state;
	plugin_fill();
	rows = strdup(query(all));
	tables = strdup(query(schema));
	s = store_open_existing(&cfg, store_url, error, sizeof(error));
	if (s == NULL)
		fail_msg("%s", error);
	assert_true(s->logins_only);
	plugin_rows_check(s);
	store_end(s);
	assert_string_equal(query(all), rows);
	assert_string_equal(query(schema), tables);
	free(rows);
	free(tables);
	/* Nobody else takes it for a store. */
	cfg.store.url = store_url;
	cfg.reputation.cache_dir = unit_dir;
	assert_null(store_get(&cfg, NOW, 5000, false, error, sizeof(error)));
	assert_non_null(strstr(error, "no tables of abichecker"));
	store_close();
	s = store_again();
	assert_false(s->logins_only);
	store_end(s);
}

/* What no plugin has written, in a table of its form or what looks like it. */
static void
a_table_of_the_plugin_with_anything_in_it(void **state)
{
	static const char *const views[] = { "POSTFWD_LOGINS",
		"postfwd_logins" };
	char text[96];
	struct rows *r;
	struct store *s;
	size_t i;

	(void)state;
	sql("CREATE TABLE Postfwd_Logins (stamp, sasl_username, ip_address, "
	    "state_code, login_count, last_login, user)");
	sql("INSERT INTO postfwd_logins VALUES "
	    "('9999', x'416e6e', x'3139322e302e322e31', x'4742', 2, "
	    "'2026-10-21 12:00:00', 'x'), "
	    "('0', 'ann', '192.0.2.1', 'GB', 9e999, '2026-10-21 12:00:01', 1), "
	    "('0', 'ann', '192.0.2.1', 'GB', -9e999, x'00', NULL), "
	    "(NULL, x'616e6e00', '192.0.2.1', 'GB', 1, NULL, NULL), "
	    "(NULL, 'ann', x'3100', 'GB', 1, NULL, NULL)");
	s = store_again();
	r = rows_of(s, STORE_LOGIN, "");
	assert_int_equal(r->count, 1);
	assert_string_equal(r->row[0].u.login.user, "ann");
	assert_string_equal(r->row[0].u.login.country, "GB");
	assert_int_equal(r->row[0].u.login.last, 1792584001);
	free(r);
	store_end(s);
	assert_string_equal(query("SELECT typeof(sasl_username), "
	    "typeof(ip_address) FROM postfwd_logins"), "text|text\n");
	/* Names of tables are the same in upper case. */
	for (i = 0; i < COUNT(views); i++) {
		path_make(state);
		sql("CREATE TABLE one (sasl_username, ip_address, state_code, "
		    "login_count, last_login)");
		snprintf(text, sizeof(text),
		    "CREATE VIEW %s AS SELECT * FROM one", views[i]);
		sql(text);
		open_fails(store_url, "views instead of our tables");
	}
}

static int
child_takes_over(int n)
{
	struct store *s = store_again();

	(void)n;
	store_end(s);
	return 1;
}

static void
a_take_over_that_is_killed_loses_nothing(void **state)
{
	int round, status;
	pid_t pid;

	srandom(3);
	for (round = 0; round < 20; round++) {
		path_make(state);
		sql("CREATE TABLE postfwd_logins (sasl_username varchar(100), "
		    "ip_address varchar(45), state_code varchar(4), "
		    "login_count int, last_login timestamp); "
		    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 "
		    "FROM n WHERE i < 19999) INSERT INTO postfwd_logins "
		    "SELECT 'User' || (i / 20), '192.0.2.' || (i / 2 % 10), "
		    "'GB', 1, '2026-10-21 12:00:00' FROM n");
		pid = store_fork();
		if (pid == 0)
			_exit(child_takes_over(0));
		usleep((useconds_t)(random() % 100) * 1000);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_string_equal(query("SELECT sum(login_count) "
		    "FROM postfwd_logins"), "20000\n");
		assert_int_equal(in_children(3, child_takes_over), 3);
		assert_string_equal(query("SELECT count(*), sum(login_count) "
		    "FROM postfwd_logins"), "10000|20000\n");
	}
}

/* Who cannot have finished in time does not begin. */
static void
a_table_that_is_too_large_waits_for_somebody_with_time(void **state)
{
	(void)state;
	cfg.store.timeout = 1;
	plugin_fill();
	sql("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n "
	    "WHERE i < 59999) INSERT INTO postfwd_logins SELECT 'ann', "
	    "'192.0.2.' || (i % 9), 'GB', 1, '2026-10-21 12:00:00' FROM n");
	open_fails(store_url, "store.timeout=60s");
	assert_string_equal(query("SELECT count(*) FROM postfwd_logins"),
	    "60015\n");
	cfg.store.timeout = 60;
	store_end(store_again());
	assert_string_equal(query("SELECT count(*) FROM postfwd_logins"),
	    "13\n");
}

/* --- all operations on a file with which something is wrong --- */

struct tried {
	int errors, others;
};

static void
tried(struct tried *t, const struct store *s, enum store_result r,
    const char *what)
{
	if (r != STORE_ERROR) {
		t->others++;
		return;
	}
	t->errors++;
	if (s->error[0] == '\0' || strstr(s->error, "not an error") != NULL) {
		fprintf(stderr, "%s: the error says `%s'\n", what, s->error);
		_exit(98);
	}
}

static bool
go_on(void *arg, const struct store_row *row)
{
	(void)row;
	return ++*(long *)arg < 100000;
}

/* For a child: every operation; an error must have a text. */
static void
try_everything(struct store *s, struct tried *t, bool writing)
{
	const struct store_driver *d = s->driver;
	struct store_login l = { "user1", "192.0.2.99", "FR", NOW, NOW - DAY,
		true };
	const struct store_hit h = { "192.0.2.3/32", "auth", "c", NOW };
	const struct store_rule rule = { "auth", 1, 60 };
	const struct store_batch b = { .hits = &h, .hit_count = 1,
		.rules = &rule, .rule_count = 1, .ban = 60, .ban_max = 60,
		.now = NOW, .source = "mx /log", .position_old = "1",
		.position_new = "2" };
	const struct store_purge p = { .logins_before = NOW + 100,
		.hits_before = NOW + 1, .now = NOW + 100 };
	const struct store_offender o = { .block = "192.0.2.4/32" };
	struct store_account a = { .user = "new" };
	struct store_status status;
	struct store_counts c;
	char position[64];
	int64_t generation;
	long rows = 0, removed;
	int kind;

	tried(t, s, d->login(s, &l, &c), "peek");
	tried(t, s, d->account_find(s, "user1", &a), "account_find");
	tried(t, s, d->position(s, "mx /log", position, sizeof(position)),
	    "position");
	tried(t, s, d->generation(s, &generation), "generation");
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		tried(t, s, d->iterate(s, (enum store_kind)kind, "", go_on,
				&rows), "iterate");
	tried(t, s, d->status(s, &status), "status");
	if (!writing)
		return;
	l.peek = false;
	tried(t, s, d->login(s, &l, &c), "login");
	tried(t, s, d->rate_take(s, "user1", 3, 60, NOW), "rate_take");
	tried(t, s, d->account_add(s, &a, 0), "account_add");
	tried(t, s, d->account_ran(s, "user1"), "account_ran");
	tried(t, s, d->account_release(s, "user1", NOW), "account_release");
	tried(t, s, d->offenders_apply(s, &b), "offenders_apply");
	tried(t, s, d->offender_add(s, &o), "offender_add");
	tried(t, s, d->offenders_expire(s, NOW + 100), "offenders_expire");
	tried(t, s, d->purge(s, &p, &removed), "purge");
	tried(t, s, d->offender_remove(s, "192.0.2.1/32"), "offender_remove");
	tried(t, s, d->forget(s, "user2"), "forget");
}

/*
 * Does so in a child, which has 10 s. 0 not one error, 1 some, 2 could not be
 * opened; anything else fails the test. (A sanitizer's exit status is not 10.)
 */
static int
try_in_child(const char *what)
{
	struct tried t = { 0, 0 };
	char error[STORE_ERROR_MAX] = "";
	struct store *s;
	int status;
	pid_t pid = store_fork();

	if (pid == 0) {
		alarm(60);
		s = store_open(&cfg, store_url, error, sizeof(error));
		if (s == NULL)
			_exit(error[0] != '\0' &&
			    strstr(error, "not an error") == NULL ? 12 : 97);
		try_everything(s, &t, true);
		store_end(s);
		_exit(t.errors > 0 ? 11 : 10);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) < 10 ||
	    WEXITSTATUS(status) > 12)
		fail_msg("%s: status %#x", what, (unsigned)status);
	return WEXITSTATUS(status) - 10;
}

/* The content of the database file, all in it, for free(). */
static char *
good_content(size_t *len)
{
	char *content;
	FILE *f;

	fill();
	assert_int_not_equal(access(beside("-wal"), F_OK), 0);
	f = fopen(path, "r");
	assert_non_null(f);
	content = malloc(1 << 20);
	assert_non_null(content);
	*len = fread(content, 1, 1 << 20, f);
	fclose(f);
	assert_true(*len > 20000);
	return content;
}

static void
spoil_anew(const char *content, size_t len)
{
	unlink(beside("-wal"));
	unlink(beside("-shm"));
	unlink(beside("-journal"));
	spoil(content, len);
}

static void
flipped_bytes_never_kill_or_pass_for_an_answer(void **state)
{
	int counts[3] = { 0 }, round, i;
	size_t len, at;
	char *good = good_content(&len), *bad = malloc(len), what[32];

	(void)state;
	assert_non_null(bad);
	srandom(1);
	cfg.store.timeout = 1;
	for (round = 0; round < 400; round++) {
		memcpy(bad, good, len);
		for (i = 0; i <= round % 40; i++) {
			at = (size_t)random() % len;
			/* Every second round in headers, where it matters */
			if (round % 2 == 0)
				at = at / 4096 * 4096 + at % 120;
			if (at < len)
				bad[at] ^= (char)(1 << random() % 8);
		}
		spoil_anew(bad, len);
		snprintf(what, sizeof(what), "flip %d", round);
		counts[try_in_child(what)]++;
	}
	for (round = 0; round < 60; round++) {
		spoil_anew(good, (size_t)random() % len);
		snprintf(what, sizeof(what), "cut %d", round);
		counts[try_in_child(what)]++;
	}
	spoil_anew(good, len);
	assert_int_equal(try_in_child("whole"), 0);
	assert_true(counts[1] > 20 && counts[2] > 5);
	free(good);
	free(bad);
}

/* A page of rubbish instead of each table. */
static void
a_table_that_is_damaged_gives_errors_only(void **state)
{
	static const struct {
		const char *table;
		int errors; /* of the reading operations, at least */
	} rows[] = {
		{ "postfwd_logins", 3 },      /* peek, iterate, status */
		{ "abichecker_accounts", 3 }, /* find, iterate, status */
		{ "abichecker_positions", 3 },
		{ "abichecker_meta", 1 },
		{ "abichecker_rates", 1 }, /* status */
		{ "abichecker_offenders", 2 },
		{ "abichecker_hits", 2 },
	};
	char text[128], *good, *bad;
	struct tried t;
	struct store *s;
	size_t len, i;
	long page;

	(void)state;
	good = good_content(&len);
	bad = malloc(len);
	assert_non_null(bad);
	for (i = 0; i < COUNT(rows); i++) {
		spoil_anew(good, len);
		snprintf(text, sizeof(text), "SELECT rootpage FROM "
		    "sqlite_schema WHERE name = '%s'", rows[i].table);
		page = atol(query(text));
		assert_true(page > 1);
		memcpy(bad, good, len);
		memset(bad + (page - 1) * 4096, 0xff, 4096);
		spoil_anew(bad, len);
		s = store_again();
		memset(&t, 0, sizeof(t));
		try_everything(s, &t, false);
		store_end(s);
		if (t.errors < rows[i].errors)
			fail_msg("%s: %d errors", rows[i].table, t.errors);
		spoil_anew(bad, len);
		assert_int_equal(try_in_child(rows[i].table), 1);
	}
	free(good);
	free(bad);
}

/* A table without our constraints, filled by somebody else. */
static void
rows_that_others_have_put_there_do_no_harm(void **state)
{
	(void)state;
	fill();
	sql("DROP TABLE postfwd_logins; CREATE TABLE postfwd_logins ("
	    "sasl_username varchar(100), ip_address varchar(45), "
	    "state_code varchar(4), login_count int, last_login timestamp, "
	    "UNIQUE (sasl_username, ip_address))");
	sql("INSERT INTO postfwd_logins VALUES "
	    "('user1', '192.0.2.1', 'GB', 1, NULL), "
	    "('user1', NULL, 'GB', 1, '2026-11-21 04:20:48'), "
	    "(NULL, '192.0.2.1', 'GB', 1, '2026-11-21 04:20:48'), "
	    "('user1', '192.0.2.3', 'a long text', NULL, 'yesterday'), "
	    "('user1', x'00ff00', x'00', 'many', 1800000000), "
	    "('user2', 17, 18, 19.5, -1), ('', '', '', '', '')");
	try_in_child("rows of others");
}

/* Longer users than ours, many: a purge must come to an end. */
static void
a_purge_ends_with_users_that_are_too_long(void **state)
{
	(void)state;
	fill();
	sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
	    "WHERE i < 2500) INSERT INTO postfwd_logins SELECT "
	    "printf('%.150c', 'x') || i, '192.0.2.1', 'GB', 1, "
	    "'2001-01-01 00:00:00' FROM n");
	try_in_child("long users");
}

/* --- no right to write --- */

/* In a child, as a user without rights. */
static int
as_nobody(void)
{
	struct store_login l = { "user1", "192.0.2.99", "FR", NOW, NOW - DAY,
		false };
	char error[STORE_ERROR_MAX] = "";
	struct store_counts c;
	struct store *s;
	int status = 0;
	pid_t pid = store_fork();

	if (pid == 0) {
		alarm(60);
		if (geteuid() == 0 && (setgid(65534) != 0 ||
		    setuid(65534) != 0))
			_exit(96);
		s = store_open(&cfg, store_url, error, sizeof(error));
		if (s == NULL)
			_exit(error[0] != '\0' ? 12 : 97);
		if (s->driver->login(s, &l, &c) != STORE_ERROR)
			_exit(95);
		if (strlen(s->error) < 10)
			_exit(94);
		store_end(s);
		_exit(11);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) < 10 ||
	    WEXITSTATUS(status) > 12)
		fail_msg("status %#x", (unsigned)status);
	return WEXITSTATUS(status) - 10;
}

static void
a_file_that_is_read_only_is_an_error_and_stays(void **state)
{
	char dir[128];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/writable", unit_dir);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	snprintf(path, sizeof(path), "%s/x.db", dir);
	snprintf(store_url, sizeof(store_url), "sqlite:%s", path);
	fill();
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(beside("-lock"), 0666), 0);
	as_nobody();
	assert_int_equal(chmod(path, 0644), 0);
	assert_string_equal(query("SELECT count(*) FROM postfwd_logins"),
	    "300\n");
	unlink(beside("-wal"));
	unlink(beside("-shm"));
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(as_nobody(), 2);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(dir, 0555), 0);
	as_nobody();
	unlink(beside("-lock"));
	assert_int_equal(as_nobody(), 2);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_string_equal(query("PRAGMA integrity_check"), "ok\n");
	assert_string_equal(query("SELECT count(*) FROM postfwd_logins"),
	    "300\n");
}

/* --- locks of others --- */

/* A child that holds a lock by SQL until told; also our own, if asked to. */
static pid_t
locker(const char *begin, bool own, int *tell)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };
	int ready[2], done[2], fd;
	sqlite3 *db;
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid = store_fork();
	if (pid == 0) {
		close(done[1]);
		if (begin != NULL && (sqlite3_open(path, &db) != SQLITE_OK ||
		    sqlite3_exec(db, begin, NULL, NULL, NULL) != SQLITE_OK))
			_exit(1);
		fd = open(beside("-lock"), O_RDWR);
		if (own && fcntl(fd, F_OFD_SETLKW, &lock) != 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		(void)!read(done[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	close(done[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*tell = done[1];
	return pid;
}

static void
unlock(pid_t pid, int tell)
{
	int status;

	close(tell);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
a_lock_is_waited_for_no_longer_than_the_timeout(void **state)
{
	static const struct {
		const char *begin;
		bool own;
	} rows[] = {
		{ "BEGIN IMMEDIATE", false }, { "BEGIN EXCLUSIVE", false },
		{ NULL, true }, { "BEGIN IMMEDIATE", true },
	};
	struct store_login l = { "user1", "192.0.2.99", "FR", NOW, NOW - DAY,
		false };
	struct store_counts c;
	struct store *s;
	double took, own;
	size_t i;
	pid_t pid;
	int tell;

	(void)state;
	fill();
	cfg.store.timeout = 1;
	for (i = 0; i < COUNT(rows); i++) {
		pid = locker(rows[i].begin, rows[i].own, &tell);
		s = store_again(); /* opening needs no lock */
		took = seconds();
		own = own_seconds();
		must_fail(s, s->driver->login(s, &l, &c), "login");
		own = own_seconds() - own;
		took = seconds() - took;
		if (took < 0.9 || own > 1.5)
			fail_msg("row %zu: %.2f s", i, took);
		/* Nobody at all had it in that time. */
		assert_int_equal(s->failure, STORE_BROKEN);
		/* Reading does not wait, and what was asked is not lost. */
		own = own_seconds();
		login_peek(s, "user1", "192.0.2.99", "FR", NOW, NOW - DAY, &c);
		assert_true(own_seconds() - own < 0.5);
		assert_int_equal(c.addresses, 11);
		unlock(pid, tell);
		store_end(s);
	}
	/* One that ends in time is no error. */
	cfg.store.timeout = 20;
	pid = locker("BEGIN IMMEDIATE", true, &tell);
	s = store_again();
	if (store_fork() == 0) {
		usleep(300000);
		close(tell); /* the last copy, once we have closed ours */
		_exit(0);
	}
	close(tell);
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	store_end(s);
	while (wait(NULL) > 0)
		;
}

/* --- kinds of failure --- */

/* Others have their turns while one waits: that is busy, not broken. */
static void
a_busy_file_is_not_a_broken_one(void **state)
{
	struct store_login l = { "user1", "192.0.2.99", "FR", NOW, NOW - DAY,
		false };
	struct store_counts c;
	struct store *s;
	int ready[2], n, fd;
	char byte;

	(void)state;
	fill();
	s = store_again();
	assert_int_equal(pipe(ready), 0);
	for (n = 0; n < 16; n++) {
		if (store_fork() != 0)
			continue;
		alarm(60);
		close(ready[0]); /* so that writing ends with the reader */
		fd = open(beside("-lock"), O_RDWR);
		do {
			if (lock_turn(fd, 20000) != 0)
				continue;
			usleep(250000);
			lock_turn_end(fd);
		} while (write(ready[1], "x", 1) == 1);
		_exit(0);
	}
	close(ready[1]);
	for (n = 0; n < 16; n++) /* each comes again at once */
		assert_int_equal(read(ready[0], &byte, 1), 1);
	s->wait_ms = 1000; /* of 3750, unless some are late */
	must_fail(s, s->driver->login(s, &l, &c), "login");
	assert_int_equal(s->failure, STORE_BUSY);
	signal(SIGPIPE, SIG_IGN);
	close(ready[0]);
	while (wait(NULL) > 0)
		;
	s->wait_ms = 10000;
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	store_end(s);
}

/* A login that does not fit: the others' count, and go on. */
static void
a_row_that_does_not_fit_is_nobody_elses_trouble(void **state)
{
	struct store_login l = { "user1", "2001:db8:1234:5678::", "FR", NOW,
		NOW - DAY, false };
	struct store_counts c;
	struct store *s;

	(void)state;
	fill();
	sql("ALTER TABLE postfwd_logins RENAME TO was; CREATE TABLE "
	    "postfwd_logins (sasl_username VARCHAR(100) NOT NULL, "
	    "ip_address VARCHAR(16) NOT NULL CHECK (length(ip_address) <= 16),"
	    " state_code VARCHAR(4), login_count INTEGER NOT NULL, "
	    "last_login TIMESTAMP NOT NULL, "
	    "PRIMARY KEY (sasl_username, ip_address)) WITHOUT ROWID; "
	    "INSERT INTO postfwd_logins SELECT * FROM was; DROP TABLE was");
	s = store_again();
	must_fail(s, s->driver->login(s, &l, &c), "login");
	assert_int_equal(s->failure, STORE_BAD_DATA);
	l.block = "192.0.2.99";
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	assert_int_equal(c.addresses, 11);
	store_end(s);
}

static void
what_is_refused_is_not_broken(void **state)
{
	struct store_login l = { "user1", "192.0.2.99", "FR", NOW, NOW - DAY,
		false };
	struct store_counts c;
	struct store *s;

	(void)state;
	fill();
	sql("DROP TABLE abichecker_rates");
	s = store_again();
	must_fail(s, s->driver->rate_take(s, "user1", 3, 60, NOW), "rate");
	assert_int_equal(s->failure, STORE_REFUSED);
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	unlink(path);
	usleep(1100000); /* it looks once a second whether the file is there */
	must_fail(s, s->driver->login(s, &l, &c), "login");
	assert_int_equal(s->failure, STORE_BROKEN);
	store_end(s);
}

/* The WAL is written back by us, not by SQLite, and does not grow. */
static void
the_wal_is_written_back(void **state)
{
	struct store_counts c;
	struct stat st;
	struct store *s;
	char user[32];
	int i;

	(void)state;
	path_make(NULL);
	s = store_again();
	for (i = 0; i < 12000; i++) {
		snprintf(user, sizeof(user), "user%d", i);
		login_at(s, user, "192.0.2.1", "GB", NOW, &c);
	}
	assert_int_equal(stat(beside("-wal"), &st), 0);
	assert_true(st.st_size < 3000 * 4120);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 100 * 4096);
	store_end(s);
}

/* --- locks of others, once more --- */

/* Two that wait: the second must not wait once more after the first. */
static int
child_waits(int n)
{
	struct store_login l = { "user1", "192.0.2.99", "FR", NOW, NOW - DAY,
		false };
	struct store_counts c;
	struct store *s = store_again();
	double took;

	usleep((useconds_t)n * 300000);
	took = own_seconds();
	if (s->driver->login(s, &l, &c) != STORE_ERROR)
		_exit(99);
	took = own_seconds() - took;
	store_end(s);
	return took > 1.5;
}

static void
who_waits_behind_others_waits_no_longer_either(void **state)
{
	pid_t pid;
	int tell, late;

	(void)state;
	fill();
	cfg.store.timeout = 1;
	pid = locker("BEGIN IMMEDIATE", false, &tell);
	late = in_children(4, child_waits);
	unlock(pid, tell);
	assert_int_equal(late, 0);
}

/* A new file, and another process has it for itself. */
static void
opening_waits_no_longer_than_the_timeout(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	double took;
	pid_t pid;
	int tell;

	(void)state;
	cfg.store.timeout = 1;
	sql("PRAGMA user_version = 0");
	pid = locker("BEGIN EXCLUSIVE; CREATE TABLE x (y)", false, &tell);
	took = own_seconds();
	assert_null(store_open(&cfg, store_url, error, sizeof(error)));
	took = own_seconds() - took;
	unlock(pid, tell);
	assert_true(error[0] != '\0');
	if (took > 1.5)
		fail_msg("%.2f s", took);
}

static int
child_opens(int n)
{
	struct store *s = store_again();
	struct store_counts c;
	char user[16];

	snprintf(user, sizeof(user), "u%d", n);
	CHILD_HOLDS(login_at(s, user, "192.0.2.1", "GB", NOW, &c) ==
	    STORE_FOUND, s);
	store_end(s);
	return 0;
}

static void
many_who_open_a_new_file_at_once_all_succeed(void **state)
{
	int round;

	(void)state;
	for (round = 0; round < 40; round++) {
		path_make(NULL);
		assert_int_equal(in_children(round % 2 == 0 ? 2 : 12,
				     child_opens), 0);
		assert_string_equal(
		    query("SELECT count(*) FROM postfwd_logins"),
		    round % 2 == 0 ? "2\n" : "12\n");
	}
}

/* --- ends that nobody has planned --- */

/* Logs in until it is killed or fails; a byte for each that is acknowledged. */
static void
log_in_for_ever(int n, int tell)
{
	struct store *s = store_again();
	struct store_login l = { .country = "GB" };
	struct store_counts c;
	char user[32], block[32];
	int i, status;

	l.user = user;
	l.block = block;
	for (i = 0;; i++) {
		snprintf(user, sizeof(user), "user%d", i % 5);
		snprintf(block, sizeof(block), "192.0.%d.%d", n, i % 200);
		l.now = NOW + i;
		l.since = NOW;
		if (s->driver->login(s, &l, &c) == STORE_ERROR) {
			status = s->error[0] != '\0' ? 0 : 1;
			store_end(s);
			_exit(status);
		}
		if (write(tell, "x", 1) != 1)
			_exit(1);
	}
}

/* Starts some, lets them work for that long, kills them. Acknowledged ones. */
static long
killed(int count, long microseconds)
{
	int acknowledged[2], i, status;
	char bytes[4096];
	pid_t pid[8];
	long sum = 0;
	ssize_t n;

	assert_int_equal(pipe(acknowledged), 0);
	fcntl(acknowledged[1], F_SETPIPE_SZ, 1 << 20);
	for (i = 0; i < count; i++) {
		pid[i] = store_fork();
		if (pid[i] == 0)
			log_in_for_ever(i, acknowledged[1]);
	}
	close(acknowledged[1]);
	assert_int_equal(read(acknowledged[0], bytes, 1), 1);
	sum++;
	usleep((useconds_t)microseconds);
	for (i = 0; i < count; i++)
		kill(pid[i], SIGKILL);
	for (i = 0; i < count; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		if (!WIFSIGNALED(status))
			fail_msg("a writer failed: %#x", (unsigned)status);
	}
	while ((n = read(acknowledged[0], bytes, sizeof(bytes))) > 0)
		sum += n;
	close(acknowledged[0]);
	return sum;
}

static void
a_killed_writer_loses_nothing_acknowledged(void **state)
{
	long acknowledged = 0, there;
	struct store *s;
	int round;

	(void)state;
	srandom(2);
	for (round = 1; round <= 40; round++) {
		acknowledged += killed(4, random() % 30000);
		s = store_again();
		there = login_sum(s, "");
		store_end(s);
		if (there < acknowledged || there > acknowledged + 4L * round)
			fail_msg("round %d: %ld acknowledged, %ld there",
			    round, acknowledged, there);
		assert_string_equal(query("PRAGMA integrity_check"), "ok\n");
	}
}

/* As far as a file may grow: the same to SQLite as a disk that is full. */
static void
a_full_disk_is_an_error_and_loses_nothing(void **state)
{
	struct rlimit limit = { 0, 0 };
	int acknowledged[2], status;
	char bytes[4096];
	struct store *s;
	long sum = 0;
	ssize_t n;
	pid_t pid;

	(void)state;
	fill();
	assert_int_equal(pipe(acknowledged), 0);
	pid = store_fork();
	if (pid == 0) {
		alarm(60);
		signal(SIGXFSZ, SIG_IGN);
		limit.rlim_cur = limit.rlim_max = 300000;
		if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
			_exit(96);
		close(acknowledged[0]);
		log_in_for_ever(7, acknowledged[1]);
	}
	close(acknowledged[1]);
	while ((n = read(acknowledged[0], bytes, sizeof(bytes))) > 0)
		sum += n;
	close(acknowledged[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(query("PRAGMA integrity_check"), "ok\n");
	s = store_again();
	assert_int_equal(login_sum(s, ""), 300 + sum);
	store_end(s);
}

/* --- the queries that people have --- */

static void
the_published_queries_run_on_our_table(void **state)
{
	static const struct {
		const char *user, *block, *country;
	} logins[] = {
		{ "wide", "192.0.2.1", "GB" }, { "wide", "192.0.2.1", "GB" },
		{ "wide", "192.0.2.2", "GB" }, { "wide", "192.0.2.3", "SE" },
		{ "wide", "192.0.2.4", "US" }, { "wide", "192.0.2.5", "CN" },
		{ "wide", "192.0.2.6", "" }, { "three", "192.0.2.1", "GB" },
		{ "three", "192.0.2.3", "SE" }, { "three", "192.0.2.4", "US" },
		{ "home", "192.0.2.1", "GB" }, { "home", "192.0.2.6", "" },
		{ "lost", "192.0.2.6", "" },
	};
	static const struct {
		const char *sql, *result;
	} rows[] = {
		{ "SELECT sasl_username, SUM(login_count), COUNT(*) AS "
		  "ip_address_count, COUNT(DISTINCT state_code) AS "
		  "country_login_count FROM postfwd_logins "
		  "GROUP BY sasl_username HAVING country_login_count > 3;",
		    "wide|7|6|4\n" },
		{ "SELECT sasl_username, COUNT(DISTINCT state_code) AS "
		  "country_login_count FROM postfwd_logins "
		  "GROUP BY sasl_username HAVING country_login_count > 1;",
		    "three|3\nwide|4\n" },
		{ "SELECT * FROM postfwd_logins JOIN (SELECT sasl_username "
		  "FROM postfwd_logins GROUP BY sasl_username "
		  "HAVING COUNT(DISTINCT state_code) > 1) "
		  "AS users_logged_from_multiple_states "
		  "ON postfwd_logins.sasl_username = "
		  "users_logged_from_multiple_states.sasl_username "
		  "ORDER BY postfwd_logins.sasl_username;",
		    "three|192.0.2.1|GB|1|2027-01-15 08:00:07|three\n"
		    "three|192.0.2.3|SE|1|2027-01-15 08:00:08|three\n"
		    "three|192.0.2.4|US|1|2027-01-15 08:00:09|three\n"
		    "wide|192.0.2.1|GB|2|2027-01-15 08:00:01|wide\n"
		    "wide|192.0.2.2|GB|1|2027-01-15 08:00:02|wide\n"
		    "wide|192.0.2.3|SE|1|2027-01-15 08:00:03|wide\n"
		    "wide|192.0.2.4|US|1|2027-01-15 08:00:04|wide\n"
		    "wide|192.0.2.5|CN|1|2027-01-15 08:00:05|wide\n"
		    "wide|192.0.2.6|NULL|1|2027-01-15 08:00:06|wide\n" },
		{ "SELECT SUM(login_count) FROM postfwd_logins "
		  "WHERE sasl_username='wide';", "7\n" },
		{ "SELECT COUNT(DISTINCT state_code) FROM postfwd_logins "
		  "WHERE sasl_username='wide';", "4\n" },
		{ "SELECT COUNT(DISTINCT ip_address) FROM postfwd_logins "
		  "WHERE sasl_username='wide';", "6\n" },
		{ "SELECT sasl_username, state_code, COUNT(state_code) AS "
		  "country_login_count FROM postfwd_logins "
		  "WHERE sasl_username='wide' GROUP BY state_code "
		  "ORDER BY country_login_count;",
		    "wide|NULL|0\nwide|CN|1\nwide|SE|1\nwide|US|1\n"
		    "wide|GB|2\n" },
		{ "SELECT name FROM pragma_table_info('postfwd_logins');",
		    "sasl_username\nip_address\nstate_code\nlogin_count\n"
		    "last_login\n" },
	};
	struct store *s = store_again();
	struct store_counts c;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(logins); i++)
		login_at(s, logins[i].user, logins[i].block, logins[i].country,
		    NOW + (time_t)i, &c);
	/* While the store is in use, as people would ask. */
	for (i = 0; i < COUNT(rows); i++)
		if (strcmp(query(rows[i].sql), rows[i].result) != 0)
			fail_msg("%s\ngives\n%s", rows[i].sql,
			    query(rows[i].sql));
	store_end(s);
}

/*
 * Else the snapshots and maps of an old database would pass for those of a new
 * one that has the same number of changes.
 */
static void
no_two_databases_begin_with_the_same_generation(void **state)
{
	int64_t first[4];
	size_t i, j;

	for (i = 0; i < COUNT(first); i++) {
		struct store *s;

		assert_int_equal(path_make(state), 0);
		s = store_again();
		first[i] = generation_first(s);
		store_end(s);
		for (j = 0; j < i; j++)
			assert_int_not_equal(first[i], first[j]);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, path_make)
	const struct CMUnitTest tests[] = {
		TEST(a_url_that_leads_nowhere_is_told),
		TEST(a_url_without_a_colon_is_refused),
		TEST(what_is_not_a_database_is_left_as_it_is),
		TEST(an_empty_file_becomes_a_database),
		TEST(a_schema_of_another_time_is_not_touched),
		TEST(what_is_not_a_regular_file_is_refused),
		TEST(a_table_of_the_plugin_is_taken_over),
		TEST(a_table_of_the_plugin_can_be_read_only),
		TEST(a_table_of_the_plugin_with_anything_in_it),
		TEST(a_table_that_is_too_large_waits_for_somebody_with_time),
		TEST(a_take_over_that_is_killed_loses_nothing),
		TEST(flipped_bytes_never_kill_or_pass_for_an_answer),
		TEST(a_table_that_is_damaged_gives_errors_only),
		TEST(rows_that_others_have_put_there_do_no_harm),
		TEST(a_purge_ends_with_users_that_are_too_long),
		TEST(a_file_that_is_read_only_is_an_error_and_stays),
		TEST(a_lock_is_waited_for_no_longer_than_the_timeout),
		TEST(no_two_databases_begin_with_the_same_generation),
		TEST(a_busy_file_is_not_a_broken_one),
		TEST(a_row_that_does_not_fit_is_nobody_elses_trouble),
		TEST(what_is_refused_is_not_broken),
		TEST(the_wal_is_written_back),
		TEST(who_waits_behind_others_waits_no_longer_either),
		TEST(opening_waits_no_longer_than_the_timeout),
		TEST(many_who_open_a_new_file_at_once_all_succeed),
		TEST(a_killed_writer_loses_nothing_acknowledged),
		TEST(a_full_disk_is_an_error_and_loses_nothing),
		TEST(the_published_queries_run_on_our_table),
	};

	return cmocka_run_group_tests(tests, store_dir_make, unit_dir_remove);
}
