/*
 * due - what is done once in a while; see due.h.
 */
#include "base/due.h"

#include "base/backoff.h"

long
due_in(struct statedir *d, const char *what, time_t now)
{
	char why[BACKOFF_REASON_MAX];
	time_t until = backoff_until(d, what, now, why, sizeof(why));

	return until > now ? (long)(until - now) : 0;
}

void
due_note(struct statedir *d, const char *what, time_t now, long every,
    const char *why)
{
	backoff_set(d, what, now, now + every, why);
}

bool
due_take(struct statedir *d, const char *what, time_t now, long every,
    const char *why)
{
	if (due_in(d, what, now) != 0)
		return false;
	due_note(d, what, now, every, why);
	return true;
}
