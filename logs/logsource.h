/*
 * logsource - where log lines come from, and how far they have been read.
 *
 * Reading changes nothing: the caller keeps the position together with what
 * it made of the lines, and after a crash reads the same lines again.
 */
#ifndef LOGSOURCE_H
#define LOGSOURCE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* With NUL; the same as the store's STORE_TEXT_MAX. */
#define LOGSOURCE_POSITION_MAX 256
#define LOGSOURCE_ERROR_MAX 512

struct logsource;

/*
 * what: the absolute path of a file; "-" for standard input; "journal" for
 * what systemd's journal has of the facility mail; "journal:PATH" for the
 * same from a file or directory of a journal.
 *
 * position: what logsource_position() wrote, or "" to begin: a file from its
 * beginning, the journal with the entries of the last `since` seconds.
 * Standard input has no position: it is always "".
 *
 * follow: there will be more after the end; logsource_wait() waits for it.
 *
 * A file is found again by its inode and the first bytes that were read, under
 * whatever name in its directory, or, if it was cut, by a copy with the same
 * beginning; it is read to its end, then those that were rotated after it
 * (called like PATH with digits after or before the extension), then the file
 * that has its name now. In one that was edited it goes on after the last
 * lines that were read. What cannot be found any more is logged once; then
 * logsource_after() says what may have been read before.
 *
 * NULL with a message in error.
 */
struct logsource *logsource_open(const char *what, const char *position,
    long since, bool follow, char *error, size_t size);

/* "gzip" and so on, when a file is compressed; else NULL. */
const char *logsource_packed(const char *path);

/*
 * Opens a compressed file, which logsource_open() refuses: it can be read from
 * its beginning to its end, and has no position. NULL with a message in error.
 */
struct logsource *logsource_unpack(const char *path, char *error, size_t size);

/*
 * Hands out whole lines, as many as there are: *text has *len bytes and ends
 * in a newline; it is valid until the next call. A line over 128 KiB may be
 * cut there. A last line without newline is left for later, unless the file
 * has been rotated away and its successor has begun.
 *
 * 1: lines; 0: nothing more at present; -1: logsource_error() tells.
 */
int logsource_read(struct logsource *s, const char **text, size_t *len);

const char *logsource_error(const struct logsource *s);

/* True when nothing will ever come again, not even if waited for. */
bool logsource_over(const struct logsource *s);

/* Where it stands, after the lines that were handed out; printable. */
void logsource_position(const struct logsource *s, char *out, size_t size);

/*
 * Of the lines that were handed out last, those up to this time have been
 * counted before: what stands there cannot be told from what stood there. 0:
 * all are new.
 */
time_t logsource_after(const struct logsource *s);

/*
 * The last time that is certain to have been counted, from the position of a
 * journal or, with is_journal not set, of a file. 0: it is none of these.
 */
time_t logsource_position_time(const char *position, bool is_journal);

/* To be told of each line that counts, before the position is asked for. */
void logsource_counted(struct logsource *s, time_t when);

/*
 * Waits until one of several sources may have more, for at most ms
 * milliseconds. mask (may be NULL): blocked signals while it waits, so that
 * none is missed. 1: read again; 0: the time is over; -1: a signal came.
 */
int logsource_wait(struct logsource *const *list, size_t count, long ms,
    const sigset_t *mask);

void logsource_close(struct logsource *s);

#endif
