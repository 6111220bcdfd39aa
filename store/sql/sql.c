/*
 * store_sql - statements and their parameters, and running them: in time, once
 * more when others were in the way, in a transaction.
 */
#include "store/sql/sql.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define TRIES 20 /* at what failed because of others */

static const struct {
	const char *text[SQL_MYSQL + 1]; /* by dialect */
	const char *order; /* of MySQL's parameters */
} statements[SQL_NAMES] = {
#define STATEMENT(name, sqlite, pgsql, mysql, order)                          \
	[SQL_##name] = { { sqlite, pgsql, mysql }, order },
	SQL_STATEMENTS(STATEMENT)
};

/* --- texts --- */

/* Appends n bytes with the numbers of parameters so much higher. */
static void
shifted_add(struct text *t, const char *s, size_t n, size_t shift)
{
	const char *end = s + n;
	char *number;

	while (s < end) {
		text_addf(t, "%c", *s);
		if ((*s != '$' && *s != '?') || !isdigit((unsigned char)s[1])) {
			s++;
			continue;
		}
		text_addf(t, "%zu", strtoul(s + 1, &number, 10) + shift);
		s = number;
	}
}

/* What a statement for many repeats: a row of values, or a member of a list. */
static const char *
group_find(const char *text, size_t *len)
{
	const char *group = strstr(text, "VALUES ("), *list;

	if (group != NULL) {
		group += strlen("VALUES ");
		*len = strcspn(group, ")") + 1;
		return group;
	}
	list = strstr(text, "IN (");
	group = list + strlen("IN (");
	*len = strcspn(group, ")");
	return group;
}

size_t
sql_text(enum sql_dialect dialect, unsigned name, char *out, size_t size)
{
	const char *text = statements[name % SQL_MANY].text[dialect], *group;
	size_t len, row, i, parameters = 0;
	struct text t;

	text_init(&t, out, size);
	if (name < SQL_MANY) {
		text_add(&t, text);
		return t.len;
	}
	group = group_find(text, &len);
	for (i = 0; i < len; i++)
		parameters += group[i] == '$' || group[i] == '?';
	shifted_add(&t, text, (size_t)(group - text), 0);
	for (row = 0; row < SQL_ROWS; row++) {
		text_add(&t, row > 0 ? ", " : "");
		shifted_add(&t, group, len, row * parameters);
	}
	shifted_add(&t, group + len, strlen(group + len),
	    (SQL_ROWS - 1) * parameters);
	return t.len;
}

size_t
sql_parameter(unsigned name, size_t n)
{
	/* A statement for many has each of them once. */
	return name < SQL_MANY ? (size_t)statements[name].order[n] - 1 : n;
}

size_t
sql_marks(unsigned name, size_t count)
{
	return name < SQL_MANY ? strlen(statements[name].order) : count;
}

/* --- parameters --- */

struct sql_value
sql_null(void)
{
	return (struct sql_value){ .type = SQL_NULL };
}

struct sql_value
sql_key(const char *text)
{
	return (struct sql_value){ .type = SQL_KEY, .text = text };
}

struct sql_value
sql_bytes(const char *text)
{
	return (struct sql_value){ .type = SQL_TEXT, .text = text };
}

struct sql_value
sql_number(int64_t number)
{
	return (struct sql_value){ .type = SQL_NUMBER, .number = number };
}

/* --- running --- */

bool
sql_begin(struct sql_store *s)
{
	store_begin(&s->store);
	return s->connection->ready(s);
}

int64_t
sql_run(struct sql_store *s, const struct sql_step *steps, size_t count,
    const struct sql_rows *rows)
{
	int64_t changed;
	int tries = 0;

	/* Of what takes long, each step has its own time. */
	if (s->transaction)
		s->store.deadline = clock_ms() + s->store.wait_ms;
	do
		changed = s->connection->run(s, steps, count, rows);
	while (changed < 0 && !s->transaction && ++tries < TRIES &&
	    s->connection->transient(s));
	return changed;
}

int64_t
sql_one(struct sql_store *s, unsigned name, const struct sql_value *values,
    size_t count)
{
	const struct sql_step step = { name, values, count };
	const struct sql_rows none = { 0 };

	return sql_run(s, &step, 1, &none);
}

/* Rows on their way to whom they are for. */
struct query {
	struct sql_store *s;
	const struct sql_rows *rows;
	bool any;
};

static bool
query_row(void *arg, const char *const *columns)
{
	struct query *q = arg;
	int64_t began = clock_ms();
	bool more = q->rows->fn(q->rows->arg, columns);

	q->any = true;
	q->s->store.deadline += clock_ms() - began;
	return more;
}

int
sql_query(struct sql_store *s, unsigned name, const struct sql_value *values,
    size_t count, const struct sql_rows *rows)
{
	struct query q = { .s = s, .rows = rows };
	const struct sql_step step = { name, values, count };
	const struct sql_rows timed = { rows->columns, query_row, &q };

	return sql_run(s, &step, 1, &timed) < 0 ? -1 : q.any;
}

void
sql_cells_take(struct sql_cells *c, const char *const *columns, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		snprintf(c->text[i], SQL_CELL_MAX, "%s",
		    columns[i] != NULL ? columns[i] : "");
}

struct getting {
	size_t columns;
	struct sql_cells *out;
};

static bool
get_row(void *arg, const char *const *columns)
{
	const struct getting *g = arg;

	sql_cells_take(g->out, columns, g->columns);
	return true;
}

int
sql_get(struct sql_store *s, unsigned name, const struct sql_value *values,
    size_t count, size_t columns, struct sql_cells *out)
{
	struct getting g = { columns, out };
	const struct sql_rows rows = { columns, get_row, &g };

	memset(out, 0, sizeof(*out));
	return sql_query(s, name, values, count, &rows);
}

enum store_result
sql_change(struct sql_store *s, unsigned name, const struct sql_value *values,
    size_t count)
{
	int64_t changed = sql_begin(s) ? sql_one(s, name, values, count) : -1;

	return changed < 0 ? STORE_ERROR : changed > 0 ? STORE_FOUND :
							 STORE_ABSENT;
}

enum store_result
sql_transaction(struct sql_store *s,
    enum store_result (*work)(struct sql_store *s, void *arg), void *arg)
{
	enum store_result result;
	int tries = 0;

	if (!sql_begin(s))
		return STORE_ERROR;
	do {
		result = STORE_ERROR;
		if (!s->connection->begin(s))
			continue;
		s->transaction = true;
		result = work(s, arg);
		if (!s->connection->end(s, result != STORE_ERROR))
			result = STORE_ERROR;
		s->transaction = false;
	} while (result == STORE_ERROR && ++tries < TRIES &&
	    s->connection->transient(s));
	return result;
}
