/*
 * maillog_parse - how a log line is taken apart; for maillog*.c only.
 *
 * A place in a line is a pointer p, at most its end; nothing is read at or
 * after end.
 */
#ifndef MAILLOG_PARSE_H
#define MAILLOG_PARSE_H

#include <string.h>

#include "logs/maillog.h"

/* --- what stands before a message (maillog_head.c) --- */

/* What writes a line. */
enum maillog_service {
	MAILLOG_OTHER, /* none of ours */
	MAILLOG_SMTPD,
	MAILLOG_POSTSCREEN,
	MAILLOG_CLEANUP,
	MAILLOG_ANY, /* one of Postfix's; which is not said */
	MAILLOG_SERVICES
};

struct maillog_head {
	const char *stamp; /* see maillog_stamp() */
	size_t stamp_len;
	enum maillog_service service;
	struct maillog_text program; /* "postfix/smtpd", of one of ours */
	const char *message; /* up to the line's end */
};

/* Reads the head of a line; false when that has no known form. */
bool maillog_head(const char *line, const char *end, struct maillog_head *h);

/*
 * Is that a service to which users submit mail, having logged in? Its name says
 * so: "postfix/192.0.2.5:submission/smtpd".
 */
bool maillog_submission(const struct maillog_text *program);

/* --- patterns (maillog_match.c) --- */

/* A message that a pattern has matched. */
struct maillog_message {
	const char *p, *end; /* what is after the pattern */
	struct maillog_text stage;  /* "RCPT", where the pattern has one */
	struct maillog_text client; /* "name[address]", as it stands there */
	struct maillog_text program;
	bool cut; /* it has the length at which Postfix or a syslogd cuts */
};

/*
 * Goes along a pattern (see `rows' in maillog.c for its signs), from m->p on;
 * false when the message does not match. Sets stage and client of *m and
 * client, address and name of *hit on the way; they are garbage after false.
 */
bool maillog_match(const char *pattern, struct maillog_message *m,
    struct maillog_hit *hit);

/* Goes after digits and dots, or a host name. NULL = there is none at p. */
const char *maillog_skip_number(const char *p, const char *end);
const char *maillog_skip_name(const char *p, const char *end);

/* --- what is after a pattern (maillog_reply.c, maillog_reject.c) --- */

/*
 * Sets rule (maillog_reject only), temporary, text, recipient and user. False
 * when the line is not an offence after all.
 */
typedef bool maillog_finish(const struct maillog_message *m,
    struct maillog_hit *hit);

maillog_finish maillog_plain;  /* nothing that matters */
maillog_finish maillog_strangers; /* the same; users do that, too */
maillog_finish maillog_login;  /* the reason of a failed login, and who */
maillog_finish maillog_lookup; /* why a name has not that address */
maillog_finish maillog_counts; /* the commands of a session, at its end */
maillog_finish maillog_reject; /* a reply of Postfix */
maillog_finish maillog_milter; /* a reply of a milter */

/* What was rejected, as Postfix says it: "<...>: Sender address rejected: ". */
enum maillog_object {
	MAILLOG_NOTHING, /* the reply has no <> */
	MAILLOG_RECIPIENT,
	MAILLOG_SENDER,
	MAILLOG_HELO,
	MAILLOG_CLIENT,
	MAILLOG_COMMAND, /* DATA and others */
};

/* A reply that Postfix gives; see `replies' in maillog_reply.c. */
struct maillog_reply {
	enum maillog_object object;
	const char *begins;
	const char *then;
	bool whole;
	enum maillog_rule rule;
};

/* Which reply begins there; NULL = none that is known. */
const struct maillog_reply *maillog_reply_find(const char *p, const char *end);

/* Does a text begin like one of those, which end in NULL? */
bool maillog_begins_any(const char *p, const char *end,
    const char *const *with);

/* Where a text stands first between p and end; NULL = nowhere. */
static inline const char *
maillog_find(const char *p, const char *end, const char *text)
{
	return memmem(p, (size_t)(end - p), text, strlen(text));
}

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

static inline bool
maillog_letter(char c)
{
	return maillog_upper(c) || (c >= 'a' && c <= 'z');
}

#endif
