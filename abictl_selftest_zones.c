/*
 * abictl selftest - do the DNS zones answer as such zones must, can
 * accounts.command be run?
 *
 * RFC 5782, section 5: 127.0.0.2 is always listed, 127.0.0.1 never; in IPv6
 * zones that are ::FFFF:7F00:2 and ::FFFF:7F00:1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dnsquery.h"
#include "dnszone.h"
#include "rest.h"
#include "selftest.h"

#define LISTS_THE_WORLD 86400 /* seconds of rest for a zone that does */

/* What a zone said about one test point. */
struct point {
	const struct dnszone *zone;
	const char *what; /* is asked for */
	char name[DNSZONE_NAME_MAX];
	enum dnsquery_status status;
	const char *why;
	enum dnszone_verdict verdict;
	char answer[INET_ADDRSTRLEN];
};

static void
answered(void *arg, enum dnsquery_status status, const struct in_addr *records,
    size_t count, const char *why)
{
	struct point *p = arg;
	struct in_addr which = { 0 };

	p->status = status;
	p->why = why;
	if (status != DNSQUERY_ANSWER)
		return;
	p->verdict = dnszone_judge(p->zone, records, count, &which);
	inet_ntop(AF_INET, &which, p->answer, sizeof(p->answer));
}

/* Asks a zone about some points at once. */
static void
ask(const struct config *cfg, struct point *points, size_t count)
{
	struct dnsquery queries[4];
	size_t i;

	for (i = 0; i < count; i++)
		queries[i] = (struct dnsquery){ points[i].name, answered,
			&points[i] };
	dnsquery_run(cfg->authbl.resolver, queries, count,
	    cfg->authbl.timeout * 1000);
}

static struct point
address_point(const struct dnszone *z, const char *text, bool six)
{
	struct point p = { .zone = z, .what = text };
	struct address a;

	address_parse(text, &a);
	if (six) { /* address_parse() has made it IPv4 */
		memcpy(a.bytes + 12, a.bytes, 4);
		memset(a.bytes, 0, 10);
		memset(a.bytes + 10, 0xff, 2);
		a.family = AF_INET6;
		p.what = strcmp(text, "127.0.0.2") == 0 ? "::FFFF:7F00:2" :
							  "::FFFF:7F00:1";
	}
	dnszone_address(z, &a, p.name, sizeof(p.name));
	return p;
}

/* Says what is wrong with a zone as a whole. True if nothing is. */
static bool
usable(const struct point *p)
{
	char subject[DNSZONE_NAME_MAX + 8];

	snprintf(subject, sizeof(subject), "zone %s", p->zone->shown);
	if (p->status == DNSQUERY_REFUSED)
		say(FAIL, subject, "REFUSED: is the key right, and is the "
		    "resolver allowed to ask?");
	else if (p->status != DNSQUERY_ANSWER)
		say(FAIL, subject, "%s: %s", p->what, p->why);
	else if (p->verdict == DNSZONE_WRONG)
		say(FAIL, subject, "%s: answer %s is an error code, or not of "
		    "a DNS list", p->what, p->answer);
	else
		return true;
	return false;
}

static void
test_address_zone(const struct config *cfg, struct statedir *d,
    const struct dnszone *z)
{
	struct point points[4] = {
		address_point(z, "127.0.0.2", false),
		address_point(z, "127.0.0.1", false),
		address_point(z, "127.0.0.2", true),
		address_point(z, "127.0.0.1", true),
	};
	char subject[DNSZONE_NAME_MAX + 8], rest[REST_WHAT_MAX];
	char why[REST_REASON_MAX];
	int i;

	snprintf(subject, sizeof(subject), "zone %s", z->shown);
	rest_name(REST_ZONE, z->name, rest, sizeof(rest));
	ask(cfg, points, 4);
	for (i = 1; i < 4; i += 2)
		if (points[i].status == DNSQUERY_ANSWER &&
		    (points[i].verdict == DNSZONE_LISTED ||
			points[i].verdict == DNSZONE_OTHER))
			break;
	if (i < 4) {
		snprintf(why, sizeof(why), "%.100s lists 127.0.0.1", z->shown);
		rest_set(d, rest, time(NULL), time(NULL) + LISTS_THE_WORLD,
		    why);
		say(FAIL, subject, "%s is listed (%s), which no working list "
		    "does; not asked for a day", points[i].what,
		    points[i].answer);
		return;
	}
	if (!usable(&points[0]) || !usable(&points[1]))
		return;
	rest_clear(d, rest);
	if (points[0].verdict == DNSZONE_LISTED)
		say(OK, subject, "127.0.0.2 is listed (%s), 127.0.0.1 is not%s",
		    points[0].answer, points[2].verdict == DNSZONE_LISTED &&
		    points[2].status == DNSQUERY_ANSWER ? "; IPv6 too" : "");
	else if (points[0].verdict == DNSZONE_OTHER)
		say(WARN, subject, "127.0.0.2 gives %s, which is not one of "
		    "the configured codes", points[0].answer);
	else
		say(WARN, subject, "127.0.0.2 is not listed: no test point, or "
		    "no such zone");
}

/* There is no test point: that it answers at all is all that can be seen. */
static void
test_recipient_zone(const struct config *cfg, const struct dnszone *z)
{
	struct point p = { .zone = z, .what = "a recipient" };
	char subject[DNSZONE_NAME_MAX + 8];

	snprintf(subject, sizeof(subject), "zone %s", z->shown);
	dnszone_recipient(z, "selftest@example.com", p.name, sizeof(p.name));
	ask(cfg, &p, 1);
	if (!usable(&p))
		return;
	if (p.verdict == DNSZONE_NOT_LISTED)
		say(OK, subject, "answers");
	else
		say(FAIL, subject, "selftest@example.com is listed (%s), which "
		    "cannot be", p.answer);
}

void
selftest_zones(const struct config *cfg, struct statedir *d)
{
	struct dnszone zones[DNSZONE_MAX];
	int count = 0, total = 0, i;

	if (strstr(cfg->filter.checks, "authbl") == NULL)
		return;
	if (cfg->authbl.zones != NULL)
		dnszone_parse(cfg->authbl.zones, cfg->authbl.apikey, zones,
		    &count);
	for (i = 0; i < count; i++, total++)
		test_address_zone(cfg, d, &zones[i]);
	count = 0;
	if (cfg->authbl.recipient_zones != NULL)
		dnszone_parse(cfg->authbl.recipient_zones, cfg->authbl.apikey,
		    zones, &count);
	for (i = 0; i < count; i++, total++)
		test_recipient_zone(cfg, &zones[i]);
	if (total == 0)
		say(SKIP, "authbl", "no zone is in force; the default ones "
		    "need authbl.apikey");
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
		say(FAIL, "accounts.command", "%s: %s", path, strerror(errno));
}
