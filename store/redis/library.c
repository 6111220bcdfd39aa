/*
 * store_redis_library - hiredis, loaded when the first Redis URL is opened.
 */
#include "base/library.h"
#include "store/redis/library.h"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

struct redis_library redis_library;

bool
redis_load(char *error, size_t size)
{
	/*
	 * Its structures are others in each release with another soname: only
	 * the one whose header we were built with will do.
	 */
	static const char *const sonames[] = {
		"libhiredis.so." TEXT(HIREDIS_SONAME), NULL };
	static const struct library_symbol symbols[] = {
#define SYMBOL(name) { #name, &redis_library.name },
		FUNCTIONS(SYMBOL)
#undef SYMBOL
	};

	return redis_library.redisReaderFeed != NULL ||
	    library_load(sonames, symbols, sizeof(symbols) / sizeof(symbols[0]),
		error, size);
}
