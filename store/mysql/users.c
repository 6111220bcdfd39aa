/*
 * store_mysql_users - logins, rates and accounts in MySQL and MariaDB.
 */
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "store/mysql/mysql.h"
#include "store/store_tally.h"

/* --- logins --- */

/* The parameters of what records a login. */
static void
login_bind(struct maria_store *s, const struct store_login *l)
{
	maria_text(s, l->user);
	maria_text(s, l->block);
	if (l->country[0] != '\0')
		maria_text(s, l->country);
	else
		maria_null(s);
	maria_number(s, l->now);
}

/*
 * Reads and counts the user's rows. With a compound statement the rows tell
 * whether the login has made a new one.
 */
static enum store_result
login_count(struct maria_store *s, const struct store_login *l,
    struct store_counts *c, bool *made)
{
	struct store_tally t;
	char country[8];
	int rc, rows = 0;

	store_tally_begin(&t, l, c);
	while ((rc = maria_fetch(s)) == 1) {
		*made = *made || s->row[3].number == 1;
		maria_copy(s, 1, country, sizeof(country));
		store_tally_row(&t, s->row[0].text, country, s->row[2].number);
		rows++;
	}
	if (rc != 0)
		return STORE_ERROR;
	/* A row that this login has made was not known before. */
	if (*made && rows <= 1)
		return STORE_ABSENT;
	return STORE_FOUND;
}

/* Records and counts in one round trip; false: not on this server. */
static bool
login_compound(struct maria_store *s, const struct store_login *l,
    struct store_counts *c, enum store_result *result)
{
	bool made = false;

	if (s->plain)
		return false;
	login_bind(s, l);
	maria_text(s, l->user);
	if (maria_query(s, LOGIN)) {
		*result = login_count(s, l, c, &made);
		return true;
	}
	*result = STORE_ERROR;
	s->plain = !s->broken && (s->code == ER_PARSE_ERROR ||
	    s->code == ER_UNSUPPORTED_PS);
	if (!s->plain)
		return true;
	s->store.error[0] = '\0';
	return false;
}

/*
 * The login is recorded first, then counted with the others: of two at once
 * one at least sees the other, without a lock.
 */
enum store_result
maria_login(struct store *store, const struct store_login *l,
    struct store_counts *c)
{
	struct maria_store *s = (struct maria_store *)store;
	enum store_result result;
	bool made = false;
	int64_t rows;

	if (!maria_begin(s))
		return STORE_ERROR;
	if (!l->peek) {
		if (login_compound(s, l, c, &result))
			return result;
		login_bind(s, l);
		rows = maria_run(s, LOGIN_PUT);
		if (rows < 0)
			return STORE_ERROR;
		made = rows == 1;
	}
	maria_text(s, l->user);
	return maria_query(s, LOGIN_ROWS) ? login_count(s, l, c, &made) :
					    STORE_ERROR;
}

/*
 * Runs a statement whose parameters are bound: found when it has changed
 * something.
 */
static enum store_result
changed(struct maria_store *s, enum maria_statement which)
{
	int64_t rows = maria_run(s, which);

	return rows < 0 ? STORE_ERROR : rows > 0 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
maria_forget(struct store *store, const char *user)
{
	struct maria_store *s = (struct maria_store *)store;

	if (!maria_begin(s))
		return STORE_ERROR;
	maria_text(s, user);
	return changed(s, LOGIN_FORGET);
}

enum store_result
maria_rate_take(struct store *store, const char *key, long limit, long period,
    time_t now)
{
	struct maria_store *s = (struct maria_store *)store;

	if (limit <= 0)
		return STORE_ABSENT;
	if (!maria_begin(s))
		return STORE_ERROR;
	maria_text(s, key);
	maria_number(s, now + period);
	maria_number(s, now);
	maria_number(s, now + period);
	maria_number(s, limit);
	maria_number(s, now);
	maria_number(s, now + period);
	return changed(s, RATE_TAKE);
}

/* --- accounts --- */

enum store_result
maria_account_add(struct store *store, const struct store_account *a,
    time_t expired)
{
	struct maria_store *s = (struct maria_store *)store;
	enum store_result result;
	int i;

	if (!maria_begin(s))
		return STORE_ERROR;
	maria_text(s, a->user);
	maria_number(s, a->since);
	maria_text(s, a->check);
	maria_text(s, a->address);
	maria_text(s, a->reason);
	for (i = 0; i < 5; i++)
		maria_number(s, expired);
	result = changed(s, ACCOUNT_ADD);
	if (result == STORE_ERROR)
		return result;
	return result == STORE_FOUND ? STORE_ABSENT : STORE_FOUND;
}

void
maria_account_columns(const struct maria_store *s, struct store_account *a)
{
	maria_copy(s, 0, a->user, sizeof(a->user));
	a->since = s->row[1].number;
	a->released = s->row[2].number;
	a->command_ran = s->row[3].number != 0;
	maria_copy(s, 4, a->check, sizeof(a->check));
	maria_copy(s, 5, a->address, sizeof(a->address));
	maria_copy(s, 6, a->reason, sizeof(a->reason));
}

enum store_result
maria_account_find(struct store *store, const char *user,
    struct store_account *a)
{
	struct maria_store *s = (struct maria_store *)store;
	int rc;

	if (!maria_begin(s))
		return STORE_ERROR;
	maria_text(s, user);
	if (!maria_query(s, ACCOUNT_FIND))
		return STORE_ERROR;
	rc = maria_fetch_only(s);
	if (rc == 1)
		maria_account_columns(s, a);
	return rc < 0 ? STORE_ERROR : rc == 1 ? STORE_FOUND : STORE_ABSENT;
}

enum store_result
maria_account_release(struct store *store, const char *user, time_t now)
{
	struct maria_store *s = (struct maria_store *)store;

	if (!maria_begin(s))
		return STORE_ERROR;
	maria_number(s, now);
	maria_text(s, user);
	return changed(s, ACCOUNT_RELEASE);
}

enum store_result
maria_account_ran(struct store *store, const char *user)
{
	struct maria_store *s = (struct maria_store *)store;

	if (!maria_begin(s))
		return STORE_ERROR;
	maria_text(s, user);
	return changed(s, ACCOUNT_RAN);
}
