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
	struct sql_cells cells = { .text = { "" } };
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
	struct sql_cells cells = { .text = { "" } };

	if (sql_get(&s->sql, MARIA_LOCK_TAKE, &wait, 1, 1, &cells) != 1)
		return false;
	return sql_integer(cells.text[0]) == 1 ||
	    maria_failed(s, "another process is changing the schema");
}

static void
lock_drop(struct maria_store *s)
{
	struct sql_cells cells = { .text = { "" } };

	if (!s->broken)
		sql_get(&s->sql, MARIA_LOCK_DROP, NULL, 0, 1, &cells);
}

/* --- the plugin's table --- */

/* A row of the plugin, with our key of its user. */
static bool
login_take(void *arg, const char *const *columns)
{
	struct sql_writer *w = arg;
	struct store_row *row = sql_writer_add(w);

	sql_row_read(w->s, columns, row);
	store_user(columns[0], row->u.login.user, STORE_USER_MAX);
	return w->good;
}

/* Merges the rows of a user and address into abichecker_upgrade. */
static bool
logins_merge(struct maria_store *s)
{
	struct sql_writer *w = sql_writer_begin(&s->sql, STORE_LOGIN,
	    SQL_LOGIN_MERGE);
	const struct sql_rows rows = { sql_kinds[STORE_LOGIN].count, login_take,
		w };
	bool read = w != NULL &&
	    sql_query(&s->sql, MARIA_PLUGIN_ROWS, NULL, 0, &rows) >= 0;

	return sql_writer_end(w) && read;
}

/* Under LOCK TABLES. */
static bool
plugin_upgrade(struct maria_store *s)
{
	struct sql_cells cells = { .text = { "" } };
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
	struct sql_cells cells = { .text = { "" } };

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
