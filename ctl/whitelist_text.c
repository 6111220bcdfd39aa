/*
 * whitelist_text - the lines of a whitelist as a person has written them.
 */
#include "ctl/whitelist_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define BLANKS " \t\r"

/* Cuts blanks off both ends of n bytes. */
static const char *
inner(const char *s, size_t *n)
{
	while (*n > 0 && strchr(BLANKS, *s) != NULL) {
		s++;
		--*n;
	}
	while (*n > 0 && strchr(BLANKS, s[*n - 1]) != NULL)
		--*n;
	return s;
}

/* The comment of n bytes behind an entry, without its `#'. */
static void
note_copy(struct whitelist_line *l, const char *comment, size_t n)
{
	char raw[sizeof(l->note)];

	while (n > 0 && *comment == '#') {
		comment++;
		n--;
	}
	comment = inner(comment, &n);
	if (n >= sizeof(raw))
		n = sizeof(raw) - 1;
	memcpy(raw, comment, n);
	raw[n] = '\0';
	text_printable(l->note, sizeof(l->note), raw);
}

/* The entry of n bytes. */
static void
entry_copy(struct whitelist_line *l, const char *entry, size_t n)
{
	const char *doubt;

	if (n >= sizeof(l->entry)) {
		l->said = "not a host name";
		return;
	}
	memcpy(l->entry, entry, n);
	l->entry[n] = '\0';
	l->said = hostlist_entry(l->entry, l->form, sizeof(l->form), &doubt);
	if (l->said != NULL)
		l->form[0] = '\0';
	else
		l->said = doubt;
}

bool
whitelist_next(const char **cursor, struct whitelist_line *l)
{
	const char *s = *cursor;
	size_t n, end;

	if (*s == '\0')
		return false;
	l->number++;
	l->text = s;
	end = strcspn(s, "\n");
	l->len = end + (s[end] == '\n');
	*cursor = s + l->len;
	l->entry[0] = l->form[0] = l->note[0] = '\0';
	l->said = NULL;
	n = strcspn(s, "#\n");
	if (s[n] == '#')
		note_copy(l, s + n, end - n);
	s = inner(s, &n);
	if (n > 0)
		entry_copy(l, s, n);
	return true;
}

char *
whitelist_with(const char *text, const char *entry, const char *note)
{
	size_t n = strlen(text);
	char *changed;

	if (asprintf(&changed, "%s%s%s%s%s\n", text,
		n > 0 && text[n - 1] != '\n' ? "\n" : "", entry,
		note[0] != '\0' ? "  # " : "", note) < 0)
		return NULL;
	return changed;
}

char *
whitelist_without(const char *text, const char *form, size_t *lines)
{
	struct whitelist_line l = { .number = 0 };
	char *changed = malloc(strlen(text) + 1), *end = changed;

	*lines = 0;
	if (changed == NULL)
		return NULL;
	while (whitelist_next(&text, &l)) {
		if (l.form[0] != '\0' && strcmp(l.form, form) == 0) {
			++*lines;
			continue;
		}
		memcpy(end, l.text, l.len);
		end += l.len;
	}
	*end = '\0';
	return changed;
}
