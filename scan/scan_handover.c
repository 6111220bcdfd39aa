/*
 * scan_handover - when another log is read than before.
 */
#include <string.h>
#include <time.h>

#include "logs/logsource.h"
#include "scan/scan.h"

struct handover {
	const char *source; /* "HOST WHAT" */
	bool (*is_read)(const void *arg, const char *source);
	const void *arg;
	time_t after;
	bool begun; /* source has a position of its own */
};

/* Is it the journal that a name of a source means? */
static bool
is_journal(const char *source)
{
	const char *blank = strrchr(source, ' ');

	return blank != NULL && strcmp(blank, " journal") == 0;
}

static bool
row_look(void *arg, const struct store_row *row)
{
	const struct store_position_row *p = &row->u.position;
	struct handover *h = arg;
	size_t host = strcspn(h->source, " ") + 1;
	time_t when;

	h->begun |= strcmp(p->source, h->source) == 0;
	if (strncmp(p->source, h->source, host) != 0 ||
	    is_journal(p->source) == is_journal(h->source) ||
	    h->is_read(h->arg, p->source))
		return true;
	when = logsource_position_time(p->position, is_journal(p->source));
	if (when > h->after)
		h->after = when;
	return true;
}

enum store_result
scan_handover(struct store *store, const char *source,
    bool (*is_read)(const void *arg, const char *source), const void *arg,
    time_t *after)
{
	struct handover h = { .source = source, .is_read = is_read,
		.arg = arg };
	time_t now = time(NULL);
	enum store_result result = store->driver->iterate(store,
	    STORE_POSITION, "", row_look, &h);

	/*
	 * A clock was wrong: what is there now may have been counted, but what
	 * comes after it, after a position of its own, was not.
	 */
	if (h.after > now)
		h.after = h.begun ? 0 : now;
	*after = h.after;
	return result;
}
