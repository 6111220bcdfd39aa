/*
 * dnslist - queries to DNS lists, and their results.
 */
#ifndef DNSLIST_H
#define DNSLIST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "filter/dnsquery.h"
#include "config/dnszone.h"

#define DNSLIST_MAX (2 * DNSZONE_MAX) /* questions at once */

struct dnslist_question {
	const struct dnszone *zone;
	char name[DNSZONE_NAME_MAX]; /* to ask: holds the key */

	/* What came of it. */
	enum dnsquery_status status; /* never DNSQUERY_NXDOMAIN */
	const char *why;
	bool nxdomain; /* with DNSQUERY_ANSWER: there is no such name */
	enum dnszone_verdict verdict; /* with DNSQUERY_ANSWER */
	char answer[INET_ADDRSTRLEN]; /* the record that decided */
};

/*
 * Asks at most DNSLIST_MAX questions at once, and waits no longer than wait_ms
 * milliseconds. server: as of dnsquery_run().
 */
void dnslist_ask(const char *server, struct dnslist_question *const *questions,
    size_t count, long wait_ms);

#endif
