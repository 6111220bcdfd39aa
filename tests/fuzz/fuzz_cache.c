/*
 * The small files that processes share: scores, markers, and the answer of
 * `abictl fetch`. Property: a score that is accepted is from 0 to 100 and
 * survives being written and read again.
 */
#include "fuzz.h"

#include "cache.h"
#include "fetch.h"
#include "base/backoff.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), again_text[CACHE_TEXT_MAX];
	char reason[BACKOFF_REASON_MAX];
	struct cache_score s, again;
	struct fetch_rest rest;
	time_t until;

	if (cache_parse(text, &s)) {
		HOLDS(s.score >= 0 && s.score <= 100);
		cache_format(&s, again_text, sizeof(again_text));
		HOLDS(cache_parse(again_text, &again));
		HOLDS(memcmp(s.isp, again.isp, strlen(s.isp) + 1) == 0);
		/* Of IPv4 it is not written. */
		HOLDS(strchr(s.address, ':') == NULL ||
		    strcmp(s.address, again.address) == 0);
	}
	free(text);
	text = fuzz_copy(data, size);
	if (backoff_parse(text, 1800000000, &until, reason, sizeof(reason)))
		HOLDS(until > 0 && until <= 1800000000 + BACKOFF_MAX);
	free(text);
	text = fuzz_copy(data, size);
	if (fetch_parse(text, &s, &rest) == 0)
		HOLDS(strlen(rest.reason) < sizeof(rest.reason));
	free(text);
	return 0;
}
