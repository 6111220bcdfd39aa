/*
 * backoff - markers shared by all processes: what is resting, until when, why.
 */
#include "base/backoff.h"

#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define CLOCK_SLACK 5 /* seconds between the clocks of two file systems */
#define LOCK_WAIT 20 /* milliseconds: it is never held for long */

/* What rests in this process only, because no file could be written. */
static struct marker {
	char what[BACKOFF_WHAT_MAX];
	char reason[BACKOFF_REASON_MAX];
	time_t set, until;
} in_process[64];

#define IN_PROCESS_COUNT (sizeof(in_process) / sizeof(in_process[0]))

void
backoff_name(const char *prefix, const char *secret, char *what, size_t size)
{
	char digest[SHA256_DIGEST_STRING_LENGTH];

	SHA256Data((const uint8_t *)secret, strlen(secret), digest);
	snprintf(what, size, "%s%.16s", prefix, digest);
}

int
backoff_parse(char *text, time_t now, time_t *until, char *reason, size_t size)
{
	char *cursor = text, *line;
	bool whole = false;
	long value;

	line = text_line(&cursor, &whole);
	if (line == NULL || !whole ||
	    !text_number(line, 1, 0x7fffffffffL, &value))
		return 0;
	/* Beyond BACKOFF_MAX: written before the clock was set back. */
	if (value - (long)now > BACKOFF_MAX)
		return 0;
	line = text_line(&cursor, NULL);
	*until = (time_t)value;
	text_printable(reason, size, line != NULL ? line : "");
	return 1;
}

static struct marker *
in_process_find(const char *what)
{
	size_t i;

	for (i = 0; i < IN_PROCESS_COUNT; i++)
		if (strcmp(in_process[i].what, what) == 0)
			return &in_process[i];
	return NULL;
}

static void
in_process_set(const char *what, time_t now, time_t until, const char *reason)
{
	struct marker *o = in_process_find(what);
	size_t i;

	for (i = 0; o == NULL && i < IN_PROCESS_COUNT; i++)
		if (in_process[i].what[0] == '\0')
			o = &in_process[i];
	if (o == NULL) { /* full: the one that ends first makes room */
		o = &in_process[0];
		for (i = 1; i < IN_PROCESS_COUNT; i++)
			if (in_process[i].until < o->until)
				o = &in_process[i];
	}
	snprintf(o->what, sizeof(o->what), "%s", what);
	snprintf(o->reason, sizeof(o->reason), "%s", reason);
	o->set = now;
	o->until = until;
}

time_t
backoff_until(struct statedir *d, const char *what, time_t now, char *reason,
    size_t size)
{
	char name[BACKOFF_WHAT_MAX + 8], text[BACKOFF_REASON_MAX + 64];
	const struct marker *o = in_process_find(what);
	time_t until, written;

	if (o != NULL && o->until > now && o->set <= now) {
		snprintf(reason, size, "%s", o->reason);
		return o->until;
	}
	if (!statedir_usable(d))
		return 0;
	snprintf(name, sizeof(name), BACKOFF_PREFIX "%s", what);
	/* One of the future was written before the clock was set back. */
	if (statedir_read(d, name, text, sizeof(text), &written) != 1 ||
	    written > now + CLOCK_SLACK ||
	    !backoff_parse(text, now, &until, reason, size) || until <= now)
		return 0;
	return until;
}

void
backoff_set(struct statedir *d, const char *what, time_t now, time_t until,
    const char *reason)
{
	char name[BACKOFF_WHAT_MAX + 8], text[BACKOFF_REASON_MAX + 64];
	char shown[BACKOFF_REASON_MAX], there[BACKOFF_REASON_MAX];
	int n, lock, rc;

	if (until > now + BACKOFF_MAX)
		until = now + BACKOFF_MAX;
	text_printable(shown, sizeof(shown), reason);
	if (!statedir_usable(d)) {
		if (backoff_until(d, what, now, there, sizeof(there)) < until)
			in_process_set(what, now, until, shown);
		return;
	}
	n = snprintf(text, sizeof(text), "%lld\n%s\n", (long long)until, shown);
	snprintf(name, sizeof(name), BACKOFF_PREFIX "%s", what);
	/* Of two failures at once the longer rest counts. */
	lock = statedir_lock(d, STATEDIR_LOCK_REST, LOCK_WAIT);
	rc = 0;
	if (backoff_until(d, what, now, there, sizeof(there)) < until)
		rc = statedir_write(d, name, text, (size_t)n, 0);
	if (lock >= 0)
		close(lock);
	if (rc != 0)
		in_process_set(what, now, until, shown);
}

bool
backoff_clear(struct statedir *d, const char *what)
{
	char name[BACKOFF_WHAT_MAX + 8];
	struct marker *o = in_process_find(what);
	int removed = 0;

	snprintf(name, sizeof(name), BACKOFF_PREFIX "%s", what);
	if (statedir_usable(d) && (removed = statedir_remove(d, name)) < 0)
		log_warning("%s/%s: %s", d->path, name, strerror(errno));
	if (o != NULL)
		o->what[0] = '\0';
	return removed > 0 || o != NULL;
}
