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
#include <string.h>
#include <strings.h>

#include "store/mysql/mysql.h"

extern const struct store_driver store_mysql;

static void
maria_close(struct store *store)
{
	maria_disconnect((struct maria_store *)store);
}

/* NULL, or what is wrong with the URL's parts. */
static const char *
url_check(const struct store_url *u)
{
	static const char *const modes[] = { "DISABLED", "REQUIRED",
		"VERIFY_CA", "VERIFY_IDENTITY" };
	const char *mode = store_url_parameter(u, "ssl-mode");
	bool good = mode == NULL;
	size_t i;

	for (i = 0; mode != NULL && i < sizeof(modes) / sizeof(modes[0]); i++)
		good = good || strcasecmp(modes[i], mode) == 0;
	if (!good)
		return "ssl-mode is DISABLED, REQUIRED, VERIFY_CA or "
		       "VERIFY_IDENTITY";
	if ((mode == NULL || strcasecmp(mode, "DISABLED") == 0) &&
	    (store_url_parameter(u, "ssl-ca") != NULL ||
	    store_url_parameter(u, "ssl-cert") != NULL))
		return "certificates without ssl-mode=VERIFY_IDENTITY";
	return u->name[0] == '\0' ? "no name of a database in the URL" : NULL;
}

static bool
maria_open(struct store *store, const struct config *cfg, const char *url,
    bool create)
{
	struct maria_store *s = (struct maria_store *)store;
	const char *wrong = url_check(&store->url);
	char error[STORE_ERROR_MAX];

	(void)url; /* was read */
	s->sql.connection = &maria_connection;
	s->timeout = cfg->store.timeout > 0 ? cfg->store.timeout : 1;
	s->lock_ms = store_lock_limit(cfg, store->wait_ms);
	if (wrong != NULL)
		return store_failed(store, STORE_BROKEN, "store.url: %s",
		    wrong);
	if (!maria_load(error, sizeof(error)))
		return maria_failed(s, error);
	if (!sql_begin(&s->sql))
		return false;
	if (maria_schema_prepare(s, create))
		return true;
	/* That keeps everybody out. */
	if (store->failure != STORE_NOT_YET)
		store->failure = STORE_BROKEN;
	return false;
}

static const char *const parameters[] = { "socket", "ssl-mode", "ssl-ca",
	"ssl-cert", "ssl-key", NULL };

const struct store_driver store_mysql = {
	.scheme = "mysql",
	.server = true,
	.size = sizeof(struct maria_store),
	.parameters = parameters,
	.open = maria_open,
	.close = maria_close,
	SQL_OPERATIONS
};
