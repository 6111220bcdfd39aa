/*
 * store_sqlite - what the files of the SQLite driver share; nobody else's.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "store/store.h"

#define STAMP_MAX 20 /* "2026-11-21 04:20:48" */

/* Every statement, prepared when first used and kept. */
enum statement {
	BEGIN_WRITE, COMMIT, ROLLBACK,
	LOGIN_ROWS, LOGIN_PUT, LOGIN_FORGET, LOGIN_SCAN, LOGIN_DROP,
	LOGIN_RESTORE, LOGIN_ALL,
	RATE_TAKE, RATE_PURGE, RATE_ALL, RATE_RESTORE,
	ACCOUNT_ADD, ACCOUNT_FIND, ACCOUNT_RELEASE, ACCOUNT_RAN, ACCOUNT_PURGE,
	ACCOUNT_ALL, ACCOUNT_RESTORE,
	HIT_PUT, HIT_FORGET, HIT_PURGE, HIT_ALL,
	OFFENDER_FIND, OFFENDER_PUT, OFFENDER_DROP, OFFENDER_EXPIRE,
	OFFENDER_PURGE, OFFENDER_ALL,
	POSITION_GET, POSITION_PUT, POSITION_ALL,
	META_GET, META_PUT, GENERATION_NEXT,
	STATEMENT_COUNT
};

extern const char *const sqlite_statements[STATEMENT_COUNT];

/* Step N makes version N + 1 of the schema of version N. */
extern const char *const sqlite_migrations[STORE_SCHEMA];

/*
 * Is there a table of logins as the postfwd plugin made it? Puts its rows in
 * our form beside it, in a table that others do not see and that has its name
 * here; and, after the migrations, into ours.
 */
extern const char sqlite_plugin_look[], sqlite_plugin_merge[];
extern const char sqlite_plugin_drop[], sqlite_plugin_keep[];

struct sqlite_store {
	struct store store; /* first */
	sqlite3 *db;
	sqlite3_stmt *prepared[STATEMENT_COUNT];
	int64_t deadline; /* of waiting in the operation at hand */
	int64_t asked;    /* for the latest statement */
	int lock_fd;
	struct stat file;      /* the database as it was opened */
	int64_t looked;        /* at it, monotonic seconds */
	int wal_pages;         /* after our last commit */
	int changes;           /* of rows, before this transaction */
	char path[512];
};

/* Notes what SQLite says of the last failure. STORE_ERROR. */
enum store_result sqlite_failed(struct sqlite_store *s);

/* Notes a failure that SQLite knows nothing about. False. */
bool sqlite_refuse(struct sqlite_store *s, enum store_failure failure,
    const char *what, const char *why);

/* A number that a query gives; -1 on failure. */
long sqlite_query_number(struct sqlite_store *s, const char *sql);

/*
 * Brings the tables to our version; if `create' is not set, only reads those
 * of the postfwd plugin. False on failure, noted.
 */
bool sqlite_schema_prepare(struct sqlite_store *s, bool create);

/* The statement, ready to be bound; NULL when it cannot be prepared. */
sqlite3_stmt *sqlite_statement(struct sqlite_store *s, enum statement which);

/* Binds a text that stays until the statement is reset. */
void sqlite_bind_text(sqlite3_stmt *st, int n, const char *text);

/* Binds a key as 1 and 2, the ends of a range; "" = all keys. */
void sqlite_bind_range(sqlite3_stmt *st, const char *of);

/* Copies a column, "" for NULL. */
void sqlite_column_copy(sqlite3_stmt *st, int n, char *out, size_t size);

/* Runs a bound statement that gives no rows. False on failure. */
bool sqlite_run(sqlite3_stmt *st);

/* The same for a statement without parameters. */
bool sqlite_run_plain(struct sqlite_store *s, enum statement which);

/* Takes our lock and begins a writing transaction. STORE_ERROR or not. */
enum store_result sqlite_begin(struct sqlite_store *s);

/* Takes our lock alone, within the time there is; false: noted. */
bool sqlite_turn_take(struct sqlite_store *s);

/* For sqlite3_wal_hook(): notes how many pages the log has. */
int sqlite_wal_written(void *arg, sqlite3 *db, const char *name, int pages);

/* Ends it; STORE_ERROR rolls it back. Returns the result, or STORE_ERROR. */
enum store_result sqlite_end(struct sqlite_store *s, enum store_result result);

/* A time of a login as people read it, UTC; STAMP_MAX bytes. */
void sqlite_stamp(time_t t, char *out);

/* And back; 0 when it is none. */
time_t sqlite_stamp_parse(const char *text);

/*
 * One writing statement with a text and a number, in a transaction of its own.
 * FOUND when it changed something.
 */
enum store_result sqlite_write_one(struct sqlite_store *s, enum statement which,
    const char *text, int64_t number);

/* The columns of a row, in the order of the table. */
void sqlite_account_columns(sqlite3_stmt *st, struct store_account *a);

/* The same of an offender. */
void sqlite_offender_columns(sqlite3_stmt *st, struct store_offender *o);

/* Writes an offender. */
bool sqlite_offender_put(struct sqlite_store *s, const struct store_offender
    *o);

/* Puts down a hit. */
bool sqlite_hit_put(struct sqlite_store *s, const struct store_hit *h);

/* The text of a name in META_GET's or POSITION_GET's table. */
enum store_result sqlite_text_get(struct sqlite_store *s, enum statement which,
    const char *name, char *out, size_t size);

/* Sets one, with META_PUT or POSITION_PUT. */
bool sqlite_text_put(struct sqlite_store *s, enum statement which,
    const char *name, const char *value);

/* The operations, see struct store_driver. */
enum store_result sqlite_login(struct store *store, const struct store_login *l,
    struct store_counts *c);
enum store_result sqlite_forget(struct store *store, const char *user);
enum store_result sqlite_rate_take(struct store *store, const char *key, long
    limit, long period, time_t now);
enum store_result sqlite_account_add(struct store *store, const struct
    store_account *a, time_t expired);
enum store_result sqlite_account_find(struct store *store, const char *user,
    struct store_account *a);
enum store_result sqlite_account_release(struct store *store, const char *user,
    time_t now);
enum store_result sqlite_account_ran(struct store *store, const char *user);
enum store_result sqlite_offenders_apply(struct store *store, const struct
    store_batch *b);
enum store_result sqlite_position(struct store *store, const char *source, char
    *position, size_t size);
enum store_result sqlite_generation(struct store *store, int64_t *generation);
enum store_result sqlite_offender_add(struct store *store, const struct
    store_offender *o);
enum store_result sqlite_offender_remove(struct store *store, const char
    *block);
enum store_result sqlite_offenders_expire(struct store *store, time_t now);
enum store_result sqlite_purge(struct store *store, const struct store_purge *p,
    long *removed);
enum store_result sqlite_iterate(struct store *store, enum store_kind kind,
    const char *of, store_row_fn *fn, void *arg);
enum store_result sqlite_restore(struct store *store, const struct store_row
    *rows, size_t count);

#endif
