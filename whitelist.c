/*
 * whitelist - host names, domains, addresses and blocks that are exempt.
 *
 * Names are compared with the verified client name only. When the address's
 * unverified name is listed but could not be verified (DNS trouble), refusals
 * are softened to temporary ones.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hostlist.h"
#include "base/log.h"
#include "check.h"

/* The list in use, and the file that it was read from. */
static struct {
	struct hostlist *list;
	struct file_watch watch;
} current;

/* Reads the file anew. False, and told once, when that is not possible. */
static bool
current_load(const char *path)
{
	struct hostlist *list;
	struct stat st;

	if (hostlist_load(path, &list, &st, file_complain_log,
		(void *)path) != 0) {
		if (!current.watch.failed)
			log_error("%s: %s%s", path, strerror(errno),
			    current.list != NULL ?
				"; keeping the previous list" : "");
		current.watch.failed = true;
		return false;
	}
	hostlist_free(current.list);
	current.list = list;
	file_was_read(&current.watch, &st);
	return true;
}

static const char *
whitelist_inactive(const struct config *cfg)
{
	return cfg->whitelist.file == NULL ? "whitelist.file is not set" : NULL;
}

static enum outcome
whitelist_run(const struct config *cfg, const struct request *req,
    struct verdict *v)
{
	const char *path = cfg->whitelist.file;
	char entry[HOSTLIST_NAME_MAX + 1];
	enum file_state state = file_look(&current.watch, path);
	bool verified = req->client_name[0] != '\0' &&
	    strcasecmp(req->client_name, "unknown") != 0;

	if (state == FILE_ABSENT) {
		hostlist_free(current.list);
		memset(&current, 0, sizeof(current));
		snprintf(v->reason, sizeof(v->reason), "%.200s: no such file",
		    path);
		return OUTCOME_NONE;
	}
	/* A list that was read before is better than none. */
	if (state != FILE_SAME && !current_load(path) && current.list == NULL) {
		snprintf(v->reason, sizeof(v->reason), "%.200s: cannot be read",
		    path);
		return OUTCOME_ERROR;
	}
	if (req->client_known && hostlist_address(current.list, &req->client,
	    entry, sizeof(entry))) {
		snprintf(v->reason, sizeof(v->reason),
		    "address is listed: %.200s", entry);
		return OUTCOME_EXEMPT;
	}
	if (verified && hostlist_name(current.list, req->client_name, entry,
	    sizeof(entry))) {
		snprintf(v->reason, sizeof(v->reason),
		    "verified name is listed: %.200s", entry);
		return OUTCOME_EXEMPT;
	}
	if (!verified && hostlist_name(current.list,
	    req->reverse_client_name, entry, sizeof(entry))) {
		snprintf(v->reason, sizeof(v->reason),
		    "unverified name is listed: %.200s", entry);
		return OUTCOME_SOFTEN;
	}
	snprintf(v->reason, sizeof(v->reason), "not listed (%zu entries)",
	    hostlist_size(current.list));
	return OUTCOME_NONE;
}

const struct check whitelist_check = {
	.name = "whitelist",
	.help = "is the client's address or verified name exempt?",
	.exempts = true,
	.audience = AUDIENCE_ANYONE,
	.inactive = whitelist_inactive,
	.run = whitelist_run,
};
