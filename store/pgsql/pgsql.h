/*
 * store_pgsql - what the files of the PostgreSQL driver share; nobody else's.
 */
#ifndef STORE_PGSQL_H
#define STORE_PGSQL_H

#include <libpq-fe.h>

#include "store/store.h"

/* What we use of libpq; pq.PQfinish() and so on. */
#define PGSQL_FUNCTIONS(F)                                                    \
	F(PQconnectStartParams) F(PQconnectPoll) F(PQfinish) F(PQstatus)      \
	F(PQsocket) F(PQerrorMessage) F(PQsetnonblocking) F(PQflush)          \
	F(PQconsumeInput) F(PQisBusy) F(PQgetResult) F(PQclear)               \
	F(PQresultStatus) F(PQresultErrorField) F(PQcmdStatus) F(PQntuples)   \
	F(PQnfields) F(PQgetvalue) F(PQgetisnull) F(PQparameterStatus)        \
	F(PQsendPrepare) F(PQsendQueryPrepared) F(PQsendQueryParams)          \
	F(PQenterPipelineMode) F(PQpipelineSync) F(PQsetNoticeReceiver)       \
	F(PQsetErrorVerbosity)

struct pgsql_library {
#define PGSQL_POINTER(name) __typeof__(name) *name;
	PGSQL_FUNCTIONS(PGSQL_POINTER)
#undef PGSQL_POINTER
};

extern struct pgsql_library pq;

/* Every statement; prepared when a connection uses it first. */
enum pgsql_statement {
	PG_SESSION, PG_SHAPE, PG_VERSION, PG_HELD, /* those are not prepared */
	PG_LOCK, PG_LOGIN, PG_LOGIN_FORGET, PG_LOGIN_PURGE, PG_LOGIN_RESTORE,
	PG_LOGIN_ALL,
	PG_RATE_TAKE, PG_RATE_ALL, PG_RATE_RESTORE,
	PG_ACCOUNT_ADD, PG_ACCOUNT_FIND, PG_ACCOUNT_RELEASE, PG_ACCOUNT_RAN,
	PG_ACCOUNT_ALL, PG_ACCOUNT_RESTORE,
	PG_POSITION_MOVE, PG_POSITION_GET, PG_POSITION_ALL, PG_POSITION_RESTORE,
	PG_HIT_APPLY, PG_HIT_ALL, PG_HIT_RESTORE,
	PG_OFFENDER_ADD, PG_OFFENDER_REMOVE, PG_OFFENDER_EXPIRE,
	PG_OFFENDER_ALL, PG_OFFENDER_RESTORE,
	PG_GENERATION, PG_GENERATION_NEXT, PG_GENERATION_RESTORED,
	PG_PURGE, PG_STATUS,
	PG_STATEMENTS
};

extern const char *const pgsql_statements[PG_STATEMENTS];

/* Whoever changes the list of offenders, or the tables, holds this lock. */
#define PGSQL_LOCK "7018395124519034211"

/* What is said of a server that does not keep to the rules. */
#define PGSQL_UNEXPECTED "the server's answer is not what was asked for"

#define PGSQL_TOO_MANY "53300" /* SQLSTATE: connections */

#define PGSQL_ARGS_MAX 10
#define PGSQL_TEXT_MAX (4 * STORE_TEXT_MAX)

/* The parameters of a statement; all travel as text. */
struct pgsql_args {
	const char *value[PGSQL_ARGS_MAX]; /* NULL is SQL's */
	int count;
	char buf[PGSQL_ARGS_MAX][PGSQL_TEXT_MAX];
};

struct pgsql_store {
	struct store store; /* first */
	struct store_url url;
	PGconn *conn;      /* NULL: is connected when it is needed */
	long timeout_ms;   /* the server's own limit of a statement */
	long lock_ms;      /* and of waiting for a lock: it ends before ours,
	                    * so that we are told what we have waited for */
	bool create;
	bool opening;      /* one time limit for all that this needs */
	bool per_result;      /* the time limit begins anew with each result */
	bool unprepared;   /* a pooler in between mixes sessions up */
	int64_t deadline;  /* of the operation at hand */
	char state[6];     /* SQLSTATE of the last failure */
	char where[STORE_TEXT_MAX];
	char prepared[PG_STATEMENTS]; /* enum prepared */
	enum pgsql_statement queue[PG_STATEMENTS]; /* being prepared */
	size_t queued, answered;
};

/* --- store_pgsql_connect.c --- */

/* Loads libpq. False, and why in error. */
bool pgsql_load(char *error, size_t size);

/* The first parameter of a URL that we do not know; NULL: there is none. */
const char *pgsql_url_check(const struct store_url *u);

/* Connects, before the deadline. False on failure. */
bool pgsql_connect(struct pgsql_store *s);

/* --- store_pgsql_session.c: statements on a connection --- */

/* Is it connected? If it is not, or no more, connects. False on failure. */
bool pgsql_connected(struct pgsql_store *s);

/* Drops the connection, if there is one. */
void pgsql_drop(struct pgsql_store *s);

/* Notes a failure, as one of the connection. STORE_ERROR. */
enum store_result pgsql_failed(struct pgsql_store *s, const char *what);

/* Sets which statement is the i-th one, and its parameters. */
typedef enum pgsql_statement pgsql_fill_fn(void *arg, size_t i,
    struct pgsql_args *args);

/*
 * Runs so many statements in one round trip and one transaction. The result of
 * the wanted one, for pq.PQclear(); NULL on failure, and nothing was done.
 * What failed only because of others is tried again within the time limit.
 */
PGresult *pgsql_run(struct pgsql_store *s, size_t count, size_t wanted,
    pgsql_fill_fn *fill, void *arg);

/* The same with one statement, args may be NULL. */
PGresult *pgsql_one(struct pgsql_store *s, enum pgsql_statement which,
    const struct pgsql_args *args);

/* The same after the lock of all who change offenders. */
PGresult *pgsql_locked(struct pgsql_store *s, enum pgsql_statement which,
    const struct pgsql_args *args);

/*
 * Statements without parameters that are not kept, as pgsql_run() does them;
 * begin and commit are not added.
 */
bool pgsql_plain(struct pgsql_store *s, const char *const *sql, size_t count);

/* --- store_pgsql_values.c: parameters and columns --- */

void pgsql_args_init(struct pgsql_args *a);
/* A key: valid UTF-8 that stays where it is until the statement is sent. */
void pgsql_add_key(struct pgsql_args *a, const char *key);
/* Any text, coded so that every server takes it; see pgsql_column(). */
void pgsql_add_text(struct pgsql_args *a, const char *text);
void pgsql_add_number(struct pgsql_args *a, int64_t n);
void pgsql_add_bool(struct pgsql_args *a, bool yes);

/*
 * The same result if it has at least so many rows, and so many columns; else
 * NULL, and it is released and the failure noted.
 */
PGresult *pgsql_shaped(struct pgsql_store *s, PGresult *r, int rows,
    int columns);

/* A column of a row: a key as it is, a text decoded, a number, a truth. */
void pgsql_key(const PGresult *r, int row, int column, char *out, size_t size);
void pgsql_column(const PGresult *r, int row, int column, char *out,
    size_t size);
int64_t pgsql_number(const PGresult *r, int row, int column);
bool pgsql_bool(const PGresult *r, int row, int column);

/*
 * Releases a result whose first column is a number: FOUND when it is not 0.
 * STORE_ERROR for NULL.
 */
enum store_result pgsql_count(struct store *store, PGresult *r);

/* --- store_pgsql_schema.c --- */

/*
 * Sees that our tables are there and as we know them; makes and upgrades them
 * if not (makes: only if s->create). False on failure.
 */
bool pgsql_schema(struct pgsql_store *s);

/* --- the operations, see struct store_driver --- */

enum store_result pgsql_login(struct store *store, const struct store_login *l,
    struct store_counts *c);
enum store_result pgsql_forget(struct store *store, const char *user);
enum store_result pgsql_rate_take(struct store *store, const char *key,
    long limit, long period, time_t now);
enum store_result pgsql_account_add(struct store *store,
    const struct store_account *a, time_t expired);
enum store_result pgsql_account_find(struct store *store, const char *user,
    struct store_account *a);
enum store_result pgsql_account_release(struct store *store, const char *user,
    time_t now);
enum store_result pgsql_account_ran(struct store *store, const char *user);
enum store_result pgsql_offenders_apply(struct store *store,
    const struct store_batch *b);
enum store_result pgsql_position(struct store *store, const char *source,
    char *position, size_t size);
enum store_result pgsql_generation(struct store *store, int64_t *generation);
enum store_result pgsql_offender_add(struct store *store,
    const struct store_offender *o);
enum store_result pgsql_offender_remove(struct store *store,
    const char *block);
enum store_result pgsql_offenders_expire(struct store *store, time_t now);
enum store_result pgsql_purge(struct store *store,
    const struct store_purge *p, long *removed);
enum store_result pgsql_iterate(struct store *store, enum store_kind kind,
    const char *of, store_row_fn *fn, void *arg);
enum store_result pgsql_restore(struct store *store,
    const struct store_row *rows, size_t count);
enum store_result pgsql_status(struct store *store,
    struct store_status *status);

/* The columns of an account, and of an offender. */
void pgsql_account_columns(const PGresult *r, int row,
    struct store_account *a);
void pgsql_offender_columns(const PGresult *r, int row,
    struct store_offender *o);

#endif
