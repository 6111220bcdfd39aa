-- The tables in MySQL and MariaDB, and those of the postfwd plugin. Each step
-- may have been done already.

-- name: lock_take
SELECT GET_LOCK(CONCAT('abichecker ', LEFT(DATABASE(), 50)), $1)

-- name: lock_drop
SELECT RELEASE_LOCK(CONCAT('abichecker ', LEFT(DATABASE(), 50)))

-- name: version_put
REPLACE INTO abichecker_meta (name, value) VALUES ('schema', $1)

-- Step N makes version N of the schema of version N - 1.
-- name: schema_1
CREATE TABLE IF NOT EXISTS abichecker_meta (
    name VARBINARY(64) NOT NULL PRIMARY KEY,
    value VARBINARY(255) NOT NULL) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS postfwd_logins (
    sasl_username VARBINARY(100) NOT NULL, ip_address VARBINARY(45) NOT NULL,
    state_code VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin,
    login_count BIGINT NOT NULL, last_login DATETIME NOT NULL,
    PRIMARY KEY (sasl_username, ip_address)) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS abichecker_rates (
    name VARBINARY(255) NOT NULL PRIMARY KEY, taken BIGINT NOT NULL,
    until BIGINT NOT NULL, KEY (until)) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS abichecker_accounts (
    sasl_username VARBINARY(100) NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL, released BIGINT NOT NULL,
    command_ran TINYINT NOT NULL, found_by VARBINARY(31) NOT NULL,
    address VARBINARY(45) NOT NULL, reason VARBINARY(255) NOT NULL)
    ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS abichecker_hits (
    block VARBINARY(49) NOT NULL, rule VARBINARY(31) NOT NULL,
    name VARBINARY(255) NOT NULL, time BIGINT NOT NULL,
    PRIMARY KEY (block, rule, name), KEY (time)) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS abichecker_offenders (
    block VARBINARY(49) NOT NULL PRIMARY KEY,
    rule VARBINARY(31) NOT NULL, note VARBINARY(255) NOT NULL,
    hits BIGINT NOT NULL, times BIGINT NOT NULL, since BIGINT NOT NULL,
    last BIGINT NOT NULL, expires BIGINT NOT NULL,
    listed TINYINT NOT NULL, KEY (listed, expires)) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS abichecker_positions (
    source VARBINARY(255) NOT NULL PRIMARY KEY,
    position VARBINARY(255) NOT NULL, moves BIGINT NOT NULL DEFAULT 0)
    ENGINE=InnoDB;
-- It has done its work.
DROP TABLE IF EXISTS abichecker_upgrade

-- Is the plugin's table there? And how much of it, of two columns of the key
-- and three types, is as we would make it?
-- name: plugin_look
SELECT (SELECT COUNT(*) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'postfwd_logins'),
    (SELECT COUNT(*) FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = 'postfwd_logins'
        AND index_name = 'PRIMARY' AND (
            (column_name = 'sasl_username' AND seq_in_index = 1)
            OR (column_name = 'ip_address' AND seq_in_index = 2)))
    + (SELECT COUNT(*) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = 'postfwd_logins'
        AND ((column_name IN ('sasl_username', 'ip_address')
                AND data_type = 'varbinary')
            OR (column_name = 'last_login' AND data_type = 'datetime')))

-- name: plugin_count
SELECT COUNT(*) FROM postfwd_logins

-- name: plugin_rows
SELECT sasl_username, ip_address, state_code, COALESCE(login_count, 1),
    COALESCE(last_login, '1970-01-01 00:00:00')
FROM postfwd_logins
WHERE sasl_username IS NOT NULL AND ip_address IS NOT NULL

-- Its texts to UTF-8, so that bytes stay what they are from here on, and to an
-- engine with transactions.
-- name: plugin_begin
CREATE TABLE IF NOT EXISTS abichecker_upgrade (
    sasl_username VARBINARY(100) NOT NULL, ip_address VARBINARY(45) NOT NULL,
    state_code VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin,
    login_count BIGINT NOT NULL, last_login DATETIME NOT NULL,
    PRIMARY KEY (sasl_username, ip_address)) ENGINE=InnoDB;
SET autocommit = 0/*M!100101 , @limit = @@max_statement_time,
    max_statement_time = 600 */;
LOCK TABLES postfwd_logins WRITE, abichecker_upgrade WRITE;
ALTER TABLE postfwd_logins
    MODIFY sasl_username VARCHAR(100) CHARACTER SET utf8mb4,
    MODIFY ip_address VARCHAR(45) CHARACTER SET utf8mb4,
    MODIFY state_code VARCHAR(4) CHARACTER SET utf8mb4,
    MODIFY last_login DATETIME NULL, ENGINE=InnoDB;
DELETE FROM abichecker_upgrade

-- name: plugin_end
DELETE FROM postfwd_logins;
INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, login_count,
    last_login)
SELECT sasl_username, ip_address, state_code, login_count, last_login
FROM abichecker_upgrade;
COMMIT;
ALTER TABLE postfwd_logins MODIFY sasl_username VARBINARY(100) NOT NULL,
    MODIFY ip_address VARBINARY(45) NOT NULL,
    MODIFY login_count BIGINT NOT NULL, MODIFY last_login DATETIME NOT NULL,
    ADD PRIMARY KEY (sasl_username, ip_address);
UNLOCK TABLES;
SET autocommit = 1/*M!100101 , max_statement_time = @limit */

-- For who may only read: for us alone, in the end under the table's own name.
-- name: plugin_read
CREATE TEMPORARY TABLE abichecker_upgrade (
    sasl_username VARBINARY(100) NOT NULL, ip_address VARBINARY(45) NOT NULL,
    state_code VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin,
    login_count BIGINT NOT NULL, last_login DATETIME NOT NULL,
    PRIMARY KEY (sasl_username, ip_address)) ENGINE=InnoDB

-- name: plugin_hide
CREATE TEMPORARY TABLE postfwd_logins LIKE abichecker_upgrade;
INSERT INTO postfwd_logins SELECT * FROM abichecker_upgrade;
DROP TEMPORARY TABLE abichecker_upgrade
