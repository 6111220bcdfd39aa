/*
 * backoff - markers shared by all processes: what is resting, until when, why.
 *
 * A marker is the file ".rest-WHAT" in the cache directory: the second until
 * which nobody asks (seconds since the epoch), newline, why. Without a usable
 * directory a marker holds for this process only.
 */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/statedir.h"

#define BACKOFF_API "api"   /* the reputation API, for every address */
#define BACKOFF_BUDGET "budget" /* the same: its calls of the day are used up */
#define BACKOFF_IP "ip-"    /* + address: the API for this one */
#define BACKOFF_PREFETCH "prefetch" /* the API's blacklist */
#define BACKOFF_STORE "store-" /* + hash of its URL: the store */
#define BACKOFF_ZONE "zone-"   /* + hash of its name: a DNS zone */
#define BACKOFF_RELOAD_DUE "reload-due" /* a reload of Postfix is wanted */
#define BACKOFF_PREFIX ".rest-"

#define BACKOFF_WHAT_MAX 64
#define BACKOFF_REASON_MAX 160
#define BACKOFF_MAX (7 * 86400) /* longest rest believed, seconds */

/*
 * The name of a marker for something whose own name may hold a key or a
 * password: prefix and the first 16 hex digits of the SHA-256 of that.
 */
void backoff_name(const char *prefix, const char *secret, char *what, size_t
    size);

/*
 * Until when `what` rests: 0 when it does not, else the second, and why in
 * reason.
 */
time_t backoff_until(struct statedir *d, const char *what, time_t now,
    char *reason, size_t size);

/*
 * Lets `what` rest; a time beyond now + BACKOFF_MAX is cut to that. A rest is
 * never made shorter.
 */
void backoff_set(struct statedir *d, const char *what, time_t now, time_t until,
    const char *reason);

/* Ends it. True when there was a marker. */
bool backoff_clear(struct statedir *d, const char *what);

/* Reads a marker's text: 1 good, 0 not a marker. Changes text. */
int backoff_parse(char *text, time_t now, time_t *until, char *reason,
    size_t size);

#endif
