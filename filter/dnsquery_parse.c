/*
 * dnsquery_parse - the A records of an answer that belong to the question.
 *
 * c-ares checks that an answer is one to our question, but not, in all of its
 * versions, whose the records in it are. So we compare the owners ourselves,
 * byte by byte: a record counts if it is of the name that was asked for, or of
 * one that CNAMEs lead to from there (RFC 1034, 3.6.2). Their order is of no
 * matter.
 */
#include <arpa/nameser.h>
#include <stdbool.h>
#include <string.h>

#include "filter/dnsquery.h"

#define NAME_BYTES 255 /* RFC 1035, 2.3.4 */
#define LABEL_BYTES 63
#define ALIASES_MAX 16 /* resolvers follow fewer */
#define HEADER_BYTES 12
#define FIXED_BYTES 10 /* of a record, after its owner */

/* A name as on the wire, but whole and in lower case. */
struct name {
	unsigned char wire[NAME_BYTES];
	size_t len;
};

/* The question's name and what it is an alias of. */
struct names {
	struct name name[1 + ALIASES_MAX];
	size_t count;
};

struct message {
	const unsigned char *data;
	size_t len;
	size_t records; /* where they begin */
	unsigned count; /* of the answer section */
};

struct record {
	struct name owner;
	unsigned type, class;
	const unsigned char *data;
	struct name target; /* of a CNAME */
};

static unsigned
number(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Appends a label. False when the name gets too long. */
static bool
label_add(struct name *n, const unsigned char *label, size_t len)
{
	size_t i;

	if (len > LABEL_BYTES || n->len + 1 + len > sizeof(n->wire))
		return false;
	n->wire[n->len++] = (unsigned char)len;
	for (i = 0; i < len; i++)
		n->wire[n->len++] = label[i] >= 'A' && label[i] <= 'Z' ?
		    (unsigned char)(label[i] + ('a' - 'A')) : label[i];
	return true;
}

/* A name as text, without a dot at its end. */
static bool
name_encode(const char *text, struct name *n)
{
	size_t len;

	for (n->len = 0; *text != '\0'; text += len + (text[len] == '.')) {
		len = strcspn(text, ".");
		if (len == 0 ||
		    !label_add(n, (const unsigned char *)text, len))
			return false;
	}
	return label_add(n, NULL, 0);
}

/* Reads the name at `at'. What comes after it, 0 if it is not readable. */
static size_t
name_read(const struct message *m, size_t at, struct name *n)
{
	size_t first = at, after = 0, len;

	for (n->len = 0; at < m->len;) {
		len = m->data[at];
		if (len > LABEL_BYTES) { /* continues elsewhere */
			if (len < 0xc0 || m->len - at < 2)
				return 0;
			if (after == 0)
				after = at + 2;
			at = number(m->data + at) & 0x3fff;
			if (at >= first) /* backwards only: so it ends */
				return 0;
			first = at;
			continue;
		}
		if (len >= m->len - at ||
		    !label_add(n, m->data + at + 1, len))
			return 0;
		at += 1 + len;
		if (len == 0)
			return after != 0 ? after : at;
	}
	return 0;
}

static bool
name_same(const struct name *a, const struct name *b)
{
	return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

static bool
names_have(const struct names *names, const struct name *n)
{
	size_t i;

	for (i = 0; i < names->count; i++)
		if (name_same(&names->name[i], n))
			return true;
	return false;
}

/* Finds the records of an answer to one question. */
static bool
message_open(struct message *m, const unsigned char *answer, int len)
{
	struct name question;

	m->data = answer;
	m->len = len > 0 ? (size_t)len : 0;
	if (m->len < HEADER_BYTES || number(answer + 4) != 1)
		return false;
	m->count = number(answer + 6);
	m->records = name_read(m, HEADER_BYTES, &question);
	if (m->records == 0 || m->len - m->records < 4)
		return false;
	m->records += 4; /* type and class */
	return true;
}

/* Reads the record at `at'. What comes after it, 0 if it is not readable. */
static size_t
record_read(const struct message *m, size_t at, struct record *r)
{
	size_t len;

	at = name_read(m, at, &r->owner);
	if (at == 0 || m->len - at < FIXED_BYTES)
		return 0;
	r->type = number(m->data + at);
	r->class = number(m->data + at + 2);
	len = number(m->data + at + 8);
	at += FIXED_BYTES;
	if (m->len - at < len)
		return 0;
	r->data = m->data + at;
	if (r->class != ns_c_in)
		return at + len;
	if (r->type == ns_t_a && len != sizeof(struct in_addr))
		return 0;
	if (r->type == ns_t_cname && name_read(m, at, &r->target) != at + len)
		return 0;
	return at + len;
}

/*
 * Adds all that the names are aliases of, as far as there is room; `more' tells
 * that there was something. False when the records are not readable.
 */
static bool
aliases_add(const struct message *m, struct names *names, bool *more)
{
	struct record r;
	size_t at = m->records;
	unsigned i;

	*more = false;
	for (i = 0; i < m->count; i++) {
		at = record_read(m, at, &r);
		if (at == 0)
			return false;
		if (r.type != ns_t_cname || r.class != ns_c_in ||
		    names->count > ALIASES_MAX ||
		    !names_have(names, &r.owner) ||
		    names_have(names, &r.target))
			continue;
		names->name[names->count++] = r.target;
		*more = true;
	}
	return true;
}

int
dnsquery_parse(const char *name, const unsigned char *answer, int len,
    struct in_addr *records, size_t max)
{
	struct names names = { .count = 1 };
	struct message m;
	struct record r;
	size_t at, n = 0;
	bool more;
	unsigned i;

	if (!name_encode(name, &names.name[0]) ||
	    !message_open(&m, answer, len))
		return -1;
	do
		if (!aliases_add(&m, &names, &more))
			return -1;
	while (more);
	at = m.records;
	for (i = 0; i < m.count && n < max; i++) {
		at = record_read(&m, at, &r);
		if (r.type == ns_t_a && r.class == ns_c_in &&
		    names_have(&names, &r.owner))
			memcpy(&records[n++], r.data, sizeof(*records));
	}
	return (int)n;
}
