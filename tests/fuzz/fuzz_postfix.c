/*
 * What postconf prints of services, parameters and overrides, with an empty
 * line between each. Property: no service asks more than there is room for,
 * each target is asked once, and who listens at it is one of the services.
 */
#include "fuzz.h"

#include "ctl/postfix/postfix_conf.h"

/* Ends a text at an empty line; what is after that, or "". */
static char *
part_next(char *text)
{
	char *end = strstr(text, "\n\n");

	if (end == NULL)
		return text + strlen(text);
	end[1] = '\0';
	return end + 2;
}

static void
service_look(const struct postfix *p, const struct postfix_service *s)
{
	static struct postfix_ask asks[POSTFIX_ASKS_MAX];
	const struct postfix_service *listener;
	size_t count = postfix_asks(p, s, asks), i, k;
	char path[PATH_MAX], user[16];

	HOLDS(count <= POSTFIX_ASKS_MAX);
	for (i = 0; i < count; i++) {
		for (k = 0; k < i; k++)
			HOLDS(strcmp(asks[i].target, asks[k].target) != 0);
		postfix_socket(p, asks[i].target, path, sizeof(path));
		listener = postfix_listener(p, asks[i].target);
		HOLDS(listener == NULL || (listener >= p->services &&
			listener < p->services + p->count));
	}
	HOLDS(!postfix_argument(s, "user", user, sizeof(user)) ||
	    strlen(user) < sizeof(user));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct postfix p;
	char *services = fuzz_copy(data, size);
	size_t i;

	memset(&p, 0, sizeof(p));
	p.parameters = part_next(services);
	p.overrides = part_next(p.parameters);
	postfix_parse(&p, services);
	HOLDS(p.count <= POSTFIX_SERVICES_MAX);
	for (i = 0; i < p.count; i++)
		service_look(&p, &p.services[i]);
	free(services);
	return 0;
}
