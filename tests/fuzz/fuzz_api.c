/*
 * The answers of the API. Property: a score that is accepted survives being
 * written to a cache file and read again.
 */
#include "fuzz.h"

#include "ctl/abuseipdb.h"

static bool
entry(void *arg, const struct address *a, const struct cache_score *s,
    time_t generated)
{
	(void)arg;
	(void)a;
	HOLDS(s->score >= 0 && s->score <= 100);
	HOLDS(generated > 0 && generated <= 1800000000);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *body = fuzz_copy(data, size), text[CACHE_TEXT_MAX];
	struct cache_score s, again;
	struct address a;

	address_parse("8.8.4.4", &a);
	if (abuseipdb_parse_check(body, size, &a, &s) == NULL) {
		HOLDS(s.score >= 0 && s.score <= 100);
		HOLDS(cache_format(&s, text, sizeof(text)) < sizeof(text) - 1);
		HOLDS(cache_parse(text, &again));
		HOLDS(again.score == s.score && again.reporters == s.reporters);
	}
	abuseipdb_parse_blacklist(body, size, 1800000000, entry, NULL);
	free(body);
	return 0;
}
