/*
 * store_redis_session - a session with the server: its first words, round
 * trips, scripts and transactions.
 */
#include <sha1.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/redis/redis.h"

#define TRIPS_MAX 50000 /* of one operation; each is for up to 1000 rows */
#define OUT_KEEP 65536  /* bytes of the buffer that an idle filter keeps */
#define PORTION 1000    /* commands of a transaction in one round trip */

/* --- what is asked --- */

void
redis_commands_free(struct redis_commands *c)
{
	if (c->bytes != NULL)
		explicit_bzero(c->bytes, c->size);
	free(c->bytes);
	memset(c, 0, sizeof(*c));
}

/* Sends what was asked of a transaction, and sees it queued. */
static void
queue_send(struct redis_store *s)
{
	bool good = redis_trip(s);

	s->queueing = s->together = good;
	while (good && s->awaited > 0)
		good = redis_next(s, REDIS_LITTLE, "s");
	s->lost = !good;
}

void
redis_ask(struct redis_store *s, const char *fmt, ...)
{
	struct redis_commands *c = &s->out;
	char *made = NULL, *bytes = NULL;
	va_list ap;
	int n;

	if (s->queueing && !c->sent && c->count >= PORTION)
		queue_send(s);
	if (s->lost)
		return; /* redis_exec() tells */
	if (c->sent && c->size > OUT_KEEP)
		redis_commands_free(c);
	if (c->sent) {
		c->len = c->count = 0;
		c->failed = c->sent = false;
	}
	va_start(ap, fmt);
	n = redis_library.redisvFormatCommand(&made, fmt, ap);
	va_end(ap);
	if (n > 0 && !c->failed)
		bytes = array_room(c->bytes, &c->size, c->len + (size_t)n, 1,
		    1024);
	c->failed = bytes == NULL;
	if (bytes != NULL) {
		memcpy(bytes + c->len, made, (size_t)n);
		c->bytes = bytes;
		c->len += (size_t)n;
		c->count++;
		s->queued += s->queueing;
	}
	if (n > 0) {
		explicit_bzero(made, (size_t)n);
		redis_library.redisFreeCommand(made);
	}
}

/* --- a session --- */

/* Says hello, with what was asked after it. */
static bool
greeting_send(struct redis_store *s)
{
	const struct store_url *u = &s->store.url;

	if (u->password[0] != '\0' && u->user[0] != '\0')
		redis_ask(s, "AUTH %s %s", u->user, u->password);
	else if (u->password[0] != '\0')
		redis_ask(s, "AUTH %s", u->password);
	if (s->number > 0)
		redis_ask(s, "SELECT %ld", s->number);
	redis_ask(s, "GET %sschema", s->prefix);
	if (s->out.failed)
		redis_failed(s, "out of memory");
	s->awaited = s->out.count;
	return !s->out.failed && redis_send(s, s->out.bytes, s->out.len);
}

bool
redis_session(struct redis_store *s, bool create)
{
	bool good;
	int64_t schema;

	redis_commands_free(&s->out);
	if (!redis_connect(s))
		return false;
	good = greeting_send(s);
	redis_commands_free(&s->out); /* the password is in it */
	while (good && s->awaited > 1)
		good = redis_next(s, REDIS_LITTLE, "s");
	good = good && redis_next(s, REDIS_LITTLE, "t");
	if (good && create && s->reply->type == REDIS_REPLY_NIL) {
		redis_ask(s, "SET %sschema %d", s->prefix, STORE_SCHEMA);
		s->awaited = 1;
		s->out.sent = true;
		good = redis_send(s, s->out.bytes, s->out.len) &&
		    redis_next(s, REDIS_LITTLE, "s");
		schema = STORE_SCHEMA;
	} else if (good)
		schema = s->reply->type == REDIS_REPLY_NIL ? STORE_SCHEMA :
		    redis_number(s->reply, 0);
	if (good && schema == STORE_SCHEMA)
		return true;
	if (good)
		redis_failed(s, "schema %lld is of a later version of "
		    "abichecker, or not ours", (long long)schema);
	redis_disconnect(s);
	/* What keeps us out keeps everybody out. */
	if (s->store.failure != STORE_BUSY)
		s->store.failure = STORE_BROKEN;
	return false;
}

/* --- round trips --- */

/*
 * Opens a connection again that the server has closed meanwhile, if nothing
 * was said on it that matters now. What is to be sent is put aside.
 */
static bool
connection_mend(struct redis_store *s)
{
	struct redis_commands out = s->out;
	bool good;

	if (s->together) {
		redis_disconnect(s);
		return redis_failed(s, "the server has closed the connection");
	}
	memset(&s->out, 0, sizeof(s->out));
	good = redis_session(s, false);
	redis_commands_free(&s->out);
	s->out = out;
	return good;
}

bool
redis_trip(struct redis_store *s)
{
	store_begin(&s->store);
	s->out.sent = true;
	if (s->out.failed) {
		redis_failed(s, "out of memory");
		if (s->together || s->queueing)
			redis_disconnect(s);
		return false;
	}
	if (redis_stale(s) && !connection_mend(s))
		return false;
	s->awaited = s->out.count;
	return redis_send(s, s->out.bytes, s->out.len);
}

/* Is the reply that has come an error, or not of these types? */
static bool
reply_good(struct redis_store *s, const char *types)
{
	if (redis_reply_failed(s)) {
		if (s->awaited > 0 || s->together)
			redis_disconnect(s);
		return false;
	}
	if (redis_reply_fits(s->reply, types))
		return true;
	redis_failed(s, "reply: not what was asked for");
	redis_disconnect(s);
	return false;
}

bool
redis_next(struct redis_store *s, size_t limit, const char *types)
{
	s->awaited--;
	return redis_receive(s, limit) && reply_good(s, types);
}

/* --- scripts --- */

const char *
redis_hash(struct redis_script *script)
{
	if (script->hash[0] == '\0')
		SHA1Data((const uint8_t *)script->text, strlen(script->text),
		    script->hash);
	return script->hash;
}

bool
redis_script_load(struct redis_store *s, const struct redis_script *script)
{
	redis_ask(s, "SCRIPT LOAD %s", script->text);
	return redis_call(s, NULL, "t");
}

bool
redis_call(struct redis_store *s, const struct redis_script *script,
    const char *types)
{
	struct redis_commands out;
	bool good;

	if (!redis_trip(s) || !redis_receive(s, REDIS_LITTLE))
		return false;
	s->awaited = 0;
	if (script != NULL && s->reply->type == REDIS_REPLY_ERROR &&
	    strncmp(redis_text(s->reply, 0), "NOSCRIPT", 8) == 0) {
		out = s->out;
		memset(&s->out, 0, sizeof(s->out));
		good = redis_script_load(s, script);
		redis_commands_free(&s->out);
		s->out = out;
		if (!good || !redis_trip(s) || !redis_receive(s, REDIS_LITTLE))
			return false;
		s->awaited = 0;
	}
	return reply_good(s, types);
}

enum store_result
redis_change(struct redis_store *s, const struct redis_script *script)
{
	int64_t n;

	if (!redis_call(s, script, "i"))
		return STORE_ERROR;
	n = redis_number(s->reply, 0);
	if (n >= 0)
		return n > 0 ? STORE_FOUND : STORE_ABSENT;
	redis_failed(s, "reply: a number below 0");
	redis_disconnect(s);
	return STORE_ERROR;
}

/* --- transactions --- */

bool
redis_watch(struct redis_store *s)
{
	if (!redis_trip(s))
		return false;
	s->together = true;
	return redis_next(s, REDIS_LITTLE, "s");
}

bool
redis_unwatch(struct redis_store *s)
{
	redis_ask(s, "UNWATCH");
	if (!redis_call(s, NULL, "s"))
		return false;
	s->together = false;
	return true;
}

void
redis_multi(struct redis_store *s)
{
	s->queueing = true;
	s->queued = 0;
	redis_ask(s, "MULTI");
}

int
redis_exec(struct redis_store *s)
{
	bool good;

	redis_ask(s, "EXEC");
	s->queueing = false;
	if (s->lost) { /* a part of it was not sent, or was refused */
		s->lost = false;
		return -1;
	}
	if (!redis_trip(s))
		return -1;
	while (s->awaited > 1)
		if (!redis_next(s, REDIS_LITTLE, "s"))
			return -1;
	s->together = false;
	s->awaited = 0;
	s->ending = true;
	good = redis_receive(s, REDIS_LITTLE + s->queued * REDIS_ITEM);
	s->ending = false;
	if (!good)
		return -1;
	if (s->reply->type == REDIS_REPLY_NIL)
		return 0;
	return reply_good(s, "[*") ? 1 : -1;
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
