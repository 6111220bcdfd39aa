/*
 * abictl selftest - do the services of Postfix ask us, and as they should?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "ctl/selftest/selftest.h"
#include "ctl/selftest/postfix.h"
#include "base/suggest.h"

/* How people call a service. */
static const char *
label(const struct postfix_service *s, char *out, size_t size)
{
	int port = postfix_port(s);
	const char *name = s->name;

	if (strcmp(s->type, "pass") == 0)
		name = "smtpd behind postscreen";
	else if (port == PORT_SMTP)
		name = "port 25";
	else if (port == PORT_SUBMISSION)
		name = "submission";
	else if (port == PORT_SMTPS && strcmp(name, "submissions") != 0)
		name = "smtps";
	snprintf(out, size,
	    strchr(s->name, ':') != NULL && name != s->name ? "%s (%s)" : "%s",
	    name, s->name);
	return out;
}

/* The place of a target: private/abichecker, 127.0.0.1:9998. */
static const char *
place(const char *target)
{
	return strncmp(target, "unix:", 5) == 0 ||
		       strncmp(target, "inet:", 5) == 0
		   ? target + 5
		   : target;
}

/* A target that is nobody's; which of our services was meant? */
static void
target_tell(
    const struct instance *in, const struct asker *a, const char *target)
{
	char text[512], who[160], own[192];
	const struct postfix_service *s, *meant = NULL;
	const char *base = strrchr(target, '/');
	struct suggest g;
	size_t i;

	suggest_init(&g, place(target));
	for (i = 0; i < in->conf.count; i++) {
		s = &in->conf.services[i];
		if (!postfix_is_ours(s))
			continue;
		if (strcmp(s->type, "unix") == 0)
			snprintf(own, sizeof(own), "%s/%s",
			    s->is_private == 'n' ? "public" : "private",
			    s->name);
		else
			snprintf(own, sizeof(own), "%s", s->name);
		suggest_try(&g, own);
		if (strcmp(s->type, "unix") == 0 && s->is_private == 'n' &&
		    base != NULL && strcmp(base + 1, s->name) == 0)
			meant = s;
	}
	label(a->service, who, sizeof(who));
	if (meant != NULL) {
		say_try(FAIL, selftest_subject(in),
		    selftest_change_column(in, meant, "private", "y"),
		    "%s asks %s, but "
		    "in master.cf the service %s is not private: its socket is "
		    "public/%s",
		    who, place(target), meant->name, meant->name);
		return;
	}
	say_try(FAIL, selftest_subject(in), selftest_where(in, target),
	    "%s asks %s%s, so mail gets a 451 or is not checked",
	    who, place(target),
	    suggest_say(
		&g, ", which is not in master.cf", text, sizeof(text)));
}

/* The command after which a service should answer. */
static const char *
retry(const struct instance *in)
{
	char again[2 * PATH_MAX];
	const char *which = selftest_which(in);

	snprintf(again, sizeof(again), "%s", selftest_abictl("selftest"));
	return selftest_command_line(
	    "sudo postfix %sreload; sudo postfix %scheck; %s", which, which,
	    again);
}

/* One question of a service that is, or should be, for us. True if it is. */
static bool
test_ask(const struct instance *in, const struct asker *a, size_t i)
{
	const struct postfix_ask *ask = &a->asks[i];
	const struct policy_asked *answer = &a->answers[i];
	char who[160];

	if (!selftest_worth_asking(in, ask->target)) {
		if (!in->root || a->there[i] ||
		    postfix_listener(&in->conf, ask->target) != NULL)
			return false;
		target_tell(in, a, ask->target);
		return true;
	}
	label(a->service, who, sizeof(who));
	if (!in->running)
		say(OK, selftest_subject(in), "%s asks %s (not tried)", who,
		    place(ask->target));
	else if (answer->answered)
		say(OK, selftest_subject(in), "%s asks %s: %s", who,
		    place(ask->target), answer->text);
	else
		say_try(FAIL, selftest_subject(in),
		    retry(in),
		    "%s asks %s, which does "
		    "not answer: %s",
		    who, place(ask->target), answer->text);
	return true;
}

/* Is some policy service that is not ours asked, whose default is its own? */
static bool
asks_others(const struct instance *in)
{
	size_t i, k;

	for (i = 0; i < in->count; i++)
		for (k = 0; k < in->askers[i].count; k++)
			if (!selftest_worth_asking(
				in, in->askers[i].asks[k].target))
				return true;
	return false;
}

/* A filter that does not answer: what does Postfix do then? */
static void
test_default(const struct instance *in, const struct asker *a,
    const struct postfix_ask *ask)
{
	char value[256], who[160];

	postfix_value(&in->conf, a->service,
	    "smtpd_policy_service_default_action", value, sizeof(value));
	if (ask->has_default || (value[0] != '4' && value[0] != '5'))
		return;
	say_try(WARN, selftest_subject(in),
	    asks_others(in) ? selftest_where(in, ask->target)
			    : selftest_change(in, "-e",
				  "smtpd_policy_service_default_action=DUNNO"),
	    "%s: without "
	    "default_action=DUNNO mail gets a 451 when the filter does not "
	    "answer",
	    label(a->service, who, sizeof(who)));
}

/* Is there a check in force for clients that have logged in, or for others? */
static bool
any_check(const struct config *cfg, bool users)
{
	int i;

	for (i = 0; policy_checks[i] != NULL; i++)
		if ((policy_checks[i]->audience == AUDIENCE_AUTHENTICATED) ==
			users && config_makes(cfg, policy_checks[i]->name))
			return true;
	return false;
}

/* What a service that should ask and does not is told. */
static void
test_audience(const struct instance *in, const struct asker *a,
    const struct config *cfg, bool asks, bool users, bool strangers)
{
	bool needs_users = postfix_for_users(&in->conf, a->service) &&
			   any_check(cfg, true);
	bool needs_strangers =
	    postfix_for_strangers(a->service) &&
	    any_check(cfg, false);
	char who[160];

	label(a->service, who, sizeof(who));
	if (needs_strangers && !strangers)
		say(WARN, selftest_subject(in),
		    asks ? "%s: clients from outside never reach "
			   "check_policy_service"
			 : "%s does not ask: clients from outside are not "
			   "checked there",
		    who);
	if (needs_users && !users)
		say(WARN, selftest_subject(in),
		    asks || (needs_strangers && strangers)
			? "%s: check_policy_service must come before "
			  "permit_sasl_authenticated, or users are not "
			  "monitored there"
			: "%s does not ask: users are not monitored there",
		    who);
}

/* All of one smtpd service. True if it asks us, or is meant to. */
static bool
test_asker(
    const struct instance *in, const struct asker *a, const struct config *cfg)
{
	bool asks = false, users = false, strangers = false, late = false;
	char delay[16], who[160];
	size_t i;

	for (i = 0; i < a->count; i++) {
		if (!test_ask(in, a, i))
			continue;
		asks = true;
		users |= a->asks[i].users;
		strangers |= a->asks[i].strangers;
		late |= a->asks[i].users_late;
		test_default(in, a, &a->asks[i]);
	}
	postfix_value(
	    &in->conf, a->service, "smtpd_delay_reject", delay, sizeof(delay));
	if (users && !late && postfix_for_users(&in->conf, a->service) &&
	    strcmp(delay, "yes") != 0)
		say_try(WARN, selftest_subject(in),
		    selftest_change(in, "-e", "smtpd_delay_reject=yes"),
		    "%s: smtpd_delay_reject is not yes: client restrictions "
		    "run before the SASL user is known",
		    label(a->service, who, sizeof(who)));
	test_audience(in, a, cfg, asks, users, strangers);
	return asks;
}

/* True if somebody asks us there. */
static bool
test_instance(const struct instance *in, const struct config *cfg)
{
	bool asked = false;
	size_t i;

	for (i = 0; i < in->conf.count; i++)
		if (postfix_is_ours(&in->conf.services[i]))
			selftest_service(in, &in->conf.services[i], cfg);
	if (in->conf.cut)
		say(WARN, selftest_subject(in),
		    "master.cf has too many services: some were not checked");
	if (!in->root)
		say(SKIP, selftest_subject(in),
		    "only root can ask as smtpd does");
	else if (!in->running)
		say_try(WARN, selftest_subject(in),
		    selftest_command_line(
			"sudo postfix %sstart", selftest_which(in)),
		    "not running, so the filter was not tried");
	for (i = 0; i < in->count; i++)
		asked |= test_asker(in, &in->askers[i], cfg);
	return asked;
}

/* An instance of which postconf tells nothing. */
static void
unread_tell(const struct instance *in)
{
	if (strstr(in->error, "not found in") != NULL)
		say(SKIP, selftest_subject(in), "%s", in->error);
	else
		say_try(WARN, selftest_subject(in),
		    selftest_command_line(
			"sudo postconf %s-n", selftest_which(in)),
		    "%s", in->error);
}

void
selftest_postfix(const struct config *cfg)
{
	bool part = false, asked = false;
	size_t i;

	if (selftest_instance_count == 0 || !selftest_instances[0].read) {
		unread_tell(&selftest_instances[0]);
		return;
	}
	for (i = 0; i < selftest_instance_count; i++) {
		if (!selftest_instances[i].read)
			unread_tell(&selftest_instances[i]);
		else if (selftest_instances[i].part ||
			 selftest_instances[i].named) {
			part |= selftest_instances[i].part;
			asked |= test_instance(&selftest_instances[i], cfg);
		}
	}
	if (!part)
		say(WARN, "Postfix",
		    "no spawn service runs abichecker; see "
		    "master.cf.example");
	else if (!asked)
		say(WARN, "Postfix", "no smtpd_*_restrictions ask abichecker");
	selftest_map_read(cfg);
	for (i = 0; i < selftest_instance_count; i++) {
		postfix_release(&selftest_instances[i].conf);
		free(selftest_instances[i].askers);
	}
}
