/*
 * store_sql_columns - rows of store.h as columns of tables, and writing them.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/sql/sql.h"

#define LOGINS_MAX INT32_MAX   /* of the narrowest column */

/* In the order of the statements. */
#define COLUMN(kept, member)                                                  \
	{ SQL_KEPT_##kept, offsetof(struct store_row, u.member),        \
	    sizeof(((struct store_row *)0)->u.member) }
#define KIND(columns, keys, name, of)                                         \
	{ columns, sizeof(columns) / sizeof((columns)[0]), keys,              \
	    SQL_##name##_ALL, of, SQL_##name##_RESTORE }

static const struct sql_column logins[] = {
	COLUMN(KEY, login.user),
	COLUMN(KEY, login.block),
	COLUMN(COUNTRY, login.country),
	COLUMN(LOGINS, login.count),
	COLUMN(STAMP, login.last),
};

static const struct sql_column accounts[] = {
	COLUMN(KEY, account.user),
	COLUMN(TIME, account.since),
	COLUMN(TIME, account.released),
	COLUMN(BOOL, account.command_ran),
	COLUMN(TEXT, account.check),
	COLUMN(TEXT, account.address),
	COLUMN(TEXT, account.reason),
};

static const struct sql_column offenders[] = {
	COLUMN(KEY, offender.block),
	COLUMN(TEXT, offender.rule),
	COLUMN(TEXT, offender.note),
	COLUMN(COUNT, offender.hits),
	COLUMN(COUNT, offender.times),
	COLUMN(TIME, offender.since),
	COLUMN(TIME, offender.last),
	COLUMN(TIME, offender.expires),
	COLUMN(BOOL, offender.listed),
};

static const struct sql_column positions[] = {
	COLUMN(TEXT, position.source),
	COLUMN(TEXT, position.position),
};

static const struct sql_column hits[] = {
	COLUMN(KEY, hit.block),
	COLUMN(TEXT, hit.rule),
	COLUMN(TEXT, hit.key),
	COLUMN(TIME, hit.time),
};

const struct sql_kind sql_kinds[] = {
	[STORE_LOGIN] = KIND(logins, 2, LOGIN, SQL_LOGIN_OF),
	[STORE_ACCOUNT] = KIND(accounts, 1, ACCOUNT, SQL_ACCOUNT_FIND),
	[STORE_OFFENDER] = KIND(offenders, 1, OFFENDER, SQL_OFFENDER_IN),
	[STORE_RATE] = { .columns = NULL }, /* soon over: not copied */
	[STORE_POSITION] = KIND(positions, 1, POSITION, SQL_NAMES),
	[STORE_HIT] = KIND(hits, 3, HIT, SQL_HIT_OF),
};

/* --- reading --- */

void
sql_stamp(time_t t, char out[SQL_STAMP_MAX])
{
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, SQL_STAMP_MAX,
		"%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, SQL_STAMP_MAX, "9999-12-31 23:59:59");
}

/* Two digits; -1: they are none. */
static int
digits(const char *text)
{
	if (!isdigit((unsigned char)text[0]) ||
	    !isdigit((unsigned char)text[1]))
		return -1;
	return (text[0] - '0') * 10 + text[1] - '0';
}

/* Much quicker than strptime(3), and there are many. */
time_t
sql_stamp_parse(const char *text)
{
	static const char form[] = "0000-00-00 00:00:00";
	static const int at[] = { 0, 2, 5, 8, 11, 14, 17 };
	long n[sizeof(at) / sizeof(at[0])], year, days;
	size_t i;

	if (text == NULL || strnlen(text, sizeof(form)) < sizeof(form) - 1)
		return 0;
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		n[i] = digits(text + at[i]);
		if (n[i] < 0)
			return 0;
	}
	/* From March on, so that the leap day is the last one. */
	year = n[0] * 100 + n[1] - (n[2] <= 2);
	days = year * 365 + year / 4 - year / 100 + year / 400 +
	    (153 * (n[2] + (n[2] > 2 ? -3 : 9)) + 2) / 5 + n[3] - 1 - 719468;
	return days * 86400 + n[4] * 3600 + n[5] * 60 + n[6];
}

int64_t
sql_integer(const char *column)
{
	return column != NULL ? strtoll(column, NULL, 10) : 0;
}

size_t
sql_code(const char *text, char *out, size_t size)
{
	size_t n, len = 0;

	for (; *text != '\0' && len + 5 < size; text += n) {
		n = text_utf8_length(text);
		if (n == 0 && (unsigned char)*text < 0x7f && *text != '\\')
			n = 1;
		if (n > 0) {
			memcpy(out + len, text, n);
			len += n;
			continue;
		}
		n = 1;
		len += (size_t)snprintf(out + len, size - len, "\\x%02x",
		    (unsigned)(unsigned char)*text);
	}
	out[len] = '\0';
	return len + 1;
}

void
sql_copy(const struct sql_store *s, const char *column, char *out, size_t size)
{
	char digits[3] = "";
	size_t len = 0;

	if (column == NULL)
		column = "";
	if (s->connection->dialect != SQL_PGSQL) {
		snprintf(out, size, "%s", column);
		return;
	}
	while (*column != '\0' && len + 1 < size) {
		if (strncmp(column, "\\x", 2) != 0 || column[2] == '\0' ||
		    column[3] == '\0') {
			out[len++] = *column++;
			continue;
		}
		memcpy(digits, column + 2, 2);
		out[len++] = (char)strtoul(digits, NULL, 16);
		column += 4;
	}
	out[len] = '\0';
}

static void
column_read(const struct sql_store *s, const struct sql_column *c,
    const char *text, char *out)
{
	int64_t number = sql_integer(text);

	switch (c->kept) {
	case SQL_KEPT_KEY:
	case SQL_KEPT_COUNTRY:
		snprintf(out, c->size, "%s", text != NULL ? text : "");
		return;
	case SQL_KEPT_TEXT:
		sql_copy(s, text, out, c->size);
		return;
	case SQL_KEPT_BOOL:
		*(bool *)out = number != 0 || (text != NULL && *text == 't');
		return;
	case SQL_KEPT_STAMP:
		number = sql_stamp_parse(text);
		break;
	case SQL_KEPT_COUNT:
		number = store_within(number, STORE_COUNT_LIMIT);
		break;
	case SQL_KEPT_TIME:
		number = store_within(number, STORE_TIME_LIMIT);
		break;
	case SQL_KEPT_LOGINS:
		break;
	}
	if (c->size == sizeof(int64_t))
		memcpy(out, &number, sizeof(number));
	else
		*(int32_t *)(void *)out =
		    (int32_t)store_within(number, INT32_MAX);
}

void
sql_row_read(const struct sql_store *s, const char *const *columns,
    struct store_row *row)
{
	const struct sql_kind *kind = &sql_kinds[row->kind];
	size_t i;

	for (i = 0; i < kind->count; i++)
		column_read(s, &kind->columns[i], columns[i],
		    (char *)row + kind->columns[i].offset);
}

/* --- writing --- */

/* The stamp is where a text of this row may be until it is written. */
static struct sql_value
column_bind(const struct sql_column *c, const char *in, char *stamp)
{
	int64_t number = 0;

	if (c->kept != SQL_KEPT_BOOL && c->size == sizeof(int64_t))
		memcpy(&number, in, sizeof(number));
	else if (c->size == sizeof(int32_t))
		number = *(const int32_t *)(const void *)in;
	switch (c->kept) {
	case SQL_KEPT_KEY:
		return sql_key(in);
	case SQL_KEPT_COUNTRY:
		/* What is no country is not known. */
		return strlen(in) == 2 ? sql_key(in) : sql_null();
	case SQL_KEPT_TEXT:
		return sql_bytes(in);
	case SQL_KEPT_BOOL:
		return sql_number(*(const bool *)in);
	case SQL_KEPT_STAMP:
		sql_stamp(number, stamp);
		return sql_key(stamp);
	case SQL_KEPT_LOGINS:
		return sql_number(store_within(number, LOGINS_MAX));
	default:
		return sql_number(number);
	}
}

static bool
rows_write(struct sql_writer *w)
{
	const struct sql_kind *kind = &sql_kinds[w->kind];
	const struct sql_rows none = { 0 };
	size_t i, c, n = kind->count;

	for (i = 0; i < w->count; i++) {
		for (c = 0; c < n; c++)
			w->values[i * n + c] = column_bind(&kind->columns[c],
			    (char *)&w->rows[i] + kind->columns[c].offset,
			    w->stamps[i]);
		w->steps[i] = (struct sql_step){ w->statement,
			&w->values[i * n], n };
	}
	for (i = 0; w->s->connection->merges && w->count - i >= SQL_ROWS;
	     i += SQL_ROWS)
		if (sql_one(w->s, w->statement + SQL_MANY, &w->values[i * n],
			SQL_ROWS * n) < 0)
			return false;
	return i == w->count ||
	    sql_run(w->s, w->steps + i, w->count - i, &none) >= 0;
}

struct sql_writer *
sql_writer_begin(struct sql_store *s, enum store_kind kind,
    enum sql_name statement)
{
	struct sql_writer *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		store_failed(&s->store, STORE_BROKEN, "out of memory");
		return NULL;
	}
	w->s = s;
	w->kind = kind;
	w->statement = statement;
	w->good = true;
	return w;
}

static void
writer_flush(struct sql_writer *w)
{
	w->good = w->good && rows_write(w);
	w->count = 0;
}

struct store_row *
sql_writer_add(struct sql_writer *w)
{
	if (w->count == SQL_CHUNK)
		writer_flush(w);
	w->rows[w->count].kind = w->kind;
	return &w->rows[w->count++];
}

bool
sql_writer_end(struct sql_writer *w)
{
	bool good;

	if (w == NULL)
		return false;
	writer_flush(w);
	good = w->good;
	free(w);
	return good;
}
