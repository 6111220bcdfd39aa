/*
 * logsource - where log lines come from, and how far they have been read.
 */
#include "logs/logsource.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "logs/logsource_kind.h"

#define LOOK_MS 1000 /* after so long a file is looked at again */
#define SOURCES_MAX 64

/* What was opened, if it could be. */
static struct logsource *
opened(struct logsource *s, const char *what, char *error, size_t size)
{
	if (s != NULL && s->error[0] == '\0')
		return s;
	if (s == NULL)
		snprintf(error, size, "%s: %s", what, strerror(ENOMEM));
	else
		snprintf(error, size, "%s", s->error);
	logsource_close(s);
	return NULL;
}

struct logsource *
logsource_unpack(const char *path, char *error, size_t size)
{
	return opened(logstream_unpack(path), path, error, size);
}

struct logsource *
logsource_open(const char *what, const char *position, long since, bool follow,
    char *error, size_t size)
{
	const char *packed = logsource_packed(what), *why = NULL;
	const bool path = strncmp(what, "journal:", 8) == 0;
	struct logsource *s = NULL;

	(void)since; /* if there is no journal */
	if (packed != NULL) {
		snprintf(error, size, "%s: compressed (%s): only `scan "
		    "--dry-run' reads it", what, packed);
		return NULL;
	}
	if (strcmp(what, "-") == 0)
		s = logstream_open(follow);
	else if (path || strcmp(what, "journal") == 0)
#ifdef WITH_JOURNAL
		s = journal_open(path ? what + 8 : NULL, position, since,
		    follow);
#else
		why = "built without it: systemd/sd-journal.h was not there";
#endif
	else if (what[0] == '/')
		s = logfile_open(what, position);
	else
		why = "not an absolute path";
	if (why == NULL)
		return opened(s, what, error, size);
	snprintf(error, size, "%s: %s", what, why);
	return NULL;
}

void
logsource_close(struct logsource *s)
{
	if (s != NULL)
		s->kind->close(s);
}

int
logsource_read(struct logsource *s, const char **text, size_t *len)
{
	return s->kind->read(s, text, len);
}

const char *
logsource_error(const struct logsource *s)
{
	return s->error;
}

bool
logsource_over(const struct logsource *s)
{
	return s->over;
}

void
logsource_position(const struct logsource *s, char *out, size_t size)
{
	out[0] = '\0';
	if (s->kind->position != NULL)
		s->kind->position(s, out, size);
}

time_t
logsource_after(const struct logsource *s)
{
	return s->mark != NULL ? s->mark->after : 0;
}

time_t
logsource_position_time(const char *position, bool is_journal)
{
	char cursor[JOURNAL_CURSOR_MAX];
	struct rotated_mark mark;

	if (!is_journal)
		return rotated_mark_parse(position, &mark) ? mark.last : 0;
	return journal_position_parse(position, cursor) ?
	    (time_t)(journal_cursor_time(cursor) / 1000000) : 0;
}

/* One in the future comes from a clock that is wrong. */
void
logsource_counted(struct logsource *s, time_t when)
{
	if (s->mark != NULL && when > s->mark->last && when <= time(NULL))
		s->mark->last = when;
}

int
logsource_wait(struct logsource *const *list, size_t count, long ms,
    const sigset_t *mask)
{
	struct pollfd p[SOURCES_MAX];
	struct timespec limit;
	long pause;
	size_t i;
	bool look;
	int rc;

	if (count > SOURCES_MAX)
		count = SOURCES_MAX;
	do {
		pause = ms;
		for (i = 0; i < count; i++) {
			p[i].events = POLLIN;
			p[i].fd = list[i]->kind->watch(list[i], &look);
			if (look)
				return 1;
			if (p[i].fd < 0 && !list[i]->over && pause > LOOK_MS)
				pause = LOOK_MS;
		}
		limit.tv_sec = pause / 1000;
		limit.tv_nsec = pause % 1000 * 1000000;
		rc = ppoll(p, count, &limit, mask);
		ms -= pause;
	} while (rc == 0 && ms > 0);
	return rc < 0 ? -1 : rc > 0;
}
