/*
 * access_map_file - the files of an access map: read, made anew, replaced.
 * Only access_map.c and its tests use this.
 */
#ifndef ACCESS_MAP_FILE_H
#define ACCESS_MAP_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "scan/access_map_text.h"

#define ACCESS_FILE_MAX ((off_t)512 << 20) /* a million of our lines: 65 MiB */
#define ACCESS_TOOL_SECONDS 60
#define ACCESS_AGAIN 1 /* the map has changed meanwhile: begin anew */

/* The setting, taken apart. */
struct access_place {
	char type[8];
	const char *suffix; /* of the index; NULL: none */
	char dir[PATH_MAX];
	char name[NAME_MAX + 1];
};

/* A file that is there or not. */
struct access_seen {
	bool there;
	struct stat st;
};

/* One change of a map. */
struct access_job {
	struct access_place at;
	const char *map; /* the setting, for messages */
	char *error;
	size_t error_size;
	int dir, lock;
	bool lock_goes; /* its file too, at the end */
	char lock_name[NAME_MAX + 32];
	char index[NAME_MAX + 16], fresh[NAME_MAX + 32];
	char fresh_index[NAME_MAX + 48];
	struct access_seen old, old_index;
	int old_fd, fresh_fd; /* -1: not open */
	char *other; /* everybody else's lines */
	size_t other_len;
	bool had_block;
	struct access_header header; /* of our old block, if it is in_force */
	bool in_force; /* whole, the first, and in the index */
	struct access_map_result *result;
};

/* How long another writer is waited for; only tests change it. */
extern long access_lock_wait_ms;

/* Takes a setting apart; NULL, or what is wrong with it, a constant text. */
const char *access_place_parse(const char *map, struct access_place *at);

/* -1, after a message that begins with the setting was put into j->error. */
int access_job_fail(struct access_job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Opens and checks the directory, waits for the lock, removes what a killed
 * run has left. 0 or -1; access_job_close() in both cases. All texts stay the
 * caller's.
 */
int access_job_open(struct access_job *j, const char *map,
    struct access_map_result *result, char *error, size_t size);
void access_job_close(struct access_job *j);

/*
 * Reads the map as it is: everybody else's lines, and whether our block is
 * good. 0, -1 or ACCESS_AGAIN.
 */
int access_job_read(struct access_job *j);

/* Opens the new file for writing. NULL with errno; the caller closes it. */
FILE *access_job_new(struct access_job *j);

/*
 * Makes the index of the new file (unless that has the same lines as the old
 * one) and puts both in their places. 0, -1 or ACCESS_AGAIN.
 */
int access_job_finish(struct access_job *j, bool same_lines);

/* Removes the temporary files. */
void access_job_clear(struct access_job *j);

/* Lets go of what was read. */
void access_job_forget(struct access_job *j);

#endif
