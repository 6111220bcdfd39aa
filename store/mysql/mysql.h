/*
 * store_mysql - what the files of the MySQL and MariaDB driver share; nobody
 * else's.
 */
#ifndef STORE_MYSQL_H
#define STORE_MYSQL_H

#include <mysql.h>
#include <sys/types.h>

#include "store/store.h"

#define MARIA_ROWS 32    /* of one statement that writes many */
#define MARIA_COLUMNS 9  /* of a row, at most */
#define MARIA_VALUE 1024 /* bytes of a column that are read, with NUL */

/* Every statement, prepared when first used and kept for the connection. */
enum maria_statement {
	LOGIN, LOGIN_PUT, LOGIN_ROWS, LOGIN_FORGET, LOGIN_END, LOGIN_PURGE,
	LOGIN_ALL, LOGIN_RESTORE, LOGIN_RESTORE_MANY,
	RATE_TAKE, RATE_PURGE, RATE_ALL, RATE_RESTORE, RATE_RESTORE_MANY,
	ACCOUNT_ADD, ACCOUNT_FIND, ACCOUNT_RELEASE, ACCOUNT_RAN, ACCOUNT_PURGE,
	ACCOUNT_ALL, ACCOUNT_RESTORE, ACCOUNT_RESTORE_MANY,
	HIT_PUT, HIT_PUT_MANY, HIT_ROWS, HIT_FORGET, HIT_CLEAR, HIT_PURGE,
	HIT_ALL,
	OFFENDER_ROWS, OFFENDER_PUT, OFFENDER_PUT_MANY, OFFENDER_DROP,
	OFFENDER_CLEAR, OFFENDER_DUE, OFFENDER_EXPIRE, OFFENDER_PURGE,
	OFFENDER_ALL,
	POSITION_GET, POSITION_FIRST, POSITION_MOVE, POSITION_ALL,
	POSITION_RESTORE, POSITION_RESTORE_MANY,
	META_GET, META_PUT, GENERATION_LOCK, GENERATION_NEXT, STATUS,
	LOCK_TAKE, LOCK_DROP, PLUGIN_LOOK, PLUGIN_COUNT, PLUGIN_ROWS,
	PLUGIN_PUT, PLUGIN_PUT_MANY, PLUGIN_ALL,
	MARIA_STATEMENTS
};

struct maria_sql {
	const char *text;
	const char *columns; /* of the result: t text, n number; "" = none */
	bool cursor; /* many rows: the server keeps them until we want them */
};

extern const struct maria_sql maria_sql[MARIA_STATEMENTS];

/* A column of a row that was read. */
struct maria_value {
	char text[MARIA_VALUE];
	int64_t number;
	unsigned long length;
	my_bool null, error;
};

struct maria_store {
	struct store store; /* first */
	struct store_url url;
	long timeout; /* store.timeout, seconds */
	long lock_ms; /* a statement that waits for a lock ends so much later */
	char where[STORE_TEXT_MAX]; /* the URL without its password */
	MYSQL *db;
	MYSQL_STMT *prepared[MARIA_STATEMENTS];
	MYSQL_STMT *reading; /* gives rows at the moment */
	int64_t deadline;    /* of the operation at hand, clock_ms() */
	bool late;           /* it has passed */
	bool broken;         /* the connection is of no more use */
	bool transaction;    /* one is open */
	bool plain;          /* no compound statements there: MySQL */
	bool guarded;        /* waiting needs a guard, see maria_guard() */
	pid_t guard;         /* it is there, unless 0 */
	unsigned code;       /* of the last error */
	/* The parameters of the next statement. */
	MYSQL_BIND bind[MARIA_ROWS * MARIA_COLUMNS];
	int64_t numbers[MARIA_ROWS * MARIA_COLUMNS];
	int bound;
	/* The row that was read last. */
	struct maria_value row[MARIA_COLUMNS];
};

/* --- store_mysql_connect.c --- */

/* Loads the client library. False, and why in error. */
bool maria_load(char *error, size_t size);

/* Connects to the server of s->url. False on failure, told. */
bool maria_connect(struct maria_store *s);

/* Ends the connection, whatever state it is in. */
void maria_disconnect(struct maria_store *s);

/* --- store_mysql_wire.c --- */

/*
 * Begins an operation: its time runs from now. Connects again if the server
 * has ended the connection. False on failure, told.
 */
bool maria_begin(struct maria_store *s);

/* Notes what went wrong, for people. STORE_ERROR. */
enum store_result maria_failed(struct maria_store *s, const char *why);

/* Parameters of the next statement; texts must live until it is run. */
void maria_text(struct maria_store *s, const char *text);
void maria_number(struct maria_store *s, int64_t number);
void maria_null(struct maria_store *s);

/* Runs one that gives no rows. The rows it changed, -1 on failure. */
int64_t maria_run(struct maria_store *s, enum maria_statement which);

/* Runs a constant text without parameters and rows. False on failure. */
bool maria_text_run(struct maria_store *s, const char *sql);

/* Runs one that gives rows. False on failure. */
bool maria_query(struct maria_store *s, enum maria_statement which);

/* The next row, to s->row: 1, 0 at the end, -1 on failure. */
int maria_fetch(struct maria_store *s);

/* For a query with one row at most: 1, 0 none, -1 on failure. */
int maria_fetch_only(struct maria_store *s);

/* Lets go of the rows that are left. False on failure. */
bool maria_finish(struct maria_store *s);

/* Copies a text column of s->row, "" for NULL. */
void maria_copy(const struct maria_store *s, int column, char *out,
    size_t size);

/*
 * Does work in a transaction, and again if others were in the way and there is
 * time; begins the operation. STORE_ERROR rolls it back.
 */
enum store_result maria_transaction(struct maria_store *s,
    enum store_result (*work)(struct maria_store *s, void *arg), void *arg);

/* --- store_mysql_schema.c --- */

/* Brings the tables to our version. False on failure, told. */
bool maria_schema_prepare(struct maria_store *s, bool create);

/* --- the operations, see struct store_driver --- */

enum store_result maria_login(struct store *store, const struct store_login *l,
    struct store_counts *c);
enum store_result maria_forget(struct store *store, const char *user);
enum store_result maria_rate_take(struct store *store, const char *key,
    long limit, long period, time_t now);
enum store_result maria_account_add(struct store *store,
    const struct store_account *a, time_t expired);
enum store_result maria_account_find(struct store *store, const char *user,
    struct store_account *a);
enum store_result maria_account_release(struct store *store, const char *user,
    time_t now);
enum store_result maria_account_ran(struct store *store, const char *user);
enum store_result maria_offenders_apply(struct store *store,
    const struct store_batch *b);
enum store_result maria_position(struct store *store, const char *source,
    char *position, size_t size);
enum store_result maria_generation(struct store *store, int64_t *generation);
enum store_result maria_offender_add(struct store *store,
    const struct store_offender *o);
enum store_result maria_offender_remove(struct store *store,
    const char *block);
enum store_result maria_offenders_expire(struct store *store, time_t now);
enum store_result maria_purge(struct store *store, const struct store_purge *p,
    long *removed);
enum store_result maria_iterate(struct store *store, enum store_kind kind,
    const char *of, store_row_fn *fn, void *arg);
enum store_result maria_restore(struct store *store,
    const struct store_row *rows, size_t count);
enum store_result maria_status(struct store *store,
    struct store_status *status);

/* --- pieces that several files use --- */

/* The columns of s->row as they are in ACCOUNT_ALL and OFFENDER_ALL. */
void maria_account_columns(const struct maria_store *s,
    struct store_account *a);
void maria_offender_columns(const struct maria_store *s,
    struct store_offender *o);

/*
 * Writes rows, MARIA_ROWS at once where there are so many. bind adds the
 * parameters of row n.
 */
bool maria_write_many(struct maria_store *s, enum maria_statement one,
    enum maria_statement many, size_t count,
    void (*bind)(struct maria_store *s, const void *arg, size_t n),
    const void *arg);

/*
 * Adds MARIA_ROWS of the blocks from the nth on, for `block IN'; the last one
 * fills what is left.
 */
void maria_blocks_bind(struct maria_store *s, const char *const *names,
    size_t count, size_t n);

/* Adds the parameters of an offender, a hit. */
void maria_offender_bind(struct maria_store *s, const struct store_offender
    *o);
void maria_hit_bind(struct maria_store *s, const char *block, const char *rule,
    const char *key, time_t time);

#endif
