/*
 * abictl store - the store as a whole: status, purge, copying to another one.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/abictl.h"
#include "ctl/cli/progress.h"
#include "base/due.h"
#include "store/store.h"
#include "config/store_url.h"

#define PURGE_WAIT 30000 /* milliseconds: nobody waits for a purge */
#define PURGED_WEEK (7 * 86400L) /* so long it counts as done */
#define COPY_ROWS 500    /* written at once */
#define COPY_WAIT 120000 /* milliseconds for one operation */

static const char *const kinds[] = {
	[STORE_LOGIN] = "logins",
	[STORE_ACCOUNT] = "accounts",
	[STORE_OFFENDER] = "offenders",
	[STORE_RATE] = "rates",
	[STORE_POSITION] = "positions",
	[STORE_HIT] = "hits",
};

int
abictl_store_status(struct abictl *ctl, int argc, char **argv)
{
	struct store *s = ctl->store;
	struct store_status status;
	cJSON *o;
	int kind;

	(void)argc;
	(void)argv;

	if (s->driver->status(s, &status) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (ctl->json) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "driver", s->driver->scheme);
		cJSON_AddStringToObject(o, "where", status.where);
		cJSON_AddNumberToObject(o, "schema", (double)status.schema);
		cJSON_AddNumberToObject(o, "bytes", (double)status.bytes);
		for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
			cJSON_AddNumberToObject(o, kinds[kind],
			    (double)status.rows[kind]);
		return abictl_json(o);
	}
	printf("%-10s %s\n%-10s %s\n%-10s %ld\n", "driver", s->driver->scheme,
	    "where", status.where, "schema", status.schema);
	if (status.bytes >= 0)
		printf("%-10s %lld\n", "bytes", (long long)status.bytes);
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		printf("%-10s %ld\n", kinds[kind], status.rows[kind]);
	return EX_OK;
}

bool
abictl_store_tidy(const struct config *cfg, struct store *s, time_t now,
    long *removed)
{
	struct store_purge p = store_outdated(cfg, now);
	struct statedir d;

	s->wait_ms = PURGE_WAIT;
	if (s->driver->purge(s, &p, removed) == STORE_ERROR)
		return false;
	statedir_init(&d, cfg->reputation.cache_dir);
	due_note(&d, DUE_PURGED, now, PURGED_WEEK, "the store was purged");
	statedir_close(&d);
	return true;
}

int
abictl_store_purge(struct abictl *ctl, int argc, char **argv)
{
	struct store *s = ctl->store;
	long removed;

	(void)argc;
	(void)argv;
	if (!abictl_store_tidy(&ctl->cfg, s, time(NULL), &removed))
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (ctl->json)
		printf("{\"removed\":%ld}\n", removed);
	else
		abictl_say(ctl, "%ld removed", removed);
	return EX_OK;
}

int
abictl_store_clean(const struct abictl *ctl)
{
	time_t now = time(NULL);
	char error[STORE_ERROR_MAX];
	struct store *s = store_get(&ctl->cfg, now,
	    ctl->cfg.store.timeout * 1000, false, error, sizeof(error));
	int status = EX_OK;
	long removed;

	if (s == NULL && config_error(&ctl->cfg, "store") != NULL)
		return EX_OK; /* of which a warning was printed */
	if (s == NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s", error);
	/* One that nobody has made yet has no such operation. */
	if (s->driver->purge != NULL &&
	    !abictl_store_tidy(&ctl->cfg, s, now, &removed))
		status = abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	store_close();
	return status;
}

/* --- copying --- */

/* One end of a copy. */
struct end {
	const struct config *cfg;
	struct config own; /* when a configuration file was named */
	const char *url;
	struct store *store;
};

/* Rows on their way. */
struct copying {
	struct store *to;
	struct store_row *rows;
	size_t count;
	long copied;
	bool failed;
};

/*
 * A URL, or a configuration file whose store is meant: so a password need not
 * be on the command line. EX_OK, or what is wrong was said.
 */
static int
end_find(const struct abictl *ctl, const char *text, struct end *e)
{
	char error[CONFIG_ERROR_MAX];

	e->cfg = &ctl->cfg;
	e->url = text;
	if (strchr(text, ':') == NULL || text[0] == '/' || text[0] == '.') {
		config_init(&e->own);
		e->cfg = &e->own;
		if (!config_load(&e->own, text, error, sizeof(error)))
			return abictl_fail(EX_CONFIG, "%s", error);
		if (config_error(&e->own, "store geocount") != NULL)
			return abictl_fail(EX_CONFIG, "%s",
			    config_error(&e->own, "store geocount"));
		e->url = e->own.store.url;
	} else if (store_url_secret(text))
		return abictl_fail(EX_DATAERR, "passwords are not allowed on "
		    "the command line: name a configuration file instead");
	return EX_OK;
}

static int
end_open(struct end *e, bool create)
{
	char error[STORE_ERROR_MAX];

	e->store = (create ? store_open : store_open_existing)(e->cfg, e->url,
	    error, sizeof(error));
	if (e->store == NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s", error);
	e->store->wait_ms = COPY_WAIT;
	return EX_OK;
}

static void
end_close(struct end *e)
{
	if (e->store != NULL)
		store_free(e->store);
	if (e->cfg == &e->own)
		config_free(&e->own);
}

static bool
rows_flush(struct copying *c)
{
	if (c->count > 0 && c->to->driver->restore(c->to, c->rows, c->count) !=
		STORE_FOUND) {
		c->failed = true;
		return false;
	}
	c->copied += (long)c->count;
	c->count = 0;
	return true;
}

static bool
row_copy(void *arg, const struct store_row *row)
{
	struct copying *c = arg;

	c->rows[c->count++] = *row;
	if (!progress_step(c->copied + (long)c->count))
		return false;
	return c->count < COPY_ROWS || rows_flush(c);
}

/* All rows of a kind. EX_OK, or what is wrong was said. */
static int
kind_copy(struct end *from, struct end *to, enum store_kind kind, long *copied)
{
	struct copying c = { .to = to->store };
	struct store_status there;
	enum store_result r;
	int status = EX_OK;
	char what[40];

	*copied = 0;
	if (from->store->logins_only && kind != STORE_LOGIN)
		return EX_OK;
	c.rows = calloc(COPY_ROWS, sizeof(*c.rows));
	if (c.rows == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	snprintf(what, sizeof(what), "copying %s", kinds[kind]);
	progress_begin(what, "rows", progress_watched() &&
	    from->store->driver->status(from->store, &there) != STORE_ERROR ?
	    there.rows[kind] : 0);
	r = from->store->driver->iterate(from->store, kind, "", row_copy, &c);
	if (c.failed || (r != STORE_ERROR && !rows_flush(&c)))
		status = abictl_fail(EX_UNAVAILABLE, "%s: %s", kinds[kind],
		    to->store->error);
	else if (r == STORE_ERROR)
		status = abictl_fail(EX_UNAVAILABLE, "%s: %s", kinds[kind],
		    from->store->error);
	if (progress_end() && status == EX_OK)
		status = abictl_fail(EXIT_INTERRUPTED, "interrupted after %ld "
		    "%s; run it again: what is copied twice is there once",
		    c.copied, kinds[kind]);
	*copied = c.copied;
	free(c.rows);
	return status;
}

/* Both may be NULL. */
static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What is there stays, unless a row of the same name is copied over it. */
int
abictl_store_copy(struct abictl *ctl, int argc, char **argv)
{
	static struct end from, to;
	cJSON *o = cJSON_CreateObject();
	int status, kind;
	long copied = 0;

	(void)argc;
	status = end_find(ctl, argv[0], &from);
	if (status == EX_OK)
		status = end_find(ctl, argv[1], &to);
	if (status == EX_OK && strcmp(from.url, to.url) == 0 &&
	    same_text(from.cfg->store.prefix, to.cfg->store.prefix))
		status = abictl_fail(EX_DATAERR, "both are the same store");
	if (status == EX_OK)
		status = end_open(&from, false);
	if (status == EX_OK)
		status = end_open(&to, true);
	for (kind = STORE_LOGIN; status == EX_OK && kind <= STORE_HIT; kind++) {
		if (kind == STORE_RATE) /* soon over */
			continue;
		status = kind_copy(&from, &to, (enum store_kind)kind, &copied);
		if (status == EX_OK && !ctl->json && !ctl->quiet)
			printf("%-10s %ld\n", kinds[kind], copied);
		cJSON_AddNumberToObject(o, kinds[kind], (double)copied);
	}
	end_close(&from);
	end_close(&to);
	if (status == EX_OK && ctl->json)
		return abictl_json(o);
	cJSON_Delete(o);
	return status;
}
