/*
 * dryrun - counting hits in memory: who would be listed, and why.
 */
#include "scan/dryrun.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_CHUNK (2 * 1024 * 1024 - 64)
#define HUGE_PAGE (2 * 1024 * 1024)
#define ROOM 65536     /* of the table, to begin with: growing is slow */
#define ONES_MANY 4096 /* hits of one block that is not listed */
#define LINE_SHOWN 400 /* bytes of a line that are kept */

/* A distinct hit that still counts. */
struct hit {
	uint64_t key; /* hash */
	time_t time;
	enum maillog_rule rule;
	struct hit *next;
};

/* What is known of a block. */
struct suspect {
	struct suspect *next;  /* of the same hash */
	struct suspect *later; /* that came after it */
	uint64_t hash;
	size_t number; /* of its coming */
	bool listed;
	enum maillog_rule rule;
	long hits;
	time_t since, last;
	struct hit *ones; /* of all rules */
	const char *lines[DRYRUN_LINES];
	char block[]; /* with NUL */
};

struct chunk {
	struct chunk *next;
	size_t used;
	char bytes[ARENA_CHUNK];
};

struct dryrun {
	const struct rules *rules;
	struct suspect **table;
	size_t room, count; /* room: a power of two */
	struct suspect *first, **last; /* in the order of their coming */
	struct chunk *arena;
	struct hit *spare;
};

/* FNV-1a: the input is hostile, so each table begins with its own offset. */
static uint64_t
hash_text(const char *s, uint64_t h)
{
	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

static void *
arena_take(struct dryrun *d, size_t size)
{
	struct chunk *c = d->arena;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (c == NULL || ARENA_CHUNK - c->used < size) {
		/* One page fault instead of five hundred, where it works. */
		c = aligned_alloc(HUGE_PAGE, HUGE_PAGE);
		if (c == NULL)
			return NULL;
		madvise(c, HUGE_PAGE, MADV_HUGEPAGE);
		c->next = d->arena;
		c->used = 0;
		d->arena = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

struct dryrun *
dryrun_new(const struct rules *rules)
{
	struct dryrun *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->rules = rules;
	d->last = &d->first;
	d->room = ROOM;
	d->table = calloc(d->room, sizeof(struct suspect *));
	if (d->table == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

void
dryrun_free(struct dryrun *d)
{
	struct chunk *c;

	while ((c = d->arena) != NULL) {
		d->arena = c->next;
		free(c);
	}
	free(d->table);
	free(d);
}

static int
table_grow(struct dryrun *d)
{
	size_t room = d->room * 2, i;
	struct suspect **bigger, *s;

	bigger = calloc(room, sizeof(struct suspect *));
	if (bigger == NULL)
		return -1;
	for (i = 0; i < d->room; i++)
		while ((s = d->table[i]) != NULL) {
			d->table[i] = s->next;
			s->next = bigger[s->hash & (room - 1)];
			bigger[s->hash & (room - 1)] = s;
		}
	free(d->table);
	d->table = bigger;
	d->room = room;
	return 0;
}

static struct suspect *
suspect_get(struct dryrun *d, const char *block)
{
	uint64_t hash = hash_text(block, (uint64_t)(uintptr_t)d);
	struct suspect *s;
	size_t n = strlen(block) + 1;

	for (s = d->table[hash & (d->room - 1)]; s != NULL; s = s->next)
		if (s->hash == hash && strcmp(s->block, block) == 0)
			return s;
	if (d->count >= d->room && table_grow(d) != 0)
		return NULL;
	s = arena_take(d, sizeof(*s) + n);
	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->hash = hash;
	s->number = d->count;
	memcpy(s->block, block, n);
	s->next = d->table[hash & (d->room - 1)];
	d->table[hash & (d->room - 1)] = s;
	*d->last = s;
	d->last = &s->later;
	d->count++;
	return s;
}

/* How many of a rule there are in the period up to a time. */
static long
ones_within(const struct hit *o, enum maillog_rule rule, time_t end,
    long period)
{
	long n = 0;

	for (; o != NULL; o = o->next)
		n += o->rule == rule && o->time > end - period &&
		    o->time <= end;
	return n;
}

/* Drops what is far too old to count. */
static void
ones_prune(struct dryrun *d, struct hit **at, time_t before)
{
	struct hit *o;

	while ((o = *at) != NULL) {
		if (o->time >= before) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		o->next = d->spare;
		d->spare = o;
	}
}

/* Puts a distinct hit down, or moves on the one that there is. */
static int
one_put(struct dryrun *d, struct hit **list, const struct scan_hit *hit)
{
	uint64_t key = hash_text(hit->key, (uint64_t)(uintptr_t)d + 1);
	struct hit *o;
	long n = 0;

	for (o = *list; o != NULL; o = o->next, n++)
		if (o->key == key && o->rule == hit->rule) {
			if (hit->time > o->time)
				o->time = hit->time;
			return 0;
		}
	if (n > ONES_MANY)
		ones_prune(d, list, hit->time - 2 * RULES_PERIOD_MAX);
	o = d->spare;
	if (o != NULL)
		d->spare = o->next;
	else if ((o = arena_take(d, sizeof(*o))) == NULL)
		return -1;
	*o = (struct hit){ .key = key, .time = hit->time, .rule = hit->rule,
		.next = *list };
	*list = o;
	return 0;
}

/* The hits that count with this one: see offenders_apply in store.h. */
static long
ones_count(struct dryrun *d, struct hit **list, const struct scan_hit *hit,
    long period)
{
	time_t latest = hit->time;
	const struct hit *o;
	long until, later;

	if (one_put(d, list, hit) != 0)
		return -1;
	for (o = *list; o != NULL; o = o->next)
		if (o->rule == hit->rule && o->time > latest &&
		    o->time < hit->time + period)
			latest = o->time;
	until = ones_within(*list, hit->rule, hit->time, period);
	later = ones_within(*list, hit->rule, latest, period);
	return until > later ? until : later;
}

/* Keeps the beginning of a line, if it is one of the first. */
static int
line_keep(struct dryrun *d, struct suspect *s, const struct maillog_text *line)
{
	size_t n = line->len < LINE_SHOWN ? line->len : LINE_SHOWN;
	char *copy;
	int i;

	for (i = 0; i < DRYRUN_LINES && s->lines[i] != NULL; i++)
		;
	if (i == DRYRUN_LINES)
		return 0;
	copy = arena_take(d, n + 1);
	if (copy == NULL)
		return -1;
	memcpy(copy, line->s, n);
	copy[n] = '\0';
	s->lines[i] = copy;
	return 0;
}

int
dryrun_add(struct dryrun *d, const struct scan_hit *hit)
{
	struct suspect *s = suspect_get(d, hit->block);
	long needed = d->rules->rule[hit->rule].hits, n = 1;

	if (s == NULL || line_keep(d, s, &hit->line) != 0)
		return -1;
	s->hits++;
	if (hit->time > s->last)
		s->last = hit->time;
	if (s->listed)
		return 0;
	if (needed > 1)
		n = ones_count(d, &s->ones, hit,
		    d->rules->rule[hit->rule].period);
	if (n < 0)
		return -1;
	if (n >= needed) {
		s->listed = true;
		s->rule = hit->rule;
		s->since = hit->time;
	}
	return 0;
}

static int
suspect_compare(const void *a, const void *b)
{
	const struct suspect *x = *(struct suspect *const *)a;
	const struct suspect *y = *(struct suspect *const *)b;

	/* Those of the same second: as they came. */
	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

size_t
dryrun_each(struct dryrun *d,
    void (*fn)(void *arg, const struct dryrun_offender *o), void *arg)
{
	struct suspect **all = calloc(d->count + 1, sizeof(struct suspect *));
	struct suspect *s;
	struct dryrun_offender o;
	bool sorted = true;
	size_t n = 0, i;

	if (all == NULL)
		return 0;
	for (s = d->first; s != NULL; s = s->later) {
		if (!s->listed)
			continue;
		sorted = sorted && (n == 0 || all[n - 1]->since <= s->since);
		all[n++] = s;
	}
	if (!sorted)
		qsort(all, n, sizeof(struct suspect *), suspect_compare);
	for (i = 0; i < n; i++) {
		o = (struct dryrun_offender){ .block = all[i]->block,
			.rule = all[i]->rule, .hits = all[i]->hits,
			.since = all[i]->since, .last = all[i]->last };
		memcpy(o.lines, all[i]->lines, sizeof(o.lines));
		fn(arg, &o);
	}
	free(all);
	return n;
}
