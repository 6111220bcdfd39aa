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

#include "ctl/abictl.h"
#include "ctl/abuseipdb.h"
#include "filter/budget.h"
#include "fetch.h"
#include "base/log.h"
#include "base/backoff.h"
#include "base/text.h"

/* One look-up. */
struct lookup {
	const struct config *cfg;
	struct statedir dir;
	struct address address;
	char text[ADDRESS_TEXT_MAX]; /* of it */
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
		cJSON_AddStringToObject(o, "address", l->text);
		abictl_score_json(o, l->text, s);
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

/* Nobody shall ask before `until`: `what` is the name of the marker. */
static int
rest_tell(struct lookup *l, const char *what, time_t until, const char *reason)
{
	time_t now = time(NULL);
	char left[24];

	text_age(left, sizeof(left), (long)(until - now));
	backoff_set(&l->dir, what, now, until, reason);
	rest_print(l, what, until, reason);
	if (strncmp(what, BACKOFF_IP, strlen(BACKOFF_IP)) == 0)
		log_warning("AbuseIPDB lookup of %s: %s; no lookups of this "
		    "address for %s", l->text, reason, left);
	else
		log_warning("AbuseIPDB lookup of %s: %s; no calls for %s",
		    l->text, reason, left);
	return abictl_fail(EX_UNAVAILABLE, "%s: %s", l->text, reason);
}

/* The same for this address alone. */
static int
rest_this(struct lookup *l, time_t until, const char *reason)
{
	char what[BACKOFF_WHAT_MAX];

	snprintf(what, sizeof(what), BACKOFF_IP "%s", l->text);
	return rest_tell(l, what, until, reason);
}

/* Uses what another process has found out meanwhile. -1: nothing. */
static int
known_already(struct lookup *l)
{
	struct cache_policy policy = fetch_policy(l->cfg);
	char reason[BACKOFF_REASON_MAX + 64];
	struct fetch_rest rest;
	struct cache_score s;
	time_t now = time(NULL);

	if (cache_find(&l->dir, &l->address, &policy, now, &s) == CACHE_FRESH)
		return score_print(l, &s);
	if (!fetch_resting(l->cfg, &l->dir, &l->address, now, &rest))
		return -1;
	rest_print(l, rest.what, rest.until, rest.reason);
	fetch_rest_text(&rest, now, reason, sizeof(reason));
	return abictl_fail(EX_TEMPFAIL, "%s: %s", l->text, reason);
}

/* What follows from a good answer. */
static int
score_keep(struct lookup *l, const struct cache_score *s)
{
	struct cache_policy policy = fetch_policy(l->cfg);
	time_t now = time(NULL);
	char what[BACKOFF_WHAT_MAX];

	/* It would be a miss each time, and cost a call each time. */
	if (policy.min_reporters > 0 && s->reporters < 0)
		return rest_this(l, now + 3600,
		    "the answer lacks numDistinctUsers");
	if (statedir_usable(&l->dir) &&
	    cache_keep(&l->dir, &l->address, &policy, s) != 0) {
		log_error("%s/%s: %s", l->dir.path, l->text, strerror(errno));
		snprintf(what, sizeof(what), BACKOFF_IP "%s", l->text);
		backoff_set(&l->dir, what, now, now + 300,
		    "cannot write its score to the cache");
	}
	return score_print(l, s);
}

/* What the API says about the calls that are left. */
static void
remaining_note(struct lookup *l, const struct abuseipdb_answer *answer,
    time_t now)
{
	struct budget_answer b;

	if (answer->remaining == 0)
		backoff_set(&l->dir, BACKOFF_BUDGET, now,
		    answer->reset > now ? answer->reset : budget_reset(now),
		    "X-RateLimit-Remaining is 0");
	budget_remaining(&l->dir, l->cfg->reputation.daily_limit,
	    answer->remaining, time(NULL), &b);
	if (b.why[0] != '\0')
		log_warning("AbuseIPDB: %s", b.why);
}

/* The call itself, with everything that follows from its answer. */
static int
call(struct lookup *l, const char *token, time_t now)
{
	struct abuseipdb_answer answer;
	struct cache_score s;

	abuseipdb_check(l->cfg, token, &l->address,
	    l->cfg->reputation.timeout * 1000, &s, &answer);
	if (!answer.ok && answer.only_this)
		return rest_this(l, answer.backoff_until, answer.reason);
	if (!answer.ok)
		return rest_tell(l,
		    answer.budget ? BACKOFF_BUDGET : BACKOFF_API,
		    answer.backoff_until, answer.reason);
	memcpy(s.address, l->text, sizeof(s.address));
	remaining_note(l, &answer, now);
	return score_keep(l, &s);
}

/* Makes a call, if there is one left. */
static int
ask(struct lookup *l)
{
	char token[ABUSEIPDB_TOKEN_MAX], reason[BACKOFF_REASON_MAX];
	struct budget_answer b;
	time_t now = time(NULL);

	if (abuseipdb_token(l->cfg, token, reason, sizeof(reason)) != 0)
		return rest_tell(l, BACKOFF_API, now + FETCH_REST_API, reason);
	switch (budget_take(&l->dir, l->cfg->reputation.daily_limit,
	    &l->address, now, l->cfg->reputation.timeout * 1000, &b)) {
	case BUDGET_ERROR:
		snprintf(reason, sizeof(reason), "cannot count API calls: %s",
		    strerror(errno));
		return rest_tell(l, BACKOFF_API, now + FETCH_REST_API, reason);
	case BUDGET_REFUSED: /* the last one was taken just now */
		rest_print(l, FETCH_OWN_BUDGET, b.until, b.why);
		return abictl_fail(EX_TEMPFAIL, "%s: %s", l->text, b.why);
	default:
		if (b.why[0] != '\0')
			log_warning("AbuseIPDB: %s", b.why);
		return call(l, token, now);
	}
}

/*
 * The lock of the block: the filter's, or our own. -1 when there is none and
 * none is needed, -2 when it cannot be had (errno).
 */
static int
lock_take(struct lookup *l, const struct abictl *ctl)
{
	char key[ADDRESS_TEXT_MAX];
	int fd;

	if (ctl->lock_fd >= 0 &&
	    fcntl((int)ctl->lock_fd, F_SETFD, FD_CLOEXEC) == 0)
		return (int)ctl->lock_fd;
	if (ctl->no_lock || !statedir_usable(&l->dir))
		return -1;
	cache_key(&l->address, ctl->cfg.reputation.ipv6_prefix, key,
	    sizeof(key));
	fd = cache_lock(&l->dir, key, ctl->cfg.reputation.timeout * 1000);
	return fd >= 0 ? fd : -2;
}

int
abictl_fetch_form(struct abictl *ctl, int argc, char **argv)
{
	int status = abictl_address_form(ctl, argc, argv);

	if (status == EX_OK && !address_public(&ctl->block.base))
		status = abictl_fail(EX_DATAERR,
		    "%s: not a global address: never looked up", argv[0]);
	return status;
}

int
abictl_fetch(struct abictl *ctl, int argc, char **argv)
{
	struct lookup l = { .cfg = &ctl->cfg, .json = ctl->json,
		.address = ctl->block.base,
		.for_filter = ctl->lock_fd >= 0 || ctl->no_lock };
	int status;

	(void)argc;
	(void)argv;
	statedir_init(&l.dir, ctl->cfg.reputation.cache_dir);
	address_text(&l.address, l.text, sizeof(l.text));
	/* Last resort, should a library hang: the filter writes the marker. */
	alarm((unsigned)(2 * ctl->cfg.reputation.timeout + 5));
	if (lock_take(&l, ctl) == -2)
		return abictl_fail(EX_TEMPFAIL, "%s/" STATEDIR_LOCK ": %s",
		    l.dir.path, errno == EAGAIN ?
		    "another process is already asking" : strerror(errno));
	status = known_already(&l);
	if (status < 0)
		status = ask(&l);
	/* No clean-up of libraries: a resolver thread may still hang. */
	fflush(stdout);
	_exit(status);
}
