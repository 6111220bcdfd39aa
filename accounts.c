/*
 * accounts - is this account known to be compromised?
 *
 * The list is in the store. Checks that find an account compromised put it
 * there; this one then stops it from whatever address it comes, until the entry
 * is too old or somebody releases it.
 */
#include "accounts.h"

#include <stdio.h>
#include <string.h>

#include "filter/command.h"
#include "store/store_use.h"
#include "base/log.h"
#include "base/text.h"

#define CLOCKS_APART 3600  /* seconds between two hosts */
#define COMMAND_LATE 10    /* seconds: who found it has died by now, ... */
#define COMMAND_RETRY 3600 /* ... and later than this it is of no use */
#define SAME_NETWORK 64    /* bits of IPv6 that are one client */

/* What was found for the request at hand. */
static struct {
	unsigned long request; /* its number, 0 = none */
	char user[STORE_USER_MAX];
	enum store_result result;
	struct store_account account;
	char error[STORE_ERROR_MAX];
} found;

time_t
accounts_expired(const struct config *cfg, time_t now)
{
	return cfg->accounts.ttl != 0 ? now - cfg->accounts.ttl + 1 : 0;
}

bool
accounts_listed(const struct config *cfg, const struct store_account *a,
    time_t now)
{
	/* since 0: somebody else put it there, nobody knows when. */
	return a->released == 0 &&
	    (a->since == 0 || a->since >= accounts_expired(cfg, now));
}

/*
 * A clock may have been wrong, here or elsewhere: nothing is in the future, and
 * what seems to be far in it was some time ago.
 */
static void
time_sane(time_t *t, time_t now)
{
	if (*t < 0)
		*t = 0;
	if (*t > now)
		*t = *t - now > CLOCKS_APART ? 1 : now;
}

/* The entry of a request's account, looked up once for each request. */
static enum store_result
look_up(const struct config *cfg, const struct request *req)
{
	struct store_use use;

	if (found.request == req->number &&
	    strcmp(found.user, req->user) == 0)
		return found.result;
	found.request = req->number;
	snprintf(found.user, sizeof(found.user), "%s", req->user);
	memset(&found.account, 0, sizeof(found.account));
	request_store(req, cfg, &use);
	found.result = store_use_account(&use, req->user, &found.account);
	snprintf(found.error, sizeof(found.error), "%s", use.why);
	time_sane(&found.account.since, req->now);
	time_sane(&found.account.released, req->now);
	return found.result;
}

time_t
accounts_released(const struct config *cfg, const struct request *req)
{
	return look_up(cfg, req) == STORE_FOUND ? found.account.released : 0;
}

/* Is the request's client the one that gave the account away? */
static bool
same_client(const struct store_account *a, const struct request *req)
{
	struct address before, now = req->client;

	if (!req->client_known || !address_parse(a->address, &before))
		return false;
	if (before.family == AF_INET6) {
		address_mask(&before, SAME_NETWORK);
		address_mask(&now, SAME_NETWORK);
	}
	return address_compare(&before, &now) == 0;
}

/* Starts the command, if nobody else has. */
static void
command_once(const struct config *cfg, const struct request *req,
    const char *check, const char *reason)
{
	char error[STORE_ERROR_MAX];
	struct store_use use;

	request_store(req, cfg, &use);
	if (cfg->accounts.command == NULL ||
	    store_use_account_ran(&use, found.user) != STORE_FOUND)
		return;
	found.account.command_ran = true;
	if (command_start(cfg, req, found.user, check, reason, error,
		sizeof(error)))
		return;
	log_error("command: user=<%s> %s: %s", found.user,
	    cfg->accounts.command, error);
	store_use_account_not_ran(&use, found.user);
}

/* Tells that an account is on the list now. */
static void
tell(const struct request *req, const char *check, const char *reason)
{
	char line[LOG_LINE_MAX];
	struct text t;

	text_init(&t, line, sizeof(line));
	text_addf(&t, "compromised: check=%s client=%.255s[%.64s]", check,
	    req->client_name[0] != '\0' ? req->client_name : "unknown",
	    req->client_address);
	text_add_field(&t, "user", found.user, sizeof(found.user));
	text_addf(&t, " reason=\"%s\"", reason);
	log_info("%s", line);
}

/* Puts the account on the list. */
static enum store_result
put(const struct config *cfg, const struct request *req, const char *check,
    const char *reason, char *error, size_t size)
{
	struct store_account a = { .since = req->now };
	struct store_use use;
	enum store_result result;

	snprintf(a.user, sizeof(a.user), "%s", found.user);
	snprintf(a.check, sizeof(a.check), "%s", check);
	snprintf(a.reason, sizeof(a.reason), "%s", reason);
	if (req->client_known)
		address_text(&req->client, a.address, sizeof(a.address));
	request_store(req, cfg, &use);
	result = store_use_account_add(&use, &a,
	    accounts_expired(cfg, req->now));
	snprintf(error, size, "%s", use.why);
	found.request = 0; /* what is known is no longer true */
	return result;
}

enum accounts_mark
accounts_mark(const struct config *cfg, const struct request *req,
    const char *check, const char *reason, char *note, size_t size)
{
	const struct store_account *a = &found.account;
	const char *wrong = config_error(cfg, "accounts");
	char error[STORE_ERROR_MAX], age[24];
	enum store_result r;

	if (wrong != NULL) { /* for how long, and with which command? */
		snprintf(note, size, "; not added to the list: %s", wrong);
		return ACCOUNTS_ERROR;
	}
	r = look_up(cfg, req);
	*note = '\0';
	if (r == STORE_FOUND && a->released != 0 && same_client(a, req) &&
	    req->now - a->released < cfg->accounts.grace) {
		text_age(age, sizeof(age), (long)(req->now - a->released));
		snprintf(note, size, "; the account was released %s ago, so "
		    "this address does not list it again", age);
		return ACCOUNTS_GRACE;
	}
	if (r == STORE_FOUND && accounts_listed(cfg, a, req->now))
		return ACCOUNTS_KNOWN;
	if (req->passive || cfg->filter.dry_run)
		return ACCOUNTS_LEFT;
	snprintf(error, sizeof(error), "%s", found.error);
	if (r != STORE_ERROR)
		r = put(cfg, req, check, reason, error, sizeof(error));
	if (r == STORE_ERROR) {
		snprintf(note, size, "; not added to the list: %s", error);
		return ACCOUNTS_ERROR;
	}
	if (r == STORE_FOUND)
		return ACCOUNTS_KNOWN;
	tell(req, check, reason);
	command_once(cfg, req, check, reason);
	return ACCOUNTS_NEW;
}

/*
 * Whoever found the account may have died before it started the command. What
 * this request says about its client is not what was found.
 */
static void
command_late(const struct config *cfg, const struct request *req)
{
	struct store_account a = found.account;
	struct request then = *req;
	time_t age = req->now - a.since;

	if (a.command_ran || req->passive || cfg->filter.dry_run ||
	    strcmp(a.check, ACCOUNTS_BY_HAND) == 0 || age < COMMAND_LATE ||
	    age >= COMMAND_RETRY)
		return;
	then.client_address = a.address;
	then.client_name = then.reverse_client_name = "unknown";
	then.client_port = then.helo_name = "";
	command_once(cfg, &then, a.check, a.reason);
}

/* --- the check --- */

static enum outcome
accounts_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	const struct store_account *a = &found.account;
	char since[32];

	switch (look_up(cfg, req)) {
	case STORE_ERROR:
		snprintf(v->reason, sizeof(v->reason), "lookup failed: %.200s",
		    found.error);
		return OUTCOME_ERROR;
	case STORE_ABSENT:
		snprintf(v->reason, sizeof(v->reason), "not on the list");
		return OUTCOME_NONE;
	case STORE_FOUND:
		break;
	}
	if (!accounts_listed(cfg, a, req->now)) {
		snprintf(v->reason, sizeof(v->reason), a->released != 0 ?
			"released" : "no longer on the list");
		return OUTCOME_NONE;
	}
	text_time(since, sizeof(since), a->since);
	snprintf(v->reason, sizeof(v->reason),
	    "compromised since %s, found by %s%s%.160s", since, a->check,
	    a->reason[0] != '\0' ? ": " : "", a->reason);
	command_late(cfg, req);
	v->action = cfg->accounts.action;
	return OUTCOME_ACT;
}

const struct check accounts_check = {
	.name = "accounts",
	.help = "is this account known to be compromised?",
	.needs = "store",
	.audience = AUDIENCE_AUTHENTICATED,
	.run = accounts_run,
};
