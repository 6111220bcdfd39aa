/*
 * store_use - the store as a request uses it: getting it, waiting for it and
 * being done with it are one.
 */
#include "store/store_use.h"

#include <stdio.h>

#include "base/clock.h"

/* The store, ready for an operation; NULL, and why not. */
static struct store *
begin(struct store_use *u)
{
	int64_t left = u->end - clock_ms();

	return store_get(u->cfg, u->now, left > 0 ? (long)left : 0,
	    !u->passive, u->why, sizeof(u->why));
}

/* Notes how an operation has ended. Returns the result. */
static enum store_result
end(struct store_use *u, struct store *s, enum store_result result,
    bool reading)
{
	if (!u->passive)
		return (reading ? store_done_reading : store_done)(u->cfg, s,
		    u->now, result, u->why, sizeof(u->why));
	if (result == STORE_ERROR) /* explaining changes nothing */
		snprintf(u->why, sizeof(u->why), "%s", s->error);
	return result;
}

enum store_result
store_use_login(struct store_use *u, const struct store_login *l,
    struct store_counts *c)
{
	struct store *s = begin(u);

	return s == NULL ? STORE_ERROR :
			   end(u, s, s->driver->login(s, l, c), false);
}

enum store_result
store_use_rate(struct store_use *u, const char *key, long limit, long period)
{
	struct store *s = begin(u);

	return s == NULL ? STORE_ERROR : end(u, s, s->driver->rate_take(s, key,
		limit, period, u->now), false);
}

enum store_result
store_use_account(struct store_use *u, const char *user,
    struct store_account *a)
{
	struct store *s = begin(u);

	return s == NULL ? STORE_ERROR :
	    end(u, s, s->driver->account_find(s, user, a), true);
}

enum store_result
store_use_account_add(struct store_use *u, const struct store_account *a,
    time_t expired)
{
	struct store *s = begin(u);

	return s == NULL ? STORE_ERROR :
	    end(u, s, s->driver->account_add(s, a, expired), false);
}

enum store_result
store_use_account_ran(struct store_use *u, const char *user)
{
	struct store *s = begin(u);

	return s == NULL ? STORE_ERROR :
			   end(u, s, s->driver->account_ran(s, user), false);
}

void
store_use_account_not_ran(struct store_use *u, const char *user)
{
	struct store_row row = { .kind = STORE_ACCOUNT };
	struct store *s = begin(u);
	enum store_result r;

	if (s == NULL)
		return;
	r = s->driver->account_find(s, user, &row.u.account);
	if (r == STORE_FOUND) {
		row.u.account.command_ran = false;
		r = s->driver->restore(s, &row, 1);
	}
	end(u, s, r, false);
}
