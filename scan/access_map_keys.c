/*
 * access_map_keys - the keys by which Postfix finds the addresses of a block.
 *
 * smtpd looks up the text of the client's address, then what is left of it
 * after each cut at the last '.' or ':' (access(5); tried with Postfix 3.7).
 * The text of an IPv6 address has its longest run of zero groups, the first of
 * equal ones, as "::" (inet_ntop(3)), so that one /64 has texts of several
 * beginnings; and where a run hides groups of the block, one beginning may
 * stand for others' addresses too. Such a key is not made.
 */
#include "scan/access_map_parts.h"

#include <string.h>

#include "base/text.h"

#define EXPAND_MAX_BITS 8 /* ACCESS_EXPAND_MAX lines for one block */

/* "a", "a.b", "a.b.c" or the address: so many of its octets. */
static void
ipv4_key(const unsigned char *bytes, int octets, char *key)
{
	struct text t;
	int i;

	text_init(&t, key, ACCESS_KEY_MAX);
	for (i = 0; i < octets; i++)
		text_addf(&t, "%s%d", i > 0 ? "." : "", bytes[i]);
}

static unsigned
group(const unsigned char *bytes, int i)
{
	return (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
}

/* The first groups written out, then `tail`. */
static void
ipv6_key(const unsigned char *bytes, int groups, const char *tail, char *key)
{
	struct text t;
	int i;

	text_init(&t, key, ACCESS_KEY_MAX);
	for (i = 0; i < groups; i++)
		text_addf(&t, "%s%x", i > 0 ? ":" : "", group(bytes, i));
	text_add(&t, tail);
}

/*
 * A single address: its text. "2001:db8::5" is also what 2001:db8::5:6 is cut
 * to; both are in one /64 as long as the run of zeros reaches into group 3.
 */
static size_t
ipv6_address_key(const struct address *a, char *key, bool *whole)
{
	const char *run, *s;
	int before = 0;

	address_text(a, key, ACCESS_KEY_MAX);
	run = strstr(key, "::");
	for (s = key; run != NULL && s < run; s++)
		before += *s == ':';
	*whole = run == NULL || before >= 1 || run[2] == '\0';
	return *whole;
}

/*
 * A block of n whole groups. Written out they are one key; with z zeros at
 * their end, most of its addresses have "::" there, and that cut is
 * "g0:..:gN:". A run has two groups or more: with z at most 2 it says no less
 * than the block.
 */
static size_t
ipv6_block_keys(const struct address_block *b,
    char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX], bool *whole)
{
	const unsigned char *bytes = b->base.bytes;
	int n = b->bits / 16, first, i;
	size_t count = 0;

	*whole = false;
	if (n == 0 || group(bytes, 0) == 0)
		return 0;
	for (first = n; group(bytes, first - 1) == 0; first--)
		;
	*whole = n - first <= 2;
	for (i = 0; i + 1 < first; i++)
		if (group(bytes, i) == 0 && group(bytes, i + 1) == 0)
			*whole = false;
	ipv6_key(bytes, n, "", keys[count++]);
	if (n > first && n - first <= 2)
		ipv6_key(bytes, first, ":", keys[count++]);
	return count;
}

size_t
access_keys(const struct address_block *b,
    char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX], bool *whole)
{
	*whole = true;
	if (b->base.family == AF_INET) {
		ipv4_key(b->base.bytes, b->bits / 8, keys[0]);
		*whole = b->bits > 0;
		return *whole;
	}
	if (b->bits == 128)
		return ipv6_address_key(&b->base, keys[0], whole);
	return ipv6_block_keys(b, keys, whole);
}

size_t
access_expand(const struct address_block *b,
    struct address_block out[ACCESS_EXPAND_MAX])
{
	int unit = b->base.family == AF_INET ? 8 : 16, at;
	int bits = b->bits <= 0 ? unit : (b->bits + unit - 1) / unit * unit;
	size_t count, i;

	if (bits - b->bits > EXPAND_MAX_BITS)
		return 0;
	count = (size_t)1 << (bits - b->bits);
	for (i = 0; i < count; i++) {
		out[i] = *b;
		out[i].bits = bits;
		/* At most 8 bits, the last ones of the last octet. */
		at = bits / 8 - 1;
		out[i].base.bytes[at] =
		    (unsigned char)(out[i].base.bytes[at] | i);
	}
	return count;
}
