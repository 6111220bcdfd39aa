/*
 * policy_ask - a request to a policy service, as smtpd(8) makes it.
 */
#ifndef POLICY_ASK_H
#define POLICY_ASK_H

#include <stdbool.h>
#include <stddef.h>

#define POLICY_ASK_MAX 1024

/* The result. */
struct policy_asked {
	bool answered;
	char text[POLICY_ASK_MAX]; /* the action, or what went wrong */
};

/*
 * Asks at a socket or, if it is not one, at HOST:PORT, about a client that does
 * not exist, 192.0.2.1 of RFC 5737, without a user: so nothing is counted,
 * cached or looked up.
 */
void policy_ask(const char *where, bool is_socket, int wait_ms,
    struct policy_asked *asked);

/* Does anybody listen there? */
bool policy_listens(const char *where, bool is_socket, int wait_ms);

#endif
