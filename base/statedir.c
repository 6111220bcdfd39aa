/*
 * statedir - a directory of small files shared by many processes.
 */
#include "base/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"

void
statedir_init(struct statedir *d, const char *path)
{
	memset(d, 0, sizeof(*d));
	d->fd = -1;
	/* One that is too long is none. */
	if (path != NULL && strlen(path) < sizeof(d->path))
		snprintf(d->path, sizeof(d->path), "%s", path);
}

void
statedir_close(struct statedir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* What is wrong with a directory of that owner and mode, NULL if nothing. */
static const char *
untrusted(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return "is a symbolic link (configure its target instead)";
	if (!S_ISDIR(st->st_mode))
		return "is not a directory";
	if (st->st_uid != geteuid())
		return "belongs to another user";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "is writable by others (chmod go-w)";
	return NULL;
}

/* Tells about a change, not about a state. */
static bool
state_is(struct statedir *d, const char *problem)
{
	char text[sizeof(d->problem)] = "";

	if (problem != NULL)
		snprintf(text, sizeof(text), "%.150s: %s", d->path, problem);
	if (strcmp(text, d->problem) == 0)
		return problem == NULL;
	if (problem != NULL)
		log_error("%s; working without it", text);
	else
		log_info("%s: usable again", d->path);
	memcpy(d->problem, text, sizeof(text));
	return problem == NULL;
}

/* Seconds that only grow, cheap enough to be asked at every request. */
static time_t
ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

bool
statedir_usable(struct statedir *d)
{
	const char *problem;
	struct stat st;

	if (d->path[0] == '\0')
		return false;
	if (d->fd >= 0 && d->problem[0] == '\0' && d->looked == ticks())
		return true;
	d->looked = ticks();
	if (lstat(d->path, &st) != 0) {
		statedir_close(d);
		return state_is(d, strerror(errno));
	}
	if (!S_ISLNK(st.st_mode) &&
	    (d->fd < 0 || st.st_dev != d->dev || st.st_ino != d->ino)) {
		statedir_close(d);
		d->fd = open(d->path,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (d->fd < 0)
			return state_is(d, strerror(errno));
		/* Judge what was opened, not what was there before. */
		if (fstat(d->fd, &st) != 0)
			return state_is(d, strerror(errno));
		d->dev = st.st_dev;
		d->ino = st.st_ino;
	}
	problem = untrusted(&st);
	if (problem != NULL)
		statedir_close(d);
	return state_is(d, problem);
}

/*
 * Reads a file that had `expected` bytes a moment ago, at most size bytes. A
 * read that brings just these is the whole file: no second one to see its end.
 */
static ssize_t
read_full(int fd, char *buf, size_t size, size_t expected)
{
	size_t have = 0;
	ssize_t n;

	while (have < size && (have == 0 || have != expected)) {
		n = read(fd, buf + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

int
statedir_read(struct statedir *d, const char *name, char *buf, size_t size,
    time_t *mtime)
{
	struct stat st;
	ssize_t n = -1;
	int fd;

	fd = openat(d->fd, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read_full(fd, buf, size, (size_t)st.st_size);
	else
		errno = EINVAL;
	close(fd);
	if (n < 0)
		return -1;
	if ((size_t)n >= size || memchr(buf, '\0', (size_t)n) != NULL) {
		errno = EINVAL;
		return -1;
	}
	buf[n] = '\0';
	if (mtime != NULL)
		*mtime = st.st_mtime;
	return 1;
}

/* Creates a file that only we have; its name is put into `name`. */
static int
temporary_open(struct statedir *d, char *name, size_t size)
{
	unsigned long r;
	int fd, tries;

	for (tries = 0; tries < 16; tries++) {
		if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
			r = (unsigned long)getpid() * 16 + (unsigned long)tries;
		snprintf(name, size, STATEDIR_TEMPORARY "%016lx", r);
		fd = openat(d->fd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

int
statedir_write(struct statedir *d, const char *name, const char *text,
    size_t len, time_t mtime)
{
	struct timespec times[2] = { { .tv_sec = mtime }, { .tv_sec = mtime } };
	char temporary[40];
	int fd, rc, saved;

	fd = temporary_open(d, temporary, sizeof(temporary));
	if (fd < 0)
		return -1;
	rc = file_write(fd, text, len);
	if (rc == 0 && mtime != 0)
		rc = futimens(fd, times);
	if (close(fd) != 0)
		rc = -1;
	if (rc == 0)
		rc = renameat(d->fd, temporary, d->fd, name);
	if (rc != 0) {
		saved = errno;
		unlinkat(d->fd, temporary, 0);
		errno = saved;
	}
	return rc;
}

int
statedir_append(struct statedir *d, const char *name, const char *text,
    size_t len)
{
	int fd = openat(d->fd, name, O_WRONLY | O_APPEND | O_CREAT |
	    O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	struct stat st;
	int rc = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		errno = EINVAL;
	else
		rc = write(fd, text, len) == (ssize_t)len ? 0 : -1;
	close(fd);
	return rc;
}

off_t
statedir_take(struct statedir *d, const char *name, char *buf, size_t len)
{
	char taken[40];
	struct stat st;
	off_t size = -1;
	int fd = temporary_open(d, taken, sizeof(taken));

	if (fd < 0)
		return -1;
	close(fd);
	if (renameat(d->fd, name, d->fd, taken) != 0) {
		size = errno == ENOENT ? 0 : -1;
	} else {
		fd = openat(d->fd, taken,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    read_full(fd, buf, len, len) >= 0)
			size = st.st_size;
		if (fd >= 0)
			close(fd);
	}
	unlinkat(d->fd, taken, 0);
	return size;
}

int
statedir_remove(struct statedir *d, const char *name)
{
	if (unlinkat(d->fd, name, 0) == 0)
		return 1;
	return errno == ENOENT ? 0 : -1;
}

/* A FIFO, so that the old clean-up by `find -type f` never removes it. */
static int
lock_open(struct statedir *d)
{
	struct stat st;
	int fd;

	if (mkfifoat(d->fd, STATEDIR_LOCK, 0600) != 0 && errno != EEXIST)
		return -1;
	/* For reading and writing, so that a FIFO's open(2) never waits. */
	fd = openat(d->fd, STATEDIR_LOCK,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode) ||
	    st.st_uid != geteuid()) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

int
statedir_lock(struct statedir *d, long byte, long wait_ms)
{
	int fd = lock_open(d), saved;

	if (fd >= 0 && lock_byte(fd, byte, wait_ms) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}
