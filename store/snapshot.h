/*
 * snapshot - the list of offenders as a file in which the filter looks
 * addresses up.
 *
 * A constant database (cdb): block -> until when, why, how often. `abictl scan'
 * makes it from the store and replaces it in one step; all filters map the
 * same pages. One that is torn, foreign or writable by others is not used.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <cdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "base/file.h"
#include "store/store.h"

#define SNAPSHOT_NOTE_MAX 64
#define SNAPSHOT_SIGNATURE_MAX 17
#define SNAPSHOT_IPV4_MIN 16 /* shortest prefixes: larger blocks are no */
#define SNAPSHOT_IPV6_MIN 32 /* offenders, whatever a file says */

struct snapshot_entry {
	struct address_block block;
	time_t expires; /* 0 = never */
	time_t since;
	long hits;
	long times; /* how often it was listed */
	char rule[STORE_RULE_MAX];
	char note[SNAPSHOT_NOTE_MAX]; /* of who listed it by hand */
};

/* An open snapshot; begin with zeros. */
struct snapshot {
	struct file_watch watch;
	struct cdb cdb;
	bool open;
	bool absent; /* there is no such file */
	int64_t generation; /* of the store's list */
	char signature[SNAPSHOT_SIGNATURE_MAX]; /* of what was left out */
	time_t earliest; /* end of a ban, 0 = none ends */
	long count;
	unsigned char lengths[2][17]; /* bit sets of the prefix lengths that
	                               * occur: IPv4, IPv6 */
	char problem[160];  /* why there is none; "" when there is one */
};

/*
 * Opens the snapshot of that path, or notices that it has been replaced. True
 * when it can be used; else problem says why.
 */
bool snapshot_refresh(struct snapshot *s, const char *path);

/* The entry that covers an address now. Of several the longest block's. */
bool snapshot_find(struct snapshot *s, const struct address *a, time_t now,
    struct snapshot_entry *e);

/* All entries, in no order; stops when fn returns false. False if damaged. */
bool snapshot_each(struct snapshot *s,
    bool (*fn)(void *arg, const struct snapshot_entry *e), void *arg);

void snapshot_close(struct snapshot *s);

/* One under construction. */
struct snapshot_writer {
	char path[480];
	char temporary[512];
	int fd;
	struct cdb_make make;
	long count;
	time_t earliest;
	unsigned char lengths[2][17];
	char signature[SNAPSHOT_SIGNATURE_MAX]; /* a word, for the caller to
	                                         * set */
};

/* Begins a new one beside the old. 0, or -1 with errno. */
int snapshot_begin(struct snapshot_writer *w, const char *path);
int snapshot_add(struct snapshot_writer *w, const struct snapshot_entry *e);

/* Puts it in the place of the old one. 0, or -1 with errno and nothing done. */
int snapshot_finish(struct snapshot_writer *w, int64_t generation);
void snapshot_abandon(struct snapshot_writer *w);

#endif
