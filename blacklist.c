/*
 * blacklist - is the client a current offender?
 *
 * Looks it up in the snapshot that `abictl scan' makes of the offenders in the
 * mail log, without opening the store.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "base/log.h"
#include "store/snapshot.h"
#include "base/text.h"

static struct snapshot snapshot;

static enum outcome
blacklist_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	static bool told;
	char block[ADDRESS_TEXT_MAX], since[20], left[20];
	struct snapshot_entry e;
	struct text t;

	text_init(&t, v->reason, sizeof(v->reason));
	if (!req->client_known) {
		text_add(&t, "no client address");
		return OUTCOME_NONE;
	}
	if (!snapshot_refresh(&snapshot, cfg->blacklist.snapshot)) {
		/* Not there: nobody scans the log. That is no fault. */
		text_add(&t, snapshot.absent ?
			"no snapshot yet: run `abictl scan'" :
			snapshot.problem);
		if (snapshot.absent)
			return OUTCOME_NONE;
		if (!told && !req->passive)
			log_error("blacklist: %s", snapshot.problem);
		told = true;
		return OUTCOME_ERROR;
	}
	told = false;
	if (!snapshot_find(&snapshot, &req->client, req->now, &e)) {
		text_add(&t, "not listed");
		return OUTCOME_NONE;
	}
	address_text(&e.block.base, block, sizeof(block));
	text_age(since, sizeof(since), (long)(req->now - e.since));
	text_addf(&t, "%s/%d is listed for %s: %s", block, e.block.bits, since,
	    e.rule);
	if (e.hits > 0)
		text_addf(&t, ", %ld hits", e.hits);
	if (e.times > 1)
		text_addf(&t, ", listed %ld times", e.times);
	if (e.expires != 0) {
		text_age(left, sizeof(left), (long)(e.expires - req->now));
		text_addf(&t, ", %s left", left);
	}
	if (e.note[0] != '\0')
		text_addf(&t, " (%s)", e.note);
	v->action = cfg->blacklist.action;
	return OUTCOME_ACT;
}

const struct check blacklist_check = {
	.name = "blacklist",
	.help = "is the client a current offender?",
	.needs = "whitelist",
	.audience = AUDIENCE_UNAUTHENTICATED,
	.authenticated = offsetof(struct config, blacklist.authenticated),
	.run = blacklist_run,
};
