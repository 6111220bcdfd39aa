/*
 * abictl_scan - what the files of `abictl scan' share.
 */
#ifndef ABICTL_SCAN_H
#define ABICTL_SCAN_H

#include <signal.h>

#include "ctl/abictl.h"
#include "scan/dryrun.h"
#include "scan/scan.h"
#include "scan/scan_logs.h"

/* A log and how far it has been counted. */
struct scan_source {
	char what[SCAN_LOG_MAX];
	char name[STORE_TEXT_MAX]; /* of its position: "HOST PATH" */
	char position[STORE_TEXT_MAX]; /* in the store */
	struct logsource *log;
	time_t after; /* lines up to then were counted from another, 0: none */
};

struct scan_run {
	struct abictl *ctl;
	struct scan scan;
	struct scan_batch batch;
	struct store *store;
	struct scan_source sources[SCAN_LOGS_MAX];
	size_t count;
	bool named;   /* the sources, in the arguments */
	bool missing; /* a file that was named is not there */
	int status;
};

/* A signal has come: no further line is read. */
extern volatile sig_atomic_t scan_stopped;

/* Opens it where the last scan stopped. False: reported. */
bool scan_source_open(struct scan_run *r, struct scan_source *s);

/*
 * Reads a log to its end, hits into the batch or the dry run. *lost: somebody
 * else has moved the position meanwhile, so that it was counted by them.
 */
bool scan_source_read(struct scan_run *r, struct scan_source *s,
    struct dryrun *dry, bool *lost);

/* One look at a log: everything that is new in it is counted. */
bool scan_source_look(struct scan_run *r, struct scan_source *s);

/* The time by which a log's stamps without a year are read. */
time_t scan_source_time(const struct scan_source *s);

/*
 * A log whose lines are not understood looks like a quiet one: that is
 * reported, in the log once an hour.
 */
void scan_source_judge(struct scan_run *r, const struct scan_source *s);

void scan_sources_close(struct scan_run *r);

/* From the arguments, or else from the configuration. False: too many. */
bool scan_sources_find(struct scan_run *r, int argc, char **argv);

/* Reports an error and remembers the status. */
bool scan_failed(struct scan_run *r, int status, const char *what);

/* Who would be listed, and why: a table with lines of the log, or JSON. */
void abictl_scan_print(const struct abictl *ctl, struct dryrun *dry,
    const struct scan_counts *counts);

#endif
