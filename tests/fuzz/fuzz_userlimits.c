/*
 * Own limits of users. The first line of the input is a user, the rest the
 * file. Property: limits that are found are within their range, what no line
 * names stays as it was, and the same text gives the same again.
 */
#include "fuzz.h"

#include "filter/userlimits.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct limits_of all = { -7, -7 };
	char *text = fuzz_copy(data, size), *file;
	struct limits_of of = all, again = all;
	struct limits *l;

	file = strchr(text, '\n');
	if (file == NULL) {
		free(text);
		return 0;
	}
	*file++ = '\0';
	l = limits_parse(file, size - (size_t)(file - text), NULL, NULL);
	HOLDS(l != NULL);
	if (limits_find(l, text, &of)) {
		HOLDS(of.countries == -7 ||
		    (of.countries >= 0 && of.countries <= 676));
		HOLDS(of.addresses == -7 ||
		    (of.addresses >= 0 && of.addresses <= 1000000));
		HOLDS(of.countries != -7 || of.addresses != -7);
		HOLDS(limits_size(l) > 0);
	} else
		HOLDS(of.countries == -7 && of.addresses == -7);
	limits_find(l, text, &again);
	HOLDS(memcmp(&of, &again, sizeof(of)) == 0);
	limits_free(l);
	free(text);
	return 0;
}
