/*
 * store_redis_session - a session with the server: its first words, and round
 * trips in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "store/redis/redis.h"

#define TRIPS_MAX 20000 /* of one operation; each is for up to 1000 rows */

/* Tells the schema; writes ours, if there is none and ARGV[2] is 1. */
static const char schema_lua[] =
    "local v = redis.call('GET', KEYS[1]) "
    "if not v then v = ARGV[1] "
    "if ARGV[2] == '1' then redis.call('SET', KEYS[1], v) end end "
    "return v";

bool
redis_session(struct redis_store *s, bool create)
{
	bool user = s->url.user[0] != '\0', password =
	    s->url.password[0] != '\0';
	int replies = 1 + password + (s->number > 0), i;
	int64_t schema;
	bool sent;

	if (!redis_connect(s))
		return false;
	redis_command_begin(s);
	if (password) {
		redis_command(s);
		redis_word(s, "AUTH");
		if (user)
			redis_word(s, s->url.user);
		redis_word(s, s->url.password);
	}
	if (s->number > 0) {
		redis_command(s);
		redis_word(s, "SELECT");
		redis_word_number(s, s->number);
	}
	redis_command(s);
	redis_word(s, "EVAL");
	redis_word(s, schema_lua);
	redis_word(s, "1");
	redis_key(s, "schema");
	redis_word_number(s, STORE_SCHEMA);
	redis_word(s, create ? "1" : "0");
	sent = redis_commands_send(s, NULL);
	redis_commands_free(&s->out); /* the password is in it */
	if (!sent)
		return false;
	for (i = 0; i < replies; i++)
		if (!redis_receive(s, REDIS_LITTLE) || redis_reply_failed(s)) {
			redis_disconnect(s);
			/* What keeps us out keeps everybody out. */
			if (s->store.failure != STORE_BUSY)
				s->store.failure = STORE_BROKEN;
			return false;
		}
	schema = redis_number(&s->reader, 0);
	if (schema == STORE_SCHEMA)
		return true;
	redis_failed(s, "schema %lld is of a later version of abichecker, or "
	    "not ours", (long long)schema);
	redis_disconnect(s);
	return false;
}

/*
 * Begins a round trip: a connection that the server has closed meanwhile is
 * opened again, as nothing was sent on it yet.
 */
static bool
trip_begin(struct redis_store *s)
{
	struct redis_commands out = s->out;
	bool good;

	s->deadline = clock_ms() + s->store.wait_ms;
	if (!redis_stale(s))
		return true;
	/* The command that waits is put aside. */
	memset(&s->out, 0, sizeof(s->out));
	good = redis_session(s, false);
	redis_commands_free(&s->out);
	s->out = out;
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
	s->store.failure = STORE_BROKEN;
	if (!trip_begin(s) || !redis_commands_send(s, NULL) ||
	    !redis_receive(s, limit))
		return false;
	if (r->count == 1 && r->items[0].type == REDIS_ERROR &&
	    strncmp(redis_text(r, 0), "NOSCRIPT", 8) == 0 &&
	    (!redis_commands_send(s, script) || !redis_receive(s, limit)))
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
	redis_command(s);
	redis_word(s, "RPUSH");
	redis_word(s, key);
	for (i = 0; i < n; i++)
		items->put(s, items->items, from + i);
	redis_command(s);
	redis_word(s, "EXPIRE");
	redis_word(s, key);
	redis_word_number(s, UPLOAD_KEEP);
	if (!trip_begin(s) || !redis_commands_send(s, NULL))
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
