/*
 * file - whole files: reading them, and noticing that they have changed.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/* The bytes of an open regular file; NULL with errno. */
static char *
content_read(int fd, size_t max, size_t *len, struct stat *st)
{
	char *text;
	ssize_t n = 0;
	size_t mark;

	if (fstat(fd, st) != 0)
		return NULL;
	if (!S_ISREG(st->st_mode) || (size_t)st->st_size > max) {
		errno = S_ISREG(st->st_mode) ? EFBIG :
		    S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
		return NULL;
	}
	text = malloc((size_t)st->st_size + 1);
	if (text == NULL)
		return NULL;
	*len = 0;
	while (*len < (size_t)st->st_size &&
	    (n = read(fd, text + *len, (size_t)st->st_size - *len)) > 0)
		*len += (size_t)n;
	mark = text_mark(text, *len);
	*len -= mark;
	memmove(text, text + mark, *len);
	memset(text + *len, 0, mark + 1);
	if (n >= 0)
		return text;
	free(text);
	return NULL;
}

char *
file_slurp(const char *path, size_t max, size_t *len, struct stat *st)
{
	struct stat ignored;
	char *text;
	int fd, saved;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return NULL;
	text = content_read(fd, max, len, st != NULL ? st : &ignored);
	saved = errno;
	close(fd);
	errno = saved;
	return text;
}

int
file_write(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

#define COMPLAINTS_MAX 10

void
file_complain(struct file_complaints *c, int line, const char *what)
{
	if (c->fn != NULL && c->count < COMPLAINTS_MAX)
		c->fn(c->arg, line, what);
	c->count++;
}

void
file_complain_end(struct file_complaints *c)
{
	char text[64];

	if (c->fn == NULL || c->count <= COMPLAINTS_MAX)
		return;
	snprintf(text, sizeof(text), "and %ld more such lines",
	    c->count - COMPLAINTS_MAX);
	c->fn(c->arg, 0, text);
}

void
file_complain_log(void *arg, int line, const char *what)
{
	if (line > 0)
		log_warning("%s:%d: %s", (const char *)arg, line, what);
	else
		log_warning("%s: %s", (const char *)arg, what);
}

bool
file_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

enum file_state
file_look(const struct file_watch *w, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT ? FILE_ABSENT : FILE_ERROR;
	return w->read && file_same(&st, &w->st) ? FILE_SAME : FILE_CHANGED;
}

void
file_was_read(struct file_watch *w, const struct stat *st)
{
	w->st = *st;
	w->read = true;
	w->failed = false;
}
