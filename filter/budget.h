/*
 * budget - how many calls of the API may be made today, and for whom.
 *
 * Files in the cache directory count the calls of a day (UTC): ".budget" all of
 * them, ".budget-BASE-BITS" those for clients in one network, of which none
 * gets more than a share: whoever has many addresses could spend the day's
 * calls of all others. They hold "DAY COUNT", DAY since the epoch, and only a
 * call that is made leaves one. When half of the day's calls are gone, the
 * others come one by one, evenly over what is left of the day.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <time.h>

#include "base/address.h"
#include "base/statedir.h"

#define BUDGET_NETWORK ".budget-" /* what the files of networks begin with */
#define BUDGET_WHY_MAX 256

enum budget_result {
	BUDGET_ERROR = -1, /* it cannot be counted (errno) */
	BUDGET_REFUSED,
	BUDGET_TAKEN,
};

struct budget_answer {
	time_t until; /* when refused: not before */
	char why[BUDGET_WHY_MAX]; /* when refused; else news for the log */
};

/*
 * Would a call for this address be refused now? Counts nothing. limit: calls
 * of the day, 0 = no limit; then only networks have one. a NULL: whoever asks,
 * whatever for.
 */
bool budget_refused(struct statedir *d, long limit, const struct address *a,
    time_t now, struct budget_answer *b);

/*
 * Counts a call for this address, unless it is refused. a NULL: one of the
 * administrator's, which need not wait for its turn. Waits at most wait_ms
 * milliseconds for other processes. Without a directory nobody can count, and
 * the call may be made.
 */
enum budget_result budget_take(struct statedir *d, long limit,
    const struct address *a, time_t now, long wait_ms,
    struct budget_answer *b);

/*
 * The API says that so many calls remain (X-RateLimit-Remaining): fewer than
 * we think when others use the same key, whose calls are then counted too.
 */
void budget_remaining(struct statedir *d, long limit, long remaining,
    time_t now, struct budget_answer *b);

/* How many calls were counted today. */
long budget_used(struct statedir *d, time_t now);

/* The next 00:00 UTC: when the API's day and ours begin anew. */
time_t budget_reset(time_t now);

#endif
