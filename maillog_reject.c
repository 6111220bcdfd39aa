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
#define PROTO_MAX 32   /* " proto=ESMTP" */
#define BLOCKED "] blocked using "
#define TRIES 80       /* places where the end of a line may begin: what has
                        * room in a line, so that nothing can be hidden */
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
	const struct maillog_reply *reply;
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

/* Goes from the end of " proto=ESMTP" to where it begins; NULL = is none. */
static const char *
proto_before(const char *p, const char *at)
{
	const char *proto;

	if (at > p && at[-1] == ',')
		at--;
	proto = find_last(at - p > PROTO_MAX ? at - PROTO_MAX : p, at,
	    " proto=");
	if (proto == NULL || !all_letters(proto + strlen(" proto="), at))
		return NULL;
	return proto > p && proto[-1] == ',' ? proto - 1 : proto;
}

/*
 * " helo=<H>" at a place between p and end, with " proto=" before it, and
 * behind it the line's end or what Postfix 3.10 says of a login. A client that
 * has not logged in can have a sasl_sender=, and write in it what it likes; and
 * of a line that may be cut, the end may be the client's.
 */
static bool
read_helo(const char *p, const char *helo, const char *end,
    struct attributes *a)
{
	const char *from = helo + strlen(" helo=<");
	const char *close = memchr(from, '>', (size_t)(end - from));
	bool method;

	if (close == NULL || memchr(from, ' ', (size_t)(close - from)) != NULL)
		return false;
	method = maillog_begins(close + 1, end, " sasl_method=");
	if (close + 1 != end && !method &&
	    !maillog_begins(close + 1, end, " sasl_sender="))
		return false;
	a->proto = proto_before(p, helo);
	a->helo = maillog_part(from, close);
	a->whole = true;
	a->logged_in = method && end - p < CUT_MIN &&
	    maillog_find(p, close, "> sasl_sender=") == NULL;
	return a->proto != NULL;
}

/*
 * Finds what may be the attributes of a line, from *before to the left, and
 * moves that to where HELO was.
 */
static bool
next_attributes(const char *p, const char *end, const char **before,
    struct attributes *a)
{
	const char *helo = *before;

	memset(a, 0, sizeof(*a));
	while ((helo = find_last(p, helo, " helo=<")) != NULL)
		if (read_helo(p, helo, end, a)) {
			*before = helo;
			return true;
		}
	if (*before != end)
		return false;
	/* None: no HELO was sent, or the line is cut. */
	memset(a, 0, sizeof(*a));
	*before = p;
	a->proto = proto_before(p, end);
	a->whole = a->proto != NULL;
	return a->whole;
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

/* Before there was a sender, and before anybody could log in. */
static bool
is_early(const struct maillog_message *m)
{
	return text_is(&m->stage, "CONNECT") || text_is(&m->stage, "HELO") ||
	    text_is(&m->stage, "EHLO");
}

/*
 * 5.1.1 is said of recipients only, that they do not exist, or by a table: if a
 * table says it of something else, Postfix makes another code of it.
 */
static bool
says_recipient(const struct refusal *r)
{
	return maillog_begins(r->codes + 4, r->text, "5.1.1 ") &&
	    (text_is(&r->m->stage, "RCPT") || text_is(&r->m->stage, "VRFY"));
}

/* Can c->object be what the client sent as that? */
static bool
is_object(const struct refusal *r, enum maillog_object kind, struct choice *c)
{
	const char *from = c->begins;

	if (kind != MAILLOG_RECIPIENT && says_recipient(r))
		return false;
	switch (kind) {
	case MAILLOG_RECIPIENT:
		return r->a.proto != NULL && !text_is(&r->m->stage, "MAIL") &&
		    !is_early(r->m) && is_recipient(r, c);
	case MAILLOG_SENDER:
		return r->a.proto != NULL && !is_early(r->m) &&
		    is_sender(r, from, &c->object);
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

/* Sets where the reply ends at the latest. */
static void
limit_text(struct refusal *r)
{
	if (r->a.proto != NULL && r->a.proto < r->text)
		r->a.proto = NULL;
	r->text_max = r->a.proto != NULL ? r->a.proto : r->m->end;
	if (r->text_max - r->codes > REPLY_MAX)
		r->text_max = r->codes + REPLY_MAX;
}

/*
 * Is it a recipient so long that the line was cut within or behind it? Then
 * nothing in the line says for certain why it was refused.
 */
static bool
is_cut(const struct refusal *r)
{
	if (r->status != '5' || !says_recipient(r))
		return false;
	return r->m->end - r->codes >= CUT_MIN ||
	    (!r->a.whole && maillog_find(r->text, r->m->end,
	    ">: Recipient address rejected: ") == NULL);
}

/*
 * No X is what the attributes say: the line is cut, or was made or rewritten
 * by something that we do not know.
 */
static bool
guess_object(const struct refusal *r, struct choice *c)
{
	if (says_recipient(r))
		return find_first(r, MAILLOG_UNKNOWN_RECIPIENT, c);
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

/*
 * What a client that has logged in is refused is nobody's offence. At the stage
 * of HELO nobody has, and in what postscreen logs HELO can say anything.
 */
static bool
is_logged_in(const struct maillog_message *m, const struct attributes *a)
{
	return maillog_submission(&m->program) ||
	    (a->logged_in && m->client.len > 0 && !is_early(m));
}

/* Is a reading of an offence against recipients? */
static bool
is_weighty(const struct refusal *r, const struct choice *c)
{
	return c->reply->object == MAILLOG_RECIPIENT &&
	    c->reply->rule != MAILLOG_RULES && c->object.len > 0 &&
	    !is_logged_in(r->m, &r->a);
}

/*
 * The end of a line may have several readings, since a recipient, a sender and
 * a sasl_sender can hold what looks like it. Of those with which a reply that
 * begins with "<" makes sense, the one counts in which most is the client's;
 * but first one by which it has offended: nobody else writes such lines.
 */
static bool
find_both(struct refusal *r, struct choice *c)
{
	struct refusal left = *r;
	struct choice other;
	const char *before = r->m->end;
	bool found = false, weighty = false, more;
	int tries = 0;

	next_attributes(r->codes, r->m->end, &before, &r->a);
	limit_text(r);
	if (!maillog_begins(r->text, r->m->end, "<"))
		return false;
	for (before = r->m->end; tries < TRIES &&
	     next_attributes(r->codes, r->m->end, &before, &left.a); tries++) {
		limit_text(&left);
		if (!find_object(&left, &other))
			continue;
		more = is_weighty(&left, &other);
		if (found && (more != weighty ? weighty :
			other.object.len <= c->object.len))
			continue;
		found = true;
		weighty = more;
		*c = other;
		*r = left;
	}
	/* At its own stage HELO may look like anything. */
	return found || (tries == 0 && find_object(r, c));
}

/* A reply that begins with "<"; found: c is what was rejected. */
static bool
read_object(const struct refusal *r, bool found, struct choice *choice,
    struct maillog_hit *hit)
{
	struct choice c = *choice;
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
 * Where the list is named, which of "Sender address [X] blocked using LIST" is
 * behind the X that was listed. p: behind the '['. NULL = nowhere.
 */
static const char *
find_blocked(const struct refusal *r, enum maillog_object kind, const char *p)
{
	const char *at = p, *found = NULL;
	struct choice c = { NULL };

	while ((at = maillog_find(at, r->text_max, BLOCKED)) != NULL) {
		c.object = maillog_part(p, at);
		c.begins = at += strlen(BLOCKED);
		if (kind == MAILLOG_CLIENT)
			return at;
		if (is_object(r, kind, &c))
			found = at;
	}
	return found;
}

/* The same with each reading of the line's end; if none fits, the first. */
static const char *
find_blocked_any(const struct refusal *r, enum maillog_object kind,
    const char *p)
{
	struct refusal left = *r;
	const char *before = r->m->end, *found;
	int tries;

	for (tries = 0; tries < TRIES && next_attributes(r->codes, r->m->end,
	     &before, &left.a); tries++) {
		limit_text(&left);
		found = find_blocked(&left, kind, p);
		if (found != NULL)
			return found;
	}
	return find_blocked(r, MAILLOG_CLIENT, p);
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
	list = find_blocked_any(r, kinds[i].kind,
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
	struct choice c = { NULL };
	bool found;

	r.text = read_codes(m->p, m->end, &r.status);
	found = find_both(&r, &c);
	if (is_logged_in(m, &r.a))
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
	struct attributes a;
	char status;

	next_attributes(m->p, m->end, &before, &a);
	if (is_logged_in(m, &a))
		return false;
	p = read_codes(m->p, end, &status);
	hit->text = maillog_part(p, end);
	hit->temporary = status != '5' ||
	    maillog_begins(p, end, "Service unavailable");
	return true;
}
