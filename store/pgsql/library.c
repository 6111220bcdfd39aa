/*
 * store_pgsql_library - loading libpq, what it says when something is wrong.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/library.h"
#include "store/pgsql/pgsql.h"

struct pgsql_library pq;

bool
pgsql_load(char *error, size_t size)
{
	static const char *const sonames[] = { "libpq.so.5", NULL };
	static const struct library_symbol symbols[] = {
#define SYMBOL(name) { #name, (void *)&pq.name },
		PGSQL_FUNCTIONS(SYMBOL)
#undef SYMBOL
	};

	return pq.PQfinish != NULL ||
	    library_load(sonames, symbols, sizeof(symbols) / sizeof(symbols[0]),
		error, size);
}

bool
pgsql_failed(struct pgsql_store *s, const char *what)
{
	char line[STORE_ERROR_MAX * 2], *c;
	size_t n;

	/* libpq has no words for what should not be. */
	snprintf(line, sizeof(line), "%s", what[0] != '\0' ? what :
	    PGSQL_UNEXPECTED);
	for (c = line; (c = strpbrk(c, "\n\t")) != NULL; c++)
		*c = ' ';
	n = strlen(line);
	while (n > 0 && line[n - 1] == ' ')
		line[--n] = '\0';
	text_printable(s->sql.store.error, sizeof(s->sql.store.error), line);
	s->sql.store.failure = STORE_BROKEN;
	return false;
}

void
pgsql_drop(struct pgsql_store *s)
{
	if (s->conn != NULL)
		pq.PQfinish(s->conn);
	s->conn = NULL;
}
