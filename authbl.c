/*
 * authbl - is the client, or the recipient, on a DNS list of abused accounts?
 *
 * Such lists name addresses that use stolen passwords, and recipients to whom
 * the thieves send test messages. When one has logged in here, the account is
 * compromised. All zones of a request are asked at once. Only configured
 * answers count; whatever else comes is told once and means nothing.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "accounts.h"
#include "dnsquery.h"
#include "dnszone.h"
#include "log.h"
#include "rest.h"
#include "text.h"

#define ZONE_REST 60   /* seconds after a zone that has not answered */
#define TOLD_REST 3600 /* seconds between the lines about odd answers */

/* The zones of the configuration, as they were read last. */
static struct {
	const struct config *cfg;
	const char *text[3];
	struct dnszone address[DNSZONE_MAX];
	int address_count;
	struct dnszone recipient[DNSZONE_MAX];
	int recipient_count;
	struct statedir markers;
} zones;

/* One question of a request and what came of it. */
struct question {
	struct lookup *lookup;
	const struct dnszone *zone;
	const char *what; /* is listed */
	char name[DNSZONE_NAME_MAX];
	bool asked;
	enum dnsquery_status status;
	const char *why;
	enum dnszone_verdict verdict;
	char answer[INET_ADDRSTRLEN]; /* the record that decided */
};

struct lookup {
	const struct config *cfg;
	const struct request *req;
	struct question question[2 * DNSZONE_MAX];
	int count;
	bool fair; /* the zones have time enough to answer */
};

static void
zones_refresh(const struct config *cfg)
{
	const char *text[3] = { cfg->authbl.apikey, cfg->authbl.zones,
		cfg->authbl.recipient_zones };

	if (zones.cfg == cfg && memcmp(text, zones.text, sizeof(text)) == 0)
		return;
	zones.cfg = cfg;
	memcpy(zones.text, text, sizeof(text));
	zones.address_count = zones.recipient_count = 0;
	if (text[1] != NULL)
		dnszone_parse(text[1], text[0], zones.address,
		    &zones.address_count);
	if (text[2] != NULL)
		dnszone_parse(text[2], text[0], zones.recipient,
		    &zones.recipient_count);
	statedir_init(&zones.markers, cfg->reputation.cache_dir);
}

/* --- looking up --- */

static void
answered(void *arg, enum dnsquery_status status, const struct in_addr *records,
    size_t count, const char *why)
{
	struct question *q = arg;
	struct in_addr which = { 0 };

	q->status = status;
	q->why = why;
	if (status != DNSQUERY_ANSWER)
		return;
	q->verdict = dnszone_judge(q->zone, records, count, &which);
	inet_ntop(AF_INET, &which, q->answer, sizeof(q->answer));
}

static struct question *
question_add(struct lookup *l, const struct dnszone *zone, const char *what)
{
	struct question *q = &l->question[l->count++];

	memset(q, 0, sizeof(*q));
	q->lookup = l;
	q->zone = zone;
	q->what = what;
	return q;
}

/* Asks all zones that do not rest. */
static void
questions_ask(struct lookup *l)
{
	const struct config *cfg = l->cfg;
	struct dnsquery queries[2 * DNSZONE_MAX];
	char rest[REST_WHAT_MAX], why[REST_REASON_MAX];
	struct question *q;
	long left = request_left(l->req), most = cfg->authbl.timeout;
	size_t n = 0;
	int i;

	if (cfg->filter.deadline < most)
		most = cfg->filter.deadline;
	l->fair = left >= most * 1000 / 2;
	for (i = 0; i < l->count; i++) {
		q = &l->question[i];
		rest_name(REST_ZONE, q->zone->name, rest, sizeof(rest));
		if (rest_until(&zones.markers, rest, l->req->now, why,
			sizeof(why)) != 0)
			continue;
		q->asked = true;
		queries[n++] = (struct dnsquery){ q->name, answered, q };
	}
	if (n > 0)
		dnsquery_run(cfg->authbl.resolver, queries, n,
		    left < cfg->authbl.timeout * 1000 ? left :
		    cfg->authbl.timeout * 1000);
}

/* --- what came of it --- */

/* Tells about an odd answer, once an hour for each zone and kind. */
static void
tell_once(const struct lookup *l, const struct dnszone *zone, const char *kind,
    const char *text)
{
	char key[2 * DNSZONE_NAME_MAX], what[REST_WHAT_MAX];
	char why[REST_REASON_MAX];
	time_t now = l->req->now;

	snprintf(key, sizeof(key), "%s %s", kind, zone->name);
	rest_name(REST_TOLD, key, what, sizeof(what));
	if (l->req->passive ||
	    rest_until(&zones.markers, what, now, why, sizeof(why)) != 0)
		return;
	log_warning("authbl: %s: %s", zone->shown, text);
	snprintf(why, sizeof(why), "told: %.60s: %.60s", zone->shown, text);
	rest_set(&zones.markers, what, now, now + TOLD_REST, why);
}

/* Draws the consequences of a question that has no usable answer. */
static void
question_failed(const struct question *q)
{
	const struct lookup *l = q->lookup;
	char text[64], rest[REST_WHAT_MAX], why[REST_REASON_MAX];

	if (q->status == DNSQUERY_ANSWER) {
		snprintf(text, sizeof(text), "answer %s is not a listing",
		    q->answer);
		tell_once(l, q->zone, q->verdict == DNSZONE_OTHER ? "other" :
			"wrong", text);
		return;
	}
	/* Silence means something only if there was time enough. */
	if (q->status == DNSQUERY_NO_ANSWER && !l->fair)
		return;
	tell_once(l, q->zone, q->why, q->why);
	if (q->status != DNSQUERY_NO_ANSWER || l->req->passive)
		return;
	rest_name(REST_ZONE, q->zone->name, rest, sizeof(rest));
	snprintf(why, sizeof(why), "%.100s: %s", q->zone->shown, q->why);
	rest_set(&zones.markers, rest, l->req->now, time(NULL) + ZONE_REST,
	    why);
}

/* Adds how a question went to the reason, for people. */
static void
question_text(const struct question *q, struct text *t)
{
	text_addf(t, "%s%s: ", t->len > 0 ? ", " : "", q->zone->shown);
	if (!q->asked)
		text_add(t, "rests");
	else if (q->status != DNSQUERY_ANSWER)
		text_add(t, q->why);
	else if (q->verdict == DNSZONE_NOT_LISTED)
		text_add(t, "not listed");
	else
		text_addf(t, "answer %s", q->answer);
}

/* The first listing; NULL when there is none. *usable: some zone answered. */
static const struct question *
questions_settle(struct lookup *l, struct text *t, bool *usable)
{
	const struct question *q, *hit = NULL;
	int i;

	*usable = false;
	for (i = 0; i < l->count; i++) {
		q = &l->question[i];
		question_text(q, t);
		if (!q->asked)
			continue;
		if (q->status == DNSQUERY_ANSWER && q->verdict != DNSZONE_WRONG)
			*usable = true;
		if (q->status != DNSQUERY_ANSWER ||
		    q->verdict == DNSZONE_OTHER || q->verdict == DNSZONE_WRONG)
			question_failed(q);
		else if (q->verdict == DNSZONE_LISTED && hit == NULL)
			hit = q;
	}
	return hit;
}

/* Somebody is listed: so the account is compromised. */
static enum outcome
listed(const struct lookup *l, const struct question *hit, struct verdict *v)
{
	char note[STORE_ERROR_MAX + 64], reason[STORE_TEXT_MAX];
	struct text t;

	snprintf(reason, sizeof(reason), "%.50s is listed on %.150s (%s)",
	    hit->what, hit->zone->shown, hit->answer);
	text_init(&t, v->reason, sizeof(v->reason));
	text_add(&t, reason);
	v->action = l->cfg->accounts.action;
	switch (accounts_mark(l->cfg, l->req, "authbl", reason, note,
	    sizeof(note))) {
	case ACCOUNTS_GRACE:
		v->news = "grace";
		text_add(&t, note);
		return OUTCOME_NONE;
	default:
		text_add(&t, note);
		return OUTCOME_ACT;
	}
}

/* Asks about the address, if so wanted, and the recipient. */
static enum outcome
look_up(const struct config *cfg, const struct request *req, bool address,
    struct verdict *v)
{
	struct lookup l = { .cfg = cfg, .req = req };
	char client[ADDRESS_TEXT_MAX];
	const struct question *hit;
	struct question *q;
	struct text t;
	bool usable;
	int i;

	zones_refresh(cfg);
	text_init(&t, v->reason, sizeof(v->reason));
	if (req->client_known)
		address_text(&req->client, client, sizeof(client));
	for (i = 0; address && i < zones.address_count; i++) {
		q = question_add(&l, &zones.address[i], client);
		l.count -= !dnszone_address(q->zone, &req->client, q->name,
		    sizeof(q->name));
	}
	for (i = 0; req->recipient[0] != '\0' && i < zones.recipient_count;
	     i++) {
		q = question_add(&l, &zones.recipient[i], "the recipient");
		l.count -= !dnszone_recipient(q->zone, req->recipient, q->name,
		    sizeof(q->name));
	}
	if (l.count == 0) {
		text_add(&t, "nothing to look up");
		return OUTCOME_NONE;
	}
	questions_ask(&l);
	hit = questions_settle(&l, &t, &usable);
	if (hit != NULL)
		return listed(&l, hit, v);
	return usable ? OUTCOME_NONE : OUTCOME_ERROR;
}

static enum outcome
authbl_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	return look_up(cfg, req, req->client_known &&
	    address_public(&req->client), v);
}

/* The address was looked up for the first recipient. */
static enum outcome
authbl_run_again(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	return look_up(cfg, req, false, v);
}

static const char *
authbl_inactive(const struct config *cfg)
{
	zones_refresh(cfg);
	if (zones.address_count + zones.recipient_count > 0)
		return NULL;
	return cfg->authbl.apikey == NULL ? "authbl.apikey is not set" :
	    "no zone is configured, or authbl.apikey does not fit into one";
}

static enum audience
authbl_audience(const struct config *cfg)
{
	(void)cfg;
	return AUDIENCE_AUTHENTICATED;
}

const struct check authbl_check = {
	.name = "authbl",
	.help = "is the client or the recipient on a list of abused accounts?",
	.audience = authbl_audience,
	.inactive = authbl_inactive,
	.run = authbl_run,
	.run_again = authbl_run_again,
};
