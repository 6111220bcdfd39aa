/*
 * journal - systemd's journal, read through journalctl.
 *
 * journalctl is asked for what begins at the cursor, not after it: it passes
 * over one entry then even if the one of the cursor is not there any more. So
 * that it is there is seen from the first entry that comes.
 */
#include "logs/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/process.h"
#include "base/log.h"

#define BUFFER_SIZE 262144
#define ARGUMENTS_MAX 16
#define ARGUMENT_MAX 4200 /* a path, or a cursor, after its option */
#define COMPLAINT_MAX 256

struct journal {
	char *path; /* NULL: the system's */
	bool follow;
	long since;
	char start[JOURNAL_CURSOR_MAX];  /* where it began, "" */
	char cursor[JOURNAL_CURSOR_MAX]; /* where it stands */
	uint64_t after; /* entries up to this time are known, microseconds */
	bool begun;     /* an entry came */
	bool again;     /* it was started without the cursor */
	pid_t pid;      /* 0: it has ended */
	int fd;         /* its output */
	int complaints; /* and what it says on descriptor 2 */
	bool failed;
	char error[COMPLAINT_MAX + 64];
	struct journal_export export;
	size_t in_pos, in_len, out_len;
	char in[BUFFER_SIZE], out[BUFFER_SIZE];
};

static bool
failed(struct journal *j, const char *what, const char *why)
{
	snprintf(j->error, sizeof(j->error), "%s: %s", what, why);
	j->failed = true;
	return false;
}

/* --- the child --- */

/* Its first words, on one line. */
static void
complaint_read(const struct journal *j, char *out, size_t size)
{
	ssize_t n = pread(j->complaints, out, size - 1, 0);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static int
spawn(struct journal *j, char *const argv[], int out_fd)
{
	static char *const environment[] = { (char *)"PATH=/usr/bin:/bin",
		(char *)"LC_ALL=C", NULL };
	const struct process_io io = { .in = -1, .out = out_fd,
		.error = j->complaints, .keep = -1, .directory = -1,
		.apart = PROCESS_HERE };
	int rc = process_spawn(&j->pid, argv[0], argv, environment, &io);

	if (rc != 0)
		j->pid = 0;
	return rc;
}

/* The arguments that depend on the journal and on where to begin. */
static void
arguments(const struct journal *j, char *where, char *begin, size_t size)
{
	struct stat st;

	if (j->path == NULL)
		snprintf(where, size, "--system");
	else
		snprintf(where, size, "--%s=%s",
		    stat(j->path, &st) == 0 && S_ISDIR(st.st_mode) ?
			"directory" : "file", j->path);
	if (j->start[0] != '\0' && !j->again)
		snprintf(begin, size, "--cursor=%s", j->start);
	else if (j->after > 0)
		snprintf(begin, size, "--since=@%" PRIu64,
		    j->after / 1000000);
	else
		snprintf(begin, size, "--since=@%lld",
		    (long long)time(NULL) - j->since);
}

static bool
journalctl_start(struct journal *j)
{
	const char *program = access("/usr/bin/journalctl", X_OK) == 0 ?
	    "/usr/bin/journalctl" : "/bin/journalctl";
	char where[ARGUMENT_MAX], begin[ARGUMENT_MAX];
	const char *argv[] = { program, "--output=export", "--no-pager",
		"--quiet", "--no-tail", "--output-fields=MESSAGE,_HOSTNAME,"
		"SYSLOG_IDENTIFIER,SYSLOG_PID,_PID", where, begin,
		"SYSLOG_FACILITY=2", j->follow ? "--follow" : NULL, NULL };
	int fds[2], rc;

	arguments(j, where, begin, ARGUMENT_MAX);
	j->complaints = memfd_create("journalctl", MFD_CLOEXEC);
	if (j->complaints < 0 || pipe2(fds, O_CLOEXEC) != 0)
		return failed(j, "journal", strerror(errno));
	rc = spawn(j, (char *const *)argv, fds[1]);
	close(fds[1]);
	j->fd = fds[0];
	if (rc != 0)
		return failed(j, program, strerror(rc));
	if (j->follow)
		fcntl(j->fd, F_SETFL, O_NONBLOCK);
	return true;
}

/* Takes leave of the child; true when it went well, as far as is known. */
static bool
journalctl_end(struct journal *j, char *complaint, size_t size)
{
	int status = 0;
	pid_t pid = 0;

	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	if (j->pid > 0)
		do
			pid = waitpid(j->pid, &status, 0);
		while (pid < 0 && errno == EINTR);
	j->pid = 0;
	complaint[0] = '\0';
	if (j->complaints >= 0) {
		complaint_read(j, complaint, size);
		close(j->complaints);
	}
	j->complaints = -1;
	/* Where children are not waited for, its words are all there is. */
	return pid < 0 ? complaint[0] == '\0' : status == 0;
}

/* --- a journal --- */

struct journal *
journal_open(const char *path, const char *position, long since, bool follow,
    char *error, size_t size)
{
	struct journal *j = calloc(1, sizeof(*j));
	bool ok;

	if (j == NULL || (path != NULL && (j->path = strdup(path)) == NULL)) {
		free(j);
		snprintf(error, size, "journal: %s", strerror(ENOMEM));
		return NULL;
	}
	j->fd = j->complaints = -1;
	j->follow = follow;
	j->since = since;
	journal_export_init(&j->export);
	if (position[0] != '\0' && !journal_position_parse(position, j->start))
		ok = failed(j, "journal",
		    "the stored position cannot be understood");
	else if (path != NULL && strlen(path) > ARGUMENT_MAX - 32)
		ok = failed(j, "journal", strerror(ENAMETOOLONG));
	else if (path != NULL && access(path, R_OK) != 0)
		ok = failed(j, path, strerror(errno));
	else if (path == NULL && access("/var/log/journal", F_OK) != 0 &&
	    access("/run/log/journal", F_OK) != 0)
		ok = failed(j, "journal",
		    "neither /var/log/journal nor /run/log/journal is there");
	else
		ok = journalctl_start(j);
	memcpy(j->cursor, j->start, sizeof(j->cursor));
	if (ok)
		return j;
	snprintf(error, size, "%s", j->error);
	journal_close(j);
	return NULL;
}

void
journal_close(struct journal *j)
{
	char complaint[COMPLAINT_MAX];

	if (j->pid > 0)
		kill(j->pid, SIGTERM);
	journalctl_end(j, complaint, sizeof(complaint));
	free(j->path);
	free(j);
}

void
journal_position(const struct journal *j, char *out, size_t size)
{
	snprintf(out, size, "%s%s", j->cursor[0] != '\0' ? "journal " : "",
	    j->cursor);
}

bool
journal_over(const struct journal *j)
{
	return j->fd < 0 && j->in_pos == j->in_len;
}

int
journal_fd(const struct journal *j)
{
	return j->fd;
}

/* The time in a cursor, if it can be seen there. */
static uint64_t
cursor_time(const char *cursor)
{
	const char *t = strstr(cursor, ";t=");

	return t != NULL ? strtoull(t + 3, NULL, 16) : 0;
}

time_t
journal_position_time(const char *text)
{
	char cursor[JOURNAL_CURSOR_MAX];

	return journal_position_parse(text, cursor) ?
	    (time_t)(cursor_time(cursor) / 1000000) : 0;
}

/* The output has ended: begins anew without the cursor, if that was it. */
static bool
output_end(struct journal *j)
{
	char complaint[COMPLAINT_MAX];
	bool well = journalctl_end(j, complaint, sizeof(complaint));

	if (well && j->follow)
		return failed(j, "journalctl", "has ended");
	if (well) {
		if (complaint[0] != '\0')
			log_warning("journalctl: %s", complaint);
		return true;
	}
	if (complaint[0] == '\0')
		snprintf(complaint, sizeof(complaint), "failed");
	if (j->start[0] == '\0' || j->begun || j->again)
		return failed(j, "journalctl", complaint);
	log_warning("journalctl: %s: going on by the time", complaint);
	j->again = true;
	j->after = cursor_time(j->start);
	journal_export_init(&j->export);
	return journalctl_start(j);
}

/* An entry has come: its line into the output, which has room. */
static bool
entry_take(struct journal *j)
{
	const struct journal_export *e = &j->export;
	char position[JOURNAL_CURSOR_MAX + 8], cursor[JOURNAL_CURSOR_MAX];
	bool known = false;

	snprintf(position, sizeof(position), "journal %s", e->cursor);
	if (e->values[JOURNAL_CURSOR].cut ||
	    !journal_position_parse(position, cursor) ||
	    journal_export_time(e) == 0)
		return failed(j, "journalctl",
		    "an entry without cursor or time");
	if (!j->begun && j->start[0] != '\0' && !j->again) {
		known = strcmp(cursor, j->start) == 0;
		if (!known)
			log_warning("journal: the entry that was read last is "
				    "gone, and others may be: going on with "
				    "the next");
	}
	j->begun = true;
	if (j->after > 0 && journal_export_time(e) <= j->after)
		known = true;
	if (known)
		return true;
	j->out_len += journal_export_line(e, j->out + j->out_len,
	    sizeof(j->out) - j->out_len);
	memcpy(j->cursor, cursor, sizeof(j->cursor));
	return true;
}

/* More bytes: 1; 0: none at present; -1: failed. */
static int
input_read(struct journal *j)
{
	ssize_t n;

	do {
		if (j->fd < 0)
			return 0;
		n = read(j->fd, j->in, sizeof(j->in));
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR) {
			failed(j, "journalctl", strerror(errno));
			return -1;
		}
		if (n == 0 && !output_end(j))
			return -1;
	} while (n <= 0);
	j->in_pos = 0;
	j->in_len = (size_t)n;
	return 1;
}

/* One step: 1 go on, 0 nothing at present, -1 failed. */
static int
step(struct journal *j)
{
	size_t used;
	int rc;

	if (j->in_pos == j->in_len)
		return input_read(j);
	rc = journal_export_read(&j->export, j->in + j->in_pos,
	    j->in_len - j->in_pos, &used);
	j->in_pos += used;
	if (rc < 0)
		failed(j, "journalctl", "this is no export of a journal");
	else if (rc > 0)
		entry_take(j);
	return j->failed ? -1 : 1;
}

int
journal_read(struct journal *j, const char **text, size_t *len, char *error,
    size_t size)
{
	int rc = j->failed ? -1 : 1;

	j->out_len = 0;
	while (rc > 0 && sizeof(j->out) - j->out_len >= JOURNAL_LINE_MAX)
		rc = step(j);
	if (j->out_len > 0) {
		*text = j->out;
		*len = j->out_len;
		return 1;
	}
	if (rc < 0)
		snprintf(error, size, "%s", j->error);
	return rc < 0 ? -1 : 0;
}
