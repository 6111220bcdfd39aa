/*
 * store_pgsql - a store that several hosts share: PostgreSQL, 11 or later.
 *
 * Every operation is one round trip and one transaction; what has to be judged
 * is judged in the statement, so that no lock outlives it. The default
 * isolation does: an upsert waits for the row that somebody else writes and
 * then sees it. Who changes offenders takes turns at an advisory lock.
 *
 * Times are the callers'. Texts that a server would refuse are coded, keys are
 * UTF-8 anyway. An operation waits no longer than it was told, and the server
 * gives a statement up after store.timeout.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/pgsql/pgsql.h"

extern const struct store_driver store_pgsql;

enum store_result
pgsql_status(struct store *store, struct store_status *status)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	PGresult *r = pgsql_shaped(s, pgsql_one(s, PG_STATUS, NULL), 1, 8);
	int kind;

	if (r == NULL)
		return STORE_ERROR;
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		status->rows[kind] = (long)pgsql_number(r, 0, kind);
	status->schema = (long)pgsql_number(r, 0, STORE_HIT + 1);
	status->bytes = pgsql_number(r, 0, STORE_HIT + 2);
	snprintf(status->where, sizeof(status->where), "%s", s->where);
	pq.PQclear(r);
	return STORE_FOUND;
}

static void
pgsql_close(struct store *store)
{
	struct pgsql_store *s = (struct pgsql_store *)store;

	pgsql_drop(s);
	explicit_bzero(s->url.password, sizeof(s->url.password));
	free(s);
}

/* What is to be known before anything is tried. */
static bool
pgsql_prepare(struct pgsql_store *s, const struct config *cfg, const char *url)
{
	const char *wrong = store_url_parse(url, &s->url), *unknown;
	const char *prepare;
	char text[STORE_ERROR_MAX];

	store_url_text(url, s->where, sizeof(s->where));
	unknown = wrong == NULL ? pgsql_url_check(&s->url) : NULL;
	prepare = store_url_parameter(&s->url, "prepare");
	s->unprepared = prepare != NULL && strcmp(prepare, "no") == 0;
	if (wrong != NULL)
		snprintf(text, sizeof(text), "store.url: %s", wrong);
	else if (unknown != NULL)
		snprintf(text, sizeof(text),
		    "store.url: unknown parameter `%.32s'", unknown);
	else if (prepare != NULL && strcmp(prepare, "yes") != 0 &&
	    strcmp(prepare, "no") != 0)
		snprintf(text, sizeof(text),
		    "store.url: prepare must be yes or no");
	else if (pgsql_load(text, sizeof(text)) &&
	    store_url_password(&s->url, cfg, text, sizeof(text)))
		return true;
	pgsql_failed(s, text);
	return false;
}

static struct store *
pgsql_open(const struct config *cfg, const char *url, long wait_ms,
    bool create, enum store_failure *failure, char *error, size_t size)
{
	struct pgsql_store *s = calloc(1, sizeof(*s));

	*failure = STORE_BROKEN;
	if (s == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->store.driver = &store_pgsql;
	s->store.wait_ms = wait_ms;
	s->timeout_ms = cfg->store.timeout * 1000;
	s->lock_ms = store_lock_limit(cfg, wait_ms);
	s->create = create;
	s->opening = true;
	s->deadline = clock_ms() + wait_ms;
	if (pgsql_prepare(s, cfg, url) && pgsql_schema(s)) {
		s->opening = false;
		return &s->store;
	}
	snprintf(error, size, "%s", s->store.error);
	/* What keeps it from being opened keeps everybody out. */
	*failure = s->store.failure == STORE_NOT_YET ? STORE_NOT_YET :
	    strcmp(s->state, PGSQL_TOO_MANY) == 0 ? STORE_BUSY : STORE_BROKEN;
	pgsql_close(&s->store);
	return NULL;
}

const struct store_driver store_pgsql = {
	.scheme = "postgresql",
	.server = true,
	.open = pgsql_open,
	.close = pgsql_close,
	.login = pgsql_login,
	.forget = pgsql_forget,
	.rate_take = pgsql_rate_take,
	.account_add = pgsql_account_add,
	.account_find = pgsql_account_find,
	.account_release = pgsql_account_release,
	.account_ran = pgsql_account_ran,
	.offenders_apply = pgsql_offenders_apply,
	.position = pgsql_position,
	.generation = pgsql_generation,
	.offender_add = pgsql_offender_add,
	.offender_remove = pgsql_offender_remove,
	.offenders_expire = pgsql_offenders_expire,
	.purge = pgsql_purge,
	.iterate = pgsql_iterate,
	.restore = pgsql_restore,
	.status = pgsql_status,
};
