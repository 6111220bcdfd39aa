/*
 * abictl selftest - configuration, log and whitelist: can the filter use them?
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/selftest/selftest.h"
#include "base/hostlist.h"

static void
config_warn(void *arg, const char *text)
{
	*(int *)arg += 1;
	say(WARN, "configuration", "%s", text);
}

/* Where everybody can write, everybody can be there first. */
static void
test_paths(const struct config *cfg)
{
	const char *v;
	int i;

	for (i = 0; i < config_option_count; i++) {
		v = config_get(cfg, i);
		if (config_options[i].type == CONFIG_STORE)
			v += strcspn(v, ":") + 1;
		if (strncmp(v, "/tmp/", 5) == 0 ||
		    strncmp(v, "/var/tmp/", 9) == 0)
			say(WARN, "configuration",
			    "%s.%s: %s is in a world-writable directory",
			    config_options[i].section, config_options[i].key,
			    v);
	}
}

/* We may have read it as root; can the filter read it? */
static void
test_config_readable(const struct config *cfg, const char *name)
{
	static const char usual[] = CONFIG_DEFAULT_FILE;
	const char *group = selftest_quote(selftest_group());
	const char *file = selftest_quote(name), *command;
	char directory[sizeof(usual)];
	struct stat st;

	if (cfg->file_mode == 0 || access(name, R_OK) == 0)
		return;
	snprintf(directory, sizeof(directory), "%.*s",
	    (int)(strrchr(usual, '/') - usual), usual);
	if (stat(name, &st) == 0)
		command = selftest_command_line(
		    "sudo chgrp %s %s && sudo chmod 640 %s", group, file, file);
	else if (strcmp(name, usual) == 0 && access(directory, X_OK) != 0)
		command = selftest_command_line(
		    "sudo chgrp %s %s && sudo chmod 750 %s", group, directory,
		    directory);
	else /* a directory of others, such as /root */
		command = selftest_look(name);
	say_try(FAIL, "configuration", command,
	    "%s: user %s cannot read it, "
	    "so every filter answers DUNNO",
	    name, selftest_user());
}

void
selftest_config(const struct config *cfg)
{
	const char *name = cfg->file != NULL ? cfg->file : CONFIG_DEFAULT_FILE;
	int warnings = 0, i;

	for (i = 0; i < cfg->error_count; i++)
		say_try(FAIL, "configuration", selftest_edit(cfg), "%s",
		    cfg->errors[i].text);
	test_config_readable(cfg, name);
	if (cfg->filter.dry_run)
		say_try(WARN, "configuration", selftest_edit(cfg),
		    "filter.dry_run is yes: nobody is refused");
	config_warnings(cfg, config_warn, &warnings);
	if (cfg->file_mode == 0)
		say(WARN, "configuration",
		    "%s: no such file, so the defaults apply",
		    name);
	else if (warnings == 0 && cfg->error_count == 0)
		say(OK, "configuration", "%s", name);
	test_paths(cfg);
}

void
selftest_complain(void *arg, int line, const char *what)
{
	const struct selftest_file *f = arg;

	say(WARN, f->subject, "%s:%d: %s", f->path, line, what);
}

void
selftest_hostlist(
    const char *subject, const char *path, enum selftest_level absent)
{
	struct selftest_file f = {subject, path};
	struct hostlist *w;
	int error;

	if (hostlist_load(path, &w, NULL, selftest_complain, &f) != 0) {
		error = errno;
		say_try(error == ENOENT ? absent : FAIL, subject,
		    selftest_readable(error, path), "%s: %s", path,
		    strerror(error));
	} else {
		say(OK, subject, "%s: %zu entries", path, hostlist_size(w));
		hostlist_free(w);
	}
}

void
selftest_whitelist(const struct config *cfg)
{
	if (cfg->whitelist.file == NULL)
		say(SKIP, "whitelist", "whitelist.file is not set");
	else
		selftest_hostlist("whitelist", cfg->whitelist.file, WARN);
}

/* The command that lets this user write a log. It may be somebody else's. */
static const char *
log_command(const char *path)
{
	const char *user = selftest_quote(selftest_user());
	struct stat st;
	int saved = errno;
	bool there = lstat(path, &st) == 0, absent = !there && errno == ENOENT;
	const char *command;

	if (absent)
		command = selftest_command_line(
		    "sudo install -D -o %s -m 640 /dev/null %s", user,
		    selftest_quote(path));
	else if (there && S_ISREG(st.st_mode) && st.st_uid == 0)
		command = selftest_command_line("sudo chown %s %s", user,
		    selftest_quote(path));
	else
		command = selftest_look(path);
	errno = saved;
	return command;
}

void
selftest_log(const struct config *cfg)
{
	const char *path = cfg->log.target;

	if (path[0] != '/')
		say(OK, "log", "%s", path);
	else if (access(path, W_OK) == 0)
		say(OK, "log", "%s: user %s can write", path, selftest_user());
	else
		say_try(FAIL, "log",
		    log_command(path),
		    "%s: user %s: %s", path, selftest_user(), strerror(errno));
}
