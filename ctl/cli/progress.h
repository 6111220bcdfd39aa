/*
 * progress - how far a long operation has come, told to a person: on standard
 * error when that is a terminal, from its third second on. And a Ctrl-C that
 * ends it where nothing is half done.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_INTERRUPTED 130 /* as a shell says of a SIGINT */

/*
 * Begins to tell. what: "copying logins", must stay; unit: of what is counted,
 * "rows"; total: of them, 0 if nobody knows. From here to progress_end()
 * SIGINT and SIGTERM do not end the process.
 */
void progress_begin(const char *what, const char *unit, int64_t total);

/* So many are done; false: a signal has come, leave off. */
bool progress_step(int64_t done);

/* The line goes. True: a signal had come. */
bool progress_end(void);

/* Is there anybody to tell? Then a total may be worth some work. */
bool progress_watched(void);

/* The line without its end; for tests. seconds: since the beginning. */
void progress_text(char *out, size_t size, const char *what,
    const char *unit, int64_t total, int64_t done, double seconds);

#endif
