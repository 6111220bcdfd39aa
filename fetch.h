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

/* Why nobody asks the API. */
struct fetch_rest {
	char what[64]; /* of rest.h, or FETCH_OWN_BUDGET */
	time_t until;
	char reason[160];
};

/* Our own budget, which needs no marker: see budget.h. */
#define FETCH_OWN_BUDGET "own-budget"

enum fetch_result {
	FETCH_ERROR = -1, /* it could not be found out */
	FETCH_NO_BUDGET,  /* no call may be made for it now */
	FETCH_SCORE,
};

/*
 * Gets the score of req->client within request_left(). *s is set when there is
 * one, else why not in reason.
 */
enum fetch_result fetch_score(const struct config *cfg, struct statedir *d,
    const struct request *req, struct cache_score *s, char *reason,
    size_t size);

/* What the cache is to expect under this configuration. */
struct cache_policy fetch_policy(const struct config *cfg);

/*
 * True when the API is not asked about this address now: *rest tells why, and
 * is empty when it is. a NULL: when it is not asked about any.
 */
bool fetch_resting(const struct config *cfg, struct statedir *d,
    const struct address *a, time_t now, struct fetch_rest *rest);

/* True when that is for want of calls, and not since something is broken. */
bool fetch_no_budget(const struct fetch_rest *rest);

/* The same for people, with the time that is left. */
void fetch_rest_text(const struct fetch_rest *rest, time_t now, char *out,
    size_t size);

/*
 * The answer of `abictl fetch` on its descriptor 1: the text of a cache file,
 * or one line "rest WHAT UNTIL REASON". Changes text. 1 a score, 0 a rest,
 * -1 neither.
 */
#define FETCH_TEXT_MAX CACHE_TEXT_MAX
int fetch_parse(char *text, struct cache_score *s, struct fetch_rest *rest);

#endif
