/*
 * abictl store - the store as a whole: status, purge.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "abictl.h"
#include "store.h"

static const char *const kinds[] = {
	[STORE_LOGIN] = "logins",
	[STORE_ACCOUNT] = "accounts",
	[STORE_OFFENDER] = "offenders",
	[STORE_RATE] = "rates",
	[STORE_POSITION] = "positions",
	[STORE_HIT] = "hits",
};

static int
status_print(const struct abictl *ctl, struct store *s)
{
	struct store_status status;
	cJSON *o;
	int kind;

	if (s->driver->status(s, &status) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (ctl->json) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "driver", s->driver->scheme);
		cJSON_AddStringToObject(o, "where", status.where);
		cJSON_AddNumberToObject(o, "schema", (double)status.schema);
		cJSON_AddNumberToObject(o, "bytes", (double)status.bytes);
		for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
			cJSON_AddNumberToObject(o, kinds[kind],
			    (double)status.rows[kind]);
		return abictl_json(o);
	}
	printf("%-10s %s\n%-10s %s\n%-10s %ld\n", "driver", s->driver->scheme,
	    "where", status.where, "schema", status.schema);
	if (status.bytes >= 0)
		printf("%-10s %lld\n", "bytes", (long long)status.bytes);
	for (kind = STORE_LOGIN; kind <= STORE_HIT; kind++)
		printf("%-10s %ld\n", kinds[kind], status.rows[kind]);
	return EX_OK;
}

static int
purge(const struct abictl *ctl, struct store *s)
{
	struct store_purge p = store_outdated(&ctl->cfg, time(NULL));
	long removed;

	if (s->driver->purge(s, &p, &removed) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (ctl->json)
		printf("{\"removed\":%ld}\n", removed);
	else
		printf("%ld removed\n", removed);
	return EX_OK;
}

int
abictl_store(struct abictl *ctl, int argc, char **argv)
{
	char error[STORE_ERROR_MAX];
	struct store *s;
	int status;

	if (argc != 1 || (strcmp(argv[0], "status") != 0 &&
			     strcmp(argv[0], "purge") != 0))
		return EX_USAGE;
	s = store_open(&ctl->cfg, ctl->cfg.store.url, error, sizeof(error));
	if (s == NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s", error);
	status = strcmp(argv[0], "status") == 0 ? status_print(ctl, s) :
						  purge(ctl, s);
	s->driver->close(s);
	return status;
}
