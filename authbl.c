/*
 * authbl - is the client, or the recipient, on a DNS list of abused accounts?
 *
 * Such lists name addresses that use stolen passwords, and recipients to whom
 * the thieves send test messages. When one has logged in here, the account is
 * compromised. All zones of a request are asked at once. Only configured
 * answers count; whatever else comes is told once and means nothing.
 *
 * A list that is given up may answer for every name. So a zone that has a hit
 * is also asked about somebody who is on no list, 127.0.0.1 as a rule: only if
 * there is no such name, and it says so in time, the hit counts.
 */
#include <stdio.h>
#include <string.h>

#include "accounts.h"
#include "filter/dnslist.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/backoff.h"
#include "base/due.h"
#include "base/text.h"

#define ZONE_REST 60   /* seconds after a zone that has not answered */
#define ZONE_SANE 60   /* seconds that a zone is believed */
#define TOLD_EVERY 3600 /* seconds between the lines about odd answers */

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
	const char *what; /* is listed */
	bool asked;
	struct dnslist_question client; /* or the recipient */

	/* Of a hit, unless others have asked just now: */
	bool probed;
	enum dnszone_point point; /* whom the zone must not list */
	const char *shown;        /* the same for people */
	struct dnslist_question probe;
};

struct lookup {
	const struct config *cfg;
	const struct request *req;
	struct question question[DNSLIST_MAX];
	int count;
	int64_t end; /* of all waiting, by clock_ms() */
	bool time_enough; /* the zones have time enough to answer */
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

static struct question *
question_add(struct lookup *l, const struct dnszone *zone, const char *what,
    enum dnszone_point point)
{
	struct question *q = &l->question[l->count++];

	memset(q, 0, sizeof(*q));
	q->lookup = l;
	q->what = what;
	q->point = point;
	q->client.zone = q->probe.zone = zone;
	return q;
}

/* Asks, and waits as long as there is time. */
static void
lookup_ask(const struct lookup *l, struct dnslist_question *const *questions,
    size_t count)
{
	int64_t left = l->end - clock_ms();

	dnslist_ask(l->cfg->authbl.resolver, questions, count,
	    left > 0 ? (long)left : 0);
}

/* Asks all zones that do not rest. */
static void
questions_ask(struct lookup *l)
{
	const struct config *cfg = l->cfg;
	struct dnslist_question *ask[DNSLIST_MAX];
	char rest[BACKOFF_WHAT_MAX], why[BACKOFF_REASON_MAX];
	struct question *q;
	long left = request_left(l->req), most = cfg->authbl.timeout * 1000;
	size_t n = 0;
	int i;

	l->end = clock_ms() + (left < most ? left : most);
	if (cfg->filter.deadline * 1000 < most)
		most = cfg->filter.deadline * 1000;
	l->time_enough = left >= most / 2;
	for (i = 0; i < l->count; i++) {
		q = &l->question[i];
		backoff_name(
		    BACKOFF_ZONE, q->client.zone->name, rest, sizeof(rest));
		if (backoff_until(&zones.markers, rest, l->req->now, why,
			sizeof(why)) != 0)
			continue;
		q->asked = true;
		ask[n++] = &q->client;
	}
	lookup_ask(l, ask, n);
}

static bool
question_hit(const struct question *q)
{
	return q->asked && q->client.status == DNSQUERY_ANSWER &&
	    q->client.verdict == DNSZONE_LISTED;
}

/* The marker of a zone that has not listed everybody. */
static void
sane_name(const struct question *q, char *what, size_t size)
{
	char key[DNSZONE_NAME_MAX + 16];

	snprintf(key, sizeof(key), "%d %s", (int)q->point,
	    q->client.zone->name);
	backoff_name(DUE_ZONE_SANE, key, what, size);
}

/* Has some process found that within the last minute? */
static bool
sane_known(const struct question *q)
{
	char what[BACKOFF_WHAT_MAX];

	sane_name(q, what, sizeof(what));
	return due_in(&zones.markers, what, q->lookup->req->now) != 0;
}

static void
sane_tell(const struct question *q)
{
	char what[BACKOFF_WHAT_MAX], why[BACKOFF_REASON_MAX];

	if (q->lookup->req->passive)
		return;
	sane_name(q, what, sizeof(what));
	snprintf(why, sizeof(why), "%.100s does not list %s",
	    q->probe.zone->shown, q->shown);
	due_note(&zones.markers, what, time(NULL), ZONE_SANE, why);
}

/* Asks each zone that has a hit about somebody who is on no list. */
static void
hits_probe(struct lookup *l)
{
	struct dnslist_question *ask[DNSLIST_MAX];
	struct question *q;
	size_t n = 0;
	int i;

	for (i = 0; i < l->count; i++) {
		q = &l->question[i];
		if (!question_hit(q) || sane_known(q))
			continue;
		dnszone_point(q->probe.zone, q->point, q->probe.name,
		    sizeof(q->probe.name), &q->shown);
		q->probed = true;
		ask[n++] = &q->probe;
	}
	lookup_ask(l, ask, n);
	for (i = 0; i < l->count; i++) {
		q = &l->question[i];
		if (q->probed && q->probe.nxdomain)
			sane_tell(q);
		else if (q->probed && q->probe.status == DNSQUERY_NO_ANSWER &&
		    sane_known(q)) /* others had the answer by now */
			q->probed = false;
	}
}

/*
 * A hit that says nothing. An answer without addresses is not enough: that is
 * also what is left when a resolver takes 127.0.0.0/8 out of answers.
 */
static bool
question_doubtful(const struct question *q)
{
	return q->probed && !q->probe.nxdomain;
}

/* --- what came of it --- */

/* Tells about an odd answer, once an hour for each zone and kind. */
static void
tell_once(const struct lookup *l, const struct dnszone *zone, const char *kind,
    const char *text)
{
	char key[2 * DNSZONE_NAME_MAX], what[BACKOFF_WHAT_MAX];
	char why[BACKOFF_REASON_MAX];
	time_t now = l->req->now;

	snprintf(key, sizeof(key), "%s %s", kind, zone->name);
	backoff_name(DUE_TOLD, key, what, sizeof(what));
	if (l->req->passive ||
	    due_in(&zones.markers, what, now) != 0)
		return;
	log_warning("authbl: %s: %s", zone->shown, text);
	snprintf(why, sizeof(why), "told: %.60s: %.60s", zone->shown, text);
	due_note(&zones.markers, what, now, TOLD_EVERY, why);
}

/* Nobody asks this zone for a while. */
static void
zone_rest(const struct question *q, const char *text)
{
	const struct lookup *l = q->lookup;
	char rest[BACKOFF_WHAT_MAX], why[BACKOFF_REASON_MAX];

	if (l->req->passive)
		return;
	backoff_name(BACKOFF_ZONE, q->client.zone->name, rest, sizeof(rest));
	snprintf(why, sizeof(why), "%.60s: %.90s", q->client.zone->shown, text);
	backoff_set(&zones.markers, rest, l->req->now, time(NULL) + ZONE_REST,
	    why);
}

/* Draws the consequences of a question that has no usable answer. */
static void
question_failed(const struct question *q)
{
	const struct lookup *l = q->lookup;
	const struct dnslist_question *c = &q->client;
	char text[64];

	if (c->status == DNSQUERY_ANSWER) {
		snprintf(text, sizeof(text), "answer %s is not a listing",
		    c->answer);
		tell_once(l, c->zone, c->verdict == DNSZONE_OTHER ? "other" :
			"wrong", text);
		return;
	}
	/* Silence means something only if there was time enough. */
	if (c->status == DNSQUERY_NO_ANSWER && !l->time_enough)
		return;
	tell_once(l, c->zone, c->why, c->why);
	if (c->status == DNSQUERY_NO_ANSWER)
		zone_rest(q, c->why);
}

/* Why a hit says nothing. */
static void
doubt_text(const struct question *q, char *out, size_t size)
{
	const struct dnslist_question *p = &q->probe;

	if (p->status != DNSQUERY_ANSWER)
		snprintf(out, size, "%s: %s", q->shown, p->why);
	else if (p->verdict == DNSZONE_NOT_LISTED)
		snprintf(out, size, "%s: empty answer instead of NXDOMAIN",
		    q->shown);
	else if (p->verdict == DNSZONE_WRONG)
		snprintf(out, size, "%s: answer %s", q->shown, p->answer);
	else
		snprintf(out, size, "lists %s too (%s), so it lists everybody",
		    q->shown, p->answer);
}

/* Draws the consequences of a hit that says nothing. */
static void
question_doubted(const struct question *q)
{
	const struct dnslist_question *p = &q->probe;
	char why[80], text[128];

	if (p->status == DNSQUERY_NO_ANSWER && !q->lookup->time_enough)
		return;
	doubt_text(q, why, sizeof(why));
	snprintf(text, sizeof(text), "%s; a hit was ignored", why);
	tell_once(q->lookup, p->zone, why, text);
	zone_rest(q, why);
}

/* Adds how a question went to the reason, for people. */
static void
question_text(const struct question *q, struct text *t)
{
	const struct dnslist_question *c = &q->client;
	char why[80];

	text_addf(t, "%s%s: ", t->len > 0 ? ", " : "", c->zone->shown);
	if (!q->asked)
		text_add(t, "not queried for now");
	else if (question_doubtful(q)) {
		doubt_text(q, why, sizeof(why));
		text_addf(t, "answer %s ignored: %s", c->answer, why);
	} else if (c->status != DNSQUERY_ANSWER)
		text_add(t, c->why);
	else if (c->verdict == DNSZONE_NOT_LISTED)
		text_add(t, "not listed");
	else
		text_addf(t, "answer %s", c->answer);
}

/*
 * The first listing that counts; NULL when there is none. *usable: some zone
 * answered. *doubtful: some zone has a listing that does not count.
 */
static const struct question *
questions_settle(struct lookup *l, struct text *t, bool *usable, bool *doubtful)
{
	const struct question *q, *hit = NULL;
	int i;

	*usable = *doubtful = false;
	for (i = 0; i < l->count; i++) {
		q = &l->question[i];
		question_text(q, t);
		if (!q->asked)
			continue;
		if (question_doubtful(q)) {
			*doubtful = true;
			question_doubted(q);
		} else if (question_hit(q)) {
			*usable = true;
			hit = hit == NULL ? q : hit;
		} else if (q->client.status == DNSQUERY_ANSWER &&
		    q->client.verdict == DNSZONE_NOT_LISTED)
			*usable = true;
		else {
			question_failed(q);
			*usable |= q->client.status == DNSQUERY_ANSWER &&
			    q->client.verdict == DNSZONE_OTHER;
		}
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
	    hit->what, hit->client.zone->shown, hit->client.answer);
	text_init(&t, v->reason, sizeof(v->reason));
	text_add(&t, reason);
	v->action = l->cfg->accounts.action;
	switch (accounts_mark(l->cfg, l->req, "authbl", reason, note,
	    sizeof(note))) {
	case ACCOUNTS_GRACE:
		v->event = "grace";
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
	bool usable, doubtful;
	int i;

	zones_refresh(cfg);
	text_init(&t, v->reason, sizeof(v->reason));
	if (req->client_known)
		address_text(&req->client, client, sizeof(client));
	for (i = 0; address && i < zones.address_count; i++) {
		q = question_add(&l, &zones.address[i], client,
		    req->client.family == AF_INET ? DNSZONE_NEVER_IPV4 :
						    DNSZONE_NEVER_IPV6);
		l.count -= !dnszone_address(q->client.zone, &req->client,
		    q->client.name, sizeof(q->client.name));
	}
	for (i = 0; req->recipient[0] != '\0' && i < zones.recipient_count;
	     i++) {
		q = question_add(&l, &zones.recipient[i], "the recipient",
		    DNSZONE_NEVER_RECIPIENT);
		l.count -= !dnszone_recipient(q->client.zone, req->recipient,
		    q->client.name, sizeof(q->client.name));
	}
	if (l.count == 0) {
		text_add(&t, "nothing to look up");
		return OUTCOME_NONE;
	}
	questions_ask(&l);
	hits_probe(&l);
	hit = questions_settle(&l, &t, &usable, &doubtful);
	if (hit != NULL)
		return listed(&l, hit, v);
	if (doubtful)
		v->event = "doubtful";
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

const struct check authbl_check = {
	.name = "authbl",
	.help = "is the client or the recipient on a list of abused accounts?",
	.needs = "accounts",
	.audience = AUDIENCE_AUTHENTICATED,
	.inactive = authbl_inactive,
	.run = authbl_run,
	.run_again = authbl_run_again,
};
