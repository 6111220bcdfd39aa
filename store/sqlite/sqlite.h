/*
 * store_sqlite - what the files of the SQLite driver share; nobody else's.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "store/sql/sql.h"

/* After those of store_sql. */
enum sqlite_name {
	BEGIN_WRITE = SQL_PREPARED,
	COMMIT,
	ROLLBACK,
	STATEMENT_COUNT
};

struct sqlite_store {
	struct sql_store sql; /* first */
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENT_COUNT]; /* when first used */
	int64_t asked;    /* for the latest statement, clock_ms() */
	int lock_fd;
	struct stat file; /* the database as it was opened */
	int64_t looked;   /* at it, monotonic seconds */
	int wal_pages;    /* after our last commit */
	int changes;      /* of rows, before this transaction */
	char path[512];
};

extern const struct sql_connection sqlite_connection;

/* Notes what SQLite says of the last failure. False. */
bool sqlite_failed(struct sqlite_store *s);

/* A number that a query gives; -1 on failure. */
long sqlite_query_number(struct sqlite_store *s, const char *sql);

/*
 * Brings the tables to our version; if `create' is not set, only reads those
 * of the postfwd plugin. False on failure, noted.
 */
bool sqlite_schema_prepare(struct sqlite_store *s, bool create);

/*
 * Takes our lock and begins a writing transaction, and ends it. False: noted,
 * and there is none any more.
 */
bool sqlite_begin(struct sql_store *sql);
bool sqlite_end(struct sql_store *sql, bool commit);

/* Takes our lock alone, within the time there is; false: noted. */
bool sqlite_turn_take(struct sqlite_store *s);

/* For sqlite3_wal_hook(): notes how many pages the log has. */
int sqlite_wal_written(void *arg, sqlite3 *db, const char *name, int pages);

#endif
