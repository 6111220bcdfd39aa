/*
 * access_map_file - the files of an access map: read, made anew, replaced.
 *
 * Everything happens in one directory that only root may write, by names
 * relative to its descriptor. The lock is one of the new file, whose descriptor
 * postmap inherits: while an orphan of a killed run still writes, nobody else
 * begins.
 *
 * postmap decides by its type, and by Postfix's configuration, which index it
 * makes: with Postfix 3.11 that of hash may be NAME.lmdb or NAME.cdb. Whichever
 * it has made is put in place.
 */
#include "scan/access_map_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/replace.h"
#include "base/tool.h"

#define READING   (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define NAME_SIZE (NAME_MAX + 64)

long access_lock_wait_ms = 15000;

/* Of the indexes that postmap may make. */
static const char *const suffixes[] = { ".db", ".lmdb", ".cdb" };
#define SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

/* -1, with a message that begins with the setting. */
int
access_job_fail(struct access_job *j, const char *fmt, ...)
{
	char what[ACCESS_MAP_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(j->error, j->error_size, "%s: %s", j->map->setting, what);
	return -1;
}

/* Removes temporary indexes, also those of a run that was killed. */
static void
indexes_clear(struct access_job *j)
{
	char name[NAME_SIZE];
	size_t i;

	for (i = 0; i < SUFFIXES; i++) {
		snprintf(name, sizeof(name), "%s%s", j->fresh, suffixes[i]);
		unlinkat(j->dir, name, 0);
	}
	/* Where postmap itself has a temporary name for a cdb. */
	snprintf(name, sizeof(name), "%s.cdb.tmp", j->fresh);
	unlinkat(j->dir, name, 0);
	/* Berkeley DB's first name for a new file: while there is one, postmap
	 * tries for 100 seconds, and fails. */
	snprintf(name, sizeof(name), "__db.%s.db", j->fresh);
	unlinkat(j->dir, name, 0);
}

/* Opens a regular file for reading; *fd is -1 when there is none. 0 or -1. */
static int
regular_open(struct access_job *j, const char *name, int *fd, struct stat *st)
{
	const char *what = NULL;

	*fd = openat(j->dir, name, READING);
	if (*fd < 0 && errno == ENOENT)
		return 0;
	if (*fd < 0)
		what = errno == ELOOP ?
		    "a symbolic link; name the file itself" :
		    errno == ENXIO ? "not a regular file" : strerror(errno);
	else if (fstat(*fd, st) != 0)
		what = strerror(errno);
	else if (!S_ISREG(st->st_mode))
		what = S_ISDIR(st->st_mode) ? "a directory" :
		    "not a regular file";
	if (what == NULL)
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return access_job_fail(j, "%s/%s: %s", j->map->dir, name, what);
}

static bool
time_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Reads the file as it is. 0, -1 or ACCESS_AGAIN. */
static int
old_read(struct access_job *j)
{
	size_t size;
	ssize_t n = 1;

	if (regular_open(j, j->map->name, &j->old_fd, &j->st) != 0)
		return -1;
	if (j->old_fd < 0)
		return 0;
	if (j->st.st_size > ACCESS_FILE_MAX)
		return access_job_fail(j, "too large for an access map");
	size = (size_t)j->st.st_size;
	j->old = malloc(size + 1);
	if (j->old == NULL)
		return access_job_fail(j, "%s", strerror(errno));
	while (j->old_len < size && n > 0) {
		n = read(j->old_fd, j->old + j->old_len, size - j->old_len);
		if (n > 0)
			j->old_len += (size_t)n;
	}
	if (n < 0)
		return access_job_fail(j, "%s", strerror(errno));
	return j->old_len == size ? 0 : ACCESS_AGAIN;
}

int
access_job_open(struct access_job *j, const struct access_map *m, char *error,
    size_t size)
{
	*j = (struct access_job){ .map = m, .error = error,
		.error_size = size, .dir = -1, .old_fd = -1, .fresh_fd = -1 };
	snprintf(j->fresh, sizeof(j->fresh), ".%s.abichecker-new", m->name);
	j->dir = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir < 0)
		return access_job_fail(j, "directory %s: %s", m->dir,
		    strerror(errno));
	if (!replace_safe(m->dir))
		return access_job_fail(j, "directory %s: others than root may "
		    "write there; a map is only kept where they may not",
		    m->dir);
	j->fresh_fd = replace_open(j->dir, j->fresh, access_lock_wait_ms);
	if (j->fresh_fd < 0)
		return access_job_fail(j, "%s/%s: %s", m->dir, j->fresh,
		    errno == EAGAIN ? "busy: somebody else is writing the map" :
		    strerror(errno));
	indexes_clear(j);
	return old_read(j);
}

void
access_job_close(struct access_job *j)
{
	if (j->fresh_fd >= 0 &&
	    replace_pending(j->dir, j->fresh, j->fresh_fd)) {
		indexes_clear(j);
		unlinkat(j->dir, j->fresh, 0);
	}
	if (j->fresh_fd >= 0)
		close(j->fresh_fd);
	if (j->old_fd >= 0)
		close(j->old_fd);
	if (j->dir >= 0)
		close(j->dir);
	free(j->old);
}

/* Is the file still what was read, or still not there? */
static bool
old_same(struct access_job *j)
{
	struct stat now;

	if (fstatat(j->dir, j->map->name, &now, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT && j->old_fd < 0;
	return j->old_fd >= 0 && file_same(&now, &j->st);
}

bool
access_map_whole(const struct access_map *m, int dir,
    const struct access_header *h, const struct stat *text)
{
	char name[NAME_SIZE];
	bool found = m->kept == ACCESS_CIDR;
	struct stat st;
	size_t i;

	for (i = 0; i < SUFFIXES && !found; i++) {
		snprintf(name, sizeof(name), "%s%s", m->name, suffixes[i]);
		found = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) &&
		    time_same(&st.st_mtim, &text->st_mtim);
	}
	return found && time_same(&h->made, &text->st_mtim) &&
	    strcmp(h->types, access_map_types(m->kept)) == 0;
}

/*
 * Finishes a new file, which is dressed as the old one of that name or, when
 * there is none, as like, if that is not NULL. 0 or -1, with a message.
 */
static int
file_finish(struct access_job *j, int fd, const char *name, int old_fd,
    const struct stat *like, const struct timespec times[2])
{
	if (replace_dress(fd, old_fd, like) == 0 &&
	    futimens(fd, times) == 0 && fsync(fd) == 0)
		return 0;
	return access_job_fail(j, "%s: %s", name, strerror(errno));
}

/* Finishes an index, if postmap has made it. How many: 0 or 1; or -1. */
static int
index_finish(struct access_job *j, const char *suffix,
    const struct timespec times[2])
{
	char name[NAME_SIZE], old_name[NAME_SIZE];
	struct stat st, old = j->st;
	int fd, old_fd, rc;

	snprintf(name, sizeof(name), "%s%s", j->fresh, suffix);
	snprintf(old_name, sizeof(old_name), "%s%s", j->map->name, suffix);
	if (regular_open(j, name, &fd, &st) != 0)
		return -1;
	if (fd < 0)
		return 0;
	rc = regular_open(j, old_name, &old_fd, &old);
	if (rc == 0)
		rc = file_finish(j, fd, name, old_fd,
		    old_fd >= 0 || j->old_fd >= 0 ? &old : NULL, times);
	if (old_fd >= 0)
		close(old_fd);
	close(fd);
	return rc == 0 ? 1 : -1;
}

/* Has postmap make the index of one type, and finishes it. */
static int
index_make(struct access_job *j, unsigned type,
    const struct timespec times[2])
{
	char source[NAME_SIZE], said[512];
	/* The first of equal keys stays, and that is ours. */
	const char *const argv[] = { "postmap", "-w", source, NULL };
	int made = 0, rc = 0;
	size_t i;

	snprintf(source, sizeof(source), "%s:%s", access_map_types(type),
	    j->fresh);
	if (tool_run(argv, j->dir, j->fresh_fd, ACCESS_TOOL_SECONDS, said,
		sizeof(said)) != 0)
		return access_job_fail(j, "%s", said);
	if (said[0] != '\0')
		log_debug("%s: %s", j->map->setting, said);
	for (i = 0; i < SUFFIXES && rc >= 0; i++) {
		rc = index_finish(j, suffixes[i], times);
		made += rc;
	}
	if (rc >= 0 && made == 0)
		return access_job_fail(j, "postmap has made no index of %s",
		    source);
	return rc < 0 ? -1 : 0;
}

/* Puts the new files in the places of the old ones; the indexes go first. */
static int
files_publish(struct access_job *j)
{
	char from[NAME_SIZE], to[NAME_SIZE];
	size_t i;

	if (!old_same(j))
		return ACCESS_AGAIN;
	for (i = 0; i < SUFFIXES; i++) {
		snprintf(from, sizeof(from), "%s%s", j->fresh, suffixes[i]);
		snprintf(to, sizeof(to), "%s%s", j->map->name, suffixes[i]);
		if (renameat(j->dir, from, j->dir, to) != 0 && errno != ENOENT)
			return access_job_fail(j, "%s: %s", to,
			    strerror(errno));
	}
	if (fsync(j->dir) != 0 ||
	    renameat(j->dir, j->fresh, j->dir, j->map->name) != 0 ||
	    fsync(j->dir) != 0)
		return access_job_fail(j, "%s: %s", j->map->name,
		    strerror(errno));
	return 0;
}

int
access_job_put(struct access_job *j, const char *header, const char *text,
    size_t len, const struct timespec *made, bool indexes_stay)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, *made };
	int fd = fcntl(j->fresh_fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	unsigned type;

	if (f == NULL || fputs(header, f) < 0 ||
	    (fwrite(text, 1, len, f) != len) | (fclose(f) != 0))
		return access_job_fail(j, "%s/%s: %s", j->map->dir, j->fresh,
		    strerror(errno));
	for (type = ACCESS_HASH; type < ACCESS_CIDR && !indexes_stay; type *= 2)
		if ((j->map->kept & type) != 0 &&
		    index_make(j, type, times) != 0)
			return -1;
	if (file_finish(j, j->fresh_fd, j->fresh, j->old_fd,
		j->old_fd >= 0 ? &j->st : NULL, times) != 0)
		return -1;
	return files_publish(j);
}
