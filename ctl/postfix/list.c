/*
 * list - a list of restrictions as it is written in main.cf or after -o.
 */
#include "ctl/postfix/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool
is_word(const char *item, size_t n, const char *word)
{
	return strlen(word) == n && strncmp(item, word, n) == 0;
}

static bool
is_one_of(const char *item, size_t n, const char *const words[])
{
	for (; *words != NULL; words++)
		if (is_word(item, n, *words))
			return true;
	return false;
}

/* What one item that begins at `at' means for the places. */
static void
place_note(struct list_places *l, const char *item, size_t n, size_t at,
    const char *classes)
{
	static const char *const ends[] = {
	    "permit", "reject", "defer", NULL};
	static const char *const relays[] = {
	    "reject_unauth_destination", "defer_unauth_destination", NULL};
	static const char *const permits[] = {
	    "permit_mynetworks", "permit_sasl_authenticated", NULL};
	bool is_odd = text_listed(classes, item, n) ||
		      is_word(item, n, "permit_auth_destination");

	if (is_odd && l->odd[0] == '\0')
		snprintf(l->odd, sizeof(l->odd), "%.*s", (int)n, item);
	if (is_one_of(item, n, relays))
		l->relay = at + n;
	if (l->stopped)
		return;
	if (is_one_of(item, n, ends)) {
		l->stopped = true;
		l->stop = at;
		return;
	}
	if (is_word(item, n, permits[1]) && l->users == (size_t)-1)
		l->users = at;
	if (is_one_of(item, n, permits))
		l->permits = at + n;
	l->stop = at + n;
}

void
list_look(const char *list, const char *classes, struct list_places *l)
{
	const char *s = list, *item;
	bool by_way = false; /* the item before only warns of this one */
	size_t n;

	*l = (struct list_places){.users = (size_t)-1};
	while ((n = postfix_item(&s, &item)) > 0) {
		l->variable |= memchr(item, '$', n) != NULL;
		if (!by_way)
			place_note(l, item, n, (size_t)(item - list), classes);
		else if (!l->stopped)
			l->stop = (size_t)(item - list) + n;
		by_way = is_word(item, n, "warn_if_reject");
	}
	if (l->users == (size_t)-1)
		l->users = l->stop;
}

/* Is this the argument that is meant? Of braces their first word counts. */
static bool
is_argument(const char *item, size_t n, const char *word)
{
	if (n > 0 && *item == '{') {
		item += 1 + strspn(item + 1, POSTFIX_SEPARATORS);
		n = strcspn(item, POSTFIX_SEPARATORS "}");
	}
	return is_word(item, n, word);
}

bool
list_has(const char *list, const char *word, const char *next)
{
	const char *item, *after;
	size_t n;

	while ((n = postfix_item(&list, &item)) > 0) {
		if (!is_word(item, n, word))
			continue;
		if (next == NULL)
			return true;
		after = list;
		n = postfix_item(&after, &item);
		if (is_argument(item, n, next))
			return true;
	}
	return false;
}

/* How much of a list is left without the separators at its end. */
static size_t
trimmed(const char *list, size_t n)
{
	while (n > 0 && strchr(POSTFIX_SEPARATORS, list[n - 1]) != NULL)
		n--;
	return n;
}

/* What is before and after a place, and maybe something between. */
static char *
joined(const char *list, size_t before, size_t after, const char *between)
{
	size_t from = strspn(list, POSTFIX_SEPARATORS);
	size_t head = trimmed(list, before), size;
	const char *tail = list + after;
	char *out;

	head = head > from ? head - from : 0;
	tail += strspn(tail, POSTFIX_SEPARATORS);
	size = strlen(list) + strlen(between) + 8;
	out = malloc(size);
	if (out == NULL)
		return NULL;
	snprintf(out, size, "%.*s%s%s%s%.*s", (int)head, list + from,
	    head > 0 && (*between != '\0' || *tail != '\0') ? ", " : "",
	    between, *between != '\0' && *tail != '\0' ? ", " : "",
	    (int)trimmed(tail, strlen(tail)), tail);
	return out;
}

char *
list_with(const char *list, size_t at, const char *item)
{
	return joined(list, at, at, item);
}

/* The first place of what is taken out. */
static bool
without_find(const char *list, const char *word, const char *next,
    size_t *start, size_t *end)
{
	const char *s = list, *item, *argument;
	size_t n;

	while ((n = postfix_item(&s, &item)) > 0) {
		if (!is_word(item, n, word))
			continue;
		*start = (size_t)(item - list);
		*end = (size_t)(s - list);
		if (next == NULL)
			return true;
		n = postfix_item(&s, &argument);
		*end = (size_t)(s - list);
		if (is_argument(argument, n, next))
			return true;
	}
	return false;
}

char *
list_without(const char *list, const char *word, const char *next, int *count)
{
	char *now = strdup(list), *shorter;
	size_t start, end;

	*count = 0;
	while (now != NULL && without_find(now, word, next, &start, &end)) {
		shorter = joined(now, start, end, "");
		free(now);
		now = shorter;
		(*count)++;
	}
	return now;
}

bool
list_squeeze(char *list)
{
	char *out = list;
	const char *s = list;
	size_t n;

	if (strchr(list, '{') != NULL)
		return false;
	for (; *s != '\0'; s += n) {
		n = strspn(s, POSTFIX_SEPARATORS);
		if (n > 0)
			*out++ = ',';
		else {
			n = 1;
			*out++ = *s;
		}
	}
	*out = '\0';
	return true;
}
