/*
 * abictl selftest - how findings are told, and the commands that go with them.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/selftest/selftest.h"
#include "base/text.h"

static struct {
	cJSON *json; /* NULL: print lines */
	int problems, hints;
} report;

/* Prints or keeps one finding; command may be NULL. */
static void
finding(enum selftest_level level, const char *subject, const char *command,
    const char *raw)
{
	static const char *const words[] = {"ok", "skip", "warn", "FAIL"};
	char text[1024];
	cJSON *o;

	text_printable(text, sizeof(text), raw);
	report.problems += level == FAIL;
	report.hints += level == WARN;
	if (report.json == NULL) {
		printf("%-4s  %s: %s\n", words[level], subject, text);
		if (command != NULL)
			printf("      try: %s\n", command);
		fflush(stdout);
		return;
	}
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "result", words[level]);
	cJSON_AddStringToObject(o, "subject", subject);
	cJSON_AddStringToObject(o, "text", text);
	if (command != NULL)
		cJSON_AddStringToObject(o, "try", command);
	cJSON_AddItemToArray(report.json, o);
}

void
say(enum selftest_level level, const char *subject, const char *fmt, ...)
{
	char raw[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	finding(level, subject, NULL, raw);
}

void
say_try(enum selftest_level level, const char *subject, const char *command,
    const char *fmt, ...)
{
	char raw[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	finding(level, subject, command, raw);
}

const char *
selftest_command_line(const char *fmt, ...)
{
	static char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return command;
}

const char *
selftest_edit_file(const char *path)
{
	return selftest_command_line("sudo ${EDITOR:-vi} %s", path);
}

const char *
selftest_edit(const struct config *cfg)
{
	return selftest_edit_file(
	    cfg->file != NULL ? cfg->file : CONFIG_DEFAULT_FILE);
}

/* A name, or the number if it has none; what goes into errno is dropped. */
static void
name_or_number(
    char *out, size_t size, const char *name, unsigned number, int saved)
{
	if (name != NULL)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%u", number);
	errno = saved;
}

const char *
selftest_user(void)
{
	static char name[64];
	int saved = errno;
	const struct passwd *pw;

	if (geteuid() == 0)
		return "abichecker";
	pw = getpwuid(geteuid());
	name_or_number(name, sizeof(name), pw != NULL ? pw->pw_name : NULL,
	    (unsigned)geteuid(), saved);
	return name;
}

const char *
selftest_group(void)
{
	static char name[64];
	int saved = errno;
	const struct group *g;

	if (geteuid() == 0)
		return "abichecker";
	g = getgrgid(getegid());
	name_or_number(name, sizeof(name), g != NULL ? g->gr_name : NULL,
	    (unsigned)getegid(), saved);
	return name;
}

bool
selftest_can(const struct config *cfg, const char *sections, const char *what)
{
	if (config_error(cfg, sections) == NULL)
		return true;
	say(SKIP, what, "left out: see the configuration");
	return false;
}

const char *
selftest_readable(int error, const char *path)
{
	if (error == ENOENT)
		return selftest_command_line("sudo install -m 640 -g %s "
					     "/dev/null %s",
		    selftest_group(), path);
	if (error == EACCES)
		return selftest_command_line("sudo chgrp %s %s && "
					     "sudo chmod g+r %s",
		    selftest_group(), path, path);
	return selftest_command_line("ls -ld %s", path);
}

const char *
selftest_own_directory(const char *path)
{
	return selftest_command_line("sudo install -d -o %s -g %s -m 750 %s",
	    selftest_user(), selftest_group(), path);
}

void
selftest_json(void)
{
	report.json = cJSON_CreateArray();
}

int
selftest_end(void)
{
	if (report.json != NULL)
		abictl_json(report.json);
	else
		printf("%d problem%s, %d hint%s\n", report.problems,
		    report.problems == 1 ? "" : "s", report.hints,
		    report.hints == 1 ? "" : "s");
	return report.problems > 0 ? 1 : EX_OK;
}
