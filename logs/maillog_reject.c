/*
 * maillog_reject - lines that say what Postfix has refused, and to whom.
 *
 * A reply is read from the left, and what it is about must be what the line's
 * end says: see maillog_object.c. Postfix cuts a line at 2000 bytes, some
 * syslog daemons at 1024; then the end is the client's, or missing.
 */
#include "logs/maillog_reject.h"

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

static bool
begins_attributes(const char *p, const char *end)
{
	static const char *const tail[] = { "; from=<", "; to=<", "; proto=",
		"; helo=<", NULL };

	return maillog_begins_any(p, end, tail);
}

/* The end of a reply in which nothing is the client's from p on. */
static const char *
reply_end(const char *p, const char *end)
{
	while ((p = memchr(p, ';', (size_t)(end - p))) != NULL) {
		if (begins_attributes(p, end))
			return p;
		p++;
	}
	return end;
}

/*
 * Is it a recipient so long that the line was cut within or after it? Then
 * nothing in the line says for certain why it was refused.
 */
static bool
is_cut(const struct maillog_refusal *r)
{
	if (r->status != '5' || !maillog_says_recipient(r))
		return false;
	return r->m->cut || (!r->a.whole && maillog_find(r->text, r->m->end,
	    ">: Recipient address rejected: ") == NULL);
}

/*
 * No X is what the attributes say: the line is cut, or was made or rewritten
 * by something that we do not know.
 */
static bool
guess_object(const struct maillog_refusal *r, struct maillog_choice *c)
{
	if (maillog_says_recipient(r))
		return maillog_object_first(r, MAILLOG_UNKNOWN_RECIPIENT, c);
	if (maillog_begins(r->codes, r->text, "454 4.7.1 ") &&
	    maillog_object_first(r, MAILLOG_RELAY_DENIED, c))
		return true;
	return maillog_object_first(r, -1, c);
}

/* The line says "from=<> to=<recipient>", and nothing in between. */
static bool
is_bounce(const struct maillog_refusal *r, const struct maillog_choice *c,
    const char *text_end)
{
	static const char empty[] = "; from=<> ";

	if (!maillog_begins(text_end, r->m->end, empty))
		return false;
	return c->to == NULL || text_end + strlen(empty) == c->to;
}

/* A reply that begins with "<"; found: c is what was rejected. */
static bool
read_object(const struct maillog_refusal *r, bool found,
    const struct maillog_choice *choice, struct maillog_hit *hit)
{
	struct maillog_choice c = *choice;
	const char *text, *text_end;

	if (!found)
		found = guess_object(r, &c);
	if (is_cut(r) && (!found || c.reply->rule == MAILLOG_RULES)) {
		hit->rule = MAILLOG_UNKNOWN_RECIPIENT;
		return true;
	}
	if (!found)
		return false;
	text = c.begins + (c.reply->whole ? 0 : strlen(c.reply->begins));
	text_end = reply_end(text, r->m->end);
	hit->rule = c.reply->rule;
	hit->text = maillog_part(text, text_end);
	if (c.reply->object == MAILLOG_RECIPIENT)
		hit->recipient = c.object;
	if (hit->rule == MAILLOG_UNKNOWN_RECIPIENT &&
	    is_bounce(r, &c, text_end))
		hit->rule = MAILLOG_UNKNOWN_BOUNCE;
	return hit->rule != MAILLOG_RULES;
}

/* "cannot find your hostname" and others, without "<...>: " before them. */
static bool
read_plain(const struct maillog_refusal *r, struct maillog_hit *hit)
{
	const struct maillog_reply *reply =
	    maillog_reply_find(r->text, r->text_max);
	const char *text = r->text;

	if (reply == NULL || reply->rule == MAILLOG_RULES)
		return false;
	if (!reply->whole)
		text += strlen(reply->begins);
	hit->rule = reply->rule;
	hit->text = maillog_part(text, reply_end(text, r->m->end));
	return true;
}

/* What lists say who do not answer the server that asks them. */
static bool
refuses_us(const char *p, const char *end)
{
	static const char *const texts[] = { "; Error: ", "uery refused",
		"uery Refused", "/returnc/", NULL };
	const char *const *text;

	for (text = texts; *text != NULL; text++)
		if (maillog_find(p, end, *text) != NULL)
			return true;
	return false;
}

/* "Service unavailable; Client host [192.0.2.1] blocked using LIST; reason" */
static bool
read_blocked(const struct maillog_refusal *r, struct maillog_hit *hit)
{
	static const struct {
		const char *begins;
		enum maillog_object kind;
	} kinds[] = {
		{ "Service unavailable; Sender address [", MAILLOG_SENDER },
		{ "Service unavailable; Helo command [", MAILLOG_HELO },
		{ "Service unavailable; Recipient address [",
		    MAILLOG_RECIPIENT },
		{ "Service unavailable; ", MAILLOG_CLIENT },
	};
	const char *list, *end;
	size_t i = 0;

	while (i < 3 && !maillog_begins(r->text, r->text_max, kinds[i].begins))
		i++;
	list = maillog_object_listed(r, kinds[i].kind,
	    r->text + strlen(kinds[i].begins));
	if (list == NULL)
		return false;
	end = reply_end(list, r->m->end);
	hit->rule = MAILLOG_BLOCKLISTED;
	hit->text = maillog_part(r->text, end);
	hit->temporary = refuses_us(list, end);
	return true;
}

bool
maillog_reject(const struct maillog_message *m, struct maillog_hit *hit)
{
	struct maillog_refusal r = { .m = m, .codes = m->p };
	struct maillog_choice c = { NULL };
	bool found;

	r.text = read_codes(m->p, m->end, &r.status);
	found = maillog_object_find(&r, &c);
	if (maillog_logged_in(m, &r.a))
		return false;
	if (maillog_begins(r.text, r.text_max, "Service unavailable; "))
		found = read_blocked(&r, hit);
	else if (maillog_begins(r.text, r.text_max, "<"))
		found = read_object(&r, found, &c, hit);
	else
		found = read_plain(&r, hit);
	if (r.status == '4' && !(hit->rule == MAILLOG_RELAY_DENIED &&
	    maillog_begins(m->p, m->end, "454 4.7.1 ")))
		hit->temporary = true;
	return found &&
	    (r.status != '\0' || hit->rule == MAILLOG_PROTOCOL_ABUSE);
}

/*
 * A milter's reply; cleanup leaves the first code out. "Service unavailable"
 * is Postfix's own when the milter is (milter_default_action).
 */
bool
maillog_milter(const struct maillog_message *m, struct maillog_hit *hit)
{
	const char *end = reply_end(m->p, m->end), *p, *before = m->end;
	struct maillog_attributes a;
	char status;

	maillog_attributes(m, &before, &a);
	if (maillog_logged_in(m, &a))
		return false;
	p = read_codes(m->p, end, &status);
	hit->text = maillog_part(p, end);
	hit->temporary = status != '5' ||
	    maillog_begins(p, end, "Service unavailable");
	return true;
}
