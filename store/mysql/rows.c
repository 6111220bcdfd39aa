/*
 * store_mysql_rows - purging, iterating over and restoring rows in MySQL and
 * MariaDB.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/mysql/mysql.h"

bool
maria_write_many(struct maria_store *s, enum maria_statement one,
    enum maria_statement many, size_t count,
    void (*bind)(struct maria_store *s, const void *arg, size_t n),
    const void *arg)
{
	size_t n = 0, i;

	for (; count - n >= MARIA_ROWS; n += MARIA_ROWS) {
		for (i = 0; i < MARIA_ROWS; i++)
			bind(s, arg, n + i);
		if (maria_run(s, many) < 0)
			return false;
	}
	for (; n < count; n++) {
		bind(s, arg, n);
		if (maria_run(s, one) < 0)
			return false;
	}
	return true;
}

/* --- purge --- */

#define PURGE_ROWS 1000 /* at once: others want to write too */
#define USER_BYTES 100  /* of the column */
#define BLOCK_BYTES 45

/* Where a purge of logins stopped. */
struct cursor {
	char user[MARIA_VALUE];
	char block[MARIA_VALUE];
};

/* A text of the table of meta data, "" if there is none. */
static bool
meta_read(struct maria_store *s, const char *name, char *out, size_t size)
{
	int rc;

	out[0] = '\0';
	maria_text(s, name);
	if (!maria_query(s, META_GET))
		return false;
	rc = maria_fetch_only(s);
	if (rc == 1)
		maria_copy(s, 0, out, size);
	return rc >= 0;
}

static bool
meta_write(struct maria_store *s, const char *name, const char *value)
{
	maria_text(s, name);
	maria_text(s, value);
	return maria_run(s, META_PUT) >= 0;
}

/* The place `rows` after another; after everything when the end is near. */
static int
cursor_end(struct maria_store *s, const struct cursor *from, long rows,
    struct cursor *to)
{
	int rc;

	maria_text(s, from->user);
	maria_text(s, from->user);
	maria_text(s, from->block);
	maria_number(s, rows - 1);
	if (!maria_query(s, LOGIN_END))
		return -1;
	rc = maria_fetch_only(s);
	if (rc == 1) {
		maria_copy(s, 0, to->user, sizeof(to->user));
		maria_copy(s, 1, to->block, sizeof(to->block));
	} else {
		memset(to, 0, sizeof(*to));
		memset(to->user, 0xff, USER_BYTES);
		memset(to->block, 0xff, BLOCK_BYTES);
	}
	return rc;
}

/*
 * Drops outdated ones of up to `rows` logins after the cursor and moves it,
 * to the beginning when the end was reached: *more is false then.
 */
static bool
logins_purge(struct maria_store *s, const struct store_purge *p,
    struct cursor *c, long rows, bool *more, long *removed)
{
	struct cursor end;
	int rc = cursor_end(s, c, rows, &end);
	int64_t dropped;

	if (rc < 0)
		return false;
	maria_text(s, c->user);
	maria_text(s, end.user);
	maria_text(s, c->user);
	maria_text(s, c->block);
	maria_text(s, end.user);
	maria_text(s, end.block);
	maria_number(s, p->logins_before);
	maria_number(s, p->now + 86400); /* a clock was wrong */
	dropped = maria_run(s, LOGIN_PURGE);
	if (dropped < 0)
		return false;
	*removed += (long)dropped;
	*more = rc == 1;
	if (*more)
		*c = end;
	else
		memset(c, 0, sizeof(*c));
	return true;
}

/* A statement that deletes what is older than a time. */
static bool
purge_one(struct maria_store *s, enum maria_statement which, time_t before,
    long *removed)
{
	int64_t dropped;

	maria_number(s, before);
	dropped = maria_run(s, which);
	*removed += dropped > 0 ? (long)dropped : 0;
	return dropped >= 0;
}

/* Some logins, from where the last one stopped, by whomever. */
static bool
purge_some(struct maria_store *s, const struct store_purge *p, long *removed)
{
	struct cursor c;
	long left = p->limit, rows;
	bool more = true;

	if (!meta_read(s, "purge_user", c.user, sizeof(c.user)) ||
	    !meta_read(s, "purge_block", c.block, sizeof(c.block)))
		return false;
	for (; more && left > 0; left -= rows) {
		rows = left < PURGE_ROWS ? left : PURGE_ROWS;
		if (!logins_purge(s, p, &c, rows, &more, removed))
			return false;
	}
	return meta_write(s, "purge_user", c.user) &&
	    meta_write(s, "purge_block", c.block);
}

enum store_result
maria_purge(struct store *store, const struct store_purge *p, long *removed)
{
	struct maria_store *s = (struct maria_store *)store;
	struct cursor c = { "", "" };
	bool more = true;

	*removed = 0;
	if (!maria_begin(s))
		return STORE_ERROR;
	if (p->limit > 0) {
		if (!purge_some(s, p, removed))
			return STORE_ERROR;
		return *removed > 0 ? STORE_FOUND : STORE_ABSENT;
	}
	while (more)
		/* Many rows: the time runs for each part. */
		if (!logins_purge(s, p, &c, PURGE_ROWS, &more, removed) ||
		    !maria_begin(s))
			return STORE_ERROR;
	return purge_one(s, RATE_PURGE, p->now, removed) &&
		purge_one(s, ACCOUNT_PURGE, p->accounts_before, removed) &&
		purge_one(s, HIT_PURGE, p->hits_before, removed) &&
		purge_one(s, OFFENDER_PURGE, p->hits_before, removed) ?
	    (*removed > 0 ? STORE_FOUND : STORE_ABSENT) : STORE_ERROR;
}

/* --- iterate --- */

static const enum maria_statement all_of[] = {
	[STORE_LOGIN] = LOGIN_ALL,
	[STORE_ACCOUNT] = ACCOUNT_ALL,
	[STORE_OFFENDER] = OFFENDER_ALL,
	[STORE_RATE] = RATE_ALL,
	[STORE_POSITION] = POSITION_ALL,
	[STORE_HIT] = HIT_ALL,
};

static void
row_columns(const struct maria_store *s, struct store_row *r)
{
	switch (r->kind) {
	case STORE_LOGIN:
		maria_copy(s, 0, r->u.login.user, sizeof(r->u.login.user));
		maria_copy(s, 1, r->u.login.block, sizeof(r->u.login.block));
		maria_copy(s, 2, r->u.login.country,
		    sizeof(r->u.login.country));
		r->u.login.count = s->row[3].number;
		r->u.login.last = s->row[4].number;
		break;
	case STORE_ACCOUNT:
		maria_account_columns(s, &r->u.account);
		break;
	case STORE_OFFENDER:
		maria_offender_columns(s, &r->u.offender);
		break;
	case STORE_RATE:
		maria_copy(s, 0, r->u.rate.key, sizeof(r->u.rate.key));
		r->u.rate.taken = s->row[1].number;
		r->u.rate.until = s->row[2].number;
		break;
	case STORE_POSITION:
		maria_copy(s, 0, r->u.position.source,
		    sizeof(r->u.position.source));
		maria_copy(s, 1, r->u.position.position,
		    sizeof(r->u.position.position));
		break;
	case STORE_HIT:
		maria_copy(s, 0, r->u.hit.block, sizeof(r->u.hit.block));
		maria_copy(s, 1, r->u.hit.rule, sizeof(r->u.hit.rule));
		maria_copy(s, 2, r->u.hit.key, sizeof(r->u.hit.key));
		r->u.hit.time = s->row[3].number;
		break;
	}
}

enum store_result
maria_iterate(struct store *store, enum store_kind kind, const char *of,
    store_row_fn *fn, void *arg)
{
	struct maria_store *s = (struct maria_store *)store;
	struct store_row row = { .kind = kind };
	enum maria_statement all = s->store.logins_only ? PLUGIN_ALL :
							  all_of[kind];
	MYSQL_STMT *reading;
	bool any = false, more = true;
	int rc = 0;

	if (!maria_begin(s))
		return STORE_ERROR;
	if (kind != STORE_RATE && kind != STORE_POSITION) {
		maria_text(s, of);
		maria_text(s, of);
	}
	if (!maria_query(s, all))
		return STORE_ERROR;
	while (more && (rc = maria_fetch(s)) == 1) {
		any = true;
		row_columns(s, &row);
		/* Other statements may be run while a cursor is open. */
		reading = s->reading;
		s->reading = NULL;
		more = fn(arg, &row);
		if (s->prepared[all] != reading)
			return maria_failed(s, "the connection was lost");
		s->reading = reading;
		/* Many rows: the time runs for each. */
		s->deadline = clock_ms() + s->store.wait_ms;
	}
	if (rc < 0 || (!more && !maria_finish(s)))
		return STORE_ERROR;
	return any ? STORE_FOUND : STORE_ABSENT;
}

/* --- restore --- */

static void
bind_row(struct maria_store *s, const void *arg, size_t n)
{
	const struct store_row *r = (const struct store_row *)arg + n;

	switch (r->kind) {
	case STORE_LOGIN:
		maria_text(s, r->u.login.user);
		maria_text(s, r->u.login.block);
		/* What is no country is not known. */
		if (strlen(r->u.login.country) == 2)
			maria_text(s, r->u.login.country);
		else
			maria_null(s);
		maria_number(s, r->u.login.count);
		maria_number(s, r->u.login.last);
		break;
	case STORE_ACCOUNT:
		maria_text(s, r->u.account.user);
		maria_number(s, r->u.account.since);
		maria_number(s, r->u.account.released);
		maria_number(s, r->u.account.command_ran);
		maria_text(s, r->u.account.check);
		maria_text(s, r->u.account.address);
		maria_text(s, r->u.account.reason);
		break;
	case STORE_OFFENDER:
		maria_offender_bind(s, &r->u.offender);
		break;
	case STORE_RATE:
		maria_text(s, r->u.rate.key);
		maria_number(s, r->u.rate.taken);
		maria_number(s, r->u.rate.until);
		break;
	case STORE_POSITION:
		maria_text(s, r->u.position.source);
		maria_text(s, r->u.position.position);
		break;
	case STORE_HIT:
		maria_hit_bind(s, r->u.hit.block, r->u.hit.rule, r->u.hit.key,
		    r->u.hit.time);
		break;
	}
}

/* The rows to be restored. */
struct rows {
	const struct store_row *row;
	size_t count;
};

static enum store_result
rows_restore(struct maria_store *s, void *arg)
{
	static const struct {
		enum maria_statement one, many;
	} how[] = {
		[STORE_LOGIN] = { LOGIN_RESTORE, LOGIN_RESTORE_MANY },
		[STORE_ACCOUNT] = { ACCOUNT_RESTORE, ACCOUNT_RESTORE_MANY },
		[STORE_OFFENDER] = { OFFENDER_PUT, OFFENDER_PUT_MANY },
		[STORE_RATE] = { RATE_RESTORE, RATE_RESTORE_MANY },
		[STORE_POSITION] = { POSITION_RESTORE, POSITION_RESTORE_MANY },
		[STORE_HIT] = { HIT_PUT, HIT_PUT_MANY },
	};
	const struct rows *r = arg;
	enum store_kind kind;
	bool offenders = false;
	size_t i, n;

	for (i = 0; i < r->count; i++)
		offenders = offenders || r->row[i].kind == STORE_OFFENDER;
	if (offenders && maria_run(s, GENERATION_LOCK) < 0)
		return STORE_ERROR;
	for (i = 0; i < r->count; i += n) {
		kind = r->row[i].kind;
		for (n = 1; i + n < r->count && r->row[i + n].kind == kind; n++)
			;
		if (!maria_write_many(s, how[kind].one, how[kind].many, n,
			bind_row, r->row + i))
			return STORE_ERROR;
	}
	if (offenders && maria_run(s, GENERATION_NEXT) < 0)
		return STORE_ERROR;
	return STORE_FOUND;
}

enum store_result
maria_restore(struct store *store, const struct store_row *rows, size_t count)
{
	struct rows r = { rows, count };

	return maria_transaction((struct maria_store *)store, rows_restore,
	    &r);
}
