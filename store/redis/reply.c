/*
 * store_redis_reply - reading what a Redis server says, with hiredis's reader.
 *
 * hiredis takes the protocol apart and makes the replies. Before it does, we
 * refuse what nothing of ours is answered with: arrays in arrays in arrays,
 * more items than the bytes of a reply can hold (it allocates as many as are
 * announced), a type of RESP3, a text that does not end where it should.
 */
#include <string.h>

#include "base/text.h"
#include "store/redis/redis.h"

struct redis_library redis_library;

/*
 * Its structures are others in each release with another soname: only the one
 * whose header we were built with will do.
 */
bool
redis_load(char *error, size_t size)
{
	return library_load("libhiredis.so." LIBRARY_TEXT(HIREDIS_SONAME),
	    LIBRARY_NAMES(REDIS_FUNCTIONS), &redis_library, error, size);
}

static redisReplyObjectFunctions ours, theirs;

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
	const struct redis_store *s = task->privdata;

	if ((task->type != REDIS_REPLY_STRING &&
		task->type != REDIS_REPLY_STATUS &&
		task->type != REDIS_REPLY_ERROR) ||
	    n > s->limit || !text_ends(s->parser, text + n))
		return NULL;
	return theirs.createString(task, text, n);
}

#if HIREDIS_MAJOR > 0
typedef size_t items_count;
#else
typedef int items_count;
#endif

static void *
array_create(const redisReadTask *task, items_count n)
{
	struct redis_store *s = task->privdata;
	const size_t most = s->limit / REDIS_ITEM;

	if (task->type != REDIS_REPLY_ARRAY ||
	    (task->parent != NULL && task->parent->parent != NULL) ||
	    (size_t)n > most || s->items + (size_t)n > most)
		return NULL;
	s->items += (size_t)n;
	return theirs.createArray(task, n);
}

static void *
nil_create(const redisReadTask *task)
{
	const struct redis_store *s = task->privdata;

	if (task->type != REDIS_REPLY_STRING &&
	    (task->type != REDIS_REPLY_ARRAY || task->parent != NULL ||
		!s->ending))
		return NULL;
	return theirs.createNil(task);
}

/* --- reading --- */

void
redis_reply_begin(struct redis_store *s, size_t limit)
{
	if (s->reply != NULL)
		redis_library.freeReplyObject(s->reply);
	s->reply = NULL;
	s->limit = limit;
	s->fed = s->items = 0;
}

bool
redis_reply_feed(struct redis_store *s, const char *bytes, size_t n)
{
	void *whole = NULL;

	if (s->parser == NULL) {
		s->parser = redis_library.redisReaderCreate();
		if (s->parser == NULL)
			return false;
		theirs = ours = *s->parser->fn;
		ours.createString = text_create;
		ours.createArray = array_create;
		ours.createNil = nil_create;
		s->parser->fn = &ours;
	}
	s->parser->privdata = s;
	s->fed += n;
	if (n > 0 &&
	    redis_library.redisReaderFeed(s->parser, bytes, n) != REDIS_OK)
		return false;
	if (redis_library.redisReaderGetReply(s->parser, &whole) != REDIS_OK)
		return false;
	s->reply = whole;
	return true;
}

size_t
redis_reply_rest(const struct redis_store *s)
{
	return s->parser != NULL ? s->parser->len - s->parser->pos : 0;
}

void
redis_reply_drop(struct redis_store *s)
{
	if (s->parser != NULL)
		redis_library.redisReaderFree(s->parser);
	s->parser = NULL;
}

static bool
type_fits(int type, char wanted)
{
	switch (wanted) {
	case 'i':
		return type == REDIS_REPLY_INTEGER;
	case 's':
		return type == REDIS_REPLY_STATUS;
	case 'a':
		return type == REDIS_REPLY_ARRAY;
	default:
		return type == REDIS_REPLY_STRING || type == REDIS_REPLY_NIL;
	}
}

bool
redis_reply_fits(const redisReply *r, const char *types)
{
	size_t i;

	if (types[0] != '[')
		return type_fits(r->type, types[0]);
	if (r->type != REDIS_REPLY_ARRAY)
		return false;
	types++;
	for (i = 0; i < r->elements && types[i] != '*' && types[i] != '\0'; i++)
		if (!type_fits(r->element[i]->type, types[i]))
			return false;
	return types[i] == '*' || (types[i] == '\0' && i == r->elements);
}

/* Item i, or a reply that is no array; NULL: not there. */
static const redisReply *
item(const redisReply *r, size_t i)
{
	if (r->type != REDIS_REPLY_ARRAY)
		return r;
	return i < r->elements ? r->element[i] : NULL;
}

const char *
redis_text(const redisReply *r, size_t i)
{
	const redisReply *found = item(r, i);

	return found != NULL && (found->type == REDIS_REPLY_STRING ||
	    found->type == REDIS_REPLY_ERROR) ? found->str : "";
}

int64_t
redis_number(const redisReply *r, size_t i)
{
	const redisReply *found = item(r, i);
	long n = 0;

	if (found != NULL && found->type == REDIS_REPLY_INTEGER)
		return found->integer;
	text_number(redis_text(r, i), INT64_MIN, INT64_MAX, &n);
	return n;
}

const redisReply *
redis_array(const redisReply *r, size_t i)
{
	static const redisReply none = { .type = REDIS_REPLY_ARRAY };
	const redisReply *found = item(r, i);

	return found != NULL && found->type == REDIS_REPLY_ARRAY ? found :
								   &none;
}
