/*
 * command - starting accounts.command, without a shell and out of the way.
 */
#include "filter/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/child.h"

/* A list of "name=value" in one piece of memory. */
struct environment {
	char **list;
	size_t count;
	char *end; /* of the strings, which follow the list */
};

static void
add(struct environment *e, const char *name, const char *value)
{
	size_t n = strlen(name), m = strlen(value) + 1;

	e->list[e->count++] = e->end;
	memcpy(e->end, name, n);
	e->end[n] = '=';
	memcpy(e->end + n + 1, value, m);
	e->end += n + 1 + m;
}

/* Room for all attributes of a request and `more' bytes of other strings. */
static bool
environment_init(struct environment *e, const struct request *req, size_t more)
{
	size_t count = 0, bytes = more;
	const char *name, *value;

	for (; (name = request_each(req, count, &value)) != NULL; count++)
		bytes += strlen(name) + 1 + strlen(value) + 1;
	count += 4; /* PATH, check, reason, the end */
	e->list = malloc(count * sizeof(char *) + bytes);
	if (e->list == NULL)
		return false;
	e->end = (char *)(e->list + count);
	e->count = 0;
	return true;
}

char **
command_environment(const struct request *req, const char *check,
    const char *reason)
{
	struct environment e;
	const char *name, *value;
	size_t i;

	if (!environment_init(&e, req, sizeof("check=") + strlen(check) +
		sizeof("reason=") + strlen(reason)))
		return NULL;
	e.list[e.count++] = (char *)COMMAND_PATH;
	add(&e, "check", check);
	add(&e, "reason", reason);
	for (i = 0; (name = request_each(req, i, &value)) != NULL; i++)
		add(&e, name, value);
	e.list[e.count] = NULL;
	return e.list;
}

/* Is this string of an environment one of ours? */
static bool
ours(const char *string)
{
	static const struct request none;
	const char *name, *value;
	size_t n = strcspn(string, "="), i;

	if (string[n] != '=')
		return false;
	if ((n == 5 && memcmp(string, "check", n) == 0) ||
	    (n == 6 && memcmp(string, "reason", n) == 0))
		return true;
	for (i = 0; (name = request_each(&none, i, &value)) != NULL; i++)
		if (strlen(name) == n && memcmp(string, name, n) == 0)
			return true;
	return false;
}

char **
command_environment_again(char *const from[])
{
	size_t n = 0, i;
	char **list;

	for (i = 0; from[i] != NULL; i++)
		;
	list = calloc(i + 2, sizeof(*list));
	if (list == NULL)
		return NULL;
	list[n++] = (char *)COMMAND_PATH;
	for (i = 0; from[i] != NULL; i++)
		if (ours(from[i]))
			list[n++] = from[i];
	return list;
}

bool
command_start(const struct config *cfg, const struct request *req,
    const char *user, const char *check, const char *reason, char *error,
    size_t size)
{
	const char *const args[] = { "run-command", "--", user, NULL };
	char **environment = command_environment(req, check, reason);
	int rc;

	if (environment == NULL) {
		snprintf(error, size, "out of memory");
		return false;
	}
	rc = child_start(cfg, args, -1, -1, environment, error, size);
	free(environment);
	return rc == 0;
}
