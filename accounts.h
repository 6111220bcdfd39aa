/*
 * accounts - the list of compromised accounts, and what other checks need of
 * it: looking an account up, putting it there, starting the command.
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

/* The entry is on the list at this time: not released, not too old. */
bool accounts_listed(const struct config *cfg, const struct store_account *a,
    time_t now);

/* Entries since before this time are too old; 0 = none is. */
time_t accounts_expired(const struct config *cfg, time_t now);

/*
 * When the account of this request was released, 0 if it was not or nobody
 * knows: what it did before is forgiven.
 */
time_t accounts_released(const struct config *cfg, const struct request *req);

enum accounts_mark {
	ACCOUNTS_NEW,   /* put on the list, told, the command started */
	ACCOUNTS_KNOWN, /* it was there */
	ACCOUNTS_GRACE, /* released, and the address that had caused it */
	ACCOUNTS_LEFT,  /* a dry run or an explanation: it would be put there */
	ACCOUNTS_ERROR, /* could not be remembered */
};

/*
 * A check has found the account of this request compromised. Tells in note
 * what was done about it unless it was simply put there ("" then).
 */
enum accounts_mark accounts_mark(const struct config *cfg,
    const struct request *req, const char *check, const char *reason,
    char *note, size_t size);

#endif
