/*
 * logfile_find - which file a log is now: the one that was read, under
 * whatever name, its successor, or what an editor has made of it.
 */
#include "logs/logfile_find.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "logs/logfile.h"

int
logfile_fail(const struct logfile *f, const char *why)
{
	snprintf(f->error, f->error_size, "%s: %s", f->path, why);
	return -1;
}

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

void
logfile_begin(struct logfile *f, int fd, const struct stat *st)
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

int
logfile_live(struct logfile *f, struct stat *st)
{
	char *real = realpath(f->path, NULL);
	int fd;

	if (real != NULL)
		snprintf(f->real, sizeof(f->real), "%s", real);
	free(real);
	/* A device could do something when it is opened. */
	if (stat(f->path, st) == 0 && !S_ISREG(st->st_mode)) {
		logfile_fail(f, S_ISDIR(st->st_mode) ? strerror(EISDIR) :
					       "not a regular file");
		return -2;
	}
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	logfile_fail(f, fd < 0 ? strerror(errno) : "not a regular file");
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
	logfile_begin(f, live, st);
	f->mark.after = after;
	return 0;
}

bool
logfile_has_name(const struct logfile *f, const struct stat *st)
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
	if (copy >= 0 && logfile_has_name(f, st)) {
		close(live);
		logfile_begin(f, copy, &copy_st);
		return;
	}
	if (copy >= 0)
		close(copy);
	logfile_begin(f, live, st);
}

int
logfile_find(struct logfile *f)
{
	struct stat st, other_st;
	int live = logfile_live(f, &st), other;
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

int
logfile_next(struct logfile *f, struct stat *st)
{
	struct stat between_st;
	int live = logfile_live(f, st), between;

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

void
logfile_move(struct logfile *f, int next, const struct stat *st)
{
	time_t after = f->mark.finished ? 0 : f->mark.last;

	if (file_resume(f, next, st))
		return;
	if (!f->moved_on)
		f->left = f->mark;
	f->moved_on = true;
	logfile_begin(f, next, st);
	f->mark.after = after;
}
