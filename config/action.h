/*
 * action - the answers to Postfix: access(5) actions.
 *
 * Sources: access(5) of Postfix 3.7 and SMTPD_POLICY_README.
 */
#ifndef ACTION_H
#define ACTION_H

#include <stdbool.h>
#include <stddef.h>

#define ACTION_MAX 480 /* bytes of an action; smtpd cuts replies at about 510 */

/* What an action may mention as $name or ${name}; "" where unknown. */
struct action_values {
	const char *client_address;
	const char *client_name;
	const char *sasl_username;
	const char *score;
	const char *country;
	const char *reason;
};

/*
 * Judges a configured action. NULL if it is good; else what is wrong with it,
 * a constant text. Refused are OK, PERMIT and a text of digits only (all mean
 * permit to Postfix), the empty text, unknown verbs, unknown variables.
 */
const char *action_check(const char *text);

/* True for the word "log": do nothing but say so. */
bool action_only_logs(const char *text);

/*
 * Expands the variables of an action that action_check() has passed. An empty
 * value becomes "unknown". Values are reduced to printable ASCII and bounded:
 * the result is one line of at most ACTION_MAX - 1 bytes.
 */
void action_expand(char *out, size_t size, const char *text,
    const struct action_values *values);

/*
 * Turns a permanent refusal (REJECT, 5xx) into "450 4.7.1" with the same
 * text, in place; other actions stay.
 */
void action_soften(char *action, size_t size);

/* The action's kind for the log: "reject", "defer", "hold", ... lower case. */
void action_kind(char *out, size_t size, const char *action);

#endif
