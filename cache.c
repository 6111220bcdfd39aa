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

#include "rest.h"
#include "text.h"

#define BUDGET_FILE ".budget"
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
	long n;

	if (value == NULL)
		return true;
	*value++ = '\0';
	if (strcmp(line, "reporters") == 0)
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

/* --- one at a time --- */

/* FNV-1a: spreads keys over bytes; a collision only makes two keys wait. */
static uint32_t
key_hash(const char *key)
{
	uint32_t h = 2166136261u;

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h;
}

int
cache_lock(struct statedir *d, const char *key, long wait_ms)
{
	return statedir_lock(d, (long)key_hash(key), wait_ms);
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
	char text[REST_REASON_MAX + 64], reason[REST_REASON_MAX];
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
	if (strncmp(name, REST_PREFIX, strlen(REST_PREFIX)) == 0)
		return statedir_read(d, name, text, sizeof(text), NULL) == 1 &&
		    (!rest_parse(text, now, &until, reason, sizeof(reason)) ||
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
	bool marker = name[0] == '.';
	int lock;

	if (!outlived(d, name, policy, now)) {
		done->kept++;
		return;
	}
	lock = marker ? statedir_lock(d, STATEDIR_LOCK_REST, 1000) :
			cache_lock(d, name, 0);
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
    struct cache_cleaned *done)
{
	struct dirent *e;
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
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, STATEDIR_LOCK) != 0)
			file_clean(d, e->d_name, policy, now, done);
	}
	closedir(dir);
	return 0;
}

/* --- the daily budget: ".budget" holds "DAY COUNT", DAY since the epoch --- */

static long
budget_read(struct statedir *d, time_t now)
{
	char text[64], *count;
	long day, used;

	if (!statedir_usable(d) ||
	    statedir_read(d, BUDGET_FILE, text, sizeof(text), NULL) != 1 ||
	    (count = strchr(text, ' ')) == NULL)
		return 0;
	*count++ = '\0';
	text_trim(count);
	if (!text_number(text, 0, 0xffffffffL, &day) || day != now / 86400 ||
	    !text_number(count, 0, 1000000000, &used))
		return 0;
	return used;
}

enum cache_budget
cache_budget_take(struct statedir *d, long limit, time_t now, long wait_ms)
{
	enum cache_budget result = BUDGET_TAKEN;
	char text[64];
	long used;
	int lock, n, error;

	if (!statedir_usable(d))
		return BUDGET_TAKEN;
	lock = statedir_lock(d, STATEDIR_LOCK_BUDGET, wait_ms);
	if (lock < 0)
		return limit > 0 ? BUDGET_ERROR : BUDGET_TAKEN;
	used = budget_read(d, now);
	n = snprintf(text, sizeof(text), "%lld %ld\n", (long long)now / 86400,
	    used + 1);
	if (limit > 0 && used >= limit)
		result = BUDGET_USED_UP;
	else if (statedir_write(d, BUDGET_FILE, text, (size_t)n, 0) != 0 &&
	    limit > 0)
		result = BUDGET_ERROR;
	error = errno;
	close(lock);
	errno = error;
	return result;
}

long
cache_budget_used(struct statedir *d, time_t now)
{
	return budget_read(d, now);
}

time_t
cache_budget_reset(time_t now)
{
	return (now / 86400 + 1) * 86400;
}
