/*
 * cache_keep - many scores at once into the cache.
 */
#include "ctl/cache_keep.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "fetch.h"

int
cache_keep_open(const struct config *cfg, struct statedir *d)
{
	statedir_init(d, cfg->reputation.cache_dir);
	if (statedir_usable(d))
		return EX_OK;
	return abictl_fail(EX_NOPERM, "%s", d->path[0] == '\0' ?
	    "reputation.cache_dir is not set" : d->problem);
}

void
cache_keep_newest(struct cache_keeping *k, const struct address *a,
    const struct cache_score *score, time_t fetched)
{
	struct cache_policy policy = fetch_policy(k->cfg);
	char own[ADDRESS_TEXT_MAX], key[ADDRESS_TEXT_MAX];
	struct cache_score s;
	int lock;

	address_text(a, own, sizeof(own));
	cache_key(a, policy.ipv6_prefix, key, sizeof(key));
	lock = cache_lock(k->dir, key, 0);
	if (lock < 0 && errno == EAGAIN) { /* it is being checked right now */
		k->newer++;
		return;
	}
	if (cache_find(k->dir, a, &policy, time(NULL), &s) != CACHE_MISS &&
	    strcmp(s.address, own) == 0 && s.fetched >= fetched)
		k->newer++;
	else { /* of the address by itself, not of its block */
		s = *score;
		memcpy(s.address, own, sizeof(s.address));
		s.fetched = fetched;
		if (cache_put(k->dir, own, &s, fetched) == 0)
			k->written++;
		else
			k->failed++;
	}
	if (lock >= 0)
		close(lock);
}
