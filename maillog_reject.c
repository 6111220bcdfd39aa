/*
 * maillog_reject - lines that say what Postfix has refused, and to whom:
 *
 *	550 5.1.1 <X>: Recipient address rejected: User unknown in ...;
 *	    from=<S> to=<R> proto=ESMTP helo=<H>
 *
 * X, S, R and H are the client's, who can write into them whatever stands
 * around them. So the end is read from the right, where H can hold neither
 * blanks nor <> (Postfix changes these), and then every place where X might
 * end is tried: what was rejected must be what the attributes say that it is.
 * X is R as the client sent it; R may be quoted there, as in
 * info_log_address_format = external. Of several such places the last counts:
 * those before it are in X. Postfix cuts a line at 2000 bytes.
 */
#include "maillog_parse.h"

#define REPLY_MAX 4096 /* bytes of a reply that are looked at */
#define CUT_MIN 800    /* no syslogd cuts a shorter reply */

/* What stands behind a reply, and where. */
struct attributes {
	bool whole;     /* the line was not cut */
	bool logged_in; /* as Postfix 3.10 says of a client */
	struct maillog_text helo;
	/*
	 * Where " proto=" or ", proto=" is: sender and recipient, if they are
	 * known, end right before it. NULL = nowhere.
	 */
	const char *proto;
};

/* A refusal on its way to being understood. */
struct refusal {
	const struct maillog_message *m;
	struct attributes a;
	char status;         /* '4', '5', '\0' = none */
	const char *codes;   /* where they stand */
	const char *text;    /* the reply behind its codes */
	const char *text_max; /* where it ends at the latest */
};

/* A place where X may end, and what follows it. */
struct choice {
	const struct maillog_reply *reply; /* NULL = the reply ends in X */
	struct maillog_text object; /* X */
	const char *begins;         /* where reply->begins stands */
	const char *to;             /* where "to=<" stands, if X is R */
};

/* --- from the right --- */

static bool
all_letters(const char *p, const char *end)
{
	for (; p < end; p++)
		if (!maillog_upper(*p))
			return false;
	return true;
}

/* Where a text stands last between p and end; NULL = nowhere. */
static const char *
find_last(const char *p, const char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - p) < len)
		return NULL;
	for (end -= len; end >= p; end--)
		if (memcmp(end, text, len) == 0)
			return end;
	return NULL;
}

/* " helo=<H>", and what may follow it: " sasl_method=PLAIN ...". */
static const char *
read_helo(const char *p, const char *end, struct attributes *a)
{
	const char *helo = find_last(p, end, " helo=<"), *from = p, *close;

	if (helo == NULL)
		return NULL;
	p = helo + strlen(" helo=<");
	close = memchr(p, '>', (size_t)(end - p));
	if (close == NULL || memchr(p, ' ', (size_t)(close - p)) != NULL)
		return NULL;
	a->helo = maillog_part(p, close);
	/* Of a line that may be cut, the end may be the client's. */
	a->logged_in = end - from < CUT_MIN &&
	    maillog_begins(close + 1, end, " sasl_method=");
	a->whole = close + 1 == end || a->logged_in;
	return a->whole ? helo : NULL;
}

static void
read_attributes(const char *p, const char *end, struct attributes *a)
{
	const char *helo, *proto;

	memset(a, 0, sizeof(*a));
	helo = read_helo(p, end, a);
	if (helo == NULL)
		helo = end;
	else if (helo > p && helo[-1] == ',')
		helo--;
	proto = find_last(p, helo, " proto=");
	if (proto == NULL ||
	    !all_letters(proto + strlen(" proto="), helo))
		return;
	a->whole = true;
	a->proto = proto > p && proto[-1] == ',' ? proto - 1 : proto;
}

/* --- what was rejected --- */

/*
 * The same byte? What cannot be printed becomes a blank in a reply, and a
 * question mark in an attribute.
 */
static bool
same_byte(char sent, char logged)
{
	return sent == logged || (sent == ' ' && logged == '?');
}

/*
 * Compares, from the right, what a client sent with what ends at `at' and is
 * not before p. Returns where that begins, NULL when it is something else.
 */
static const char *
same_before(const char *p, const char *at, const char *sent, size_t len)
{
	if ((size_t)(at - p) < len)
		return NULL;
	at -= len;
	while (len > 0 && same_byte(sent[len - 1], at[len - 1]))
		len--;
	return len == 0 ? at : NULL;
}

/*
 * The same with the quotes of RFC 5322 around the local part, and a \ before
 * each " and \ in it.
 */
static const char *
quoted_before(const char *p, const char *at, const struct maillog_text *sent)
{
	const char *s = sent->s, *end = s + sent->len, *q;
	const char *domain = memrchr(s, '@', sent->len);
	size_t len = sent->len + 2;

	if (domain == NULL)
		domain = end;
	for (; s < domain; s++)
		len += *s == '"' || *s == '\\';
	if ((size_t)(at - p) < len)
		return NULL;
	q = at - len;
	if (*q++ != '"')
		return NULL;
	for (s = sent->s; s < domain; s++) {
		if ((*s == '"' || *s == '\\') && *q++ != '\\')
			return NULL;
		if (!same_byte(*s, *q++))
			return NULL;
	}
	return *q == '"' && same_before(q + 1, at, domain,
	    (size_t)(end - domain)) == q + 1 ? at - len : NULL;
}

/*
 * Is what ends at `at', with a '>' before it, the attribute with that name and
 * value? Returns where the name begins.
 */
static const char *
attribute_before(const char *p, const char *at, const char *name,
    const struct maillog_text *value)
{
	size_t len = strlen(name);
	const char *plain, *found[2];
	int i;

	if (at == p || *--at != '>')
		return NULL;
	plain = same_before(p, at, value->s, value->len);
	found[0] = plain;
	found[1] = quoted_before(p, at, value);
	for (i = 0; i < 2; i++)
		if (found[i] != NULL && (size_t)(found[i] - p) > len &&
		    memcmp(found[i] - len, name, len) == 0 &&
		    found[i][-(long)len - 1] == ' ')
			return found[i] - len;
	return NULL;
}

static bool
text_is(const struct maillog_text *t, const char *s)
{
	return t->len > 0 && t->len == strlen(s) &&
	    memcmp(t->s, s, t->len) == 0;
}

/* Of VRFY there can be no attribute: then nothing of a client follows. */
static bool
is_recipient(const struct refusal *r, struct choice *c)
{
	c->to = attribute_before(c->begins, r->a.proto, "to=<", &c->object);
	return c->to != NULL ||
	    (r->a.proto[-1] == ';' && text_is(&r->m->stage, "VRFY"));
}

/* The sender stands before the recipient, whose beginning is anywhere. */
static bool
is_sender(const struct refusal *r, const char *from,
    const struct maillog_text *x)
{
	const char *at = from;

	if (attribute_before(from, r->a.proto, "from=<", x) != NULL)
		return true;
	while ((at = maillog_find(at, r->a.proto, "> to=<")) != NULL) {
		at++;
		if (attribute_before(from, at, "from=<", x) != NULL)
			return true;
	}
	return false;
}

static bool
same_text(const struct maillog_text *a, const struct maillog_text *b)
{
	return a->len == b->len &&
	    (a->len == 0 || memcmp(a->s, b->s, a->len) == 0);
}

/*
 * HELO as it was sent: at its own stage nothing in it is changed, so that its
 * attribute can only be told by its value.
 */
static bool
is_helo(const struct refusal *r, const char *from, const struct maillog_text *x)
{
	if (r->a.helo.s != NULL && same_text(x, &r->a.helo))
		return true;
	return attribute_before(from, r->m->end, "helo=<", x) != NULL;
}

/* Can c->object be what the client sent as that? */
static bool
is_object(const struct refusal *r, enum maillog_object kind, struct choice *c)
{
	const char *from = c->begins;

	switch (kind) {
	case MAILLOG_RECIPIENT:
		return r->a.proto != NULL && is_recipient(r, c);
	case MAILLOG_SENDER:
		return r->a.proto != NULL && is_sender(r, from, &c->object);
	case MAILLOG_HELO:
		return is_helo(r, from, &c->object);
	case MAILLOG_CLIENT:
		return same_text(&c->object, &r->m->client);
	case MAILLOG_COMMAND:
		return same_text(&c->object, &r->m->stage);
	default:
		return false;
	}
}

/* Finds the first "<X>: " with a known reply behind it, whatever X is. */
static bool
find_first(const struct refusal *r, int rule, struct choice *found)
{
	const char *p = r->text;

	while ((p = maillog_find(p, r->text_max, ">: ")) != NULL) {
		found->object = maillog_part(r->text + 1, p);
		found->begins = p += 3;
		found->reply = maillog_reply_find(p, r->text_max);
		if (found->reply != NULL &&
		    found->reply->object != MAILLOG_NOTHING &&
		    (rule < 0 || found->reply->rule == (unsigned)rule))
			return true;
	}
	found->reply = NULL;
	return false;
}

/* A reply that is of no rule, behind something that was rejected. */
static const struct maillog_reply *
other_reply(const struct refusal *r, struct choice *c)
{
	static const struct maillog_reply other = { MAILLOG_NOTHING, "", "",
		true, MAILLOG_RULES };
	int kind;

	for (kind = MAILLOG_RECIPIENT; kind <= MAILLOG_COMMAND; kind++)
		if (is_object(r, (enum maillog_object)kind, c))
			return &other;
	return NULL;
}

/* Finds the last "<X>: " of which X is what was rejected. */
static bool
find_object(const struct refusal *r, struct choice *found)
{
	const char *p = r->text;
	struct choice c;

	found->reply = NULL;
	while ((p = maillog_find(p, r->text_max, ">: ")) != NULL) {
		memset(&c, 0, sizeof(c));
		c.object = maillog_part(r->text + 1, p);
		c.begins = p += 3;
		c.reply = maillog_reply_find(p, r->text_max);
		if (c.reply == NULL)
			c.reply = other_reply(r, &c);
		else if (!is_object(r, c.reply->object, &c))
			c.reply = NULL;
		if (c.reply != NULL)
			*found = c;
	}
	return found->reply != NULL;
}

/* --- the reply --- */

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

/* Has something cut the line, in or behind what the client chose? */
static bool
is_cut(const struct refusal *r)
{
	return !r->a.whole && (r->m->end - r->codes >= CUT_MIN ||
	    maillog_find(r->text, r->m->end,
	    ">: Recipient address rejected: ") == NULL);
}

/*
 * No X is what the attributes say: the line is cut, or was made or rewritten
 * by something that we do not know. 5.1.1 is said of recipients only, that
 * they do not exist, or by a table; 454 4.7.1 of relaying.
 */
static bool
guess_object(const struct refusal *r, struct choice *c)
{
	bool unknown = maillog_begins(r->codes + 4, r->text, "5.1.1 ") &&
	    (text_is(&r->m->stage, "RCPT") || text_is(&r->m->stage, "VRFY"));

	if (unknown && find_first(r, MAILLOG_UNKNOWN_RECIPIENT, c))
		return true;
	if (unknown && r->status == '5' && is_cut(r))
		return true;
	if (maillog_begins(r->codes, r->text, "454 4.7.1 ") &&
	    find_first(r, MAILLOG_RELAY_DENIED, c))
		return true;
	return find_first(r, -1, c);
}

/* The line says "from=<> to=<recipient>", and nothing in between. */
static bool
is_bounce(const struct refusal *r, const struct choice *c, const char *text_end)
{
	static const char empty[] = "; from=<> ";

	if (!maillog_begins(text_end, r->m->end, empty))
		return false;
	return c->to == NULL || text_end + strlen(empty) == c->to;
}

/* A reply that begins with "<". */
static bool
read_object(const struct refusal *r, struct maillog_hit *hit)
{
	struct choice c = { NULL };
	const char *text, *text_end;

	if (!find_object(r, &c) && !guess_object(r, &c))
		return false;
	if (c.reply == NULL) {
		hit->rule = MAILLOG_UNKNOWN_RECIPIENT;
		return true;
	}
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
read_plain(const struct refusal *r, struct maillog_hit *hit)
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

/*
 * What a client that has logged in is refused is nobody's offence. At the stage
 * of HELO nobody has, and in what postscreen logs HELO can say anything.
 */
static bool
is_logged_in(const struct maillog_message *m, const struct attributes *a)
{
	return maillog_submission(&m->program) || (a->logged_in && m->client.len > 0 &&
	    !text_is(&m->stage, "HELO") && !text_is(&m->stage, "EHLO"));
}

/* What lists say who do not answer the server that asks them. */
static bool
refuses_us(const char *p, const char *end)
{
	static const char *const texts[] = { "; Error: ", "open resolver",
		"excessive number of queries", "uery refused", "uery Refused",
		"/returnc/", NULL };
	const char *const *text;

	for (text = texts; *text != NULL; text++)
		if (maillog_find(p, end, *text) != NULL)
			return true;
	return false;
}

/*
 * Where what a list says ends, which of "Sender address [X] blocked using LIST"
 * is behind an X that is the client's. p: behind the '['.
 */
static const char *
find_blocked(const struct refusal *r, enum maillog_object kind, const char *p)
{
	static const char blocked[] = "] blocked using ";
	const char *at = p, *found = NULL;
	struct choice c = { NULL };

	while ((at = maillog_find(at, r->text_max, blocked)) != NULL) {
		c.object = maillog_part(p, at);
		c.begins = at += strlen(blocked);
		if (found == NULL || is_object(r, kind, &c))
			found = at;
		if (kind == MAILLOG_CLIENT)
			break;
	}
	return found;
}

/* "Service unavailable; Client host [192.0.2.1] blocked using LIST; reason" */
static bool
read_blocked(const struct refusal *r, struct maillog_hit *hit)
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
	list = find_blocked(r, kinds[i].kind,
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
	struct refusal r = { .m = m, .codes = m->p };
	bool found;

	read_attributes(m->p, m->end, &r.a);
	if (is_logged_in(m, &r.a))
		return false;
	r.text = read_codes(m->p, m->end, &r.status);
	if (r.a.proto != NULL && r.a.proto < r.text)
		r.a.proto = NULL;
	r.text_max = r.a.proto != NULL ? r.a.proto : m->end;
	if (r.text_max - m->p > REPLY_MAX)
		r.text_max = m->p + REPLY_MAX;
	if (maillog_begins(r.text, r.text_max, "Service unavailable; "))
		found = read_blocked(&r, hit);
	else if (maillog_begins(r.text, r.text_max, "<"))
		found = read_object(&r, hit);
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
	const char *end = reply_end(m->p, m->end), *p;
	struct attributes a;
	char status;

	read_attributes(m->p, m->end, &a);
	if (is_logged_in(m, &a))
		return false;
	p = read_codes(m->p, end, &status);
	hit->text = maillog_part(p, end);
	hit->temporary = status != '5' ||
	    maillog_begins(p, end, "Service unavailable");
	return true;
}
