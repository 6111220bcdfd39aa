/*
 * userlimits - own limits of single users or domains.
 */
#include "filter/userlimits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"

#define NAME_SIZE 512

struct row {
	char *name; /* "user@domain", "user" or "@domain", lower case */
	struct limits_of of; /* -1 = not named */
	int line;
};

struct limits {
	struct row *rows; /* sorted by name */
	size_t count, room;
};

static int
row_compare(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name,
	    ((const struct row *)b)->name);
}

/* For sorting: of the same name the one that came first. */
static int
row_order(const void *a, const void *b)
{
	int c = row_compare(a, b);

	return c != 0 ? c :
	    ((const struct row *)a)->line - ((const struct row *)b)->line;
}

/* One `name=number`. NULL, or what is wrong with it. */
static const char *
limit_parse(char *word, struct limits_of *of)
{
	char *value = strchr(word, '=');

	if (value == NULL)
		return "expected `countries=N' or `addresses=N'";
	*value++ = '\0';
	if (strcmp(word, "countries") == 0)
		return text_number(value, 0, 676, &of->countries) ? NULL :
		    "countries must be a number from 0 to 676";
	if (strcmp(word, "addresses") == 0)
		return text_number(value, 0, 1000000, &of->addresses) ? NULL :
		    "addresses must be a number from 0 to 1000000";
	return "unknown limit";
}

static const char *
line_parse(struct limits *l, char *line, int number)
{
	struct row row = { .of = { -1, -1 }, .line = number }, *rows;
	char *save, *word = strtok_r(line, " \t", &save);
	const char *wrong;

	if (strlen(word) >= NAME_SIZE)
		return "the name is too long";
	row.name = word;
	text_lower(row.name);
	word = strtok_r(NULL, " \t", &save);
	if (word == NULL)
		return "no limit after the name";
	for (; word != NULL; word = strtok_r(NULL, " \t", &save)) {
		wrong = limit_parse(word, &row.of);
		if (wrong != NULL)
			return wrong;
	}
	rows = array_room(l->rows, &l->room, l->count + 1, sizeof(row), 16);
	if (rows == NULL)
		return "out of memory";
	l->rows = rows;
	row.name = strdup(row.name);
	if (row.name == NULL)
		return "out of memory";
	l->rows[l->count++] = row;
	return NULL;
}

/* Says which names are there twice: the first counts, as with postmap. */
static void
doubles_drop(struct limits *l, struct file_complaints *complaints)
{
	size_t i, kept = 0;

	for (i = 0; i < l->count; i++) {
		if (kept > 0 &&
		    strcmp(l->rows[kept - 1].name, l->rows[i].name) == 0) {
			file_complain(complaints, l->rows[i].line,
			    "duplicate name");
			free(l->rows[i].name);
			continue;
		}
		l->rows[kept++] = l->rows[i];
	}
	l->count = kept;
}

struct limits *
limits_parse(char *text, size_t len,
    void (*complain)(void *, int, const char *), void *arg)
{
	struct file_complaints complaints = { complain, arg, 0 };
	struct limits *l = calloc(1, sizeof(*l));
	char *line, *comment;
	const char *wrong;
	int number = 0;

	if (l == NULL)
		return NULL;
	if (memchr(text, '\0', len) != NULL)
		file_complain(&complaints, 0,
		    "contains a NUL byte; the rest is ignored");
	while ((line = text_line(&text, NULL)) != NULL) {
		number++;
		line = text_trim(line);
		if (*line == '\0' || *line == '#')
			continue;
		comment = strstr(line, " #");
		if (comment != NULL)
			*comment = '\0';
		wrong = line_parse(l, line, number);
		if (wrong != NULL)
			file_complain(&complaints, number, wrong);
	}
	if (l->count > 0)
		qsort(l->rows, l->count, sizeof(*l->rows), row_order);
	doubles_drop(l, &complaints);
	file_complain_end(&complaints);
	return l;
}

void
limits_free(struct limits *l)
{
	size_t i;

	if (l == NULL)
		return;
	for (i = 0; i < l->count; i++)
		free(l->rows[i].name);
	free(l->rows);
	free(l);
}

size_t
limits_size(const struct limits *l)
{
	return l->count;
}

/* Lays the limits of one name over *of. */
static bool
apply(const struct limits *l, char *name, struct limits_of *of)
{
	struct row key = { .name = name };
	const struct row *row = NULL;

	if (l->count > 0)
		row = bsearch(&key, l->rows, l->count, sizeof(*l->rows),
		    row_compare);
	if (row == NULL)
		return false;
	if (row->of.countries >= 0)
		of->countries = row->of.countries;
	if (row->of.addresses >= 0)
		of->addresses = row->of.addresses;
	return true;
}

bool
limits_find(const struct limits *l, const char *user, struct limits_of *of)
{
	char name[NAME_SIZE], *at;
	bool found = false;
	size_t n;

	user = text_inner(user, &n);
	if (n >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)n, user);
	text_lower(name);
	at = strrchr(name, '@');
	if (at != NULL)
		found = apply(l, at, of);
	return apply(l, name, of) || found;
}
