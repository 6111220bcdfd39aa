/*
 * abuseipdb - the client of the AbuseIPDB API, version 2.
 *
 * Source: docs.abuseipdb.com. In abictl only: the filter links neither libcurl
 * nor cJSON. Everything that the server sends is treated as hostile.
 */
#ifndef ABUSEIPDB_H
#define ABUSEIPDB_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "cache.h"
#include "config/config.h"

#define ABUSEIPDB_TOKEN_MAX 256
#define ABUSEIPDB_REASON_MAX 160
#define ABUSEIPDB_CHECK_MAX (256 * 1024)       /* bytes of an answer */
#define ABUSEIPDB_LIST_MAX (64 * 1024 * 1024)

/* What a call led to. */
struct abuseipdb_answer {
	bool ok;
	bool only_this; /* the failure concerns this address, not the API */
	bool budget;    /* no calls are left */
	time_t backoff_until; /* after a failure: no calls before then */
	long remaining;    /* X-RateLimit-Remaining, -1 = not given */
	time_t reset;      /* X-RateLimit-Reset, 0 = not given */
	char reason[ABUSEIPDB_REASON_MAX]; /* of a failure, for people */
};

/*
 * The key, from reputation.token or the first line of token_file, into token
 * (ABUSEIPDB_TOKEN_MAX bytes). 0, or -1 with reason set.
 */
int abuseipdb_token(const struct config *cfg, char *token, char *reason,
    size_t size);

/*
 * Asks for one address, at most timeout_ms milliseconds. *score is set when
 * answer->ok. The caller has made sure that the address is global.
 */
void abuseipdb_check(const struct config *cfg, const char *token,
    const struct address *a, long timeout_ms, struct cache_score *score,
    struct abuseipdb_answer *answer);

/*
 * Reads the body of a check. NULL with *score set, or what is wrong with it,
 * a constant text.
 */
const char *abuseipdb_parse_check(const char *body, size_t len,
    const struct address *a, struct cache_score *score);

/* Called for each entry of the blacklist; stops when it returns false. */
typedef bool abuseipdb_entry(void *arg, const struct address *a,
    const struct cache_score *score, time_t generated);

/* Asks for the blacklist; limit 0 = as many as the API gives. */
void abuseipdb_blacklist(const struct config *cfg, const char *token,
    long limit, long timeout_ms, abuseipdb_entry *fn, void *arg,
    struct abuseipdb_answer *answer);

/* Reads the body of a blacklist, as above. */
const char *abuseipdb_parse_blacklist(const char *body, size_t len,
    time_t now, abuseipdb_entry *fn, void *arg);

#endif
