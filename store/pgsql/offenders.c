/*
 * store_pgsql_offenders - hits, offenders and log positions in PostgreSQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/pgsql/pgsql.h"

void
pgsql_offender_columns(const PGresult *r, int row, struct store_offender *o)
{
	pgsql_key(r, row, 0, o->block, sizeof(o->block));
	pgsql_column(r, row, 1, o->rule, sizeof(o->rule));
	pgsql_column(r, row, 2, o->note, sizeof(o->note));
	o->hits = (long)pgsql_number(r, row, 3);
	o->times = (long)pgsql_number(r, row, 4);
	o->since = pgsql_number(r, row, 5);
	o->last = pgsql_number(r, row, 6);
	o->expires = pgsql_number(r, row, 7);
	o->listed = pgsql_bool(r, row, 8);
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

/* A batch on its way: the lock, the position, the hits, the generation. */
struct applied {
	const struct store_batch *batch;
	size_t *hits; /* the numbers of those of rules that we know */
	size_t count;
};

static void
hit_args(const struct store_batch *b, const struct store_hit *h,
    struct pgsql_args *a)
{
	const struct store_rule *rule = rule_find(b, h->rule);

	pgsql_add_key(a, h->block);
	pgsql_add_text(a, h->rule);
	pgsql_add_text(a, h->key);
	pgsql_add_number(a, h->time);
	pgsql_add_number(a, rule->hits);
	pgsql_add_number(a, rule->period);
	pgsql_add_number(a, b->ban);
	pgsql_add_number(a, b->ban_max);
}

static enum pgsql_statement
apply_fill(void *arg, size_t i, struct pgsql_args *a)
{
	const struct applied *p = arg;

	if (i == 0)
		return PG_LOCK;
	if (i == 1) {
		pgsql_add_text(a, p->batch->source);
		pgsql_add_text(a, p->batch->position_old);
		pgsql_add_text(a, p->batch->position_new);
		return PG_POSITION_MOVE;
	}
	if (i == p->count + 2)
		return PG_GENERATION_NEXT;
	hit_args(p->batch, &p->batch->hits[p->hits[i - 2]], a);
	return PG_HIT_APPLY;
}

enum store_result
pgsql_offenders_apply(struct store *store, const struct store_batch *b)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	struct applied p = { .batch = b };
	PGresult *r;
	size_t i;

	p.hits = calloc(b->hit_count + 1, sizeof(*p.hits));
	if (p.hits == NULL)
		return pgsql_failed(s, "out of memory");
	for (i = 0; i < b->hit_count; i++)
		if (rule_find(b, b->hits[i].rule) != NULL)
			p.hits[p.count++] = i;
	s->per_result = true;
	r = pgsql_run(s, p.count + 3, 1, apply_fill, &p);
	s->per_result = false;
	free(p.hits);
	return pgsql_count(store, r);
}

/* The text that a statement finds by a name; *out is "" without one. */
static enum store_result
text_get(struct pgsql_store *s, enum pgsql_statement which,
    const struct pgsql_args *a, char *out, size_t size)
{
	PGresult *r = pgsql_shaped(s, pgsql_one(s, which, a), 0, 1);
	bool found;

	out[0] = '\0';
	if (r == NULL)
		return STORE_ERROR;
	found = pq.PQntuples(r) > 0;
	if (found)
		pgsql_column(r, 0, 0, out, size);
	pq.PQclear(r);
	return found ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
pgsql_position(struct store *store, const char *source, char *position,
    size_t size)
{
	struct pgsql_args a;

	pgsql_args_init(&a);
	pgsql_add_text(&a, source);
	return text_get((struct pgsql_store *)store, PG_POSITION_GET, &a,
	    position, size);
}

enum store_result
pgsql_generation(struct store *store, int64_t *generation)
{
	char text[32];
	enum store_result result;

	result = text_get((struct pgsql_store *)store, PG_GENERATION, NULL,
	    text, sizeof(text));
	*generation = strtoll(text, NULL, 10);
	return result;
}

enum store_result
pgsql_offender_add(struct store *store, const struct store_offender *o)
{
	struct pgsql_args a;

	pgsql_args_init(&a);
	pgsql_add_key(&a, o->block);
	pgsql_add_text(&a, o->rule);
	pgsql_add_text(&a, o->note);
	pgsql_add_number(&a, o->hits);
	pgsql_add_number(&a, o->since);
	pgsql_add_number(&a, o->last);
	pgsql_add_number(&a, o->expires);
	return pgsql_count(store, pgsql_locked((struct pgsql_store *)store,
	    PG_OFFENDER_ADD, &a));
}

enum store_result
pgsql_offender_remove(struct store *store, const char *block)
{
	struct pgsql_args a;

	pgsql_args_init(&a);
	pgsql_add_key(&a, block);
	return pgsql_count(store, pgsql_locked((struct pgsql_store *)store,
	    PG_OFFENDER_REMOVE, &a));
}

enum store_result
pgsql_offenders_expire(struct store *store, time_t now)
{
	struct pgsql_args a;

	pgsql_args_init(&a);
	pgsql_add_number(&a, now);
	return pgsql_count(store, pgsql_locked((struct pgsql_store *)store,
	    PG_OFFENDER_EXPIRE, &a));
}
