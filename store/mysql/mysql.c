/*
 * store_mysql - the store on a MySQL or MariaDB server, shared by hosts.
 *
 *	mysql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?ssl-mode=VERIFY_IDENTITY]
 *	mysql://USER[:PASSWORD]@/DATABASE?socket=/run/mysqld/mysqld.sock
 *
 * Prepared statements with bound parameters only, InnoDB, names and texts as
 * bytes (VARBINARY), times as seconds since the epoch; those of logins as
 * DATETIME in UTC, as people query them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/mysql/mysql.h"

extern const struct store_driver store_mysql;

static void
maria_close(struct store *store)
{
	struct maria_store *s = (struct maria_store *)store;

	maria_disconnect(s);
	explicit_bzero(s->url.password, sizeof(s->url.password));
	free(s);
}

/* NULL, or what is wrong with the URL's parts. */
static const char *
url_check(const struct store_url *u, char *text, size_t size)
{
	static const char *const known[] = { "socket", "ssl-mode", "ssl-ca",
		"ssl-cert", "ssl-key" };
	static const char *const modes[] = { "DISABLED", "REQUIRED",
		"VERIFY_CA", "VERIFY_IDENTITY" };
	const char *mode = store_url_parameter(u, "ssl-mode");
	bool good = mode == NULL;
	size_t i;
	int p;

	for (i = 0; mode != NULL && i < sizeof(modes) / sizeof(modes[0]); i++)
		good = good || strcasecmp(modes[i], mode) == 0;
	if (!good)
		return "ssl-mode is DISABLED, REQUIRED, VERIFY_CA or "
		       "VERIFY_IDENTITY";
	for (p = 0; p < u->parameter_count; p++) {
		good = false;
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			good = good ||
			    strcmp(known[i], u->parameters[p].name) == 0;
		if (good)
			continue;
		snprintf(text, size, "there is no parameter `%s'",
		    u->parameters[p].name);
		return text;
	}
	if ((mode == NULL || strcasecmp(mode, "DISABLED") == 0) &&
	    (store_url_parameter(u, "ssl-ca") != NULL ||
	    store_url_parameter(u, "ssl-cert") != NULL))
		return "certificates without ssl-mode=VERIFY_IDENTITY";
	return u->name[0] == '\0' ? "no name of a database in the URL" : NULL;
}

static struct store *
maria_open(const struct config *cfg, const char *url, long wait_ms,
    bool create, enum store_failure *failure, char *error, size_t size)
{
	struct maria_store *s = calloc(1, sizeof(*s));
	const char *wrong;
	char text[64];

	*failure = STORE_BROKEN;
	if (s == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->sql.store.driver = &store_mysql;
	s->sql.connection = &maria_connection;
	s->sql.store.wait_ms = wait_ms;
	s->timeout = cfg->store.timeout > 0 ? cfg->store.timeout : 1;
	s->lock_ms = store_lock_limit(cfg, wait_ms);
	store_url_text(url, s->sql.where, sizeof(s->sql.where));
	wrong = store_url_parse(url, &s->url);
	if (wrong == NULL)
		wrong = url_check(&s->url, text, sizeof(text));
	if (wrong != NULL)
		snprintf(s->sql.store.error, sizeof(s->sql.store.error),
		    "store.url: %s", wrong);
	else if (store_url_password(&s->url, cfg, s->sql.store.error,
		     sizeof(s->sql.store.error)) &&
	    maria_load(s->sql.store.error, sizeof(s->sql.store.error)) &&
	    sql_begin(&s->sql)) {
		if (maria_schema_prepare(s, create))
			return &s->sql.store;
		/* That keeps everybody out. */
		if (s->sql.store.failure != STORE_NOT_YET)
			s->sql.store.failure = STORE_BROKEN;
	}
	snprintf(error, size, "%s", s->sql.store.error);
	*failure = s->sql.store.failure;
	maria_close(&s->sql.store);
	return NULL;
}

const struct store_driver store_mysql = {
	.scheme = "mysql",
	.server = true,
	.open = maria_open,
	.close = maria_close,
	SQL_OPERATIONS,
};
