/*
 * maillog_reply - what Postfix replied, and which rule that is; how failed
 * logins and look-ups are told from servers in trouble.
 */
#include "maillog_parse.h"

/*
 * Replies, behind the status codes and, if there is one, "<...>: ". The text
 * of the hit is what follows `begins', or all where that says so. MAILLOG_RULES
 * is a reply that is known to be of no rule. First match counts.
 */
static const struct reply {
	const char *begins;
	const char *then; /* right behind that */
	bool whole;       /* `begins' is part of the text */
	enum maillog_rule rule;
} replies[] = {
	{ "Recipient address rejected: ", "Relay access denied", false,
	    MAILLOG_RELAY_DENIED },
	{ "Recipient address rejected: ", "User unknown", false,
	    MAILLOG_UNKNOWN_RECIPIENT },
	{ "Recipient address rejected: ", "undeliverable address", false,
	    MAILLOG_UNKNOWN_RECIPIENT },
	{ "Relay access denied", "", true, MAILLOG_RELAY_DENIED },
	{ "Helo command rejected: ", "", false, MAILLOG_HELO_REJECTED },
	{ "Sender address rejected: ", "", false, MAILLOG_SENDER_REJECTED },
	{ "Client host rejected: ", "cannot find your hostname", false,
	    MAILLOG_NO_REVERSE_NAME },
	{ "Client host rejected: ", "cannot find your reverse hostname", false,
	    MAILLOG_NO_REVERSE_NAME },
	{ "Data command rejected: ", "Improper use of SMTP command pipelining",
	    false, MAILLOG_PROTOCOL_ABUSE },
	{ "Recipient address rejected: ", "", false, MAILLOG_RULES },
	{ "Client host rejected: ", "", false, MAILLOG_RULES },
	{ "Unverified Client host rejected: ", "", false, MAILLOG_RULES },
	{ "Data command rejected: ", "", false, MAILLOG_RULES },
	{ "End-of-data rejected: ", "", false, MAILLOG_RULES },
	{ "Etrn command rejected: ", "", false, MAILLOG_RULES },
};

#define REPLY_COUNT (sizeof(replies) / sizeof(replies[0]))

/* Where a text stands between p and end; NULL = nowhere. */
static const char *
find(const char *p, const char *end, const char *text)
{
	return memmem(p, (size_t)(end - p), text, strlen(text));
}

bool
maillog_plain(const char *p, const char *end, struct maillog_hit *hit)
{
	(void)p;
	(void)end;
	(void)hit;
	return true;
}

static bool
begins_any(const char *p, const char *end, const char *const *with)
{
	for (; *with != NULL; with++) {
		if (maillog_begins(p, end, *with))
			return true;
	}
	return false;
}

/*
 * The reason of a failed login, then the user that the client claims to be.
 * A server in trouble fails everybody's logins: of Cyrus SASL's reasons those
 * that a server's end gives.
 */
bool
maillog_login(const char *p, const char *end, struct maillog_hit *hit)
{
	static const char *const trouble[] = {
		"Temporary authentication failure", "Temporary failure",
		"Internal authentication failure", "generic failure",
		"transient failure", "no mechanism available",
		"remote authentication server unavailable", NULL };
	static const char lost[] = "Connection lost to authentication server";
	static const char key[] = ", sasl_username=";
	const char *user;

	if (p < end && *p == ' ')
		p++;
	hit->temporary = begins_any(p, end, trouble);
	if (maillog_begins(p, end, lost)) {
		hit->temporary = true;
		return false;
	}
	user = find(p, end, key);
	hit->text = maillog_part(p, user != NULL ? user : end);
	if (user == NULL)
		return true;
	user += strlen(key);
	if (!maillog_begins(user, end, "(unavailable"))
		hit->user = maillog_part(user, end);
	return true;
}

/*
 * Why a name's addresses could not be had; nothing when they could and the
 * client's is not among them. These are what C libraries (glibc, musl, the
 * BSDs) say of a name without addresses; all else is the resolver's fault.
 */
bool
maillog_lookup(const char *p, const char *end, struct maillog_hit *hit)
{
	static const char *const permanent[] = {
		"Name or service not known",
		"No address associated with hostname",
		"Address family for hostname not supported",
		"Name does not resolve", "Name has no usable address",
		"hostname nor servname provided, or not known",
		"no address associated with name",
		"name or service is not known", NULL };

	if (p == end)
		return true;
	if (!maillog_begins(p, end, ": "))
		return false;
	/* A name with blanks, which Postfix lets through no more than we do. */
	if (find(p, end, " does not resolve to address ") != NULL)
		return false;
	hit->text = maillog_part(p + 2, end);
	hit->temporary = !begins_any(p + 2, end, permanent);
	return true;
}

/* The end of a reply: behind it are sender, recipient, protocol and HELO. */
static const char *
reply_end(const char *p, const char *end)
{
	static const char *const tail[] = { "; from=<", "; to=<", "; proto=",
		"; helo=<", NULL };

	while ((p = memchr(p, ';', (size_t)(end - p))) != NULL) {
		if (begins_any(p, end, tail))
			return p;
		p++;
	}
	return end;
}

/*
 * Reads "550 5.1.1 ", either of them optional; *status is the first digit, 0
 * if there is none.
 */
static const char *
read_codes(const char *p, const char *end, char *status)
{
	const char *dsn;

	*status = '\0';
	if (end - p >= 4 && (*p == '4' || *p == '5') && maillog_digit(p[1]) &&
	    maillog_digit(p[2]) && p[3] == ' ') {
		*status = *p;
		p += 4;
	}
	if (end - p >= 6 && (*p == '4' || *p == '5') && p[1] == '.') {
		dsn = maillog_skip_number(p, end);
		if (dsn != end && *dsn == ' ') {
			if (*status == '\0')
				*status = *p;
			p = dsn + 1;
		}
	}
	return p;
}

static const struct reply *
find_reply(const char *p, const char *end)
{
	const struct reply *r;

	for (r = replies; r < replies + REPLY_COUNT; r++) {
		if (maillog_begins(p, end, r->begins) &&
		    maillog_begins(p + strlen(r->begins), end, r->then))
			return r;
	}
	return NULL;
}

/*
 * "<...>: Helo command rejected: Host not found". What is in <> is the
 * client's and can hold ">: " itself.
 */
static bool
read_reply(const char *p, const char *end, struct maillog_hit *hit)
{
	const struct reply *r = find_reply(p, end);
	const char *from = p, *close = NULL;

	if (r == NULL && p < end && *p == '<') {
		for (; r == NULL; p = close + 3) {
			close = find(p, end, ">: ");
			if (close == NULL)
				return false;
			r = find_reply(close + 3, end);
		}
	}
	if (r == NULL || r->rule == MAILLOG_RULES)
		return false;
	hit->rule = r->rule;
	hit->text = maillog_part(r->whole ? p : p + strlen(r->begins), end);
	if (close != NULL && (r->rule == MAILLOG_UNKNOWN_RECIPIENT ||
	    r->rule == MAILLOG_RELAY_DENIED))
		hit->recipient = maillog_part(from + 1, close);
	return true;
}

bool
maillog_reject(const char *p, const char *end, struct maillog_hit *hit)
{
	const char *codes = p;
	char status;

	end = reply_end(p, end);
	p = read_codes(p, end, &status);
	if (status == '\0')
		return false;
	if (maillog_begins(p, end, "Service unavailable; ")) {
		if (find(p, end, "] blocked using ") == NULL)
			return false;
		hit->rule = MAILLOG_BLOCKLISTED;
		hit->text = maillog_part(p, end);
	} else if (!read_reply(p, end, hit))
		return false;
	hit->temporary = status == '4' && !(hit->rule == MAILLOG_RELAY_DENIED &&
	    maillog_begins(codes, end, "454 4.7.1 "));
	return true;
}

/*
 * A milter's reply; cleanup leaves the first code out. "Service unavailable"
 * is Postfix's own when the milter is (milter_default_action).
 */
bool
maillog_milter(const char *p, const char *end, struct maillog_hit *hit)
{
	char status;

	end = reply_end(p, end);
	p = read_codes(p, end, &status);
	hit->text = maillog_part(p, end);
	hit->temporary = status != '5' ||
	    maillog_begins(p, end, "Service unavailable");
	return true;
}
