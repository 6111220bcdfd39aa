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
 * All attributes that we know, in the order in which Postfix sends them. New in
 * 2.2: those of SASL, size and ccert_*; 2.3: encryption_*, etrn_domain; 2.5:
 * stress; 2.9: ccert_pubkey_fingerprint; 3.0 and later: client_port (3.0),
 * policy_context (3.1), server_* (3.2), compatibility_level and mail_version
 * (3.8), tls_sni (3.12). client_name is verified, or "unknown";
 * reverse_client_name is what the address's PTR says; instance is the same for
 * all requests of a message.
 */
#define REQUEST_ATTRIBUTES(X) \
	X(request) X(protocol_state) X(protocol_name) X(client_address) \
	X(client_name) X(client_port) X(reverse_client_name) \
	X(server_address) X(server_port) X(helo_name) X(sender) \
	X(recipient) X(recipient_count) X(queue_id) X(instance) X(size) \
	X(etrn_domain) X(stress) X(sasl_method) X(sasl_username) \
	X(sasl_sender) X(ccert_subject) X(ccert_issuer) \
	X(ccert_fingerprint) X(ccert_pubkey_fingerprint) \
	X(encryption_protocol) X(encryption_cipher) \
	X(encryption_keysize) X(policy_context) X(compatibility_level) \
	X(mail_version) X(tls_sni)

/*
 * One policy request, for reading only. Attributes are Postfix's own (see
 * SMTPD_POLICY_README); "" when Postfix did not send one or sent it empty.
 * Values come from the client: no NUL, no newline, anything else.
 */
struct request {
#define REQUEST_FIELD(name) const char *name;
	REQUEST_ATTRIBUTES(REQUEST_FIELD)
#undef REQUEST_FIELD

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
 * in *value. NULL after the last one.
 */
const char *request_each(const struct request *req, size_t i,
    const char **value);

/*
 * Sets now, the client address, the user's key, and the deadline of a request
 * that was read: all waiting for it ends this many seconds from now.
 */
void request_start(struct request *req, long deadline);

#endif
