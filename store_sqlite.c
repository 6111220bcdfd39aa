/*
 * store_sqlite - the default store: one SQLite file for all filters of a host.
 *
 * WAL and synchronous=NORMAL: a commit is a write(2) without waiting for the
 * disk, and a killed process loses nothing that it has answered. Processes
 * that write take turns at a lock of our own: SQLite's own busy handler sleeps
 * up to 100 ms at a time. Times of logins are text in UTC, as people query
 * them; all others are seconds since the epoch.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock.h"
#include "store.h"

#define CACHE_KIB 128 /* of pages in a process; others are the kernel's */
#define STAMP_MAX 20  /* "2026-11-21 04:20:48" */

/* Every statement, prepared when first used and kept. */
enum statement {
	BEGIN_WRITE, COMMIT, ROLLBACK,
	LOGIN_ROWS, LOGIN_PUT, LOGIN_FORGET, LOGIN_SCAN, LOGIN_DROP,
	LOGIN_RESTORE, LOGIN_ALL,
	RATE_TAKE, RATE_PURGE, RATE_ALL, RATE_RESTORE,
	ACCOUNT_ADD, ACCOUNT_FIND, ACCOUNT_RELEASE, ACCOUNT_RAN, ACCOUNT_PURGE,
	ACCOUNT_ALL, ACCOUNT_RESTORE,
	HIT_PUT, HIT_COUNT, HIT_FORGET, HIT_PURGE, HIT_ALL,
	OFFENDER_FIND, OFFENDER_PUT, OFFENDER_DROP, OFFENDER_EXPIRE,
	OFFENDER_PURGE, OFFENDER_ALL,
	POSITION_GET, POSITION_PUT, POSITION_ALL,
	META_GET, META_PUT, GENERATION_NEXT,
	STATEMENT_COUNT
};

static const char *const statements[STATEMENT_COUNT] = {
	[BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[LOGIN_ROWS] = "SELECT ip_address, state_code, last_login "
	    "FROM postfwd_logins WHERE sasl_username = ?1",
	[LOGIN_PUT] = "INSERT INTO postfwd_logins (sasl_username, ip_address, "
	    "state_code, login_count, last_login) VALUES (?1, ?2, ?3, 1, ?4) "
	    "ON CONFLICT (sasl_username, ip_address) DO UPDATE SET "
	    "login_count = login_count + 1, "
	    "state_code = coalesce(excluded.state_code, state_code), "
	    "last_login = max(last_login, excluded.last_login)",
	[LOGIN_FORGET] = "DELETE FROM postfwd_logins WHERE sasl_username = ?1",
	[LOGIN_SCAN] = "SELECT sasl_username, ip_address, last_login "
	    "FROM postfwd_logins WHERE (sasl_username, ip_address) > (?1, ?2) "
	    "ORDER BY sasl_username, ip_address LIMIT ?3",
	[LOGIN_DROP] = "DELETE FROM postfwd_logins "
	    "WHERE sasl_username = ?1 AND ip_address = ?2 AND last_login < ?3",
	[LOGIN_RESTORE] = "INSERT INTO postfwd_logins (sasl_username, "
	    "ip_address, state_code, login_count, last_login) "
	    "VALUES (?1, ?2, ?3, ?4, ?5) "
	    "ON CONFLICT (sasl_username, ip_address) DO UPDATE SET "
	    "login_count = excluded.login_count, "
	    "state_code = excluded.state_code, "
	    "last_login = excluded.last_login",
	[LOGIN_ALL] = "SELECT sasl_username, ip_address, state_code, "
	    "login_count, unixepoch(last_login) FROM postfwd_logins "
	    "WHERE ?1 = '' OR sasl_username = ?1 "
	    "ORDER BY sasl_username, ip_address",
	/* A period that ends too late was begun before the clock went back. */
	[RATE_TAKE] = "INSERT INTO abichecker_rates (name, taken, until) "
	    "VALUES (?1, 1, ?4 + ?3) ON CONFLICT (name) DO UPDATE SET "
	    "taken = CASE WHEN until <= ?4 OR until > ?4 + ?3 THEN 1 "
	    "ELSE taken + 1 END, "
	    "until = CASE WHEN until <= ?4 OR until > ?4 + ?3 THEN ?4 + ?3 "
	    "ELSE until END "
	    "WHERE until <= ?4 OR until > ?4 + ?3 OR taken < ?2",
	[RATE_PURGE] = "DELETE FROM abichecker_rates WHERE until <= ?1",
	[RATE_ALL] = "SELECT name, taken, until FROM abichecker_rates",
	[RATE_RESTORE] = "INSERT OR REPLACE INTO abichecker_rates "
	    "(name, taken, until) VALUES (?1, ?2, ?3)",
	[ACCOUNT_ADD] = "INSERT INTO abichecker_accounts (sasl_username, "
	    "since, released, command_ran, found_by, address, reason) "
	    "VALUES (?1, ?2, 0, 0, ?3, ?4, ?5) "
	    "ON CONFLICT (sasl_username) DO UPDATE SET "
	    "since = excluded.since, released = 0, command_ran = 0, "
	    "found_by = excluded.found_by, address = excluded.address, "
	    "reason = excluded.reason WHERE released <> 0 OR since < ?6",
	[ACCOUNT_FIND] = "SELECT sasl_username, since, released, command_ran, "
	    "found_by, address, reason FROM abichecker_accounts "
	    "WHERE sasl_username = ?1",
	[ACCOUNT_RELEASE] = "UPDATE abichecker_accounts SET released = ?2 "
	    "WHERE sasl_username = ?1 AND released = 0",
	[ACCOUNT_RAN] = "UPDATE abichecker_accounts SET command_ran = 1 "
	    "WHERE sasl_username = ?1 AND command_ran = 0",
	[ACCOUNT_PURGE] = "DELETE FROM abichecker_accounts "
	    "WHERE released <> 0 AND released < ?1",
	[ACCOUNT_ALL] = "SELECT sasl_username, since, released, command_ran, "
	    "found_by, address, reason FROM abichecker_accounts "
	    "WHERE ?1 = '' OR sasl_username = ?1 ORDER BY sasl_username",
	[ACCOUNT_RESTORE] = "INSERT OR REPLACE INTO abichecker_accounts "
	    "(sasl_username, since, released, command_ran, found_by, address, "
	    "reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[HIT_PUT] = "INSERT INTO abichecker_hits (block, rule, name, time) "
	    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (block, rule, name) "
	    "DO UPDATE SET time = max(time, excluded.time)",
	[HIT_COUNT] = "SELECT count(*) FROM abichecker_hits "
	    "WHERE block = ?1 AND rule = ?2 AND time > ?3 AND time <= ?4",
	[HIT_FORGET] = "DELETE FROM abichecker_hits "
	    "WHERE ?1 = '' OR block = ?1",
	[HIT_PURGE] = "DELETE FROM abichecker_hits WHERE time < ?1",
	[HIT_ALL] = "SELECT block, rule, name, time FROM abichecker_hits",
	[OFFENDER_FIND] = "SELECT block, rule, note, hits, times, since, last, "
	    "expires, listed FROM abichecker_offenders WHERE block = ?1",
	[OFFENDER_PUT] = "INSERT OR REPLACE INTO abichecker_offenders (block, "
	    "rule, note, hits, times, since, last, expires, listed) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[OFFENDER_DROP] = "DELETE FROM abichecker_offenders "
	    "WHERE ?1 = '' OR block = ?1",
	[OFFENDER_EXPIRE] = "UPDATE abichecker_offenders SET listed = 0 "
	    "WHERE listed AND expires <> 0 AND expires <= ?1",
	[OFFENDER_PURGE] = "DELETE FROM abichecker_offenders "
	    "WHERE NOT listed AND last < ?1",
	[OFFENDER_ALL] = "SELECT block, rule, note, hits, times, since, last, "
	    "expires, listed FROM abichecker_offenders WHERE listed",
	[POSITION_GET] = "SELECT position FROM abichecker_positions "
	    "WHERE source = ?1",
	[POSITION_PUT] = "INSERT OR REPLACE INTO abichecker_positions "
	    "(source, position) VALUES (?1, ?2)",
	[POSITION_ALL] = "SELECT source, position FROM abichecker_positions",
	[META_GET] = "SELECT value FROM abichecker_meta WHERE name = ?1",
	[META_PUT] = "INSERT OR REPLACE INTO abichecker_meta (name, value) "
	    "VALUES (?1, ?2)",
	[GENERATION_NEXT] = "INSERT INTO abichecker_meta (name, value) "
	    "VALUES ('generation', '1') ON CONFLICT (name) DO UPDATE SET "
	    "value = CAST(value AS INTEGER) + 1",
};

/* Step N makes version N + 1 of the schema of version N. */
static const char *const migrations[STORE_SCHEMA] = {
	"CREATE TABLE postfwd_logins ("
	" sasl_username VARCHAR(100) NOT NULL,"
	" ip_address VARCHAR(45) NOT NULL,"
	" state_code VARCHAR(4),"
	" login_count INTEGER NOT NULL,"
	" last_login TIMESTAMP NOT NULL," /* UTC */
	" PRIMARY KEY (sasl_username, ip_address)) WITHOUT ROWID;"
	"CREATE TABLE abichecker_rates (name TEXT PRIMARY KEY NOT NULL,"
	" taken INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_accounts ("
	" sasl_username VARCHAR(100) PRIMARY KEY NOT NULL,"
	" since INTEGER NOT NULL, released INTEGER NOT NULL,"
	" command_ran INTEGER NOT NULL, found_by TEXT NOT NULL,"
	" address TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_hits (block TEXT NOT NULL,"
	" rule TEXT NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL,"
	" PRIMARY KEY (block, rule, name)) WITHOUT ROWID;"
	"CREATE TABLE abichecker_offenders (block TEXT PRIMARY KEY NOT NULL,"
	" rule TEXT NOT NULL, note TEXT NOT NULL, hits INTEGER NOT NULL,"
	" times INTEGER NOT NULL, since INTEGER NOT NULL,"
	" last INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" listed INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_positions (source TEXT PRIMARY KEY NOT NULL,"
	" position TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_meta (name TEXT PRIMARY KEY NOT NULL,"
	" value TEXT NOT NULL) WITHOUT ROWID;",
};

extern const struct store_driver store_sqlite;

struct sqlite_store {
	struct store store; /* first */
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENT_COUNT];
	long timeout_ms;
	int lock_fd;
	char path[512];
};

static enum store_result
failed(struct sqlite_store *s)
{
	snprintf(s->store.error, sizeof(s->store.error), "%.150s: %.90s",
	    s->path, sqlite3_errmsg(s->db));
	return STORE_ERROR;
}

/* --- statements --- */

/* The statement, ready to be bound; NULL when it cannot be prepared. */
static sqlite3_stmt *
statement(struct sqlite_store *s, enum statement which)
{
	sqlite3_stmt **st = &s->prepared[which];

	if (*st == NULL &&
	    sqlite3_prepare_v3(s->db, statements[which], -1,
		SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
		return NULL;
	return *st;
}

static void
bind_text(sqlite3_stmt *st, int n, const char *text)
{
	sqlite3_bind_text(st, n, text, -1, SQLITE_STATIC);
}

/* Copies a column, "" for NULL. */
static void
column_copy(sqlite3_stmt *st, int n, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(st, n);

	snprintf(out, size, "%s", text != NULL ? (const char *)text : "");
}

/*
 * Runs a bound statement that gives no rows. False on failure; the message is
 * then in the connection.
 */
static bool
run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	return sqlite3_reset(st) == SQLITE_OK && rc == SQLITE_DONE;
}

static bool
run_plain(struct sqlite_store *s, enum statement which)
{
	sqlite3_stmt *st = statement(s, which);

	return st != NULL && run(st);
}

/* --- transactions: our own lock makes writers wait in turn --- */

static enum store_result
begin(struct sqlite_store *s)
{
	if (lock_byte(s->lock_fd, 0, s->timeout_ms) != 0) {
		snprintf(s->store.error, sizeof(s->store.error),
		    "%.150s: %s", s->path, errno == EAGAIN ?
		    "locked by other processes beyond store.timeout" :
		    strerror(errno));
		return STORE_ERROR;
	}
	if (run_plain(s, BEGIN_WRITE))
		return STORE_FOUND;
	failed(s);
	lock_release(s->lock_fd, 0);
	return STORE_ERROR;
}

/* Ends a transaction; an error rolls it back and stays an error. */
static enum store_result
end(struct sqlite_store *s, enum store_result result)
{
	if (result != STORE_ERROR && !run_plain(s, COMMIT))
		result = STORE_ERROR;
	if (result == STORE_ERROR) {
		failed(s);
		if (!sqlite3_get_autocommit(s->db))
			run_plain(s, ROLLBACK);
	}
	lock_release(s->lock_fd, 0);
	return result;
}

/* --- times of logins --- */

static void
stamp(time_t t, char *out)
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, STAMP_MAX, "%Y-%m-%d %H:%M:%S", &tm);
}

static time_t
stamp_parse(const char *text)
{
	struct tm tm = { 0 };

	if (strptime(text, "%Y-%m-%d %H:%M:%S", &tm) == NULL)
		return 0;
	return timegm(&tm);
}

/* --- logins --- */

/* Two letters to a bit of 26 * 26. */
static bool
country_new(uint64_t *seen, const char *code)
{
	unsigned n;

	if (code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' ||
	    code[2] != '\0')
		return false;
	n = (unsigned)(code[0] - 'A') * 26 + (unsigned)(code[1] - 'A');
	if ((seen[n / 64] >> (n % 64) & 1) != 0)
		return false;
	seen[n / 64] |= (uint64_t)1 << (n % 64);
	return true;
}

/*
 * Counts the user's rows as they will be with this login. What the login
 * changes (its own row) is counted from the login itself.
 */
static enum store_result
login_count(struct sqlite_store *s, const struct store_login *l,
    struct store_counts *c)
{
	sqlite3_stmt *st = statement(s, LOGIN_ROWS);
	uint64_t seen[11] = { 0 };
	char since[STAMP_MAX], last[STAMP_MAX] = "";
	const char *block, *country, *when;
	bool known = false;
	int rc;

	memset(c, 0, sizeof(*c));
	if (st == NULL)
		return STORE_ERROR;
	stamp(l->since, since);
	c->addresses = 1;
	c->countries = country_new(seen, l->country);
	bind_text(st, 1, l->user);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		block = (const char *)sqlite3_column_text(st, 0);
		country = (const char *)sqlite3_column_text(st, 1);
		when = (const char *)sqlite3_column_text(st, 2);
		if (block == NULL || when == NULL)
			continue;
		known = true;
		if (strcmp(when, last) > 0) {
			snprintf(last, sizeof(last), "%s", when);
			snprintf(c->previous, sizeof(c->previous), "%s", block);
		}
		if (strcmp(block, l->block) == 0) {
			/* The country stays if it is not known now. */
			if (l->country[0] == '\0' && country != NULL)
				c->countries += country_new(seen, country);
			continue;
		}
		if (strcmp(when, since) <= 0)
			continue;
		c->addresses++;
		if (country != NULL)
			c->countries += country_new(seen, country);
	}
	c->previous_time = stamp_parse(last);
	if (sqlite3_reset(st) != SQLITE_OK || rc != SQLITE_DONE)
		return STORE_ERROR;
	return known ? STORE_FOUND : STORE_ABSENT;
}

static bool
login_put(struct sqlite_store *s, const struct store_login *l)
{
	sqlite3_stmt *st = statement(s, LOGIN_PUT);
	char now[STAMP_MAX];

	if (st == NULL)
		return false;
	stamp(l->now, now);
	bind_text(st, 1, l->user);
	bind_text(st, 2, l->block);
	if (l->country[0] != '\0')
		bind_text(st, 3, l->country);
	else
		sqlite3_bind_null(st, 3);
	bind_text(st, 4, now);
	return run(st);
}

static enum store_result
sqlite_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result;

	if (l->peek) {
		result = login_count(s, l, c);
		return result == STORE_ERROR ? failed(s) : result;
	}
	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	result = login_count(s, l, c);
	if (result != STORE_ERROR && !login_put(s, l))
		result = STORE_ERROR;
	return end(s, result);
}

/*
 * One writing statement with text and number parameters, in a transaction of
 * its own. FOUND when it changed something.
 */
static enum store_result
write_one(struct sqlite_store *s, enum statement which, const char *text,
    int64_t number)
{
	sqlite3_stmt *st;
	enum store_result result = STORE_ERROR;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = statement(s, which);
	if (st != NULL) {
		if (text != NULL)
			bind_text(st, 1, text);
		if (sqlite3_bind_parameter_count(st) > (text != NULL))
			sqlite3_bind_int64(st, 1 + (text != NULL), number);
		if (run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
	}
	return end(s, result);
}

static enum store_result
sqlite_forget(struct store *store, const char *user)
{
	return write_one((struct sqlite_store *)store, LOGIN_FORGET, user, 0);
}

static enum store_result
sqlite_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *st;

	if (limit <= 0)
		return STORE_ABSENT;
	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = statement(s, RATE_TAKE);
	if (st != NULL) {
		bind_text(st, 1, key);
		sqlite3_bind_int64(st, 2, limit);
		sqlite3_bind_int64(st, 3, period);
		sqlite3_bind_int64(st, 4, now);
		if (run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
	}
	return end(s, result);
}

/* --- accounts --- */

static enum store_result
sqlite_account_add(struct store *store, const struct store_account *a,
    time_t expired)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *st;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = statement(s, ACCOUNT_ADD);
	if (st != NULL) {
		bind_text(st, 1, a->user);
		sqlite3_bind_int64(st, 2, a->since);
		bind_text(st, 3, a->check);
		bind_text(st, 4, a->address);
		bind_text(st, 5, a->reason);
		sqlite3_bind_int64(st, 6, expired);
		if (run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_ABSENT :
							      STORE_FOUND;
	}
	return end(s, result);
}

static void
account_columns(sqlite3_stmt *st, struct store_account *a)
{
	column_copy(st, 0, a->user, sizeof(a->user));
	a->since = sqlite3_column_int64(st, 1);
	a->released = sqlite3_column_int64(st, 2);
	a->command_ran = sqlite3_column_int(st, 3) != 0;
	column_copy(st, 4, a->check, sizeof(a->check));
	column_copy(st, 5, a->address, sizeof(a->address));
	column_copy(st, 6, a->reason, sizeof(a->reason));
}

static enum store_result
sqlite_account_find(struct store *store, const char *user,
    struct store_account *a)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = statement(s, ACCOUNT_FIND);
	int rc;

	if (st == NULL)
		return failed(s);
	bind_text(st, 1, user);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		account_columns(st, a);
	if (sqlite3_reset(st) != SQLITE_OK)
		return failed(s);
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

static enum store_result
sqlite_account_release(struct store *store, const char *user, time_t now)
{
	return write_one((struct sqlite_store *)store, ACCOUNT_RELEASE, user,
	    now);
}

static enum store_result
sqlite_account_ran(struct store *store, const char *user)
{
	return write_one((struct sqlite_store *)store, ACCOUNT_RAN, user, 0);
}

/* --- offenders --- */

static void
offender_columns(sqlite3_stmt *st, struct store_offender *o)
{
	column_copy(st, 0, o->block, sizeof(o->block));
	column_copy(st, 1, o->rule, sizeof(o->rule));
	column_copy(st, 2, o->note, sizeof(o->note));
	o->hits = sqlite3_column_int64(st, 3);
	o->times = sqlite3_column_int64(st, 4);
	o->since = sqlite3_column_int64(st, 5);
	o->last = sqlite3_column_int64(st, 6);
	o->expires = sqlite3_column_int64(st, 7);
}

/* Finds a block that is or was listed. *listed: it is. */
static enum store_result
offender_find(struct sqlite_store *s, const char *block,
    struct store_offender *o, bool *listed)
{
	sqlite3_stmt *st = statement(s, OFFENDER_FIND);
	int rc;

	memset(o, 0, sizeof(*o));
	*listed = false;
	if (st == NULL)
		return STORE_ERROR;
	bind_text(st, 1, block);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		offender_columns(st, o);
		*listed = sqlite3_column_int(st, 8) != 0;
	}
	if (sqlite3_reset(st) != SQLITE_OK)
		return STORE_ERROR;
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

static bool
offender_put(struct sqlite_store *s, const struct store_offender *o)
{
	sqlite3_stmt *st = statement(s, OFFENDER_PUT);

	if (st == NULL)
		return false;
	bind_text(st, 1, o->block);
	bind_text(st, 2, o->rule);
	bind_text(st, 3, o->note);
	sqlite3_bind_int64(st, 4, o->hits);
	sqlite3_bind_int64(st, 5, o->times);
	sqlite3_bind_int64(st, 6, o->since);
	sqlite3_bind_int64(st, 7, o->last);
	sqlite3_bind_int64(st, 8, o->expires);
	sqlite3_bind_int(st, 9, 1);
	return run(st);
}

/* Puts down a hit; how many distinct ones there are in the period up to it. */
static long
hit_put(struct sqlite_store *s, const struct store_hit *h, long period)
{
	sqlite3_stmt *put = statement(s, HIT_PUT);
	sqlite3_stmt *count = statement(s, HIT_COUNT);
	long n = -1;

	if (put == NULL || count == NULL)
		return -1;
	bind_text(put, 1, h->block);
	bind_text(put, 2, h->rule);
	bind_text(put, 3, h->key);
	sqlite3_bind_int64(put, 4, h->time);
	if (!run(put))
		return -1;
	bind_text(count, 1, h->block);
	bind_text(count, 2, h->rule);
	sqlite3_bind_int64(count, 3, h->time - period);
	sqlite3_bind_int64(count, 4, h->time);
	if (sqlite3_step(count) == SQLITE_ROW)
		n = sqlite3_column_int64(count, 0);
	return sqlite3_reset(count) == SQLITE_OK ? n : -1;
}

/* Lists a block, or notes a further offence. *changed: the list has. */
static bool
offender_hit(struct sqlite_store *s, const struct store_batch *b,
    const struct store_hit *h, long hits, bool *changed)
{
	struct store_offender o;
	bool listed;
	long ban, times;

	if (offender_find(s, h->block, &o, &listed) == STORE_ERROR)
		return false;
	if (listed && o.expires != 0 && o.expires <= h->time)
		listed = false;
	if (!listed) {
		o.times++;
		o.since = h->time;
		snprintf(o.block, sizeof(o.block), "%s", h->block);
		snprintf(o.rule, sizeof(o.rule), "%s", h->rule);
		o.note[0] = '\0';
	} else if (o.expires == 0)
		return true; /* by hand, for ever */
	for (ban = b->ban, times = o.times; times > 1 && ban < b->ban_max;
	     times--)
		ban *= 2;
	if (ban > b->ban_max)
		ban = b->ban_max;
	o.hits = hits;
	if (h->time > o.last)
		o.last = h->time;
	if (o.last + ban > o.expires)
		o.expires = o.last + ban;
	*changed = true;
	return offender_put(s, &o);
}

static const struct store_rule *
rule_find(const struct store_batch *b, const char *name)
{
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (strcmp(b->rules[i].name, name) == 0)
			return &b->rules[i];
	return NULL;
}

static enum store_result
position_read(struct sqlite_store *s, const char *source, char *out,
    size_t size)
{
	sqlite3_stmt *st = statement(s, POSITION_GET);
	int rc;

	out[0] = '\0';
	if (st == NULL)
		return STORE_ERROR;
	bind_text(st, 1, source);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		column_copy(st, 0, out, size);
	if (sqlite3_reset(st) != SQLITE_OK)
		return STORE_ERROR;
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

static bool
position_put(struct sqlite_store *s, const char *source, const char *position)
{
	sqlite3_stmt *st = statement(s, POSITION_PUT);

	if (st == NULL)
		return false;
	bind_text(st, 1, source);
	bind_text(st, 2, position);
	return run(st);
}

/* The hits of a batch, inside its transaction. */
static bool
hits_apply(struct sqlite_store *s, const struct store_batch *b)
{
	const struct store_rule *rule;
	bool changed = false;
	size_t i;
	long n;

	for (i = 0; i < b->hit_count; i++) {
		rule = rule_find(b, b->hits[i].rule);
		if (rule == NULL)
			continue;
		n = hit_put(s, &b->hits[i], rule->period);
		if (n < 0)
			return false;
		if (n >= rule->hits &&
		    !offender_hit(s, b, &b->hits[i], n, &changed))
			return false;
	}
	return !changed || run_plain(s, GENERATION_NEXT);
}

static enum store_result
sqlite_offenders_apply(struct store *store, const struct store_batch *b)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	char position[STORE_TEXT_MAX];
	enum store_result result;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	result = position_read(s, b->source, position, sizeof(position));
	if (result == STORE_ERROR)
		return end(s, STORE_ERROR);
	if (strcmp(position, b->position_old) != 0)
		return end(s, STORE_ABSENT);
	return end(s, hits_apply(s, b) &&
		position_put(s, b->source, b->position_new) ?
	    STORE_FOUND : STORE_ERROR);
}

static enum store_result
sqlite_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result r = position_read(s, source, position, size);

	return r == STORE_ERROR ? failed(s) : r;
}

/* A number of the table of few things; 0 when it is not there. */
static enum store_result
meta_get(struct sqlite_store *s, const char *name, char *out, size_t size)
{
	sqlite3_stmt *st = statement(s, META_GET);
	int rc;

	out[0] = '\0';
	if (st == NULL)
		return STORE_ERROR;
	bind_text(st, 1, name);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		column_copy(st, 0, out, size);
	if (sqlite3_reset(st) != SQLITE_OK)
		return STORE_ERROR;
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

static bool
meta_put(struct sqlite_store *s, const char *name, const char *value)
{
	sqlite3_stmt *st = statement(s, META_PUT);

	if (st == NULL)
		return false;
	bind_text(st, 1, name);
	bind_text(st, 2, value);
	return run(st);
}

static enum store_result
sqlite_generation(struct store *store, int64_t *generation)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	char text[32];
	enum store_result r = meta_get(s, "generation", text, sizeof(text));

	*generation = strtoll(text, NULL, 10);
	return r == STORE_ERROR ? failed(s) : r;
}

static enum store_result
sqlite_offender_add(struct store *store, const struct store_offender *o)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	struct store_offender old, put = *o;
	enum store_result result;
	bool listed;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	result = offender_find(s, o->block, &old, &listed);
	if (result != STORE_ERROR) {
		put.times = old.times + !listed;
		result = !offender_put(s, &put) ||
			!run_plain(s, GENERATION_NEXT) ?
		    STORE_ERROR : listed ? STORE_FOUND : STORE_ABSENT;
	}
	return end(s, result);
}

static enum store_result
sqlite_offender_remove(struct store *store, const char *block)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *drop, *forget;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	drop = statement(s, OFFENDER_DROP);
	forget = statement(s, HIT_FORGET);
	if (drop != NULL && forget != NULL) {
		bind_text(drop, 1, block);
		bind_text(forget, 1, block);
		if (run(drop)) {
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
			if (!run(forget) || (result == STORE_FOUND &&
			    !run_plain(s, GENERATION_NEXT)))
				result = STORE_ERROR;
		}
	}
	return end(s, result);
}

static enum store_result
sqlite_offenders_expire(struct store *store, time_t now)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *st;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = statement(s, OFFENDER_EXPIRE);
	if (st != NULL) {
		sqlite3_bind_int64(st, 1, now);
		if (run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
		if (result == STORE_FOUND && !run_plain(s, GENERATION_NEXT))
			result = STORE_ERROR;
	}
	return end(s, result);
}

/* --- purge, iterate, restore, status --- */

/* Where a purge of logins stopped. */
struct cursor {
	char user[STORE_USER_MAX];
	char block[ADDRESS_TEXT_MAX];
};

/*
 * Looks at up to `rows` logins behind the cursor and drops the old ones; moves
 * the cursor, to the beginning when the end was reached. The number of rows
 * seen, -1 on failure.
 */
static long
logins_purge(struct sqlite_store *s, struct cursor *c, long rows,
    const char *before, long *removed)
{
	sqlite3_stmt *scan = statement(s, LOGIN_SCAN);
	sqlite3_stmt *drop = statement(s, LOGIN_DROP);
	struct cursor from = *c;
	long seen = 0;

	if (scan == NULL || drop == NULL)
		return -1;
	bind_text(scan, 1, from.user);
	bind_text(scan, 2, from.block);
	sqlite3_bind_int64(scan, 3, rows);
	while (sqlite3_step(scan) == SQLITE_ROW) {
		seen++;
		column_copy(scan, 0, c->user, sizeof(c->user));
		column_copy(scan, 1, c->block, sizeof(c->block));
		if (strcmp((const char *)sqlite3_column_text(scan, 2),
			before) >= 0)
			continue;
		bind_text(drop, 1, c->user);
		bind_text(drop, 2, c->block);
		bind_text(drop, 3, before);
		if (!run(drop)) {
			sqlite3_reset(scan);
			return -1;
		}
		*removed += sqlite3_changes(s->db);
	}
	if (sqlite3_reset(scan) != SQLITE_OK)
		return -1;
	if (seen < rows)
		memset(c, 0, sizeof(*c));
	return seen;
}

/* A statement that deletes what is older than a time. */
static bool
purge_one(struct sqlite_store *s, enum statement which, time_t before,
    long *removed)
{
	sqlite3_stmt *st = statement(s, which);

	if (st == NULL)
		return false;
	sqlite3_bind_int64(st, 1, before);
	if (!run(st))
		return false;
	*removed += sqlite3_changes(s->db);
	return true;
}

/* The transaction of one portion of logins. The rows seen, -1 on failure. */
static long
purge_portion(struct sqlite_store *s, long rows, const char *before,
    long *removed)
{
	struct cursor c = { "", "" };
	long seen;

	if (begin(s) == STORE_ERROR)
		return -1;
	if (meta_get(s, "purge_user", c.user, sizeof(c.user)) == STORE_ERROR ||
	    meta_get(s, "purge_block", c.block, sizeof(c.block)) ==
		STORE_ERROR ||
	    (seen = logins_purge(s, &c, rows, before, removed)) < 0 ||
	    !meta_put(s, "purge_user", c.user) ||
	    !meta_put(s, "purge_block", c.block)) {
		end(s, STORE_ERROR);
		return -1;
	}
	return end(s, STORE_FOUND) == STORE_ERROR ? -1 : seen;
}

#define PURGE_ROWS 1000 /* in one transaction: others want to write too */

static enum store_result
sqlite_purge(struct store *store, const struct store_purge *p, long *removed)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	char before[STAMP_MAX];
	long seen;

	*removed = 0;
	stamp(p->logins_before, before);
	do {
		seen = purge_portion(s, PURGE_ROWS, before, removed);
		if (seen < 0)
			return STORE_ERROR;
	} while (p->limit == 0 && seen == PURGE_ROWS);
	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	return end(s, purge_one(s, RATE_PURGE, p->now, removed) &&
		purge_one(s, ACCOUNT_PURGE, p->accounts_before, removed) &&
		purge_one(s, HIT_PURGE, p->hits_before, removed) &&
		purge_one(s, OFFENDER_PURGE, p->hits_before, removed) ?
	    (*removed > 0 ? STORE_FOUND : STORE_ABSENT) : STORE_ERROR);
}

static const enum statement all_of[] = {
	[STORE_LOGIN] = LOGIN_ALL,
	[STORE_ACCOUNT] = ACCOUNT_ALL,
	[STORE_OFFENDER] = OFFENDER_ALL,
	[STORE_RATE] = RATE_ALL,
	[STORE_POSITION] = POSITION_ALL,
	[STORE_HIT] = HIT_ALL,
};

static void
row_columns(sqlite3_stmt *st, struct store_row *r)
{
	switch (r->kind) {
	case STORE_LOGIN:
		column_copy(st, 0, r->u.login.user, sizeof(r->u.login.user));
		column_copy(st, 1, r->u.login.block, sizeof(r->u.login.block));
		column_copy(st, 2, r->u.login.country,
		    sizeof(r->u.login.country));
		r->u.login.count = sqlite3_column_int64(st, 3);
		r->u.login.last = sqlite3_column_int64(st, 4);
		break;
	case STORE_ACCOUNT:
		account_columns(st, &r->u.account);
		break;
	case STORE_OFFENDER:
		offender_columns(st, &r->u.offender);
		break;
	case STORE_RATE:
		column_copy(st, 0, r->u.rate.key, sizeof(r->u.rate.key));
		r->u.rate.taken = sqlite3_column_int64(st, 1);
		r->u.rate.until = sqlite3_column_int64(st, 2);
		break;
	case STORE_POSITION:
		column_copy(st, 0, r->u.position.source,
		    sizeof(r->u.position.source));
		column_copy(st, 1, r->u.position.position,
		    sizeof(r->u.position.position));
		break;
	case STORE_HIT:
		column_copy(st, 0, r->u.hit.block, sizeof(r->u.hit.block));
		column_copy(st, 1, r->u.hit.rule, sizeof(r->u.hit.rule));
		column_copy(st, 2, r->u.hit.key, sizeof(r->u.hit.key));
		r->u.hit.time = sqlite3_column_int64(st, 3);
		break;
	}
}

static enum store_result
sqlite_iterate(struct store *store, enum store_kind kind, const char *user,
    store_row_fn *fn, void *arg)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = statement(s, all_of[kind]);
	struct store_row row = { .kind = kind };
	bool any = false;

	if (st == NULL)
		return failed(s);
	if (sqlite3_bind_parameter_count(st) > 0)
		bind_text(st, 1, user);
	while (sqlite3_step(st) == SQLITE_ROW) {
		any = true;
		row_columns(st, &row);
		if (!fn(arg, &row))
			break;
	}
	if (sqlite3_reset(st) != SQLITE_OK)
		return failed(s);
	return any ? STORE_FOUND : STORE_ABSENT;
}

static bool
login_restore(struct sqlite_store *s, const struct store_login_row *l)
{
	sqlite3_stmt *st = statement(s, LOGIN_RESTORE);
	char last[STAMP_MAX];

	if (st == NULL)
		return false;
	stamp(l->last, last);
	bind_text(st, 1, l->user);
	bind_text(st, 2, l->block);
	if (l->country[0] != '\0')
		bind_text(st, 3, l->country);
	else
		sqlite3_bind_null(st, 3);
	sqlite3_bind_int64(st, 4, l->count);
	bind_text(st, 5, last);
	return run(st);
}

static bool
account_restore(struct sqlite_store *s, const struct store_account *a)
{
	sqlite3_stmt *st = statement(s, ACCOUNT_RESTORE);

	if (st == NULL)
		return false;
	bind_text(st, 1, a->user);
	sqlite3_bind_int64(st, 2, a->since);
	sqlite3_bind_int64(st, 3, a->released);
	sqlite3_bind_int(st, 4, a->command_ran);
	bind_text(st, 5, a->check);
	bind_text(st, 6, a->address);
	bind_text(st, 7, a->reason);
	return run(st);
}

static bool
rate_restore(struct sqlite_store *s, const struct store_rate_row *r)
{
	sqlite3_stmt *st = statement(s, RATE_RESTORE);

	if (st == NULL)
		return false;
	bind_text(st, 1, r->key);
	sqlite3_bind_int64(st, 2, r->taken);
	sqlite3_bind_int64(st, 3, r->until);
	return run(st);
}

static bool
row_restore(struct sqlite_store *s, const struct store_row *row)
{
	struct store_hit hit;

	switch (row->kind) {
	case STORE_LOGIN:
		return login_restore(s, &row->u.login);
	case STORE_ACCOUNT:
		return account_restore(s, &row->u.account);
	case STORE_OFFENDER:
		return offender_put(s, &row->u.offender) &&
		    run_plain(s, GENERATION_NEXT);
	case STORE_RATE:
		return rate_restore(s, &row->u.rate);
	case STORE_POSITION:
		return position_put(s, row->u.position.source,
		    row->u.position.position);
	case STORE_HIT:
		hit = (struct store_hit){ row->u.hit.block, row->u.hit.rule,
			row->u.hit.key, row->u.hit.time };
		return hit_put(s, &hit, 0) >= 0;
	}
	return false;
}

static enum store_result
sqlite_restore(struct store *store, const struct store_row *row)
{
	struct sqlite_store *s = (struct sqlite_store *)store;

	if (begin(s) == STORE_ERROR)
		return STORE_ERROR;
	return end(s, row_restore(s, row) ? STORE_FOUND : STORE_ERROR);
}

/* A number that a query gives; -1 on failure. */
static long
query_number(struct sqlite_store *s, const char *sql)
{
	sqlite3_stmt *st;
	long n = -1;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static enum store_result
sqlite_status(struct store *store, struct store_status *status)
{
	static const char *const counts[] = {
		[STORE_LOGIN] = "SELECT count(*) FROM postfwd_logins",
		[STORE_ACCOUNT] = "SELECT count(*) FROM abichecker_accounts",
		[STORE_OFFENDER] = "SELECT count(*) FROM abichecker_offenders "
		    "WHERE listed",
		[STORE_RATE] = "SELECT count(*) FROM abichecker_rates",
		[STORE_POSITION] = "SELECT count(*) FROM abichecker_positions",
		[STORE_HIT] = "SELECT count(*) FROM abichecker_hits",
	};
	struct sqlite_store *s = (struct sqlite_store *)store;
	int kind;

	status->schema = query_number(s, "PRAGMA user_version");
	status->bytes = query_number(s, "PRAGMA page_count") *
	    query_number(s, "PRAGMA page_size");
	snprintf(status->where, sizeof(status->where), "%.250s", s->path);
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++) {
		status->rows[kind] = query_number(s, counts[kind]);
		if (status->rows[kind] < 0)
			return failed(s);
	}
	return STORE_FOUND;
}

/* --- opening and closing --- */

static void
sqlite_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	int i;

	for (i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(s->prepared[i]);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
}

/* Brings the tables to our version. False on failure, told in s->error. */
static bool
schema_prepare(struct sqlite_store *s)
{
	char set[64];
	long version = query_number(s, "PRAGMA user_version");
	bool good = true;

	if (version > STORE_SCHEMA) {
		snprintf(s->store.error, sizeof(s->store.error),
		    "%.150s: schema %ld is of a later version of abichecker",
		    s->path, version);
		return false;
	}
	if (version == STORE_SCHEMA)
		return true;
	if (begin(s) == STORE_ERROR)
		return false;
	/* Somebody else may have been first. */
	version = query_number(s, "PRAGMA user_version");
	for (; good && version >= 0 && version < STORE_SCHEMA; version++)
		good = sqlite3_exec(s->db, migrations[version], NULL, NULL,
			   NULL) == SQLITE_OK;
	snprintf(set, sizeof(set), "PRAGMA user_version = %d", STORE_SCHEMA);
	good = good && version == STORE_SCHEMA &&
	    sqlite3_exec(s->db, set, NULL, NULL, NULL) == SQLITE_OK;
	return end(s, good ? STORE_FOUND : STORE_ERROR) != STORE_ERROR;
}

/* For who writes without our lock: sqlite3(1), or a checkpoint. */
static int
busy(void *arg, int count)
{
	const struct sqlite_store *s = arg;

	if (count >= s->timeout_ms)
		return 0;
	sqlite3_sleep(1);
	return 1;
}

/*
 * The lock file beside the database. A directory of another user is nothing to
 * write in: SQLite would make files there that nobody else can use.
 */
static bool
lock_prepare(struct sqlite_store *s)
{
	char path[sizeof(s->path) + 8];

	snprintf(path, sizeof(path), "%s-lock", s->path);
	s->lock_fd = open(path,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (s->lock_fd >= 0)
		return true;
	snprintf(s->store.error, sizeof(s->store.error), "%.200s: %s", path,
	    strerror(errno));
	return false;
}

static bool
database_open(struct sqlite_store *s)
{
	char pragmas[192];

	snprintf(pragmas, sizeof(pragmas), "PRAGMA cache_size = -%d;"
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
	    "PRAGMA journal_size_limit = 16777216;"
	    "PRAGMA temp_store = MEMORY", CACHE_KIB);
	if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE |
		SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK ||
	    sqlite3_busy_handler(s->db, busy, s) != SQLITE_OK) {
		failed(s);
		return false;
	}
	sqlite3_extended_result_codes(s->db, 1);
	/* A database file is data from outside: trust nothing in its schema. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
	if (sqlite3_exec(s->db, pragmas, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	failed(s);
	return false;
}

static struct store *
sqlite_open(const struct config *cfg, const char *url, char *error,
    size_t size)
{
	static bool configured;
	const char *path = url + strlen("sqlite:");
	struct sqlite_store *s;

	if (!configured) {
		/* One thread, no statistics: less to do and to keep. */
		sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
		configured = true;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->store.driver = &store_sqlite;
	s->timeout_ms = cfg->store.timeout * 1000;
	s->lock_fd = -1;
	snprintf(s->path, sizeof(s->path), "%s", path);
	if (strlen(path) >= sizeof(s->path) || path[0] != '/')
		snprintf(s->store.error, sizeof(s->store.error),
		    "store.url: not the absolute path of a file");
	else if (lock_prepare(s) && database_open(s) && schema_prepare(s))
		return &s->store;
	snprintf(error, size, "%s", s->store.error);
	sqlite_close(&s->store);
	return NULL;
}

const struct store_driver store_sqlite = {
	.scheme = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.login = sqlite_login,
	.forget = sqlite_forget,
	.rate_take = sqlite_rate_take,
	.account_add = sqlite_account_add,
	.account_find = sqlite_account_find,
	.account_release = sqlite_account_release,
	.account_ran = sqlite_account_ran,
	.offenders_apply = sqlite_offenders_apply,
	.position = sqlite_position,
	.generation = sqlite_generation,
	.offender_add = sqlite_offender_add,
	.offender_remove = sqlite_offender_remove,
	.offenders_expire = sqlite_offenders_expire,
	.purge = sqlite_purge,
	.iterate = sqlite_iterate,
	.restore = sqlite_restore,
	.status = sqlite_status,
};
