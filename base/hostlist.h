/*
 * hostlist - a list of host names, domains, addresses and blocks in a file.
 */
#ifndef HOSTLIST_H
#define HOSTLIST_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

#include "base/address.h"

#define HOSTLIST_NAME_MAX 255 /* bytes, RFC 1035 */

/*
 * Writes an entry in the form in which entries are compared: "example.com",
 * "192.0.2.0/24", HOSTLIST_NAME_MAX bytes at most. NULL, or what is wrong with
 * it. *doubt is what is to be said of one that is good but probably not meant,
 * until the next call, else NULL.
 */
const char *hostlist_entry(const char *text, char *out, size_t size,
    const char **doubt);

/* A list as it was read from a file. */
struct hostlist;

/*
 * Reads the text of a whitelist: one entry a line, see whitelist.txt. Changes
 * text. Lines that are not understood go to complain (may be NULL) and are
 * skipped; names that are valid but probably not meant go there, too. NULL when
 * memory is short. Release with hostlist_free().
 */
struct hostlist *hostlist_parse(char *text, size_t len,
    void (*complain)(void *arg, int line, const char *what), void *arg);
void hostlist_free(struct hostlist *w);

/* The entry that covers a host name or address, in a buffer of the caller. */
bool hostlist_name(const struct hostlist *w, const char *name, char *entry,
    size_t size);
bool hostlist_address(const struct hostlist *w, const struct address *a,
    char *entry, size_t size);

/* True if an entry is for an address within a block, or for all of it. */
bool hostlist_overlaps(const struct hostlist *w,
    const struct address_block *b, char *entry, size_t size);

/* How many entries there are. */
size_t hostlist_size(const struct hostlist *w);

/*
 * Reads a file. 0 with *w set, or -1 with errno; st (may be NULL) tells about
 * the file, complain is as above.
 */
int hostlist_load(const char *path, struct hostlist **w, struct stat *st,
    void (*complain)(void *arg, int line, const char *what), void *arg);

#endif
