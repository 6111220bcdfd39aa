/*
 * store_redis_offenders - hits, offenders and log positions in Redis.
 *
 * A batch watches what others change: positions, offenders, the index of hits.
 * Of two at a time one tries again. All else is a script.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/text.h"
#include "store/listing.h"
#include "store/redis/offenders.lua.h"
#include "store/redis/redis.h"

#define PORTION 1000 /* blocks that are asked for in one round trip */

/* --- as they are kept --- */

void
redis_offender_pack(const struct store_offender *o, char *out, size_t size)
{
	snprintf(out, size, "%ld %ld %lld %lld %lld %d %zu:%s%s", o->hits,
	    o->times, (long long)o->since, (long long)o->last,
	    (long long)o->expires, o->listed, strlen(o->rule), o->rule,
	    o->note);
}

bool
redis_number_take(const char **text, char after, long *out)
{
	size_t n = strcspn(*text, " :");
	char digits[24];

	if ((*text)[n] != after || n >= sizeof(digits))
		return false;
	memcpy(digits, *text, n);
	digits[n] = '\0';
	*text += n + (after != '\0');
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
		if (!redis_number_take(&text, i < 6 ? ' ' : ':', &n[i]))
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

bool
redis_hit_unpack(const char *name, char *rule, const char **key)
{
	long n;

	if (!redis_number_take(&name, ':', &n) || n < 0 ||
	    n >= STORE_RULE_MAX || strlen(name) <= (size_t)n || name[n] != ':')
		return false;
	snprintf(rule, STORE_RULE_MAX, "%.*s", (int)n, name);
	*key = name + n + 1;
	return true;
}

void
redis_offender_put(struct redis_store *s, const struct store_offender *o)
{
	char text[REDIS_OFFENDER_MAX];
	const char *p = s->prefix;

	redis_offender_pack(o, text, sizeof(text));
	redis_ask(s, "HSET %soffenders %s %s", p, o->block, text);
	redis_ask(s, "ZREM %s%s %s", p, o->listed ? "past" : "listed",
	    o->block);
	if (!o->listed)
		redis_ask(s, "ZADD %spast %lld %s", p, (long long)o->last,
		    o->block);
	else if (o->expires == 0)
		redis_ask(s, "ZADD %slisted +inf %s", p, o->block);
	else
		redis_ask(s, "ZADD %slisted %lld %s", p, (long long)o->expires,
		    o->block);
}

/* After a flush it begins elsewhere: no two lists have the same. */
static long long
generation_first(void)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	return (long long)(time(NULL) & 0x7fffffff) << 20 | (r & 0xfffff);
}

void
redis_generation_next(struct redis_store *s)
{
	redis_ask(s, "SET %sgeneration %lld NX", s->prefix, generation_first());
	redis_ask(s, "INCR %sgeneration", s->prefix);
}

/* --- a batch of hits --- */

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

/* Hands a block's reply to the listing: the offender, or its hits. */
static bool
offender_know(struct redis_store *s, struct listing *l, const char *block)
{
	struct store_offender o;

	if (!redis_next(s, REDIS_LITTLE, "t"))
		return false;
	return !redis_offender_unpack(block, redis_text(s->reply, 0), &o) ||
	    listing_know(l, &o);
}

static bool
hits_know(struct redis_store *s, struct listing *l, struct listing_block *b)
{
	char rule[STORE_RULE_MAX];
	struct store_hit h = { .block = b->name, .rule = rule };
	bool good = redis_next(s, REDIS_MUCH, "[*");
	size_t i;

	for (i = 0; good && i + 1 < s->reply->elements; i += 2)
		if (redis_hit_unpack(redis_text(s->reply, i), rule, &h.key)) {
			h.time = redis_number(s->reply, i + 1);
			good = listing_know_hit(l, &h);
			b->own = l; /* there is something to be forgotten */
		}
	return good;
}

/* Reads what is kept of the blocks. */
static bool
blocks_read(struct redis_store *s, struct listing *l)
{
	struct listing_block *b, *from, *end;
	bool good = true;
	size_t n;

	for (from = l->first; good && from != NULL; from = end) {
		for (b = from, n = 0; b != NULL && n < PORTION; n++) {
			redis_ask(s, "HGET %soffenders %s", s->prefix,
			    b->name);
			redis_ask(s, "ZRANGE %shits:{%s} 0 -1 WITHSCORES",
			    s->prefix, b->name);
			b = b->next;
		}
		end = b;
		good = redis_trip(s);
		for (b = from; good && b != end; b = b->next)
			good = offender_know(s, l, b->name) &&
			    hits_know(s, l, b);
	}
	return good;
}

/* Writes what is marked of a block. */
static void
block_write(struct redis_store *s, const struct listing_block *b, long keep)
{
	const char *p = s->prefix;
	const struct listing_hit *h;
	struct store_offender o;
	const char *rule;
	time_t oldest = 0;
	bool any = false;

	if (b->forget && b->own != NULL) {
		redis_ask(s, "UNLINK %shits:{%s}", p, b->name);
		redis_ask(s, "ZREM %shits %s", p, b->name);
	}
	for (h = b->first; h != NULL; h = h->next) {
		if (h->counts && (oldest == 0 || h->time < oldest))
			oldest = h->time;
		if (!h->write)
			continue;
		any = true;
		rule = h->group->rule->name;
		redis_ask(s, "ZADD %shits:{%s} %lld %lu:%s:%s", p, b->name,
		    (long long)h->time, strlen(rule), rule, h->key);
	}
	if (any) {
		redis_ask(s, "EXPIRE %shits:{%s} %ld", p, b->name, keep);
		redis_ask(s, "ZADD %shits %lld %s", p, (long long)oldest,
		    b->name);
	}
	if (b->write) {
		listing_offender(b, &o);
		redis_offender_put(s, &o);
	}
}

/* Counts the hits, once what is kept is watched: see redis_exec(). */
static int
hits_apply(struct redis_store *s, const struct store_batch *batch)
{
	const long keep = hits_keep(batch);
	const struct listing_block *b;
	struct listing l;
	int done = -1;

	s->store.error[0] = '\0';
	if (listing_begin(&l, batch) && blocks_read(s, &l) &&
	    listing_count(&l)) {
		redis_ask(s, "MULTI");
		for (b = l.first; b != NULL; b = b->next)
			block_write(s, b, keep);
		redis_ask(s, "HSET %spositions %s %s", s->prefix,
		    batch->source, batch->position_new);
		if (l.changed)
			redis_generation_next(s);
		done = redis_exec(s);
	} else if (s->fd >= 0) {
		redis_disconnect(s); /* replies may be on their way */
		if (s->store.error[0] == '\0')
			redis_failed(s, "too many hits of a batch, or out of "
			    "memory");
	}
	listing_end(&l);
	return done;
}

enum store_result
redis_offenders_apply(struct store *store, const struct store_batch *b)
{
	struct redis_store *s = (struct redis_store *)store;
	const char *p = s->prefix;
	long trips = 0;
	int done;

	do {
		redis_ask(s, "WATCH %spositions %soffenders %shits", p, p, p);
		redis_ask(s, "HGET %spositions %s", p, b->source);
		if (!redis_trip(s))
			return STORE_ERROR;
		s->together = true;
		if (!redis_next(s, REDIS_LITTLE, "s") ||
		    !redis_next(s, REDIS_LITTLE, "t"))
			return STORE_ERROR;
		if (strcmp(redis_text(s->reply, 0), b->position_old) != 0) {
			redis_ask(s, "UNWATCH");
			s->together = !redis_call(s, NULL, "s");
			return s->together ? STORE_ERROR : STORE_ABSENT;
		}
		done = hits_apply(s, b);
	} while (done == 0 && redis_goes_on(s, &trips));
	return done > 0 ? STORE_FOUND : STORE_ERROR;
}

/* --- one at a time --- */

/* What was asked for is one text, "" without it. */
static enum store_result
text_take(struct redis_store *s, char *out, size_t size)
{
	bool good = redis_call(s, NULL, "t");

	snprintf(out, size, "%s", good ? redis_text(s->reply, 0) : "");
	return !good ? STORE_ERROR :
	    s->reply->type == REDIS_REPLY_STRING ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
redis_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_ask(s, "HGET %spositions %s", s->prefix, source);
	return text_take(s, position, size);
}

enum store_result
redis_generation(struct store *store, int64_t *generation)
{
	struct redis_store *s = (struct redis_store *)store;
	enum store_result result;
	char text[24];

	redis_ask(s, "GET %sgeneration", s->prefix);
	result = text_take(s, text, sizeof(text));
	*generation = strtoll(text, NULL, 10);
	return result;
}

static struct redis_script script = { .text = OFFENDERS_LUA };

/* Changes the list, see offenders.lua. */
static enum store_result
list_change(struct store *store, const char *what, const char *of,
    const struct store_offender *o)
{
	struct redis_store *s = (struct redis_store *)store;
	const char *p = s->prefix;
	char kept[REDIS_OFFENDER_MAX] = "", ends[24] = "+inf";
	long changed = 0;

	if (o != NULL)
		redis_offender_pack(o, kept, sizeof(kept));
	if (o != NULL && o->expires != 0)
		snprintf(ends, sizeof(ends), "%lld", (long long)o->expires);
	redis_ask(s, "EVALSHA %s 5 %soffenders %slisted %spast %shits "
	    "%sgeneration %s %s %shits:{ %lld %s %s", redis_hash(&script), p, p,
	    p, p, p, what, of, p, generation_first(), kept, ends);
	return !redis_repeat(s, &script, &changed) ? STORE_ERROR :
	    changed > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
redis_offender_add(struct store *store, const struct store_offender *o)
{
	struct store_offender put = *o;

	put.listed = true;
	return list_change(store, "add", o->block, &put);
}

enum store_result
redis_offender_remove(struct store *store, const char *block)
{
	return list_change(store, "remove", block, NULL);
}

enum store_result
redis_offenders_expire(struct store *store, time_t now)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)now);
	return list_change(store, "expire", text, NULL);
}
