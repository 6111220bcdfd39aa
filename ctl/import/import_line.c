/*
 * import_line - a line of a list of users.
 */
#include "ctl/import/import_line.h"

#include <string.h>

#include "base/text.h"

const char *
import_line(char *line, size_t n, const char **user, const char **note)
{
	const unsigned char *s;
	char *end;

	*user = *note = NULL;
	if (strlen(line) != n)
		return "contains a NUL byte";
	if (n >= IMPORT_LINE_MAX - 1 && line[n - 1] != '\n')
		return "too long";
	line = text_trim(line);
	if (*line == '\0' || *line == '#')
		return NULL;
	for (s = (const unsigned char *)line; *s != '\0'; s++)
		if ((*s < ' ' && *s != '\t') || *s == 0x7f)
			return "contains a control character";
	end = line + strcspn(line, " \t");
	if (*end != '\0')
		*end++ = '\0';
	*user = line;
	*note = end + strspn(end, " \t");
	return NULL;
}
