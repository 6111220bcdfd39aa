/*
 * budget - how many API calls may be made today, and for which clients.
 *
 * Files in the cache directory count the calls of a day (UTC): ".budget" all of
 * them, ".budget-BASE-BITS" those for clients in one network, of which none
 * gets more than a share: a client with many addresses could otherwise spend
 * everybody's calls of the day. They hold "DAY COUNT", DAY since the epoch, and
 * only a call that is made leaves one. When half of the day's calls are used
 * up, the others are spread evenly over the rest of the day.
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
 * per day, 0 = no limit; then only networks have one. a NULL: a call for any
 * address.
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
 * The API says how many calls remain (X-RateLimit-Remaining): fewer than we
 * think if others use the same key; then their calls are counted too.
 */
void budget_remaining(struct statedir *d, long limit, long remaining,
    time_t now, struct budget_answer *b);

/* How many calls were counted today. */
long budget_used(struct statedir *d, time_t now);

/* The next 00:00 UTC, when the API's day and ours start over. */
time_t budget_reset(time_t now);

#endif
