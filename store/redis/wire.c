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
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/redis/redis.h"

#define PORT 6379L
#define PIECE 16384U /* bytes that are read at once */

void
redis_disconnect(struct redis_store *s)
{
	redis_tls_close(s->tls);
	s->tls = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->together = false;
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

bool
redis_stale(const struct redis_store *s)
{
	return s->fd < 0 || redis_reply_rest(s) > 0 || store_stale(s->fd);
}

/* --- connecting --- */

/* Connects a new socket. False: noted. */
static bool
socket_connect(struct redis_store *s, const struct sockaddr *sa, socklen_t len)
{
	int on = 1, error = 0;
	socklen_t size = sizeof(error);

	s->fd = socket(sa->sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd >= 0 && sa->sa_family != AF_UNIX)
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A full backlog of a unix socket is told at once: EAGAIN. */
	if (s->fd < 0 || connect(s->fd, sa, len) != 0)
		error = errno;
	if (error == EINPROGRESS) {
		if (!store_wait(&s->store, s->fd, POLLOUT))
			error = ETIMEDOUT;
		else if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error,
			     &size) != 0)
			error = errno;
	}
	return error == 0 || broken(s, "connect", strerror(error));
}

static bool
unix_connect(struct redis_store *s, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return broken(s, "connect", "the socket's path is too long");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	return socket_connect(s, (const struct sockaddr *)&sa, sizeof(sa));
}

static bool
tcp_connect(struct store *store, const char *address)
{
	struct redis_store *s = (struct redis_store *)store;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	const long number = store->url.port;
	struct addrinfo *a;
	char port[16];
	bool connected;

	snprintf(port, sizeof(port), "%ld", number != 0 ? number : PORT);
	if (getaddrinfo(address, port, &hints, &a) != 0)
		return redis_failed(s, "connect: not an address");
	connected = socket_connect(s, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(a);
	return connected;
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
		if (store_wait(&s->store, s->fd,
			done == REDIS_WANT_READ ? POLLIN : POLLOUT))
			return 0;
		snprintf(error, sizeof(error), "%s", strerror(ETIMEDOUT));
	}
	broken(s, what, error);
	return -1;
}

static bool
tls_begin(struct redis_store *s)
{
	char error[STORE_ERROR_MAX] = "";
	ssize_t done;

	s->tls = redis_tls_open(&s->store.url, s->fd, error, sizeof(error));
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
	const char *path = store_url_parameter(&s->store.url, "socket");

	redis_disconnect(s);
	if (!(path != NULL ? unix_connect(s, path) :
		store_connect(&s->store, s->store.url.host[0] != '\0' ?
		    s->store.url.host : "127.0.0.1", tcp_connect)))
		return false;
	return strcmp(s->store.url.scheme, "rediss") != 0 || tls_begin(s);
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
		if (clock_ms() >= s->store.deadline)
			return broken(s, "reply", strerror(ETIMEDOUT));
	}
	return broken(s, "reply", "not of the protocol");
}
