/*
 * dnslist - questions to DNS lists, and what came of them.
 */
#include "filter/dnslist.h"

#include <arpa/inet.h>
#include <string.h>

static void
answered(void *arg, enum dnsquery_status status, const struct in_addr *records,
    size_t count, const char *why)
{
	struct dnslist_question *q = arg;
	struct in_addr which = { 0 };

	q->nxdomain = status == DNSQUERY_NXDOMAIN;
	q->status = q->nxdomain ? DNSQUERY_ANSWER : status;
	q->why = why;
	if (q->status != DNSQUERY_ANSWER)
		return;
	q->verdict = dnszone_judge(q->zone, records, count, &which);
	inet_ntop(AF_INET, &which, q->answer, sizeof(q->answer));
}

void
dnslist_ask(const char *server, struct dnslist_question *const *questions,
    size_t count, long wait_ms)
{
	struct dnsquery queries[DNSLIST_MAX];
	size_t i;

	for (i = 0; i < count && i < DNSLIST_MAX; i++)
		queries[i] = (struct dnsquery){ questions[i]->name, answered,
			questions[i] };
	if (i > 0)
		dnsquery_run(server, queries, i, wait_ms);
}
