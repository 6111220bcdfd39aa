/*
 * abictl selftest - how findings are told, and the commands that go with them.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/selftest/selftest.h"
#include "base/text.h"

#define QUOTED_MAX (4 * PATH_MAX)
#define QUOTED_AT_ONCE 4

static struct {
	cJSON *json; /* NULL: print lines */
	int problems, hints;
	bool by_stranger; /* whom no command shall make the filter's user */
	const char *file; /* of the configuration, if not the usual one */
} report;

/* Prints or keeps one finding; command may be NULL. */
static void
finding(enum selftest_level level, const char *subject, const char *command,
    const char *raw)
{
	static const char *const words[] = {"ok", "skip", "warn", "FAIL"};
	static char line[QUOTED_MAX];
	char text[1024], shown[PATH_MAX];
	cJSON *o;

	text_printable(shown, sizeof(shown), subject);
	text_printable(text, sizeof(text), raw);
	if (command != NULL && report.by_stranger)
		command = selftest_abictl("selftest");
	if (command != NULL) {
		text_printable(line, sizeof(line), command);
		command = line;
	}
	report.problems += level == FAIL;
	report.hints += level == WARN;
	if (report.json == NULL) {
		printf("%-4s  %s: %s\n", words[level], shown, text);
		if (command != NULL)
			printf("      try: %s\n", command);
		fflush(stdout);
		return;
	}
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "result", words[level]);
	cJSON_AddStringToObject(o, "subject", shown);
	cJSON_AddStringToObject(o, "text", text);
	if (command != NULL)
		cJSON_AddStringToObject(o, "try", command);
	cJSON_AddItemToArray(report.json, o);
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
selftest_quote(const char *word)
{
	static char quoted[QUOTED_AT_ONCE][QUOTED_MAX];
	static size_t next;
	char *out = quoted[next++ % QUOTED_AT_ONCE];
	struct text t;

	text_init(&t, out, QUOTED_MAX);
	text_add_quoted(&t, word);
	return t.cut ? "''" : out; /* no other file than the one meant */
}

const char *
selftest_command_line(const char *fmt, ...)
{
	static char command[QUOTED_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	/* Half a command might do anything. */
	return n >= 0 && (size_t)n < sizeof(command) ? command
						     : "sudo abictl selftest";
}

const char *
selftest_abictl(const char *arguments)
{
	return selftest_command_line("sudo abictl %s%s%s%s",
	    report.file != NULL ? "-c " : "",
	    report.file != NULL ? selftest_quote(report.file) : "",
	    report.file != NULL ? " " : "", arguments);
}

const char *
selftest_edit_file(const char *path)
{
	return selftest_command_line(
	    "sudo ${EDITOR:-vi} %s", selftest_quote(path));
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
	say(SKIP, what, "skipped: see the errors in the configuration");
	return false;
}

const char *
selftest_look(const char *path)
{
	return selftest_command_line("sudo namei -l %s", selftest_quote(path));
}

const char *
selftest_readable(int error, const char *path)
{
	const char *group = selftest_quote(selftest_group());
	const char *file = selftest_quote(path);
	struct stat st;

	if (error == ENOENT && lstat(path, &st) != 0 && errno == ENOENT)
		return selftest_command_line(
		    "sudo install -D -m 640 -g %s /dev/null %s", group, file);
	if (error == EACCES && stat(path, &st) == 0)
		return selftest_command_line(
		    "sudo chgrp %s %s && sudo chmod g+r %s", group, file, file);
	return selftest_look(path); /* above all, through which directories */
}

/* May a directory be given to the filter: is it nobody else's? */
static bool
is_for_us(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT;
	return S_ISDIR(st.st_mode) &&
	       (strstr(path, "abichecker") != NULL ||
		   /* Not one of the system, such as /tmp or /var/lib */
		   (st.st_uid == 0 && st.st_nlink <= 2 &&
		       (st.st_mode & S_ISVTX) == 0));
}

const char *
selftest_own_directory(const char *path)
{
	const char *user = selftest_quote(selftest_user());
	int saved = errno; /* what is told with the command */
	bool ours = is_for_us(path);

	errno = saved;
	if (!ours)
		return selftest_look(path);
	return selftest_command_line("sudo install -d -o %s -g %s -m 750 %s",
	    user, selftest_quote(selftest_group()), selftest_quote(path));
}

void
selftest_begin(const struct config *cfg, bool json, bool by_stranger)
{
	if (json)
		report.json = cJSON_CreateArray();
	report.by_stranger = by_stranger;
	report.file = cfg->file != NULL &&
			      strcmp(cfg->file, CONFIG_DEFAULT_FILE) != 0
			  ? cfg->file
			  : NULL;
	if (by_stranger)
		say_try(WARN, "configuration", "",
		    "user %s is not the filter's: what fails for it may work "
		    "for the filter",
		    selftest_user());
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
