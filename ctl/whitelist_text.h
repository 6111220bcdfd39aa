/*
 * whitelist_text - the lines of a whitelist as a person has written them, and
 * changes that leave all others as they are.
 */
#ifndef ABICTL_WHITELIST_TEXT_H
#define ABICTL_WHITELIST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hostlist.h"

struct whitelist_line {
	int number;
	const char *text; /* in the file, */
	size_t len;       /* with its line end */
	char entry[HOSTLIST_NAME_MAX + 8]; /* "": none */
	char form[HOSTLIST_NAME_MAX + 1];  /* see hostlist_entry(); "": none */
	char note[256];    /* the comment behind the entry, printable */
	const char *said; /* what is wrong or doubtful; valid until the next
			    * line */
};

/* The next line of *cursor, which moves on; begin with a cleared *l. False at
 * the end. */
bool whitelist_next(const char **cursor, struct whitelist_line *l);

/*
 * The text with an entry, and a note unless that is "", at its end. NULL when
 * memory is short. The caller frees it.
 */
char *whitelist_with(const char *text, const char *entry, const char *note);

/* The text without the lines of that form, whose number is put into *lines. */
char *whitelist_without(const char *text, const char *form, size_t *lines);

#endif
