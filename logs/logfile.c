/*
 * logfile - a log file that is read on from where it was left, over rotation.
 *
 * What counts is `mark`: the file that is open, and the offset after the
 * lines that were handed out. The buffer begins there. At the end of the file
 * the rest of the buffer, a line that is still being written, is forgotten and
 * read anew next time: the file may have been cut by then.
 */
#include "logs/logfile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logs/filewatch.h"
#include "logs/logfile_find.h"
#include "logs/rotated.h"
#include "base/text.h"

#define BUFFER_SIZE 262144
#define CUT 131072 /* of a line that is longer than the buffer */

struct logfile *
logfile_open(const char *path, const char *position, char *error, size_t size)
{
	struct logfile *f = calloc(1, sizeof(*f));
	struct stat st;
	int fd, rc;

	if (f == NULL || (f->buf = malloc(BUFFER_SIZE)) == NULL) {
		snprintf(error, size, "%s: %s", path, strerror(ENOMEM));
		free(f);
		return NULL;
	}
	f->fd = f->watch = -1;
	f->error = error;
	f->error_size = size;
	snprintf(f->path, sizeof(f->path), "%s", path);
	snprintf(f->real, sizeof(f->real), "%s", path);
	if (strlen(path) >= sizeof(f->path)) {
		logfile_fail(f, strerror(ENAMETOOLONG));
		rc = -1;
	} else if (position[0] == '\0') {
		/* Older than now is what was rotated before. */
		clock_gettime(CLOCK_REALTIME, &f->mark.newest);
		fd = logfile_live(f, &st);
		if (fd >= 0)
			logfile_begin(f, fd, &st);
		rc = fd < 0 ? -1 : 0;
	} else if (!rotated_mark_parse(position, &f->mark)) {
		logfile_fail(f, "the stored position cannot be understood");
		rc = -1;
	} else {
		rc = logfile_find(f);
		if (rc == 0 && f->fd < 0)
			rc = logfile_fail(f, strerror(ENOENT));
	}
	if (rc == 0)
		return f;
	logfile_close(f);
	return NULL;
}

void
logfile_close(struct logfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->watch >= 0)
		close(f->watch);
	free(f->buf);
	free(f);
}

void
logfile_position(const struct logfile *f, char *out, size_t size)
{
	rotated_mark_format(
	    f->moved_on && f->mark.offset == 0 ? &f->left : &f->mark, out,
	    size);
}

time_t
logfile_after(const struct logfile *f)
{
	return f->mark.after;
}

/* One in the future comes from a clock that is wrong. */
void
logfile_counted(struct logfile *f, time_t when)
{
	if (when > f->mark.last && when <= time(NULL))
		f->mark.last = when;
}

/* --- reading --- */

/* Hands out so many bytes of the buffer, which are so many of the file. */
static int
give(struct logfile *f, size_t n, uint64_t of_file, const char **text,
    size_t *len)
{
	size_t fresh = ROTATED_HEAD_MAX - f->mark.head;
	size_t mark = f->mark.offset == 0 ? text_mark(f->buf, n) : 0;

	if (fresh > of_file)
		fresh = (size_t)of_file;
	memcpy(f->head + f->mark.head, f->buf, fresh);
	f->mark.head += fresh;
	f->mark.offset += of_file;
	f->mark.finished = false;
	if (fresh > 0)
		rotated_print(f->mark.print, f->head, f->mark.head);
	rotated_tail_take(&f->mark.tail, f->fd, f->mark.offset);
	f->given = n;
	f->moved_on = false;
	*text = f->buf + mark;
	*len = n - mark;
	return 1;
}

/*
 * The buffer is full and has no newline: looks for it in the file, cuts the
 * line and hands it out. 0: the line has no end yet, -1: error.
 */
static int
long_line(struct logfile *f, const char **text, size_t *len)
{
	uint64_t at = f->mark.offset + f->len;
	char *scratch = f->buf + CUT;
	const char *nl = NULL;
	ssize_t n;

	do {
		n = pread(f->fd, scratch, BUFFER_SIZE - CUT, (off_t)at);
		if (n > 0) {
			nl = memchr(scratch, '\n', (size_t)n);
			at += nl != NULL ? (uint64_t)(nl - scratch) + 1 :
					   (uint64_t)n;
		}
	} while ((n > 0 && nl == NULL) || (n < 0 && errno == EINTR));
	f->len = CUT;
	if (n < 0)
		return logfile_fail(f, strerror(errno));
	f->given_bytes = at - f->mark.offset;
	if (nl == NULL)
		return 0;
	f->buf[CUT - 1] = '\n';
	return give(f, CUT, f->given_bytes, text, len);
}

/* The file was moved away, the next has begun: hands out the last line. */
static int
last_line(struct logfile *f, const char **text, size_t *len)
{
	const uint64_t of_file = f->given_bytes > 0 ? f->given_bytes : f->len;

	/* There is room: a full buffer has been cut. */
	if (f->given_bytes > 0)
		f->len--;
	f->buf[f->len++] = '\n';
	return give(f, f->len, of_file, text, len);
}

/* Keeps the last write that was seen; one in the future is from now. */
static void
newest_note(struct logfile *f, const struct timespec *written)
{
	struct timespec *newest = &f->mark.newest, now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (rotated_time_order(written, &now) < 0)
		now = *written;
	if (rotated_time_order(&now, newest) > 0)
		*newest = now;
}

enum end { END_ERROR = -1, END_WAIT, END_AGAIN, END_LINE };

/* At the end of the file: what now? */
static enum end
file_end(struct logfile *f)
{
	struct stat st, path_st;
	uint64_t read_to;
	char byte;
	bool more;
	int next;

	f->at_end = true;
	if (fstat(f->fd, &st) != 0)
		return logfile_fail(f, strerror(errno));
	if ((uint64_t)st.st_size < f->mark.offset)
		return logfile_find(f) != 0 ? END_ERROR :
		    f->fd >= 0	     ? END_AGAIN : END_WAIT;
	newest_note(f, &st.st_mtim);
	if (logfile_has_name(f, &st)) {
		f->mark.finished = false;
		f->mark.after = 0;
		return END_WAIT;
	}
	/* One that has no name was perhaps not moved away but replaced. */
	f->mark.finished = f->len == 0 &&
	    (f->mark.finished || st.st_nlink > 0);
	next = logfile_next(f, &path_st);
	if (next < 0)
		return next == -2 ? END_ERROR : END_WAIT;
	/* Until the next had begun, this one could still be written to. */
	read_to = f->given_bytes > 0 ? f->given_bytes : f->len;
	more = pread(f->fd, &byte, 1, (off_t)(f->mark.offset + read_to)) == 1;
	if (more || f->len > 0) {
		close(next);
		return more ? END_AGAIN : END_LINE;
	}
	logfile_move(f, next, &path_st);
	return END_AGAIN;
}

/* True when the beginning and what was read last are what they were. */
static bool
file_same(const struct logfile *f)
{
	char head[ROTATED_HEAD_MAX];
	struct stat st;

	return fstat(f->fd, &st) == 0 &&
	    (uint64_t)st.st_size >= f->mark.offset &&
	    pread(f->fd, head, f->mark.head, 0) == (ssize_t)f->mark.head &&
	    memcmp(head, f->head, f->mark.head) == 0 &&
	    rotated_tail_is(&f->mark.tail, f->fd, f->mark.offset);
}

/* What comes before a read: the buffer, and whether it is the same file. */
static int
read_begin(struct logfile *f)
{
	f->given_bytes = 0;
	if (f->at_end) {
		f->at_end = false;
		f->given = f->len = 0;
		if (f->fd < 0 || !file_same(f))
			return logfile_find(f);
	}
	f->len -= f->given;
	memmove(f->buf, f->buf + f->given, f->len);
	f->given = 0;
	return 0;
}

int
logfile_read(struct logfile *f, const char **text, size_t *len, char *error,
    size_t size)
{
	const char *nl;
	enum end end;
	ssize_t n;
	int rc;

	f->error = error;
	f->error_size = size;
	if (read_begin(f) != 0)
		return -1;
	if (f->fd < 0)
		f->at_end = true;
	while (f->fd >= 0) {
		n = pread(f->fd, f->buf + f->len, BUFFER_SIZE - f->len,
		    (off_t)(f->mark.offset + f->len));
		if (n < 0 && errno != EINTR)
			return logfile_fail(f, strerror(errno));
		if (n < 0)
			continue;
		nl = memrchr(f->buf + f->len, '\n', (size_t)n);
		f->len += (size_t)n;
		if (nl != NULL)
			return give(f, (size_t)(nl - f->buf) + 1,
			    (uint64_t)(nl - f->buf) + 1, text, len);
		rc = 0;
		f->given_bytes = 0;
		if (f->len == BUFFER_SIZE)
			rc = long_line(f, text, len);
		else if (n > 0)
			continue;
		if (rc != 0)
			return rc;
		end = file_end(f);
		if (end == END_LINE)
			return last_line(f, text, len);
		if (end != END_AGAIN)
			return end;
	}
	return 0;
}

/* --- waiting --- */

int
logfile_watch(struct logfile *f, bool *look)
{
	*look = f->watch < 0 || f->watch_old;
	if (!*look)
		return f->watch;
	if (f->watch >= 0)
		close(f->watch);
	f->watch_old = false;
	f->watch = filewatch_open(f->fd, f->path, f->real);
	return f->watch;
}

void
logfile_woken(struct logfile *f)
{
	if (filewatch_take(f->watch))
		f->watch_old = true;
}
