/*
 * exempt - who is never put on the blacklist.
 *
 * Addresses that are not global, our own networks (Postfix's mynetworks), and
 * what the whitelist covers, by address or by the name that Postfix verified.
 */
#ifndef EXEMPT_H
#define EXEMPT_H

#include <stddef.h>

#include "base/address.h"
#include "config/config.h"

#define EXEMPT_MYNETWORKS_MAX 256 /* blocks of mynetworks */

struct hostlist;

struct exempt {
	struct address_block mynetworks[EXEMPT_MYNETWORKS_MAX];
	size_t mynetworks_count;
	struct hostlist *list; /* NULL = none */
	char problem[256]; /* the whitelist cannot be read: nobody may be
	                    * listed without it; "" = none */
};

/* Reads both lists; what cannot be read is logged and ignored. */
void exempt_load(struct exempt *e, const struct config *cfg);
void exempt_free(struct exempt *e);

/*
 * What both lists are made of, as a word: it changes when one of their files
 * does.
 */
#define EXEMPT_SIGNATURE_MAX 17
void exempt_signature(const struct config *cfg, char *out, size_t size);

/*
 * Reads the text of mynetworks. Tables, files and exclusions in it are logged
 * and ignored. Changes text.
 */
void exempt_networks(struct exempt *e, char *text);

/*
 * Why a block must not be listed because of an offence of `client' with that
 * verified name ("" = none); NULL when it may be. The text is valid until the
 * next call.
 */
const char *exempt_why(const struct exempt *e, const struct address *client,
    const struct address_block *block, const char *name);

#endif
