/*
 * due - what is done once in a while, by whichever process comes first.
 *
 * A marker like those of backoff.h notes until when it was done; it holds for
 * all processes with the same cache directory.
 */
#ifndef DUE_H
#define DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/statedir.h"

#define DUE_PURGE "purge-all" /* until when no scan purges the store again */
#define DUE_PURGED "purged" /* that some command did so lately */
#define DUE_RELOAD "reload"       /* of Postfix */
#define DUE_ZONE_SANE "sane-"     /* + hash: is it sure that a zone lists not
                                   * everybody? */
#define DUE_TOLD "told-" /* + hash or word: a warning, which is not repeated */

/* Seconds until `what` is due again; 0 = it is due. */
long due_in(struct statedir *d, const char *what, time_t now);

/* Notes that `what` is done, and why; it is due again in `every` seconds. */
void due_note(struct statedir *d, const char *what, time_t now, long every,
    const char *why);

/*
 * True when `what` is due; it is noted as done then, with the text why, and
 * due again after `every` seconds.
 */
bool due_take(struct statedir *d, const char *what, time_t now, long every,
    const char *why);

#endif
