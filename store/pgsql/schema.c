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

#include "base/text.h"
#include "store/pgsql/pgsql.h"
#include "store/pgsql/schema.sql.h"

#define SCRIPT_MAX 8192

enum schema_text {
#define NAME(name, ...) name,
	SCHEMA_SQL(NAME)
};

static const char *const texts[] = {
#define TEXT(name, sqlite, pgsql, ...) [name] = pgsql,
	SCHEMA_SQL(TEXT)
};

/* By the digit of SHAPE. */
static const enum schema_text widening[] = { WIDEN_1, WIDEN_2, WIDEN_3,
	WIDEN_4 };

#define WIDENINGS (sizeof(widening) / sizeof(widening[0]))

/* Step N makes version N + 1 of the schema of version N. */
static const enum schema_text migrations[STORE_SCHEMA] = { SCHEMA_1 };

/* What is there. */
struct shape {
	bool logins; /* the table */
	bool unique; /* its key */
	char narrow[WIDENINGS + 1]; /* digits of columns that can be widened */
	long version; /* 0 = no tables of ours */
};

static bool
version_read(struct pgsql_store *s, struct shape *shape)
{
	PGresult *r = pgsql_query(s, texts[SCHEMA_VERSION], 1);

	if (r == NULL)
		return false;
	if (pq.PQntuples(r) > 0)
		shape->version = (long)sql_integer(pgsql_cell(r, 0, 0));
	pq.PQclear(r);
	return (shape->version >= 0 && shape->version <= STORE_SCHEMA) ||
	    pgsql_failed(s, "the schema is of a later version of abichecker, "
		"or not ours");
}

static bool
shape_read(struct pgsql_store *s, struct shape *shape)
{
	PGresult *r = pgsql_query(s, texts[SHAPE], 4);
	bool meta;

	memset(shape, 0, sizeof(*shape));
	if (r == NULL)
		return false;
	if (pq.PQntuples(r) != 1) {
		pq.PQclear(r);
		return pgsql_failed(s, PGSQL_UNEXPECTED);
	}
	meta = pgsql_cell(r, 0, 0)[0] == 't';
	shape->logins = pgsql_cell(r, 0, 1)[0] == 't';
	shape->unique = pgsql_cell(r, 0, 2)[0] == 't';
	snprintf(shape->narrow, sizeof(shape->narrow), "%s",
	    pgsql_cell(r, 0, 3));
	pq.PQclear(r);
	return !meta || version_read(s, shape);
}

static bool
shape_is_right(const struct shape *shape)
{
	return shape->version == STORE_SCHEMA && shape->unique;
}

/*
 * A login too long for its column fails alone, so there is no hurry: whoever
 * reads a table for long, as a backup, must not make all others wait after us.
 */
static void
widening_add(struct text *script, const struct shape *shape)
{
	size_t i;

	if (shape_is_right(shape))
		text_add(script, "SET LOCAL lock_timeout = '200ms';");
	for (i = 0; i < WIDENINGS; i++)
		if (strchr(shape->narrow, '1' + (int)i) != NULL)
			text_addf(script, "%s;", texts[widening[i]]);
}

/* Inside the transaction that schema_upgrade() has begun. */
static bool
shape_mend(struct pgsql_store *s, bool widen)
{
	char buf[SCRIPT_MAX];
	struct text script;
	struct shape shape;
	long version;

	if (!shape_read(s, &shape))
		return false;
	widen = widen && shape.narrow[0] != '\0';
	if (shape_is_right(&shape) && !widen) /* somebody was first */
		return pgsql_script(s, "ROLLBACK");
	text_init(&script, buf, sizeof(buf));
	if (widen)
		widening_add(&script, &shape);
	if (shape.logins && !shape.unique)
		text_addf(&script, "%s;", texts[PLUGIN_UPGRADE]);
	/* Also when somebody took the table of logins away. */
	text_addf(&script, "%s;", texts[SCHEMA_1]);
	for (version = shape.version; version < STORE_SCHEMA; version++)
		if (version > 0)
			text_addf(&script, "%s;", texts[migrations[version]]);
	text_add(&script, "INSERT INTO abichecker_meta (name, value) "
	    "VALUES ('schema', '" LIBRARY_TEXT(STORE_SCHEMA) "') "
	    "ON CONFLICT (name) DO UPDATE SET value = excluded.value;COMMIT");
	return pgsql_script(s, buf);
}

static bool
schema_upgrade(struct pgsql_store *s, bool widen)
{
	char begin[SQL_TEXT_MAX], lock[SQL_TEXT_MAX];

	sql_text(SQL_PGSQL, SQL_LIST_LOCK, lock, sizeof(lock));
	snprintf(begin, sizeof(begin), "BEGIN; SET LOCAL lock_timeout = 0; "
	    "%.1000s; SET LOCAL statement_timeout = 0", lock);
	if (pgsql_connected(s) && pgsql_script(s, begin) &&
	    shape_mend(s, widen))
		return true;
	pgsql_drop(s); /* and with it the transaction */
	return false;
}

bool
pgsql_schema(struct pgsql_store *s, bool create)
{
	struct shape shape;

	if (!shape_read(s, &shape))
		return false;
	if (shape_is_right(&shape) && !(create && shape.narrow[0] != '\0'))
		return true;
	if (create)
		/* It is of use as it is, if the server will not have it so. */
		return schema_upgrade(s, true) ||
		    (shape.narrow[0] != '\0' && s->state[0] != '\0' &&
			schema_upgrade(s, false));
	if (shape.logins && shape.version == 0) {
		s->sql.store.logins_only = true;
		return pgsql_script(s, texts[PLUGIN_READ]);
	}
	pgsql_failed(s, "there are no tables of abichecker yet, or they wait "
	    "for an upgrade");
	if (!shape.logins && shape.version == 0)
		s->sql.store.failure = STORE_NOT_YET;
	return false;
}
