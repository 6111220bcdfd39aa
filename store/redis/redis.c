/*
 * store_redis - one memory for several hosts on a Redis or Valkey server.
 *
 * redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS, and
 * ?socket=PATH for a unix socket. What mail waits for is one script (*.lua), so
 * it happens as a whole or not at all, in one round trip; what changes the rest
 * is a transaction. Both reach keys that they find in other keys: a cluster is
 * not supported, a server with replicas is. What ends has an expiry, by the
 * filter's time and not by the server's.
 *
 * All keys begin with store.prefix, but for the set of the Abusix daemon:
 *
 *	schema               version of all this
 *	{USER}:logins        hash, block: "LAST COUNT COUNTRY"
 *	{USER}:times, {USER}:countries	what helps with many of them
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
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/redis/redis.h"
#include "base/text.h"

#define PREFIX "abichecker:"

extern const struct store_driver store_redis;

static void
redis_close(struct store *store)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_disconnect(s);
	redis_reply_drop(s);
	redis_reply_begin(s, 0);
	redis_commands_free(&s->out);
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
    bool create, enum store_failure *failure, char *error, size_t size)
{
	struct redis_store *s = calloc(1, sizeof(*s));
	const char *wrong, *prefix = cfg->store.prefix;

	*failure = STORE_BROKEN;
	if (s == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	s->store.driver = &store_redis;
	s->store.wait_ms = wait_ms;
	s->fd = -1;
	s->window = cfg->geocount.window;
	s->many = REDIS_MANY;
	s->deadline = clock_ms() + wait_ms;
	snprintf(s->prefix, sizeof(s->prefix), "%s",
	    prefix != NULL ? prefix : PREFIX);
	wrong = url_read(s, url);
	if (prefix != NULL && strlen(prefix) >= sizeof(s->prefix))
		wrong = "store.prefix is too long";
	store_url_text(url, s->where, sizeof(s->where));
	if (wrong != NULL)
		snprintf(error, size, "store.url: %s", wrong);
	else if (redis_load(error, size) &&
	    store_url_password(&s->url, cfg, error, size)) {
		if (redis_session(s, create))
			return &s->store;
		snprintf(error, size, "%s", s->store.error);
	}
	*failure = s->store.failure;
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
