/*
 * dnsquery - several DNS questions for A records at once, in one time limit.
 */
#include "dnsquery.h"

#define CARES_NO_DEPRECATED /* what c-ares 1.28 calls so is all 1.14 has */
#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "address.h"
#include "file.h"
#include "lock.h"
#include "text.h"

#define SYSTEM_FILE "/etc/resolv.conf"

#define TRIES 2 /* half of the time for each; over TCP there is only one */
#ifdef ARES_OPT_QUERY_CACHE
#define OPTIONS (ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS | \
		ARES_OPT_QUERY_CACHE)
#else
#define OPTIONS (ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS)
#endif

/* The channel that is kept, and what it was made for. */
static struct {
	ares_channel channel;
	bool open;
	bool tired; /* a server was silent or of no use: another one first */
	const char *server;
	long timeout_ms;
	struct file_watch system; /* /etc/resolv.conf */
} kept;

/* What is under way. */
struct pending {
	const struct dnsquery *query;
	size_t *left;
};

/* An answer that has come whole. */
static void
answer_tell(const struct dnsquery *q, const unsigned char *answer, int len)
{
	static struct in_addr records[DNSQUERY_RECORDS_MAX];
	int n = dnsquery_parse(q->name, answer, len, records,
	    DNSQUERY_RECORDS_MAX);

	if (n < 0)
		q->fn(q->arg, DNSQUERY_MALFORMED, NULL, 0, "not readable");
	else
		q->fn(q->arg, DNSQUERY_ANSWER, records, (size_t)n, "answer");
}

/*
 * An answer without records that is neither "no such name" nor "nothing of
 * that kind": it has another response code (RFC 1035, 4.1.1), or was cut.
 */
static bool
odd(const unsigned char *answer, int len)
{
	int rcode = len > 3 ? answer[3] & 15 : 0;

	return len > 3 && ((rcode != 0 && rcode != 3) || (answer[2] & 2) != 0);
}

static void
answered(void *arg, int status, int timeouts, unsigned char *answer, int len)
{
	struct pending *p = arg;
	const struct dnsquery *q = p->query;

	--*p->left;
	kept.tired |= timeouts > 0 || status == ARES_ESERVFAIL ||
	    status == ARES_EREFUSED || status == ARES_ECONNREFUSED;
	switch (status) {
	case ARES_SUCCESS:
		answer_tell(q, answer, len);
		break;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
		if (odd(answer, len)) {
			q->fn(q->arg, DNSQUERY_MALFORMED, NULL, 0,
			    "an answer of no meaning");
			break;
		}
		q->fn(q->arg, DNSQUERY_ANSWER, NULL, 0, "no such record");
		break;
	case ARES_ESERVFAIL:
		q->fn(q->arg, DNSQUERY_SERVFAIL, NULL, 0, "SERVFAIL");
		break;
	case ARES_EREFUSED:
		q->fn(q->arg, DNSQUERY_REFUSED, NULL, 0, "REFUSED");
		break;
	case ARES_ETIMEOUT:
	case ARES_ECANCELLED:
		q->fn(q->arg, DNSQUERY_NO_ANSWER, NULL, 0, "no answer in time");
		break;
	case ARES_ECONNREFUSED:
		q->fn(q->arg, DNSQUERY_NO_ANSWER, NULL, 0,
		    "the DNS server is not there");
		break;
	case ARES_EBADRESP:
	case ARES_EFORMERR:
	case ARES_ENOTIMP:
		q->fn(q->arg, DNSQUERY_MALFORMED, NULL, 0, "not readable");
		break;
	default:
		q->fn(q->arg, DNSQUERY_FAILED, NULL, 0, ares_strerror(status));
	}
}

void
dnsquery_close(void)
{
	if (kept.open)
		ares_destroy(kept.channel);
	kept.open = false;
}

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, as the configuration has it. */
static bool
server_set(const char *server)
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
	return ares_set_servers_ports(kept.channel, &node) == ARES_SUCCESS;
}

/* Puts the first of several servers behind the others. */
static void
servers_rotate(void)
{
	struct ares_addr_port_node *list = NULL, *first, *last;

	kept.tired = false;
	if (ares_get_servers_ports(kept.channel, &list) != ARES_SUCCESS)
		return;
	if (list != NULL && list->next != NULL) {
		first = list;
		list = list->next;
		for (last = list; last->next != NULL; last = last->next)
			;
		last->next = first;
		first->next = NULL;
		ares_set_servers_ports(kept.channel, list);
	}
	ares_free_data(list);
}

/* The system's servers may have changed since the channel was made. */
static bool
system_changed(void)
{
	return kept.server == NULL && kept.open &&
	    file_look(&kept.system, SYSTEM_FILE) == FILE_CHANGED;
}

/* The channel for this server and time. False when there is none. */
static bool
channel_open(const char *server, long timeout_ms)
{
	/* Later versions of c-ares would keep answers: resolvers do that. */
	struct ares_options options = {
		/* Without the last one SERVFAIL and REFUSED look like nobody
		 * being there. */
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
		    ARES_FLAG_NOCHECKRESP,
		.tries = TRIES,
		.timeout = (int)(timeout_ms / TRIES),
#ifdef ARES_OPT_QUERY_CACHE
		.qcache_max_ttl = 0,
#endif
	};
	struct stat st;

	if (kept.open && kept.server == server &&
	    kept.timeout_ms == timeout_ms && !system_changed()) {
		if (kept.tired)
			servers_rotate();
		return true;
	}
	dnsquery_close();
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return false;
	if (ares_init_options(&kept.channel, &options, OPTIONS) != ARES_SUCCESS)
		return false;
	kept.open = true;
	kept.server = server;
	kept.timeout_ms = timeout_ms;
	kept.tired = false;
	if (stat(SYSTEM_FILE, &st) == 0)
		file_was_read(&kept.system, &st);
	if (server != NULL && !server_set(server)) {
		dnsquery_close();
		return false;
	}
	return true;
}

/* Milliseconds until c-ares wants to look at its own time limits. */
static long
next_wait(int64_t end)
{
	struct timeval next = { 0, 0 }, *wait;
	int64_t left = end - lock_clock_ms();

	wait = ares_timeout(kept.channel, NULL, &next);
	if (wait != NULL && wait->tv_sec * 1000 + wait->tv_usec / 1000 < left)
		left = wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1;
	return left > 0 ? (long)left : 0;
}

/* Waits once for the sockets of the channel and handles what came. */
static void
channel_wait(int64_t end)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	int wanted, i, n = 0;

	wanted = ares_getsock(kept.channel, sockets, ARES_GETSOCK_MAXNUM);
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
	if (poll(fds, (nfds_t)n, (int)next_wait(end)) <= 0)
		ares_process_fd(kept.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	else
		for (i = 0; i < n; i++)
			if (fds[i].revents != 0)
				ares_process_fd(kept.channel, fds[i].fd,
				    (fds[i].revents & POLLOUT) != 0 ?
				    fds[i].fd : ARES_SOCKET_BAD);
}

int
dnsquery_run(const char *server, const struct dnsquery *queries, size_t count,
    long timeout_ms, long left_ms)
{
	int64_t end = lock_clock_ms() +
	    (left_ms < timeout_ms ? left_ms : timeout_ms);
	struct pending *pending = calloc(count, sizeof(*pending));
	size_t left = count, i;

	if (pending == NULL || !channel_open(server, timeout_ms)) {
		for (i = 0; i < count; i++)
			queries[i].fn(queries[i].arg, DNSQUERY_FAILED, NULL, 0,
			    "no resolver");
		free(pending);
		return -1;
	}
	for (i = 0; i < count; i++) {
		pending[i].query = &queries[i];
		pending[i].left = &left;
		ares_query(kept.channel, queries[i].name, ns_c_in, ns_t_a,
		    answered, &pending[i]);
	}
	while (left > 0 && lock_clock_ms() < end)
		channel_wait(end);
	ares_cancel(kept.channel);
	free(pending);
	return 0;
}
