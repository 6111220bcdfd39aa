/*
 * abictl selftest - does Postfix call us, and as it should?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftest.h"
#include "text.h"
#include "tool.h"

#define POSTCONF_SECONDS 10
#define OUTPUT_MAX (256 * 1024)
#define SERVICES_MAX 8

/* A spawn service that runs abichecker. */
struct service {
	char name[128]; /* inet: PORT or ADDRESS:PORT */
	bool inet;
};

/* The output of postconf, for the caller to free; NULL when there is none. */
static char *
postconf(const char *option, const char *names[], int count)
{
	const char *argv[16] = { "postconf", option };
	char *out = malloc(OUTPUT_MAX), error[512];
	int i;

	for (i = 0; i < count && i < 12; i++)
		argv[2 + i] = names[i];
	if (out == NULL || tool_read(argv, POSTCONF_SECONDS, out, OUTPUT_MAX,
		error, sizeof(error)) == 0)
		return out;
	free(out);
	return NULL;
}

/* Finds the spawn services that run abichecker; how many. */
static int
services_find(char *text, struct service *list)
{
	struct service *s;
	char *line;
	int count = 0;

	while (count < SERVICES_MAX &&
	    (line = text_line(&text, NULL)) != NULL) {
		if (strstr(line, " spawn ") == NULL ||
		    strstr(line, "abichecker") == NULL)
			continue;
		s = &list[count++];
		s->inet = strstr(line, " inet ") != NULL;
		snprintf(s->name, sizeof(s->name), "%.*s",
		    (int)strcspn(line, " \t"), line);
	}
	return count;
}

/*
 * May the filters of this service run long? No parameter of main.cf can have
 * the name of a service with a colon: of such a one it is said in master.cf.
 */
static void
test_limit(const struct service *s)
{
	const char *where = s->inet ? "master.cf" : "main.cf";
	char limit[160], *value;
	const char *limits[] = { limit };
	long seconds;

	snprintf(limit, sizeof(limit),
	    s->inet ? "%s/inet/command_time_limit" : "%s_time_limit", s->name);
	value = postconf(s->inet ? "-xPh" : "-xh", limits, 1);
	if (value == NULL ||
	    !text_duration(text_trim(value), 1001, 366 * 86400L, &seconds))
		say(WARN, "Postfix", "set %s = 3600 in %s: the filter is "
		    "killed after command_time_limit otherwise", limit, where);
	free(value);
}

/* The spawn services that run abichecker, which may run long; how many. */
static int
test_master(struct service *list)
{
	char *services = postconf("-M", NULL, 0);
	int i, count;

	if (services == NULL) {
		say(SKIP, "Postfix", "no /usr/sbin/postconf here");
		return 0;
	}
	count = services_find(services, list);
	free(services);
	if (count == 0)
		say(WARN, "Postfix", "no spawn service runs abichecker; see "
		    "master.cf.example");
	for (i = 0; i < count; i++) {
		say(OK, "Postfix", "the spawn service %s runs abichecker",
		    list[i].name);
		test_limit(&list[i]);
	}
	return count;
}

/* Is there an inet:HOST:PORT with the port of this service? */
static bool
names_port(const char *value, const char *name)
{
	const char *port = strrchr(name, ':'), *p = value;
	size_t len, port_len;

	port = port != NULL ? port + 1 : name;
	port_len = strlen(port);
	while ((p = strstr(p, "inet:")) != NULL) {
		len = strcspn(p, " \t\n,}");
		if (len > port_len && p[len - port_len - 1] == ':' &&
		    strncmp(p + len - port_len, port, port_len) == 0)
			return true;
		p += len;
	}
	return false;
}

/* Do the settings that postconf prints so ask one of these services? */
static bool
asks_us(const char *option, const char *names[], int name_count,
    const struct service *list, int count)
{
	char *value = postconf(option, names, name_count);
	bool asks = false;
	int i;

	if (value != NULL && strstr(value, "check_policy_service") != NULL) {
		asks = strstr(value, "abichecker") != NULL;
		for (i = 0; i < count && !asks; i++)
			asks = list[i].inet && names_port(value, list[i].name);
	}
	free(value);
	return asks;
}

void
selftest_postfix(void)
{
	const char *restrictions[] = { "smtpd_client_restrictions",
		"smtpd_helo_restrictions", "smtpd_sender_restrictions",
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions" };
	const char *delay[] = { "smtpd_delay_reject" };
	struct service list[SERVICES_MAX];
	int count = test_master(list);
	char *value;

	if (count == 0)
		return;
	if (asks_us("-xh", restrictions, 5, list, count))
		say(OK, "Postfix", "main.cf asks abichecker");
	else if (asks_us("-xP", NULL, 0, list, count))
		say(OK, "Postfix", "a service in master.cf asks abichecker");
	else
		say(WARN, "Postfix", "no smtpd_*_restrictions ask abichecker");
	value = postconf("-xh", delay, 1);
	if (value != NULL && strncmp(value, "yes", 3) != 0)
		say(WARN, "Postfix", "smtpd_delay_reject is not yes: in client "
		    "restrictions the SASL user is not known yet");
	free(value);
}
