-- Hits, offenders, positions in logs, and the store as a whole. What may change
-- very many rows has a limit: a server gives up a statement that takes long.

-- Whoever changes offenders is the only one: the row stays locked until the
-- end of the transaction. (In SQLite the whole file is.)
-- name: list_lock
INSERT INTO abichecker_meta (name, value) VALUES ('generation', $1)
ON CONFLICT (name) DO UPDATE SET value = abichecker_meta.value
-- pgsql
SELECT pg_advisory_xact_lock(7018395124519034211)
-- On a Galera cluster a lock is of one node only: of two transactions at once
-- that change the same row, though, one is undone, and tries again.
-- mysql
INSERT INTO abichecker_meta (name, value) VALUES ('generation', $1), ('turn', 0)
ON DUPLICATE KEY UPDATE
    value = IF(name = 'turn', CAST(value AS DECIMAL(18)) + 1, value)

-- Begins anywhere: a new database's lists are not an old one's.
-- name: generation_next
INSERT INTO abichecker_meta (name, value) VALUES ('generation', $1)
ON CONFLICT (name) DO UPDATE SET
    value = CAST(abichecker_meta.value AS DECIMAL(18)) + 1

-- name: meta_get
SELECT value FROM abichecker_meta WHERE name = $1

-- name: hit_restore
INSERT INTO abichecker_hits (block, rule, name, time) VALUES ($1, $2, $3, $4)
ON CONFLICT (block, rule, name) DO UPDATE SET
    time = CASE WHEN excluded.time > abichecker_hits.time THEN excluded.time
        ELSE abichecker_hits.time END

-- name: hit_all
SELECT block, rule, name, time FROM abichecker_hits
WHERE block >= $1
    AND (block > $1 OR rule > $2 OR (rule = $2 AND name > $3))
ORDER BY block, rule, name LIMIT $4

-- name: hit_of
SELECT block, rule, name, time FROM abichecker_hits WHERE block = $1

-- Of some blocks, if they may still count.
-- name: hit_in
SELECT block, rule, name, time FROM abichecker_hits
WHERE block IN ($1) AND time > $2

-- name: hit_forget
DELETE FROM abichecker_hits WHERE block IN ($1)

-- name: hit_clear
DELETE FROM abichecker_hits

-- name: hit_purge
DELETE FROM abichecker_hits WHERE (block, rule, name) IN (
    SELECT block, rule, name FROM abichecker_hits WHERE time < $1 LIMIT $2)
-- mysql
DELETE FROM abichecker_hits WHERE time < $1 LIMIT $2

-- name: offender_restore
INSERT INTO abichecker_offenders (block, rule, note, hits, times, since, last,
    expires, listed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (block) DO UPDATE SET
    rule = excluded.rule, note = excluded.note, hits = excluded.hits,
    times = excluded.times, since = excluded.since, last = excluded.last,
    expires = excluded.expires, listed = excluded.listed

-- name: offender_all
SELECT block, rule, note, hits, times, since, last, expires, listed
FROM abichecker_offenders WHERE block > $1 ORDER BY block LIMIT $2

-- name: offender_in
SELECT block, rule, note, hits, times, since, last, expires, listed
FROM abichecker_offenders WHERE block IN ($1)

-- name: offender_forget
DELETE FROM abichecker_offenders WHERE block IN ($1)

-- name: offender_clear
DELETE FROM abichecker_offenders

-- Mostly there are none, and then nobody needs a lock.
-- name: offender_due
SELECT block FROM abichecker_offenders
WHERE listed = TRUE AND expires <> 0 AND expires <= $1 LIMIT 1

-- name: offender_expire
UPDATE abichecker_offenders SET listed = FALSE WHERE block IN (
    SELECT block FROM abichecker_offenders
    WHERE listed = TRUE AND expires <> 0 AND expires <= $1 LIMIT $2)
-- mysql
UPDATE abichecker_offenders SET listed = FALSE
WHERE listed = TRUE AND expires <> 0 AND expires <= $1 LIMIT $2

-- name: offender_purge
DELETE FROM abichecker_offenders WHERE block IN (
    SELECT block FROM abichecker_offenders
    WHERE listed = FALSE AND last < $1 LIMIT $2)
-- mysql
DELETE FROM abichecker_offenders WHERE listed = FALSE AND last < $1 LIMIT $2

-- name: position_get
SELECT position FROM abichecker_positions WHERE source = $1

-- name: position_restore
INSERT INTO abichecker_positions (source, position) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET position = excluded.position

-- name: position_all
SELECT source, position FROM abichecker_positions
WHERE source > $1 ORDER BY source LIMIT $2

-- In the order of enum store_kind.
-- name: status
SELECT (SELECT count(*) FROM postfwd_logins),
    (SELECT count(*) FROM abichecker_accounts),
    (SELECT count(*) FROM abichecker_offenders WHERE listed = TRUE),
    (SELECT count(*) FROM abichecker_rates),
    (SELECT count(*) FROM abichecker_positions),
    (SELECT count(*) FROM abichecker_hits)

-- name: bytes
SELECT page_count * page_size FROM pragma_page_count, pragma_page_size
-- pgsql
SELECT sum(pg_total_relation_size(c.name::regclass))
FROM unnest(ARRAY['postfwd_logins', 'abichecker_accounts',
    'abichecker_offenders', 'abichecker_rates', 'abichecker_positions',
    'abichecker_hits', 'abichecker_meta']) AS c (name)
-- mysql
SELECT SUM(data_length + index_length) FROM information_schema.tables
WHERE table_schema = DATABASE()
    AND (table_name = 'postfwd_logins' OR table_name LIKE 'abichecker%')
