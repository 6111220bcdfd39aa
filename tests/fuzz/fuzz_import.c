/*
 * A line of a list of users. Property: user and note are parts of the line,
 * without control characters, and the user has no blanks.
 */
#include "fuzz.h"

#include "ctl/import/import_line.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size < IMPORT_LINE_MAX - 1 ? size : IMPORT_LINE_MAX - 1;
	char *line = fuzz_copy(data, n);
	const char *user, *note, *wrong = import_line(line, n, &user, &note);

	if (wrong == NULL && user != NULL) {
		HOLDS(user[0] != '\0' && user[0] != '#');
		HOLDS(user[strcspn(user, " \t\r\n\x7f\x1b")] == '\0');
		HOLDS(user >= line && user + strlen(user) <= line + n);
		HOLDS(note >= line && note + strlen(note) <= line + n);
		HOLDS(note[0] != ' ' && note[0] != '\t');
		HOLDS(note[strcspn(note, "\n\x1b")] == '\0');
	}
	free(line);
	return 0;
}
