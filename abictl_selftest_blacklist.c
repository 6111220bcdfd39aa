/*
 * abictl selftest - are the logs read, the offenders published?
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access_map.h"
#include "logsource.h"
#include "rest.h"
#include "scan_logs.h"
#include "selftest.h"
#include "snapshot.h"
#include "store.h"
#include "text.h"

static void
test_logs(const struct config *cfg)
{
	struct scan_logs logs;
	const char *packed;
	size_t i;

	scan_logs_find(&logs, cfg);
	for (i = 0; i < logs.count; i++) {
		if (logs.what[i][0] != '/')
			say(scan_logs_journal() ? OK : FAIL, "mail log",
			    scan_logs_journal() ? "the journal" :
			    "the journal: there is none");
		else if (access(logs.what[i], R_OK) != 0)
			say(FAIL, "mail log", "%s: %s", logs.what[i],
			    strerror(errno));
		else if ((packed = logsource_packed(logs.what[i])) != NULL)
			say(FAIL, "mail log", "%s: compressed (%s): only "
			    "`abictl scan --dry-run' reads it", logs.what[i],
			    packed);
		else
			say(OK, "mail log", "%s", logs.what[i]);
	}
}

/* Is the snapshot there, and of the store's list? */
static void
test_snapshot(const struct config *cfg, struct snapshot *s)
{
	char error[STORE_ERROR_MAX];
	struct store *store;
	int64_t generation = -1;

	if (!snapshot_refresh(s, cfg->blacklist.snapshot)) {
		say(s->absent ? WARN : FAIL, "blacklist", "%s%s", s->problem,
		    s->absent ? ": made by `abictl scan'; does its timer run?" :
				"");
		return;
	}
	store = store_open(cfg, cfg->store.url, error, sizeof(error));
	if (store == NULL)
		return; /* said by the test of the store */
	store->driver->generation(store, &generation);
	store->driver->close(store);
	if (generation == s->generation)
		say(OK, "blacklist", "%s: %ld listed",
		    cfg->blacklist.snapshot, s->count);
	else
		say(WARN, "blacklist", "%s is not of the store's list: the "
		    "next scan mends that", cfg->blacklist.snapshot);
}

static void
test_map(const struct config *cfg, const struct snapshot *s)
{
	const char *map = cfg->blacklist.map;
	char error[ACCESS_MAP_ERROR_MAX];

	if (map == NULL)
		return;
	if (!access_map_check(map, error, sizeof(error)))
		say(FAIL, "access map", "%s: %s", map, error);
	else if (s->open && access_map_generation(map) == s->generation)
		say(OK, "access map", "%s", map);
	else
		say(WARN, "access map", "%s is not of the snapshot's list: the "
		    "next scan by root mends that", map);
}

void
selftest_blacklist(const struct config *cfg, struct statedir *d)
{
	static struct snapshot snapshot;
	char why[REST_REASON_MAX];

	if (strstr(cfg->filter.checks, "blacklist") == NULL ||
	    !selftest_can(cfg, "blacklist", "blacklist"))
		return;
	test_logs(cfg);
	test_snapshot(cfg, &snapshot);
	test_map(cfg, &snapshot);
	snapshot_close(&snapshot);
	/* Each scan sees to this marker, which lasts an hour. */
	if (rest_until(d, REST_PURGE_ALL, time(NULL), why, sizeof(why)) == 0)
		say(WARN, "blacklist", "no `abictl scan' within the last hour");
}
