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
	redis_reader_drop(&s->reader);
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

	return s->fd < 0 || redis_reader_rest(&s->reader) > 0 ||
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

/* Waits for what TLS wants. False when it will not come. */
static bool
tls_await(struct redis_store *s, long want, const char *what,
    const char *error)
{
	if (want != REDIS_WANT_READ && want != REDIS_WANT_WRITE)
		return broken(s, what, want == 0 ?
		    "the server has closed the connection" : error);
	return await(s->fd, want == REDIS_WANT_READ ? POLLIN : POLLOUT,
		   s->deadline) == 0 ||
	    broken(s, what, strerror(errno));
}

static bool
tls_begin(struct redis_store *s)
{
	char error[STORE_ERROR_MAX] = "";
	long n;

	s->tls = redis_tls_open(&s->url, s->fd, error, sizeof(error));
	if (s->tls == NULL)
		return broken(s, "TLS", error);
	while ((n = redis_tls_handshake(s->tls, error, sizeof(error))) <= 0)
		if (!tls_await(s, n, "TLS", error))
			return false;
	return true;
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
redis_send(struct redis_store *s, const char *bytes, size_t n)
{
	char error[STORE_ERROR_MAX] = "";
	ssize_t done;

	while (n > 0) {
		if (s->tls != NULL) {
			done = redis_tls_write(s->tls, bytes, n, error,
			    sizeof(error));
			if (done <= 0 && !tls_await(s, done, "TLS", error))
				return false;
		} else {
			done = send(s->fd, bytes, n, MSG_NOSIGNAL);
			if (done < 0 && errno != EAGAIN && errno != EINTR)
				return broken(s, "send", strerror(errno));
			if (done < 0 &&
			    await(s->fd, POLLOUT, s->deadline) != 0)
				return broken(s, "send", strerror(errno));
		}
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
	return true;
}

/* Reads some of what there is; nothing: waits for it. False: no more. */
static bool
some(struct redis_store *s, char *to, size_t size, size_t *n)
{
	char error[STORE_ERROR_MAX] = "";
	ssize_t got;

	*n = 0;
	if (s->tls != NULL) {
		got = redis_tls_read(s->tls, to, size, error, sizeof(error));
		if (got <= 0)
			return tls_await(s, got, "TLS", error);
	} else {
		got = recv(s->fd, to, size, 0);
		if (got == 0)
			return broken(s, "reply",
			    "the server has closed the connection");
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return broken(s, "reply", strerror(errno));
		if (got < 0)
			return await(s->fd, POLLIN, s->deadline) == 0 ||
			    broken(s, "reply", strerror(errno));
	}
	*n = (size_t)got;
	/* A server that goes on for ever, too, comes to an end. */
	return clock_ms() < s->deadline ||
	    broken(s, "reply", strerror(ETIMEDOUT));
}

bool
redis_receive(struct redis_store *s, size_t limit)
{
	char bytes[PIECE];
	size_t n = 0, room;

	redis_reader_begin(&s->reader, limit);
	for (;;) {
		switch (redis_reader_feed(&s->reader, bytes, n)) {
		case REDIS_WHOLE:
			return true;
		case REDIS_MORE:
			break;
		default:
			return broken(s, "reply", "not of the protocol");
		}
		room = redis_reader_room(&s->reader);
		if (room == 0)
			return broken(s, "reply", "longer than it may be");
		if (!some(s, bytes, room < PIECE ? room : PIECE, &n))
			return false;
	}
}
