/*
 * store_redis_rows - purging, restoring and counting rows in Redis.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/redis/redis.h"

/* --- purging --- */

#define PURGE_ROWS 1000 /* in one script: others wait meanwhile */

/*
 * Looks at the logins of users after a name, until it has seen enough rows.
 * KEYS: users, purge. ARGV: what a user's keys begin with, where to begin
 * ("" = where the last one stopped, and note where this one does), rows, from,
 * until: times of logins that stay. Gives rows seen, rows removed, where to go
 * on, 1 = the end.
 */
static struct redis_script logins_script = { .text =
    "local at, kept = ARGV[2], ARGV[2] == '' "
    "if kept then at = redis.call('GET', KEYS[2]) or '-' end "
    "local most, from = tonumber(ARGV[3]), tonumber(ARGV[4]) "
    "local till, seen, removed, over = tonumber(ARGV[5]), 0, 0, 0 "
    "local function purge(user) "
    "  local key = ARGV[1] .. user .. '}:logins' "
    "  local rows = redis.call('HGETALL', key) "
    "  local gone = {} "
    "  for i = 1, #rows, 2 do "
    "    local t = tonumber(string.match(rows[i + 1], '^(%-?%d+) ')) "
    "    if not t or t < from or t > till or #rows[i] > 45 then "
    "      gone[#gone + 1] = rows[i] end end "
    "  for i = 1, #gone, 1000 do "
    "    redis.call('HDEL', key, "
    "      unpack(gone, i, math.min(i + 999, #gone))) end "
    "  if #gone > 0 then redis.call('UNLINK', ARGV[1] .. user .. '}:times', "
    "    ARGV[1] .. user .. '}:countries') end "
    "  if #gone * 2 == #rows then redis.call('ZREM', KEYS[1], user) end "
    "  removed = removed + #gone "
    "  seen = seen + math.max(#rows / 2, 1) "
    "  at = '(' .. user end "
    "while seen < most and over == 0 do "
    "  local users = redis.call('ZRANGEBYLEX', KEYS[1], at, '+', 'LIMIT', 0, "
    "    100) "
    "  for _, user in ipairs(users) do "
    "    if seen < most then purge(user) end end "
    "  if #users == 0 then at, over = '-', 1 end "
    "end "
    "if kept then redis.call('SET', KEYS[2], at) end "
    "return { seen, removed, at, over }" };

/*
 * All else, up to a thousand of each kind: rates that have ended, released
 * accounts, hits, offenders that are no longer listed. KEYS[5..]: rates,
 * accounts, hits. ARGV: now, accounts_before, hits_before, what keys of rates,
 * users and hits begin with. Gives rows removed, 1 = there may be more.
 */
static const char rest_lua[] =
    "local removed, more = 0, 0 "
    "local function over(key, from, till) "
    "  local found = redis.call('ZRANGEBYSCORE', key, from, till, 'LIMIT', 0, "
    "    1000) "
    "  if #found == 1000 then more = 1 end "
    "  return ipairs(found) end "
    "for _, key in over(KEYS[5], '-inf', ARGV[1]) do "
    "  redis.call('UNLINK', ARGV[4] .. key) "
    "  removed = removed + redis.call('ZREM', KEYS[5], key) end "
    "for _, user in over(KEYS[6], '(0', '(' .. ARGV[2]) do "
    "  redis.call('UNLINK', ARGV[5] .. user .. '}:account') "
    "  removed = removed + redis.call('ZREM', KEYS[6], user) end "
    "for _, block in over(KEYS[7], '-inf', '(' .. ARGV[3]) do "
    "  local key = ARGV[6] .. block .. '}' "
    "  removed = removed + "
    "    redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. ARGV[3]) "
    "  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] "
    "  if oldest then redis.call('ZADD', KEYS[7], oldest, block) "
    "  else redis.call('ZREM', KEYS[7], block) end end "
    "for _, block in over(KEYS[3], '-inf', '(' .. ARGV[3]) do "
    "  redis.call('HDEL', KEYS[1], block) "
    "  removed = removed + redis.call('ZREM', KEYS[3], block) end "
    "return { removed, more }";

/* Purges logins; with a limit, from where the last one stopped. */
static bool
logins_purge(struct redis_store *s, const struct store_purge *p, long *removed)
{
	char at[STORE_TEXT_MAX] = "-";
	long left = p->limit, rows, trips = 0;

	do {
		rows = p->limit > 0 && left < PURGE_ROWS ? left : PURGE_ROWS;
		redis_script(s, &logins_script, 2);
		redis_key(s, "users");
		redis_key(s, "purge");
		redis_key(s, "{");
		redis_word(s, p->limit > 0 ? "" : at);
		redis_word_number(s, rows);
		redis_word_number(s, p->logins_before);
		/* One later than this: a clock was wrong. */
		redis_word_number(s, p->now + REDIS_DAY);
		if (!redis_call(s, &logins_script, REDIS_LITTLE, "iiti"))
			return false;
		*removed += redis_number(&s->reader, 1);
		snprintf(at, sizeof(at), "%s", redis_text(&s->reader, 2));
		left -= rows;
		if (redis_number(&s->reader, 3) != 0 ||
		    (p->limit > 0 && left <= 0))
			return true;
	} while (redis_goes_on(s, &trips));
	return false;
}

static bool
rest_purge(struct redis_store *s, const struct store_purge *p, long *removed)
{
	static struct redis_long_script rest;
	struct redis_script *script = redis_script_offenders(&rest, rest_lua);
	long trips = 0;

	do {
		redis_script(s, script, 7);
		redis_offender_keys(s);
		redis_key(s, "rates");
		redis_key(s, "accounts");
		redis_key(s, "hits");
		redis_word_number(s, p->now);
		redis_word_number(s, p->accounts_before);
		redis_word_number(s, p->hits_before);
		redis_key(s, "rate:");
		redis_key(s, "{");
		redis_key(s, "hits:{");
		if (!redis_call(s, script, REDIS_LITTLE, "ii"))
			return false;
		*removed += redis_number(&s->reader, 0);
		if (redis_number(&s->reader, 1) == 0)
			return true;
	} while (redis_goes_on(s, &trips));
	return false;
}

enum store_result
redis_purge(struct store *store, const struct store_purge *p, long *removed)
{
	struct redis_store *s = (struct redis_store *)store;

	*removed = 0;
	if (!logins_purge(s, p, removed))
		return STORE_ERROR;
	/* Those may be many rows: not in the middle of a request. */
	if (p->limit == 0 && !rest_purge(s, p, removed))
		return STORE_ERROR;
	return *removed > 0 ? STORE_FOUND : STORE_ABSENT;
}

/* --- restoring --- */

/*
 * Rows of six words: a letter for the kind, seconds to keep it, and four of
 * its own. KEYS[5..]: users, rates, accounts, hits, positions, the set, batch.
 * ARGV: seed, rows in the batch, what keys of users, rates and hits begin
 * with, then the rows, or they are in the list `batch'.
 */
static const char restore_lua[] =
    "local items, at, offenders = ARGV, 6, false "
    "local uploaded = #ARGV < at "
    "if uploaded then "
    "  items, at = redis.call('LRANGE', KEYS[11], 0, -1), 1 end "
    "if #items - at + 1 ~= tonumber(ARGV[2]) * 6 then "
    "  return redis.error_reply('ERR the batch is gone') end "
    "local kinds = { "
    "L = function(keep, user, block, value) "
    "  local key = ARGV[3] .. user .. '}:logins' "
    "  redis.call('HSET', key, block, value) "
    "  redis.call('EXPIRE', key, keep) "
    "  redis.call('UNLINK', ARGV[3] .. user .. '}:times', "
    "    ARGV[3] .. user .. '}:countries') "
    "  redis.call('ZADD', KEYS[5], 0, user) end, "
    "R = function(keep, name, taken, ends) "
    "  redis.call('SET', ARGV[4] .. name, taken .. ' ' .. ends, 'EX', keep) "
    "  redis.call('ZADD', KEYS[6], ends, name) end, "
    "A = function(keep, user, released, values, reason) "
    "  local since, ran, check, address = string.match(values, "
    "    '^(%-?%d+) (%d) %d+:(.*)$') "
    "  local n, rest = string.match(values, '^%-?%d+ %d (%d+):(.*)$') "
    "  check = string.sub(rest, 1, tonumber(n)) "
    "  address = string.sub(rest, tonumber(n) + 1) "
    "  local key = ARGV[3] .. user .. '}:account' "
    "  redis.call('DEL', key) "
    "  redis.call('HSET', key, 'since', since, 'released', released, "
    "    'ran', ran, 'check', check, 'address', address, 'reason', reason) "
    "  redis.call('ZADD', KEYS[7], released, user) "
    "  if released == '0' then redis.call('SADD', KEYS[10], user) "
    "  else redis.call('SREM', KEYS[10], user) "
    "    redis.call('EXPIRE', key, keep) end end, "
    "H = function(keep, block, member, t) "
    "  local key = ARGV[5] .. block .. '}' "
    "  local old = tonumber(redis.call('ZSCORE', key, member) or nil) "
    "  if not old or old < tonumber(t) then "
    "    redis.call('ZADD', key, t, member) end "
    "  redis.call('EXPIRE', key, keep) "
    "  redis.call('ZADD', KEYS[8], "
    "    redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2], block) end, "
    "P = function(keep, source, position) "
    "  redis.call('HSET', KEYS[9], source, position) end, "
    "O = function(keep, block, value, numbers) "
    "  local on, expires, last = string.match(numbers, "
    "    '^(%d) (%-?%d+) (%-?%d+)$') "
    "  redis.call('HSET', KEYS[1], block, value) "
    "  redis.call('ZREM', KEYS[on == '1' and 3 or 2], block) "
    "  place(block, on == '1', expires, last) "
    "  offenders = true end } "
    "for i = at, #items, 6 do "
    "  kinds[items[i]](items[i + 1], items[i + 2], items[i + 3], "
    "    items[i + 4], items[i + 5]) end "
    "if offenders then next_generation(ARGV[1]) end "
    "if uploaded then redis.call('UNLINK', KEYS[11]) end "
    "return 1";

/* The words of a row; those that it does not need are "". */
struct words {
	const char *kind;
	time_t keep;
	const char *word[4];
};

static void
words_put(struct redis_store *s, const struct words *w)
{
	int i;

	redis_word(s, w->kind);
	redis_word_number(s, redis_keep(w->keep, time(NULL)));
	for (i = 0; i < 4; i++)
		redis_word(s, w->word[i] != NULL ? w->word[i] : "");
}

static void
account_words(struct redis_store *s, const struct store_account *a)
{
	char values[160], released[24];
	const struct words w = { "A", a->released + 365 * REDIS_DAY,
		{ a->user, released, values, a->reason } };

	snprintf(values, sizeof(values), "%lld %d %zu:%s%s",
	    (long long)a->since, a->command_ran, strlen(a->check), a->check,
	    a->address);
	snprintf(released, sizeof(released), "%lld", (long long)a->released);
	words_put(s, &w);
}

static void
offender_words(struct redis_store *s, const struct store_offender *o)
{
	char value[REDIS_OFFENDER_MAX], numbers[64];
	const struct words w = { "O", 0, { o->block, value, numbers } };

	redis_offender_pack(o, value, sizeof(value));
	snprintf(numbers, sizeof(numbers), "%d %lld %lld", o->listed,
	    (long long)o->expires, (long long)o->last);
	words_put(s, &w);
}

/* A login, a rate, a position or a hit. */
static void
other_words(struct redis_store *s, const struct store_row *row)
{
	char a[STORE_RULE_MAX + STORE_TEXT_MAX + 8] = "", b[24] = "";
	struct words w = { "", 0, { NULL, a, b } };

	switch (row->kind) {
	case STORE_LOGIN:
		w.kind = "L";
		w.word[0] = row->u.login.user;
		w.word[1] = row->u.login.block;
		w.word[2] = a;
		snprintf(a, sizeof(a), "%lld %ld %s",
		    (long long)row->u.login.last, row->u.login.count,
		    row->u.login.country);
		w.keep = row->u.login.last + s->window;
		break;
	case STORE_RATE:
		w.kind = "R";
		w.word[0] = row->u.rate.key;
		snprintf(a, sizeof(a), "%ld", row->u.rate.taken);
		snprintf(b, sizeof(b), "%lld", (long long)row->u.rate.until);
		w.keep = row->u.rate.until;
		break;
	case STORE_POSITION:
		w.kind = "P";
		w.word[0] = row->u.position.source;
		w.word[1] = row->u.position.position;
		break;
	case STORE_HIT:
		w.kind = "H";
		w.word[0] = row->u.hit.block;
		redis_hit_pack(row->u.hit.rule, row->u.hit.key, a, sizeof(a));
		snprintf(b, sizeof(b), "%lld", (long long)row->u.hit.time);
		w.keep = row->u.hit.time + 30 * REDIS_DAY;
		break;
	default:
		break;
	}
	words_put(s, &w);
}

static void
row_words(struct redis_store *s, const void *items, size_t i)
{
	const struct store_row *row = (const struct store_row *)items + i;

	if (row->kind == STORE_ACCOUNT)
		account_words(s, &row->u.account);
	else if (row->kind == STORE_OFFENDER)
		offender_words(s, &row->u.offender);
	else
		other_words(s, row);
}

enum store_result
redis_restore(struct store *store, const struct store_row *rows, size_t count)
{
	static struct redis_long_script restore;
	struct redis_store *s = (struct redis_store *)store;
	struct redis_script *script =
	    redis_script_offenders(&restore, restore_lua);
	const struct redis_items items = { rows, count, row_words };
	char batch[REDIS_KEY_MAX];
	bool inlined;
	size_t i;

	if (count == 0)
		return STORE_FOUND;
	if (!redis_upload(s, &items, batch, sizeof(batch)))
		return STORE_ERROR;
	inlined = count <= REDIS_INLINE;
	redis_script(s, script, 11);
	redis_offender_keys(s);
	redis_key(s, "users");
	redis_key(s, "rates");
	redis_key(s, "accounts");
	redis_key(s, "hits");
	redis_key(s, "positions");
	redis_word(s, REDIS_ACCOUNTS);
	redis_word(s, batch);
	redis_seed(s);
	redis_word_number(s, (int64_t)count);
	redis_key(s, "{");
	redis_key(s, "rate:");
	redis_key(s, "hits:{");
	for (i = 0; inlined && i < count; i++)
		row_words(s, rows, i);
	return redis_call_number(s, script) < 0 ? STORE_ERROR : STORE_FOUND;
}
