/*
 * check - all that the author of a check needs.
 *
 * A check is one file with one const struct check; policy.c lists it in its
 * table and knows nothing else about it. CONTRIBUTING.md names the five
 * places to touch.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "address.h"
#include "config.h"

/*
 * One policy request, for reading only. Attributes are Postfix's own (see
 * SMTPD_POLICY_README); "" when Postfix did not send one or sent it empty.
 * Values come from the client: no NUL, no newline, anything else.
 */
struct request {
	/* Postfix 2.1 */
	const char *request;
	const char *protocol_state;
	const char *protocol_name;
	const char *helo_name;
	const char *queue_id;
	const char *sender;
	const char *recipient;
	const char *recipient_count;
	const char *client_address;
	const char *client_name; /* verified, or "unknown" */
	const char *reverse_client_name; /* what the address's PTR says */
	const char *instance; /* the same for all requests of a message */
	/* Postfix 2.2 */
	const char *sasl_method;
	const char *sasl_username;
	const char *sasl_sender;
	const char *size;
	const char *ccert_subject;
	const char *ccert_issuer;
	const char *ccert_fingerprint;
	/* Postfix 2.3, 2.5, 2.9 */
	const char *encryption_protocol;
	const char *encryption_cipher;
	const char *encryption_keysize;
	const char *etrn_domain;
	const char *stress;
	const char *ccert_pubkey_fingerprint;
	/* Postfix 3.0, 3.1, 3.2, 3.8, 3.12 */
	const char *client_port;
	const char *policy_context;
	const char *server_address;
	const char *server_port;
	const char *compatibility_level;
	const char *mail_version;
	const char *tls_sni;

	/* What we make of it. */
	struct address client; /* good only if client_known */
	bool client_known;
	time_t now;       /* wall clock: everything is judged by this */
	int64_t deadline; /* of request_left(): milliseconds, monotonic clock */
	bool passive;     /* explain only: fetch, learn and change nothing */
};

/* What is left for waiting in this request, in milliseconds, never below 0. */
long request_left(const struct request *req);

enum outcome {
	OUTCOME_NONE,   /* no opinion: the next check decides */
	OUTCOME_EXEMPT, /* the walk ends here, the answer is DUNNO */
	OUTCOME_SOFTEN, /* later permanent refusals become temporary ones */
	OUTCOME_ACT,    /* the walk ends here with `action` */
	OUTCOME_ERROR,  /* could not be judged; the walk goes on */
};

#define CHECK_REASON_MAX 256

/* What a check says about a request. The walker clears it before each run. */
struct verdict {
	const char *action; /* with OUTCOME_ACT: a configured action */
	char reason[CHECK_REASON_MAX]; /* for people: what was found, numbers */
	int score;       /* for $score; -1 = none */
	char country[3]; /* for $country; "" = none */
	const char *news; /* something was found out that is worth a log line
	                   * of this kind ("score"); NULL = nothing */
};

/* Whose requests a check wants to see. */
enum audience {
	AUDIENCE_ANYONE,
	AUDIENCE_AUTHENTICATED,   /* with a SASL user */
	AUDIENCE_UNAUTHENTICATED, /* without one */
};

struct check {
	const char *name; /* as in filter.checks, and of its file */
	const char *help; /* one line */
	enum audience (*audience)(const struct config *cfg);

	/*
	 * NULL when the check is configured; else why it is not, for people.
	 * Must not open anything: `abictl config' works without a network.
	 */
	const char *(*inactive)(const struct config *cfg);

	/* Judges a request within request_left(). v->reason is always set. */
	enum outcome (*run)(const struct config *cfg, const struct request *req,
	    struct verdict *v);
};

#endif
