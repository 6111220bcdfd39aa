/*
 * scan_logs - which logs are scanned when none is named.
 */
#ifndef SCAN_LOGS_H
#define SCAN_LOGS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

#define SCAN_LOGS_MAX 64
#define SCAN_LOG_MAX 512 /* bytes of a path */

struct scan_logs {
	char what[SCAN_LOGS_MAX][SCAN_LOG_MAX]; /* see logsource_open() */
	size_t count;
	bool dropped; /* too many, or too long a path */

	/* Usual files that are in use, but cannot be read. */
	const char *passed[2];
	size_t passed_count;
};

/*
 * From blacklist.logs; `auto' means the usual files that can be read and are
 * still written, else the journal.
 */
void scan_logs_find(struct scan_logs *logs, const struct config *cfg);

/* Adds one; what is too long or too many is left out. */
void scan_logs_add(struct scan_logs *logs, const char *what, size_t n);

/* Is there a journal? */
bool scan_logs_journal(void);

#endif
