/*
 * uncounted - how many logins could not be counted, told once a minute.
 */
#include "store/uncounted.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/due.h"
#include "base/statedir.h"
#include "base/text.h"

#define FILE_NAME ".uncounted"
#define TOLD DUE_TOLD "uncounted"
#define TELL_EVERY 60 /* seconds */
#define WHY_MAX 160
#define LINE_LENGTH 11 /* of a time with its newline, until the year 2286 */

static struct {
	struct statedir dir;
	bool noted;     /* something is to be told */
	int64_t due;    /* clock_ms() */
	long in_process;       /* what is in no file */
	time_t in_process_since;
	char why[WHY_MAX]; /* the latest reason */
} shared = { .dir = { .fd = -1 } };

void
uncounted_note(const struct config *cfg, const char *why)
{
	char line[LINE_LENGTH + 1];
	time_t now = time(NULL);

	if (shared.dir.path[0] == '\0')
		statedir_init(&shared.dir, cfg->reputation.cache_dir);
	snprintf(line, sizeof(line), "%010lld\n", (long long)now);
	if (!statedir_usable(&shared.dir) || statedir_append(&shared.dir,
		FILE_NAME, line, LINE_LENGTH) != 0) {
		if (shared.in_process++ == 0)
			shared.in_process_since = now;
	}
	if (!shared.noted)
		shared.due = clock_ms() + TELL_EVERY * 1000;
	shared.noted = true;
	text_printable(shared.why, sizeof(shared.why), why);
}

/*
 * Takes the file away. The number of logins in it, 0 if others were first;
 * since: the time of the first.
 */
static long
file_take(time_t *since)
{
	char first[LINE_LENGTH + 1] = "";
	off_t size = statedir_take(&shared.dir, FILE_NAME, first,
	    sizeof(first) - 1);
	long at;

	first[strcspn(first, "\n")] = '\0';
	if (size < LINE_LENGTH || !text_number(first, 1, 0x7fffffffffL, &at))
		return 0;
	*since = at;
	return (long)(size / LINE_LENGTH);
}

static void
tell(void)
{
	time_t now = time(NULL), since = now;
	long count = statedir_usable(&shared.dir) ? file_take(&since) : 0;
	char span[32] = "minute";
	long minutes;

	if (shared.in_process > 0 &&
	    (count == 0 || shared.in_process_since < since))
		since = shared.in_process_since;
	count += shared.in_process;
	shared.in_process = 0;
	shared.noted = false;
	if (count == 0)
		return; /* another process has told */
	minutes = since < now ? (long)(now - since + 59) / 60 : 1;
	if (minutes > 1)
		snprintf(span, sizeof(span), "%ld minutes", minutes);
	due_note(&shared.dir, TOLD, now, TELL_EVERY, "logins not counted");
	log_warning("store: %ld login%s not counted in the last %s: %s", count,
	    count == 1 ? "" : "s", span, shared.why);
}

/* Seconds until others will have told long enough ago. */
static long
told_left(void)
{
	return due_in(&shared.dir, TOLD, time(NULL));
}

int
uncounted_idle(void)
{
	int64_t left;

	if (!shared.noted)
		return -1;
	left = shared.due - clock_ms();
	if (left <= 0) {
		left = told_left() * 1000;
		shared.due = clock_ms() + left;
	}
	if (left > 0)
		return (int)left;
	tell();
	return -1;
}

void
uncounted_close(void)
{
	if (shared.noted && (shared.in_process > 0 || told_left() == 0))
		tell();
	statedir_close(&shared.dir);
	shared.dir.path[0] = '\0';
}
