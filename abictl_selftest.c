/*
 * abictl selftest - is everything in place?
 *
 * Looks at what the filter needs and at how Postfix calls it, a line per
 * finding. Makes one API call, of an address that is certainly known.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abictl.h"
#include "abuseipdb.h"
#include "budget.h"
#include "fetch.h"
#include "file.h"
#include "userlimits.h"
#include "log.h"
#include "place.h"
#include "process.h"
#include "rest.h"
#include "selftest.h"
#include "store.h"
#include "text.h"
#include "whitelist.h"

#define PROBE_ADDRESS "1.1.1.1" /* a public resolver */
#define LIMITS_FILE_MAX (16 * 1024 * 1024)

static struct {
	cJSON *json; /* NULL: print lines */
	bool failed;
} report;

void
say(enum selftest_level level, const char *subject, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "skip", "warn", "FAIL" };
	char raw[1024], text[1024];
	cJSON *o;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_printable(text, sizeof(text), raw);
	report.failed |= level == FAIL;
	if (report.json == NULL) {
		printf("%-4s  %s: %s\n", words[level], subject, text);
		fflush(stdout);
		return;
	}
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "result", words[level]);
	cJSON_AddStringToObject(o, "subject", subject);
	cJSON_AddStringToObject(o, "text", text);
	cJSON_AddItemToArray(report.json, o);
}

bool
selftest_can(const struct config *cfg, const char *sections, const char *what)
{
	if (config_error(cfg, sections) == NULL)
		return true;
	say(SKIP, what, "left out: see the configuration");
	return false;
}

static void
config_warn(void *arg, const char *text)
{
	*(int *)arg += 1;
	say(WARN, "configuration", "%s", text);
}

/* Where everybody can write, everybody can be there first. */
static void
test_paths(const struct config *cfg)
{
	const char *v;
	int i;

	for (i = 0; i < config_option_count; i++) {
		v = config_get(cfg, i);
		if (config_options[i].type == CONFIG_STORE)
			v += strcspn(v, ":") + 1;
		if (strncmp(v, "/tmp/", 5) == 0 ||
		    strncmp(v, "/var/tmp/", 9) == 0)
			say(WARN, "configuration", "%s.%s: %s is in a "
			    "directory that everybody can write",
			    config_options[i].section, config_options[i].key,
			    v);
	}
}

static void
test_config(const struct config *cfg)
{
	const char *name = cfg->file != NULL ? cfg->file : CONFIG_DEFAULT_FILE;
	int warnings = 0, i;

	for (i = 0; i < cfg->error_count; i++)
		say(FAIL, "configuration", "%s", cfg->errors[i].text);

	config_warnings(cfg, config_warn, &warnings);
	if (cfg->file_mode == 0)
		say(WARN, "configuration", "%s: no such file, so the defaults "
		    "are in force", name);
	else if (warnings == 0 && cfg->error_count == 0)
		say(OK, "configuration", "%s", name);
}

static void
whitelist_complain(void *arg, int line, const char *what)
{
	say(WARN, "whitelist", "%s:%d: %s", (const char *)arg, line, what);
}

static void
geocount_complain(void *arg, int line, const char *what)
{
	say(WARN, "geocount", "%s:%d: %s", (const char *)arg, line, what);
}

static void
test_whitelist(const struct config *cfg)
{
	const char *path = cfg->whitelist.file;
	struct whitelist *w;

	if (path == NULL)
		say(SKIP, "whitelist", "whitelist.file is not set");
	else if (whitelist_load(path, &w, NULL, whitelist_complain,
		     (void *)path) != 0)
		say(errno == ENOENT ? WARN : FAIL, "whitelist", "%s: %s", path,
		    strerror(errno));
	else {
		say(OK, "whitelist", "%s: %zu entries", path,
		    whitelist_size(w));
		whitelist_free(w);
	}
}

static void
test_log(const struct config *cfg)
{
	const char *path = cfg->log.target;

	if (path[0] != '/')
		say(OK, "log", "%s", path);
	else if (access(path, W_OK) == 0)
		say(OK, "log", "%s: user %u can write", path,
		    (unsigned)geteuid());
	else
		say(FAIL, "log", "%s: user %u: %s", path, (unsigned)geteuid(),
		    strerror(errno));
}

/* Can this identity, which is the filter's, work with the cache? */
static bool
test_cache(struct statedir *d)
{
	static const char name[] = STATEDIR_TEMPORARY "selftest";
	int lock;

	if (d->path[0] == '\0') {
		say(WARN, "cache", "reputation.cache_dir is not set: every "
		    "message costs an API call");
		return false;
	}
	if (!statedir_usable(d)) {
		say(FAIL, "cache", "%s", d->problem);
		return false;
	}
	if (geteuid() == 0)
		say(WARN, "cache", "%s belongs to root; it should belong to "
		    "the user of the spawn service", d->path);
	if (statedir_write(d, name, "", 0, 0) != 0 ||
	    statedir_remove(d, name) < 0) {
		say(FAIL, "cache", "%s: cannot write: %s", d->path,
		    strerror(errno));
		return false;
	}
	lock = statedir_lock(d, STATEDIR_LOCK_PROBE, 1000);
	if (lock < 0)
		say(FAIL, "cache", "%s/" STATEDIR_LOCK ": %s", d->path,
		    strerror(errno));
	else {
		close(lock);
		say(OK, "cache", "%s: user %u can write", d->path,
		    (unsigned)geteuid());
	}
	return lock >= 0;
}

/* What geocount needs: countries, lists, the store. */
static void
test_geocount(const struct config *cfg)
{
	const char *path = cfg->geocount.database;
	char text[256];
	struct address a;
	struct place p;

	address_parse(PROBE_ADDRESS, &a);
	if (path == NULL)
		say(WARN, "geocount", "geocount.database is not set: countries "
		    "are not known");
	else if (place_find(path, &a, &p) == PLACE_ERROR)
		say(WARN, "geocount", "%s: countries are not known",
		    place_problem());
	else {
		place_describe(text, sizeof(text));
		say(OK, "geocount", "%s: %s", path, text);
	}
	place_close();
}

static void
test_blocks(const char *path)
{
	struct whitelist *w;

	if (path == NULL)
		return;
	if (whitelist_load(path, &w, NULL, geocount_complain, (void *)path) !=
	    0) {
		say(FAIL, "geocount", "%s: %s", path, strerror(errno));
		return;
	}
	say(OK, "geocount", "%s: %zu entries", path, whitelist_size(w));
	whitelist_free(w);
}

static void
test_limits(const char *path)
{
	struct limits *l;
	size_t len;
	char *text;

	if (path == NULL)
		return;
	text = file_slurp(path, LIMITS_FILE_MAX, &len, NULL);
	l = text != NULL ? limits_parse(text, len, geocount_complain,
	    (void *)path) : NULL;
	if (l == NULL)
		say(FAIL, "geocount", "%s: %s", path, strerror(errno));
	else
		say(OK, "geocount", "%s: %zu lines", path, limits_size(l));
	limits_free(l);
	free(text);
}

static void
test_store(const struct config *cfg)
{
	char error[STORE_ERROR_MAX];
	struct store_status status;
	struct store *s;

	s = store_open(cfg, cfg->store.url, error, sizeof(error));
	if (s == NULL) {
		say(FAIL, "store", "%s", error);
		return;
	}
	if (s->driver->status(s, &status) == STORE_ERROR)
		say(FAIL, "store", "%s", s->error);
	else
		say(OK, "store", "%s: %ld logins, schema %ld", status.where,
		    status.rows[STORE_LOGIN], status.schema);
	s->driver->close(s);
}

static void
test_abictl(const struct config *cfg)
{
	char path[PATH_MAX];

	if (cfg->filter.abictl != NULL)
		snprintf(path, sizeof(path), "%s", cfg->filter.abictl);
	else if (process_sibling("abictl", path, sizeof(path)) != 0) {
		say(FAIL, "abictl", "/proc/self/exe: %s", strerror(errno));
		return;
	}
	if (access(path, X_OK) == 0)
		say(OK, "abictl", "%s", path);
	else
		say(FAIL, "abictl", "%s: %s", path, strerror(errno));
}

/* Takes one of the day's calls; false, and said why, when that fails. */
static bool
call_take(const struct config *cfg, struct statedir *d, time_t now)
{
	struct budget_answer b;

	switch (budget_take(d, cfg->reputation.daily_limit, NULL, now, 1000,
	    &b)) {
	case BUDGET_ERROR:
		say(WARN, "AbuseIPDB", "calls cannot be counted: %s",
		    strerror(errno));
		return false;
	case BUDGET_REFUSED:
		say(WARN, "AbuseIPDB", "%s", b.why);
		return false;
	default:
		return true;
	}
}

/* The key, and with it one call. */
static void
test_api(const struct config *cfg, struct statedir *d)
{
	char token[ABUSEIPDB_TOKEN_MAX], reason[REST_REASON_MAX + 64];
	struct fetch_rest rest;
	const char *path = cfg->reputation.token_file;
	struct abuseipdb_answer answer;
	struct cache_score score;
	struct address a;
	struct stat st;
	time_t now = time(NULL);

	if (cfg->reputation.token == NULL && path == NULL) {
		say(WARN, "AbuseIPDB", "reputation.token is not set: no client "
		    "is judged by its score");
		return;
	}
	if (path != NULL && stat(path, &st) == 0 && (st.st_mode & 07) != 0)
		say(WARN, "AbuseIPDB", "%s: everybody can read this secret "
		    "(chmod o-rwx)", path);
	if (abuseipdb_token(cfg, token, reason, sizeof(reason)) != 0) {
		say(FAIL, "AbuseIPDB", "%s", reason);
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
	address_parse(PROBE_ADDRESS, &a);
	abuseipdb_check(cfg, token, &a, cfg->reputation.timeout * 1000, &score,
	    &answer);
	if (!answer.ok)
		say(FAIL, "AbuseIPDB", "%s: %s", cfg->reputation.url,
		    answer.reason);
	else if (answer.remaining >= 0)
		say(OK, "AbuseIPDB", "%s answers, %ld calls left today",
		    cfg->reputation.url, answer.remaining);
	else
		say(OK, "AbuseIPDB", "%s answers", cfg->reputation.url);
	/* Others shall not run into what was just found out. */
	if (answer.ok) {
		rest_clear(d, REST_API);
		rest_clear(d, REST_BUDGET);
	} else if (!answer.only_this)
		rest_set(d, answer.budget ? REST_BUDGET : REST_API, now,
		    answer.rest_until, answer.reason);
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
	if (ctl->json)
		report.json = cJSON_CreateArray();
	statedir_init(&dir, cfg->reputation.cache_dir);
	test_config(cfg);
	test_paths(cfg);
	test_log(cfg);
	if (selftest_can(cfg, "whitelist", "whitelist"))
		test_whitelist(cfg);
	if (selftest_can(cfg, "reputation", "cache"))
		test_cache(&dir);
	if (strstr(cfg->filter.checks, "geocount") != NULL &&
	    selftest_can(cfg, "geocount", "geocount")) {
		test_geocount(cfg);
		test_blocks(cfg->geocount.whitelist_file);
		test_limits(cfg->geocount.users_file);
	}
	if (selftest_can(cfg, "store", "store"))
		test_store(cfg);
	test_abictl(cfg);
	if (selftest_can(cfg, "reputation", "AbuseIPDB"))
		test_api(cfg, &dir);
	selftest_zones(cfg, &dir);
	if (selftest_can(cfg, "accounts", "accounts.command"))
		selftest_command(cfg);
	selftest_blacklist(cfg, &dir);
	selftest_postfix();
	if (report.json != NULL)
		abictl_json(report.json);
	return report.failed ? 1 : EX_OK;
}
