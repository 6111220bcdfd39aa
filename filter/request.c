/*
 * request - one policy request: the attributes that Postfix sent.
 */
#include "filter/request.h"

#include <string.h>

#include "base/clock.h"
#include "store/store_use.h"

static const struct attribute {
	const char *name;
	size_t offset;
} attributes[] = {
#define ATTRIBUTE(name) { #name, offsetof(struct request, name) },
	REQUEST_ATTRIBUTES(ATTRIBUTE)
#undef ATTRIBUTE
};

#define ATTRIBUTE_COUNT (sizeof(attributes) / sizeof(attributes[0]))

/*
 * The row of a name, ATTRIBUTE_COUNT if there is none. *next is where the
 * search begins: after the last one found, which is right nearly always.
 */
static size_t
attribute_find(const char *name, size_t *next)
{
	size_t i, row;

	for (i = 0; i < ATTRIBUTE_COUNT; i++) {
		row = (*next + i) % ATTRIBUTE_COUNT;
		if (strcmp(attributes[row].name, name) == 0) {
			*next = row + 1;
			return row;
		}
	}
	return ATTRIBUTE_COUNT;
}

static const char **
attribute_field(struct request *req, size_t row)
{
	return (const char **)((char *)req + attributes[row].offset);
}

void
request_init(struct request *req)
{
	size_t row;

	memset(req, 0, sizeof(*req));
	for (row = 0; row < ATTRIBUTE_COUNT; row++)
		*attribute_field(req, row) = "";
}

bool
request_attribute(struct request *req, const char *name, const char *value)
{
	size_t next = 0, row = attribute_find(name, &next);

	if (row == ATTRIBUTE_COUNT)
		return false;
	*attribute_field(req, row) = value;
	return true;
}

const char *
request_parse(char *text, size_t len, struct request *req)
{
	char *end = text + len, *line, *newline, *value;
	uint64_t seen = 0;
	size_t next = 0, row;
	int lines = 0;

	_Static_assert(ATTRIBUTE_COUNT <= 64, "seen is too small");
	request_init(req);
	if (memchr(text, '\0', len) != NULL)
		return "NUL byte";
	for (line = text; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (newline == NULL)
			return "unterminated line";
		*newline = '\0';
		value = memchr(line, '=', (size_t)(newline - line));
		if (value == NULL)
			return "line without `='";
		if (++lines > REQUEST_ATTRIBUTES_MAX)
			return "too many attributes";
		*value++ = '\0';
		row = attribute_find(line, &next);
		if (row == ATTRIBUTE_COUNT || (seen >> row & 1) != 0)
			continue; /* unknown, or the second of its name */
		seen |= (uint64_t)1 << row;
		*attribute_field(req, row) = value;
	}
	return NULL;
}

const char *
request_each(const struct request *req, size_t i, const char **value)
{
	if (i >= ATTRIBUTE_COUNT)
		return NULL;
	*value = *(const char *const *)((const char *)req +
	    attributes[i].offset);
	return attributes[i].name;
}

void
request_start(struct request *req, long deadline)
{
	static unsigned long number;

	req->number = ++number;
	req->now = time(NULL);
	req->deadline = clock_ms() + deadline * 1000;
	req->client_known = address_parse(req->client_address, &req->client);
	store_user(req->sasl_username, req->user, sizeof(req->user));
}

void
request_store(const struct request *req, const struct config *cfg,
    struct store_use *u)
{
	*u = (struct store_use){ .cfg = cfg, .now = req->now,
		.end = req->deadline, .passive = req->passive };
}

long
request_left(const struct request *req)
{
	int64_t left = req->deadline - clock_ms();

	return left > 0 ? (long)left : 0;
}
