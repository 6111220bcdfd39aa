/*
 * store_redis - one memory for several hosts on a Redis or Valkey server.
 *
 * redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS, and
 * ?socket=PATH for a unix socket. Each operation is one script, so it happens
 * as a whole or not at all, in one round trip. The scripts reach keys that
 * they find in other keys: a cluster is not supported, a server with replicas
 * is. What ends has an expiry, by the filter's time and not by the server's.
 *
 * All keys begin with store.prefix, but for the set of the Abusix daemon:
 *
 *	schema               version of all this
 *	{USER}:logins        hash, block: "LAST COUNT COUNTRY"
 *	users                sorted by name: who has logins
 *	rate:KEY             "TAKEN UNTIL"
 *	rates                KEYs by their ends
 *	{USER}:account       hash: what we know of an account
 *	accounts             their users by release, 0 = not by us
 *	compromised_accts    set: these accounts are on the list
 *	offenders            hash, block: see redis_offender_pack()
 *	listed, past         their blocks by expiry, by last offence
 *	hits:{BLOCK}         "LENGTH:RULE:KEY" by time
 *	hits                 blocks by their oldest hit
 *	positions            hash, source: position
 *	generation           of the list of offenders
 *	purge                where a purge of logins stopped
 *	batch:NAME           of a large command, on its way
 */
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lock.h"
#include "store_redis.h"
#include "text.h"

#define PREFIX "abichecker:"
#define TRIPS_MAX 100000 /* of one operation; each is for up to 1000 rows */
#define OUT_KEEP 65536 /* bytes of the buffer that an idle filter keeps */

extern const struct store_driver store_redis;

/* --- commands --- */

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

	out_bytes(s, head,
	    (size_t)snprintf(head, sizeof(head), "%c%zu\r\n", type, n));
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

static void
out_reset(struct redis_store *s)
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
	out_reset(s);
	redis_command(s, 3 + keys + args);
	redis_word(s, "EVALSHA");
	redis_word(s, script->hash);
	redis_word_number(s, (int64_t)keys);
}

/* --- a round trip --- */

static bool session_begin(struct redis_store *s, bool create);

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
	good = session_begin(s, false);
	free(s->out);
	s->out = out;
	s->out_len = len;
	s->out_size = size;
	return good;
}

/* Is the reply an error of the server? Then it is noted. */
static bool
reply_failed(struct redis_store *s)
{
	struct redis_reader *r = &s->reader;
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->items[i].type == REDIS_ERROR) {
			redis_failed(s, "%.180s", redis_text(r, i));
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

bool
redis_call(struct redis_store *s, struct redis_script *script, size_t limit,
    size_t items)
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
	if (reply_failed(s))
		return false;
	if (r->array == (items > 0) && r->count >= items)
		return true;
	redis_failed(s, "reply: not what was asked for");
	redis_disconnect(s);
	return false;
}

int64_t
redis_call_number(struct redis_store *s, struct redis_script *script)
{
	int64_t n;

	if (!redis_call(s, script, REDIS_LITTLE, 0))
		return -1;
	n = redis_number(&s->reader, 0);
	if (s->reader.items[0].type == REDIS_INTEGER && n >= 0)
		return n;
	redis_failed(s, "reply: not a number");
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
	out_reset(s);
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
		if (!redis_receive(s, REDIS_LITTLE) || reply_failed(s))
			return false;
	return true;
}

bool
redis_upload(struct redis_store *s, const struct redis_items *items, char *key,
    size_t size)
{
	uint64_t name[2];
	size_t i;

	key[0] = '\0';
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

/* --- opening and closing --- */

/* Tells the schema; writes ours, if there is none and ARGV[2] is 1. */
static const char schema_lua[] =
    "local v = redis.call('GET', KEYS[1]) "
    "if not v then v = ARGV[1] "
    "if ARGV[2] == '1' then redis.call('SET', KEYS[1], v) end end "
    "return v";

/* Connects, says who we are, and looks at the schema: one round trip. */
static bool
session_begin(struct redis_store *s, bool create)
{
	bool user = s->url.user[0] != '\0', password =
	    s->url.password[0] != '\0';
	int replies = 1 + password + (s->number > 0), i;
	int64_t schema;

	if (!redis_connect(s))
		return false;
	out_reset(s);
	if (password) {
		redis_command(s, user ? 3 : 2);
		redis_word(s, "AUTH");
		if (user)
			redis_word(s, s->url.user);
		redis_word(s, s->url.password);
	}
	if (s->number > 0) {
		redis_command(s, 2);
		redis_word(s, "SELECT");
		redis_word_number(s, s->number);
	}
	redis_command(s, 6);
	redis_word(s, "EVAL");
	redis_word(s, schema_lua);
	redis_word(s, "1");
	redis_key(s, "schema");
	redis_word_number(s, STORE_SCHEMA);
	redis_word(s, create ? "1" : "0");
	if (s->out_failed) {
		redis_failed(s, "out of memory");
		return false;
	}
	if (!redis_send(s, s->out, s->out_len))
		return false;
	for (i = 0; i < replies; i++)
		if (!redis_receive(s, REDIS_LITTLE) || reply_failed(s)) {
			redis_disconnect(s);
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

static void
redis_close(struct store *store)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_disconnect(s);
	redis_reader_free(&s->reader);
	if (s->out != NULL)
		explicit_bzero(s->out, s->out_size);
	free(s->out);
	explicit_bzero(&s->url, sizeof(s->url));
	free(s);
}

/* The URL in parts. NULL, or what is wrong. */
static const char *
url_read(struct redis_store *s, const char *url)
{
	static const char *const known[] = { "socket", "ca_file", "cert_file",
		"key_file", "db" };
	const char *wrong = store_url_parse(url, &s->url), *number;
	size_t k;
	int i;

	if (wrong != NULL)
		return wrong;
	for (i = 0; i < s->url.parameter_count; i++) {
		for (k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(s->url.parameters[i].name, known[k]) == 0)
				break;
		if (k == sizeof(known) / sizeof(known[0]))
			return "a parameter in the URL is not one of Redis's";
	}
	number = store_url_parameter(&s->url, "db");
	if (number == NULL)
		number = s->url.name;
	if (number[0] != '\0' && !text_number(number, 0, 65535, &s->number))
		return "the database in the URL is not a number";
	return NULL;
}

static struct store *
redis_open(const struct config *cfg, const char *url, long wait_ms,
    bool create, char *error, size_t size)
{
	struct redis_store *s = calloc(1, sizeof(*s));
	const char *wrong, *prefix = cfg->store.prefix;

	if (s == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->store.driver = &store_redis;
	s->store.wait_ms = wait_ms;
	s->fd = -1;
	s->window = cfg->geocount.window;
	s->deadline = lock_clock_ms() + wait_ms;
	snprintf(s->prefix, sizeof(s->prefix), "%s",
	    prefix != NULL ? prefix : PREFIX);
	wrong = url_read(s, url);
	if (prefix != NULL && strlen(prefix) >= sizeof(s->prefix))
		wrong = "store.prefix is too long";
	store_url_text(url, s->where, sizeof(s->where));
	if (wrong != NULL)
		snprintf(error, size, "store.url: %s", wrong);
	else if (store_url_password(&s->url, cfg, error, size)) {
		if (session_begin(s, create))
			return &s->store;
		snprintf(error, size, "%s", s->store.error);
	}
	redis_close(&s->store);
	return NULL;
}

const struct store_driver store_redis = {
	.scheme = "redis",
	.server = true,
	.open = redis_open,
	.close = redis_close,
	.login = redis_login,
	.forget = redis_forget,
	.rate_take = redis_rate_take,
	.account_add = redis_account_add,
	.account_find = redis_account_find,
	.account_release = redis_account_release,
	.account_ran = redis_account_ran,
	.offenders_apply = redis_offenders_apply,
	.position = redis_position,
	.generation = redis_generation,
	.offender_add = redis_offender_add,
	.offender_remove = redis_offender_remove,
	.offenders_expire = redis_offenders_expire,
	.purge = redis_purge,
	.iterate = redis_iterate,
	.restore = redis_restore,
	.status = redis_status,
};
