-- Logins and rates. Times of logins are YYYY-MM-DD HH:MM:SS in UTC, as people
-- query them; all others are seconds since the epoch.

-- name: login_put
INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, login_count,
    last_login)
VALUES ($1, $2, $3, 1, $4)
ON CONFLICT (sasl_username, ip_address) DO UPDATE SET
    login_count = CASE WHEN postfwd_logins.login_count < 2147483647
        THEN postfwd_logins.login_count + 1
        ELSE postfwd_logins.login_count END,
    state_code = coalesce(excluded.state_code, postfwd_logins.state_code),
    last_login = CASE WHEN excluded.last_login > postfwd_logins.last_login
        THEN excluded.last_login ELSE postfwd_logins.last_login END

-- The user's logins, at most two rows a country: those of this block, and of
-- all others. The latest one's time and block are one text; after the number of
-- those within the window comes that of these.
-- name: login_count
SELECT state_code, CASE WHEN ip_address = $2 THEN 1 ELSE 0 END AS own,
    max(CAST(last_login AS CHAR(19)) || ip_address),
    sum(CASE WHEN last_login > $3 THEN 1 ELSE 0 END),
    max(CASE WHEN last_login > $3
        THEN CAST(last_login AS CHAR(19)) || ip_address ELSE '' END)
FROM postfwd_logins WHERE sasl_username = $1 GROUP BY state_code, own
-- Within the process it is quicker to count the rows than to have them counted.
-- sqlite
SELECT state_code, ip_address, last_login, NULL, NULL
FROM postfwd_logins WHERE sasl_username = $1

-- name: login_forget
DELETE FROM postfwd_logins WHERE sasl_username = $1

-- name: login_restore
INSERT INTO postfwd_logins (sasl_username, ip_address, state_code, login_count,
    last_login)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (sasl_username, ip_address) DO UPDATE SET
    state_code = excluded.state_code, login_count = excluded.login_count,
    last_login = excluded.last_login

-- Of the postfwd plugin's, in MySQL: the newest one's country, unless that is
-- not known.
-- name: login_merge
-- mysql
INSERT INTO abichecker_upgrade (sasl_username, ip_address, state_code,
    login_count, last_login)
VALUES ($1, $2, $3, $4, $5)
ON DUPLICATE KEY UPDATE
    login_count = login_count + VALUES(login_count),
    state_code = IF(VALUES(last_login) >= last_login,
        COALESCE(VALUES(state_code), state_code),
        COALESCE(state_code, VALUES(state_code))),
    last_login = GREATEST(last_login, VALUES(last_login))

-- A page of all, after a key.
-- name: login_all
SELECT sasl_username, ip_address, state_code, login_count, last_login
FROM postfwd_logins
WHERE sasl_username >= $1 AND (sasl_username > $1 OR ip_address > $2)
ORDER BY sasl_username, ip_address LIMIT $3

-- name: login_of
SELECT sasl_username, ip_address, state_code, login_count, last_login
FROM postfwd_logins WHERE sasl_username = $1 ORDER BY ip_address

-- The last one of so many after a key.
-- name: login_end
SELECT sasl_username, ip_address FROM (
    SELECT sasl_username, ip_address FROM postfwd_logins
    WHERE sasl_username >= $1 AND (sasl_username > $1 OR ip_address > $2)
    ORDER BY sasl_username, ip_address LIMIT $3) AS page
ORDER BY sasl_username DESC, ip_address DESC LIMIT 1

-- Those up to that one that are not of the time from $5 to $6, and what we
-- would never have written.
-- name: login_purge
DELETE FROM postfwd_logins
WHERE sasl_username >= $1 AND (sasl_username > $1 OR ip_address > $2)
    AND sasl_username <= $3 AND (sasl_username < $3 OR ip_address <= $4)
    AND (last_login < $5 OR last_login > $6 OR length(sasl_username) > 100
        OR length(ip_address) > 45)

-- 1 name, 2 limit, 3 now, 4 end of a period that begins now. One that ends
-- later was begun before the clock was set back.
-- name: rate_take
INSERT INTO abichecker_rates (name, taken, until) VALUES ($1, 1, $4)
ON CONFLICT (name) DO UPDATE SET
    taken = CASE WHEN abichecker_rates.until <= $3
        OR abichecker_rates.until > $4 THEN 1
        ELSE abichecker_rates.taken + 1 END,
    until = CASE WHEN abichecker_rates.until <= $3
        OR abichecker_rates.until > $4 THEN excluded.until
        ELSE abichecker_rates.until END
WHERE abichecker_rates.until <= $3 OR abichecker_rates.until > $4
    OR abichecker_rates.taken < $2
-- What stays as it was is not changed. From left to right.
-- mysql
INSERT INTO abichecker_rates (name, taken, until) VALUES ($1, 1, $4)
ON DUPLICATE KEY UPDATE
    taken = IF(until <= $3 OR until > $4, 1, taken + (taken < $2)),
    until = IF(until <= $3 OR until > $4, VALUES(until), until)

-- name: rate_purge
DELETE FROM abichecker_rates WHERE until <= $1
