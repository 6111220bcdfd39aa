/*
 * maillog_parse - how a log line is taken apart; for maillog*.c only.
 *
 * A place in a line is a pointer p, at most its end; nothing is read at or
 * behind end.
 */
#ifndef MAILLOG_PARSE_H
#define MAILLOG_PARSE_H

#include <string.h>

#include "maillog.h"

/*
 * Goes along a pattern (see `rows' in maillog.c for its signs) and returns the
 * place behind it, NULL when the line does not match. Sets client, address and
 * name of *hit on the way; they are garbage after NULL.
 */
const char *maillog_match(const char *pattern, const char *p, const char *end,
    struct maillog_hit *hit);

/* Goes behind digits and dots, or a host name. NULL = there is none at p. */
const char *maillog_skip_number(const char *p, const char *end);
const char *maillog_skip_name(const char *p, const char *end);

/*
 * What is behind a pattern: sets rule (maillog_reject only), temporary, text,
 * recipient and user. False when the line is not an offence after all.
 */
typedef bool maillog_finish(const char *p, const char *end,
    struct maillog_hit *hit);

maillog_finish maillog_plain;  /* nothing that matters */
maillog_finish maillog_login;  /* the reason of a failed login, and who */
maillog_finish maillog_lookup; /* why a name has not that address */
maillog_finish maillog_reject; /* a reply of Postfix */
maillog_finish maillog_milter; /* a reply of a milter */

static inline bool
maillog_begins(const char *p, const char *end, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(end - p) >= len && memcmp(p, with, len) == 0;
}

static inline struct maillog_text
maillog_part(const char *from, const char *to)
{
	return (struct maillog_text) { from, (size_t)(to - from) };
}

static inline bool
maillog_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
maillog_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

#endif
