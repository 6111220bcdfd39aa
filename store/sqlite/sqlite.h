/*
 * store_sqlite - what the files of the SQLite driver share; nobody else's.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/library.h"
#include "store/sql/sql.h"

/* Every function of SQLite's library that we call. */
#define SQLITE_FUNCTIONS(F)                                                   \
	F(sqlite3_exec) F(sqlite3_system_errno) F(sqlite3_errcode)            \
	F(sqlite3_errmsg) F(sqlite3_prepare_v3) F(sqlite3_step)               \
	F(sqlite3_reset) F(sqlite3_bind_parameter_count)                      \
	F(sqlite3_bind_int64) F(sqlite3_bind_null) F(sqlite3_bind_text)       \
	F(sqlite3_column_count) F(sqlite3_column_text) F(sqlite3_changes)     \
	F(sqlite3_stmt_readonly) F(sqlite3_total_changes)                     \
	F(sqlite3_wal_checkpoint_v2) F(sqlite3_get_autocommit)                \
	F(sqlite3_prepare_v2) F(sqlite3_column_int64) F(sqlite3_finalize)     \
	F(sqlite3_close) F(sqlite3_sleep) F(sqlite3_open_v2)                  \
	F(sqlite3_busy_handler) F(sqlite3_extended_result_codes)              \
	F(sqlite3_wal_hook) F(sqlite3_db_config) F(sqlite3_config)

/* The library is loaded when a store is opened first. */
extern struct sqlite_library {
	SQLITE_FUNCTIONS(LIBRARY_POINTER)
} sq;

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
