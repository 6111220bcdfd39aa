/*
 * cache - one file per IP address with its score.
 *
 * cache_dir/IP: the first line is the score, a bare integer, as the shell
 * script wrote it; "name=value" lines follow. Freshness is judged when
 * reading, by the modification time. A torn, foreign or absurd file is a
 * miss, never a verdict.
 *
 * The addresses of an IPv6 block share a low score, in a file named after the
 * block's base; it says about which of them AbuseIPDB was asked. A score that
 * acts holds for that address alone, whose own name its file has.
 */
#ifndef CACHE_H
#define CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "base/statedir.h"

#define CACHE_TEXT_MAX 2048 /* bytes of a cache file */

/* What is known about an address. Source: AbuseIPDB API v2, endpoint check. */
struct cache_score {
	char address[ADDRESS_TEXT_MAX]; /* that was asked about; if the file
					 * does not say, the one it is named
					 * after */
	int score;        /* abuseConfidenceScore, 0..100 */
	long reporters;   /* numDistinctUsers, -1 = unknown */
	long reports;     /* totalReports, -1 = unknown */
	int tor;          /* isTor 0, 1, -1 = unknown */
	char country[3];  /* as from text_country(), "" = unknown */
	char isp[128];    /* "" = unknown */
	char usage[64];   /* usageType, "" = unknown */
	time_t fetched;   /* modification time of the file */
};

enum cache_result {
	CACHE_MISS,
	CACHE_FRESH, /* not older than cache_ttl */
	CACHE_STALE, /* older, but not older than stale_ttl */
};

/* What the reader of a cache expects of it. Times are seconds. */
struct cache_policy {
	long cache_ttl;
	long stale_ttl;
	long min_reporters; /* above 0: a score without `reporters` is a miss */
	long score;         /* a score acts from here on, */
	long ipv6_prefix;   /* and below, it serves a block of this length */
};

/* Does the check act at this score? */
bool cache_acts(const struct cache_policy *policy, const struct cache_score *s);

/*
 * The name of the file that an address shares, which also locks its block: the
 * address as text; for IPv6, the base of its block of ipv6_prefix bits.
 */
void cache_key(const struct address *a, long ipv6_prefix, char *out,
    size_t size);

/*
 * Looks up an address: its own score, or that of another address in its block
 * if that does not act. *s is set unless the result is CACHE_MISS; then only
 * s->address and s->score may be: those of a neighbour that do not hold here.
 */
enum cache_result cache_find(struct statedir *d, const struct address *a,
    const struct cache_policy *policy, time_t now, struct cache_score *s);

/*
 * Keeps what AbuseIPDB has just said about an address, where it belongs.
 * 0, or -1 with errno.
 */
int cache_keep(struct statedir *d, const struct address *a,
    const struct cache_policy *policy, const struct cache_score *s);

/* Reads one file. *s is set unless the result is CACHE_MISS. */
enum cache_result cache_get(struct statedir *d, const char *key,
    const struct cache_policy *policy, time_t now, struct cache_score *s);

/* Writes one file; mtime 0 = now. 0, or -1 with errno. */
int cache_put(struct statedir *d, const char *key, const struct cache_score *s,
    time_t mtime);

/* The text of a cache file. Reading changes it; false: it is absurd. */
bool cache_parse(char *text, struct cache_score *s);
size_t cache_format(const struct cache_score *s, char *out, size_t size);

/*
 * One fetch per key at a time, over all processes: opens the lock file anew
 * and waits for the byte that belongs to the key, at most wait_ms
 * milliseconds (0: not at all). Returns a descriptor that holds the lock until
 * it and all its copies are closed; -1 with errno, EAGAIN when another process
 * still has it.
 */
int cache_lock(struct statedir *d, const char *key, long wait_ms);

/* What a clean-up did. */
struct cache_cleaned {
	long kept, removed, failed;
};

/*
 * Removes scores older than both times to live, markers that have ended and
 * temporary files that a killed process left. Files with other names stay.
 * go_on is told of how many files it has seen; false ends it. NULL: nobody is.
 * 0, or -1 with errno.
 */
int cache_clean(struct statedir *d, const struct cache_policy *policy,
    time_t now, bool (*go_on)(int64_t seen), struct cache_cleaned *done);

#endif
