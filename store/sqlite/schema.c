/*
 * store_sqlite_schema - the tables in an SQLite file: making and upgrading
 * them, in one transaction, so that a killed process leaves what was there.
 */
#include <stdio.h>

#include "base/log.h"
#include "store/sqlite/schema.sql.h"
#include "store/sqlite/sqlite.h"

#define UPGRADE_ROWS_MS 50 /* of the plugin that are converted, a guess */

enum schema_text {
#define NAME(name, ...) name,
	SCHEMA_SQL(NAME)
};

static const char *const texts[] = {
#define TEXT(name, sqlite, ...) [name] = sqlite,
	SCHEMA_SQL(TEXT)
};

/* Step N makes version N + 1 of the schema of version N. */
static const enum schema_text migrations[STORE_SCHEMA] = { SCHEMA_1 };

static bool
text_run(struct sqlite_store *s, const char *sql)
{
	return sq.sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Are the logins of the postfwd plugin in it, and nothing of ours? */
static bool
plugin_found(struct sqlite_store *s)
{
	return sqlite_query_number(s, "PRAGMA user_version") == 0 &&
	    sqlite_query_number(s, texts[PLUGIN_LOOK]) == 5;
}

/* In a transaction, with the rest of the migration still to come. */
static bool
plugin_begin(struct sqlite_store *s)
{
	long count = sqlite_query_number(s, texts[PLUGIN_COUNT]);

	if (count > s->sql.store.wait_ms * UPGRADE_ROWS_MS)
		return store_failed(&s->sql.store, STORE_BROKEN,
		    "postfwd_logins of the postfwd plugin is too large to be "
		    "converted within store.timeout; once: "
		    "abictl -o store.timeout=60s store status");
	log_info("store: %s: converting postfwd_logins of the postfwd plugin, "
	    "%ld rows", s->path, count);
	return count >= 0 && text_run(s, texts[PLUGIN_MERGE]) &&
	    text_run(s, texts[PLUGIN_DROP]);
}

/* In a transaction: from the version that is there to ours. */
static bool
migrate(struct sqlite_store *s)
{
	long version = sqlite_query_number(s, "PRAGMA user_version");
	bool plugin = plugin_found(s), good = version >= 0;
	char set[32];

	if (plugin)
		good = plugin_begin(s);
	for (; good && version < STORE_SCHEMA; version++)
		good = text_run(s, texts[migrations[version]]);
	if (plugin)
		good = good && text_run(s, texts[PLUGIN_KEEP]);
	snprintf(set, sizeof(set), "PRAGMA user_version = %d", STORE_SCHEMA);
	return good && version == STORE_SCHEMA && text_run(s, set);
}

bool
sqlite_schema_prepare(struct sqlite_store *s, bool create)
{
	bool good;
	long version = sqlite_query_number(s, "PRAGMA user_version");

	if (version < 0 || version > STORE_SCHEMA)
		return store_failed(&s->sql.store, STORE_BROKEN, "schema %ld "
		    "is of a later version of abichecker, or not ours",
		    version);
	if (sqlite_query_number(s, texts[SCHEMA_ODD]) > 0)
		return store_failed(&s->sql.store, STORE_BROKEN,
		    "has triggers, or views instead of our tables");
	if (version == STORE_SCHEMA)
		return true;
	if (!create && plugin_found(s)) {
		s->sql.store.logins_only = true;
		return text_run(s, texts[PLUGIN_MERGE]) || sqlite_failed(s);
	}
	if (!sqlite_begin(&s->sql))
		return false;
	/* Somebody else may have been first. */
	good = migrate(s) || sqlite_failed(s);
	return sqlite_end(&s->sql, good);
}
