/*
 * policy - the Postfix policy protocol, and the walk over the checks.
 *
 * Source: SMTPD_POLICY_README of Postfix. A request is a row of name=value
 * lines and an empty line; the reply is "action=..." and an empty line.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "config/action.h"
#include "check.h"

#define POLICY_REQUEST_MAX 65536 /* bytes of a request */
#define POLICY_CHECKS_MAX 16
#define POLICY_REPLY_MAX (ACTION_MAX + 16)

/* --- the table --- */

/* All checks that exist, NULL-ended; filter.checks picks and orders them. */
extern const struct check *const policy_checks[];

/* --- reading requests --- */

/* The incoming side of a connection. */
struct policy_stream {
	int fd;
	size_t start;   /* of the unread part of buf */
	size_t end;     /* after the last byte read */
	size_t scanned; /* no request ends before this */
	int (*idle)(void); /* may be NULL: called before waiting for more;
	                    * milliseconds until it is called again, -1 = it
	                    * is not */
	char buf[POLICY_REQUEST_MAX];
};

enum policy_result {
	POLICY_REQUEST, /* there is a request */
	POLICY_END,     /* the client closed the connection between requests */
	POLICY_BROKEN,  /* logged: leave without a reply */
};

void policy_stream_init(struct policy_stream *s, int fd);

/*
 * Reads the next request. The strings in req point into the stream and are
 * good until the next call.
 */
enum policy_result policy_read(struct policy_stream *s, struct request *req);

/* --- the walk --- */

/* What one check did in the walk. */
struct policy_step {
	const struct check *check;
	const char *wrong;   /* what is wrong with its configuration, or NULL */
	const char *skipped; /* why it was not run; NULL = it was */
	enum outcome outcome;
	struct verdict verdict;
	long usec;       /* how long it took */
	bool remembered; /* the result of an earlier recipient */
	bool only_log;   /* OUTCOME_ACT with the action "log" */
};

/* The checks in force, and what they said about the current message. */
struct policy {
	const struct config *cfg;
	struct policy_step steps[POLICY_CHECKS_MAX];
	int count;
	char message[512]; /* identifies the message of the steps */
	size_t message_len;
};

/* What came out of a walk. */
struct policy_answer {
	const struct policy_step *decided; /* NULL: no check had an opinion */
	bool softened;
	bool failed;   /* a check failed and none decided */
	bool dry;      /* the action was not sent: filter.dry_run */
	char action[ACTION_MAX]; /* decided on */
	char reply[POLICY_REPLY_MAX]; /* what Postfix gets, whole */
};

/* Puts the checks of filter.checks in order. cfg must stay valid. */
void policy_init(struct policy *p, const struct config *cfg);

/* Logs each section in error, and the checks that it affects. */
void policy_log_errors(const struct policy *p);

/* Runs the checks and logs what matters. p->steps has the details. */
void policy_walk(struct policy *p, const struct request *req,
    struct policy_answer *answer);

/* The reply of a filter whose configuration cannot be read. */
#define POLICY_REPLY_DUNNO "action=DUNNO\n\n"

#endif
