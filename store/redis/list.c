/*
 * store_redis_list - iterating over rows in Redis, and counting them.
 *
 * A script gives them in portions, so that nobody waits long. A row that is
 * there from the beginning to the end comes; it may come twice if most of its
 * kind are removed meanwhile.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/redis/account.lua.h"
#include "store/redis/redis.h"
#include "store/redis/rows.lua.h"

static struct redis_script script = { .text = ROWS_LUA, .much = true };
static struct redis_script accounts = { .text = ACCOUNT_LUA, .much = true };

struct walk {
	struct redis_store *s;
	struct store_row row; /* its kind is what is walked over */
	const char *of;   /* "" = all */
	store_row_fn *fn; /* NULL = the rows are only counted */
	void *arg;
	long rows;
	bool stopped; /* fn wants no more */
};

/* Copies a text. False: it is longer than one that we would write. */
static bool
text_fits(char *out, size_t size, const char *text)
{
	return (size_t)snprintf(out, size, "%s", text) < size;
}

static bool
login_read(struct store_login_row *l, const char *value)
{
	long last;

	if (!redis_number_take(&value, ' ', &last) ||
	    !redis_number_take(&value, ' ', &l->count))
		return false;
	l->last = last;
	snprintf(l->country, sizeof(l->country), "%s", value);
	return true;
}

/* The row of three texts. False: it is none of ours. */
static bool
row_read(struct store_row *row, const redisReply *list, size_t i)
{
	const char *of = redis_text(list, i), *field = redis_text(list, i + 1);
	const char *value = redis_text(list, i + 2), *key;
	struct store_login_row *l = &row->u.login;
	struct store_position_row *p = &row->u.position;
	struct store_hit_row *h = &row->u.hit;

	switch (row->kind) {
	case STORE_LOGIN:
		return text_fits(l->user, sizeof(l->user), of) &&
		    text_fits(l->block, sizeof(l->block), field) &&
		    login_read(l, value);
	case STORE_OFFENDER:
		return redis_offender_unpack(field, value, &row->u.offender);
	case STORE_POSITION:
		return text_fits(p->source, sizeof(p->source), field) &&
		    text_fits(p->position, sizeof(p->position), value);
	default:
		h->time = redis_number(list, i + 2);
		return text_fits(h->block, sizeof(h->block), of) &&
		    redis_hit_unpack(field, h->rule, &key) &&
		    text_fits(h->key, sizeof(h->key), key);
	}
}

/* Takes the rows of a portion. */
static void
portion_take(struct walk *w, const redisReply *list)
{
	const bool account = w->row.kind == STORE_ACCOUNT;
	const size_t texts = account ? REDIS_ACCOUNT_TEXTS : 3;
	size_t i;

	if (w->fn == NULL && !account) {
		w->rows += redis_number(list, 0);
		return;
	}
	for (i = 0; !w->stopped && i + texts <= list->elements; i += texts) {
		if (!(account ? redis_account_read(list, i, &w->row.u.account)
			      : row_read(&w->row, list, i)))
			continue;
		w->rows++;
		w->stopped = w->fn != NULL && !w->fn(w->arg, &w->row);
	}
}

/* Goes through one of the lists of accounts, or of the keys of this name. */
static bool
list_walk(struct walk *w, const char *which)
{
	struct redis_store *s = w->s;
	const char *p = s->prefix, *at = "0";
	long trips = 0;

	do {
		if (w->row.kind == STORE_ACCOUNT)
			redis_account_ask(s, at, which, time(NULL), NULL, 0);
		else
			redis_ask(s, "EVALSHA %s 1 %s%s %s %s %s %s %s",
			    redis_hash(&script), p, which, p, which, w->of, at,
			    w->fn == NULL ? "count" : "");
		if (!redis_call(s, w->row.kind == STORE_ACCOUNT ?
			&accounts : &script, "[ta"))
			return false;
		portion_take(w, redis_array(s->reply, 1));
		at = redis_text(s->reply, 0);
	} while (!w->stopped && strcmp(at, "0") != 0 &&
	    redis_goes_on(s, &trips));
	return w->stopped || strcmp(at, "0") == 0;
}

static bool
rows_walk(struct walk *w)
{
	static const char *const lists[] = { [STORE_LOGIN] = "users",
		[STORE_ACCOUNT] = "listed", [STORE_OFFENDER] = "offenders",
		[STORE_POSITION] = "positions", [STORE_HIT] = "hits" };
	struct store_account *a = &w->row.u.account;
	enum store_result found;

	if (w->row.kind != STORE_ACCOUNT)
		return list_walk(w, lists[w->row.kind]);
	if (w->of[0] == '\0')
		return list_walk(w, "listed") &&
		    (w->stopped || list_walk(w, "released"));
	found = redis_account_find(&w->s->store, w->of, a);
	if (found == STORE_FOUND) {
		w->rows++;
		w->fn(w->arg, &w->row);
	}
	return found != STORE_ERROR;
}

enum store_result
redis_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct walk w = { .s = (struct redis_store *)store, .row.kind = kind,
		.of = of, .fn = fn, .arg = arg };

	if (kind == STORE_RATE) /* soon over: not copied */
		return STORE_ABSENT;
	return !rows_walk(&w) ? STORE_ERROR : w.rows > 0 ? STORE_FOUND :
							   STORE_ABSENT;
}

enum store_result
redis_status(struct store *store, struct store_status *status)
{
	static const enum store_kind slow[] = { STORE_LOGIN, STORE_ACCOUNT,
		STORE_HIT }, quick[] = { STORE_OFFENDER, STORE_RATE,
		STORE_POSITION };
	struct redis_store *s = (struct redis_store *)store;
	const char *p = s->prefix;
	size_t i;

	for (i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		struct walk w = { .s = s, .row.kind = slow[i], .of = "" };

		if (!rows_walk(&w))
			return STORE_ERROR;
		status->rows[slow[i]] = w.rows;
	}
	redis_ask(s, "ZCARD %slisted", p);
	redis_ask(s, "ZCARD %srates", p);
	redis_ask(s, "HLEN %spositions", p);
	if (!redis_trip(s))
		return STORE_ERROR;
	for (i = 0; i < sizeof(quick) / sizeof(quick[0]); i++) {
		if (!redis_next(s, REDIS_LITTLE, "i"))
			return STORE_ERROR;
		status->rows[quick[i]] = redis_number(s->reply, 0);
	}
	status->schema = STORE_SCHEMA; /* or it could not have been opened */
	status->bytes = -1; /* not to be had without looking at every key */
	snprintf(status->where, sizeof(status->where), "%s", store->where);
	return STORE_FOUND;
}
