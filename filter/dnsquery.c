/*
 * dnsquery - several DNS questions for A records at once, in one time limit.
 */
#include "filter/dnsquery.h"

#define CARES_NO_DEPRECATED /* what c-ares 1.28 calls so is all 1.14 has */
#include <ares.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/library.h"
#include "base/log.h"
#include "base/text.h"

#define ROUNDS 2 /* the second one after half of the time */

#ifdef ARES_OPT_QUERY_CACHE
#define OPTION_CACHE ARES_OPT_QUERY_CACHE
#else
#define OPTION_CACHE 0
#endif
#ifdef ARES_OPT_MAXTIMEOUTMS
#define OPTION_LONGEST ARES_OPT_MAXTIMEOUTMS
#else
#define OPTION_LONGEST 0
#endif
#define OPTIONS (ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS | \
		OPTION_CACHE | OPTION_LONGEST)

/* Every function of c-ares that we call. */
#define FUNCTIONS(F)                                                          \
	F(ares_strerror) F(ares_set_servers_ports)                            \
	F(ares_get_servers_ports) F(ares_free_data) F(ares_library_init)      \
	F(ares_init_options) F(ares_destroy) F(ares_query) F(ares_getsock)    \
	F(ares_process_fd)

static struct {
	FUNCTIONS(LIBRARY_POINTER)
} ares = LIBRARY_LINKED(FUNCTIONS);

/* Of the servers in /etc/resolv.conf, with which one to begin. */
static unsigned first_server;

/* A question under way. */
struct pending {
	const struct dnsquery *query;
	struct batch *batch;
	bool done;
};

/* The questions of one dnsquery_run(). */
struct batch {
	const char *server;
	struct pending *pending;
	size_t count, left;
	long wait_ms;
	bool next_server; /* a server was of no use: another one first */
	ares_channel channel[ROUNDS];
	int rounds; /* that were begun */
	int open;   /* channels */
};

/* An answer that has come whole. */
static void
answer_tell(const struct dnsquery *q, const unsigned char *answer, int len)
{
	static struct in_addr records[DNSQUERY_RECORDS_MAX];
	int n = dnsquery_parse(q->name, answer, len, records,
	    DNSQUERY_RECORDS_MAX);

	if (n < 0)
		q->fn(q->arg, DNSQUERY_MALFORMED, NULL, 0, "unreadable answer");
	else
		q->fn(q->arg, DNSQUERY_ANSWER, records, (size_t)n, "answer");
}

/* An answer without records. */
static void
nothing_tell(const struct dnsquery *q, const unsigned char *answer, int len)
{
	int rcode = len > 3 ? answer[3] & 15 : 0; /* RFC 1035, 4.1.1 */

	if ((rcode != 0 && rcode != 3) || (len > 3 && (answer[2] & 2) != 0))
		q->fn(q->arg, DNSQUERY_MALFORMED, NULL, 0,
		    "invalid answer");
	else if (rcode == 3)
		q->fn(q->arg, DNSQUERY_NXDOMAIN, NULL, 0, "no such name");
	else
		q->fn(q->arg, DNSQUERY_ANSWER, NULL, 0, "no such record");
}

static void
answered(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct pending *p = arg;
	const struct dnsquery *q = p->query;

	(void)timeouts;
	/* The time is ours to judge, and the other round may have answered. */
	if (p->done || status == ARES_ETIMEOUT || status == ARES_ECANCELLED ||
	    status == ARES_EDESTRUCTION)
		return;
	p->done = true;
	p->batch->left--;
	p->batch->next_server |= status == ARES_ESERVFAIL ||
	    status == ARES_EREFUSED || status == ARES_ECONNREFUSED;
	switch (status) {
	case ARES_SUCCESS:
		answer_tell(q, answer, len);
		break;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
		nothing_tell(q, answer, len);
		break;
	case ARES_ESERVFAIL:
		q->fn(q->arg, DNSQUERY_SERVFAIL, NULL, 0, "SERVFAIL");
		break;
	case ARES_EREFUSED:
		q->fn(q->arg, DNSQUERY_REFUSED, NULL, 0, "REFUSED");
		break;
	case ARES_ECONNREFUSED:
		q->fn(q->arg, DNSQUERY_NO_ANSWER, NULL, 0,
		    "cannot reach the DNS server");
		break;
	case ARES_EBADRESP:
	case ARES_EFORMERR:
	case ARES_ENOTIMP:
		q->fn(q->arg, DNSQUERY_MALFORMED, NULL, 0, "unreadable answer");
		break;
	default:
		q->fn(q->arg, DNSQUERY_FAILED, NULL, 0,
		    ares.ares_strerror(status));
	}
}

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, as the configuration has it. */
static bool
server_set(ares_channel channel, const char *server)
{
	struct ares_addr_port_node node = { 0 };
	char host[ADDRESS_TEXT_MAX + 2];
	const char *end = server + strlen(server), *colon;
	struct address a;
	long port = 53;

	colon = strrchr(server, ':');
	if (colon != NULL && (colon == strchr(server, ':') ||
	    colon[-1] == ']')) {
		if (!text_number(colon + 1, 1, 65535, &port))
			return false;
		end = colon;
	}
	if (*server == '[' && end[-1] == ']') {
		server++;
		end--;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(end - server), server);
	if (!address_parse(host, &a))
		return false;
	node.family = a.family;
	memcpy(&node.addr, a.bytes, (size_t)address_bits(&a) / 8);
	node.udp_port = node.tcp_port = (int)port;
	return ares.ares_set_servers_ports(channel, &node) == ARES_SUCCESS;
}

/* Puts the first of several servers after the others, so many times. */
static void
servers_rotate(ares_channel channel, unsigned times)
{
	struct ares_addr_port_node *list = NULL, *last, *first;
	unsigned count = 1;

	if (ares.ares_get_servers_ports(channel, &list) != ARES_SUCCESS ||
	    list == NULL)
		return;
	for (last = list; last->next != NULL; last = last->next)
		count++;
	times %= count;
	if (times > 0) {
		for (; times > 0; times--) {
			first = list;
			list = list->next;
			last->next = first;
			last = first;
			last->next = NULL;
		}
		ares.ares_set_servers_ports(channel, list);
	}
	ares.ares_free_data(list);
}

/* c-ares, once. */
static bool
ares_load(void)
{
	static bool ready;
	char error[160];

	if (ready)
		return true;
	if (!library_load("libcares.so.2", LIBRARY_NAMES(FUNCTIONS), &ares,
		error, sizeof(error))) {
		log_error("DNS: %s", error);
		return false;
	}
	ready = ares.ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
	return ready;
}

/*
 * A channel for one round. It is a new one each time: what later versions of
 * c-ares learn in a channel about answers that were quick takes the place of
 * the time that we allow. It also knows what resolv.conf says now.
 */
static bool
channel_open(ares_channel *channel, const char *server, long wait_ms)
{
	struct ares_options options = {
		/* Without the last one SERVFAIL and REFUSED look like nobody
		 * being there. */
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
		    ARES_FLAG_NOCHECKRESP,
		.tries = 1,
		.timeout = (int)wait_ms + 1,
#ifdef ARES_OPT_QUERY_CACHE
		/* Keeping answers is for resolvers. */
		.qcache_max_ttl = 0,
#endif
#ifdef ARES_OPT_MAXTIMEOUTMS
		.maxtimeout = (int)wait_ms + 1,
#endif
	};

	if (!ares_load() || ares.ares_init_options(channel, &options,
		OPTIONS) != ARES_SUCCESS)
		return false;
	if (server == NULL) {
		servers_rotate(*channel, first_server);
		return true;
	}
	if (server_set(*channel, server))
		return true;
	ares.ares_destroy(*channel);
	return false;
}

/* Asks what has no answer yet; the second time another server, if any. */
static void
round_begin(struct batch *b)
{
	ares_channel *channel = &b->channel[b->open];
	size_t i;

	if (b->rounds++ > 0)
		first_server++;
	if (!channel_open(channel, b->server, b->wait_ms))
		return;
	b->open++;
	for (i = 0; i < b->count; i++)
		if (!b->pending[i].done)
			ares.ares_query(*channel,
			    b->pending[i].query->name, ns_c_in,
			    ns_t_a, answered, &b->pending[i]);
}

/* Adds the sockets of a channel to those to wait for. Their number. */
static int
sockets_add(ares_channel channel, struct pollfd *fds)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	int wanted, i, n = 0;

	wanted = ares.ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
	/* The macros would shift a bit into the sign of the last one. */
	for (i = 0; i < ARES_GETSOCK_MAXNUM - 1; i++) {
		fds[n].events = 0;
		if (ARES_GETSOCK_READABLE(wanted, i))
			fds[n].events |= POLLIN;
		if (ARES_GETSOCK_WRITABLE(wanted, i))
			fds[n].events |= POLLOUT;
		if (fds[n].events == 0)
			continue;
		fds[n].revents = 0;
		fds[n++].fd = sockets[i];
	}
	return n;
}

/* Waits once for the sockets of all channels and handles what came. */
static void
batch_wait(struct batch *b, int64_t until)
{
	struct pollfd fds[ROUNDS * ARES_GETSOCK_MAXNUM];
	int64_t wait = until - clock_ms();
	int n[ROUNDS + 1] = { 0 }, k, i;

	for (k = 0; k < b->open; k++)
		n[k + 1] = n[k] + sockets_add(b->channel[k], fds + n[k]);
	if (poll(fds, (nfds_t)n[b->open], wait > 0 ? (int)wait : 0) <= 0)
		return;
	for (k = 0; k < b->open; k++)
		for (i = n[k]; i < n[k + 1]; i++)
			if (fds[i].revents != 0)
				ares.ares_process_fd(b->channel[k], fds[i].fd,
				    (fds[i].revents & POLLOUT) != 0 ?
				    fds[i].fd : ARES_SOCKET_BAD);
}

/* What has no answer by now gets none. */
static void
batch_end(struct batch *b)
{
	const struct dnsquery *q;
	size_t i;

	for (i = 0; i < b->count; i++) {
		q = b->pending[i].query;
		if (b->pending[i].done)
			continue;
		b->pending[i].done = true;
		if (b->open > 0)
			q->fn(q->arg, DNSQUERY_NO_ANSWER, NULL, 0,
			    "no answer in time");
		else
			q->fn(q->arg, DNSQUERY_FAILED, NULL, 0, "no resolver");
	}
	while (b->open > 0)
		ares.ares_destroy(b->channel[--b->open]);
	first_server += b->next_server;
}

int
dnsquery_run(const char *server, const struct dnsquery *queries, size_t count,
    long wait_ms)
{
	int64_t start = clock_ms(), half = start + wait_ms / 2, now;
	struct batch b = { .server = server, .count = count, .left = count,
		.wait_ms = wait_ms };
	bool asked;
	size_t i;

	b.pending = calloc(count, sizeof(*b.pending));
	if (b.pending == NULL) {
		for (i = 0; i < count; i++)
			queries[i].fn(queries[i].arg, DNSQUERY_FAILED, NULL, 0,
			    "out of memory");
		return -1;
	}
	for (i = 0; i < count; i++) {
		b.pending[i].query = &queries[i];
		b.pending[i].batch = &b;
	}
	round_begin(&b);
	asked = b.open > 0;
	while (asked && b.left > 0 && (now = clock_ms()) < start +
		wait_ms) {
		if (b.rounds < ROUNDS && now >= half)
			round_begin(&b);
		batch_wait(&b, b.rounds < ROUNDS ? half : start + wait_ms);
	}
	batch_end(&b);
	free(b.pending);
	return asked ? 0 : -1;
}
