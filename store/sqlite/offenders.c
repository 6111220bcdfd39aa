/*
 * store_sqlite_offenders - hits, offenders and log positions in SQLite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/listing.h"
#include "store/sqlite/sqlite.h"

/* --- offenders --- */

void
sqlite_offender_columns(sqlite3_stmt *st, struct store_offender *o)
{
	sqlite_column_copy(st, 0, o->block, sizeof(o->block));
	sqlite_column_copy(st, 1, o->rule, sizeof(o->rule));
	sqlite_column_copy(st, 2, o->note, sizeof(o->note));
	o->hits = sqlite3_column_int64(st, 3);
	o->times = sqlite3_column_int64(st, 4);
	o->since = sqlite3_column_int64(st, 5);
	o->last = sqlite3_column_int64(st, 6);
	o->expires = sqlite3_column_int64(st, 7);
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

/* Hands what is kept of a block to the listing. */
static bool
block_read(struct sqlite_store *s, struct listing *l, const char *block)
{
	struct store_offender o;
	struct store_hit h = { .block = block };
	sqlite3_stmt *st;
	enum store_result found = offender_find(s, block, &o);
	bool good = found != STORE_FOUND || listing_know(l, &o);

	if (found == STORE_ERROR || !good)
		return false;
	st = sqlite_statement(s, HIT_ALL);
	if (st == NULL)
		return false;
	sqlite_bind_range(st, block);
	while (good && sqlite3_step(st) == SQLITE_ROW) {
		h.rule = (const char *)sqlite3_column_text(st, 1);
		h.key = (const char *)sqlite3_column_text(st, 2);
		h.time = sqlite3_column_int64(st, 3);
		good = h.rule == NULL || h.key == NULL ||
		    listing_know_hit(l, &h);
	}
	return sqlite3_reset(st) == SQLITE_OK && good;
}

/* Writes what is marked of a block. */
static bool
block_write(struct sqlite_store *s, const struct listing_block *b)
{
	struct store_offender o;
	const struct listing_hit *h;

	if (b->forget && !hits_forget(s, b->name))
		return false;
	for (h = b->first; h != NULL; h = h->next)
		if (h->write && !sqlite_hit_put(s,
		    &(struct store_hit){ b->name, h->group->rule->name,
			h->key, h->time }))
			return false;
	listing_offender(b, &o);
	return !b->write || sqlite_offender_put(s, &o);
}

/* The hits of a batch, inside its transaction. */
static bool
hits_apply(struct sqlite_store *s, const struct store_batch *batch)
{
	const struct listing_block *b;
	struct listing l;
	bool good = listing_begin(&l, batch);

	for (b = l.first; good && b != NULL; b = b->next)
		good = block_read(s, &l, b->name);
	good = good && listing_count(&l);
	for (b = l.first; good && b != NULL; b = b->next)
		good = block_write(s, b);
	good = good && (!l.changed || sqlite_run_plain(s, GENERATION_NEXT));
	listing_end(&l);
	return good;
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
