/*
 * store_pgsql_values - the parameters of statements, and columns of rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/pgsql/pgsql.h"
#include "base/text.h"

void
pgsql_args_init(struct pgsql_args *a)
{
	a->count = 0;
}

void
pgsql_add_key(struct pgsql_args *a, const char *key)
{
	a->value[a->count++] = key;
}

/*
 * A server refuses what is not UTF-8. Such bytes become \xNN, and so does a
 * backslash: the text can be read in SQL and comes back as it was.
 */
void
pgsql_add_text(struct pgsql_args *a, const char *text)
{
	char *buf = a->buf[a->count];
	size_t n, len = 0;

	for (; *text != '\0' && len + 5 < PGSQL_TEXT_MAX; text += n) {
		n = text_utf8_length(text);
		if (n == 0 && (unsigned char)*text < 0x7f && *text != '\\')
			n = 1;
		if (n > 0) {
			memcpy(buf + len, text, n);
			len += n;
			continue;
		}
		n = 1;
		len += (size_t)snprintf(buf + len, PGSQL_TEXT_MAX - len,
		    "\\x%02x", (unsigned)(unsigned char)*text);
	}
	buf[len] = '\0';
	a->value[a->count++] = buf;
}

void
pgsql_add_number(struct pgsql_args *a, int64_t n)
{
	snprintf(a->buf[a->count], PGSQL_TEXT_MAX, "%lld", (long long)n);
	a->value[a->count] = a->buf[a->count];
	a->count++;
}

void
pgsql_add_bool(struct pgsql_args *a, bool yes)
{
	a->value[a->count++] = yes ? "t" : "f";
}

/* What is in a row, "" for NULL. */
static const char *
cell(const PGresult *r, int row, int column)
{
	const char *value = pq.PQgetvalue(r, row, column);

	return value != NULL ? value : "";
}

PGresult *
pgsql_shaped(struct pgsql_store *s, PGresult *r, int rows, int columns)
{
	if (r == NULL || (pq.PQntuples(r) >= rows &&
			     pq.PQnfields(r) == columns))
		return r;
	pgsql_failed(s, PGSQL_UNEXPECTED);
	pq.PQclear(r);
	return NULL;
}

void
pgsql_key(const PGresult *r, int row, int column, char *out, size_t size)
{
	snprintf(out, size, "%s", cell(r, row, column));
}

void
pgsql_column(const PGresult *r, int row, int column, char *out, size_t size)
{
	const char *s = cell(r, row, column);
	char digits[3];
	size_t len = 0;

	while (*s != '\0' && len + 1 < size) {
		if (s[0] != '\\' || s[1] != 'x' || s[2] == '\0' ||
		    s[3] == '\0') {
			out[len++] = *s++;
			continue;
		}
		memcpy(digits, s + 2, 2);
		digits[2] = '\0';
		out[len++] = (char)strtoul(digits, NULL, 16);
		s += 4;
	}
	out[len] = '\0';
}

int64_t
pgsql_number(const PGresult *r, int row, int column)
{
	return strtoll(cell(r, row, column), NULL, 10);
}

bool
pgsql_bool(const PGresult *r, int row, int column)
{
	return cell(r, row, column)[0] == 't';
}

enum store_result
pgsql_count(struct store *store, PGresult *r)
{
	enum store_result result;

	if (r != NULL && pq.PQntuples(r) == 0) {
		pq.PQclear(r);
		return pgsql_failed((struct pgsql_store *)store,
		    PGSQL_UNEXPECTED);
	}
	if (r == NULL)
		return STORE_ERROR;
	result = pgsql_number(r, 0, 0) != 0 ? STORE_FOUND : STORE_ABSENT;
	pq.PQclear(r);
	return result;
}
