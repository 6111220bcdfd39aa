/*
 * dryrun - counting hits in memory: who would be listed, and why.
 *
 * The same counting as the store's, for one run over a log and without
 * remembering anything.
 */
#ifndef DRYRUN_H
#define DRYRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "config/rules.h"
#include "scan/scan.h"

#define DRYRUN_LINES 3 /* that are kept of each */

struct dryrun;

/* NULL when memory is short. */
struct dryrun *dryrun_new(const struct rules *rules);
void dryrun_free(struct dryrun *d);

/* Counts a hit. False: memory is short. */
bool dryrun_add(struct dryrun *d, const struct scan_hit *hit);

/* One block that would be listed. */
struct dryrun_offender {
	const char *block;
	enum maillog_rule rule; /* that lists it */
	long hits;              /* so far, of all rules */
	time_t since, last;
	const char *lines[DRYRUN_LINES]; /* the first ones, NULL = no more */
};

/* All of them, by time; how many there were. */
size_t dryrun_each(struct dryrun *d,
    void (*fn)(void *arg, const struct dryrun_offender *o), void *arg);

#endif
