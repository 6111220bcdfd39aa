/*
 * files - main.cf and master.cf of one instance, and what they were before.
 */
#include "ctl/postfix/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/replace.h"
#include "base/text.h"
#include "base/tool.h"

#define FILE_BYTES_MAX ((off_t)1 << 20)
#define LOCK_MS	       15000
#define TOOL_SECONDS   30
#define HEADER	       "abichecker: what `abictl postfix enable' changed, 1\n"

const char *const files_names[CF_FILES] = {"main.cf", "master.cf"};

static bool
failed(const struct files *f, const char *name, const char *why, char *error,
    size_t size)
{
	snprintf(error, size, "%s/%s: %s", f->directory, name, why);
	return false;
}

/* All of an open file, with a NUL; NULL with errno, EINVAL if it has one. */
static char *
content(int fd, const struct stat *st)
{
	size_t size = (size_t)st->st_size, len = 0;
	char *text = calloc(size + 1, 1);
	ssize_t n = 1;

	while (text != NULL && len < size && n > 0) {
		n = read(fd, text + len, size - len);
		if (n > 0)
			len += (size_t)n;
	}
	if (text != NULL && n >= 0 && strlen(text) == size)
		return text;
	if (text != NULL && n >= 0)
		errno = EINVAL;
	free(text);
	return NULL;
}

/* Opens and reads a file that is no link. NULL with errno; ELOOP: a link. */
static char *
slurp(const struct files *f, const char *name, struct stat *st)
{
	char *text = NULL;
	int fd = openat(f->dir, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, st) == 0) {
		if (!S_ISREG(st->st_mode) || st->st_size > FILE_BYTES_MAX)
			errno = EINVAL;
		else
			text = content(fd, st);
	}
	close(fd);
	return text;
}

/* --- what is kept --- */

/* Reads the next text of what was kept: its length, a newline, its bytes. */
static char *
kept_next(char **s)
{
	char *end = strchr(*s, '\n'), *out;
	long n;

	if (end == NULL)
		return NULL;
	*end = '\0';
	if (!text_number(*s, 0, FILE_BYTES_MAX, &n) ||
	    strlen(end + 1) < (size_t)n)
		return NULL;
	out = strndup(end + 1, (size_t)n);
	*s = end + 1 + n;
	return out;
}

static bool
kept_read(struct files *f, char *error, size_t size)
{
	struct stat st;
	char *text = slurp(f, FILES_SAVED, &st), *s = text;
	bool good;
	int i;

	if (text == NULL)
		return errno == ENOENT || errno == EACCES ||
		       failed(f, FILES_SAVED, strerror(errno), error, size);
	good = (st.st_uid == 0 || st.st_uid == geteuid()) &&
	       strncmp(s, HEADER, strlen(HEADER)) == 0;
	if (good)
		s += strlen(HEADER);
	for (i = 0; good && i < CF_FILES; i++) {
		f->before[i] = kept_next(&s);
		f->after[i] = f->before[i] != NULL ? kept_next(&s) : NULL;
		good = f->after[i] != NULL;
	}
	free(text);
	f->saved = good;
	return good || failed(f, FILES_SAVED,
			   "not written by `abictl postfix enable': move it "
			   "away",
			   error, size);
}

/* --- opening --- */

/* May only root say what is in the directory? And nobody else is at it. */
static bool
dir_take(struct files *f, char *error, size_t size)
{
	int64_t end = clock_ms() + LOCK_MS;
	struct stat st;

	if (fstat(f->dir, &st) != 0)
		return failed(f, ".", strerror(errno), error, size);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return failed(
		    f, ".", "others than root may write there", error, size);
	while (flock(f->dir, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || clock_ms() > end)
			return failed(f, ".", "another abictl is changing it",
			    error, size);
		usleep(50000);
	}
	return true;
}

/* Why a file was not read. */
static const char *
unread_why(int error)
{
	if (error == ELOOP)
		return "a symbolic link; edit the file that it points to by "
		       "hand";
	return error == EINVAL ? "not a text file, or too large" :
				 strerror(error);
}

bool
files_open(struct files *f, const char *directory, bool change, char *error,
    size_t size)
{
	int i;

	*f = (struct files){.dir = -1};
	snprintf(f->directory, sizeof(f->directory), "%s", directory);
	f->dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0)
		return failed(f, ".", strerror(errno), error, size);
	if (change && !dir_take(f, error, size))
		return false;
	for (i = 0; i < CF_FILES; i++) {
		f->text[i] = slurp(f, files_names[i], &f->st[i]);
		if (f->text[i] == NULL)
			return failed(f, files_names[i], unread_why(errno),
			    error, size);
	}
	return kept_read(f, error, size);
}

static void
staging_remove(struct files *f)
{
	char path[128];
	int i;

	if (f->staging[0] == '\0')
		return;
	for (i = 0; i < CF_FILES; i++) {
		snprintf(
		    path, sizeof(path), "%s/%s", f->staging, files_names[i]);
		unlink(path);
	}
	rmdir(f->staging);
	f->staging[0] = '\0';
}

void
files_close(struct files *f)
{
	int i;

	staging_remove(f);
	for (i = 0; i < CF_FILES; i++) {
		free(f->text[i]);
		free(f->before[i]);
		free(f->after[i]);
	}
	if (f->dir >= 0)
		close(f->dir);
}

/* --- writing --- */

/* Has a file changed since we read it? */
static bool
is_stale(const struct files *f, enum cf_kind which)
{
	struct stat st;

	return fstatat(f->dir, files_names[which], &st,
		   AT_SYMLINK_NOFOLLOW) != 0 || !file_same(&st, &f->st[which]);
}

/*
 * Writes `name' by way of a temporary name. like: the file whose owner, mode
 * and the like it gets, NULL: root's alone. False with errno.
 */
static bool
put(const struct files *f, const char *name, const char *like,
    const struct stat *st, const char *text)
{
	char fresh[64];
	int saved, old = -1, fd;
	bool done;

	snprintf(fresh, sizeof(fresh), ".%s.abichecker-new", name);
	unlinkat(f->dir, fresh, 0);
	fd = openat(f->dir, fresh,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (like != NULL)
		old = openat(f->dir, like,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	done = file_write(fd, text, strlen(text)) == 0 &&
	       (like == NULL ||
		   (old >= 0 && replace_dress(fd, old, st) == 0)) &&
	       fsync(fd) == 0 && renameat(f->dir, fresh, f->dir, name) == 0 &&
	       fsync(f->dir) == 0;
	saved = errno;
	close(fd);
	if (old >= 0)
		close(old);
	if (!done)
		unlinkat(f->dir, fresh, 0);
	errno = saved;
	return done;
}

bool
files_replace(struct files *f, enum cf_kind which, const char *text,
    char *error, size_t size)
{
	const char *name = files_names[which];
	char *copy;

	if (strcmp(f->text[which], text) == 0)
		return true;
	if (is_stale(f, which))
		return failed(f, name,
		    "it has changed in the meantime: run this again", error,
		    size);
	copy = strdup(text);
	if (copy == NULL || !put(f, name, name, &f->st[which], text)) {
		free(copy);
		return failed(f, name, strerror(errno), error, size);
	}
	free(f->text[which]);
	f->text[which] = copy;
	fstatat(f->dir, name, &f->st[which], AT_SYMLINK_NOFOLLOW);
	return true;
}

bool
files_save(struct files *f, char *const before[CF_FILES],
    char *const after[CF_FILES], char *error, size_t size)
{
	char *text;
	bool done;
	int n;

	if (before == NULL) {
		if (unlinkat(f->dir, FILES_SAVED, 0) == 0 || errno == ENOENT)
			return true;
		return failed(f, FILES_SAVED, strerror(errno), error, size);
	}
	n = asprintf(&text, HEADER "%zu\n%s%zu\n%s%zu\n%s%zu\n%s",
	    strlen(before[0]), before[0], strlen(after[0]), after[0],
	    strlen(before[1]), before[1], strlen(after[1]), after[1]);
	if (n < 0)
		return failed(f, FILES_SAVED, "out of memory", error, size);
	done = put(f, FILES_SAVED, NULL, NULL, text);
	free(text);
	return done || failed(f, FILES_SAVED, strerror(errno), error, size);
}

/* --- staging --- */

/* Writes a copy there. Old, since postconf waits for a new one to be so. */
static bool
stage_put(int dir, int i, const char *text)
{
	const struct timespec times[2] = {{0, 0}, {0, 0}};
	size_t len = strlen(text);
	int fd;
	bool done;

	unlinkat(dir, files_names[i], 0);
	fd = openat(dir, files_names[i],
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	/* To a last line without an end, postconf would add its own. */
	done = file_write(fd, text, len) == 0 &&
	       (len == 0 || text[len - 1] == '\n' ||
		   file_write(fd, "\n", 1) == 0) &&
	       futimens(fd, times) == 0;
	close(fd);
	return done;
}

/* Runs postconf on the copies, one edit after the other. */
static bool
stage_edit(struct files *f, int dir, const struct plan_edit *e, char *error,
    size_t size)
{
	const char *argv[] = {
	    "postconf", "-c", f->staging, e->option, e->setting, NULL};
	const struct timespec times[2] = {{0, 0}, {0, 0}};
	int i;

	if (tool_run(argv, -1, -1, TOOL_SECONDS, error, size) != 0)
		return false;
	for (i = 0; i < CF_FILES; i++)
		utimensat(dir, files_names[i], times, AT_SYMLINK_NOFOLLOW);
	return true;
}

/* What the copies are then; one that nobody has edited is the old text. */
static bool
stage_read(int dir, char *const text[CF_FILES], bool edited[CF_FILES],
    char *result[CF_FILES])
{
	struct files there = {.dir = dir};
	struct stat st;
	int i;

	for (i = 0; i < CF_FILES; i++) {
		result[i] = edited[i] ? slurp(&there, files_names[i], &st) :
					strdup(text[i]);
		if (result[i] == NULL)
			return false;
	}
	return true;
}

bool
files_stage(struct files *f, char *const text[CF_FILES],
    const struct plan_edit *edits, size_t count, char *result[CF_FILES],
    char *error, size_t size)
{
	bool good, edited[CF_FILES] = {false, false};
	size_t i;
	int dir;

	result[0] = result[1] = NULL;
	staging_remove(f);
	snprintf(f->staging, sizeof(f->staging), "%s",
	    "/tmp/abictl-postfix.XXXXXX");
	if (mkdtemp(f->staging) == NULL) {
		f->staging[0] = '\0';
		return failed(f, "copy in /tmp", strerror(errno), error, size);
	}
	dir = open(f->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	good = dir >= 0 && stage_put(dir, 0, text[0]) &&
	       stage_put(dir, 1, text[1]);
	if (!good)
		failed(f, "copy in /tmp", strerror(errno), error, size);
	for (i = 0; good && i < count; i++) {
		edited[strchr(edits[i].option, 'e') != NULL ||
			       strcmp(edits[i].option, "-X") == 0
			   ? CF_MAIN
			   : CF_MASTER] = true;
		good = stage_edit(f, dir, &edits[i], error, size);
	}
	if (good && !stage_read(dir, text, edited, result))
		good = failed(
		    f, "copy in /tmp", strerror(errno), error, size);
	if (dir >= 0)
		close(dir);
	return good;
}
