/*
 * maillog_lines - log lines as Postfix writes them, with whatever a client may
 * choose in them. For unit_maillog.c, fuzz_maillog.c and maillog_property.c.
 *
 * A line is made from one of `forms' by choices, which come from bytes that
 * are given, and when these are used up from a random number. What the client
 * sends is made of pieces of log lines, so that it says what Postfix says.
 * Addresses are quoted as in info_log_address_format = external, HELO is
 * changed as smtpd(8) does that, and the line is cut at 2000 bytes.
 */
#ifndef MAILLOG_LINES_H
#define MAILLOG_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "logs/maillog.h"

#define LINES_CLIENT "192.0.2.1"
#define LINES_CLIENT6 "2001:db8::1"
#define LINES_FIELD_MAX 700
#define LINES_MAX 16384
#define LINES_CUT 2000 /* bytes of a message: see msg_syslog.c of Postfix */

struct lines {
	const uint8_t *data;
	size_t size;
	uint64_t random;
};

/* A line, and what is to be read from it. */
struct lines_made {
	char text[LINES_MAX];
	size_t len;
	int rule; /* -1 = no offence */
	bool temporary;
	bool login;
	bool no_helo; /* none was sent */
	bool auth; /* "MAIL FROM:<...> AUTH=word", without having logged in */
	bool maybe_cut; /* it has the length of a line that is */
	bool cut; /* then the rule is only sure of unknown recipients */
	const char *address;
	const char *recipient; /* NULL = not compared */
	char sender[LINES_FIELD_MAX], rcpt[LINES_FIELD_MAX];
	char helo[LINES_FIELD_MAX], name[64], word[LINES_FIELD_MAX];
};

/*
 * %N the client's name, %C its address, %c both as smtpd logs them, %R the
 * recipient as it was sent, %S the sender, %H HELO, %h the same as it is after
 * its own stage, %W what else it sends, %D a name of the DNS; %F sender,
 * recipient, protocol and HELO at the end, %M the same without a recipient.
 */
static const struct {
	const char *text;
	int rule;
	bool temporary;
} lines_forms[] = {
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 550 5.1.1 <%R>: Recipient "
	  "address rejected: User unknown in virtual mailbox table%F",
	    MAILLOG_UNKNOWN_RECIPIENT, false },
	{ "smtpd[1]: 4F00A1B2C3: reject: RCPT from %c: 550 5.1.1 <%R>: "
	  "Recipient address rejected: User unknown in local recipient table%F",
	    MAILLOG_UNKNOWN_RECIPIENT, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 550 5.1.1 <%R>: Recipient "
	  "address rejected: undeliverable address: unknown user: \"x\"%F",
	    MAILLOG_UNKNOWN_RECIPIENT, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 450 4.1.1 <%R>: Recipient "
	  "address rejected: User unknown in virtual mailbox table%F",
	    MAILLOG_UNKNOWN_RECIPIENT, true },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 550 5.1.1 <%R>: Recipient "
	  "address rejected: mailbox closed%F", -1, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 451 4.3.0 <%R>: Temporary "
	  "lookup failure%F", -1, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 <%R>: Relay "
	  "access denied%F", MAILLOG_RELAY_DENIED, false },
	{ "smtpd[1]: 4F00A1B2C3: reject: RCPT from %c: 454 4.7.1 <%R>: Relay "
	  "access denied%F", MAILLOG_RELAY_DENIED, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 <%R>: Recipient "
	  "address rejected: Access denied%F", -1, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 550 5.1.8 <%S>: Sender "
	  "address rejected: Domain not found%F", MAILLOG_SENDER_REJECTED,
	    false },
	{ "smtpd[1]: NOQUEUE: reject: MAIL from %c: 550 5.1.8 <%S>: Sender "
	  "address rejected: Domain not found%M", MAILLOG_SENDER_REJECTED,
	    false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 504 5.5.2 <%h>: Helo "
	  "command rejected: need fully-qualified hostname%F",
	    MAILLOG_HELO_REJECTED, false },
	{ "smtpd[1]: NOQUEUE: reject: EHLO from %c: 504 5.5.2 <%H>: Helo "
	  "command rejected: need fully-qualified hostname; proto=SMTP "
	  "helo=<%H>", MAILLOG_HELO_REJECTED, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 450 4.7.25 Client host "
	  "rejected: cannot find your hostname, [%C]%F",
	    MAILLOG_NO_REVERSE_NAME, true },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 <%c>: Client host "
	  "rejected: Access denied%F", MAILLOG_POLICY_REJECTED, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 521 5.7.1 <%c>: Client host "
	  "rejected: Bad host reputation.%F", MAILLOG_POLICY_REJECTED, false },
	{ "smtpd[1]: 4F00A1B2C3: reject: DATA from %c: 503 5.5.0 <DATA>: Data "
	  "command rejected: Improper use of SMTP command pipelining%F",
	    MAILLOG_PROTOCOL_ABUSE, false },
	{ "smtpd[1]: 4F00A1B2C3: reject: DATA content from %c: bare <LF> "
	  "received%F", MAILLOG_PROTOCOL_ABUSE, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 Service "
	  "unavailable; Client host [%C] blocked using x.example%F",
	    MAILLOG_BLOCKLISTED, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 Service "
	  "unavailable; Sender address [%S] blocked using x.example; seen%F",
	    MAILLOG_BLOCKLISTED, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 Service "
	  "unavailable; Recipient address [%R] blocked using x.example%F",
	    MAILLOG_BLOCKLISTED, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 554 5.7.1 Service "
	  "unavailable; Helo command [%h] blocked using x.example; "
	  "Error: open resolver%F", MAILLOG_BLOCKLISTED, true },
	{ "smtpd[1]: NOQUEUE: milter-reject: RCPT from %c: 550 5.7.1 no%F",
	    MAILLOG_MILTER_REJECTED, false },
	{ "cleanup[1]: 4F00A1B2C3: milter-reject: END-OF-MESSAGE from %c: "
	  "5.7.1 no%F", MAILLOG_MILTER_REJECTED, false },
	{ "smtpd[1]: warning: %c: SASL LOGIN authentication failed: "
	  "UGFzc3dvcmQ6, sasl_username=%W", MAILLOG_AUTH_FAILURE, false },
	{ "smtpd[1]: warning: hostname %D does not resolve to address %C: "
	  "Name or service not known", MAILLOG_HOSTNAME_MISMATCH, false },
	{ "smtpd[1]: lost connection after AUTH from %c",
	    MAILLOG_LOST_AFTER_AUTH, false },
	{ "smtpd[1]: NOQUEUE: too many errors after DATA (12 bytes) from %c",
	    MAILLOG_PROTOCOL_ABUSE, false },
	{ "smtpd[1]: improper command pipelining after EHLO from %c: %W",
	    MAILLOG_PROTOCOL_ABUSE, false },
	{ "smtpd[1]: warning: non-SMTP command from %c: %W",
	    MAILLOG_PROTOCOL_ABUSE, false },
	{ "smtpd[1]: warning: Illegal address syntax from %c in MAIL command: "
	  "%W", MAILLOG_PROTOCOL_ABUSE, false },
	{ "smtpd[1]: warning: Connection rate limit exceeded: 61 from %c for "
	  "service smtp", MAILLOG_RATE_LIMIT, false },
	{ "smtpd[1]: disconnect from %c ehlo=1 auth=0/1 commands=1/2",
	    MAILLOG_AUTH_REFUSED, false },
	{ "smtpd[1]: disconnect from %c ehlo=1 mail=1 commands=2", -1, false },
	{ "smtpd[1]: warning: reject: ETRN %W... from %c", -1, false },
	{ "smtpd[1]: 4F00A1B2C3: client=%c, sasl_method=PLAIN, "
	  "sasl_username=%W", -1, false },
	{ "smtpd[1]: NOQUEUE: warn: RCPT from %c: <%R>: Recipient address "
	  "triggers WARN action%F", -1, false },
	{ "smtpd[1]: NOQUEUE: reject_warning: RCPT from %c: 550 5.1.1 <%R>: "
	  "Recipient address rejected: User unknown%F", -1, false },
	{ "smtpd[1]: NOQUEUE: reject: RCPT from %c: 550 5.1.1 <%R>: Recipient "
	  "address rejected: User unknown%F sasl_method=PLAIN "
	  "sasl_username=bob", -1, false },
	{ "cleanup[1]: 4F00A1B2C3: message-id=<%W>", -1, false },
	{ "cleanup[1]: 4F00A1B2C3: reject: header %W from %c; from=<%S> "
	  "to=<%R> proto=ESMTP helo=<%h>: 5.7.1 no", -1, false },
	{ "smtp[1]: 4F00A1B2C3: to=<%R>, relay=x[%C]:25, status=bounced (%W)",
	    -1, false },
	{ "postscreen[1]: NOQUEUE: reject: RCPT from [%C]:4000: 550 5.7.1 "
	  "Service unavailable; client [%C] blocked using x.example; "
	  "from=<%S>, to=<%R>, proto=ESMTP, helo=<%W>", MAILLOG_BLOCKLISTED,
	    false },
	{ "postscreen[1]: NOQUEUE: reject: RCPT from [%C]:4000: 450 4.3.2 "
	  "Service currently unavailable; from=<%S>, to=<%R>, proto=ESMTP, "
	  "helo=<%W>", -1, false },
	{ "postscreen[1]: PREGREET 11 after 0.1 from [%C]:4000: %W",
	    MAILLOG_PREGREET, false },
	{ "postscreen[1]: NON-SMTP COMMAND from [%C]:4000 after CONNECT: %W",
	    MAILLOG_PROTOCOL_ABUSE, false },
	{ "postscreen[1]: COMMAND PIPELINING from [%C]:4000 after %W",
	    MAILLOG_PROTOCOL_ABUSE, false },
};

static const char *const lines_pieces[] = { ">: ",
	">: Recipient address rejected: User unknown in virtual mailbox table",
	">: Recipient address rejected: ", ">: Client host rejected: ",
	"Access denied", "Bad host reputation.", ">: Relay access denied",
	">: Sender address rejected: Domain not found",
	">: Helo command rejected: Host not found", ">: x", "; from=<",
	"; from=<> to=<", "> to=<", "> proto=ESMTP helo=<", "; proto=SMTP",
	"> sasl_method=PLAIN sasl_username=bob", " sasl_sender=",
	" proto=SMTP", " sasl_method=PLAIN sasl_username=bob",
	" proto=ESMTP helo=<h> sasl_method=PLAIN sasl_username=b", "\"", "\\", "@", "<", ">",
	" ", "x[198.51.100.7]", "]: 550 5.1.1 <", "] blocked using y",
	"; Error: open resolver", "Nov 20 15:41:07 mx1 postfix/smtpd[1]: ",
	"NOQUEUE: reject: RCPT from ", "message repeated 5 times: [ ",
	"h.example[192.0.2.1]", "DATA", "RCPT", "user", "a@b.example",
	"@example.org", "\xc3\xa9", "?", ":", ";", "a", ".", ", to=<",
	", proto=ESMTP, helo=<", " does not resolve to address 198.51.100.7",
	"warning: ", "+" };

/* A number below n. */
static size_t
lines_choose(struct lines *l, size_t n)
{
	if (l->size > 0) {
		l->size--;
		return *l->data++ % n;
	}
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return (size_t)(l->random >> 11) % n;
}

static void
lines_add(char *out, size_t size, const char *s)
{
	size_t n = strlen(out), len = strlen(s);

	if (len >= size - n)
		len = size - n - 1;
	memcpy(out + n, s, len);
	out[n + len] = '\0';
}

/* Something that a client sends; it may hold what it has sent before. */
static void
lines_field(struct lines *l, char *out, const char *other)
{
	static const size_t count =
	    sizeof(lines_pieces) / sizeof(lines_pieces[0]);
	size_t pieces = lines_choose(l, 7), i;

	out[0] = '\0';
	if (lines_choose(l, 200) == 0) { /* a long one */
		memset(out, 'a', LINES_FIELD_MAX - 1);
		out[LINES_FIELD_MAX - 1] = '\0';
		return;
	}
	while (pieces-- > 0) {
		i = lines_choose(l, count + 1);
		lines_add(out, LINES_FIELD_MAX,
		    i < count ? lines_pieces[i] : other);
	}
}

/* As quote_822_local() of Postfix does it. */
static void
lines_quote(char *out, size_t size, const char *address)
{
	const char *domain = strrchr(address, '@'), *s = address;
	size_t n = strlen(out);

	if (domain == NULL)
		domain = address + strlen(address);
	for (; s < domain; s++)
		if (strchr(" ()<>@,;:\\\".[]", *s) != NULL || *s < 33)
			break;
	if (s == domain && s != address) {
		lines_add(out, size, address);
		return;
	}
	if (*address == '\0')
		return;
	out[n++] = '"';
	for (s = address; s < domain && n + 4 < size; s++) {
		if (*s == '"' || *s == '\\')
			out[n++] = '\\';
		out[n++] = *s;
	}
	out[n++] = '"';
	out[n] = '\0';
	lines_add(out, size, domain);
}

static void
lines_tail(struct lines_made *m, bool recipient, bool external)
{
	char *out = m->text;

	lines_add(out, LINES_MAX, "; from=<");
	if (external)
		lines_quote(out, LINES_MAX, m->sender);
	else
		lines_add(out, LINES_MAX, m->sender);
	if (recipient) {
		lines_add(out, LINES_MAX, "> to=<");
		if (external)
			lines_quote(out, LINES_MAX, m->rcpt);
		else
			lines_add(out, LINES_MAX, m->rcpt);
	}
	lines_add(out, LINES_MAX, m->no_helo ? "> proto=SMTP" :
						"> proto=ESMTP helo=<");
}

/* HELO after its own stage; see NEUTER_CHARACTERS in smtpd.c. */
static void
lines_neuter(char *out, const char *helo)
{
	char *p = out + strlen(out);

	lines_add(out, LINES_MAX, helo);
	for (; *p != '\0'; p++)
		if (strchr(" <>()\\\";@", *p) != NULL)
			*p = '?';
}

static void
lines_place(struct lines_made *m, char what, bool external)
{
	char *out = m->text;

	switch (what) {
	case 'c':
		lines_add(out, LINES_MAX, m->name);
		lines_add(out, LINES_MAX, "[");
		lines_add(out, LINES_MAX, m->address);
		lines_add(out, LINES_MAX, "]");
		break;
	case 'C':
		lines_add(out, LINES_MAX, m->address);
		break;
	case 'R':
		lines_add(out, LINES_MAX, m->rcpt);
		m->recipient = m->rcpt;
		break;
	case 'S':
		lines_add(out, LINES_MAX, m->sender);
		break;
	case 'H':
		lines_add(out, LINES_MAX, m->helo);
		break;
	case 'h':
		lines_neuter(out, m->helo);
		break;
	case 'W':
		lines_add(out, LINES_MAX, m->word);
		break;
	case 'D':
		lines_add(out, LINES_MAX, "198.51.100.7.evil.example");
		break;
	default:
		lines_tail(m, what == 'F', external);
		if (!m->no_helo) {
			lines_neuter(out, m->helo);
			lines_add(out, LINES_MAX, ">");
		}
		if (m->auth) {
			lines_add(out, LINES_MAX, " sasl_sender=");
			lines_add(out, LINES_MAX, m->word);
		}
		break;
	}
}

/* What Postfix would make of a domain: no blanks, no brackets. */
static void
lines_address(struct lines *l, char *address)
{
	if (lines_choose(l, 8) != 0)
		lines_add(address, LINES_FIELD_MAX, "@example.org");
}

static void
lines_make(struct lines *l, struct lines_made *m)
{
	static const char *const heads[] = { "Nov 20 15:41:07 mx1 postfix/",
		"2026-11-20T15:41:07.896580+02:00 mx1 postfix-in/smtp/",
		"Nov  2 15:41:07 postfix/" };
	static const char *const names[] = { "h.example", "unknown",
		"198.51.100.7.evil.example", "does-not.resolve_to" };
	size_t form = lines_choose(l, sizeof(lines_forms) /
	    sizeof(lines_forms[0])), head;
	bool external = lines_choose(l, 3) != 0;
	const char *f, *end;
	char piece[2] = "";

	memset(m, 0, offsetof(struct lines_made, sender));
	m->address = lines_choose(l, 2) ? LINES_CLIENT : LINES_CLIENT6;
	snprintf(m->name, sizeof(m->name), "%s", names[lines_choose(l, 4)]);
	lines_field(l, m->sender, "");
	lines_address(l, m->sender);
	lines_field(l, m->rcpt, external ? m->sender : "");
	lines_address(l, m->rcpt);
	if (m->rcpt[0] == '\0') /* smtpd takes no empty one */
		lines_add(m->rcpt, LINES_FIELD_MAX, "@example.org");
	lines_field(l, m->helo, external ? m->rcpt : "");
	lines_field(l, m->word, m->rcpt);
	lines_add(m->text, LINES_MAX, heads[lines_choose(l, 3)]);
	head = strlen(m->text);
	m->login = strstr(lines_forms[form].text, "%F sasl_") != NULL;
	m->auth = !m->login && lines_choose(l, 4) == 0;
	m->no_helo = !m->login && lines_choose(l, 8) == 0 &&
	    strstr(lines_forms[form].text, "%h") == NULL;
	for (f = lines_forms[form].text; *f != '\0'; f++) {
		piece[0] = *f;
		if (*f == '%')
			lines_place(m, *++f, external);
		else
			lines_add(m->text, LINES_MAX, piece);
	}
	m->rule = lines_forms[form].rule;
	m->temporary = lines_forms[form].temporary;
	if (m->rule == MAILLOG_UNKNOWN_RECIPIENT && m->sender[0] == '\0')
		m->rule = MAILLOG_UNKNOWN_BOUNCE;
	m->len = strlen(m->text);
	end = strstr(m->text + head, "]: ");
	head = (size_t)(end + 3 - m->text);
	m->maybe_cut = m->len >= head + LINES_CUT - 4 ||
	    (m->len >= 1000 && m->len <= 1040);
	if (m->len > head + LINES_CUT) {
		m->len = head + LINES_CUT;
		m->text[m->len] = '\0';
		m->cut = true;
	}
}

/* NULL, or what is wrong with what was read from a line. */
static const char *
lines_judge(const struct lines_made *m, bool found,
    const struct maillog_hit *hit)
{
	bool unknown = m->rule == MAILLOG_UNKNOWN_RECIPIENT ||
	    m->rule == MAILLOG_UNKNOWN_BOUNCE;

	if (found && (hit->address.len != strlen(m->address) ||
	    memcmp(hit->address.s, m->address, hit->address.len) != 0))
		return "a stranger";
	/* A login is not believed where a line may be cut, or after that. */
	if (m->login && (m->maybe_cut ||
	    strstr(m->text, " sasl_sender=") != NULL))
		return NULL;
	/* 5.1.1 of a line that may be cut is said of unknown ones. */
	if (found && m->maybe_cut &&
	    hit->rule == MAILLOG_UNKNOWN_RECIPIENT &&
	    strstr(m->text, ": 550 5.1.1 <") != NULL)
		return NULL;
	/* Of two readings, which only a client can bring about, the offence. */
	if (found && m->auth && hit->recipient.len > 0 &&
	    (hit->recipient.len != strlen(m->rcpt) ||
	    memcmp(hit->recipient.s, m->rcpt, hit->recipient.len) != 0) &&
	    (hit->rule == MAILLOG_UNKNOWN_RECIPIENT ||
	    hit->rule == MAILLOG_UNKNOWN_BOUNCE ||
	    hit->rule == MAILLOG_RELAY_DENIED))
		return NULL;
	if (m->cut)
		return found || !unknown || m->temporary ? NULL : "hidden";
	if (found != (m->rule >= 0))
		return found ? "nobody's offence" : "hidden";
	if (!found)
		return NULL;
	if ((int)hit->rule != m->rule || hit->temporary != m->temporary)
		return maillog_rule_name(hit->rule);
	if (unknown && (hit->recipient.len != strlen(m->rcpt) ||
	    memcmp(hit->recipient.s, m->rcpt, hit->recipient.len) != 0))
		return "another recipient";
	return NULL;
}

#endif
