/*
 * library - a shared library that is loaded when it is needed first.
 *
 * A process whose store is a SQLite file neither links nor maps the clients of
 * the database servers, and one that reads no journal not libsystemd. Their
 * headers are needed to build, nothing else.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

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
