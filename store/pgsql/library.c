/*
 * store_pgsql_library - loading libpq.
 */
#include "base/library.h"
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

void
pgsql_drop(struct pgsql_store *s)
{
	if (s->conn != NULL)
		pq.PQfinish(s->conn);
	s->conn = NULL;
}
