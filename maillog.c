/*
 * maillog - what Postfix's log lines say about abusive clients.
 *
 * To know one more line: samples into tests/maillog.samples, then one row in
 * `rows' below, or in `replies' of maillog_reply.c.
 */
#include "maillog.h"

#include <string.h>

#include "maillog_parse.h"

#define QUEUED "%q: " /* a pattern's beginning */
#define QUEUE_ID_MAX 32

#define TROUBLE_SECONDS 300 /* of a SASL server, after a line that says so:
                             * the time that Postfix waits for a client */

/* What writes the line: the last part of the tag. */
enum service {
	SMTPD,
	POSTSCREEN,
	CLEANUP,
	SERVICES,
};

#define IN(service) (1U << (service))

/*
 * Messages, from their first byte on. All of it is as it stands there, but:
 *   %c  name[address], the client of smtpd, and :port where that is logged
 *   %p  [address]:port, the client of postscreen
 *   %a  an address of its own
 *   %h  a host name, or a SASL mechanism, which has no other characters
 *   %q  a queue id or NOQUEUE
 *   %s  a stage, as RCPT or DATA content; %r one that is refused
 *   %n  a number
 *   %$  the line's end   %:  that, or a colon and more
 */
static const struct row {
	unsigned services;
	const char *pattern;
	enum maillog_rule rule;
	maillog_finish *finish;
} rows[] = {
	{ IN(SMTPD), "%q: reject: %r from %c: ", MAILLOG_RULES,
	    maillog_reject },
	{ IN(SMTPD) | IN(CLEANUP), "%q: milter-reject: %s from %c: ",
	    MAILLOG_MILTER_REJECTED, maillog_milter },
	{ IN(SMTPD), "warning: %c: SASL %h authentication failed:",
	    MAILLOG_AUTH_FAILURE, maillog_login },
	{ IN(SMTPD), "warning: hostname %h does not resolve to address %a",
	    MAILLOG_HOSTNAME_MISMATCH, maillog_lookup },
	{ IN(SMTPD), "lost connection after AUTH from %c%$",
	    MAILLOG_LOST_AFTER_AUTH, maillog_plain },
	{ IN(SMTPD), "too many errors after %s from %c%$",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(SMTPD), "improper command pipelining after %s from %c%:",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(SMTPD), "warning: non-SMTP command from %c%:",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(SMTPD),
	    "warning: Connection rate limit exceeded: "
	    "%n from %c for service ",
	    MAILLOG_RATE_LIMIT, maillog_plain },
	{ IN(SMTPD),
	    "warning: Message delivery request rate limit exceeded: "
	    "%n from %c for service ",
	    MAILLOG_RATE_LIMIT, maillog_plain },
	{ IN(SMTPD),
	    "warning: Recipient address rate limit exceeded: "
	    "%n from %c for service ",
	    MAILLOG_RATE_LIMIT, maillog_plain },
	{ IN(SMTPD),
	    "warning: New TLS session rate limit exceeded: "
	    "%n from %c for service ",
	    MAILLOG_RATE_LIMIT, maillog_plain },
	{ IN(SMTPD),
	    "warning: AUTH command rate limit exceeded: "
	    "%n from %c for service ",
	    MAILLOG_RATE_LIMIT, maillog_plain },
	{ IN(POSTSCREEN), "%q: reject: %r from %p: ", MAILLOG_RULES,
	    maillog_reject },
	{ IN(POSTSCREEN), "PREGREET %n after %n from %p%:", MAILLOG_PREGREET,
	    maillog_plain },
	{ IN(POSTSCREEN), "HANGUP after %n from %p in ", MAILLOG_PREGREET,
	    maillog_plain },
	{ IN(POSTSCREEN), "COMMAND TIME LIMIT from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(POSTSCREEN), "COMMAND COUNT LIMIT from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(POSTSCREEN), "COMMAND LENGTH LIMIT from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(POSTSCREEN), "COMMAND PIPELINING from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(POSTSCREEN), "NON-SMTP COMMAND from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ IN(POSTSCREEN), "BARE NEWLINE from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

_Static_assert(ROW_COUNT <= 32, "struct maillog has a bit for each");

/* Whether a tag ends in a service's name, and has something before it. */
static inline bool
tag_ends(const char *tag, const char *end, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(end - tag) > len && memcmp(end - len, with, len) == 0;
}

/*
 * Goes behind "mx1 postfix/submission/smtpd[811]: " and finds out which of our
 * services that is. NULL when it is none, or says nothing.
 */
static const char *
read_tag(const char *p, const char *end, enum service *service)
{
	const char *tag;

	while (p < end && *p != ' ')
		p++;
	if (p == end)
		return NULL;
	for (tag = ++p; p < end && *p != '[' && *p != ' ' && *p != ':'; p++)
		;
	if (p == end || *p != '[')
		return NULL;
	if (tag_ends(tag, p, "/smtpd"))
		*service = SMTPD;
	else if (tag_ends(tag, p, "/cleanup"))
		*service = CLEANUP;
	else if (tag_ends(tag, p, "/postscreen"))
		*service = POSTSCREEN;
	else
		return NULL;
	for (tag = ++p; p < end && maillog_digit(*p); p++)
		;
	if (p == tag || end - p <= 3 || memcmp(p, "]: ", 3) != 0)
		return NULL;
	return p + 3;
}

/* Goes behind "[ID 197553 mail.info] ", which some syslogds write. */
static const char *
skip_id(const char *p, const char *end)
{
	const char *close;

	if (!maillog_begins(p, end, "[ID "))
		return p;
	close = maillog_skip_number(p + 4, end);
	if (close == NULL || close == end || *close != ' ')
		return p;
	close = maillog_skip_name(close + 1, end);
	if (close == NULL || !maillog_begins(close, end, "] "))
		return p;
	return close + 2;
}

void
maillog_init(struct maillog *m, time_t now)
{
	const char *pattern;
	unsigned service;
	uint32_t row;
	bool queued;

	memset(m, 0, sizeof(*m));
	m->clock.now = now;
	for (row = 0; row < ROW_COUNT; row++) {
		pattern = rows[row].pattern;
		queued = strncmp(pattern, QUEUED, strlen(QUEUED)) == 0;
		if (queued)
			pattern += strlen(QUEUED);
		for (service = 0; service < SERVICES; service++) {
			if (rows[row].services & IN(service))
				m->rows[queued][service]
				       [(unsigned char)*pattern] |= 1U << row;
		}
	}
}

/*
 * The rows that a message can match, judged by its first byte; behind a queue
 * id if there is one. Most lines are done with here.
 */
static uint32_t
candidates(const struct maillog *m, enum service service, const char *p,
    const char *end)
{
	const char *q = p;

	if (maillog_digit(*p) || maillog_upper(*p)) {
		if (end - p > QUEUE_ID_MAX)
			end = p + QUEUE_ID_MAX;
		while (q < end && *q != ':' && *q != ' ')
			q++;
		if (end - q > 2 && *q == ':')
			return m->rows[1][service][(unsigned char)q[2]];
	}
	return m->rows[0][service][(unsigned char)*p];
}

/* Also when there is none, rule and temporary of *hit are set. */
static bool
read_message(const struct maillog *m, enum service service, const char *p,
    const char *end, struct maillog_hit *hit)
{
	uint32_t left = candidates(m, service, p, end);
	const struct row *row;
	const char *rest;

	hit->rule = MAILLOG_RULES;
	for (; left != 0; left &= left - 1) {
		row = &rows[__builtin_ctz(left)];
		memset(hit, 0, sizeof(*hit));
		rest = maillog_match(row->pattern, p, end, hit);
		if (rest == NULL)
			continue;
		hit->rule = row->rule;
		return row->finish(rest, end, hit);
	}
	return false;
}

/*
 * Whether a login failed because of the SASL server. Clients whose login fails
 * like that hang up, and are then lost after AUTH.
 */
static bool
sasl_trouble(const struct maillog_hit *hit)
{
	return hit->rule == MAILLOG_AUTH_FAILURE && hit->temporary;
}

bool
maillog_line(struct maillog *m, const char *line, size_t len,
    struct maillog_hit *hit)
{
	size_t stamp = maillog_stamp(line, len);
	const char *p, *end = line + len;
	enum service service;
	bool found;

	if (stamp == 0)
		return false;
	p = read_tag(line + stamp + 1, end, &service);
	if (p == NULL)
		return false;
	if (end[-1] == '\r')
		end--;
	p = skip_id(p, end);
	if (p == end)
		return false;
	found = read_message(m, service, p, end, hit);
	if (!found && !sasl_trouble(hit))
		return false;
	hit->line = maillog_part(line, line + len);
	if (!maillog_time(&m->clock, line, stamp, &hit->when))
		return false;
	if (sasl_trouble(hit))
		m->trouble = hit->when;
	else if (hit->rule == MAILLOG_LOST_AFTER_AUTH && m->trouble != 0)
		hit->temporary = hit->when >= m->trouble &&
		    hit->when - m->trouble <= TROUBLE_SECONDS;
	return found;
}

bool
maillog_next(struct maillog *m, const char *buf, size_t len, size_t *pos,
    struct maillog_hit *hit)
{
	const char *line, *newline;

	for (;;) {
		line = buf + *pos;
		newline = memchr(line, '\n', len - *pos);
		if (newline == NULL)
			return false;
		*pos = (size_t)(newline - buf) + 1;
		m->lines++;
		if (maillog_line(m, line, (size_t)(newline - line), hit))
			return true;
	}
}
