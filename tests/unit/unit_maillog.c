/*
 * What is read from Postfix's log lines: the lines of maillog.samples, each
 * also in other forms, cut, and as something that a client sends.
 */
#include "unit.h"

#include <time.h>

#include "logs/maillog.h"
#include "maillog_lines.h"

#define CLIENT "192.0.2.1"
#define VICTIM "198.51.100.7"
#define LINE_MAX_LEN 16384
#define NOW 1795000000 /* 2026-11-18 11:06:40 UTC */

struct line {
	char s[LINE_MAX_LEN];
	size_t len;
};

/* What a sample is expected to give; NULL = not compared. */
struct expected {
	bool hit;
	bool temporary;
	bool whole; /* cut in the middle it may say something else */
	int rule;
	unsigned times;
	const char *name, *recipient, *user, *text;
};

static char *samples; /* the file, split in place */
static struct maillog reader;

static void
begin(struct maillog *m, time_t now)
{
	maillog_init(m, NULL);
	maillog_now(m, now);
}

static int
samples_load(void **state)
{
	FILE *f = fopen("tests/maillog.samples", "r");
	size_t n = 0;
	long size;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	if (f == NULL)
		return -1;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	samples = calloc(1, (size_t)size + 1);
	if (samples != NULL)
		n = fread(samples, 1, (size_t)size, f);
	fclose(f);
	return n > 0 && n == (size_t)size ? 0 : -1;
}

static int
samples_free(void **state)
{
	(void)state;
	free(samples);
	return 0;
}

/* The value of `key=<value>', copied to out; NULL when it is not there. */
static const char *
value_of(const char *line, const char *key, char *out, size_t size)
{
	static const char *const next[] = { "> name=<", "> recipient=<",
		"> user=<", "> text=<" };
	const char *from = strstr(line, key), *end, *other;
	size_t i;

	if (from == NULL)
		return NULL;
	from += strlen(key);
	end = from + strlen(from) - 1;
	for (i = 0; i < COUNT(next); i++) {
		other = strstr(from - 1, next[i]);
		if (other != NULL && other < end)
			end = other;
	}
	if (*from == '>' && end < from)
		end = from;
	assert_true(end >= from && *end == '>' && end - from < (long)size);
	memcpy(out, from, (size_t)(end - from));
	out[end - from] = '\0';
	return out;
}

static void
expect(struct expected *e, const char *line)
{
	static char buf[4][LINE_MAX_LEN];
	char rule[64], more[64] = "";

	memset(e, 0, sizeof(*e));
	e->whole = strcmp(line, "= none whole") == 0;
	if (e->whole || strcmp(line, "= none") == 0)
		return;
	e->hit = true;
	assert_true(sscanf(line, "= " CLIENT " %63s %63s", rule, more) >= 1);
	e->rule = maillog_rule_find(rule);
	assert_true(e->rule >= 0);
	e->temporary = strcmp(more, "temporary") == 0;
	e->times = 1;
	sscanf(more, "times=%u", &e->times);
	e->name = value_of(line, " name=<", buf[0], sizeof(buf[0]));
	e->recipient = value_of(line, " recipient=<", buf[1], sizeof(buf[1]));
	e->user = value_of(line, " user=<", buf[2], sizeof(buf[2]));
	e->text = value_of(line, " text=<", buf[3], sizeof(buf[3]));
}

static void
put(struct line *l, const char *s, size_t len)
{
	assert_true(l->len + len < sizeof(l->s));
	memcpy(l->s + l->len, s, len);
	l->len += len;
}

/* Copies text to a line, with `to' for each `from'. */
static void
put_replaced(struct line *l, const char *text, const char *from, const char *to,
    size_t to_len)
{
	const char *next;

	while ((next = strstr(text, from)) != NULL) {
		put(l, text, (size_t)(next - text));
		put(l, to, to_len);
		text = next + strlen(from);
	}
	put(l, text, strlen(text));
}

/* Reads a line that ends where its memory ends. */
static bool
read_line(const char *s, size_t len, struct maillog_hit *hit, char *copy)
{
	memcpy(copy, s, len);
	return maillog_line(&reader, copy, len, hit);
}

static void
same_text(const struct maillog_text *have, const char *want, const char *line)
{
	if (want == NULL)
		return;
	if (have->len != strlen(want) ||
	    (have->len > 0 && memcmp(have->s, want, have->len) != 0))
		fail_msg("\"%.*s\" is not \"%s\" in: %s", (int)have->len,
		    have->len > 0 ? have->s : "", want, line);
}

/* A line must give what is expected; client is the address in it. */
static void
check(const struct line *l, const struct expected *e, const char *client)
{
	char *copy = malloc(l->len + 1), text[ADDRESS_TEXT_MAX];
	struct maillog_hit hit;

	assert_non_null(copy);
	begin(&reader, NOW);
	memcpy(copy + 1, l->s, l->len); /* not aligned, and ends there */
	if (maillog_line(&reader, copy + 1, l->len, &hit) != e->hit)
		fail_msg("%s: %.*s", e->hit ? "not read" : "read",
		    (int)l->len, l->s);
	if (e->hit) {
		address_text(&hit.client, text, sizeof(text));
		if (strcmp(text, client) != 0)
			fail_msg("%s: %.*s", text, (int)l->len, l->s);
		if ((int)hit.rule != e->rule || hit.temporary != e->temporary)
			fail_msg("%s %d: %.*s", maillog_rule_name(hit.rule),
			    hit.temporary, (int)l->len, l->s);
		assert_int_equal(hit.times, e->times);
		same_text(&hit.address, client, l->s);
		same_text(&hit.name, e->name, l->s);
		same_text(&hit.user, e->user, l->s);
		if (strcmp(client, CLIENT) == 0) {
			same_text(&hit.recipient, e->recipient, l->s);
			same_text(&hit.text, e->text, l->s);
		}
		assert_ptr_equal(hit.line.s, copy + 1);
		assert_int_equal(hit.line.len, l->len);
	}
	free(copy);
}

/* Calls what for each sample. */
static void
each_sample(void (*what)(const char *sample, const struct expected *e))
{
	char *copy = strdup(samples), *line, *save = NULL;
	struct expected e;
	bool known = false;
	int count = 0;

	assert_non_null(copy);
	begin(&reader, NOW);
	for (line = strtok_r(copy, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (*line == '#')
			continue;
		if (strncmp(line, "= ", 2) == 0) {
			expect(&e, line);
			known = true;
			continue;
		}
		assert_true(known);
		what(line, &e);
		count++;
	}
	free(copy);
	assert_true(count > 100);
}

static void
make(struct line *l, const char *text)
{
	l->len = 0;
	put_replaced(l, text, "{NUL}", "", 1);
	l->s[l->len] = '\0';
}

static void
as_it_is(const char *sample, const struct expected *e)
{
	struct line l;

	make(&l, sample);
	check(&l, e, CLIENT);
}

static void
every_sample_is_read_as_it_says(void **state)
{
	(void)state;
	each_sample(as_it_is);
}

/*
 * With other names of the service, stamps, hosts and ends; where a sample has
 * no stamp or service there is nothing to replace, and it stays as it is.
 */
static void
in_other_forms(const char *sample, const struct expected *e)
{
	static const struct {
		const char *from, *to;
	} forms[] = {
		{ "mx1 postfix/", "mx1 postfix-in/" },
		{ "mx1 postfix/", "mx1 foo-bar/smtp/" },
		{ "mx1 postfix/", "mx1 postfix/192.0.2.25:smtp/" },
		{ "mx1 postfix/", "mx1 postfix/[::]:2525/" },
		{ "07 mx1 ", "07 a-very-long.host-name.example.org " },
		{ "07 mx1 ", "07 2001:db8::25 " },
		{ "[811]: ", "[4194304]: " },
		{ "[811]: ", "[1]: [ID 1 mail.info] " },
		{ "Nov 20 15:41:07 ", "Nov  2 15:41:07 " },
		{ "Nov 20 15:41:07 ", "2026-04-16T23:25:41.896580+02:00 " },
		{ "Nov 20 15:41:07 ", "2026-04-16T23:25:41Z " },
		{ "Nov 20 15:41:07 ", "2026-04-16T23:25:41-0330 " },
		{ "Nov 20 15:41:07 ", "2026-04-16T23:25:41 " },
		{ "Nov 20 15:41:07 ", "2026-04-16 23:25:41 " },
		{ "Nov 20 15:41:07 ", "2026-04-16 23:25:41,123 " },
		{ "Nov 20 15:41:07 ", "2026-04-16 23:25:41.123+02:00 " },
		{ "Nov 20 15:41:07 ", "Nov 2 15:41:07 " },
		{ "Nov 20 15:41:07 ", "Nov 2 15:41:07.000001 " },
		{ "Nov 20 15:41:07 ", "Nov 20 15:41:07.123456 " },
		{ "Nov 20 15:41:07 ", "<22>Nov 20 15:41:07 " },
		{ "Nov 20 15:41:07 ", "<191>2026-04-16T23:25:41Z " },
		{ "Nov 20 15:41:07 ",
		    "2026-04-16T23:25:41.896580123Z Nov 20 15:41:07 " },
		{ "Nov 20 15:41:07 mx1 ", "Nov 20 15:41:07 " },
		{ "Nov 20 15:41:07 mx1 ", "Nov 20 15:41:07 mx1 mail.info " },
		{ "Nov 20 15:41:07 mx1 ", "Nov 20 15:41:07 mail.warn " },
	};
	struct line l;
	const char *other;
	size_t i, n;

	for (i = 0; i < COUNT(forms); i++) {
		n = strlen(forms[i].from);
		other = strstr(sample, forms[i].from);
		if (other == NULL || strstr(sample, "[ID ") != NULL)
			continue;
		l.len = 0;
		put(&l, sample, (size_t)(other - sample));
		put(&l, forms[i].to, strlen(forms[i].to));
		put_replaced(&l, other + n, "{NUL}", "", 1);
		l.s[l.len] = '\0';
		check(&l, e, CLIENT);
	}
	make(&l, sample);
	put(&l, "\r", 1);
	check(&l, e, CLIENT);
}

static void
name_stamp_and_host_of_a_line_do_not_matter(void **state)
{
	(void)state;
	each_sample(in_other_forms);
}

#define STAMP_HOST "Nov 20 15:41:07 mx1 "

/*
 * With heads and messages of other makes; only of lines that are whole, and
 * have the usual head.
 */
static void
in_other_frames(const char *sample, const struct expected *e)
{
	/* %t is the program, %m the message. */
	static const struct {
		const char *frame;
		unsigned times;
	} frames[] = {
		{ "<22>1 2026-11-20T15:41:07Z mx1 %t 811 - - %m", 1 },
		{ "<22>1 2026-11-20T15:41:07Z mx1 %t 811 - -  %m", 1 },
		{ "1 2026-11-20T15:41:07.123456+01:00 mx1 %t - - - %m", 1 },
		{ "<22>1 2026-11-20T15:41:07Z mx1 %t 811 ID7 "
		  "[a@1 b=\"c ] \\\" d\"][e] \xef\xbb\xbf%m", 1 },
		{ "2026-11-20T15:41:07.1Z stdout F Nov 20 15:41:07 mx1 "
		  "%t[811]: %m", 1 },
		{ "Fri 2026-11-20 15:41:07 UTC mx1 %t[811]: %m", 1 },
		{ "Nov 20 15:41:07 <mail.info> mx1 %t[811]: %m", 1 },
		{ STAMP_HOST "%t[811]: NOQUEUE: %m", 1 },
		{ STAMP_HOST "%t[811]: 4bQrTz0KxMzF2k7: %m", 1 },
		{ STAMP_HOST "%t[811]: message repeated 1 times: [ %m]", 1 },
		{ STAMP_HOST "%t[811]: message repeated 7 times: [%m]", 7 },
		{ STAMP_HOST "%t[811]: message repeated 1001 times: [ %m]",
		    100 },
		{ STAMP_HOST "%t[811]: message repeated 99999999999999999999 "
		  "times: [ %m]", 100 },
	};
	const char *tag, *message;
	struct expected again = *e;
	struct line l;
	size_t i;

	if (strncmp(sample, STAMP_HOST, strlen(STAMP_HOST)) != 0 || e->whole ||
	    strstr(sample, "{NUL}") != NULL || strstr(sample, "[ID ") != NULL)
		return;
	tag = sample + strlen(STAMP_HOST);
	message = strstr(tag, "[811]: ");
	if (message == NULL || strncmp(message, "[811]: message rep", 18) == 0)
		return;
	for (i = 0; i < COUNT(frames); i++) {
		const char *f = frames[i].frame;
		bool queued = strstr(message, "NOQUEUE: ") != NULL ||
		    strstr(message, "4F00D1A2B3: ") != NULL ||
		    (message[7] >= '0' && message[7] <= '9');

		if (queued && strstr(f, ": %m") != NULL)
			continue;
		l.len = 0;
		for (; *f != '\0'; f++) {
			if (*f != '%')
				put(&l, f, 1);
			else if (*++f == 't')
				put(&l, tag, (size_t)(message - tag));
			else
				put(&l, message + 7, strlen(message + 7));
		}
		l.s[l.len] = '\0';
		again.times = frames[i].times;
		check(&l, &again, CLIENT);
	}
}

static void
frames_of_a_line_do_not_matter(void **state)
{
	(void)state;
	each_sample(in_other_frames);
}

/*
 * A submission service refuses who has logged in: before Postfix 3.10 its name
 * is all that tells.
 */
static void
at_a_submission_service(const char *sample, const struct expected *e)
{
	static const char *const names[] = { "mx1 postfix/submission/",
		"mx1 postfix/submissions/", "mx1 postfix/smtps/",
		"mx1 postfix-submission/", "mx1 postfix/465/",
		"mx1 postfix/[::]:465/", "mx1 postfix/192.0.2.25:587/",
		"mx1 postfix/192.0.2.25:submission/",
		"mx1 postfix/submission-auth/", "mx1 postfix/smtps_ext/",
		"mx1 postfix/submission2/", "mx1 postfix/[::]:submission-x/" };
	const char *tag = strstr(sample, "mx1 postfix/smtpd[");
	struct expected there = *e;
	struct line l;
	size_t i;

	if (tag == NULL ||
	    strstr(sample, "{NUL}") != NULL)
		return;
	if (strstr(sample, "reject: ") != NULL ||
	    strstr(sample, "too many errors after ") != NULL ||
	    strstr(sample, "Illegal address syntax from ") != NULL)
		there.hit = false;
	for (i = 0; i < COUNT(names); i++) {
		l.len = 0;
		put(&l, sample, (size_t)(tag - sample));
		put(&l, names[i], strlen(names[i]));
		put(&l, tag + strlen("mx1 postfix/"),
		    strlen(tag + strlen("mx1 postfix/")));
		l.s[l.len] = '\0';
		check(&l, &there, CLIENT);
	}
}

static void
what_a_submission_service_refuses_is_nobodys_offence(void **state)
{
	(void)state;
	each_sample(at_a_submission_service);
}

static void
with_ipv6(const char *sample, const struct expected *e)
{
	static const char *const addresses[] = { "2001:db8::66", "2001:db8::",
		"2001:db8:1:2:3:4:5:6" };
	struct line l;
	size_t i;

	if (strstr(sample, "{NUL}") != NULL)
		return;
	for (i = 0; i < COUNT(addresses); i++) {
		l.len = 0;
		put_replaced(&l, sample, CLIENT, addresses[i],
		    strlen(addresses[i]));
		l.s[l.len] = '\0';
		check(&l, e, addresses[i]);
	}
}

static void
ipv6_clients_are_read_alike(void **state)
{
	(void)state;
	each_sample(with_ipv6);
}

static void
not_somebody_else(const char *s, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1), text[ADDRESS_TEXT_MAX];
	struct maillog_hit hit;

	assert_non_null(copy);
	if (read_line(s, len, &hit, copy)) {
		address_text(&hit.client, text, sizeof(text));
		if (strcmp(text, CLIENT) != 0)
			fail_msg("%s from: %.*s", text, (int)len, s);
	}
	free(copy);
}

static void
cut(const char *sample, const struct expected *e)
{
	struct line l;
	size_t len;

	if (e->whole)
		return;
	make(&l, sample);
	for (len = 0; len <= l.len; len++)
		not_somebody_else(l.s, len);
}

static void
a_line_cut_anywhere_names_nobody_else(void **state)
{
	(void)state;
	each_sample(cut);
}

/*
 * Each sample, with somebody else's address, and parts of it, as what a client
 * chooses and Postfix quotes; also where Postfix would not let it through.
 */
static void
sent_by_a_client(const char *sample, const struct expected *e)
{
#define HEAD "Nov 20 15:41:07 mx1 postfix/smtpd[811]: "
#define POST "Nov 20 15:41:07 mx1 postfix/postscreen[811]: "
#define FROM "NOQUEUE: reject: RCPT from h.example[" CLIENT "]: "
	static const char *const forms[] = {
		HEAD FROM "550 5.1.1 <x@d>: Recipient address rejected: User "
		          "unknown; from=<@> to=<x@d> proto=ESMTP helo=<h>",
		HEAD FROM "550 5.1.1 <x@d>: Recipient address rejected: User "
		          "unknown; from=<a> to=<x@d> proto=ESMTP helo=<@>",
		HEAD FROM "550 5.1.1 <@>: Recipient address rejected: User "
		          "unknown; from=<a> to=<@> proto=ESMTP helo=<h>",
		HEAD FROM "550 5.7.1 <@>: Helo command rejected: x; helo=<@>",
		HEAD FROM "550 5.7.1 @; from=<a> to=<b> proto=SMTP helo=<h>",
		HEAD "warning: h[" CLIENT "]: SASL LOGIN authentication "
		     "failed: x, sasl_username=@",
		HEAD "warning: h[" CLIENT "]: SASL @ authentication failed: x",
		HEAD "warning: h[" CLIENT "]: SASL LOGIN authentication "
		     "failed: @",
		HEAD "warning: non-SMTP command from h[" CLIENT "]: @",
		HEAD "improper command pipelining after EHLO from h[" CLIENT
		     "]: @",
		HEAD "warning: hostname @ does not resolve to address " CLIENT,
		HEAD "warning: Illegal address syntax from h[" CLIENT
		     "] in MAIL command: @",
		HEAD "reject: ETRN @... from h[" CLIENT "]",
		HEAD "4F00: client=h[" CLIENT "], sasl_username=@",
		POST "PREGREET 9 after 0.1 from [" CLIENT "]:4000: @",
		POST "NON-SMTP COMMAND from [" CLIENT "]:4000 after @",
		"Nov 20 15:41:07 mx1 postfix/cleanup[811]: 4F00: "
		"message-id=<@>",
		"Nov 20 15:41:07 mx1 postfix/cleanup[811]: 4F00: milter-reject:"
		" END-OF-MESSAGE from h[" CLIENT "]: 5.7.1 @; from=<@>",
		"Nov 20 15:41:07 mx1 sshd[811]: Invalid user @ from " CLIENT,
	};
	static const char *const parts[] = { "Nov", "]: ", " from ",
		"warning: ", "hostname ", "SASL " };
	struct line sent, l;
	const char *from;
	size_t i, j;

	(void)e;
	sent.len = 0;
	put_replaced(&sent, sample, CLIENT, VICTIM, strlen(VICTIM));
	sent.s[sent.len] = '\0';
	for (j = 0; j < COUNT(parts); j++) {
		from = strstr(sent.s, parts[j]);
		if (from == NULL)
			continue;
		if (j > 0)
			from += strlen(parts[j]);
		for (i = 0; i < COUNT(forms); i++) {
			l.len = 0;
			put_replaced(&l, forms[i], "@", from, strlen(from));
			not_somebody_else(l.s, l.len);
		}
	}
}

static void
what_a_client_sends_names_nobody_else(void **state)
{
	(void)state;
	each_sample(sent_by_a_client);
}

/* Times: stamp as read at `now' in a time zone. */

static void
zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static bool
read_stamp(struct maillog *m, const char *stamp, time_t *when)
{
	char line[256];
	struct maillog_hit hit;
	bool found;

	snprintf(line, sizeof(line), "%s mx1 postfix/smtpd[1]: lost connection "
	    "after AUTH from h[" CLIENT "]", stamp);
	found = maillog_line(m, line, strlen(line), &hit);
	if (found)
		*when = hit.when;
	return found;
}

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"

static void
stamps_are_read_in_their_zone_and_year(void **state)
{
	static const struct {
		const char *tz;
		time_t now;
		const char *stamp;
		time_t when; /* -1 = no such time */
	} rows[] = {
		/* now is 2026-11-20 12:00 UTC */
		{ "UTC0", 1795176000, "Nov 20 11:59:59", 1795175999 },
		{ "UTC0", 1795176000, "Nov  2 00:00:00", 1793577600 },
		{ "UTC0", 1795176000, "Nov 02 00:00:00", 1793577600 },
		{ "UTC0", 1795176000, "Nov 21 12:00:00", 1795262400 },
		{ "UTC0", 1795176000, "Nov 21 12:00:01", 1763726401 },
		{ "UTC0", 1795176000, "Nov 21 11:00:00", 1795258800 },
		{ "UTC0", 1795176000, "Dec 31 23:59:59", 1767225599 },
		{ "UTC0", 1795176000, "Feb 29 00:00:00", 1709164800 },
		{ "UTC0", 1795176000, "Nov 20 23:59:60", 1795219200 },
		/* New Year: 2027-01-01 00:00:05, 2026-12-31 23:59:55 UTC */
		{ "UTC0", 1798761605, "Dec 31 23:59:59", 1798761599 },
		{ "UTC0", 1798761605, "Jan  1 00:00:04", 1798761604 },
		{ "UTC0", 1798761595, "Jan  1 00:00:04", 1798761604 },
		{ "UTC0", 1798761595, "Jan  2 00:00:04", 1767312004 },
		/* zones */
		{ BERLIN, 1795176000, "Nov 20 13:00:00", 1795176000 },
		{ BERLIN, 1795176000, "Jul 20 14:00:00", 1784548800 },
		{ "EST5", 1795176000, "Nov 20 07:00:00", 1795176000 },
		{ "XXX-14", 1795176000, "Nov 21 02:00:00", 1795176000 },
		/* forward: 2026-03-29 01:00 UTC; 02:00 to 03:00 never was */
		{ BERLIN, 1795176000, "Mar 29 01:59:59", 1774745999 },
		{ BERLIN, 1795176000, "Mar 29 02:00:00", 1774746000 },
		{ BERLIN, 1795176000, "Mar 29 02:30:00", 1774747800 },
		{ BERLIN, 1795176000, "Mar 29 03:00:00", 1774746000 },
		{ BERLIN, 1795176000, "Mar 29 03:00:01", 1774746001 },
		{ BERLIN, 1795176000, "Mar 28 02:30:00", 1774661400 },
		{ BERLIN, 1795176000, "Mar 30 02:30:00", 1774830600 },
		/* back: 2026-10-25 01:00 UTC; 02:00 to 03:00 was twice */
		{ BERLIN, 1795176000, "Oct 25 01:59:59", 1792886399 },
		{ BERLIN, 1795176000, "Oct 25 02:30:00", 1792888200 },
		{ BERLIN, 1795176000, "Oct 25 03:00:00", 1792893600 },
		{ BERLIN, 1792888200, "Oct 25 02:30:00", 1792888200 },
		{ BERLIN, 1792891800, "Oct 25 02:29:59", 1792891799 },
		/* RFC 3339 needs neither */
		{ BERLIN, 0, "2026-04-16T23:25:41.896580+02:00", 1776374741 },
		{ BERLIN, 0, "2026-04-16T23:25:41+0200", 1776374741 },
		{ BERLIN, 0, "2026-04-16T23:25:41+02", 1776374741 },
		{ BERLIN, 0, "2026-04-16T21:25:41Z", 1776374741 },
		{ BERLIN, 0, "2026-04-16T17:55:41.1-03:30", 1776374741 },
		{ BERLIN, 0, "2024-02-29T00:00:00Z", 1709164800 },
		{ BERLIN, 0, "2000-03-01T00:00:00Z", 951868800 },
		{ BERLIN, 0, "2100-03-01T00:00:00Z", 4107542400 },
		{ BERLIN, 0, "1970-01-01T00:00:00Z", 0 },
		/* no zone: the local one, whatever the year */
		{ BERLIN, 1795176000, "2026-04-16T23:25:41", 1776374741 },
		{ BERLIN, 1795176000, "2026-04-16 23:25:41", 1776374741 },
		{ BERLIN, 1795176000, "2026-04-16 23:25:41.123", 1776374741 },
		{ BERLIN, 1795176000, "2026-04-16 23:25:41,1", 1776374741 },
		{ BERLIN, 1795176000, "2020-11-20 13:00:00", 1605873600 },
		{ "UTC0", 1795176000, "2026-04-16 23:25:41Z", 1776381941 },
		{ BERLIN, 1795176000, "2026-03-29 02:30:00", 1774747800 },
		{ BERLIN, 1795176000, "2026-10-25 02:30:00", 1792888200 },
		{ BERLIN, 1792891800, "2026-10-25 02:29:59", 1792891799 },
		/* other hands */
		{ "UTC0", 1795176000, "Nov 2 00:00:00", 1793577600 },
		{ "UTC0", 1795176000, "Nov 20 11:59:59.999", 1795175999 },
		{ "UTC0", 1795176000, "Nov 2 00:00:00.5", 1793577600 },
		/* neither form */
		{ "UTC0", 1795176000, "Nov 20 11:59:59.", -1 },
		{ "UTC0", 1795176000, "Nov   2 00:00:00", -1 },
		{ "UTC0", 1795176000, "Nov 20  11:59:59", -1 },
		{ "UTC0", 1795176000, "2026-04-16  23:25:41", -1 },
		{ "UTC0", 1795176000, "2026-04-16_23:25:41", -1 },
		{ "UTC0", 1795176000, "2026-04-16 23:25:41.", -1 },
		{ "UTC0", 1795176000, "2026-04-31 23:25:41", -1 },
		{ "UTC0", 1795176000, "Feb 30 00:00:00", -1 },
		{ "UTC0", 1795176000, "Nov  0 00:00:00", -1 },
		{ "UTC0", 1795176000, "Nov -1 00:00:00", -1 },
		{ "UTC0", 1795176000, "nov 20 00:00:00", -1 },
		{ "UTC0", 1795176000, "ovD 20 00:00:00", -1 },
		{ "UTC0", 1795176000, "Nov 20 00:60:00", -1 },
		{ "UTC0", 1795176000, "Nov 20 00:00:61", -1 },
		{ "UTC0", 1795176000, "Nov 20 0 :00:00", -1 },
		{ "UTC0", 1795176000, "2026-13-16T23:25:41Z", -1 },
		{ "UTC0", 1795176000, "2026-00-16T23:25:41Z", -1 },
		{ "UTC0", 1795176000, "2026-04-31T23:25:41Z", -1 },
		{ "UTC0", 1795176000, "2100-02-29T23:25:41Z", -1 },
		{ "UTC0", 1795176000, "2026-04-16T24:25:41Z", -1 },
		{ "UTC0", 1795176000, "2026-04-16T23:25:41+2", -1 },
		{ "UTC0", 1795176000, "2026-04-16T23:25:41+02:0", -1 },
		{ "UTC0", 1795176000, "2026-04-16T23:25:41+24:00", -1 },
		{ "UTC0", 1795176000, "2026-04-16T23:25:41+02:60", -1 },
		{ "UTC0", 1795176000,
		    "2026-04-16T23:25:41.00000000000000000000001Z", -1 },
	};
	struct maillog m;
	time_t when;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		zone(rows[i].tz);
		begin(&m, rows[i].now);
		when = -1;
		read_stamp(&m, rows[i].stamp, &when);
		if (when != rows[i].when)
			fail_msg("%s in %s is %ld, not %ld", rows[i].stamp,
			    rows[i].tz, (long)when, (long)rows[i].when);
		/* Once more, now that the day is known. */
		read_stamp(&m, rows[i].stamp, &when);
		assert_true(when == rows[i].when);
	}
	zone("UTC0");
	/* A day of which half is more than a day after now. */
	begin(&m, 1795176000);
	assert_true(read_stamp(&m, "Nov 21 11:00:00", &when));
	assert_true(when == 1795258800);
	assert_true(read_stamp(&m, "Nov 21 13:00:00", &when));
	assert_true(when == 1763730000);
}

/* A log of a night in which the clock changes, a line every 7 minutes. */
static void
time_does_not_go_back(void **state)
{
	static const struct {
		const char *tz;
		time_t from;
	} nights[] = {
		{ BERLIN, 1774735200 },            /* 2026-03-28 22:00 UTC */
		{ BERLIN, 1792879200 },            /* 2026-10-24 22:00 UTC */
		{ "XXX3YYY2,M4.1.0,M9.1.0", 1788570000 }, /* to midnight */
		{ "LHST-10:30LHDT-11,M10.1.0,M4.1.0", 1775224800 }, /* 30 min */
	};
	struct maillog m;
	char stamp[32];
	time_t t, when = 0, last;
	struct tm tm;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(nights); i++) {
		zone(nights[i].tz);
		begin(&m, nights[i].from + 2592000);
		last = 0;
		for (t = nights[i].from; t < nights[i].from + 86400; t += 420) {
			assert_non_null(localtime_r(&t, &tm));
			strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
			assert_true(read_stamp(&m, stamp, &when));
			if (when != t)
				fail_msg("%s in %s is %ld, not %ld", stamp,
				    nights[i].tz, (long)when, (long)t);
			assert_true(when > last);
			last = when;
		}
	}
	zone("UTC0");
}

static void
lines_are_found_in_a_buffer(void **state)
{
	static const char text[] =
	    "Nov 20 15:41:06 mx1 postfix/smtpd[1]: connect from h[192.0.2.1]\n"
	    "\n"
	    "Nov 20 15:41:07 mx1 postfix/smtpd[1]: lost connection after AUTH "
	    "from h[192.0.2.1]\n"
	    "x\n"
	    "Nov 20 15:41:08 mx1 postfix/smtpd[1]: lost connection after AUTH "
	    "from h[192.0.2.2]\n"
	    "Nov 20 15:41:09 mx1 postfix/smtpd[1]: lost connection after AUTH "
	    "from h[192.0.2.3]";
	struct maillog_hit hit;
	size_t len, pos, lines;
	const char *p;
	int hits;
	char *copy;

	(void)state;
	/* Whatever has come so far: lines without their newline wait. */
	for (len = 0; len < sizeof(text); len++) {
		copy = malloc(len + 1);
		assert_non_null(copy);
		memcpy(copy, text, len);
		begin(&reader, NOW);
		pos = 0;
		hits = 0;
		while (maillog_next(&reader, copy, len, &pos, &hit)) {
			hits++;
			assert_int_equal(hit.client.bytes[3], hits);
			assert_int_equal(hit.when % 60, 6 + hits);
			assert_ptr_equal(hit.line.s + hit.line.len + 1,
			    copy + pos);
		}
		lines = 0;
		for (p = copy; p < copy + len; p++)
			lines += *p == '\n';
		assert_int_equal(reader.lines, lines);
		assert_true(pos == 0 || copy[pos - 1] == '\n');
		assert_null(memchr(copy + pos, '\n', len - pos));
		assert_int_equal(hits, lines < 3 ? 0 : lines < 5 ? 1 : 2);
		free(copy);
	}
}

static void
long_lines_are_read(void **state)
{
	static const char *const texts[] = {
		"Nov 20 15:41:07 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT "
		"from h[192.0.2.1]: 550 5.1.1 <x@d>: Recipient address "
		"rejected: User unknown; from=<",
		"Nov 20 15:41:07 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT "
		"from h[192.0.2.1]: 550 5.1.1 <",
		"Nov 20 15:41:07 mx1 postfix/smtpd[1]: warning: h",
		"Nov 20 15:41:07 mx1 postfix/smtpd[1]: lost connection after "
		"AUTH from h[1", "Nov 20 15:41:07 mx1 ", "2026-11-20T15:41:07.",
		"Nov 20 15:41:07 mx1 postfix/smtpd[1", "" };
	static const char fill[] = "1>; A:[";
	const size_t size = 1 << 20;
	char *buf = malloc(size);
	struct maillog_hit hit;
	size_t i, j, n, pos;

	(void)state;
	assert_non_null(buf);
	begin(&reader, NOW);
	for (i = 0; i < COUNT(texts); i++) {
		for (j = 0; j < sizeof(fill); j++) { /* NUL too */
			n = strlen(texts[i]);
			memcpy(buf, texts[i], n);
			memset(buf + n, fill[j], size - n - 1);
			buf[size - 1] = '\n';
			pos = 0;
			/* the second is cut within a recipient */
			assert_int_equal(i <= 1,
			    maillog_next(&reader, buf, size, &pos, &hit));
			assert_int_equal(pos, size);
			if (i <= 1)
				assert_int_equal(hit.line.len, size - 1);
		}
	}
	free(buf);
}

/* Clients hang up when logins fail, whoever's fault that is. */
static void
nobody_is_lost_after_auth_in_a_sasl_servers_trouble(void **state)
{
#define AT(time) "Nov 20 15:" time " mx1 postfix/smtpd[1]: "
#define LOST "lost connection after AUTH from h[192.0.2.1]\n"
#define LOGIN "warning: h[192.0.2.1]: SASL "
	static const char log[] = AT("41:00") LOST /* 0 */
	    AT("41:01") LOGIN "PLAIN authentication failed: Connection lost to "
	    "authentication server\n"
	    AT("41:02") LOST                        /* 1: temporary */
	    AT("46:01") LOST                        /* 2: temporary */
	    AT("46:02") LOST                        /* 3 */
	    AT("46:03") LOGIN "PLAIN authentication failed: x\n" /* 4 */
	    AT("46:04") LOST                        /* 5 */
	    AT("46:05") LOGIN "\"x authentication failed: Connection lost to "
	    "authentication server\" authentication failed: x\n"
	    AT("46:06") LOST                        /* 6 */
	    AT("46:07") LOGIN "PLAIN authentication failed: generic failure\n"
	    AT("46:08") LOST;                       /* 7, 8: temporary */
	struct maillog_hit hit;
	size_t pos = 0;
	int i;

	(void)state;
	begin(&reader, NOW);
	for (i = 0; maillog_next(&reader, log, strlen(log), &pos, &hit); i++) {
		if (hit.temporary != (i == 1 || i == 2 || i == 7 || i == 8))
			fail_msg("%d: %.*s", i, (int)hit.line.len, hit.line.s);
	}
	assert_int_equal(i, 9);
}

/*
 * Whatever a client may choose: no stranger, no hidden offender. A longer run
 * is `build/unit_maillog COUNT SEED'.
 */
static void
read_made_lines(uint64_t count, uint64_t seed)
{
	static struct lines_made made;
	struct lines lines = { NULL, 0, seed };
	struct maillog_hit hit;
	const char *wrong;
	uint64_t i;
	bool found;

	begin(&reader, NOW);
	for (i = 0; i < count; i++) {
		lines_make(&lines, &made);
		reader.trouble = 0;
		found = maillog_line(&reader, made.text, made.len, &hit);
		wrong = lines_judge(&made, found, &hit);
		if (wrong != NULL)
			fail_msg("%s (line %lu of seed %lu): %s", wrong,
			    (unsigned long)i, (unsigned long)seed, made.text);
	}
}

static void
what_a_client_writes_hides_nothing(void **state)
{
	(void)state;
	read_made_lines(200000, 1);
	read_made_lines(100000, 20261130);
}

static uint64_t long_count, long_seed;

static void
long_run(void **state)
{
	(void)state;
	read_made_lines(long_count, long_seed);
	print_message("%lu lines of seed %lu: no stranger, nobody hidden\n",
	    (unsigned long)long_count, (unsigned long)long_seed);
}

static void
rules_have_names(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < MAILLOG_RULES; i++)
		assert_int_equal(i,
		    maillog_rule_find(maillog_rule_name((enum maillog_rule)i)));
	assert_int_equal(maillog_rule_find(""), -1);
	assert_int_equal(maillog_rule_find("unknown"), -1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest property[] = { cmocka_unit_test(long_run) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample_is_read_as_it_says),
		cmocka_unit_test(name_stamp_and_host_of_a_line_do_not_matter),
		cmocka_unit_test(frames_of_a_line_do_not_matter),
		cmocka_unit_test(
		    what_a_submission_service_refuses_is_nobodys_offence),
		cmocka_unit_test(ipv6_clients_are_read_alike),
		cmocka_unit_test(a_line_cut_anywhere_names_nobody_else),
		cmocka_unit_test(what_a_client_sends_names_nobody_else),
		cmocka_unit_test(stamps_are_read_in_their_zone_and_year),
		cmocka_unit_test(time_does_not_go_back),
		cmocka_unit_test(lines_are_found_in_a_buffer),
		cmocka_unit_test(long_lines_are_read),
		cmocka_unit_test(
		    nobody_is_lost_after_auth_in_a_sasl_servers_trouble),
		cmocka_unit_test(what_a_client_writes_hides_nothing),
		cmocka_unit_test(rules_have_names),
	};

	if (argc == 3) {
		long_count = strtoull(argv[1], NULL, 10);
		long_seed = strtoull(argv[2], NULL, 10);
		return cmocka_run_group_tests(property, samples_load,
		    samples_free);
	}
	return cmocka_run_group_tests(tests, samples_load, samples_free);
}
