/*
 * store_pgsql_users - logins, rates and accounts in PostgreSQL.
 */
#include <stdio.h>
#include <string.h>

#include "store/pgsql/pgsql.h"

/* The first row of PG_LOGIN. */
static enum store_result
counts_take(const PGresult *r, struct store_counts *c)
{
	c->countries = (long)pgsql_number(r, 0, 1);
	c->addresses = (long)pgsql_number(r, 0, 2);
	if (!pq.PQgetisnull(r, 0, 3)) {
		pgsql_key(r, 0, 3, c->previous, sizeof(c->previous));
		c->previous_time = pgsql_number(r, 0, 5);
	}
	return pgsql_bool(r, 0, 0) ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
pgsql_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	struct store_elsewhere *e;
	enum store_result result;
	struct pgsql_args a;
	PGresult *r;
	int row;

	memset(c, 0, sizeof(*c));
	pgsql_args_init(&a);
	pgsql_add_key(&a, l->user);
	pgsql_add_key(&a, l->block);
	pgsql_add_key(&a, l->country);
	pgsql_add_number(&a, l->now);
	pgsql_add_number(&a, l->since);
	pgsql_add_bool(&a, l->peek);
	pgsql_add_number(&a, STORE_ELSEWHERE_MAX);
	r = pgsql_shaped(s, pgsql_one(s, PG_LOGIN, &a), 1, 6);
	if (r == NULL)
		return STORE_ERROR;
	result = counts_take(r, c);
	for (row = 1; row < pq.PQntuples(r) &&
	     c->elsewhere_count < STORE_ELSEWHERE_MAX; row++) {
		e = &c->elsewhere[c->elsewhere_count++];
		pgsql_key(r, row, 3, e->block, sizeof(e->block));
		pgsql_key(r, row, 4, e->country, sizeof(e->country));
		e->time = pgsql_number(r, row, 5);
	}
	pq.PQclear(r);
	return result;
}

/* A statement with a key, and a number if it is not -1. */
static enum store_result
key_run(struct store *store, enum pgsql_statement which, const char *key,
    int64_t number)
{
	struct pgsql_args a;

	pgsql_args_init(&a);
	pgsql_add_key(&a, key);
	if (number >= 0)
		pgsql_add_number(&a, number);
	return pgsql_count(store,
	    pgsql_one((struct pgsql_store *)store, which, &a));
}

enum store_result
pgsql_forget(struct store *store, const char *user)
{
	return key_run(store, PG_LOGIN_FORGET, user, -1);
}

enum store_result
pgsql_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	struct pgsql_args a;

	if (limit <= 0)
		return STORE_ABSENT;
	pgsql_args_init(&a);
	pgsql_add_text(&a, key);
	pgsql_add_number(&a, limit);
	pgsql_add_number(&a, period);
	pgsql_add_number(&a, now);
	return pgsql_count(store,
	    pgsql_one((struct pgsql_store *)store, PG_RATE_TAKE, &a));
}

/* --- accounts --- */

enum store_result
pgsql_account_add(struct store *store, const struct store_account *account,
    time_t expired)
{
	struct pgsql_args a;

	pgsql_args_init(&a);
	pgsql_add_key(&a, account->user);
	pgsql_add_number(&a, account->since);
	pgsql_add_text(&a, account->check);
	pgsql_add_text(&a, account->address);
	pgsql_add_text(&a, account->reason);
	pgsql_add_number(&a, expired);
	return pgsql_count(store, pgsql_one((struct pgsql_store *)store,
	    PG_ACCOUNT_ADD, &a));
}

void
pgsql_account_columns(const PGresult *r, int row, struct store_account *a)
{
	pgsql_key(r, row, 0, a->user, sizeof(a->user));
	a->since = pgsql_number(r, row, 1);
	a->released = pgsql_number(r, row, 2);
	a->command_ran = pgsql_bool(r, row, 3);
	pgsql_column(r, row, 4, a->check, sizeof(a->check));
	pgsql_column(r, row, 5, a->address, sizeof(a->address));
	pgsql_column(r, row, 6, a->reason, sizeof(a->reason));
}

enum store_result
pgsql_account_find(struct store *store, const char *user,
    struct store_account *account)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	struct pgsql_args a;
	bool found;
	PGresult *r;

	pgsql_args_init(&a);
	pgsql_add_key(&a, user);
	r = pgsql_shaped(s, pgsql_one(s, PG_ACCOUNT_FIND, &a), 0, 7);
	if (r == NULL)
		return STORE_ERROR;
	found = pq.PQntuples(r) > 0;
	if (found)
		pgsql_account_columns(r, 0, account);
	pq.PQclear(r);
	return found ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
pgsql_account_release(struct store *store, const char *user, time_t now)
{
	return key_run(store, PG_ACCOUNT_RELEASE, user, now);
}

enum store_result
pgsql_account_ran(struct store *store, const char *user)
{
	return key_run(store, PG_ACCOUNT_RAN, user, -1);
}
