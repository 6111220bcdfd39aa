/*
 * maillog_object - what was refused, in a line as
 *
 *	550 5.1.1 <X>: Recipient address rejected: User unknown in ...;
 *	    from=<S> to=<R> proto=ESMTP helo=<H>
 *
 * A client can write into X, S, R and H whatever stands around them. So every
 * place where X might end is tried, with every place where the attributes might
 * begin: what was rejected must be what they say that the client has sent. X is
 * R as it was sent; in R it may be quoted. Of several places where X may end
 * the last counts: those before it are in X.
 */
#include "logs/maillog_reject.h"

#define REPLY_MAX 4096 /* bytes of a reply that are looked at */
#define TRIES 80       /* places where the attributes may begin: what has room
                        * in a line, so that nothing can be hidden */
#define BLOCKED "] blocked using "

/* Of VRFY there can be no attribute: then nothing of a client follows. */
static bool
is_recipient(const struct maillog_refusal *r, struct maillog_choice *c)
{
	c->to = maillog_attribute_before(c->begins, r->a.proto, "to=<",
	    &c->object);
	return c->to != NULL ||
	    (r->a.proto[-1] == ';' && maillog_is(&r->m->stage, "VRFY"));
}

/* The sender stands before the recipient, whose beginning is anywhere. */
static bool
is_sender(const struct maillog_refusal *r, const char *from,
    const struct maillog_text *x)
{
	const char *at = from;

	if (maillog_attribute_before(from, r->a.proto, "from=<", x) != NULL)
		return true;
	while ((at = maillog_find(at, r->a.proto, "> to=<")) != NULL) {
		at++;
		if (maillog_attribute_before(from, at, "from=<", x) != NULL)
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
is_helo(const struct maillog_refusal *r, const char *from,
    const struct maillog_text *x)
{
	if (r->a.helo.s != NULL && same_text(x, &r->a.helo))
		return true;
	return maillog_attribute_before(from, r->m->end, "helo=<", x) != NULL;
}

/* Before there was a sender, and before anybody could log in. */
static bool
is_early(const struct maillog_message *m)
{
	return maillog_is(&m->stage, "CONNECT") ||
	    maillog_is(&m->stage, "HELO") || maillog_is(&m->stage, "EHLO");
}

bool
maillog_says_recipient(const struct maillog_refusal *r)
{
	return maillog_begins(r->codes + 4, r->text, "5.1.1 ") &&
	    (maillog_is(&r->m->stage, "RCPT") ||
		maillog_is(&r->m->stage, "VRFY"));
}

/* Can c->object be what the client sent as that? */
static bool
is_object(const struct maillog_refusal *r, enum maillog_object kind,
    struct maillog_choice *c)
{
	const char *from = c->begins;

	if (kind != MAILLOG_RECIPIENT && maillog_says_recipient(r))
		return false;
	switch (kind) {
	case MAILLOG_RECIPIENT:
		return r->a.proto != NULL && !is_early(r->m) &&
		    !maillog_is(&r->m->stage, "MAIL") && is_recipient(r, c);
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

bool
maillog_object_first(const struct maillog_refusal *r, int rule,
    struct maillog_choice *found)
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

/* A reply that is of no rule, after something that was rejected. */
static const struct maillog_reply *
other_reply(const struct maillog_refusal *r, struct maillog_choice *c)
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
find_object(const struct maillog_refusal *r, struct maillog_choice *found)
{
	const char *p = r->text;
	struct maillog_choice c;

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

bool
maillog_logged_in(const struct maillog_message *m,
    const struct maillog_attributes *a)
{
	return maillog_submission(&m->program) ||
	    (a->logged_in && m->client.len > 0 && !is_early(m));
}

/* Is a reading of an offence against recipients? */
static bool
is_weighty(const struct maillog_refusal *r, const struct maillog_choice *c)
{
	return c->reply->object == MAILLOG_RECIPIENT &&
	    c->reply->rule != MAILLOG_RULES && c->object.len > 0 &&
	    !maillog_logged_in(r->m, &r->a);
}

/* Sets where the reply ends at the latest. */
static void
limit_text(struct maillog_refusal *r)
{
	if (r->a.proto != NULL && r->a.proto < r->text)
		r->a.proto = NULL;
	r->text_max = r->a.proto != NULL ? r->a.proto : r->m->end;
	if (r->text_max - r->codes > REPLY_MAX)
		r->text_max = r->codes + REPLY_MAX;
}

/* The next reading of a line's end, to the left; tries: how many there were. */
static bool
next_reading(struct maillog_refusal *r, const char **before, int *tries)
{
	if (*tries == TRIES || !maillog_attributes(r->m, before, &r->a))
		return false;
	++*tries;
	limit_text(r);
	return true;
}

/*
 * The end of a line may have several readings, since a recipient, a sender and
 * a sasl_sender can hold what looks like it. Of those with which a reply that
 * begins with "<" makes sense, the one counts in which most is the client's;
 * but first one by which it has offended: nobody else writes such lines.
 */
bool
maillog_object_find(struct maillog_refusal *r, struct maillog_choice *c)
{
	struct maillog_refusal left = *r;
	struct maillog_choice other;
	const char *before = r->m->end;
	bool angle = maillog_begins(r->text, r->m->end, "<");
	bool found = false, weighty = false, more;
	int tries = 0;

	limit_text(r);
	while ((angle || tries == 0) && next_reading(&left, &before, &tries)) {
		if (tries == 1)
			*r = left; /* if none makes sense */
		if (!angle || !find_object(&left, &other))
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
	return found || (angle && tries == 0 && find_object(r, c));
}

/*
 * Where the list is named, which of "Sender address [X] blocked using LIST" is
 * after the X that was listed. p: after the '['. NULL = nowhere.
 */
static const char *
find_blocked(const struct maillog_refusal *r, enum maillog_object kind,
    const char *p)
{
	const char *at = p, *found = NULL;
	struct maillog_choice c = { NULL };

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

const char *
maillog_object_listed(const struct maillog_refusal *r, enum maillog_object kind,
    const char *p)
{
	struct maillog_refusal left = *r;
	const char *before = r->m->end, *found;
	int tries = 0;

	while (next_reading(&left, &before, &tries)) {
		found = find_blocked(&left, kind, p);
		if (found != NULL)
			return found;
	}
	return find_blocked(r, MAILLOG_CLIENT, p);
}
