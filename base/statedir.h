/*
 * statedir - a directory of small files shared by many processes.
 *
 * The score cache and the rest markers live in one such directory. It must
 * belong to the effective user, and nobody else may write in it: else anybody
 * could place verdicts there. Files appear whole (temporary name, rename) and
 * symbolic links are never followed.
 */
#ifndef STATEDIR_H
#define STATEDIR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct statedir {
	char path[PATH_MAX]; /* "": there is none */
	int fd;           /* -1 when not open */
	dev_t dev;
	ino_t ino;
	time_t looked;    /* when it was looked at last, monotonic seconds */
	char problem[256]; /* why it is not usable; "" when it is */
};

/*
 * Prepares d; the directory itself is opened when first used. path NULL: there
 * is no directory.
 */
void statedir_init(struct statedir *d, const char *path);
void statedir_close(struct statedir *d);

/*
 * True when the directory can be used. Looks again every second, and at every
 * call while it is not usable, since an administrator may fix or replace it
 * while we run; a change of state is logged once. d->fd is good until the next
 * call.
 */
bool statedir_usable(struct statedir *d);

/*
 * Reads the regular file `name` into buf, at most size - 1 bytes, with a NUL
 * after them; a longer file, or one with a NUL in it, is an error. 1 found,
 * 0 absent, -1 error (errno). mtime may be NULL.
 */
int statedir_read(struct statedir *d, const char *name, char *buf, size_t size,
    time_t *mtime);

/*
 * Replaces `name` in one step. mtime: its modification time, 0 = now. 0, or
 * -1 with errno; the old file is then untouched.
 */
int statedir_write(struct statedir *d, const char *name, const char *text,
    size_t len, time_t mtime);

/*
 * Adds a short text to the end of `name`, all at once, also when others do so;
 * one that is not there is made. 0, or -1 with errno.
 */
int statedir_append(struct statedir *d, const char *name, const char *text,
    size_t len);

/*
 * Takes `name` away, so that of several processes one gets it, and reads its
 * first len bytes into buf. Its size, 0 if it is not there, -1 with errno.
 */
off_t statedir_take(struct statedir *d, const char *name, char *buf,
    size_t len);

/* Removes `name`. 1 removed, 0 absent, -1 error. */
int statedir_remove(struct statedir *d, const char *name);

/*
 * Locks one byte of the lock file among all processes, waiting at most wait_ms
 * milliseconds (0: not at all). Returns a descriptor that holds the lock until
 * it and all its copies are closed; -1 with errno, EAGAIN when somebody else
 * still has it.
 */
int statedir_lock(struct statedir *d, long byte, long wait_ms);

/* Bytes below 2^32 belong to keys of the cache. */
#define STATEDIR_LOCK_BUDGET (1L << 32)
#define STATEDIR_LOCK_REST ((1L << 32) + 1)
#define STATEDIR_LOCK_PUBLISH ((1L << 32) + 3)
#define STATEDIR_LOCK_PROBE ((1L << 32) + 2) /* nobody needs it */

/* The name of the lock, and what temporary files begin with. */
#define STATEDIR_LOCK ".lock"
#define STATEDIR_TEMPORARY ".tmp-"

#endif
