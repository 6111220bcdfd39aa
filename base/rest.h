/*
 * rest - markers shared by all processes: what is resting, until when, why.
 *
 * A marker is the file ".rest-WHAT" in the cache directory: the second until
 * which nobody asks (seconds since the epoch), newline, why. Without a usable
 * directory a marker holds for this process only.
 */
#ifndef REST_H
#define REST_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/statedir.h"

#define REST_API "api"   /* the reputation API, for every address */
#define REST_BUDGET "budget" /* the same: its calls of the day are used up */
#define REST_IP "ip-"    /* + address: the API for this one */
#define REST_PREFETCH "prefetch" /* the API's blacklist */
#define REST_STORE "store-" /* + hash of its URL: the store */
#define REST_ZONE "zone-"   /* + hash of its name: a DNS zone */
#define REST_SANE "sane-"   /* + the same: it has not listed everybody */
#define REST_TOLD "told-"   /* + the same: its odd answers have been logged */
#define REST_PURGE_ALL "purge-all" /* the same, by abictl scan */
#define REST_PURGE "purge" /* the clean-up of the store has been done */
#define REST_RELOAD "reload"         /* of Postfix: done a while ago */
#define REST_RELOAD_DUE "reload-due" /* and wanted again */
#define REST_PREFIX ".rest-"

#define REST_WHAT_MAX 64
#define REST_REASON_MAX 160
#define REST_MAX (7 * 86400) /* longest rest believed, seconds */

/*
 * The name of a marker for something whose own name may hold a key or a
 * password: prefix and the first 16 hex digits of the SHA-256 of that.
 */
void rest_name(const char *prefix, const char *secret, char *what, size_t
    size);

/*
 * Until when `what` rests: 0 when it does not, else the second, and why in
 * reason.
 */
time_t rest_until(struct statedir *d, const char *what, time_t now,
    char *reason, size_t size);

/*
 * Lets `what` rest; a time beyond now + REST_MAX is cut to that. A rest is
 * never made shorter.
 */
void rest_set(struct statedir *d, const char *what, time_t now, time_t until,
    const char *reason);

/* Ends it. True when there was a marker. */
bool rest_clear(struct statedir *d, const char *what);

/* Reads a marker's text: 1 good, 0 not a marker. Changes text. */
int rest_parse(char *text, time_t now, time_t *until, char *reason,
    size_t size);

#endif
