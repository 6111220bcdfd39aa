/*
 * abictl cache - the score cache: show, drop, clean, prefetch.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abictl.h"
#include "abuseipdb.h"
#include "fetch.h"
#include "rest.h"
#include "text.h"

#define PREFETCH_TIMEOUT 60 /* seconds: the list is long */

/* Opens the directory. EX_OK, or a failure that has been told. */
static int
dir_open(struct abictl *ctl, struct statedir *d)
{
	statedir_init(d, ctl->cfg.reputation.cache_dir);
	if (statedir_usable(d))
		return EX_OK;
	return abictl_fail(EX_NOPERM, "%s", d->path[0] == '\0' ?
	    "reputation.cache_dir is not set" : d->problem);
}

static const char *
state_name(enum cache_result state)
{
	static const char *const names[] = { "absent", "fresh", "stale" };

	return names[state];
}

void
abictl_score_json(cJSON *o, const struct cache_score *s)
{
	cJSON_AddNumberToObject(o, "score", s->score);
	cJSON_AddNumberToObject(o, "fetched", (double)s->fetched);
	if (s->reporters >= 0)
		cJSON_AddNumberToObject(o, "reporters", (double)s->reporters);
	if (s->reports >= 0)
		cJSON_AddNumberToObject(o, "reports", (double)s->reports);
	if (s->tor >= 0)
		cJSON_AddBoolToObject(o, "tor", s->tor);
	if (s->country[0] != '\0')
		cJSON_AddStringToObject(o, "country", s->country);
	if (s->isp[0] != '\0')
		cJSON_AddStringToObject(o, "isp", s->isp);
	if (s->usage[0] != '\0')
		cJSON_AddStringToObject(o, "usage", s->usage);
}

static int
score_json(const char *key, enum cache_result state,
    const struct cache_score *s, const char *resting)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "address", key);
	cJSON_AddStringToObject(o, "state", state_name(state));
	if (state != CACHE_MISS)
		abictl_score_json(o, s);
	if (resting[0] != '\0')
		cJSON_AddStringToObject(o, "resting", resting);
	return abictl_json(o);
}

static int
score_table(const char *key, enum cache_result state,
    const struct cache_score *s, const char *resting, time_t now)
{
	char text[CACHE_TEXT_MAX], age[32], *cursor = text, *line, *value;

	printf("%-10s %s\n%-10s %s\n", "address", key, "state",
	    state_name(state));
	if (state != CACHE_MISS) {
		text_age(age, sizeof(age), (long)(now - s->fetched));
		printf("%-10s %s\n", "age", age);
		cache_format(s, text, sizeof(text));
		printf("%-10s %s\n", "score", text_line(&cursor, NULL));
		while ((line = text_line(&cursor, NULL)) != NULL) {
			value = strchr(line, '=');
			printf("%-10.*s %s\n", (int)(value - line), line,
			    value + 1);
		}
	}
	if (resting[0] != '\0')
		printf("%-10s %s\n", "resting", resting);
	return EX_OK;
}

/* What is known of one address. */
static int
show_address(struct abictl *ctl, struct statedir *d, const char *arg)
{
	struct cache_policy policy = fetch_policy(&ctl->cfg);
	char key[ADDRESS_TEXT_MAX], resting[256] = "", what[REST_WHAT_MAX];
	struct cache_score s;
	struct address a;
	time_t now = time(NULL);
	enum cache_result state;

	if (!address_parse(arg, &a))
		return abictl_fail(EX_DATAERR, "%s: not an address", arg);
	cache_key(&a, ctl->cfg.reputation.ipv6_prefix, key, sizeof(key));
	state = cache_get(d, key, &policy, now, &s);
	fetch_resting(d, key, now, what, resting, sizeof(resting));
	if (ctl->json)
		score_json(key, state, &s, resting);
	else
		score_table(key, state, &s, resting, now);
	return state == CACHE_MISS ? EX_UNAVAILABLE : EX_OK;
}

/* The state of the whole: calls made today, is the API resting? */
static int
show_all(struct abictl *ctl, struct statedir *d)
{
	char reason[REST_REASON_MAX] = "";
	time_t now = time(NULL), until;
	long used = cache_budget_used(d, now);
	cJSON *o;

	until = rest_until(d, REST_API, now, reason, sizeof(reason));
	if (ctl->json) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "directory", d->path);
		cJSON_AddNumberToObject(o, "calls_today", (double)used);
		cJSON_AddNumberToObject(o, "daily_limit",
		    (double)ctl->cfg.reputation.daily_limit);
		cJSON_AddNumberToObject(o, "resting_until", (double)until);
		cJSON_AddStringToObject(o, "reason", reason);
		return abictl_json(o);
	}
	printf("directory  %s\n", d->path);
	if (ctl->cfg.reputation.daily_limit > 0)
		printf("calls      %ld of %ld today (UTC)\n", used,
		    ctl->cfg.reputation.daily_limit);
	else
		printf("calls      %ld today (UTC), no limit\n", used);
	if (until != 0)
		printf("resting    %lld s more: %s\n",
		    (long long)(until - now), reason);
	else
		printf("resting    no\n");
	return EX_OK;
}

static int
drop(struct abictl *ctl, struct statedir *d, const char *arg)
{
	char key[ADDRESS_TEXT_MAX], what[REST_WHAT_MAX];
	struct address a;
	bool rested;
	int rc;

	if (!address_parse(arg, &a))
		return abictl_fail(EX_DATAERR, "%s: not an address", arg);
	cache_key(&a, ctl->cfg.reputation.ipv6_prefix, key, sizeof(key));
	snprintf(what, sizeof(what), REST_IP "%s", key);
	rested = rest_clear(d, what);
	rc = statedir_remove(d, key);
	if (rc < 0)
		return abictl_fail(EX_IOERR, "%s/%s: %s", d->path, key,
		    strerror(errno));
	if (rc == 0 && !rested)
		return abictl_fail(EX_UNAVAILABLE, "%s: not in the cache", key);
	return EX_OK;
}

static int
clean(struct abictl *ctl, struct statedir *d)
{
	struct cache_policy policy = fetch_policy(&ctl->cfg);
	struct cache_cleaned done;

	if (cache_clean(d, &policy, time(NULL), &done) != 0)
		return abictl_fail(EX_IOERR, "%s: %s", d->path,
		    strerror(errno));
	if (done.failed > 0)
		return abictl_fail(EX_IOERR, "%s: %ld files could not be "
		    "removed", d->path, done.failed);
	if (ctl->json)
		printf("{\"kept\":%ld,\"removed\":%ld}\n", done.kept,
		    done.removed);
	else if (isatty(STDOUT_FILENO)) /* cron mails whatever is said */
		printf("%ld removed, %ld kept\n", done.removed, done.kept);
	return EX_OK;
}

/* --- prefetch --- */

struct prefetch {
	struct abictl *ctl;
	struct statedir *dir;
	long written, newer, failed;
};

/* Writes one entry of the list, unless a newer check is there. */
static bool
prefetch_entry(void *arg, const struct address *a,
    const struct cache_score *score, time_t generated)
{
	struct prefetch *p = arg;
	struct cache_policy policy = fetch_policy(&p->ctl->cfg);
	char key[ADDRESS_TEXT_MAX];
	struct cache_score s;
	int lock;

	if (!address_public(a))
		return true;
	cache_key(a, p->ctl->cfg.reputation.ipv6_prefix, key, sizeof(key));
	lock = cache_lock(p->dir, key, 0);
	if (lock < 0 && errno == EAGAIN) { /* it is being checked right now */
		p->newer++;
		return true;
	}
	if (cache_get(p->dir, key, &policy, time(NULL), &s) != CACHE_MISS &&
	    s.fetched >= generated)
		p->newer++;
	else {
		s = *score;
		s.fetched = generated;
		if (cache_put(p->dir, key, &s, generated) == 0)
			p->written++;
		else
			p->failed++;
	}
	if (lock >= 0)
		close(lock);
	return p->failed < 10;
}

static int
prefetch(struct abictl *ctl, struct statedir *d)
{
	char token[ABUSEIPDB_TOKEN_MAX], reason[REST_REASON_MAX];
	struct prefetch p = { .ctl = ctl, .dir = d };
	struct abuseipdb_answer answer;
	time_t now = time(NULL);

	if (ctl->cfg.reputation.min_reporters > 0)
		return abictl_fail(EX_CONFIG, "the list does not tell how many "
		    "reported an address: no prefetch with "
		    "reputation.min_reporters");
	if (abuseipdb_token(&ctl->cfg, token, reason, sizeof(reason)) != 0)
		return abictl_fail(EX_CONFIG, "%s", reason);
	if (rest_until(d, REST_API, now, reason, sizeof(reason)) != 0 ||
	    rest_until(d, REST_PREFETCH, now, reason, sizeof(reason)) != 0)
		return abictl_fail(EX_TEMPFAIL, "API rests: %s", reason);
	abuseipdb_blacklist(&ctl->cfg, token, ctl->limit,
	    PREFETCH_TIMEOUT * 1000L, prefetch_entry, &p, &answer);
	if (!answer.ok) {
		/* The list has a quota of its own. */
		rest_set(d, REST_PREFETCH, now, answer.rest_until,
		    answer.reason);
		return abictl_fail(EX_UNAVAILABLE, "%s", answer.reason);
	}
	if (p.failed > 0)
		return abictl_fail(EX_IOERR, "%s: cannot write (%s)", d->path,
		    strerror(errno));
	if (ctl->json)
		printf("{\"written\":%ld,\"newer\":%ld}\n", p.written, p.newer);
	else
		printf("%ld written, %ld newer ones kept\n", p.written,
		    p.newer);
	return EX_OK;
}

int
abictl_cache(struct abictl *ctl, int argc, char **argv)
{
	const char *verb = argc > 0 ? argv[0] : "";
	struct statedir d;
	int status;

	if ((strcmp(verb, "show") != 0 || argc > 2) &&
	    (strcmp(verb, "drop") != 0 || argc != 2) &&
	    ((strcmp(verb, "clean") != 0 && strcmp(verb, "prefetch") != 0) ||
		argc != 1))
		return EX_USAGE;
	status = dir_open(ctl, &d);
	if (status != EX_OK)
		return status;
	if (strcmp(verb, "show") == 0)
		return argc == 2 ? show_address(ctl, &d, argv[1]) :
				   show_all(ctl, &d);
	if (strcmp(verb, "drop") == 0)
		return drop(ctl, &d, argv[1]);
	return strcmp(verb, "clean") == 0 ? clean(ctl, &d) : prefetch(ctl, &d);
}
