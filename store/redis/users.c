/*
 * store_redis_users - logins, rates and accounts in Redis.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/redis/redis.h"

/* --- logins --- */

/*
 * KEYS: the user's logins, all users, times, countries. ARGV: user, block,
 * country, now, since, seconds to keep it ("" = record nothing), how many rows
 * are a lot.
 *
 * Of a user with a lot of blocks not every row is looked at each time, else
 * one account in the hands of a botnet could keep the server busy: there are
 * two keys more, which are made anew when they do not have all blocks. times:
 * blocks by last login; countries: "LAST BLOCK" of each. They do not help when
 * a block's own country changes, or hides in one that is not known now.
 */
static struct redis_script login_script = { .text =
    "local block, country, seconds = ARGV[2], ARGV[3], ARGV[6] "
    "local last, since = tonumber(ARGV[4]), tonumber(ARGV[5]) "
    "local seen, countries, addresses, count = {}, 0, 1, 0 "
    "local prev, prevtime, where = '', nil, {} "
    "local function note(c) "
    "  if string.find(c, '^[A-Z][A-Z]$') and not seen[c] then "
    "    seen[c] = true countries = countries + 1 end end "
    "local function parse(v) "
    "  local t, n, c = string.match(v or '', '^(%-?%d+) (%d+) (.*)$') "
    "  return tonumber(t), tonumber(n), c end "
    "local function elsewhere(c, t, b) "
    "  if #c == 2 and c ~= ARGV[3] and "
    "    (not where[c] or where[c][3] < t) then "
    "    where[c] = { b, c, t } end end "
    "local function before(b, t) "
    "  if not prevtime or t > prevtime or (t == prevtime and b < prev) "
    "  then prev, prevtime = b, t end end "
    "local rows = redis.call('HLEN', KEYS[1]) "
    "local large = rows > tonumber(ARGV[7]) and seconds ~= '' "
    "local owntime, owncount, own = parse( "
    "  redis.call('HGET', KEYS[1], block)) "
    "local function make() "
    "  local all, latest = redis.call('HGETALL', KEYS[1]), {} "
    "  redis.call('UNLINK', KEYS[3], KEYS[4]) "
    "  for i = 1, #all, 2 do "
    "    local t, _, c = parse(all[i + 1]) "
    "    if not t then redis.call('HDEL', KEYS[1], all[i]) "
    "    else "
    "      redis.call('ZADD', KEYS[3], string.format('%.0f', t), all[i]) "
    "      if #c == 2 and (not latest[c] or latest[c][1] < t) then "
    "        latest[c] = { t, all[i] } end "
    "    end end "
    "  for c, l in pairs(latest) do "
    "    redis.call('HSET', KEYS[4], c, "
    "      string.format('%.0f %s', l[1], l[2])) end end "
    "if owntime then "
    "  count = owncount "
    "  if owntime > last then last = owntime end "
    /* The country stays if it is not known now. */
    "  if country == '' then country = own end "
    "end "
    "note(country) "
    "local short = large and (not owntime or own == '' or own == ARGV[3]) "
    "if short then "
    "  if redis.call('ZCARD', KEYS[3]) ~= rows then make() end "
    "  local from = string.format('(%.0f', since) "
    "  addresses = redis.call('ZCOUNT', KEYS[3], from, '+inf') + "
    "    (owntime and owntime > since and 0 or 1) "
    "  local p = redis.call('ZREVRANGE', KEYS[3], 0, 1, 'WITHSCORES') "
    "  for i = 1, #p, 2 do "
    "    if p[i] ~= block then before(p[i], tonumber(p[i + 1])) end end "
    "  local all = redis.call('HGETALL', KEYS[4]) "
    "  for i = 1, #all, 2 do "
    "    local t, b = string.match(all[i + 1], '^(%-?%d+) (.*)$') "
    "    t = tonumber(t) "
    "    if t and t > since and all[i] ~= country then "
    "      note(all[i]) elsewhere(all[i], t, b) end "
    "    if all[i] == country and t and t > last then short = 'old' end "
    "  end "
    "else "
    "  local all = redis.call('HGETALL', KEYS[1]) "
    "  for i = 1, #all, 2 do "
    "    local t, _, c = parse(all[i + 1]) "
    "    if t and all[i] ~= block then "
    "      before(all[i], t) "
    "      if t > since then "
    "        addresses = addresses + 1 "
    "        note(c) elsewhere(c, t, all[i]) end "
    "    end "
    "  end "
    "end "
    "if seconds ~= '' then "
    "  local l = string.format('%.0f', last) "
    "  redis.call('HSET', KEYS[1], block, "
    "    string.format('%s %.0f %s', l, count + 1, country)) "
    "  redis.call('EXPIRE', KEYS[1], seconds) "
    "  if rows == 0 then redis.call('ZADD', KEYS[2], 0, ARGV[1]) end "
    "  if short then "
    "    redis.call('ZADD', KEYS[3], l, block) "
    "    redis.call('EXPIRE', KEYS[3], seconds) "
    "    if #country == 2 and short ~= 'old' then "
    "      redis.call('HSET', KEYS[4], country, l .. ' ' .. block) end "
    "    redis.call('EXPIRE', KEYS[4], seconds) "
    "  else redis.call('UNLINK', KEYS[3], KEYS[4]) end "
    "end "
    "local out = { rows > 0 and 1 or 0, countries, addresses, prev, "
    "  prevtime or 0 } "
    "local latest = {} "
    "for _, w in pairs(where) do latest[#latest + 1] = w end "
    "table.sort(latest, function(a, b) "
    "  return a[3] > b[3] or (a[3] == b[3] and a[2] < b[2]) end) "
    "for i = 1, math.min(#latest, 8) do "
    "  for k = 1, 3 do out[#out + 1] = latest[i][k] end end "
    "return out" };

_Static_assert(STORE_ELSEWHERE_MAX == 8, "the script gives so many");

enum store_result
redis_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct redis_store *s = (struct redis_store *)store;
	const struct redis_reader *r = &s->reader;
	struct store_elsewhere *e;
	time_t begin = l->now - s->window;
	size_t i;

	memset(c, 0, sizeof(*c));
	redis_script(s, &login_script, 4);
	redis_user_key(s, l->user, "logins");
	redis_key(s, "users");
	redis_user_key(s, l->user, "times");
	redis_user_key(s, l->user, "countries");
	redis_word(s, l->user);
	redis_word(s, l->block);
	redis_word(s, l->country);
	redis_word_number(s, l->now);
	redis_word_number(s, l->since);
	/* They count for the whole window, also before a release. */
	if (l->peek)
		redis_word(s, "");
	else
		redis_word_number(s,
		    redis_keep(l->now, l->since < begin ? l->since : begin));
	redis_word_number(s, s->many);
	if (!redis_call(s, &login_script, REDIS_LITTLE, "iiiti*"))
		return STORE_ERROR;
	c->countries = redis_number(r, 1);
	c->addresses = redis_number(r, 2);
	snprintf(c->previous, sizeof(c->previous), "%s", redis_text(r, 3));
	c->previous_time = redis_number(r, 4);
	for (i = 5; i + 2 < r->count &&
	     c->elsewhere_count < STORE_ELSEWHERE_MAX; i += 3) {
		e = &c->elsewhere[c->elsewhere_count++];
		snprintf(e->block, sizeof(e->block), "%s", redis_text(r, i));
		snprintf(e->country, sizeof(e->country), "%s",
		    redis_text(r, i + 1));
		e->time = redis_number(r, i + 2);
	}
	return redis_number(r, 0) != 0 ? STORE_FOUND : STORE_ABSENT;
}

/* Says FOUND for a script that returns how much it has changed. */
static enum store_result
changed(struct redis_store *s, struct redis_script *script)
{
	int64_t n = redis_call_number(s, script);

	return n < 0 ? STORE_ERROR : n > 0 ? STORE_FOUND : STORE_ABSENT;
}

static struct redis_script forget_script = { .text =
    "redis.call('ZREM', KEYS[2], ARGV[1]) "
    "redis.call('UNLINK', KEYS[3], KEYS[4]) "
    "return redis.call('UNLINK', KEYS[1])" };

enum store_result
redis_forget(struct store *store, const char *user)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_script(s, &forget_script, 4);
	redis_user_key(s, user, "logins");
	redis_key(s, "users");
	redis_user_key(s, user, "times");
	redis_user_key(s, user, "countries");
	redis_word(s, user);
	return changed(s, &forget_script);
}

/* --- rates --- */

/*
 * A period that ends too late was begun before the clock went back. Of those
 * that have ended long ago, two are dropped from the index each time.
 * ARGV: key, limit, period, now, seconds to keep it.
 */
static struct redis_script rate_script = { .text =
    "local limit, period = tonumber(ARGV[2]), tonumber(ARGV[3]) "
    "local now = tonumber(ARGV[4]) "
    "local taken, ends = string.match(redis.call('GET', KEYS[1]) or '', "
    "  '^(%d+) (%-?%d+)$') "
    "taken, ends = tonumber(taken), tonumber(ends) "
    "if not ends or ends <= now or ends > now + period then "
    "  taken, ends = 0, now + period end "
    "if taken >= limit then return 0 end "
    "local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', "
    "  string.format('(%.0f', now - 86400), 'LIMIT', 0, 2) "
    "if #old > 0 then redis.call('ZREM', KEYS[2], unpack(old)) end "
    "ends = string.format('%.0f', ends) "
    "redis.call('SET', KEYS[1], string.format('%.0f ', taken + 1) .. ends, "
    "  'EX', ARGV[5]) "
    "redis.call('ZADD', KEYS[2], ends, ARGV[1]) "
    "return 1" };

enum store_result
redis_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	struct redis_store *s = (struct redis_store *)store;
	char name[REDIS_KEY_MAX];

	if (limit <= 0)
		return STORE_ABSENT;
	snprintf(name, sizeof(name), "rate:%.300s", key);
	redis_script(s, &rate_script, 2);
	redis_key(s, name);
	redis_key(s, "rates");
	redis_word(s, key);
	redis_word_number(s, limit);
	redis_word_number(s, period);
	redis_word_number(s, now);
	redis_word_number(s, redis_keep(now + period, now));
	return changed(s, &rate_script);
}

/* --- accounts --- */

/*
 * KEYS: the set, what we know of the account, our users. ARGV[1]: user. m:
 * what we know; `ours' if that is of what the set says.
 */
#define ACCOUNT_LUA                                                           \
	"local m = redis.call('HMGET', KEYS[2], 'since', 'released', 'ran', " \
	"  'check', 'address', 'reason') "                                    \
	"local listed = redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 "      \
	"local ours = m[1] and listed == (m[2] == '0') "                      \
	"local function foreign() "                                           \
	"  redis.call('DEL', KEYS[2]) "                                       \
	"  redis.call('HSET', KEYS[2], 'since', 0, 'released', 0, 'ran', 0, " \
	"    'check', '', 'address', '', 'reason', '') "                      \
	"  redis.call('ZADD', KEYS[3], 0, ARGV[1]) end "

/* ARGV: since, check, address, reason, expired */
static struct redis_script account_add_script = { .text = ACCOUNT_LUA
    "if listed and "
    "  (tonumber(ours and m[1]) or 0) >= tonumber(ARGV[6]) then return 1 end "
    "redis.call('SADD', KEYS[1], ARGV[1]) "
    "redis.call('DEL', KEYS[2]) "
    "redis.call('HSET', KEYS[2], 'since', ARGV[2], 'released', 0, 'ran', 0, "
    "  'check', ARGV[3], 'address', ARGV[4], 'reason', ARGV[5]) "
    "redis.call('ZADD', KEYS[3], 0, ARGV[1]) "
    "return 0" };

/*
 * ARGV: now, seconds to keep it. One that is no longer in the set was taken
 * out by hand: that is noted, unless the server is for reading only.
 */
static struct redis_script account_find_script = { .text = ACCOUNT_LUA
    "if listed and not ours then m = { '0', '0', '0', '', '', '' } end "
    "if not m[1] then return { 0 } end "
    "if not listed and m[2] == '0' then "
    "  m[2] = ARGV[2] "
    "  redis.pcall('HSET', KEYS[2], 'released', ARGV[2]) "
    "  redis.pcall('EXPIRE', KEYS[2], ARGV[3]) "
    "  redis.pcall('ZADD', KEYS[3], ARGV[2], ARGV[1]) end "
    "return { 1, m[1], m[2], m[3], m[4], m[5], m[6] }" };

static struct redis_script account_release_script = { .text = ACCOUNT_LUA
    "redis.call('SREM', KEYS[1], ARGV[1]) "
    "if not listed and (not m[1] or m[2] ~= '0') then return 0 end "
    "if listed and not ours then foreign() end "
    "redis.call('HSET', KEYS[2], 'released', ARGV[2]) "
    "redis.call('EXPIRE', KEYS[2], ARGV[3]) "
    "redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1]) "
    "return listed and 1 or 0" };

static struct redis_script account_ran_script = { .text = ACCOUNT_LUA
    "if not listed and not m[1] then return 0 end "
    "if listed and not ours then foreign() m[3] = '0' end "
    "if m[3] == '1' then return 0 end "
    "redis.call('HSET', KEYS[2], 'ran', 1) "
    "return 1" };

/* Released accounts are of interest for a year. */
#define RELEASED_KEEP (365 * REDIS_DAY)

static void
account_words(struct redis_store *s, struct redis_script *script,
    const char *user)
{
	redis_script(s, script, 3);
	redis_word(s, REDIS_ACCOUNTS);
	redis_user_key(s, user, "account");
	redis_key(s, "accounts");
	redis_word(s, user);
}

enum store_result
redis_account_add(struct store *store, const struct store_account *a,
    time_t expired)
{
	struct redis_store *s = (struct redis_store *)store;

	account_words(s, &account_add_script, a->user);
	redis_word_number(s, a->since);
	redis_word(s, a->check);
	redis_word(s, a->address);
	redis_word(s, a->reason);
	redis_word_number(s, expired);
	return changed(s, &account_add_script);
}

void
redis_account_items(const struct redis_reader *r, size_t i,
    struct store_account *a)
{
	a->since = redis_number(r, i);
	a->released = redis_number(r, i + 1);
	a->command_ran = redis_number(r, i + 2) != 0;
	snprintf(a->check, sizeof(a->check), "%s", redis_text(r, i + 3));
	snprintf(a->address, sizeof(a->address), "%s", redis_text(r, i + 4));
	snprintf(a->reason, sizeof(a->reason), "%s", redis_text(r, i + 5));
	if (a->since != 0 || a->check[0] != '\0' || a->reason[0] != '\0')
		return;
	snprintf(a->check, sizeof(a->check), "other");
	snprintf(a->reason, sizeof(a->reason),
	    "put into " REDIS_ACCOUNTS " by somebody else");
}

enum store_result
redis_account_find(struct store *store, const char *user,
    struct store_account *a)
{
	struct redis_store *s = (struct redis_store *)store;

	account_words(s, &account_find_script, user);
	redis_word_number(s, time(NULL));
	redis_word_number(s, RELEASED_KEEP);
	if (!redis_call(s, &account_find_script, REDIS_LITTLE, "i*"))
		return STORE_ERROR;
	if (s->reader.count < 1 + REDIS_ACCOUNT_ITEMS)
		return STORE_ABSENT;
	memset(a, 0, sizeof(*a));
	snprintf(a->user, sizeof(a->user), "%s", user);
	redis_account_items(&s->reader, 1, a);
	return STORE_FOUND;
}

enum store_result
redis_account_release(struct store *store, const char *user, time_t now)
{
	struct redis_store *s = (struct redis_store *)store;

	account_words(s, &account_release_script, user);
	redis_word_number(s, now);
	redis_word_number(s, RELEASED_KEEP);
	return changed(s, &account_release_script);
}

enum store_result
redis_account_ran(struct store *store, const char *user)
{
	struct redis_store *s = (struct redis_store *)store;

	account_words(s, &account_ran_script, user);
	return changed(s, &account_ran_script);
}
