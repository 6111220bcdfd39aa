/*
 * cache - one file per IP address with its score.
 */
#include "cache.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "filter/budget.h"
#include "base/backoff.h"
#include "base/text.h"

#define FUTURE_MAX 300        /* seconds of clock difference forgiven */
#define TEMPORARY_MAX 3600    /* seconds that a temporary file may live */

void
cache_key(const struct address *a, long ipv6_prefix, char *out, size_t size)
{
	struct address base = *a;

	if (base.family == AF_INET6)
		address_mask(&base, (int)ipv6_prefix);
	address_text(&base, out, size);
}

/* --- the text of a file --- */

/* One "name=value" line. Unknown names belong to later versions. */
static bool
field_parse(char *line, struct cache_score *s)
{
	char *value = strchr(line, '=');
	struct address a;
	long n;

	if (value == NULL)
		return true;
	*value++ = '\0';
	if (strcmp(line, "address") == 0) {
		if (!address_parse(value, &a))
			return false;
		address_text(&a, s->address, sizeof(s->address));
	} else if (strcmp(line, "reporters") == 0)
		return text_number(value, 0, 1000000000, &s->reporters);
	if (strcmp(line, "reports") == 0)
		return text_number(value, 0, 1000000000, &s->reports);
	if (strcmp(line, "tor") == 0) {
		if (!text_number(value, 0, 1, &n))
			return false;
		s->tor = (int)n;
	} else if (strcmp(line, "country") == 0)
		return text_country(value, strlen(value), s->country);
	else if (strcmp(line, "isp") == 0)
		text_printable(s->isp, sizeof(s->isp), value);
	else if (strcmp(line, "usage") == 0)
		text_printable(s->usage, sizeof(s->usage), value);
	return true;
}

bool
cache_parse(char *text, struct cache_score *s)
{
	char *line;
	bool whole;
	long score;

	memset(s, 0, sizeof(*s));
	s->reporters = s->reports = s->tor = -1;
	line = text_line(&text, &whole);
	if (line == NULL || !whole ||
	    !text_number(text_trim(line), 0, 100, &score))
		return false;
	s->score = (int)score;
	while ((line = text_line(&text, &whole)) != NULL)
		if (!whole || !field_parse(line, s))
			return false;
	return true;
}

size_t
cache_format(const struct cache_score *s, char *out, size_t size)
{
	struct text t;

	text_init(&t, out, size);
	text_addf(&t, "%d\n", s->score);
	if (strchr(s->address, ':') != NULL) /* IPv4 shares with nobody */
		text_addf(&t, "address=%s\n", s->address);
	if (s->country[0] != '\0')
		text_addf(&t, "country=%s\n", s->country);
	if (s->isp[0] != '\0')
		text_addf(&t, "isp=%s\n", s->isp);
	if (s->usage[0] != '\0')
		text_addf(&t, "usage=%s\n", s->usage);
	if (s->reporters >= 0)
		text_addf(&t, "reporters=%ld\n", s->reporters);
	if (s->reports >= 0)
		text_addf(&t, "reports=%ld\n", s->reports);
	if (s->tor >= 0)
		text_addf(&t, "tor=%d\n", s->tor);
	if (s->fetched != 0)
		text_addf(&t, "fetched=%lld\n", (long long)s->fetched);
	return t.len;
}

/* --- reading and writing --- */

enum cache_result
cache_get(struct statedir *d, const char *key,
    const struct cache_policy *policy, time_t now, struct cache_score *s)
{
	char text[CACHE_TEXT_MAX];
	time_t mtime;
	long age;

	if (!statedir_usable(d) ||
	    statedir_read(d, key, text, sizeof(text), &mtime) != 1 ||
	    !cache_parse(text, s))
		return CACHE_MISS;
	if (policy->min_reporters > 0 && s->reporters < 0)
		return CACHE_MISS;
	if (s->address[0] == '\0')
		snprintf(s->address, sizeof(s->address), "%s", key);
	s->fetched = mtime;
	age = (long)(now - mtime);
	if (age < -FUTURE_MAX)
		return CACHE_MISS; /* it would be fresh for ever */
	if (age <= policy->cache_ttl)
		return CACHE_FRESH;
	return age <= policy->stale_ttl ? CACHE_STALE : CACHE_MISS;
}

int
cache_put(struct statedir *d, const char *key, const struct cache_score *s,
    time_t mtime)
{
	char text[CACHE_TEXT_MAX];
	size_t n = cache_format(s, text, sizeof(text));

	if (!statedir_usable(d)) {
		errno = EACCES;
		return -1;
	}
	return statedir_write(d, key, text, n, mtime);
}

/* --- an address and its block --- */

bool
cache_acts(const struct cache_policy *policy, const struct cache_score *s)
{
	return s->score >= policy->score && (policy->min_reporters == 0 ||
	    s->reporters >= policy->min_reporters);
}

enum cache_result
cache_find(struct statedir *d, const struct address *a,
    const struct cache_policy *policy, time_t now, struct cache_score *s)
{
	char own[ADDRESS_TEXT_MAX], block[ADDRESS_TEXT_MAX];
	enum cache_result mine, shared;
	struct cache_score other;

	address_text(a, own, sizeof(own));
	mine = cache_get(d, own, policy, now, s);
	if (mine != CACHE_MISS && strcmp(s->address, own) != 0)
		mine = CACHE_MISS; /* that of the block it is the base of */
	if (mine == CACHE_MISS)
		memset(s, 0, sizeof(*s));
	/* A neighbour does not clear who is known to be bad. */
	if (mine == CACHE_FRESH ||
	    (mine == CACHE_STALE && cache_acts(policy, s)) ||
	    address_bits(a) <= policy->ipv6_prefix)
		return mine;
	cache_key(a, policy->ipv6_prefix, block, sizeof(block));
	shared = cache_get(d, block, policy, now, &other);
	if (shared == CACHE_MISS)
		return mine;
	if (cache_acts(policy, &other) && strcmp(other.address, own) != 0) {
		if (mine == CACHE_MISS) {
			s->score = other.score;
			memcpy(s->address, other.address, sizeof(s->address));
		}
		return mine;
	}
	if (mine == CACHE_STALE && shared == CACHE_STALE)
		return mine;
	*s = other;
	return shared;
}

int
cache_keep(struct statedir *d, const struct address *a,
    const struct cache_policy *policy, const struct cache_score *s)
{
	char own[ADDRESS_TEXT_MAX], block[ADDRESS_TEXT_MAX];
	struct cache_score kept = *s;

	address_text(a, own, sizeof(own));
	memcpy(kept.address, own, sizeof(kept.address));
	if (cache_acts(policy, s))
		return cache_put(d, own, &kept, 0);
	cache_key(a, policy->ipv6_prefix, block, sizeof(block));
	if (cache_put(d, block, &kept, 0) != 0)
		return -1;
	/* It is not bad any more. */
	if (strcmp(own, block) != 0)
		statedir_remove(d, own);
	return 0;
}

/* --- one at a time --- */

int
cache_lock(struct statedir *d, const char *key, long wait_ms)
{
	/* A collision only makes two keys wait for each other. */
	return statedir_lock(d, (long)array_hash(ARRAY_HASH, key, strlen(key)),
	    wait_ms);
}

/* --- clean-up --- */

/* How long a score may be of use. */
static long
longest_ttl(const struct cache_policy *policy)
{
	return policy->stale_ttl > policy->cache_ttl ? policy->stale_ttl :
						       policy->cache_ttl;
}

/* True when the file is ours and not needed any more. */
static bool
outlived(struct statedir *d, const char *name,
    const struct cache_policy *policy, time_t now)
{
	char text[BACKOFF_REASON_MAX + 64], reason[BACKOFF_REASON_MAX];
	struct address a;
	struct stat st;
	time_t until;
	long age;

	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	age = (long)(now - st.st_mtime);
	if (strncmp(name, STATEDIR_TEMPORARY, strlen(STATEDIR_TEMPORARY)) == 0)
		return age > TEMPORARY_MAX;
	if (strncmp(name, BUDGET_NETWORK, strlen(BUDGET_NETWORK)) == 0)
		return st.st_mtime / 86400 != now / 86400;
	if (strncmp(name, BACKOFF_PREFIX, strlen(BACKOFF_PREFIX)) == 0)
		return statedir_read(d, name, text, sizeof(text), NULL) == 1 &&
		       (!backoff_parse(
			    text, now, &until, reason, sizeof(reason)) ||
			   until <= now);
	return address_parse(name, &a) &&
	    (age > longest_ttl(policy) || age < -FUTURE_MAX);
}

/*
 * Removes a file that is not needed, unless somebody renews it right now: who
 * writes it holds the lock, and what was just written is looked at again.
 */
static void
file_clean(struct statedir *d, const char *name,
    const struct cache_policy *policy, time_t now,
    struct cache_cleaned *done)
{
	char key[ADDRESS_TEXT_MAX];
	struct address a;
	int lock;

	if (!outlived(d, name, policy, now)) {
		done->kept++;
		return;
	}
	if (address_parse(name, &a)) {
		cache_key(&a, policy->ipv6_prefix, key, sizeof(key));
		lock = cache_lock(d, key, 0);
	} else
		lock = statedir_lock(d, strncmp(name, BUDGET_NETWORK,
		    strlen(BUDGET_NETWORK)) == 0 ? STATEDIR_LOCK_BUDGET :
		    STATEDIR_LOCK_REST, 1000);
	if ((lock < 0 && errno == EAGAIN) || !outlived(d, name, policy, now))
		done->kept++;
	else if (statedir_remove(d, name) >= 0)
		done->removed++;
	else
		done->failed++;
	if (lock >= 0)
		close(lock);
}

int
cache_clean(struct statedir *d, const struct cache_policy *policy, time_t now,
    bool (*go_on)(int64_t seen), struct cache_cleaned *done)
{
	struct dirent *e;
	int64_t seen = 0;
	DIR *dir;
	int fd;

	memset(done, 0, sizeof(*done));
	if (!statedir_usable(d)) {
		errno = EACCES;
		return -1;
	}
	fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return -1;
	}
	while ((go_on == NULL || go_on(seen++)) &&
	    (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, STATEDIR_LOCK) != 0)
			file_clean(d, e->d_name, policy, now, done);
	}
	closedir(dir);
	return 0;
}
