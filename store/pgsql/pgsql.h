/*
 * store_pgsql - what the files of the PostgreSQL driver share; nobody else's.
 */
#ifndef STORE_PGSQL_H
#define STORE_PGSQL_H

#include <libpq-fe.h>

#include "base/library.h"
#include "store/pgsql/schema.sql.h"
#include "store/sql/sql.h"

/* What we use of libpq; pq.PQfinish() and so on. */
#define PGSQL_FUNCTIONS(F)                                                    \
	F(PQconnectStartParams) F(PQconnectPoll) F(PQfinish) F(PQstatus)      \
	F(PQsocket) F(PQerrorMessage) F(PQsetnonblocking) F(PQflush)          \
	F(PQconsumeInput) F(PQisBusy) F(PQgetResult) F(PQclear)               \
	F(PQresultStatus) F(PQresultErrorField) F(PQcmdStatus) F(PQcmdTuples) \
	F(PQntuples) F(PQnfields) F(PQgetvalue) F(PQgetisnull)                \
	F(PQparameterStatus) F(PQsendPrepare) F(PQsendQueryPrepared)          \
	F(PQsendQueryParams) F(PQenterPipelineMode) F(PQpipelineSync)         \
	F(PQsetNoticeReceiver) F(PQsetErrorVerbosity)

extern struct pgsql_library {
	PGSQL_FUNCTIONS(LIBRARY_POINTER)
} pq;

/* What is said of a server that does not keep to the rules. */
#define PGSQL_UNEXPECTED "the server's answer is not what was asked for"

#define PGSQL_TOO_MANY "53300" /* SQLSTATE: connections */

/* After those of store_sql: those of schema.sql, which are not prepared. */
enum pgsql_name {
	PGSQL_FIRST = SQL_PREPARED - 1,
#define PGSQL_NAME(name, ...) PGSQL_##name,
	SCHEMA_SQL(PGSQL_NAME)
#undef PGSQL_NAME
};

/* The text of one of them. */
const char *pgsql_text(enum pgsql_name name);

struct pgsql_store {
	struct sql_store sql; /* first */
	PGconn *conn;      /* NULL: is connected when it is needed */
	char host[256], port[16]; /* that it is connected to */
	long timeout_ms;   /* the server's own limit of a statement */
	long lock_ms;      /* and of waiting for a lock: it ends before ours,
	                    * so that we are told what we have waited for */
	bool unprepared;   /* a pooler in between mixes sessions up */
	char state[6];     /* SQLSTATE of the last failure */
	char prepared[SQL_PREPARED]; /* enum prepared */
	unsigned queue[SQL_PREPARED]; /* being prepared */
	size_t queued, answered;
};

extern const struct sql_connection pgsql_connection;

/* --- store_pgsql_connect.c --- */

/* Connects, before the deadline. False on failure. */
bool pgsql_connect(struct pgsql_store *s);

/* Drops the connection, if there is one. */
void pgsql_drop(struct pgsql_store *s);

/* --- store_pgsql_session.c: statements on a connection --- */

/* Is it connected? If it is not, or no more, connects. False on failure. */
bool pgsql_connected(struct pgsql_store *s);

/* Notes a failure, as one of the connection. False. */
bool pgsql_failed(struct pgsql_store *s, const char *what);

/* Notes what the server says in a result, and what follows from it. */
void pgsql_failed_with(struct pgsql_store *s, const PGresult *r);

/*
 * Runs statements without parameters that are not kept, in one round trip.
 * False on failure.
 */
bool pgsql_plain(struct pgsql_store *s, const char *const *sql, size_t count);

/* The same with a text of them, with ; in between. */
bool pgsql_script(struct pgsql_store *s, const char *script);

/* --- store_pgsql_schema.c --- */

/*
 * Sees that our tables are there and as we know them; makes and upgrades them
 * if not (makes: only if `create'). False on failure.
 */
bool pgsql_schema(struct pgsql_store *s, bool create);

#endif
