/*
 * unpack - compressed log files, read by the programs of the system.
 */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A kind of compression. */
struct unpack;

/*
 * By the first bytes of a file; name (may be ""): if it ends like a compressed
 * file's, fewer bytes will do. NULL: it is not compressed, or of a kind that
 * is not known.
 */
const struct unpack *unpack_match(const char *bytes, size_t len,
    const char *name);

/* The same of a file. NULL also when it cannot be read or is not regular. */
const struct unpack *unpack_find(const char *path);

/* "gzip" and so on; it is the program, too. */
const char *unpack_name(const struct unpack *u);

/*
 * Starts it on a file: a descriptor that reads what is in there, and its
 * process in *pid. -1 with a message in error.
 */
int unpack_open(const struct unpack *u, const char *path, pid_t *pid,
    char *error, size_t size);

/*
 * Waits for its end, after all that it had to say; with stop it is ended
 * before. 0, or -1 with a message when it could not read the whole file.
 */
int unpack_close(const struct unpack *u, const char *path, pid_t pid,
    bool stop, char *error, size_t size);

#endif
