/*
 * fetch - the filter's way to the API: it starts `abictl fetch` and waits.
 */
#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filter/budget.h"
#include "filter/child.h"
#include "base/backoff.h"
#include "base/text.h"

struct cache_policy
fetch_policy(const struct config *cfg)
{
	return (struct cache_policy){
		.cache_ttl = cfg->reputation.cache_ttl,
		.stale_ttl = cfg->reputation.stale_ttl,
		.min_reporters = cfg->reputation.min_reporters,
		.score = cfg->reputation.score,
		.ipv6_prefix = cfg->reputation.ipv6_prefix,
	};
}

/* Looks a marker up. */
static bool
marker_find(struct statedir *d, const char *what, time_t now,
    struct fetch_rest *rest)
{
	snprintf(rest->what, sizeof(rest->what), "%s", what);
	rest->until = backoff_until(d, what, now, rest->reason,
	    sizeof(rest->reason));
	if (rest->until == 0)
		memset(rest, 0, sizeof(*rest));
	return rest->until != 0;
}

bool
fetch_resting(const struct config *cfg, struct statedir *d,
    const struct address *a, time_t now, struct fetch_rest *rest)
{
	char what[BACKOFF_WHAT_MAX] = BACKOFF_IP;
	struct budget_answer b;

	memset(rest, 0, sizeof(*rest));
	if (marker_find(d, BACKOFF_API, now, rest) ||
	    marker_find(d, BACKOFF_BUDGET, now, rest))
		return true;
	if (a != NULL) {
		address_text(a, what + strlen(BACKOFF_IP), ADDRESS_TEXT_MAX);
		if (marker_find(d, what, now, rest))
			return true;
	}
	if (!budget_refused(d, cfg->reputation.daily_limit, a, now, &b))
		return false;
	snprintf(rest->what, sizeof(rest->what), FETCH_OWN_BUDGET);
	snprintf(rest->reason, sizeof(rest->reason), "%.159s", b.why);
	rest->until = b.until;
	return true;
}

bool
fetch_no_budget(const struct fetch_rest *rest)
{
	return strcmp(rest->what, FETCH_OWN_BUDGET) == 0 ||
	    strcmp(rest->what, BACKOFF_BUDGET) == 0;
}

void
fetch_rest_text(const struct fetch_rest *rest, time_t now, char *out,
    size_t size)
{
	const char *what = "no API calls";
	char left[24];

	if (strcmp(rest->what, FETCH_OWN_BUDGET) == 0) {
		snprintf(out, size, "%s", rest->reason);
		return;
	}
	if (strcmp(rest->what, BACKOFF_BUDGET) == 0)
		what = "API quota used up: no calls";
	else if (strncmp(rest->what, BACKOFF_IP, strlen(BACKOFF_IP)) == 0)
		what = "no lookups of this address";
	text_age(left, sizeof(left), (long)(rest->until - now));
	snprintf(out, size, "%s for %s more: %s", what, left, rest->reason);
}

int
fetch_parse(char *text, struct cache_score *s, struct fetch_rest *rest)
{
	char *what, *until;
	long value;

	if (strncmp(text, "rest ", 5) != 0)
		return cache_parse(text, s) ? 1 : -1;
	what = text + 5;
	until = strchr(what, ' ');
	if (until == NULL)
		return -1;
	*until++ = '\0';
	text = strchr(until, ' ');
	if (text == NULL)
		return -1;
	*text++ = '\0';
	if (!text_number(until, 1, 0x7fffffffffL, &value))
		return -1;
	text_printable(rest->what, sizeof(rest->what), what);
	text_printable(rest->reason, sizeof(rest->reason), text_trim(text));
	rest->until = (time_t)value;
	return 0;
}

/*
 * Starts `abictl fetch' with the lock and a pipe for its answer. The reading
 * end of the pipe, or -1 with reason set.
 */
static int
fetch_start(const struct config *cfg, const char *address, int lock,
    char *reason, size_t size)
{
	const char *const args[] = { "fetch",
		lock >= 0 ? "--lock-fd=3" : "--no-lock", address, NULL };
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		snprintf(reason, size, "cannot create a pipe: %s",
		    strerror(errno));
		return -1;
	}
	rc = child_start(cfg, args, ends[1], lock, NULL, reason, size);
	close(ends[1]);
	if (rc == 0)
		return ends[0];
	close(ends[0]);
	return -1;
}

/*
 * Reads until the writer closes. The length, or -1 when the time is over
 * first.
 */
static ssize_t
answer_read(int fd, char *buf, size_t size, const struct request *req)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n;

	for (;;) {
		n = poll(&p, 1, (int)request_left(req));
		if (n == 0)
			return -1;
		if (n < 0 && errno == EINTR)
			continue;
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (ssize_t)len;
}

/* The child says that nobody is to ask. */
static enum fetch_result
rest_take(struct statedir *d, time_t now, const struct fetch_rest *rest,
    char *reason, size_t size)
{
	/* It has left a marker, unless the disk is full. */
	if (strcmp(rest->what, FETCH_OWN_BUDGET) != 0)
		backoff_set(d, rest->what, now, rest->until, rest->reason);
	if (!fetch_no_budget(rest)) {
		snprintf(reason, size, "%s", rest->reason);
		return FETCH_ERROR;
	}
	fetch_rest_text(rest, now, reason, size);
	return FETCH_NO_BUDGET;
}

/* Asks a child process while this one holds the lock (-1: there is none). */
static enum fetch_result
child_ask(const struct config *cfg, struct statedir *d,
    const struct request *req, int lock, struct cache_score *s, char *reason,
    size_t size)
{
	char text[FETCH_TEXT_MAX], address[ADDRESS_TEXT_MAX];
	struct fetch_rest rest;
	time_t until;
	ssize_t len;
	int fd, rc;

	address_text(&req->client, address, sizeof(address));
	fd = fetch_start(cfg, address, lock, reason, size);
	if (fd < 0) {
		backoff_set(d, BACKOFF_API, req->now,
		    time(NULL) + FETCH_REST_API, reason);
		return FETCH_ERROR;
	}
	len = answer_read(fd, text, sizeof(text), req);
	close(fd);
	if (len < 0) {
		/*
		 * It goes on alone and fills the cache. Until it must have
		 * ended nobody else waits for such an answer.
		 */
		snprintf(reason, size, "no answer within filter.deadline");
		until = req->now + cfg->reputation.timeout;
		if (until <= time(NULL))
			until = time(NULL) + 1;
		backoff_set(d, BACKOFF_API, req->now, until, reason);
		return FETCH_ERROR;
	}
	rc = fetch_parse(text, s, &rest);
	if (rc == 1) {
		s->fetched = time(NULL);
		if (s->address[0] == '\0')
			memcpy(s->address, address, sizeof(s->address));
		return FETCH_SCORE;
	}
	if (rc == 0)
		return rest_take(d, req->now, &rest, reason, size);
	snprintf(reason, size, "abictl fetch ended without an answer");
	backoff_set(
	    d, BACKOFF_API, req->now, time(NULL) + FETCH_REST_API, reason);
	return FETCH_ERROR;
}

enum fetch_result
fetch_score(const struct config *cfg, struct statedir *d,
    const struct request *req, struct cache_score *s, char *reason, size_t size)
{
	struct cache_policy policy = fetch_policy(cfg);
	enum fetch_result result = FETCH_ERROR;
	char key[ADDRESS_TEXT_MAX];
	struct fetch_rest rest;
	int lock, error;

	if (fetch_resting(cfg, d, &req->client, req->now, &rest)) {
		fetch_rest_text(&rest, req->now, reason, size);
		return fetch_no_budget(&rest) ? FETCH_NO_BUDGET : FETCH_ERROR;
	}
	if (!statedir_usable(d))
		return child_ask(cfg, d, req, -1, s, reason, size);
	cache_key(&req->client, policy.ipv6_prefix, key, sizeof(key));
	lock = cache_lock(d, key, request_left(req));
	error = errno;
	/* Somebody else may have asked while we waited. */
	if (cache_find(d, &req->client, &policy, time(NULL), s) == CACHE_FRESH)
		result = FETCH_SCORE;
	else if (lock < 0)
		snprintf(reason, size, "%.80s/" STATEDIR_LOCK ": %s", d->path,
		    error == EAGAIN ?
			"another process was still asking at filter.deadline" :
			strerror(error));
	else if (!fetch_resting(cfg, d, &req->client, time(NULL), &rest))
		result = child_ask(cfg, d, req, lock, s, reason, size);
	else {
		fetch_rest_text(&rest, time(NULL), reason, size);
		if (fetch_no_budget(&rest))
			result = FETCH_NO_BUDGET;
	}
	if (lock >= 0)
		close(lock);
	return result;
}
