/*
 * undo - how the files of an instance are without what `enable' has changed.
 *
 * An entry that is as enable left it becomes what it was, byte for byte. In
 * one that somebody has changed since, only our item goes.
 */
#include "ctl/postfix/undo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/postfix/list.h"

#define KEYS_MAX 64

/* Entries that somebody has changed. */
struct changed {
	enum cf_kind kind[KEYS_MAX];
	char key[KEYS_MAX][CF_KEY_MAX];
	size_t count;
};

static char value[POSTFIX_VALUE_MAX];

static void
changed_note(void *arg, enum cf_kind kind, const char *key)
{
	struct changed *c = arg;

	if (c->count == KEYS_MAX)
		return;
	c->kind[c->count] = kind;
	snprintf(c->key[c->count], CF_KEY_MAX, "%s", key);
	c->count++;
}

/* What stays while somebody else asks the service. */
static bool
is_kept(void *arg, enum cf_kind kind, const char *key)
{
	(void)arg;
	return kind == CF_MASTER ? strcmp(key, PLAN_SERVICE "/unix") == 0 :
				   strcmp(key, PLAN_LIMIT) == 0 ||
		    strcmp(key, PLAN_AUTH) == 0;
}

/* --- where somebody has changed something --- */

/* Takes the maps out that enable put in. Takes `list'. */
static char *
maps_without(char *list, const struct files *f, const char *key, int *count)
{
	struct cf_entry was = {.text = ""}, made;
	char *text, *old, *shorter;
	const char *s, *item;
	size_t n;
	int times;

	if (cf_find(CF_MAIN, f->after[CF_MAIN], key, &made) == 0)
		return list;
	cf_find(CF_MAIN, f->before[CF_MAIN], key, &was);
	text = strndup(made.text, made.len);
	old = strndup(was.text, was.len);
	for (s = text; list != NULL && s != NULL && old != NULL &&
	     (n = postfix_item(&s, &item)) > 0;) {
		if (strncmp(item, "check_client_access", n) != 0)
			continue;
		n = postfix_item(&s, &item);
		snprintf(value, sizeof(value), "%.*s", (int)n, item);
		if (list_has(old, "check_client_access", value))
			continue;
		shorter =
		    list_without(list, "check_client_access", value, &times);
		free(list);
		list = shorter;
		*count += times;
	}
	free(text);
	free(old);
	return list;
}

static void
main_edit(struct plan *p, const struct files *f, const char *key)
{
	struct cf_entry was;
	char before[POSTFIX_VALUE_MAX], *list;
	int count;

	if (strcmp(key, PLAN_LIMIT) == 0 || strcmp(key, PLAN_AUTH) == 0) {
		if (cf_find(CF_MAIN, f->before[CF_MAIN], key, &was) > 0) {
			plan_note(p, "main.cf: %s stays", key);
			return;
		}
		plan_raw(p, NULL, key, before, sizeof(before));
		plan_edit(p, "-X", key, before, "");
		return;
	}
	plan_raw(p, NULL, key, before, sizeof(before));
	list =
	    list_without(before, "check_policy_service", PLAN_TARGET, &count);
	if (list != NULL)
		list = maps_without(list, f, key, &count);
	if (list == NULL)
		p->failed = true;
	else if (count > 0)
		plan_edit(p, "-e", key, before, list);
	free(list);
}

static void
master_edit(struct plan *p, const char *key)
{
	const struct postfix_service *s = NULL;
	char name[POSTFIX_NAME_MAX], full[3 * POSTFIX_NAME_MAX], *list;
	const char *slash = strrchr(key, '/');
	int count;

	snprintf(name, sizeof(name), "%.*s", (int)(slash - key), key);
	s = plan_service_find(p, name, slash + 1);
	if (strcmp(key, PLAN_SERVICE "/unix") == 0) {
		plan_edit(p, "-MX", key, key, "");
		return;
	}
	if (s == NULL ||
	    !plan_raw(p, s, "smtpd_client_restrictions", value, sizeof(value)))
		return;
	list = list_without(value, "$" PLAN_AUTH, NULL, &count);
	snprintf(full, sizeof(full), "%s/smtpd_client_restrictions", key);
	if (list == NULL)
		p->failed = true;
	else if (count > 0 && list[0] == '\0')
		plan_edit(p, "-PX", full, value, "");
	else if (count > 0 && !list_squeeze(list))
		plan_note(p,
		    "master.cf: %s has braces in its -o "
		    "smtpd_client_restrictions: take $" PLAN_AUTH " out by "
		    "hand",
		    key);
	else if (count > 0)
		plan_edit(p, "-P", full, value, list);
	free(list);
}

/* --- all of it --- */

static const struct plan_wish nothing;

/* Reads the staged files as an instance. */
static bool
staged_read(struct undo *u, struct files *f, char *error, size_t size)
{
	plan_free(u->plan);
	u->plan = plan_make(&nothing, f->staging, u->text[CF_MAIN], error,
	    size);
	return u->plan != NULL;
}

/* Puts texts back as far as they are ours to put back, then edits the rest. */
static bool
texts_make(struct undo *u, struct files *f, struct changed *c, char *error,
    size_t size)
{
	const struct cf_undo how = {.edited = changed_note, .arg = c,
	    .keep = u->keep ? is_kept : NULL};
	char *result[CF_FILES];
	size_t i;
	int k;

	c->count = 0;
	for (k = 0; k < CF_FILES; k++) {
		free(u->text[k]);
		u->text[k] = cf_undo((enum cf_kind)k, f->before[k],
		    f->after[k], f->text[k], &how);
		if (u->text[k] == NULL) {
			snprintf(error, size, "out of memory");
			return false;
		}
	}
	if (!files_stage(f, u->text, NULL, 0, result, error, size))
		return false;
	free(result[0]);
	free(result[1]);
	if (!staged_read(u, f, error, size))
		return false;
	for (i = 0; i < c->count; i++)
		if (c->kind[i] == CF_MAIN)
			main_edit(u->plan, f, c->key[i]);
		else
			master_edit(u->plan, c->key[i]);
	if (u->plan->failed) {
		snprintf(error, size, "out of memory");
		return false;
	}
	if (!files_stage(f, u->text, u->plan->edits, u->plan->count, result,
		error, size))
		return false;
	for (k = 0; k < CF_FILES; k++) {
		free(u->text[k]);
		u->text[k] = result[k];
	}
	return true;
}

/* Who would ask a service that is gone; NULL: nobody. */
static const struct postfix_service *
left_alone(const struct postfix *p)
{
	static struct postfix_ask asks[POSTFIX_ASKS_MAX];
	size_t i, k, count;

	for (i = 0; i < p->count; i++) {
		if (strcmp(p->services[i].program, "smtpd") != 0)
			continue;
		count = postfix_asks(p, &p->services[i], asks);
		for (k = 0; k < count; k++)
			if (strcmp(asks[k].target, PLAN_TARGET) == 0 &&
			    postfix_listener(p, PLAN_TARGET) == NULL)
				return &p->services[i];
	}
	return NULL;
}

/* Does somebody still ask? Then the service has to stay. */
static bool
asks_left(struct undo *u, struct files *f, bool *left, char *error,
    size_t size)
{
	struct plan *p = plan_make(&nothing, f->staging, u->text[CF_MAIN],
	    error, size);

	if (p == NULL)
		return false;
	*left = left_alone(&p->conf) != NULL;
	plan_free(p);
	return true;
}

bool
undo_make(struct undo *u, struct files *f, char *error, size_t size)
{
	static struct changed c;
	bool left, whole;
	int k;

	if (!texts_make(u, f, &c, error, size))
		return false;
	whole = true;
	for (k = 0; k < CF_FILES; k++)
		whole &= strcmp(u->text[k], f->before[k]) == 0;
	/* As it was, with all that was wrong with it. */
	if (whole)
		return true;
	if (!asks_left(u, f, &left, error, size))
		return false;
	if (!left)
		return true;
	u->keep = true;
	return texts_make(u, f, &c, error, size);
}

void
undo_release(struct undo *u)
{
	free(u->text[0]);
	free(u->text[1]);
	plan_free(u->plan);
}
