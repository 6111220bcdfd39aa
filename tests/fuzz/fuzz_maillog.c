/*
 * Lines of the mail log. The first byte of the input decides:
 *
 * - a line that Postfix writes (see `forms'), into which the input's lines are
 *   put as what a client chooses, made printable as Postfix does that.
 *   Property: the address is the client's. Where all that is before it is
 *   Postfix's own, the line is also read, by the right rule.
 * - the rest of the input as a log, with or without a line's beginning.
 *   Property: an address stands where Postfix writes one, nothing points
 *   outside of its line, and a log gives what its lines give.
 */
#include "fuzz.h"

#include <stdio.h>
#include <time.h>

#include "maillog.h"

#define NOW 1795000000
#define FIELDS 4
#define FIELD_MAX 300

/*
 * %N is the client's name, %C its address, %0 to %3 are what it sends, %F what
 * it sends at the end of a reply.
 */
static const struct {
	const char *text;
	int rule; /* which must be found; -1 = any or none */
} forms[] = {
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %N[%C]: 550 5.1.1 <%0>: "
	  "Recipient address rejected: User unknown in virtual mailbox table%F",
	    -1 },
	{ "smtpd[1]: 4F00: reject: RCPT from %N[%C]:%P: 554 5.7.1 <%0>: "
	  "Relay access denied%F",
	    -1 },
	{ "smtpd[1]: NOQUEUE: reject: EHLO from %N[%C]: 504 5.5.2 <%1>: "
	  "Helo command rejected: need fully-qualified hostname%F",
	    -1 },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %N[%C]: 450 4.7.25 "
	  "Client host rejected: cannot find your hostname, [%C]%F",
	    MAILLOG_NO_REVERSE_NAME },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %N[%C]: 554 5.7.1 "
	  "Service unavailable; Helo command [%1] blocked using x.example%F",
	    -1 },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %N[%C]: 554 5.7.1 "
	  "Service unavailable; Client host [%C] blocked using x.example%F",
	    MAILLOG_BLOCKLISTED },
	{ "smtpd[1]: NOQUEUE: milter-reject: RCPT from %N[%C]: 550 5.7.1 no%F",
	    MAILLOG_MILTER_REJECTED },
	{ "cleanup[1]: 4F00: milter-reject: END-OF-MESSAGE from %N[%C]: "
	  "5.7.1 %0%F",
	    MAILLOG_MILTER_REJECTED },
	{ "smtpd[1]: warning: %N[%C]: SASL LOGIN authentication failed: "
	  "UGFzc3dvcmQ6, sasl_username=%0",
	    MAILLOG_AUTH_FAILURE },
	{ "smtpd[1]: warning: %N[%C]: SASL %0 authentication failed: %1, "
	  "sasl_username=%2",
	    -1 },
	{ "smtpd[1]: warning: hostname %H does not resolve to address %C: "
	  "Name or service not known",
	    MAILLOG_HOSTNAME_MISMATCH },
	{ "smtpd[1]: warning: hostname %H does not resolve to address %C",
	    MAILLOG_HOSTNAME_MISMATCH },
	{ "smtpd[1]: lost connection after AUTH from %N[%C]",
	    MAILLOG_LOST_AFTER_AUTH },
	{ "smtpd[1]: improper command pipelining after EHLO from %N[%C]: %0",
	    MAILLOG_PROTOCOL_ABUSE },
	{ "smtpd[1]: warning: non-SMTP command from %N[%C]: %0",
	    MAILLOG_PROTOCOL_ABUSE },
	{ "smtpd[1]: warning: Illegal address syntax from %N[%C] in MAIL "
	  "command: %0",
	    -1 },
	{ "smtpd[1]: warning: Connection rate limit exceeded: 61 from %N[%C] "
	  "for service smtp",
	    MAILLOG_RATE_LIMIT },
	{ "smtpd[1]: reject: ETRN %0... from %N[%C]", -1 },
	{ "smtpd[1]: 4F00: client=%N[%C], sasl_method=%0, sasl_username=%1",
	    -1 },
	{ "smtpd[1]: disconnect from %N[%C] ehlo=1 auth=0/1 commands=1/2",
	    -1 },
	{ "smtpd[1]: 4F00: warn: RCPT from %N[%C]: <%0>: Recipient address "
	  "triggers WARN action%F",
	    -1 },
	{ "cleanup[1]: 4F00: message-id=<%0>", -1 },
	{ "cleanup[1]: 4F00: reject: header %0 from %N[%C]; from=<%1> to=<%2> "
	  "proto=ESMTP helo=<%3>: 5.7.1 no",
	    -1 },
	{ "smtp[1]: 4F00: to=<%0>, relay=x[%C]:25, status=bounced (%1)", -1 },
	{ "postscreen[1]: NOQUEUE: reject: RCPT from [%C]:%P: 550 5.7.1 "
	  "Service unavailable; client [%C] blocked using x.example; "
	  "from=<%0>, to=<%1>, proto=ESMTP, helo=<%2>",
	    MAILLOG_BLOCKLISTED },
	{ "postscreen[1]: PREGREET 11 after 0.1 from [%C]:%P: %0",
	    MAILLOG_PREGREET },
	{ "postscreen[1]: NON-SMTP COMMAND from [%C]:%P after CONNECT: %0 %1",
	    MAILLOG_PROTOCOL_ABUSE },
	{ "postscreen[1]: COMMAND PIPELINING from [%C]:%P after %0: %1",
	    MAILLOG_PROTOCOL_ABUSE },
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static const char *const starts[] = { "Nov  2 15:41:07 mx1 postfix/",
	"2026-04-16T23:25:41.896580+02:00 mx1 postfix-in/submission/" };

struct client {
	char field[FIELDS][FIELD_MAX];
	const char *address;
};

/* What valid_hostname() of Postfix lets through; else the name is not used. */
static const char *
host_name(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz-._"
	                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	return *s == '\0' || strlen(s) > 255 || strspn(s, allowed) != strlen(s)
	    ? NULL
	    : s;
}

static size_t
append(char *out, size_t n, const char *s)
{
	size_t len = strlen(s);

	memcpy(out + n, s, len);
	return n + len;
}

/* Writes the line; 0 = Postfix would not write it. */
static size_t
write_line(char *out, const char *form, const struct client *c)
{
	const char *name = host_name(c->field[3]);
	size_t n = 0;

	for (; *form != '\0'; form++) {
		if (*form != '%') {
			out[n++] = *form;
			continue;
		}
		switch (*++form) {
		case 'N':
			n = append(out, n, name == NULL ? "unknown" : name);
			break;
		case 'H':
			if (name == NULL)
				return 0;
			n = append(out, n, name);
			break;
		case 'C':
			n = append(out, n, c->address);
			break;
		case 'P':
			n = append(out, n, "40000");
			break;
		case 'F':
			n = append(out, n, "; from=<");
			n = append(out, n, c->field[2]);
			n = append(out, n, "> to=<");
			n = append(out, n, c->field[0]);
			n = append(out, n, "> proto=ESMTP helo=<");
			n = append(out, n, c->field[1]);
			n = append(out, n, ">");
			break;
		default:
			n = append(out, n, c->field[*form - '0']);
			break;
		}
	}
	return n;
}

/* The input's lines, printable; with control bytes as '?'. */
static void
read_fields(struct client *c, const uint8_t *data, size_t size)
{
	size_t i, n = 0, field = 0;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < size && field < FIELDS; i++) {
		if (data[i] == '\n') {
			field++;
			n = 0;
		} else if (n < FIELD_MAX - 1)
			c->field[field][n++] =
			    (char)(data[i] < 32 || data[i] == 127 ? '?'
			                                          : data[i]);
	}
}

static void
inside(const struct maillog_text *t, const struct maillog_text *line)
{
	HOLDS(t->len == 0 ||
	    (t->s >= line->s && t->s + t->len <= line->s + line->len));
}

static void
same_address(const struct maillog_hit *hit)
{
	char text[ADDRESS_TEXT_MAX];
	struct address a;

	HOLDS(hit->address.len < sizeof(text));
	memcpy(text, hit->address.s, hit->address.len);
	text[hit->address.len] = '\0';
	HOLDS(address_parse(text, &a));
	HOLDS(address_compare(&a, &hit->client) == 0);
}

static void
written(struct maillog *m, const uint8_t *data, size_t size, size_t kind)
{
	char *line = malloc(16 * FIELD_MAX);
	struct maillog_hit hit;
	struct client c;
	size_t n, head;
	bool found;

	HOLDS(line != NULL);
	read_fields(&c, data, size);
	c.address = (kind / FORMS) % 2 == 0 ? "192.0.2.1" : "2001:db8::1";
	head = append(line, 0, starts[(kind / FORMS / 2) % 2]);
	n = write_line(line + head, forms[kind % FORMS].text, &c);
	if (n > 0) {
		found = maillog_line(m, line, head + n, &hit);
		if (found) {
			HOLDS(hit.address.len == strlen(c.address));
			HOLDS(memcmp(hit.address.s, c.address,
			          hit.address.len) == 0);
			same_address(&hit);
		}
		if (forms[kind % FORMS].rule >= 0)
			HOLDS(found && (int)hit.rule == forms[kind % FORMS].rule);
	}
	free(line);
}

/*
 * What is before the address: a client's name in the DNS at most, never what a
 * client sends, which Postfix writes in <> or behind a '='.
 */
static void
stands_right(const struct maillog_hit *hit)
{
	static const char phrase[] = " does not resolve to address ";
	const char *line = hit->line.s, *p = hit->address.s;
	const char *end = line + hit->line.len, *behind = p + hit->address.len;
	size_t before = (size_t)(p - line), len = sizeof(phrase) - 1;
	int blanks = line[3] != ' ' ? 2 : line[4] == ' ' ? 5 : 4;

	HOLDS(before > len);
	if (p[-1] != '[') {
		HOLDS(memcmp(p - len, phrase, len) == 0);
		HOLDS(hit->rule == MAILLOG_HOSTNAME_MISMATCH);
		HOLDS(behind == end || *behind == ':' || *behind == '\r');
		return;
	}
	HOLDS(behind < end && *behind == ']');
	for (p--; strchr("-._", p[-1]) != NULL ||
	     (p[-1] >= 'a' && p[-1] <= 'z') || (p[-1] >= 'A' && p[-1] <= 'Z') ||
	     (p[-1] >= '0' && p[-1] <= '9');
	     p--)
		;
	HOLDS(memcmp(p - 6, " from ", 6) == 0 ||
	    memcmp(p - 9, "warning: ", 9) == 0);
	/* Behind the tag; the host and the service may have any name. */
	for (; blanks > 0; blanks--)
		line = (const char *)memchr(line, ' ', (size_t)(p - line)) + 1;
	line = memmem(line, (size_t)(p - line), "]: ", 3);
	HOLDS(line != NULL);
	for (; line < p; line++)
		HOLDS(*line != '\0' && strchr("<>=@\"", *line) == NULL);
}

static void
raw(struct maillog *m, const uint8_t *data, size_t size, size_t start)
{
	static const char *const before[] = { "", "postfix/smtpd[1]: ",
		"postfix/postscreen[1]: ", "postfix/cleanup[1]: " };
	const char *head = start == 0 ? "" : "Nov 20 15:41:07 mx1 ";
	size_t len = strlen(head) + strlen(before[start]), pos = 0, from = 0;
	char *log = malloc(len + size + 1), *end;
	struct maillog single;
	struct maillog_hit hit, again;

	HOLDS(log != NULL);
	append(log, append(log, 0, head), before[start]);
	if (size > 0)
		memcpy(log + len, data, size);
	len += size;
	maillog_init(&single);
	maillog_now(&single, NOW);
	while (maillog_next(m, log, len, &pos, &hit)) {
		/* The lines before it are no hits, one by one. */
		while (log + from < hit.line.s) {
			end = memchr(log + from, '\n', len - from);
			HOLDS(end != NULL);
			HOLDS(!maillog_line(&single, log + from,
			    (size_t)(end - log) - from, &again));
			from = (size_t)(end - log) + 1;
		}
		HOLDS(pos <= len && log[pos - 1] == '\n');
		HOLDS(hit.line.s + hit.line.len == log + pos - 1);
		HOLDS(memchr(hit.line.s, '\n', hit.line.len) == NULL);
		inside(&hit.address, &hit.line);
		inside(&hit.name, &hit.line);
		inside(&hit.recipient, &hit.line);
		inside(&hit.user, &hit.line);
		inside(&hit.text, &hit.line);
		HOLDS((int)hit.rule >= 0 && hit.rule < MAILLOG_RULES);
		same_address(&hit);
		stands_right(&hit);
		HOLDS(maillog_line(&single, hit.line.s, hit.line.len, &again));
		HOLDS(again.rule == hit.rule && again.when == hit.when);
		HOLDS(again.temporary == hit.temporary);
		from = pos;
	}
	HOLDS(pos <= len && (pos == 0 || log[pos - 1] == '\n'));
	HOLDS(memchr(log + pos, '\n', len - pos) == NULL);
	free(log);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct maillog m;
	size_t kind;

	if (size < 1)
		return 0;
	if (m.clock.now == 0) {
		setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
		tzset();
	}
	maillog_init(&m);
	maillog_now(&m, NOW);
	kind = data[0];
	if (kind < 4 * FORMS)
		written(&m, data + 1, size - 1, kind);
	else
		raw(&m, data + 1, size - 1, kind % 4);
	return 0;
}
