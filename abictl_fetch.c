/*
 * abictl fetch - look an address up now and write its cache file.
 *
 * This is what the filter runs on a cache miss, and what an administrator runs
 * to see what it would see. The score, or why there is none, is on standard
 * output when the filter asks; in every case the cache or a marker tells all
 * other processes.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abictl.h"
#include "abuseipdb.h"
#include "fetch.h"
#include "log.h"
#include "rest.h"

#define REST_LIMIT 60 /* seconds: daily_limit is used up */

/* One look-up. */
struct lookup {
	const struct config *cfg;
	struct statedir dir;
	struct address address;
	char key[ADDRESS_TEXT_MAX];
	bool for_filter; /* it reads our standard output */
	bool json;
};

static int
score_print(const struct lookup *l, const struct cache_score *s)
{
	char text[CACHE_TEXT_MAX];
	cJSON *o;

	if (l->json) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "address", l->key);
		abictl_score_json(o, s);
		return abictl_json(o);
	}
	cache_format(s, text, sizeof(text));
	fputs(text, stdout);
	return EX_OK;
}

/* The filter's answer when there is no score: see fetch_parse(). */
static void
rest_print(const struct lookup *l, const char *what, time_t until,
    const char *reason)
{
	if (l->for_filter)
		printf("rest %s %lld %s\n", what, (long long)until, reason);
}

/* Nobody shall ask before `until`. */
static int
rest_tell(struct lookup *l, bool only_this, time_t until, const char *reason)
{
	char what[REST_WHAT_MAX] = REST_API;
	time_t now = time(NULL);

	if (only_this)
		snprintf(what, sizeof(what), REST_IP "%s", l->key);
	rest_set(&l->dir, what, now, until, reason);
	rest_print(l, what, until, reason);
	log_warning("AbuseIPDB, asked for %s: %s; resting for %lld s%s", l->key,
	    reason, (long long)(until - now),
	    only_this ? ", this address only" : "");
	return abictl_fail(EX_UNAVAILABLE, "%s: %s", l->key, reason);
}

/* Uses what another process has found out meanwhile. -1: nothing. */
static int
known_already(struct lookup *l)
{
	struct cache_policy policy = fetch_policy(l->cfg);
	char reason[REST_REASON_MAX + 64], what[REST_WHAT_MAX];
	struct cache_score s;
	time_t now = time(NULL), until;

	if (cache_get(&l->dir, l->key, &policy, now, &s) == CACHE_FRESH)
		return score_print(l, &s);
	until = fetch_resting(&l->dir, l->key, now, what, reason,
	    sizeof(reason));
	if (until == 0)
		return -1;
	rest_print(l, what, until, reason);
	return abictl_fail(EX_TEMPFAIL, "%s: %s", l->key, reason);
}

/* What follows from a good answer. */
static int
score_keep(struct lookup *l, const struct cache_score *s)
{
	time_t now = time(NULL);
	char what[REST_WHAT_MAX];

	/* It would be a miss each time, and cost a call each time. */
	if (l->cfg->reputation.min_reporters > 0 && s->reporters < 0)
		return rest_tell(l, true, now + 3600,
		    "the answer does not tell numDistinctUsers");
	if (statedir_usable(&l->dir) &&
	    cache_put(&l->dir, l->key, s, 0) != 0) {
		log_error("%s/%s: %s", l->dir.path, l->key, strerror(errno));
		snprintf(what, sizeof(what), REST_IP "%s", l->key);
		rest_set(&l->dir, what, now, now + 300,
		    "its score cannot be written to the cache");
	}
	return score_print(l, s);
}

/* The call itself, with everything that follows from its answer. */
static int
ask(struct lookup *l)
{
	char token[ABUSEIPDB_TOKEN_MAX], reason[REST_REASON_MAX];
	long timeout_ms = l->cfg->reputation.timeout * 1000;
	struct abuseipdb_answer answer;
	struct cache_score s;
	time_t now = time(NULL);

	if (abuseipdb_token(l->cfg, token, reason, sizeof(reason)) != 0)
		return rest_tell(l, false, now + FETCH_REST_API, reason);
	switch (cache_budget_take(&l->dir, l->cfg->reputation.daily_limit, now,
	    timeout_ms)) {
	case BUDGET_ERROR:
		snprintf(reason, sizeof(reason), "calls cannot be counted: %s",
		    strerror(errno));
		return rest_tell(l, false, now + FETCH_REST_API, reason);
	case BUDGET_USED_UP:
		/* Not until midnight: the limit may be raised before. */
		return rest_tell(l, false, now + REST_LIMIT,
		    "reputation.daily_limit is used up");
	default:
		break;
	}
	abuseipdb_check(l->cfg, token, &l->address, timeout_ms, &s, &answer);
	if (!answer.ok)
		return rest_tell(l, answer.only_this, answer.rest_until,
		    answer.reason);
	if (answer.remaining == 0)
		rest_set(&l->dir, REST_API, now,
		    answer.reset > now ? answer.reset : cache_budget_reset(now),
		    "X-RateLimit-Remaining is 0");
	return score_keep(l, &s);
}

/*
 * The lock of the key: the filter's, or our own. -1 when there is none and
 * none is needed, -2 when it cannot be had (errno).
 */
static int
lock_take(struct lookup *l, const struct abictl *ctl)
{
	int fd;

	if (ctl->lock_fd >= 0 &&
	    fcntl((int)ctl->lock_fd, F_SETFD, FD_CLOEXEC) == 0)
		return (int)ctl->lock_fd;
	if (ctl->no_lock || !statedir_usable(&l->dir))
		return -1;
	fd = cache_lock(&l->dir, l->key, ctl->cfg.reputation.timeout * 1000);
	return fd >= 0 ? fd : -2;
}

int
abictl_fetch(struct abictl *ctl, int argc, char **argv)
{
	struct lookup l = { .cfg = &ctl->cfg, .json = ctl->json,
		.for_filter = ctl->lock_fd >= 0 || ctl->no_lock };
	int status;

	if (argc != 1)
		return EX_USAGE;
	if (!address_parse(argv[0], &l.address))
		return abictl_fail(EX_DATAERR, "%s: not an address", argv[0]);
	if (!address_public(&l.address))
		return abictl_fail(EX_DATAERR,
		    "%s: not a global address, so it is never sent", argv[0]);
	statedir_init(&l.dir, ctl->cfg.reputation.cache_dir);
	cache_key(&l.address, ctl->cfg.reputation.ipv6_prefix, l.key,
	    sizeof(l.key));
	/* Last resort, should a library hang: the filter writes the marker. */
	alarm((unsigned)(2 * ctl->cfg.reputation.timeout + 5));
	if (lock_take(&l, ctl) == -2)
		return abictl_fail(EX_TEMPFAIL, "%s/" STATEDIR_LOCK ": %s",
		    l.dir.path, errno == EAGAIN ?
		    "another process is asking" : strerror(errno));
	status = known_already(&l);
	if (status < 0)
		status = ask(&l);
	/* No clean-up of libraries: a resolver thread may still hang. */
	fflush(stdout);
	_exit(status);
}
