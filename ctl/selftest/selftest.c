/*
 * abictl selftest - is everything in place?
 *
 * Looks at what the filter needs and at how Postfix calls it, a line per
 * finding. Makes one API call, of an address that is certainly known.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/abuseipdb.h"
#include "filter/budget.h"
#include "fetch.h"
#include "base/log.h"
#include "base/process.h"
#include "base/backoff.h"
#include "base/due.h"
#include "ctl/selftest/selftest.h"
#include "store/store.h"

#define PURGE_LATE (2 * 86400L) /* seconds: an outdated row may be there */

/* The command for a lock, a FIFO, that cannot be taken. Others may hold it. */
static const char *
lock_command(const char *directory)
{
	char path[PATH_MAX + 16];
	const char *command, *file;
	int saved = errno;
	struct stat st;

	snprintf(path, sizeof(path), "%s/" STATEDIR_LOCK, directory);
	file = selftest_quote(path);
	if ((saved != EACCES && saved != EPERM) || lstat(path, &st) != 0)
		command = selftest_look(path); /* held for too long */
	else if (S_ISFIFO(st.st_mode))
		command = selftest_command_line(
		    "sudo chown %s %s", selftest_quote(selftest_user()), file);
	else
		command = selftest_command_line("sudo rm -f %s", file);
	errno = saved;
	return command;
}

/* Can this identity, which is the filter's, work with the cache? */
static bool
test_cache(struct statedir *d)
{
	static const char name[] = STATEDIR_TEMPORARY "selftest";
	int lock;

	if (d->path[0] == '\0') {
		say(WARN, "cache",
		    "reputation.cache_dir is not set: every "
		    "message costs an API call");
		return false;
	}
	if (!statedir_usable(d)) {
		say_try(FAIL, "cache", selftest_own_directory(d->path), "%s",
		    d->problem);
		return false;
	}
	if (geteuid() == 0)
		say_try(WARN, "cache", selftest_own_directory(d->path),
		    "%s belongs to "
		    "root; it should belong to the user of the spawn service",
		    d->path);
	if (statedir_write(d, name, "", 0, 0) != 0 ||
	    statedir_remove(d, name) < 0) {
		say_try(FAIL, "cache", selftest_own_directory(d->path),
		    "%s: user %s "
		    "cannot write: %s",
		    d->path, selftest_user(), strerror(errno));
		return false;
	}
	lock = statedir_lock(d, STATEDIR_LOCK_PROBE, 1000);
	if (lock < 0)
		say_try(FAIL, "cache",
		    lock_command(d->path),
		    "%s/" STATEDIR_LOCK ": %s", d->path, strerror(errno));
	else {
		close(lock);
		say(OK, "cache", "%s: user %s can write", d->path,
		    selftest_user());
	}
	return lock >= 0;
}

/* The command that may fix a store, or else tells more. */
static const char *
store_command(const struct config *cfg)
{
	static const char sqlite[] = "sqlite:/";
	const char *path = cfg->store.url + sizeof(sqlite) - 2;
	char directory[PATH_MAX];
	struct stat st;

	if (strncmp(cfg->store.url, sqlite, sizeof(sqlite) - 1) != 0)
		return selftest_abictl("store status");
	if (stat(path, &st) == 0 && st.st_uid == 0 && geteuid() != 0)
		return selftest_command_line(
		    "sudo sh -c 'chown \"$1\" \"$2\" \"$2\"-*' - %s %s",
		    selftest_quote(selftest_user()), selftest_quote(path));
	snprintf(directory, sizeof(directory), "%.*s",
	    (int)(strrchr(path, '/') - path), path);
	if (access(directory[0] != '\0' ? directory : "/", W_OK) == 0)
		return selftest_abictl("store status");
	return selftest_own_directory(directory[0] != '\0' ? directory : "/");
}

/* A login that should have been removed some days ago. */
struct outdated {
	time_t before;
	bool found;
};

static bool
row_outdated(void *arg, const struct store_row *row)
{
	struct outdated *o = arg;

	o->found = row->u.login.last < o->before;
	return !o->found;
}

/* A daily job or a scan removes old logins: did one run? */
static void
test_purged(const struct config *cfg, struct store *s, struct statedir *d)
{
	const struct store_purge p = store_outdated(cfg, time(NULL));
	struct outdated o = { .before = p.logins_before - PURGE_LATE };

	if (due_in(d, DUE_PURGED, p.now) != 0 || p.logins_before == 0)
		return;
	s->driver->iterate(s, STORE_LOGIN, "", row_outdated, &o);
	if (o.found)
		say_try(WARN, "store", selftest_abictl("store purge"),
		    "outdated logins were not removed within the last week: "
		    "neither `abictl cache clean' nor `abictl scan' runs");
}

static void
test_store(const struct config *cfg, struct statedir *d)
{
	char error[STORE_ERROR_MAX];
	struct store_status status;
	struct store *s;

	s = store_open(cfg, cfg->store.url, error, sizeof(error));
	if (s == NULL) {
		say_try(FAIL, "store", store_command(cfg), "%s", error);
		return;
	}
	if (s->driver->status(s, &status) == STORE_ERROR)
		say_try(FAIL, "store", store_command(cfg), "%s", s->error);
	else {
		say(OK, "store", "%s: %ld logins, schema %ld", status.where,
		    status.rows[STORE_LOGIN], status.schema);
		test_purged(cfg, s, d);
	}
	store_free(s);
}

static void
test_abictl(const struct config *cfg)
{
	char path[PATH_MAX];

	if (cfg->filter.abictl != NULL)
		snprintf(path, sizeof(path), "%s", cfg->filter.abictl);
	else if (process_sibling("abictl", path, sizeof(path)) != 0) {
		say_try(FAIL, "abictl", "sudo mount -t proc proc /proc",
		    "/proc/self/exe: %s", strerror(errno));
		return;
	}
	if (access(path, X_OK) == 0)
		say(OK, "abictl", "%s", path);
	else
		say_try(FAIL, "abictl",
		    cfg->filter.abictl != NULL
			? selftest_edit(cfg)
			: selftest_command_line(
			      "sudo chmod 755 %s", selftest_quote(path)),
		    "%s: %s", path, strerror(errno));
}

/* Takes one of the day's calls; false, and said why, when that fails. */
static bool
call_take(const struct config *cfg, struct statedir *d, time_t now)
{
	struct budget_answer b;

	switch (
	    budget_take(d, cfg->reputation.daily_limit, NULL, now, 1000, &b)) {
	case BUDGET_ERROR:
		say(WARN, "AbuseIPDB", "cannot count API calls: %s",
		    strerror(errno));
		return false;
	case BUDGET_REFUSED:
		say(WARN, "AbuseIPDB", "%s", b.why);
		return false;
	default:
		return true;
	}
}

/* The command for a key that cannot be used. */
static const char *
token_command(const struct config *cfg)
{
	const char *path = cfg->reputation.token_file;

	if (path == NULL)
		return selftest_edit(cfg);
	return access(path, R_OK) != 0 ? selftest_readable(errno, path)
				       : selftest_edit_file(path);
}

/* The command after a call that has failed for this reason. */
static const char *
api_command(const struct config *cfg, const char *reason)
{
	return strstr(reason, "status 401") != NULL
		   ? token_command(cfg)
		   : selftest_command_line("curl -sS -o /dev/null -w "
					   "'%%{http_code}\\n' %s",
			 selftest_quote(cfg->reputation.url));
}

/* The key, and with it one call. */
static void
test_api(const struct config *cfg, struct statedir *d)
{
	char token[ABUSEIPDB_TOKEN_MAX], reason[BACKOFF_REASON_MAX + 64];
	struct fetch_rest rest;
	const char *path = cfg->reputation.token_file;
	struct abuseipdb_answer answer;
	struct cache_score score;
	struct address a;
	struct stat st;
	time_t now = time(NULL);

	if (cfg->reputation.token == NULL && path == NULL) {
		say(WARN, "AbuseIPDB",
		    "reputation.token is not set: no client "
		    "is judged by its score");
		return;
	}
	if (path != NULL && stat(path, &st) == 0 && (st.st_mode & 07) != 0)
		say_try(WARN, "AbuseIPDB",
		    selftest_command_line(
			"sudo chmod o-rwx %s", selftest_quote(path)),
		    "%s: this secret is world-readable",
		    path);
	if (abuseipdb_token(cfg, token, reason, sizeof(reason)) != 0) {
		say_try(FAIL, "AbuseIPDB", token_command(cfg), "%s", reason);
		return;
	}
	/* After a wrong key this is how to try the new one. */
	if (fetch_resting(cfg, d, NULL, now, &rest) &&
	    strstr(rest.reason, "HTTP status 401") == NULL &&
	    strcmp(rest.what, FETCH_OWN_BUDGET) != 0) {
		fetch_rest_text(&rest, now, reason, sizeof(reason));
		say(WARN, "AbuseIPDB", "%s", reason);
		return;
	}
	if (!call_take(cfg, d, now))
		return;
	address_parse(SELFTEST_ADDRESS, &a);
	abuseipdb_check(
	    cfg, token, &a, cfg->reputation.timeout * 1000, &score, &answer);
	if (!answer.ok)
		say_try(FAIL, "AbuseIPDB", api_command(cfg, answer.reason),
		    "%s: %s", cfg->reputation.url, answer.reason);
	else if (answer.remaining >= 0)
		say(OK, "AbuseIPDB", "%s answers, %ld calls left today",
		    cfg->reputation.url, answer.remaining);
	else
		say(OK, "AbuseIPDB", "%s answers", cfg->reputation.url);
	/* Others shall not run into what was just found out. */
	if (answer.ok) {
		backoff_clear(d, BACKOFF_API);
		backoff_clear(d, BACKOFF_BUDGET);
	} else if (!answer.only_this)
		backoff_set(d, answer.budget ? BACKOFF_BUDGET : BACKOFF_API,
		    now, answer.backoff_until, answer.reason);
}

int
abictl_selftest(struct abictl *ctl, int argc, char **argv)
{
	const struct config *cfg = &ctl->cfg;
	struct statedir dir;

	(void)argv;
	if (argc != 0)
		return EX_USAGE;
	log_open("abictl", "none", LOG_LEVEL_ERROR); /* said below */
	selftest_begin(cfg, ctl->json, selftest_is_stranger(cfg));
	statedir_init(&dir, cfg->reputation.cache_dir);
	selftest_config(cfg);
	selftest_log(cfg);
	if (selftest_can(cfg, "whitelist", "whitelist"))
		selftest_whitelist(cfg);
	if (selftest_can(cfg, "reputation", "cache"))
		test_cache(&dir);
	selftest_geocount(cfg);
	if (selftest_can(cfg, "store", "store"))
		test_store(cfg, &dir);
	test_abictl(cfg);
	if (config_makes(cfg, "reputation") &&
	    selftest_can(cfg, "reputation", "AbuseIPDB"))
		test_api(cfg, &dir);
	selftest_zones(cfg, &dir);
	if (selftest_can(cfg, "accounts", "accounts.command"))
		selftest_command(cfg);
	selftest_blacklist(cfg, &dir);
	selftest_postfix(cfg);
	return selftest_end();
}
