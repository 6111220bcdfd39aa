/*
 * store_pgsql_session - statements on a connection, many in one round trip.
 *
 * libpq's pipeline: what is sent before a synchronization is one transaction,
 * and the answers come together. Statements are prepared when first used, in
 * the same round trip. A pooler that hands a connection from one client to the
 * other for each transaction mixes prepared statements up; when that shows,
 * we go on without them.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "store/pgsql/pgsql.h"

enum prepared { PREPARED_NOT, PREPARED_QUEUED, PREPARED };

#define STEPS_MAX 48 /* of a script */

/* --- sending --- */

/* The parameters of a statement; all travel as text. */
struct arguments {
	const char *value[SQL_VALUES]; /* NULL is SQL's */
	char buf[SQL_COLUMNS * 4 * STORE_TEXT_MAX];
};

static void
arguments_make(struct arguments *a, const struct sql_step *step)
{
	const struct sql_value *v = step->values;
	size_t i, used = 0;
	char *at;

	for (i = 0; i < step->count; i++, v++) {
		at = a->buf + used;
		a->value[i] = v->type == SQL_NULL ? NULL :
		    v->type == SQL_KEY ? v->text : at;
		if (v->type == SQL_TEXT)
			used += sql_code(v->text, at, sizeof(a->buf) - used);
		else if (v->type == SQL_NUMBER)
			used += (size_t)snprintf(at, sizeof(a->buf) - used,
			    "%lld", (long long)v->number) + 1;
	}
}

/*
 * The name of a prepared statement tells its text too: a pooler may give us a
 * session in which another version of this program has prepared its own.
 */
static void
statement_name(unsigned name, const char *text, char *out, size_t size)
{
	static uint32_t hashes[SQL_PREPARED];

	if (hashes[name] == 0)
		hashes[name] = array_hash(ARRAY_HASH, text, strlen(text));
	snprintf(out, size, "abichecker_%u_%08x", name, (unsigned)hashes[name]);
}

const char *
pgsql_text(enum pgsql_name name)
{
	static const char *const own[] = {
#define TEXT(of, sqlite, pgsql, ...) pgsql,
		SCHEMA_SQL(TEXT)
	};

	return own[name - SQL_PREPARED];
}

static bool
statement_send(struct pgsql_store *s, const struct sql_step *step)
{
	char name[48], text[SQL_TEXT_MAX];
	int count = (int)step->count;
	struct arguments a;

	if (step->name >= SQL_PREPARED)
		return pq.PQsendQueryParams(s->conn, pgsql_text(step->name), 0,
			   NULL, NULL, NULL, NULL, 0) == 1;
	arguments_make(&a, step);
	sql_text(SQL_PGSQL, step->name, text, sizeof(text));
	if (s->unprepared)
		return pq.PQsendQueryParams(s->conn, text, count, NULL,
			   a.value, NULL, NULL, 0) == 1;
	statement_name(step->name, text, name, sizeof(name));
	if (s->prepared[step->name] == PREPARED_NOT) {
		if (pq.PQsendPrepare(s->conn, name, text, count, NULL) != 1)
			return false;
		s->prepared[step->name] = PREPARED_QUEUED;
		s->queue[s->queued++] = step->name;
	}
	return pq.PQsendQueryPrepared(s->conn, name, count, a.value, NULL,
		   NULL, 0) == 1;
}

/* --- receiving --- */

/* Waits until there is an answer. False when time is up, or it is broken. */
static bool
answer_wait(struct pgsql_store *s)
{
	int unsent;

	for (;;) {
		unsent = pq.PQflush(s->conn);
		if (unsent < 0)
			break;
		if (!pq.PQisBusy(s->conn))
			return true;
		if (!store_wait(&s->sql.store, pq.PQsocket(s->conn),
			(short)(POLLIN | (unsent > 0 ? POLLOUT : 0))))
			return pgsql_failed(s,
			    "no answer within store.timeout");
		if (!pq.PQconsumeInput(s->conn)) /* if there is any */
			break;
	}
	return pgsql_failed(s, pq.PQerrorMessage(s->conn));
}

/* Is it one of the kinds of answer to what we send? */
static bool
answer_is_known(ExecStatusType status)
{
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
	    status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED ||
	    status == PGRES_PIPELINE_SYNC;
}

/* One answer. False: a failure, noted. Takes r. */
static bool
answer_take(struct pgsql_store *s, PGresult *r, size_t *seen, size_t wanted,
    PGresult **out)
{
	ExecStatusType status = pq.PQresultStatus(r);

	if (status == PGRES_FATAL_ERROR) {
		pgsql_failed_with(s, r);
		pq.PQclear(r);
		return false;
	}
	if (status == PGRES_COMMAND_OK && s->answered < s->queued &&
	    pq.PQcmdStatus(r)[0] == '\0') {
		/* A statement was prepared. */
		s->prepared[s->queue[s->answered++]] = PREPARED;
	} else if ((*seen)++ == wanted) {
		*out = r;
		return true;
	}
	pq.PQclear(r);
	return true;
}

/*
 * Receives all answers up to the synchronization. False on a failure; the
 * connection is dropped if it is of no use any more.
 */
static bool
answers_receive(struct pgsql_store *s, size_t wanted, PGresult **out)
{
	ExecStatusType status;
	bool good = true;
	size_t seen = 0;
	int nothing = 0;
	PGresult *r;

	for (;;) {
		if (!answer_wait(s)) {
			pgsql_drop(s);
			return false;
		}
		r = pq.PQgetResult(s->conn);
		if (r == NULL && (pq.PQstatus(s->conn) == CONNECTION_BAD ||
				     ++nothing > 2)) {
			pgsql_failed(s, pq.PQerrorMessage(s->conn));
			pgsql_drop(s);
			return false;
		}
		if (r == NULL)
			continue;
		nothing = 0;
		if (s->sql.transaction) /* many rows: each has its time */
			s->sql.store.deadline = clock_ms() +
			    s->sql.store.wait_ms;
		status = pq.PQresultStatus(r);
		if (!answer_is_known(status)) { /* would come for ever */
			pq.PQclear(r);
			pgsql_failed(s, PGSQL_UNEXPECTED);
			pgsql_drop(s);
			return false;
		}
		if (status == PGRES_PIPELINE_SYNC) {
			pq.PQclear(r);
			return good;
		}
		if (status == PGRES_PIPELINE_ABORTED || !good)
			pq.PQclear(r);
		else
			good = answer_take(s, r, &seen, wanted, out);
	}
}

/* --- a round trip --- */

/* What could not be said whether it was prepared is prepared again. */
static void
queue_end(struct pgsql_store *s)
{
	while (s->answered < s->queued)
		s->prepared[s->queue[s->answered++]] = PREPARED_NOT;
	s->queued = s->answered = 0;
}

/*
 * Sends all and receives all: texts, or steps if sql is NULL. The result of
 * the last one, for pq.PQclear(); NULL on failure.
 */
static PGresult *
exchange(struct pgsql_store *s, const char *const *sql,
    const struct sql_step *steps, size_t count)
{
	PGresult *r = NULL;
	bool good = true;
	size_t i;

	s->state[0] = '\0';
	for (i = 0; good && i < count; i++)
		good = sql == NULL ? statement_send(s, &steps[i]) :
		    pq.PQsendQueryParams(s->conn, sql[i], 0, NULL, NULL, NULL,
			NULL, 0) == 1;
	if (!good || pq.PQpipelineSync(s->conn) != 1) {
		pgsql_failed(s, pq.PQerrorMessage(s->conn));
		pgsql_drop(s);
	} else if (!answers_receive(s, count - 1, &r)) {
		pq.PQclear(r);
		r = NULL;
	} else if (r == NULL) { /* fewer answers than statements */
		pgsql_failed(s, PGSQL_UNEXPECTED);
		pgsql_drop(s);
	}
	queue_end(s);
	return r;
}

bool
pgsql_plain(struct pgsql_store *s, const char *const *sql, size_t count)
{
	PGresult *r = exchange(s, sql, NULL, count);

	pq.PQclear(r);
	return r != NULL;
}

bool
pgsql_script(struct pgsql_store *s, const char *script)
{
	const char *steps[STEPS_MAX];
	char *copy = strdup(script), *rest;
	size_t count = 0;
	bool good;

	if (copy == NULL)
		return pgsql_failed(s, "out of memory");
	for (steps[0] = strtok_r(copy, ";", &rest);
	     steps[count] != NULL && ++count < STEPS_MAX;)
		steps[count] = strtok_r(NULL, ";", &rest);
	good = pgsql_plain(s, steps, count);
	free(copy);
	return good;
}

/*
 * The lock that we have waited for was not to be had: of a row, by this request
 * only; or has somebody a table for himself, so that nobody gets on?
 */
static void
lock_judge(struct pgsql_store *s)
{
	const struct sql_step ask = { .name = PGSQL_TABLES_HELD };
	struct store first = s->sql.store;
	PGresult *r = exchange(s, NULL, &ask, 1);

	s->sql.store = first;
	s->sql.store.failure = r == NULL || pq.PQntuples(r) != 1 ||
	    strcmp(pq.PQgetvalue(r, 0, 0), "t") == 0 ? STORE_BROKEN :
						       STORE_BUSY;
	pq.PQclear(r);
}

/* Has the server closed the connection while we did not look? */
static bool
connection_is_dead(struct pgsql_store *s)
{
	int i;

	/* First may come a message, then the end. */
	for (i = 0; i < 3 && store_stale(pq.PQsocket(s->conn)); i++)
		if (!pq.PQconsumeInput(s->conn))
			return true;
	return pq.PQstatus(s->conn) != CONNECTION_OK;
}

/* What we count on, whatever the server's own settings are. */
static bool
session_begin(struct pgsql_store *s)
{
	char sql[512];
	const char *const text = sql;

	snprintf(sql, sizeof(sql),
	    "SELECT set_config('statement_timeout', '%ld', false), "
	    "set_config('idle_in_transaction_session_timeout', '%ld', false), "
	    "set_config('lock_timeout', '%ld', false), "
	    "set_config('default_transaction_isolation', 'read committed', "
	    "false), set_config('DateStyle', 'ISO', false), "
	    "set_config('TimeZone', 'UTC', false)",
	    s->timeout_ms, s->timeout_ms, s->lock_ms);
	return pgsql_plain(s, &text, 1);
}

bool
pgsql_connected(struct pgsql_store *s)
{
	if (s->conn != NULL && !connection_is_dead(s))
		return true;
	pgsql_drop(s);
	/* What it had merged is gone: only the plugin's own rows are there. */
	if (s->sql.store.logins_only)
		pgsql_failed(s, "the connection was lost");
	if (s->sql.store.logins_only || !pgsql_connect(s))
		return false;
	if (session_begin(s))
		return true;
	pgsql_drop(s);
	s->sql.store.failure = STORE_BROKEN;
	return false;
}

/* --- the connection of store_sql --- */

static bool
pgsql_ready(struct sql_store *sql)
{
	struct pgsql_store *s = (struct pgsql_store *)sql;

	return sql->store.wait_ms > 0 ? pgsql_connected(s) :
	    store_failed(&sql->store, STORE_BUSY, "no time left");
}

/* Hands on the rows of a result. False: it is not as it should be. */
static bool
rows_take(struct pgsql_store *s, const PGresult *r, const struct sql_rows *rows)
{
	const char *columns[SQL_COLUMNS];
	size_t i;
	int row;

	if ((size_t)pq.PQnfields(r) != rows->columns)
		return pgsql_failed(s, PGSQL_UNEXPECTED);
	for (row = 0; row < pq.PQntuples(r); row++) {
		for (i = 0; i < rows->columns; i++)
			columns[i] = pq.PQgetisnull(r, row, (int)i) ? NULL :
			    pq.PQgetvalue(r, row, (int)i);
		if (!rows->fn(rows->arg, columns))
			break;
	}
	return true;
}

static int64_t
pgsql_run(struct sql_store *sql, const struct sql_step *steps, size_t count,
    const struct sql_rows *rows)
{
	struct pgsql_store *s = (struct pgsql_store *)sql;
	PGresult *r = exchange(s, NULL, steps, count);
	int64_t changed = -1;

	if (r != NULL && (rows->columns == 0 || rows_take(s, r, rows)))
		changed = sql_integer(pq.PQcmdTuples(r));
	pq.PQclear(r);
	if (s->conn != NULL && !sql->transaction &&
	    strcmp(s->state, "55P03") == 0)
		lock_judge(s);
	return changed;
}

static bool
pgsql_begin(struct sql_store *sql)
{
	struct pgsql_store *s = (struct pgsql_store *)sql;
	const struct sql_step lock = { .name = SQL_LIST_LOCK };
	const char *const begin = "BEGIN";
	PGresult *r;

	if (!pgsql_plain(s, &begin, 1))
		return false;
	r = exchange(s, NULL, &lock, 1);
	pq.PQclear(r);
	if (r == NULL)
		sql->connection->end(sql, false);
	return r != NULL;
}

static bool
pgsql_end(struct sql_store *sql, bool commit)
{
	struct pgsql_store *s = (struct pgsql_store *)sql;
	const char *const end = commit ? "COMMIT" : "ROLLBACK";
	struct store first = sql->store;
	char state[sizeof(s->state)];

	if (commit)
		return pgsql_plain(s, &end, 1);
	memcpy(state, s->state, sizeof(state));
	if (s->conn != NULL && !pgsql_plain(s, &end, 1))
		pgsql_drop(s);
	/* What went wrong first is worth telling. */
	memcpy(s->state, state, sizeof(state));
	sql->store = first;
	return true;
}

static bool
pgsql_transient(struct sql_store *sql)
{
	struct pgsql_store *s = (struct pgsql_store *)sql;

	if (s->conn == NULL || clock_ms() >= sql->store.deadline)
		return false;
	if (strcmp(s->state, "26000") == 0 || strcmp(s->state, "42P05") == 0 ||
	    strcmp(s->state, "0A000") == 0) {
		/* Statements are not as we prepared them, or are not there. */
		if (s->unprepared)
			return false;
		s->unprepared = true;
		return true;
	}
	/* Could not be serialized; a deadlock. */
	return strcmp(s->state, "40001") == 0 || strcmp(s->state, "40P01") == 0;
}

const struct sql_connection pgsql_connection = {
	.dialect = SQL_PGSQL,
	.page = 1000, /* libpq keeps all of a result */
	.ready = pgsql_ready,
	.run = pgsql_run,
	.begin = pgsql_begin,
	.end = pgsql_end,
	.transient = pgsql_transient,
};
