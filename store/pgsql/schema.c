/*
 * store_pgsql_schema - the tables in PostgreSQL: making and upgrading them.
 *
 * That happens in one transaction and after a lock, so that many filters may
 * find at once that it has to be done. What has to be done is sent together
 * with its end: if it takes longer than a filter waits, the server still ends
 * it, and the next one finds it done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/pgsql/pgsql.h"

#define STEPS_MAX 32
#define TEXT_OF(macro) TEXT_OF_VALUE(macro)
#define TEXT_OF_VALUE(value) #value

/* Times are seconds since the epoch, but those of logins: UTC. */
static const char *const tables[] = {
	"CREATE TABLE IF NOT EXISTS postfwd_logins ("
	"sasl_username varchar(100) NOT NULL, ip_address varchar(45) NOT NULL, "
	"state_code varchar(4), login_count integer NOT NULL, "
	"last_login timestamp NOT NULL, "
	"PRIMARY KEY (sasl_username, ip_address)) WITH (fillfactor = 80)",
	"CREATE TABLE IF NOT EXISTS abichecker_rates ("
	"name text COLLATE \"C\" PRIMARY KEY, taken bigint NOT NULL, "
	"until bigint NOT NULL) WITH (fillfactor = 80)",
	"CREATE TABLE IF NOT EXISTS abichecker_accounts ("
	"sasl_username varchar(100) PRIMARY KEY, since bigint NOT NULL, "
	"released bigint NOT NULL, command_ran boolean NOT NULL, "
	"found_by text NOT NULL, address text NOT NULL, reason text NOT NULL)",
	"CREATE TABLE IF NOT EXISTS abichecker_hits ("
	"block text COLLATE \"C\", rule text COLLATE \"C\", "
	"name text COLLATE \"C\", time bigint NOT NULL, "
	"PRIMARY KEY (block, rule, name))",
	"CREATE TABLE IF NOT EXISTS abichecker_offenders ("
	"block text COLLATE \"C\" PRIMARY KEY, rule text NOT NULL, "
	"note text NOT NULL, hits bigint NOT NULL, times bigint NOT NULL, "
	"since bigint NOT NULL, last bigint NOT NULL, expires bigint NOT NULL, "
	"listed boolean NOT NULL)",
	"CREATE TABLE IF NOT EXISTS abichecker_positions ("
	"source text COLLATE \"C\" PRIMARY KEY, position text NOT NULL)",
	"CREATE TABLE IF NOT EXISTS abichecker_meta ("
	"name text COLLATE \"C\" PRIMARY KEY, value text NOT NULL)",
	NULL
};

/*
 * A table of logins as the postfwd plugin made it has no key, and several rows
 * of a user and address: they become one, with all their logins, the latest
 * time and the country known last. Users are folded as store_user() does it.
 */
#define MERGED(table)                                                         \
	"SELECT btrim(translate(sasl_username, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', " \
	"'abcdefghijklmnopqrstuvwxyz'), E' \\t\\r\\n') AS sasl_username, "    \
	"ip_address, (array_agg(state_code ORDER BY last_login DESC "         \
	"NULLS LAST) FILTER (WHERE state_code <> ''))[1] AS state_code, "     \
	"least(sum(coalesce(login_count, 1)), 2147483647) AS login_count, "   \
	"coalesce(max(last_login), 'epoch') AS last_login FROM " table " "    \
	"WHERE sasl_username IS NOT NULL AND ip_address IS NOT NULL "         \
	"GROUP BY 1, 2"

static const char *const unique_logins[] = {
	"LOCK TABLE postfwd_logins IN ACCESS EXCLUSIVE MODE",
	"WITH gone AS (DELETE FROM postfwd_logins RETURNING sasl_username, "
	"ip_address, state_code, login_count, last_login) "
	"INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, "
	"login_count, last_login) " MERGED("gone"),
	"ALTER TABLE postfwd_logins ALTER sasl_username SET NOT NULL, "
	"ALTER ip_address SET NOT NULL, ALTER login_count SET NOT NULL, "
	"ALTER last_login SET NOT NULL",
	"CREATE UNIQUE INDEX ON postfwd_logins (sasl_username, ip_address)",
	NULL
};

/*
 * The same for who may only read: a table that has the name for us alone. The
 * transaction stays open, so that nothing of it is left to others by a pooler.
 */
static const char *const merged_logins[] = {
	"BEGIN", "SET LOCAL idle_in_transaction_session_timeout = 0",
	"CREATE TEMPORARY TABLE postfwd_logins ON COMMIT DROP AS "
	MERGED("postfwd_logins"),
	"CREATE INDEX ON pg_temp.postfwd_logins (sasl_username, ip_address)",
};

/* In the order of PG_SHAPE's last columns. */
static const char *const widening[] = {
	"ALTER TABLE postfwd_logins ALTER sasl_username TYPE varchar(100)",
	"ALTER TABLE postfwd_logins ALTER ip_address TYPE varchar(45)",
	"ALTER TABLE postfwd_logins ALTER state_code TYPE varchar(4)",
	"ALTER TABLE postfwd_logins ALTER login_count TYPE integer",
};

#define WIDENINGS (sizeof(widening) / sizeof(widening[0]))

/* Step N makes version N + 1 of the schema of version N. */
static const char *const *const migrations[STORE_SCHEMA] = { tables };

/* What is there. */
struct shape {
	bool logins; /* the table */
	bool unique; /* its key */
	bool narrow[WIDENINGS]; /* columns that can be widened */
	bool any_narrow;
	long version; /* 0 = no tables of ours */
};

static bool
version_read(struct pgsql_store *s, struct shape *shape)
{
	PGresult *r = pgsql_shaped(s, pgsql_one(s, PG_VERSION, NULL), 0, 1);

	if (r == NULL)
		return false;
	if (pq.PQntuples(r) > 0)
		shape->version = (long)pgsql_number(r, 0, 0);
	pq.PQclear(r);
	if (shape->version >= 0 && shape->version <= STORE_SCHEMA)
		return true;
	pgsql_failed(s, "the schema is of a later version of abichecker, or "
			"not ours");
	return false;
}

static bool
shape_read(struct pgsql_store *s, struct shape *shape)
{
	PGresult *r = pgsql_shaped(s, pgsql_one(s, PG_SHAPE, NULL), 1,
	    4 + (int)WIDENINGS);
	bool meta;
	size_t i;

	memset(shape, 0, sizeof(*shape));
	if (r == NULL)
		return false;
	meta = pgsql_bool(r, 0, 0);
	shape->logins = pgsql_bool(r, 0, 1);
	shape->unique = pgsql_bool(r, 0, 2);
	for (i = 0; i < WIDENINGS; i++) {
		shape->narrow[i] = pgsql_bool(r, 0, 3) &&
		    pgsql_bool(r, 0, 4 + (int)i);
		shape->any_narrow = shape->any_narrow || shape->narrow[i];
	}
	pq.PQclear(r);
	return !meta || version_read(s, shape);
}

static bool
shape_is_right(const struct shape *shape)
{
	return shape->version == STORE_SCHEMA && shape->unique;
}

/* Appends the statements of a NULL-ended list. */
static void
steps_add(const char **steps, size_t *count, const char *const *list)
{
	for (; *list != NULL && *count < STEPS_MAX; list++)
		steps[(*count)++] = *list;
}

/*
 * A login too long for its column fails alone, so there is no hurry: whoever
 * reads a table for long, as a backup, must not make all others wait after us.
 */
static void
widening_add(const char **steps, size_t *count, const struct shape *shape)
{
	size_t i;

	if (shape_is_right(shape))
		steps[(*count)++] = "SET LOCAL lock_timeout = '200ms'";
	for (i = 0; i < WIDENINGS; i++)
		if (shape->narrow[i])
			steps[(*count)++] = widening[i];
}

/* Inside the transaction that schema_upgrade() has begun. */
static bool
shape_mend(struct pgsql_store *s, bool widen)
{
	static const char *const rollback[] = { "ROLLBACK" };
	static const char *const commit[] = {
		"INSERT INTO abichecker_meta (name, value) VALUES ('schema', '"
		TEXT_OF(STORE_SCHEMA) "') ON CONFLICT (name) "
		"DO UPDATE SET value = excluded.value",
		"COMMIT", NULL
	};
	const char *steps[STEPS_MAX];
	struct shape shape;
	size_t count = 0;
	long version;

	if (!shape_read(s, &shape))
		return false;
	widen = widen && shape.any_narrow;
	if (shape_is_right(&shape) && !widen) /* somebody was first */
		return pgsql_plain(s, rollback, 1);
	if (widen)
		widening_add(steps, &count, &shape);
	if (shape.logins && !shape.unique)
		steps_add(steps, &count, unique_logins);
	/* Also when somebody took the table of logins away. */
	steps_add(steps, &count, tables);
	for (version = shape.version; version < STORE_SCHEMA; version++)
		if (version > 0)
			steps_add(steps, &count, migrations[version]);
	steps_add(steps, &count, commit);
	return pgsql_plain(s, steps, count);
}

static bool
schema_upgrade(struct pgsql_store *s, bool widen)
{
	static const char *const begin[] = { "BEGIN",
		"SET LOCAL lock_timeout = 0",
		"SELECT pg_advisory_xact_lock(" PGSQL_LOCK ")",
		"SET LOCAL statement_timeout = 0" };

	if (pgsql_connected(s) && pgsql_plain(s, begin, 4) &&
	    shape_mend(s, widen))
		return true;
	pgsql_drop(s); /* and with it the transaction */
	return false;
}

bool
pgsql_schema(struct pgsql_store *s)
{
	struct shape shape;

	if (!shape_read(s, &shape))
		return false;
	if (shape_is_right(&shape) && !(s->create && shape.any_narrow))
		return true;
	if (s->create) {
		if (schema_upgrade(s, true))
			return true;
		/* It is of use as it is, if the server will not have it so. */
		return shape.any_narrow && s->state[0] != '\0' &&
		    schema_upgrade(s, false);
	}
	if (shape.logins && shape.version == 0) {
		s->store.logins_only = true;
		return pgsql_plain(s, merged_logins,
		    sizeof(merged_logins) / sizeof(merged_logins[0]));
	}
	pgsql_failed(s, "there are no tables of abichecker yet, or they wait "
	    "for an upgrade");
	if (!shape.logins && shape.version == 0)
		s->store.failure = STORE_NOT_YET;
	return false;
}
