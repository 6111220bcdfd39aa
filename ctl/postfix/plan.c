/*
 * plan - what is to be changed in one instance of Postfix.
 */
#include "ctl/postfix/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void
plan_edit(struct plan *p, const char *option, const char *name,
    const char *before, const char *after)
{
	struct plan_edit *e = &p->edits[p->count];

	if (p->count == PLAN_EDITS_MAX) {
		p->failed = true;
		return;
	}
	p->count++;
	e->option = option;
	e->before = strdup(before);
	e->after = strdup(after);
	if (strchr(option, 'X') != NULL)
		e->setting = strdup(name);
	else if (asprintf(&e->setting, "%s%s%s", name,
		     strcmp(option, "-e") == 0 ? " = " : "=", after) < 0)
		e->setting = NULL;
	if (e->before == NULL || e->after == NULL || e->setting == NULL)
		p->failed = true;
}

static void
line_add(struct plan *p, char *lines[], size_t *count, const char *fmt,
    va_list ap)
{
	if (*count == PLAN_LINES_MAX ||
	    vasprintf(&lines[*count], fmt, ap) < 0)
		p->failed = true;
	else
		(*count)++;
}

void
plan_refuse(struct plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add(p, p->refusals, &p->refused, fmt, ap);
	va_end(ap);
}

void
plan_note(struct plan *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_add(p, p->notes, &p->noted, fmt, ap);
	va_end(ap);
}

const struct postfix_service *
plan_service_find(const struct plan *p, const char *name, const char *type)
{
	const struct postfix_service *s;

	for (s = p->conf.services; s < p->conf.services + p->conf.count; s++)
		if (strcmp(s->name, name) == 0 && strcmp(s->type, type) == 0)
			return s;
	return NULL;
}

bool
plan_raw(const struct plan *p, const struct postfix_service *s,
    const char *name, char *out, size_t size)
{
	char full[3 * POSTFIX_NAME_MAX];
	bool found;
	char *c;

	if (s != NULL) {
		snprintf(
		    full, sizeof(full), "%s/%s/%s", s->name, s->type, name);
		name = full;
	}
	out[0] = '\0';
	found = postfix_line(
	    s != NULL ? p->raw_overrides : p->raw, name, out, size);
	/* A main.cf from another system has them at the ends of its lines. */
	for (c = out; (c = strchr(c, '\r')) != NULL;)
		*c = ' ';
	return found;
}

bool
plan_is_set_twice(struct plan *p, const char *name)
{
	struct cf_entry e;

	if (cf_find(CF_MAIN, p->main_cf, name, &e) < 2)
		return false;
	plan_refuse(p,
	    "%s is set more than once in main.cf, and the last one counts: "
	    "remove the others",
	    name);
	return true;
}

enum plan_asked
plan_asked(const struct plan *p, const struct postfix_service *s, bool users,
    char target[POSTFIX_TARGET_MAX])
{
	static struct postfix_ask asks[POSTFIX_ASKS_MAX];
	size_t count = postfix_asks(&p->conf, s, asks), i;
	enum plan_asked result = PLAN_ASKED_NOT;
	const struct postfix_service *to;
	bool ours, usual;

	target[0] = '\0';
	for (i = 0; i < count; i++) {
		to = postfix_listener(&p->conf, asks[i].target);
		ours = to != NULL ? postfix_is_ours(to) :
				    strstr(asks[i].target, "abichecker") !=
					NULL;
		usual = strcmp(asks[i].target, PLAN_TARGET) == 0;
		if (!ours)
			continue;
		if (!(users ? asks[i].users : asks[i].strangers))
			result = PLAN_ASKED_VAIN;
		else if (usual)
			return PLAN_ASKED;
		else {
			memcpy(target, asks[i].target, POSTFIX_TARGET_MAX);
			return PLAN_ASKED_OTHER;
		}
	}
	return result;
}

/* --- the service --- */

/* Is it a service in a chroot, where "-" means that since or before when? */
static bool
is_chrooted(const struct plan *p, const struct postfix_service *s)
{
	char level[32];

	postfix_value(
	    &p->conf, NULL, "compatibility_level", level, sizeof(level));
	return s->chroot == 'y' || (s->chroot == '-' && level[0] == '0');
}

/* What is wrong with a service that has our name; NULL if nothing is. */
static const char *
service_unfit(const struct plan *p, const struct postfix_service *s)
{
	char program[POSTFIX_COMMAND_MAX];
	const char *base;

	postfix_argument(s, "argv", program, sizeof(program));
	base = strrchr(program, '/');
	base = base != NULL ? base + 1 : program;
	if (strcmp(s->program, "spawn") != 0 ||
	    strncmp(base, "abichecker", strlen("abichecker")) != 0)
		return "it does not run abichecker under spawn: rename or "
		       "remove it";
	if (s->is_private == 'n')
		return "it is not private, so its socket is elsewhere: sudo "
		       "postconf -F abichecker/unix/private=y";
	if (is_chrooted(p, s))
		return "it runs in a chroot, where the filter finds no files: "
		       "sudo postconf -F abichecker/unix/chroot=n";
	return NULL;
}

void
plan_service(struct plan *p)
{
	const struct postfix_service *s =
	    plan_service_find(p, PLAN_SERVICE, "unix");
	char line[POSTFIX_COMMAND_MAX], user[POSTFIX_NAME_MAX];
	const char *unfit = s != NULL ? service_unfit(p, s) : NULL;
	struct cf_entry limit;

	if (unfit != NULL)
		plan_refuse(p, "master.cf: abichecker/unix: %s", unfit);
	else if (s != NULL) {
		postfix_argument(s, "user", user, sizeof(user));
		plan_note(p,
		    "master.cf: abichecker/unix is there (user %s)", user);
	} else {
		snprintf(line, sizeof(line),
		    "abichecker unix - n n - 0 spawn user=%s argv=%s",
		    p->wish->user, p->wish->command);
		plan_edit(p, "-M", "abichecker/unix", "", line);
	}
	if (cf_find(CF_MAIN, p->main_cf, PLAN_LIMIT, &limit) == 0)
		plan_edit(p, "-e", PLAN_LIMIT, "", "3600");
}

void
plan_free(struct plan *p)
{
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->count; i++) {
		free(p->edits[i].setting);
		free(p->edits[i].before);
		free(p->edits[i].after);
	}
	for (i = 0; i < p->refused; i++)
		free(p->refusals[i]);
	for (i = 0; i < p->noted; i++)
		free(p->notes[i]);
	postfix_release(&p->conf);
	free(p->raw);
	free(p->raw_overrides);
	free(p);
}
