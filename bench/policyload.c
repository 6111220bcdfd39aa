/*
 * policyload - load driver for Postfix policy filters that spawn(8) starts.
 *
 *	policyload -c 50 -t 2 -- ./abichecker -c file
 *
 * Starts one filter per connection with a stream socket as descriptors 0, 1
 * and 2, keeps exactly one request in flight on each connection, as smtpd does
 * (SMTPD_POLICY_README), and never sleeps between requests.
 *
 * Phases: (1) start the filters one after the other, each answering a request
 * before the next is started: its time, from the start to the reply, is the
 * cold start; (2) warm-up; (3) steady, timed; (4) memory and processor time are
 * read while all filters are still there; (5) close and reap.
 *
 * Output: "name value" lines; _us are microseconds, _kb 1024 bytes. Exit
 * status: 0, 1 when a request failed, 2 for wrong usage or a system error.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EX_WRONG 2 /* of err(3) */
#define REPLY_MAX 4096
#define REQUEST_MAX 4096
#define ACTIONS_MAX 32
#define EVENTS_MAX 256
#define FAILED_MAX 100           /* give up after so many requests */
#define PATIENCE_NS 60000000000u /* for a reply */
#define GRACE_NS 5000000000u     /* for a filter to end */

extern char **environ;

static struct {
	int conns;
	long requests;  /* steady ones per connection, unless seconds is set */
	double seconds; /* of the steady phase */
	int warmup;     /* requests per connection */
	double idle;    /* seconds before the memory is read */
	long users;     /* above 0: requests of so many SASL users */
	char **command;
} opt = { .conns = 1, .requests = 1000 };

static uint32_t first_addr; /* clients come from address_count addresses */
static unsigned long address_count;

/* --- small --- */

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: the same sequence in every run. */
static uint64_t
next_random(void)
{
	static uint64_t s = 0x9E3779B97F4A7C16u;

	s ^= s >> 12;
	s ^= s << 25;
	s ^= s >> 27;
	return (s * 0x2545F4914F6CDD1Du) >> 11;
}

static double
cpu_us(const struct rusage *ru)
{
	return (double)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) * 1e6 +
	    (double)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec);
}

/* --- times --- */

struct times {
	uint64_t *ns;
	size_t count, size;
};

static struct times cold, steady;

static void
times_add(struct times *t, uint64_t ns)
{
	if (t->count == t->size) {
		t->size = t->size == 0 ? 65536 : t->size * 2;
		t->ns = realloc(t->ns, t->size * sizeof(*t->ns));
		if (t->ns == NULL)
			err(EX_WRONG, "realloc");
	}
	t->ns[t->count++] = ns;
}

static int
times_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Microseconds that the fraction p of them stayed under, nearest rank. */
static double
times_us(const struct times *t, double p)
{
	size_t i = (size_t)(p * (double)t->count);

	if (t->count == 0)
		return 0;
	return (double)t->ns[i < t->count ? i : t->count - 1] / 1e3;
}

static void
times_print(struct times *t, const char *name)
{
	if (t->count > 0)
		qsort(t->ns, t->count, sizeof(*t->ns), times_compare);
	printf("%s_p50_us %.1f\n", name, times_us(t, 0.5));
	printf("%s_p90_us %.1f\n", name, times_us(t, 0.9));
	printf("%s_p99_us %.1f\n", name, times_us(t, 0.99));
	printf("%s_max_us %.1f\n", name, times_us(t, 1));
}

/* --- requests --- */

/* What Postfix 3.7 sends at the RCPT stage. */
static const char request_format[] =
    "request=smtpd_access_policy\n"
    "protocol_state=RCPT\n"
    "protocol_name=ESMTP\n"
    "client_address=%s\n"
    "client_name=unknown\n"
    "client_port=%lu\n"
    "reverse_client_name=unknown\n"
    "server_address=192.0.2.25\n"
    "server_port=587\n"
    "helo_name=mail.example.net\n"
    "sender=%s\n"
    "recipient=rcpt%lu@example.org\n"
    "recipient_count=0\n"
    "queue_id=\n"
    "instance=1a2b.65f0a1c3.%lu.0\n"
    "size=12345\n"
    "etrn_domain=\n"
    "stress=\n"
    "sasl_method=%s\n"
    "sasl_username=%s\n"
    "sasl_sender=\n"
    "ccert_subject=\n"
    "ccert_issuer=\n"
    "ccert_fingerprint=\n"
    "ccert_pubkey_fingerprint=\n"
    "encryption_protocol=TLSv1.3\n"
    "encryption_cipher=TLS_AES_256_GCM_SHA384\n"
    "encryption_keysize=256\n"
    "policy_context=\n"
    "\n";

/* The next request: a message of its own, from any of the addresses. */
static size_t
request_make(char *out, size_t size)
{
	static unsigned long number;
	char sender[64], user[64] = "";
	struct in_addr addr;
	int n;

	number++;
	addr.s_addr = htonl(
	    first_addr + (uint32_t)(next_random() % address_count));
	if (opt.users > 0) {
		snprintf(user, sizeof(user), "user%07lu@example.test",
		    (unsigned long)(next_random() % (uint64_t)opt.users));
		memcpy(sender, user, sizeof(sender));
	} else
		snprintf(sender, sizeof(sender), "sender%lu@example.com",
		    number % 5000);
	n = snprintf(out, size, request_format, inet_ntoa(addr),
	    1024 + number % 60000, sender, number, number,
	    user[0] != '\0' ? "PLAIN" : "", user);
	if (n < 0 || (size_t)n >= size)
		errx(EX_WRONG, "request too long");
	return (size_t)n;
}

/* --- replies, counted by their first word --- */

static struct {
	char word[24];
	long count;
} actions[ACTIONS_MAX];

static void
reply_count(const char *reply)
{
	const char *text = "(MALFORMED)";
	char word[sizeof(actions[0].word)];
	size_t i;

	if (strncasecmp(reply, "action=", 7) == 0)
		text = reply + 7;
	for (i = 0; i < sizeof(word) - 1 && text[i] != '\0' &&
	     !isspace((unsigned char)text[i]); i++)
		word[i] = (char)toupper((unsigned char)text[i]);
	word[i] = '\0';
	for (i = 0; i < ACTIONS_MAX - 1 && actions[i].count > 0 &&
	     strcmp(actions[i].word, word) != 0; i++)
		;
	memcpy(actions[i].word, word, sizeof(word));
	actions[i].count++;
}

/* --- connections --- */

struct conn {
	int fd; /* -1 = closed */
	pid_t pid;
	uint64_t started, sent; /* ns; sent is 0 with no request in flight */
	long done;
	size_t have;
	char buf[REPLY_MAX];
};

static struct conn *conns;
static int ep, failed;
static double reaped_cpu_us;

static void
conn_open(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	posix_spawn_file_actions_t fds;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int sp[2], i, e;

	c->started = now_ns();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) != 0)
		err(EX_WRONG, "socketpair");
	posix_spawn_file_actions_init(&fds);
	for (i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&fds, sp[1], i);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	e = posix_spawnp(&c->pid, opt.command[0], &fds, &attr, opt.command,
	    environ);
	if (e != 0)
		errx(EX_WRONG, "%s: %s", opt.command[0], strerror(e));
	posix_spawn_file_actions_destroy(&fds);
	posix_spawnattr_destroy(&attr);
	close(sp[1]);
	c->fd = sp[0];
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		err(EX_WRONG, "epoll_ctl");
}

static void
conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	/* A filter about to start may still hold a copy. */
	epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	c->fd = -1;
}

/* Waits for the filter's end, and kills it when it takes its time. */
static void
conn_reap(struct conn *c)
{
	uint64_t end = now_ns() + GRACE_NS;
	struct rusage ru;
	pid_t pid;

	if (c->pid <= 0)
		return;
	while ((pid = wait4(c->pid, NULL, WNOHANG, &ru)) == 0) {
		if (now_ns() > end)
			kill(c->pid, SIGKILL);
		sched_yield();
	}
	if (pid == c->pid)
		reaped_cpu_us += cpu_us(&ru);
	c->pid = 0;
}

static void
conn_ask(struct conn *c)
{
	static char request[REQUEST_MAX];
	size_t len = request_make(request, sizeof(request)), at = 0;
	ssize_t n;

	c->sent = now_ns();
	while (at < len) {
		n = send(c->fd, request + at, len - at, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* the end is noticed when reading */
		at += (size_t)n;
	}
}

/* Reads what is there. True when a whole reply is. */
static bool
conn_reply(struct conn *c)
{
	ssize_t n;
	char *end;

	n = read(c->fd, c->buf + c->have, sizeof(c->buf) - 1 - c->have);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0) {
		c->buf[c->have] = '\0';
		if (failed++ == 0)
			warnx("closed without a reply; got: %s", c->buf);
		conn_close(c);
		return false;
	}
	c->have += (size_t)n;
	c->buf[c->have] = '\0';
	if (c->sent == 0)
		errx(EX_WRONG, "unexpected data: %s", c->buf);
	end = strstr(c->buf, "\n\n");
	if (end == NULL) {
		if (c->have >= sizeof(c->buf) - 1)
			errx(EX_WRONG, "reply too long");
		return false;
	}
	*end = '\0';
	c->have = 0;
	reply_count(c->buf);
	return true;
}

static bool
overdue(int from, int to)
{
	uint64_t now = now_ns();
	int i;

	for (i = from; i < to; i++)
		if (conns[i].sent != 0 && now - conns[i].sent > PATIENCE_NS) {
			warnx("no reply for a minute");
			failed++;
			return true;
		}
	return false;
}

/*
 * Lets the connections from..to-1 ask `each` requests, or until a time. Of
 * every reply the time since its request goes to `times`; or, when its filter
 * was not yet there, since the start of that.
 */
static void
drive(int from, int to, long each, uint64_t until, struct times *times)
{
	struct epoll_event ev[EVENTS_MAX];
	struct conn *c;
	uint64_t t;
	int busy = 0, i, n;

	for (i = from; i < to; i++) {
		c = &conns[i];
		c->done = 0;
		if (c->pid == 0)
			conn_open(c);
		if (c->fd < 0)
			continue;
		conn_ask(c);
		busy++;
	}
	while (busy > 0 && failed < FAILED_MAX) {
		n = epoll_wait(ep, ev, EVENTS_MAX, 1000);
		if (n < 0 && errno != EINTR)
			err(EX_WRONG, "epoll_wait");
		if (n == 0 && overdue(from, to))
			return;
		for (i = 0; i < n; i++) {
			c = ev[i].data.ptr;
			if (!conn_reply(c)) {
				busy -= c->fd < 0;
				continue;
			}
			t = now_ns();
			if (times != NULL)
				times_add(times, t - (times == &cold ?
				    c->started : c->sent));
			c->sent = 0;
			c->done++;
			if (until != 0 ? t >= until : c->done >= each)
				busy--;
			else
				conn_ask(c);
		}
	}
}

/* --- memory and processor time of the filters --- */

/* The sum over all filters of a "name: N kB" line of a file in /proc/PID. */
static double
memory_kb(const char *file, const char *name)
{
	char path[64], line[256];
	size_t len = strlen(name);
	double sum = 0;
	FILE *f;
	int i;

	for (i = 0; i < opt.conns; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)conns[i].pid,
		    file);
		if (conns[i].pid <= 0 || (f = fopen(path, "r")) == NULL)
			continue;
		while (fgets(line, sizeof(line), f) != NULL)
			if (strncmp(line, name, len) == 0 && line[len] == ':')
				sum += strtod(line + len + 1, NULL);
		fclose(f);
	}
	return sum;
}

/* On-CPU time of all filters so far, microseconds. */
static double
filters_cpu_us(void)
{
	char path[64], line[256];
	double sum = 0;
	FILE *f;
	int i;

	for (i = 0; i < opt.conns; i++) {
		snprintf(path, sizeof(path), "/proc/%d/schedstat",
		    (int)conns[i].pid);
		if (conns[i].pid <= 0 || (f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(line, sizeof(line), f) != NULL)
			sum += strtod(line, NULL) / 1e3;
		fclose(f);
	}
	return sum;
}

static void
memory_print(void)
{
	double n = opt.conns;

	printf("spawned_pss_kb_avg %.1f\n",
	    memory_kb("smaps_rollup", "Pss") / n);
	printf("spawned_rss_kb_avg %.1f\n",
	    memory_kb("smaps_rollup", "Rss") / n);
	printf("spawned_private_dirty_kb_avg %.1f\n",
	    memory_kb("smaps_rollup", "Private_Dirty") / n);
	printf("spawned_pte_kb_avg %.1f\n", memory_kb("status", "VmPTE") / n);
}

/* --- main --- */

static void
usage(void)
{
	fprintf(stderr,
	    "usage: policyload [options] -- command [argument] ...\n"
	    "  -c N        connections (1)\n"
	    "  -r N        steady requests per connection (1000)\n"
	    "  -t SECONDS  a steady phase of that time instead\n"
	    "  -w N        warm-up requests per connection (0)\n"
	    "  -i SECONDS  wait so long before reading memory (0)\n"
	    "  -a ADDR,N   clients: N IPv4 addresses from ADDR on\n"
	    "              (203.0.113.0,256)\n"
	    "  -u N        authenticated as one of N users (0: not)\n");
	exit(EX_WRONG);
}

static void
addresses_parse(const char *spec)
{
	const char *comma = strchr(spec, ',');
	struct in_addr addr;
	char host[64] = "";

	if (comma != NULL && (size_t)(comma - spec) < sizeof(host)) {
		memcpy(host, spec, (size_t)(comma - spec));
		address_count = strtoul(comma + 1, NULL, 10);
	}
	if (address_count == 0 || inet_pton(AF_INET, host, &addr) != 1)
		errx(EX_WRONG, "-a wants ADDRESS,COUNT, not %s", spec);
	first_addr = ntohl(addr.s_addr);
}

static void
options_parse(int argc, char **argv)
{
	int c;

	addresses_parse("203.0.113.0,256");
	while ((c = getopt(argc, argv, "+c:r:t:w:i:a:u:")) != -1) {
		if (c == 'c')
			opt.conns = (int)strtol(optarg, NULL, 10);
		else if (c == 'r')
			opt.requests = strtol(optarg, NULL, 10);
		else if (c == 't')
			opt.seconds = strtod(optarg, NULL);
		else if (c == 'w')
			opt.warmup = (int)strtol(optarg, NULL, 10);
		else if (c == 'i')
			opt.idle = strtod(optarg, NULL);
		else if (c == 'a')
			addresses_parse(optarg);
		else if (c == 'u')
			opt.users = strtol(optarg, NULL, 10);
		else
			usage();
	}
	if (optind == argc || opt.conns < 1 || opt.requests < 0)
		usage();
	opt.command = argv + optind;
}

/* The steady phase, and its lines. */
static void
steady_run(void)
{
	struct rusage before, after;
	double cpu, per, wall;
	uint64_t start, until = 0;
	size_t i;

	cpu = filters_cpu_us();
	getrusage(RUSAGE_SELF, &before);
	start = now_ns();
	if (opt.seconds > 0)
		until = start + (uint64_t)(opt.seconds * 1e9);
	if (failed == 0 && (opt.requests > 0 || until != 0))
		drive(0, opt.conns, opt.requests, until, &steady);
	wall = (double)(now_ns() - start) / 1e3;
	getrusage(RUSAGE_SELF, &after);
	cpu = filters_cpu_us() - cpu;
	per = steady.count > 0 ? 1 / (double)steady.count : 0;
	printf("connections %d\nrequests %zu\nfailed %d\nseconds %.3f\n",
	    opt.conns, steady.count, failed, wall / 1e6);
	printf("requests_per_s %.1f\n", (double)steady.count / wall * 1e6);
	printf("spawned_steady_cpu_us_per_req %.2f\n", cpu * per);
	printf("driver_cpu_us_per_req %.2f\n",
	    (cpu_us(&after) - cpu_us(&before)) * per);
	for (i = 0; i < ACTIONS_MAX && actions[i].count > 0; i++)
		printf("action_%s %ld\n", actions[i].word, actions[i].count);
}

int
main(int argc, char **argv)
{
	int i;

	options_parse(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	ep = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc((size_t)opt.conns, sizeof(*conns));
	if (ep < 0 || conns == NULL)
		err(EX_WRONG, "cannot start");
	for (i = 0; i < opt.conns; i++)
		conns[i].fd = -1;
	for (i = 0; i < opt.conns && failed == 0; i++)
		drive(i, i + 1, 1, 0, &cold);
	if (opt.warmup > 0 && failed == 0)
		drive(0, opt.conns, opt.warmup, 0, NULL);
	steady_run();
	times_print(&steady, "lat");
	times_print(&cold, "cold");
	usleep((useconds_t)(opt.idle * 1e6));
	memory_print();
	for (i = 0; i < opt.conns; i++)
		conn_close(&conns[i]);
	for (i = 0; i < opt.conns; i++)
		conn_reap(&conns[i]);
	printf("spawned_cpu_ms %.1f\n", reaped_cpu_us / 1e3);
	return failed > 0;
}
