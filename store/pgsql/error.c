/*
 * store_pgsql_error - what went wrong with a PostgreSQL server, and what
 * follows from it.
 */
#include <stdio.h>
#include <string.h>

#include "store/pgsql/pgsql.h"

struct pgsql_library pq;

bool
pgsql_failed(struct pgsql_store *s, const char *what)
{
	/* libpq has no words for what should not be. */
	return store_failed(&s->sql.store, STORE_BROKEN, "%s",
	    what[0] != '\0' ? what : PGSQL_UNEXPECTED);
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

void
pgsql_failed_with(struct pgsql_store *s, const PGresult *r)
{
	const char *text = pq.PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = pq.PQresultErrorField(r, PG_DIAG_SQLSTATE);

	snprintf(s->state, sizeof(s->state), "%s", state != NULL ? state : "");
	pgsql_failed(s, text != NULL ? text : "error without a message");
	s->sql.store.failure = failure_of(s->state);
}
