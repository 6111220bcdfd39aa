/*
 * reputation - the AbuseIPDB score of the client's address.
 *
 * The cache answers nearly always; on a miss fetch.c has abictl ask the API.
 * When the API cannot answer, an older score is used as long as
 * reputation.stale_ttl allows.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cache.h"
#include "check.h"
#include "fetch.h"
#include "rest.h"
#include "text.h"

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

static enum audience
reputation_audience(const struct config *cfg)
{
	return cfg->reputation.authenticated ? AUDIENCE_ANYONE :
					       AUDIENCE_UNAUTHENTICATED;
}

/* Where a score comes from, for people. */
static void
source_text(enum cache_result from, const struct request *req,
    const struct cache_score *s, char *out, size_t size)
{
	char age[32];
	long seconds;

	if (from == CACHE_MISS) {
		snprintf(out, size, "asked now");
		return;
	}
	seconds = (long)(req->now - s->fetched);
	text_age(age, sizeof(age), seconds > 0 ? seconds : 0);
	snprintf(out, size, "%s, %s old",
	    from == CACHE_FRESH ? "cached" : "stale", age);
}

/* What a known score means. source: where it comes from. */
static enum outcome
judge(const struct config *cfg, const struct cache_score *s,
    const char *source, struct verdict *v)
{
	bool high = s->score >= cfg->reputation.score;
	bool enough = cfg->reputation.min_reporters == 0 ||
	    s->reporters >= cfg->reputation.min_reporters;
	struct text t;

	v->score = s->score;
	memcpy(v->country, s->country, sizeof(v->country));
	text_init(&t, v->reason, sizeof(v->reason));
	text_addf(&t, "AbuseIPDB score %d, limit %ld", s->score,
	    cfg->reputation.score);
	if (s->reporters >= 0)
		text_addf(&t, ", %ld reporters", s->reporters);
	if (high && !enough)
		text_addf(&t, ", fewer than %ld",
		    cfg->reputation.min_reporters);
	text_addf(&t, " (%s)", source);
	if (!high || !enough)
		return OUTCOME_NONE;
	v->action = cfg->reputation.action;
	return OUTCOME_ACT;
}

static enum outcome
reputation_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	char key[ADDRESS_TEXT_MAX], source[192], why[160] = "";
	char what[REST_WHAT_MAX];
	struct cache_policy policy = fetch_policy(cfg);
	struct statedir *cache = cache_dir(cfg);
	struct cache_score s, fetched;
	enum cache_result found;

	if (!req->client_known) {
		snprintf(v->reason, sizeof(v->reason), "no client address");
		return OUTCOME_NONE;
	}
	cache_key(&req->client, cfg->reputation.ipv6_prefix, key, sizeof(key));
	found = cache_get(cache, key, &policy, req->now, &s);
	source_text(found, req, &s, source, sizeof(source));
	if (found == CACHE_FRESH)
		return judge(cfg, &s, source, v);
	if (!address_public(&req->client)) {
		snprintf(v->reason, sizeof(v->reason),
		    "not a global address: never asked for");
		return OUTCOME_NONE;
	}
	if (req->passive) {
		if (fetch_resting(cache, key, req->now, what, why,
			sizeof(why)) == 0)
			snprintf(why, sizeof(why), "AbuseIPDB would be asked");
	} else if (fetch_score(cfg, cache, key, req, &fetched, why,
		       sizeof(why))) {
		v->news = "score";
		source_text(CACHE_MISS, req, &fetched, source, sizeof(source));
		return judge(cfg, &fetched, source, v);
	}
	if (found == CACHE_STALE) {
		snprintf(source + strlen(source),
		    sizeof(source) - strlen(source), "; %s", why);
		return judge(cfg, &s, source, v);
	}
	snprintf(v->reason, sizeof(v->reason), "not in the cache; %s", why);
	return req->passive ? OUTCOME_NONE : OUTCOME_ERROR;
}

const struct check reputation_check = {
	.name = "reputation",
	.help = "has the client's address a bad AbuseIPDB score?",
	.needs = "whitelist",
	.audience = reputation_audience,
	.inactive = reputation_inactive,
	.run = reputation_run,
};
