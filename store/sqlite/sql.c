/*
 * store_sqlite_sql - every statement of the SQLite driver, and its tables.
 */
#include "store/sqlite/sqlite.h"

const char *const sqlite_statements[STATEMENT_COUNT] = {
	[BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[LOGIN_ROWS] = "SELECT ip_address, state_code, last_login "
	    "FROM postfwd_logins WHERE sasl_username = ?1",
	[LOGIN_PUT] = "INSERT INTO postfwd_logins (sasl_username, ip_address, "
	    "state_code, login_count, last_login) VALUES (?1, ?2, ?3, 1, ?4) "
	    "ON CONFLICT (sasl_username, ip_address) DO UPDATE SET "
	    "login_count = login_count + 1, "
	    "state_code = coalesce(excluded.state_code, state_code), "
	    "last_login = max(last_login, excluded.last_login)",
	[LOGIN_FORGET] = "DELETE FROM postfwd_logins WHERE sasl_username = ?1",
	[LOGIN_SCAN] = "SELECT sasl_username, ip_address, last_login "
	    "FROM postfwd_logins WHERE (sasl_username, ip_address) > (?1, ?2) "
	    "ORDER BY sasl_username, ip_address LIMIT ?3",
	[LOGIN_DROP] = "DELETE FROM postfwd_logins "
	    "WHERE sasl_username = ?1 AND ip_address = ?2",
	[LOGIN_RESTORE] = "INSERT INTO postfwd_logins (sasl_username, "
	    "ip_address, state_code, login_count, last_login) "
	    "VALUES (?1, ?2, ?3, ?4, ?5) "
	    "ON CONFLICT (sasl_username, ip_address) DO UPDATE SET "
	    "login_count = excluded.login_count, "
	    "state_code = excluded.state_code, "
	    "last_login = excluded.last_login",
	[LOGIN_ALL] = "SELECT sasl_username, ip_address, state_code, "
	    "login_count, unixepoch(last_login) FROM postfwd_logins "
	    "WHERE sasl_username BETWEEN ?1 AND ?2 "
	    "ORDER BY sasl_username, ip_address",
	/* A period that ends too late was begun before the clock went back. */
	[RATE_TAKE] = "INSERT INTO abichecker_rates (name, taken, until) "
	    "VALUES (?1, 1, ?4 + ?3) ON CONFLICT (name) DO UPDATE SET "
	    "taken = CASE WHEN until <= ?4 OR until > ?4 + ?3 THEN 1 "
	    "ELSE taken + 1 END, "
	    "until = CASE WHEN until <= ?4 OR until > ?4 + ?3 THEN ?4 + ?3 "
	    "ELSE until END "
	    "WHERE until <= ?4 OR until > ?4 + ?3 OR taken < ?2",
	[RATE_PURGE] = "DELETE FROM abichecker_rates WHERE until <= ?1",
	[RATE_ALL] = "SELECT name, taken, until FROM abichecker_rates",
	[RATE_RESTORE] = "INSERT OR REPLACE INTO abichecker_rates "
	    "(name, taken, until) VALUES (?1, ?2, ?3)",
	[ACCOUNT_ADD] = "INSERT INTO abichecker_accounts (sasl_username, "
	    "since, released, command_ran, found_by, address, reason) "
	    "VALUES (?1, ?2, 0, 0, ?3, ?4, ?5) "
	    "ON CONFLICT (sasl_username) DO UPDATE SET "
	    "since = excluded.since, released = 0, command_ran = 0, "
	    "found_by = excluded.found_by, address = excluded.address, "
	    "reason = excluded.reason WHERE released <> 0 OR since < ?6",
	[ACCOUNT_FIND] = "SELECT sasl_username, since, released, command_ran, "
	    "found_by, address, reason FROM abichecker_accounts "
	    "WHERE sasl_username = ?1",
	[ACCOUNT_RELEASE] = "UPDATE abichecker_accounts SET released = ?2 "
	    "WHERE sasl_username = ?1 AND released = 0",
	[ACCOUNT_RAN] = "UPDATE abichecker_accounts SET command_ran = 1 "
	    "WHERE sasl_username = ?1 AND command_ran = 0",
	[ACCOUNT_PURGE] = "DELETE FROM abichecker_accounts "
	    "WHERE released <> 0 AND released < ?1",
	[ACCOUNT_ALL] = "SELECT sasl_username, since, released, command_ran, "
	    "found_by, address, reason FROM abichecker_accounts "
	    "WHERE sasl_username BETWEEN ?1 AND ?2 ORDER BY sasl_username",
	[ACCOUNT_RESTORE] = "INSERT OR REPLACE INTO abichecker_accounts "
	    "(sasl_username, since, released, command_ran, found_by, address, "
	    "reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[HIT_PUT] = "INSERT INTO abichecker_hits (block, rule, name, time) "
	    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (block, rule, name) "
	    "DO UPDATE SET time = max(time, excluded.time)",
	/* One block, or with "" and RANGE_END all: by the key in both cases. */
	[HIT_FORGET] = "DELETE FROM abichecker_hits "
	    "WHERE block BETWEEN ?1 AND ?2",
	[HIT_PURGE] = "DELETE FROM abichecker_hits WHERE time < ?1",
	[HIT_ALL] = "SELECT block, rule, name, time FROM abichecker_hits "
	    "WHERE block BETWEEN ?1 AND ?2",
	[OFFENDER_FIND] = "SELECT block, rule, note, hits, times, since, last, "
	    "expires, listed FROM abichecker_offenders WHERE block = ?1",
	[OFFENDER_PUT] = "INSERT OR REPLACE INTO abichecker_offenders (block, "
	    "rule, note, hits, times, since, last, expires, listed) "
	    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[OFFENDER_DROP] = "DELETE FROM abichecker_offenders "
	    "WHERE block BETWEEN ?1 AND ?2",
	[OFFENDER_EXPIRE] = "UPDATE abichecker_offenders SET listed = 0 "
	    "WHERE listed AND expires <> 0 AND expires <= ?1",
	[OFFENDER_PURGE] = "DELETE FROM abichecker_offenders "
	    "WHERE NOT listed AND last < ?1",
	[OFFENDER_ALL] = "SELECT block, rule, note, hits, times, since, last, "
	    "expires, listed FROM abichecker_offenders "
	    "WHERE block BETWEEN ?1 AND ?2",
	[POSITION_GET] = "SELECT position FROM abichecker_positions "
	    "WHERE source = ?1",
	[POSITION_PUT] = "INSERT OR REPLACE INTO abichecker_positions "
	    "(source, position) VALUES (?1, ?2)",
	[POSITION_ALL] = "SELECT source, position FROM abichecker_positions",
	[META_GET] = "SELECT value FROM abichecker_meta WHERE name = ?1",
	[META_PUT] = "INSERT OR REPLACE INTO abichecker_meta (name, value) "
	    "VALUES (?1, ?2)",
	/* Begins anywhere: a new database's lists are not an old one's. */
	[GENERATION_NEXT] = "INSERT INTO abichecker_meta (name, value) "
	    "VALUES ('generation', abs(random() % 1000000000000) + 1) "
	    "ON CONFLICT (name) DO UPDATE SET "
	    "value = CAST(value AS INTEGER) + 1",
};

const char *const sqlite_migrations[STORE_SCHEMA] = {
	"CREATE TABLE postfwd_logins ("
	" sasl_username VARCHAR(100) NOT NULL,"
	" ip_address VARCHAR(45) NOT NULL,"
	" state_code VARCHAR(4),"
	" login_count INTEGER NOT NULL,"
	" last_login TIMESTAMP NOT NULL," /* UTC */
	" PRIMARY KEY (sasl_username, ip_address)) WITHOUT ROWID;"
	"CREATE TABLE abichecker_rates (name TEXT PRIMARY KEY NOT NULL,"
	" taken INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_accounts ("
	" sasl_username VARCHAR(100) PRIMARY KEY NOT NULL,"
	" since INTEGER NOT NULL, released INTEGER NOT NULL,"
	" command_ran INTEGER NOT NULL, found_by TEXT NOT NULL,"
	" address TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_hits (block TEXT NOT NULL,"
	" rule TEXT NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL,"
	" PRIMARY KEY (block, rule, name)) WITHOUT ROWID;"
	"CREATE TABLE abichecker_offenders (block TEXT PRIMARY KEY NOT NULL,"
	" rule TEXT NOT NULL, note TEXT NOT NULL, hits INTEGER NOT NULL,"
	" times INTEGER NOT NULL, since INTEGER NOT NULL,"
	" last INTEGER NOT NULL, expires INTEGER NOT NULL,"
	" listed INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_positions (source TEXT PRIMARY KEY NOT NULL,"
	" position TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE abichecker_meta (name TEXT PRIMARY KEY NOT NULL,"
	" value TEXT NOT NULL) WITHOUT ROWID;",
};

const char sqlite_plugin_look[] =
    "SELECT count(*) FROM pragma_table_info('postfwd_logins') WHERE name IN "
    "('sasl_username', 'ip_address', 'state_code', 'login_count', "
    "'last_login')";

/*
 * Several rows of a user and address become one, with all their logins, the
 * latest time and the country known last: the greatest of the texts in which
 * it stands after the time. Users are folded as store_user() does it. A column
 * may hold what it is not for; what has a NUL inside is no name.
 */
const char sqlite_plugin_merge[] =
    "CREATE TEMP TABLE postfwd_logins AS "
    "SELECT trim(lower(user), char(9, 10, 13, 32)) AS sasl_username, "
    "address AS ip_address, nullif(substr(max(CASE WHEN country <> '' "
    "THEN stamp || country ELSE '' END), 20), '') AS state_code, "
    "coalesce(CAST(total(logins) AS INTEGER), 1) AS login_count, "
    "max(stamp) AS last_login FROM ("
    "SELECT CAST(sasl_username AS TEXT) AS user, "
    "CAST(ip_address AS TEXT) AS address, "
    "CAST(state_code AS TEXT) AS country, coalesce(login_count, 1) AS logins, "
    "coalesce(datetime(last_login), '1970-01-01 00:00:00') AS stamp "
    "FROM main.postfwd_logins "
    "WHERE sasl_username IS NOT NULL AND ip_address IS NOT NULL) "
    "WHERE instr(user, char(0)) = 0 AND instr(address, char(0)) = 0 "
    "GROUP BY 1, 2";

const char sqlite_plugin_drop[] = "DROP TABLE main.postfwd_logins";
const char sqlite_plugin_keep[] =
    "INSERT INTO main.postfwd_logins SELECT * FROM temp.postfwd_logins; "
    "DROP TABLE temp.postfwd_logins";
