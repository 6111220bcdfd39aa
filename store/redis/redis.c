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
#include <string.h>

#include "store/redis/redis.h"
#include "base/text.h"

#define PREFIX "abichecker:"

extern const struct store_driver store_redis;

static void
redis_close(struct store *store)
{
	struct redis_store *s = (struct redis_store *)store;

	redis_disconnect(s);
	redis_reply_begin(s, 0);
	redis_commands_free(&s->out);
}

static bool
redis_open(struct store *store, const struct config *cfg, const char *url,
    bool create)
{
	struct redis_store *s = (struct redis_store *)store;
	const char *prefix = cfg->store.prefix;
	const char *number = store_url_parameter(&store->url, "db");
	char error[STORE_ERROR_MAX];

	(void)url; /* was read */
	s->fd = -1;
	s->window = cfg->geocount.window;
	s->many = REDIS_MANY;
	if (prefix != NULL && strlen(prefix) >= sizeof(s->prefix))
		return redis_failed(s, "store.prefix is too long");
	snprintf(s->prefix, sizeof(s->prefix), "%s",
	    prefix != NULL ? prefix : PREFIX);
	if (number == NULL)
		number = store->url.name;
	if (number[0] != '\0' && !text_number(number, 0, 65535, &s->number))
		return redis_failed(s,
		    "store.url: the name of a database is not a number");
	return redis_load(error, sizeof(error)) ? redis_session(s, create) :
						  redis_failed(s, "%s", error);
}

static const char *const parameters[] = { "socket", "ca_file", "cert_file",
	"key_file", "db", NULL };

#define OPERATION(name) .name = redis_##name,

const struct store_driver store_redis = {
	.scheme = "redis",
	.server = true,
	.size = sizeof(struct redis_store),
	.parameters = parameters,
	.open = redis_open,
	.close = redis_close,
	STORE_OPERATIONS(OPERATION)
};
