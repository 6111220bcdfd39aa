/*
 * policy_ask - a request at a policy service, as smtpd(8) makes it.
 */
#include "ctl/selftest/policy_ask.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static const char request[] = "request=smtpd_access_policy\n"
			      "protocol_state=RCPT\n"
			      "protocol_name=ESMTP\n"
			      "helo_name=selftest.invalid\n"
			      "queue_id=\n"
			      "sender=selftest@selftest.invalid\n"
			      "recipient=postmaster@selftest.invalid\n"
			      "recipient_count=0\n"
			      "client_address=192.0.2.1\n"
			      "client_name=unknown\n"
			      "reverse_client_name=unknown\n"
			      "instance=selftest\n"
			      "sasl_method=\n"
			      "sasl_username=\n"
			      "sasl_sender=\n"
			      "size=0\n\n";

/* Waits until fd is ready or the time `end' has come. 0, or -1 with errno. */
static int
wait_for(int fd, short events, int64_t end)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left;
	int n;

	do {
		left = end - clock_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

/* connect(2) within the time. A connected descriptor, or -1 with errno. */
static int
connect_by(const struct sockaddr *where, socklen_t len, int64_t end)
{
	int fd = socket(
	    where->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;
	socklen_t size = sizeof(error);

	if (fd < 0 || connect(fd, where, len) == 0)
		return fd;
	if (errno == EINPROGRESS && wait_for(fd, POLLOUT, end) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0) {
		if (error == 0)
			return fd;
		errno = error;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
connect_socket(const char *path, int64_t end)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(where.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(where.sun_path, path, strlen(path) + 1);
	/* EAGAIN: so many wait there that the kernel takes no more for now. */
	while ((fd = connect_by((struct sockaddr *)&where, sizeof(where),
		    end)) < 0 &&
	       errno == EAGAIN && clock_ms() < end)
		poll(NULL, 0, 20);
	return fd;
}

static int
connect_port(const char *host_port, int64_t end)
{
	const char *colon = strrchr(host_port, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	char host[256];
	int fd = -1;

	if (colon == NULL)
		colon = host_port;
	snprintf(
	    host, sizeof(host), "%.*s", (int)(colon - host_port), host_port);
	if (host[0] == '[' && strlen(host) > 1) { /* of an IPv6 address */
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	if (getaddrinfo(host[0] != '\0' ? host : "localhost",
		colon + (*colon == ':'), &hints, &list) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	for (a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_by(a->ai_addr, a->ai_addrlen, end);
	freeaddrinfo(list);
	return fd;
}

/* Reads until an empty line. Its length, or -1 with errno (0: it closed). */
static ssize_t
answer_read(int fd, char *buf, size_t size, int64_t end)
{
	size_t len = 0;
	ssize_t n;

	for (;;) {
		if (wait_for(fd, POLLIN, end) != 0)
			return -1;
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n == 0 || len + 1 == size) {
			errno = 0;
			return -1;
		}
		len += n > 0 ? (size_t)n : 0;
		buf[len] = '\0';
		if (strstr(buf, "\n\n") != NULL)
			return (ssize_t)len;
	}
}

bool
policy_listens(const char *where, bool is_socket, int wait_ms)
{
	int64_t end = clock_ms() + wait_ms;
	int fd = is_socket ? connect_socket(where, end)
			   : connect_port(where, end);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void
policy_ask(
    const char *where, bool is_socket, int wait_ms, struct policy_asked *asked)
{
	int64_t end = clock_ms() + wait_ms;
	char buf[POLICY_ASK_MAX];
	int fd;

	asked->answered = false;
	fd = is_socket ? connect_socket(where, end) : connect_port(where, end);
	if (fd < 0) {
		snprintf(
		    asked->text, sizeof(asked->text), "%s", strerror(errno));
		return;
	}
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) !=
		(ssize_t)sizeof(request) - 1 ||
	    answer_read(fd, buf, sizeof(buf), end) < 0)
		snprintf(asked->text, sizeof(asked->text), "%s",
		    errno == 0 ? "connection closed without an answer" :
				 strerror(errno));
	else if (strncmp(buf, "action=", 7) != 0)
		snprintf(asked->text, sizeof(asked->text),
		    "not an answer from a policy service");
	else {
		asked->answered = true;
		buf[strcspn(buf, "\n")] = '\0';
		text_printable(asked->text, sizeof(asked->text), buf + 7);
	}
	close(fd);
}
