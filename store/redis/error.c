/*
 * store_redis_error - what the errors of a Redis server mean.
 */
#include <string.h>

#include "store/redis/redis.h"

/*
 * What follows from an error of the server, by a word in it: the first row
 * holds whose word is there. All other errors are refusals: no memory, no
 * permission, read-only, a disk that cannot be written.
 */
static const struct {
	const char *word;
	enum store_failure failure;
} failures[] = {
	{ "BUSY", STORE_BUSY }, /* somebody's script goes on for long */
	{ "TRYAGAIN", STORE_BUSY },
	{ "max number of clients", STORE_BUSY },
	{ "LOADING", STORE_BROKEN }, /* nobody gets in, for a while */
	{ "NOAUTH", STORE_BROKEN },
	{ "WRONGPASS", STORE_BROKEN },
	{ "OOM", STORE_REFUSED },
	{ "READONLY", STORE_REFUSED },
	{ "MISCONF", STORE_REFUSED },
	{ "NOREPLICAS", STORE_REFUSED },
	{ "MASTERDOWN", STORE_REFUSED },
	{ "NOPERM", STORE_REFUSED },
	/* Not what a key of ours holds: a command says so, or our script. */
	{ "WRONGTYPE", STORE_BAD_DATA },
	{ "user_script", STORE_BAD_DATA },
};

/* Is the word there, and not within another? Older servers put more before. */
static bool
word_is_there(const char *text, const char *word)
{
	const char *at;

	for (at = strstr(text, word); at != NULL; at = strstr(at + 1, word))
		if ((at == text || strchr(" -@", at[-1]) != NULL) &&
		    strchr(" :,.", at[strlen(word)]) != NULL)
			return true;
	return false;
}

static enum store_failure
failure_of(const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (word_is_there(text, failures[i].word))
			return failures[i].failure;
	return STORE_REFUSED;
}

bool
redis_reply_failed(struct redis_store *s)
{
	const redisReply *r = s->reply;
	const char *text;
	size_t i;

	for (i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
		if (r->element[i]->type == REDIS_REPLY_ERROR)
			break;
	if (r->type == REDIS_REPLY_ARRAY ? i == r->elements :
					   r->type != REDIS_REPLY_ERROR)
		return false;
	text = redis_text(r, i);
	redis_failed(s, "%.160s%s", text, strncmp(text, "MOVED ", 6) == 0 ||
		strncmp(text, "CROSSSLOT ", 10) == 0 ?
	    " (a cluster is not supported)" : "");
	s->store.failure = failure_of(text);
	return true;
}
