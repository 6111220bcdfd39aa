/*
 * cf - the text of main.cf and master.cf.
 */
#include "ctl/postfix/cf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHITE " \t\r\v\f"

static size_t
line_length(const char *s)
{
	size_t n = strcspn(s, "\n");

	return n + (s[n] == '\n');
}

/* A comment, or nothing but white space. */
static bool
is_comment(const char *line)
{
	line += strspn(line, WHITE);
	return *line == '#' || *line == '\n' || *line == '\0';
}

static bool
continues(const char *line)
{
	return *line != '\0' && strchr(WHITE, *line) != NULL;
}

static void
key_read(enum cf_kind kind, const char *line, struct cf_entry *e)
{
	size_t n = strcspn(line, kind == CF_MAIN ? "=\n" WHITE : "\n" WHITE);
	const char *type = line + n + strspn(line + n, WHITE);

	if (kind == CF_MAIN)
		snprintf(e->key, sizeof(e->key), "%.*s", (int)n, line);
	else
		snprintf(e->key, sizeof(e->key), "%.*s/%.*s", (int)n, line,
		    (int)strcspn(type, "\n" WHITE), type);
}

bool
cf_next(enum cf_kind kind, const char **s, struct cf_entry *e)
{
	const char *line = *s, *end;

	while (*line != '\0' && (is_comment(line) || continues(line)))
		line += line_length(line);
	*s = line;
	if (*line == '\0')
		return false;
	key_read(kind, line, e);
	e->text = line;
	end = line += line_length(line);
	for (; *line != '\0' && (is_comment(line) || continues(line));
	     line += line_length(line))
		if (!is_comment(line))
			end = line + line_length(line);
	e->len = (size_t)(end - e->text);
	*s = end;
	return true;
}

int
cf_find(enum cf_kind kind, const char *text, const char *key,
    struct cf_entry *e)
{
	struct cf_entry each;
	int count = 0;

	memset(e, 0, sizeof(*e));
	while (cf_next(kind, &text, &each))
		if (strcmp(each.key, key) == 0 && count++ == 0)
			*e = each;
	return count;
}

/* The last line of a file may have no end. */
static bool
is_same(const struct cf_entry *a, const struct cf_entry *b)
{
	size_t n = a->len, m = b->len;

	n -= n > 0 && a->text[n - 1] == '\n';
	m -= m > 0 && b->text[m - 1] == '\n';
	return n == m && memcmp(a->text, b->text, n) == 0;
}

/*
 * Those lines of n bytes that are comments, or those that are none, each with
 * its end; NULL without memory.
 */
static char *
lines_copy(const char *s, size_t n, bool comments)
{
	const char *end = s + n;
	char *out = calloc(n + 2, 1);
	size_t len = 0;

	for (; out != NULL && s < end; s += n) {
		n = line_length(s);
		if (is_comment(s) == comments) {
			memcpy(out + len, s, n);
			len += n;
			if (out[len - 1] != '\n')
				out[len++] = '\n';
		}
	}
	return out;
}

/*
 * The bytes that postconf has moved when it edited an entry: of main.cf the
 * comments between its lines; of master.cf also those up to the next entry.
 */
static size_t
touched(enum cf_kind kind, const struct cf_entry *e)
{
	const char *s = e->text + e->len;

	if (kind == CF_MASTER)
		while (*s != '\0' && is_comment(s))
			s += line_length(s);
	return (size_t)(s - e->text);
}

/*
 * How many bytes after (of main.cf) or before (of master.cf) an entry they
 * are, if they are still there.
 */
static size_t
moved(enum cf_kind kind, const char *text, const struct cf_entry *e,
    const char *comments)
{
	size_t n = strlen(comments);

	if (kind == CF_MASTER && (size_t)(e->text - text) < n)
		return 0;
	return strncmp(kind == CF_MAIN ? e->text + e->len : e->text - n,
		   comments, n) == 0 ? n : 0;
}

/* The text with other bytes in place of those from `from' to `to'. */
static char *
replaced(const char *text, const char *from, const char *to, const char *with)
{
	char *out;

	return asprintf(&out, "%.*s%s%s", (int)(from - text), text, with, to) <
			       0 ? NULL : out;
}

/* Puts the old entry (NULL: none) in the place of the one that is there. */
static char *
entry_back(enum cf_kind kind, const char *text, const struct cf_entry *now,
    const struct cf_entry *old)
{
	const char *from = now->text, *to = from + now->len;
	char *comments, *lines, *out = NULL;
	size_t all, n;

	if (old == NULL)
		return replaced(text, from, to, "");
	all = touched(kind, old);
	comments = lines_copy(old->text, all, true);
	if (asprintf(&lines, "%.*s%s", (int)all, old->text,
		old->text[all - 1] != '\n' ? "\n" : "") < 0)
		lines = NULL;
	if (comments != NULL && lines != NULL) {
		n = moved(kind, text, now, comments);
		if (n == 0 && comments[0] != '\0') {
			free(lines);
			lines = lines_copy(old->text, old->len, false);
		}
		if (kind == CF_MAIN)
			to += n;
		else
			from -= n;
		if (lines != NULL)
			out = replaced(text, from, to, lines);
	}
	free(comments);
	free(lines);
	return out;
}

/* One entry that was changed. Takes `now', and returns what it becomes. */
static char *
entry_undo(enum cf_kind kind, const char *before, const struct cf_entry *made,
    char *now, const struct cf_undo *u)
{
	struct cf_entry old, is;
	bool was = cf_find(kind, before, made->key, &old) > 0;
	char *out;

	if ((was && is_same(&old, made)) ||
	    cf_find(kind, now, made->key, &is) == 0 ||
	    (was && is_same(&old, &is)) ||
	    (u->keep != NULL && u->keep(u->arg, kind, made->key)))
		return now;
	if (!is_same(made, &is)) {
		if (u->edited != NULL)
			u->edited(u->arg, kind, made->key);
		return now;
	}
	out = entry_back(kind, now, &is, was ? &old : NULL);
	free(now);
	return out;
}

char *
cf_undo(enum cf_kind kind, const char *before, const char *after,
    const char *now, const struct cf_undo *u)
{
	char *out;
	const char *s = after;
	struct cf_entry made;

	if (strcmp(now, after) == 0 && u->keep == NULL)
		return strdup(before);
	out = strdup(now);
	if (strcmp(now, before) == 0)
		return out;
	while (out != NULL && cf_next(kind, &s, &made))
		out = entry_undo(kind, before, &made, out, u);
	return out;
}
