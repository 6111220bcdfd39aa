/*
 * store_redis_wire - the connection to a Redis server: TCP, a unix socket, or
 * TLS. Nothing waits beyond the deadline of the round trip at hand.
 *
 * hiredis has connections, too, but a time limit of theirs is for each read and
 * write alone, so that a server that drips bytes is waited for without an end;
 * names are looked up without any limit; and the release of Debian 12 has no
 * TLS. So hiredis gets bytes from us here, and makes those that are sent.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/resolve.h"
#include "store/redis/redis.h"
#include "base/text.h"

#define PORT 6379
#define PIECE 16384U /* bytes that are read at once */

enum store_result
redis_failed(struct redis_store *s, const char *fmt, ...)
{
	char text[STORE_ERROR_MAX * 2];
	va_list ap;
	char *secret;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* A server may say what it has been told. */
	secret = s->url.password[0] != '\0' ? strstr(text, s->url.password) :
					      NULL;
	if (secret != NULL)
		snprintf(secret, sizeof(text) - (size_t)(secret - text),
		    "(hidden)");
	snprintf(s->store.error, sizeof(s->store.error), "%s: ", s->where);
	text_printable(s->store.error + strlen(s->store.error),
	    sizeof(s->store.error) - strlen(s->store.error), text);
	s->store.failure = STORE_BROKEN;
	return STORE_ERROR;
}

void
redis_disconnect(struct redis_store *s)
{
	if (s->tls != NULL)
		redis_tls_close(s->tls);
	s->tls = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->together = s->queueing = false;
	redis_reply_drop(s);
}

/* Fails for good: whatever comes on this connection has lost its meaning. */
static bool
broken(struct redis_store *s, const char *what, const char *why)
{
	redis_failed(s, "%s: %s", what, why);
	redis_disconnect(s);
	return false;
}

/* Waits for events until `until`. 0, or -1 with errno. */
static int
await(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = until - clock_ms();
		if (left <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		n = poll(&p, 1, left < 60000 ? (int)left : 60000);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -1;
	}
}

bool
redis_stale(const struct redis_store *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return s->fd < 0 || redis_reply_rest(s) > 0 ||
	    poll(&p, 1, 0) != 0;
}

/* --- connecting --- */

/* A connected socket, or -1 with errno. */
static int
socket_connect(const struct sockaddr *sa, socklen_t len, int64_t until)
{
	int fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, error;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return -1;
	if (sa->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, sa, len) == 0)
		return fd;
	error = errno;
	if (error == EINPROGRESS &&
	    (await(fd, POLLOUT, until) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0))
		error = errno;
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

static bool
unix_connect(struct redis_store *s, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return broken(s, "connect", "the socket's path is too long");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	s->fd = socket_connect((const struct sockaddr *)&sa, sizeof(sa),
	    s->deadline);
	/* A full backlog is told at once, as if one could try again. */
	return s->fd >= 0 || broken(s, "connect", strerror(errno));
}

/* Tries one address after another; each has its share of the time. */
static bool
tcp_connect(struct redis_store *s)
{
	const char *host = s->url.host[0] != '\0' ? s->url.host : "127.0.0.1";
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	char addresses[RESOLVE_MAX][ADDRESS_TEXT_MAX], port[16];
	char error[STORE_ERROR_MAX] = "";
	int64_t now = clock_ms();
	struct addrinfo *a;
	int count, i, why = ETIMEDOUT;

	count = resolve_host(host, (long)(s->deadline - now), addresses, error,
	    sizeof(error));
	if (count <= 0)
		return broken(s, "connect", error);
	snprintf(port, sizeof(port), "%ld",
	    s->url.port != 0 ? s->url.port : (long)PORT);
	for (i = 0; i < count && s->fd < 0; i++) {
		if (getaddrinfo(addresses[i], port, &hints, &a) != 0)
			continue;
		now = clock_ms();
		s->fd = socket_connect(a->ai_addr, a->ai_addrlen,
		    now + (s->deadline - now) / (count - i));
		why = errno;
		freeaddrinfo(a);
	}
	return s->fd >= 0 || broken(s, "connect", strerror(why));
}

/*
 * Moves some bytes, or, when that cannot be done now, waits until it can: then
 * 0. -1: noted, and disconnected.
 */
static ssize_t
step(struct redis_store *s, enum redis_step step, void *bytes, size_t n)
{
	const char *what = s->tls != NULL ? "TLS" :
	    step == REDIS_READ ? "reply" : "send";
	char error[STORE_ERROR_MAX] = "the server has closed the connection";
	long done;

	if (s->tls != NULL)
		done = redis_tls_step(s->tls, step, bytes, n, error,
		    sizeof(error));
	else {
		done = step == REDIS_READ ? recv(s->fd, bytes, n, 0) :
		    send(s->fd, bytes, n, MSG_NOSIGNAL);
		if (done < 0 && (errno == EAGAIN || errno == EINTR))
			done = step == REDIS_READ ? REDIS_WANT_READ :
						    REDIS_WANT_WRITE;
		else if (done < 0)
			snprintf(error, sizeof(error), "%s", strerror(errno));
	}
	if (done > 0)
		return done;
	if (done == REDIS_WANT_READ || done == REDIS_WANT_WRITE) {
		if (await(s->fd, done == REDIS_WANT_READ ? POLLIN : POLLOUT,
			s->deadline) == 0)
			return 0;
		snprintf(error, sizeof(error), "%s", strerror(errno));
	}
	broken(s, what, error);
	return -1;
}

static bool
tls_begin(struct redis_store *s)
{
	char error[STORE_ERROR_MAX] = "";
	ssize_t done;

	s->tls = redis_tls_open(&s->url, s->fd, error, sizeof(error));
	if (s->tls == NULL)
		return broken(s, "TLS", error);
	do
		done = step(s, REDIS_CONNECT, NULL, 0);
	while (done == 0);
	return done > 0;
}

bool
redis_connect(struct redis_store *s)
{
	const char *path = store_url_parameter(&s->url, "socket");

	redis_disconnect(s);
	if (!(path != NULL ? unix_connect(s, path) : tcp_connect(s)))
		return false;
	return strcmp(s->url.scheme, "rediss") != 0 || tls_begin(s);
}

/* --- bytes --- */

bool
redis_send(struct redis_store *s, char *bytes, size_t n)
{
	ssize_t done;

	for (; n > 0; bytes += done, n -= (size_t)done) {
		done = step(s, REDIS_WRITE, bytes, n);
		if (done < 0)
			return false;
	}
	return true;
}

bool
redis_receive(struct redis_store *s, size_t limit)
{
	char bytes[PIECE];
	ssize_t n = 0;
	size_t room;

	redis_reply_begin(s, limit);
	while (redis_reply_feed(s, bytes, (size_t)n)) {
		if (s->reply != NULL)
			return true;
		room = limit - s->fed;
		if (room == 0)
			return broken(s, "reply", "longer than it may be");
		n = step(s, REDIS_READ, bytes, room < PIECE ? room : PIECE);
		if (n < 0)
			return false;
		/* A server that goes on for ever, too, comes to an end. */
		if (clock_ms() >= s->deadline)
			return broken(s, "reply", strerror(ETIMEDOUT));
	}
	return broken(s, "reply", "not of the protocol");
}
