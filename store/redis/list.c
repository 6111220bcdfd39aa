/*
 * store_redis_list - iterating over rows in Redis, and counting them.
 *
 * In portions, so that nobody waits long: SCAN, and logins by the names of
 * their users. A row that is there from the beginning to the end comes; it may
 * come twice if most of its kind are removed meanwhile.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/redis/redis.h"

/*
 * What a listing script is given and gives: two texts that say where it goes
 * on; the second is "" at the end. The rows are after them.
 */
struct place {
	char user[STORE_TEXT_MAX];
	char cursor[32];
};

/*
 * KEYS[1]: users. ARGV: what a user's keys begin with, place (user as a range
 * begins, cursor), 1 = only this user.
 */
static struct redis_script list_logins = { .text =
    "local at, cursor, only = ARGV[2], ARGV[3], ARGV[4] == '1' "
    "local out, user = { '', '' } "
    "if cursor ~= '0' or only then user = string.sub(at, 2) end "
    "repeat "
    "  if not user then "
    "    user = redis.call('ZRANGEBYLEX', KEYS[1], at, '+', 'LIMIT', 0, "
    "      1)[1] "
    "    if not user then return out end "
    "    at = '(' .. user "
    "  end "
    "  local r = redis.call('HSCAN', ARGV[1] .. user .. '}:logins', cursor, "
    "    'COUNT', 1000) "
    "  cursor = r[1] "
    "  for i = 1, #r[2], 2 do "
    "    local t, n, c = string.match(r[2][i + 1], "
    "      '^(%-?%d+) (%d+) (.*)$') "
    "    if t then for _, v in ipairs({ user, r[2][i], t, n, c }) do "
    "      out[#out + 1] = v end end "
    "  end "
    "  if cursor == '0' then "
    "    if only then return out end "
    "    user = nil end "
    "until #out > 5000 "
    "out[1], out[2] = at, cursor "
    "return out" };

/*
 * First those in the set; then, with `user' = 2, those whom we know and who
 * are not. KEYS: set, accounts. ARGV: what a user's keys begin with, place,
 * now, seconds to keep who was taken out by hand.
 */
static struct redis_script list_accounts = { .text =
    "local second = ARGV[2] == '2' "
    "local r = redis.call(second and 'ZSCAN' or 'SSCAN', "
    "  KEYS[second and 2 or 1], ARGV[3], 'COUNT', 500) "
    "local out = { ARGV[2], r[1] } "
    "if r[1] == '0' then "
    "  if second then out[2] = '' else out[1] = '2' end end "
    "for i = 1, #r[2], second and 2 or 1 do "
    "  local user = r[2][i] "
    "  local key = ARGV[1] .. user .. '}:account' "
    "  local m = redis.call('HMGET', key, 'since', 'released', 'ran', "
    "    'check', 'address', 'reason') "
    "  local on = not second or "
    "    redis.call('SISMEMBER', KEYS[1], user) == 1 "
    "  if on and m[2] ~= '0' then m = { '0', '0', '0', '', '', '' } end "
    "  if m[2] == '0' and not on then "
    "    m[2] = ARGV[4] "
    "    redis.pcall('HSET', key, 'released', m[2]) "
    "    redis.pcall('EXPIRE', key, ARGV[5]) "
    "    redis.pcall('ZADD', KEYS[2], m[2], user) end "
    "  if m[1] and on ~= second then "
    "    out[#out + 1] = user "
    "    for k = 1, 6 do out[#out + 1] = m[k] end end "
    "end "
    "return out" };

/* KEYS: offenders, or positions. ARGV[1..]: only this field, place. */
static struct redis_script list_hash = { .text =
    "if ARGV[1] ~= '' then "
    "  local v = redis.call('HGET', KEYS[1], ARGV[1]) "
    "  if v then return { '', '', ARGV[1], v } end "
    "  return { '', '' } end "
    "local r = redis.call('HSCAN', KEYS[1], ARGV[3], 'COUNT', 1000) "
    "local out = { '', r[1] == '0' and '' or r[1] } "
    "for i = 1, #r[2] do out[#out + 1] = r[2][i] end "
    "return out" };

/* KEYS[1]: rates. ARGV: what keys of rates begin with, place. */
static struct redis_script list_rates = { .text =
    "local r = redis.call('ZSCAN', KEYS[1], ARGV[3], 'COUNT', 1000) "
    "local out = { '', r[1] == '0' and '' or r[1] } "
    "for i = 1, #r[2], 2 do "
    "  local taken, ends = string.match( "
    "    redis.call('GET', ARGV[1] .. r[2][i]) or '', '^(%d+) (%-?%d+)$') "
    "  if ends then for _, v in ipairs({ r[2][i], taken, ends }) do "
    "    out[#out + 1] = v end end "
    "end "
    "return out" };

/* KEYS[1]: hits. ARGV: what keys of hits begin with, place, only this block. */
static struct redis_script list_hits = { .text =
    "local out = { '', '' } "
    "local function list(block) "
    "  local v = redis.call('ZRANGE', ARGV[1] .. block .. '}', 0, -1, "
    "    'WITHSCORES') "
    "  for i = 1, #v, 2 do "
    "    local n, rest = string.match(v[i], '^(%d+):(.*)$') "
    "    n = tonumber(n) "
    "    if n then for _, w in ipairs({ block, string.sub(rest, 1, n), "
    "      string.sub(rest, n + 2), v[i + 1] }) do "
    "      out[#out + 1] = w end end "
    "  end end "
    "if ARGV[4] ~= '' then list(ARGV[4]) return out end "
    "local r = redis.call('ZSCAN', KEYS[1], ARGV[3], 'COUNT', 500) "
    "if r[1] ~= '0' then out[2] = r[1] end "
    "for i = 1, #r[2], 2 do list(r[2][i]) end "
    "return out" };

static struct redis_script *const lists[] = {
	[STORE_LOGIN] = &list_logins,
	[STORE_ACCOUNT] = &list_accounts,
	[STORE_OFFENDER] = &list_hash,
	[STORE_RATE] = &list_rates,
	[STORE_POSITION] = &list_hash,
	[STORE_HIT] = &list_hits,
};

/* Items of a row. */
static const size_t row_items[] = {
	[STORE_LOGIN] = 5,
	[STORE_ACCOUNT] = 1 + REDIS_ACCOUNT_ITEMS,
	[STORE_OFFENDER] = 2,
	[STORE_RATE] = 3,
	[STORE_POSITION] = 2,
	[STORE_HIT] = 4,
};

static void
place_words(struct redis_store *s, const struct place *p)
{
	redis_word(s, p->user);
	redis_word(s, p->cursor);
}

/* The script for one portion. */
static void
portion_words(struct redis_store *s, enum store_kind kind, const char *of,
    const struct place *p)
{
	static const char *const keys[] = {
		[STORE_LOGIN] = "users",
		[STORE_ACCOUNT] = "accounts",
		[STORE_OFFENDER] = "offenders",
		[STORE_RATE] = "rates",
		[STORE_POSITION] = "positions",
		[STORE_HIT] = "hits",
	};

	redis_script(s, lists[kind], kind == STORE_ACCOUNT ? 2 : 1);
	if (kind == STORE_ACCOUNT)
		redis_word(s, REDIS_ACCOUNTS);
	redis_key(s, keys[kind]);
	switch (kind) {
	case STORE_OFFENDER:
		redis_word(s, of);
		break;
	case STORE_POSITION:
		redis_word(s, "");
		break;
	case STORE_RATE:
		redis_key(s, "rate:");
		break;
	case STORE_HIT:
		redis_key(s, "hits:{");
		break;
	default:
		redis_key(s, "{");
		break;
	}
	place_words(s, p);
	if (kind == STORE_LOGIN)
		redis_word(s, of[0] != '\0' ? "1" : "0");
	else if (kind == STORE_HIT)
		redis_word(s, of);
	else if (kind == STORE_ACCOUNT) {
		redis_word_number(s, time(NULL));
		redis_word_number(s, 365 * REDIS_DAY);
	}
}

#define COPY(member, i)                                                       \
	snprintf(row->u.member, sizeof(row->u.member), "%s", redis_text(r, i))

/* The row whose items begin at i. False: not one that we would write. */
static bool
row_read(const struct redis_reader *r, size_t i, struct store_row *row)
{
	memset(&row->u, 0, sizeof(row->u));
	switch (row->kind) {
	case STORE_LOGIN:
		COPY(login.user, i);
		COPY(login.block, i + 1);
		COPY(login.country, i + 4);
		row->u.login.last = redis_number(r, i + 2);
		row->u.login.count = redis_number(r, i + 3);
		return r->items[i].len < STORE_USER_MAX;
	case STORE_ACCOUNT:
		COPY(account.user, i);
		redis_account_items(r, i + 1, &row->u.account);
		return r->items[i].len < STORE_USER_MAX;
	case STORE_OFFENDER:
		return redis_offender_unpack(redis_text(r, i),
		    redis_text(r, i + 1), &row->u.offender);
	case STORE_RATE:
		COPY(rate.key, i);
		row->u.rate.taken = redis_number(r, i + 1);
		row->u.rate.until = redis_number(r, i + 2);
		return true;
	case STORE_POSITION:
		COPY(position.source, i);
		COPY(position.position, i + 1);
		return true;
	case STORE_HIT:
		COPY(hit.block, i);
		COPY(hit.rule, i + 1);
		COPY(hit.key, i + 2);
		row->u.hit.time = redis_number(r, i + 3);
		return true;
	}
	return false;
}

/* Hands on the rows of a portion. False: it is enough. */
static bool
portion_read(const struct redis_reader *r, enum store_kind kind, bool *any,
    store_row_fn *fn, void *arg)
{
	struct store_row row = { .kind = kind };
	size_t i;

	for (i = 2; i + row_items[kind] <= r->count; i += row_items[kind]) {
		if (!row_read(r, i, &row))
			continue;
		*any = true;
		if (!fn(arg, &row))
			return false;
	}
	return true;
}

/* Fetches a portion into `r`, and where the next one begins. */
static bool
portion_fetch(struct redis_store *s, enum store_kind kind, const char *of,
    struct place *p, struct redis_reader *r)
{
	portion_words(s, kind, of, p);
	if (!redis_call(s, lists[kind], REDIS_MUCH, "tt*"))
		return false;
	/* fn() may use the store, and its reader. */
	*r = s->reader;
	memset(&s->reader, 0, sizeof(s->reader));
	snprintf(p->user, sizeof(p->user), "%s", redis_text(r, 0));
	snprintf(p->cursor, sizeof(p->cursor), "%s", redis_text(r, 1));
	return true;
}

static enum store_result
account_iterate(struct store *store, const char *user, store_row_fn *fn,
    void *arg)
{
	struct store_row row = { .kind = STORE_ACCOUNT };
	enum store_result result =
	    redis_account_find(store, user, &row.u.account);

	if (result == STORE_FOUND)
		fn(arg, &row);
	return result;
}

enum store_result
redis_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct place p = { "", "0" };
	struct redis_reader r;
	bool any = false, on;
	long trips = 0;

	if (kind == STORE_ACCOUNT && of[0] != '\0')
		return account_iterate(store, of, fn, arg);
	/* Only one user's: as if the one before had just ended. */
	if (kind == STORE_LOGIN)
		snprintf(p.user, sizeof(p.user), "%s%s",
		    of[0] != '\0' ? "(" : "-", of);
	do {
		if (!portion_fetch(s, kind, of, &p, &r))
			return STORE_ERROR;
		on = portion_read(&r, kind, &any, fn, arg);
		redis_reader_free(&r);
	} while (on && p.cursor[0] != '\0' && redis_goes_on(s, &trips));
	if (on && p.cursor[0] != '\0')
		return STORE_ERROR;
	return any ? STORE_FOUND : STORE_ABSENT;
}

/* --- counting --- */

/*
 * KEYS: set, listed, rates, positions, users, accounts, hits, schema. ARGV:
 * which of the last ones to count (logins, accounts, hits), cursor, what keys
 * of users and hits begin with. Gives the cursor, "" at the end, how many, and
 * what can be told at once.
 */
static struct redis_script count_script = { .text =
    "local which, n = ARGV[1], 0 "
    "local key = KEYS[which == 'hits' and 7 or which == 'logins' and 5 or 6] "
    "local r = redis.call('ZSCAN', key, ARGV[2], 'COUNT', 1000) "
    "for i = 1, #r[2], 2 do "
    "  local name = r[2][i] "
    "  if which == 'hits' then "
    "    n = n + redis.call('ZCARD', ARGV[4] .. name .. '}') "
    "  elseif which == 'logins' then "
    "    n = n + redis.call('HLEN', ARGV[3] .. name .. '}:logins') "
    "  elseif redis.call('SISMEMBER', KEYS[1], name) == 0 then "
    "    n = n + redis.call('EXISTS', ARGV[3] .. name .. '}:account') end "
    "end "
    "return { r[1] == '0' and '' or r[1], n, "
    "  redis.call('SCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), "
    "  redis.call('ZCARD', KEYS[3]), redis.call('HLEN', KEYS[4]), "
    "  redis.call('GET', KEYS[8]) }" };

/* Counts one of what can only be counted in portions. */
static bool
rows_count(struct redis_store *s, const char *which, long *n)
{
	static const char *const keys[] = { "listed", "rates", "positions",
		"users", "accounts", "hits", "schema" };
	char cursor[32] = "0";
	long trips = 0;
	size_t i;

	*n = 0;
	do {
		redis_script(s, &count_script, 8);
		redis_word(s, REDIS_ACCOUNTS);
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			redis_key(s, keys[i]);
		redis_word(s, which);
		redis_word(s, cursor);
		redis_key(s, "{");
		redis_key(s, "hits:{");
		if (!redis_call(s, &count_script, REDIS_LITTLE, "tiiiiit"))
			return false;
		snprintf(cursor, sizeof(cursor), "%s",
		    redis_text(&s->reader, 0));
		*n += redis_number(&s->reader, 1);
		if (cursor[0] == '\0')
			return true;
	} while (redis_goes_on(s, &trips));
	return false;
}

enum store_result
redis_status(struct store *store, struct store_status *status)
{
	struct redis_store *s = (struct redis_store *)store;
	const struct redis_reader *r = &s->reader;

	if (!rows_count(s, "logins", &status->rows[STORE_LOGIN]) ||
	    !rows_count(s, "hits", &status->rows[STORE_HIT]) ||
	    !rows_count(s, "accounts", &status->rows[STORE_ACCOUNT]))
		return STORE_ERROR;
	status->rows[STORE_ACCOUNT] += redis_number(r, 2);
	status->rows[STORE_OFFENDER] = redis_number(r, 3);
	status->rows[STORE_RATE] = redis_number(r, 4);
	status->rows[STORE_POSITION] = redis_number(r, 5);
	/* Behind a flush there is none, and nothing of another version. */
	status->schema = r->items[6].type == REDIS_TEXT ? redis_number(r, 6) :
							  STORE_SCHEMA;
	status->bytes = -1; /* not to be had without looking at every key */
	snprintf(status->where, sizeof(status->where), "%s", s->where);
	return STORE_FOUND;
}
