-- The tables in an SQLite file, and those of the postfwd plugin.

-- Step N makes version N of the schema of version N - 1.
-- name: schema_1
CREATE TABLE postfwd_logins (
    sasl_username VARCHAR(100) NOT NULL,
    ip_address VARCHAR(45) NOT NULL,
    state_code VARCHAR(4),
    login_count INTEGER NOT NULL,
    last_login TIMESTAMP NOT NULL,
    PRIMARY KEY (sasl_username, ip_address)) WITHOUT ROWID;
CREATE TABLE abichecker_rates (name TEXT PRIMARY KEY NOT NULL,
    taken INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE abichecker_accounts (
    sasl_username VARCHAR(100) PRIMARY KEY NOT NULL,
    since INTEGER NOT NULL, released INTEGER NOT NULL,
    command_ran INTEGER NOT NULL, found_by TEXT NOT NULL,
    address TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE abichecker_hits (block TEXT NOT NULL,
    rule TEXT NOT NULL, name TEXT NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (block, rule, name)) WITHOUT ROWID;
CREATE TABLE abichecker_offenders (block TEXT PRIMARY KEY NOT NULL,
    rule TEXT NOT NULL, note TEXT NOT NULL, hits INTEGER NOT NULL,
    times INTEGER NOT NULL, since INTEGER NOT NULL,
    last INTEGER NOT NULL, expires INTEGER NOT NULL,
    listed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE abichecker_positions (source TEXT PRIMARY KEY NOT NULL,
    position TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE abichecker_meta (name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL) WITHOUT ROWID

-- A view or trigger could compute for ever.
-- name: schema_odd
SELECT count(*) FROM sqlite_schema
WHERE type = 'trigger' OR (type = 'view'
    AND (name LIKE 'postfwd_logins' OR name LIKE 'abichecker%'))

-- Is there a table of logins as the postfwd plugin made it? 5: it is.
-- name: plugin_look
SELECT count(*) FROM pragma_table_info('postfwd_logins')
WHERE name IN ('sasl_username', 'ip_address', 'state_code', 'login_count',
    'last_login')

-- name: plugin_count
SELECT count(*) FROM postfwd_logins

-- Puts its rows in our form beside it, in a table that others do not see and
-- that has its name here. Several rows of a user and address become one, with
-- all their logins, the latest time and the country known last: the greatest of
-- the texts in which it stands after the time. Users are folded as store_user()
-- does it. A column may hold what it is not for; what has a NUL inside is no
-- name.
-- name: plugin_merge
CREATE TEMP TABLE postfwd_logins AS
SELECT trim(lower(user), char(9, 10, 13, 32)) AS sasl_username,
    address AS ip_address,
    nullif(substr(max(CASE WHEN country <> ''
        THEN stamp || country ELSE '' END), 20), '') AS state_code,
    coalesce(CAST(total(logins) AS INTEGER), 1) AS login_count,
    max(stamp) AS last_login
FROM (SELECT CAST(sasl_username AS TEXT) AS user,
        CAST(ip_address AS TEXT) AS address,
        CAST(state_code AS TEXT) AS country,
        coalesce(login_count, 1) AS logins,
        coalesce(datetime(last_login), '1970-01-01 00:00:00') AS stamp
    FROM main.postfwd_logins
    WHERE sasl_username IS NOT NULL AND ip_address IS NOT NULL)
WHERE instr(user, char(0)) = 0 AND instr(address, char(0)) = 0
GROUP BY 1, 2

-- name: plugin_drop
DROP TABLE main.postfwd_logins

-- After the schema was made: into our table.
-- name: plugin_keep
INSERT INTO main.postfwd_logins SELECT * FROM temp.postfwd_logins;
DROP TABLE temp.postfwd_logins
