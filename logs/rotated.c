/*
 * rotated - what became of a log file that is not where it was: its new name,
 * its copy, and the files that came after it.
 *
 * A directory that is read while its files are renamed can show one of them
 * twice or not at all. So it is read until it says the same thing twice.
 */
#include "logs/rotated.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define ATTEMPTS 20

struct candidate {
	char name[NAME_MAX + 1];
	bool rotated; /* it is called like a rotated file */
	struct stat st;
};

/* The directory of a path, and the path's last part. */
static DIR *
directory_open(const char *path, const char **base)
{
	char dir[PATH_MAX];

	*base = strrchr(path, '/') + 1;
	snprintf(dir, sizeof(dir), "%.*s", (int)(*base - path), path);
	return opendir(dir);
}

/* Opens a regular file; never waits for a FIFO. */
static int
regular_open(int dir, const char *name, struct stat *st)
{
	int fd = openat(dir, name,
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

/* ".1", "-20261121", ".20261121-042048": n bytes. */
static bool
is_age(const char *s, size_t n)
{
	return n > 0 && strchr(".-_", s[0]) != NULL &&
	    strspn(s, ".-_:T0123456789") >= n && strcspn(s, "0123456789") < n;
}

/* BASE.1, BASE-20261121, and with the extension after: mail-20261121.log. */
static bool
is_rotated(const char *name, const char *base)
{
	const char *dot = strrchr(base, '.');
	size_t n = strlen(base), len = strlen(name), stem;

	if (len <= n)
		return false;
	if (strncmp(name, base, n) == 0 && is_age(name + n, len - n))
		return true;
	stem = dot != NULL ? (size_t)(dot - base) : 0;
	return stem > 0 && strncmp(name, base, stem) == 0 &&
	    strcmp(name + len - (n - stem), dot) == 0 &&
	    is_age(name + stem, len - n);
}

int
rotated_time_order(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

/* The next regular file of a directory, but not base. */
static bool
candidate_read(DIR *dir, const char *base, struct candidate *c)
{
	const struct dirent *e;

	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, base) == 0 ||
		    fstatat(dirfd(dir), e->d_name, &c->st,
			AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(c->st.st_mode))
			continue;
		snprintf(c->name, sizeof(c->name), "%s", e->d_name);
		c->rotated = is_rotated(c->name, base);
		return true;
	}
	return false;
}

/* Opens it if it is the mark's file or its copy. */
static int
candidate_match(DIR *dir, const char *base, struct candidate *c,
    const struct rotated_mark *m, bool copy)
{
	int fd;

	if ((!copy && c->st.st_ino != m->ino) ||
	    (uint64_t)c->st.st_size < m->offset)
		return -1;
	/* With nothing read, only the name tells it from another file that
	 * got its inode. */
	if (m->head == 0 && !c->rotated &&
	    strncmp(c->name, base, strlen(base)) != 0)
		return -1;
	fd = regular_open(dirfd(dir), c->name, &c->st);
	if (fd < 0 && !copy && errno != ENOENT)
		log_warning("%s: %s", c->name, strerror(errno));
	if (fd >= 0 && !rotated_is(fd, &c->st, m, copy)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One look through the directory; of several copies the latest counts. */
static int
find_once(DIR *dir, const char *base, const struct rotated_mark *m, bool copy,
    struct stat *st)
{
	struct candidate c;
	int fd, found = -1;

	rewinddir(dir);
	while (candidate_read(dir, base, &c)) {
		fd = candidate_match(dir, base, &c, m, copy);
		if (fd < 0)
			continue;
		if (found >= 0 && rotated_time_order(&c.st.st_mtim,
			&st->st_mtim) <= 0) {
			close(fd);
			continue;
		}
		if (found >= 0)
			close(found);
		found = fd;
		*st = c.st;
	}
	return found;
}

int
rotated_find(const char *path, const struct rotated_mark *m, struct stat *st)
{
	const char *base;
	DIR *dir = directory_open(path, &base);
	int fd = -1, i;

	for (i = 0; dir != NULL && fd < 0 && i < 6; i++)
		fd = find_once(dir, base, m, i % 2 == 1, st);
	if (dir != NULL)
		closedir(dir);
	return fd;
}

/* The one that was written to next after a time, if it is not the mark's. */
static bool
next_once(DIR *dir, const char *base, const struct timespec *after,
    const struct rotated_mark *m, struct candidate *next)
{
	struct candidate c;
	bool found = false;
	int fd;

	rewinddir(dir);
	while (candidate_read(dir, base, &c)) {
		if (!c.rotated || c.st.st_size == 0 ||
		    rotated_time_order(&c.st.st_mtim, after) <= 0 || (found &&
			rotated_time_order(&c.st.st_mtim,
			    &next->st.st_mtim) >= 0))
			continue;
		fd = candidate_match(dir, base, &c, m, false);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		*next = c;
		found = true;
	}
	return found;
}

/* The same, when two looks at the directory agree; and it is opened. */
static int
next_open(DIR *dir, const char *base, const struct rotated_mark *m,
    struct stat *st)
{
	struct timespec after = m->newest;
	struct candidate c;
	ino_t last = 0, ino;
	int fd, i;

	for (i = 0; i < ATTEMPTS; i++) {
		ino = next_once(dir, base, &after, m, &c) ? c.st.st_ino : 0;
		if (i == 0 || ino != last) {
			last = ino;
			continue;
		}
		if (ino == 0)
			break;
		fd = regular_open(dirfd(dir), c.name, st);
		if (fd >= 0 && st->st_ino == ino)
			return fd;
		if (fd >= 0)
			close(fd); /* renamed meanwhile */
		else if (errno != ENOENT) {
			log_warning("%s: %s: passed over", c.name,
			    strerror(errno));
			after = c.st.st_mtim;
		}
	}
	return -1;
}

int
rotated_next(const char *path, const struct rotated_mark *m, struct stat *st)
{
	const char *base;
	DIR *dir = directory_open(path, &base);
	int fd = dir != NULL ? next_open(dir, base, m, st) : -1;

	if (dir != NULL)
		closedir(dir);
	return fd;
}
