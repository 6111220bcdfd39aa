/*
 * whitelist - host names, domains, addresses and blocks that are exempt.
 */
#ifndef WHITELIST_H
#define WHITELIST_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

#include "base/address.h"

/* A list as it was read from a file. */
struct whitelist;

/*
 * Reads the text of a whitelist: one entry a line, see whitelist.txt. Changes
 * text. Lines that are not understood are handed to complain (may be NULL) and
 * passed over; names that hold but were probably not meant are told, too. NULL
 * when memory is short. Release with whitelist_free().
 */
struct whitelist *whitelist_parse(char *text, size_t len,
    void (*complain)(void *arg, int line, const char *what), void *arg);
void whitelist_free(struct whitelist *w);

/* The entry that covers a host name or address, in a buffer of the caller. */
bool whitelist_name(const struct whitelist *w, const char *name, char *entry,
    size_t size);
bool whitelist_address(const struct whitelist *w, const struct address *a,
    char *entry, size_t size);

/* True if an entry is for an address within a block, or for all of it. */
bool whitelist_overlaps(const struct whitelist *w,
    const struct address_block *b, char *entry, size_t size);

/* How many entries there are. */
size_t whitelist_size(const struct whitelist *w);

/*
 * Reads a file. 0 with *w set, or -1 with errno; st (may be NULL) tells about
 * the file, complain is as above.
 */
int whitelist_load(const char *path, struct whitelist **w, struct stat *st,
    void (*complain)(void *arg, int line, const char *what), void *arg);

#endif
