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

/* Finds the spawn service that runs abichecker; its name into `name`. */
static bool
service_find(char *services, char *name, size_t size)
{
	char *line;

	while ((line = text_line(&services, NULL)) != NULL)
		if (strstr(line, " spawn ") != NULL &&
		    strstr(line, "abichecker") != NULL) {
			snprintf(name, size, "%.*s",
			    (int)strcspn(line, " \t"), line);
			return true;
		}
	return false;
}

/* Is there a spawn service that runs abichecker, and may it run long? */
static bool
test_master(void)
{
	char *services = postconf("-M", NULL, 0), *value;
	char name[128], limit[160];
	const char *limits[] = { limit };
	long seconds;
	bool found;

	if (services == NULL) {
		say(SKIP, "Postfix", "no /usr/sbin/postconf here");
		return false;
	}
	found = service_find(services, name, sizeof(name));
	free(services);
	if (!found) {
		say(WARN, "Postfix", "no spawn service runs abichecker; see "
		    "master.cf.example");
		return false;
	}
	say(OK, "Postfix", "the spawn service %s runs abichecker", name);
	snprintf(limit, sizeof(limit), "%s_time_limit", name);
	value = postconf("-xh", limits, 1);
	if (value == NULL ||
	    !text_duration(text_trim(value), 1001, 366 * 86400L, &seconds))
		say(WARN, "Postfix", "set %s = 3600 in main.cf: the filter is "
		    "killed after command_time_limit otherwise", limit);
	free(value);
	return true;
}

/* Do the settings that postconf prints so ask the filter? */
static bool
asks_us(const char *option, const char *names[], int count)
{
	char *value = postconf(option, names, count);
	bool asks = value != NULL &&
	    strstr(value, "check_policy_service") != NULL &&
	    strstr(value, "abichecker") != NULL;

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
	char *value;

	if (!test_master())
		return;
	if (asks_us("-xh", restrictions, 5))
		say(OK, "Postfix", "main.cf asks abichecker");
	else if (asks_us("-xP", NULL, 0))
		say(OK, "Postfix", "a service in master.cf asks abichecker");
	else
		say(WARN, "Postfix", "no smtpd_*_restrictions ask abichecker");
	value = postconf("-xh", delay, 1);
	if (value != NULL && strncmp(value, "yes", 3) != 0)
		say(WARN, "Postfix", "smtpd_delay_reject is not yes: in client "
		    "restrictions the SASL user is not known yet");
	free(value);
}
