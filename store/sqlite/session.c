/*
 * store_sqlite_session - statements and transactions, errors and times.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/lock.h"
#include "store/sqlite/sqlite.h"

#define RANGE_END "\xff" /* after every text that is UTF-8 */
#define WAL_PAGES 1000      /* a checkpoint each so many pages ... */
#define WAL_WINDOW 8        /* ... by who writes the first few of them ... */
#define WAL_ROWS 100        /* ... or so many rows at once */
#define WAL_PAGES_MAX 16000 /* a checkpoint that everybody waits for */

/*
 * What kind of failure a result code is. Who had the file locked for most of
 * our time has it for others too.
 */
static enum store_failure
failure_kind(const struct sqlite_store *s, int code)
{
	switch (code & 0xff) {
	case SQLITE_PROTOCOL: /* too many readers at once */
		return STORE_BUSY;
	case SQLITE_BUSY: /* not by our own lock: sqlite3(1), say */
	case SQLITE_LOCKED:
		return clock_ms() - s->asked < s->store.wait_ms / 2 ?
		    STORE_BUSY : STORE_BROKEN;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
	case SQLITE_TOOBIG:
		return STORE_BAD_DATA;
	case SQLITE_AUTH:
	case SQLITE_CORRUPT: /* one page, as far as is known */
	case SQLITE_ERROR: /* a table or column is missing */
	case SQLITE_FULL:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return STORE_REFUSED;
	default:
		return STORE_BROKEN;
	}
}

enum store_result
sqlite_failed(struct sqlite_store *s)
{
	int error = sqlite3_system_errno(s->db);
	int code = sqlite3_errcode(s->db);

	/* What was noted before is worth more than "not an error". */
	if (code == SQLITE_OK && s->store.error[0] != '\0')
		return STORE_ERROR;
	s->store.failure = failure_kind(s, code);
	snprintf(s->store.error, sizeof(s->store.error), "%.120s: %.70s%s%.50s",
	    s->path, sqlite3_errmsg(s->db), error != 0 ? ": " : "",
	    error != 0 ? strerror(error) : "");
	return STORE_ERROR;
}

bool
sqlite_refuse(struct sqlite_store *s, enum store_failure failure,
    const char *what, const char *why)
{
	s->store.failure = failure;
	snprintf(s->store.error, sizeof(s->store.error), "%.150s%s: %.70s",
	    s->path, what, why);
	return false;
}

/* --- statements --- */

/* The statement, ready to be bound; NULL when it cannot be prepared. */
sqlite3_stmt *
sqlite_statement(struct sqlite_store *s, enum statement which)
{
	sqlite3_stmt **st = &s->prepared[which];

	s->asked = clock_ms();
	if (*st == NULL &&
	    sqlite3_prepare_v3(s->db, sqlite_statements[which], -1,
		SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
		return NULL;
	return *st;
}

void
sqlite_bind_text(sqlite3_stmt *st, int n, const char *text)
{
	sqlite3_bind_text(st, n, text, -1, SQLITE_STATIC);
}

void
sqlite_bind_range(sqlite3_stmt *st, const char *of)
{
	sqlite_bind_text(st, 1, of);
	sqlite_bind_text(st, 2, of[0] != '\0' ? of : RANGE_END);
}

/* Copies a column, "" for NULL. */
void
sqlite_column_copy(sqlite3_stmt *st, int n, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(st, n);

	snprintf(out, size, "%s", text != NULL ? (const char *)text : "");
}

/*
 * Runs a bound statement that gives no rows. False on failure; the message is
 * then in the connection.
 */
bool
sqlite_run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	return sqlite3_reset(st) == SQLITE_OK && rc == SQLITE_DONE;
}

bool
sqlite_run_plain(struct sqlite_store *s, enum statement which)
{
	sqlite3_stmt *st = sqlite_statement(s, which);

	return st != NULL && sqlite_run(st);
}

/* --- transactions: our own lock makes writers wait in turn --- */

/* Is the file that we have open the one that others find? */
static bool
still_there(struct sqlite_store *s)
{
	int64_t now = clock_ms() / 1000;
	struct stat st;

	if (s->file.st_ino == 0 || s->looked == now)
		return true;
	s->looked = now;
	return stat(s->path, &st) == 0 && st.st_ino == s->file.st_ino &&
	    st.st_dev == s->file.st_dev;
}

/* Takes our lock. False when others have it all the time. */
bool
sqlite_turn_take(struct sqlite_store *s)
{
	if (lock_turn(s->lock_fd, s->store.wait_ms) == 0)
		return true;
	if (errno == EAGAIN)
		return sqlite_refuse(s, STORE_BUSY, "",
		    "busy: others wrote beyond store.timeout");
	return sqlite_refuse(s, STORE_BROKEN, "", errno == ETIMEDOUT ?
	    "locked by another process beyond store.timeout" :
	    strerror(errno));
}

enum store_result
sqlite_begin(struct sqlite_store *s)
{
	s->store.error[0] = '\0';
	s->deadline = clock_ms() + s->store.wait_ms;
	if (!sqlite_turn_take(s))
		return STORE_ERROR;
	s->changes = sqlite3_total_changes(s->db);
	if (!still_there(s))
		sqlite_refuse(s, STORE_BROKEN, "", "was replaced or removed");
	else if (sqlite_run_plain(s, BEGIN_WRITE))
		return STORE_FOUND;
	else
		sqlite_failed(s);
	lock_turn_end(s->lock_fd);
	return STORE_ERROR;
}

/*
 * Writes what is in the WAL back to the database, now and then. That waits for
 * the disk, so it is done when others have the lock already: SQLite lets them
 * write meanwhile. Only if they never let it finish they have to wait.
 */
static void
checkpoint(struct sqlite_store *s)
{
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
	    NULL);
	s->wal_pages = 0;
}

/* How long the WAL is after a commit. */
int
sqlite_wal_written(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sqlite_store *s = arg;

	(void)db;
	(void)name;
	s->wal_pages = pages;
	return SQLITE_OK;
}

/* Ends a transaction; an error rolls it back and stays an error. */
enum store_result
sqlite_end(struct sqlite_store *s, enum store_result result)
{
	if (result != STORE_ERROR && !sqlite_run_plain(s, COMMIT))
		result = STORE_ERROR;
	if (result == STORE_ERROR) {
		sqlite_failed(s);
		if (!sqlite3_get_autocommit(s->db))
			sqlite_run_plain(s, ROLLBACK);
	}
	if (s->wal_pages >= WAL_PAGES_MAX)
		checkpoint(s);
	lock_turn_end(s->lock_fd);
	if (s->wal_pages >= WAL_PAGES &&
	    (s->wal_pages % WAL_PAGES < WAL_WINDOW ||
		sqlite3_total_changes(s->db) - s->changes >= WAL_ROWS))
		checkpoint(s);
	return result;
}

/*
 * One writing statement with text and number parameters, in a transaction of
 * its own. FOUND when it changed something.
 */
enum store_result
sqlite_write_one(struct sqlite_store *s, enum statement which, const char *text,
    int64_t number)
{
	sqlite3_stmt *st;
	enum store_result result = STORE_ERROR;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = sqlite_statement(s, which);
	if (st != NULL) {
		if (text != NULL)
			sqlite_bind_text(st, 1, text);
		if (sqlite3_bind_parameter_count(st) > (text != NULL))
			sqlite3_bind_int64(st, 1 + (text != NULL), number);
		if (sqlite_run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
	}
	return sqlite_end(s, result);
}

/* --- times of logins --- */

void
sqlite_stamp(time_t t, char *out)
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, STAMP_MAX, "%Y-%m-%d %H:%M:%S", &tm);
}

time_t
sqlite_stamp_parse(const char *text)
{
	struct tm tm = { 0 };

	if (strptime(text, "%Y-%m-%d %H:%M:%S", &tm) == NULL)
		return 0;
	return timegm(&tm);
}

enum store_result
sqlite_text_get(struct sqlite_store *s, enum statement which, const char *name,
    char *out, size_t size)
{
	sqlite3_stmt *st = sqlite_statement(s, which);
	int rc;

	out[0] = '\0';
	if (st == NULL)
		return STORE_ERROR;
	sqlite_bind_text(st, 1, name);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		sqlite_column_copy(st, 0, out, size);
	if (sqlite3_reset(st) != SQLITE_OK)
		return STORE_ERROR;
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

bool
sqlite_text_put(struct sqlite_store *s, enum statement which, const char *name,
    const char *value)
{
	sqlite3_stmt *st = sqlite_statement(s, which);

	if (st == NULL)
		return false;
	sqlite_bind_text(st, 1, name);
	sqlite_bind_text(st, 2, value);
	return sqlite_run(st);
}

long
sqlite_query_number(struct sqlite_store *s, const char *sql)
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
