/*
 * logfile - a log file that is read on from where it was left, over rotation.
 *
 * What counts is `mark`: the file that is open, and the offset after the
 * lines that were handed out. At the end of the file a line that is still
 * being written is forgotten and read anew next time: the file may have been
 * cut by then.
 */
#include "logs/logsource_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "logs/rotated.h"

struct logfile {
	struct logsource source;
	char path[PATH_MAX]; /* as it is called */
	char real[PATH_MAX]; /* without symbolic links, as far as known */
	struct rotated_mark mark;
	struct rotated_mark left; /* the file before, nothing read since */
	bool moved_on;            /* `left` is where it stands */
	bool at_end; /* look at the file first, it may have changed */
	struct stat live_seen, own_seen; /* see logfile_watch() */
	struct loglines lines; /* fd -1: there is no file at present */
};

static int
file_fail(struct logfile *f, const char *why)
{
	return logsource_fail(&f->source, f->path, "%s", why);
}

/* --- which file it is now --- */

/* Reads on after the lines that were handed out. */
static void
lines_begin(struct logfile *f, int fd)
{
	f->at_end = lseek(fd, (off_t)f->mark.offset, SEEK_SET) < 0;
	f->lines.fd = fd;
	f->lines.begun = f->mark.offset > 0;
	f->lines.given = f->lines.len = 0;
	f->lines.passed = 0;
}

/* Goes on with an open file at an offset of it; the mark is for that. */
static void
file_take(struct logfile *f, int fd, const struct stat *st)
{
	if (f->lines.fd >= 0)
		close(f->lines.fd);
	lines_begin(f, fd);
	f->mark.dev = st->st_dev;
	f->mark.ino = st->st_ino;
	f->mark.finished = false;
}

/* Begins with a file; lines up to a time (0: none) were counted before. */
static void
file_begin(struct logfile *f, int fd, const struct stat *st, time_t after)
{
	rotated_mark_move(&f->mark, fd, 0);
	f->mark.after = after;
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
	f->mark.head = 0; /* it has another beginning now */
	rotated_mark_move(&f->mark, fd, end);
	f->moved_on = false;
	file_take(f, fd, st);
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
		file_fail(f, S_ISDIR(st->st_mode) ? strerror(EISDIR) :
						    "not a regular file");
		return -2;
	}
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	file_fail(f, fd < 0 ? strerror(errno) : "not a regular file");
	return fd < 0 && errno == ENOENT ? -1 : -2;
}

static bool
has_name(const struct logfile *f, const struct stat *st)
{
	struct stat now;

	return stat(f->path, &now) == 0 && now.st_ino == st->st_ino &&
	    now.st_dev == st->st_dev;
}

/* The file after the mark's: one that was rotated since, else the live one. */
static int
next_open(struct logfile *f, int live, struct stat *st)
{
	struct stat between_st;
	int between = rotated_next(f->real, &f->mark, &between_st);

	if (between < 0)
		return live;
	if (live >= 0)
		close(live);
	*st = between_st;
	return between;
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
 * The file of the mark cannot be found. If it was edited, it goes on, perhaps
 * rotated since; else what it may have had is told, and the next one in time
 * is begun.
 */
static void
file_lost(struct logfile *f, int live, struct stat *st)
{
	int next;

	if (file_resume(f, live, st))
		return;
	next = next_open(f, live, st);
	if (next != live && file_resume(f, next, st))
		return;
	if (!f->mark.finished && f->mark.head > 0)
		lost_tell(f);
	f->moved_on = false;
	file_begin(f, next, st, f->mark.finished ? 0 : f->mark.last);
}

/* Finds the file of the mark. -1 on an error; without a file fd is -1. */
static int
file_find(struct logfile *f)
{
	struct stat st, other_st;
	int live = live_open(f, &st), other;
	bool same;

	if (f->lines.fd >= 0)
		close(f->lines.fd);
	f->lines.fd = -1;
	if (live == -2)
		return -1;
	same = live >= 0 && rotated_is(live, &st, &f->mark, false);
	/* Nothing was read: it may have been copied and cut since. */
	if (same && f->mark.head == 0) {
		other = rotated_next(f->real, &f->mark, &other_st);
		/* If it was moved away meanwhile, that comes after it. */
		same = other < 0 || !has_name(f, &st);
		if (other >= 0)
			close(same ? other : live);
		file_begin(f, same ? live : other, same ? &st : &other_st, 0);
		return 0;
	}
	/* Written anew by an editor, or brought back from a backup. */
	if (!same && live >= 0 && f->mark.head == ROTATED_HEAD_MAX)
		same = rotated_is(live, &st, &f->mark, true);
	other = same ? -1 : rotated_find(f->real, &f->mark, &other_st);
	if (other >= 0) {
		if (live >= 0)
			close(live);
		file_take(f, other, &other_st);
	} else if (same)
		file_take(f, live, &st);
	else if (live >= 0)
		file_lost(f, live, &st);
	else
		f->at_end = true; /* not before something comes */
	return 0;
}

/*
 * Goes on with the next file. If the one before was not moved away but is
 * gone, the next may be what an editor has made of it.
 */
static void
file_move(struct logfile *f, int next, const struct stat *st)
{
	if (file_resume(f, next, st))
		return;
	if (!f->moved_on)
		f->left = f->mark;
	f->moved_on = true;
	file_begin(f, next, st, f->mark.finished ? 0 : f->mark.last);
}

/* --- reading --- */

/* So many bytes of the file were handed out. */
static int
file_given(struct logfile *f, uint64_t bytes)
{
	rotated_mark_move(&f->mark, f->lines.fd, f->mark.offset + bytes);
	f->mark.finished = false;
	f->moved_on = false;
	return 1;
}

enum end { END_ERROR = -1, END_WAIT, END_AGAIN, END_LINE };

/* At the end of the file: what now? */
static enum end
file_end(struct logfile *f)
{
	const uint64_t rest = loglines_rest(&f->lines);
	struct stat st, next_st;
	char byte;
	bool more;
	int next;

	f->at_end = true;
	if (fstat(f->lines.fd, &st) != 0)
		return file_fail(f, strerror(errno));
	if ((uint64_t)st.st_size < f->mark.offset)
		return file_find(f) != 0 ? END_ERROR :
		    f->lines.fd >= 0	 ? END_AGAIN : END_WAIT;
	if (rotated_time_order(&st.st_mtim, &f->mark.newest) > 0)
		f->mark.newest = st.st_mtim;
	if (has_name(f, &st)) {
		f->mark.finished = false;
		f->mark.after = 0;
		return END_WAIT;
	}
	/* One that has no name was perhaps not moved away but replaced. */
	f->mark.finished = rest == 0 && (f->mark.finished || st.st_nlink > 0);
	next = live_open(f, &next_st);
	if (next == -2)
		return END_ERROR;
	next = next_open(f, next, &next_st);
	/* Until the next had begun, this one could still be written to. */
	more = next >= 0 && pread(f->lines.fd, &byte, 1,
	    (off_t)(f->mark.offset + rest)) == 1;
	if (next >= 0 && next_st.st_size > 0 && !more && rest == 0) {
		file_move(f, next, &next_st);
		return END_AGAIN;
	}
	if (next < 0)
		return END_WAIT;
	close(next);
	return next_st.st_size == 0 ? END_WAIT : more ? END_AGAIN : END_LINE;
}

/* True when the beginning and what was read last are what they were. */
static bool
file_same(const struct logfile *f)
{
	struct stat st;

	return fstat(f->lines.fd, &st) == 0 &&
	    rotated_is(f->lines.fd, &st, &f->mark, false);
}

static int
logfile_read(struct logsource *s, const char **text, size_t *len)
{
	struct logfile *f = (struct logfile *)s;
	uint64_t bytes;
	enum end end;
	int rc;

	if (f->at_end) {
		if (f->lines.fd >= 0 && file_same(f))
			lines_begin(f, f->lines.fd);
		else if (file_find(f) != 0)
			return -1;
	}
	while (f->lines.fd >= 0) {
		rc = loglines_read(&f->lines, -1, text, len, &bytes);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return file_fail(f, strerror(errno));
		if (rc > 0)
			return file_given(f, bytes);
		end = file_end(f);
		if (end == END_LINE) {
			loglines_last(&f->lines, text, len, &bytes);
			return file_given(f, bytes);
		}
		if (end != END_AGAIN)
			return end;
		if (f->at_end)
			lines_begin(f, f->lines.fd);
	}
	return 0;
}

static void
logfile_position(const struct logsource *s, char *out, size_t size)
{
	const struct logfile *f = (const struct logfile *)s;

	rotated_mark_format(f->moved_on ? &f->left : &f->mark, out, size);
}

/* There is no descriptor for that: it has to be looked at. */
static int
logfile_watch(struct logsource *s, bool *look)
{
	struct logfile *f = (struct logfile *)s;
	struct stat live = { .st_ino = 0 }, own = { .st_size = 0 };

	if (stat(f->path, &live) != 0)
		live.st_ino = 0;
	if (f->lines.fd >= 0)
		fstat(f->lines.fd, &own);
	*look = live.st_ino != f->live_seen.st_ino ||
	    live.st_size != f->live_seen.st_size ||
	    own.st_size != f->own_seen.st_size ||
	    rotated_time_order(&live.st_mtim, &f->live_seen.st_mtim) != 0;
	f->live_seen = live;
	f->own_seen = own;
	return -1;
}

/* --- opening --- */

static void
logfile_close(struct logsource *s)
{
	struct logfile *f = (struct logfile *)s;

	if (f->lines.fd >= 0)
		close(f->lines.fd);
	free(f);
}

static const struct logsource_kind logfile_kind = {
	.read = logfile_read,
	.position = logfile_position,
	.watch = logfile_watch,
	.close = logfile_close,
};

/* With a position: where that is. Without: the file that has the name. */
static int
file_open(struct logfile *f, const char *position)
{
	struct stat st;
	int fd;

	if (position[0] == '\0') {
		/* Older than now is what was rotated before. */
		clock_gettime(CLOCK_REALTIME, &f->mark.newest);
		fd = live_open(f, &st);
		if (fd < 0)
			return -1;
		file_begin(f, fd, &st, 0);
		return 0;
	}
	if (!rotated_mark_parse(position, &f->mark))
		return file_fail(f,
		    "the stored position cannot be understood");
	if (file_find(f) != 0)
		return -1;
	return f->lines.fd >= 0 ? 0 : file_fail(f, strerror(ENOENT));
}

struct logsource *
logfile_open(const char *path, const char *position)
{
	struct logfile *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->source.kind = &logfile_kind;
	f->source.mark = &f->mark;
	f->lines.fd = -1;
	snprintf(f->path, sizeof(f->path), "%s", path);
	snprintf(f->real, sizeof(f->real), "%s", path);
	if (strlen(path) >= sizeof(f->path))
		file_fail(f, strerror(ENAMETOOLONG));
	else if (file_open(f, position) == 0)
		f->source.error[0] = '\0'; /* of what was not there */
	return &f->source;
}
