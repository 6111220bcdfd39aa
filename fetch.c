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

#include "child.h"
#include "rest.h"
#include "text.h"

struct cache_policy
fetch_policy(const struct config *cfg)
{
	return (struct cache_policy){
		.cache_ttl = cfg->reputation.cache_ttl,
		.stale_ttl = cfg->reputation.stale_ttl,
		.min_reporters = cfg->reputation.min_reporters,
	};
}

time_t
fetch_resting(struct statedir *d, const char *key, time_t now, char *what,
    char *reason, size_t size)
{
	char why[REST_REASON_MAX];
	time_t until;

	snprintf(what, REST_WHAT_MAX, "%s", REST_API);
	until = rest_until(d, what, now, why, sizeof(why));
	if (until == 0) {
		snprintf(what, REST_WHAT_MAX, REST_IP "%s", key);
		until = rest_until(d, what, now, why, sizeof(why));
	}
	if (until != 0)
		snprintf(reason, size, "API rests for %lld s more: %s",
		    (long long)(until - now), why);
	return until;
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
		snprintf(reason, size, "no pipe: %s", strerror(errno));
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

/* Asks a child process while this one holds the lock (-1: there is none). */
static bool
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
		rest_set(d, REST_API, req->now, time(NULL) + FETCH_REST_API,
		    reason);
		return false;
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
		rest_set(d, REST_API, req->now, until, reason);
		return false;
	}
	rc = fetch_parse(text, s, &rest);
	if (rc == 1) {
		s->fetched = time(NULL);
		return true;
	}
	if (rc == 0) {
		/* abictl has left a marker, unless the disk is full. */
		rest_set(d, rest.what, req->now, rest.until, rest.reason);
		snprintf(reason, size, "%s", rest.reason);
		return false;
	}
	snprintf(reason, size, "abictl fetch ended without an answer");
	rest_set(d, REST_API, req->now, time(NULL) + FETCH_REST_API, reason);
	return false;
}

bool
fetch_score(const struct config *cfg, struct statedir *d, const char *key,
    const struct request *req, struct cache_score *s, char *reason, size_t size)
{
	struct cache_policy policy = fetch_policy(cfg);
	char what[REST_WHAT_MAX];
	bool found;
	int lock, error;

	if (fetch_resting(d, key, req->now, what, reason, size) != 0)
		return false;
	if (!statedir_usable(d))
		return child_ask(cfg, d, req, -1, s, reason, size);
	lock = cache_lock(d, key, request_left(req));
	error = errno;
	/* Somebody else may have asked while we waited. */
	found = cache_get(d, key, &policy, time(NULL), s) == CACHE_FRESH;
	if (!found && lock < 0)
		snprintf(reason, size, "%.80s/" STATEDIR_LOCK ": %s", d->path,
		    error == EAGAIN ?
			"another process still asks at filter.deadline" :
			strerror(error));
	else if (!found &&
	    fetch_resting(d, key, time(NULL), what, reason, size) == 0)
		found = child_ask(cfg, d, req, lock, s, reason, size);
	if (lock >= 0)
		close(lock);
	return found;
}
