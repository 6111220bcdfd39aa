/*
 * store_redis_command - making commands for Redis, and what its errors mean.
 */
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/redis/redis.h"
#include "store/redis/library.h"

#define OUT_KEEP 65536 /* bytes of the buffer that an idle filter keeps */

void
redis_command(struct redis_store *s)
{
	struct redis_commands *c = &s->out;

	if (c->commands == REDIS_COMMANDS)
		c->failed = true;
	else
		c->words[c->commands++] = 0;
}

void
redis_word(struct redis_store *s, const char *text)
{
	struct redis_commands *c = &s->out;
	size_t n = strlen(text);
	char *bytes = NULL;
	size_t *lens = NULL;

	if (!c->failed && c->commands > 0)
		bytes = array_room(c->text, &c->size, c->len + n + 1, 1, 1024);
	if (bytes != NULL) {
		c->text = bytes;
		lens = array_room(c->lens, &c->room, c->count + 1,
		    sizeof(*c->lens), 32);
	}
	c->failed = lens == NULL;
	if (c->failed)
		return;
	c->lens = lens;
	memcpy(c->text + c->len, text, n + 1);
	c->len += n + 1;
	c->lens[c->count++] = n;
	c->words[c->commands - 1]++;
}

void
redis_word_number(struct redis_store *s, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	redis_word(s, text);
}

void
redis_key(struct redis_store *s, const char *name)
{
	char key[REDIS_KEY_MAX];

	snprintf(key, sizeof(key), "%s%s", s->prefix, name);
	redis_word(s, key);
}

void
redis_user_key(struct redis_store *s, const char *user, const char *name)
{
	char key[REDIS_KEY_MAX];

	/*
	 * Two users never have one key, whatever braces are in their names:
	 * what is around the name is fixed.
	 */
	snprintf(key, sizeof(key), "%s{%s}:%s", s->prefix, user, name);
	redis_word(s, key);
}

void
redis_command_begin(struct redis_store *s)
{
	struct redis_commands *c = &s->out;

	if (c->size > OUT_KEEP)
		redis_commands_free(c);
	c->len = c->count = c->commands = 0;
	c->failed = false;
}

void
redis_commands_free(struct redis_commands *c)
{
	if (c->text != NULL)
		explicit_bzero(c->text, c->size);
	free(c->text);
	free(c->lens);
	memset(c, 0, sizeof(*c));
}

void
redis_script(struct redis_store *s, struct redis_script *script, size_t keys)
{
	if (script->hash[0] == '\0')
		SHA1Data((const uint8_t *)script->text, strlen(script->text),
		    script->hash);
	redis_command_begin(s);
	redis_command(s);
	redis_word(s, "EVALSHA");
	redis_word(s, script->hash);
	redis_word_number(s, (int64_t)keys);
}

/* --- what is sent --- */

/* What hiredis has made of the commands. */
struct made {
	char *bytes[REDIS_COMMANDS];
	size_t len[REDIS_COMMANDS], total;
};

static void
made_free(struct made *m)
{
	size_t i;

	for (i = 0; i < REDIS_COMMANDS; i++) {
		if (m->bytes[i] == NULL)
			continue;
		explicit_bzero(m->bytes[i], m->len[i]);
		redis_library.redisFreeCommand(m->bytes[i]);
	}
}

/*
 * Has hiredis write them; the first with the text of `script` in the place of
 * its hash, if it is not NULL. False: no memory.
 */
static bool
commands_make(const struct redis_commands *c, const struct redis_script *script,
    struct made *m)
{
	const char **words = calloc(c->count + 1, sizeof(*words));
	size_t *lens = calloc(c->count + 1, sizeof(*lens)), i, from = 0;
	bool good = words != NULL && lens != NULL;
	const char *at = c->text;
	long long n;

	for (i = 0; good && i < c->count; i++) {
		words[i] = at;
		lens[i] = c->lens[i];
		at += lens[i] + 1;
	}
	if (good && script != NULL) {
		words[0] = "EVAL";
		lens[0] = strlen(words[0]);
		words[1] = script->text;
		lens[1] = strlen(words[1]);
	}
	for (i = 0; good && i < c->commands; i++) {
		n = redis_library.redisFormatCommandArgv(&m->bytes[i],
		    (int)c->words[i], words + from, lens + from);
		good = n > 0;
		if (!good)
			break;
		m->len[i] = (size_t)n;
		m->total += (size_t)n;
		from += c->words[i];
	}
	free(words);
	free(lens);
	return good;
}

/* Sends them at once. False: noted. */
static bool
made_send(struct redis_store *s, const struct made *m)
{
	char *all, *end;
	size_t i;
	bool good;

	if (s->out.commands == 1)
		return redis_send(s, m->bytes[0], m->len[0]);
	all = end = malloc(m->total + 1);
	if (all == NULL) {
		redis_failed(s, "out of memory");
		return false;
	}
	for (i = 0; i < s->out.commands; i++) {
		memcpy(end, m->bytes[i], m->len[i]);
		end += m->len[i];
	}
	good = redis_send(s, all, m->total);
	explicit_bzero(all, m->total);
	free(all);
	return good;
}

bool
redis_commands_send(struct redis_store *s, const struct redis_script *script)
{
	struct made m = { .total = 0 };
	bool good = !s->out.failed && commands_make(&s->out, script, &m);

	if (good)
		good = made_send(s, &m);
	else
		redis_failed(s, "out of memory");
	made_free(&m);
	return good;
}

/* --- errors of the server --- */

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
	struct redis_reader *r = &s->reader;
	const char *text;
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (r->items[i].type != REDIS_ERROR)
			continue;
		text = redis_text(r, i);
		redis_failed(s, "%.160s%s", text,
		    strncmp(text, "MOVED ", 6) == 0 ||
			strncmp(text, "CROSSSLOT ", 10) == 0 ?
		    " (a cluster is not supported)" : "");
		s->store.failure = failure_of(text);
		return true;
	}
	return false;
}
