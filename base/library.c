/*
 * library - a shared library that is loaded when it is needed first.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

bool
library_load(const char *soname, const char *const *names, void *pointers,
    char *error, size_t size)
{
	void *library, *function;
	const char *why;
	char *out = pointers;
	size_t i;

	memcpy(&function, out, sizeof(function));
	if (function != NULL)
		return true;
	library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		why = dlerror();
		snprintf(error, size, "%s",
		    why != NULL ? why : "library not found");
		return false;
	}
	for (i = 0; names[i] != NULL; i++)
		if (dlsym(library, names[i]) == NULL) {
			snprintf(error, size, "%s: no %s in it", soname,
			    names[i]);
			dlclose(library);
			return false;
		}
	for (i = 0; names[i] != NULL; i++) {
		function = dlsym(library, names[i]);
		/* As POSIX has it: ISO C knows no such conversion. */
		memcpy(out + i * sizeof(function), &function, sizeof(function));
	}
	return true;
}
