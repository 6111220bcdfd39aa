/*
 * store_redis_offenders - hits, offenders and log positions in Redis.
 *
 * Everybody who changes them watches what the others change: positions,
 * offenders, or the index of hits. Of two at a time one tries again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/text.h"
#include "store/listing.h"
#include "store/redis/redis.h"

#define PORTION 1000 /* blocks of which others wait for the end */

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

void
redis_generation_next(struct redis_store *s)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	/* After a flush it begins elsewhere: no two lists have the same. */
	redis_ask(s, "SET %sgeneration %" PRId64 " NX", s->prefix,
	    (int64_t)(time(NULL) & 0x7fffffff) << 20 | (r & 0xfffff));
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
		redis_multi(s);
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
		if (!redis_watch(s) || !redis_next(s, REDIS_LITTLE, "t"))
			return STORE_ERROR;
		if (strcmp(redis_text(s->reply, 0), b->position_old) != 0)
			return redis_unwatch(s) ? STORE_ABSENT : STORE_ERROR;
		done = hits_apply(s, b);
	} while (done == 0 && redis_goes_on(s, &trips));
	return done > 0 ? STORE_FOUND : STORE_ERROR;
}

/* --- one at a time --- */

enum store_result
redis_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct redis_store *s = (struct redis_store *)store;

	position[0] = '\0';
	redis_ask(s, "HGET %spositions %s", s->prefix, source);
	if (!redis_call(s, NULL, "t"))
		return STORE_ERROR;
	snprintf(position, size, "%s", redis_text(s->reply, 0));
	return s->reply->type == REDIS_REPLY_STRING ? STORE_FOUND :
						      STORE_ABSENT;
}

enum store_result
redis_generation(struct store *store, int64_t *generation)
{
	struct redis_store *s = (struct redis_store *)store;

	*generation = 0;
	redis_ask(s, "GET %sgeneration", s->prefix);
	if (!redis_call(s, NULL, "t"))
		return STORE_ERROR;
	*generation = redis_number(s->reply, 0);
	return s->reply->type == REDIS_REPLY_STRING ? STORE_FOUND :
						      STORE_ABSENT;
}

enum store_result
redis_offender_add(struct store *store, const struct store_offender *o)
{
	struct redis_store *s = (struct redis_store *)store;
	struct store_offender old, put = *o;
	long trips = 0;
	int done;

	put.listed = true;
	do {
		redis_ask(s, "WATCH %soffenders", s->prefix);
		redis_ask(s, "HGET %soffenders %s", s->prefix, o->block);
		if (!redis_watch(s) || !redis_next(s, REDIS_LITTLE, "t"))
			return STORE_ERROR;
		if (!redis_offender_unpack(o->block, redis_text(s->reply, 0),
			&old))
			memset(&old, 0, sizeof(old));
		put.times = old.times + !old.listed;
		redis_multi(s);
		redis_offender_put(s, &put);
		redis_generation_next(s);
		done = redis_exec(s);
	} while (done == 0 && redis_goes_on(s, &trips));
	return done <= 0 ? STORE_ERROR : old.listed ? STORE_FOUND :
						      STORE_ABSENT;
}

/*
 * Removes one block, or "" = all, with hits of a thousand blocks; adds how many
 * offenders there were. *left: of how many blocks there may still be hits.
 */
static int
remove_some(struct redis_store *s, const char *block, int64_t *removed,
    size_t *left)
{
	const char *p = s->prefix;
	const bool all = block[0] == '\0';
	redisReply *names;
	int64_t n;
	size_t i;
	int done;

	redis_ask(s, "WATCH %soffenders %shits", p, p);
	if (all)
		redis_ask(s, "HLEN %soffenders", p);
	else
		redis_ask(s, "HEXISTS %soffenders %s", p, block);
	redis_ask(s, "ZRANGE %shits 0 %d", p, all ? PORTION - 1 : 0);
	if (!redis_watch(s) || !redis_next(s, REDIS_LITTLE, "i"))
		return -1;
	n = redis_number(s->reply, 0);
	if (!redis_next(s, REDIS_MUCH, "[*"))
		return -1;
	names = s->reply;
	s->reply = NULL;
	*left = all ? names->elements : 0;
	redis_multi(s);
	for (i = 0; i < (all ? names->elements : 1); i++) {
		if (all)
			block = redis_text(names, i);
		redis_ask(s, "UNLINK %shits:{%s}", p, block);
		redis_ask(s, "ZREM %shits %s", p, block);
	}
	redis_library.freeReplyObject(names);
	if (all)
		redis_ask(s, "UNLINK %soffenders %slisted %spast", p, p, p);
	else {
		redis_ask(s, "HDEL %soffenders %s", p, block);
		redis_ask(s, "ZREM %slisted %s", p, block);
		redis_ask(s, "ZREM %spast %s", p, block);
	}
	if (n > 0)
		redis_generation_next(s);
	done = redis_exec(s);
	if (done > 0)
		*removed += n;
	return done;
}

enum store_result
redis_offender_remove(struct store *store, const char *block)
{
	struct redis_store *s = (struct redis_store *)store;
	int64_t removed = 0;
	size_t left = 0;
	long trips = 0;
	int done;

	do {
		done = remove_some(s, block, &removed, &left);
	} while ((done == 0 || (done > 0 && left == PORTION)) &&
	    redis_goes_on(s, &trips));
	return done <= 0 || left == PORTION ? STORE_ERROR :
	    removed > 0			    ? STORE_FOUND :
					      STORE_ABSENT;
}

/* Reads the offenders of some blocks; those that are none have no block. */
static struct store_offender *
offenders_read(struct redis_store *s, const redisReply *blocks)
{
	struct store_offender *all = calloc(blocks->elements, sizeof(*all));
	bool good;
	size_t i;

	if (all == NULL) {
		redis_failed(s, "out of memory");
		return NULL;
	}
	for (i = 0; i < blocks->elements; i++)
		redis_ask(s, "HGET %soffenders %s", s->prefix,
		    redis_text(blocks, i));
	good = redis_trip(s);
	for (i = 0; good && i < blocks->elements; i++) {
		good = redis_next(s, REDIS_LITTLE, "t");
		if (good && !redis_offender_unpack(redis_text(blocks, i),
			redis_text(s->reply, 0), &all[i]))
			all[i].block[0] = '\0';
	}
	if (good)
		return all;
	free(all);
	return NULL;
}

/* Takes up to a thousand from the list: how many there were, in *n. */
static int
expire_some(struct redis_store *s, time_t now, size_t *n)
{
	struct store_offender *all;
	redisReply *blocks;
	size_t i;

	redis_ask(s, "WATCH %soffenders", s->prefix);
	redis_ask(s, "ZRANGEBYSCORE %slisted -inf %lld LIMIT 0 %d", s->prefix,
	    (long long)now, PORTION);
	if (!redis_watch(s) || !redis_next(s, REDIS_MUCH, "[*"))
		return -1;
	*n = s->reply->elements;
	if (*n == 0)
		return redis_unwatch(s) ? 1 : -1;
	blocks = s->reply;
	s->reply = NULL;
	all = offenders_read(s, blocks);
	if (all == NULL) {
		redis_library.freeReplyObject(blocks);
		redis_disconnect(s);
		return -1;
	}
	redis_multi(s);
	for (i = 0; i < *n; i++) {
		redis_ask(s, "ZREM %slisted %s", s->prefix,
		    redis_text(blocks, i));
		all[i].listed = false;
		if (all[i].block[0] != '\0')
			redis_offender_put(s, &all[i]);
	}
	redis_library.freeReplyObject(blocks);
	free(all);
	redis_generation_next(s);
	return redis_exec(s);
}

enum store_result
redis_offenders_expire(struct store *store, time_t now)
{
	struct redis_store *s = (struct redis_store *)store;
	bool any = false;
	size_t n = 0;
	long trips = 0;
	int done;

	do {
		done = expire_some(s, now, &n);
		any = any || (done > 0 && n > 0);
	} while ((done == 0 || (done > 0 && n > 0)) &&
	    redis_goes_on(s, &trips));
	return done <= 0 || n > 0 ? STORE_ERROR :
	    any			  ? STORE_FOUND :
				    STORE_ABSENT;
}
