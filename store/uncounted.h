/*
 * uncounted - how many logins could not be counted, told once a minute.
 *
 * When the store is busy or rests, mail flows and logins go uncounted; a line
 * for each would drown the log. All processes append to one file of the cache
 * directory, ".uncounted", a line for each login: its time. Whoever finds that
 * it is time to tell takes the file away. Without a usable directory each
 * process counts for itself.
 */
#ifndef UNCOUNTED_H
#define UNCOUNTED_H

#include "config/config.h"

/* Notes that a login was not counted, and the reason, for people. */
void uncounted_note(const struct config *cfg, const char *why);

/*
 * Tells the number if it is time. To be called before a process waits for
 * something else; milliseconds until it wants to be called again, -1 = there
 * is nothing to be told.
 */
int uncounted_idle(void);

/* The same when the process ends: there will be no other time. */
void uncounted_close(void);

#endif
