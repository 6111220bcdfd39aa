/*
 * selftest - what the parts of `abictl selftest' share.
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "config/config.h"
#include "base/statedir.h"

#define SELFTEST_ADDRESS "1.1.1.1" /* a public resolver, for lookups */

enum selftest_level { OK, SKIP, WARN, FAIL };

/*
 * One finding, and the command to run next, which fixes it or tells more. A
 * FAIL always has one, and makes the exit status 1.
 */
void say_try(enum selftest_level level, const char *subject,
    const char *command, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* One without a command, never a FAIL. */
#define say(level, subject, ...) say_try(level, subject, NULL, __VA_ARGS__)

/* A word as the shell reads it. Valid until the fourth call after. */
const char *selftest_quote(const char *word);

/*
 * A command for say_try(), of words that are quoted, and no part of one if it
 * is too long. Valid until the next call, as are those below.
 */
const char *selftest_command_line(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* An abictl command, with this configuration. */
const char *selftest_abictl(const char *arguments);

/* The commands that open a file, or the configuration, in an editor. */
const char *selftest_edit_file(const char *path);
const char *selftest_edit(const struct config *cfg);

/* The command that shows the owners and modes on the way to a file. */
const char *selftest_look(const char *path);

/*
 * The command that lets the filter read a file, after this error, or gives it
 * a directory; what is there keeps its content, and directories of others
 * theirs.
 */
const char *selftest_readable(int error, const char *path);
const char *selftest_own_directory(const char *path);

/* Before the first one. by_stranger: run by neither root nor the filter. */
void selftest_begin(const struct config *cfg, bool json, bool by_stranger);

/* After the last one: the closing line, or the JSON. The exit status. */
int selftest_end(void);

/* The names of the filter's user and group, as whom everything is tried. */
const char *selftest_user(void);
const char *selftest_group(void);

/*
 * Can something be tested that relies on these sections of the configuration?
 * Says that it is skipped if one is in error, which was reported before.
 */
bool selftest_can(const struct config *cfg, const char *sections,
    const char *what);

/* The configuration itself, and the files that it names. */
void selftest_config(const struct config *cfg);
void selftest_log(const struct config *cfg);
void selftest_whitelist(const struct config *cfg);

/* A file of lines; selftest_complain reports one. arg: one of these. */
struct selftest_file {
	const char *subject, *path;
};
void selftest_complain(void *arg, int line, const char *what);

/* A list of names and addresses; absent: how bad it is that there is none. */
void selftest_hostlist(const char *subject, const char *path,
    enum selftest_level absent);

/* Country database, lists and limits. */
void selftest_geocount(const struct config *cfg);

/* The DNS zones: RFC 5782's test points. d: where the markers are. */
void selftest_zones(const struct config *cfg, struct statedir *d);

/* accounts.command. */
void selftest_command(const struct config *cfg);

/* Logs, snapshot, map. */
void selftest_blacklist(const struct config *cfg, struct statedir *d);

/*
 * main.cf and master.cf: the first function, still as root, reads them and asks
 * the services; the second, as the filter's user, judges the results.
 */
void selftest_postfix_look(void);
void selftest_postfix(const struct config *cfg);

/*
 * If all of the filter's files belong to root, they do not say who its user is:
 * becomes the user that master.cf names, if it does.
 */
void selftest_user_take(void);

/* Are we neither root nor the user of the service or of these directories? */
bool selftest_is_stranger(const struct config *cfg);

#endif
