/*
 * address - IP addresses, CIDR blocks and the text forms used as keys.
 *
 * An IPv4 address mapped into IPv6 (::ffff:192.0.2.1) is the IPv4 address
 * everywhere in this program.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h> /* AF_INET, AF_INET6 */

#define ADDRESS_TEXT_MAX 46 /* INET6_ADDRSTRLEN: longest text form with NUL */
#define ADDRESS_BLOCK_TEXT_MAX (ADDRESS_TEXT_MAX + 4)

struct address {
	int family;              /* AF_INET, AF_INET6 */
	unsigned char bytes[16]; /* network order, 4 or 16 of them, rest 0 */
};

struct address_block {
	struct address base; /* all host bits 0 */
	int bits;            /* prefix length */
};

/* Reads an address, nothing around it. False if text is not one. */
bool address_parse(const char *text, struct address *a);

/* Writes the canonical form (RFC 5952 for IPv6); size >= ADDRESS_TEXT_MAX. */
void address_text(const struct address *a, char *out, size_t size);

/* The number of bits of an address of that family: 32 or 128. */
int address_bits(const struct address *a);

/* Sets all but the first `bits` bits to 0. */
void address_mask(struct address *a, int bits);

/* -1, 0, 1: IPv4 before IPv6, then by value. */
int address_compare(const struct address *a, const struct address *b);

/*
 * Reads an address or a block in CIDR form. On success NULL; else what is
 * wrong with it, a constant text.
 */
const char *address_block_parse(const char *text, struct address_block *b);

/* True when two blocks have an address in common. */
bool address_block_overlap(const struct address_block *a,
    const struct address_block *b);

/* Writes "ADDRESS/BITS"; size >= ADDRESS_BLOCK_TEXT_MAX. */
void address_block_text(const struct address_block *b, char *out, size_t size);

/*
 * True when the address is reachable from the whole Internet: in none of the
 * blocks that IANA's special-purpose address registries mark as not global,
 * not multicast, and for IPv6 inside 2000::/3.
 */
bool address_public(const struct address *a);

/*
 * True when a host of n bytes, as it stands before ":PORT", is this one: the
 * name localhost or a loopback address, one of IPv6 with brackets or without.
 */
bool address_loopback_host(const char *host, size_t n);

#endif
