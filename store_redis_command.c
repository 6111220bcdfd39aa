/*
 * store_redis_command - making commands for Redis, and round trips with them.
 */
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lock.h"
#include "store_redis.h"

#define TRIPS_MAX 20000 /* of one operation; each is for up to 1000 rows */
#define OUT_KEEP 65536 /* bytes of the buffer that an idle filter keeps */

static void
out_bytes(struct redis_store *s, const char *bytes, size_t n)
{
	size_t size = s->out_size > 0 ? s->out_size : 1024;
	char *larger;

	while (size - s->out_len < n && size < SIZE_MAX / 4)
		size *= 2;
	if (size > s->out_size) {
		larger = realloc(s->out, size);
		if (larger == NULL) {
			s->out_failed = true;
			return;
		}
		s->out = larger;
		s->out_size = size;
	}
	memcpy(s->out + s->out_len, bytes, n);
	s->out_len += n;
}

static void
out_head(struct redis_store *s, char type, size_t n)
{
	char head[32];

	snprintf(head, sizeof(head), "%c%zu\r\n", type, n);
	out_bytes(s, head, strlen(head));
}

void
redis_command(struct redis_store *s, size_t words)
{
	out_head(s, '*', words);
}

void
redis_word(struct redis_store *s, const char *text)
{
	size_t n = strlen(text);

	out_head(s, '$', n);
	out_bytes(s, text, n);
	out_bytes(s, "\r\n", 2);
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
	if (s->out_size > OUT_KEEP) {
		free(s->out);
		s->out = NULL;
		s->out_size = 0;
	}
	s->out_len = 0;
	s->out_failed = false;
}

void
redis_script(struct redis_store *s, struct redis_script *script, size_t keys,
    size_t args)
{
	if (script->hash[0] == '\0')
		SHA1Data((const uint8_t *)script->text, strlen(script->text),
		    script->hash);
	redis_command_begin(s);
	redis_command(s, 3 + keys + args);
	redis_word(s, "EVALSHA");
	redis_word(s, script->hash);
	redis_word_number(s, (int64_t)keys);
}

/* --- a round trip --- */

/*
 * Begins a round trip: a connection that the server has closed meanwhile is
 * opened again, as nothing was sent on it yet.
 */
static bool
trip_begin(struct redis_store *s)
{
	bool good;
	char *out = s->out;
	size_t len = s->out_len, size = s->out_size;

	if (s->out_failed) {
		redis_failed(s, "out of memory");
		return false;
	}
	s->deadline = lock_clock_ms() + s->store.wait_ms;
	if (!redis_stale(s))
		return true;
	/* The command that waits is put aside. */
	s->out = NULL;
	s->out_len = s->out_size = 0;
	good = redis_session(s, false);
	free(s->out);
	s->out = out;
	s->out_len = len;
	s->out_size = size;
	return good;
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
		return true;
	}
	return false;
}

/* The same command with the script's text in the place of its hash. */
static bool
script_send_whole(struct redis_store *s, const struct redis_script *script)
{
	char *body = s->out, *rest;
	size_t len = s->out_len, line, i;
	bool good;

	/* *N, $7, EVALSHA, $40 and the hash are a line each. */
	rest = (char *)memchr(body, '\n', len) + 1;
	line = (size_t)(rest - body);
	for (i = 0; i < 4; i++)
		rest = (char *)memchr(rest, '\n',
			   len - (size_t)(rest - body)) + 1;
	s->out = NULL;
	s->out_len = s->out_size = 0;
	out_bytes(s, body, line);
	redis_word(s, "EVAL");
	redis_word(s, script->text);
	if (s->out_failed)
		redis_failed(s, "out of memory");
	good = !s->out_failed && redis_send(s, s->out, s->out_len) &&
	    redis_send(s, rest, len - (size_t)(rest - body));
	free(body);
	return good;
}

/* Is the reply of these types? See redis_call(). */
static bool
reply_fits(const struct redis_reader *r, const char *types)
{
	bool whole;
	size_t i;

	if (types[0] == '\0')
		return !r->array && r->items[0].type == REDIS_INTEGER;
	for (i = 0; types[i] != '\0'; i++) {
		if (types[i] == '*')
			return r->array;
		if (i >= r->count)
			return false;
		whole = r->items[i].type == REDIS_INTEGER;
		if (whole != (types[i] == 'i'))
			return false;
	}
	return r->array && i == r->count;
}

bool
redis_call(struct redis_store *s, struct redis_script *script, size_t limit,
    const char *types)
{
	struct redis_reader *r = &s->reader;

	s->store.error[0] = '\0';
	if (!trip_begin(s) || !redis_send(s, s->out, s->out_len) ||
	    !redis_receive(s, limit))
		return false;
	if (r->count == 1 && r->items[0].type == REDIS_ERROR &&
	    strncmp(redis_text(r, 0), "NOSCRIPT", 8) == 0 &&
	    (!script_send_whole(s, script) || !redis_receive(s, limit)))
		return false;
	if (redis_reply_failed(s))
		return false;
	if (reply_fits(r, types))
		return true;
	redis_failed(s, "reply: not what was asked for");
	redis_disconnect(s);
	return false;
}

int64_t
redis_call_number(struct redis_store *s, struct redis_script *script)
{
	int64_t n;

	if (!redis_call(s, script, REDIS_LITTLE, ""))
		return -1;
	n = redis_number(&s->reader, 0);
	if (n >= 0)
		return n;
	redis_failed(s, "reply: a number below 0");
	redis_disconnect(s);
	return -1;
}

/* --- large commands --- */

#define PORTION 500   /* items in one command of an upload */
#define UPLOAD_KEEP 60 /* seconds, if its script never comes */

/* One portion: RPUSH and EXPIRE in one round trip. */
static bool
portion_send(struct redis_store *s, const struct redis_items *items,
    size_t from, const char *key)
{
	size_t n = items->count - from, i;

	if (n > PORTION)
		n = PORTION;
	redis_command_begin(s);
	redis_command(s, 2 + n * items->words);
	redis_word(s, "RPUSH");
	redis_word(s, key);
	for (i = 0; i < n; i++)
		items->put(s, items->items, from + i);
	redis_command(s, 3);
	redis_word(s, "EXPIRE");
	redis_word(s, key);
	redis_word_number(s, UPLOAD_KEEP);
	if (!trip_begin(s) || !redis_send(s, s->out, s->out_len))
		return false;
	for (i = 0; i < 2; i++)
		if (!redis_receive(s, REDIS_LITTLE) || redis_reply_failed(s))
			return false;
	return true;
}

bool
redis_upload(struct redis_store *s, const struct redis_items *items, char *key,
    size_t size)
{
	uint64_t name[2];
	size_t i;

	snprintf(key, size, "%sbatch:", s->prefix);
	if (items->count <= REDIS_INLINE)
		return true;
	if (getrandom(name, sizeof(name), 0) != (ssize_t)sizeof(name)) {
		redis_failed(s, "no random numbers");
		return false;
	}
	snprintf(key, size, "%sbatch:%016llx%016llx", s->prefix,
	    (unsigned long long)name[0], (unsigned long long)name[1]);
	for (i = 0; i < items->count; i += PORTION)
		if (!portion_send(s, items, i, key)) {
			if (s->fd >= 0)
				redis_disconnect(s);
			return false;
		}
	return true;
}

bool
redis_goes_on(struct redis_store *s, long *trips)
{
	if (++*trips < TRIPS_MAX)
		return true;
	redis_failed(s, "it does not come to an end");
	return false;
}

long
redis_keep(time_t end, time_t now)
{
	const long most = 3650 * REDIS_DAY;

	if (end <= now)
		return REDIS_DAY;
	return end - now > most - REDIS_DAY ? most : end - now + REDIS_DAY;
}
