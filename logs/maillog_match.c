/*
 * maillog_match - patterns of log messages, and what a client's address and
 * name look like in them.
 */
#include "logs/maillog_parse.h"

#define HOST_NAME_MAX_LEN 255 /* VALID_HOSTNAME_LEN of Postfix */
#define STAGE_MAX 20

/*
 * The pieces of a pattern. Each begins at p and returns where it ends, NULL
 * where there is no such piece.
 */

const char *
maillog_skip_name(const char *p, const char *end)
{
	const char *from = p;

	while (p < end &&
	    (maillog_letter(*p) || maillog_digit(*p) || *p == '.' ||
		*p == '-' || *p == '_'))
		p++;
	return p == from || p - from > HOST_NAME_MAX_LEN ? NULL : p;
}

/* " (1234 bytes)", which Postfix says of DATA and BDAT. */
static const char *
skip_bytes(const char *p, const char *end)
{
	const char *q = p;

	if (!maillog_begins(p, end, " ("))
		return p;
	q = maillog_skip_number(p + 2, end);
	return q != NULL && maillog_begins(q, end, " bytes)")
	    ? q + strlen(" bytes)")
	    : p;
}

static const char *
read_stage(const char *p, const char *end, struct maillog_text *stage)
{
	const char *from = p;

	while (p < end && (maillog_upper(*p) || *p == '-'))
		p++;
	if (p == from || p - from > STAGE_MAX)
		return NULL;
	*stage = maillog_part(from, p);
	if (maillog_begins(p, end, " content"))
		p += strlen(" content");
	return skip_bytes(p, end);
}

/*
 * ETRN is none: refusing it, Postfix logs what the client sent before it logs
 * who the client is.
 */
static const char *
read_refused_stage(const char *p, const char *end, struct maillog_text *stage)
{
	if (maillog_begins(p, end, "ETRN"))
		return NULL;
	return read_stage(p, end, stage);
}

const char *
maillog_skip_number(const char *p, const char *end)
{
	const char *from = p;

	while (p < end && (maillog_digit(*p) || *p == '.'))
		p++;
	return p == from ? NULL : p;
}

static const char *
read_address(const char *p, const char *end, struct maillog_hit *hit)
{
	char text[ADDRESS_TEXT_MAX];
	const char *from = p;
	size_t len;

	while (p < end &&
	    (maillog_digit(*p) || (*p >= 'a' && *p <= 'f') ||
	        (*p >= 'A' && *p <= 'F') || *p == ':' || *p == '.'))
		p++;
	/* "address 2001:db8::1: Name or service not known" */
	if (p < end && *p == ' ' && p > from && p[-1] == ':')
		p--;
	len = (size_t)(p - from);
	if (len == 0 || len >= sizeof(text))
		return NULL;
	memcpy(text, from, len);
	text[len] = '\0';
	if (!address_parse(text, &hit->client))
		return NULL;
	hit->address = maillog_part(from, p);
	return p;
}

/* "[192.0.2.1]", and ":40000" after it. */
static const char *
read_bracketed(const char *p, const char *end, struct maillog_hit *hit)
{
	if (p == end || *p != '[')
		return NULL;
	p = read_address(p + 1, end, hit);
	if (p == NULL || p == end || *p != ']')
		return NULL;
	p++;
	if (maillog_begins(p, end, ":unknown"))
		return p + strlen(":unknown");
	if (end - p >= 2 && *p == ':' && maillog_digit(p[1])) {
		for (p++; p < end && maillog_digit(*p); p++)
			;
	}
	return p;
}

static const char *
read_client(const char *p, const char *end, struct maillog_message *m,
    struct maillog_hit *hit)
{
	const char *from = p;

	p = maillog_skip_name(p, end);
	if (p == NULL)
		return NULL;
	if (p - from != 7 || memcmp(from, "unknown", 7) != 0)
		hit->name = maillog_part(from, p);
	p = read_bracketed(p, end, hit);
	if (p != NULL)
		m->client = maillog_part(from, p);
	return p;
}

static const char *
match_piece(char piece, const char *p, struct maillog_message *m,
    struct maillog_hit *hit)
{
	const char *end = m->end;

	switch (piece) {
	case 'a':
		return read_address(p, end, hit);
	case 'c':
		return read_client(p, end, m, hit);
	case 'h':
		return maillog_skip_name(p, end);
	case 'n':
		return maillog_skip_number(p, end);
	case 'p':
		return read_bracketed(p, end, hit);
	case 'r':
		return read_refused_stage(p, end, &m->stage);
	case 's':
		return read_stage(p, end, &m->stage);
	case '$':
		return p == end ? p : NULL;
	case ':':
		if (p < end && *p == ':')
			return p + 1 == end || p[1] == ' ' ? p + 1 : NULL;
		return p == end ? p : NULL;
	default:
		return NULL;
	}
}

bool
maillog_match(const char *pattern, struct maillog_message *m,
    struct maillog_hit *hit)
{
	const char *p = m->p;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '%') {
			p = match_piece(*++pattern, p, m, hit);
			if (p == NULL)
				return false;
		} else if (p < m->end && *p == *pattern)
			p++;
		else
			return false;
	}
	m->p = p;
	return true;
}
