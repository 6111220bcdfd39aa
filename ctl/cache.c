/*
 * abictl cache - the score cache: show, drop, clean, prefetch.
 */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/cli/progress.h"
#include "ctl/abuseipdb.h"
#include "ctl/cache_keep.h"
#include "filter/budget.h"
#include "fetch.h"
#include "base/backoff.h"
#include "base/text.h"

#define PREFETCH_USUAL 10000 /* scores, without --limit */
#define PREFETCH_TIMEOUT 60 /* seconds: the list is long */

static const char *
state_name(enum cache_result state)
{
	static const char *const names[] = { "absent", "fresh", "stale" };

	return names[state];
}

void
abictl_score_json(cJSON *o, const char *address, const struct cache_score *s)
{
	if (strcmp(s->address, address) != 0)
		cJSON_AddStringToObject(o, "asked", s->address);
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
score_json(const char *address, enum cache_result state,
    const struct cache_score *s, const char *resting)
{
	cJSON *o = cJSON_CreateObject(), *neighbour;

	cJSON_AddStringToObject(o, "address", address);
	cJSON_AddStringToObject(o, "state", state_name(state));
	if (state != CACHE_MISS)
		abictl_score_json(o, address, s);
	else if (s->address[0] != '\0') {
		neighbour = cJSON_AddObjectToObject(o, "neighbour");
		cJSON_AddStringToObject(neighbour, "address", s->address);
		cJSON_AddNumberToObject(neighbour, "score", s->score);
	}
	if (resting[0] != '\0')
		cJSON_AddStringToObject(o, "resting", resting);
	return abictl_json(o);
}

static void
score_row(const char *name, size_t n, const char *value)
{
	printf("%-10.*s %s\n", (int)n, name, value);
}

static int
score_table(const char *address, enum cache_result state,
    struct cache_score *s, const char *resting, time_t now)
{
	char text[CACHE_TEXT_MAX], age[32], when[32];
	char *cursor = text, *line, *value;

	score_row("address", 7, address);
	score_row("state", 5, state_name(state));
	if (state != CACHE_MISS) {
		if (strcmp(s->address, address) != 0)
			score_row("asked", 5, s->address);
		s->address[0] = '\0';
		text_age(age, sizeof(age), (long)(now - s->fetched));
		score_row("age", 3, age);
		text_time(when, sizeof(when), s->fetched);
		score_row("fetched", 7, when);
		s->fetched = 0;
		cache_format(s, text, sizeof(text));
		score_row("score", 5, text_line(&cursor, NULL));
		while ((line = text_line(&cursor, NULL)) != NULL) {
			value = strchr(line, '=');
			score_row(line, (size_t)(value - line), value + 1);
		}
	} else if (s->address[0] != '\0')
		printf("%-10s %s has score %d, which counts for it alone\n",
		    "neighbour", s->address, s->score);
	if (resting[0] != '\0')
		score_row("resting", 7, resting);
	return EX_OK;
}

/* What is known of one address. */
static int
show_address(struct abictl *ctl, struct statedir *d)
{
	struct cache_policy policy = fetch_policy(&ctl->cfg);
	char text[ADDRESS_TEXT_MAX], resting[256] = "";
	struct fetch_rest rest;
	struct cache_score s;
	const struct address *a = &ctl->block.base;
	time_t now = time(NULL);
	enum cache_result state;

	address_text(a, text, sizeof(text));
	state = cache_find(d, a, &policy, now, &s);
	if (fetch_resting(&ctl->cfg, d, a, now, &rest))
		fetch_rest_text(&rest, now, resting, sizeof(resting));
	if (ctl->json)
		score_json(text, state, &s, resting);
	else
		score_table(text, state, &s, resting, now);
	return state == CACHE_MISS ? EXIT_ABSENT : EX_OK;
}

/* The state of the whole: calls made today, is the API resting? */
static int
show_all(struct abictl *ctl, struct statedir *d)
{
	struct fetch_rest rest;
	time_t now = time(NULL);
	long used = budget_used(d, now);
	char left[24];
	cJSON *o;

	fetch_resting(&ctl->cfg, d, NULL, now, &rest);
	if (ctl->json) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "directory", d->path);
		cJSON_AddNumberToObject(o, "calls_today", (double)used);
		cJSON_AddNumberToObject(o, "daily_limit",
		    (double)ctl->cfg.reputation.daily_limit);
		cJSON_AddNumberToObject(o, "resting_until",
		    (double)rest.until);
		cJSON_AddStringToObject(o, "reason", rest.reason);
		return abictl_json(o);
	}
	printf("directory  %s\n", d->path);
	if (ctl->cfg.reputation.daily_limit > 0)
		printf("calls      %ld of %ld today (UTC)\n", used,
		    ctl->cfg.reputation.daily_limit);
	else
		printf("calls      %ld today (UTC), no limit\n", used);
	text_age(left, sizeof(left), (long)(rest.until - now));
	if (rest.until != 0)
		printf("resting    %s more: %s\n", left, rest.reason);
	else
		printf("resting    no\n");
	return EX_OK;
}

int
abictl_cache_show(struct abictl *ctl, int argc, char **argv)
{
	struct statedir d;
	int status = cache_keep_open(&ctl->cfg, &d);

	(void)argv;
	if (status != EX_OK)
		return status;
	return argc > 0 ? show_address(ctl, &d) : show_all(ctl, &d);
}

int
abictl_cache_drop(struct abictl *ctl, int argc, char **argv)
{
	char own[ADDRESS_TEXT_MAX], block[ADDRESS_TEXT_MAX];
	char what[BACKOFF_WHAT_MAX];
	const struct address *a = &ctl->block.base;
	struct statedir d;
	bool rested;
	int mine, shared, status = cache_keep_open(&ctl->cfg, &d);

	(void)argc;
	(void)argv;
	if (status != EX_OK)
		return status;
	address_text(a, own, sizeof(own));
	cache_key(a, ctl->cfg.reputation.ipv6_prefix, block, sizeof(block));
	snprintf(what, sizeof(what), BACKOFF_IP "%s", own);
	rested = backoff_clear(&d, what);
	mine = statedir_remove(&d, own);
	shared = mine < 0 ? 0 : statedir_remove(&d, block);
	if (mine < 0 || shared < 0)
		return abictl_fail(EX_IOERR, "%s/%s: %s", d.path,
		    mine < 0 ? own : block, strerror(errno));
	if (mine == 0 && shared == 0 && !rested)
		return abictl_fail(EXIT_ABSENT, "%s: not in the cache", own);
	abictl_say(ctl, "forgot %s", own);
	return EX_OK;
}

/* How many files there are; for a person, who waits. */
static int64_t
files_count(const struct statedir *d)
{
	DIR *dir = progress_watched() ? opendir(d->path) : NULL;
	int64_t n = 0;

	while (dir != NULL && readdir(dir) != NULL)
		n++;
	if (dir != NULL)
		closedir(dir);
	return n;
}

int
abictl_cache_clean(struct abictl *ctl, int argc, char **argv)
{
	struct cache_policy policy = fetch_policy(&ctl->cfg);
	struct cache_cleaned done;
	struct statedir d;
	int error, status = cache_keep_open(&ctl->cfg, &d);

	(void)argc;
	(void)argv;
	if (status != EX_OK)
		return status;
	progress_begin("cleaning the cache", "files", files_count(&d));
	error = cache_clean(&d, &policy, time(NULL), progress_step,
	    &done) != 0 ? errno : 0;
	if (progress_end())
		return abictl_fail(EXIT_INTERRUPTED, "interrupted: %ld "
		    "removed, %ld kept; run it again for the rest",
		    done.removed, done.kept);
	if (error != 0)
		return abictl_fail(EX_IOERR, "%s: %s", d.path,
		    strerror(error));
	if (done.failed > 0)
		return abictl_fail(EX_IOERR, "%s: cannot remove %ld files",
		    d.path, done.failed);
	if (ctl->json)
		printf("{\"kept\":%ld,\"removed\":%ld}\n", done.kept,
		    done.removed);
	else
		abictl_say(ctl, "%ld removed, %ld kept", done.removed,
		    done.kept);
	return abictl_store_clean(ctl);
}

/* --- prefetch --- */

/* Writes one entry of the list, unless a newer check is there. */
static bool
prefetch_entry(void *arg, const struct address *a,
    const struct cache_score *score, time_t generated)
{
	struct cache_keeping *k = arg;

	if (address_public(a))
		cache_keep_newest(k, a, score, generated);
	return k->failed < 10 && progress_step(k->written + k->newer);
}

/* May it be done now? EX_OK, or a failure that has been told. */
static int
prefetch_prepare(struct abictl *ctl, struct statedir *d, char *token)
{
	char reason[BACKOFF_REASON_MAX];
	time_t now = time(NULL);

	if (ctl->cfg.reputation.min_reporters > 0)
		return abictl_fail(EX_CONFIG, "the list does not say how many "
		    "users reported an address: cannot prefetch with "
		    "reputation.min_reporters");
	if (abuseipdb_token(&ctl->cfg, token, reason, sizeof(reason)) != 0)
		return abictl_fail(EX_CONFIG, "%s", reason);
	if (backoff_until(d, BACKOFF_API, now, reason, sizeof(reason)) != 0 ||
	    backoff_until(d, BACKOFF_PREFETCH, now, reason, sizeof(reason)) !=
		0)
		return abictl_fail(EX_TEMPFAIL, "no API calls for now: %s",
		    reason);
	return EX_OK;
}

int
abictl_cache_prefetch(struct abictl *ctl, int argc, char **argv)
{
	char token[ABUSEIPDB_TOKEN_MAX];
	struct statedir d;
	struct cache_keeping k = { .cfg = &ctl->cfg, .dir = &d };
	struct abuseipdb_answer answer;
	int status = cache_keep_open(&ctl->cfg, &d);

	(void)argc;
	(void)argv;
	if (status == EX_OK)
		status = prefetch_prepare(ctl, &d, token);
	if (status != EX_OK)
		return status;
	progress_begin("filling the cache", "scores",
	    ctl->limit > 0 ? ctl->limit : PREFETCH_USUAL);
	abuseipdb_blacklist(&ctl->cfg, token, ctl->limit,
	    PREFETCH_TIMEOUT * 1000L, prefetch_entry, &k, &answer);
	if (progress_end())
		return abictl_fail(EXIT_INTERRUPTED, "interrupted: %ld "
		    "written, %ld newer ones kept; run it again for the rest",
		    k.written, k.newer);
	if (!answer.ok) {
		/* The list has a quota of its own. */
		backoff_set(&d, BACKOFF_PREFETCH, time(NULL),
		    answer.backoff_until, answer.reason);
		return abictl_fail(EX_UNAVAILABLE, "%s", answer.reason);
	}
	if (k.failed > 0)
		return abictl_fail(EX_IOERR, "%s: cannot write (%s)", d.path,
		    strerror(errno));
	if (ctl->json)
		printf("{\"written\":%ld,\"newer\":%ld}\n", k.written, k.newer);
	else
		abictl_say(ctl, "%ld written, %ld newer ones kept", k.written,
		    k.newer);
	return EX_OK;
}
