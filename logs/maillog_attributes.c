/*
 * maillog_attributes - the end of a line that says what was refused:
 *
 *	...; from=<S> to=<R> proto=ESMTP helo=<H>
 *
 * S, R and H are the client's, and so is what may follow as sasl_sender=. H can
 * hold neither blanks nor <>, since smtpd changes these after HELO; S and R are
 * quoted or not (info_log_address_format).
 */
#include "logs/maillog_reject.h"

#define PROTO " proto="

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

/*
 * " proto=ESMTP helo=<H>" at a place, or without the second if no HELO was
 * sent, and after it the line's end or what Postfix 3.10 says of a login. A
 * client that has not logged in can have a sasl_sender=, and write in it what
 * it likes; and of a line that may be cut, the end may be the client's.
 */
static bool
read_proto(const struct maillog_message *m, const char *proto,
    struct maillog_attributes *a)
{
	static const char helo[] = " helo=<";
	const char *p = proto + strlen(PROTO), *close;

	memset(a, 0, sizeof(*a));
	while (p < m->end && maillog_upper(*p))
		p++;
	a->proto = proto > m->p && proto[-1] == ',' ? proto - 1 : proto;
	if (a->proto < proto && p < m->end && *p == ',')
		p++; /* of postscreen */
	if (maillog_begins(p, m->end, helo)) {
		p += strlen(helo);
		close = memchr(p, '>', (size_t)(m->end - p));
		if (close == NULL || memchr(p, ' ', (size_t)(close - p)))
			return false;
		a->helo = maillog_part(p, close);
		p = close + 1;
	}
	a->whole = !m->cut;
	a->logged_in = !m->cut && maillog_begins(p, m->end, " sasl_method=") &&
	    maillog_find(m->p, p, " sasl_sender=") == NULL;
	return p == m->end || maillog_begins(p, m->end, " sasl_method=") ||
	    maillog_begins(p, m->end, " sasl_sender=");
}

bool
maillog_attributes(const struct maillog_message *m, const char **before,
    struct maillog_attributes *a)
{
	const char *proto = *before;

	while ((proto = find_last(m->p, proto, PROTO)) != NULL)
		if (read_proto(m, proto, a)) {
			*before = proto;
			return true;
		}
	memset(a, 0, sizeof(*a));
	return false;
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

/*
 * The same of a route, as @a.example:user@b.example, of which only what is
 * after the colon is quoted.
 */
static const char *
route_before(const char *p, const char *at, const struct maillog_text *sent)
{
	const char *colon = sent->len > 0 && *sent->s == '@' ?
	    memchr(sent->s, ':', sent->len) : NULL;
	struct maillog_text rest;

	if (colon == NULL)
		return NULL;
	rest = maillog_part(colon + 1, sent->s + sent->len);
	at = quoted_before(p, at, &rest);
	return at == NULL ? NULL :
	    same_before(p, at, sent->s, sent->len - rest.len);
}

const char *
maillog_attribute_before(const char *p, const char *at, const char *name,
    const struct maillog_text *value)
{
	size_t len = strlen(name);
	const char *found[3];
	int i;

	if (at == p || *--at != '>')
		return NULL;
	found[0] = same_before(p, at, value->s, value->len);
	found[1] = quoted_before(p, at, value);
	found[2] = route_before(p, at, value);
	for (i = 0; i < 3; i++)
		if (found[i] != NULL && (size_t)(found[i] - p) > len &&
		    memcmp(found[i] - len, name, len) == 0 &&
		    found[i][-(long)len - 1] == ' ')
			return found[i] - len;
	return NULL;
}
