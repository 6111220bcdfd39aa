/*
 * dnszone - DNS lists of clients and recipients: names to ask, answers.
 *
 * Source: RFC 5782; the zones' own pages for their codes. An address is looked
 * up reversed, octet by octet or nibble by nibble, a recipient as the SHA-1 of
 * its lower-cased address in hex. Only configured answers are a listing: lists
 * also answer with errors, and a dead one may list the world.
 */
#ifndef DNSZONE_H
#define DNSZONE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

#define DNSZONE_MAX 8       /* zones of one option */
#define DNSZONE_CODES_MAX 8 /* of a zone */
#define DNSZONE_NAME_MAX 256

/* Which values each of the four octets of an answer may have. */
struct dnszone_code {
	unsigned char octet[4][32]; /* bit sets */
};

struct dnszone {
	char name[DNSZONE_NAME_MAX];  /* with its key: never shown */
	char shown[DNSZONE_NAME_MAX]; /* without */
	struct dnszone_code code[DNSZONE_CODES_MAX];
	int code_count;
};

/*
 * Reads `zone=code[,code] ...'. $apikey in a zone stands for the key; without
 * one (NULL or not fit for a DNS name) such a zone is left out. An octet of a
 * code is a number, or as in Postfix's postscreen_dnsbl_sites a set of numbers
 * and ranges, [2;4..8]. zones (may be NULL) has room for DNSZONE_MAX. NULL, or
 * what is wrong, a constant text.
 */
const char *dnszone_parse(const char *text, const char *apikey,
    struct dnszone *zones, int *count);

/* True if a zone of that text looks as if it held a key itself. */
bool dnszone_has_key(const char *text);

/*
 * The name to ask for an address or a recipient. False if it would be longer
 * than a DNS name may be.
 */
bool dnszone_address(const struct dnszone *z, const struct address *a,
    char *out, size_t size);
bool dnszone_recipient(const struct dnszone *z, const char *recipient,
    char *out, size_t size);

/* Test points: what a list always names, or never (RFC 5782, 5). */
enum dnszone_point {
	DNSZONE_NEVER_IPV4,
	DNSZONE_NEVER_IPV6,
	DNSZONE_NEVER_RECIPIENT, /* made up, another one each time */
	DNSZONE_ALWAYS_IPV4,
	DNSZONE_ALWAYS_IPV6,
};

/* The name to ask for a test point, and in *shown what people call it. */
void dnszone_point(const struct dnszone *z, enum dnszone_point point, char *out,
    size_t size, const char **shown);

enum dnszone_verdict {
	DNSZONE_NOT_LISTED,
	DNSZONE_LISTED,
	DNSZONE_OTHER, /* an answer that is not one of the codes */
	DNSZONE_WRONG, /* an error code, or no answer of a DNS list at all */
};

/*
 * Judges the A records of an answer (RFC 5782: none = not listed). *which is
 * the one that decided.
 */
enum dnszone_verdict dnszone_judge(const struct dnszone *z,
    const struct in_addr *records, size_t count, struct in_addr *which);

#endif
