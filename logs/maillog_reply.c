/*
 * maillog_reply - which replies of Postfix are whose offence; how failed
 * logins and look-ups are told from servers in trouble.
 */
#include "logs/maillog_parse.h"

/*
 * Replies, after the status codes and "<...>: " of what was rejected, if that
 * is there. The text of the hit is what follows `begins', or all where `whole'
 * says so. MAILLOG_RULES is a reply that is known to be of no rule. The first
 * match counts.
 */
static const struct maillog_reply replies[] = {
	{ MAILLOG_RECIPIENT, "Recipient address rejected: ",
	    "Relay access denied", false, MAILLOG_RELAY_DENIED },
	{ MAILLOG_RECIPIENT, "Recipient address rejected: ", "User unknown",
	    false, MAILLOG_UNKNOWN_RECIPIENT },
	{ MAILLOG_RECIPIENT, "Recipient address rejected: ",
	    "undeliverable address", false, MAILLOG_UNKNOWN_RECIPIENT },
	{ MAILLOG_RECIPIENT, "Relay access denied", "", true,
	    MAILLOG_RELAY_DENIED },
	{ MAILLOG_HELO, "Helo command rejected: ", "", false,
	    MAILLOG_HELO_REJECTED },
	{ MAILLOG_SENDER, "Sender address rejected: ", "", false,
	    MAILLOG_SENDER_REJECTED },
	{ MAILLOG_CLIENT, "Client host rejected: ", "cannot find your hostname",
	    false, MAILLOG_NO_REVERSE_NAME },
	{ MAILLOG_CLIENT, "Client host rejected: ",
	    "cannot find your reverse hostname", false,
	    MAILLOG_NO_REVERSE_NAME },
	{ MAILLOG_COMMAND, "Data command rejected: ",
	    "Improper use of SMTP command pipelining", false,
	    MAILLOG_PROTOCOL_ABUSE },
	{ MAILLOG_RECIPIENT, "Recipient address rejected: ", "", false,
	    MAILLOG_RULES },
	{ MAILLOG_CLIENT, "Client host rejected: ", "", false,
	    MAILLOG_POLICY_REJECTED },
	{ MAILLOG_CLIENT, "Unverified Client host rejected: ", "", false,
	    MAILLOG_RULES },
	{ MAILLOG_COMMAND, "Data command rejected: ", "", false,
	    MAILLOG_RULES },
	{ MAILLOG_COMMAND, "End-of-data rejected: ", "", false,
	    MAILLOG_RULES },
	{ MAILLOG_COMMAND, "Etrn command rejected: ", "", false,
	    MAILLOG_RULES },
	{ MAILLOG_NOTHING, "bare <LF> received", "", true,
	    MAILLOG_PROTOCOL_ABUSE },
};

#define REPLY_COUNT (sizeof(replies) / sizeof(replies[0]))

const struct maillog_reply *
maillog_reply_find(const char *p, const char *end)
{
	const struct maillog_reply *r;

	for (r = replies; r < replies + REPLY_COUNT; r++)
		if (maillog_begins(p, end, r->begins) &&
		    maillog_begins(p + strlen(r->begins), end, r->then))
			return r;
	return NULL;
}

bool
maillog_begins_any(const char *p, const char *end, const char *const *with)
{
	for (; *with != NULL; with++)
		if (maillog_begins(p, end, *with))
			return true;
	return false;
}

bool
maillog_plain(const struct maillog_message *m, struct maillog_hit *hit)
{
	(void)m;
	(void)hit;
	return true;
}

bool
maillog_strangers(const struct maillog_message *m, struct maillog_hit *hit)
{
	(void)hit;
	return !maillog_submission(&m->program);
}

/*
 * "ehlo=1 auth=0/2 quit=1 commands=2/4": of the commands of a session, how many
 * were good, and if that is not all, how many there were. An offence if none
 * of its logins was: where AUTH is not offered this is the only trace.
 */
bool
maillog_counts(const struct maillog_message *m, struct maillog_hit *hit)
{
	static const char none[] = "auth=0/";
	const char *p = maillog_find(m->p, m->end, none);

	if (p == NULL || (p > m->p && p[-1] != ' '))
		return false;
	p += strlen(none);
	hit->text = maillog_part(m->p, m->end);
	return p < m->end && maillog_digit(*p);
}

/*
 * The reason of a failed login, then the user that the client claims to be.
 * A server in trouble fails everybody's logins: of Cyrus SASL's reasons those
 * that a server's end gives.
 */
bool
maillog_login(const struct maillog_message *m, struct maillog_hit *hit)
{
	static const char *const trouble[] = {
		"Temporary authentication failure", "Temporary failure",
		"Internal authentication failure", "generic failure",
		"transient failure", "no mechanism available",
		"remote authentication server unavailable", NULL };
	static const char lost[] = "Connection lost to authentication server";
	static const char key[] = ", sasl_username=";
	const char *p = m->p, *end = m->end, *user;

	if (p < end && *p == ' ')
		p++;
	hit->temporary = maillog_begins_any(p, end, trouble);
	if (maillog_begins(p, end, lost)) {
		hit->temporary = true;
		return false;
	}
	user = maillog_find(p, end, key);
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
maillog_lookup(const struct maillog_message *m, struct maillog_hit *hit)
{
	static const char *const permanent[] = {
		"Name or service not known",
		"No address associated with hostname",
		"Address family for hostname not supported",
		"Name does not resolve", "Name has no usable address",
		"hostname nor servname provided, or not known",
		"no address associated with name",
		"name or service is not known", NULL };
	const char *p = m->p, *end = m->end;

	if (p == end)
		return true;
	if (!maillog_begins(p, end, ": "))
		return false;
	/* A name with blanks, which Postfix lets through no more than we do. */
	if (maillog_find(p, end, " does not resolve to address ") != NULL)
		return false;
	hit->text = maillog_part(p + 2, end);
	hit->temporary = !maillog_begins_any(p + 2, end, permanent);
	return true;
}
