/*
 * maillog_gen - write a mail log of Postfix and Dovecot to standard output:
 * ordinary sessions, and in between the lines of offenders.
 *
 *	maillog_gen [-m MB] [-p PERCENT] [-n OFFENDERS] [-6 PERCENT]
 *	    [-s SEED] [-t TIME] [-l FILE]
 *
 *	-m	size, in units of 10^6 bytes (200)
 *	-p	share of offending lines (5)
 *	-n	offenders (50000)
 *	-6	share of IPv6 among them (15)
 *	-s	another sequence of random numbers
 *	-t	time of the first line, in seconds since the epoch (1763600000)
 *	-l	write "ADDRESS KINDS" of every offender to FILE; a sum of 1 name
 *		does not lead back to the address, 2 recipient unknown, 4 login
 *		failed
 *
 * The kinds have equal shares. Each offender comes once, with random gaps,
 * before it comes again; then a few come often. Same options, same bytes: all
 * random numbers are drawn one by one, in a fixed order.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KIND_NAME 1
#define KIND_RECIPIENT 2
#define KIND_LOGIN 4

static struct {
	double megabytes, percent, percent6;
	uint32_t offenders;
	const char *list;
} opt = { .megabytes = 200, .percent = 5, .percent6 = 15,
	.offenders = 50000 };

static uint64_t state = 1;
static time_t stamp = 1763600000;
static unsigned long long bytes;
static long lines, offending;
static char (*address)[INET6_ADDRSTRLEN]; /* of every offender */
static unsigned char *kinds;              /* that were written of it */

/* --- random numbers and words --- */

/* xorshift64*, scaled: 0 to n - 1. */
static uint32_t
below(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(((state * 0x2545F4914F6CDD1Du) >> 32) * n >> 32);
}

static const char *
word(void)
{
	static const char *const words[] = { "alpha", "news", "shop", "info",
		"anna", "peter", "sales", "office", "maria", "jobs", "dev",
		"backup", "test", "admin", "contact", "john", "bounce",
		"noreply", "hans", "support" };

	return words[below(sizeof(words) / sizeof(words[0]))];
}

static const char *
top_domain(void)
{
	static const char *const tops[] = { "com", "net", "org", "de", "fr",
		"ru", "br", "vn", "in", "pl" };

	return tops[below(sizeof(tops) / sizeof(tops[0]))];
}

/* --- lines --- */

/* One line; pid 0: none. */
static void __attribute__((format(printf, 3, 4)))
line(const char *service, uint32_t pid, const char *format, ...)
{
	char when[32], process[16] = "", text[512];
	struct tm tm;
	va_list ap;
	int n;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (below(9) == 0)
		stamp++;
	gmtime_r(&stamp, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	if (pid != 0)
		snprintf(process, sizeof(process), "[%u]", pid);
	n = printf("%s mx1 %s%s: %s\n", when, service, process, text);
	if (n < 0)
		err(1, "standard output");
	bytes += (unsigned)n;
	lines++;
}

struct session {
	uint32_t pid;
	char id[16], ip[48], host[128], from[96], to[96];
};

/* A word and a domain, with a "." or "@" between them. */
static void
name_make(char *out, size_t size, const char *prefix, uint32_t users, char sign)
{
	const char *top = top_domain();
	uint32_t domain = below(3000);
	const char *second = word();
	uint32_t user = below(users);
	const char *first = word();

	snprintf(out, size, "%s%s%u%c%s%u.example.%s", prefix, first, user,
	    sign, second, domain, top);
}

static void
client_make(char *out, size_t size)
{
	uint32_t d = 1 + below(254), c = below(256), b = below(256);
	uint32_t a = 11 + below(90);

	snprintf(out, size, "%u.%u.%u.%u", a, b, c, d);
	if (below(6) != 0)
		return;
	c = 1 + below(65535);
	b = 1 + below(65535);
	a = 1 + below(65535);
	snprintf(out, size, "2a01:%x:%x::%x", a, b, c);
}

static void
session_make(struct session *s)
{
	static const char digits[] =
	    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
	uint32_t user;
	size_t i;

	s->pid = 1000 + below(30000);
	s->id[0] = '4';
	for (i = 1; i < sizeof(s->id) - 1; i++)
		s->id[i] = digits[below(52)];
	s->id[i] = '\0';
	client_make(s->ip, sizeof(s->ip));
	name_make(s->host, sizeof(s->host), "mail-", 100, '.');
	name_make(s->from, sizeof(s->from), "", 5000, '@');
	user = below(900);
	snprintf(s->to, sizeof(s->to), "%s%u@example.org", word(), user);
}

/* --- ordinary sessions --- */

static void
dovecot(const struct session *s)
{
	unsigned long long id = state;

	line("dovecot", 0, "imap-login: Login: user=<%s>, method=PLAIN, "
	    "rip=%s, lip=192.0.2.25, mpid=%u, TLS, session=<%016llx>", s->to,
	    s->ip, below(60000), id);
}

static void
lost(const struct session *s)
{
	line("postfix/smtpd", s->pid, "connect from %s[%s]", s->host, s->ip);
	line("postfix/smtpd", s->pid, "lost connection after EHLO from %s[%s]",
	    s->host, s->ip);
	line("postfix/smtpd", s->pid, "disconnect from %s[%s] ehlo=1 "
	    "commands=1", s->host, s->ip);
}

static void
queued(const struct session *s, const char *from)
{
	line("postfix/qmgr", 812, "%s: from=<%s>, size=%u, nrcpt=1 (queue "
	    "active)", s->id, from, 900 + below(200000));
}

/* A user's message, sent on by smtp. */
static void
submission(const struct session *s)
{
	static const char service[] = "postfix/submission/smtpd";
	uint32_t tag, delay[4], net[2];

	line(service, s->pid, "connect from %s[%s]", s->host, s->ip);
	line(service, s->pid, "%s: client=%s[%s], sasl_method=PLAIN, "
	    "sasl_username=%s", s->id, s->host, s->ip, s->to);
	line("postfix/cleanup", s->pid + 7, "%s: message-id=<%016llx@%s>",
	    s->id, (unsigned long long)state, s->host);
	queued(s, s->to);
	tag = below(0xffffffff);
	delay[2] = below(10);
	delay[1] = below(10);
	delay[0] = below(4);
	net[1] = below(256);
	net[0] = below(256);
	line("postfix/smtp", s->pid + 9, "%s: to=<%s>, relay=mx.%s"
	    "[198.51.%u.%u]:25, delay=%u.%u, delays=0.1%u/0.01/0.4/0.6, "
	    "dsn=2.0.0, status=sent (250 2.0.0 OK  %lld %08x-gsmtp)", s->id,
	    s->from, strchr(s->from, '@') + 1, net[0], net[1], delay[0],
	    delay[1], delay[2], (long long)stamp, tag);
	line("postfix/qmgr", 812, "%s: removed", s->id);
	line(service, s->pid, "disconnect from %s[%s] ehlo=2 starttls=1 "
	    "auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8", s->host, s->ip);
}

/* A message from outside, delivered by lmtp. */
static void
inbound(const struct session *s)
{
	unsigned long long id;
	uint32_t delay[2];

	line("postfix/smtpd", s->pid, "connect from %s[%s]", s->host, s->ip);
	line("postfix/smtpd", s->pid, "%s: client=%s[%s]", s->id, s->host,
	    s->ip);
	delay[0] = below(99999);
	line("postfix/cleanup", s->pid + 7, "%s: message-id=<%016llx.%u@%s>",
	    s->id, (unsigned long long)state, delay[0], s->host);
	queued(s, s->from);
	id = state;
	delay[1] = below(10);
	delay[0] = 10 + below(89);
	line("postfix/lmtp", s->pid + 9, "%s: to=<%s>, relay=mx1.example.org"
	    "[private/dovecot-lmtp], delay=0.%u, delays=0.1/0.01/0.01/0.0%u, "
	    "dsn=2.0.0, status=sent (250 2.0.0 <%s> %016llx Saved)", s->id,
	    s->to, delay[0], delay[1], s->to, id);
	line("postfix/qmgr", 812, "%s: removed", s->id);
	line("postfix/smtpd", s->pid, "disconnect from %s[%s] ehlo=2 "
	    "starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7", s->host,
	    s->ip);
	if (below(12) == 0)
		line("postfix/anvil", 901, "statistics: max connection rate "
		    "%u/60s for (smtp:%s) at Nov 20 10:00:00", 1 + below(5),
		    s->ip);
}

static void
session(void)
{
	struct session s;

	session_make(&s);
	switch (below(10)) {
	case 0:
		dovecot(&s);
		break;
	case 1:
		lost(&s);
		break;
	case 2:
	case 3:
		submission(&s);
		break;
	default:
		inbound(&s);
	}
}

/* --- offenders --- */

/* Distinct ones, and in distinct blocks of /64: the number is in them. */
static void
address_make(uint32_t i)
{
	unsigned char a[16] = { 0x2a };
	int k;

	for (k = 1; k < 4; k++)
		a[k] = (unsigned char)below(k == 1 ? 16 : 256);
	if (below(1000) >= opt.percent6 * 10) {
		snprintf(address[i], sizeof(address[i]), "%u.%u.%u.%u",
		    110 + (i >> 16) % 100, i >> 8 & 255, i & 255,
		    1 + below(254));
		return;
	}
	a[4] = (unsigned char)(i >> 8);
	a[5] = (unsigned char)i;
	a[6] = (unsigned char)(i >> 16);
	a[14] = (unsigned char)below(256);
	a[15] = (unsigned char)(1 + below(255));
	if (below(2) != 0)
		for (k = 7; k < 14; k++)
			a[k] = (unsigned char)below(256);
	inet_ntop(AF_INET6, a, address[i], sizeof(address[i]));
}

static void
guess(uint32_t pid, const char *ip)
{
	uint32_t user = 1000 + below(9000), sender;
	const char *name = word(), *helo = word(), *top = top_domain();
	const char *domain = word(), *from;
	char to[64];

	sender = below(999);
	from = word();
	snprintf(to, sizeof(to), "%s%u@example.org", name, user);
	line("postfix/smtpd", pid, "NOQUEUE: reject: RCPT from unknown[%s]: "
	    "550 5.1.1 <%s>: Recipient address rejected: User unknown in "
	    "virtual mailbox table; from=<%s%u@%s.example.%s> to=<%s> "
	    "proto=ESMTP helo=<%s>", ip, to, from, sender, domain, top, to,
	    helo);
}

static void
false_name(uint32_t pid, const char *ip)
{
	const char *top = top_domain();
	uint32_t domain = below(300), host;
	const char *name = word();

	host = below(60000);
	line("postfix/smtpd", pid, "warning: hostname host%u.%s%u.example.%s "
	    "does not resolve to address %s: Name or service not known", host,
	    name, domain, top, ip);
}

static void
offence(uint32_t who)
{
	uint32_t pid = 1000 + below(30000);

	offending++;
	switch (below(3)) {
	case 0:
		kinds[who] |= KIND_NAME;
		false_name(pid, address[who]);
		break;
	case 1:
		kinds[who] |= KIND_RECIPIENT;
		guess(pid, address[who]);
		break;
	default:
		kinds[who] |= KIND_LOGIN;
		line("postfix/smtpd", pid, "warning: unknown[%s]: SASL LOGIN "
		    "authentication failed: UGFzc3dvcmQ6", address[who]);
	}
}

/* The next new one, or one that was there, the first ones most often. */
static uint32_t
choose(uint32_t *used)
{
	uint64_t r, known = *used > 0 ? *used : 1;

	if (*used < opt.offenders && below(8) != 0)
		return (*used)++;
	r = below(65536);
	return (uint32_t)(r * r % 4294967296u * known >> 32);
}

static void
list_write(void)
{
	FILE *f = fopen(opt.list, "w");
	uint32_t i;

	if (f == NULL)
		err(1, "%s", opt.list);
	for (i = 0; i < opt.offenders; i++)
		if (kinds[i] != 0)
			fprintf(f, "%s %u\n", address[i], kinds[i]);
	if (fclose(f) != 0)
		err(1, "%s", opt.list);
}

static void
usage(void)
{
	fprintf(stderr, "usage: maillog_gen [-m MB] [-p PERCENT] "
	    "[-n OFFENDERS] [-6 PERCENT]\n"
	    "\t[-s SEED] [-t TIME] [-l FILE]\n");
	exit(2);
}

static void
options(int argc, char *argv[])
{
	int c;

	while ((c = getopt(argc, argv, "m:p:n:6:s:t:l:")) != -1)
		switch (c) {
		case 'm':
			opt.megabytes = strtod(optarg, NULL);
			break;
		case 'p':
			opt.percent = strtod(optarg, NULL);
			break;
		case 'n':
			opt.offenders = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case '6':
			opt.percent6 = strtod(optarg, NULL);
			break;
		case 's':
			state = strtoull(optarg, NULL, 10) * 2654435769u + 1;
			break;
		case 't':
			stamp = (time_t)strtoll(optarg, NULL, 10);
			break;
		case 'l':
			opt.list = optarg;
			break;
		default:
			usage();
		}
	if (opt.offenders == 0)
		opt.offenders = 1;
}

int
main(int argc, char *argv[])
{
	uint32_t used = 0, i;

	options(argc, argv);
	address = calloc(opt.offenders, sizeof(*address));
	kinds = calloc(opt.offenders, sizeof(*kinds));
	if (address == NULL || kinds == NULL)
		err(1, "calloc");
	for (i = 0; i < opt.offenders; i++)
		address_make(i);
	while ((double)bytes < opt.megabytes * 1e6) {
		session();
		while ((double)offending < opt.percent / 100 * (double)lines)
			offence(choose(&used));
	}
	if (fflush(stdout) != 0)
		err(1, "standard output");
	if (opt.list != NULL)
		list_write();
	fprintf(stderr, "%llu bytes, %ld lines, %ld offending, "
	    "%u offenders\n", bytes, lines, offending, used);
	return 0;
}
