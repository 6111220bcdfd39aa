/*
 * store_pgsql_sql - the statements of the PostgreSQL driver.
 *
 * Each operation is one of them, or a row of them in one transaction. All that
 * a statement changes and returns is as of one moment: what a part of it reads
 * is the state before the other parts have changed something.
 */
#include "store/pgsql/pgsql.h"

/* A time of our callers as the logins have it: without zone, UTC. */
#define STAMP(n) "(to_timestamp($" #n "::bigint) AT TIME ZONE 'UTC')"
#define EPOCH(column) "floor(extract(epoch FROM " column "))::bigint"

/* The rows after a key, a page at a time: $1 one's own or '', then the key. */
#define PAGE(n) " LIMIT $" #n "::bigint"

#define ACCOUNT "sasl_username, since, released, command_ran, found_by, " \
    "address, reason"
#define OFFENDER "block, rule, note, hits, times, since, last, expires, listed"

/* Is the row of a hit on the list when the hit comes? $4: its time. */
#define ON_LIST "(o.listed AND (o.expires = 0 OR o.expires > $4::bigint))"

/* All of an offender. */
#define OFFENDER_SET                                                          \
	"rule = excluded.rule, note = excluded.note, hits = excluded.hits, "  \
	"times = excluded.times, since = excluded.since, "                    \
	"last = excluded.last, expires = excluded.expires, "                  \
	"listed = excluded.listed"

/* The list has changed. A new database begins anywhere: see store_sqlite.c. */
#define GENERATION_NEXT(condition)                                            \
	"INSERT INTO abichecker_meta AS m (name, value) "                     \
	"SELECT 'generation', ((random() * 1e12)::bigint + 1)::text "         \
	"WHERE " condition " "                                                \
	"ON CONFLICT (name) DO UPDATE SET "                                   \
	"value = (m.value::bigint + 1)::text"

/* Has the table of logins a column of this type? */
#define NARROW(column, type)                                                  \
	"EXISTS (SELECT 1 FROM pg_attribute a "                               \
	"WHERE a.attrelid = to_regclass('postfwd_logins') "                   \
	"AND a.attname = '" column "' AND (" type "))"
/* What is blank-padded is of no use either. 4: PostgreSQL adds a header. */
#define SHORTER(length)                                                       \
	"a.atttypid = 'bpchar'::regtype "                                     \
	"OR (a.atttypid = 'varchar'::regtype AND a.atttypmod >= 0 "           \
	"AND a.atttypmod < " length " + 4)"

const char *const pgsql_statements[PG_STATEMENTS] = {
	[PG_SESSION] = "SELECT set_config('statement_timeout', $1, false), "
	    "set_config('idle_in_transaction_session_timeout', $1, false), "
	    "set_config('lock_timeout', $2, false), "
	    "set_config('default_transaction_isolation', 'read committed', "
	    "false)",
	/*
	 * Are our tables there, and has the one of logins its unique key? Can
	 * it be altered, and which of its columns are too narrow?
	 */
	[PG_SHAPE] = "SELECT to_regclass('abichecker_meta') IS NOT NULL, "
	    "to_regclass('postfwd_logins') IS NOT NULL, "
	    "EXISTS (SELECT 1 FROM pg_index i "
	    "WHERE i.indrelid = to_regclass('postfwd_logins') "
	    "AND i.indisunique AND i.indisvalid AND i.indpred IS NULL "
	    "AND i.indnkeyatts = 2 AND (SELECT count(*) FROM pg_attribute a "
	    "WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) "
	    "AND a.attname IN ('sasl_username', 'ip_address')) = 2), "
	    "current_setting('transaction_read_only') = 'off' "
	    "AND EXISTS (SELECT 1 FROM pg_class c "
	    "WHERE c.oid = to_regclass('postfwd_logins') "
	    "AND pg_has_role(c.relowner, 'USAGE')) "
	    "AND NOT EXISTS (SELECT 1 FROM pg_depend d "
	    "WHERE d.refclassid = 'pg_class'::regclass "
	    "AND d.refobjid = to_regclass('postfwd_logins') "
	    "AND d.classid = 'pg_rewrite'::regclass), " /* a view */
	    NARROW("sasl_username", SHORTER("100")) ", "
	    NARROW("ip_address", SHORTER("45")) ", "
	    NARROW("state_code", SHORTER("4")) ", "
	    NARROW("login_count", "a.atttypid = 'smallint'::regtype"),
	[PG_VERSION] = "SELECT value FROM abichecker_meta "
	    "WHERE name = 'schema'",
	/*
	 * Has somebody one of the filter's tables for himself, or waits for
	 * that and keeps others from it: DDL, a backup, LOCK TABLE?
	 */
	[PG_HELD] = "SELECT EXISTS (SELECT 1 FROM pg_locks l "
	    "WHERE l.locktype = 'relation' AND l.database = (SELECT oid "
	    "FROM pg_database WHERE datname = current_database()) "
	    "AND l.relation IN (to_regclass('postfwd_logins')::oid, "
	    "to_regclass('abichecker_accounts')::oid, "
	    "to_regclass('abichecker_rates')::oid) "
	    "AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', "
	    "'ExclusiveLock', 'AccessExclusiveLock'))",
	[PG_LOCK] = "SELECT pg_advisory_xact_lock(" PGSQL_LOCK ")",

	/*
	 * The user's rows but this block's are counted as they are, the login
	 * at hand from the parameters: 1 user, 2 block, 3 country, 4 now,
	 * 5 since, 6 look only. The first row has the counts and the last
	 * login from another block; then come the other countries.
	 */
	[PG_LOGIN] = "WITH r AS MATERIALIZED (SELECT ip_address AS block, "
	    "state_code AS country, last_login AS at FROM postfwd_logins "
	    "WHERE sasl_username = $1), "
	    "w AS (SELECT * FROM r WHERE block <> $2 AND at > " STAMP(5) "), "
	    "put AS (INSERT INTO postfwd_logins AS l (sasl_username, "
	    "ip_address, state_code, login_count, last_login) "
	    "SELECT $1, $2, nullif($3::text, ''), 1, " STAMP(4) " "
	    "WHERE NOT $6::boolean "
	    "ON CONFLICT (sasl_username, ip_address) DO UPDATE SET "
	    "login_count = least(l.login_count, 2147483646) + 1, "
	    "state_code = coalesce(excluded.state_code, l.state_code), "
	    "last_login = greatest(l.last_login, excluded.last_login)), "
	    "c AS (SELECT country FROM w UNION SELECT coalesce("
	    "nullif($3::text, ''), (SELECT country FROM r WHERE block = $2))), "
	    "p AS (SELECT block, at FROM r WHERE block <> $2 "
	    "ORDER BY at DESC, block LIMIT 1), "
	    "e AS (SELECT * FROM (SELECT DISTINCT ON (country) country, "
	    "block, at FROM w WHERE length(country) = 2 "
	    "AND country <> $3::text ORDER BY country, at DESC, block) latest "
	    "ORDER BY at DESC LIMIT $7::bigint) "
	    "SELECT EXISTS (SELECT 1 FROM r), (SELECT count(*) FROM c "
	    "WHERE country ~ '^[A-Z][A-Z]$'), "
	    "(SELECT count(*) FROM w) + 1, (SELECT block FROM p), NULL, "
	    "(SELECT " EPOCH("at") " FROM p) "
	    "UNION ALL SELECT NULL, NULL, NULL, block, country, "
	    EPOCH("at") " FROM e",
	[PG_LOGIN_FORGET] = "WITH gone AS (DELETE FROM postfwd_logins "
	    "WHERE sasl_username = $1 RETURNING 1) SELECT count(*) FROM gone",
	/*
	 * Looks at $1 rows after ($2, $3), or after where the last purge
	 * stopped if $4 (and notes it), and drops those not from $5 to $6.
	 */
	[PG_LOGIN_PURGE] = "WITH seen AS MATERIALIZED (SELECT sasl_username, "
	    "ip_address, last_login FROM postfwd_logins "
	    "WHERE (sasl_username, ip_address) > ("
	    "CASE WHEN $4::boolean THEN coalesce((SELECT value "
	    "FROM abichecker_meta WHERE name = 'purge_user'), '') "
	    "ELSE $2::text END, "
	    "CASE WHEN $4::boolean THEN coalesce((SELECT value "
	    "FROM abichecker_meta WHERE name = 'purge_block'), '') "
	    "ELSE $3::text END) "
	    "ORDER BY sasl_username, ip_address LIMIT $1::bigint), "
	    "gone AS (DELETE FROM postfwd_logins l USING seen "
	    "WHERE l.sasl_username = seen.sasl_username "
	    "AND l.ip_address = seen.ip_address "
	    "AND (l.last_login < " STAMP(5) " OR l.last_login > " STAMP(6)
	    " OR octet_length(l.sasl_username) >= 101 "
	    "OR octet_length(l.ip_address) >= 46) RETURNING 1), "
	    "last AS (SELECT sasl_username, ip_address FROM seen "
	    "ORDER BY sasl_username DESC, ip_address DESC LIMIT 1), "
	    "n AS (SELECT count(*) AS rows FROM seen), "
	    "noted AS (INSERT INTO abichecker_meta (name, value) "
	    "SELECT name, CASE WHEN n.rows < $1::bigint THEN '' "
	    "ELSE v.value END FROM n, (SELECT 'purge_user' AS name, "
	    "(SELECT sasl_username FROM last) AS value UNION ALL "
	    "SELECT 'purge_block', (SELECT ip_address FROM last)) v "
	    "WHERE $4::boolean "
	    "ON CONFLICT (name) DO UPDATE SET value = excluded.value) "
	    "SELECT (SELECT rows FROM n), (SELECT count(*) FROM gone), "
	    "(SELECT sasl_username FROM last), (SELECT ip_address FROM last)",
	[PG_LOGIN_RESTORE] = "INSERT INTO postfwd_logins (sasl_username, "
	    "ip_address, state_code, login_count, last_login) "
	    "VALUES ($1, $2, nullif($3::text, ''), "
	    "least($4::bigint, 2147483647), " STAMP(5) ") "
	    "ON CONFLICT (sasl_username, ip_address) DO UPDATE SET "
	    "login_count = excluded.login_count, "
	    "state_code = excluded.state_code, "
	    "last_login = excluded.last_login",
	[PG_LOGIN_ALL] = "SELECT sasl_username, ip_address, state_code, "
	    "login_count, " EPOCH("last_login") " FROM postfwd_logins "
	    "WHERE ($1::text = '' OR sasl_username = $1::text) "
	    "AND (sasl_username, ip_address) > ($2, $3) "
	    "ORDER BY sasl_username, ip_address" PAGE(4),

	/* A period that ends too late was begun before the clock went back. */
	[PG_RATE_TAKE] = "WITH put AS (INSERT INTO abichecker_rates AS r "
	    "(name, taken, until) VALUES ($1, 1, $4::bigint + $3::bigint) "
	    "ON CONFLICT (name) DO UPDATE SET "
	    "taken = CASE WHEN r.until <= $4::bigint "
	    "OR r.until > $4::bigint + $3::bigint THEN 1 "
	    "ELSE r.taken + 1 END, "
	    "until = CASE WHEN r.until <= $4::bigint "
	    "OR r.until > $4::bigint + $3::bigint "
	    "THEN $4::bigint + $3::bigint ELSE r.until END "
	    "WHERE r.until <= $4::bigint "
	    "OR r.until > $4::bigint + $3::bigint OR r.taken < $2::bigint "
	    "RETURNING 1) SELECT count(*) FROM put",
	[PG_RATE_ALL] = "SELECT name, taken, until FROM abichecker_rates "
	    "WHERE name > $1 ORDER BY name" PAGE(2),
	[PG_RATE_RESTORE] = "INSERT INTO abichecker_rates "
	    "(name, taken, until) VALUES ($1, $2, $3) ON CONFLICT (name) "
	    "DO UPDATE SET taken = excluded.taken, until = excluded.until",

	[PG_ACCOUNT_ADD] = "WITH put AS (INSERT INTO abichecker_accounts AS a "
	    "(" ACCOUNT ") VALUES ($1, $2, 0, false, $3, $4, $5) "
	    "ON CONFLICT (sasl_username) DO UPDATE SET "
	    "since = excluded.since, released = 0, command_ran = false, "
	    "found_by = excluded.found_by, address = excluded.address, "
	    "reason = excluded.reason "
	    "WHERE a.released <> 0 OR a.since < $6::bigint RETURNING 1) "
	    "SELECT 1 - count(*) FROM put",
	[PG_ACCOUNT_FIND] = "SELECT " ACCOUNT " FROM abichecker_accounts "
	    "WHERE sasl_username = $1",
	[PG_ACCOUNT_RELEASE] = "WITH put AS (UPDATE abichecker_accounts "
	    "SET released = $2 WHERE sasl_username = $1 AND released = 0 "
	    "RETURNING 1) SELECT count(*) FROM put",
	[PG_ACCOUNT_RAN] = "WITH put AS (UPDATE abichecker_accounts "
	    "SET command_ran = true WHERE sasl_username = $1 "
	    "AND NOT command_ran RETURNING 1) SELECT count(*) FROM put",
	[PG_ACCOUNT_ALL] = "SELECT " ACCOUNT " FROM abichecker_accounts "
	    "WHERE ($1::text = '' OR sasl_username = $1::text) "
	    "AND sasl_username > $2 ORDER BY sasl_username" PAGE(3),
	[PG_ACCOUNT_RESTORE] = "INSERT INTO abichecker_accounts (" ACCOUNT ") "
	    "VALUES ($1, $2, $3, $4, $5, $6, $7) "
	    "ON CONFLICT (sasl_username) DO UPDATE SET "
	    "since = excluded.since, released = excluded.released, "
	    "command_ran = excluded.command_ran, "
	    "found_by = excluded.found_by, address = excluded.address, "
	    "reason = excluded.reason",

	/*
	 * Moves a position from $2 to $3 and says, to the rest of the
	 * transaction, whether it was there.
	 */
	[PG_POSITION_MOVE] = "WITH moved AS (INSERT INTO abichecker_positions "
	    "AS p (source, position) SELECT $1, $3 WHERE $2::text = '' "
	    "OR EXISTS (SELECT 1 FROM abichecker_positions "
	    "WHERE source = $1 AND position = $2::text) "
	    "ON CONFLICT (source) DO UPDATE SET position = excluded.position "
	    "WHERE p.position = $2::text RETURNING 1) "
	    "SELECT count(*), set_config('abichecker.moved', "
	    "count(*)::text, true), set_config('abichecker.changed', '0', "
	    "true) FROM moved",
	[PG_POSITION_GET] = "SELECT position FROM abichecker_positions "
	    "WHERE source = $1",
	[PG_POSITION_ALL] = "SELECT source, position "
	    "FROM abichecker_positions WHERE source > $1 "
	    "ORDER BY source" PAGE(2),
	[PG_POSITION_RESTORE] = "INSERT INTO abichecker_positions "
	    "(source, position) VALUES ($1, $2) ON CONFLICT (source) "
	    "DO UPDATE SET position = excluded.position",

	/*
	 * A hit: 1 block, 2 rule, 3 key, 4 time, 5 hits of the rule, 6 its
	 * period, 7 ban, 8 longest ban. A listed block stays longer, another
	 * one is listed when it has enough of them. on_list: 0 no, 1 yes,
	 * 2 for ever.
	 */
	[PG_HIT_APPLY] = "WITH state AS (SELECT coalesce((SELECT "
	    "CASE WHEN NOT listed THEN 0 WHEN expires = 0 THEN 2 "
	    "WHEN expires > $4::bigint THEN 1 ELSE 0 END "
	    "FROM abichecker_offenders WHERE block = $1), 0) AS on_list), "
	    "h AS (SELECT time FROM abichecker_hits WHERE block = $1 "
	    "AND rule = $2 AND name <> $3 AND $5::bigint > 1 UNION ALL "
	    "SELECT greatest($4::bigint, (SELECT time FROM abichecker_hits "
	    "WHERE block = $1 AND rule = $2 AND name = $3))), "
	    "n AS (SELECT CASE WHEN $5::bigint <= 1 THEN 1 ELSE greatest("
	    "count(*) FILTER (WHERE time > $4::bigint - $6::bigint "
	    "AND time <= $4::bigint), "
	    "count(*) FILTER (WHERE time > latest - $6::bigint "
	    "AND time <= latest)) END AS hits FROM h, (SELECT max(time) "
	    "AS latest FROM h WHERE time < $4::bigint + $6::bigint) l), "
	    "act AS (SELECT on_list, hits, on_list = 0 "
	    "AND hits >= $5::bigint AS lists FROM state, n "
	    "WHERE current_setting('abichecker.moved', true) = '1'), "
	    "put AS (INSERT INTO abichecker_hits AS k (block, rule, name, "
	    "time) SELECT $1, $2, $3, $4 FROM act "
	    "WHERE on_list = 0 AND NOT lists "
	    "ON CONFLICT (block, rule, name) DO UPDATE SET "
	    "time = greatest(k.time, excluded.time)), "
	    "forgot AS (DELETE FROM abichecker_hits USING act "
	    "WHERE lists AND block = $1), "
	    "listed AS (INSERT INTO abichecker_offenders AS o (" OFFENDER ") "
	    "SELECT $1, $2, '', hits, 1, $4::bigint, $4::bigint, "
	    "$4::bigint + least($7::bigint, $8::bigint), true FROM act "
	    "WHERE lists OR on_list = 1 "
	    "ON CONFLICT (block) DO UPDATE SET "
	    "rule = CASE WHEN " ON_LIST " THEN o.rule "
	    "ELSE excluded.rule END, "
	    "note = CASE WHEN " ON_LIST " THEN o.note ELSE '' END, "
	    "hits = CASE WHEN " ON_LIST " THEN o.hits + 1 "
	    "ELSE excluded.hits END, "
	    "times = o.times + (NOT " ON_LIST ")::integer, "
	    "since = CASE WHEN " ON_LIST " THEN o.since "
	    "ELSE excluded.since END, "
	    "last = greatest(o.last, excluded.last), "
	    "expires = greatest(o.expires, greatest(o.last, excluded.last) + "
	    "least($7::bigint * (1::bigint << least(greatest(o.times + "
	    "(NOT " ON_LIST ")::integer - 1, 0), 24)::integer), "
	    "$8::bigint)), listed = true RETURNING 1) "
	    "SELECT set_config('abichecker.changed', '1', true) FROM listed",
	[PG_HIT_ALL] = "SELECT block, rule, name, time FROM abichecker_hits "
	    "WHERE ($1::text = '' OR block = $1::text) "
	    "AND (block, rule, name) > ($2, $3, $4) "
	    "ORDER BY block, rule, name" PAGE(5),
	[PG_HIT_RESTORE] = "INSERT INTO abichecker_hits AS k (block, rule, "
	    "name, time) VALUES ($1, $2, $3, $4) "
	    "ON CONFLICT (block, rule, name) DO UPDATE SET "
	    "time = greatest(k.time, excluded.time)",

	/* 1 block, 2 rule, 3 note, 4 hits, 5 since, 6 last, 7 expires */
	[PG_OFFENDER_ADD] = "WITH old AS (SELECT listed, times "
	    "FROM abichecker_offenders WHERE block = $1), "
	    "put AS (INSERT INTO abichecker_offenders (" OFFENDER ") "
	    "VALUES ($1, $2, $3, $4, coalesce((SELECT times FROM old), 0) + "
	    "(NOT coalesce((SELECT listed FROM old), false))::integer, "
	    "$5, $6, $7, true) "
	    "ON CONFLICT (block) DO UPDATE SET " OFFENDER_SET "), "
	    "g AS (" GENERATION_NEXT("true") ") "
	    "SELECT count(*) FROM old WHERE listed",
	[PG_OFFENDER_REMOVE] = "WITH gone AS (DELETE FROM "
	    "abichecker_offenders WHERE $1::text = '' OR block = $1::text "
	    "RETURNING 1), forgot AS (DELETE FROM abichecker_hits "
	    "WHERE $1::text = '' OR block = $1::text), "
	    "g AS (" GENERATION_NEXT("EXISTS (SELECT 1 FROM gone)") ") "
	    "SELECT count(*) FROM gone",
	[PG_OFFENDER_EXPIRE] = "WITH gone AS (UPDATE abichecker_offenders "
	    "SET listed = false WHERE listed AND expires <> 0 "
	    "AND expires <= $1 RETURNING 1), "
	    "g AS (" GENERATION_NEXT("EXISTS (SELECT 1 FROM gone)") ") "
	    "SELECT count(*) FROM gone",
	[PG_OFFENDER_ALL] = "SELECT " OFFENDER " FROM abichecker_offenders "
	    "WHERE ($1::text = '' OR block = $1::text) AND block > $2 "
	    "ORDER BY block" PAGE(3),
	[PG_OFFENDER_RESTORE] = "INSERT INTO abichecker_offenders "
	    "(" OFFENDER ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
	    "ON CONFLICT (block) DO UPDATE SET " OFFENDER_SET,

	[PG_GENERATION] = "SELECT value FROM abichecker_meta "
	    "WHERE name = 'generation'",
	[PG_GENERATION_NEXT] = GENERATION_NEXT(
	    "current_setting('abichecker.changed', true) = '1'"),
	[PG_GENERATION_RESTORED] = GENERATION_NEXT("true"),

	[PG_PURGE] = "WITH r AS (DELETE FROM abichecker_rates "
	    "WHERE until <= $1 RETURNING 1), "
	    "a AS (DELETE FROM abichecker_accounts "
	    "WHERE released <> 0 AND released < $2 RETURNING 1), "
	    "h AS (DELETE FROM abichecker_hits WHERE time < $3::bigint "
	    "RETURNING 1), "
	    "o AS (DELETE FROM abichecker_offenders "
	    "WHERE NOT listed AND last < $3::bigint RETURNING 1) "
	    "SELECT (SELECT count(*) FROM r) + (SELECT count(*) FROM a) + "
	    "(SELECT count(*) FROM h) + (SELECT count(*) FROM o)",
	/* In the order of enum store_kind. */
	[PG_STATUS] = "SELECT (SELECT count(*) FROM postfwd_logins), "
	    "(SELECT count(*) FROM abichecker_accounts), "
	    "(SELECT count(*) FROM abichecker_offenders WHERE listed), "
	    "(SELECT count(*) FROM abichecker_rates), "
	    "(SELECT count(*) FROM abichecker_positions), "
	    "(SELECT count(*) FROM abichecker_hits), "
	    "(SELECT value FROM abichecker_meta WHERE name = 'schema'), "
	    "(SELECT sum(pg_total_relation_size(c.name::regclass)) "
	    "FROM unnest(ARRAY['postfwd_logins', 'abichecker_accounts', "
	    "'abichecker_offenders', 'abichecker_rates', "
	    "'abichecker_positions', 'abichecker_hits', 'abichecker_meta']) "
	    "AS c (name))",
};
