/*
 * accounts - the list of compromised accounts, and what other checks need from
 * it: looking up an account, adding it, starting the command.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "check.h"
#include "store/store.h"

/* Who put an account there, when no check did. */
#define ACCOUNTS_BY_HAND "manual"

/* Is the entry in force at this time: not released, not too old? */
bool accounts_listed(const struct config *cfg, const struct store_account *a,
    time_t now);

/* Entries added before this time are too old; 0 = none are. */
time_t accounts_expired(const struct config *cfg, time_t now);

/*
 * When the account of this request was released; 0 if it was not, or if that
 * is not known. What it did before is forgiven.
 */
time_t accounts_released(const struct config *cfg, const struct request *req);

enum accounts_mark {
	ACCOUNTS_NEW,   /* put on the list, logged, the command started */
	ACCOUNTS_KNOWN, /* already on the list */
	ACCOUNTS_GRACE, /* released, and this is the address that caused it */
	ACCOUNTS_LEFT,  /* a dry run or an explanation: it would be added */
	ACCOUNTS_ERROR, /* could not be added */
};

/*
 * Call this when a check finds that the account of this request is compromised.
 * note says what was done about it, or is "" if it was simply added.
 */
enum accounts_mark accounts_mark(const struct config *cfg,
    const struct request *req, const char *check, const char *reason,
    char *note, size_t size);

#endif
