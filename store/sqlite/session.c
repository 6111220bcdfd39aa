/*
 * store_sqlite_session - statements and transactions, and their errors.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/lock.h"
#include "store/sqlite/sqlite.h"

#define WAL_PAGES 1000      /* a checkpoint each so many pages ... */
#define WAL_WINDOW 8        /* ... by who writes the first few of them ... */
#define WAL_ROWS 100        /* ... or so many rows at once */
#define WAL_PAGES_MAX 16000 /* a checkpoint that everybody waits for */

struct sqlite_library sq = LIBRARY_LINKED(SQLITE_FUNCTIONS);

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
		return clock_ms() - s->asked < s->sql.store.wait_ms / 2 ?
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

bool
sqlite_failed(struct sqlite_store *s)
{
	int error = sq.sqlite3_system_errno(s->db);
	int code = sq.sqlite3_errcode(s->db);

	/* What was noted before is worth more than "not an error". */
	if (code == SQLITE_OK && s->sql.store.error[0] != '\0')
		return false;
	return store_failed(&s->sql.store, failure_kind(s, code), "%s%s%s",
	    sq.sqlite3_errmsg(s->db), error != 0 ? ": " : "",
	    error != 0 ? strerror(error) : "");
}

/* --- statements --- */

static const char *
statement_text(unsigned name, char *out, size_t size)
{
	switch (name) {
	case BEGIN_WRITE:
		return "BEGIN IMMEDIATE";
	case COMMIT:
		return "COMMIT";
	case ROLLBACK:
		return "ROLLBACK";
	default:
		sql_text(SQL_SQLITE, name, out, size);
		return out;
	}
}

/* The statement, ready to be bound; NULL when it cannot be prepared. */
static sqlite3_stmt *
statement(struct sqlite_store *s, unsigned name)
{
	sqlite3_stmt **st = &s->prepared[name];
	char text[SQL_TEXT_MAX];

	s->asked = clock_ms();
	if (*st == NULL)
		sq.sqlite3_prepare_v3(s->db, statement_text(name, text,
		    sizeof(text)), -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	return *st;
}

/* Runs one without parameters and rows. */
static bool
plain_run(struct sqlite_store *s, enum sqlite_name name)
{
	sqlite3_stmt *st = statement(s, name);

	if (st == NULL)
		return false;
	sq.sqlite3_step(st);
	return sq.sqlite3_reset(st) == SQLITE_OK;
}

static void
step_bind(sqlite3_stmt *st, const struct sql_step *step)
{
	int i, count = sq.sqlite3_bind_parameter_count(st); /* that it needs */
	const struct sql_value *v = step->values;

	for (i = 1; i <= count && i <= (int)step->count; i++, v++)
		if (v->type == SQL_NUMBER)
			sq.sqlite3_bind_int64(st, i, v->number);
		else if (v->type == SQL_NULL)
			sq.sqlite3_bind_null(st, i);
		else
			sq.sqlite3_bind_text(st, i, v->text, -1, SQLITE_STATIC);
}

/* The rows that it has changed, -1 on failure. */
static int64_t
step_run(struct sqlite_store *s, const struct sql_step *step,
    const struct sql_rows *rows)
{
	sqlite3_stmt *st = statement(s, step->name);
	const char *columns[SQL_COLUMNS];
	int i, count;

	if (st == NULL)
		return -1;
	count = sq.sqlite3_column_count(st);
	step_bind(st, step);
	while (sq.sqlite3_step(st) == SQLITE_ROW) {
		for (i = 0; i < count && i < SQL_COLUMNS; i++)
			columns[i] = (const char *)sq.sqlite3_column_text(st,
			    i);
		if (rows == NULL || !rows->fn(rows->arg, columns))
			break;
	}
	if (sq.sqlite3_reset(st) != SQLITE_OK)
		return -1;
	return sq.sqlite3_changes(s->db);
}

/* Is there one that writes? -1: one cannot be prepared. */
static int
steps_write(struct sqlite_store *s, const struct sql_step *steps, size_t count)
{
	sqlite3_stmt *st;
	size_t i;

	for (i = 0; i < count; i++) {
		st = statement(s, steps[i].name);
		if (st == NULL || !sq.sqlite3_stmt_readonly(st))
			return st == NULL ? -1 : 1;
	}
	return 0;
}

static int64_t
sqlite_run(struct sql_store *sql, const struct sql_step *steps, size_t count,
    const struct sql_rows *rows)
{
	struct sqlite_store *s = (struct sqlite_store *)sql;
	int writes = sql->transaction ? 0 : steps_write(s, steps, count);
	int64_t changed = writes < 0 ? -1 : 0;
	size_t i;

	if (writes > 0 && !sqlite_begin(sql))
		return -1;
	for (i = 0; changed >= 0 && i < count; i++)
		changed = step_run(s, &steps[i],
		    i + 1 == count && rows->columns > 0 ? rows : NULL);
	if (changed < 0)
		sqlite_failed(s);
	if (writes > 0 && !sqlite_end(sql, changed >= 0))
		return -1;
	return changed;
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
	if (lock_turn(s->lock_fd, s->sql.store.wait_ms) == 0)
		return true;
	if (errno == EAGAIN)
		return store_failed(&s->sql.store, STORE_BUSY,
		    "busy: others wrote beyond store.timeout");
	return store_failed(&s->sql.store, STORE_BROKEN, "%s",
	    errno == ETIMEDOUT ?
	    "locked by another process beyond store.timeout" :
	    strerror(errno));
}

bool
sqlite_begin(struct sql_store *sql)
{
	struct sqlite_store *s = (struct sqlite_store *)sql;

	s->sql.store.error[0] = '\0';
	if (!sqlite_turn_take(s))
		return false;
	s->changes = sq.sqlite3_total_changes(s->db);
	if (!still_there(s))
		store_failed(&s->sql.store, STORE_BROKEN,
		    "was replaced or removed");
	else if (plain_run(s, BEGIN_WRITE))
		return true;
	else
		sqlite_failed(s);
	lock_turn_end(s->lock_fd);
	return false;
}

/*
 * Writes what is in the WAL back to the database, now and then. That waits for
 * the disk, so it is done when others have the lock already: SQLite lets them
 * write meanwhile. Only if they never let it finish they have to wait.
 */
static void
checkpoint(struct sqlite_store *s)
{
	sq.sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
	    NULL, NULL);
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

bool
sqlite_end(struct sql_store *sql, bool commit)
{
	struct sqlite_store *s = (struct sqlite_store *)sql;

	if (commit && !plain_run(s, COMMIT))
		commit = sqlite_failed(s);
	if (!commit && !sq.sqlite3_get_autocommit(s->db))
		plain_run(s, ROLLBACK);
	if (s->wal_pages >= WAL_PAGES_MAX)
		checkpoint(s);
	lock_turn_end(s->lock_fd);
	if (s->wal_pages >= WAL_PAGES &&
	    (s->wal_pages % WAL_PAGES < WAL_WINDOW ||
		sq.sqlite3_total_changes(s->db) - s->changes >= WAL_ROWS))
		checkpoint(s);
	return commit;
}

/* There is nobody to talk to. */
static bool
sqlite_ready(struct sql_store *sql)
{
	(void)sql;
	return true;
}

static bool
sqlite_transient(struct sql_store *sql)
{
	(void)sql;
	return false; /* whoever waited has waited as long as it could */
}

const struct sql_connection sqlite_connection = {
	.dialect = SQL_SQLITE,
	.page = LONG_MAX, /* it is all here */
	.ready = sqlite_ready,
	.run = sqlite_run,
	.begin = sqlite_begin,
	.end = sqlite_end,
	.transient = sqlite_transient,
};

long
sqlite_query_number(struct sqlite_store *s, const char *sql)
{
	sqlite3_stmt *st;
	long n = -1;

	if (sq.sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sq.sqlite3_step(st) == SQLITE_ROW)
		n = sq.sqlite3_column_int64(st, 0);
	sq.sqlite3_finalize(st);
	return n;
}
