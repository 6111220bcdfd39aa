/*
 * logsink - a syslog daemon's receiving end: takes datagrams from a unix
 * socket and appends them to a file. On SIGTERM it takes what is still queued
 * and prints how many there were.
 *
 *	logsink SOCKET FILE
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define BATCH 64
#define LINE_MAX_BYTES 2048

static volatile sig_atomic_t stop;

static void
on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* The socket at path, writable by everybody, its reads ending after 0.1 s. */
static int
sink_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval wait = { .tv_usec = 100000 };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		errx(1, "%s: too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if ((fd = socket(AF_UNIX, SOCK_DGRAM, 0)) == -1)
		err(1, "socket");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1 ||
	    chmod(path, 0666) == -1)
		err(1, "%s", path);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == -1)
		err(1, "SO_RCVTIMEO");
	return fd;
}

int
main(int argc, char *argv[])
{
	static char lines[BATCH][LINE_MAX_BYTES];
	struct mmsghdr msgs[BATCH];
	struct iovec in[BATCH], out[BATCH];
	struct sigaction sa = { .sa_handler = on_term };
	unsigned long count = 0;
	int fd, log, i, n;

	if (argc != 3) {
		fprintf(stderr, "usage: logsink SOCKET FILE\n");
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (log == -1)
		err(1, "%s", argv[2]);
	fd = sink_open(argv[1]);
	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < BATCH; i++) {
		in[i].iov_base = lines[i];
		in[i].iov_len = LINE_MAX_BYTES - 1;
		msgs[i].msg_hdr.msg_iov = &in[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		n = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
		if (n <= 0) {
			if (stop)
				break;
			continue;
		}
		for (i = 0; i < n; i++) {
			lines[i][msgs[i].msg_len] = '\n';
			out[i].iov_base = lines[i];
			out[i].iov_len = msgs[i].msg_len + 1;
		}
		if (writev(log, out, n) == -1)
			err(1, "%s", argv[2]);
		count += (unsigned long)n;
	}
	printf("messages %lu\n", count);
	return 0;
}
