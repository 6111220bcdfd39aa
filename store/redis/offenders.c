/*
 * store_redis_offenders - hits, offenders and log positions in Redis.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "store/redis/redis.h"
#include "base/text.h"

/* --- as they are kept --- */

void
redis_offender_pack(const struct store_offender *o, char *out, size_t size)
{
	snprintf(out, size, "%ld %ld %lld %lld %lld %d %zu:%s%s", o->hits,
	    o->times, (long long)o->since, (long long)o->last,
	    (long long)o->expires, o->listed, strlen(o->rule), o->rule,
	    o->note);
}

/* Reads a number and the character after it. */
static bool
number_take(const char **text, char after, long *out)
{
	size_t n = strcspn(*text, " :");
	char digits[24];

	if ((*text)[n] != after || n >= sizeof(digits))
		return false;
	memcpy(digits, *text, n);
	digits[n] = '\0';
	*text += n + 1;
	return text_number(digits, INT64_MIN, INT64_MAX, out);
}

bool
redis_offender_unpack(const char *block, const char *text,
    struct store_offender *o)
{
	long n[7];
	size_t i;

	memset(o, 0, sizeof(*o));
	for (i = 0; i < 7; i++)
		if (!number_take(&text, i < 6 ? ' ' : ':', &n[i]))
			return false;
	if (n[6] < 0 || (size_t)n[6] >= sizeof(o->rule) ||
	    strlen(text) < (size_t)n[6] || strlen(block) >= sizeof(o->block))
		return false;
	snprintf(o->block, sizeof(o->block), "%s", block);
	snprintf(o->rule, sizeof(o->rule), "%.*s", (int)n[6], text);
	snprintf(o->note, sizeof(o->note), "%s", text + n[6]);
	o->hits = n[0];
	o->times = n[1];
	o->since = n[2];
	o->last = n[3];
	o->expires = n[4];
	o->listed = n[5] != 0;
	return true;
}

void
redis_hit_pack(const char *rule, const char *key, char *out, size_t size)
{
	snprintf(out, size, "%zu:%s:%s", strlen(rule), rule, key);
}

/*
 * KEYS[1..4]: offenders, listed, past, generation. put() writes one, next()
 * makes another generation: after a flush it begins elsewhere, so that no two
 * lists have the same.
 */
static const char offenders_lua[] =
    "local function get(block) "
    "  local v = redis.call('HGET', KEYS[1], block) "
    "  local o = { hits = 0, times = 0, since = 0, last = 0, expires = 0, "
    "    listed = false, rule = '', note = '' } "
    "  local h, t, s, l, e, on, n, rest = string.match(v or '', "
    "    '^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%d) (%d+):(.*)$') "
    "  if not h then return o end "
    "  n = tonumber(n) "
    "  o.hits, o.times, o.since = tonumber(h), tonumber(t), tonumber(s) "
    "  o.last, o.expires, o.listed = tonumber(l), tonumber(e), on ~= '0' "
    "  o.was = o.listed "
    "  o.rule, o.note = string.sub(rest, 1, n), string.sub(rest, n + 1) "
    "  return o end "
    "local function place(block, listed, expires, last) "
    "  if not listed then redis.call('ZADD', KEYS[3], last, block) "
    "  elseif tonumber(expires) == 0 then "
    "    redis.call('ZADD', KEYS[2], '+inf', block) "
    "  else redis.call('ZADD', KEYS[2], expires, block) end end "
    "local function put(block, o) "
    "  redis.call('HSET', KEYS[1], block, string.format( "
    "    '%.0f %.0f %.0f %.0f %.0f %d %d:', o.hits, o.times, o.since, "
    "    o.last, o.expires, o.listed and 1 or 0, #o.rule) .. o.rule .. "
    "    o.note) "
    "  if o.was ~= nil and o.was ~= o.listed then "
    "    redis.call('ZREM', KEYS[o.was and 2 or 3], block) end "
    "  place(block, o.listed, string.format('%.0f', o.expires), "
    "    string.format('%.0f', o.last)) end "
    "local function next_generation(seed) "
    "  if redis.call('EXISTS', KEYS[4]) == 0 then "
    "    redis.call('SET', KEYS[4], seed) end "
    "  redis.call('INCR', KEYS[4]) end ";

struct redis_script *
redis_script_offenders(struct redis_long_script *l, const char *body)
{
	if (l->script.text == NULL) {
		snprintf(l->text, sizeof(l->text), "%s%s", offenders_lua,
		    body);
		l->script.text = l->text;
	}
	return &l->script;
}

void
redis_seed(struct redis_store *s)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	redis_word_number(s,
	    (int64_t)(time(NULL) & 0x7fffffff) << 20 | (r & 0xfffff));
}

void
redis_offender_keys(struct redis_store *s)
{
	redis_key(s, "offenders");
	redis_key(s, "listed");
	redis_key(s, "past");
	redis_key(s, "generation");
}

/* --- a batch of hits --- */

/*
 * KEYS[5..]: hits, positions, batch. ARGV: seed, what the keys of hits
 * begin with, source, old, new, ban, ban_max, seconds to keep hits, hits in
 * the batch, rules; of each rule: name, hits, period; then the hits, or they
 * are in the list `batch': block, rule, key, time.
 *
 * Everything is read and reckoned first and written at the end. What is known
 * of the hits of a block: by rule and key their times.
 */
static const char apply_lua[] =
    "local ban, most = tonumber(ARGV[6]), tonumber(ARGV[7]) "
    "local total, at = tonumber(ARGV[9]), 11 "
    "local rules = {} "
    "for i = 1, tonumber(ARGV[10]) do "
    "  rules[ARGV[at]] = { tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]) } "
    "  at = at + 3 end "
    "local uploaded = total > 0 and #ARGV < at "
    "local function done(result) "
    "  if uploaded then redis.call('UNLINK', KEYS[7]) end "
    "  return result end "
    "if (redis.call('HGET', KEYS[6], ARGV[3]) or '') ~= ARGV[4] then "
    "  return done(0) end "
    "local items = ARGV "
    "if uploaded then "
    "  items, at = redis.call('LRANGE', KEYS[7], 0, -1), 1 end "
    "if #items - at + 1 ~= total * 4 then "
    "  return redis.error_reply('ERR the batch is gone') end "
    "local known, blocks, changed = {}, {}, false "
    "local function hits_of(block) "
    "  local b = blocks[block] "
    "  if b then return b end "
    "  local v = redis.call('ZRANGE', ARGV[2] .. block .. '}', 0, -1, "
    "    'WITHSCORES') "
    "  b = { rules = {}, put = {}, stored = #v > 0, forget = false } "
    "  for i = 1, #v, 2 do "
    "    local n, rest = string.match(v[i], '^(%d+):(.*)$') "
    "    n = tonumber(n) "
    "    if n then "
    "      local rule = string.sub(rest, 1, n) "
    "      b.rules[rule] = b.rules[rule] or {} "
    "      b.rules[rule][string.sub(rest, n + 2)] = tonumber(v[i + 1]) "
    "    end end "
    "  blocks[block] = b "
    "  return b end "
    "local function count(block, name, key, t, period) "
    "  local b = hits_of(block) "
    "  local h = b.rules[name] or {} "
    "  b.rules[name] = h "
    "  if not h[key] or h[key] < t then "
    "    h[key] = t "
    "    b.put[#name .. ':' .. name .. ':' .. key] = t end "
    "  local n, m, latest = 0, 0, nil "
    "  for _, x in pairs(h) do "
    "    if x > t - period and x <= t then n = n + 1 end "
    "    if x < t + period and (not latest or x > latest) then "
    "      latest = x end end "
    "  for _, x in pairs(h) do "
    "    if latest and x > latest - period and x <= latest then "
    "      m = m + 1 end end "
    "  return math.max(n, m) end "
    "local function hit(block, name, key, t) "
    "  local rule = rules[name] "
    "  if not rule then return end "
    "  local o = known[block] or get(block) "
    "  known[block] = o "
    "  if o.listed and o.expires == 0 then return end "
    "  if o.listed and o.expires > t then o.hits = o.hits + 1 "
    "  else "
    "    local n = 1 "
    "    if rule[1] > 1 then n = count(block, name, key, t, rule[2]) end "
    "    if n < rule[1] then return end "
    "    local b = hits_of(block) "
    "    b.rules, b.put, b.forget = {}, {}, b.stored "
    "    o.listed, o.times, o.hits, o.since = true, o.times + 1, n, t "
    "    o.rule, o.note = name, '' "
    "  end "
    "  if t > o.last then o.last = t end "
    "  local length, times = ban, o.times "
    "  while times > 1 and length < most do "
    "    length, times = length * 2, times - 1 end "
    "  if length > most then length = most end "
    "  if o.last + length > o.expires then o.expires = o.last + length end "
    "  o.dirty, changed = true, true end "
    "for i = at, #items, 4 do "
    "  hit(items[i], items[i + 1], items[i + 2], tonumber(items[i + 3])) end "
    "for block, o in pairs(known) do "
    "  if o.dirty then put(block, o) end end "
    "for block, b in pairs(blocks) do "
    "  local key = ARGV[2] .. block .. '}' "
    "  if b.forget then "
    "    redis.call('UNLINK', key) "
    "    redis.call('ZREM', KEYS[5], block) end "
    "  if next(b.put) then "
    "    for member, t in pairs(b.put) do "
    "      redis.call('ZADD', key, string.format('%.0f', t), member) end "
    "    redis.call('EXPIRE', key, ARGV[8]) "
    "    redis.call('ZADD', KEYS[5], "
    "      redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2], block) end "
    "end "
    "redis.call('HSET', KEYS[6], ARGV[3], ARGV[5]) "
    "if changed then next_generation(ARGV[1]) end "
    "return done(1)";

_Static_assert(sizeof(offenders_lua) + sizeof(apply_lua) <
	sizeof(((struct redis_long_script *)0)->text), "it fits");

static void
hit_words(struct redis_store *s, const void *items, size_t i)
{
	const struct store_hit *h = (const struct store_hit *)items + i;

	redis_word(s, h->block);
	redis_word(s, h->rule);
	redis_word(s, h->key);
	redis_word_number(s, h->time);
}

/* Hits count no longer than a period, and logs are not read that late. */
static long
hits_keep(const struct store_batch *b)
{
	long longest = 0;
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (b->rules[i].period > longest)
			longest = b->rules[i].period;
	return redis_keep(longest, 0) + 7 * REDIS_DAY;
}

enum store_result
redis_offenders_apply(struct store *store, const struct store_batch *b)
{
	static struct redis_long_script apply;
	struct redis_store *s = (struct redis_store *)store;
	struct redis_script *script = redis_script_offenders(&apply, apply_lua);
	const struct redis_items hits = { b->hits, b->hit_count, hit_words };
	char batch[REDIS_KEY_MAX];
	bool inlined;
	int64_t n;
	size_t i;

	if (!redis_upload(s, &hits, batch, sizeof(batch)))
		return STORE_ERROR;
	inlined = b->hit_count <= REDIS_INLINE;
	redis_script(s, script, 7);
	redis_offender_keys(s);
	redis_key(s, "hits");
	redis_key(s, "positions");
	redis_word(s, batch);
	redis_seed(s);
	redis_key(s, "hits:{");
	redis_word(s, b->source);
	redis_word(s, b->position_old);
	redis_word(s, b->position_new);
	redis_word_number(s, b->ban);
	redis_word_number(s, b->ban_max);
	redis_word_number(s, hits_keep(b));
	redis_word_number(s, (int64_t)b->hit_count);
	redis_word_number(s, (int64_t)b->rule_count);
	for (i = 0; i < b->rule_count; i++) {
		redis_word(s, b->rules[i].name);
		redis_word_number(s, b->rules[i].hits);
		redis_word_number(s, b->rules[i].period);
	}
	for (i = 0; inlined && i < b->hit_count; i++)
		hit_words(s, b->hits, i);
	n = redis_call_number(s, script);
	return n < 0 ? STORE_ERROR : n > 0 ? STORE_FOUND : STORE_ABSENT;
}

/* --- one at a time --- */

static struct redis_script position_script = { .text =
    "return { redis.call('HGET', KEYS[1], ARGV[1]) }" };

enum store_result
redis_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct redis_store *s = (struct redis_store *)store;

	position[0] = '\0';
	redis_script(s, &position_script, 1);
	redis_key(s, "positions");
	redis_word(s, source);
	if (!redis_call(s, &position_script, REDIS_LITTLE, "t"))
		return STORE_ERROR;
	snprintf(position, size, "%s", redis_text(&s->reader, 0));
	return s->reader.items[0].type == REDIS_TEXT ? STORE_FOUND :
						       STORE_ABSENT;
}

static struct redis_script generation_script = { .text =
    "return { redis.call('GET', KEYS[1]) }" };

enum store_result
redis_generation(struct store *store, int64_t *generation)
{
	struct redis_store *s = (struct redis_store *)store;

	*generation = 0;
	redis_script(s, &generation_script, 1);
	redis_key(s, "generation");
	if (!redis_call(s, &generation_script, REDIS_LITTLE, "t"))
		return STORE_ERROR;
	*generation = redis_number(&s->reader, 0);
	return s->reader.items[0].type == REDIS_TEXT ? STORE_FOUND :
						       STORE_ABSENT;
}

/* ARGV: seed, block, rule, note, hits, since, last, expires */
static const char add_lua[] =
    "local old = get(ARGV[2]) "
    "put(ARGV[2], { was = old.was, hits = tonumber(ARGV[5]), "
    "  times = old.times + (old.listed and 0 or 1), "
    "  since = tonumber(ARGV[6]), last = tonumber(ARGV[7]), "
    "  expires = tonumber(ARGV[8]), listed = true, rule = ARGV[3], "
    "  note = ARGV[4] }) "
    "next_generation(ARGV[1]) "
    "return old.listed and 1 or 0";

enum store_result
redis_offender_add(struct store *store, const struct store_offender *o)
{
	static struct redis_long_script add;
	struct redis_store *s = (struct redis_store *)store;
	struct redis_script *script = redis_script_offenders(&add, add_lua);
	int64_t n;

	redis_script(s, script, 4);
	redis_offender_keys(s);
	redis_seed(s);
	redis_word(s, o->block);
	redis_word(s, o->rule);
	redis_word(s, o->note);
	redis_word_number(s, o->hits);
	redis_word_number(s, o->since);
	redis_word_number(s, o->last);
	redis_word_number(s, o->expires);
	n = redis_call_number(s, script);
	return n < 0 ? STORE_ERROR : n > 0 ? STORE_FOUND : STORE_ABSENT;
}

/*
 * KEYS[5]: hits. ARGV: seed, what the keys of hits begin with, block. For "",
 * all offenders go at once and hits a thousand blocks at a time.
 */
static const char remove_lua[] =
    "local n, left "
    "if ARGV[3] ~= '' then "
    "  n = redis.call('HDEL', KEYS[1], ARGV[3]) "
    "  redis.call('ZREM', KEYS[2], ARGV[3]) "
    "  redis.call('ZREM', KEYS[3], ARGV[3]) "
    "  redis.call('UNLINK', ARGV[2] .. ARGV[3] .. '}') "
    "  redis.call('ZREM', KEYS[5], ARGV[3]) "
    "else "
    "  n = redis.call('HLEN', KEYS[1]) "
    "  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3]) "
    "  local blocks = redis.call('ZRANGE', KEYS[5], 0, 999) "
    "  for _, block in ipairs(blocks) do "
    "    redis.call('UNLINK', ARGV[2] .. block .. '}') end "
    "  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, 999) "
    "  left = redis.call('ZCARD', KEYS[5]) "
    "end "
    "if n > 0 then next_generation(ARGV[1]) end "
    "return { n, left or 0 }";

enum store_result
redis_offender_remove(struct store *store, const char *block)
{
	static struct redis_long_script remove;
	struct redis_store *s = (struct redis_store *)store;
	struct redis_script *script =
	    redis_script_offenders(&remove, remove_lua);
	bool any = false;
	long trips = 0;
	int64_t left;

	do {
		redis_script(s, script, 5);
		redis_offender_keys(s);
		redis_key(s, "hits");
		redis_seed(s);
		redis_key(s, "hits:{");
		redis_word(s, block);
		if (!redis_call(s, script, REDIS_LITTLE, "ii"))
			return STORE_ERROR;
		any = any || redis_number(&s->reader, 0) > 0;
		left = redis_number(&s->reader, 1);
	} while (left > 0 && redis_goes_on(s, &trips));
	if (left > 0)
		return STORE_ERROR;
	return any ? STORE_FOUND : STORE_ABSENT;
}

/* ARGV: seed, now, how many: each is written in three places. */
#define EXPIRE_BLOCKS 200
static const char expire_lua[] =
    "local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[2], "
    "  'LIMIT', 0, ARGV[3]) "
    "for _, block in ipairs(over) do "
    "  local o = get(block) "
    "  if not o.was then redis.call('ZREM', KEYS[2], block) "
    "  else "
    "    o.listed = false "
    "    put(block, o) "
    "  end "
    "end "
    "if #over > 0 then next_generation(ARGV[1]) end "
    "return #over";

enum store_result
redis_offenders_expire(struct store *store, time_t now)
{
	static struct redis_long_script expire;
	struct redis_store *s = (struct redis_store *)store;
	struct redis_script *script =
	    redis_script_offenders(&expire, expire_lua);
	bool any = false;
	long trips = 0;
	int64_t n;

	do {
		redis_script(s, script, 4);
		redis_offender_keys(s);
		redis_seed(s);
		redis_word_number(s, now);
		redis_word_number(s, EXPIRE_BLOCKS);
		n = redis_call_number(s, script);
		if (n < 0)
			return STORE_ERROR;
		any = any || n > 0;
	} while (n == EXPIRE_BLOCKS && redis_goes_on(s, &trips));
	if (n == EXPIRE_BLOCKS)
		return STORE_ERROR;
	return any ? STORE_FOUND : STORE_ABSENT;
}
