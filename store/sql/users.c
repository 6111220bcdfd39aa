/*
 * store_sql_users - logins, rates and accounts in SQL.
 */
#include <stdio.h>
#include <string.h>

#include "store/sql/sql.h"
#include "store/store_tally.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- logins --- */

/* A time and a block in one text. False: it is none. */
static bool
latest_parse(const char *text, const char **block, time_t *when)
{
	if (text == NULL || strlen(text) < SQL_STAMP_MAX - 1)
		return false;
	*block = text + SQL_STAMP_MAX - 1;
	*when = sql_stamp_parse(text);
	return true;
}

/* A row of LOGIN_COUNT: a group, or one of the table as it is. */
static bool
group_take(void *arg, const char *const *columns)
{
	struct store_tally_group g = { .country = columns[0] };

	if (columns[3] == NULL) {
		if (columns[1] != NULL && columns[2] != NULL)
			store_tally_row(arg, columns[1], columns[0],
			    sql_stamp_parse(columns[2]));
		return true;
	}
	g.own = sql_integer(columns[1]) != 0;
	g.recent = (long)sql_integer(columns[3]);
	if (!latest_parse(columns[2], &g.block, &g.last))
		return true; /* not a row of ours */
	if (g.recent > 0 &&
	    !latest_parse(columns[4], &g.recent_block, &g.recent_last))
		g.recent = 0;
	store_tally_group(arg, &g);
	return true;
}

/*
 * The login is recorded first, then counted with the others: of two at once
 * one at least sees the other, without a lock.
 */
enum store_result
sql_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct sql_store *s = (struct sql_store *)store;
	char now[SQL_STAMP_MAX], since[SQL_STAMP_MAX];
	const struct sql_value put[] = { sql_key(l->user), sql_key(l->block),
		l->country[0] != '\0' ? sql_key(l->country) : sql_null(),
		sql_key(now) };
	const struct sql_value count[] = { sql_key(l->user), sql_key(l->block),
		sql_key(since) };
	const struct sql_step steps[] = {
		{ SQL_LOGIN_PUT, put, COUNT(put) },
		{ SQL_LOGIN_COUNT, count, COUNT(count) },
	};
	struct store_tally tally;
	const struct sql_rows rows = { 5, group_take, &tally };

	sql_stamp(l->now, now);
	sql_stamp(l->since, since);
	store_tally_begin(&tally, l, c);
	return sql_begin(s) && sql_run(s, l->peek ? &steps[1] : steps,
		l->peek ? 1 : 2, &rows) >= 0 ? STORE_FOUND : STORE_ERROR;
}

enum store_result
sql_forget(struct store *store, const char *user)
{
	const struct sql_value values[] = { sql_key(user) };

	return sql_change((struct sql_store *)store, SQL_LOGIN_FORGET, values,
	    COUNT(values));
}

enum store_result
sql_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	const struct sql_value values[] = { sql_bytes(key), sql_number(limit),
		sql_number(now), sql_number(now + period) };

	return limit <= 0 ? STORE_ABSENT :
	    sql_change((struct sql_store *)store, SQL_RATE_TAKE, values,
		COUNT(values));
}

/* --- accounts --- */

enum store_result
sql_account_add(struct store *store, const struct store_account *a,
    time_t expired)
{
	const struct sql_value values[] = { sql_key(a->user),
		sql_number(a->since), sql_bytes(a->check),
		sql_bytes(a->address), sql_bytes(a->reason),
		sql_number(expired) };
	enum store_result changed = sql_change((struct sql_store *)store,
	    SQL_ACCOUNT_ADD, values, COUNT(values));

	return changed == STORE_ERROR ? STORE_ERROR :
	    changed == STORE_FOUND ? STORE_ABSENT : STORE_FOUND;
}

static bool
account_take(void *arg, const struct store_row *row)
{
	*(struct store_account *)arg = row->u.account;
	return false;
}

enum store_result
sql_account_find(struct store *store, const char *user, struct store_account *a)
{
	/* All accounts have "", and none is it. */
	return user[0] == '\0' ? STORE_ABSENT :
	    sql_iterate(store, STORE_ACCOUNT, user, account_take, a);
}

enum store_result
sql_account_release(struct store *store, const char *user, time_t now)
{
	const struct sql_value values[] = { sql_key(user), sql_number(now) };

	return sql_change((struct sql_store *)store, SQL_ACCOUNT_RELEASE,
	    values, COUNT(values));
}

enum store_result
sql_account_ran(struct store *store, const char *user)
{
	const struct sql_value values[] = { sql_key(user) };

	return sql_change((struct sql_store *)store, SQL_ACCOUNT_RAN, values,
	    COUNT(values));
}
