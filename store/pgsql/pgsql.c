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
#include <string.h>

#include "store/pgsql/pgsql.h"

extern const struct store_driver store_pgsql;

static void
pgsql_close(struct store *store)
{
	pgsql_drop((struct pgsql_store *)store);
}

/* Connects, and sees to the tables. */
static bool
pgsql_use(struct pgsql_store *s, bool create)
{
	const char *prepare = store_url_parameter(&s->sql.store.url, "prepare");
	char error[STORE_ERROR_MAX];

	s->unprepared = prepare != NULL && strcmp(prepare, "no") == 0;
	if (prepare != NULL && strcmp(prepare, "yes") != 0 && !s->unprepared)
		return pgsql_failed(s, "store.url: prepare must be yes or no");
	if (!library_load("libpq.so.5", LIBRARY_NAMES(PGSQL_FUNCTIONS), &pq,
		error, sizeof(error)))
		return pgsql_failed(s, error);
	return pgsql_connection.ready(&s->sql) && pgsql_schema(s, create);
}

static bool
pgsql_open(struct store *store, const struct config *cfg, const char *url,
    bool create)
{
	struct pgsql_store *s = (struct pgsql_store *)store;

	(void)url; /* was read */
	s->sql.connection = &pgsql_connection;
	s->timeout_ms = cfg->store.timeout * 1000;
	s->lock_ms = store_lock_limit(cfg, store->wait_ms);
	if (pgsql_use(s, create))
		return true;
	/* What keeps it from being opened keeps everybody out. */
	if (store->failure != STORE_NOT_YET)
		store->failure = strcmp(s->state, PGSQL_TOO_MANY) == 0 ?
		    STORE_BUSY : STORE_BROKEN;
	return false;
}

/* What may stand after ? in a URL: nothing that names files to be read. */
static const char *const parameters[] = { "host", "hostaddr", "port", "user",
	"dbname", "application_name", "channel_binding", "gssencmode",
	"keepalives", "keepalives_count", "keepalives_idle",
	"keepalives_interval", "krbsrvname", "prepare", "require_auth",
	"requirepeer", "ssl_max_protocol_version", "ssl_min_protocol_version",
	"sslcert", "sslcertmode", "sslcrl", "sslcrldir", "sslkey", "sslmode",
	"sslnegotiation", "sslpassword", "sslrootcert", "sslsni",
	"target_session_attrs", "tcp_user_timeout", NULL };

const struct store_driver store_pgsql = {
	.scheme = "postgresql",
	.server = true,
	.size = sizeof(struct pgsql_store),
	.parameters = parameters,
	.open = pgsql_open,
	.close = pgsql_close,
	SQL_OPERATIONS
};
