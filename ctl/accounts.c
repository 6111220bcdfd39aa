/*
 * abictl accounts - the list of compromised accounts.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/abictl.h"
#include "accounts.h"
#include "store/store.h"
#include "base/text.h"

#define EXIT_UNKNOWN 1 /* no such account */

struct listing {
	const struct abictl *ctl;
	cJSON *json; /* NULL: a table */
	time_t now;
	long count;
};

/* The store's texts may be anybody's: for terminals, and for JSON. */
static struct store_account
account_printable(const struct store_account *a)
{
	struct store_account p = *a;

	text_printable(p.user, sizeof(p.user), a->user);
	text_printable(p.check, sizeof(p.check), a->check);
	text_printable(p.address, sizeof(p.address), a->address);
	text_printable(p.reason, sizeof(p.reason), a->reason);
	return p;
}

static cJSON *
account_json(const struct abictl *ctl, const struct store_account *a,
    time_t now)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "user", a->user);
	cJSON_AddBoolToObject(o, "listed", accounts_listed(&ctl->cfg, a, now));
	cJSON_AddNumberToObject(o, "since", (double)a->since);
	cJSON_AddNumberToObject(o, "released", (double)a->released);
	cJSON_AddStringToObject(o, "check", a->check);
	cJSON_AddStringToObject(o, "address", a->address);
	cJSON_AddStringToObject(o, "reason", a->reason);
	cJSON_AddBoolToObject(o, "command_ran", a->command_ran);
	return o;
}

static bool
list_row(void *arg, const struct store_row *row)
{
	const struct store_account p = account_printable(&row->u.account);
	const struct store_account *a = &p;
	struct listing *l = arg;
	char since[32];

	if (!accounts_listed(&l->ctl->cfg, a, l->now))
		return true;
	if (l->json != NULL) {
		cJSON_AddItemToArray(l->json, account_json(l->ctl, a, l->now));
		return true;
	}
	if (l->count++ == 0)
		printf("%-30s %-20s %-8s %-15s %-7s %s\n", "USER", "SINCE",
		    "BY", "ADDRESS", "COMMAND", "REASON");
	text_time(since, sizeof(since), a->since);
	printf("%-30s %-20s %-8s %-15s %-7s %s\n", a->user, since, a->check,
	    a->address[0] != '\0' ? a->address : "-",
	    a->command_ran ? "started" : "-", a->reason);
	return true;
}

static int
list(struct abictl *ctl, struct store *s)
{
	struct listing l = { .ctl = ctl, .now = time(NULL) };

	if (ctl->json)
		l.json = cJSON_CreateArray();
	if (s->driver->iterate(s, STORE_ACCOUNT, "", list_row, &l) ==
	    STORE_ERROR) {
		cJSON_Delete(l.json);
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
	if (ctl->json)
		return abictl_json(l.json);
	if (l.count == 0)
		puts("no accounts are listed");
	return EX_OK;
}

static int
unknown(const char *user)
{
	return abictl_fail(EXIT_UNKNOWN, "%s: not on the list", user);
}

static int
show(struct abictl *ctl, struct store *s, const char *user)
{
	struct store_account a;
	enum store_result r = s->driver->account_find(s, user, &a);
	time_t now = time(NULL);
	char when[32];

	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (r == STORE_ABSENT)
		return unknown(user);
	a = account_printable(&a);
	if (ctl->json)
		return abictl_json(account_json(ctl, &a, now));
	printf("%-12s %s\n", "user", a.user);
	printf("%-12s %s\n", "listed", accounts_listed(&ctl->cfg, &a, now) ?
		"yes" : a.released != 0 ? "no, released" :
					  "no, expired (accounts.ttl)");
	text_time(when, sizeof(when), a.since);
	printf("%-12s %s\n", "since", when);
	if (a.released != 0) {
		text_time(when, sizeof(when), a.released);
		printf("%-12s %s\n", "released", when);
	}
	printf("%-12s %s\n", "found by", a.check);
	printf("%-12s %s\n", "address", a.address[0] != '\0' ? a.address : "-");
	printf("%-12s %s\n", "reason", a.reason);
	printf("%-12s %s\n", "command",
	    a.command_ran ? "started" : "not started");
	return EX_OK;
}

static int
add(struct abictl *ctl, struct store *s, const char *user, const char *note)
{
	struct store_account a = { .since = time(NULL),
		.check = ACCOUNTS_BY_HAND };

	snprintf(a.user, sizeof(a.user), "%s", user);
	text_printable(a.reason, sizeof(a.reason), note);
	switch (s->driver->account_add(s, &a,
		accounts_expired(&ctl->cfg, a.since))) {
	case STORE_ABSENT:
		abictl_say(ctl, "added %s", user);
		break;
	case STORE_FOUND:
		abictl_fail(0, "%s: already on the list", user);
		break;
	default:
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
	abictl_warn_idle(&ctl->cfg, "accounts", ctl->cfg.accounts.action);
	return EX_OK;
}

static int
release(struct abictl *ctl, struct store *s, const char *user)
{
	switch (s->driver->account_release(s, user, time(NULL))) {
	case STORE_FOUND:
		abictl_say(ctl, "released %s", user);
		return EX_OK;
	case STORE_ABSENT:
		return unknown(user);
	default:
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
}

int
abictl_accounts(struct abictl *ctl, int argc, char **argv)
{
	const char *verb = argc > 0 ? argv[0] : "list";
	char error[STORE_ERROR_MAX], user[STORE_USER_MAX] = "";
	struct store *s;
	int status = EX_USAGE;

	if (argc > 1)
		store_user(argv[1], user, sizeof(user));
	s = store_open(&ctl->cfg, ctl->cfg.store.url, error, sizeof(error));
	if (s == NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s", error);
	if (strcmp(verb, "list") == 0 && argc <= 1)
		status = list(ctl, s);
	else if (user[0] == '\0')
		;
	else if (strcmp(verb, "show") == 0 && argc == 2)
		status = show(ctl, s, user);
	else if (strcmp(verb, "add") == 0 && argc <= 3)
		status = add(ctl, s, user, argc == 3 ? argv[2] : "");
	else if (strcmp(verb, "release") == 0 && argc == 2)
		status = release(ctl, s, user);
	store_free(s);
	return status;
}
