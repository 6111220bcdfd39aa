/*
 * Which log lines count against whom, and counting them in memory just as the
 * store does. Lines go in as text, as `abictl scan' reads them.
 */
#include "unit_store.h"

#include <fcntl.h>

#include "scan/dryrun.h"
#include "base/log.h"
#include "config/rules.h"
#include "scan/scan.h"
#include "base/tool.h"

#define ALL_RULES "unknown-recipient=1/1d auth-failure=1/1d "                  \
	"relay-denied=1/1d hostname-mismatch=1/1d no-reverse-name=1/1d "       \
	"helo-rejected=1/1d sender-rejected=1/1d blocklisted=1/1d "            \
	"protocol-abuse=1/1d pregreet=1/1d rate-limit=1/1d "                   \
	"lost-after-auth=1/1d milter-rejected=1/1d unknown-bounce=1/1d "       \
	"hangup=1/1d auth-refused=1/1d dnsbl-rank=1/1d policy-rejected=1/1d"
#define STAMP "2027-01-15T08:00:00.000000+00:00 mx1 postfix/smtpd[811]: "
#define UNKNOWN "User unknown in virtual mailbox table"

static char tools[192], whitelist[192];

/* A postconf of ours, that knows one network. */
static int
group_make(void **state)
{
	static const char postconf[] = "#!/bin/sh\n"
	    "echo '127.0.0.0/8, [::1]/128 9.9.8.0/24 [2a03:4000:9::]/48'\n";

	if (store_dir_make(state) != 0)
		return -1;
	setenv("TZ", "UTC0", 1);
	tzset();
	unit_file("postconf", postconf, sizeof(postconf) - 1);
	snprintf(tools, sizeof(tools), "%s/postconf", unit_dir);
	if (chmod(tools, 0755) != 0)
		return -1;
	snprintf(tools, sizeof(tools), "%s", unit_dir);
	tool_path = tools;
	snprintf(whitelist, sizeof(whitelist), "%s/whitelist.txt", unit_dir);
	return 0;
}

/* The defaults with all rules, each at once. */
static void
defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->blacklist.rules = ALL_RULES;
	c->blacklist.action = "REJECT";
	c->blacklist.ipv4_prefix = 32;
	c->blacklist.ipv6_prefix = 64;
	c->blacklist.ban = 7 * DAY;
	c->blacklist.ban_max = 30 * DAY;
	c->store.timeout = 5;
	c->reputation.action = "521 5.7.1 Bad host reputation.";
	c->accounts.action = "log";
	c->geocount.action = "554 5.7.1 Your mail account ($sasl_username) "
	    "was compromised.";
}

/* The same, and a whitelist of these lines. */
static void
defaults_with(struct config *c, const char *list)
{
	unit_file("whitelist.txt", list, strlen(list));
	defaults(c);
	c->whitelist.file = whitelist;
}

/*
 * What a line gives: "BLOCK RULE KEY", the keys of lines that are each their
 * own as "*"; "" when it does not count.
 */
static const char *
hit_of(struct scan *s, const char *line)
{
	static char out[STORE_TEXT_MAX + 128];
	char text[4096];
	struct scan_hit hit;
	size_t pos = 0;
	int n = snprintf(text, sizeof(text), "%s\n", line);

	assert_true(n > 0 && n < (int)sizeof(text));
	out[0] = '\0';
	if (!scan_next(s, text, (size_t)n, &pos, &hit))
		return out;
	assert_int_equal(hit.time, NOW);
	snprintf(out, sizeof(out), "%s %s %s", hit.block,
	    maillog_rule_name(hit.rule),
	    hit.rule == MAILLOG_UNKNOWN_RECIPIENT ? hit.key : "*");
	assert_false(scan_next(s, text, (size_t)n, &pos, &hit));
	return out;
}

static const char *
hit_with(const struct config *c, const char *line)
{
	const char *hit;
	struct scan s;

	scan_init(&s, c);
	scan_time(&s, NOW);
	hit = hit_of(&s, line);
	scan_free(&s);
	return hit;
}

/* A refused recipient of a client, as Postfix logs it. */
static const char *
refused(const char *client, const char *code, const char *recipient,
    const char *text)
{
	static char line[2048];

	snprintf(line, sizeof(line), STAMP "NOQUEUE: reject: RCPT from %s: %s "
	    "<%s>: %s; from=<a@b.example> to=<%s> proto=ESMTP helo=<h>",
	    client, code, recipient, text, recipient);
	return line;
}

static const char *
guess(const char *client, const char *recipient)
{
	return refused(client, "550 5.1.1", recipient,
	    "Recipient address rejected: " UNKNOWN);
}

/* --- rules --- */

static void
rules_are_read(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", true }, { "  ", true },
		{ "unknown-recipient=5/1d", true },
		{ "unknown-recipient=1/60d", true },
		{ " unknown-recipient=5/1d,\tpregreet=3/90s ", true },
		{ "unknown-recipient=5/1d,pregreet=3/1h", true },
		{ "unknown-recipient=5/61d", false },
		{ "unknown-recipient=0/1d", false },
		{ "unknown-recipient=-1/1d", false },
		{ "unknown-recipient=5/0", false },
		{ "unknown-recipient=5/-1d", false },
		{ "unknown-recipient=5", false },
		{ "unknown-recipient=/1d", false },
		{ "unknown-recipient=5/", false },
		{ "unknown-recipient=5/1x", false },
		{ "unknown-recipient", false },
		{ "unknown-recipients=5/1d", false },
		{ "=5/1d", false },
		{ "pregreet=1/1d pregreet=2/1d", false },
		{ "unknown-recipient=99999999999999999999/1d", false },
		{ "unknown-recipient=1/99999999999999999999d", false },
		{ "a-name-that-is-much-longer-than-any-name-of-a-rule-can-"
		  "be-and-still-is-one-word-without-an-end=1/1d", false },
	};
	struct rules r;
	size_t i;
	int rule;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		if ((rules_parse(rows[i].text, &r) == NULL) != rows[i].good)
			fail_msg("%s", rows[i].text);
	assert_null(rules_parse("auth-failure=10/2h pregreet=3/90s", &r));
	for (rule = 0; rule < MAILLOG_RULES; rule++)
		assert_int_equal(r.rule[rule].hits,
		    rule == MAILLOG_AUTH_FAILURE ? 10 :
		    rule == MAILLOG_PREGREET ? 3 : 0);
	assert_int_equal(r.rule[MAILLOG_AUTH_FAILURE].period, 7200);
	assert_int_equal(r.rule[MAILLOG_PREGREET].period, 90);
	assert_int_equal(rules_longest(&r), 7200);
	assert_null(rules_parse("", &r));
	assert_int_equal(rules_longest(&r), 0);
	assert_null(rules_parse(ALL_RULES, &r));
	for (rule = 0; rule < MAILLOG_RULES; rule++) {
		assert_int_equal(r.rule[rule].hits, 1);
		assert_int_equal(maillog_rule_find(
		    maillog_rule_name((enum maillog_rule)rule)), rule);
	}
}

/* --- which lines count --- */

static void
the_clients_offence_counts_against_its_block(void **state)
{
	static const struct {
		const char *client, *block;
	} rows[] = {
		{ "h.example[8.8.4.4]", "8.8.4.4/32" },
		{ "unknown[8.8.4.4]:40000", "8.8.4.4/32" },
		{ "unknown[2a03:4000:1:2:3:4:5:6]", "2a03:4000:1:2::/64" },
		{ "unknown[2A03:4000::1]", "2a03:4000::/64" },
		{ "unknown[::ffff:8.8.4.4]", "8.8.4.4/32" },
	};
	struct config c;
	char want[128];
	size_t i;

	(void)state;
	defaults(&c);
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(want, sizeof(want), "%s unknown-recipient "
		    "x@example.org", rows[i].block);
		assert_string_equal(hit_with(&c, guess(rows[i].client,
		    "x@example.org")), want);
	}
	c.blacklist.ipv4_prefix = 24;
	c.blacklist.ipv6_prefix = 48;
	assert_string_equal(hit_with(&c, guess("h[8.8.4.4]", "x@y")),
	    "8.8.4.0/24 unknown-recipient x@y");
	assert_string_equal(hit_with(&c, guess("h[2a03:4000:1:2::9]", "x@y")),
	    "2a03:4000:1::/48 unknown-recipient x@y");
	c.blacklist.ipv4_prefix = 17;
	c.blacklist.ipv6_prefix = 128;
	assert_string_equal(hit_with(&c, guess("h[8.8.132.4]", "x@y")),
	    "8.8.128.0/17 unknown-recipient x@y");
	assert_string_equal(hit_with(&c, guess("h[2a03:4000:1:2::9]", "x@y")),
	    "2a03:4000:1:2::9/128 unknown-recipient x@y");
}

static void
a_rule_that_is_not_named_is_off(void **state)
{
	struct config c;

	(void)state;
	defaults(&c);
	c.blacklist.rules = "auth-failure=1/1d";
	assert_string_equal(hit_with(&c, guess("h[8.8.4.4]", "x@y")), "");
	c.blacklist.rules = NULL;
	assert_string_equal(hit_with(&c, guess("h[8.8.4.4]", "x@y")), "");
	c.blacklist.rules = "unknown-recipient=100/1s";
	assert_string_not_equal(hit_with(&c, guess("h[8.8.4.4]", "x@y")), "");
}

static void
what_passes_by_itself_does_not_count(void **state)
{
	static const char *const lines[] = {
		STAMP "NOQUEUE: reject: RCPT from h[8.8.4.4]: 450 4.1.1 <x@y>: "
		    "Recipient address rejected: " UNKNOWN "; from=<> to=<x@y>",
		STAMP "NOQUEUE: reject: RCPT from h[8.8.4.4]: 450 4.1.1 <x@y>: "
		    "Recipient address rejected: undeliverable address: later; "
		    "from=<> to=<x@y> proto=ESMTP",
		STAMP "NOQUEUE: reject: RCPT from unknown[8.8.4.4]: 450 4.7.25 "
		    "Client host rejected: cannot find your hostname, "
		    "[8.8.4.4]; from=<> to=<x@y>",
		STAMP "warning: hostname p.example does not resolve to address "
		    "8.8.4.4: Temporary failure in name resolution",
		STAMP "warning: h[8.8.4.4]: SASL LOGIN authentication failed: "
		    "Connection lost to authentication server",
	};
	struct config c;
	struct scan s;
	size_t i;

	(void)state;
	defaults(&c);
	scan_init(&s, &c);
	scan_time(&s, NOW);
	for (i = 0; i < COUNT(lines); i++)
		assert_string_equal(hit_of(&s, lines[i]), "");
	assert_int_equal(s.counts.lines, COUNT(lines));
	assert_int_equal(s.counts.offences, s.counts.temporary);
	assert_true(s.counts.temporary >= 4);
	assert_int_equal(s.counts.hits, 0);
	/* Postfix's default refusal of a relay is a 454 and counts. */
	assert_string_equal(hit_of(&s, refused("h[8.8.4.4]", "454 4.7.1",
	    "x@y", "Relay access denied")), "8.8.4.4/32 relay-denied *");
	scan_free(&s);
}

/*
 * Each configured action with the text that Postfix then logs: where the check
 * stands among the restrictions decides what is written before it.
 */
static void
our_own_refusals_do_not_count(void **state)
{
	static const struct {
		const char *action, *text;
		bool ours;
	} rows[] = {
		{ "REJECT", "Access denied", true },
		{ "reject", "Access denied", true },
		{ "521 5.7.1 Bad host reputation.", "Bad host reputation.",
		    true },
		{ "521 Bad host reputation.", "Bad host reputation.", true },
		{ "521", "Access denied", true },
		{ "REJECT 5.7.1 Go away", "Go away", true },
		{ "reject Go away", "go AWAY", false },
		{ "reject Go away", "Go away now", false },
		{ "reject Go away", "Do Go away", false },
		{ "REJECT", "Access denied; see https://example.org", false },
		{ "REJECT Go away", "Go home", false },
		{ "554 5.7.1 Score of $client_address is $score",
		    "Score of 8.8.4.4 is 99", true },
		{ "554 5.7.1 Score of $client_address is $score",
		    "Score of 8.8.4.4 is", false },
		{ "554 5.7.1 Account ($sasl_username) is stopped",
		    "Account (x) is stopped", true },
		{ "554 5.7.1 Account ($sasl_username) is stopped",
		    "Account () is stopped", true },
		{ "554 5.7.1 Account ($sasl_username) is stopped",
		    "Account (x) is stopped) is stopped", true },
		{ "554 5.7.1 Account ($sasl_username) is stopped",
		    "Account (x) is stopped.", false },
		{ "554 5.7.1 Account ($sasl_username) is stopped",
		    "An Account (x) is stopped", false },
		{ "554 5.7.1 $reason", "8.8.4.4/32 is listed for 5m: "
		    "unknown-recipient, 5 hits, 6d left", true },
		{ "REJECT $client_address is listed", "8.8.4.4 is listed",
		    true },
		{ "REJECT", "Mail server found in the local blacklist", true },
		{ "log", "Domain not found", false },
		{ "521 5.7.1 Bad host reputation.", "Domain not found", false },
	};
	static const char *const places[] = { "Sender address rejected",
		"Client host rejected", "Helo command rejected" };
	const char *hit;
	struct config c;
	char text[256];
	size_t i, which, place;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		for (which = 0; which < 5; which++)
			for (place = 0; place < COUNT(places); place++) {
				defaults(&c);
				c.blacklist.action = "521 5.7.1 Other";
				*(const char **)(which == 0 ?
					    &c.blacklist.action :
					which == 1 ? &c.reputation.action :
					which == 2 ? &c.geocount.action :
					which == 3 ?
					    &c.geocount.address_action :
					    &c.accounts.action) =
				    rows[i].action;
				snprintf(text, sizeof(text), "%s: %s",
				    places[place], rows[i].text);
				hit = hit_with(&c, refused("h[8.8.4.4]",
				    "554 5.7.1", place == 0 ? "a@b.example" :
				    place == 1 ? "h[8.8.4.4]" : "h", text));
				/* HELO has no action of ours */
				if ((hit[0] == '\0') !=
				    (rows[i].ours && place < 2))
					fail_msg("%s: %s (%s)", rows[i].action,
					    text, hit);
			}
}

/* The same of what Postfix writes without one of our texts. */
static void
a_refusal_by_postfix_itself_counts(void **state)
{
	static const struct {
		const char *line, *hit;
	} rows[] = {
		{ STAMP "NOQUEUE: reject: RCPT from h[8.8.4.4]: 554 5.7.1 "
		    "<x@y>: Relay access denied; from=<> to=<x@y>",
		    "8.8.4.4/32 relay-denied *" },
		{ STAMP "warning: h[8.8.4.4]: SASL LOGIN authentication "
		    "failed: UGFzc3dvcmQ6, sasl_username=bob",
		    "8.8.4.4/32 auth-failure *" },
		{ STAMP "warning: hostname p.example does not resolve to "
		    "address 8.8.4.4: Name or service not known",
		    "8.8.4.4/32 hostname-mismatch *" },
		{ STAMP "too many errors after RCPT from h[8.8.4.4]",
		    "8.8.4.4/32 protocol-abuse *" },
		{ STAMP "lost connection after AUTH from h[8.8.4.4]",
		    "8.8.4.4/32 lost-after-auth *" },
		{ STAMP "NOQUEUE: milter-reject: RCPT from h[8.8.4.4]: 550 "
		    "5.7.1 Access denied; from=<> to=<x@y> proto=SMTP helo=<h>",
		    "8.8.4.4/32 milter-rejected *" },
		{ STAMP "disconnect from h[8.8.4.4] ehlo=1 quit=1 commands=2",
		    "" },
		{ STAMP "connect from h[8.8.4.4]", "" },
	};
	struct config c;
	size_t i;

	(void)state;
	defaults(&c);
	for (i = 0; i < COUNT(rows); i++)
		assert_string_equal(hit_with(&c, rows[i].line), rows[i].hit);
}

static void
some_are_never_counted(void **state)
{
	static const char list[] = "# ours\npartner.example\n8.8.6.0/24\n"
	    "2a03:4000:7::/48\n1.1.1.1\n";
	static const struct {
		const char *client;
		bool counts;
	} rows[] = {
		{ "h[8.8.4.4]", true },
		{ "h[10.1.2.3]", false }, { "h[192.168.1.1]", false },
		{ "h[127.0.0.1]", false }, { "h[192.0.2.1]", false },
		{ "h[::1]", false }, { "h[fe80::1]", false },
		{ "h[fd00::1]", false }, { "h[2001:db8::1]", false },
		{ "h[::ffff:10.0.0.1]", false }, { "h[224.0.0.1]", false },
		/* mynetworks */
		{ "h[9.9.8.7]", false }, { "h[9.9.9.7]", true },
		{ "h[2a03:4000:9:1::1]", false }, { "h[2a03:4000:a::1]", true },
		/* whitelisted by address */
		{ "h[8.8.6.1]", false }, { "h[8.8.7.1]", true },
		{ "h[2a03:4000:7:8::1]", false }, { "h[1.1.1.1]", false },
		{ "h[1.1.1.2]", true },
		/* by the name that Postfix has verified */
		{ "partner.example[8.8.4.4]", false },
		{ "mx.Partner.Example[8.8.4.4]", false },
		{ "notpartner.example[8.8.4.4]", true },
		{ "partner.example.evil.example[8.8.4.4]", true },
		{ "unknown[8.8.4.4]", true },
	};
	struct config c;
	const char *hit;
	size_t i;

	(void)state;
	defaults_with(&c, list);
	for (i = 0; i < COUNT(rows); i++) {
		hit = hit_with(&c, guess(rows[i].client, "x@y"));
		if ((hit[0] != '\0') != rows[i].counts)
			fail_msg("%s: `%s'", rows[i].client, hit);
	}
	/* A block is exempt when one exempt address is in it. */
	c.blacklist.ipv4_prefix = 24;
	assert_string_equal(hit_with(&c, guess("h[1.1.1.200]", "x@y")), "");
	assert_string_equal(hit_with(&c, guess("h[1.1.2.200]", "x@y")),
	    "1.1.2.0/24 unknown-recipient x@y");
	c.blacklist.ipv4_prefix = 16; /* 9.9.8.0/24 is ours */
	assert_string_equal(hit_with(&c, guess("h[9.9.200.1]", "x@y")), "");
}

/* postscreen does not know names: smtpd has told the one of an address. */
static void
the_name_of_a_screened_client_is_the_latest(void **state)
{
#define SCREENED "2027-01-15T08:00:00.000000+00:00 mx1 postfix/postscreen" \
	"[811]: PREGREET 11 after 0.1 from [%s]:40000: EHLO x"
	static const char list[] = "partner.example\n";
	static const struct {
		const char *before, *client;
		bool counts;
	} rows[] = {
		{ NULL, "8.8.4.4", true },
		{ "connect from mx.partner.example[8.8.4.4]", "8.8.4.4",
		    false },
		{ NULL, "8.8.4.4", false }, { NULL, "8.8.4.5", true },
		{ "connect from mx.partner.example[8.8.4.4]x", "8.8.4.5",
		    true },
		{ "connect from unknown[8.8.4.4]", "8.8.4.4", true },
		{ "connect from mx.partner.example[8.8.4.4]:4000", "8.8.4.4",
		    false },
		{ "connect from other.example[8.8.4.4]", "8.8.4.4", true },
		{ "connect from partner.example[2a03:4000:1:2::9]",
		    "2a03:4000:1:2::9", false },
		{ "NOQUEUE: lost connection after connect from "
		  "partner.example[8.8.4.4]", "8.8.4.4", true },
	};
	char line[256];
	struct config c;
	struct scan s;
	const char *hit;
	size_t i;

	(void)state;
	defaults_with(&c, list);
	scan_init(&s, &c);
	scan_time(&s, NOW);
	for (i = 0; i < COUNT(rows); i++) {
		if (rows[i].before != NULL) {
			snprintf(line, sizeof(line), STAMP "%s",
			    rows[i].before);
			assert_string_equal(hit_of(&s, line), "");
		}
		/* The next look at the log keeps the names. */
		scan_time(&s, NOW);
		snprintf(line, sizeof(line), SCREENED, rows[i].client);
		hit = hit_of(&s, line);
		if ((hit[0] != '\0') != rows[i].counts)
			fail_msg("%zu: %s `%s'", i, line, hit);
	}
	scan_free(&s);
}

/* What a syslogd says to have come again counts again, where lines count. */
static void
repeated_lines_count_as_often(void **state)
{
	static const char text[] =
	    STAMP "message repeated 7 times: [ warning: h[8.8.4.4]: SASL LOGIN "
	    "authentication failed: x]\n"
	    STAMP "message repeated 7 times: [ NOQUEUE: reject: RCPT from "
	    "h[8.8.4.4]: 550 5.1.1 <x@y>: Recipient address rejected: " UNKNOWN
	    "; from=<a@b> to=<x@y> proto=SMTP helo=<h>]\n"
	    STAMP "message repeated 500 times: [ lost connection after AUTH "
	    "from h[10.1.1.1]]\n";
	struct scan_hit hit;
	char keys[8][STORE_TEXT_MAX];
	struct config c;
	struct scan s;
	size_t pos = 0, n = 0, i;

	(void)state;
	defaults(&c);
	scan_init(&s, &c);
	scan_time(&s, NOW);
	while (scan_next(&s, text, sizeof(text) - 1, &pos, &hit)) {
		assert_true(n < COUNT(keys));
		snprintf(keys[n], sizeof(keys[n]), "%s", hit.key);
		for (i = 0; i < n; i++)
			assert_string_not_equal(keys[i], keys[n]);
		n++;
		assert_int_equal(hit.rule, n < 8 ? MAILLOG_AUTH_FAILURE :
						   MAILLOG_UNKNOWN_RECIPIENT);
	}
	assert_int_equal(n, 8);
	assert_int_equal(s.counts.lines, 3);
	assert_int_equal(s.counts.hits, 8);
	assert_int_equal(s.counts.exempt, 100);
	assert_int_equal(s.counts.offences, 108);
	scan_free(&s);
}

/* What no rule counts is no offence. */
static void
a_rule_that_is_off_has_no_offences(void **state)
{
	struct config c;
	struct scan s;

	(void)state;
	defaults(&c);
	c.blacklist.rules = "auth-failure=1/1d";
	scan_init(&s, &c);
	scan_time(&s, NOW);
	assert_string_equal(hit_of(&s, guess("h[8.8.4.4]", "x@y")), "");
	assert_int_equal(s.counts.offences, 0);
	scan_free(&s);
}

/*
 * What the last release answered by default is ours for one ban_max after this
 * one has first scanned, and for as long as it has not.
 */
static void
former_texts_are_ours_for_a_while(void **state)
{
	static char dir[192];
	const char *denied = STAMP "NOQUEUE: reject: RCPT from h[8.8.4.4]: 554 "
	    "5.7.1 <h[8.8.4.4]>: Client host rejected: Access denied; from=<> "
	    "to=<x@y> proto=SMTP helo=<h>";
	struct timespec times[2] = { { 0 } };
	char marker[256];
	struct config c;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/former", unit_dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(marker, sizeof(marker), "%s/.scan-since", dir);
	defaults(&c);
	c.blacklist.action = "REJECT Listed for abuse of this server";
	c.reputation.cache_dir = dir;
	assert_string_equal(hit_with(&c, denied), "");
	scan_settle(&c);
	assert_string_equal(hit_with(&c, denied), "");
	times[0].tv_sec = times[1].tv_sec = time(NULL) - 30 * DAY + 60;
	assert_int_equal(utimensat(AT_FDCWD, marker, times, 0), 0);
	scan_settle(&c); /* once only */
	assert_string_equal(hit_with(&c, denied), "");
	times[0].tv_sec = times[1].tv_sec = time(NULL) - 30 * DAY - 60;
	assert_int_equal(utimensat(AT_FDCWD, marker, times, 0), 0);
	assert_string_equal(hit_with(&c, denied),
	    "8.8.4.4/32 policy-rejected *");
	assert_int_equal(unlink(marker), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A log that is not understood is told from a quiet one. */
static void
a_log_in_no_known_form_is_strange(void **state)
{
	static const struct {
		const char *text;
		int times;
		bool strange;
	} rows[] = {
		{ "", 1, false }, { "\n\n", 1, false },
		{ STAMP "connect from h[8.8.4.4]\n", 1, false },
		{ "Jan 15 08:00:00 mx1 dovecot: imap-login: Login\n", 1,
		    false },
		{ "Jan 15 08:00:00 mx1 last message repeated 2 times\n", 1,
		    false },
		{ "Jan 15 08:00:00 mx1 -- MARK --\n", 1, false },
		{ "15/Jan/2027 postfix/smtpd[1]: x\n", 1, true },
		{ "x\x1b[31m\n" STAMP "connect from h[8.8.4.4]\n", 1, false },
		{ "{\"message\":\"connect from h[8.8.4.4]\"}\n", 150, true },
	};
	char text[16384];
	struct scan_hit hit;
	struct config c;
	struct scan s;
	size_t i, pos, n;
	int k;

	(void)state;
	defaults(&c);
	scan_init(&s, &c);
	for (i = 0; i < COUNT(rows); i++) {
		scan_time(&s, NOW);
		for (k = 0, n = 0; k < rows[i].times; k++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
			    rows[i].text);
		/* one line that is known does not help much */
		if (rows[i].times > 1)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    STAMP "connect from h[8.8.4.4]\n");
		assert_true(n < sizeof(text));
		pos = 0;
		assert_false(scan_next(&s, text, n, &pos, &hit));
		if (maillog_strange(&s.log) != rows[i].strange)
			fail_msg("%zu: %s", i, rows[i].text);
	}
	scan_free(&s);
}

/* A name that is not verified, from HELO or the recipient, exempts nobody. */
static void
a_name_from_elsewhere_exempts_nobody(void **state)
{
	static const char list[] = "partner.example\n";
	struct config c;

	(void)state;
	defaults_with(&c, list);
	assert_string_equal(hit_with(&c, STAMP "NOQUEUE: reject: RCPT from "
	    "unknown[8.8.4.4]: 550 5.1.1 <x@partner.example>: Recipient "
	    "address rejected: " UNKNOWN "; from=<a@partner.example> "
	    "to=<x@partner.example> proto=ESMTP helo=<partner.example>"),
	    "8.8.4.4/32 unknown-recipient x@partner.example");
	assert_string_equal(hit_with(&c, STAMP "warning: hostname "
	    "mx.partner.example does not resolve to address 8.8.4.4: Name or "
	    "service not known"), "8.8.4.4/32 hostname-mismatch *");
}

/* What is taken for counted: it is no offence, and a second later it is one. */
static void
only_what_is_later_counts(void **state)
{
	struct config c;
	struct scan s;

	(void)state;
	defaults(&c);
	scan_init(&s, &c);
	scan_time(&s, NOW);
	s.only_after = NOW;
	assert_string_equal(hit_of(&s, guess("h[8.8.4.4]", "a@b.example")),
	    "");
	assert_int_equal(s.counts.offences, 0);
	assert_int_equal(s.counts.lines, 1);
	s.only_after = NOW - 1;
	assert_string_not_equal(hit_of(&s, guess("h[8.8.4.4]",
	    "a@b.example")), "");
	assert_int_equal(s.counts.hits, 1);
	scan_free(&s);
}

/* The whitelist is read anew when asked for. */
static void
lists_are_read_when_told(void **state)
{
	struct config c;
	struct scan s;

	(void)state;
	unit_file("whitelist.txt", "\n", 1);
	defaults(&c);
	c.whitelist.file = whitelist;
	scan_init(&s, &c);
	scan_time(&s, NOW);
	assert_string_not_equal(hit_of(&s, guess("h[8.8.4.4]", "x@y")), "");
	unit_file("whitelist.txt", "8.8.4.4\n", 8);
	assert_string_not_equal(hit_of(&s, guess("h[8.8.4.4]", "x@y")), "");
	scan_forget(&s);
	assert_string_equal(hit_of(&s, guess("h[8.8.4.4]", "x@y")), "");
	assert_int_equal(s.counts.exempt, 1);
	assert_int_equal(s.counts.hits, 2);
	scan_free(&s);
}

/* --- keys --- */

static void
a_recipient_is_one_key_whatever_its_case(void **state)
{
	static char longest[400], other[400];
	char first[STORE_TEXT_MAX + 128];
	struct config c;

	(void)state;
	defaults(&c);
	assert_string_equal(hit_with(&c, guess("h[8.8.4.4]", "Bob@Example.ORG"
	    )), "8.8.4.4/32 unknown-recipient bob@example.org");
	assert_string_equal(hit_with(&c, guess("h[8.8.4.4]", "b\001\377b@y")),
	    "8.8.4.4/32 unknown-recipient b??b@y");
	/* long ones are told apart to the end, and are short in the store */
	memset(longest, 'a', sizeof(longest) - 1);
	memset(other, 'a', sizeof(other) - 1);
	memcpy(other + sizeof(other) - 3, "@y", 2);
	snprintf(first, sizeof(first), "%s", hit_with(&c, guess("h[8.8.4.4]",
	    longest)));
	assert_true(strlen(first) < 128);
	assert_string_equal(hit_with(&c, guess("h[8.8.4.4]", longest)), first);
	assert_string_not_equal(hit_with(&c, guess("h[8.8.4.4]", other)),
	    first);
}

/* All other lines are each a key of their own, in every process. */
static void
other_lines_are_each_their_own(void **state)
{
	static const char line[] = STAMP "warning: h[8.8.4.4]: SASL LOGIN "
	    "authentication failed: x, sasl_username=bob\n";
	static char keys[60][STORE_TEXT_MAX];
	struct scan_hit hit;
	struct config c;
	struct scan s;
	size_t pos, i, j;

	(void)state;
	defaults(&c);
	for (i = 0; i < COUNT(keys); i++) {
		if (i % 20 == 0)
			scan_init(&s, &c);
		pos = 0;
		assert_true(scan_next(&s, line, sizeof(line) - 1, &pos, &hit));
		snprintf(keys[i], sizeof(keys[i]), "%s", hit.key);
		for (j = 0; j < i; j++)
			assert_string_not_equal(keys[i], keys[j]);
		if (i % 20 == 19)
			scan_free(&s);
	}
}

/* --- texts of many lines --- */

static void
a_text_gives_its_hits_in_order(void **state)
{
	static char text[64 * 1024];
	char want[32];
	struct scan_hit hit;
	struct config c;
	struct scan s;
	size_t n = 0, pos = 0;
	int i;

	(void)state;
	defaults(&c);
	scan_init(&s, &c);
	scan_time(&s, NOW);
	for (i = 0; i < 100; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, STAMP
		    "connect from h[8.8.4.%d]\n%s\n", i,
		    guess("h[8.8.4.4]", i % 2 ? "x@y" : "X@Y"));
	for (i = 0; i < 100; i++) {
		assert_true(scan_next(&s, text, n, &pos, &hit));
		assert_string_equal(hit.block, "8.8.4.4/32");
		snprintf(want, sizeof(want), "to=<%s>", i % 2 ? "x@y" : "X@Y");
		assert_non_null(memmem(hit.line.s, hit.line.len, want,
		    strlen(want)));
		assert_int_equal(text[(size_t)(hit.line.s - text) +
		    hit.line.len], '\n');
	}
	assert_false(scan_next(&s, text, n, &pos, &hit));
	assert_int_equal(pos, n);
	assert_int_equal(s.counts.lines, 200);
	assert_int_equal(s.counts.hits, 100);
	scan_free(&s);
}

/* --- counting: the batch, the store and the dry run --- */

static void
store_begin(void)
{
	char name[64];

	snprintf(name, sizeof(name), "store%d.db", ++store_number);
	snprintf(store_url, sizeof(store_url), "sqlite:%s/%s", unit_dir, name);
}

static void
make_hit(struct scan_hit *hit, const char *block, enum maillog_rule rule,
    const char *key, time_t when)
{
	static const char line[] = "the line";

	memset(hit, 0, sizeof(*hit));
	snprintf(hit->block, sizeof(hit->block), "%s", block);
	snprintf(hit->key, sizeof(hit->key), "%s", key);
	hit->rule = rule;
	hit->time = when;
	hit->line = (struct maillog_text){ line, sizeof(line) - 1 };
}

static void
a_batch_moves_the_position_once(void **state)
{
	struct scan_batch b = { 0 };
	struct scan_hit hit;
	struct config c;
	struct store *store;
	struct scan s;
	char position[STORE_TEXT_MAX], key[32];
	struct rows *r;
	int i;

	(void)state;
	defaults(&c);
	c.blacklist.rules = "unknown-recipient=3/1d";
	scan_init(&s, &c);
	store_begin();
	store = store_again();
	/* enough for its arrays to move */
	for (i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "user%d@example.org", i);
		make_hit(&hit, i % 2 ? "8.8.4.4/32" : "9.9.9.9/32",
		    MAILLOG_UNKNOWN_RECIPIENT, key, NOW + i);
		assert_true(scan_batch_add(&b, &hit));
	}
	make_hit(&hit, "1.1.1.1/32", MAILLOG_UNKNOWN_RECIPIENT, "x", NOW);
	assert_true(scan_batch_add(&b, &hit));
	assert_int_equal(scan_batch_apply(&s, &b, store, "mx1 /log", "", "one",
	    NOW), STORE_FOUND);
	scan_batch_empty(&b);
	r = rows_of(store, STORE_OFFENDER, "");
	assert_int_equal(r->count, 2);
	assert_int_equal(r->row[0].u.offender.hits, 2500);
	assert_int_equal(r->row[1].u.offender.hits, 2500);
	free(r);
	/* somebody who is late changes nothing */
	assert_true(scan_batch_add(&b, &hit));
	hit.key[0] = 'y';
	assert_true(scan_batch_add(&b, &hit));
	assert_int_equal(scan_batch_apply(&s, &b, store, "mx1 /log", "", "two",
	    NOW), STORE_ABSENT);
	scan_batch_empty(&b);
	assert_int_equal(rows_count(store, STORE_HIT, ""), 1);
	assert_int_equal(store->driver->position(store, "mx1 /log", position,
	    sizeof(position)), STORE_FOUND);
	assert_string_equal(position, "one");
	/* and without hits a position still moves */
	assert_int_equal(scan_batch_apply(&s, &b, store, "mx1 /log", "one",
	    "three", NOW), STORE_FOUND);
	store->driver->position(store, "mx1 /log", position, sizeof(position));
	assert_string_equal(position, "three");
	store_end(store);
	scan_batch_free(&b);
	scan_free(&s);
}

/* Who is on the list, as "BLOCK RULE SINCE" lines in order. */
struct names {
	char line[400][96];
	size_t count;
};

static void
name_add(struct names *n, const char *block, const char *rule, time_t since)
{
	assert_true(n->count < COUNT(n->line));
	snprintf(n->line[n->count++], sizeof(n->line[0]), "%s %s %lld", block,
	    rule, (long long)since);
}

static void
dry_name(void *arg, const struct dryrun_offender *o)
{
	assert_true(o->hits >= 1 && o->last >= o->since);
	assert_non_null(o->lines[0]);
	assert_string_equal(o->lines[0], "the line");
	name_add(arg, o->block, maillog_rule_name(o->rule), o->since);
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static uint32_t
rnd(uint32_t *x, uint32_t below)
{
	*x = *x * 1664525 + 1013904223;
	return (*x >> 8) % below;
}

#define HITS 1500

/*
 * Counts the same hits in both ways and compares who is listed, and since.
 * How many that are.
 */
static size_t
count_both(uint32_t seed, const char *rules, uint32_t blocks, uint32_t keys,
    uint32_t step)
{
	static struct names dry_names, store_names;
	struct scan_batch b = { 0 };
	struct dryrun *dry;
	struct scan_hit hit;
	struct config c;
	struct store *store;
	struct scan s;
	struct rows *r;
	uint32_t x = seed;
	time_t when = NOW;
	char block[32], key[32], from[16] = "", to[16];
	size_t i;

	defaults(&c);
	c.blacklist.rules = rules;
	c.blacklist.ban = c.blacklist.ban_max = 1000 * (long)DAY;
	scan_init(&s, &c);
	store_begin();
	store = store_again();
	dry = dryrun_new(&s.rules);
	assert_non_null(dry);
	for (i = 0; i < HITS; i++) {
		when += rnd(&x, step + 1);
		snprintf(block, sizeof(block), "8.8.4.%u/32", rnd(&x, blocks));
		snprintf(key, sizeof(key), "key%u", rnd(&x, keys));
		make_hit(&hit, block, rnd(&x, 3) ? MAILLOG_UNKNOWN_RECIPIENT :
		    MAILLOG_PREGREET, key, when);
		assert_true(dryrun_add(dry, &hit));
		assert_true(scan_batch_add(&b, &hit));
		if (rnd(&x, 100) != 0 && i != HITS - 1)
			continue;
		snprintf(to, sizeof(to), "%zu", i);
		assert_int_equal(scan_batch_apply(&s, &b, store, "log", from,
		    to, when), STORE_FOUND);
		scan_batch_empty(&b);
		memcpy(from, to, sizeof(from));
	}
	dry_names.count = store_names.count = 0;
	i = dryrun_each(dry, dry_name, &dry_names);
	assert_int_equal(i, dry_names.count);
	r = rows_of(store, STORE_OFFENDER, "");
	for (i = 0; i < r->count; i++)
		name_add(&store_names, r->row[i].u.offender.block,
		    r->row[i].u.offender.rule, r->row[i].u.offender.since);
	free(r);
	qsort(dry_names.line, dry_names.count, sizeof(dry_names.line[0]),
	    name_compare);
	qsort(store_names.line, store_names.count, sizeof(dry_names.line[0]),
	    name_compare);
	for (i = 0; i < store_names.count && i < dry_names.count; i++)
		if (strcmp(store_names.line[i], dry_names.line[i]) != 0)
			fail_msg("seed %u, %s: the store has `%s', the dry run "
			    "`%s'", seed, rules, store_names.line[i],
			    dry_names.line[i]);
	assert_int_equal(store_names.count, dry_names.count);
	dryrun_free(dry);
	store_end(store);
	scan_batch_free(&b);
	scan_free(&s);
	return store_names.count;
}

static void
a_dry_run_counts_as_the_store_does(void **state)
{
	static const struct {
		const char *rules;
		uint32_t blocks, keys, step;
	} rows[] = {
		{ "unknown-recipient=3/1h pregreet=2/20m", 200, 50, 40 },
		{ "unknown-recipient=3/2h pregreet=2/40s", 200, 5, 60 },
		{ "unknown-recipient=6/1d pregreet=99/1h", 250, 20, 7 },
		{ "pregreet=4/10m unknown-recipient=5/12m", 100, 1000, 9 },
	};
	uint32_t seed;
	size_t i, n;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		for (n = 0, seed = 1; seed <= 12; seed++)
			n += count_both(seed, rows[i].rules, rows[i].blocks,
			    rows[i].keys, rows[i].step);
		/* else this would compare nothing */
		if (n < 60 || n > 11 * rows[i].blocks)
			fail_msg("%s: %zu listed", rows[i].rules, n);
	}
}

/* A hit at the border of the period: N/PERIOD means less than PERIOD apart. */
static void
a_period_has_a_border(void **state)
{
	static const struct {
		int apart;
		bool listed;
	} rows[] = { { 0, true }, { 59, true }, { 60, false }, { 61, false } };
	struct scan_batch b = { 0 };
	struct scan_hit hit;
	struct config c;
	struct store *store;
	struct scan s;
	struct dryrun *dry;
	struct names n;
	size_t i;

	(void)state;
	defaults(&c);
	c.blacklist.rules = "pregreet=2/60s";
	scan_init(&s, &c);
	for (i = 0; i < COUNT(rows); i++) {
		store_begin();
		store = store_again();
		dry = dryrun_new(&s.rules);
		n.count = 0;
		make_hit(&hit, "8.8.4.4/32", MAILLOG_PREGREET, "1", NOW);
		dryrun_add(dry, &hit);
		scan_batch_add(&b, &hit);
		make_hit(&hit, "8.8.4.4/32", MAILLOG_PREGREET, "2",
		    NOW + rows[i].apart);
		dryrun_add(dry, &hit);
		scan_batch_add(&b, &hit);
		assert_int_equal(scan_batch_apply(&s, &b, store, "l", "", "1",
		    NOW), STORE_FOUND);
		scan_batch_empty(&b);
		assert_int_equal(rows_count(store, STORE_OFFENDER, ""),
		    rows[i].listed);
		assert_int_equal(dryrun_each(dry, dry_name, &n),
		    rows[i].listed);
		dryrun_free(dry);
		store_end(store);
	}
	scan_batch_free(&b);
	scan_free(&s);
}

/* Lines of a log are not always in order: an old one is no new offence. */
static void
old_lines_do_not_make_a_dry_run_count_more(void **state)
{
	struct scan_batch b = { 0 };
	struct scan_hit hit;
	struct config c;
	struct store *store;
	struct scan s;
	struct dryrun *dry;
	struct names n = { .count = 0 };
	char key[2] = "a";
	int i;

	(void)state;
	defaults(&c);
	c.blacklist.rules = "pregreet=3/60s";
	scan_init(&s, &c);
	store_begin();
	store = store_again();
	dry = dryrun_new(&s.rules);
	for (i = 0; i < 6; i++, key[0]++) { /* a day apart, backwards */
		make_hit(&hit, "8.8.4.4/32", MAILLOG_PREGREET, key,
		    NOW - i * (time_t)DAY);
		assert_true(dryrun_add(dry, &hit));
		assert_true(scan_batch_add(&b, &hit));
	}
	assert_int_equal(scan_batch_apply(&s, &b, store, "l", "", "1", NOW),
	    STORE_FOUND);
	assert_int_equal(rows_count(store, STORE_OFFENDER, ""), 0);
	assert_int_equal(dryrun_each(dry, dry_name, &n), 0);
	dryrun_free(dry);
	store_end(store);
	scan_batch_free(&b);
	scan_free(&s);
}

static void
a_dry_run_keeps_the_first_lines(void **state)
{
	struct config c;
	struct scan s;
	struct dryrun *dry;
	struct scan_hit hit;
	struct names n = { .count = 0 };
	char key[32];
	int i;

	(void)state;
	defaults(&c);
	c.blacklist.rules = "pregreet=2/1d";
	scan_init(&s, &c);
	dry = dryrun_new(&s.rules);
	for (i = 0; i < 100000; i++) { /* the table grows */
		snprintf(key, sizeof(key), "9.%d.%d.%d/32", i >> 16,
		    i >> 8 & 255, i & 255);
		make_hit(&hit, key, MAILLOG_PREGREET, "k", NOW + i);
		assert_true(dryrun_add(dry, &hit));
	}
	assert_int_equal(dryrun_each(dry, dry_name, &n), 0);
	make_hit(&hit, "9.0.1.0/32", MAILLOG_PREGREET, "l", NOW + 300);
	assert_true(dryrun_add(dry, &hit));
	assert_int_equal(dryrun_each(dry, dry_name, &n), 1);
	assert_string_equal(n.line[0], "9.0.1.0/32 pregreet 1800000300");
	dryrun_free(dry);
	scan_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_read),
		cmocka_unit_test(the_clients_offence_counts_against_its_block),
		cmocka_unit_test(a_rule_that_is_not_named_is_off),
		cmocka_unit_test(what_passes_by_itself_does_not_count),
		cmocka_unit_test(our_own_refusals_do_not_count),
		cmocka_unit_test(a_refusal_by_postfix_itself_counts),
		cmocka_unit_test(some_are_never_counted),
		cmocka_unit_test(the_name_of_a_screened_client_is_the_latest),
		cmocka_unit_test(repeated_lines_count_as_often),
		cmocka_unit_test(a_rule_that_is_off_has_no_offences),
		cmocka_unit_test(former_texts_are_ours_for_a_while),
		cmocka_unit_test(a_log_in_no_known_form_is_strange),
		cmocka_unit_test(a_name_from_elsewhere_exempts_nobody),
		cmocka_unit_test(only_what_is_later_counts),
		cmocka_unit_test(lists_are_read_when_told),
		cmocka_unit_test(a_recipient_is_one_key_whatever_its_case),
		cmocka_unit_test(other_lines_are_each_their_own),
		cmocka_unit_test(a_text_gives_its_hits_in_order),
		cmocka_unit_test(a_batch_moves_the_position_once),
		cmocka_unit_test(a_dry_run_counts_as_the_store_does),
		cmocka_unit_test(a_period_has_a_border),
		cmocka_unit_test(old_lines_do_not_make_a_dry_run_count_more),
		cmocka_unit_test(a_dry_run_keeps_the_first_lines),
	};

	return cmocka_run_group_tests(tests, group_make, unit_dir_remove);
}
