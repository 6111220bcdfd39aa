/*
 * store_redis_list - iterating over rows in Redis, and counting them.
 *
 * In portions, so that nobody waits long: names of an index, and what is asked
 * about each of them in one round trip. A row that is there from the beginning
 * to the end comes; it may come twice if most of its kind are removed
 * meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/redis/redis.h"

#define NAMES 1000 /* of an index in one portion */

/* Where a scan goes on; "" = it is at its end. */
struct cursor {
	char at[STORE_TEXT_MAX];
};

struct walk {
	struct redis_store *s;
	struct store_row row; /* its kind is what is walked over */
	bool released; /* accounts: those whom we know, not those in the set */
	bool count;    /* only how many rows there are */
	store_row_fn *fn; /* NULL = the rows are not wanted */
	void *arg;
	long rows, trips;
	bool stopped; /* fn wants no more */
};

static void
row_hand(struct walk *w)
{
	w->rows++;
	if (w->fn != NULL && !w->stopped)
		w->stopped = !w->fn(w->arg, &w->row);
}

/* --- what is asked about a name, and what is told --- */

static void
name_ask(const struct walk *w, const char *name, const char *at)
{
	struct redis_store *s = w->s;

	switch (w->row.kind) {
	case STORE_LOGIN:
		if (w->count)
			redis_ask(s, "HLEN %s{%s}:logins", s->prefix, name);
		else
			redis_ask(s, "HSCAN %s{%s}:logins %s COUNT %d",
			    s->prefix, name, at, NAMES);
		break;
	case STORE_ACCOUNT:
		redis_account_ask(s, name, "find", time(NULL), NULL, 0);
		break;
	case STORE_HIT:
		if (w->count)
			redis_ask(s, "ZCARD %shits:{%s}", s->prefix, name);
		else
			redis_ask(s, "ZRANGE %shits:{%s} 0 -1 WITHSCORES",
			    s->prefix, name);
		break;
	default: /* rows that have no part of their own */
		break;
	}
}

/* Blocks and "LAST COUNT COUNTRY" of a user. */
static void
logins_read(struct walk *w, const char *user, const redisReply *list)
{
	struct store_login_row *row = &w->row.u.login;
	const char *text;
	size_t i;
	long last;

	if (strlen(user) >= sizeof(row->user))
		return; /* not one that we would write */
	snprintf(row->user, sizeof(row->user), "%s", user);
	for (i = 0; i + 1 < list->elements; i += 2) {
		text = redis_text(list, i + 1);
		if (!redis_number_take(&text, ' ', &last) ||
		    !redis_number_take(&text, ' ', &row->count))
			continue;
		row->last = last;
		snprintf(row->block, sizeof(row->block), "%s",
		    redis_text(list, i));
		snprintf(row->country, sizeof(row->country), "%s", text);
		row_hand(w);
	}
}

static void
hits_read(struct walk *w, const char *block, const redisReply *list)
{
	struct store_hit_row *row = &w->row.u.hit;
	const char *key;
	size_t i;

	if (strlen(block) >= sizeof(row->block))
		return;
	snprintf(row->block, sizeof(row->block), "%s", block);
	for (i = 0; i + 1 < list->elements; i += 2) {
		if (!redis_hit_unpack(redis_text(list, i), row->rule, &key))
			continue;
		snprintf(row->key, sizeof(row->key), "%s", key);
		row->time = redis_number(list, i + 1);
		row_hand(w);
	}
}

/* An offender or a position: a field of a hash. */
static void
field_read(struct walk *w, const char *name, const char *text)
{
	struct store_position_row *row = &w->row.u.position;

	if (w->row.kind == STORE_OFFENDER) {
		if (redis_offender_unpack(name, text, &w->row.u.offender))
			row_hand(w);
		return;
	}
	snprintf(row->source, sizeof(row->source), "%s", name);
	snprintf(row->position, sizeof(row->position), "%s", text);
	row_hand(w);
}

/* Takes the next reply, which is about this name; *c: where it goes on. */
static bool
name_take(struct walk *w, const char *name, struct cursor *c)
{
	static const char *const types[] = { [STORE_LOGIN] = "[ta",
		[STORE_ACCOUNT] = "[i*", [STORE_HIT] = "[*" };
	struct redis_store *s = w->s;
	struct store_account *a = &w->row.u.account;

	if (!redis_next(s, REDIS_MUCH, w->count && w->row.kind !=
		STORE_ACCOUNT ? "i" : types[w->row.kind]))
		return false;
	c->at[0] = '\0';
	if (w->row.kind == STORE_ACCOUNT) {
		/* Those who are in the set come with it. */
		if (redis_account_read(s->reply, name, a) &&
		    (a->released != 0) == w->released &&
		    strlen(name) < sizeof(a->user))
			row_hand(w);
	} else if (w->count)
		w->rows += redis_number(s->reply, 0);
	else if (w->row.kind == STORE_LOGIN) {
		snprintf(c->at, sizeof(c->at), "%s", redis_text(s->reply, 0));
		logins_read(w, name, redis_array(s->reply, 1));
	} else
		hits_read(w, name, s->reply);
	if (strcmp(c->at, "0") == 0)
		c->at[0] = '\0';
	return true;
}

/* Asks about each of these names until it has told everything. */
static bool
names_walk(struct walk *w, const char *const *names, size_t count)
{
	struct cursor *c = calloc(count + 1, sizeof(*c));
	bool good = c != NULL;
	size_t i, n;

	if (!good)
		redis_failed(w->s, "out of memory");
	for (i = 0; good && i < count; i++)
		snprintf(c[i].at, sizeof(c[i].at), "0");
	while (good && !w->stopped) {
		for (i = n = 0; i < count; i++)
			if (c[i].at[0] != '\0') {
				name_ask(w, names[i], c[i].at);
				n++;
			}
		if (n == 0)
			break;
		good = redis_trip(w->s);
		for (i = 0; good && i < count; i++)
			if (c[i].at[0] != '\0')
				good = name_take(w, names[i], &c[i]);
		good = good && redis_goes_on(w->s, &w->trips);
	}
	free(c);
	return good;
}

/* --- an index --- */

/* The next portion; its types. */
static const char *
index_ask(const struct walk *w, const char *at)
{
	struct redis_store *s = w->s;
	const char *p = s->prefix;

	switch (w->row.kind) {
	case STORE_LOGIN: /* by name: each user comes once */
		redis_ask(s, "ZRANGEBYLEX %susers %s + LIMIT 0 %d", p,
		    strcmp(at, "0") == 0 ? "-" : at, NAMES);
		return "[*";
	case STORE_ACCOUNT:
		if (w->released)
			redis_ask(s, "ZSCAN %saccounts %s COUNT %d", p, at,
			    NAMES);
		else
			redis_ask(s, "SSCAN " REDIS_ACCOUNTS " %s COUNT %d",
			    at, NAMES);
		break;
	case STORE_OFFENDER:
		redis_ask(s, "HSCAN %soffenders %s COUNT %d", p, at, NAMES);
		break;
	case STORE_POSITION:
		redis_ask(s, "HSCAN %spositions %s COUNT %d", p, at, NAMES);
		break;
	default:
		redis_ask(s, "ZSCAN %shits %s COUNT %d", p, at, NAMES);
		break;
	}
	return "[ta";
}

/* The rows of a portion: what it has itself, or what its names tell. */
static bool
portion_walk(struct walk *w, const redisReply *list)
{
	const bool fields = w->row.kind == STORE_OFFENDER ||
	    w->row.kind == STORE_POSITION;
	const size_t step = w->row.kind == STORE_LOGIN ||
	    (w->row.kind == STORE_ACCOUNT && !w->released) ? 1 : 2;
	const char **names = calloc(list->elements + 1, sizeof(*names));
	size_t i, n = 0;
	bool good = names != NULL;

	if (!good)
		redis_failed(w->s, "out of memory");
	for (i = 0; good && i + step <= list->elements; i += step)
		if (fields)
			field_read(w, redis_text(list, i),
			    redis_text(list, i + 1));
		else
			names[n++] = redis_text(list, i);
	good = good && (n == 0 || names_walk(w, names, n));
	free(names);
	return good;
}

static bool
index_walk(struct walk *w)
{
	struct redis_store *s = w->s;
	struct cursor c = { "0" };
	redisReply *portion;
	const redisReply *list;
	const char *types;
	bool good;

	do {
		types = index_ask(w, c.at);
		if (!redis_trip(s) || !redis_next(s, REDIS_MUCH, types))
			return false;
		portion = s->reply;
		s->reply = NULL;
		list = portion;
		if (w->row.kind != STORE_LOGIN) {
			snprintf(c.at, sizeof(c.at), "%s",
			    redis_text(portion, 0));
			list = redis_array(portion, 1);
		} else if (list->elements < NAMES)
			snprintf(c.at, sizeof(c.at), "0");
		else
			snprintf(c.at, sizeof(c.at), "(%s",
			    redis_text(list, list->elements - 1));
		good = portion_walk(w, list);
		redis_library.freeReplyObject(portion);
	} while (good && !w->stopped && strcmp(c.at, "0") != 0 &&
	    (good = redis_goes_on(s, &w->trips)));
	return good;
}

/* --- the operations --- */

static bool
rows_walk(struct walk *w, const char *of)
{
	struct redis_store *s = w->s;

	if (w->row.kind == STORE_ACCOUNT &&
	    !redis_script_load(s, &redis_account_script))
		return false;
	if (of[0] != '\0' && w->row.kind == STORE_OFFENDER) {
		redis_ask(s, "HGET %soffenders %s", s->prefix, of);
		if (!redis_call(s, NULL, "t"))
			return false;
		field_read(w, of, redis_text(s->reply, 0));
		return true;
	}
	if (!(of[0] != '\0' ? names_walk(w, &of, 1) : index_walk(w)))
		return false;
	if (w->row.kind != STORE_ACCOUNT || w->stopped)
		return true;
	w->released = true;
	return of[0] != '\0' ? names_walk(w, &of, 1) : index_walk(w);
}

enum store_result
redis_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct walk w = { .s = (struct redis_store *)store, .row.kind = kind,
		.fn = fn, .arg = arg };

	if (kind == STORE_RATE) /* soon over: not copied */
		return STORE_ABSENT;
	return !rows_walk(&w, of) ? STORE_ERROR :
	    w.rows > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
redis_status(struct store *store, struct store_status *status)
{
	static const enum store_kind slow[] = { STORE_LOGIN, STORE_ACCOUNT,
		STORE_HIT };
	struct redis_store *s = (struct redis_store *)store;
	const char *p = s->prefix;
	size_t i;

	for (i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		struct walk w = { .s = s, .row.kind = slow[i], .count = true };

		if (!rows_walk(&w, ""))
			return STORE_ERROR;
		status->rows[slow[i]] = w.rows;
	}
	redis_ask(s, "ZCARD %slisted", p);
	redis_ask(s, "ZCARD %srates", p);
	redis_ask(s, "HLEN %spositions", p);
	redis_ask(s, "GET %sschema", p);
	if (!redis_trip(s) || !redis_next(s, REDIS_LITTLE, "i"))
		return STORE_ERROR;
	status->rows[STORE_OFFENDER] = redis_number(s->reply, 0);
	if (!redis_next(s, REDIS_LITTLE, "i"))
		return STORE_ERROR;
	status->rows[STORE_RATE] = redis_number(s->reply, 0);
	if (!redis_next(s, REDIS_LITTLE, "i"))
		return STORE_ERROR;
	status->rows[STORE_POSITION] = redis_number(s->reply, 0);
	if (!redis_next(s, REDIS_LITTLE, "t"))
		return STORE_ERROR;
	/* Behind a flush there is none, and nothing of another version. */
	status->schema = s->reply->type == REDIS_REPLY_NIL ? STORE_SCHEMA :
	    redis_number(s->reply, 0);
	status->bytes = -1; /* not to be had without looking at every key */
	snprintf(status->where, sizeof(status->where), "%s", s->store.where);
	return STORE_FOUND;
}
