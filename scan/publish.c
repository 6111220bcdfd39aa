/*
 * publish - from the store's list of offenders to the snapshot that filters
 * read, and to the access map that Postfix reads.
 */
#include "scan/publish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scan/exempt.h"
#include "base/log.h"
#include "scan/mapper.h"
#include "base/backoff.h"
#include "base/due.h"
#include "store/snapshot.h"
#include "base/statedir.h"

#define LOCK_WAIT 30000 /* milliseconds for another one who publishes */
#define DUE_DAY 86400   /* seconds that a reload may be due */

/* A snapshot being written from the rows of the store. */
struct writing {
	struct snapshot_writer writer;
	struct exempt *exempt;
	time_t now;
	bool failed;
	int error;
};

static bool
row_write(void *arg, const struct store_row *row)
{
	const struct store_offender *o = &row->u.offender;
	struct writing *w = arg;
	struct snapshot_entry e = { .expires = o->expires, .since = o->since,
		.hits = o->hits, .times = o->times };

	if (!o->listed || (o->expires != 0 && o->expires <= w->now) ||
	    address_block_parse(o->block, &e.block) != NULL ||
	    exempt_why(w->exempt, &e.block.base, &e.block, "") != NULL)
		return true; /* whatever the store says */
	snprintf(e.rule, sizeof(e.rule), "%s", o->rule);
	snprintf(e.note, sizeof(e.note), "%.*s", SNAPSHOT_NOTE_MAX - 1,
	    o->note);
	if (snapshot_add(&w->writer, &e) == 0)
		return true;
	w->error = errno;
	w->failed = true;
	return false;
}

static bool
snapshot_write(const struct config *cfg, struct store *s, time_t now,
    int64_t generation, char *error, size_t size)
{
	const char *path = cfg->blacklist.snapshot;
	static struct exempt exempt;
	struct writing w = { .exempt = &exempt, .now = now };
	enum store_result r;

	exempt_load(&exempt, cfg);
	if (exempt.problem[0] != '\0') {
		snprintf(error, size, "%s", exempt.problem);
		return false;
	}

	if (snapshot_begin(&w.writer, path) != 0) {
		snprintf(error, size, "%.200s.new: %s", path, strerror(errno));
		exempt_free(&exempt);
		return false;
	}
	exempt_signature(cfg, w.writer.signature, sizeof(w.writer.signature));
	r = s->driver->iterate(s, STORE_OFFENDER, "", row_write, &w);
	exempt_free(&exempt);
	if (r != STORE_ERROR && !w.failed) {
		if (snapshot_finish(&w.writer, generation) == 0)
			return true;
		w.error = errno;
	} else
		snapshot_abandon(&w.writer);
	snprintf(error, size, "%.200s: %s", path,
	    r == STORE_ERROR ? s->error : strerror(w.error));
	return false;
}

/*
 * Drops those whose ban is over. A snapshot of the store's list knows when the
 * next one ends: until then nobody has to look. False on failure.
 */
static bool
expire(struct store *s, const struct snapshot *there, time_t now,
    int64_t *generation)
{
	if (s->driver->generation(s, generation) == STORE_ERROR)
		return false;
	if (there->open && there->generation == *generation &&
	    (there->earliest == 0 || there->earliest > now))
		return true;
	return s->driver->offenders_expire(s, now) != STORE_ERROR &&
	    s->driver->generation(s, generation) != STORE_ERROR;
}

/* The snapshot, unless it is up to date. */
static bool
snapshot_publish(const struct config *cfg, struct store *s, time_t now,
    struct publish_result *result, char *error, size_t size)
{
	char signature[EXEMPT_SIGNATURE_MAX];
	struct snapshot there = { 0 };
	bool done = true;

	exempt_signature(cfg, signature, sizeof(signature));
	snapshot_refresh(&there, cfg->blacklist.snapshot);
	if (!expire(s, &there, now, &result->generation)) {
		snprintf(error, size, "%s", s->error);
		snapshot_close(&there);
		return false;
	}
	if (!there.open ||
	    there.generation != result->generation ||
	    strcmp(there.signature, signature) != 0) {
		done = snapshot_write(cfg, s, now, result->generation, error,
		    size);
		result->snapshot_new = done;
		snapshot_refresh(&there, cfg->blacklist.snapshot);
	}
	result->listed = there.count;
	snapshot_close(&there);
	return done;
}

/* A reload now, or when the last one is long enough ago. */
static void
reload(const struct config *cfg, struct statedir *d, time_t now,
    const struct mapper_answer *map)
{
	static struct mapper_answer a;
	char why[BACKOFF_REASON_MAX];

	if (cfg->blacklist.reload == 0 || !map->cidr)
		return;
	if (map->result.changed)
		backoff_set(d, BACKOFF_RELOAD_DUE, now, now + DUE_DAY,
		    "the map has changed since the last reload");
	else if (backoff_until(d, BACKOFF_RELOAD_DUE, now, why, sizeof(why)) ==
		 0)
		return;
	if (!due_take(d, DUE_RELOAD, now, cfg->blacklist.reload,
	    "Postfix was reloaded"))
		return;
	backoff_clear(d, BACKOFF_RELOAD_DUE);
	if (!mapper_do(cfg, MAPPER_RELOAD, &a))
		log_warning("postfix reload: %s", a.error);
}

bool
publish(const struct config *cfg, struct store *s, time_t now,
    enum mapper_task task, struct publish_result *result, char *error,
    size_t size)
{
	static struct mapper_answer map;
	struct statedir d;
	bool done;
	int lock;

	memset(result, 0, sizeof(*result));
	statedir_init(&d, cfg->reputation.cache_dir);
	/* Without a lock the later one may be older: mended the next time. */
	lock = statedir_usable(&d) ?
	    statedir_lock(&d, STATEDIR_LOCK_PUBLISH, LOCK_WAIT) : -1;
	done = snapshot_publish(cfg, s, now, result, error, size);
	if (done && cfg->blacklist.map != NULL) {
		/* The whitelist changes it within a generation. */
		if (task == MAPPER_WRITE && result->snapshot_new)
			task = MAPPER_LOOK;
		done = mapper_do(cfg, task, &map);
		result->map = map.result;
		if (done)
			reload(cfg, &d, now, &map);
		else
			snprintf(error, size, "%s", map.error);
	}
	if (lock >= 0)
		close(lock);
	statedir_close(&d);
	return done;
}
