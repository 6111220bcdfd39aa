/*
 * store_redis_rows - purging and restoring rows in Redis.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/redis/purge_logins.lua.h"
#include "store/redis/purge_others.lua.h"
#include "store/redis/redis.h"

/* --- purging --- */

#define PURGE_ROWS 1000 /* in one script: others wait meanwhile */

static struct redis_script logins_script = { .text = PURGE_LOGINS_LUA };
static struct redis_script others_script = { .text = PURGE_OTHERS_LUA };

static bool
logins_purge(struct redis_store *s, const struct store_purge *p, long *removed)
{
	/* A login later than this: a clock was wrong. */
	const long long until = p->now + REDIS_DAY;
	char at[STORE_TEXT_MAX] = "-";
	long trips = 0;

	do {
		redis_ask(s, "EVALSHA %s 1 %susers %s{ %s %d %lld %lld",
		    redis_hash(&logins_script), s->prefix, s->prefix, at,
		    PURGE_ROWS, (long long)p->logins_before, until);
		if (!redis_call(s, &logins_script, "[it"))
			return false;
		*removed += redis_number(s->reply, 0);
		snprintf(at, sizeof(at), "%s", redis_text(s->reply, 1));
		if (at[0] == '\0')
			return true;
	} while (redis_goes_on(s, &trips));
	return false;
}

static bool
others_purge(struct redis_store *s, const struct store_purge *p, long *removed)
{
	const char *k = s->prefix;

	redis_ask(s, "EVALSHA %s 5 %srates %saccounts %shits %spast "
	    "%soffenders %lld %lld %lld %srate: %s{ %shits:{",
	    redis_hash(&others_script), k, k, k, k, k, (long long)p->now,
	    (long long)p->accounts_before, (long long)p->hits_before, k, k, k);
	return redis_repeat(s, &others_script, removed);
}

enum store_result
redis_purge(struct store *store, const struct store_purge *p, long *removed)
{
	struct redis_store *s = (struct redis_store *)store;

	*removed = 0;
	if (!logins_purge(s, p, removed) || !others_purge(s, p, removed))
		return STORE_ERROR;
	return *removed > 0 ? STORE_FOUND : STORE_ABSENT;
}

/* --- restoring --- */

#define HITS_KEEP (30 * REDIS_DAY)

/* ZADD GT, which not every release has. */
#define LATER "local t = redis.call('ZSCORE', KEYS[1], ARGV[2]) "             \
	"if not t or tonumber(t) < tonumber(ARGV[1]) then "                   \
	"redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2]) end"

/* Rows of one user come together: at the last one, what is once for each. */
static void
login_put(struct redis_store *s, const struct store_login_row *l, bool last)
{
	const char *p = s->prefix, *u = l->user;
	char value[64];

	snprintf(value, sizeof(value), "%lld %ld %s", (long long)l->last,
	    l->count, l->country);
	redis_ask(s, "HSET %s{%s}:logins %s %s", p, u, l->block, value);
	if (l->last > s->latest)
		s->latest = l->last;
	if (!last)
		return;
	redis_ask(s, "EXPIRE %s{%s}:logins %ld", p, u,
	    redis_keep(s->latest + s->window, time(NULL)));
	redis_ask(s, "UNLINK %s{%s}:times %s{%s}:countries", p, u, p, u);
	redis_ask(s, "ZADD %susers 0 %s", p, u);
	s->latest = 0;
}

static void
account_put(struct redis_store *s, const struct store_account *a)
{
	const char *p = s->prefix;
	const bool listed = a->released == 0;

	redis_ask(s, "DEL %s{%s}:account", p, a->user);
	redis_ask(s, "HSET %s{%s}:account since %lld released %lld ran %d "
	    "check %s address %s reason %s", p, a->user, (long long)a->since,
	    (long long)a->released, a->command_ran, a->check, a->address,
	    a->reason);
	redis_ask(s, "ZADD %saccounts %lld %s", p, (long long)a->released,
	    a->user);
	redis_ask(s, "%s " REDIS_ACCOUNTS " %s", listed ? "SADD" : "SREM",
	    a->user);
	if (!listed)
		redis_ask(s, "EXPIRE %s{%s}:account %ld", p, a->user,
		    redis_keep(a->released + REDIS_RELEASED_KEEP, time(NULL)));
}

static void
hit_put(struct redis_store *s, const struct store_hit_row *h)
{
	const char *p = s->prefix;

	redis_ask(s, "EVAL %s 1 %shits:{%s} %lld %lu:%s:%s", LATER, p, h->block,
	    (long long)h->time, strlen(h->rule), h->rule, h->key);
	redis_ask(s, "EXPIRE %shits:{%s} %ld", p, h->block,
	    redis_keep(h->time + HITS_KEEP, time(NULL)));
	redis_ask(s, "ZADD %shits NX %lld %s", p, (long long)h->time,
	    h->block);
}

static void
row_put(struct redis_store *s, const struct store_row *row, bool last)
{
	const struct store_position_row *p = &row->u.position;

	switch (row->kind) {
	case STORE_LOGIN:
		login_put(s, &row->u.login, last);
		break;
	case STORE_ACCOUNT:
		account_put(s, &row->u.account);
		break;
	case STORE_OFFENDER:
		redis_offender_put(s, &row->u.offender);
		break;
	case STORE_POSITION:
		redis_ask(s, "HSET %spositions %s %s", s->prefix, p->source,
		    p->position);
		break;
	case STORE_HIT:
		hit_put(s, &row->u.hit);
		break;
	default: /* rates are not copied */
		break;
	}
}

enum store_result
redis_restore(struct store *store, const struct store_row *rows, size_t count)
{
	struct redis_store *s = (struct redis_store *)store;
	bool changed = false;
	size_t i;

	redis_ask(s, "MULTI");
	for (i = 0; i < count; i++) {
		changed |= rows[i].kind == STORE_OFFENDER;
		row_put(s, &rows[i], i + 1 == count ||
		    rows[i + 1].kind != STORE_LOGIN ||
		    strcmp(rows[i].u.login.user, rows[i + 1].u.login.user) !=
			0);
	}
	if (changed)
		redis_generation_next(s);
	return redis_exec(s) < 0 ? STORE_ERROR : STORE_FOUND;
}
