/*
 * logfile_find - what the two halves of logfile share.
 */
#ifndef LOGFILE_FIND_H
#define LOGFILE_FIND_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "logs/rotated.h"

struct logfile {
	char path[PATH_MAX]; /* as it is called */
	char real[PATH_MAX]; /* without symbolic links, as far as known */
	int fd;              /* -1: there is no file at present */
	struct rotated_mark mark;
	struct rotated_mark left; /* the file before, nothing read since */
	bool moved_on;            /* `left` is where it stands */
	char head[ROTATED_HEAD_MAX];
	bool at_end; /* look at the file first, it may have changed */
	char *buf;   /* what was read from mark.offset on */
	size_t given, len; /* of it: handed out, filled */
	uint64_t given_bytes; /* of the file; more than `given` of a cut line */
	int watch;
	bool watch_old;
	char *error;
	size_t error_size;
};

/* Says why. -1. */
int logfile_fail(const struct logfile *f, const char *why);

/* Finds the file of the mark. -1 on an error; without a file fd is -1. */
int logfile_find(struct logfile *f);

/* Opens what has the name now: -1 when nothing has, -2 on an error. */
int logfile_live(struct logfile *f, struct stat *st);

/* True when it has the name still. */
bool logfile_has_name(const struct logfile *f, const struct stat *st);

/* The file after the one that was moved away, if it has begun: -1, -2. */
int logfile_next(struct logfile *f, struct stat *st);

/* Begins with a file. */
void logfile_begin(struct logfile *f, int fd, const struct stat *st);

/*
 * Goes on with the next file. If the one before was not moved away but is
 * gone, the next may be what an editor has made of it.
 */
void logfile_move(struct logfile *f, int next, const struct stat *st);

#endif
