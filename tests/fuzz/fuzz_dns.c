/*
 * A DNS answer as the network gives it, and the zones of the configuration.
 * Property: only an answer within 127/8 that is no error code is a listing,
 * and it is one of the records.
 */
#include "fuzz.h"

#include "filter/dnsquery.h"
#include "config/dnszone.h"

static void
judge(const struct dnszone *z, const struct in_addr *records, size_t count)
{
	struct in_addr which = { 0 };
	unsigned char octet[4];
	size_t i;

	if (dnszone_judge(z, records, count, &which) != DNSZONE_LISTED)
		return;
	memcpy(octet, &which, sizeof(octet));
	HOLDS(octet[0] == 127);
	HOLDS(octet[1] != 255 || octet[2] != 255);
	HOLDS(octet[1] != 0 || octet[2] != 0 || octet[3] > 1);
	for (i = 0; i < count && records[i].s_addr != which.s_addr; i++)
		;
	HOLDS(i < count);
}

/* The first line is a list of zones, the rest an answer to one question. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct in_addr records[DNSQUERY_RECORDS_MAX];
	const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t line = newline != NULL ? (size_t)(newline - data) : 0;
	char *text = fuzz_copy(data, line), name[DNSZONE_NAME_MAX];
	struct address a = { .family = size % 2 ? AF_INET : AF_INET6 };
	struct dnszone zones[DNSZONE_MAX];
	int count = 0, n, i;

	if (dnszone_parse(text, "k3y", zones, &count) == NULL)
		HOLDS(count >= 0 && count <= DNSZONE_MAX);
	dnszone_has_key(text);
	if (newline != NULL)
		line++;
	n = dnsquery_parse("4.4.8.8.k3y.z.test", data + line,
	    (int)(size - line), records, DNSQUERY_RECORDS_MAX);
	HOLDS(n >= -1 && n <= DNSQUERY_RECORDS_MAX);
	for (i = 0; i < count; i++) {
		if (n >= 0)
			judge(&zones[i], records, (size_t)n);
		if (dnszone_address(&zones[i], &a, name, sizeof(name)))
			HOLDS(strlen(name) <= 253);
		if (dnszone_recipient(&zones[i], text, name, sizeof(name)))
			HOLDS(strlen(name) <= 253);
	}
	free(text);
	return 0;
}
