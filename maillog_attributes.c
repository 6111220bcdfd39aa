/*
 * maillog_attributes - the end of a line that says what was refused:
 *
 *	...; from=<S> to=<R> proto=ESMTP helo=<H>
 *
 * S, R and H are the client's, and so is what may follow as sasl_sender=. H can
 * hold neither blanks nor <>, since smtpd changes these after HELO; S and R are
 * quoted or not (info_log_address_format).
 */
#include "maillog_reject.h"

#define PROTO_MAX 32 /* " proto=ESMTP" */

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
    struct maillog_attributes *a)
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
	a->logged_in = method && end - p < MAILLOG_CUT_MIN &&
	    maillog_find(p, close, "> sasl_sender=") == NULL;
	return a->proto != NULL;
}

bool
maillog_attributes(const char *p, const char *end, const char **before,
    struct maillog_attributes *a)
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

const char *
maillog_attribute_before(const char *p, const char *at, const char *name,
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
