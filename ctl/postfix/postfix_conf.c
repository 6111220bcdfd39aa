/*
 * postfix_conf - what Postfix is configured to do, as postconf(1) tells it.
 */
#include "ctl/postfix/postfix_conf.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "base/tool.h"

#define POSTCONF_SECONDS 10
#define OUTPUT_MAX (1024 * 1024)

char *
postfix_output(
    const char *directory, const char *option, char *error, size_t size)
{
	const char *argv[] = {"postconf", NULL, NULL, NULL, NULL};
	char *out = malloc(OUTPUT_MAX);
	size_t n = 1;

	if (option != NULL)
		argv[n++] = option;
	if (directory[0] != '\0') {
		argv[n++] = "-c";
		argv[n] = directory;
	}
	if (out == NULL)
		snprintf(error, size, "out of memory");
	else if (tool_read(
		     argv, POSTCONF_SECONDS, out, OUTPUT_MAX, error, size) == 0)
		return out;
	free(out);
	return NULL;
}

/* --- master.cf --- */

/* Cuts the next column off *s, and moves it on. "" at the end. */
static void
column(const char **s, char *out, size_t size)
{
	size_t n;

	*s += strspn(*s, " \t");
	n = strcspn(*s, " \t");
	snprintf(out, size, "%.*s", (int)n, *s);
	*s += n;
}

static bool
service_parse(struct postfix_service *s, const char *line)
{
	char flags[3][8], wakeup[16];
	int i;

	column(&line, s->name, sizeof(s->name));
	column(&line, s->type, sizeof(s->type));
	for (i = 0; i < 3; i++)
		column(&line, flags[i], sizeof(flags[i]));
	s->is_private = flags[0][0];
	s->unprivileged = flags[1][0];
	s->chroot = flags[2][0];
	column(&line, wakeup, sizeof(wakeup));
	column(&line, s->maxproc, sizeof(s->maxproc));
	column(&line, s->program, sizeof(s->program));
	line += strspn(line, " \t");
	s->cut = strlen(line) >= sizeof(s->arguments);
	snprintf(s->arguments, sizeof(s->arguments), "%s", line);
	return s->program[0] != '\0';
}

void
postfix_parse(struct postfix *p, char *text)
{
	char *line;

	while (p->count < POSTFIX_SERVICES_MAX &&
	       (line = text_line(&text, NULL)) != NULL)
		if (service_parse(&p->services[p->count], line))
			p->count++;
	p->cut = text_line(&text, NULL) != NULL;
}

bool
postfix_read(struct postfix *p, const char *directory, char *error, size_t size)
{
	char *services;

	memset(p, 0, sizeof(*p));
	snprintf(p->directory, sizeof(p->directory), "%s", directory);
	services = postfix_output(directory, "-M", error, size);
	if (services == NULL)
		return false;
	postfix_parse(p, services);
	free(services);
	p->parameters = postfix_output(directory, "-x", error, size);
	p->overrides = postfix_output(directory, "-Px", error, size);
	return p->parameters != NULL && p->overrides != NULL;
}

void
postfix_release(struct postfix *p)
{
	free(p->parameters);
	free(p->overrides);
	p->parameters = p->overrides = NULL;
}

bool
postfix_line(const char *text, const char *name, char *out, size_t size)
{
	size_t n = strlen(name), len;
	const char *value;

	for (; text != NULL; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (strncmp(text, name, n) != 0 ||
		    strncmp(text + n, " =", 2) != 0)
			continue;
		value = text + n + 2;
		value += strspn(value, " ");
		len = strcspn(value, "\n");
		snprintf(out, size, "%.*s", (int)len, value);
		return true;
	}
	return false;
}

bool
postfix_value(const struct postfix *p, const struct postfix_service *s,
    const char *name, char *out, size_t size)
{
	char full[3 * POSTFIX_NAME_MAX];

	out[0] = '\0';
	if (s != NULL) {
		snprintf(
		    full, sizeof(full), "%s/%s/%s", s->name, s->type, name);
		if (postfix_line(p->overrides, full, out, size))
			return true;
	}
	return postfix_line(p->parameters, name, out, size);
}

/* --- services --- */

static int
port_number(const char *name)
{
	const struct servent *known;
	long port;

	if (text_number(name, 1, 65535, &port))
		return (int)port;
	known = getservbyname(name, "tcp");
	return known != NULL ? ntohs((uint16_t)known->s_port) : 0;
}

/* The part of [HOST:]PORT after the host. */
static const char *
port_part(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon != NULL ? colon + 1 : name;
}

int
postfix_port(const struct postfix_service *s)
{
	return strcmp(s->type, "inet") == 0 ? port_number(port_part(s->name))
					    : 0;
}

bool
postfix_for_users(const struct postfix *p, const struct postfix_service *s)
{
	char all[64], own[64];
	int port = postfix_port(s);

	postfix_value(p, NULL, "smtpd_sasl_auth_enable", all, sizeof(all));
	postfix_value(p, s, "smtpd_sasl_auth_enable", own, sizeof(own));
	return port == PORT_SUBMISSION || port == PORT_SMTPS ||
	       (strcmp(own, "yes") == 0 &&
		   (strcmp(all, "yes") != 0 || port == PORT_SMTP));
}

bool
postfix_for_strangers(const struct postfix_service *s)
{
	return postfix_port(s) == PORT_SMTP || strcmp(s->type, "pass") == 0;
}

const char *
postfix_argument_at(const struct postfix_service *s, const char *name)
{
	const char *at = s->arguments;
	size_t n = strlen(name);

	for (; *at != '\0'; at += strcspn(at, " \t")) {
		at += strspn(at, " \t{");
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			return at + n + 1;
		if (strncmp(at, "argv=", 5) == 0)
			break;
	}
	return NULL;
}

bool
postfix_argument(
    const struct postfix_service *s, const char *name, char *out, size_t size)
{
	const char *at = postfix_argument_at(s, name);

	out[0] = '\0';
	if (at != NULL)
		snprintf(out, size, "%.*s", (int)strcspn(at, " \t}"), at);
	return at != NULL;
}

bool
postfix_is_ours(const struct postfix_service *s)
{
	return strcmp(s->program, "spawn") == 0 &&
	       (strstr(s->arguments, "abichecker") != NULL ||
		   strstr(s->name, "abichecker") != NULL);
}

bool
postfix_socket(
    const struct postfix *p, const char *target, char *path, size_t size)
{
	char queue[PATH_MAX];

	if (strncmp(target, "unix:", 5) != 0)
		return false;
	target += 5;
	postfix_value(p, NULL, "queue_directory", queue, sizeof(queue));
	if (target[0] == '/')
		queue[0] = '\0';
	return (size_t)snprintf(path, size, "%s%s%s", queue,
		   target[0] == '/' ? "" : "/", target) < size;
}

/*
 * Does an inet service listen at HOST:PORT? The name localhost may be either
 * loopback address; one without a host, or with 0.0.0.0, is at all.
 */
static bool
listens_at(const struct postfix_service *s, const char *target)
{
	size_t host = (size_t)(port_part(s->name) - s->name);
	size_t asked = (size_t)(port_part(target) - target);
	int port = port_number(port_part(target));
	bool by_name = strncmp(s->name, "localhost:", host) == 0 ||
		       strncmp(target, "localhost:", asked) == 0;

	return strcmp(s->type, "inet") == 0 && port != 0 &&
	       postfix_port(s) == port &&
	       (host == 0 || asked == 0 ||
		   strncmp(s->name, "0.0.0.0:", host) == 0 ||
		   strncmp(s->name, "[::]:", host) == 0 ||
		   (host == asked && strncmp(s->name, target, host) == 0) ||
		   (by_name && address_loopback_host(s->name, host - 1) &&
		       address_loopback_host(target, asked - 1)));
}

const struct postfix_service *
postfix_listener(const struct postfix *p, const char *target)
{
	char path[PATH_MAX], own[PATH_MAX], place[POSTFIX_NAME_MAX + 16];
	bool is_socket = postfix_socket(p, target, path, sizeof(path));
	const struct postfix_service *s;
	size_t i;

	for (i = 0; i < p->count; i++) {
		s = &p->services[i];
		if (strcmp(s->type, "unix") == 0 && is_socket) {
			snprintf(place, sizeof(place), "unix:%s/%s",
			    s->is_private == 'n' ? "public" : "private",
			    s->name);
			if (postfix_socket(p, place, own, sizeof(own)) &&
			    strcmp(own, path) == 0)
				return s;
		} else if (strncmp(target, "inet:", 5) == 0 &&
			   listens_at(s, target + 5))
			return s;
	}
	return NULL;
}
