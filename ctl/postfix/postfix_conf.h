/*
 * postfix_conf - what Postfix is configured to do, as postconf(1) tells it.
 *
 * Source: master(5), postconf(1), SMTPD_ACCESS_README. Nothing is changed.
 */
#ifndef POSTFIX_CONF_H
#define POSTFIX_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define POSTFIX_SERVICES_MAX 512
#define POSTFIX_NAME_MAX 128
#define POSTFIX_COMMAND_MAX 1024
#define POSTFIX_TARGET_MAX 256
#define POSTFIX_ASKS_MAX 32
#define POSTFIX_VALUE_MAX 65536 /* bytes of a list */
#define POSTFIX_SEPARATORS ", \t\r\n"

#define PORT_SMTP 25
#define PORT_SMTPS 465
#define PORT_SUBMISSION 587

/* A line of master.cf. */
struct postfix_service {
	char name[POSTFIX_NAME_MAX]; /* the first column: smtp, 127.0.0.1:25 */
	char type[16];               /* inet, unix, pass */
	char is_private, unprivileged, chroot; /* y, n or - */
	char maxproc[16];
	char program[64]; /* smtpd, spawn */
	char arguments[POSTFIX_COMMAND_MAX];
	bool cut; /* and they are longer */
};

/* What one instance of Postfix does. */
struct postfix {
	char directory[PATH_MAX]; /* where its main.cf is; "" = the default */
	struct postfix_service services[POSTFIX_SERVICES_MAX];
	size_t count;
	bool cut; /* there are more services */
	char *parameters; /* NAME = VALUE, a line each, with all defaults */
	char *overrides;  /* SERVICE/TYPE/NAME = VALUE, of master.cf */
};

/*
 * Reads it. directory: see there. False when there is no postconf, or when it
 * fails; then error says why. Release it in either case.
 */
bool postfix_read(struct postfix *p, const char *directory, char *error,
    size_t size);
void postfix_release(struct postfix *p);

/* The part of it that reads what `postconf -M' prints, which it changes. */
void postfix_parse(struct postfix *p, char *services);

/*
 * The value of a parameter for a service (NULL: as main.cf has it), cut to
 * size. False when there is no such parameter; out is then empty.
 */
bool postfix_value(const struct postfix *p, const struct postfix_service *s,
    const char *name, char *out, size_t size);

/*
 * What `postconf [OPTION]' prints of a directory ("": the default one), without
 * its warnings, for the caller to free; NULL and why not. option may be NULL.
 */
char *postfix_output(const char *directory, const char *option, char *error,
    size_t size);

/* The value after "NAME = " in that, cut to size. False without one. */
bool postfix_line(const char *text, const char *name, char *out, size_t size);

/* The port of an inet service; 0 = none, or an unknown name. */
int postfix_port(const struct postfix_service *s);

/*
 * A value of spawn(8)'s arguments, as of user= and argv=, after which all is
 * the program's; NULL, or false and "", without one. Cut to size.
 */
const char *postfix_argument_at(const struct postfix_service *s,
    const char *name);
bool postfix_argument(const struct postfix_service *s, const char *name,
    char *out, size_t size);

/* Does this service start abichecker, or is it meant to? */
bool postfix_is_ours(const struct postfix_service *s);

/* Is it a service for users: submission, or one with logins of its own? */
bool postfix_for_users(const struct postfix *p,
    const struct postfix_service *s);

/* Is it what anybody in the world connects to? */
bool postfix_for_strangers(const struct postfix_service *s);

/*
 * The length of the next item of a list of restrictions: a word, or all that
 * is between braces. *start is its beginning, *s goes on. 0 at the end.
 */
size_t postfix_item(const char **s, const char **start);

/* A check_policy_service that smtpd reaches. */
struct postfix_ask {
	char target[POSTFIX_TARGET_MAX]; /* unix:private/abichecker */
	bool has_default; /* default_action is set for it */
	bool users;       /* reached by clients that have logged in */
	bool strangers;   /* and by others */
	bool users_late;  /* for users after MAIL, however early smtpd asks */
};

/*
 * Those of an smtpd service, from its restrictions and the classes in them;
 * each target once. Returns how many. Access tables, which may name further
 * restrictions, are not read.
 */
size_t postfix_asks(const struct postfix *p, const struct postfix_service *s,
    struct postfix_ask asks[POSTFIX_ASKS_MAX]);

/*
 * The service that listens at a target of check_policy_service; NULL when it
 * is none of this master.cf.
 */
const struct postfix_service *postfix_listener(const struct postfix *p,
    const char *target);

/* Where that is: the path of a socket, from a target that is unix:... */
bool postfix_socket(const struct postfix *p, const char *target, char *path,
    size_t size);

#endif
