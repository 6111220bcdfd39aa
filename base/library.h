/*
 * library - a shared library that is loaded when it is needed first.
 *
 * A filter that never sees a user's login maps no database and no resolver; one
 * whose store is a SQLite file no client of a database server. Headers are
 * needed to build, nothing else.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The functions of a library are a list, FUNCTIONS(F) F(one) F(other) ..., and
 * what calls go through is a struct of nothing but FUNCTIONS(LIBRARY_POINTER).
 */
#define LIBRARY_POINTER(function) __typeof__(function) *(function);
#define LIBRARY_NAME(function) #function,
#define LIBRARY_NAMES(functions)                                              \
	(const char *const[]) { functions(LIBRARY_NAME) NULL }

/*
 * What such a struct is at first: where a library can be linked, with STATIC=1,
 * it is whole.
 */
#define LIBRARY_ADDRESS(function) .function = &(function),
#ifdef STATIC
#define LIBRARY_LINKED(functions) { functions(LIBRARY_ADDRESS) }
#else
#define LIBRARY_LINKED(functions) { NULL }
#endif

/* A macro's value as a text: for the number in a soname. */
#define LIBRARY_TEXT(macro) LIBRARY_TEXT_OF(macro)
#define LIBRARY_TEXT_OF(value) #value

/*
 * Loads a library, for as long as the process lives, and sets the pointers by
 * their names, unless they are set. False, and why in error, when it is not
 * there or lacks one; nothing is then set.
 */
bool library_load(const char *soname, const char *const *names, void *pointers,
    char *error, size_t size);

#endif
