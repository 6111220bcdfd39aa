-- Accounts on the list.

-- 6: one from before that is over. Nothing changes if it is on the list.
-- name: account_add
INSERT INTO abichecker_accounts (sasl_username, since, released, command_ran,
    found_by, address, reason)
VALUES ($1, $2, 0, FALSE, $3, $4, $5)
ON CONFLICT (sasl_username) DO UPDATE SET
    since = excluded.since, released = 0, command_ran = FALSE,
    found_by = excluded.found_by, address = excluded.address,
    reason = excluded.reason
WHERE abichecker_accounts.released <> 0 OR abichecker_accounts.since < $6
-- From left to right: what the condition is about comes last.
-- mysql
INSERT INTO abichecker_accounts (sasl_username, since, released, command_ran,
    found_by, address, reason)
VALUES ($1, $2, 0, FALSE, $3, $4, $5)
ON DUPLICATE KEY UPDATE
    command_ran = IF(released <> 0 OR since < $6, 0, command_ran),
    found_by = IF(released <> 0 OR since < $6, VALUES(found_by), found_by),
    address = IF(released <> 0 OR since < $6, VALUES(address), address),
    reason = IF(released <> 0 OR since < $6, VALUES(reason), reason),
    since = IF(released <> 0 OR since < $6, VALUES(since), since),
    released = 0

-- name: account_find
SELECT sasl_username, since, released, command_ran, found_by, address, reason
FROM abichecker_accounts WHERE sasl_username = $1

-- name: account_all
SELECT sasl_username, since, released, command_ran, found_by, address, reason
FROM abichecker_accounts WHERE sasl_username > $1
ORDER BY sasl_username LIMIT $2

-- name: account_release
UPDATE abichecker_accounts SET released = $2
WHERE sasl_username = $1 AND released = 0

-- name: account_ran
UPDATE abichecker_accounts SET command_ran = TRUE
WHERE sasl_username = $1 AND command_ran = FALSE

-- name: account_restore
INSERT INTO abichecker_accounts (sasl_username, since, released, command_ran,
    found_by, address, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (sasl_username) DO UPDATE SET
    since = excluded.since, released = excluded.released,
    command_ran = excluded.command_ran, found_by = excluded.found_by,
    address = excluded.address, reason = excluded.reason

-- name: account_purge
DELETE FROM abichecker_accounts WHERE released <> 0 AND released < $1
