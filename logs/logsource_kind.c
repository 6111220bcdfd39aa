/*
 * logsource_kind - the errors of sources; the positions of a journal, which are
 * read also where no journal is.
 */
#include "logs/logsource_kind.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
logsource_fail(struct logsource *s, const char *what, const char *fmt, ...)
{
	int n = snprintf(s->error, sizeof(s->error), "%.300s: ", what);
	va_list args;

	va_start(args, fmt);
	vsnprintf(s->error + n, sizeof(s->error) - (size_t)n, fmt, args);
	va_end(args);
	return -1;
}

bool
journal_position_parse(const char *text, char *cursor)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ=;:._-";
	const size_t before = strlen(JOURNAL_POSITION);
	size_t len = strlen(text);

	if (strncmp(text, JOURNAL_POSITION, before) != 0 || len == before ||
	    len - before >= JOURNAL_CURSOR_MAX ||
	    strspn(text + before, allowed) != len - before)
		return false;
	memcpy(cursor, text + before, len - before + 1);
	return true;
}

uint64_t
journal_cursor_time(const char *cursor)
{
	const char *t = strstr(cursor, ";t=");

	return t != NULL ? strtoull(t + 3, NULL, 16) : 0;
}
