/*
 * store_mysql_schema - the tables in MySQL and MariaDB.
 *
 * Whoever needs tables that are not there takes a lock of the server
 * (GET_LOCK) and makes them; DDL is no part of a transaction there, so each
 * step can be done again, and the version is written when all are done.
 *
 * A table postfwd_logins of the postfwd plugin has no unique key. It is
 * brought to our form in its place: locked against its other users, its merged
 * rows are made in abichecker_upgrade, and replace its own in one transaction;
 * the key comes after that. Killed anywhere, it has all logins, and the next
 * one begins again. Who may only read has the merged rows in a temporary
 * abichecker_upgrade.
 */
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/mysql/mysql.h"
#include "base/text.h"

/* What a row of the plugin is worth, a guess: it must fit into the time. */
#define UPGRADE_ROWS_MS 15 /* rows in a millisecond */
#define PLUGIN_OURS 5 /* of PLUGIN_LOOK, when it is our table */

/* Step N makes version N + 1 of the schema of version N. */
static const enum maria_name migrations[STORE_SCHEMA] = { MARIA_SCHEMA_1 };

_Static_assert(STORE_USER_MAX == 101 && ADDRESS_TEXT_MAX == 46 &&
	STORE_RULE_MAX == 32 && STORE_BLOCK_MAX == 50 &&
	STORE_TEXT_MAX == 256, "columns must be as long as our texts");

/* The version that is there, 0 = none; -1 on failure, told. */
static long
version_read(struct maria_store *s)
{
	const struct sql_value name = sql_key("schema");
	struct sql_cells cells;
	long version;
	int found = sql_get(&s->sql, SQL_META_GET, &name, 1, 1, &cells);

	if (found < 0) {
		if (s->broken || s->code != ER_NO_SUCH_TABLE)
			return -1;
		s->sql.store.error[0] = '\0';
		return 0;
	}
	if (found == 0)
		return 0;
	if (text_number(cells.text[0], 1, STORE_SCHEMA, &version))
		return version;
	maria_failed(s, "the schema is of a later version of abichecker, "
	    "or not ours");
	return -1;
}

/* Takes the lock that whoever changes the schema holds. */
static bool
lock_take(struct maria_store *s)
{
	int64_t left = s->sql.store.deadline - clock_ms();
	const struct sql_value wait = sql_number(left > 0 ?
	    (left + 999) / 1000 : 0);
	struct sql_cells cells;

	if (sql_get(&s->sql, MARIA_LOCK_TAKE, &wait, 1, 1, &cells) != 1)
		return false;
	return sql_integer(cells.text[0]) == 1 ||
	    maria_failed(s, "another process is changing the schema");
}

static void
lock_drop(struct maria_store *s)
{
	struct sql_cells cells;

	if (!s->broken)
		sql_get(&s->sql, MARIA_LOCK_DROP, NULL, 0, 1, &cells);
}

/* --- the plugin's table --- */

#define LOGIN_COLUMNS 5

/* Rows of the plugin, with our keys of their users. */
struct merging {
	struct maria_store *s;
	char users[SQL_ROWS][STORE_USER_MAX];
	char texts[SQL_ROWS][LOGIN_COLUMNS][ADDRESS_TEXT_MAX];
	struct sql_value values[SQL_ROWS * LOGIN_COLUMNS];
	size_t count;
	bool good;
};

static void
merging_flush(struct merging *m)
{
	size_t i;

	if (m->count == SQL_ROWS)
		m->good = m->good && sql_one(&m->s->sql,
		    SQL_LOGIN_MERGE + SQL_MANY, m->values,
		    SQL_ROWS * LOGIN_COLUMNS) >= 0;
	else
		for (i = 0; m->good && i < m->count; i++)
			m->good = sql_one(&m->s->sql, SQL_LOGIN_MERGE,
			    m->values + i * LOGIN_COLUMNS, LOGIN_COLUMNS) >= 0;
	m->count = 0;
}

static bool
login_take(void *arg, const char *const *columns)
{
	struct merging *m = arg;
	struct sql_value *v = &m->values[m->count * LOGIN_COLUMNS];
	char *text;
	size_t i;

	store_user(columns[0], m->users[m->count], STORE_USER_MAX);
	v[0] = sql_key(m->users[m->count]);
	for (i = 1; i < LOGIN_COLUMNS; i++) {
		text = m->texts[m->count][i];
		snprintf(text, ADDRESS_TEXT_MAX, "%s",
		    columns[i] != NULL ? columns[i] : "");
		v[i] = sql_key(text);
	}
	if (v[2].text[0] == '\0')
		v[2] = sql_null();
	if (++m->count == SQL_ROWS)
		merging_flush(m);
	return m->good;
}

/* Merges the rows of a user and address into abichecker_upgrade. */
static bool
logins_merge(struct maria_store *s)
{
	struct merging *m = calloc(1, sizeof(*m));
	const struct sql_rows rows = { LOGIN_COLUMNS, login_take, m };
	bool good;

	if (m == NULL)
		return maria_failed(s, "out of memory");
	m->s = s;
	m->good = true;
	good = sql_query(&s->sql, MARIA_PLUGIN_ROWS, NULL, 0, &rows) >= 0;
	if (good)
		merging_flush(m);
	good = good && m->good;
	free(m);
	return good;
}

/* Under LOCK TABLES. */
static bool
plugin_upgrade(struct maria_store *s)
{
	struct sql_cells cells;
	int64_t count;
	bool good;

	if (sql_get(&s->sql, MARIA_PLUGIN_COUNT, NULL, 0, 1, &cells) != 1)
		return false;
	count = sql_integer(cells.text[0]);
	if (count > s->sql.store.wait_ms * UPGRADE_ROWS_MS)
		return maria_failed(s, "postfwd_logins of the postfwd plugin "
		    "is too large to be converted within store.timeout; once: "
		    "abictl -o store.timeout=60s store status");
	log_info("store: %s: converting postfwd_logins of the postfwd plugin, "
	    "%lld rows", s->sql.store.where, (long long)count);
	good = maria_script(s, MARIA_PLUGIN_BEGIN) &&
	    logins_merge(s) &&
	    maria_script(s, MARIA_PLUGIN_END);
	/* What went wrong is told already. */
	if (!good && !s->broken)
		maria_disconnect(s);
	return good;
}

static bool
plugin_read(struct maria_store *s)
{
	s->sql.store.logins_only = true;
	return maria_script(s, MARIA_PLUGIN_READ) &&
	    logins_merge(s) &&
	    maria_script(s, MARIA_PLUGIN_HIDE);
}

/* Is postfwd_logins there, but not as we make it? 1, 0, -1 on failure. */
static int
plugin_found(struct maria_store *s)
{
	struct sql_cells cells;

	if (sql_get(&s->sql, MARIA_PLUGIN_LOOK, NULL, 0, 2, &cells) != 1)
		return -1;
	return sql_integer(cells.text[0]) > 0 &&
	    sql_integer(cells.text[1]) != PLUGIN_OURS;
}

/* --- making and migrating --- */

/* With the lock held: from a version to ours. */
static bool
migrate(struct maria_store *s, long version)
{
	const struct sql_value first = sql_number(sql_generation_first());
	struct sql_value ours = sql_number(STORE_SCHEMA);
	int found;

	if (version == 0) {
		found = plugin_found(s);
		if (found < 0 || (found == 1 && !plugin_upgrade(s)))
			return false;
	}
	for (; version < STORE_SCHEMA; version++)
		if (!maria_script(s, migrations[version]))
			return false;
	return sql_one(&s->sql, SQL_LIST_LOCK, &first, 1) >= 0 &&
	    sql_one(&s->sql, MARIA_VERSION_PUT, &ours, 1) >= 0;
}

bool
maria_schema_prepare(struct maria_store *s, bool create)
{
	long version = version_read(s);
	bool good;
	int found;

	if (version < 0)
		return false;
	if (version == STORE_SCHEMA)
		return true;
	if (!create) {
		found = plugin_found(s);
		if (found == 1)
			return plugin_read(s);
		maria_failed(s, "there are no tables of abichecker yet");
		if (found == 0)
			s->sql.store.failure = STORE_NOT_YET;
		return false;
	}
	if (!lock_take(s))
		return false;
	/* Somebody else may have been first. */
	version = version_read(s);
	good = version == STORE_SCHEMA || (version >= 0 && migrate(s, version));
	if (s->db != NULL)
		lock_drop(s);
	return good;
}
