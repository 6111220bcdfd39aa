/*
 * store_redis_users - logins, rates and accounts in Redis.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/redis/account.lua.h"
#include "store/redis/login.lua.h"
#include "store/redis/rate.lua.h"
#include "store/redis/redis.h"

/* --- logins --- */

static struct redis_script login_script = { .text = LOGIN_LUA };

_Static_assert(STORE_ELSEWHERE_MAX == 8, "the script gives so many");

enum store_result
redis_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct redis_store *s = (struct redis_store *)store;
	const char *p = s->prefix, *u = l->user;
	const time_t begin = l->now - s->window;
	const redisReply *r;
	struct store_elsewhere *e;
	char keep[24] = "";
	size_t i;

	memset(c, 0, sizeof(*c));
	/* They count for the whole window, also before a release. */
	if (!l->peek)
		snprintf(keep, sizeof(keep), "%ld", redis_keep(l->now,
		    l->since < begin ? l->since : begin));
	/*
	 * Two users never have one key, whatever braces are in their names:
	 * what is around the name is fixed.
	 */
	redis_ask(s, "EVALSHA %s 4 %s{%s}:logins %susers %s{%s}:times "
	    "%s{%s}:countries %s %s %s %lld %lld %s %ld",
	    redis_hash(&login_script), p, u, p, p, u, p, u, u, l->block,
	    l->country, (long long)l->now, (long long)l->since, keep, s->many);
	if (!redis_call(s, &login_script, "[iiti*"))
		return STORE_ERROR;
	r = s->reply;
	c->countries = redis_number(r, 0);
	c->addresses = redis_number(r, 1);
	snprintf(c->previous, sizeof(c->previous), "%s", redis_text(r, 2));
	c->previous_time = redis_number(r, 3);
	for (i = 4; i + 2 < r->elements &&
	     c->elsewhere_count < STORE_ELSEWHERE_MAX; i += 3) {
		e = &c->elsewhere[c->elsewhere_count++];
		snprintf(e->block, sizeof(e->block), "%s", redis_text(r, i));
		snprintf(e->country, sizeof(e->country), "%s",
		    redis_text(r, i + 1));
		e->time = redis_number(r, i + 2);
	}
	return STORE_FOUND;
}

enum store_result
redis_forget(struct store *store, const char *user)
{
	struct redis_store *s = (struct redis_store *)store;
	const char *p = s->prefix;

	redis_ask(s, "MULTI");
	redis_ask(s, "UNLINK %s{%s}:logins", p, user);
	redis_ask(s, "UNLINK %s{%s}:times %s{%s}:countries", p, user, p, user);
	redis_ask(s, "ZREM %susers %s", p, user);
	if (redis_exec(s) < 0)
		return STORE_ERROR;
	return redis_number(s->reply, 0) > 0 ? STORE_FOUND : STORE_ABSENT;
}

/* --- rates --- */

static struct redis_script rate_script = { .text = RATE_LUA };

enum store_result
redis_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	struct redis_store *s = (struct redis_store *)store;

	if (limit <= 0)
		return STORE_ABSENT;
	redis_ask(s, "EVALSHA %s 2 %srate:%s %srates %s %ld %ld %lld %ld",
	    redis_hash(&rate_script), s->prefix, key, s->prefix, key, limit,
	    period, (long long)now, redis_keep(now + period, now));
	return redis_change(s, &rate_script);
}

/* --- accounts --- */

static struct redis_script account_script = { .text = ACCOUNT_LUA };

void
redis_account_ask(struct redis_store *s, const char *user, const char *what,
    time_t now, const struct store_account *a, time_t expired)
{
	static const struct store_account none;

	if (a == NULL)
		a = &none;
	redis_ask(s, "EVALSHA %s 2 " REDIS_ACCOUNTS " %saccounts %s %s %s{ "
	    "%lld %ld %s %s %s %lld", redis_hash(&account_script),
	    s->prefix, what, user, s->prefix, (long long)now,
	    REDIS_RELEASED_KEEP, a->check, a->address, a->reason,
	    (long long)expired);
}

bool
redis_account_read(const redisReply *r, size_t i, struct store_account *a)
{
	const char *user = redis_text(r, i);

	memset(a, 0, sizeof(*a));
	if (r->elements < i + REDIS_ACCOUNT_TEXTS ||
	    strlen(user) >= sizeof(a->user))
		return false;
	snprintf(a->user, sizeof(a->user), "%s", user);
	a->since = redis_number(r, i + 1);
	a->released = redis_number(r, i + 2);
	a->command_ran = redis_number(r, i + 3) != 0;
	snprintf(a->check, sizeof(a->check), "%s", redis_text(r, i + 4));
	snprintf(a->address, sizeof(a->address), "%s", redis_text(r, i + 5));
	snprintf(a->reason, sizeof(a->reason), "%s", redis_text(r, i + 6));
	if (a->since != 0 || a->check[0] != '\0' || a->reason[0] != '\0')
		return true;
	snprintf(a->check, sizeof(a->check), "other");
	snprintf(a->reason, sizeof(a->reason),
	    "put into " REDIS_ACCOUNTS " by somebody else");
	return true;
}

enum store_result
redis_account_add(struct store *store, const struct store_account *a,
    time_t expired)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_account_ask(s, a->user, "add", a->since, a, expired);
	return redis_change(s, &account_script);
}

enum store_result
redis_account_find(struct store *store, const char *user,
    struct store_account *a)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_account_ask(s, user, "find", time(NULL), NULL, 0);
	if (!redis_call(s, &account_script, "[ta"))
		return STORE_ERROR;
	return redis_account_read(redis_array(s->reply, 1), 0, a) ?
	    STORE_FOUND : STORE_ABSENT;
}

enum store_result
redis_account_release(struct store *store, const char *user, time_t now)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_account_ask(s, user, "release", now, NULL, 0);
	return redis_change(s, &account_script);
}

enum store_result
redis_account_ran(struct store *store, const char *user)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_account_ask(s, user, "ran", 0, NULL, 0);
	return redis_change(s, &account_script);
}
