/*
 * access_map_text - what is in the text file of an access map: our block,
 * everybody else's lines, and the keys by which Postfix finds an address.
 * Only access_map.c and the tests use this.
 */
#ifndef ACCESS_MAP_TEXT_H
#define ACCESS_MAP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "scan/access_map.h"

/* The first line of our block. */
#define ACCESS_HEADER_MAX 128

struct access_header {
	int64_t generation;
	uint64_t sum; /* of everything in the file after the first line */
};

/*
 * Reads the first line of a file. The number of its bytes, 0 when it is not
 * the beginning of our block.
 */
size_t access_header_read(const char *text, size_t len,
    struct access_header *h);

#define ACCESS_SUM_START UINT64_C(0xcbf29ce484222325)

/* A sum over more bytes (FNV-1a): notices edits, no attacks. */
uint64_t access_sum(uint64_t sum, const void *data, size_t len);

/*
 * Leaves everybody else's lines in text, in place, as they are, and sets *len.
 * Takes out blocks of ours, whole or not. NULL, or what stands against it, a
 * constant text, and *line, when a line of somebody else's continues one of
 * ours, or would.
 */
const char *access_text_others(char *text, size_t *len, long *line);

/* Everybody else's rules about addresses. */
struct access_others;

/* text must stay. NULL with errno. */
struct access_others *access_others_read(const char *text, size_t len,
    bool cidr);

/* Whether one of them stands against a block of ours: its words count. */
bool access_others_win(const struct access_others *o,
    const struct address_block *b);

void access_others_free(struct access_others *o);

#define ACCESS_KEYS_MAX 2
#define ACCESS_KEY_MAX  (ADDRESS_TEXT_MAX + 4)

/*
 * The keys under which Postfix finds the addresses of a block in an indexed
 * map; smtpd looks for the address and then, cut at each '.' or ':' from the
 * right, for the rest of it. IPv4 blocks must end at an octet, IPv6 blocks at
 * a group. Returns their number. *whole: false when addresses of the block are
 * left whose text no key stands for without standing for others' as well.
 */
size_t access_keys(const struct address_block *b,
    char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX], bool *whole);

/*
 * The block cut into such blocks: their number, 0 when that would be more than
 * 256; out has room for them, or is NULL.
 */
size_t access_expand(const struct address_block *b,
    struct address_block *out);

/*
 * Writes a file: our block with these blocks, which are sorted, then the other
 * lines. Adds to lines, others and unfit of r. h->sum is set. 0, or -1 with
 * errno.
 */
int access_text_write(FILE *f, struct access_header *h,
    const struct address_block *blocks, size_t count, bool cidr,
    const struct access_others *o, const char *other, size_t len,
    struct access_map_result *r);

#endif
