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

#define LOGINS(kind, name)                                                    \
	"CREATE " kind " IF NOT EXISTS " name " ("                            \
	"sasl_username VARBINARY(100) NOT NULL, "                             \
	"ip_address VARBINARY(45) NOT NULL, "                                 \
	"state_code VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin, "       \
	"login_count BIGINT NOT NULL, "                                       \
	"last_login DATETIME NOT NULL, " /* UTC */                            \
	"PRIMARY KEY (sasl_username, ip_address)) ENGINE=InnoDB"

/* Each may have been done already. */
static const char *const version_1[] = {
	"CREATE TABLE IF NOT EXISTS abichecker_meta ("
	"name VARBINARY(64) NOT NULL PRIMARY KEY, "
	"value VARBINARY(255) NOT NULL) ENGINE=InnoDB",
	LOGINS("TABLE", "postfwd_logins"),
	"CREATE TABLE IF NOT EXISTS abichecker_rates ("
	"name VARBINARY(255) NOT NULL PRIMARY KEY, taken BIGINT NOT NULL, "
	"until BIGINT NOT NULL, KEY (until)) ENGINE=InnoDB",
	"CREATE TABLE IF NOT EXISTS abichecker_accounts ("
	"sasl_username VARBINARY(100) NOT NULL PRIMARY KEY, "
	"since BIGINT NOT NULL, released BIGINT NOT NULL, "
	"command_ran TINYINT NOT NULL, found_by VARBINARY(31) NOT NULL, "
	"address VARBINARY(45) NOT NULL, reason VARBINARY(255) NOT NULL) "
	"ENGINE=InnoDB",
	"CREATE TABLE IF NOT EXISTS abichecker_hits ("
	"block VARBINARY(49) NOT NULL, rule VARBINARY(31) NOT NULL, "
	"name VARBINARY(255) NOT NULL, time BIGINT NOT NULL, "
	"PRIMARY KEY (block, rule, name), KEY (time)) ENGINE=InnoDB",
	"CREATE TABLE IF NOT EXISTS abichecker_offenders ("
	"block VARBINARY(49) NOT NULL PRIMARY KEY, "
	"rule VARBINARY(31) NOT NULL, note VARBINARY(255) NOT NULL, "
	"hits BIGINT NOT NULL, times BIGINT NOT NULL, since BIGINT NOT NULL, "
	"last BIGINT NOT NULL, expires BIGINT NOT NULL, "
	"listed TINYINT NOT NULL, KEY (listed, expires)) ENGINE=InnoDB",
	"CREATE TABLE IF NOT EXISTS abichecker_positions ("
	"source VARBINARY(255) NOT NULL PRIMARY KEY, "
	"position VARBINARY(255) NOT NULL, moves BIGINT NOT NULL DEFAULT 0) "
	"ENGINE=InnoDB",
	"DROP TABLE IF EXISTS abichecker_upgrade", /* has done its work */
	NULL,
};

/* Step N makes version N + 1 of the schema of version N. */
static const char *const *const migrations[STORE_SCHEMA] = { version_1 };

_Static_assert(STORE_USER_MAX == 101 && ADDRESS_TEXT_MAX == 46 &&
	STORE_RULE_MAX == 32 && STORE_BLOCK_MAX == 50 &&
	STORE_TEXT_MAX == 256, "columns must be as long as our texts");

/* The version that is there, 0 = none; -1 on failure, told. */
static long
version_read(struct maria_store *s)
{
	long version;
	int rc;

	maria_text(s, "schema");
	if (!maria_query(s, META_GET)) {
		if (s->broken || s->code != ER_NO_SUCH_TABLE)
			return -1;
		s->store.error[0] = '\0';
		return 0;
	}
	rc = maria_fetch_only(s);
	if (rc <= 0)
		return rc;
	if (text_number(s->row[0].text, 1, STORE_SCHEMA, &version))
		return version;
	maria_failed(s, "the schema is of a later version of abichecker, "
	    "or not ours");
	return -1;
}

/* Takes the lock that whoever changes the schema holds. */
static bool
lock_take(struct maria_store *s)
{
	int64_t left = s->deadline - clock_ms();

	maria_number(s, left > 0 ? (left + 999) / 1000 : 0);
	if (!maria_query(s, LOCK_TAKE) || maria_fetch_only(s) != 1)
		return false;
	if (s->row[0].number == 1)
		return true;
	maria_failed(s, "another process is changing the schema");
	return false;
}

static void
lock_drop(struct maria_store *s)
{
	if (!s->broken && maria_query(s, LOCK_DROP))
		maria_fetch_only(s);
}

/* --- the plugin's table --- */

/* A number that a query gives; -1 on failure. */
static int64_t
number_read(struct maria_store *s, enum maria_statement which)
{
	return maria_query(s, which) && maria_fetch_only(s) == 1 ?
	    s->row[0].number : -1;
}

/* A row of the plugin, with our key of its user. */
struct login {
	char user[STORE_USER_MAX];
	char block[ADDRESS_TEXT_MAX];
	char country[8];
	int64_t count, last;
};

static void
bind_login(struct maria_store *s, const void *arg, size_t n)
{
	const struct login *l = (const struct login *)arg + n;

	maria_text(s, l->user);
	maria_text(s, l->block);
	if (l->country[0] != '\0')
		maria_text(s, l->country);
	else
		maria_null(s);
	maria_number(s, l->count);
	maria_number(s, l->last);
}

/*
 * Reads up to MARIA_ROWS of the plugin's rows. How many, -1 on failure.
 */
static int
logins_read(struct maria_store *s, struct login *rows)
{
	struct login *l;
	int n, rc;

	for (n = 0; n < MARIA_ROWS; n++) {
		rc = maria_fetch(s);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return n;
		l = &rows[n];
		store_user(s->row[0].text, l->user, sizeof(l->user));
		maria_copy(s, 1, l->block, sizeof(l->block));
		maria_copy(s, 2, l->country, sizeof(l->country));
		l->count = s->row[3].number;
		l->last = s->row[4].number;
	}
	return n;
}

/* Merges the rows of a user and address into abichecker_upgrade. */
static bool
logins_merge(struct maria_store *s)
{
	struct login *rows = calloc(MARIA_ROWS, sizeof(*rows));
	MYSQL_STMT *reading;
	bool good = rows != NULL && maria_query(s, PLUGIN_ROWS);
	int n = MARIA_ROWS;

	while (good && n == MARIA_ROWS && s->reading != NULL) {
		n = logins_read(s, rows);
		/* The rest is with the server, as long as we want. */
		reading = s->reading;
		good = n >= 0 && maria_write_many(s, PLUGIN_PUT,
		    PLUGIN_PUT_MANY, (size_t)n, bind_login, rows);
		s->reading = reading;
	}
	free(rows);
	return good;
}

/* Under LOCK TABLES. */
static bool
plugin_replace(struct maria_store *s)
{
	return maria_text_run(s, "DELETE FROM abichecker_upgrade") &&
	    logins_merge(s) &&
	    maria_text_run(s, "DELETE FROM postfwd_logins") &&
	    maria_text_run(s, "INSERT INTO postfwd_logins (sasl_username, "
		"ip_address, state_code, login_count, last_login) "
		"SELECT sasl_username, ip_address, state_code, login_count, "
		"last_login FROM abichecker_upgrade") &&
	    maria_text_run(s, "COMMIT") &&
	    maria_text_run(s, "ALTER TABLE postfwd_logins "
		"MODIFY sasl_username VARBINARY(100) NOT NULL, "
		"MODIFY ip_address VARBINARY(45) NOT NULL, "
		"MODIFY login_count BIGINT NOT NULL, "
		"MODIFY last_login DATETIME NOT NULL, "
		"ADD PRIMARY KEY (sasl_username, ip_address)");
}

/*
 * Its texts to UTF-8, so that bytes stay what they are from here on, and to an
 * engine with transactions.
 */
#define PLUGIN_PREPARE                                                        \
	"ALTER TABLE postfwd_logins "                                         \
	"MODIFY sasl_username VARCHAR(100) CHARACTER SET utf8mb4, "           \
	"MODIFY ip_address VARCHAR(45) CHARACTER SET utf8mb4, "               \
	"MODIFY state_code VARCHAR(4) CHARACTER SET utf8mb4, "                \
	"MODIFY last_login DATETIME NULL, ENGINE=InnoDB"

static bool
plugin_upgrade(struct maria_store *s)
{
	int64_t count = number_read(s, PLUGIN_COUNT);
	bool good;

	if (count < 0)
		return false;
	if (count > s->store.wait_ms * UPGRADE_ROWS_MS) {
		maria_failed(s, "postfwd_logins of the postfwd plugin is too "
		    "large to be converted within store.timeout; once: "
		    "abictl -o store.timeout=60s store status");
		return false;
	}
	log_info("store: %s: converting postfwd_logins of the postfwd plugin, "
	    "%lld rows", s->where, (long long)count);
	good = maria_text_run(s, LOGINS("TABLE", "abichecker_upgrade")) &&
	    maria_text_run(s, "SET autocommit = 0"
		"/*M!100101 , @limit = @@max_statement_time, "
		"max_statement_time = 600 */") &&
	    maria_text_run(s, "LOCK TABLES postfwd_logins WRITE, "
		"abichecker_upgrade WRITE") &&
	    maria_text_run(s, PLUGIN_PREPARE) && plugin_replace(s);
	if (s->broken)
		return false;
	/* What went wrong is told already. */
	if (!good)
		maria_disconnect(s);
	return good && maria_text_run(s, "UNLOCK TABLES") &&
	    maria_text_run(s, "SET autocommit = 1"
		"/*M!100101 , max_statement_time = @limit */");
}

static bool
plugin_read(struct maria_store *s)
{
	s->store.logins_only = true;
	return maria_text_run(s,
		   LOGINS("TEMPORARY TABLE", "abichecker_upgrade")) &&
	    logins_merge(s);
}

/* Is postfwd_logins there, but not as we make it? 1, 0, -1 on failure. */
static int
plugin_found(struct maria_store *s)
{
	if (!maria_query(s, PLUGIN_LOOK) || maria_fetch_only(s) != 1)
		return -1;
	/* Two columns of the key, three types. */
	return s->row[0].number > 0 && s->row[1].number != 5;
}

/* --- making and migrating --- */

/* With the lock held: from a version to ours. */
static bool
migrate(struct maria_store *s, long version)
{
	const char *const *step;
	char text[24];
	int found;

	if (version == 0) {
		found = plugin_found(s);
		if (found < 0 || (found == 1 && !plugin_upgrade(s)))
			return false;
	}
	for (; version < STORE_SCHEMA; version++)
		for (step = migrations[version]; *step != NULL; step++)
			if (!maria_text_run(s, *step))
				return false;
	if (maria_run(s, GENERATION_LOCK) < 0)
		return false;
	snprintf(text, sizeof(text), "%ld", version);
	maria_text(s, "schema");
	maria_text(s, text);
	return maria_run(s, META_PUT) >= 0;
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
			s->store.failure = STORE_NOT_YET;
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
