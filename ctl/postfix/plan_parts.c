/*
 * plan_parts - where port 25, submission and the map ask us, or should.
 *
 * Whatever cannot be judged from the names of restrictions is refused, with
 * the item and the place where it belongs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/postfix/list.h"
#include "ctl/postfix/plan.h"

#define CLIENT	  "smtpd_client_restrictions"
#define RECIPIENT "smtpd_recipient_restrictions"
#define RELAY	  "smtpd_relay_restrictions"
#define USERS	  "permit_mynetworks, permit_sasl_authenticated"

/* Lists of what may be long. */
static char raw[POSTFIX_VALUE_MAX], full[POSTFIX_VALUE_MAX];

/* Does a smtpd service belong to a part? */
static bool
is_mx(const struct postfix_service *s)
{
	return strcmp(s->program, "smtpd") == 0 && postfix_for_strangers(s);
}

static bool
is_submission(const struct plan *p, const struct postfix_service *s)
{
	return strcmp(s->program, "smtpd") == 0 && !postfix_for_strangers(s) &&
	       postfix_for_users(&p->conf, s);
}

/*
 * Looks at a list of main.cf as it is written and as it counts. False, after
 * it was refused, where there is something in it that is not ours to judge.
 */
static bool
list_fit(struct plan *p, const char *name, const char *item,
    struct list_places *at)
{
	struct list_places counts;

	if (plan_is_set_twice(p, name))
		return false;
	plan_raw(p, NULL, name, raw, sizeof(raw));
	postfix_value(&p->conf, NULL, name, full, sizeof(full));
	list_look(raw, p->classes, at);
	list_look(full, p->classes, &counts);
	if (counts.odd[0] != '\0')
		plan_refuse(p,
		    "main.cf: %s contains `%s', so the right place is not "
		    "obvious: add this by hand, after "
		    "reject_unauth_destination and where every client reaches "
		    "it: %s",
		    name, counts.odd, item);
	else if (at->variable && counts.stopped && !at->stopped)
		plan_refuse(p,
		    "main.cf: %s ends inside one of its $parameters: add this "
		    "there, before the final permit or reject: %s",
		    name, item);
	else
		return true;
	return false;
}

/* --- port 25 --- */

/* One service of port 25. True if it shall ask. */
static bool
mx_wants(struct plan *p, const struct postfix_service *s)
{
	char target[POSTFIX_TARGET_MAX], relay[256];

	switch (plan_asked(p, s, false, target)) {
	case PLAN_ASKED:
		plan_note(p, "%s/%s asks abichecker", s->name, s->type);
		return false;
	case PLAN_ASKED_OTHER:
		plan_refuse(p,
		    "%s/%s already asks abichecker, as %s: remove that first, "
		    "or leave everything as it is",
		    s->name, s->type, target);
		return false;
	case PLAN_ASKED_VAIN:
		plan_refuse(p,
		    "%s/%s asks abichecker where no client reaches it, after "
		    "a permit or reject: move check_policy_service before that",
		    s->name, s->type);
		return false;
	default:
		break;
	}
	postfix_value(&p->conf, s, RELAY, relay, sizeof(relay));
	if (plan_raw(p, s, RECIPIENT, raw, sizeof(raw)))
		plan_refuse(p,
		    "master.cf: %s/%s has its own -o " RECIPIENT
		    ": add this to it, after reject_unauth_destination: %s",
		    s->name, s->type, PLAN_ITEM);
	else if (relay[strspn(relay, POSTFIX_SEPARATORS)] == '\0')
		plan_refuse(p,
		    "%s/%s: " RELAY " is empty, so " RECIPIENT
		    " decides who may relay: set the first, as with sudo "
		    "postconf -e '" RELAY " = " USERS
		    ", defer_unauth_destination', or add by hand to the "
		    "second, after reject_unauth_destination: %s",
		    s->name, s->type, PLAN_ITEM);
	else
		return true;
	return false;
}

/* Adds the item to the list of main.cf. */
static void
mx_edit(struct plan *p)
{
	struct list_places at;
	char *with;

	if (!list_fit(p, RECIPIENT, PLAN_ITEM, &at))
		return;
	if (at.relay > at.stop) {
		plan_refuse(p,
		    "main.cf: " RECIPIENT " has reject_unauth_destination "
		    "after a permit or reject that no client passes: fix the "
		    "order, then add: %s",
		    PLAN_ITEM);
		return;
	}
	with = list_with(raw, at.stop,
	    at.stop == 0 && !at.stopped ? USERS ", " PLAN_ITEM : PLAN_ITEM);
	if (with == NULL)
		p->failed = true;
	else
		plan_edit(p, "-e", RECIPIENT, raw, with);
	free(with);
}

static void
part_mx(struct plan *p)
{
	const struct postfix_service *s;
	size_t i, services = 0, want = 0;

	for (i = 0; i < p->conf.count; i++) {
		s = &p->conf.services[i];
		if (!is_mx(s))
			continue;
		services++;
		want += mx_wants(p, s);
	}
	if (services == 0)
		plan_refuse(p, "master.cf has no smtpd service on port 25");
	if (services == 0 || p->refused > 0)
		return;
	plan_service(p);
	if (want > 0)
		mx_edit(p);
}

/* --- submission --- */

/* The parameter that the services name, since -o takes no long items. */
static void
auth_edit(struct plan *p)
{
	struct cf_entry e;
	const char *value;

	/* postconf is silent of one that nothing names yet. */
	raw[0] = '\0';
	if (cf_find(CF_MAIN, p->main_cf, PLAN_AUTH, &e) > 0) {
		snprintf(raw, sizeof(raw), "%.*s", (int)e.len, e.text);
		value = raw + strcspn(raw, "=");
		value += *value == '=';
		memmove(raw, value, strlen(value) + 1);
	}
	if (plan_is_set_twice(p, PLAN_AUTH) ||
	    list_has(raw, "check_policy_service", PLAN_TARGET))
		return;
	if (raw[strspn(raw, POSTFIX_SEPARATORS)] != '\0')
		plan_refuse(p,
		    "main.cf: " PLAN_AUTH " already has another value: set it "
		    "to: %s",
		    PLAN_ITEM);
	else
		plan_edit(p, "-e", PLAN_AUTH, "", PLAN_ITEM);
}

static void
submission_refuse(struct plan *p, const struct postfix_service *s,
    const char *why, const char *what)
{
	plan_refuse(p,
	    "%s/%s: %s: %s; with, in main.cf, " PLAN_AUTH " = %s", s->name,
	    s->type, why, what, PLAN_ITEM);
}

/* Its own list with our item, as -P takes it. */
static void
override_edit(struct plan *p, const struct postfix_service *s)
{
	struct list_places at;
	char name[3 * POSTFIX_NAME_MAX], *with;

	if (list_has(raw, "$" PLAN_AUTH, NULL))
		return; /* and only the parameter is missing */
	list_look(raw, p->classes, &at);
	if (at.odd[0] != '\0') {
		submission_refuse(p, s,
		    "its own -o " CLIENT " has a restriction class",
		    "add $" PLAN_AUTH " there, before "
		    "permit_sasl_authenticated");
		return;
	}
	/* What is in a parameter may permit. */
	with = list_with(
	    raw, at.variable && at.users == at.stop ? 0 : at.users,
	    "$" PLAN_AUTH);
	snprintf(name, sizeof(name), "%s/%s/" CLIENT, s->name, s->type);
	if (with == NULL)
		p->failed = true;
	else if (!list_squeeze(with))
		submission_refuse(p, s,
		    "its own -o " CLIENT " has braces, which postconf -P "
		    "cannot write",
		    "add $" PLAN_AUTH " there, before "
		    "permit_sasl_authenticated");
	else
		plan_edit(p, "-P", name, raw, with);
	free(with);
}

/* One service of users. True if it asks, or shall. */
static void
submission_edit(struct plan *p, const struct postfix_service *s)
{
	char delay[16];

	postfix_value(
	    &p->conf, s, "smtpd_delay_reject", delay, sizeof(delay));
	if (strcmp(delay, "yes") != 0)
		submission_refuse(p, s,
		    "smtpd_delay_reject is not yes, so the user is not known "
		    "in client restrictions",
		    "set it to yes, or add $" PLAN_AUTH
		    " to its smtpd_sender_restrictions");
	else if (plan_raw(p, s, CLIENT, raw, sizeof(raw)))
		override_edit(p, s);
	else {
		plan_raw(p, NULL, CLIENT, raw, sizeof(raw));
		if (raw[strspn(raw, POSTFIX_SEPARATORS)] == '\0')
			override_edit(p, s);
		else
			submission_refuse(p, s,
			    "it has no -o " CLIENT " of its own, and that of "
			    "main.cf is not empty",
			    "give it one, as with sudo postconf -P "
			    "'submission/inet/" CLIENT "=$" PLAN_AUTH
			    ",permit_sasl_authenticated,reject'");
	}
}

static void
part_submission(struct plan *p)
{
	const struct postfix_service *s;
	char target[POSTFIX_TARGET_MAX];
	size_t i, services = 0, refused = p->refused;
	bool want = false;

	for (i = 0; i < p->conf.count; i++) {
		s = &p->conf.services[i];
		if (!is_submission(p, s))
			continue;
		services++;
		switch (plan_asked(p, s, true, target)) {
		case PLAN_ASKED:
			plan_note(p, "%s/%s asks abichecker about users",
			    s->name, s->type);
			break;
		case PLAN_ASKED_OTHER:
			plan_refuse(p,
			    "%s/%s already asks abichecker, as %s: remove that "
			    "first, or leave everything as it is",
			    s->name, s->type, target);
			break;
		default:
			submission_edit(p, s);
			want = true;
		}
	}
	if (services == 0 && p->wish->submission_must)
		plan_refuse(p,
		    "master.cf has no submission service: none on port 587 or "
		    "465, or with -o smtpd_sasl_auth_enable=yes");
	else if (services == 0)
		plan_note(p, "master.cf has no submission service");
	if (services == 0 || p->refused > refused)
		return;
	if (want)
		auth_edit(p);
	if (!p->wish->mx)
		plan_service(p);
}

/* --- the map --- */

/* Is it looked up already where the list counts? */
static bool
map_has(struct plan *p, const struct postfix_service *s)
{
	postfix_value(&p->conf, s, CLIENT, full, sizeof(full));
	return list_has(full, "check_client_access", p->wish->map);
}

/* Beyond the maps that are looked up at a place: they may have exceptions. */
static size_t
after_maps(const char *list, size_t at)
{
	const char *s = list + at, *item;
	size_t n;

	while ((n = postfix_item(&s, &item)) == strlen("check_client_access") &&
	       strncmp(item, "check_client_access", n) == 0) {
		postfix_item(&s, &item);
		at = (size_t)(s - list);
	}
	return at;
}

static void
map_edit(struct plan *p)
{
	struct list_places at;
	char item[2 * PATH_MAX], *with;

	snprintf(item, sizeof(item), "check_client_access %s", p->wish->map);
	if (!list_fit(p, CLIENT, item, &at))
		return;
	if (at.permits == 0 && !at.variable)
		snprintf(item, sizeof(item), USERS ", check_client_access %s",
		    p->wish->map);
	with = list_with(raw,
	    at.permits > 0 ? after_maps(raw, at.permits) : at.stop, item);
	if (with == NULL)
		p->failed = true;
	else
		plan_edit(p, "-e", CLIENT, raw, with);
	free(with);
}

static void
part_map(struct plan *p)
{
	const struct postfix_service *s;
	size_t i, refused = p->refused, services = 0;
	bool want = false;

	for (i = 0; i < p->conf.count; i++) {
		s = &p->conf.services[i];
		if (!is_mx(s))
			continue;
		services++;
		if (map_has(p, s))
			plan_note(p, "%s/%s looks up %s", s->name, s->type,
			    p->wish->map);
		else if (plan_raw(p, s, CLIENT, raw, sizeof(raw)))
			plan_refuse(p,
			    "master.cf: %s/%s has its own -o " CLIENT
			    ": add this to it, after "
			    "permit_sasl_authenticated: check_client_access "
			    "%s",
			    s->name, s->type, p->wish->map);
		else
			want = true;
	}
	if (services == 0)
		plan_refuse(p, "master.cf has no smtpd service on port 25");
	if (want && p->refused == refused)
		map_edit(p);
}

/* --- all of it --- */

static bool
read_all(struct plan *p, const char *directory, char *error, size_t size)
{
	if (!postfix_read(&p->conf, directory, error, size))
		return false;
	p->raw = postfix_output(directory, NULL, error, size);
	if (p->raw == NULL)
		return false;
	p->raw_overrides = postfix_output(directory, "-P", error, size);
	if (p->raw_overrides == NULL)
		return false;
	if (p->conf.cut) {
		snprintf(error, size, "master.cf has more than %d services",
		    POSTFIX_SERVICES_MAX);
		return false;
	}
	return true;
}

static bool
parts_make(struct plan *p, const char *directory, char *error, size_t size)
{
	const struct plan_wish *wish = p->wish;
	char version[32];

	if (!read_all(p, directory, error, size))
		return false;
	postfix_value(
	    &p->conf, NULL, "mail_version", version, sizeof(version));
	if (version[0] < '3' && strchr(version, '.') == version + 1) {
		snprintf(error, size,
		    "Postfix %s is too old: 3.0 or later is needed", version);
		return false;
	}
	postfix_value(&p->conf, NULL, "smtpd_restriction_classes", p->classes,
	    sizeof(p->classes));
	if (wish->mx)
		part_mx(p);
	if (wish->submission)
		part_submission(p);
	if (wish->map != NULL)
		part_map(p);
	if (p->failed)
		snprintf(error, size, "out of memory, or too much to say");
	return !p->failed;
}

struct plan *
plan_make(const struct plan_wish *wish, const char *directory,
    const char *main_cf, char *error, size_t size)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	p->wish = wish;
	p->main_cf = main_cf;
	if (parts_make(p, directory, error, size))
		return p;
	plan_free(p);
	return NULL;
}
