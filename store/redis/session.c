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

/* --- what is asked --- */

void
redis_commands_free(struct redis_commands *c)
{
	if (c->bytes != NULL)
		explicit_bzero(c->bytes, c->size);
	free(c->bytes);
	memset(c, 0, sizeof(*c));
}

void
redis_ask(struct redis_store *s, const char *fmt, ...)
{
	struct redis_commands *c = &s->out;
	char *made = NULL, *bytes = NULL;
	va_list ap;
	int n;

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
	}
	if (n > 0) {
		explicit_bzero(made, (size_t)n);
		redis_library.redisFreeCommand(made);
	}
}

/* Sends them, and awaits as many replies. False: noted, and disconnected. */
static bool
commands_send(struct redis_store *s)
{
	s->out.sent = true;
	s->awaited = s->out.count;
	if (!s->out.failed)
		return redis_send(s, s->out.bytes, s->out.len);
	redis_disconnect(s);
	return redis_failed(s, "out of memory");
}

/* --- a session --- */

/* Says who we are, and looks at the schema. */
static bool
greet(struct redis_store *s, bool create)
{
	const struct store_url *u = &s->store.url;
	int64_t schema = STORE_SCHEMA; /* where there is none */

	if (u->password[0] != '\0' && u->user[0] != '\0')
		redis_ask(s, "AUTH %s %s", u->user, u->password);
	else if (u->password[0] != '\0')
		redis_ask(s, "AUTH %s", u->password);
	if (s->number > 0)
		redis_ask(s, "SELECT %ld", s->number);
	redis_ask(s, "GET %sschema", s->prefix);
	if (!commands_send(s))
		return false;
	while (s->awaited > 1)
		if (!redis_next(s, REDIS_LITTLE, "s"))
			return false;
	if (!redis_next(s, REDIS_LITTLE, "t"))
		return false;
	if (s->reply->type != REDIS_REPLY_NIL)
		schema = redis_number(s->reply, 0);
	else if (create) {
		redis_ask(s, "SET %sschema %d", s->prefix, STORE_SCHEMA);
		if (!commands_send(s) || !redis_next(s, REDIS_LITTLE, "s"))
			return false;
	}
	return schema == STORE_SCHEMA || redis_failed(s, "schema %lld is of a "
	    "later version of abichecker, or not ours", (long long)schema);
}

bool
redis_session(struct redis_store *s, bool create)
{
	struct redis_commands later = s->out;
	bool good;

	memset(&s->out, 0, sizeof(s->out));
	good = redis_connect(s) && greet(s, create);
	redis_commands_free(&s->out); /* the password is in it */
	s->out = later;
	if (good)
		return true;
	redis_disconnect(s);
	/* What keeps us out keeps everybody out. */
	if (s->store.failure != STORE_BUSY)
		s->store.failure = STORE_BROKEN;
	return false;
}

/* --- round trips --- */

bool
redis_trip(struct redis_store *s)
{
	store_begin(&s->store);
	s->out.sent = true; /* also when it cannot be */
	/* A connection that is gone, if nothing was said on it that matters */
	if (redis_stale(s)) {
		if (s->together) {
			redis_disconnect(s);
			return redis_failed(s,
			    "the server has closed the connection");
		}
		if (!redis_session(s, false))
			return false;
	}
	return commands_send(s);
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

/* Has the server know a script, before what is to be sent. */
static bool
script_load(struct redis_store *s, const struct redis_script *script)
{
	struct redis_commands later = s->out;
	bool good;

	memset(&s->out, 0, sizeof(s->out));
	redis_ask(s, "SCRIPT LOAD %s", script->text);
	good = redis_call(s, NULL, "t");
	redis_commands_free(&s->out);
	s->out = later;
	return good;
}

bool
redis_call(struct redis_store *s, const struct redis_script *script,
    const char *types)
{
	const size_t limit = script != NULL && script->much ? REDIS_MUCH :
							      REDIS_LITTLE;

	if (!redis_trip(s) || !redis_receive(s, limit))
		return false;
	if (script != NULL && s->reply->type == REDIS_REPLY_ERROR &&
	    strncmp(redis_text(s->reply, 0), "NOSCRIPT", 8) == 0 &&
	    (!script_load(s, script) || !redis_trip(s) ||
		!redis_receive(s, limit)))
		return false;
	s->awaited = 0;
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

bool
redis_repeat(struct redis_store *s, const struct redis_script *script,
    long *changed)
{
	long trips = 0;

	do {
		if (!redis_call(s, script, "[ii"))
			return false;
		*changed += redis_number(s->reply, 0);
		if (redis_number(s->reply, 1) == 0)
			return true;
	} while (redis_goes_on(s, &trips));
	return false;
}

int
redis_exec(struct redis_store *s)
{
	bool good;

	redis_ask(s, "EXEC");
	if (!redis_trip(s))
		return -1;
	while (s->awaited > 1)
		if (!redis_next(s, REDIS_LITTLE, "s"))
			return -1;
	s->together = false;
	s->awaited = 0;
	s->ending = true;
	good = redis_receive(s, REDIS_LITTLE + s->out.count * REDIS_ITEM);
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
