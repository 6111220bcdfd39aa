/*
 * listing - when is a block listed: the one place that counts hits, by the
 * contract of offenders_apply in store.h.
 *
 * A table in memory. A driver makes one for a batch, hands in what it keeps of
 * its blocks, under a lock, has the hits counted, and writes what is marked. A
 * dry run keeps one from the first hit to the last.
 *
 * A function that can fail returns false, or NULL, without memory, or when
 * more is handed in than LISTING_KNOWN_MAX hits; then only listing_end() is
 * left.
 */
#ifndef LISTING_H
#define LISTING_H

#include "base/arena.h"
#include "store/store.h"

#define LISTING_KNOWN_MAX 1000000 /* hits that are handed in */

/* What blocks and hits begin with, to be found by their hash. */
struct listing_node {
	struct listing_node *chain; /* of the same place in the table */
	uint32_t hash;
};

struct listing_table {
	struct listing_node **nodes;
	size_t room, count;
};

/* A distinct hit: a key of a block and rule. */
struct listing_hit {
	struct listing_node node;
	struct listing_hit *next; /* of the same block */
	struct listing_group *group;
	bool counts; /* is not spent */
	bool write;  /* is to be put down */
	time_t time;
	char key[];
};

/* The hits of a block and rule that count. */
struct listing_group {
	struct listing_group *next; /* of the same block */
	struct listing_block *block;
	const struct store_rule *rule;
	struct listing_hit **hits; /* by time, once they are `sorted' */
	size_t count, room;
	bool sorted;
};

/* What is known of a block. */
struct listing_block {
	struct listing_node node;
	struct listing_block *next; /* in the order of their coming */
	const char *rule, *note;    /* these and the next: see store_offender */
	long hits, times;
	time_t since, last, expires;
	bool listed;
	bool write;  /* the offender has changed, and so has the list */
	bool forget; /* the hits that are kept are spent: they go, and then
	              * those with `write' are put down */
	struct listing_hit *first;
	void *own; /* the caller's, NULL at first */
	struct listing_group *groups;
	char name[];
};

struct listing {
	const struct store_batch *batch;
	struct listing_block *first, **last;
	bool changed; /* the list of offenders: there is a new generation */
	struct listing_table blocks, hits;
	size_t known;
	uint32_t seed;
	struct arena memory; /* the caller may take from it, too */
};

/*
 * Begins with the blocks of the batch's hits, of which nothing is known. Its
 * rules and bans are used as long as the listing.
 */
bool listing_begin(struct listing *l, const struct store_batch *batch);
void listing_end(struct listing *l);

/* Hands in what is kept; nothing happens if the block is not of the batch. */
bool listing_know(struct listing *l, const struct store_offender *o);
bool listing_know_hit(struct listing *l, const struct store_hit *h);

/* Counts the batch's hits, in their order. */
bool listing_count(struct listing *l);

/* The same of one hit of a block, which is added if it is not there. */
struct listing_block *listing_block(struct listing *l, const char *name);
bool listing_add(struct listing *l, struct listing_block *b,
    const struct store_hit *h);

/* The offender to be written. */
void listing_offender(const struct listing_block *b, struct store_offender *o);

#endif
