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

#define SCRIPT_MAX 8192

/* By the digit of SHAPE. */
static const enum pgsql_name widening[] = { PGSQL_WIDEN_1,
	PGSQL_WIDEN_2, PGSQL_WIDEN_3, PGSQL_WIDEN_4 };

#define WIDENINGS (sizeof(widening) / sizeof(widening[0]))

/* Step N makes version N + 1 of the schema of version N. */
static const enum pgsql_name migrations[STORE_SCHEMA] = { PGSQL_SCHEMA_1 };

/* What is there. */
struct shape {
	bool logins; /* the table */
	bool unique; /* its key */
	char narrow[WIDENINGS + 1]; /* digits of columns that can be widened */
	long version; /* 0 = no tables of ours */
};

static bool
shape_read(struct pgsql_store *s, struct shape *shape)
{
	struct sql_cells r = { .text = { "" } };

	memset(shape, 0, sizeof(*shape));
	if (sql_get(&s->sql, PGSQL_SHAPE, NULL, 0, 4, &r) <= 0)
		return false;
	shape->logins = r.text[1][0] == 't';
	shape->unique = r.text[2][0] == 't';
	snprintf(shape->narrow, sizeof(shape->narrow), "%.4s", r.text[3]);
	if (r.text[0][0] != 't')
		return true;
	if (sql_get(&s->sql, PGSQL_SCHEMA_VERSION, NULL, 0, 1, &r) < 0)
		return false;
	shape->version = (long)sql_integer(r.text[0]);
	return (shape->version >= 0 && shape->version <= STORE_SCHEMA) ||
	    pgsql_failed(s, "the schema is of a later version of abichecker, "
		"or not ours");
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
			text_addf(script, "%s;", pgsql_text(widening[i]));
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
		text_addf(&script, "%s;", pgsql_text(PGSQL_PLUGIN_UPGRADE));
	/* Also when somebody took the table of logins away. */
	text_addf(&script, "%s;", pgsql_text(PGSQL_SCHEMA_1));
	for (version = shape.version; version < STORE_SCHEMA; version++)
		if (version > 0)
			text_addf(&script, "%s;",
			    pgsql_text(migrations[version]));
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
		return pgsql_script(s, pgsql_text(PGSQL_PLUGIN_READ));
	}
	pgsql_failed(s, "there are no tables of abichecker yet, or they wait "
	    "for an upgrade");
	if (!shape.logins && shape.version == 0)
		s->sql.store.failure = STORE_NOT_YET;
	return false;
}
