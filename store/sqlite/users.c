/*
 * store_sqlite_users - logins, rates and accounts in SQLite.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite/sqlite.h"

/* --- logins --- */

/* Two letters to a bit of 26 * 26. */
static bool
country_new(uint64_t *seen, const char *code)
{
	unsigned n;

	if (code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' ||
	    code[2] != '\0')
		return false;
	n = (unsigned)(code[0] - 'A') * 26 + (unsigned)(code[1] - 'A');
	if ((seen[n / 64] >> (n % 64) & 1) != 0)
		return false;
	seen[n / 64] |= (uint64_t)1 << (n % 64);
	return true;
}

/* Notes a login from a country: the latest of each, and the latest of all. */
static void
elsewhere_note(struct store_counts *c, const char *block, const char *country,
    time_t when)
{
	struct store_elsewhere *slot = NULL, *oldest = &c->elsewhere[0];
	int i;

	if (strlen(country) != 2)
		return;
	for (i = 0; i < c->elsewhere_count; i++) {
		if (strcmp(c->elsewhere[i].country, country) == 0)
			slot = &c->elsewhere[i];
		if (c->elsewhere[i].time < oldest->time)
			oldest = &c->elsewhere[i];
	}
	if (slot == NULL && c->elsewhere_count < STORE_ELSEWHERE_MAX)
		slot = &c->elsewhere[c->elsewhere_count++];
	else if (slot == NULL)
		slot = oldest;
	if (slot->time >= when)
		return;
	snprintf(slot->block, sizeof(slot->block), "%s", block);
	snprintf(slot->country, sizeof(slot->country), "%s", country);
	slot->time = when;
}

/*
 * Counts the user's rows as they will be with this login. What the login
 * changes (its own row) is counted from the login itself.
 */
static enum store_result
login_count(struct sqlite_store *s, const struct store_login *l,
    struct store_counts *c)
{
	sqlite3_stmt *st = sqlite_statement(s, LOGIN_ROWS);
	uint64_t seen[11] = { 0 };
	char since[STAMP_MAX], last[STAMP_MAX] = "";
	const char *block, *country, *when;
	bool known = false;
	int rc;

	memset(c, 0, sizeof(*c));
	if (st == NULL)
		return STORE_ERROR;
	sqlite_stamp(l->since, since);
	c->addresses = 1;
	c->countries = country_new(seen, l->country);
	sqlite_bind_text(st, 1, l->user);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		block = (const char *)sqlite3_column_text(st, 0);
		country = (const char *)sqlite3_column_text(st, 1);
		when = (const char *)sqlite3_column_text(st, 2);
		if (block == NULL || when == NULL)
			continue;
		known = true;
		if (strcmp(block, l->block) == 0) {
			/* The country stays if it is not known now. */
			if (l->country[0] == '\0' && country != NULL)
				c->countries += country_new(seen, country);
			continue;
		}
		if (strcmp(when, last) > 0) {
			snprintf(last, sizeof(last), "%s", when);
			snprintf(c->previous, sizeof(c->previous), "%s", block);
		}
		if (strcmp(when, since) <= 0)
			continue;
		c->addresses++;
		if (country == NULL)
			continue;
		c->countries += country_new(seen, country);
		if (strcmp(country, l->country) != 0)
			elsewhere_note(c, block, country,
			    sqlite_stamp_parse(when));
	}
	c->previous_time = sqlite_stamp_parse(last);
	if (sqlite3_reset(st) != SQLITE_OK || rc != SQLITE_DONE)
		return STORE_ERROR;
	return known ? STORE_FOUND : STORE_ABSENT;
}

static bool
login_put(struct sqlite_store *s, const struct store_login *l)
{
	sqlite3_stmt *st = sqlite_statement(s, LOGIN_PUT);
	char now[STAMP_MAX];

	if (st == NULL)
		return false;
	sqlite_stamp(l->now, now);
	sqlite_bind_text(st, 1, l->user);
	sqlite_bind_text(st, 2, l->block);
	if (l->country[0] != '\0')
		sqlite_bind_text(st, 3, l->country);
	else
		sqlite3_bind_null(st, 3);
	sqlite_bind_text(st, 4, now);
	return sqlite_run(st);
}

enum store_result
sqlite_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result;

	if (l->peek) {
		result = login_count(s, l, c);
		return result == STORE_ERROR ? sqlite_failed(s) : result;
	}
	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	result = login_count(s, l, c);
	if (result != STORE_ERROR && !login_put(s, l))
		result = STORE_ERROR;
	return sqlite_end(s, result);
}

enum store_result
sqlite_forget(struct store *store, const char *user)
{
	return sqlite_write_one((struct sqlite_store *)store, LOGIN_FORGET,
	    user, 0);
}

enum store_result
sqlite_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *st;

	if (limit <= 0)
		return STORE_ABSENT;
	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = sqlite_statement(s, RATE_TAKE);
	if (st != NULL) {
		sqlite_bind_text(st, 1, key);
		sqlite3_bind_int64(st, 2, limit);
		sqlite3_bind_int64(st, 3, period);
		sqlite3_bind_int64(st, 4, now);
		if (sqlite_run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_FOUND :
							      STORE_ABSENT;
	}
	return sqlite_end(s, result);
}

/* --- accounts --- */

enum store_result
sqlite_account_add(struct store *store, const struct store_account *a,
    time_t expired)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	enum store_result result = STORE_ERROR;
	sqlite3_stmt *st;

	if (sqlite_begin(s) == STORE_ERROR)
		return STORE_ERROR;
	st = sqlite_statement(s, ACCOUNT_ADD);
	if (st != NULL) {
		sqlite_bind_text(st, 1, a->user);
		sqlite3_bind_int64(st, 2, a->since);
		sqlite_bind_text(st, 3, a->check);
		sqlite_bind_text(st, 4, a->address);
		sqlite_bind_text(st, 5, a->reason);
		sqlite3_bind_int64(st, 6, expired);
		if (sqlite_run(st))
			result = sqlite3_changes(s->db) > 0 ? STORE_ABSENT :
							      STORE_FOUND;
	}
	return sqlite_end(s, result);
}

void
sqlite_account_columns(sqlite3_stmt *st, struct store_account *a)
{
	sqlite_column_copy(st, 0, a->user, sizeof(a->user));
	a->since = sqlite3_column_int64(st, 1);
	a->released = sqlite3_column_int64(st, 2);
	a->command_ran = sqlite3_column_int(st, 3) != 0;
	sqlite_column_copy(st, 4, a->check, sizeof(a->check));
	sqlite_column_copy(st, 5, a->address, sizeof(a->address));
	sqlite_column_copy(st, 6, a->reason, sizeof(a->reason));
}

enum store_result
sqlite_account_find(struct store *store, const char *user,
    struct store_account *a)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	sqlite3_stmt *st = sqlite_statement(s, ACCOUNT_FIND);
	int rc;

	if (st == NULL)
		return sqlite_failed(s);
	sqlite_bind_text(st, 1, user);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		sqlite_account_columns(st, a);
	if (sqlite3_reset(st) != SQLITE_OK)
		return sqlite_failed(s);
	return rc == SQLITE_ROW ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
sqlite_account_release(struct store *store, const char *user, time_t now)
{
	return sqlite_write_one((struct sqlite_store *)store, ACCOUNT_RELEASE,
	    user, now);
}

enum store_result
sqlite_account_ran(struct store *store, const char *user)
{
	return sqlite_write_one((struct sqlite_store *)store, ACCOUNT_RAN,
	    user, 0);
}
