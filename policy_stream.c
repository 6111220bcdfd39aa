/*
 * policy_stream - reading requests: the incoming side of the policy protocol.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "policy.h"

void
policy_stream_init(struct policy_stream *s, int fd)
{
	s->fd = fd;
	s->idle = NULL;
	s->start = s->end = s->scanned = 0;
}

/*
 * Looks for the end of a request. The length of its attributes with the last
 * newline, or -1 when it is not there yet. Never looks at a byte twice.
 */
static ssize_t
request_length(struct policy_stream *s)
{
	const char *newline;

	if (s->start < s->end && s->buf[s->start] == '\n')
		return 0;
	while (s->scanned + 1 < s->end) {
		newline = memchr(s->buf + s->scanned, '\n',
		    s->end - s->scanned - 1);
		if (newline == NULL) {
			s->scanned = s->end - 1;
			break;
		}
		s->scanned = (size_t)(newline - s->buf) + 1;
		if (newline[1] == '\n')
			return (ssize_t)(s->scanned - s->start);
	}
	return -1;
}

/* Lets idle() do its work while the client is silent. */
static void
stream_wait(struct policy_stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	int ms;

	while (s->idle != NULL && (ms = s->idle()) >= 0 && poll(&p, 1, ms) == 0)
		;
}

/* Reads more. 1, 0 at the end of the stream, -1 on error. */
static int
stream_fill(struct policy_stream *s)
{
	ssize_t n;

	if (s->start > 0 && (s->start == s->end || s->end == sizeof(s->buf))) {
		memmove(s->buf, s->buf + s->start, s->end - s->start);
		s->end -= s->start;
		s->scanned -= s->start;
		s->start = 0;
	}
	if (s->end == sizeof(s->buf)) {
		errno = EMSGSIZE;
		return -1;
	}
	stream_wait(s);
	while ((n = read(s->fd, s->buf + s->end,
		    sizeof(s->buf) - s->end)) < 0) {
		if (errno == EAGAIN)
			poll(&(struct pollfd){ .fd = s->fd, .events = POLLIN },
			    1, -1);
		else if (errno != EINTR)
			break;
	}
	if (n < 0)
		return -1;
	s->end += (size_t)n;
	return n > 0;
}

static enum policy_result
broken(const char *what)
{
	log_warning("malformed request: %s", what);
	return POLICY_BROKEN;
}

enum policy_result
policy_read(struct policy_stream *s, struct request *req)
{
	const char *wrong;
	ssize_t len;
	int rc;

	if (s->scanned < s->start)
		s->scanned = s->start;
	while ((len = request_length(s)) < 0) {
		rc = stream_fill(s);
		if (rc < 0)
			return broken(errno == EMSGSIZE ?
			    "too long" : strerror(errno));
		if (rc == 0 && s->start == s->end)
			return POLICY_END;
		if (rc == 0)
			return broken("no empty line at the end");
	}
	wrong = request_parse(s->buf + s->start, (size_t)len, req);
	s->start += (size_t)len + 1;
	s->scanned = s->start;
	return wrong == NULL ? POLICY_REQUEST : broken(wrong);
}
