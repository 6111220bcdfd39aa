/*
 * list - a list of restrictions as it is written in main.cf or after -o: where
 * an item of ours belongs, putting it in, taking it out.
 */
#ifndef POSTFIX_LIST_H
#define POSTFIX_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/postfix/postfix_conf.h"

/* Bytes from the beginning of a list; each is one of an item's two ends. */
struct list_places {
	size_t stop;  /* beginning of the first item that ends it for
			 everybody, as a bare reject; else its end */
	bool stopped; /* there is one */
	size_t users; /* beginning of the first permit_sasl_authenticated that
			 somebody comes to; else as stop */
	size_t permits; /* end of the last permit_mynetworks or
			   permit_sasl_authenticated before stop; 0: none */
	size_t relay; /* end of the last item that refuses relaying; 0: none */
	bool variable; /* a $NAME is in it */
	char odd[POSTFIX_NAME_MAX]; /* an item that decides in a way that is
				       not ours to judge, as a class; or "" */
};

/* classes: the names of restriction classes. */
void list_look(const char *list, const char *classes, struct list_places *l);

/* Does it have a word, or two such words one after the other? */
bool list_has(const char *list, const char *word, const char *next);

/* Puts an item in at such a place. To be freed; NULL without memory. */
char *list_with(const char *list, size_t at, const char *item);

/*
 * Takes an item out wherever it is: a word, with the one after it, of which
 * `next' is the first word in its braces, if next is not NULL. *count: how
 * often it was there. To be freed; NULL without memory.
 */
char *list_without(const char *list, const char *word, const char *next,
    int *count);

/*
 * The same list without white space, as `postconf -P' wants it, in place.
 * False when that cannot be, since braces are in it.
 */
bool list_squeeze(char *list);

#endif
