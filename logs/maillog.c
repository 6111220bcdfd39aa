/*
 * maillog - what Postfix's log lines say about abusive clients.
 *
 * To know one more line: samples into tests/maillog.samples, then one row in
 * `rows' below, or in `replies' of maillog_reply.c.
 */
#include "logs/maillog.h"

#include <string.h>

#include "base/array.h"
#include "logs/maillog_parse.h"

#define QUEUE_ID_MAX 32
#define REPEATED_MAX 100 /* times that one line can count */
#define STRANGE 100      /* a log, if not one line of so many is known */

#define TROUBLE_SECONDS 300 /* of a SASL server, after a line that says so:
                             * the time that Postfix waits for a client */

#define IN(service) (1U << (service))
#define SMTPD IN(MAILLOG_SMTPD)
#define POSTSCREEN IN(MAILLOG_POSTSCREEN)
#define CLEANUP IN(MAILLOG_CLEANUP)

/*
 * Messages, from their first byte on; each may have a queue id and a colon
 * before it, also after the "warning: " for which a ! stands. All else is as
 * it stands there, but:
 *   %c  name[address], the client of smtpd, and :port where that is logged
 *   %p  [address]:port, the client of postscreen
 *   %a  an address of its own
 *   %h  a host name, or a SASL mechanism, which has no other characters
 *   %s  a stage, as RCPT or DATA content or DATA (12 bytes)
 *   %r  one that is refused
 *   %n  a number
 *   %$  the line's end   %:  that, or a colon and more
 */
static const struct row {
	unsigned services;
	const char *pattern;
	enum maillog_rule rule;
	maillog_finish *finish;
} rows[] = {
	{ SMTPD, "reject: %r from %c: ", MAILLOG_RULES,
	    maillog_reject },
	{ POSTSCREEN, "reject: %r from %p: ", MAILLOG_RULES, maillog_reject },
	{ SMTPD | CLEANUP, "milter-reject: %s from %c: ",
	    MAILLOG_MILTER_REJECTED, maillog_milter },
	{ SMTPD, "!%c: SASL %h authentication failed:",
	    MAILLOG_AUTH_FAILURE, maillog_login },
	{ SMTPD, "!hostname %h does not resolve to address %a",
	    MAILLOG_HOSTNAME_MISMATCH, maillog_lookup },
	{ SMTPD, "disconnect from %c ", MAILLOG_AUTH_REFUSED, maillog_counts },
	{ SMTPD, "lost connection after AUTH from %c%$",
	    MAILLOG_LOST_AFTER_AUTH, maillog_plain },
	{ SMTPD, "too many errors after %s from %c%$", MAILLOG_PROTOCOL_ABUSE,
	    maillog_strangers },
	{ SMTPD, "improper command pipelining after %s from %c%:",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ SMTPD, "!non-SMTP command from %c%:", MAILLOG_PROTOCOL_ABUSE,
	    maillog_plain },
	{ SMTPD, "!Illegal address syntax from %c in ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_strangers },
	{ SMTPD, "null BDAT request from %c%$",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ SMTPD, "malformed BDAT command syntax from %c%:",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ SMTPD, "!Connection concurrency limit exceeded: "
	    "%n from %c for service ", MAILLOG_RATE_LIMIT, maillog_plain },
	{ SMTPD, "!Connection rate limit exceeded: "
	    "%n from %c for service ", MAILLOG_RATE_LIMIT, maillog_plain },
	{ SMTPD, "!Message delivery request rate limit exceeded: "
	    "%n from %c for service ", MAILLOG_RATE_LIMIT, maillog_plain },
	{ SMTPD, "!Recipient address rate limit exceeded: "
	    "%n from %c for service ", MAILLOG_RATE_LIMIT, maillog_plain },
	{ SMTPD, "!New TLS session rate limit exceeded: "
	    "%n from %c for service ", MAILLOG_RATE_LIMIT, maillog_plain },
	{ SMTPD, "!AUTH command rate limit exceeded: "
	    "%n from %c for service ", MAILLOG_RATE_LIMIT, maillog_plain },
	{ POSTSCREEN, "PREGREET %n after %n from %p%:", MAILLOG_PREGREET,
	    maillog_plain },
	{ POSTSCREEN, "HANGUP after %n from %p in ", MAILLOG_HANGUP,
	    maillog_plain },
	{ POSTSCREEN, "DNSBL rank %n for %p", MAILLOG_DNSBL_RANK,
	    maillog_plain },
	{ POSTSCREEN, "COMMAND TIME LIMIT from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ POSTSCREEN, "COMMAND COUNT LIMIT from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ POSTSCREEN, "COMMAND LENGTH LIMIT from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ POSTSCREEN, "COMMAND PIPELINING from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ POSTSCREEN, "NON-SMTP COMMAND from %p after ",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ POSTSCREEN, "BARE NEWLINE from %p after ", MAILLOG_PROTOCOL_ABUSE,
	    maillog_plain },
	{ POSTSCREEN, "DATA without valid RCPT from %p",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
	{ POSTSCREEN, "BDAT without valid RCPT from %p",
	    MAILLOG_PROTOCOL_ABUSE, maillog_plain },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

_Static_assert(ROW_COUNT <= 32, "struct maillog has a bit for each");

/* Goes after "[ID 197553 mail.info] ", which some syslogds write. */
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

/* Failed logins are always read: they can tell of a SASL server in trouble. */
static bool
is_wanted(enum maillog_rule rule, const struct rules *wanted)
{
	return wanted == NULL || rule == MAILLOG_RULES ||
	    rule == MAILLOG_AUTH_FAILURE || wanted->rule[rule].hits > 0;
}

/* Rows are found by the first byte of a message, after "warning: ". */
static void
row_enter(struct maillog *m, const struct row *r, unsigned service)
{
	bool warning = *r->pattern == '!';
	unsigned char first = (unsigned char)r->pattern[warning];
	uint32_t bit = 1U << (r - rows);
	unsigned byte;

	for (byte = 0; byte < 256; byte++)
		if (first == '%' || first == byte) {
			m->rows[1][service][byte] |= bit;
			if (!warning)
				m->rows[0][service][byte] |= bit;
		}
}

void
maillog_init(struct maillog *m, const struct rules *wanted)
{
	unsigned service;
	const struct row *r;

	memset(m, 0, sizeof(*m));
	for (r = rows; r < rows + ROW_COUNT; r++)
		for (service = 0; service < MAILLOG_SERVICES; service++)
			if (is_wanted(r->rule, wanted) &&
			    (r->services & IN(service) ||
				service == MAILLOG_ANY))
				row_enter(m, r, service);
}

void
maillog_now(struct maillog *m, time_t now)
{
	time_t last = m->clock.last;

	memset(&m->clock, 0, sizeof(m->clock));
	m->clock.now = now;
	m->clock.last = last;
}

void
maillog_begin(struct maillog *m)
{
	m->lines = m->odd = m->known = 0;
}

bool
maillog_strange(const struct maillog *m)
{
	return m->odd > 0 && m->known * STRANGE < m->odd;
}

/* --- names --- */

/* The place for the name of an address. Others may come to the same one. */
static struct maillog_name *
name_place(struct maillog *m, const struct address *a)
{
	uint32_t hash = array_hash(ARRAY_HASH, a->bytes, sizeof(a->bytes));

	return &m->names[(hash ^ hash >> 16) % MAILLOG_NAMES];
}

void
maillog_name_set(struct maillog *m, const struct address *a, const char *name,
    size_t len, long day)
{
	struct maillog_name *place = name_place(m, a);

	if (len >= sizeof(place->name) ||
	    (m->name_wanted != NULL && len > 0 &&
		!m->name_wanted(m->name_arg, name, len)))
		len = 0;
	/* A name that is of no use takes the place of none but its own. */
	if (len == 0 && address_compare(&place->address, a) != 0)
		return;
	place->address = *a;
	place->day = day;
	place->len = (unsigned char)len;
	if (len > 0)
		memcpy(place->name, name, len);
}

/* Of "connect from name[address]". */
static void
name_keep(struct maillog *m, struct maillog_message message)
{
	struct maillog_hit hit;

	memset(&hit, 0, sizeof(hit));
	if (maillog_match("connect from %c%$", &message, &hit))
		maillog_name_set(m, &hit.client, hit.name.s, hit.name.len,
		    (long)(m->clock.now / 86400));
}

static void
name_find(struct maillog *m, struct maillog_hit *hit)
{
	struct maillog_name *place = name_place(m, &hit->client);

	if (place->len > 0 &&
	    address_compare(&place->address, &hit->client) == 0)
		hit->name = maillog_part(place->name, place->name + place->len);
}

/* --- messages --- */

/* Goes after "4F00D1A2B3: " or "NOQUEUE: ". */
static const char *
skip_queue_id(const char *p, const char *end)
{
	const char *from = p;

	if (p == end || (!maillog_digit(*p) && !maillog_upper(*p)))
		return p;
	while (p < end && (maillog_digit(*p) || maillog_letter(*p)))
		p++;
	return end - p > 2 && p[0] == ':' && p[1] == ' ' &&
		p - from <= QUEUE_ID_MAX ? p + 2 : from;
}

/*
 * Goes after "message repeated 5 times: [ ", if that is there, and takes the
 * "]" off the end.
 */
static void
unpack_repeated(struct maillog_message *m, unsigned *times)
{
	static const char begins[] = "message repeated ";
	const char *p = m->p + strlen(begins);
	unsigned n = 0;

	if (*m->p != 'm' || !maillog_begins(m->p, m->end, begins))
		return;
	for (; p < m->end && maillog_digit(*p); p++)
		n = n > REPEATED_MAX ? n : n * 10 + (unsigned)(*p - '0');
	if (n == 0 || !maillog_begins(p, m->end, " times: ["))
		return;
	p += strlen(" times: [");
	while (p < m->end && *p == ' ')
		p++;
	m->p = p;
	if (m->end > p && m->end[-1] == ']')
		m->end--;
	*times = n < REPEATED_MAX ? n : REPEATED_MAX;
}

/*
 * Also when it is no offence, rule and temporary of *hit are set. The rows
 * that a message can match are known by its first byte: most lines are done
 * with there.
 */
static bool
read_message(const struct maillog *m, enum maillog_service service,
    const struct maillog_message *message, struct maillog_hit *hit)
{
	static const char warning[] = "warning: ";
	const char *p = skip_queue_id(message->p, message->end);
	struct maillog_message matched;
	bool warned = maillog_begins(p, message->end, warning);
	const struct row *row;
	uint32_t left;

	hit->rule = MAILLOG_RULES;
	if (warned)
		p = skip_queue_id(p + strlen(warning), message->end);
	if (p == message->end)
		return false;
	left = m->rows[warned][service][(unsigned char)*p];
	for (; left != 0; left &= left - 1) {
		row = &rows[__builtin_ctz(left)];
		memset(hit, 0, sizeof(*hit));
		matched = *message;
		matched.p = p;
		if (!maillog_match(row->pattern + (*row->pattern == '!'),
			&matched, hit))
			continue;
		hit->rule = row->rule;
		return row->finish(&matched, hit);
	}
	return false;
}

/*
 * Whether a login failed because of the SASL server. Clients whose login fails
 * like that hang up, and are then lost after AUTH; and none of theirs was good.
 */
static bool
sasl_trouble(const struct maillog_hit *hit)
{
	return hit->rule == MAILLOG_AUTH_FAILURE && hit->temporary;
}

/* A line in no known form: counts, and the first is kept. */
static bool
odd_line(struct maillog *m, const char *line, size_t len)
{
	size_t room = sizeof(m->odd_line) - 1, i;

	if (len > 0 && m->odd++ == 0) {
		len = len < room ? len : room;
		for (i = 0; i < len; i++)
			m->odd_line[i] = (char)(line[i] ? line[i] : '?');
		m->odd_line[len] = '\0';
	}
	return false;
}

/* Of a message of one of our services. */
static bool
service_line(struct maillog *m, const struct maillog_head *head,
    struct maillog_message *message, struct maillog_hit *hit)
{
	unsigned times = 1;
	bool found;

	m->postscreen = m->postscreen || head->service == MAILLOG_POSTSCREEN;
	message->p = skip_id(message->p, message->end);
	if (message->p == message->end)
		return false;
	unpack_repeated(message, &times);
	if (message->p == message->end)
		return false;
	if (m->postscreen && *message->p == 'c')
		name_keep(m, *message);
	found = read_message(m, head->service, message, hit);
	if (!found && !sasl_trouble(hit))
		return false;
	hit->times = times;
	if (!maillog_time(&m->clock, head->stamp, head->stamp_len,
		&hit->when)) {
		m->known--;
		return odd_line(m, head->stamp,
		    (size_t)(message->end - head->stamp));
	}
	if (sasl_trouble(hit))
		m->trouble = hit->when;
	else if ((hit->rule == MAILLOG_LOST_AFTER_AUTH ||
	    hit->rule == MAILLOG_AUTH_REFUSED) && m->trouble != 0)
		hit->temporary = hit->when >= m->trouble &&
		    hit->when - m->trouble <= TROUBLE_SECONDS;
	if (found && head->service == MAILLOG_POSTSCREEN)
		name_find(m, hit);
	return found;
}

/*
 * Has a line, or what is in it after its head, the length at which it is cut?
 * Postfix cuts a message at 2000 bytes, perhaps within a character; syslog
 * daemons that know no longer lines cut these at 1024, with the head that the
 * line had on its way.
 */
static bool
is_cut(size_t line, size_t message)
{
	return message >= 1996 || (line >= 1000 && line <= 1040);
}

bool
maillog_line(struct maillog *m, const char *line, size_t len,
    struct maillog_hit *hit)
{
	struct maillog_message message = { .end = line + len };
	struct maillog_head head;

	if (len > 0 && line[len - 1] == '\r')
		message.end--;
	if (!maillog_head(line, message.end, &head))
		return odd_line(m, line, (size_t)(message.end - line));
	m->known++;
	if (head.service == MAILLOG_OTHER || head.message == message.end)
		return false;
	message.p = head.message;
	message.program = head.program;
	message.cut = is_cut(len, (size_t)(message.end - head.message));
	if (!service_line(m, &head, &message, hit))
		return false;
	hit->line = maillog_part(line, line + len);
	return true;
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
