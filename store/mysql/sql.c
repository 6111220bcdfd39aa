/*
 * store_mysql_sql - every statement of the MySQL and MariaDB driver.
 *
 * What is changed is told by the number of affected rows, which counts rows
 * that have become different (CLIENT_FOUND_ROWS is off): after INSERT ... ON
 * DUPLICATE KEY UPDATE 1 is a new row, 2 a changed one, 0 one that was left
 * alone. Its assignments are done from left to right and see each other.
 */
#include "store/mysql/mysql.h"

#define FOUR(row) row ", " row ", " row ", " row
#define MANY(row) FOUR(FOUR(row)) ", " FOUR(FOUR(row)) /* MARIA_ROWS */
_Static_assert(MARIA_ROWS == 32, "MANY() must be as many");

#define EPOCH "TIMESTAMP'1970-01-01 00:00:00'"
#define STAMP EPOCH " + INTERVAL ? SECOND"
#define SECONDS "TIMESTAMPDIFF(SECOND, " EPOCH ", last_login)"

#define LOGIN_COLUMNS                                                         \
	"(sasl_username, ip_address, state_code, login_count, last_login) "
#define LOGIN_RECORD                                                          \
	"INSERT INTO postfwd_logins " LOGIN_COLUMNS                           \
	"VALUES (?, ?, ?, 1, " STAMP ") ON DUPLICATE KEY UPDATE "             \
	"login_count = login_count + 1, "                                     \
	"state_code = COALESCE(VALUES(state_code), state_code), "             \
	"last_login = GREATEST(last_login, VALUES(last_login))"
#define LOGIN_OF_USER "FROM postfwd_logins WHERE sasl_username = ?"
#define LOGIN_ALL_OF(table)                                                   \
	"SELECT sasl_username, ip_address, state_code, login_count, " SECONDS \
	" FROM " table " WHERE ? = '' OR sasl_username = ? "                  \
	"ORDER BY sasl_username, ip_address"
#define LOGIN_RESTORE_ALL(rows)                                               \
	"INSERT INTO postfwd_logins " LOGIN_COLUMNS "VALUES " rows            \
	" ON DUPLICATE KEY UPDATE state_code = VALUES(state_code), "          \
	"login_count = VALUES(login_count), last_login = VALUES(last_login)"
/* The newest one's country, unless that is not known. */
#define PLUGIN_MERGE(rows)                                                    \
	"INSERT INTO abichecker_upgrade " LOGIN_COLUMNS "VALUES " rows        \
	" ON DUPLICATE KEY UPDATE "                                           \
	"login_count = login_count + VALUES(login_count), "                   \
	"state_code = IF(VALUES(last_login) >= last_login, "                  \
	"COALESCE(VALUES(state_code), state_code), "                          \
	"COALESCE(state_code, VALUES(state_code))), "                         \
	"last_login = GREATEST(last_login, VALUES(last_login))"
#define LOGIN_ROW "(?, ?, ?, ?, " STAMP ")"

#define RATE_PUT_ALL(rows)                                                    \
	"REPLACE INTO abichecker_rates (name, taken, until) VALUES " rows
/* A period that ends too late was begun before the clock went back. */
#define RATE_OVER "(until <= ? OR until > ?)"

#define ACCOUNT_COLUMNS                                                       \
	"sasl_username, since, released, command_ran, found_by, address, "    \
	"reason"
#define ACCOUNT_PUT_ALL(rows)                                                 \
	"REPLACE INTO abichecker_accounts (" ACCOUNT_COLUMNS ") VALUES " rows
#define ACCOUNT_OVER "(released <> 0 OR since < ?)"

#define HIT_PUT_ALL(rows)                                                     \
	"INSERT INTO abichecker_hits (block, rule, name, time) VALUES " rows  \
	" ON DUPLICATE KEY UPDATE time = GREATEST(time, VALUES(time))"

#define OFFENDER_COLUMNS                                                      \
	"block, rule, note, hits, times, since, last, expires, listed"
#define OFFENDER_PUT_ALL(rows)                                                \
	"REPLACE INTO abichecker_offenders (" OFFENDER_COLUMNS ") VALUES " rows
#define OFFENDER_ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define OFFENDER_OVER "listed = 1 AND expires <> 0 AND expires <= ?"

#define POSITION_PUT_ALL(rows)                                                \
	"INSERT INTO abichecker_positions (source, position) VALUES " rows    \
	" ON DUPLICATE KEY UPDATE position = VALUES(position)"

/* Of the database that the connection is in. */
#define HERE "table_schema = DATABASE() AND table_name = 'postfwd_logins'"
#define LOCK_NAME "CONCAT('abichecker ', LEFT(DATABASE(), 50))"

const struct maria_sql maria_sql[MARIA_STATEMENTS] = {
	/* MariaDB does both in one round trip, MySQL in two. */
	[LOGIN] = { "BEGIN NOT ATOMIC " LOGIN_RECORD "; "
	    "SELECT ip_address, state_code, " SECONDS ", ROW_COUNT() "
	    LOGIN_OF_USER "; END", "ttnn", false },
	[LOGIN_PUT] = { LOGIN_RECORD, "", false },
	[LOGIN_ROWS] = { "SELECT ip_address, state_code, " SECONDS ", 0 "
	    LOGIN_OF_USER, "ttnn", false },
	[LOGIN_FORGET] = { "DELETE " LOGIN_OF_USER, "", false },
	/* The last of so many rows after a place. */
	[LOGIN_END] = { "SELECT sasl_username, ip_address FROM postfwd_logins "
	    "WHERE sasl_username >= ? AND (sasl_username > ? OR "
	    "ip_address > ?) ORDER BY sasl_username, ip_address "
	    "LIMIT 1 OFFSET ?", "tt", false },
	[LOGIN_PURGE] = { "DELETE FROM postfwd_logins "
	    "WHERE sasl_username >= ? AND sasl_username <= ? "
	    "AND (sasl_username > ? OR ip_address > ?) "
	    "AND (sasl_username < ? OR ip_address <= ?) "
	    "AND (last_login < " STAMP " OR last_login > " STAMP " OR "
	    /* What we would never have written */
	    "LOCATE(0x00, sasl_username) OR LOCATE(0x00, ip_address))", "",
	    false },
	[LOGIN_ALL] = { LOGIN_ALL_OF("postfwd_logins"), "tttnn", true },
	[LOGIN_RESTORE] = { LOGIN_RESTORE_ALL(LOGIN_ROW), "", false },
	[LOGIN_RESTORE_MANY] = { LOGIN_RESTORE_ALL(MANY(LOGIN_ROW)), "",
	    false },
	[RATE_TAKE] = { "INSERT INTO abichecker_rates (name, taken, until) "
	    "VALUES (?, 1, ?) ON DUPLICATE KEY UPDATE "
	    "taken = IF(" RATE_OVER ", 1, taken + (taken < ?)), "
	    "until = IF(" RATE_OVER ", VALUES(until), until)", "", false },
	[RATE_PURGE] = { "DELETE FROM abichecker_rates WHERE until <= ?", "",
	    false },
	[RATE_ALL] = { "SELECT name, taken, until FROM abichecker_rates",
	    "tnn", true },
	[RATE_RESTORE] = { RATE_PUT_ALL("(?, ?, ?)"), "", false },
	[RATE_RESTORE_MANY] = { RATE_PUT_ALL(MANY("(?, ?, ?)")), "", false },
	[ACCOUNT_ADD] = { "INSERT INTO abichecker_accounts (" ACCOUNT_COLUMNS
	    ") VALUES (?, ?, 0, 0, ?, ?, ?) ON DUPLICATE KEY UPDATE "
	    "command_ran = IF(" ACCOUNT_OVER ", 0, command_ran), "
	    "found_by = IF(" ACCOUNT_OVER ", VALUES(found_by), found_by), "
	    "address = IF(" ACCOUNT_OVER ", VALUES(address), address), "
	    "reason = IF(" ACCOUNT_OVER ", VALUES(reason), reason), "
	    "since = IF(" ACCOUNT_OVER ", VALUES(since), since), "
	    "released = 0", "", false },
	[ACCOUNT_FIND] = { "SELECT " ACCOUNT_COLUMNS
	    " FROM abichecker_accounts WHERE sasl_username = ?", "tnnnttt",
	    false },
	[ACCOUNT_RELEASE] = { "UPDATE abichecker_accounts SET released = ? "
	    "WHERE sasl_username = ? AND released = 0", "", false },
	[ACCOUNT_RAN] = { "UPDATE abichecker_accounts SET command_ran = 1 "
	    "WHERE sasl_username = ? AND command_ran = 0", "", false },
	[ACCOUNT_PURGE] = { "DELETE FROM abichecker_accounts "
	    "WHERE released <> 0 AND released < ?", "", false },
	[ACCOUNT_ALL] = { "SELECT " ACCOUNT_COLUMNS
	    " FROM abichecker_accounts WHERE ? = '' OR sasl_username = ? "
	    "ORDER BY sasl_username", "tnnnttt", true },
	[ACCOUNT_RESTORE] = { ACCOUNT_PUT_ALL("(?, ?, ?, ?, ?, ?, ?)"), "",
	    false },
	[ACCOUNT_RESTORE_MANY] = { ACCOUNT_PUT_ALL(MANY(
	    "(?, ?, ?, ?, ?, ?, ?)")), "", false },
	[HIT_PUT] = { HIT_PUT_ALL("(?, ?, ?, ?)"), "", false },
	[HIT_PUT_MANY] = { HIT_PUT_ALL(MANY("(?, ?, ?, ?)")), "", false },
	[HIT_ROWS] = { "SELECT block, rule, name, time FROM abichecker_hits "
	    "WHERE block IN (" MANY("?") ") AND time > ?", "tttn", false },
	[HIT_FORGET] = { "DELETE FROM abichecker_hits WHERE block IN ("
	    MANY("?") ")", "", false },
	[HIT_CLEAR] = { "DELETE FROM abichecker_hits "
	    "WHERE ? = '' OR block = ?", "", false },
	[HIT_PURGE] = { "DELETE FROM abichecker_hits WHERE time < ?", "",
	    false },
	[HIT_ALL] = { "SELECT block, rule, name, time FROM abichecker_hits "
	    "WHERE ? = '' OR block = ?", "tttn", true },
	[OFFENDER_ROWS] = { "SELECT " OFFENDER_COLUMNS
	    " FROM abichecker_offenders WHERE block IN (" MANY("?") ")",
	    "tttnnnnnn", false },
	[OFFENDER_PUT] = { OFFENDER_PUT_ALL(OFFENDER_ROW), "", false },
	[OFFENDER_PUT_MANY] = { OFFENDER_PUT_ALL(MANY(OFFENDER_ROW)), "",
	    false },
	[OFFENDER_DROP] = { "DELETE FROM abichecker_offenders WHERE block = ?",
	    "", false },
	[OFFENDER_CLEAR] = { "DELETE FROM abichecker_offenders", "", false },
	[OFFENDER_DUE] = { "SELECT 1 FROM abichecker_offenders WHERE "
	    OFFENDER_OVER " LIMIT 1", "n", false },
	[OFFENDER_EXPIRE] = { "UPDATE abichecker_offenders SET listed = 0 "
	    "WHERE " OFFENDER_OVER, "", false },
	[OFFENDER_PURGE] = { "DELETE FROM abichecker_offenders "
	    "WHERE listed = 0 AND last < ?", "", false },
	[OFFENDER_ALL] = { "SELECT " OFFENDER_COLUMNS
	    " FROM abichecker_offenders WHERE ? = '' OR block = ?",
	    "tttnnnnnn", true },
	[POSITION_GET] = { "SELECT position FROM abichecker_positions "
	    "WHERE source = ?", "t", false },
	/* moves: so that a move is a change, whatever the positions are. */
	[POSITION_FIRST] = { "INSERT INTO abichecker_positions (source, "
	    "position) VALUES (?, ?) ON DUPLICATE KEY UPDATE "
	    "moves = moves + (position = ''), "
	    "position = IF(position = '', VALUES(position), position)", "",
	    false },
	[POSITION_MOVE] = { "UPDATE abichecker_positions SET position = ?, "
	    "moves = moves + 1 WHERE source = ? AND position = ?", "", false },
	[POSITION_ALL] = { "SELECT source, position FROM abichecker_positions",
	    "tt", true },
	[POSITION_RESTORE] = { POSITION_PUT_ALL("(?, ?)"), "", false },
	[POSITION_RESTORE_MANY] = { POSITION_PUT_ALL(MANY("(?, ?)")), "",
	    false },
	[META_GET] = { "SELECT value FROM abichecker_meta WHERE name = ?", "t",
	    false },
	[META_PUT] = { "REPLACE INTO abichecker_meta (name, value) "
	    "VALUES (?, ?)", "", false },
	/* Who changes offenders begins with this: one at a time. */
	[GENERATION_LOCK] = { "INSERT INTO abichecker_meta (name, value) "
	    "VALUES ('generation', FLOOR(RAND() * 1000000000000)) "
	    "ON DUPLICATE KEY UPDATE value = value", "", false },
	[GENERATION_NEXT] = { "UPDATE abichecker_meta SET "
	    "value = CAST(value AS SIGNED) + 1 WHERE name = 'generation'", "",
	    false },
	[STATUS] = { "SELECT (SELECT value FROM abichecker_meta "
	    "WHERE name = 'schema'), "
	    "(SELECT SUM(data_length + index_length) "
	    "FROM information_schema.tables WHERE table_schema = DATABASE() "
	    "AND (table_name = 'postfwd_logins' OR "
	    "table_name LIKE 'abichecker%')), "
	    "(SELECT COUNT(*) FROM postfwd_logins), "
	    "(SELECT COUNT(*) FROM abichecker_accounts), "
	    "(SELECT COUNT(*) FROM abichecker_offenders WHERE listed = 1), "
	    "(SELECT COUNT(*) FROM abichecker_rates), "
	    "(SELECT COUNT(*) FROM abichecker_positions), "
	    "(SELECT COUNT(*) FROM abichecker_hits)", "tnnnnnnn", false },
	[LOCK_TAKE] = { "SELECT GET_LOCK(" LOCK_NAME ", ?)", "n", false },
	[LOCK_DROP] = { "SELECT RELEASE_LOCK(" LOCK_NAME ")", "n", false },
	/* Is the table there? And as we would make it? */
	[PLUGIN_LOOK] = { "SELECT (SELECT COUNT(*) "
	    "FROM information_schema.tables WHERE " HERE "), "
	    "(SELECT COUNT(*) FROM information_schema.statistics WHERE " HERE
	    " AND index_name = 'PRIMARY' AND ((column_name = 'sasl_username' "
	    "AND seq_in_index = 1) OR (column_name = 'ip_address' "
	    "AND seq_in_index = 2))) + "
	    "(SELECT COUNT(*) FROM information_schema.columns WHERE " HERE
	    " AND ((column_name IN ('sasl_username', 'ip_address') "
	    "AND data_type = 'varbinary') OR (column_name = 'last_login' "
	    "AND data_type = 'datetime')))", "nn", false },
	[PLUGIN_COUNT] = { "SELECT COUNT(*) FROM postfwd_logins", "n", false },
	[PLUGIN_ROWS] = { "SELECT sasl_username, ip_address, state_code, "
	    "COALESCE(login_count, 1), COALESCE(" SECONDS ", 0) "
	    "FROM postfwd_logins WHERE sasl_username IS NOT NULL "
	    "AND ip_address IS NOT NULL", "tttnn", true },
	[PLUGIN_PUT] = { PLUGIN_MERGE(LOGIN_ROW), "", false },
	[PLUGIN_PUT_MANY] = { PLUGIN_MERGE(MANY(LOGIN_ROW)), "", false },
	[PLUGIN_ALL] = { LOGIN_ALL_OF("abichecker_upgrade"), "tttnn", true },
};
