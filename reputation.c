/*
 * reputation - the AbuseIPDB score of the client's address.
 *
 * The cache answers nearly always; on a miss fetch.c has abictl ask the API.
 * When the API cannot answer, an older score is used as long as
 * reputation.stale_ttl allows.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cache.h"
#include "check.h"
#include "fetch.h"
#include "base/text.h"

/* The cache directory, kept open from one request to the next. */
static struct statedir *
cache_dir(const struct config *cfg)
{
	static struct statedir cache = { .fd = -1 };
	const char *path = cfg->reputation.cache_dir;

	if (path != NULL && strcmp(path, cache.path) != 0) {
		statedir_close(&cache);
		statedir_init(&cache, path);
	}
	return &cache;
}

static const char *
reputation_inactive(const struct config *cfg)
{
	if (cfg->reputation.token == NULL && cfg->reputation.token_file == NULL)
		return "reputation.token is not set";
	return NULL;
}

/* Where a score comes from, for people. */
static void
source_text(enum cache_result from, const struct request *req,
    const struct cache_score *s, char *out, size_t size)
{
	char age[32], own[ADDRESS_TEXT_MAX];
	struct text t;
	long seconds;

	text_init(&t, out, size);
	if (from == CACHE_MISS)
		text_add(&t, "queried now");
	else {
		seconds = (long)(req->now - s->fetched);
		text_age(age, sizeof(age), seconds > 0 ? seconds : 0);
		text_addf(&t, "%s, %s old",
		    from == CACHE_FRESH ? "cached" : "stale", age);
	}
	address_text(&req->client, own, sizeof(own));
	if (strcmp(s->address, own) != 0)
		text_addf(&t, ", for %s", s->address);
}

/* What a known score means. source: where it comes from. */
static enum outcome
judge(const struct config *cfg, const struct cache_score *s,
    const char *source, struct verdict *v)
{
	struct cache_policy policy = fetch_policy(cfg);
	bool acts = cache_acts(&policy, s);
	struct text t;

	v->score = s->score;
	memcpy(v->country, s->country, sizeof(v->country));
	text_init(&t, v->reason, sizeof(v->reason));
	text_addf(&t, "AbuseIPDB score %d, limit %ld", s->score,
	    cfg->reputation.score);
	if (s->reporters >= 0)
		text_addf(&t, ", %ld reporters", s->reporters);
	if (s->score >= cfg->reputation.score && !acts)
		text_addf(&t, ", fewer than %ld",
		    cfg->reputation.min_reporters);
	text_addf(&t, " (%s)", source);
	if (!acts)
		return OUTCOME_NONE;
	v->action = cfg->reputation.action;
	return OUTCOME_ACT;
}

/* No score is to be had now: what that means, and why. */
static enum outcome
not_known(const struct cache_score *neighbour, bool failed, const char *why,
    struct verdict *v)
{
	struct text t;

	text_init(&t, v->reason, sizeof(v->reason));
	text_add(&t, "not in the cache");
	if (neighbour->address[0] != '\0')
		text_addf(&t, " (score %d belongs to %s)", neighbour->score,
		    neighbour->address);
	text_addf(&t, "; %s", why);
	return failed ? OUTCOME_ERROR : OUTCOME_NONE;
}

/* As fetch_score() for somebody who only looks. */
static enum fetch_result
fetch_foresee(const struct config *cfg, struct statedir *cache,
    const struct request *req, char *why, size_t size)
{
	struct fetch_rest rest;

	if (fetch_resting(cfg, cache, &req->client, req->now, &rest))
		fetch_rest_text(&rest, req->now, why, size);
	else
		snprintf(why, size, "AbuseIPDB would be queried");
	return FETCH_NO_BUDGET; /* this is no error in any case */
}

static enum outcome
reputation_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	char source[256], why[192] = "";
	struct cache_policy policy = fetch_policy(cfg);
	struct statedir *cache = cache_dir(cfg);
	struct cache_score s, fetched;
	enum cache_result found;
	enum fetch_result result;
	size_t n;

	if (!req->client_known) {
		snprintf(v->reason, sizeof(v->reason), "no client address");
		return OUTCOME_NONE;
	}
	found = cache_find(cache, &req->client, &policy, req->now, &s);
	source_text(found, req, &s, source, sizeof(source));
	if (found == CACHE_FRESH)
		return judge(cfg, &s, source, v);
	if (!address_public(&req->client)) {
		snprintf(v->reason, sizeof(v->reason),
		    "not a global address: never looked up");
		return OUTCOME_NONE;
	}
	if (req->passive)
		result = fetch_foresee(cfg, cache, req, why, sizeof(why));
	else
		result = fetch_score(cfg, cache, req, &fetched, why,
		    sizeof(why));
	if (result == FETCH_SCORE) {
		v->event = "score";
		source_text(CACHE_MISS, req, &fetched, source, sizeof(source));
		return judge(cfg, &fetched, source, v);
	}
	if (found == CACHE_MISS)
		return not_known(&s, result == FETCH_ERROR, why, v);
	n = strlen(source);
	snprintf(source + n, sizeof(source) - n, "; %s", why);
	return judge(cfg, &s, source, v);
}

const struct check reputation_check = {
	.name = "reputation",
	.help = "does the client's address have a bad AbuseIPDB score?",
	.needs = "whitelist",
	.audience = AUDIENCE_UNAUTHENTICATED,
	.authenticated = offsetof(struct config, reputation.authenticated),
	.inactive = reputation_inactive,
	.run = reputation_run,
};
