/*
 * unit_redis - a redis-server of a test's own: on a unix socket and a port of
 * loopback, by an unprivileged user, in the scratch directory, gone with the
 * test; and commands to it by hand.
 */
#ifndef UNIT_REDIS_H
#define UNIT_REDIS_H

#include "unit_store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "store/redis/redis.h"

static pid_t redis_pid;
static int redis_port;
static char redis_dir[96];

/* A port of loopback that nobody has at the moment. */
static inline int
redis_port_free(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

/* Becomes the server; does not come back. */
static inline void
redis_become(const char *const *options)
{
	char port[16], socket_path[128];
	const char *argv[48] = { "redis-server", "--port", port, "--bind",
		"127.0.0.1", "--unixsocket", socket_path, "--unixsocketperm",
		"777", "--dir", redis_dir, "--save", "", "--daemonize", "no",
		"--loglevel", "warning" };
	const struct passwd *pw = getpwnam("redis");
	int n = 17, log;

	snprintf(port, sizeof(port), "%d", redis_port);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", redis_dir);
	while (*options != NULL && n < 47)
		argv[n++] = *options++;
	if (pw == NULL)
		pw = getpwnam("nobody");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log = open("/dev/null", O_RDWR);
	dup2(log, 0);
	dup2(log, 1);
	dup2(log, 2);
	if (getuid() == 0 && (pw == NULL || setgroups(0, NULL) != 0 ||
	    setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0))
		_exit(98);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(97);
}

/* Starts it where it was, or anew; waits until it takes connections. */
static inline void
redis_start(const char *const *options)
{
	static const char *const none[] = { NULL };
	struct sockaddr_in sa = { .sin_family = AF_INET };
	double end = seconds() + 20;
	const struct passwd *pw;
	int fd, status;

	if (redis_dir[0] == '\0') {
		snprintf(redis_dir, sizeof(redis_dir), "%s/redis", unit_dir);
		assert_int_equal(mkdir(redis_dir, 0755), 0);
		pw = getpwnam("redis");
		if (pw == NULL)
			pw = getpwnam("nobody");
		if (getuid() == 0 && pw != NULL)
			assert_int_equal(chown(redis_dir, pw->pw_uid,
					     pw->pw_gid), 0);
		redis_port = redis_port_free();
	}
	redis_pid = fork();
	assert_true(redis_pid >= 0);
	if (redis_pid == 0)
		redis_become(options != NULL ? options : none);
	sa.sin_port = htons((uint16_t)redis_port);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
			break;
		close(fd);
		if (waitpid(redis_pid, &status, WNOHANG) == redis_pid)
			fail_msg("redis-server ends with status %#x; is it "
				 "installed?", (unsigned)status);
		if (seconds() > end)
			fail_msg("redis-server does not answer");
		usleep(2000); /* between attempts */
	}
	close(fd);
	snprintf(store_url, sizeof(store_url), "redis://127.0.0.1:%d/0",
	    redis_port);
}

static inline void
redis_kill(void)
{
	int status;

	if (redis_pid <= 0)
		return;
	kill(redis_pid, SIGCONT);
	kill(redis_pid, SIGKILL);
	assert_int_equal(waitpid(redis_pid, &status, 0), redis_pid);
	redis_pid = 0;
}

/* A command of words up to NULL; the first item that comes back. */
static inline const char *
redis_say(struct store *store, ...)
{
	struct redis_store *s = (struct redis_store *)store;
	static char said[1024], words[8192];
	size_t n = 0, count = 0;
	const char *word;
	char head[24];
	va_list ap;

	va_start(ap, store);
	while ((word = va_arg(ap, const char *)) != NULL) {
		n += (size_t)snprintf(words + n, sizeof(words) - n,
		    "$%zu\r\n%s\r\n", strlen(word), word);
		count++;
	}
	va_end(ap);
	s->store.deadline = 1LL << 60;
	if (!redis_send(s, head, (size_t)snprintf(head, sizeof(head),
	    "*%zu\r\n", count)) || !redis_send(s, words, n) ||
	    !redis_receive(s, REDIS_MUCH))
		fail_msg("%s", s->store.error);
	if (s->reply->type == REDIS_REPLY_INTEGER)
		snprintf(said, sizeof(said), "%lld",
		    (long long)redis_number(s->reply, 0));
	else
		snprintf(said, sizeof(said), "%s", redis_text(s->reply, 0));
	return said;
}

#endif
