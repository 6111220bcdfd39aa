/*
 * resolve - the addresses of a server's host name, within a time limit.
 */
#include "base/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* What the child sends. */
struct answer {
	int failed; /* of getaddrinfo() */
	int count;
	char addresses[RESOLVE_MAX][ADDRESS_TEXT_MAX];
};

_Static_assert(sizeof(struct answer) <= 512, "a pipe must take it whole");

/* In the child: asks and answers. */
static void
ask(const char *host, struct answer *a)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL, *ai;

	memset(a, 0, sizeof(*a));
	a->failed = getaddrinfo(host, NULL, &hints, &list);
	if (a->failed == EAI_NONAME || a->failed == EAI_NODATA) {
		/* A host with nothing but loopback */
		a->failed = getaddrinfo(host, NULL,
		    &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &list);
	}
	for (ai = a->failed == 0 ? list : NULL;
	     ai != NULL && a->count < RESOLVE_MAX; ai = ai->ai_next)
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen,
			a->addresses[a->count], ADDRESS_TEXT_MAX, NULL, 0,
			NI_NUMERICHOST) == 0)
			a->count++;
}

/* Reads the answer. False when there was none in time. */
static bool
answer_read(int fd, struct answer *a, long wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = clock_ms() + wait_ms, left;
	int rc;

	do {
		left = end - clock_ms();
		rc = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (rc < 0 && errno == EINTR);
	return rc > 0 && read(fd, a, sizeof(*a)) == (ssize_t)sizeof(*a);
}

/* Starts the child; the end of a pipe on which it answers, -1 on failure. */
static int
child_start(const char *host, pid_t *pid)
{
	struct answer a;
	int fd[2];

	if (pipe(fd) != 0)
		return -1;
	*pid = fork();
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ask(host, &a);
		(void)!write(fd[1], &a, sizeof(a));
		_exit(0);
	}
	close(fd[1]);
	if (*pid > 0)
		return fd[0];
	close(fd[0]);
	return -1;
}

int
resolve_host(const char *host, long wait_ms,
    char out[RESOLVE_MAX][ADDRESS_TEXT_MAX], char *error, size_t size)
{
	struct answer a = { 0 };
	struct address address;
	bool answered;
	pid_t pid = -1;
	int fd;

	if (address_parse(host, &address)) {
		snprintf(out[0], ADDRESS_TEXT_MAX, "%s", host);
		return 1;
	}
	fd = child_start(host, &pid);
	if (fd < 0) {
		snprintf(error, size, "cannot look up %.100s: %s", host,
		    strerror(errno));
		return 0;
	}
	answered = answer_read(fd, &a, wait_ms);
	close(fd);
	kill(pid, SIGKILL);
	/* Where children are reaped by themselves there is none to wait for. */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (answered && a.failed == 0 && a.count > 0) {
		memcpy(out, a.addresses, sizeof(a.addresses));
		return a.count;
	}
	snprintf(error, size, "cannot look up %.100s: %s", host,
	    !answered ? "no answer in time" : gai_strerror(a.failed));
	return 0;
}
