/*
 * table - a list for people, as JSON or as CSV.
 *
 * Tables are laid out by libsmartcols. Only as many rows are kept as it takes
 * to give columns their width, unless they must be sorted.
 */
#include <cjson/cJSON.h>
#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/array.h"
#include "base/text.h"
#include "ctl/cli/table.h"

#define ROWS_KEPT 4096 /* and then printed */
#define SEPARATOR "  "

struct cell {
	char *text;
	const char *colour;
	long long number;
};

struct row {
	struct cell cells[TABLE_COLUMNS_MAX];
	size_t number; /* in the order in which they came */
};

struct table {
	const struct abictl *ctl;
	const struct table_column *columns;
	int count; /* of columns */
	unsigned shown; /* bits */
	int sort; /* column; -1 = not sorted */
	bool backwards;
	struct row *rows;
	size_t row_count, row_room;
	size_t rows_seen;
	bool begun; /* something was printed */
	bool failed; /* memory is short */
};

/* --- columns --- */

static void
field_name(const struct table_column *c, char *out, size_t size)
{
	snprintf(out, size, "%s", c->field != NULL ? c->field : c->heading);
	if (c->field == NULL)
		text_lower(out);
}

/* The column of that name, -1 if there is none. */
static int
column_find(const struct table_column *columns, const char *name)
{
	const struct table_column *c;

	name += name[0] == '-';
	for (c = columns; name[0] != '\0' &&
	     (c->heading != NULL || c->field != NULL); c++)
		if ((c->heading != NULL &&
			strcasecmp(c->heading, name) == 0) ||
		    (c->field != NULL && strcmp(c->field, name) == 0))
			return (int)(c - columns);
	return -1;
}

bool
table_sorts(const struct table_column *columns, const char *name)
{
	return column_find(columns, name) >= 0;
}

static bool
is_shown(const struct table *t, int column)
{
	return (t->shown & 1U << column) != 0 &&
	    t->columns[column].heading != NULL;
}

/* --- rows --- */

struct table *
table_new(const struct abictl *ctl, const struct table_column *columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->ctl = ctl;
	t->columns = columns;
	t->shown = ~0U;
	while (columns[t->count].heading != NULL ||
	    columns[t->count].field != NULL)
		t->count++;
	t->sort = ctl->sort != NULL ? column_find(columns, ctl->sort) : -1;
	t->backwards = ctl->sort != NULL && ctl->sort[0] == '-';
	return t;
}

static void
rows_drop(struct table *t)
{
	size_t i;
	int column;

	for (i = 0; i < t->row_count; i++)
		for (column = 0; column < t->count; column++)
			free(t->rows[i].cells[column].text);
	t->row_count = 0;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	rows_drop(t);
	free(t->rows);
	free(t);
}

void
table_only(struct table *t, unsigned columns)
{
	t->shown = columns;
}

static void rows_print(struct table *t);

bool
table_row(struct table *t)
{
	struct row *rows;

	if (t->sort < 0 && t->ctl->limit > 0 &&
	    t->rows_seen == (size_t)t->ctl->limit)
		return false;
	if (t->sort < 0 && t->row_count == ROWS_KEPT)
		rows_print(t);
	rows = array_room(t->rows, &t->row_room, t->row_count + 1,
	    sizeof(*rows), 64);
	if (rows == NULL || t->failed) {
		t->failed = true;
		return false;
	}
	t->rows = rows;
	memset(&rows[t->row_count], 0, sizeof(*rows));
	rows[t->row_count++].number = t->rows_seen++;
	return true;
}

static struct cell *
cell_of(struct table *t, int column)
{
	return &t->rows[t->row_count - 1].cells[column];
}

void
table_text(struct table *t, int column, const char *text)
{
	struct cell *c = cell_of(t, column);

	free(c->text);
	c->text = strdup(text);
	if (c->text == NULL)
		t->failed = true;
}

void
table_number(struct table *t, int column, long long number)
{
	cell_of(t, column)->number = number;
}

void
table_colour(struct table *t, int column, const char *colour)
{
	cell_of(t, column)->colour = colour;
}

/* A cell as a person or a spreadsheet reads it, in the caller's buffer if it
 * is not a text; "" = nothing. */
static const char *
cell_text(const struct table *t, const struct row *row, int column, char *out,
    size_t size)
{
	const struct cell *c = &row->cells[column];

	switch (t->columns[column].type) {
	case TABLE_NUMBER:
		snprintf(out, size, "%lld", c->number);
		return out;
	case TABLE_TIME:
		out[0] = '\0';
		if (c->number != 0)
			text_time(out, size, (time_t)c->number);
		return out;
	case TABLE_BOOL:
		return c->number != 0 ? "yes" : "no";
	default:
		return c->text != NULL ? c->text : "";
	}
}

/* --- order --- */

static int
row_compare(const void *a, const void *b, void *arg)
{
	const struct row *x = a, *y = b;
	const struct table *t = arg;
	const struct cell *c = &x->cells[t->sort], *d = &y->cells[t->sort];
	int order;

	if (t->columns[t->sort].type == TABLE_TEXT)
		order = strcmp(c->text != NULL ? c->text : "",
		    d->text != NULL ? d->text : "");
	else
		order = (c->number > d->number) - (c->number < d->number);
	if (order == 0)
		return x->number < y->number ? -1 : 1;
	return t->backwards ? -order : order;
}

/* How many rows are to be printed. */
static size_t
rows_sort(struct table *t)
{
	size_t n = t->row_count;

	if (t->sort < 0)
		return n;
	if (n > 0)
		qsort_r(t->rows, n, sizeof(*t->rows), row_compare, t);
	return t->ctl->limit > 0 && (size_t)t->ctl->limit < n ?
	    (size_t)t->ctl->limit : n;
}

/* --- JSON, CSV --- */

static cJSON *
row_json(const struct table *t, const struct row *row)
{
	cJSON *o = cJSON_CreateObject();
	char name[32];
	int i;

	for (i = 0; i < t->count; i++) {
		if ((t->shown & 1U << i) == 0)
			continue;
		field_name(&t->columns[i], name, sizeof(name));
		if (name[0] == '\0')
			continue;
		if (t->columns[i].type == TABLE_BOOL)
			cJSON_AddBoolToObject(o, name,
			    row->cells[i].number != 0);
		else if (t->columns[i].type != TABLE_TEXT)
			cJSON_AddNumberToObject(o, name,
			    (double)row->cells[i].number);
		else if (row->cells[i].text != NULL &&
		    (row->cells[i].text[0] != '\0' ||
			(t->columns[i].flags & TABLE_NULL) == 0))
			cJSON_AddStringToObject(o, name, row->cells[i].text);
		else
			cJSON_AddNullToObject(o, name);
	}
	return o;
}

struct cJSON *
table_json(const struct table *t)
{
	return row_json(t, &t->rows[t->row_count - 1]);
}

static void
json_print(struct table *t, size_t n)
{
	cJSON *o;
	char *text;
	size_t i;

	for (i = 0; i < n; i++) {
		o = row_json(t, &t->rows[i]);
		text = cJSON_Print(o);
		cJSON_Delete(o);
		if (text == NULL) {
			t->failed = true;
			return;
		}
		printf("%s%s", !t->begun && i == 0 ? "[" : ", ", text);
		free(text);
	}
}

/* A field of RFC 4180: in quotes when it must be. */
static void
csv_field(const char *value)
{
	if (strpbrk(value, ",\"") == NULL) {
		fputs(value, stdout);
		return;
	}
	putchar('"');
	for (; *value != '\0'; value++) {
		if (*value == '"')
			putchar('"');
		putchar(*value);
	}
	putchar('"');
}

/* A row; NULL: the headings. */
static void
csv_row(const struct table *t, const struct row *row)
{
	char value[64];
	bool first = true;
	int i;

	for (i = 0; i < t->count; i++) {
		if (!is_shown(t, i))
			continue;
		fputs(first ? "" : ",", stdout);
		first = false;
		if (row == NULL) {
			field_name(&t->columns[i], value, sizeof(value));
			csv_field(value);
		} else
			csv_field(cell_text(t, row, i, value, sizeof(value)));
	}
	putchar('\n');
}

static void
csv_print(const struct table *t, size_t n)
{
	size_t i;

	if (!t->begun && !t->ctl->noheadings)
		csv_row(t, NULL);
	for (i = 0; i < n; i++)
		csv_row(t, &t->rows[i]);
}

/* --- the table --- */

static bool
has_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0') &&
	    term != NULL && strcmp(term, "dumb") != 0;
}

static bool
layout_columns(const struct table *t, struct libscols_table *layout)
{
	struct libscols_column *column;
	const struct table_column *c;
	int i, flags;

	for (i = 0; i < t->count; i++) {
		if (!is_shown(t, i))
			continue;
		c = &t->columns[i];
		flags = (c->flags & TABLE_CUT) != 0 ? SCOLS_FL_TRUNC : 0;
		if ((c->flags & TABLE_WRAP) != 0)
			flags |= SCOLS_FL_WRAP;
		if (c->type == TABLE_NUMBER || (c->flags & TABLE_RIGHT) != 0)
			flags |= SCOLS_FL_RIGHT;
		column = scols_table_new_column(layout, c->heading, 0, flags);
		if (column == NULL || scols_cell_set_color(
			scols_column_get_header(column), "bold") != 0)
			return false;
	}
	return true;
}

static bool
layout_row(const struct table *t, struct libscols_table *layout,
    const struct row *row)
{
	struct libscols_line *line = scols_table_new_line(layout, NULL);
	const char *text;
	char value[64];
	size_t column = 0;
	int i;

	if (line == NULL)
		return false;
	for (i = 0; i < t->count; i++) {
		if (!is_shown(t, i))
			continue;
		text = cell_text(t, row, i, value, sizeof(value));
		if (text[0] == '\0')
			text = t->columns[i].empty != NULL ?
			    t->columns[i].empty : "-";
		if (scols_line_set_data(line, column, text) != 0)
			return false;
		if (row->cells[i].colour != NULL && scols_cell_set_color(
			scols_line_get_cell(line, column),
			row->cells[i].colour) != 0)
			return false;
		column++;
	}
	return true;
}

/* libsmartcols prints nothing of a table without rows. */
static bool
headings_print(const struct table *t)
{
	const char *between = "";
	int i;

	for (i = 0; i < t->count; i++) {
		if (!is_shown(t, i))
			continue;
		printf("%s%s", between, t->columns[i].heading);
		between = SEPARATOR;
	}
	putchar('\n');
	return true;
}

static bool
layout_print(const struct table *t, size_t n)
{
	struct libscols_table *layout = scols_new_table();
	bool done;
	size_t i;

	if (layout == NULL)
		return false;
	/* Widths are those of UTF-8, whatever the language is. */
	setlocale(LC_CTYPE, "C.UTF-8");
	done = layout_columns(t, layout);
	scols_table_enable_noencoding(layout, 1); /* it is printable */
	scols_table_enable_colors(layout, has_colours());
	scols_table_enable_noheadings(layout, t->ctl->noheadings || t->begun);
	if (scols_table_set_column_separator(layout, SEPARATOR) != 0)
		done = false;
	for (i = 0; done && i < n; i++)
		done = layout_row(t, layout, &t->rows[i]);
	if (done && n == 0 && !t->begun && !t->ctl->noheadings)
		done = headings_print(t);
	else if (done)
		done = scols_print_table(layout) == 0;
	scols_unref_table(layout);
	return done;
}

/* What is there now. */
static void
rows_print(struct table *t)
{
	size_t n = rows_sort(t);

	if (t->failed)
		return;
	if (t->ctl->json)
		json_print(t, n);
	else if (t->ctl->csv)
		csv_print(t, n);
	else if (!layout_print(t, n))
		t->failed = true;
	t->begun = t->begun || n > 0;
	rows_drop(t);
}

int
table_print(struct table *t, const char *none)
{
	if (none != NULL && t->rows_seen == 0 && abictl_talks(t->ctl)) {
		puts(none);
		return EX_OK;
	}
	rows_print(t);
	if (t->failed)
		return abictl_fail(EX_OSERR, "out of memory");
	if (t->ctl->json)
		puts(t->begun ? "]" : "[]");
	return EX_OK;
}
