/*
 * file - whole files: reading them, and noticing that they have changed.
 */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

/*
 * Reads a regular file of at most max bytes, with a NUL after it; without the
 * byte order mark that some editors write. The caller frees it. NULL with errno
 * when it cannot be read. st may be NULL.
 */
char *file_slurp(const char *path, size_t max, size_t *len, struct stat *st);

/* Writes all of a text. 0, or -1 with errno. */
int file_write(int fd, const char *text, size_t len);

/* Is a file the same, and unchanged, by two looks at it? */
bool file_same(const struct stat *a, const struct stat *b);

/*
 * Reports lines of a file that are not understood: the first ten, then how many
 * more there were, so that rubbish does not fill the log. fn may be NULL.
 */
struct file_complaints {
	void (*fn)(void *arg, int line, const char *what);
	void *arg;
	long count;
};

void file_complain(struct file_complaints *c, int line, const char *what);
void file_complain_end(struct file_complaints *c);

/* An fn that logs; arg is the file's name. line 0: the file as a whole. */
void file_complain_log(void *arg, int line, const char *what);

/* A file that is read again when it changes; begin with zeros. */
struct file_watch {
	struct stat st; /* of what was read last */
	bool read;
	bool failed; /* at the last attempt, so that it is reported once */
};

enum file_state {
	FILE_ERROR = -1, /* errno */
	FILE_ABSENT,
	FILE_SAME,
	FILE_CHANGED, /* or not read yet: read it, then call file_was_read() */
};

enum file_state file_look(const struct file_watch *w, const char *path);

/* Notes that the file was read, and how it was then. */
void file_was_read(struct file_watch *w, const struct stat *st);

#endif
