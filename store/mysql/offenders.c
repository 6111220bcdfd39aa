/*
 * store_mysql_offenders - offenders and log positions in MySQL and MariaDB.
 *
 * Everybody who changes offenders takes the row of the generation first, so
 * that there is one at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "store/mysql/mysql.h"

void
maria_offender_columns(const struct maria_store *s, struct store_offender *o)
{
	maria_copy(s, 0, o->block, sizeof(o->block));
	maria_copy(s, 1, o->rule, sizeof(o->rule));
	maria_copy(s, 2, o->note, sizeof(o->note));
	o->hits = s->row[3].number;
	o->times = s->row[4].number;
	o->since = s->row[5].number;
	o->last = s->row[6].number;
	o->expires = s->row[7].number;
	o->listed = s->row[8].number != 0;
}

void
maria_offender_bind(struct maria_store *s, const struct store_offender *o)
{
	maria_text(s, o->block);
	maria_text(s, o->rule);
	maria_text(s, o->note);
	maria_number(s, o->hits);
	maria_number(s, o->times);
	maria_number(s, o->since);
	maria_number(s, o->last);
	maria_number(s, o->expires);
	maria_number(s, o->listed);
}

void
maria_hit_bind(struct maria_store *s, const char *block, const char *rule,
    const char *key, time_t time)
{
	maria_text(s, block);
	maria_text(s, rule);
	maria_text(s, key);
	maria_number(s, time);
}

void
maria_blocks_bind(struct maria_store *s, const char *const *names, size_t count,
    size_t n)
{
	size_t i;

	for (i = 0; i < MARIA_ROWS; i++)
		maria_text(s, names[n + i < count ? n + i : count - 1]);
}

/* --- positions, the generation --- */

/* The text of a name. */
static enum store_result
text_get(struct maria_store *s, enum maria_statement which, const char *name,
    char *out, size_t size)
{
	int rc;

	out[0] = '\0';
	if (!maria_begin(s))
		return STORE_ERROR;
	maria_text(s, name);
	if (!maria_query(s, which))
		return STORE_ERROR;
	rc = maria_fetch_only(s);
	if (rc == 1)
		maria_copy(s, 0, out, size);
	return rc < 0 ? STORE_ERROR : rc == 1 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
maria_position(struct store *store, const char *source, char *position,
    size_t size)
{
	return text_get((struct maria_store *)store, POSITION_GET, source,
	    position, size);
}

enum store_result
maria_generation(struct store *store, int64_t *generation)
{
	char text[32];
	enum store_result r = text_get((struct maria_store *)store, META_GET,
	    "generation", text, sizeof(text));

	*generation = strtoll(text, NULL, 10);
	return r;
}

/* --- by hand --- */

static enum store_result
offender_put(struct maria_store *s, void *arg)
{
	struct store_offender put = *(const struct store_offender *)arg;
	struct store_offender old = { .listed = false };
	const char *name = put.block;
	int rc;

	if (maria_run(s, GENERATION_LOCK) < 0)
		return STORE_ERROR;
	maria_blocks_bind(s, &name, 1, 0);
	if (!maria_query(s, OFFENDER_ROWS))
		return STORE_ERROR;
	rc = maria_fetch_only(s);
	if (rc < 0)
		return STORE_ERROR;
	if (rc == 1)
		maria_offender_columns(s, &old);
	put.listed = true;
	put.times = old.times + !old.listed;
	maria_offender_bind(s, &put);
	if (maria_run(s, OFFENDER_PUT) < 0 || maria_run(s, GENERATION_NEXT) < 0)
		return STORE_ERROR;
	return old.listed ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
maria_offender_add(struct store *store, const struct store_offender *o)
{
	return maria_transaction((struct maria_store *)store, offender_put,
	    (void *)(uintptr_t)o);
}

static enum store_result
offender_drop(struct maria_store *s, void *arg)
{
	const char *block = arg;
	int64_t dropped;

	if (maria_run(s, GENERATION_LOCK) < 0)
		return STORE_ERROR;
	if (block[0] != '\0')
		maria_text(s, block);
	dropped = maria_run(s, block[0] != '\0' ? OFFENDER_DROP :
						  OFFENDER_CLEAR);
	maria_text(s, block);
	maria_text(s, block);
	if (dropped < 0 || maria_run(s, HIT_CLEAR) < 0 ||
	    (dropped > 0 && maria_run(s, GENERATION_NEXT) < 0))
		return STORE_ERROR;
	return dropped > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
maria_offender_remove(struct store *store, const char *block)
{
	return maria_transaction((struct maria_store *)store, offender_drop,
	    (void *)(uintptr_t)block);
}

static enum store_result
offenders_drop_due(struct maria_store *s, void *arg)
{
	int64_t dropped;

	if (maria_run(s, GENERATION_LOCK) < 0)
		return STORE_ERROR;
	maria_number(s, *(const time_t *)arg);
	dropped = maria_run(s, OFFENDER_EXPIRE);
	if (dropped < 0 || (dropped > 0 && maria_run(s, GENERATION_NEXT) < 0))
		return STORE_ERROR;
	return dropped > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
maria_offenders_expire(struct store *store, time_t now)
{
	struct maria_store *s = (struct maria_store *)store;
	int rc;

	/* Mostly there are none: no transaction for that. */
	if (!maria_begin(s))
		return STORE_ERROR;
	maria_number(s, now);
	if (!maria_query(s, OFFENDER_DUE))
		return STORE_ERROR;
	rc = maria_fetch_only(s);
	if (rc != 1)
		return rc < 0 ? STORE_ERROR : STORE_ABSENT;
	return maria_transaction(s, offenders_drop_due, &now);
}
