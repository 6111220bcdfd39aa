/*
 * store_sql_offenders - hits, offenders and log positions in SQL.
 *
 * Whoever changes offenders has a transaction that no two have at once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "store/listing.h"
#include "store/sql/sql.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GENERATIONS 1000000000000 /* a list begins with one of so many */

int64_t
sql_generation_first(void)
{
	uint64_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	return (int64_t)(random % GENERATIONS) + 1;
}

bool
sql_generation_next(struct sql_store *s)
{
	const struct sql_value first = sql_number(sql_generation_first());

	return sql_one(s, SQL_GENERATION_NEXT, &first, 1) >= 0;
}

/* --- reading one text --- */

/* The text that a statement finds; *out is "" without one. */
static enum store_result
text_get(struct sql_store *s, enum sql_name name, const struct sql_value *value,
    char *out, size_t size)
{
	struct sql_cells cells = { .text = { "" } };
	int found = sql_get(s, name, value, 1, 1, &cells);

	sql_copy(s, cells.text[0], out, size);
	return found < 0 ? STORE_ERROR : found > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
sql_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct sql_store *s = (struct sql_store *)store;
	const struct sql_value value = sql_bytes(source);

	return sql_begin(s) ?
	    text_get(s, SQL_POSITION_GET, &value, position, size) : STORE_ERROR;
}

enum store_result
sql_generation(struct store *store, int64_t *generation)
{
	struct sql_store *s = (struct sql_store *)store;
	const struct sql_value name = sql_key("generation");
	char text[32] = "";
	enum store_result result = sql_begin(s) ?
	    text_get(s, SQL_META_GET, &name, text, sizeof(text)) : STORE_ERROR;

	*generation = strtoll(text, NULL, 10);
	return result;
}

/* --- batches --- */

/* What is known of a batch's blocks. */
struct known {
	struct sql_store *s;
	struct listing *listing;
	struct store_row row;
	bool good;
};

static bool
known_take(void *arg, const char *const *columns)
{
	struct known *k = arg;
	const struct store_hit_row *h = &k->row.u.hit;

	sql_row_read(k->s, columns, &k->row);
	k->good = k->row.kind == STORE_OFFENDER ?
	    listing_know(k->listing, &k->row.u.offender) :
	    listing_know_hit(k->listing,
		&(struct store_hit){ h->block, h->rule, h->key, h->time });
	return k->good;
}

/* The names of blocks, SQL_ROWS at a time: the last one fills what is left. */
struct names {
	struct sql_value values[SQL_ROWS + 1];
	size_t count;
};

static void
names_fill(struct names *n)
{
	for (; n->count % SQL_ROWS != 0; n->count++)
		n->values[n->count] = n->values[n->count - 1];
}

/* Hits up to this time cannot count with those of the batch. */
static time_t
too_old(const struct store_batch *b)
{
	time_t first = b->hits[0].time;
	long period = 0;
	size_t i;

	for (i = 0; i < b->rule_count; i++)
		if (b->rules[i].period > period)
			period = b->rules[i].period;
	for (i = 0; i < b->hit_count; i++)
		if (b->hits[i].time < first)
			first = b->hits[i].time;
	return first - period;
}

static bool
blocks_read(struct known *k, struct names *n, time_t after)
{
	const struct sql_rows offenders = { sql_kinds[STORE_OFFENDER].count,
		known_take, k };
	const struct sql_rows hits = { sql_kinds[STORE_HIT].count, known_take,
		k };

	names_fill(n);
	n->values[SQL_ROWS] = sql_number(after);
	k->row.kind = STORE_OFFENDER;
	if (sql_query(k->s, SQL_OFFENDER_IN + SQL_MANY, n->values, SQL_ROWS,
		&offenders) < 0 || !k->good)
		return false;
	k->row.kind = STORE_HIT;
	return sql_query(k->s, SQL_HIT_IN + SQL_MANY, n->values, SQL_ROWS + 1,
		   &hits) >= 0 && k->good;
}

/* Hands what is kept of the batch's blocks to the listing. */
static bool
batch_read(struct sql_store *s, struct listing *l)
{
	struct known k = { .s = s, .listing = l, .good = true };
	const time_t after = too_old(l->batch);
	const struct listing_block *b;
	struct names n = { .count = 0 };
	bool good = true;

	for (b = l->first; good && b != NULL; b = b->next) {
		n.values[n.count++] = sql_key(b->name);
		if (n.count < SQL_ROWS && b->next != NULL)
			continue;
		good = blocks_read(&k, &n, after);
		n.count = 0;
	}
	if (!k.good)
		store_failed(&s->store, STORE_BAD_DATA,
		    "too many hits of one batch");
	return good;
}

/* Forgets the hits that are spent. */
static bool
spent_forget(struct sql_store *s, const struct listing *l)
{
	const struct listing_block *b;
	struct names n = { .count = 0 };
	bool good = true;

	for (b = l->first; good && b != NULL; b = b->next) {
		if (b->forget)
			n.values[n.count++] = sql_key(b->name);
		if (n.count == 0 || (n.count < SQL_ROWS && b->next != NULL))
			continue;
		names_fill(&n);
		good = sql_one(s, SQL_HIT_FORGET + SQL_MANY, n.values,
		    SQL_ROWS) >= 0;
		n.count = 0;
	}
	return good;
}

static bool
hits_write(struct sql_store *s, const struct listing *l)
{
	struct sql_writer *w = sql_writer_begin(s, STORE_HIT, SQL_HIT_RESTORE);
	const struct listing_block *b;
	const struct listing_hit *hit;
	struct store_hit_row *h;

	for (b = l->first; w != NULL && b != NULL; b = b->next)
		for (hit = b->first; hit != NULL; hit = hit->next) {
			if (!hit->write)
				continue;
			h = &sql_writer_add(w)->u.hit;
			snprintf(h->block, sizeof(h->block), "%s", b->name);
			snprintf(h->rule, sizeof(h->rule), "%s",
			    hit->group->rule->name);
			snprintf(h->key, sizeof(h->key), "%s", hit->key);
			h->time = hit->time;
		}
	return sql_writer_end(w);
}

static bool
offenders_write(struct sql_store *s, const struct listing *l)
{
	struct sql_writer *w = sql_writer_begin(s, STORE_OFFENDER,
	    SQL_OFFENDER_RESTORE);
	const struct listing_block *b;

	for (b = l->first; w != NULL && b != NULL; b = b->next)
		if (b->write)
			listing_offender(b, &sql_writer_add(w)->u.offender);
	return sql_writer_end(w);
}

/* Writes what has changed. */
static bool
batch_write(struct sql_store *s, const struct listing *l)
{
	return spent_forget(s, l) && hits_write(s, l) &&
	    offenders_write(s, l) && (!l->changed || sql_generation_next(s));
}

static bool
hits_apply(struct sql_store *s, const struct store_batch *b)
{
	struct listing l;
	bool enough = listing_begin(&l, b), good = enough && batch_read(s, &l);

	if (good) {
		enough = listing_count(&l);
		good = enough && batch_write(s, &l);
	}
	listing_end(&l);
	return good || (!enough &&
	    store_failed(&s->store, STORE_BROKEN, "out of memory"));
}

static enum store_result
batch_apply(struct sql_store *s, void *arg)
{
	const struct store_batch *b = arg;
	const struct sql_value put[] = { sql_bytes(b->source),
		sql_bytes(b->position_new) };
	char position[STORE_TEXT_MAX];

	if (text_get(s, SQL_POSITION_GET, put, position, sizeof(position)) ==
	    STORE_ERROR)
		return STORE_ERROR;
	if (strcmp(position, b->position_old) != 0)
		return STORE_ABSENT;
	return (b->hit_count == 0 || hits_apply(s, b)) &&
		sql_one(s, SQL_POSITION_RESTORE, put, COUNT(put)) >= 0 ?
	    STORE_FOUND : STORE_ERROR;
}

enum store_result
sql_offenders_apply(struct store *store, const struct store_batch *b)
{
	return sql_transaction((struct sql_store *)store, batch_apply,
	    (void *)(uintptr_t)b);
}

/* --- by hand --- */

struct reading {
	const struct sql_store *s;
	struct store_row row;
};

static bool
offender_take(void *arg, const char *const *columns)
{
	struct reading *r = arg;

	sql_row_read(r->s, columns, &r->row);
	return true;
}

static enum store_result
offender_put(struct sql_store *s, void *arg)
{
	struct store_offender put = *(const struct store_offender *)arg;
	struct reading old = { .s = s, .row.kind = STORE_OFFENDER };
	const struct sql_value block = sql_key(put.block);
	const struct sql_rows rows = { sql_kinds[STORE_OFFENDER].count,
		offender_take, &old };
	const bool *listed = &old.row.u.offender.listed;
	struct sql_writer *w;

	if (sql_query(s, SQL_OFFENDER_IN, &block, 1, &rows) < 0)
		return STORE_ERROR;
	put.listed = true;
	put.times = old.row.u.offender.times + !*listed;
	w = sql_writer_begin(s, STORE_OFFENDER, SQL_OFFENDER_RESTORE);
	if (w != NULL)
		sql_writer_add(w)->u.offender = put;
	return !sql_writer_end(w) || !sql_generation_next(s) ? STORE_ERROR :
	    *listed ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
sql_offender_add(struct store *store, const struct store_offender *o)
{
	return sql_transaction((struct sql_store *)store, offender_put,
	    (void *)(uintptr_t)o);
}

static enum store_result
offender_drop(struct sql_store *s, void *arg)
{
	const struct sql_value block = sql_key(arg);
	bool all = block.text[0] == '\0';
	int64_t dropped = sql_one(s, all ? SQL_OFFENDER_CLEAR :
	    SQL_OFFENDER_FORGET, &block, !all);

	if (dropped < 0 || sql_one(s, all ? SQL_HIT_CLEAR : SQL_HIT_FORGET,
		&block, !all) < 0 || (dropped > 0 && !sql_generation_next(s)))
		return STORE_ERROR;
	return dropped > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
sql_offender_remove(struct store *store, const char *block)
{
	return sql_transaction((struct sql_store *)store, offender_drop,
	    (void *)(uintptr_t)block);
}

/* Those whose ban is over: SQL_PORTION are dropped, or less if it was all. */
struct due {
	time_t now;
	int64_t dropped;
};

static enum store_result
due_drop(struct sql_store *s, void *arg)
{
	struct due *d = arg;
	const struct sql_value values[] = { sql_number(d->now),
		sql_number(SQL_PORTION) };

	d->dropped = sql_one(s, SQL_OFFENDER_EXPIRE, values, COUNT(values));
	return d->dropped >= 0 && (d->dropped == 0 || sql_generation_next(s)) ?
	    STORE_FOUND : STORE_ERROR;
}

enum store_result
sql_offenders_expire(struct store *store, time_t now)
{
	struct sql_store *s = (struct sql_store *)store;
	const struct sql_value value = sql_number(now);
	struct due d = { now, SQL_PORTION };
	char block[STORE_BLOCK_MAX];
	enum store_result due;

	/* Mostly there are none: no transaction for that. */
	due = sql_begin(s) ? text_get(s, SQL_OFFENDER_DUE, &value, block,
	    sizeof(block)) : STORE_ERROR;
	while (due == STORE_FOUND && d.dropped == SQL_PORTION)
		due = sql_transaction(s, due_drop, &d);
	return due;
}
