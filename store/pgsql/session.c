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
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "store/pgsql/pgsql.h"

enum prepared { PREPARED_NOT, PREPARED_QUEUED, PREPARED };

#define TRIES 5 /* at what failed because of others */

/* --- sending --- */

/*
 * The name of a prepared statement tells its text too: a pooler may give us a
 * session in which another version of this program has prepared its own.
 */
static void
statement_name(enum pgsql_statement which, char *out, size_t size)
{
	static uint32_t hashes[PG_STATEMENTS];
	const char *text = pgsql_statements[which];

	if (hashes[which] == 0)
		hashes[which] = array_hash(ARRAY_HASH, text, strlen(text));
	snprintf(out, size, "abichecker_%u_%08x", (unsigned)which,
	    (unsigned)hashes[which]);
}

/* Those of a connection's beginning need not be kept. */
static bool
statement_is_kept(const struct pgsql_store *s, enum pgsql_statement which)
{
	return !s->unprepared && which != PG_SESSION && which != PG_SHAPE &&
	    which != PG_VERSION && which != PG_HELD;
}

static bool
statement_send(struct pgsql_store *s, enum pgsql_statement which,
    const struct pgsql_args *a)
{
	const char *sql = pgsql_statements[which];
	char name[48];

	if (!statement_is_kept(s, which))
		return pq.PQsendQueryParams(s->conn, sql, a->count, NULL,
			   a->value, NULL, NULL, 0) == 1;
	statement_name(which, name, sizeof(name));
	if (s->prepared[which] == PREPARED_NOT) {
		if (pq.PQsendPrepare(s->conn, name, sql, a->count, NULL) != 1)
			return false;
		s->prepared[which] = PREPARED_QUEUED;
		s->queue[s->queued++] = which;
	}
	return pq.PQsendQueryPrepared(s->conn, name, a->count, a->value, NULL,
		   NULL, 0) == 1;
}

/* --- receiving --- */

/* Waits until there is an answer. False when time is up, or it is broken. */
static bool
answer_wait(struct pgsql_store *s)
{
	struct pollfd p = { .fd = pq.PQsocket(s->conn) };
	int64_t left;
	int unsent;

	for (;;) {
		unsent = pq.PQflush(s->conn);
		if (unsent < 0)
			break;
		if (!pq.PQisBusy(s->conn))
			return true;
		left = s->deadline - clock_ms();
		if (left <= 0) {
			pgsql_failed(s, "no answer within store.timeout");
			return false;
		}
		p.events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0));
		if (poll(&p, 1, (int)left) > 0 && (p.revents & ~POLLOUT) != 0 &&
		    !pq.PQconsumeInput(s->conn))
			break;
	}
	pgsql_failed(s, pq.PQerrorMessage(s->conn));
	return false;
}

/*
 * What follows from an SQLSTATE, by how it begins. All that is not here was
 * refused: no permission, read-only, disk full, no such table or column.
 */
static const struct {
	const char *state;
	enum store_failure failure;
} failures[] = {
	{ "08", STORE_BROKEN },    /* of the connection */
	{ "57P", STORE_BROKEN },   /* the server ends or begins */
	{ "25P", STORE_BROKEN },   /* a transaction that we know nothing of */
	{ "40", STORE_BUSY },      /* a deadlock, or not serializable */
	{ "55P03", STORE_BUSY },   /* a lock of others, beyond lock_timeout */
	{ PGSQL_TOO_MANY, STORE_BUSY },
	{ "57014", STORE_BUSY },   /* somebody has cancelled it */
	{ "21", STORE_BAD_DATA },  /* more rows than one */
	{ "22", STORE_BAD_DATA },  /* a value that does not fit */
	{ "23", STORE_BAD_DATA },  /* a constraint */
	{ "27", STORE_BAD_DATA },  /* a trigger */
	{ "44", STORE_BAD_DATA },  /* the condition of a view */
	{ "54", STORE_BAD_DATA },  /* too long for an index */
	{ "P0", STORE_BAD_DATA },  /* a trigger's own error */
};

static enum store_failure
failure_of(const char *state)
{
	size_t i;

	if (state[0] == '\0') /* not an answer of a server */
		return STORE_BROKEN;
	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (strncmp(state, failures[i].state,
			strlen(failures[i].state)) == 0)
			return failures[i].failure;
	return STORE_REFUSED;
}

/* Keeps what the server said of a failure. */
static void
failure_note(struct pgsql_store *s, const PGresult *r)
{
	const char *text = pq.PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = pq.PQresultErrorField(r, PG_DIAG_SQLSTATE);

	snprintf(s->state, sizeof(s->state), "%s", state != NULL ? state : "");
	pgsql_failed(s, text != NULL ? text : "error without a message");
	s->store.failure = failure_of(s->state);
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
		failure_note(s, r);
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
		if (s->per_result)
			s->deadline = clock_ms() + s->store.wait_ms;
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

/* Sends all and receives all. sql: texts instead of our own statements. */
static PGresult *
exchange(struct pgsql_store *s, const char *const *sql, size_t count,
    size_t wanted, pgsql_fill_fn *fill, void *arg)
{
	enum pgsql_statement which;
	struct pgsql_args args;
	PGresult *r = NULL;
	bool good = true;
	size_t i;

	s->state[0] = '\0';
	for (i = 0; good && i < count; i++) {
		if (sql != NULL) {
			good = pq.PQsendQueryParams(s->conn, sql[i], 0, NULL,
				   NULL, NULL, NULL, 0) == 1;
			continue;
		}
		pgsql_args_init(&args);
		which = fill(arg, i, &args);
		good = statement_send(s, which, &args);
	}
	if (!good || pq.PQpipelineSync(s->conn) != 1) {
		pgsql_failed(s, pq.PQerrorMessage(s->conn));
		pgsql_drop(s);
	} else if (!answers_receive(s, wanted, &r)) {
		pq.PQclear(r);
		r = NULL;
	} else if (r == NULL) { /* fewer answers than statements */
		pgsql_failed(s, PGSQL_UNEXPECTED);
		pgsql_drop(s);
	}
	queue_end(s);
	return r;
}

/*
 * Does the last failure come from others, so that the same may succeed now?
 * Nothing was done: the transaction is rolled back.
 */
static bool
worth_another_try(struct pgsql_store *s)
{
	if (s->conn == NULL || clock_ms() >= s->deadline)
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

static enum pgsql_statement
session_fill(void *arg, size_t i, struct pgsql_args *a)
{
	const struct pgsql_store *s = arg;

	(void)i;
	pgsql_add_number(a, s->timeout_ms);
	pgsql_add_number(a, s->lock_ms);
	return PG_SESSION;
}

static enum pgsql_statement
held_fill(void *arg, size_t i, struct pgsql_args *a)
{
	(void)arg;
	(void)i;
	(void)a;
	return PG_HELD;
}

/*
 * The lock that we have waited for was not to be had: of a row, by this request
 * only; or has somebody a table for himself, so that nobody gets on?
 */
static void
lock_judge(struct pgsql_store *s)
{
	char error[STORE_ERROR_MAX];
	PGresult *r;

	memcpy(error, s->store.error, sizeof(error));
	r = exchange(s, NULL, 1, 0, held_fill, NULL);
	s->store.failure = r == NULL || pgsql_bool(r, 0, 0) ? STORE_BROKEN :
							      STORE_BUSY;
	pq.PQclear(r);
	memcpy(s->store.error, error, sizeof(error));
}

/* Has the server closed the connection while we did not look? */
static bool
connection_is_dead(struct pgsql_store *s)
{
	struct pollfd p = { .fd = pq.PQsocket(s->conn), .events = POLLIN };
	int i;

	/* First may come a message, then the end. */
	for (i = 0; i < 3 && poll(&p, 1, 0) > 0; i++)
		if (!pq.PQconsumeInput(s->conn))
			return true;
	return pq.PQstatus(s->conn) != CONNECTION_OK;
}

bool
pgsql_connected(struct pgsql_store *s)
{
	PGresult *r;

	if (s->conn != NULL && !connection_is_dead(s))
		return true;
	pgsql_drop(s);
	/* What it had merged is gone: only the plugin's own rows are there. */
	if (s->store.logins_only)
		pgsql_failed(s, "the connection was lost");
	if (s->store.logins_only || !pgsql_connect(s))
		return false;
	r = exchange(s, NULL, 1, 0, session_fill, s);
	if (r == NULL) {
		pgsql_drop(s);
		s->store.failure = STORE_BROKEN;
	}
	pq.PQclear(r);
	return s->conn != NULL;
}

static void
operation_begin(struct pgsql_store *s)
{
	s->store.error[0] = '\0';
	s->store.failure = STORE_BROKEN;
	if (!s->opening)
		s->deadline = clock_ms() + s->store.wait_ms;
}

PGresult *
pgsql_run(struct pgsql_store *s, size_t count, size_t wanted,
    pgsql_fill_fn *fill, void *arg)
{
	PGresult *r;
	int i = 0;

	operation_begin(s);
	if (s->store.wait_ms <= 0) {
		pgsql_failed(s, "no time left");
		s->store.failure = STORE_BUSY;
		return NULL;
	}
	if (!pgsql_connected(s))
		return NULL;
	do
		r = exchange(s, NULL, count, wanted, fill, arg);
	while (r == NULL && ++i < TRIES && worth_another_try(s));
	if (r == NULL && s->conn != NULL && strcmp(s->state, "55P03") == 0)
		lock_judge(s);
	return r;
}

bool
pgsql_plain(struct pgsql_store *s, const char *const *sql, size_t count)
{
	PGresult *r = exchange(s, sql, count, 0, NULL, NULL);

	pq.PQclear(r);
	return r != NULL;
}

/* One statement, or two with the lock before it. */
struct single {
	enum pgsql_statement which;
	const struct pgsql_args *args;
	bool locked;
};

static enum pgsql_statement
single_fill(void *arg, size_t i, struct pgsql_args *a)
{
	const struct single *one = arg;

	if (i == 0 && one->locked)
		return PG_LOCK;
	if (one->args != NULL) {
		a->count = one->args->count;
		memcpy(a->value, one->args->value, sizeof(a->value));
	}
	return one->which;
}

PGresult *
pgsql_one(struct pgsql_store *s, enum pgsql_statement which,
    const struct pgsql_args *args)
{
	struct single one = { which, args, false };

	return pgsql_run(s, 1, 0, single_fill, &one);
}

PGresult *
pgsql_locked(struct pgsql_store *s, enum pgsql_statement which,
    const struct pgsql_args *args)
{
	struct single one = { which, args, true };

	return pgsql_run(s, 2, 1, single_fill, &one);
}
