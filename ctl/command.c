/*
 * abictl run-command - runs accounts.command for an account and looks after it.
 *
 * The filter starts this in a session of its own and does not wait. The command
 * gets no shell, no arguments and a fixed environment; what it writes goes to
 * the log, and at its time limit its whole process group is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "filter/command.h"
#include "base/process.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define CLOSE_ON_EXEC 4U /* CLOSE_RANGE_CLOEXEC, which glibc 2.34 has */
#define OUTPUT_LINES 50 /* that are logged */
#define OUTPUT_LINE 400 /* bytes of one */

extern char **environ;

struct run {
	const char *path;
	char user[160]; /* as it is logged */
	pid_t pid;
	int status;  /* how it ended */
	int signals; /* readable when it has ended */
	int output; /* -1 when it is closed */
	int lines;  /* logged */
	char line[OUTPUT_LINE];
	size_t len;
	int64_t begin, end; /* ms */
	long seconds;       /* of the time limit */
};

/* --- what it says --- */

static void
line_log(struct run *r)
{
	r->line[r->len] = '\0';
	r->len = 0;
	if (r->lines++ < OUTPUT_LINES)
		log_info("command:%s %s: %s", r->user, r->path, r->line);
	else if (r->lines == OUTPUT_LINES + 1)
		log_warning("command:%s %s: further output is not logged",
		    r->user, r->path);
}

static void
output_add(struct run *r, const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (text[i] == '\n' || r->len == sizeof(r->line) - 1) {
			if (r->len > 0)
				line_log(r);
			if (text[i] == '\n')
				continue;
		}
		r->line[r->len++] = text[i] != '\0' ? text[i] : '?';
	}
}

/* Reads once. What is too much is read too: it must not block the command. */
static void
output_read(struct run *r)
{
	char buf[16384];
	ssize_t n = read(r->output, buf, sizeof(buf));

	if (n > 0) {
		if (r->lines <= OUTPUT_LINES)
			output_add(r, buf, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	close(r->output);
	r->output = -1;
}

/* --- running --- */

/* 0, or errno. */
static int
start(struct run *r, char **environment)
{
	char *argv[] = { (char *)r->path, NULL };
	struct process_io io = { .in = -1, .keep = -1, .directory = -1,
		.apart = PROCESS_GROUP };
	sigset_t chld;
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	r->signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	io.out = io.error = ends[1];
	rc = process_spawn(&r->pid, r->path, argv, environment, &io);
	close(ends[1]);
	r->output = ends[0];
	if (rc != 0)
		close(ends[0]);
	return rc;
}

/* It stays a zombie until its group has been killed: so long nobody else gets
 * its number. */
static bool
has_ended(const struct run *r)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)r->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == r->pid;
}

/*
 * Waits until the command has ended and nobody holds its output any more, or
 * the time is over. False when it is.
 */
static bool
watch(struct run *r, bool *ended)
{
	struct signalfd_siginfo info;
	struct pollfd fds[2];
	int64_t left;

	*ended = false;
	while (!*ended || r->output >= 0) {
		left = r->end - clock_ms();
		if (left <= 0)
			return false;
		fds[0] = (struct pollfd){ .fd = r->output, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = *ended ? -1 : r->signals,
			.events = POLLIN };
		if (poll(fds, 2, (int)left) <= 0)
			continue;
		if (fds[0].revents != 0)
			output_read(r);
		/* Also told when it is stopped. */
		if (fds[1].revents != 0 &&
		    read(r->signals, &info, sizeof(info)) > 0)
			*ended = has_ended(r);
	}
	return true;
}

/* Tells how it ended. EX_OK if it did well. */
static int
tell(const struct run *r, bool in_time, bool ended)
{
	int status = r->status;
	double seconds = (double)(clock_ms() - r->begin) / 1000;
	char limit[24];

	text_age(limit, sizeof(limit), r->seconds);
	if (!in_time)
		log_warning("command:%s %s: %s after %s "
		    "(accounts.command_timeout)", r->user, r->path,
		    ended ? "remaining processes killed" : "killed", limit);
	if (!in_time && !ended)
		return EX_TEMPFAIL;
	if (WIFSIGNALED(status))
		log_warning("command:%s %s: killed by signal %d after %.1f s",
		    r->user, r->path, WTERMSIG(status), seconds);
	else if (WEXITSTATUS(status) != 0)
		log_warning("command:%s %s: exited with status %d after %.1f s",
		    r->user, r->path, WEXITSTATUS(status), seconds);
	else
		log_info("command:%s %s: exited with status 0 after %.1f s",
		    r->user, r->path, seconds);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EX_OK :
							       EX_TEMPFAIL;
}

static int
run(struct run *r, char **environment)
{
	int rc = start(r, environment);
	bool in_time, ended;

	if (rc != 0) {
		log_warning("command:%s %s: cannot start: %s", r->user,
		    r->path, strerror(rc));
		return abictl_fail(EX_UNAVAILABLE, "%s: %s", r->path,
		    strerror(rc));
	}
	in_time = watch(r, &ended);
	if (r->len > 0)
		line_log(r);
	if (!in_time)
		kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR)
		;
	return tell(r, in_time, ended);
}

int
abictl_command(struct abictl *ctl, int argc, char **argv)
{
	struct run r = { .path = ctl->cfg.accounts.command, .output = -1,
		.signals = -1, .begin = clock_ms(),
		.seconds = ctl->cfg.accounts.command_timeout };
	const struct rlimit no_core = { 0, 0 };
	char **environment;
	struct text t;
	int status;

	(void)argc;
	if (r.path == NULL)
		return abictl_fail(EX_CONFIG, "accounts.command is not set");
	r.end = r.begin + r.seconds * 1000;
	text_init(&t, r.user, sizeof(r.user));
	text_add_field(&t, "user", argv[0], 120);
	setrlimit(RLIMIT_CORE, &no_core);
	if (chdir("/") != 0)
		return abictl_fail(EX_OSERR, "/: %s", strerror(errno));
#ifdef SYS_close_range
	/* What whoever started us had open is not the command's. */
	syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC);
#endif
	/* By hand there is no request: who it is about must be known. */
	setenv("sasl_username", argv[0], 0);
	signal(SIGCHLD, SIG_DFL);
	environment = command_environment_again(environ);
	if (environment == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	status = run(&r, environment);
	free(environment);
	if (status == EX_OK)
		abictl_say(ctl, "ran %s for %s", r.path, argv[0]);
	return status;
}
