/*
 * store - what is remembered across processes and hosts: choosing a driver,
 * opening it once, and leaving it alone for a while when it fails.
 */
#include "store/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/backoff.h"
#include "store/driver.h"

extern const struct store_driver store_empty;
extern const struct store_driver store_sqlite;

#ifdef WITH_PGSQL
extern const struct store_driver store_pgsql;
#define PGSQL &store_pgsql
#else
#define PGSQL NULL
#endif
#ifdef WITH_MYSQL
extern const struct store_driver store_mysql;
#define MYSQL &store_mysql
#else
#define MYSQL NULL
#endif
#ifdef WITH_REDIS
extern const struct store_driver store_redis;
#define REDIS &store_redis
#else
#define REDIS NULL
#endif

/* By the scheme of a URL. */
static const struct {
	const char *scheme;
	const struct store_driver *driver; /* NULL = not built in */
	const char *name; /* to be told then */
} drivers[] = {
	{ "sqlite", &store_sqlite, "SQLite" },
	{ "postgresql", PGSQL, "PostgreSQL (make WITH_PGSQL=1)" },
	{ "postgres", PGSQL, "PostgreSQL (make WITH_PGSQL=1)" },
	{ "mysql", MYSQL, "MySQL (make WITH_MYSQL=1)" },
	{ "mariadb", MYSQL, "MariaDB (make WITH_MYSQL=1)" },
	{ "redis", REDIS, "Redis (make WITH_REDIS=1)" },
	{ "rediss", REDIS, "Redis (make WITH_REDIS=1)" },
};

#define DRIVER_COUNT (sizeof(drivers) / sizeof(drivers[0]))
#define HITS_KEEP (60 * 86400L)      /* seconds; no rule's period is longer */
#define ACCOUNTS_KEEP (365 * 86400L) /* of a released account */
#define WAIT_MIN 20 /* milliseconds: in less nothing can be asked */

struct store_purge
store_outdated(const struct config *cfg, time_t now)
{
	bool certain = config_error(cfg, "geocount") == NULL;

	return (struct store_purge){
		.logins_before = certain ? now - cfg->geocount.window : 0,
		.hits_before = now - HITS_KEEP,
		.accounts_before = now - ACCOUNTS_KEEP,
		.now = now,
	};
}

/* The driver of a URL; NULL, and why not. */
static const struct store_driver *
driver_find(const char *url, char *error, size_t size)
{
	size_t n = strcspn(url, ":"), i;

	for (i = 0; i < DRIVER_COUNT; i++)
		if (url[n] == ':' && strlen(drivers[i].scheme) == n &&
		    memcmp(drivers[i].scheme, url, n) == 0)
			break;
	if (i < DRIVER_COUNT && drivers[i].driver != NULL)
		return drivers[i].driver;
	if (i < DRIVER_COUNT)
		snprintf(error, size, "store.url: this abichecker is built "
		    "without %s", drivers[i].name);
	else
		snprintf(error, size, "store.url: there is no kind of store "
		    "`%.*s'", n > 32 ? 32 : (int)n, url);
	return NULL;
}

/* The password goes, too. */
static void
memory_free(struct store *s)
{
	explicit_bzero(s, s->driver->size);
	free(s);
}

void
store_free(struct store *s)
{
	s->driver->close(s);
	memory_free(s);
}

struct store *
store_open_within(const struct config *cfg, const char *url, long wait_ms,
    bool create, enum store_failure *failure, char *error, size_t size)
{
	const struct store_driver *driver = driver_find(url, error, size);
	struct store *s;

	*failure = STORE_BROKEN;
	if (driver == NULL)
		return NULL;
	s = calloc(1, driver->size);
	if (s == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->driver = driver;
	s->wait_ms = wait_ms;
	store_begin(s);
	if (!driver->server || store_server_read(s, cfg, url)) {
		if (driver->open(s, cfg, url, create))
			return s;
		driver->close(s);
	}
	snprintf(error, size, "%s", s->error);
	*failure = s->failure;
	memory_free(s);
	return NULL;
}

/* Nobody knows which store is meant, or how to reach it. */
static bool
unknown(const struct config *cfg, char *error, size_t size)
{
	const char *wrong = config_error(cfg, "store");

	if (wrong != NULL)
		snprintf(error, size, "%s", wrong);
	return wrong != NULL;
}

static struct store *
open_if_known(const struct config *cfg, const char *url, bool create,
    char *error, size_t size)
{
	enum store_failure ignored;

	return unknown(cfg, error, size) ? NULL :
	    store_open_within(cfg, url, cfg->store.timeout * 1000, create,
		&ignored, error, size);
}

struct store *
store_open(const struct config *cfg, const char *url, char *error, size_t size)
{
	return open_if_known(cfg, url, true, error, size);
}

struct store *
store_open_existing(const struct config *cfg, const char *url, char *error,
    size_t size)
{
	return open_if_known(cfg, url, false, error, size);
}

/* --- the one store of a process --- */

static struct {
	struct store *store;
	struct statedir markers;
	char what[BACKOFF_WHAT_MAX]; /* the name of its marker */
	bool failed; /* told already */
	bool write_failed; /* so that reading alone proves nothing */
	bool read_refused; /* so that writing alone proves nothing */
	int64_t opened; /* clock_ms() then */
	bool short_of_time; /* the request has too little time left for it */
	int64_t until; /* clock_ms() at which its time is over */
	int64_t idle_at; /* clock_ms() at which it is to be closed */
} shared;

static void
marker_prepare(const struct config *cfg)
{
	if (shared.what[0] != '\0')
		return;
	backoff_name(BACKOFF_STORE, cfg->store.url, shared.what,
	    sizeof(shared.what));
	statedir_init(&shared.markers, cfg->reputation.cache_dir);
}

void
store_close(void)
{
	if (shared.store != NULL)
		store_free(shared.store);
	shared.store = NULL;
	statedir_close(&shared.markers);
	shared.what[0] = '\0';
	shared.failed = shared.write_failed = shared.read_refused = false;
}

/* What others took of a request's time is not the store's fault. */
static bool
out_of_time(void)
{
	return shared.short_of_time &&
	       clock_ms() + WAIT_MIN / 2 >= shared.until;
}

/*
 * It failed: what is wrong with the store itself is told once, and one that
 * would keep everybody waiting rests.
 */
static void
fail(enum store_failure failure, time_t now, const char *why)
{
	if (failure == STORE_BUSY || failure == STORE_BAD_DATA || out_of_time())
		return;
	if (!shared.failed)
		log_error("store: %s; mail flows without it", why);
	shared.failed = true;
	if (failure == STORE_BROKEN)
		backoff_set(&shared.markers, shared.what, now,
		    time(NULL) + STORE_BACKOFF, why);
}

/*
 * How long a request may wait for the store, in milliseconds. One that has not
 * even half of that left is short_of_time: silence says nothing then.
 */
static long
time_share(const struct config *cfg, long left_ms)
{
	long most = 1000 * (cfg->store.timeout < cfg->filter.deadline ?
	    cfg->store.timeout : cfg->filter.deadline);
	long wait_ms = left_ms < most ? left_ms : most;

	shared.short_of_time = wait_ms < most / 2;
	shared.until = clock_ms() + wait_ms;
	return wait_ms;
}

/* NULL, or the empty one where one was only to be looked into. */
static struct store *
open_failed(enum store_failure failure, bool create, time_t now,
    const char *why)
{
	static struct store empty = { .driver = &store_empty };

	if (create)
		fail(failure, now, why);
	return !create && failure == STORE_NOT_YET ? &empty : NULL;
}

struct store *
store_get(const struct config *cfg, time_t now, long left_ms, bool create,
    char *error, size_t size)
{
	long wait_ms = time_share(cfg, left_ms);
	enum store_failure failure;
	char why[BACKOFF_REASON_MAX];

	if (unknown(cfg, error, size))
		return NULL;
	if (wait_ms < WAIT_MIN) {
		snprintf(error, size, "no time is left in this request");
		return NULL;
	}
	marker_prepare(cfg);
	if (backoff_until(&shared.markers, shared.what, now, why,
		sizeof(why)) != 0) {
		snprintf(error, size, "store rests: %s", why);
		return NULL;
	}
	if (shared.store == NULL) {
		shared.store = store_open_within(cfg, cfg->store.url, wait_ms,
		    create, &failure, error, size);
		if (shared.store == NULL)
			return open_failed(failure, create, now, error);
		if (shared.store->logins_only) { /* it can only be copied */
			store_close();
			snprintf(error, size,
			    "there are no tables of abichecker yet");
			return NULL;
		}
		shared.opened = clock_ms();
	}
	shared.store->wait_ms = wait_ms;
	if (shared.store->driver->server)
		shared.idle_at = clock_ms() + cfg->store.idle * 1000;
	return shared.store;
}

int
store_idle(void)
{
	int64_t left;

	if (shared.store == NULL || !shared.store->driver->server)
		return -1;
	left = shared.idle_at - clock_ms();
	if (left > 0)
		return left < INT_MAX ? (int)left : INT_MAX;
	store_free(shared.store);
	shared.store = NULL;
	return -1;
}

/*
 * After a refusal: how a file was opened stays, also when it may be written
 * again. Another server may have taken over meanwhile, or the tables may have
 * to be made again; that is looked at now and then.
 */
static bool
reopening_may_help(const struct store *s)
{
	return !s->driver->server ||
	    clock_ms() - shared.opened >= STORE_BACKOFF * 1000;
}

static enum store_result
done(const struct config *cfg, struct store *s, time_t now,
    enum store_result result, bool reading, char *error, size_t size)
{
	if (result != STORE_ERROR) {
		*(reading ? &shared.read_refused : &shared.write_failed) =
		    false;
		if (shared.write_failed || shared.read_refused)
			return result;
		if (shared.failed)
			log_info("store: usable again");
		shared.failed = false;
		return result;
	}
	marker_prepare(cfg);
	snprintf(error, size, "%s", s->error);
	if (s->failure == STORE_BUSY || s->failure == STORE_BAD_DATA)
		return result;
	shared.write_failed |= !reading && !out_of_time();
	shared.read_refused |= reading && s->failure == STORE_REFUSED;
	fail(s->failure, now, s->error);
	if (s->failure == STORE_BROKEN || reopening_may_help(s)) {
		store_free(s);
		shared.store = NULL;
	}
	return result;
}

enum store_result
store_done(const struct config *cfg, struct store *s, time_t now,
    enum store_result result, char *error, size_t size)
{
	return done(cfg, s, now, result, false, error, size);
}

enum store_result
store_done_reading(const struct config *cfg, struct store *s, time_t now,
    enum store_result result, char *error, size_t size)
{
	return done(cfg, s, now, result, true, error, size);
}
