/*
 * access_map_file - the files of an access map: read, made anew, replaced.
 *
 * Everything happens in one directory that only root may write, by names
 * relative to its descriptor, under a lock that postmap inherits: while an
 * orphan of a killed run still writes, nobody else begins.
 */
#include "scan/access_map_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/tool.h"

#define OTHER_MAX    ((size_t)64 << 20) /* everybody else's lines */
#define ACL          "system.posix_acl_access"
#define NEW_MODE     0644 /* as Postfix makes its maps */

long access_lock_wait_ms = 15000;

/* -1, with a message that begins with the setting. */
int
access_job_fail(struct access_job *j, const char *fmt, ...)
{
	char what[ACCESS_MAP_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(j->error, j->error_size, "%s: %s", j->map, what);
	return -1;
}

/*
 * Whether only root (or who runs this) can say what stands under a path: links
 * are theirs, and in no directory others may write, except where a sticky bit
 * keeps them from what is not theirs.
 */
static bool
path_safe(const char *path)
{
	char part[PATH_MAX];
	struct stat st;
	size_t n = 0;

	while (path[n] != '\0') {
		n += strspn(path + n, "/");
		n += strcspn(path + n, "/");
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (lstat(part, &st) != 0)
			return true; /* opening it tells why */
		if (st.st_uid != 0 && st.st_uid != geteuid())
			return false;
		if (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) == 0 &&
		    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
			return false;
	}
	return true;
}

/* Opens the directory, which must be safe to work in. */
static int
dir_open(struct access_job *j)
{
	struct stat st;

	j->dir = open(j->at.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir < 0 || fstat(j->dir, &st) != 0)
		return access_job_fail(j, "directory %s: %s", j->at.dir,
		    strerror(errno));
	if (!path_safe(j->at.dir) ||
	    (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return access_job_fail(j, "directory %s: others than root may "
		    "write there; a map is only kept where they may not",
		    j->at.dir);
	return 0;
}

/* Opens the lock file. */
static int
lock_open(struct access_job *j, const char *name)
{
	struct stat st;

	j->lock = openat(j->dir, name, O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (j->lock < 0 || fstat(j->lock, &st) != 0)
		return access_job_fail(j, "%s/%s: %s", j->at.dir, name,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return access_job_fail(j, "%s/%s: not a regular file",
		    j->at.dir, name);
	return 0;
}

/* Takes the lock; once more when the file was removed by who had it. */
static int
lock_take(struct access_job *j)
{
	struct stat ours, there;

	for (;;) {
		if (lock_open(j, j->lock_name) != 0)
			return -1;
		if (lock_byte(j->lock, 0, access_lock_wait_ms) != 0)
			break;
		if (fstat(j->lock, &ours) == 0 &&
		    fstatat(j->dir, j->lock_name, &there,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    ours.st_ino == there.st_ino)
			return 0;
		close(j->lock);
	}
	if (errno == EAGAIN)
		return access_job_fail(j, "busy: somebody else is writing it");
	return access_job_fail(j, "%s/%s: %s", j->at.dir, j->lock_name,
	    strerror(errno));
}

/* Removes the temporary files, also those of a run that was killed. */
void
access_job_clear(struct access_job *j)
{
	char name[NAME_MAX + 64];

	if (j->fresh_fd >= 0)
		close(j->fresh_fd);
	j->fresh_fd = -1;
	unlinkat(j->dir, j->fresh, 0);
	if (j->at.suffix == NULL)
		return;
	unlinkat(j->dir, j->fresh_index, 0);
	/* Where postmap itself has a temporary name for a cdb. */
	snprintf(name, sizeof(name), "%s.tmp", j->fresh_index);
	unlinkat(j->dir, name, 0);
	/* Berkeley DB's first name for a new file: while there is one, postmap
	 * tries for 100 seconds, and fails. */
	snprintf(name, sizeof(name), "__db.%s", j->fresh_index);
	unlinkat(j->dir, name, 0);
}

int
access_job_open(struct access_job *j, const char *map,
    struct access_map_result *result, char *error, size_t size)
{
	const char *what, *suffix;

	*j = (struct access_job){ .map = map, .error = error,
		.error_size = size, .dir = -1, .lock = -1, .old_fd = -1,
		.fresh_fd = -1, .result = result };
	what = access_place_parse(map, &j->at);
	if (what != NULL)
		return access_job_fail(j, "%s", what);
	suffix = j->at.suffix != NULL ? j->at.suffix : "";
	snprintf(j->index, sizeof(j->index), "%s%s", j->at.name, suffix);
	snprintf(j->lock_name, sizeof(j->lock_name), ".%s.abichecker-lock",
	    j->at.name);
	snprintf(j->fresh, sizeof(j->fresh), ".%s.abichecker-new", j->at.name);
	snprintf(j->fresh_index, sizeof(j->fresh_index), "%s%s", j->fresh,
	    suffix);
	if (dir_open(j) != 0 || lock_take(j) != 0)
		return -1;
	access_job_clear(j);
	return 0;
}

/* What was read of the map is let go. */
void
access_job_forget(struct access_job *j)
{
	if (j->old_fd >= 0)
		close(j->old_fd);
	j->old_fd = -1;
	free(j->other);
	j->other = NULL;
	j->other_len = 0;
}

void
access_job_close(struct access_job *j)
{
	access_job_forget(j);
	if (j->fresh_fd >= 0)
		access_job_clear(j);
	if (j->lock >= 0 && j->lock_goes)
		unlinkat(j->dir, j->lock_name, 0);
	if (j->lock >= 0)
		close(j->lock);
	if (j->dir >= 0)
		close(j->dir);
}

/* What a name is that should be a regular file. */
static const char *
not_regular(mode_t mode)
{
	return S_ISLNK(mode) ? "a symbolic link; name the file itself" :
	    S_ISDIR(mode) ? "a directory" : "not a regular file";
}

static int
look(struct access_job *j, const char *name, struct access_seen *s)
{
	s->there = fstatat(j->dir, name, &s->st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!s->there && errno != ENOENT)
		return access_job_fail(j, "%s/%s: %s", j->at.dir, name,
		    strerror(errno));
	if (s->there && !S_ISREG(s->st.st_mode))
		return access_job_fail(j, "%s/%s: %s", j->at.dir, name,
		    not_regular(s->st.st_mode));
	return 0;
}

static bool
time_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
seen_same(const struct access_seen *a, const struct access_seen *b)
{
	return a->there == b->there &&
	    (!a->there ||
		(a->st.st_ino == b->st.st_ino && a->st.st_dev == b->st.st_dev &&
		    a->st.st_size == b->st.st_size &&
		    time_same(&a->st.st_mtim, &b->st.st_mtim) &&
		    time_same(&a->st.st_ctim, &b->st.st_ctim)));
}

/* The bytes of the file as it was looked at; -1, or ACCESS_AGAIN. */
static int
content_read(struct access_job *j)
{
	struct access_seen now = { true, j->old.st };
	size_t size = (size_t)j->old.st.st_size;
	ssize_t n = 1;

	j->old_fd = openat(j->dir, j->at.name, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (j->old_fd < 0 || fstat(j->old_fd, &now.st) != 0)
		return access_job_fail(j, "%s", strerror(errno));
	if (!seen_same(&now, &j->old))
		return ACCESS_AGAIN;
	if (j->old.st.st_size > ACCESS_FILE_MAX)
		return access_job_fail(j, "too large for an access map");
	j->other = malloc(size + 1);
	if (j->other == NULL)
		return access_job_fail(j, "%s", strerror(errno));
	while (j->other_len < size && n > 0) {
		n = read(j->old_fd, j->other + j->other_len,
		    size - j->other_len);
		if (n > 0)
			j->other_len += (size_t)n;
	}
	if (n < 0)
		return access_job_fail(j, "%s", strerror(errno));
	return j->other_len == size ? 0 : ACCESS_AGAIN;
}

/* Reads the map as it is: everybody else's lines, and whether ours is good. */
int
access_job_read(struct access_job *j)
{
	size_t head, len;
	const char *what;
	char *smaller;
	long line;
	int rc;

	j->in_force = j->had_block = false;
	j->old_index.there = false;
	if (look(j, j->at.name, &j->old) != 0 ||
	    (j->at.suffix != NULL && look(j, j->index, &j->old_index) != 0))
		return -1;
	if (!j->old.there)
		return 0;
	rc = content_read(j);
	if (rc != 0)
		return rc;
	len = j->other_len;
	head = access_header_read(j->other, len, &j->header);
	j->in_force = head > 0 &&
	    access_sum(ACCESS_SUM_START, j->other + head, len - head) ==
	    j->header.sum && (j->at.suffix == NULL || (j->old_index.there &&
	    time_same(&j->old_index.st.st_mtim, &j->old.st.st_mtim)));
	what = access_text_others(j->other, &j->other_len, &line);
	if (what != NULL)
		return access_job_fail(j, "line %ld: %s", line, what);
	j->had_block = j->other_len != len;
	if (j->other_len > OTHER_MAX)
		return access_job_fail(j, "too many lines of others");
	smaller = realloc(j->other, j->other_len + 1);
	if (smaller != NULL)
		j->other = smaller;
	return 0;
}

/* One extended attribute, if the old file has it. */
static int
attribute_copy(int from, int to, const char *name)
{
	char value[4096];
	ssize_t n = fgetxattr(from, name, value, sizeof(value));

	if (n >= 0)
		return fsetxattr(to, name, value, (size_t)n, 0);
	if (errno != ENODATA)
		return errno == ENOTSUP ? 0 : -1;
	/* Neither does it keep one that the directory gives to new files. */
	if (strcmp(name, ACL) == 0 && fremovexattr(to, name) != 0 &&
	    errno != ENODATA)
		return -1;
	return 0;
}

/*
 * Gives a new file the owner, mode, ACL and label of the one that it replaces;
 * from_fd -1: of nobody, but owner and mode of like, if that is not NULL.
 */
static int
attributes_copy(int fd, int from_fd, const struct stat *like)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (like != NULL &&
	    (like->st_uid != st.st_uid || like->st_gid != st.st_gid) &&
	    fchown(fd, like->st_uid, like->st_gid) != 0)
		return -1;
	if (fchmod(fd, like != NULL ? like->st_mode & 07777 : NEW_MODE) != 0)
		return -1;
	if (from_fd < 0)
		return 0;
	return attribute_copy(from_fd, fd, ACL) == 0 &&
	    attribute_copy(from_fd, fd, "security.selinux") == 0 ? 0 : -1;
}

/* The new index, dressed as the old one, or as the file when there is none. */
static int
index_attributes_copy(struct access_job *j, int fd)
{
	int from = -1, rc;

	if (!j->old_index.there)
		return attributes_copy(
		    fd, -1, j->old.there ? &j->old.st : NULL);
	from = openat(j->dir, j->index,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (from < 0)
		return -1;
	rc = attributes_copy(fd, from, &j->old_index.st);
	close(from);
	return rc;
}

/*
 * Takes the index's time, made another than the old file's, as that of both:
 * so they are seen to belong together.
 */
static int
index_bind(struct access_job *j, int fd)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, { 0, 0 } };
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	times[1] = st.st_mtim;
	if (j->old.there && time_same(&times[1], &j->old.st.st_mtim))
		times[1].tv_nsec = (times[1].tv_nsec + 1) % 1000000000;
	return futimens(fd, times) == 0 &&
	    futimens(j->fresh_fd, times) == 0 && fsync(fd) == 0 ? 0 : -1;
}

/* Has postmap make the index under its temporary name, and finishes it. */
static int
index_make(struct access_job *j)
{
	char source[NAME_MAX + 48], said[512];
	const char *const argv[] = { "postmap", source, NULL };
	int fd, rc;

	snprintf(source, sizeof(source), "%s:%s", j->at.type, j->fresh);
	if (tool_run(argv, j->dir, j->lock, ACCESS_TOOL_SECONDS, said,
		sizeof(said)) != 0)
		return access_job_fail(j, "%s", said);
	if (said[0] != '\0')
		log_debug("%s: %s", j->map, said);
	fd = openat(j->dir, j->fresh_index,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return access_job_fail(j, "postmap has made no %s: %s",
		    j->fresh_index, strerror(errno));
	rc = index_attributes_copy(j, fd) == 0 && index_bind(j, fd) == 0 ? 0 :
	    access_job_fail(j, "%s: %s", j->fresh_index, strerror(errno));
	close(fd);
	return rc;
}

/* The time of the old file, for a new one that the same index belongs to. */
static int
index_keep(struct access_job *j)
{
	struct timespec times[2] = { { 0, UTIME_OMIT }, j->old.st.st_mtim };

	if (futimens(j->fresh_fd, times) != 0)
		return access_job_fail(j, "%s: %s", j->fresh, strerror(errno));
	return 0;
}

/* Puts the new files in the places of the old ones; the index goes first. */
static int
file_publish(struct access_job *j, bool with_index)
{
	struct access_seen now, now_index = { .there = false };

	if (look(j, j->at.name, &now) != 0 ||
	    (j->at.suffix != NULL && look(j, j->index, &now_index) != 0))
		return -1;
	if (!seen_same(&now, &j->old) || !seen_same(&now_index, &j->old_index))
		return ACCESS_AGAIN;
	if (with_index &&
	    (renameat(j->dir, j->fresh_index, j->dir, j->index) != 0 ||
		fsync(j->dir) != 0))
		return access_job_fail(j, "%s: %s", j->index, strerror(errno));
	if (renameat(j->dir, j->fresh, j->dir, j->at.name) != 0 ||
	    fsync(j->dir) != 0)
		return access_job_fail(j, "%s: %s", j->at.name,
		    strerror(errno));
	j->result->rewritten = true;
	return 0;
}

/* Finishes the file that was written, with its index, and publishes both. */
int
access_job_finish(struct access_job *j, bool same_lines)
{
	bool with_index = j->at.suffix != NULL && !same_lines;

	if (with_index && index_make(j) != 0)
		return -1;
	if (j->at.suffix != NULL && !with_index && index_keep(j) != 0)
		return -1;
	if (attributes_copy(j->fresh_fd, j->old_fd,
		j->old.there ? &j->old.st : NULL) != 0 ||
	    fsync(j->fresh_fd) != 0)
		return access_job_fail(j, "%s: %s", j->fresh, strerror(errno));
	return file_publish(j, with_index);
}

/* A new file of root's only, and a stream on a copy of its descriptor. */
FILE *
access_job_new(struct access_job *j)
{
	int fd;
	FILE *f;

	j->fresh_fd = openat(j->dir, j->fresh, O_RDWR | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->fresh_fd < 0)
		return NULL;
	fd = fcntl(j->fresh_fd, F_DUPFD_CLOEXEC, 0);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL && fd >= 0)
		close(fd);
	return f;
}

