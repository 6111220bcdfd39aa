/*
 * store_pgsql_rows - purging, iterating over and restoring rows in PostgreSQL.
 */
#include <stdio.h>
#include <string.h>

#include "store/pgsql/pgsql.h"

#define PURGE_ROWS 5000 /* in one transaction: a statement must not take long */
#define PAGE_ROWS 1000
#define KEY_MAX 3     /* columns of the longest key */
#define KEY_TEXT 2048 /* bytes of a key's column as it is in the table */

/* --- purging --- */

/* Where a purge of logins has come to. */
struct cursor {
	char user[KEY_TEXT];
	char block[KEY_TEXT];
};

/*
 * Looks at so many logins after the cursor, drops the outdated ones and moves
 * it. The number of rows seen, -1 on failure.
 */
static long
purge_portion(struct pgsql_store *s, const struct store_purge *p, long rows,
    struct cursor *c, long *removed)
{
	struct pgsql_args a;
	PGresult *r;
	long seen;

	pgsql_args_init(&a);
	pgsql_add_number(&a, rows);
	pgsql_add_key(&a, c->user);
	pgsql_add_key(&a, c->block);
	pgsql_add_bool(&a, p->limit > 0);
	pgsql_add_number(&a, p->logins_before);
	pgsql_add_number(&a, p->now + 86400); /* a clock was wrong */
	r = pgsql_shaped(s, pgsql_locked(s, PG_LOGIN_PURGE, &a), 1, 4);
	if (r == NULL)
		return -1;
	seen = (long)pgsql_number(r, 0, 0);
	*removed += (long)pgsql_number(r, 0, 1);
	pgsql_key(r, 0, 2, c->user, sizeof(c->user));
	pgsql_key(r, 0, 3, c->block, sizeof(c->block));
	pq.PQclear(r);
	return seen;
}

enum store_result
pgsql_purge(struct store *store, const struct store_purge *p, long *removed)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	struct cursor c = { "", "" };
	struct pgsql_args a;
	PGresult *r;
	long seen, rows = p->limit > 0 ? p->limit : PURGE_ROWS;

	*removed = 0;
	do
		seen = purge_portion(s, p, rows, &c, removed);
	while (p->limit == 0 && seen == rows);
	if (seen < 0)
		return STORE_ERROR;
	/* Those may be many rows: not in the middle of a request. */
	if (p->limit == 0) {
		pgsql_args_init(&a);
		pgsql_add_number(&a, p->now);
		pgsql_add_number(&a, p->accounts_before);
		pgsql_add_number(&a, p->hits_before);
		r = pgsql_shaped(s, pgsql_locked(s, PG_PURGE, &a), 1, 1);
		if (r == NULL)
			return STORE_ERROR;
		*removed += (long)pgsql_number(r, 0, 0);
		pq.PQclear(r);
	}
	return *removed > 0 ? STORE_FOUND : STORE_ABSENT;
}

/* --- iterating: a page at a time, each after the last key of the other --- */

static const struct {
	enum pgsql_statement all;
	bool of;  /* can be asked for one user or block */
	int keys; /* the first columns, by which it is ordered */
	int columns;
} kinds[] = {
	[STORE_LOGIN] = { PG_LOGIN_ALL, true, 2, 5 },
	[STORE_ACCOUNT] = { PG_ACCOUNT_ALL, true, 1, 7 },
	[STORE_OFFENDER] = { PG_OFFENDER_ALL, true, 1, 9 },
	[STORE_RATE] = { PG_RATE_ALL, false, 1, 3 },
	[STORE_POSITION] = { PG_POSITION_ALL, false, 1, 2 },
	[STORE_HIT] = { PG_HIT_ALL, true, 3, 4 },
};

static void
row_columns(const PGresult *r, int n, struct store_row *row)
{
	switch (row->kind) {
	case STORE_LOGIN:
		pgsql_key(r, n, 0, row->u.login.user,
		    sizeof(row->u.login.user));
		pgsql_key(r, n, 1, row->u.login.block,
		    sizeof(row->u.login.block));
		pgsql_key(r, n, 2, row->u.login.country,
		    sizeof(row->u.login.country));
		row->u.login.count = (long)pgsql_number(r, n, 3);
		row->u.login.last = pgsql_number(r, n, 4);
		break;
	case STORE_ACCOUNT:
		pgsql_account_columns(r, n, &row->u.account);
		break;
	case STORE_OFFENDER:
		pgsql_offender_columns(r, n, &row->u.offender);
		break;
	case STORE_RATE:
		pgsql_column(r, n, 0, row->u.rate.key, sizeof(row->u.rate.key));
		row->u.rate.taken = (long)pgsql_number(r, n, 1);
		row->u.rate.until = pgsql_number(r, n, 2);
		break;
	case STORE_POSITION:
		pgsql_column(r, n, 0, row->u.position.source,
		    sizeof(row->u.position.source));
		pgsql_column(r, n, 1, row->u.position.position,
		    sizeof(row->u.position.position));
		break;
	case STORE_HIT:
		pgsql_key(r, n, 0, row->u.hit.block, sizeof(row->u.hit.block));
		pgsql_column(r, n, 1, row->u.hit.rule, sizeof(row->u.hit.rule));
		pgsql_column(r, n, 2, row->u.hit.key, sizeof(row->u.hit.key));
		row->u.hit.time = pgsql_number(r, n, 3);
		break;
	}
}

/* The next page; NULL on failure. */
static PGresult *
page_get(struct pgsql_store *s, enum store_kind kind, const char *of,
    char key[KEY_MAX][KEY_TEXT])
{
	struct pgsql_args a;
	int i;

	pgsql_args_init(&a);
	if (kinds[kind].of)
		pgsql_add_key(&a, of);
	for (i = 0; i < kinds[kind].keys; i++)
		pgsql_add_key(&a, key[i]);
	pgsql_add_number(&a, PAGE_ROWS);
	return pgsql_shaped(s, pgsql_one(s, kinds[kind].all, &a), 0,
	    kinds[kind].columns);
}

enum store_result
pgsql_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	char key[KEY_MAX][KEY_TEXT] = { "", "", "" };
	struct store_row row = { .kind = kind };
	bool any = false, go_on = true;
	int n, rows, i;
	PGresult *r;

	do {
		r = page_get(s, kind, of, key);
		if (r == NULL)
			return STORE_ERROR;
		rows = pq.PQntuples(r);
		any = any || rows > 0;
		for (n = 0; go_on && n < rows; n++) {
			row_columns(r, n, &row);
			go_on = fn(arg, &row);
		}
		for (i = 0; rows > 0 && i < kinds[kind].keys; i++)
			pgsql_key(r, rows - 1, i, key[i], KEY_TEXT);
		pq.PQclear(r);
	} while (go_on && rows == PAGE_ROWS);
	return any ? STORE_FOUND : STORE_ABSENT;
}

/* --- restoring --- */

struct restored {
	const struct store_row *rows;
	size_t count;
};

static enum pgsql_statement
login_args(const struct store_login_row *l, struct pgsql_args *a)
{
	pgsql_add_key(a, l->user);
	pgsql_add_key(a, l->block);
	pgsql_add_key(a, l->country);
	pgsql_add_number(a, l->count);
	pgsql_add_number(a, l->last);
	return PG_LOGIN_RESTORE;
}

static enum pgsql_statement
account_args(const struct store_account *account, struct pgsql_args *a)
{
	pgsql_add_key(a, account->user);
	pgsql_add_number(a, account->since);
	pgsql_add_number(a, account->released);
	pgsql_add_bool(a, account->command_ran);
	pgsql_add_text(a, account->check);
	pgsql_add_text(a, account->address);
	pgsql_add_text(a, account->reason);
	return PG_ACCOUNT_RESTORE;
}

static enum pgsql_statement
offender_args(const struct store_offender *o, struct pgsql_args *a)
{
	pgsql_add_key(a, o->block);
	pgsql_add_text(a, o->rule);
	pgsql_add_text(a, o->note);
	pgsql_add_number(a, o->hits);
	pgsql_add_number(a, o->times);
	pgsql_add_number(a, o->since);
	pgsql_add_number(a, o->last);
	pgsql_add_number(a, o->expires);
	pgsql_add_bool(a, o->listed);
	return PG_OFFENDER_RESTORE;
}

/* The lock, the rows, and the generation. */
static enum pgsql_statement
restore_fill(void *arg, size_t i, struct pgsql_args *a)
{
	const struct restored *p = arg;
	const struct store_row *row = &p->rows[i - 1];

	if (i == 0)
		return PG_LOCK;
	if (i == p->count + 1)
		return PG_GENERATION_RESTORED;
	switch (row->kind) {
	case STORE_LOGIN:
		return login_args(&row->u.login, a);
	case STORE_ACCOUNT:
		return account_args(&row->u.account, a);
	case STORE_OFFENDER:
		return offender_args(&row->u.offender, a);
	case STORE_RATE:
		pgsql_add_text(a, row->u.rate.key);
		pgsql_add_number(a, row->u.rate.taken);
		pgsql_add_number(a, row->u.rate.until);
		return PG_RATE_RESTORE;
	case STORE_POSITION:
		pgsql_add_text(a, row->u.position.source);
		pgsql_add_text(a, row->u.position.position);
		return PG_POSITION_RESTORE;
	case STORE_HIT:
		break;
	}
	pgsql_add_key(a, row->u.hit.block);
	pgsql_add_text(a, row->u.hit.rule);
	pgsql_add_text(a, row->u.hit.key);
	pgsql_add_number(a, row->u.hit.time);
	return PG_HIT_RESTORE;
}

enum store_result
pgsql_restore(struct store *store, const struct store_row *rows, size_t count)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	struct restored p = { rows, count };
	PGresult *r;

	s->per_result = true;
	r = pgsql_run(s, count + 2, 0, restore_fill, &p);
	s->per_result = false;
	if (r == NULL)
		return STORE_ERROR;
	pq.PQclear(r);
	return STORE_FOUND;
}
