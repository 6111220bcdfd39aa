/*
 * dnsquery - several DNS questions for A records at once, in one time limit.
 *
 * c-ares chooses query identifiers, checks that an answer belongs to its
 * question, and asks again over TCP when an answer was truncated. Which name
 * the records belong to, and how long to wait, is decided here, since versions
 * of c-ares differ in that.
 */
#ifndef DNSQUERY_H
#define DNSQUERY_H

#include <netinet/in.h>
#include <stddef.h>

#define DNSQUERY_RECORDS_MAX 4096 /* an answer of 64 KiB holds no more */

enum dnsquery_status {
	DNSQUERY_ANSWER,    /* with or without A records: see count */
	DNSQUERY_NXDOMAIN,  /* no such name, so no records */
	DNSQUERY_SERVFAIL,
	DNSQUERY_REFUSED,
	DNSQUERY_NO_ANSWER, /* in time, or no server there */
	DNSQUERY_MALFORMED, /* an answer that cannot be read */
	DNSQUERY_FAILED,    /* could not be asked */
};

/*
 * Called once for each question. records are only valid during the call. why:
 * the status for people, a constant text.
 */
typedef void dnsquery_fn(void *arg, enum dnsquery_status status,
    const struct in_addr *records, size_t count, const char *why);

struct dnsquery {
	const char *name;
	dnsquery_fn *fn;
	void *arg;
};

/*
 * Asks all of them, those that have no answer after half of the time once more
 * (of several servers another one), and waits at most wait_ms milliseconds.
 * server: as in the configuration, NULL = the system's (/etc/resolv.conf). 0,
 * or -1 when nothing could be asked; fn is called in every case.
 */
int dnsquery_run(const char *server, const struct dnsquery *queries,
    size_t count, long wait_ms);

/*
 * Reads an answer as it came from the network: the A records in it that are of
 * this name, or of one that it is an alias of; at most max. Their number, 0
 * also where there are only those of others; -1 if it cannot be read.
 */
int dnsquery_parse(const char *name, const unsigned char *answer, int len,
    struct in_addr *records, size_t max);

#endif
