/*
 * text - small, bounded operations on strings.
 *
 * Everything that comes from a client, an API or a file passes through here
 * before anybody sees it. Nothing in this file allocates.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* A string under construction in the caller's buffer. */
struct text {
	char *buf;   /* always NUL-terminated */
	size_t size; /* of buf, at least 1 */
	size_t len;
	bool cut; /* something did not fit */
};

/* Starts an empty text in buf. */
void text_init(struct text *t, char *buf, size_t size);

/* Appends; what does not fit is dropped and `cut` set. */
void text_add(struct text *t, const char *s);
/* A word as a shell takes it: plain, or within '...'. */
void text_add_quoted(struct text *t, const char *word);
void text_addf(struct text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Appends ` name=<value>` with a value that comes from a client, cut to max
 * bytes: what would end it, or look like the next field, is replaced.
 */
void text_add_field(struct text *t, const char *name, const char *value,
    size_t max);

/*
 * Copies in to out for a log line: control characters and bytes that are not
 * valid UTF-8 become '?'. Returns the length of out; what does not fit is cut.
 */
size_t text_printable(char *out, size_t size, const char *in);

/* The same for SMTP replies: everything outside printable ASCII is '?'. */
size_t text_ascii(char *out, size_t size, const char *in);

/*
 * Length of the valid UTF-8 sequence of several bytes at s (RFC 3629), 0 if
 * there is none, or one that should not be shown: a control character, a line
 * end, a mark of direction.
 */
size_t text_utf8_length(const char *s);

/* The text without white space at its ends; its length in n. */
const char *text_inner(const char *s, size_t *n);

/* Cuts that white space off in place; returns the new beginning. */
char *text_trim(char *s);

/*
 * Is the word of n bytes one of a list with white space or commas between them?
 */
bool text_listed(const char *list, const char *word, size_t n);

/* Folds A-Z to a-z in place. Bytes above 0x7f stay. */
void text_lower(char *s);

/*
 * Reads a country code (ISO 3166-1 alpha-2) of n bytes into out. False when it
 * is not two capital letters. Those that databases use for "not known" (ZZ,
 * XX) or for no country in particular (EU, AP) become "". XK is Kosovo.
 */
bool text_country(const char *s, size_t n, char out[3]);

/*
 * Reads a whole decimal number: digits only, an optional leading '-', no
 * spaces. False when it is anything else or outside min..max; out is then
 * left alone.
 */
bool text_number(const char *s, long min, long max, long *out);

/*
 * Reads a number with one of Postfix's time units (s m h d w, default s) as
 * seconds. False when it is anything else or outside min..max seconds.
 */
bool text_duration(const char *s, long min, long max, long *out);

/*
 * Reads "N/PERIOD" (so many per period, as in "1/1h") or "0". False when it is
 * neither.
 */
bool text_rate(const char *s, long *limit, long *period);

/*
 * Writes a time as in 2026-11-21T04:20:48Z; 0 is "-", one beyond all calendars
 * "?".
 */
void text_time(char *out, size_t size, time_t t);

/* Writes seconds as people read them, "3d", "5h", "12m", "40s". */
void text_age(char *out, size_t size, long seconds);

/*
 * How many of the n bytes at the beginning of a file are a byte order mark of
 * UTF-8, as some editors write it: 3, or 0.
 */
size_t text_mark(const char *s, size_t n);

/*
 * Returns the next line of *cursor: ends it with NUL in place, without its
 * newline and a carriage return before it, and moves *cursor on. NULL at the
 * end. *whole (may be NULL) says whether the line had its newline.
 */
char *text_line(char **cursor, bool *whole);

#endif
