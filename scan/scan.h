/*
 * scan - from log lines to hits: which lines count, against which block.
 *
 * Reading, judging and counting are separate: logsource supplies lines,
 * maillog recognises them, this decides which of them are somebody's offence,
 * and the store (or, for a dry run, dryrun.c) counts.
 */
#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "config/action.h"
#include "config/config.h"
#include "scan/exempt.h"
#include "logs/maillog.h"
#include "config/rules.h"
#include "store/store.h"

#define SCAN_REPLIES_MAX 16 /* texts of our own refusals */

/* What was seen. */
struct scan_counts {
	uint64_t lines, bytes;
	uint64_t offences; /* recognised by a rule that is on */
	uint64_t hits;     /* the offences that count */
	uint64_t temporary, ours, exempt; /* and why others do not */
};

struct scan {
	const struct config *cfg;
	struct rules rules;
	struct exempt exempt;
	bool exempt_known; /* it is read at the first offence */
	struct maillog log;
	struct hostlist *names; /* NULL = not read, or none */
	bool names_read;
	struct scan_counts counts;
	char our_replies[SCAN_REPLIES_MAX][ACTION_MAX];
	int reply_count;
	char nonce[20];  /* makes the keys of this process's hits its own */
	uint64_t number; /* of them */
	unsigned again;  /* how often the last hit is still to come */
	time_t now;      /* as scan_time() was told */
	time_t only_after; /* lines up to then have been counted, 0: none */
};

/* An offence that counts. Valid until the next one is read. */
struct scan_hit {
	char block[STORE_BLOCK_MAX];
	enum maillog_rule rule;
	char key[STORE_TEXT_MAX]; /* see struct store_hit */
	time_t time;
	struct maillog_text line;
};

/*
 * Notes, once, that this release has begun to scan: what the last one answered
 * by default counts as ours for one ban_max more.
 */
void scan_settle(const struct config *cfg);

/*
 * Names of clients that the whitelist has: read from where they were kept, and
 * kept for the next scan. See scan_names.c.
 */
bool scan_name_wanted(void *scan, const char *name, size_t len);
void scan_names_forget(struct scan *s); /* the whitelist is read anew */
void scan_names_load(struct scan *s);
void scan_names_save(struct scan *s);

/* Prepares a scan. */
void scan_init(struct scan *s, const struct config *cfg);
void scan_free(struct scan *s);

/* Has mynetworks and the whitelist read anew when they are needed. */
void scan_forget(struct scan *s);

/* Call this before each log; see maillog_now(). */
void scan_time(struct scan *s, time_t now);

/*
 * The next hit in a text of whole lines, from *pos on; moves *pos after it.
 * False when there is none. Keep hit between calls: a line that syslog says was
 * repeated N times is returned N times.
 */
bool scan_next(struct scan *s, const char *text, size_t len, size_t *pos,
    struct scan_hit *hit);

/* --- counting into the store --- */

/* Hits and strings that wait to be counted in one step. */
struct scan_batch {
	struct store_hit *hits;
	size_t count, room;
	char *strings; /* hits point into it only when it is applied */
	size_t used, size;
};

/* False: memory is short. */
bool scan_batch_add(struct scan_batch *b, const struct scan_hit *hit);
void scan_batch_empty(struct scan_batch *b);
void scan_batch_free(struct scan_batch *b);

/* Counts them and moves the position; see store.h's offenders_apply. */
enum store_result scan_batch_apply(const struct scan *s, struct scan_batch *b,
    struct store *store, const char *source, const char *from, const char *to,
    time_t now);

/*
 * From the journal to a file, or back: both have the same lines, so those that
 * were counted from one that is read no more must not count again. source:
 * the name of the one to read; is_read: whether another is read, too. Lines up
 * to *after have been counted; 0: none.
 */
enum store_result scan_handover(struct store *store, const char *source,
    bool (*is_read)(const void *arg, const char *source), const void *arg,
    time_t *after);

#endif
