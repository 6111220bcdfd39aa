/*
 * check - everything that the author of a check needs.
 *
 * A check is one file with one const struct check; policy.c lists it in its
 * table and knows nothing else about it. CONTRIBUTING.md names the four
 * places to touch.
 */
#ifndef CHECK_H
#define CHECK_H

#include "config/config.h"
#include "filter/request.h"

enum outcome {
	OUTCOME_NONE,   /* no opinion: the next check decides */
	OUTCOME_EXEMPT, /* the walk ends here, the answer is DUNNO */
	OUTCOME_SOFTEN, /* later permanent refusals become temporary ones */
	OUTCOME_ACT,    /* the walk ends here with `action` */
	OUTCOME_ERROR,  /* the check failed; the walk goes on */
};

#define CHECK_REASON_MAX 256

/* What a check says about a request. The walker clears it before each run. */
struct verdict {
	const char *action; /* with OUTCOME_ACT: a configured action */
	char reason[CHECK_REASON_MAX]; /* for people: what was found, numbers */
	int score;       /* for $score; -1 = none */
	char country[3]; /* for $country; "" = none */
	const char *event; /* the kind of log line that this is worth
	                   * ("score"); NULL = none */
};

/* Which requests a check wants to see. */
enum audience {
	AUDIENCE_ANYONE,
	AUDIENCE_AUTHENTICATED,   /* with a SASL user */
	AUDIENCE_UNAUTHENTICATED, /* without one */
};

struct check {
	const char *name; /* as in filter.checks, of its file and section */
	const char *help; /* one line */

	/*
	 * Other sections whose options it relies on, separated by spaces; may
	 * be NULL. While one of these sections is in error, so is the check,
	 * and it is not run.
	 */
	const char *needs;
	bool exempts; /* the checks after it in filter.checks rely on it */
	enum audience audience;

	/*
	 * For AUDIENCE_UNAUTHENTICATED: the offset in struct config of the
	 * option that makes it AUDIENCE_ANYONE; 0 = none.
	 */
	size_t authenticated;

	/*
	 * NULL when the check is configured; else why it is not, for people.
	 * The function itself may be NULL: then the check is always
	 * configured. Must not open anything: `abictl config' works without a
	 * network.
	 */
	const char *(*inactive)(const struct config *cfg);

	/* Judges a request within request_left(). v->reason is always set. */
	enum outcome (*run)(const struct config *cfg, const struct request *req,
	    struct verdict *v);

	/*
	 * What was found out for the first recipient of a message holds for
	 * the others, unless this is set: then it is called for each further
	 * recipient until the check acts. OUTCOME_NONE: nothing new.
	 */
	enum outcome (*run_again)(const struct config *cfg,
	    const struct request *req, struct verdict *v);
};

#endif
