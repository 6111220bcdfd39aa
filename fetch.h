/*
 * fetch - the filter's way to the API: it starts `abictl fetch` and waits.
 *
 * HTTP, TLS and JSON stay out of the filter's process. Only one process fetches
 * an address at a time; the others wait for its result.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "cache.h"
#include "check.h"

#define FETCH_REST_API 15 /* seconds of rest after an unknown failure */

/* Why nobody asks the API. */
struct fetch_rest {
	char what[64]; /* see backoff.h, or FETCH_OWN_BUDGET */
	time_t until;
	char reason[160];
};

/* Our own budget, which needs no marker: see budget.h. */
#define FETCH_OWN_BUDGET "own-budget"

enum fetch_result {
	FETCH_ERROR = -1, /* the lookup failed */
	FETCH_NO_BUDGET,  /* no call may be made for it now */
	FETCH_SCORE,
};

/*
 * Gets the score of req->client within request_left(). Sets *s if there is one,
 * otherwise says why not in reason.
 */
enum fetch_result fetch_score(const struct config *cfg, struct statedir *d,
    const struct request *req, struct cache_score *s, char *reason,
    size_t size);

/* What this configuration expects of the cache. */
struct cache_policy fetch_policy(const struct config *cfg);

/*
 * True if the API must not be asked about this address now; *rest says why, and
 * is empty otherwise. a NULL: about any address.
 */
bool fetch_resting(const struct config *cfg, struct statedir *d,
    const struct address *a, time_t now, struct fetch_rest *rest);

/* True if no calls are left; false if something is broken. */
bool fetch_no_budget(const struct fetch_rest *rest);

/* *rest for people, with the time left. */
void fetch_rest_text(const struct fetch_rest *rest, time_t now, char *out,
    size_t size);

/*
 * Parses what `abictl fetch` prints on descriptor 1: the text of a cache file,
 * or one line "rest WHAT UNTIL REASON". Changes text. 1 a score, 0 a rest,
 * -1 neither.
 */
#define FETCH_TEXT_MAX CACHE_TEXT_MAX
int fetch_parse(char *text, struct cache_score *s, struct fetch_rest *rest);

#endif
