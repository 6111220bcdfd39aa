/*
 * rules - the kinds of offence that the mail log shows, and how many of each
 * it takes.
 */
#include "config/rules.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "base/text.h"

static const char *const names[MAILLOG_RULES] = {
	[MAILLOG_UNKNOWN_RECIPIENT] = "unknown-recipient",
	[MAILLOG_UNKNOWN_BOUNCE] = "unknown-bounce",
	[MAILLOG_AUTH_FAILURE] = "auth-failure",
	[MAILLOG_RELAY_DENIED] = "relay-denied",
	[MAILLOG_HOSTNAME_MISMATCH] = "hostname-mismatch",
	[MAILLOG_NO_REVERSE_NAME] = "no-reverse-name",
	[MAILLOG_HELO_REJECTED] = "helo-rejected",
	[MAILLOG_SENDER_REJECTED] = "sender-rejected",
	[MAILLOG_BLOCKLISTED] = "blocklisted",
	[MAILLOG_PROTOCOL_ABUSE] = "protocol-abuse",
	[MAILLOG_PREGREET] = "pregreet",
	[MAILLOG_HANGUP] = "hangup",
	[MAILLOG_RATE_LIMIT] = "rate-limit",
	[MAILLOG_LOST_AFTER_AUTH] = "lost-after-auth",
	[MAILLOG_MILTER_REJECTED] = "milter-rejected",
	[MAILLOG_AUTH_REFUSED] = "auth-refused",
	[MAILLOG_DNSBL_RANK] = "dnsbl-rank",
	[MAILLOG_POLICY_REJECTED] = "policy-rejected",
};

const char *
maillog_rule_name(enum maillog_rule rule)
{
	return names[rule];
}

int
maillog_rule_find(const char *name)
{
	int i;

	for (i = 0; i < MAILLOG_RULES; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

static const char *
rule_unknown(const char *word)
{
	static char wrong[128];
	struct suggest s;
	int i;

	suggest_init(&s, word);
	for (i = 0; i < MAILLOG_RULES; i++)
		suggest_try(&s, names[i]);
	return suggest_say(&s, "unknown rule", wrong, sizeof(wrong));
}

const char *
rules_parse(const char *text, struct rules *r)
{
	char word[96], *equals;
	long limit, period;
	size_t n;
	int rule;

	memset(r, 0, sizeof(*r));
	for (text += strspn(text, " \t,"); *text != '\0';
	     text += n, text += strspn(text, " \t,")) {
		n = strcspn(text, " \t,");
		if (n >= sizeof(word))
			return "expected rule=N/PERIOD";
		snprintf(word, sizeof(word), "%.*s", (int)n, text);
		equals = strchr(word, '=');
		if (equals == NULL)
			return "expected rule=N/PERIOD";
		*equals++ = '\0';
		rule = maillog_rule_find(word);
		if (rule < 0)
			return rule_unknown(word);
		if (r->rule[rule].hits != 0)
			return "duplicate rule";
		if (!text_rate(equals, &limit, &period) || limit < 1 ||
		    period > RULES_PERIOD_MAX)
			return "must be rule=N/PERIOD, as in "
			       "unknown-recipient=5/1d; at most 60 days";
		r->rule[rule].hits = limit;
		r->rule[rule].period = period;
	}
	return NULL;
}

long
rules_longest(const struct rules *r)
{
	long longest = 0;
	int i;

	for (i = 0; i < MAILLOG_RULES; i++)
		if (r->rule[i].hits > 0 && r->rule[i].period > longest)
			longest = r->rule[i].period;
	return longest;
}
