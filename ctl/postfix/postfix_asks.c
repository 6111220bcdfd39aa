/*
 * postfix_asks - whom smtpd(8) asks, and about which clients.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/postfix/postfix_conf.h"
#include "base/text.h"

#define ITEMS_MAX 100000 /* in all: classes may name each other in a circle */

/* A walk through the restrictions of a service. */
struct walk {
	const struct postfix *p;
	const struct postfix_service *service;
	struct postfix_ask *asks;
	size_t count;
	char classes[POSTFIX_VALUE_MAX];
	long items;
	bool users, strangers; /* who comes as far as here in this list */
	bool early;	       /* the list is evaluated before MAIL */
	int depth;	       /* of classes in classes */
};

size_t
postfix_item(const char **s, const char **start)
{
	int depth = 0;
	const char *p;

	*s += strspn(*s, POSTFIX_SEPARATORS);
	*start = *s;
	for (p = *s; *p != '\0'; p++) {
		depth += (*p == '{') - (*p == '}');
		if (depth <= 0 && strchr(POSTFIX_SEPARATORS, *p) != NULL)
			break;
		if (depth == 0 && *p == '}') {
			p++;
			break;
		}
	}
	*s = p;
	return (size_t)(p - *start);
}

/* Is a setting, as timeout, given in braces after a target? */
static bool
has_setting(const char *text, size_t n, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = text; at + len <= text + n; at++)
		if (strncmp(at, name, len) == 0 && at > text &&
		    strchr(POSTFIX_SEPARATORS "{", at[-1]) != NULL)
			return true;
	return false;
}

/* Notes the target that follows check_policy_service. */
static void
walk_ask(struct walk *w, const char *text, size_t n)
{
	struct postfix_ask *a;
	char target[POSTFIX_TARGET_MAX];
	const char *word = text;
	size_t i;

	if (n > 0 && *word == '{')
		word += 1 + strspn(word + 1, POSTFIX_SEPARATORS);
	snprintf(target, sizeof(target), "%.*s",
	    (int)strcspn(word, POSTFIX_SEPARATORS "}"), word);
	for (i = 0; i < w->count; i++)
		if (strcmp(w->asks[i].target, target) == 0)
			break;
	if (i == POSTFIX_ASKS_MAX)
		return;
	a = &w->asks[i];
	if (i == w->count) {
		w->count++;
		*a = (struct postfix_ask){.has_default = true};
		snprintf(a->target, sizeof(a->target), "%s", target);
	}
	a->has_default &= has_setting(text, n, "default_action");
	a->users_late |= w->users && !w->early;
	a->users |= w->users;
	a->strangers |= w->strangers;
}

static bool
is_word(const char *text, size_t n, const char *word)
{
	return strlen(word) == n && strncmp(text, word, n) == 0;
}

/* Who goes no further than this word? */
static void
walk_end(struct walk *w, const char *word, size_t n)
{
	if (is_word(word, n, "permit") || is_word(word, n, "reject") ||
	    is_word(word, n, "defer"))
		w->users = w->strangers = false;
	else if (is_word(word, n, "permit_sasl_authenticated"))
		w->users = false;
}

static void
walk_list(struct walk *w, const char *list)
{
	char value[POSTFIX_VALUE_MAX], name[POSTFIX_NAME_MAX];
	const char *start;
	size_t n;

	while (w->items++ < ITEMS_MAX &&
	       (n = postfix_item(&list, &start)) > 0) {
		if (is_word(start, n, "check_policy_service")) {
			n = postfix_item(&list, &start);
			walk_ask(w, start, n);
		} else if (is_word(start, n, "warn_if_reject"))
			postfix_item(&list, &start);
		else if (text_listed(w->classes, start, n) && w->depth < 8) {
			snprintf(name, sizeof(name), "%.*s", (int)n, start);
			postfix_value(
			    w->p, w->service, name, value, sizeof(value));
			w->depth++;
			walk_list(w, value);
			w->depth--;
		} else
			walk_end(w, start, n);
	}
}

size_t
postfix_asks(const struct postfix *p, const struct postfix_service *s,
    struct postfix_ask asks[POSTFIX_ASKS_MAX])
{
	static const struct {
		const char *name;
		bool early;
	} lists[] = {{"smtpd_client_restrictions", true},
	    {"smtpd_helo_restrictions", true},
	    {"smtpd_sender_restrictions", false},
	    {"smtpd_relay_restrictions", false},
	    {"smtpd_recipient_restrictions", false},
	    {"smtpd_data_restrictions", false},
	    {"smtpd_end_of_data_restrictions", false}};
	struct walk w = {.p = p, .service = s, .asks = asks};
	char value[POSTFIX_VALUE_MAX];
	size_t i;

	postfix_value(
	    p, s, "smtpd_restriction_classes", w.classes, sizeof(w.classes));
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		w.users = w.strangers = true;
		w.early = lists[i].early;
		postfix_value(p, s, lists[i].name, value, sizeof(value));
		walk_list(&w, value);
	}
	return w.count;
}
