/*
 * store_redis_reply - reading what a Redis server says, with hiredis's reader.
 *
 * hiredis takes the protocol apart and calls us with what it has found, and we
 * refuse what no script of ours returns: an array in an array, more items than
 * the bytes of a reply can hold, a type of RESP3. hiredis's own replies are
 * not used: they allocate as many items as an array announces.
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/redis/redis.h"
#include "store/redis/library.h"
#include "base/text.h"

#define ROOM 4096 /* bytes of texts to begin with, and when idle */

/* --- what hiredis calls; NULL = refused --- */

/* Another item; NULL: no memory. */
static struct redis_item *
item_new(struct redis_reader *r, enum redis_type type)
{
	struct redis_item *items = array_room(r->items, &r->room, r->count + 1,
	    sizeof(*items), 16);

	if (items == NULL)
		return NULL;
	r->items = items;
	memset(&r->items[r->count], 0, sizeof(r->items[0]));
	r->items[r->count].type = type;
	return &r->items[r->count++];
}

/* Room for n more bytes of text. */
static bool
text_room(struct redis_reader *r, size_t n)
{
	char *text = array_room(r->text, &r->size, r->len + n, 1, ROOM);

	if (text == NULL)
		return false;
	r->text = text;
	return true;
}

/* hiredis passes over what ends a string, whatever it is. */
static bool
text_ends(const redisReader *parser, const char *end)
{
	return (size_t)(end - parser->buf) + 2 <= parser->len &&
	    end[0] == '\r' && end[1] == '\n';
}

static void *
text_create(const redisReadTask *task, char *text, size_t n)
{
	struct redis_reader *r = task->privdata;
	struct redis_item *item;

	if (task->type != REDIS_REPLY_STRING &&
	    task->type != REDIS_REPLY_STATUS && task->type != REDIS_REPLY_ERROR)
		return NULL;
	if (n > r->limit || !text_ends(r->parser, text + n) ||
	    !text_room(r, n + 1))
		return NULL;
	item = item_new(r,
	    task->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT);
	if (item == NULL)
		return NULL;
	item->at = r->len;
	item->len = n;
	memcpy(r->text + r->len, text, n);
	r->text[r->len + n] = '\0';
	r->len += n + 1;
	return r;
}

/* The head of an array. */
static void *
array_begin(const redisReadTask *task, size_t n)
{
	struct redis_reader *r = task->privdata;

	/* Items, too, take memory: they are not many of next to nothing. */
	if (task->type != REDIS_REPLY_ARRAY || task->parent != NULL ||
	    n > r->limit / sizeof(struct redis_item))
		return NULL;
	r->array = true;
	return r;
}

static void *
integer_create(const redisReadTask *task, long long number)
{
	struct redis_reader *r = task->privdata;
	struct redis_item *item = item_new(r, REDIS_INTEGER);

	if (item == NULL)
		return NULL;
	item->number = number;
	return r;
}

static void *
nil_create(const redisReadTask *task)
{
	struct redis_reader *r = task->privdata;

	if (task->type != REDIS_REPLY_STRING &&
	    (task->type != REDIS_REPLY_ARRAY || task->parent != NULL))
		return NULL;
	return item_new(r, REDIS_NIL) != NULL ? r : NULL;
}

/* What we have made is part of the reader. */
static void
nothing_free(void *object)
{
	(void)object;
}

#if HIREDIS_MAJOR > 0
#define array_create array_begin

static void *
double_refuse(const redisReadTask *task, double number, char *text, size_t n)
{
	(void)task;
	(void)number;
	(void)text;
	(void)n;
	return NULL;
}

static void *
bool_refuse(const redisReadTask *task, int value)
{
	(void)task;
	(void)value;
	return NULL;
}
#else
static void *
array_create(const redisReadTask *task, int n)
{
	return n < 0 ? NULL : array_begin(task, (size_t)n);
}
#endif

static redisReplyObjectFunctions functions = {
	.createString = text_create,
	.createArray = array_create,
	.createInteger = integer_create,
	.createNil = nil_create,
#if HIREDIS_MAJOR > 0
	.createDouble = double_refuse,
	.createBool = bool_refuse,
#endif
	.freeObject = nothing_free,
};

/* --- reading --- */

void
redis_reader_begin(struct redis_reader *r, size_t limit)
{
	/* Memory of a large reply is not kept by idle filters. */
	if (r->size > 16 * ROOM || r->room > 16 * ROOM / sizeof(r->items[0])) {
		free(r->text);
		free(r->items);
		r->text = NULL;
		r->items = NULL;
		r->size = r->room = 0;
	}
	r->limit = limit;
	r->fed = redis_reader_rest(r);
	r->count = r->len = 0;
	r->array = false;
}

size_t
redis_reader_room(const struct redis_reader *r)
{
	return r->fed < r->limit ? r->limit - r->fed : 0;
}

enum redis_progress
redis_reader_feed(struct redis_reader *r, const char *bytes, size_t n)
{
	void *whole = NULL;

	if (n > redis_reader_room(r))
		return REDIS_WRONG;
	if (r->parser == NULL)
		r->parser =
		    redis_library.redisReaderCreateWithFunctions(&functions);
	if (r->parser == NULL)
		return REDIS_WRONG;
	r->parser->privdata = r;
	r->fed += n;
	if (n > 0 && redis_library.redisReaderFeed(r->parser, bytes, n) !=
	    REDIS_OK)
		return REDIS_WRONG;
	if (redis_library.redisReaderGetReply(r->parser, &whole) != REDIS_OK)
		return REDIS_WRONG;
	return whole != NULL ? REDIS_WHOLE : REDIS_MORE;
}

size_t
redis_reader_rest(const struct redis_reader *r)
{
	return r->parser != NULL ? r->parser->len - r->parser->pos : 0;
}

const char *
redis_text(const struct redis_reader *r, size_t i)
{
	if (i >= r->count || (r->items[i].type != REDIS_TEXT &&
				 r->items[i].type != REDIS_ERROR))
		return "";
	return r->text + r->items[i].at;
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
redis_reader_drop(struct redis_reader *r)
{
	if (r->parser != NULL)
		redis_library.redisReaderFree(r->parser);
	r->parser = NULL;
}

void
redis_reader_free(struct redis_reader *r)
{
	redis_reader_drop(r);
	free(r->text);
	free(r->items);
	memset(r, 0, sizeof(*r));
}
