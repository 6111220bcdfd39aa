/*
 * cache_keep - many scores at once into the cache, without loss of newer ones.
 */
#ifndef ABICTL_CACHE_KEEP_H
#define ABICTL_CACHE_KEEP_H

#include "cache.h"
#include "config/config.h"

/* Opens the cache directory. EX_OK, or a failure that has been told. */
int cache_keep_open(const struct config *cfg, struct statedir *d);

/* Where they go, and how many of them did. */
struct cache_keeping {
	const struct config *cfg;
	struct statedir *dir;
	long written, newer, failed;
};

/*
 * Writes the score of an address, of that time, unless a newer one is there, or
 * is being fetched.
 */
void cache_keep_newest(struct cache_keeping *k, const struct address *a,
    const struct cache_score *score, time_t fetched);

#endif
