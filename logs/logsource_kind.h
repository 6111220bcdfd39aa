/*
 * logsource_kind - what the kinds of sources are made of; for logs/ only.
 */
#ifndef LOGSOURCE_KIND_H
#define LOGSOURCE_KIND_H

#include <stdint.h>

#include "logs/logsource.h"
#include "logs/rotated.h"

struct logsource_kind {
	/* As logsource_read() and the others of that name. */
	int (*read)(struct logsource *s, const char **text, size_t *len);
	void (*position)(const struct logsource *s, char *out, size_t size);
	/*
	 * A descriptor that can be read from when there may be more; -1: there
	 * is none, look here again. *look is set when there may be more now.
	 */
	int (*watch)(struct logsource *s, bool *look);
	void (*close)(struct logsource *s);
};

/* The first member of each kind's own. */
struct logsource {
	const struct logsource_kind *kind;
	bool over; /* see logsource_over() */
	struct rotated_mark *mark; /* of a file; else NULL */
	char error[LOGSOURCE_ERROR_MAX];
};

/* Each opens a source, with `error' set when it cannot be; NULL: no memory. */
struct logsource *logfile_open(const char *path, const char *position);
struct logsource *logstream_open(bool follow);
struct logsource *logstream_unpack(const char *path);
/* Not there without WITH_JOURNAL. path: NULL is the system's journal. */
struct logsource *journal_open(const char *path, const char *position,
    long since, bool follow);

/* Sets the error, after `what: '; -1. */
int logsource_fail(struct logsource *s, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a position of the journal; false when it is none. */
#define JOURNAL_CURSOR_MAX 200 /* with NUL */
#define JOURNAL_POSITION "journal " /* before a cursor */
bool journal_position_parse(const char *text, char *cursor);

/* Its time in microseconds, if it can be seen there; else 0. */
uint64_t journal_cursor_time(const char *cursor);

/* --- whole lines from a descriptor (loglines.c) --- */

#define LOGLINES_SIZE 262144
#define LOGLINES_CUT  131072 /* what is handed out of a line that is longer */

struct loglines {
	int fd;
	bool begun;        /* a byte order mark is none any more */
	size_t given, len; /* of buf: handed out, filled */
	uint64_t passed;   /* bytes of a long line that are not in buf */
	char buf[LOGLINES_SIZE];
};

/*
 * Hands out what whole lines there are; *bytes is how many bytes these were.
 * 1; 0: the end, with loglines_rest() bytes of a line without its newline; -1:
 * errno tells, EAGAIN that there is no more at present, EINTR that a signal has
 * come. wait: -1, or 0 not to wait for more.
 */
int loglines_read(struct loglines *l, int wait, const char **text, size_t *len,
    uint64_t *bytes);

/* Hands out the rest at the end as a line: 1, or 0 when there is none. */
int loglines_last(struct loglines *l, const char **text, size_t *len,
    uint64_t *bytes);

uint64_t loglines_rest(const struct loglines *l);

#endif
