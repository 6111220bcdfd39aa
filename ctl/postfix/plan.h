/*
 * plan - what is to be changed in one instance of Postfix so that it consults
 * the filter, and what keeps us from it. Nothing is changed here.
 */
#ifndef POSTFIX_PLAN_H
#define POSTFIX_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/postfix/cf.h"
#include "ctl/postfix/postfix_conf.h"

#define PLAN_SERVICE "abichecker"
#define PLAN_TARGET  "unix:private/abichecker"
#define PLAN_ITEM                                                             \
	"check_policy_service { " PLAN_TARGET ", timeout=15s, "               \
	"default_action=DUNNO }"
#define PLAN_AUTH  "abichecker_auth"
#define PLAN_LIMIT "abichecker_time_limit"

#define PLAN_EDITS_MAX 64
#define PLAN_LINES_MAX 32

/* What is wanted. */
struct plan_wish {
	bool mx;	 /* the filter, for strangers */
	bool submission; /* the filter, for users */
	bool submission_must; /* without such a service that is refused */
	const char *map; /* TYPE:PATH, to be looked up; NULL: none */
	const char *user, *command; /* of the spawn service */
};

/* One call of postconf. */
struct plan_edit {
	const char *option; /* as -e */
	char *setting;	    /* its argument */
	char *before;	    /* what was there; "" = nothing */
	char *after;
};

struct plan {
	const struct plan_wish *wish;
	const char *main_cf; /* its text, the caller's */
	struct postfix conf;
	char *raw, *raw_overrides; /* as conf's, as they are written */
	char classes[POSTFIX_VALUE_MAX];
	struct plan_edit edits[PLAN_EDITS_MAX];
	size_t count;
	char *refusals[PLAN_LINES_MAX]; /* then nothing may be done */
	size_t refused;
	char *notes[PLAN_LINES_MAX]; /* what is there already */
	size_t noted;
	bool failed; /* out of memory, or too much */
};

/*
 * Makes it. directory: of main.cf, "" = the default. main_cf: its text, which
 * stays the caller's, as does the wish. NULL and why when postconf fails.
 */
struct plan *plan_make(const struct plan_wish *wish, const char *directory,
    const char *main_cf, char *error, size_t size);
void plan_free(struct plan *p); /* may be NULL */

/* --- for the parts of it, and for who takes back what was done --- */

/* Adds an edit of a name; with an X in the option it is removed. */
void plan_edit(struct plan *p, const char *option, const char *name,
    const char *before, const char *after);

/* Adds a line. */
void plan_refuse(struct plan *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void plan_note(struct plan *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A service by its first two columns. */
const struct postfix_service *plan_service_find(const struct plan *p,
    const char *name, const char *type);

/*
 * The value of a parameter as it is written; for a service only if that has an
 * override of its own. False when there is none.
 */
bool plan_raw(const struct plan *p, const struct postfix_service *s,
    const char *name, char *out, size_t size);

/* Is main.cf unfit for an edit of a parameter? Then that is refused. */
bool plan_is_set_twice(struct plan *p, const char *name);

/* The service that asks us in which way? */
enum plan_asked {
	PLAN_ASKED_NOT,
	PLAN_ASKED,	  /* as we do it */
	PLAN_ASKED_OTHER, /* by another name, into target */
	PLAN_ASKED_VAIN,  /* where nobody of those comes to it */
};
enum plan_asked plan_asked(const struct plan *p,
    const struct postfix_service *s, bool users,
    char target[POSTFIX_TARGET_MAX]);

/* The service that starts the filter, and its time limit. */
void plan_service(struct plan *p);

#endif
