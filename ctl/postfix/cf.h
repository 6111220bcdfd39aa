/*
 * cf - the text of main.cf and master.cf: its entries, and taking back what
 * was changed in it. Source: postconf(5), master(5): lines that begin with
 * white space continue an entry; comments and empty lines may stand between.
 */
#ifndef POSTFIX_CF_H
#define POSTFIX_CF_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/postfix/postfix_conf.h"

enum cf_kind { CF_MAIN, CF_MASTER };

#define CF_FILES 2
#define CF_KEY_MAX (2 * POSTFIX_NAME_MAX)

/* An entry: whole lines, from its first to its last. */
struct cf_entry {
	char key[CF_KEY_MAX]; /* a parameter's name; or service/type */
	const char *text;
	size_t len;
};

/* The next entry of *s, which goes on. False at the end. */
bool cf_next(enum cf_kind kind, const char **s, struct cf_entry *e);

/* How many entries have a key; the first one into e. */
int cf_find(enum cf_kind kind, const char *text, const char *key,
    struct cf_entry *e);

/*
 * Undoes in `now' what made `after' of `before': each entry that is still as
 * it is in `after' becomes that of `before', byte for byte, with the comments
 * between its lines, or goes. Others are left, and told: edited() gets the key
 * of one that somebody has changed since. keep(): an entry that shall stay as
 * it is now. To be freed; NULL without memory.
 */
struct cf_undo {
	void (*edited)(void *arg, enum cf_kind kind, const char *key);
	bool (*keep)(void *arg, enum cf_kind kind, const char *key);
	void *arg;
};

char *cf_undo(enum cf_kind kind, const char *before, const char *after,
    const char *now, const struct cf_undo *u);

#endif
