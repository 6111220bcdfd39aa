/*
 * The whitelist. The first line of the input is a client's name, the rest the
 * file. Property: a name is listed only if a line ends it at a label boundary.
 */
#include "fuzz.h"

#include <strings.h>

#include "base/hostlist.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), *name = text, *file, entry[256];
	struct hostlist *w;
	struct address a;
	size_t n, m;

	file = strchr(text, '\n');
	if (file == NULL) {
		free(text);
		return 0;
	}
	*file++ = '\0';
	w = hostlist_parse(file, size - (size_t)(file - text), NULL, NULL);
	if (hostlist_name(w, name, entry, sizeof(entry))) {
		n = strlen(name);
		n -= n > 0 && name[n - 1] == '.';
		m = strlen(entry);
		HOLDS(n >= m && strncasecmp(name + n - m, entry, m) == 0);
		HOLDS(n == m || name[n - m - 1] == '.');
	}
	if (address_parse(name, &a))
		hostlist_address(w, &a, entry, sizeof(entry));
	hostlist_free(w);
	free(text);
	return 0;
}
