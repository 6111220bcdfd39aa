/*
 * From the attributes of a request to the environment of accounts.command.
 * Property: the names are always the same, whatever a request holds, each is
 * there once, and a value is what Postfix sent.
 */
#include "fuzz.h"

#include <stdio.h>

#include "filter/command.h"

/* The string of a name in an environment; there must be exactly one. */
static const char *
value_of(char **list, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name), i;

	for (i = 0; list[i] != NULL; i++)
		if (strncmp(list[i], name, n) == 0 && list[i][n] == '=') {
			HOLDS(found == NULL);
			found = list[i] + n + 1;
		}
	HOLDS(found != NULL);
	return found;
}

static size_t
length(char **list)
{
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t names; /* that a request without anything gives */
	char *text = fuzz_copy(data, size), **list, **again, **wild;
	struct request req;
	const char *name, *value;
	size_t i;

	if (names == 0) {
		request_init(&req);
		list = command_environment(&req, "", "");
		names = length(list);
		free(list);
	}
	if (request_parse(text, size, &req) != NULL) {
		free(text);
		return 0;
	}
	list = command_environment(&req, "authbl", req.recipient);
	HOLDS(list != NULL && length(list) == names);
	HOLDS(strcmp(list[0], COMMAND_PATH) == 0);
	HOLDS(strcmp(value_of(list, "PATH"), &COMMAND_PATH[5]) == 0);
	HOLDS(strcmp(value_of(list, "check"), "authbl") == 0);
	HOLDS(strcmp(value_of(list, "reason"), req.recipient) == 0);
	for (i = 0; (name = request_each(&req, i, &value)) != NULL; i++)
		HOLDS(strcmp(value_of(list, name), value) == 0);
	/* What abictl makes of it is the same ... */
	again = command_environment_again(list);
	HOLDS(again != NULL && length(again) == names);
	for (i = 0; i < names; i++)
		HOLDS(strcmp(list[i], again[i]) == 0);
	free(again);
	/* ... and of strings of any kind nothing foreign comes through. */
	wild = calloc(3, sizeof(*wild));
	HOLDS(wild != NULL);
	wild[0] = (char *)(size_t)req.sender;
	wild[1] = (char *)(size_t)req.helo_name;
	again = command_environment_again(wild);
	HOLDS(again != NULL);
	for (i = 1; again[i] != NULL; i++)
		HOLDS(strncmp(again[i], "LD_", 3) != 0 &&
		    strncmp(again[i], "PATH", 4) != 0 &&
		    strncmp(again[i], "BASH", 4) != 0 &&
		    strchr(again[i], '=') != NULL);
	free(again);
	free(wild);
	free(list);
	free(text);
	return 0;
}
