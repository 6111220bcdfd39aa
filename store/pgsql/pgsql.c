/*
 * store_pgsql - a store that several hosts share: PostgreSQL, 11 or later.
 *
 * An operation of a filter is one round trip and one transaction. The default
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

	store_url_text(url, s->sql.where, sizeof(s->sql.where));
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
	return pgsql_failed(s, text);
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
	s->sql.store.driver = &store_pgsql;
	s->sql.connection = &pgsql_connection;
	s->sql.store.wait_ms = wait_ms;
	s->timeout_ms = cfg->store.timeout * 1000;
	s->lock_ms = store_lock_limit(cfg, wait_ms);
	s->sql.deadline = clock_ms() + wait_ms;
	if (pgsql_prepare(s, cfg, url) && pgsql_connection.ready(&s->sql) &&
	    pgsql_schema(s, create))
		return &s->sql.store;
	snprintf(error, size, "%s", s->sql.store.error);
	/* What keeps it from being opened keeps everybody out. */
	*failure = s->sql.store.failure == STORE_NOT_YET ? STORE_NOT_YET :
	    strcmp(s->state, PGSQL_TOO_MANY) == 0 ? STORE_BUSY : STORE_BROKEN;
	pgsql_close(&s->sql.store);
	return NULL;
}

const struct store_driver store_pgsql = {
	.scheme = "postgresql",
	.server = true,
	.open = pgsql_open,
	.close = pgsql_close,
	SQL_OPERATIONS,
};
