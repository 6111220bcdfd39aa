/*
 * fetch - the filter's way to the API: it starts `abictl fetch` and waits.
 *
 * HTTP, TLS and JSON stay out of the filter's process. All processes together
 * make one fetch per address; the others wait for its result.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "cache.h"
#include "check.h"

#define FETCH_REST_API 15 /* seconds of rest after a failure of unknown kind */

/*
 * Gets the score of req->client, whose cache key is `key`, within
 * request_left(). True with *s set; else false and why in reason.
 */
bool fetch_score(const struct config *cfg, struct statedir *d, const char *key,
    const struct request *req, struct cache_score *s, char *reason,
    size_t size);

/* What cache_get() is to expect under this configuration. */
struct cache_policy fetch_policy(const struct config *cfg);

/*
 * Until when the API rests, for all or for this key; 0 when it does not. which
 * of them is put into what (REST_WHAT_MAX bytes), and why into reason.
 */
time_t fetch_resting(struct statedir *d, const char *key, time_t now,
    char *what, char *reason, size_t size);

/*
 * The answer of `abictl fetch` on its descriptor 1: the text of a cache file,
 * or one line "rest WHAT UNTIL REASON". Changes text. 1 a score, 0 a rest
 * (what, until, reason set), -1 neither.
 */
#define FETCH_TEXT_MAX CACHE_TEXT_MAX
struct fetch_rest {
	char what[64];
	time_t until;
	char reason[160];
};
int fetch_parse(char *text, struct cache_score *s, struct fetch_rest *rest);

#endif
