/*
 * store_sqlite_rows - purging, iterating over and restoring rows in SQLite.
 */
#include <stdio.h>
#include <string.h>

#include "store/sqlite/sqlite.h"

/* Where a purge of logins stopped. */
struct cursor {
	char user[1024];
	char block[256];
};

/* What times of logins are wanted; all others go. */
struct span {
	char from[STAMP_MAX], until[STAMP_MAX];
};

/* Is this row outdated? One that we would never have written is, too. */
static bool
login_outdated(sqlite3_stmt *scan, const struct span *span)
{
	const char *last = (const char *)sqlite3_column_text(scan, 2);

	return last == NULL || strcmp(last, span->from) < 0 ||
	    strcmp(last, span->until) > 0 ||
	    sqlite3_column_bytes(scan, 0) >= STORE_USER_MAX ||
	    sqlite3_column_bytes(scan, 1) >= ADDRESS_TEXT_MAX;
}

/* Deletes the row at which the scan is. */
static bool
login_drop(struct sqlite_store *s, sqlite3_stmt *scan, long *removed)
{
	sqlite3_stmt *drop = sqlite_statement(s, LOGIN_DROP);

	if (drop == NULL)
		return false;
	sqlite3_bind_value(drop, 1, sqlite3_column_value(scan, 0));
	sqlite3_bind_value(drop, 2, sqlite3_column_value(scan, 1));
	if (!sqlite_run(drop))
		return false;
	*removed += sqlite3_changes(s->db);
	return true;
}

/*
 * Looks at up to `rows` logins after the cursor and drops the outdated ones;
 * moves the cursor, to the beginning when the end was reached. The number of
 * rows seen, -1 on failure.
 */
static long
logins_purge(struct sqlite_store *s, struct cursor *c, long rows,
    const struct span *span, long *removed)
{
	sqlite3_stmt *scan = sqlite_statement(s, LOGIN_SCAN);
	struct cursor from = *c;
	long seen = 0;

	if (scan == NULL)
		return -1;
	sqlite_bind_text(scan, 1, from.user);
	sqlite_bind_text(scan, 2, from.block);
	sqlite3_bind_int64(scan, 3, rows);
	while (sqlite3_step(scan) == SQLITE_ROW) {
		seen++;
		sqlite_column_copy(scan, 0, c->user, sizeof(c->user));
		sqlite_column_copy(scan, 1, c->block, sizeof(c->block));
		if (login_outdated(scan, span) &&
		    !login_drop(s, scan, removed)) {
			sqlite_failed(s);
			sqlite3_reset(scan);
			return -1;
		}
	}
	if (sqlite3_reset(scan) != SQLITE_OK)
		return -1;
	if (seen < rows)
		memset(c, 0, sizeof(*c));
	return seen;
}

/* A statement that deletes what is older than a time. */
static bool
purge_one(struct sqlite_store *s, enum statement which, time_t before,
    long *removed)
{
	sqlite3_stmt *st = sqlite_statement(s, which);

	if (st == NULL)
		return false;
	sqlite3_bind_int64(st, 1, before);
	if (!sqlite_run(st))
		return false;
	*removed += sqlite3_changes(s->db);
	return true;
}

/* Where the last purge with a limit stopped; the beginning if none did. */
static bool
cursor_read(struct sqlite_store *s, struct cursor *c)
{
	return sqlite_text_get(s, META_GET, "purge_user", c->user,
		   sizeof(c->user)) != STORE_ERROR &&
	    sqlite_text_get(s, META_GET, "purge_block", c->block,
		sizeof(c->block)) != STORE_ERROR;
}

static bool
cursor_write(struct sqlite_store *s, const struct cursor *c)
{
	return sqlite_text_put(s, META_PUT, "purge_user", c->user) &&
	    sqlite_text_put(s, META_PUT, "purge_block", c->block);
}

#define PURGE_ROWS 1000 /* in one transaction: others want to write too */

/*
 * One transaction of a purge of logins. The rows seen, -1 on failure. kept:
 * the cursor is read from the store first and kept there.
 */
static long
purge_portion(struct sqlite_store *s, struct cursor *c, bool kept, long rows,
    const struct span *span, long *removed)
{
	long seen;

	if (sqlite_begin(s) == STORE_ERROR)
		return -1;
	if ((kept && !cursor_read(s, c)) ||
	    (seen = logins_purge(s, c, rows, span, removed)) < 0 ||
	    (kept && !cursor_write(s, c))) {
		sqlite_end(s, STORE_ERROR);
		return -1;
	}
	return sqlite_end(s, STORE_FOUND) == STORE_ERROR ? -1 : seen;
}

enum store_result
sqlite_purge(struct store *store, const struct store_purge *p, long *removed)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	struct cursor c = { "", "" };
	struct span span;
	long left = p->limit, rows, seen;

	*removed = 0;
	sqlite_stamp(p->logins_before, span.from);
	sqlite_stamp(p->now + 86400, span.until); /* a clock was wrong */
	do {
		rows = p->limit > 0 && left < PURGE_ROWS ? left : PURGE_ROWS;
		seen = purge_portion(s, &c, p->limit > 0, rows, &span, removed);
		if (seen < 0)
			return STORE_ERROR;
		left -= rows;
	} while (seen == rows && (p->limit == 0 || left > 0));
	/* Those may be many rows: not in the middle of a request. */
	if (p->limit > 0)
		return *removed > 0 ? STORE_FOUND : STORE_ABSENT;
	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	return sqlite_end(s, purge_one(s, RATE_PURGE, p->now, removed) &&
		purge_one(s, ACCOUNT_PURGE, p->accounts_before, removed) &&
		purge_one(s, HIT_PURGE, p->hits_before, removed) &&
		purge_one(s, OFFENDER_PURGE, p->hits_before, removed) ?
	    (*removed > 0 ? STORE_FOUND : STORE_ABSENT) : STORE_ERROR);
}

static const enum statement all_of[] = {
	[STORE_LOGIN] = LOGIN_ALL,
	[STORE_ACCOUNT] = ACCOUNT_ALL,
	[STORE_OFFENDER] = OFFENDER_ALL,
	[STORE_RATE] = RATE_ALL,
	[STORE_POSITION] = POSITION_ALL,
	[STORE_HIT] = HIT_ALL,
};

static void
row_columns(sqlite3_stmt *st, struct store_row *r)
{
	switch (r->kind) {
	case STORE_LOGIN:
		sqlite_column_copy(st, 0, r->u.login.user,
		    sizeof(r->u.login.user));
		sqlite_column_copy(st, 1, r->u.login.block,
		    sizeof(r->u.login.block));
		sqlite_column_copy(st, 2, r->u.login.country,
		    sizeof(r->u.login.country));
		r->u.login.count = sqlite3_column_int64(st, 3);
		r->u.login.last = sqlite3_column_int64(st, 4);
		break;
	case STORE_ACCOUNT:
		sqlite_account_columns(st, &r->u.account);
		break;
	case STORE_OFFENDER:
		sqlite_offender_columns(st, &r->u.offender);
		break;
	case STORE_RATE:
		sqlite_column_copy(st, 0, r->u.rate.key, sizeof(r->u.rate.key));
		r->u.rate.taken = sqlite3_column_int64(st, 1);
		r->u.rate.until = sqlite3_column_int64(st, 2);
		break;
	case STORE_POSITION:
		sqlite_column_copy(st, 0, r->u.position.source,
		    sizeof(r->u.position.source));
		sqlite_column_copy(st, 1, r->u.position.position,
		    sizeof(r->u.position.position));
		break;
	case STORE_HIT:
		sqlite_column_copy(st, 0, r->u.hit.block,
		    sizeof(r->u.hit.block));
		sqlite_column_copy(st, 1, r->u.hit.rule, sizeof(r->u.hit.rule));
		sqlite_column_copy(st, 2, r->u.hit.key, sizeof(r->u.hit.key));
		r->u.hit.time = sqlite3_column_int64(st, 3);
		break;
	}
}

enum store_result
sqlite_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = sqlite_statement(s, all_of[kind]);
	struct store_row row = { .kind = kind };
	bool any = false;

	if (st == NULL)
		return sqlite_failed(s);
	if (sqlite3_bind_parameter_count(st) > 0)
		sqlite_bind_range(st, of);
	while (sqlite3_step(st) == SQLITE_ROW) {
		any = true;
		row_columns(st, &row);
		if (!fn(arg, &row))
			break;
	}
	if (sqlite3_reset(st) != SQLITE_OK)
		return sqlite_failed(s);
	return any ? STORE_FOUND : STORE_ABSENT;
}

static bool
login_restore(struct sqlite_store *s, const struct store_login_row *l)
{
	sqlite3_stmt *st = sqlite_statement(s, LOGIN_RESTORE);
	char last[STAMP_MAX];

	if (st == NULL)
		return false;
	sqlite_stamp(l->last, last);
	sqlite_bind_text(st, 1, l->user);
	sqlite_bind_text(st, 2, l->block);
	if (l->country[0] != '\0')
		sqlite_bind_text(st, 3, l->country);
	else
		sqlite3_bind_null(st, 3);
	sqlite3_bind_int64(st, 4, l->count);
	sqlite_bind_text(st, 5, last);
	return sqlite_run(st);
}

static bool
account_restore(struct sqlite_store *s, const struct store_account *a)
{
	sqlite3_stmt *st = sqlite_statement(s, ACCOUNT_RESTORE);

	if (st == NULL)
		return false;
	sqlite_bind_text(st, 1, a->user);
	sqlite3_bind_int64(st, 2, a->since);
	sqlite3_bind_int64(st, 3, a->released);
	sqlite3_bind_int(st, 4, a->command_ran);
	sqlite_bind_text(st, 5, a->check);
	sqlite_bind_text(st, 6, a->address);
	sqlite_bind_text(st, 7, a->reason);
	return sqlite_run(st);
}

static bool
rate_restore(struct sqlite_store *s, const struct store_rate_row *r)
{
	sqlite3_stmt *st = sqlite_statement(s, RATE_RESTORE);

	if (st == NULL)
		return false;
	sqlite_bind_text(st, 1, r->key);
	sqlite3_bind_int64(st, 2, r->taken);
	sqlite3_bind_int64(st, 3, r->until);
	return sqlite_run(st);
}

static bool
row_restore(struct sqlite_store *s, const struct store_row *row)
{
	struct store_hit hit;

	switch (row->kind) {
	case STORE_LOGIN:
		return login_restore(s, &row->u.login);
	case STORE_ACCOUNT:
		return account_restore(s, &row->u.account);
	case STORE_OFFENDER:
		return sqlite_offender_put(s, &row->u.offender) &&
		    sqlite_run_plain(s, GENERATION_NEXT);
	case STORE_RATE:
		return rate_restore(s, &row->u.rate);
	case STORE_POSITION:
		return sqlite_text_put(s, POSITION_PUT, row->u.position.source,
		    row->u.position.position);
	case STORE_HIT:
		hit = (struct store_hit){ row->u.hit.block, row->u.hit.rule,
			row->u.hit.key, row->u.hit.time };
		return sqlite_hit_put(s, &hit);
	}
	return false;
}

enum store_result
sqlite_restore(struct store *store, const struct store_row *rows, size_t count)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	bool good = true;
	size_t i;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	for (i = 0; good && i < count; i++)
		good = row_restore(s, &rows[i]);
	return sqlite_end(s, good ? STORE_FOUND : STORE_ERROR);
}
