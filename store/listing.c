/*
 * listing - when is a block listed: the one place that counts hits.
 */
#include "store/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"

#define TABLE_MIN 1024         /* a power of two */

/* --- tables; the input is hostile, so each begins with its own hash --- */

static uint32_t
hash_text(const struct listing *l, const char *text)
{
	return array_hash(l->seed, text, strlen(text));
}

/* The first node of a hash's place, or NULL. */
static struct listing_node *
table_first(const struct listing_table *t, uint32_t hash)
{
	return t->room > 0 ? t->nodes[hash & (t->room - 1)] : NULL;
}

static void
node_put(struct listing_node **nodes, size_t room, struct listing_node *n)
{
	n->chain = nodes[n->hash & (room - 1)];
	nodes[n->hash & (room - 1)] = n;
}

/* Makes a node of so many bytes and puts it in; NULL without memory. */
static void *
table_add(struct listing *l, struct listing_table *t, uint32_t hash, size_t n)
{
	size_t room = t->room > 0 ? t->room * 2 : TABLE_MIN, i;
	struct listing_node **larger, *node, *next;

	if (t->count >= t->room) {
		larger = calloc(room, sizeof(struct listing_node *));
		if (larger == NULL)
			return NULL;
		for (i = 0; i < t->room; i++)
			for (node = t->nodes[i]; node != NULL; node = next) {
				next = node->chain;
				node_put(larger, room, node);
			}
		free(t->nodes);
		t->nodes = larger;
		t->room = room;
	}
	node = arena_take(&l->memory, n);
	if (node == NULL)
		return NULL;
	node->hash = hash;
	node_put(t->nodes, t->room, node);
	t->count++;
	return node;
}

static struct listing_block *
block_find(const struct listing *l, const char *name, uint32_t hash)
{
	struct listing_node *n = table_first(&l->blocks, hash);

	while (n != NULL && (n->hash != hash ||
	    strcmp(((struct listing_block *)n)->name, name) != 0))
		n = n->chain;
	return (struct listing_block *)n;
}

struct listing_block *
listing_block(struct listing *l, const char *name)
{
	uint32_t hash = hash_text(l, name);
	struct listing_block *b = block_find(l, name, hash);
	size_t n = strlen(name) + 1;

	if (b == NULL) {
		b = table_add(l, &l->blocks, hash, sizeof(*b) + n);
		if (b == NULL)
			return NULL;
		memcpy(b->name, name, n);
		b->rule = b->note = "";
		*l->last = b;
		l->last = &b->next;
	}
	return b;
}

static struct listing_group *
group_get(struct listing *l, struct listing_block *b,
    const struct store_rule *rule)
{
	struct listing_group *g;

	for (g = b->groups; g != NULL; g = g->next)
		if (g->rule == rule)
			return g;
	g = arena_take(&l->memory, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->block = b;
	g->rule = rule;
	g->sorted = true;
	g->next = b->groups;
	b->groups = g;
	return g;
}

/* The hit of a key, a new one, or one that is spent, does not count. */
static struct listing_hit *
hit_get(struct listing *l, struct listing_group *g, const char *key)
{
	uint32_t hash = array_hash(hash_text(l, key) ^ g->block->node.hash,
	    &g->rule, sizeof(void *));
	struct listing_node *found = table_first(&l->hits, hash);
	struct listing_hit *h;
	size_t n = strlen(key) + 1;

	for (; found != NULL; found = found->chain) {
		h = (struct listing_hit *)found;
		if (found->hash == hash && h->group == g &&
		    strcmp(h->key, key) == 0)
			return h;
	}
	h = table_add(l, &l->hits, hash, sizeof(*h) + n);
	if (h == NULL)
		return NULL;
	memcpy(h->key, key, n);
	h->group = g;
	h->next = g->block->first;
	g->block->first = h;
	return h;
}

/* --- the hits of a group by time --- */

static int
time_compare(const void *a, const void *b)
{
	const struct listing_hit *x = *(struct listing_hit *const *)a;
	const struct listing_hit *y = *(struct listing_hit *const *)b;

	return x->time < y->time ? -1 : x->time > y->time;
}

/* How many there are up to a time. */
static size_t
hits_until(const struct listing_group *g, time_t end)
{
	size_t from = 0, to = g->count, middle;

	if (to > 0 && g->hits[to - 1]->time <= end)
		return to;
	while (from < to) {
		middle = from + (to - from) / 2;
		if (g->hits[middle]->time <= end)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void
hit_take_out(struct listing_group *g, const struct listing_hit *h)
{
	size_t i = hits_until(g, h->time - 1);

	while (g->hits[i] != h)
		i++;
	g->count--;
	memmove(g->hits + i, g->hits + i + 1,
	    (g->count - i) * sizeof(struct listing_hit *));
}

/* Has a hit count; not at its place, if the group is not sorted. */
static bool
hit_put_in(struct listing_group *g, struct listing_hit *h)
{
	struct listing_hit **hits = array_room(g->hits, &g->room, g->count + 1,
	    sizeof(struct listing_hit *), 2);
	size_t i = g->count;

	if (hits == NULL)
		return false;
	g->hits = hits;
	if (g->sorted)
		i = hits_until(g, h->time);
	memmove(hits + i + 1, hits + i,
	    (g->count - i) * sizeof(struct listing_hit *));
	hits[i] = h;
	h->counts = true;
	g->count++;
	return true;
}

/* Puts a distinct hit down, or moves on the one that there is. */
static bool
hit_note(struct listing *l, struct listing_group *g, const struct store_hit *n)
{
	struct listing_hit *h = hit_get(l, g, n->key);

	if (h == NULL)
		return false;
	if (!g->sorted && g->count > 0)
		qsort(g->hits, g->count, sizeof(struct listing_hit *),
		    time_compare);
	g->sorted = true;
	if (h->counts && h->time >= n->time)
		return true;
	if (h->counts)
		hit_take_out(g, h);
	h->time = n->time;
	h->write = true;
	return hit_put_in(g, h);
}

/*
 * The distinct hits that count with one at this time: in the period up to it,
 * or up to the latest in the period after it, whichever are more.
 */
static long
hits_count(const struct listing_group *g, time_t time)
{
	const long period = g->rule->period;
	size_t until = hits_until(g, time), later;
	size_t to_this = until - hits_until(g, time - period);
	time_t latest = time;

	later = hits_until(g, time + period - 1);
	if (later > until)
		latest = g->hits[later - 1]->time;
	later -= hits_until(g, latest - period);
	return (long)(later > to_this ? later : to_this);
}

/* --- what is known --- */

bool
listing_begin(struct listing *l, const struct store_batch *batch)
{
	size_t i;

	memset(l, 0, sizeof(*l));
	l->batch = batch;
	l->last = &l->first;
	if (getrandom(&l->seed, sizeof(l->seed), GRND_NONBLOCK) < 0)
		l->seed = ARRAY_HASH;
	for (i = 0; i < batch->hit_count; i++)
		if (listing_block(l, batch->hits[i].block) == NULL)
			return false;
	return true;
}

void
listing_end(struct listing *l)
{
	struct listing_block *b;
	struct listing_group *g;

	for (b = l->first; b != NULL; b = b->next)
		for (g = b->groups; g != NULL; g = g->next)
			free(g->hits);
	arena_free(&l->memory);
	free(l->blocks.nodes);
	free(l->hits.nodes);
	memset(l, 0, sizeof(*l));
}

bool
listing_know(struct listing *l, const struct store_offender *o)
{
	struct listing_block *b = block_find(l, o->block,
	    hash_text(l, o->block));

	if (b == NULL)
		return true;
	b->rule = arena_text(&l->memory, o->rule, strlen(o->rule));
	b->note = arena_text(&l->memory, o->note, strlen(o->note));
	b->hits = store_within(o->hits, STORE_COUNT_LIMIT);
	b->times = store_within(o->times, STORE_COUNT_LIMIT);
	b->since = store_within(o->since, STORE_TIME_LIMIT);
	b->last = store_within(o->last, STORE_TIME_LIMIT);
	b->expires = store_within(o->expires, STORE_TIME_LIMIT);
	b->listed = o->listed;
	return b->rule != NULL && b->note != NULL;
}

static const struct store_rule *
rule_find(const struct store_batch *b, const char *name)
{
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (b->rules[i].name == name)
			return &b->rules[i];
	for (i = 0; i < b->rule_count; i++)
		if (strcmp(b->rules[i].name, name) == 0)
			return &b->rules[i];
	return NULL;
}

bool
listing_know_hit(struct listing *l, const struct store_hit *known)
{
	const struct store_rule *rule = rule_find(l->batch, known->rule);
	struct listing_block *b = block_find(l, known->block,
	    hash_text(l, known->block));
	struct listing_group *g;
	struct listing_hit *h;

	if (rule == NULL || b == NULL)
		return true;
	if (l->known++ >= LISTING_KNOWN_MAX ||
	    (g = group_get(l, b, rule)) == NULL ||
	    (h = hit_get(l, g, known->key)) == NULL)
		return false;
	g->sorted = false;
	if (!h->counts || known->time > h->time)
		h->time = store_within(known->time, STORE_TIME_LIMIT);
	return h->counts || hit_put_in(g, h);
}

/* --- counting --- */

/* The ban after so many listings. */
static long
ban_length(const struct store_batch *b, long times)
{
	long ban = b->ban;

	for (; times > 1 && ban < b->ban_max && ban > 0; times--)
		ban *= 2;
	return ban > b->ban_max ? b->ban_max : ban;
}

/* Its hits have done their work. */
static void
hits_spend(struct listing_block *b)
{
	struct listing_group *g;
	size_t i;

	b->forget = true;
	for (g = b->groups; g != NULL; g = g->next) {
		for (i = 0; i < g->count; i++)
			g->hits[i]->counts = g->hits[i]->write = false;
		g->count = 0;
	}
}

bool
listing_add(struct listing *l, struct listing_block *b,
    const struct store_hit *h)
{
	const struct store_rule *rule = rule_find(l->batch, h->rule);
	struct listing_group *g;
	long hits = 1, ban;

	if (rule == NULL || (b->listed && b->expires == 0))
		return true; /* not ours, or by hand and for ever */
	if (b->listed && b->expires > h->time)
		b->hits++;
	else {
		if (rule->hits > 1) {
			g = group_get(l, b, rule);
			if (g == NULL || !hit_note(l, g, h))
				return false;
			hits = hits_count(g, h->time);
		}
		if (hits < rule->hits)
			return true;
		hits_spend(b);
		b->listed = true;
		b->times++;
		b->hits = hits;
		b->since = h->time;
		b->rule = rule->name;
		b->note = "";
	}
	if (h->time > b->last)
		b->last = h->time;
	ban = ban_length(l->batch, b->times);
	if (b->last + ban > b->expires)
		b->expires = b->last + ban;
	b->write = l->changed = true;
	return true;
}

bool
listing_count(struct listing *l)
{
	const struct store_batch *batch = l->batch;
	struct listing_block *b = NULL;
	size_t i;

	for (i = 0; i < batch->hit_count; i++) {
		if (b == NULL || strcmp(b->name, batch->hits[i].block) != 0)
			b = listing_block(l, batch->hits[i].block);
		if (b == NULL || !listing_add(l, b, &batch->hits[i]))
			return false;
	}
	return true;
}

void
listing_offender(const struct listing_block *b, struct store_offender *o)
{
	memset(o, 0, sizeof(*o));
	snprintf(o->block, sizeof(o->block), "%s", b->name);
	snprintf(o->rule, sizeof(o->rule), "%s", b->rule);
	snprintf(o->note, sizeof(o->note), "%s", b->note);
	o->hits = b->hits;
	o->times = b->times;
	o->since = b->since;
	o->last = b->last;
	o->expires = b->expires;
	o->listed = b->listed;
}
