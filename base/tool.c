/*
 * tool - programs of the system, run to their end without a shell.
 */
#include "base/process.h"
#include "base/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 512 /* of what is kept for a message */
#define LOOK_MS    50  /* between looks at a program that prints nothing */

const char *tool_path = "/usr/sbin:/usr/bin:/sbin:/bin";

/* What is known of a running program. */
struct running {
	pid_t pid;
	int in;  /* its descriptor 0, the null device if that is 0 */
	int out; /* reads what it prints, -1 when that has ended */
	bool with_errors; /* descriptor 2 goes there, too */
	char *output;
	size_t len, room; /* room: for a NUL as well */
	bool cut;
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
spawn_in(struct running *r, const char *path, const char *const argv[],
    int dir_fd, int keep_fd, int out)
{
	static char path_is[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char config[PATH_MAX + 16], *environment[] = { path_is, NULL, NULL };
	const char *mail_config = getenv("MAIL_CONFIG");
	const struct process_io io = { .in = r->in > 0 ? r->in : -1,
		.out = out, .error = r->with_errors ? out : -1,
		.keep = keep_fd, .directory = dir_fd, .apart = PROCESS_GROUP };

	if (mail_config != NULL &&
	    (size_t)snprintf(config, sizeof(config), "MAIL_CONFIG=%s",
		mail_config) < sizeof(config))
		environment[1] = config;
	return process_spawn(&r->pid, path, (char *const *)argv, environment,
	    &io);
}

/* Takes what it has printed; what is too much is read and forgotten. */
static void
output_read(struct running *r)
{
	char rest[LINE_MAX_BYTES];
	size_t room = r->room - 1 - r->len;
	ssize_t n;

	n = read(r->out, room > 0 ? r->output + r->len : rest,
	    room > 0 ? room : sizeof(rest));
	if (n > 0 && room > 0)
		r->len += (size_t)n;
	else if (n > 0)
		r->cut = true;
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
		if (clock_ms() >= end) {
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

/* The first line of what it has printed, made printable. */
static void
output_line(struct running *r, char *out, size_t size)
{
	r->output[strcspn(r->output, "\n")] = '\0';
	text_printable(out, size, text_trim(r->output));
}

/* How it has ended: 0, or -1 and what was wrong. */
static int
judge(const char *name, struct running *r, bool ended, int status, int seconds,
    char *error, size_t size)
{
	char line[LINE_MAX_BYTES + 1] = "", limit[24];

	text_age(limit, sizeof(limit), seconds);
	if (r->with_errors)
		output_line(r, line, sizeof(line));
	if (!ended)
		snprintf(error, size, "%s: not finished within %s, killed",
		    name, limit);
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

/* Where children are ignored, nobody is told how one has ended. */
static void
sigchld_default(struct sigaction *old)
{
	struct sigaction act = { .sa_handler = SIG_DFL };

	sigemptyset(&act.sa_mask);
	sigaction(SIGCHLD, &act, old);
}

/* Where it is, and a pipe for what it prints. */
static int
prepare(const char *name, char *path, int ends[2], char *error, size_t size)
{
	if (!tool_find(name, path, PATH_MAX)) {
		snprintf(error, size, "%s: not found in %s", name, tool_path);
		return -1;
	}
	if (pipe2(ends, O_CLOEXEC) != 0) {
		snprintf(error, size, "%s: %s", name, strerror(errno));
		return -1;
	}
	return 0;
}

static int
run(const char *const argv[], struct running *r, int dir_fd, int keep_fd,
    int seconds, char *error, size_t size)
{
	struct sigaction old_act;
	char path[PATH_MAX];
	int ends[2], rc, status = 0;
	bool ended;

	if (prepare(argv[0], path, ends, error, size) != 0)
		return -1;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	sigchld_default(&old_act);
	r->out = ends[0];
	rc = spawn_in(r, path, argv, dir_fd, keep_fd, ends[1]);
	close(ends[1]);
	if (rc == 0) {
		ended = run_to_end(r,
		    clock_ms() + seconds * INT64_C(1000), &status);
		r->output[r->len] = '\0';
		rc = judge(argv[0], r, ended, status, seconds, error, size);
	} else {
		snprintf(error, size, "%s: %s", path, strerror(rc));
		rc = -1;
	}
	if (r->out >= 0)
		close(r->out);
	sigaction(SIGCHLD, &old_act, NULL);
	return rc;
}

int
tool_run(const char *const argv[], int dir_fd, int keep_fd, int seconds,
    char *error, size_t size)
{
	char output[LINE_MAX_BYTES + 1];
	struct running r = { .output = output, .room = sizeof(output),
		.with_errors = true };

	return run(argv, &r, dir_fd, keep_fd, seconds, error, size);
}

int
tool_read(const char *const argv[], int seconds, char *out, size_t room,
    char *error, size_t size)
{
	struct running r = { .output = out, .room = room };

	out[0] = '\0';
	if (run(argv, &r, -1, -1, seconds, error, size) != 0)
		return -1;
	if (!r.cut && strlen(out) == r.len)
		return 0;
	snprintf(error, size, "%s: too much output", argv[0]);
	return -1;
}

int
tool_open(const char *const argv[], int in, pid_t *pid, char *error,
    size_t size)
{
	struct running r = { .in = in };
	char path[PATH_MAX];
	int ends[2], rc;

	if (prepare(argv[0], path, ends, error, size) != 0)
		return -1;
	sigchld_default(NULL);
	rc = spawn_in(&r, path, argv, -1, -1, ends[1]);
	close(ends[1]);
	if (rc != 0) {
		snprintf(error, size, "%s: %s", path, strerror(rc));
		close(ends[0]);
		return -1;
	}
	*pid = r.pid;
	return ends[0];
}

int
tool_close(const char *name, pid_t pid, bool stop, char *error, size_t size)
{
	struct running r = { .pid = pid };
	int status = 0;

	if (stop)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return stop ? 0 : judge(name, &r, true, status, 0, error, size);
}
