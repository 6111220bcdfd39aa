/*
 * Changes of a whitelist. The first line of the input is an entry, the rest the
 * file. Properties: the lines that are read are the whole file; what was added
 * is found, and after it was removed nothing else is missing.
 */
#include "fuzz.h"

#include "base/hostlist.h"
#include "ctl/whitelist_text.h"

/* How many lines have this entry; all of them together are the text. */
static size_t
lines_of(const char *text, const char *form)
{
	struct whitelist_line l = { .number = 0 };
	const char *cursor = text;
	size_t n = 0;

	while (whitelist_next(&cursor, &l)) {
		HOLDS(l.text == text && l.len > 0);
		text += l.len;
		HOLDS(l.form[0] == '\0' || l.entry[0] != '\0');
		n += strcmp(l.form, form) == 0;
	}
	HOLDS(*text == '\0');
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = fuzz_copy(data, size), *file, *with, *without, *again;
	char form[HOSTLIST_NAME_MAX + 1];
	const char *doubt;
	size_t had, removed, n;

	file = strchr(input, '\n');
	if (file == NULL || (*file++ = '\0',
	    hostlist_entry(input, form, sizeof(form), &doubt)) != NULL) {
		free(input);
		return 0;
	}
	had = lines_of(file, form);
	with = whitelist_with(file, input, "a # note");
	HOLDS(with != NULL && lines_of(with, form) == had + 1);
	without = whitelist_without(with, form, &removed);
	HOLDS(without != NULL && removed == had + 1);
	HOLDS(lines_of(without, form) == 0);
	again = whitelist_without(file, form, &removed);
	HOLDS(again != NULL && removed == had);
	/* But for the line end that the last line may have needed. */
	n = strlen(again);
	HOLDS(strncmp(again, without, n) == 0);
	HOLDS(without[n] == '\0' || strcmp(without + n, "\n") == 0);
	free(again);
	free(without);
	free(with);
	free(input);
	return 0;
}
