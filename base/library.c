/*
 * library - a shared library that is loaded when it is needed first.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Sets the pointers; the name of the first symbol that is missing, or NULL. */
static const char *
symbols_find(void *library, const struct library_symbol *symbols, size_t count)
{
	void *function;
	size_t i;

	for (i = 0; i < count; i++)
		if (dlsym(library, symbols[i].name) == NULL)
			return symbols[i].name;
	for (i = 0; i < count; i++) {
		function = dlsym(library, symbols[i].name);
		/* As POSIX has it: ISO C knows no such conversion. */
		memcpy(symbols[i].pointer, &function, sizeof(function));
	}
	return NULL;
}

bool
library_load(const char *const *sonames, const struct library_symbol *symbols,
    size_t count, char *error, size_t size)
{
	const char *missing, *why;
	void *library = NULL;
	size_t i;

	for (i = 0; sonames[i] != NULL && library == NULL; i++)
		library = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		why = dlerror();
		snprintf(error, size, "%s",
		    why != NULL ? why : "library not found");
		return false;
	}
	missing = symbols_find(library, symbols, count);
	if (missing == NULL)
		return true;
	snprintf(error, size, "%s: no %s in it", sonames[i - 1], missing);
	dlclose(library);
	return false;
}
