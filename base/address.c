/*
 * address - IP addresses, CIDR blocks and the text forms used as keys.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

bool
address_parse(const char *text, struct address *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->bytes) == 1) {
		a->family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, a->bytes) != 1)
		return false;
	a->family = AF_INET6;
	if (memcmp(a->bytes, mapped, sizeof(mapped)) == 0) {
		a->family = AF_INET;
		memcpy(a->bytes, a->bytes + 12, 4);
		memset(a->bytes + 4, 0, 12);
	}
	return true;
}

/* A number below 256 in decimal; the end of it. */
static char *
decimal(char *out, unsigned n)
{
	if (n >= 100)
		*out++ = (char)('0' + n / 100);
	if (n >= 10)
		*out++ = (char)('0' + n / 10 % 10);
	*out++ = (char)('0' + n % 10);
	return out;
}

void
address_text(const struct address *a, char *out, size_t size)
{
	int i;

	/* The C library's way of printing IPv4 is ten times as slow. */
	if (a->family == AF_INET && size >= INET_ADDRSTRLEN) {
		for (i = 0; i < 4; i++) {
			out = decimal(out, a->bytes[i]);
			*out++ = i < 3 ? '.' : '\0';
		}
		return;
	}
	if (inet_ntop(a->family, a->bytes, out, (socklen_t)size) == NULL)
		out[0] = '\0';
}

int
address_bits(const struct address *a)
{
	return a->family == AF_INET ? 32 : 128;
}

void
address_mask(struct address *a, int bits)
{
	int i, keep;

	for (i = 0; i < 16; i++) {
		keep = bits - i * 8;
		if (keep <= 0)
			a->bytes[i] = 0;
		else if (keep < 8)
			a->bytes[i] &= (unsigned char)(0xff00 >> keep);
	}
}

int
address_compare(const struct address *a, const struct address *b)
{
	int c;

	if (a->family != b->family)
		return a->family == AF_INET ? -1 : 1;
	c = memcmp(a->bytes, b->bytes, sizeof(a->bytes));
	return (c > 0) - (c < 0);
}

const char *
address_block_parse(const char *text, struct address_block *b)
{
	char buf[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct address whole;
	long bits, mapped;

	if (n >= sizeof(buf))
		return "not an address";
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (!address_parse(buf, &b->base))
		return "not an address";
	b->bits = address_bits(&b->base);
	if (slash == NULL)
		return NULL;
	/* ::ffff:127.0.0.0/104 is 127.0.0.0/8. */
	mapped = b->base.family == AF_INET && strchr(buf, ':') != NULL ? 96 : 0;
	if (!text_number(slash + 1, mapped, mapped + b->bits, &bits))
		return "bad prefix length";
	bits -= mapped;
	whole = b->base;
	b->bits = (int)bits;
	address_mask(&b->base, b->bits);
	if (address_compare(&whole, &b->base) != 0)
		return "address has bits set beyond the prefix length";
	return NULL;
}

/*
 * What IANA's IPv4 and IPv6 special-purpose address registries (RFC 6890 and
 * successors) list as not globally reachable, and multicast. Of 192.0.0.0/24
 * the few global addresses are left out on purpose: no mail client has them.
 */
static const char *const special[] = {
	"0.0.0.0/8",       /* this network, RFC 791 */
	"10.0.0.0/8",      /* private, RFC 1918 */
	"100.64.0.0/10",   /* carrier-grade NAT, RFC 6598 */
	"127.0.0.0/8",     /* loopback, RFC 1122 */
	"169.254.0.0/16",  /* link-local, RFC 3927 */
	"172.16.0.0/12",   /* private, RFC 1918 */
	"192.0.0.0/24",    /* IETF protocol assignments, RFC 6890 */
	"192.0.2.0/24",    /* documentation, RFC 5737 */
	"192.88.99.0/24",  /* deprecated 6to4 relay, RFC 7526 */
	"192.168.0.0/16",  /* private, RFC 1918 */
	"198.18.0.0/15",   /* benchmarking, RFC 2544 */
	"198.51.100.0/24", /* documentation, RFC 5737 */
	"203.0.113.0/24",  /* documentation, RFC 5737 */
	"224.0.0.0/3",     /* multicast, reserved, broadcast */
	"2001::/23",       /* IETF protocol assignments, Teredo, RFC 2928 */
	"2001:db8::/32",   /* documentation, RFC 3849 */
	"2002::/16",       /* 6to4, RFC 3056: no host of its own */
	"3fff::/20",       /* documentation, RFC 9637 */
};

#define SPECIAL_COUNT (sizeof(special) / sizeof(special[0]))

bool
address_public(const struct address *a)
{
	static struct address_block blocks[SPECIAL_COUNT];
	static bool parsed;
	struct address masked;
	size_t i;

	if (!parsed) {
		for (i = 0; i < SPECIAL_COUNT; i++)
			address_block_parse(special[i], &blocks[i]);
		parsed = true;
	}
	if (a->family == AF_INET6 && (a->bytes[0] & 0xe0) != 0x20)
		return false;
	for (i = 0; i < SPECIAL_COUNT; i++) {
		if (blocks[i].base.family != a->family)
			continue;
		masked = *a;
		address_mask(&masked, blocks[i].bits);
		if (address_compare(&masked, &blocks[i].base) == 0)
			return false;
	}
	return true;
}

bool
address_block_overlap(const struct address_block *a,
    const struct address_block *b)
{
	struct address x = a->base, y = b->base;
	int bits = a->bits < b->bits ? a->bits : b->bits;

	if (x.family != y.family)
		return false;
	address_mask(&x, bits);
	address_mask(&y, bits);
	return address_compare(&x, &y) == 0;
}

void
address_block_text(const struct address_block *b, char *out, size_t size)
{
	char text[ADDRESS_BLOCK_TEXT_MAX], *end;

	address_text(&b->base, text, ADDRESS_TEXT_MAX);
	end = text + strlen(text);
	*end++ = '/';
	*decimal(end, (unsigned)b->bits) = '\0';
	if (size > 0)
		*(char *)mempcpy(out, text, strnlen(text, size - 1)) = '\0';
}

bool
address_loopback_host(const char *host, size_t n)
{
	char text[ADDRESS_TEXT_MAX];
	struct address a;

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n >= sizeof(text))
		return false;
	memcpy(text, host, n);
	text[n] = '\0';
	if (strcasecmp(text, "localhost") == 0 || strcmp(text, "::1") == 0)
		return true;
	return address_parse(text, &a) && a.family == AF_INET &&
	       a.bytes[0] == 127;
}
