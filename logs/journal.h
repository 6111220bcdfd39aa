/*
 * journal - systemd's journal, read through journalctl and its export format
 * (systemd.io/JOURNAL_EXPORT_FORMATS), as lines of a log file.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define JOURNAL_CURSOR_MAX 200   /* with NUL */
#define JOURNAL_MESSAGE_MAX 16384
#define JOURNAL_LINE_MAX (JOURNAL_MESSAGE_MAX + 512)

/* A field that is wanted of an entry; more than fits is passed over. */
struct journal_value {
	char *text;
	size_t size, len;
	bool set, cut;
};

enum journal_name {
	JOURNAL_CURSOR,
	JOURNAL_TIME,
	JOURNAL_HOST,
	JOURNAL_IDENT,
	JOURNAL_PID,
	JOURNAL_OWN_PID,
	JOURNAL_MESSAGE,
	JOURNAL_NAMES
};

/* Where in an entry the parser is; begin with journal_export_init(). */
struct journal_export {
	enum {
		JOURNAL_IN_NAME,
		JOURNAL_IN_TEXT,
		JOURNAL_IN_LENGTH,
		JOURNAL_IN_DATA,
		JOURNAL_IN_END
	} state;
	char name[65];
	size_t name_len;
	uint64_t left; /* of binary data */
	unsigned length_bytes;
	bool any; /* field of this entry */
	struct journal_value *want; /* what is read goes here, or nowhere */
	struct journal_value values[JOURNAL_NAMES];
	char cursor[JOURNAL_CURSOR_MAX], time[24], host[256], ident[128],
	    pid[16], own_pid[16], message[JOURNAL_MESSAGE_MAX];
};

void journal_export_init(struct journal_export *e);

/*
 * Reads from data up to the end of an entry, at most n bytes; *used tells how
 * many. 1: an entry is complete, its values are there until the next call;
 * 0: more bytes are needed; -1: this is no export.
 */
int journal_export_read(struct journal_export *e, const char *data, size_t n,
    size_t *used);

/* The time of the entry in microseconds; 0 when there is none. */
uint64_t journal_export_time(const struct journal_export *e);

/*
 * The entry as a line of a log file with its newline: one line, whatever is
 * in it. Its length; 0 when it has no message or no time.
 * size >= JOURNAL_LINE_MAX.
 */
size_t journal_export_line(const struct journal_export *e, char *out,
    size_t size);

/* Reads a position; false when it is none. cursor: JOURNAL_CURSOR_MAX. */
bool journal_position_parse(const char *text, char *cursor);

/* The time of the entry where it stands, 0 when it is no position. */
time_t journal_position_time(const char *text);

struct journal;

/* As logsource_open() and the others. path: a file or directory, or NULL. */
struct journal *journal_open(const char *path, const char *position,
    long since, bool follow, char *error, size_t size);
int journal_read(struct journal *j, const char **text, size_t *len,
    char *error, size_t size);
void journal_position(const struct journal *j, char *out, size_t size);
bool journal_over(const struct journal *j);
int journal_fd(const struct journal *j); /* -1: none any more */
void journal_close(struct journal *j);

#endif
