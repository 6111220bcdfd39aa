/*
 * abictl selftest - does Postfix call us, and as it should?
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"
#include "selftest.h"
#include "text.h"

#define POSTCONF_TIMEOUT 10000 /* milliseconds */

/* --- Postfix --- */

/* The output of postconf, for the caller to free; NULL when there is none. */
static char *
postconf(const char *option, const char *names[], int count)
{
	char *argv[16] = { (char *)"/usr/sbin/postconf", (char *)option };
	struct pollfd p = { .events = POLLIN };
	size_t len = 0, size = 256 * 1024;
	char *out;
	int ends[2], i;
	ssize_t n;

	for (i = 0; i < count && i < 12; i++)
		argv[2 + i] = (char *)names[i];
	if (access(argv[0], X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
		return NULL;
	out = malloc(size);
	if (out != NULL && process_start(argv, ends[1], -1, NULL) == 0) {
		close(ends[1]);
		p.fd = ends[0];
		while (len < size - 1 && poll(&p, 1, POSTCONF_TIMEOUT) > 0 &&
		    (n = read(ends[0], out + len, size - 1 - len)) > 0)
			len += (size_t)n;
		out[len] = '\0';
	} else {
		close(ends[1]);
		free(out);
		out = NULL;
	}
	close(ends[0]);
	return out;
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
