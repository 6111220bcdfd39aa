/*
 * tool - programs of the system, run to their end without a shell.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock.h"
#include "text.h"

#define OUTPUT_MAX 512 /* bytes that are kept */
#define LOOK_MS    50  /* between looks at a program that prints nothing */

const char *tool_path = "/usr/sbin:/usr/bin:/sbin:/bin";

/* What is known of a running program. */
struct running {
	pid_t pid;
	int out; /* reads what it prints, -1 when that has ended */
	char output[OUTPUT_MAX + 1];
	size_t len;
};

static bool
tool_find(const char *name, char *path, size_t size)
{
	const char *dir, *end;

	for (dir = tool_path; *dir != '\0'; dir = end + (*end == ':')) {
		end = strchrnul(dir, ':');
		if ((size_t)snprintf(path, size, "%.*s/%s", (int)(end - dir),
			dir, name) < size &&
		    access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* As posix_spawn(3), with the descriptors and signals that it shall have. */
static int
spawn_in(pid_t *pid, const char *path, const char *const argv[], int dir_fd,
    int keep_fd, int out)
{
	static char path_is[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char config[PATH_MAX + 16], *environment[] = { path_is, NULL, NULL };
	const char *mail_config = getenv("MAIL_CONFIG");
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int rc;

	if (mail_config != NULL &&
	    (size_t)snprintf(config, sizeof(config), "MAIL_CONFIG=%s",
		mail_config) < sizeof(config))
		environment[1] = config;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF |
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	posix_spawn_file_actions_init(&files);
	if (dir_fd >= 0)
		posix_spawn_file_actions_addfchdir_np(&files, dir_fd);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, out, 2);
	if (keep_fd >= 0)
		posix_spawn_file_actions_adddup2(&files, keep_fd, 3);
	rc = posix_spawn(pid, path, &files, &attr, (char *const *)argv,
	    environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc;
}

/* Takes what it has printed; what is too much is read and forgotten. */
static void
output_read(struct running *r)
{
	char rest[OUTPUT_MAX];
	size_t room = OUTPUT_MAX - r->len;
	ssize_t n;

	n = read(r->out, room > 0 ? r->output + r->len : rest,
	    room > 0 ? room : sizeof(rest));
	if (n > 0 && room > 0)
		r->len += (size_t)n;
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		close(r->out);
		r->out = -1;
	}
}

/* Waits for its end. False when it had to be killed. */
static bool
run_to_end(struct running *r, int64_t end, int *status)
{
	struct pollfd poll_for = { .events = POLLIN };
	pid_t ended;

	while ((ended = waitpid(r->pid, status, WNOHANG)) == 0 ||
	    (ended < 0 && errno == EINTR)) {
		if (lock_clock_ms() >= end) {
			kill(-r->pid, SIGKILL);
			while (waitpid(r->pid, status, 0) < 0 && errno == EINTR)
				;
			return false;
		}
		poll_for.fd = r->out;
		/* When it has closed its output, its end is near. */
		if (poll(&poll_for, r->out >= 0, r->out >= 0 ? LOOK_MS : 1) > 0)
			output_read(r);
	}
	poll_for.fd = r->out;
	while (r->out >= 0 && poll(&poll_for, 1, 0) > 0)
		output_read(r);
	return true;
}

/* Its first line, made printable. */
static void
output_line(struct running *r, char *out, size_t size)
{
	r->output[r->len] = '\0';
	r->output[strcspn(r->output, "\n")] = '\0';
	text_printable(out, size, text_trim(r->output));
}

static int
run_and_judge(const char *name, struct running *r, int seconds, char *error,
    size_t size)
{
	bool ended;
	char line[OUTPUT_MAX + 1];
	int status = 0;

	ended = run_to_end(r, lock_clock_ms() + seconds * INT64_C(1000),
	    &status);
	output_line(r, line, sizeof(line));
	if (!ended)
		snprintf(error, size, "%s: not done within %d s, killed", name,
		    seconds);
	else if (WIFSIGNALED(status))
		snprintf(error, size, "%s: killed by signal %d%s%s", name,
		    WTERMSIG(status), *line != '\0' ? ": " : "", line);
	else if (*line != '\0' || WEXITSTATUS(status) == 0)
		snprintf(error, size, "%s", line);
	else
		snprintf(error, size, "%s: exit status %d", name,
		    WEXITSTATUS(status));
	return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int
tool_run(const char *const argv[], int dir_fd, int keep_fd, int seconds,
    char *error, size_t size)
{
	struct sigaction act = { .sa_handler = SIG_DFL }, old_act;
	struct running r = { .out = -1 };
	char path[PATH_MAX];
	int ends[2], rc;

	if (!tool_find(argv[0], path, sizeof(path))) {
		snprintf(error, size, "%s: not found in %s", argv[0],
		    tool_path);
		return -1;
	}
	if (pipe2(ends, O_CLOEXEC) != 0) {
		snprintf(error, size, "%s: %s", argv[0], strerror(errno));
		return -1;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	/* Where children are ignored, nobody is told how one has ended. */
	sigemptyset(&act.sa_mask);
	sigaction(SIGCHLD, &act, &old_act);
	r.out = ends[0];
	rc = spawn_in(&r.pid, path, argv, dir_fd, keep_fd, ends[1]);
	close(ends[1]);
	if (rc == 0)
		rc = run_and_judge(argv[0], &r, seconds, error, size);
	else {
		snprintf(error, size, "%s: %s", path, strerror(rc));
		rc = -1;
	}
	if (r.out >= 0)
		close(r.out);
	sigaction(SIGCHLD, &old_act, NULL);
	return rc;
}
