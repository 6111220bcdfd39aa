/*
 * store_sqlite_offenders - hits, offenders and log positions in SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/sqlite.h"

#define COUNT_MAX 1000000000000L
#define TIME_MAX 253402300799L /* the end of year 9999 */

/* --- offenders --- */

/* A number that no sum or difference of ours can overflow. */
static int64_t
column_within(sqlite3_stmt *st, int n, int64_t max)
{
	int64_t value = sqlite3_column_int64(st, n);

	return value < 0 ? 0 : value > max ? max : value;
}

void
sqlite_offender_columns(sqlite3_stmt *st, struct store_offender *o)
{
	sqlite_column_copy(st, 0, o->block, sizeof(o->block));
	sqlite_column_copy(st, 1, o->rule, sizeof(o->rule));
	sqlite_column_copy(st, 2, o->note, sizeof(o->note));
	o->hits = column_within(st, 3, COUNT_MAX);
	o->times = column_within(st, 4, COUNT_MAX);
	o->since = column_within(st, 5, TIME_MAX);
	o->last = column_within(st, 6, TIME_MAX);
	o->expires = column_within(st, 7, TIME_MAX);
	o->listed = sqlite3_column_int(st, 8) != 0;
}

/* Finds a block that is or was listed. */
static enum store_result
offender_find(struct sqlite_store *s, const char *block,
    struct store_offender *o)
{
	sqlite3_stmt *st = sqlite_statement(s, OFFENDER_FIND);
	int rc;

	memset(o, 0, sizeof(*o));
	if (st == NULL)
		return STORE_ERROR;
	sqlite_bind_text(st, 1, block);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		sqlite_offender_columns(st, o);
	if (sqlite3_reset(st) != SQLITE_OK)
		return STORE_ERROR;
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

bool
sqlite_offender_put(struct sqlite_store *s, const struct store_offender *o)
{
	sqlite3_stmt *st = sqlite_statement(s, OFFENDER_PUT);

	if (st == NULL)
		return false;
	sqlite_bind_text(st, 1, o->block);
	sqlite_bind_text(st, 2, o->rule);
	sqlite_bind_text(st, 3, o->note);
	sqlite3_bind_int64(st, 4, o->hits);
	sqlite3_bind_int64(st, 5, o->times);
	sqlite3_bind_int64(st, 6, o->since);
	sqlite3_bind_int64(st, 7, o->last);
	sqlite3_bind_int64(st, 8, o->expires);
	sqlite3_bind_int(st, 9, o->listed);
	return sqlite_run(st);
}

bool
sqlite_hit_put(struct sqlite_store *s, const struct store_hit *h)
{
	sqlite3_stmt *put = sqlite_statement(s, HIT_PUT);

	if (put == NULL)
		return false;
	sqlite_bind_text(put, 1, h->block);
	sqlite_bind_text(put, 2, h->rule);
	sqlite_bind_text(put, 3, h->key);
	sqlite3_bind_int64(put, 4, h->time);
	return sqlite_run(put);
}

/*
 * Puts down a hit of a block that is not listed; how many distinct ones there
 * are now within the period, -1 on failure.
 */
static long
hit_count(struct sqlite_store *s, const struct store_hit *h, long period)
{
	sqlite3_stmt *count = sqlite_statement(s, HIT_COUNT);
	long n = -1;

	if (count == NULL || !sqlite_hit_put(s, h))
		return -1;
	sqlite_bind_text(count, 1, h->block);
	sqlite_bind_text(count, 2, h->rule);
	sqlite3_bind_int64(count, 3, h->time);
	sqlite3_bind_int64(count, 4, period);
	if (sqlite3_step(count) == SQLITE_ROW)
		n = sqlite3_column_int64(count, 0);
	return sqlite3_reset(count) == SQLITE_OK ? n : -1;
}

/* Its hits have done their work. */
static bool
hits_forget(struct sqlite_store *s, const char *block)
{
	sqlite3_stmt *st = sqlite_statement(s, HIT_FORGET);

	if (st == NULL)
		return false;
	sqlite_bind_range(st, block);
	return sqlite_run(st);
}

/* The ban after so many listings. */
static long
ban_length(const struct store_batch *b, long times)
{
	long ban = b->ban;

	for (; times > 1 && ban < b->ban_max; times--)
		ban *= 2;
	return ban > b->ban_max ? b->ban_max : ban;
}

/*
 * One hit: a listed block stays longer, another one is listed when it has
 * enough of them. *changed: the list has.
 */
static bool
hit_apply(struct sqlite_store *s, const struct store_batch *b,
    const struct store_rule *rule, const struct store_hit *h, bool *changed)
{
	struct store_offender o;
	long hits = 1, ban;

	if (offender_find(s, h->block, &o) == STORE_ERROR)
		return false;
	if (o.listed && o.expires == 0)
		return true; /* by hand, for ever */
	if (o.listed && o.expires > h->time)
		o.hits++;
	else {
		if (rule->hits > 1)
			hits = hit_count(s, h, rule->period);
		if (hits < 0)
			return false;
		if (hits < rule->hits)
			return true;
		if (!hits_forget(s, h->block))
			return false;
		o.listed = true;
		o.times++;
		o.hits = hits;
		o.since = h->time;
		snprintf(o.block, sizeof(o.block), "%s", h->block);
		snprintf(o.rule, sizeof(o.rule), "%s", h->rule);
		o.note[0] = '\0';
	}
	if (h->time > o.last)
		o.last = h->time;
	ban = ban_length(b, o.times);
	if (o.last + ban > o.expires)
		o.expires = o.last + ban;
	*changed = true;
	return sqlite_offender_put(s, &o);
}

static const struct store_rule *
rule_find(const struct store_batch *b, const char *name)
{
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (strcmp(b->rules[i].name, name) == 0)
			return &b->rules[i];
	return NULL;
}

/* The hits of a batch, inside its transaction. */
static bool
hits_apply(struct sqlite_store *s, const struct store_batch *b)
{
	const struct store_rule *rule;
	bool changed = false;
	size_t i;

	for (i = 0; i < b->hit_count; i++) {
		rule = rule_find(b, b->hits[i].rule);
		if (rule != NULL &&
		    !hit_apply(s, b, rule, &b->hits[i], &changed))
			return false;
	}
	return !changed || sqlite_run_plain(s, GENERATION_NEXT);
}

enum store_result
sqlite_offenders_apply(struct store *store, const struct store_batch *b)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	char position[STORE_TEXT_MAX];
	enum store_result result;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	result = sqlite_text_get(s, POSITION_GET, b->source, position,
	    sizeof(position));
	if (result == STORE_ERROR)
		return sqlite_end(s, STORE_ERROR);
	if (strcmp(position, b->position_old) != 0)
		return sqlite_end(s, STORE_ABSENT);
	return sqlite_end(s, hits_apply(s, b) &&
		sqlite_text_put(s, POSITION_PUT, b->source,
		    b->position_new) ?
	    STORE_FOUND : STORE_ERROR);
}

enum store_result
sqlite_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result r = sqlite_text_get(s, POSITION_GET, source,
	    position, size);

	return r == STORE_ERROR ? sqlite_failed(s) : r;
}

enum store_result
sqlite_generation(struct store *store, int64_t *generation)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	char text[32];
	enum store_result r;

	r = sqlite_text_get(s, META_GET, "generation", text, sizeof(text));
	*generation = strtoll(text, NULL, 10);
	return r == STORE_ERROR ? sqlite_failed(s) : r;
}

enum store_result
sqlite_offender_add(struct store *store, const struct store_offender *o)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	struct store_offender old, put = *o;
	enum store_result result;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	result = offender_find(s, o->block, &old);
	if (result != STORE_ERROR) {
		put.listed = true;
		put.times = old.times + !old.listed;
		result = !sqlite_offender_put(s, &put) ||
			!sqlite_run_plain(s, GENERATION_NEXT) ?
		    STORE_ERROR : old.listed ? STORE_FOUND : STORE_ABSENT;
	}
	return sqlite_end(s, result);
}

enum store_result
sqlite_offender_remove(struct store *store, const char *block)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *drop, *forget;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	drop = sqlite_statement(s, OFFENDER_DROP);
	forget = sqlite_statement(s, HIT_FORGET);
	if (drop != NULL && forget != NULL) {
		sqlite_bind_range(drop, block);
		sqlite_bind_range(forget, block);
		if (sqlite_run(drop)) {
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
			if (!sqlite_run(forget) || (result == STORE_FOUND &&
			    !sqlite_run_plain(s, GENERATION_NEXT)))
				result = STORE_ERROR;
		}
	}
	return sqlite_end(s, result);
}

enum store_result
sqlite_offenders_expire(struct store *store, time_t now)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *st;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = sqlite_statement(s, OFFENDER_EXPIRE);
	if (st != NULL) {
		sqlite3_bind_int64(st, 1, now);
		if (sqlite_run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
		if (result == STORE_FOUND &&
		    !sqlite_run_plain(s, GENERATION_NEXT))
			result = STORE_ERROR;
	}
	return sqlite_end(s, result);
}
