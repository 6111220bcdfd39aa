/*
 * request - one policy request: the attributes that Postfix sent.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "store/store.h"

#define REQUEST_ATTRIBUTES_MAX 256 /* lines of a request */

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
	unsigned long number; /* of this process's requests, from 1 */
	char user[STORE_USER_MAX]; /* the key of sasl_username in the store */
};

/* The store on behalf of a request, for as long as that may wait. */
struct store_use;
void request_store(const struct request *req, const struct config *cfg,
    struct store_use *u);

/* What is left for waiting in this request, in milliseconds, never below 0. */
long request_left(const struct request *req);

/* Clears req: all attributes "". */
void request_init(struct request *req);

/*
 * Reads the attributes of one request text (without its empty line) into req,
 * whose strings then point into it. Changes text. NULL, or what is wrong with
 * it, a constant text.
 */
const char *request_parse(char *text, size_t len, struct request *req);

/* Sets one attribute by its name. False when no attribute has that name. */
bool request_attribute(struct request *req, const char *name,
    const char *value);

/*
 * The attributes one after the other, i = 0, 1, ...: its name, and its value
 * in *value. NULL behind the last one.
 */
const char *request_each(const struct request *req, size_t i,
    const char **value);

/*
 * Sets now, the client address, the user's key, and the deadline of a request
 * that was read:
 * all waiting for it ends so many seconds from now.
 */
void request_start(struct request *req, long deadline);

#endif
