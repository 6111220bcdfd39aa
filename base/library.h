/*
 * library - a shared library that is loaded when it is needed first.
 *
 * A filter that never sees a user's login maps no database and no resolver; one
 * whose store is a SQLite file no client of a database server. Headers are
 * needed to build, nothing else.
 *
 * With STATIC=1 (STATIC is defined) libraries that can be linked are: their
 * pointers are set from the beginning.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * For a list of functions, LIST(F) = F(one) F(two): members of a structure that
 * point to them, and what such a structure is in a program that links them.
 */
#define LIBRARY_POINTER(name) __typeof__(&(name)) (name);
#define LIBRARY_ADDRESS(name) .name = &(name),
#ifdef STATIC
#define LIBRARY_LINKED(LIST) { LIST(LIBRARY_ADDRESS) }
#else
#define LIBRARY_LINKED(LIST) { NULL }
#endif

/* A function of the library, and the pointer that calls go through. */
struct library_symbol {
	const char *name;
	void *pointer; /* address of a function pointer of its type */
};

/*
 * Loads the first of `sonames` (NULL-ended) that is there, for as long as the
 * process lives, and sets the pointers of all symbols. False, and why in
 * error, when none is there or one lacks a symbol; nothing is then set. Does
 * nothing more when called again: the caller asks its own pointers.
 */
bool library_load(const char *const *sonames,
    const struct library_symbol *symbols, size_t count, char *error,
    size_t size);

#endif
