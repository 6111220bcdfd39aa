/*
 * rotated - what became of a log file that is not where it was: its new name,
 * its copy, and the files that came after it.
 */
#ifndef ROTATED_H
#define ROTATED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#define ROTATED_HEAD_MAX 256 /* bytes at the beginning that tell files apart */
#define ROTATED_PRINT_MAX 33 /* of their fingerprint with NUL */
#define ROTATED_TAIL_MAX 512 /* bytes of the last lines that were read */

/* A fingerprint of the last lines that were read. */
struct rotated_tail {
	size_t len; /* 0: there is none */
	uint64_t sum;
	char print[ROTATED_PRINT_MAX]; /* as a mark's */
};

/* How far which file was read. */
struct rotated_mark {
	uint64_t dev, ino;
	uint64_t offset;
	size_t head; /* bytes the fingerprint is made of: min(offset, 256) */
	char print[ROTATED_PRINT_MAX]; /* 32 hex digits of SHA-256 */
	struct timespec newest; /* last write that was seen in any file */
	struct rotated_tail tail; /* what comes before offset */
	time_t last;  /* of the lines that were counted, 0: none was */
	time_t after; /* lines up to then are counted already, 0: none is */
	bool finished; /* it was moved away, and read to its end */
};

/* Reads a mark; false when it is anything but what was written. */
bool rotated_mark_parse(const char *text, struct rotated_mark *m);

/* Writes it; size >= 256 is always enough. */
void rotated_mark_format(const struct rotated_mark *m, char *out, size_t size);

/* <0, 0, >0: a is before b, the same, after it. */
int rotated_time_order(const struct timespec *a, const struct timespec *b);

/* Sets the mark to so many bytes of the open file fd. */
void rotated_mark_move(struct rotated_mark *m, int fd, uint64_t offset);

/* Finds the last place in fd where they stand; *end is after it. */
bool rotated_tail_find(const struct rotated_tail *t, int fd, uint64_t *end);

/*
 * True when the open file fd is the one of the mark, or, if copy is set, has
 * its beginning and is long enough; and the last lines are where they were.
 */
bool rotated_is(int fd, const struct stat *st, const struct rotated_mark *m,
    bool copy);

/*
 * Opens the file of the mark, or a copy of it, in the directory of path,
 * under whatever name. -1: there is none.
 */
int rotated_find(const char *path, const struct rotated_mark *m,
    struct stat *st);

/*
 * Opens the file that was written to next after the last write of the mark
 * and is not empty, among those that are called like rotated files of path.
 * One that cannot be opened is logged and passed over. -1: there is none.
 */
int rotated_next(const char *path, const struct rotated_mark *m,
    struct stat *st);

#endif
