/*
 * store_redis_reply - reading what a Redis server says, RESP2.
 *
 * What is read is whole when it is said to be: no item refers to bytes that
 * have not come. An array in an array, a type of RESP3, a length that is no
 * number or over the limit: not a reply.
 */
#include <stdlib.h>
#include <string.h>

#include "store_redis.h"
#include "text.h"

#define ROOM 4096        /* bytes to begin with, and at most when idle */
#define LINE_LIMIT 4096  /* of a line: a number, a length, an error */

void
redis_reader_begin(struct redis_reader *r, size_t limit)
{
	char *smaller;

	if (r->at > 0)
		memmove(r->buf, r->buf + r->at, r->len - r->at);
	r->len -= r->at;
	r->at = 0;
	r->limit = limit;
	r->count = 0;
	r->left = 1;
	r->array = r->begun = false;
	/* Memory of a large reply is not kept by idle filters. */
	if (r->size > 16 * ROOM && r->len == 0 && limit <= REDIS_LITTLE) {
		smaller = realloc(r->buf, ROOM);
		if (smaller != NULL) {
			r->buf = smaller;
			r->size = ROOM;
		}
		free(r->items);
		r->items = NULL;
		r->room = 0;
	}
}

char *
redis_reader_room(struct redis_reader *r, size_t *n)
{
	size_t size = r->size > 0 ? r->size * 2 : ROOM;
	char *larger;

	if (size > r->limit + ROOM)
		size = r->limit + ROOM;
	if (r->len == r->size) {
		if (r->size >= size)
			return NULL;
		larger = realloc(r->buf, size);
		if (larger == NULL)
			return NULL;
		r->buf = larger;
		r->size = size;
	}
	*n = r->size - r->len;
	return r->buf + r->len;
}

void
redis_reader_added(struct redis_reader *r, size_t n)
{
	r->len += n;
}

/* Another item; NULL: no memory. */
static struct redis_item *
item_new(struct redis_reader *r)
{
	size_t room = r->room > 0 ? r->room * 2 : 16;
	struct redis_item *larger;

	if (r->count == r->room) {
		larger = realloc(r->items, room * sizeof(*larger));
		if (larger == NULL)
			return NULL;
		r->items = larger;
		r->room = room;
	}
	memset(&r->items[r->count], 0, sizeof(r->items[0]));
	return &r->items[r->count++];
}

/*
 * The end of the line at r->at: where its CR is. REDIS_MORE when it is not
 * there yet.
 */
static enum redis_progress
line_find(const struct redis_reader *r, size_t *end)
{
	size_t there = r->len - r->at;
	const char *line, *lf;

	if (there == 0)
		return REDIS_MORE;
	line = r->buf + r->at;
	lf = memchr(line, '\n', there < LINE_LIMIT ? there : LINE_LIMIT);
	if (lf == NULL)
		return there < LINE_LIMIT ? REDIS_MORE : REDIS_WRONG;
	if (lf - line < 2 || lf[-1] != '\r')
		return REDIS_WRONG;
	*end = (size_t)(lf - 1 - r->buf);
	return REDIS_WHOLE;
}

/* A text of `n` bytes that begin behind the line: an item when it is whole. */
static enum redis_progress
text_parse(struct redis_reader *r, size_t begin, size_t n)
{
	struct redis_item *item;

	if (n > r->limit)
		return REDIS_WRONG;
	if (r->len - begin < n + 2)
		return REDIS_MORE;
	if (r->buf[begin + n] != '\r' || r->buf[begin + n + 1] != '\n')
		return REDIS_WRONG;
	item = item_new(r);
	if (item == NULL)
		return REDIS_WRONG;
	item->type = REDIS_TEXT;
	item->at = begin;
	item->len = n;
	r->buf[begin + n] = '\0';
	r->at = begin + n + 2;
	r->left--;
	return REDIS_WHOLE;
}

/* An item that is a line; it ends with NUL in the place of its CR. */
static enum redis_progress
line_parse(struct redis_reader *r, size_t end, enum redis_type type, long n)
{
	struct redis_item *item = item_new(r);

	if (item == NULL)
		return REDIS_WRONG;
	item->type = type;
	item->number = n;
	if (type == REDIS_TEXT || type == REDIS_ERROR) {
		item->at = r->at + 1;
		item->len = end - r->at - 1;
		r->buf[end] = '\0';
	}
	r->at = end + 2;
	r->left--;
	return REDIS_WHOLE;
}

/* The head of an array: how many items are to come. */
static enum redis_progress
array_parse(struct redis_reader *r, size_t end, long n)
{
	/* Items, too, take memory: they are not many of next to nothing. */
	if (r->begun || n > (long)(r->limit / sizeof(struct redis_item)))
		return REDIS_WRONG;
	if (n < 0)
		return line_parse(r, end, REDIS_NIL, 0);
	r->array = true;
	r->left = (size_t)n;
	r->at = end + 2;
	return REDIS_WHOLE;
}

/* What begins at r->at. */
static enum redis_progress
item_parse(struct redis_reader *r)
{
	enum redis_progress found;
	char type, digits[24];
	size_t end, n;
	long number = 0;

	found = line_find(r, &end);
	if (found != REDIS_WHOLE)
		return found;
	type = r->buf[r->at];
	n = end - r->at - 1;
	if (type == '+' || type == '-')
		return line_parse(r, end,
		    type == '+' ? REDIS_TEXT : REDIS_ERROR, 0);
	if (n == 0 || n >= sizeof(digits))
		return REDIS_WRONG;
	memcpy(digits, r->buf + r->at + 1, n);
	digits[n] = '\0';
	if (!text_number(digits, type == ':' ? INT64_MIN : -1, INT64_MAX,
		&number))
		return REDIS_WRONG;
	switch (type) {
	case ':':
		return line_parse(r, end, REDIS_INTEGER, number);
	case '$':
		if (number < 0)
			return line_parse(r, end, REDIS_NIL, 0);
		return text_parse(r, end + 2, (size_t)number);
	case '*':
		return array_parse(r, end, number);
	default:
		return REDIS_WRONG;
	}
}

enum redis_progress
redis_reader_parse(struct redis_reader *r)
{
	enum redis_progress found;

	while (r->left > 0) {
		found = item_parse(r);
		if (found != REDIS_WHOLE)
			return found;
		r->begun = true;
		if (r->at > r->limit)
			return REDIS_WRONG;
	}
	return REDIS_WHOLE;
}

const char *
redis_text(const struct redis_reader *r, size_t i)
{
	if (i >= r->count || (r->items[i].type != REDIS_TEXT &&
				 r->items[i].type != REDIS_ERROR))
		return "";
	return r->buf + r->items[i].at;
}

int64_t
redis_number(const struct redis_reader *r, size_t i)
{
	long n = 0;

	if (i >= r->count)
		return 0;
	if (r->items[i].type == REDIS_INTEGER)
		return r->items[i].number;
	text_number(redis_text(r, i), INT64_MIN, INT64_MAX, &n);
	return n;
}

void
redis_reader_free(struct redis_reader *r)
{
	free(r->buf);
	free(r->items);
	memset(r, 0, sizeof(*r));
}
