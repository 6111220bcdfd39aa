/*
 * store_mysql_batch - a batch of hits in MySQL and MariaDB.
 *
 * One transaction of few statements: everything about the blocks of the batch
 * is read, the hits are counted here, and what has changed is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/mysql/mysql.h"

#define HITS_MAX 200000 /* of the blocks of a batch that are read */

/* A hit that is known. */
struct hit {
	char block[STORE_BLOCK_MAX];
	char rule[STORE_RULE_MAX];
	char key[STORE_TEXT_MAX];
	time_t time;
	bool write; /* is to be put down */
	bool gone;  /* has done its work */
};

/* A block of the batch. */
struct block {
	const char *name;
	struct store_offender offender;
	bool write;  /* the offender has changed */
	bool forget; /* its hits go */
};

/* What a batch is worked out with. */
struct work {
	const struct store_batch *batch;
	struct block *blocks;
	size_t block_count;
	struct hit *hits;
	size_t hit_count, hit_room;
};

/* --- what is known --- */

static int
block_compare(const void *a, const void *b)
{
	return strcmp(((const struct block *)a)->name,
	    ((const struct block *)b)->name);
}

static struct block *
block_find(const struct work *w, const char *name)
{
	const struct block key = { .name = name };

	return bsearch(&key, w->blocks, w->block_count, sizeof(key),
	    block_compare);
}

/* The blocks of the batch, each once, in order. */
static void
blocks_list(struct work *w)
{
	const struct store_batch *b = w->batch;
	size_t i, n = 0;

	for (i = 0; i < b->hit_count; i++)
		w->blocks[i].name = b->hits[i].block;
	qsort(w->blocks, b->hit_count, sizeof(w->blocks[0]), block_compare);
	for (i = 0; i < b->hit_count; i++)
		if (n == 0 ||
		    strcmp(w->blocks[n - 1].name, w->blocks[i].name) != 0)
			w->blocks[n++] = w->blocks[i];
	w->block_count = n;
}

/* Makes room for one more hit; NULL on failure, told. */
static struct hit *
hit_new(struct maria_store *s, struct work *w)
{
	struct hit *hits = w->hit_count >= HITS_MAX ? NULL :
	    array_room(w->hits, &w->hit_room, w->hit_count + 1, sizeof(*hits),
		64);

	if (hits == NULL) {
		maria_failed(s, "too many hits of one batch");
		s->store.failure = STORE_BAD_DATA;
		return NULL;
	}
	w->hits = hits;
	memset(&w->hits[w->hit_count], 0, sizeof(*w->hits));
	return &w->hits[w->hit_count++];
}

static bool
offenders_read(struct maria_store *s, struct work *w, const char *const *names)
{
	struct block *block;
	size_t n;
	int rc;

	for (n = 0; n < w->block_count; n += MARIA_ROWS) {
		maria_blocks_bind(s, names, w->block_count, n);
		if (!maria_query(s, OFFENDER_ROWS))
			return false;
		while ((rc = maria_fetch(s)) == 1) {
			block = block_find(w, s->row[0].text);
			if (block != NULL)
				maria_offender_columns(s, &block->offender);
		}
		if (rc < 0)
			return false;
	}
	return true;
}

/* Hits up to this time cannot count with those of the batch. */
static time_t
too_old(const struct store_batch *b)
{
	time_t first = b->hits[0].time;
	long period = 0;
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (b->rules[i].period > period)
			period = b->rules[i].period;
	for (i = 0; i < b->hit_count; i++)
		if (b->hits[i].time < first)
			first = b->hits[i].time;
	return first - period;
}

static bool
hits_read(struct maria_store *s, struct work *w, const char *const *names)
{
	const time_t after = too_old(w->batch);
	struct hit *h;
	size_t n;
	int rc;

	for (n = 0; n < w->block_count; n += MARIA_ROWS) {
		maria_blocks_bind(s, names, w->block_count, n);
		maria_number(s, after);
		if (!maria_query(s, HIT_ROWS))
			return false;
		while ((rc = maria_fetch(s)) == 1) {
			h = hit_new(s, w);
			if (h == NULL)
				return false;
			maria_copy(s, 0, h->block, sizeof(h->block));
			maria_copy(s, 1, h->rule, sizeof(h->rule));
			maria_copy(s, 2, h->key, sizeof(h->key));
			h->time = s->row[3].number;
		}
		if (rc < 0)
			return false;
	}
	return true;
}

/* --- counting --- */

/* The ban after so many listings. */
static long
ban_length(const struct store_batch *b, long times)
{
	long ban = b->ban;

	for (; times > 1 && ban < b->ban_max; times--)
		ban *= 2;
	return ban > b->ban_max ? b->ban_max : ban;
}

/* Does it count for this block and rule? */
static bool
hit_is_of(const struct hit *known, const struct store_hit *h)
{
	return !known->gone && strcmp(known->block, h->block) == 0 &&
	    strcmp(known->rule, h->rule) == 0;
}

/* Puts down a hit, once for each key. False on failure. */
static bool
hit_note(struct maria_store *s, struct work *w, const struct store_hit *h)
{
	struct hit *known;
	size_t i;

	for (i = 0; i < w->hit_count; i++) {
		known = &w->hits[i];
		if (!hit_is_of(known, h) || strcmp(known->key, h->key) != 0)
			continue;
		if (h->time > known->time) {
			known->time = h->time;
			known->write = true;
		}
		return true;
	}
	known = hit_new(s, w);
	if (known == NULL)
		return false;
	snprintf(known->block, sizeof(known->block), "%s", h->block);
	snprintf(known->rule, sizeof(known->rule), "%s", h->rule);
	snprintf(known->key, sizeof(known->key), "%s", h->key);
	known->time = h->time;
	known->write = true;
	return true;
}

/*
 * How many hits there are within the period up to this one, or up to the
 * latest within the period after it, whichever are more.
 */
static long
hits_count(const struct work *w, const struct store_hit *h, long period)
{
	time_t latest = h->time;
	long to_this = 0, to_latest = 0;
	size_t i;

	for (i = 0; i < w->hit_count; i++)
		if (hit_is_of(&w->hits[i], h) &&
		    w->hits[i].time < h->time + period &&
		    w->hits[i].time > latest)
			latest = w->hits[i].time;
	for (i = 0; i < w->hit_count; i++) {
		if (!hit_is_of(&w->hits[i], h))
			continue;
		to_this += w->hits[i].time > h->time - period &&
		    w->hits[i].time <= h->time;
		to_latest += w->hits[i].time > latest - period &&
		    w->hits[i].time <= latest;
	}
	return to_this > to_latest ? to_this : to_latest;
}

/* Its hits have done their work. */
static void
hits_spend(struct work *w, struct block *block)
{
	size_t i;

	block->forget = true;
	for (i = 0; i < w->hit_count; i++)
		if (strcmp(w->hits[i].block, block->name) == 0)
			w->hits[i].gone = true;
}

static const struct store_rule *
rule_find(const struct store_batch *b, const char *name)
{
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (strcmp(b->rules[i].name, name) == 0)
			return &b->rules[i];
	return NULL;
}

/*
 * One hit: a listed block stays longer, another one is listed when it has
 * enough of them. False on failure.
 */
static bool
hit_apply(struct maria_store *s, struct work *w, const struct store_hit *h)
{
	const struct store_rule *rule = rule_find(w->batch, h->rule);
	struct block *block = block_find(w, h->block);
	struct store_offender *o = &block->offender;
	long hits = 1, ban;

	if (rule == NULL || (o->listed && o->expires == 0))
		return true; /* not ours, or by hand and for ever */
	if (o->listed && o->expires > h->time)
		o->hits++;
	else {
		if (rule->hits > 1) {
			if (!hit_note(s, w, h))
				return false;
			hits = hits_count(w, h, rule->period);
		}
		if (hits < rule->hits)
			return true;
		hits_spend(w, block);
		o->listed = true;
		o->times++;
		o->hits = hits;
		o->since = h->time;
		snprintf(o->block, sizeof(o->block), "%s", h->block);
		snprintf(o->rule, sizeof(o->rule), "%s", h->rule);
		o->note[0] = '\0';
	}
	if (h->time > o->last)
		o->last = h->time;
	ban = ban_length(w->batch, o->times);
	if (o->last + ban > o->expires)
		o->expires = o->last + ban;
	block->write = true;
	return true;
}

/* --- writing --- */

static void
bind_block(struct maria_store *s, const void *arg, size_t n)
{
	const struct block *const *rows = arg;

	maria_offender_bind(s, &rows[n]->offender);
}

static void
bind_hit(struct maria_store *s, const void *arg, size_t n)
{
	const struct hit *const *rows = arg;

	maria_hit_bind(s, rows[n]->block, rows[n]->rule, rows[n]->key,
	    rows[n]->time);
}

/* Forgets the hits of blocks that are listed now. */
static bool
hits_forget(struct maria_store *s, const struct work *w, const char **names)
{
	size_t n, count = 0;

	for (n = 0; n < w->block_count; n++)
		if (w->blocks[n].forget)
			names[count++] = w->blocks[n].name;
	for (n = 0; n < count; n += MARIA_ROWS) {
		maria_blocks_bind(s, names, count, n);
		if (maria_run(s, HIT_FORGET) < 0)
			return false;
	}
	return true;
}

/* Writes what has changed. */
static bool
changes_write(struct maria_store *s, const struct work *w, const char **names)
{
	const void **rows;
	size_t n, count = 0;
	bool good;

	if (!hits_forget(s, w, names))
		return false;
	rows = calloc(w->hit_count + w->block_count + 1, sizeof(*rows));
	if (rows == NULL) {
		maria_failed(s, "out of memory");
		return false;
	}
	for (n = 0; n < w->hit_count; n++)
		if (w->hits[n].write && !w->hits[n].gone)
			rows[count++] = &w->hits[n];
	good = maria_write_many(s, HIT_PUT, HIT_PUT_MANY, count, bind_hit,
	    rows);
	for (n = 0, count = 0; n < w->block_count; n++)
		if (w->blocks[n].write)
			rows[count++] = &w->blocks[n];
	good = good && maria_write_many(s, OFFENDER_PUT, OFFENDER_PUT_MANY,
	    count, bind_block, rows);
	free(rows);
	return good && (count == 0 || maria_run(s, GENERATION_NEXT) >= 0);
}

/* --- batches --- */

/* Moves the position if it is the old one: 1, 0 it is not, -1 on failure. */
static int64_t
position_move(struct maria_store *s, const struct store_batch *b)
{
	if (b->position_old[0] == '\0') {
		maria_text(s, b->source);
		maria_text(s, b->position_new);
		return maria_run(s, POSITION_FIRST);
	}
	maria_text(s, b->position_new);
	maria_text(s, b->source);
	maria_text(s, b->position_old);
	return maria_run(s, POSITION_MOVE);
}

/* The hits of a batch, inside its transaction. */
static bool
hits_apply(struct maria_store *s, struct work *w)
{
	const char **names = calloc(w->batch->hit_count, sizeof(*names));
	bool good;
	size_t i;

	if (names == NULL) {
		maria_failed(s, "out of memory");
		return false;
	}
	blocks_list(w);
	for (i = 0; i < w->block_count; i++)
		names[i] = w->blocks[i].name;
	good = maria_run(s, GENERATION_LOCK) >= 0 &&
	    offenders_read(s, w, names) && hits_read(s, w, names);
	for (i = 0; good && i < w->batch->hit_count; i++)
		good = hit_apply(s, w, &w->batch->hits[i]);
	good = good && changes_write(s, w, names);
	free(names);
	return good;
}

static enum store_result
batch_apply(struct maria_store *s, void *arg)
{
	struct work w = { .batch = arg };
	int64_t moved = position_move(s, w.batch);
	bool good;

	if (moved <= 0)
		return moved < 0 ? STORE_ERROR : STORE_ABSENT;
	w.blocks = calloc(w.batch->hit_count, sizeof(*w.blocks));
	if (w.blocks == NULL)
		return maria_failed(s, "out of memory");
	good = hits_apply(s, &w);
	free(w.blocks);
	free(w.hits);
	return good ? STORE_FOUND : STORE_ERROR;
}

enum store_result
maria_offenders_apply(struct store *store, const struct store_batch *b)
{
	struct maria_store *s = (struct maria_store *)store;
	int64_t moved;

	if (b->hit_count > 0)
		return maria_transaction(s, batch_apply,
		    (void *)(uintptr_t)b);
	if (!maria_begin(s))
		return STORE_ERROR;
	moved = position_move(s, b);
	return moved < 0 ? STORE_ERROR : moved > 0 ? STORE_FOUND :
						     STORE_ABSENT;
}
