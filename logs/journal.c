/*
 * journal - systemd's journal, read by libsystemd, as lines of a log file.
 *
 * The library is loaded when a journal is opened.
 */
#include "logs/logsource_kind.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "base/library.h"
#include "base/log.h"

#define OUT_SIZE    262144
#define WORD_MAX    255 /* of a host or a program */
#define MESSAGE_MAX 16383
#define LINE_SIZE   (MESSAGE_MAX + 1024)
#define THRESHOLD   (MESSAGE_MAX + 64) /* more of a field is not unpacked */

/* What we use of libsystemd. */
#define FUNCTIONS(F)                                                          \
	F(sd_journal_open) F(sd_journal_open_directory)                       \
	F(sd_journal_open_files) F(sd_journal_close) F(sd_journal_add_match)  \
	F(sd_journal_set_data_threshold) F(sd_journal_get_usage)              \
	F(sd_journal_seek_cursor) F(sd_journal_test_cursor)                   \
	F(sd_journal_seek_realtime_usec) F(sd_journal_next)                   \
	F(sd_journal_get_cursor) F(sd_journal_get_realtime_usec)              \
	F(sd_journal_get_data) F(sd_journal_get_fd) F(sd_journal_process)     \
	F(sd_journal_reliable_fd)

static struct {
	FUNCTIONS(LIBRARY_POINTER)
} sd;

struct journal {
	struct logsource source;
	char name[PATH_MAX]; /* the path, or "journal" */
	sd_journal *reader;
	bool follow;
	bool resumed; /* the next entry should be the one of the cursor */
	bool told;    /* that a field could not be read */
	char cursor[JOURNAL_CURSOR_MAX]; /* where it stands, "" */
	uint64_t until; /* entries up to this time are known, microseconds */
	char out[OUT_SIZE];
};

static bool
library_ready(char *error, size_t size)
{
	return library_load("libsystemd.so.0", LIBRARY_NAMES(FUNCTIONS), &sd,
	    error, size);
}

/* What libsystemd returned; -1. */
static int
failed(struct journal *j, int rc)
{
	return logsource_fail(&j->source, j->name, "%s", strerror(-rc));
}

/* --- an entry --- */

/* A field of the entry, at most max bytes; NULL when it has none. */
static const char *
field(struct journal *j, const char *name, size_t max, size_t *len)
{
	const size_t before = strlen(name) + 1; /* NAME= */
	const void *data;
	int rc = sd.sd_journal_get_data(j->reader, name, &data, len);

	if (rc < 0 && rc != -ENOENT && !j->told)
		log_warning("%s: %s of an entry, and perhaps of others: %s",
		    j->name, name, strerror(-rc));
	j->told = j->told || (rc < 0 && rc != -ENOENT);
	if (rc < 0 || *len < before) {
		*len = 0;
		return NULL;
	}
	*len -= before;
	if (*len > max)
		*len = max;
	return (const char *)data + before;
}

/* A word of a line: no blank, no bracket or colon that would end it. */
static size_t
word_put(struct journal *j, const char *name, const char *otherwise,
    char *out)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._/@+";
	size_t n, i;
	const char *p = field(j, name, WORD_MAX, &n);

	if (n == 0) {
		p = otherwise;
		n = strlen(otherwise);
	}
	for (i = 0; i < n; i++)
		out[i] = memchr(allowed, p[i], sizeof(allowed) - 1) != NULL ?
		    p[i] : '?';
	return n;
}

/* A process number in brackets, if the field is one. */
static size_t
pid_put(struct journal *j, const char *name, char *out, size_t size)
{
	size_t n, i;
	const char *p = field(j, name, 11, &n);
	int64_t pid = 0;

	for (i = 0; i < n && p[i] >= '0' && p[i] <= '9'; i++)
		pid = pid * 10 + (p[i] - '0');
	if (i < n || pid == 0 || pid > INT32_MAX)
		return 0;
	return (size_t)snprintf(out, size, "[%d]", (int)pid);
}

/*
 * The entry as a line of a log file with its newline: one line, whatever is
 * in it. Its length; 0 when it has no message. out: LINE_SIZE.
 */
static size_t
line_put(struct journal *j, uint64_t us, char *out)
{
	const time_t sec = (time_t)(us / 1000000);
	const char *p;
	size_t n, len, i;
	struct tm tm;

	if (gmtime_r(&sec, &tm) == NULL)
		return 0;
	n = strftime(out, LINE_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(out + n, LINE_SIZE - n, ".%06u+00:00 ",
	    (unsigned)(us % 1000000));
	n += word_put(j, "_HOSTNAME", "localhost", out + n);
	out[n++] = ' ';
	n += word_put(j, "SYSLOG_IDENTIFIER", "unknown", out + n);
	i = pid_put(j, "SYSLOG_PID", out + n, LINE_SIZE - n);
	n += i > 0 ? i : pid_put(j, "_PID", out + n, LINE_SIZE - n);
	out[n++] = ':';
	out[n++] = ' ';
	p = field(j, "MESSAGE", MESSAGE_MAX, &len);
	for (i = 0; i < len; i++)
		out[n++] = p[i] == '\n' ? ' ' :
		    (unsigned char)p[i] < ' ' && p[i] != '\t' ? '?' : p[i];
	out[n++] = '\n';
	return p != NULL ? n : 0;
}

/* An entry has come: its line, if it is new. */
static size_t
entry_take(struct journal *j, char *out)
{
	bool resumed = j->resumed;
	uint64_t us;

	j->resumed = false;
	if (resumed && sd.sd_journal_test_cursor(j->reader, j->cursor) > 0)
		return 0;
	if (resumed)
		log_warning("journal: the entry that was read last is gone, "
			    "and others may be: going on with the next");
	if (sd.sd_journal_get_realtime_usec(j->reader, &us) < 0 ||
	    us <= j->until)
		return 0;
	return line_put(j, us, out);
}

/* --- a journal --- */

/* Keeps where it stands; 0, or -1. */
static int
cursor_keep(struct journal *j)
{
	char *cursor;
	int rc = sd.sd_journal_get_cursor(j->reader, &cursor);

	if (rc < 0)
		return failed(j, rc);
	rc = snprintf(j->cursor, sizeof(j->cursor), "%s", cursor);
	free(cursor);
	return (size_t)rc < sizeof(j->cursor) ? 0 : failed(j, -E2BIG);
}

static int
journal_read(struct logsource *s, const char **text, size_t *len)
{
	struct journal *j = (struct journal *)s;
	bool any = false;
	int rc = 1;

	if (j->follow)
		sd.sd_journal_process(j->reader);
	*len = 0;
	*text = j->out;
	while (OUT_SIZE - *len >= LINE_SIZE &&
	    (rc = sd.sd_journal_next(j->reader)) > 0) {
		*len += entry_take(j, j->out + *len);
		any = true;
	}
	if (any && cursor_keep(j) != 0)
		return -1;
	s->over = rc == 0 && !j->follow;
	if (rc < 0 && *len == 0)
		return failed(j, rc);
	return *len > 0;
}

static void
journal_position(const struct logsource *s, char *out, size_t size)
{
	const struct journal *j = (const struct journal *)s;

	snprintf(out, size, "%s%s", j->cursor[0] != '\0' ?
	    JOURNAL_POSITION : "", j->cursor);
}

/* One on another host's disk is not watched, but looked at. */
static int
journal_watch(struct logsource *s, bool *look)
{
	struct journal *j = (struct journal *)s;

	*look = false;
	return j->follow && sd.sd_journal_reliable_fd(j->reader) > 0 ?
	    sd.sd_journal_get_fd(j->reader) : -1;
}

static void
journal_close(struct logsource *s)
{
	struct journal *j = (struct journal *)s;

	if (j->reader != NULL)
		sd.sd_journal_close(j->reader);
	free(j);
}

static const struct logsource_kind journal_kind = {
	.read = journal_read,
	.position = journal_position,
	.watch = journal_watch,
	.close = journal_close,
};

/* Opens the files; those that cannot be read are not told of one by one. */
static int
files_open(struct journal *j, const char *path)
{
	const char *paths[] = { path, NULL };
	uint64_t bytes = 0;
	struct stat st;
	int rc;

	if (path == NULL && access("/var/log/journal", F_OK) != 0 &&
	    access("/run/log/journal", F_OK) != 0)
		return logsource_fail(&j->source, "journal",
		    "neither /var/log/journal nor /run/log/journal is there");
	if (path != NULL && stat(path, &st) != 0)
		return failed(j, -errno);
	rc = path == NULL ? sd.sd_journal_open(&j->reader,
		SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM) :
	    S_ISDIR(st.st_mode) ?
	    sd.sd_journal_open_directory(&j->reader, path, 0) :
	    sd.sd_journal_open_files(&j->reader, paths, 0);
	if (rc < 0 && rc != -EACCES)
		return failed(j, rc);
	if (rc >= 0)
		sd.sd_journal_get_usage(j->reader, &bytes);
	return bytes > 0 ? 0 : logsource_fail(&j->source, j->name,
	    "no file of it can be read: is this user in the group "
	    "systemd-journal?");
}

/* Goes to where it stands; without a position, back by so many seconds. */
static int
begin(struct journal *j, long since)
{
	int rc;

	if (j->cursor[0] != '\0') {
		rc = sd.sd_journal_seek_cursor(j->reader, j->cursor);
		j->resumed = rc >= 0;
		if (rc >= 0)
			return rc;
		log_warning("journal: the stored position: %s: going on by "
			    "the time", strerror(-rc));
		j->until = journal_cursor_time(j->cursor);
	}
	return sd.sd_journal_seek_realtime_usec(j->reader, j->until > 0 ?
	    j->until : (uint64_t)(time(NULL) - since) * 1000000);
}

static int
reader_open(struct journal *j, const char *path, const char *position,
    long since)
{
	char why[256];
	int rc;

	if (position[0] != '\0' && !journal_position_parse(position, j->cursor))
		return logsource_fail(&j->source, "journal",
		    "the stored position cannot be understood");
	if (!library_ready(why, sizeof(why)))
		return logsource_fail(&j->source, "journal",
		    "%s: is the package libsystemd0 installed?", why);
	if (files_open(j, path) != 0)
		return -1;
	rc = sd.sd_journal_set_data_threshold(j->reader, THRESHOLD);
	if (rc >= 0)
		rc = sd.sd_journal_add_match(j->reader, "SYSLOG_FACILITY=2", 0);
	/* What comes from now on is told by it, also before it is read. */
	if (rc >= 0 && j->follow)
		rc = sd.sd_journal_get_fd(j->reader);
	if (rc >= 0)
		rc = begin(j, since);
	return rc >= 0 ? 0 : failed(j, rc);
}

struct logsource *
journal_open(const char *path, const char *position, long since, bool follow)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->source.kind = &journal_kind;
	snprintf(j->name, sizeof(j->name), "%s",
	    path != NULL ? path : "journal");
	j->follow = follow;
	reader_open(j, path, position, since);
	return &j->source;
}
