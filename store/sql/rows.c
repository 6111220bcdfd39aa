/*
 * store_sql_rows - purging, iterating over and restoring rows in SQL, and how
 * many there are.
 */
#include <stdio.h>
#include <string.h>

#include "store/sql/sql.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PURGE_ROWS 2000 /* in one statement: others want to write too */
#define KEYS_MAX 3      /* columns of the longest key */

/* What nobody of ours has put there might keep it where it is, for ever. */
static bool
moved(const struct sql_cells *from, const struct sql_cells *to, size_t keys)
{
	size_t i;

	for (i = 0; i < keys; i++)
		if (strcmp(from->text[i], to->text[i]) != 0)
			return true;
	return false;
}

/* --- purge --- */

/*
 * Drops those of the next PURGE_ROWS logins that are outdated, and moves the
 * cursor. 1, 0 at the end, -1 on failure.
 */
static int
logins_purge(struct sql_store *s, struct sql_cells *at, const char *from,
    const char *until, long *removed)
{
	struct sql_cells end = { .text = { "" } };
	const struct sql_value after[] = { sql_key(at->text[0]),
		sql_key(at->text[1]), sql_number(PURGE_ROWS) };
	const struct sql_value span[] = { after[0], after[1],
		sql_key(end.text[0]), sql_key(end.text[1]), sql_key(from),
		sql_key(until) };
	int found = sql_begin(s) ? sql_get(s, SQL_LOGIN_END, after,
	    COUNT(after), 2, &end) : -1;
	int64_t dropped;

	if (found <= 0 || !moved(at, &end, 2))
		return found < 0 ? -1 : 0;
	dropped = sql_one(s, SQL_LOGIN_PURGE, span, COUNT(span));
	*removed += dropped > 0 ? (long)dropped : 0;
	*at = end;
	return dropped < 0 ? -1 : 1;
}

enum store_result
sql_purge(struct store *store, const struct store_purge *p, long *removed)
{
	const struct {
		enum sql_name name;
		time_t before;
		size_t values;
	} others[] = {
		{ SQL_RATE_PURGE, p->now, 1 },
		{ SQL_ACCOUNT_PURGE, p->accounts_before, 1 },
		{ SQL_HIT_PURGE, p->hits_before, 2 },
		{ SQL_OFFENDER_PURGE, p->hits_before, 2 },
	};
	struct sql_store *s = (struct sql_store *)store;
	char from[SQL_STAMP_MAX], until[SQL_STAMP_MAX];
	struct sql_cells at = { .text = { "" } }; /* before all */
	struct sql_value values[2] = { [1] = sql_number(SQL_PORTION) };
	int64_t dropped;
	size_t i;
	int more;

	*removed = 0;
	sql_stamp(p->logins_before, from);
	sql_stamp(p->now + 86400, until); /* a clock was wrong */
	do
		more = logins_purge(s, &at, from, until, removed);
	while (more > 0);
	for (i = 0; more == 0 && i < COUNT(others);
	     i += dropped < SQL_PORTION) {
		values[0] = sql_number(others[i].before);
		dropped = sql_begin(s) ? sql_one(s, others[i].name, values,
		    others[i].values) : -1;
		*removed += dropped > 0 ? (long)dropped : 0;
		more = dropped < 0 ? -1 : 0;
	}
	return more < 0 ? STORE_ERROR : *removed > 0 ? STORE_FOUND :
						       STORE_ABSENT;
}

/* --- iterate: a page at a time, each after the last key of the other --- */

struct page {
	struct sql_store *s;
	const struct sql_kind *kind;
	struct store_row row;
	store_row_fn *fn;
	void *arg;
	struct sql_cells last;
	long seen;
	bool more; /* are wanted */
};

static bool
page_row(void *arg, const char *const *columns)
{
	struct page *p = arg;

	p->seen++;
	sql_cells_take(&p->last, columns, p->kind->keys);
	sql_row_read(p->s, columns, &p->row);
	p->more = p->fn(p->arg, &p->row);
	return p->more;
}

/* Reads a page after the cursor. 1, 0 there is nothing, -1 on failure. */
static int
page_read(struct page *p, const struct sql_cells *after)
{
	struct sql_value values[KEYS_MAX + 1];
	const struct sql_rows rows = { p->kind->count, page_row, p };
	size_t i;

	for (i = 0; i < p->kind->keys; i++)
		values[i] = sql_key(after->text[i]);
	values[i++] = sql_number(p->s->connection->page);
	p->seen = 0;
	return sql_begin(p->s) ? sql_query(p->s, p->kind->all, values, i, &rows)
			       : -1;
}

/* All of one user or block. */
static enum store_result
iterate_of(struct page *p, const char *of)
{
	const struct sql_value key = sql_key(of);
	const struct sql_rows rows = { p->kind->count, page_row, p };
	int found = sql_begin(p->s) ? sql_query(p->s, p->kind->of, &key, 1,
	    &rows) : -1;

	return found < 0 ? STORE_ERROR : found > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
sql_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct page p = { .s = (struct sql_store *)store,
		.kind = &sql_kinds[kind], .row.kind = kind, .fn = fn,
		.arg = arg };
	struct sql_cells after;
	bool any = false;
	int found;

	if (p.kind->columns == NULL)
		return STORE_ABSENT;
	if (of[0] != '\0' && p.kind->of != SQL_NAMES)
		return iterate_of(&p, of);
	do {
		after = p.last;
		found = page_read(&p, &after);
		any = any || found > 0;
	} while (found > 0 && p.more && p.seen >= p.s->connection->page &&
	    moved(&after, &p.last, p.kind->keys));
	return found < 0 ? STORE_ERROR : any ? STORE_FOUND : STORE_ABSENT;
}

/* --- restore --- */

struct restored {
	const struct store_row *rows;
	size_t count;
};

static enum store_result
rows_restore(struct sql_store *s, void *arg)
{
	const struct restored *r = arg;
	struct sql_writer *w = NULL;
	bool good = true, offenders = false;
	enum store_kind kind;
	size_t i;

	for (i = 0; good && i < r->count; i++) {
		kind = r->rows[i].kind;
		if (sql_kinds[kind].columns == NULL)
			continue;
		if (w == NULL || w->kind != kind) {
			good = w == NULL || sql_writer_end(w);
			w = sql_writer_begin(s, kind, sql_kinds[kind].restore);
		}
		if (w == NULL)
			return STORE_ERROR;
		*sql_writer_add(w) = r->rows[i];
		offenders = offenders || kind == STORE_OFFENDER;
	}
	good = (w == NULL || sql_writer_end(w)) && good;
	return good && (!offenders || sql_generation_next(s)) ? STORE_FOUND :
								STORE_ERROR;
}

enum store_result
sql_restore(struct store *store, const struct store_row *rows, size_t count)
{
	struct restored r = { rows, count };

	return sql_transaction((struct sql_store *)store, rows_restore, &r);
}

/* --- status --- */

enum store_result
sql_status(struct store *store, struct store_status *status)
{
	struct sql_store *s = (struct sql_store *)store;
	struct sql_cells counts = { .text = { "" } }, bytes = counts;
	int kind;

	if (!sql_begin(s) ||
	    sql_get(s, SQL_STATUS, NULL, 0, STORE_HIT + 1, &counts) <= 0 ||
	    sql_get(s, SQL_BYTES, NULL, 0, 1, &bytes) < 0)
		return STORE_ERROR;
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		status->rows[kind] = (long)sql_integer(counts.text[kind]);
	status->bytes = bytes.text[0][0] != '\0' ?
	    sql_integer(bytes.text[0]) : -1;
	status->schema = STORE_SCHEMA; /* or it could not have been opened */
	snprintf(status->where, sizeof(status->where), "%s", store->where);
	return STORE_FOUND;
}
