/*
 * abictl selftest - do the DNS zones answer as such zones must, can
 * accounts.command be run?
 *
 * RFC 5782, section 5: 127.0.0.2 is always listed, 127.0.0.1 never; in IPv6
 * zones that are ::FFFF:7F00:2 and ::FFFF:7F00:1. Of a hit authbl asks about
 * those that are never listed, so they are what counts here; that the others
 * are listed is of use to people only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "filter/dnslist.h"
#include "base/backoff.h"
#include "ctl/selftest/selftest.h"

#define LISTS_THE_WORLD 86400 /* seconds of rest for a zone that does */

/* What a zone said about one test point. */
struct point {
	const char *what; /* is asked for */
	struct dnslist_question said;
};

/* Asks a zone about some test points at once. */
static void
ask(const struct config *cfg, const struct dnszone *z,
    const enum dnszone_point *which, struct point *points, size_t count)
{
	struct dnslist_question *questions[DNSLIST_MAX];
	size_t i;

	for (i = 0; i < count; i++) {
		points[i].said.zone = z;
		dnszone_point(z, which[i], points[i].said.name,
		    sizeof(points[i].said.name), &points[i].what);
		questions[i] = &points[i].said;
	}
	dnslist_ask(
	    cfg->authbl.resolver, questions, count, cfg->authbl.timeout * 1000);
}

static bool
is_listed(const struct point *p)
{
	return p->said.status == DNSQUERY_ANSWER &&
	       (p->said.verdict == DNSZONE_LISTED ||
		   p->said.verdict == DNSZONE_OTHER);
}

/* Says what is wrong with a zone as a whole. True if nothing is. */
static bool
usable(const struct point *p, const char *subject, const char *command)
{
	const struct dnslist_question *q = &p->said;

	if (q->status == DNSQUERY_REFUSED)
		say_try(FAIL, subject, command,
		    "REFUSED: is the key right, and may the resolver query "
		    "this zone?");
	else if (q->status != DNSQUERY_ANSWER)
		say_try(FAIL, subject, command, "%s: %s", p->what, q->why);
	else if (q->verdict == DNSZONE_WRONG)
		say_try(FAIL, subject, command,
		    "%s: answer %s is an error code, or not from a DNS list",
		    p->what, q->answer);
	else if (!q->nxdomain)
		say_try(FAIL, subject, command,
		    "%s: empty answer instead of NXDOMAIN, so hits are ignored",
		    p->what);
	else
		return true;
	return false;
}

/* Says what a zone that is usable has about those that are always listed. */
static void
always_tell(
    const struct point *four, const struct point *six, const char *subject)
{
	const struct dnslist_question *q = &four->said;

	if (q->status != DNSQUERY_ANSWER)
		say(WARN, subject, "%s: %s", four->what, q->why);
	else if (q->verdict == DNSZONE_LISTED)
		say(OK, subject, "%s is listed (%s), 127.0.0.1 is not%s",
		    four->what, q->answer,
		    six->said.status == DNSQUERY_ANSWER &&
			    six->said.verdict == DNSZONE_LISTED
			? "; IPv6 too"
			: "");
	else if (q->verdict == DNSZONE_NOT_LISTED)
		say(WARN, subject,
		    "%s is not listed: the zone has no test point or does not "
		    "exist",
		    four->what);
	else
		say(WARN, subject,
		    "%s returns %s, which is not one of the configured codes",
		    four->what, q->answer);
}

static void
test_address_zone(
    const struct config *cfg, struct statedir *d, const struct dnszone *z)
{
	static const enum dnszone_point which[4] = {DNSZONE_NEVER_IPV4,
	    DNSZONE_NEVER_IPV6, DNSZONE_ALWAYS_IPV4, DNSZONE_ALWAYS_IPV6};
	struct point points[4] = {0};
	char subject[DNSZONE_NAME_MAX + 8], rest[BACKOFF_WHAT_MAX];
	char why[BACKOFF_REASON_MAX];
	int i;

	snprintf(subject, sizeof(subject), "zone %s", z->shown);
	backoff_name(BACKOFF_ZONE, z->name, rest, sizeof(rest));
	ask(cfg, z, which, points, 4);
	for (i = 0; i < 2; i++) {
		if (!is_listed(&points[i]))
			continue;
		snprintf(why, sizeof(why), "%.100s lists 127.0.0.1", z->shown);
		backoff_set(
		    d, rest, time(NULL), time(NULL) + LISTS_THE_WORLD, why);
		say_try(FAIL, subject, selftest_edit(cfg),
		    "%s is listed (%s), so this list does not work; not "
		    "queried for a day",
		    points[i].what, points[i].said.answer);
		return;
	}
	if (!usable(&points[0], subject, selftest_edit(cfg)))
		return;
	backoff_clear(d, rest);
	if (!points[1].said.nxdomain)
		say(WARN, subject,
		    "%s: %s, so hits on IPv6 clients are ignored",
		    points[1].what,
		    points[1].said.status != DNSQUERY_ANSWER
			? points[1].said.why
			: "not NXDOMAIN");
	always_tell(&points[2], &points[3], subject);
}

/* There is nobody who is always listed: it can only be seen to answer. */
static void
test_recipient_zone(const struct config *cfg, const struct dnszone *z)
{
	static const enum dnszone_point which[1] = {DNSZONE_NEVER_RECIPIENT};
	struct point p[1] = {0};
	char subject[DNSZONE_NAME_MAX + 8];

	snprintf(subject, sizeof(subject), "zone %s", z->shown);
	ask(cfg, z, which, p, 1);
	if (is_listed(p))
		say_try(FAIL, subject, selftest_edit(cfg),
		    "%s is listed (%s), which is impossible",
		    p->what, p->said.answer);
	else if (usable(p, subject, selftest_edit(cfg)))
		say(OK, subject, "answers");
}

void
selftest_zones(const struct config *cfg, struct statedir *d)
{
	struct dnszone zones[DNSZONE_MAX];
	int count = 0, total = 0, i;

	if (!config_makes(cfg, "authbl") ||
	    !selftest_can(cfg, "authbl", "authbl"))
		return;
	if (cfg->authbl.zones != NULL)
		dnszone_parse(
		    cfg->authbl.zones, cfg->authbl.apikey, zones, &count);
	for (i = 0; i < count; i++, total++)
		test_address_zone(cfg, d, &zones[i]);
	count = 0;
	if (cfg->authbl.recipient_zones != NULL)
		dnszone_parse(cfg->authbl.recipient_zones, cfg->authbl.apikey,
		    zones, &count);
	for (i = 0; i < count; i++, total++)
		test_recipient_zone(cfg, &zones[i]);
	if (total == 0)
		say(SKIP, "authbl",
		    "no zone is in use; the default ones need authbl.apikey");
}

void
selftest_command(const struct config *cfg)
{
	const char *path = cfg->accounts.command;

	if (path == NULL)
		return;
	if (access(path, X_OK) == 0)
		say(OK, "accounts.command", "%s", path);
	else
		say_try(FAIL, "accounts.command",
		    errno == EACCES
			? selftest_command_line(
			      "sudo chmod a+rx %s", selftest_quote(path))
			: selftest_edit(cfg),
		    "%s: %s", path, strerror(errno));
}
