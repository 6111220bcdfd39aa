/*
 * geocount - too many countries, addresses, or an impossible journey?
 *
 * Counts the distinct countries and addresses from which each SASL user has
 * logged in within a sliding window. Every login is recorded, and the one that
 * exceeds a limit is itself judged. With a City database and geocount.speed a
 * journey that nobody can make counts as over the limit too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "config/action.h"
#include "check.h"
#include "base/file.h"
#include "filter/userlimits.h"
#include "base/clock.h"
#include "base/log.h"
#include "filter/geo.h"
#include "store/store_use.h"
#include "base/text.h"
#include "store/uncounted.h"
#include "base/hostlist.h"

#define LIST_FILE_MAX (16 * 1024 * 1024)

/* The lists that the configuration names, as they were read last. */
static struct {
	struct hostlist *inline_blocks; /* geocount.whitelist */
	const char *inline_text;
	struct hostlist *blocks; /* geocount.whitelist_file */
	struct file_watch blocks_watch;
	struct limits *limits; /* geocount.users_file */
	struct file_watch limits_watch;
} lists;

/* What was read before stays in use; told once. */
static void
list_failed(struct file_watch *w, const char *path, int error)
{
	if (!w->failed)
		log_error("%s: %s; keeping the previous version", path,
		    strerror(error));
	w->failed = true;
}

/* True when the file must be read (again). */
static bool
list_changed(struct file_watch *w, const char *path)
{
	enum file_state state;

	if (path == NULL)
		return false;
	state = file_look(w, path);
	if (state == FILE_ABSENT || state == FILE_ERROR)
		list_failed(w, path, state == FILE_ABSENT ? ENOENT : errno);
	return state == FILE_CHANGED;
}

static void
blocks_refresh(const char *path)
{
	struct hostlist *fresh;
	struct stat st;

	if (!list_changed(&lists.blocks_watch, path))
		return;
	if (hostlist_load(path, &fresh, &st, file_complain_log,
		(void *)path) != 0) {
		list_failed(&lists.blocks_watch, path, errno);
		return;
	}
	hostlist_free(lists.blocks);
	lists.blocks = fresh;
	file_was_read(&lists.blocks_watch, &st);
}

static void
limits_refresh(const char *path)
{
	struct limits *fresh = NULL;
	struct stat st;
	size_t len;
	char *text;

	if (!list_changed(&lists.limits_watch, path))
		return;
	text = file_slurp(path, LIST_FILE_MAX, &len, &st);
	if (text != NULL)
		fresh = limits_parse(text, len, file_complain_log,
		    (void *)path);
	free(text);
	if (fresh == NULL) {
		list_failed(&lists.limits_watch, path, errno);
		return;
	}
	limits_free(lists.limits);
	lists.limits = fresh;
	file_was_read(&lists.limits_watch, &st);
}

/* The blocks that stand in the configuration itself. */
static void
inline_refresh(const char *text)
{
	char *copy, *s;

	if (text == lists.inline_text)
		return;
	hostlist_free(lists.inline_blocks);
	lists.inline_blocks = NULL;
	lists.inline_text = text;
	copy = text != NULL ? strdup(text) : NULL;
	if (copy == NULL)
		return;
	for (s = copy; *s != '\0'; s++)
		if (strchr(" \t,", *s) != NULL)
			*s = '\n';
	lists.inline_blocks = hostlist_parse(copy, strlen(copy), NULL, NULL);
	free(copy);
}

static bool
exempt(const struct config *cfg, const struct address *a, char *entry,
    size_t size)
{
	inline_refresh(cfg->geocount.whitelist);
	blocks_refresh(cfg->geocount.whitelist_file);
	return (lists.inline_blocks != NULL &&
		   hostlist_address(lists.inline_blocks, a, entry, size)) ||
	    (lists.blocks != NULL &&
		hostlist_address(lists.blocks, a, entry, size));
}

/* One login on its way through the check. */
struct login {
	const struct config *cfg;
	const struct request *req;
	struct limits_of limits;
	struct store_use store;
	char block[ADDRESS_TEXT_MAX];
	struct geo place;
	struct store_counts counts;
	long kmh;   /* speed of the journey from the previous login */
	double km;
	long seconds;
	char from_block[ADDRESS_TEXT_MAX];
	struct geo from;
	time_t released; /* logins before are forgiven */
};

static void
login_prepare(struct login *l, const struct config *cfg,
    const struct request *req)
{
	int64_t end = clock_ms() + cfg->store.timeout * 1000;
	struct address base = req->client;

	memset(l, 0, sizeof(*l));
	l->cfg = cfg;
	l->req = req;
	request_store(req, cfg, &l->store);
	if (end < l->store.end) /* for all that this login needs of it */
		l->store.end = end;
	l->limits.countries = cfg->geocount.countries;
	l->limits.addresses = cfg->geocount.addresses;
	limits_refresh(cfg->geocount.users_file);
	if (lists.limits != NULL)
		limits_find(lists.limits, req->sasl_username, &l->limits);
	if (base.family == AF_INET6)
		address_mask(&base, (int)cfg->geocount.ipv6_prefix);
	address_text(&base, l->block, sizeof(l->block));
	if (cfg->geocount.database != NULL)
		geo_find(cfg->geocount.database, &req->client, &l->place);
}

/* Records the login (or only looks, for `abictl check') and counts. */
static bool
login_record(struct login *l)
{
	struct store_login login = {
		.user = l->req->user,
		.block = l->block,
		.country = l->place.country,
		.now = l->req->now,
		.since = l->req->now - l->cfg->geocount.window,
		.peek = l->req->passive,
	};

	if (l->released > login.since)
		login.since = l->released;
	return store_use_login(&l->store, &login, &l->counts) != STORE_ERROR;
}

/* The journey from an earlier login, if it is the fastest so far. */
static void
journey_from(struct login *l, const char *block, time_t when)
{
	struct address before;
	struct geo from;
	long seconds = (long)(l->req->now - when), kmh;
	double km;

	if (!address_parse(block, &before) ||
	    geo_find(l->cfg->geocount.database, &before, &from) !=
		GEO_FOUND)
		return;
	if (seconds < 1)
		seconds = 1;
	km = geo_distance(&from, &l->place);
	kmh = (long)(km * 3600 / (double)seconds);
	if (kmh <= l->kmh)
		return;
	l->kmh = kmh;
	l->km = km;
	l->from = from;
	l->seconds = seconds;
	snprintf(l->from_block, sizeof(l->from_block), "%s", block);
}

/*
 * How fast somebody would have to be who made this login and the last one from
 * another address, or from another country. Who jumps stays over the limit
 * until the time between makes it possible, from whatever address.
 */
static void
login_journey(struct login *l)
{
	const struct store_counts *c = &l->counts;
	int i;

	if (l->cfg->geocount.speed == 0 || l->cfg->geocount.database == NULL)
		return;
	if (c->previous[0] != '\0')
		journey_from(l, c->previous, c->previous_time);
	for (i = 0; i < c->elsewhere_count; i++)
		journey_from(l, c->elsewhere[i].block, c->elsewhere[i].time);
}

/* What the counts say, for people. */
static void
login_text(const struct login *l, struct text *t)
{
	char age[24];

	text_addf(t, "countries %ld", l->counts.countries);
	if (l->limits.countries > 0)
		text_addf(t, " (limit %ld)", l->limits.countries);
	text_addf(t, ", addresses %ld", l->counts.addresses);
	if (l->limits.addresses > 0)
		text_addf(t, " (limit %ld)", l->limits.addresses);
	text_addf(t, ", login from %s (%s)", l->block,
	    l->place.country[0] != '\0' ? l->place.country : "country unknown");
	text_age(age, sizeof(age), l->seconds);
	if (l->cfg->geocount.speed > 0 && l->km > 0)
		text_addf(t, "; %.0f km in %s from %s %s (%.2f,%.2f) to %s "
		    "(%.2f,%.2f) is %ld km/h, limit %ld", l->km, age,
		    l->from_block, l->from.country, l->from.latitude,
		    l->from.longitude, l->place.country, l->place.latitude,
		    l->place.longitude, l->kmh, l->cfg->geocount.speed);
}

/* The action for what is over its limit; NULL when nothing is. */
static const char *
login_action(const struct login *l)
{
	const struct config *cfg = l->cfg;

	if (l->limits.countries > 0 &&
	    l->counts.countries > l->limits.countries)
		return cfg->geocount.action;
	if (cfg->geocount.speed > 0 && l->kmh > cfg->geocount.speed)
		return cfg->geocount.action;
	if (l->limits.addresses > 0 &&
	    l->counts.addresses > l->limits.addresses)
		return cfg->geocount.address_action != NULL ?
		    cfg->geocount.address_action : cfg->geocount.action;
	return NULL;
}

/*
 * Over the limit: may this message pass all the same? A dry run takes nothing
 * from the rate.
 */
static enum outcome
login_rate(struct login *l, const char *action, struct text *t)
{
	char key[STORE_USER_MAX + 16];
	long limit = 0, period = 0;
	enum store_result r;

	text_rate(l->cfg->geocount.rate, &limit, &period);
	if (limit > 0 && l->req->passive)
		text_addf(t, "; over the limit, rate %s may let it pass",
		    l->cfg->geocount.rate);
	if (limit == 0 || l->req->passive || l->cfg->filter.dry_run ||
	    action_only_logs(action))
		return OUTCOME_ACT;
	snprintf(key, sizeof(key), "geocount:%s", l->req->user);
	r = store_use_rate(&l->store, key, limit, period);
	if (r == STORE_ABSENT)
		return OUTCOME_ACT;
	text_addf(t, "; over the limit, %s rate %s",
	    r == STORE_FOUND ? "allowed by" : "cannot check the",
	    l->cfg->geocount.rate);
	return r == STORE_FOUND ? OUTCOME_NONE : OUTCOME_ERROR;
}

/* Over the limit: puts the account on the list, if so wanted. */
static void
login_mark(const struct login *l, struct text *t)
{
	char note[STORE_ERROR_MAX + 64], reason[STORE_TEXT_MAX];

	if (!l->cfg->geocount.mark)
		return;
	snprintf(reason, sizeof(reason), "%s", t->buf);
	accounts_mark(l->cfg, l->req, "geocount", reason, note, sizeof(note));
	text_add(t, note);
}

static enum outcome
geocount_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	enum outcome outcome = OUTCOME_NONE;
	const char *action;
	char entry[64];
	struct login l;
	struct text t;

	text_init(&t, v->reason, sizeof(v->reason));
	if (!req->client_known || !address_public(&req->client)) {
		text_add(&t, req->client_known ? "not a global address" :
						 "no client address");
		return OUTCOME_NONE;
	}
	if (exempt(cfg, &req->client, entry, sizeof(entry))) {
		text_addf(&t, "not counted: %s is exempt", entry);
		return OUTCOME_NONE;
	}
	login_prepare(&l, cfg, req);
	l.released = accounts_released(cfg, req);
	memcpy(v->country, l.place.country, sizeof(v->country));
	if (!login_record(&l)) {
		text_addf(&t, "login not counted: %s", l.store.why);
		if (!req->passive)
			uncounted_note(cfg, l.store.why);
		return OUTCOME_ERROR;
	}
	login_journey(&l);
	login_text(&l, &t);
	action = login_action(&l);
	if (action != NULL) {
		v->event = "pass";
		v->action = action;
		login_mark(&l, &t);
		outcome = login_rate(&l, action, &t);
	}
	return outcome;
}

static const char *
geocount_inactive(const struct config *cfg)
{
	if (cfg->geocount.countries == 0 && cfg->geocount.addresses == 0 &&
	    cfg->geocount.speed == 0 && cfg->geocount.users_file == NULL)
		return "no limit is set";
	return NULL;
}

const struct check geocount_check = {
	.name = "geocount",
	.help = "does the user log in from too many countries or addresses?",
	.needs = "store",
	.audience = AUDIENCE_AUTHENTICATED,
	.inactive = geocount_inactive,
	.run = geocount_run,
};
