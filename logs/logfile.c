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
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logs/filewatch.h"
#include "base/log.h"
#include "logs/rotated.h"
#include "base/text.h"

#define BUFFER_SIZE 262144
#define CUT 131072 /* of a line that is longer than the buffer */

struct logfile {
	char path[PATH_MAX]; /* as it is called */
	char real[PATH_MAX]; /* without symbolic links, as far as known */
	int fd;              /* -1: there is no file at present */
	struct rotated_mark mark;
	struct rotated_mark left; /* the file before, nothing read since */
	bool moved_on;            /* `left` is where it stands */
	char head[ROTATED_HEAD_MAX];
	bool at_end; /* look at the file first, it may have changed */
	char *buf;   /* what was read from mark.offset on */
	size_t given, len; /* of it: handed out, filled */
	uint64_t given_bytes; /* of the file; more than `given` of a cut line */
	int watch;
	bool watch_old;
	char *error;
	size_t error_size;
};

static int
fail(const struct logfile *f, const char *why)
{
	snprintf(f->error, f->error_size, "%s: %s", f->path, why);
	return -1;
}

/* --- which file is the one --- */

/* Goes on with an open file at an offset of it; the mark is for that. */
static void
file_take(struct logfile *f, int fd, const struct stat *st)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->mark.dev = st->st_dev;
	f->mark.ino = st->st_ino;
	f->mark.finished = false;
	f->given = f->len = 0;
	f->given_bytes = 0;
	f->at_end = false;
	f->watch_old = true;
	if (pread(fd, f->head, f->mark.head, 0) != (ssize_t)f->mark.head)
		f->at_end = true; /* it has been cut just now */
}

/* Begins with a file. */
static void
file_begin(struct logfile *f, int fd, const struct stat *st)
{
	f->mark.offset = 0;
	f->mark.head = 0;
	f->mark.tail.len = 0;
	f->mark.after = 0;
	rotated_print(f->mark.print, f->head, 0);
	file_take(f, fd, st);
}

/*
 * Goes on after the last lines that were read, if a file that should be
 * another one has them: it was written anew, by an editor or by sed -i.
 */
static bool
file_resume(struct logfile *f, int fd, const struct stat *st)
{
	uint64_t end;

	if (!rotated_tail_find(&f->mark.tail, fd, &end))
		return false;
	f->mark.offset = end;
	f->mark.head = end < ROTATED_HEAD_MAX ? (size_t)end : ROTATED_HEAD_MAX;
	f->moved_on = false;
	file_take(f, fd, st);
	rotated_print(f->mark.print, f->head, f->mark.head);
	log_info("%s: was edited: read on from byte %" PRIu64 ", after the "
		 "last line that was read before",
	    f->path, end);
	return true;
}

/* Opens what has the name now: -1 when nothing has, -2 on an error. */
static int
live_open(struct logfile *f, struct stat *st)
{
	char *real = realpath(f->path, NULL);
	int fd;

	if (real != NULL)
		snprintf(f->real, sizeof(f->real), "%s", real);
	free(real);
	/* A device could do something when it is opened. */
	if (stat(f->path, st) == 0 && !S_ISREG(st->st_mode)) {
		fail(f, S_ISDIR(st->st_mode) ? strerror(EISDIR) :
					       "not a regular file");
		return -2;
	}
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	fail(f, fd < 0 ? strerror(errno) : "not a regular file");
	return fd < 0 && errno == ENOENT ? -1 : -2;
}

/* Tells that something may be missing, and what is taken for counted. */
static void
lost_tell(const struct logfile *f)
{
	char when[32], counted[96] = "";

	text_time(when, sizeof(when), f->mark.last);
	if (f->mark.last > 0)
		snprintf(counted, sizeof(counted),
		    ", and lines up to %s are taken for counted", when);
	log_warning("%s: removed, compressed, edited or cut short: what came "
		    "after byte %" PRIu64 " of it is not read%s",
	    f->path, f->mark.offset, counted);
}

/*
 * The file of the mark cannot be found. If it was edited, it goes on; else
 * what it may have had is told, and the next one in time is begun. live: what
 * has the name now.
 */
static int
file_lost(struct logfile *f, int live, struct stat *st)
{
	time_t after = f->mark.finished ? 0 : f->mark.last;
	struct stat next_st;
	int next;

	if (live < 0) {
		f->at_end = true;
		return 0; /* not before something comes */
	}
	if (file_resume(f, live, st))
		return 0;
	next = rotated_next(f->real, &f->mark, &next_st);
	if (next >= 0) {
		close(live);
		live = next;
		*st = next_st;
		/* It was rotated after it was edited. */
		if (file_resume(f, live, st))
			return 0;
	}
	if (!f->mark.finished && f->mark.head > 0)
		lost_tell(f);
	f->moved_on = false;
	file_begin(f, live, st);
	f->mark.after = after;
	return 0;
}

/* True when it has the name still. */
static bool
has_name(const struct logfile *f, const struct stat *st)
{
	struct stat now;

	return stat(f->path, &now) == 0 && now.st_ino == st->st_ino &&
	    now.st_dev == st->st_dev;
}

/*
 * Begins with the file that has the name and of which nothing was read: it may
 * have been copied and cut since, then the copy comes first.
 */
static void
file_begin_unread(struct logfile *f, int live, struct stat *st)
{
	struct stat copy_st;
	int copy = rotated_next(f->real, &f->mark, &copy_st);

	/* If it was moved away meanwhile, that is what comes after it. */
	if (copy >= 0 && has_name(f, st)) {
		close(live);
		file_begin(f, copy, &copy_st);
		return;
	}
	if (copy >= 0)
		close(copy);
	file_begin(f, live, st);
}

/* Finds the file of the mark. -1 on an error; without a file fd is -1. */
static int
file_find(struct logfile *f)
{
	struct stat st, other_st;
	int live = live_open(f, &st), other;
	bool same;

	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	if (live == -2)
		return -1;
	same = live >= 0 && rotated_is(live, &st, &f->mark, false);
	if (same && f->mark.head == 0) {
		file_begin_unread(f, live, &st);
		return 0;
	}
	/* Written anew by an editor, or brought back from a backup. */
	if (!same && live >= 0 && f->mark.head == ROTATED_HEAD_MAX)
		same = rotated_is(live, &st, &f->mark, true);
	if (same) {
		file_take(f, live, &st);
		return 0;
	}
	other = rotated_find(f->real, &f->mark, &other_st);
	if (other < 0)
		return file_lost(f, live, &st);
	if (live >= 0)
		close(live);
	file_take(f, other, &other_st);
	return 0;
}

/* The file after the one that was moved away, if it has begun: -1, -2. */
static int
file_next(struct logfile *f, struct stat *st)
{
	struct stat between_st;
	int live = live_open(f, st), between;

	if (live == -2)
		return -2;
	between = rotated_next(f->real, &f->mark, &between_st);
	if (between >= 0) {
		if (live >= 0)
			close(live);
		*st = between_st;
		return between;
	}
	if (live >= 0 && st->st_size > 0)
		return live;
	if (live >= 0)
		close(live);
	return -1;
}

/*
 * Goes on with the next file. If the one before was not moved away but is
 * gone, the next may be what an editor has made of it.
 */
static void
file_move(struct logfile *f, int next, const struct stat *st)
{
	time_t after = f->mark.finished ? 0 : f->mark.last;

	if (file_resume(f, next, st))
		return;
	if (!f->moved_on)
		f->left = f->mark;
	f->moved_on = true;
	file_begin(f, next, st);
	f->mark.after = after;
}

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
		fail(f, strerror(ENAMETOOLONG));
		rc = -1;
	} else if (position[0] == '\0') {
		/* Older than now is what was rotated before. */
		clock_gettime(CLOCK_REALTIME, &f->mark.newest);
		fd = live_open(f, &st);
		if (fd >= 0)
			file_begin(f, fd, &st);
		rc = fd < 0 ? -1 : 0;
	} else if (!rotated_mark_parse(position, &f->mark)) {
		fail(f, "the stored position cannot be understood");
		rc = -1;
	} else {
		rc = file_find(f);
		if (rc == 0 && f->fd < 0)
			rc = fail(f, strerror(ENOENT));
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
		return fail(f, strerror(errno));
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
		return fail(f, strerror(errno));
	if ((uint64_t)st.st_size < f->mark.offset)
		return file_find(f) != 0 ? END_ERROR :
		    f->fd >= 0	     ? END_AGAIN : END_WAIT;
	newest_note(f, &st.st_mtim);
	if (has_name(f, &st)) {
		f->mark.finished = false;
		f->mark.after = 0;
		return END_WAIT;
	}
	/* One that has no name was perhaps not moved away but replaced. */
	f->mark.finished = f->len == 0 &&
	    (f->mark.finished || st.st_nlink > 0);
	next = file_next(f, &path_st);
	if (next < 0)
		return next == -2 ? END_ERROR : END_WAIT;
	/* Until the next had begun, this one could still be written to. */
	read_to = f->given_bytes > 0 ? f->given_bytes : f->len;
	more = pread(f->fd, &byte, 1, (off_t)(f->mark.offset + read_to)) == 1;
	if (more || f->len > 0) {
		close(next);
		return more ? END_AGAIN : END_LINE;
	}
	file_move(f, next, &path_st);
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
			return file_find(f);
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
			return fail(f, strerror(errno));
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
