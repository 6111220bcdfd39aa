/*
 * abictl selftest - is the line in master.cf that starts the filter right?
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "ctl/selftest/selftest.h"
#include "ctl/selftest/postfix.h"
#include "base/text.h"

#define LIMIT_DEFAULT 1000 /* seconds: command_time_limit */

const char *
selftest_subject(const struct instance *in)
{
	static char text[PATH_MAX + 16];

	snprintf(text, sizeof(text), "Postfix%s%s",
	    in->conf.directory[0] != '\0' ? " " : "", in->conf.directory);
	return text;
}

const char *
selftest_which(const struct instance *in)
{
	static char text[4 * PATH_MAX];
	/* sudo(8) does not hand it on. */
	const char *environment = getenv("MAIL_CONFIG");
	const char *directory = in->conf.directory;

	if (directory[0] == '\0' && environment != NULL)
		directory = environment;
	text[0] = '\0';
	if (directory[0] != '\0')
		snprintf(text, sizeof(text), "-c %s ",
		    selftest_quote(directory));
	return text;
}

const char *
selftest_where(const struct instance *in, const char *target)
{
	const char *which = selftest_which(in);

	return selftest_command_line("{ sudo postconf %s-nx; sudo postconf "
				     "%s-Px; } | grep -F -n -e %s",
	    which, which, selftest_quote(target));
}

const char *
selftest_edit_postfix(const struct instance *in, const char *name)
{
	char directory[PATH_MAX], path[PATH_MAX + 16];

	postfix_value(&in->conf, NULL, "config_directory", directory,
	    sizeof(directory));
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return selftest_edit_file(path);
}

const char *
selftest_change(
    const struct instance *in, const char *option, const char *setting)
{
	const char *which = selftest_which(in);

	return selftest_command_line(
	    "sudo postconf %s%s %s && sudo postfix %sreload", which, option,
	    selftest_quote(setting), which);
}

const char *
selftest_change_column(const struct instance *in,
    const struct postfix_service *s, const char *column, const char *value)
{
	char setting[3 * POSTFIX_COMMAND_MAX];

	snprintf(setting, sizeof(setting), "%s/%s/%s=%s", s->name, s->type,
	    column, value);
	return selftest_change(in, "-F", setting);
}

/* A command that gives one of spawn(8)'s arguments another value. */
static const char *
change_argument(const struct instance *in, const struct postfix_service *s,
    const char *name, const char *value)
{
	char text[2 * POSTFIX_COMMAND_MAX];
	const char *at = postfix_argument_at(s, name);
	const char *program = postfix_argument_at(s, "argv");
	const char *before = program != NULL
				 ? program - strlen("argv=")
				 : s->arguments + strlen(s->arguments);

	/* Nothing is taken away: not what is long, or is in odd places. */
	if (s->cut || strlen(value) >= POSTFIX_COMMAND_MAX / 2 ||
	    (program != NULL && strstr(program, " user=") != NULL))
		return selftest_edit_postfix(in, "master.cf");
	if (at != NULL)
		snprintf(text, sizeof(text), "spawn %.*s%s%s",
		    (int)(at - s->arguments), s->arguments, value,
		    at + strcspn(at, " \t}"));
	else
		snprintf(text, sizeof(text), "spawn %.*s%s%s=%s %s",
		    (int)(before - s->arguments), s->arguments,
		    program == NULL && before > s->arguments ? " " : "", name,
		    value, before);
	return selftest_change_column(in, s, "command", text);
}

/* What is wrong with the user of a service; NULL: nothing. */
static const char *
user_wrong(const struct instance *in, const char *user)
{
	char owner[POSTFIX_NAME_MAX];
	const struct passwd *pw = getpwnam(user);

	postfix_value(&in->conf, NULL, "mail_owner", owner, sizeof(owner));
	if (user[0] == '\0')
		return "since user= is missing";
	if (pw == NULL)
		return "but there is no such user";
	if (pw->pw_uid == 0 || strcmp(user, owner) == 0)
		return "which spawn(8) refuses";
	/* Nobody has become root only if there is nobody to become. */
	if (geteuid() != 0 && pw->pw_uid != geteuid())
		return "but the cache and the store belong to another user";
	return NULL;
}

static bool
test_user(const struct instance *in, const struct postfix_service *s)
{
	char user[POSTFIX_NAME_MAX];
	const char *wrong;

	postfix_argument(s, "user", user, sizeof(user));
	user[strcspn(user, ":")] = '\0';
	wrong = user_wrong(in, user);
	if (wrong == NULL)
		return true;
	say_try(FAIL, selftest_subject(in),
	    change_argument(in, s, "user", selftest_user()),
	    "master.cf: the service %s runs as user %s, %s", s->name,
	    user[0] != '\0' ? user : "(none)", wrong);
	return false;
}

static bool
test_program(const struct instance *in, const struct postfix_service *s)
{
	char program[PATH_MAX], own[PATH_MAX];

	postfix_argument(s, "argv", program, sizeof(program));
	if (access(program, X_OK) == 0)
		return true;
	if (process_sibling("abichecker", own, sizeof(own)) != 0)
		snprintf(own, sizeof(own), "abichecker");
	say_try(FAIL, selftest_subject(in), change_argument(in, s, "argv", own),
	    "master.cf: the service %s runs %s, which user %s cannot run",
	    s->name, program[0] != '\0' ? program : "nothing", selftest_user());
	return false;
}

/* The columns that spawn(8) and the filter need. */
static bool
test_columns(const struct instance *in, const struct postfix_service *s)
{
	char level[32];
	bool jailed = s->chroot == 'y';

	postfix_value(
	    &in->conf, NULL, "compatibility_level", level, sizeof(level));
	if (s->chroot == '-') /* its default was y before Postfix 3.0 */
		jailed = strcmp(level, "0") == 0;
	if (jailed)
		say_try(FAIL, selftest_subject(in),
		    selftest_change_column(in, s, "chroot", "n"),
		    "master.cf: the service %s runs in a chroot, which lacks "
		    "the program and its files",
		    s->name);
	if (s->unprivileged != 'n')
		say_try(FAIL, selftest_subject(in),
		    selftest_change_column(in, s, "unprivileged", "n"),
		    "master.cf: the service %s is unprivileged, so spawn(8) "
		    "cannot switch to its user",
		    s->name);
	if (strcmp(s->maxproc, "0") != 0)
		say_try(WARN, selftest_subject(in),
		    selftest_change_column(in, s, "process_limit", "0"),
		    "master.cf: the service %s has a process limit: each smtpd "
		    "keeps a filter, and those beyond the limit wait",
		    s->name);
	return !jailed && s->unprivileged == 'n';
}

/* Seconds until spawn(8) kills a filter; -1: it is not understood. */
static long
time_limit(const struct postfix *p, const struct postfix_service *s)
{
	char name[POSTFIX_NAME_MAX + 16], own[64], all[64];
	long seconds = -1;

	snprintf(name, sizeof(name), "%s_time_limit", s->name);
	postfix_value(p, NULL, "command_time_limit", all, sizeof(all));
	/* Without a setting it shows the default, as main.cf has that. */
	if (!postfix_value(p, s, name, own, sizeof(own)) ||
	    strcmp(own, all) == 0)
		postfix_value(p, s, "command_time_limit", own, sizeof(own));
	text_duration(own, 1, 10 * 366 * 86400L, &seconds);
	return seconds;
}

static void
test_time_limit(const struct instance *in, const struct postfix_service *s)
{
	char setting[2 * POSTFIX_NAME_MAX];
	bool is_inet = strcmp(s->type, "inet") == 0;
	long seconds = time_limit(&in->conf, s);

	if (seconds < 0 || seconds > LIMIT_DEFAULT)
		return;
	snprintf(setting, sizeof(setting),
	    is_inet ? "%s/inet/command_time_limit=3600" : "%s_time_limit=3600",
	    s->name);
	say_try(WARN, selftest_subject(in),
	    selftest_change(in, is_inet ? "-P" : "-e", setting),
	    "a filter is killed after %ld seconds, even while it works: set %s",
	    seconds, setting);
}

/* Does the service read the configuration that is looked at here? */
static void
test_file(const struct instance *in, const struct postfix_service *s,
    const struct config *cfg)
{
	const char *at = strstr(s->arguments, " -c "), *name;
	char file[PATH_MAX];

	name = cfg->file != NULL ? cfg->file : CONFIG_DEFAULT_FILE;
	snprintf(file, sizeof(file), "%s", CONFIG_DEFAULT_FILE);
	if (at != NULL) {
		at += 4 + strspn(at + 4, " {");
		snprintf(
		    file, sizeof(file), "%.*s", (int)strcspn(at, " \t}"), at);
	}
	if (strcmp(file, name) == 0)
		return;
	say_try(WARN, selftest_subject(in),
	    selftest_command_line(
		"sudo abictl -c %s selftest", selftest_quote(file)),
	    "the service %s reads %s; this test checks %s",
	    s->name, file, name);
}

void
selftest_service(const struct instance *in, const struct postfix_service *s,
    const struct config *cfg)
{
	bool user = test_user(in, s);
	char name[POSTFIX_NAME_MAX];

	/* What user cannot be is not asked whether it can run the program. */
	if (user && test_program(in, s) && test_columns(in, s)) {
		postfix_argument(s, "user", name, sizeof(name));
		say(OK, selftest_subject(in),
		    "the spawn service %s runs abichecker as "
		    "user %s",
		    s->name, name);
	}
	test_time_limit(in, s);
	test_file(in, s, cfg);
}
