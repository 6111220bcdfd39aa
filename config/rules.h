/*
 * rules - the kinds of offence that the mail log shows, and how many of each
 * are tolerated.
 */
#ifndef RULES_H
#define RULES_H

enum maillog_rule {
	MAILLOG_UNKNOWN_RECIPIENT,
	MAILLOG_UNKNOWN_BOUNCE, /* the same, of a mail without a sender */
	MAILLOG_AUTH_FAILURE,
	MAILLOG_RELAY_DENIED,
	MAILLOG_HOSTNAME_MISMATCH,
	MAILLOG_NO_REVERSE_NAME,
	MAILLOG_HELO_REJECTED,
	MAILLOG_SENDER_REJECTED,
	MAILLOG_BLOCKLISTED,
	MAILLOG_PROTOCOL_ABUSE,
	MAILLOG_PREGREET,
	MAILLOG_HANGUP,
	MAILLOG_RATE_LIMIT,
	MAILLOG_LOST_AFTER_AUTH,
	MAILLOG_MILTER_REJECTED,
	MAILLOG_AUTH_REFUSED,
	MAILLOG_DNSBL_RANK,
	MAILLOG_POLICY_REJECTED,
	MAILLOG_RULES /* how many there are */
};

/* The name of a rule, as in the configuration; and the rule, -1 = none. */
const char *maillog_rule_name(enum maillog_rule rule);
int maillog_rule_find(const char *name);

#define RULES_PERIOD_MAX (60 * 86400L) /* seconds */

/* Listed at the Nth hit within a period. */
struct rules {
	struct {
		long hits;   /* 0 = the rule is off */
		long period; /* seconds */
	} rule[MAILLOG_RULES];
};

/*
 * Reads `rule=N/PERIOD ...', periods with Postfix's time units. A rule that is
 * not named is off. NULL, or what is wrong, a text valid until the next call.
 */
const char *rules_parse(const char *text, struct rules *r);

/* The longest period of a rule that is on, 0 when none is. */
long rules_longest(const struct rules *r);

#endif
