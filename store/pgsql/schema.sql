-- The tables in PostgreSQL, and those of the postfwd plugin. Times are seconds
-- since the epoch, but those of logins: UTC.

-- Are our tables there, and has the one of logins its unique key? Which of its
-- columns are too narrow, if it can be altered? What is blank-padded is of no
-- use either. 4: PostgreSQL adds a header.
-- name: shape
SELECT to_regclass('abichecker_meta') IS NOT NULL,
    to_regclass('postfwd_logins') IS NOT NULL,
    EXISTS (SELECT 1 FROM pg_index i
        WHERE i.indrelid = to_regclass('postfwd_logins')
        AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
        AND i.indnkeyatts = 2 AND (SELECT count(*) FROM pg_attribute a
            WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            AND a.attname IN ('sasl_username', 'ip_address')) = 2),
    (SELECT string_agg(w.n, '')
        FROM (VALUES ('1', 'sasl_username', 100), ('2', 'ip_address', 45),
            ('3', 'state_code', 4), ('4', 'login_count', 0))
            AS w (n, name, size)
        JOIN pg_attribute a ON a.attname = w.name
            AND a.attrelid = to_regclass('postfwd_logins')
        WHERE (a.atttypid IN ('bpchar'::regtype, 'smallint'::regtype)
            OR (a.atttypid = 'varchar'::regtype AND a.atttypmod >= 0
                AND a.atttypmod < w.size + 4))
        AND current_setting('transaction_read_only') = 'off'
        AND EXISTS (SELECT 1 FROM pg_class c
            WHERE c.oid = a.attrelid AND pg_has_role(c.relowner, 'USAGE'))
        AND NOT EXISTS (SELECT 1 FROM pg_depend d
            WHERE d.refclassid = 'pg_class'::regclass
            AND d.refobjid = a.attrelid
            AND d.classid = 'pg_rewrite'::regclass))

-- name: schema_version
SELECT value FROM abichecker_meta WHERE name = 'schema'

-- name: widen_1
ALTER TABLE postfwd_logins ALTER sasl_username TYPE varchar(100)
-- name: widen_2
ALTER TABLE postfwd_logins ALTER ip_address TYPE varchar(45)
-- name: widen_3
ALTER TABLE postfwd_logins ALTER state_code TYPE varchar(4)
-- name: widen_4
ALTER TABLE postfwd_logins ALTER login_count TYPE integer

-- Step N makes version N of the schema of version N - 1.
-- name: schema_1
CREATE TABLE IF NOT EXISTS postfwd_logins (
    sasl_username varchar(100) NOT NULL, ip_address varchar(45) NOT NULL,
    state_code varchar(4), login_count integer NOT NULL,
    last_login timestamp NOT NULL,
    PRIMARY KEY (sasl_username, ip_address)) WITH (fillfactor = 80);
CREATE TABLE IF NOT EXISTS abichecker_rates (
    name text COLLATE "C" PRIMARY KEY, taken bigint NOT NULL,
    until bigint NOT NULL) WITH (fillfactor = 80);
CREATE TABLE IF NOT EXISTS abichecker_accounts (
    sasl_username varchar(100) PRIMARY KEY, since bigint NOT NULL,
    released bigint NOT NULL, command_ran boolean NOT NULL,
    found_by text NOT NULL, address text NOT NULL, reason text NOT NULL);
CREATE TABLE IF NOT EXISTS abichecker_hits (
    block text COLLATE "C", rule text COLLATE "C", name text COLLATE "C",
    time bigint NOT NULL, PRIMARY KEY (block, rule, name));
CREATE TABLE IF NOT EXISTS abichecker_offenders (
    block text COLLATE "C" PRIMARY KEY, rule text NOT NULL,
    note text NOT NULL, hits bigint NOT NULL, times bigint NOT NULL,
    since bigint NOT NULL, last bigint NOT NULL, expires bigint NOT NULL,
    listed boolean NOT NULL);
CREATE TABLE IF NOT EXISTS abichecker_positions (
    source text COLLATE "C" PRIMARY KEY, position text NOT NULL);
CREATE TABLE IF NOT EXISTS abichecker_meta (
    name text COLLATE "C" PRIMARY KEY, value text NOT NULL)

-- A table of logins as the postfwd plugin made it has no key, and several rows
-- of a user and address: they become one, with all their logins, the latest
-- time and the country known last. Users are folded as store_user() does it.
-- name: plugin_upgrade
LOCK TABLE postfwd_logins IN ACCESS EXCLUSIVE MODE;
WITH gone AS (DELETE FROM postfwd_logins RETURNING sasl_username, ip_address,
    state_code, login_count, last_login)
INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, login_count,
    last_login)
SELECT btrim(translate(sasl_username, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
        'abcdefghijklmnopqrstuvwxyz'), E' \t\r\n'),
    ip_address, (array_agg(state_code ORDER BY last_login DESC NULLS LAST)
        FILTER (WHERE state_code <> ''))[1],
    least(sum(coalesce(login_count, 1)), 2147483647),
    coalesce(max(last_login), 'epoch')
FROM gone WHERE sasl_username IS NOT NULL AND ip_address IS NOT NULL
GROUP BY 1, 2;
ALTER TABLE postfwd_logins ALTER sasl_username SET NOT NULL,
    ALTER ip_address SET NOT NULL, ALTER login_count SET NOT NULL,
    ALTER last_login SET NOT NULL;
CREATE UNIQUE INDEX ON postfwd_logins (sasl_username, ip_address)

-- The same for who may only read: a table that has the name for us alone. The
-- transaction stays open, so that nothing of it is left to others by a pooler.
-- name: plugin_read
BEGIN;
SET LOCAL idle_in_transaction_session_timeout = 0;
CREATE TEMPORARY TABLE postfwd_logins ON COMMIT DROP AS
SELECT btrim(translate(sasl_username, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
        'abcdefghijklmnopqrstuvwxyz'), E' \t\r\n') AS sasl_username,
    ip_address, (array_agg(state_code ORDER BY last_login DESC NULLS LAST)
        FILTER (WHERE state_code <> ''))[1] AS state_code,
    least(sum(coalesce(login_count, 1)), 2147483647) AS login_count,
    coalesce(max(last_login), 'epoch') AS last_login
FROM postfwd_logins WHERE sasl_username IS NOT NULL AND ip_address IS NOT NULL
GROUP BY 1, 2;
CREATE INDEX ON pg_temp.postfwd_logins (sasl_username, ip_address)

-- Has somebody one of the filter's tables for himself, or waits for that and
-- keeps others from it: DDL, a backup, LOCK TABLE?
-- name: tables_held
SELECT EXISTS (SELECT 1 FROM pg_locks l
    WHERE l.locktype = 'relation' AND l.database = (SELECT oid
        FROM pg_database WHERE datname = current_database())
    AND l.relation IN (to_regclass('postfwd_logins')::oid,
        to_regclass('abichecker_accounts')::oid,
        to_regclass('abichecker_rates')::oid)
    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock',
        'ExclusiveLock', 'AccessExclusiveLock'))
