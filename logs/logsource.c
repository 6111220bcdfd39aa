/*
 * logsource - where log lines come from, and how far they have been read.
 */
#include "logs/logsource.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "logs/journal.h"
#include "logs/logfile.h"
#include "logs/rotated.h"
#include "base/text.h"
#include "logs/unpack.h"

#define BUFFER_SIZE 262144
#define POLL_MS 1000 /* to look at a file that cannot be watched */
#define SOURCES_MAX 64

/* Standard input, or what a program prints that reads a compressed file. */
struct stream {
	int fd;
	const struct unpack *unpack; /* NULL: standard input */
	pid_t pid; /* of the program, 0 when it has ended */
	char name[PATH_MAX];
	bool begun;
	bool any; /* something was handed out */
	bool follow;
	bool over;
	bool passing; /* the rest of a line that was cut */
	size_t given, len;
	char buf[BUFFER_SIZE];
};

struct logsource {
	struct logfile *file; /* one of the three */
	struct journal *journal;
	struct stream *stream;
	char error[LOGSOURCE_ERROR_MAX];
};

/* --- standard input, compressed files --- */

/* An error; nothing comes any more. */
static bool
stream_fail(struct stream *t, char *error, size_t size, const char *why)
{
	snprintf(error, size, "%.300s: %s", t->name, why);
	t->over = true;
	return false;
}

/* The end: of a compressed file it is known only now if that was all. */
static void
stream_end(struct stream *t, char *error, size_t size)
{
	t->over = true;
	if (t->pid > 0)
		unpack_close(t->unpack, t->name, t->pid, false, error, size);
	t->pid = 0;
}

/* Compressed bytes have no lines, and should not seem to be without offence. */
static bool
stream_begin(struct stream *t, char *error, size_t size)
{
	const struct unpack *u = unpack_match(t->buf, t->len, "");
	char why[128];

	t->begun = true;
	if (u == NULL)
		return true;
	snprintf(why, sizeof(why), "compressed (%s): let `%s -dc' read it",
	    unpack_name(u), unpack_name(u));
	return stream_fail(t, error, size, why);
}

/* More bytes; false when there are none at present. */
static bool
stream_fill(struct stream *t, char *error, size_t size)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	ssize_t n;

	do {
		if (t->over || (t->follow && poll(&p, 1, 0) == 0))
			return false;
		n = read(t->fd, t->buf + t->len, BUFFER_SIZE - t->len);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n < 0)
		return stream_fail(t, error, size, strerror(errno));
	if (n == 0)
		stream_end(t, error, size);
	t->len += (size_t)n;
	return n > 0 && (t->begun || stream_begin(t, error, size));
}

/* Drops what is left of a line that was cut. */
static void
stream_pass(struct stream *t)
{
	char *nl = memchr(t->buf, '\n', t->len);

	if (nl == NULL) {
		t->len = 0;
		return;
	}
	t->len -= (size_t)(nl - t->buf) + 1;
	memmove(t->buf, nl + 1, t->len);
	t->passing = false;
}

/* How many bytes of the buffer are whole lines, or have to be one. */
static size_t
stream_lines(struct stream *t)
{
	char *nl;

	if (t->passing)
		stream_pass(t);
	nl = memrchr(t->buf, '\n', t->len);
	if (nl != NULL)
		return (size_t)(nl - t->buf) + 1;
	if (t->len == BUFFER_SIZE) {
		t->passing = true;
		t->buf[BUFFER_SIZE - 1] = '\n';
		return BUFFER_SIZE;
	}
	if (t->over && t->len > 0)
		t->buf[t->len++] = '\n';
	return t->over ? t->len : 0;
}

static int
stream_read(struct stream *t, const char **text, size_t *len, char *error,
    size_t size)
{
	bool more = true;
	size_t mark;

	t->len -= t->given;
	memmove(t->buf, t->buf + t->given, t->len);
	t->given = 0;
	error[0] = '\0';
	while ((t->given = stream_lines(t)) == 0 && more)
		more = stream_fill(t, error, size);
	if (error[0] != '\0') { /* what is left is no whole line */
		t->given = t->len = 0;
		return -1;
	}
	mark = t->any ? 0 : text_mark(t->buf, t->given);
	t->any = t->any || t->given > 0;
	*text = t->buf + mark;
	*len = t->given - mark;
	return t->given > 0;
}

static struct stream *
stream_new(const char *name, int fd, bool follow)
{
	struct stream *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->fd = fd;
	t->follow = follow;
	snprintf(t->name, sizeof(t->name), "%s", name);
	return t;
}

static void
stream_free(struct stream *t)
{
	char error[LOGSOURCE_ERROR_MAX];

	if (t->pid > 0)
		unpack_close(t->unpack, t->name, t->pid, true, error,
		    sizeof(error));
	if (t->fd != STDIN_FILENO)
		close(t->fd);
	free(t);
}

/* --- all of them --- */

const char *
logsource_packed(const char *path)
{
	const struct unpack *u = path[0] == '/' ? unpack_find(path) : NULL;

	return u != NULL ? unpack_name(u) : NULL;
}

struct logsource *
logsource_unpack(const char *path, char *error, size_t size)
{
	const struct unpack *u = unpack_find(path);
	struct logsource *s = calloc(1, sizeof(*s));

	snprintf(error, size, "%s: %s", path, strerror(ENOMEM));
	if (s != NULL)
		s->stream = stream_new(path, STDIN_FILENO, false);
	if (u == NULL)
		snprintf(error, size, "%s: not compressed", path);
	else if (s != NULL && s->stream != NULL) {
		s->stream->unpack = u;
		s->stream->begun = true;
		s->stream->fd = unpack_open(u, path, &s->stream->pid, error,
		    size);
		if (s->stream->fd >= 0)
			return s;
	}
	if (s != NULL)
		free(s->stream);
	free(s);
	return NULL;
}

struct logsource *
logsource_open(const char *what, const char *position, long since, bool follow,
    char *error, size_t size)
{
	struct logsource *s = calloc(1, sizeof(*s));
	const char *packed = logsource_packed(what);

	snprintf(error, size, "%s: %s", what, strerror(ENOMEM));
	if (s == NULL)
		return NULL;
	if (strcmp(what, "-") == 0)
		s->stream = stream_new("standard input", STDIN_FILENO, follow);
	else if (strcmp(what, "journal") == 0)
		s->journal = journal_open(NULL, position, since, follow, error,
		    size);
	else if (strncmp(what, "journal:", 8) == 0)
		s->journal = journal_open(what + 8, position, since, follow,
		    error, size);
	else if (packed != NULL)
		snprintf(error, size, "%s: compressed (%s): only `scan "
		    "--dry-run' reads it", what, packed);
	else if (what[0] == '/')
		s->file = logfile_open(what, position, error, size);
	else
		snprintf(error, size, "%s: not an absolute path", what);
	if (s->file != NULL || s->journal != NULL || s->stream != NULL)
		return s;
	free(s);
	return NULL;
}

void
logsource_close(struct logsource *s)
{
	if (s == NULL)
		return;
	if (s->file != NULL)
		logfile_close(s->file);
	if (s->journal != NULL)
		journal_close(s->journal);
	if (s->stream != NULL)
		stream_free(s->stream);
	free(s);
}

int
logsource_read(struct logsource *s, const char **text, size_t *len)
{
	if (s->file != NULL)
		return logfile_read(s->file, text, len, s->error,
		    sizeof(s->error));
	if (s->journal != NULL)
		return journal_read(s->journal, text, len, s->error,
		    sizeof(s->error));
	return stream_read(s->stream, text, len, s->error, sizeof(s->error));
}

const char *
logsource_error(const struct logsource *s)
{
	return s->error;
}

bool
logsource_over(const struct logsource *s)
{
	if (s->journal != NULL)
		return journal_over(s->journal);
	return s->stream != NULL && s->stream->over && s->stream->len == 0;
}

void
logsource_position(const struct logsource *s, char *out, size_t size)
{
	if (s->file != NULL)
		logfile_position(s->file, out, size);
	else if (s->journal != NULL)
		journal_position(s->journal, out, size);
	else
		snprintf(out, size, "%s", "");
}

time_t
logsource_after(const struct logsource *s)
{
	return s->file != NULL ? logfile_after(s->file) : 0;
}

time_t
logsource_position_time(const char *position, bool is_journal)
{
	struct rotated_mark mark;

	if (is_journal)
		return journal_position_time(position);
	return rotated_mark_parse(position, &mark) ? mark.last : 0;
}

void
logsource_counted(struct logsource *s, time_t when)
{
	if (s->file != NULL)
		logfile_counted(s->file, when);
}

int
logsource_wait(struct logsource *const *list, size_t count, long ms,
    const sigset_t *mask)
{
	struct pollfd p[SOURCES_MAX];
	struct timespec limit;
	bool look = false, one;
	size_t i;
	int rc;

	if (count > SOURCES_MAX)
		count = SOURCES_MAX;
	for (i = 0; i < count; i++) {
		p[i].events = POLLIN;
		p[i].revents = 0;
		p[i].fd = -1;
		if (list[i]->file != NULL) {
			p[i].fd = logfile_watch(list[i]->file, &one);
			look = look || (one && p[i].fd >= 0);
			if (p[i].fd < 0 && ms > POLL_MS)
				ms = POLL_MS;
		} else if (list[i]->journal != NULL)
			p[i].fd = journal_fd(list[i]->journal);
		else if (!list[i]->stream->over)
			p[i].fd = list[i]->stream->fd;
	}
	/* What came before the watch began is not told by it. */
	if (look)
		return 1;
	limit.tv_sec = ms / 1000;
	limit.tv_nsec = ms % 1000 * 1000000;
	rc = ppoll(p, count, &limit, mask);
	for (i = 0; rc > 0 && i < count; i++)
		if (list[i]->file != NULL && p[i].revents != 0)
			logfile_woken(list[i]->file);
	return rc < 0 ? -1 : rc > 0;
}
