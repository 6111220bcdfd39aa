/*
 * userlimits - limits for single users or domains.
 *
 * A line each, `user@example.com countries=10 addresses=100`, or for a whole
 * domain `@example.com addresses=0`; 0 = off. For what a line does not name,
 * the general limit applies. A user's own line takes precedence over its
 * domain's.
 */
#ifndef USERLIMITS_H
#define USERLIMITS_H

#include <stdbool.h>
#include <stddef.h>

struct limits;

/* How many are allowed; 0 = no limit. */
struct limits_of {
	long countries;
	long addresses;
};

/*
 * Reads the text of a file, changing it. Lines that are not understood go to
 * complain (may be NULL) and are skipped. NULL when memory is short.
 */
struct limits *limits_parse(char *text, size_t len,
    void (*complain)(void *arg, int line, const char *what), void *arg);
void limits_free(struct limits *l);

/*
 * Changes *of to what holds for this user (any case, spaces at the ends do not
 * count). True if a line does.
 */
bool limits_find(const struct limits *l, const char *user,
    struct limits_of *of);

size_t limits_size(const struct limits *l);

#endif
