/*
 * store_sql_rows - purging, iterating over and restoring rows in SQL, and how
 * many there are.
 */
#include <stdio.h>
#include <string.h>

#include "store/sql/kinds.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PURGE_ROWS 2000 /* in one statement: others want to write too */
#define KEYS_MAX 3      /* columns of the longest key */
#define KEY_BYTES 1024  /* of a column of a key, as it is in the table */

/* A place in a table: the key of a row, "" before all. */
struct cursor {
	char key[KEYS_MAX][KEY_BYTES];
};

static void
cursor_set(struct cursor *c, const char *const *columns, size_t keys)
{
	size_t i;

	for (i = 0; i < keys; i++)
		snprintf(c->key[i], KEY_BYTES, "%s",
		    columns[i] != NULL ? columns[i] : "");
}

/* What nobody of ours has put there might keep it where it is, for ever. */
static bool
cursor_moved(const struct cursor *from, const struct cursor *to, size_t keys)
{
	size_t i;

	for (i = 0; i < keys; i++)
		if (strcmp(from->key[i], to->key[i]) != 0)
			return true;
	return false;
}

/* --- purge --- */

static bool
end_take(void *arg, const char *const *columns)
{
	cursor_set(arg, columns, 2);
	return true;
}

/*
 * Drops those of the next PURGE_ROWS logins that are outdated, and moves the
 * cursor. 1, 0 at the end, -1 on failure.
 */
static int
logins_purge(struct sql_store *s, struct cursor *c, const char *from,
    const char *until, long *removed)
{
	struct cursor end = *c;
	const struct sql_value after[] = { sql_key(c->key[0]),
		sql_key(c->key[1]), sql_number(PURGE_ROWS) };
	const struct sql_value span[] = { after[0], after[1],
		sql_key(end.key[0]), sql_key(end.key[1]), sql_key(from),
		sql_key(until) };
	const struct sql_rows rows = { 2, end_take, &end };
	int found = sql_begin(s) ? sql_query(s, SQL_LOGIN_END, after,
	    COUNT(after), &rows) : -1;
	int64_t dropped;

	if (found <= 0 || !cursor_moved(c, &end, 2))
		return found < 0 ? -1 : 0;
	dropped = sql_one(s, SQL_LOGIN_PURGE, span, COUNT(span));
	*removed += dropped > 0 ? (long)dropped : 0;
	*c = end;
	return dropped < 0 ? -1 : 1;
}

enum store_result
sql_purge(struct store *store, const struct store_purge *p, long *removed)
{
	const struct {
		enum sql_name name;
		time_t before;
	} others[] = {
		{ SQL_RATE_PURGE, p->now },
		{ SQL_ACCOUNT_PURGE, p->accounts_before },
		{ SQL_HIT_PURGE, p->hits_before },
		{ SQL_OFFENDER_PURGE, p->hits_before },
	};
	struct sql_store *s = (struct sql_store *)store;
	char from[SQL_STAMP_MAX], until[SQL_STAMP_MAX];
	struct cursor c = { { "", "", "" } };
	struct sql_value before;
	int64_t dropped;
	size_t i;
	int more;

	*removed = 0;
	sql_stamp(p->logins_before, from);
	sql_stamp(p->now + 86400, until); /* a clock was wrong */
	do
		more = logins_purge(s, &c, from, until, removed);
	while (more > 0);
	for (i = 0; more == 0 && i < COUNT(others); i++) {
		before = sql_number(others[i].before);
		dropped = sql_begin(s) ? sql_one(s, others[i].name, &before, 1)
				       : -1;
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
	struct cursor last;
	long seen;
	bool more; /* are wanted */
};

static bool
page_row(void *arg, const char *const *columns)
{
	struct page *p = arg;

	p->seen++;
	cursor_set(&p->last, columns, p->kind->keys);
	sql_row_read(p->s, columns, &p->row);
	p->more = p->fn(p->arg, &p->row);
	return p->more;
}

/* Reads a page after the cursor. 1, 0 there is nothing, -1 on failure. */
static int
page_read(struct page *p, const struct cursor *after)
{
	struct sql_value values[KEYS_MAX + 1];
	const struct sql_rows rows = { p->kind->count, page_row, p };
	size_t i;

	for (i = 0; i < p->kind->keys; i++)
		values[i] = sql_key(after->key[i]);
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
	struct cursor after;
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
	    cursor_moved(&after, &p.last, p.kind->keys));
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
	bool good = true, offenders = false;
	enum store_kind kind;
	size_t i, n;

	for (i = 0; good && i < r->count; i += n) {
		kind = r->rows[i].kind;
		for (n = 1; i + n < r->count && r->rows[i + n].kind == kind;
		     n++)
			;
		offenders = offenders || kind == STORE_OFFENDER;
		if (sql_kinds[kind].columns != NULL)
			good = sql_write(s, r->rows + i, n);
	}
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

static bool
counts_take(void *arg, const char *const *columns)
{
	struct store_status *status = arg;
	int kind;

	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		status->rows[kind] = (long)sql_integer(columns[kind]);
	return true;
}

static bool
bytes_take(void *arg, const char *const *columns)
{
	struct store_status *status = arg;

	status->bytes = columns[0] != NULL ? sql_integer(columns[0]) : -1;
	return true;
}

enum store_result
sql_status(struct store *store, struct store_status *status)
{
	struct sql_store *s = (struct sql_store *)store;
	const struct sql_rows counts = { STORE_HIT + 1, counts_take, status };
	const struct sql_rows bytes = { 1, bytes_take, status };

	status->schema = STORE_SCHEMA; /* or it could not have been opened */
	status->bytes = -1;
	snprintf(status->where, sizeof(status->where), "%s", store->where);
	return sql_begin(s) && sql_query(s, SQL_STATUS, NULL, 0, &counts) > 0 &&
	    sql_query(s, SQL_BYTES, NULL, 0, &bytes) >= 0 ? STORE_FOUND :
							    STORE_ERROR;
}
