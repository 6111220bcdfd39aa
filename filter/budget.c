/*
 * budget - how many calls of the API may be made today, and for whom.
 */
#include "filter/budget.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define DAY 86400
#define BUDGET_FILE ".budget"
#define SMALL_CALLS 8    /* a day, for an IPv6 /64: one customer's */
#define LARGE_PERCENT 2  /* of the day's calls, for an IPv6 /48, an IPv4 /24 */
#define LIMIT_USUAL 1000 /* calls a day, where there is no limit */
#define CLOCK_SLACK 300  /* seconds between the API's clock and ours */
#define COUNTERS_MAX 3

/* The calls of today, all or those for one network. */
struct counter {
	char name[sizeof(BUDGET_NETWORK) + ADDRESS_BLOCK_TEXT_MAX];
	char network[ADDRESS_BLOCK_TEXT_MAX]; /* "": all */
	long most; /* 0 = no limit */
	long used;
	time_t last; /* the time of the last one, 0 = none */
};

time_t
budget_reset(time_t now)
{
	return (now / DAY + 1) * DAY;
}

/* Reads how far it is; what cannot be read is 0. */
static void
counter_read(struct statedir *d, struct counter *c, time_t now)
{
	char text[64], *count;
	time_t last;
	long day, used;

	c->used = 0;
	c->last = 0;
	if (!statedir_usable(d) ||
	    statedir_read(d, c->name, text, sizeof(text), &last) != 1 ||
	    (count = strchr(text, ' ')) == NULL)
		return;
	*count++ = '\0';
	text_trim(count);
	if (!text_number(text, 0, 0xffffffffL, &day) || day != now / DAY ||
	    !text_number(count, 0, 1000000000, &used))
		return;
	c->used = used;
	c->last = last;
}

static int
counter_write(struct statedir *d, const struct counter *c, time_t now)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%lld %ld\n",
	    (long long)(now / DAY), c->used);

	return statedir_write(d, c->name, text, (size_t)n, now);
}

/* That of the network of `bits` bits around an address. */
static void
counter_network(struct counter *c, const struct address *a, int bits, long most)
{
	struct address_block b = { .base = *a, .bits = bits };
	char base[ADDRESS_TEXT_MAX];

	address_mask(&b.base, bits);
	address_text(&b.base, base, sizeof(base));
	address_block_text(&b, c->network, sizeof(c->network));
	snprintf(c->name, sizeof(c->name), BUDGET_NETWORK "%s-%d", base, bits);
	c->most = most;
}

/* The counters of a call for this address, that of the day first. How many. */
static int
counters_read(struct statedir *d, long limit, const struct address *a,
    time_t now, struct counter *c)
{
	long share = (limit > 0 ? limit : LIMIT_USUAL) * LARGE_PERCENT / 100;
	int n = 0, i;

	c[n++] = (struct counter){ .name = BUDGET_FILE, .most = limit };
	if (share < 1)
		share = 1;
	if (a != NULL && a->family == AF_INET)
		counter_network(&c[n++], a, 24, share);
	else if (a != NULL) {
		counter_network(&c[n++], a, 48, share);
		counter_network(&c[n++], a, 64, SMALL_CALLS);
	}
	for (i = 0; i < n; i++)
		counter_read(d, &c[i], now);
	return n;
}

/* How many calls of a day come as they are asked for. */
static long
free_calls(long limit)
{
	return limit - limit / 2;
}

/*
 * When the next call may be made: those that are left come at equal distances
 * from the last one until midnight. If nobody wants one for a while, the rest
 * moves closer together, and all may be used in the end.
 */
static time_t
next_call(const struct counter *day, time_t now)
{
	/* One of the future was made before the clock was set back. */
	if (day->most == 0 || day->used < free_calls(day->most) ||
	    day->last > now)
		return now;
	return day->last + (budget_reset(now) - day->last) /
	    (day->most - day->used + 1);
}

/* Adds that no call of this counter is left. */
static void
used_up_add(struct text *t, const struct counter *c)
{
	if (t->len > 0)
		text_add(t, "; ");
	if (c->network[0] == '\0')
		text_add(t, "today's API budget is used up "
			    "(reputation.daily_limit)");
	else
		text_addf(t, "today's API calls for %s are used up (%ld)",
		    c->network, c->most);
}

/* Is there a counter that forbids a call? Then *b is set. */
static bool
counters_refuse(const struct counter *c, int n, bool paced, time_t now,
    struct budget_answer *b)
{
	char left[24];
	struct text t;
	int i;

	text_init(&t, b->why, sizeof(b->why));
	b->until = budget_reset(now);
	for (i = 0; i < n; i++) {
		if (c[i].most == 0 || c[i].used < c[i].most)
			continue;
		used_up_add(&t, &c[i]);
		return true;
	}
	b->until = paced ? next_call(&c[0], now) : now;
	text_age(left, sizeof(left), (long)(b->until - now));
	if (b->until > now)
		text_addf(&t, "half of today's API budget is used up, next "
		    "call allowed in %s", left);
	return b->until > now;
}

bool
budget_refused(struct statedir *d, long limit, const struct address *a,
    time_t now, struct budget_answer *b)
{
	struct counter c[COUNTERS_MAX];
	int n = counters_read(d, limit, a, now, c);

	return counters_refuse(c, n, true, now, b);
}

/* Writes a higher number, and adds what the log should have of that. */
static int
counter_raise(struct statedir *d, struct counter *c, long used, time_t now,
    struct text *news)
{
	long before = c->used, half = free_calls(c->most);

	c->used = used;
	if (counter_write(d, c, now) != 0)
		return -1;
	if (c->most == 0)
		return 0;
	if (used == c->most)
		used_up_add(news, c);
	else if (c->network[0] == '\0' && before < half && used >= half)
		text_add(news, "half of today's API budget is used up; the "
		    "remaining calls are spread over the rest of the day");
	return 0;
}

enum budget_result
budget_take(struct statedir *d, long limit, const struct address *a,
    time_t now, long wait_ms, struct budget_answer *b)
{
	enum budget_result result = BUDGET_TAKEN;
	struct counter c[COUNTERS_MAX];
	struct text news;
	int lock, error, n, i;

	memset(b, 0, sizeof(*b));
	if (!statedir_usable(d))
		return BUDGET_TAKEN;
	lock = statedir_lock(d, STATEDIR_LOCK_BUDGET, wait_ms);
	if (lock < 0)
		return limit > 0 ? BUDGET_ERROR : BUDGET_TAKEN;
	n = counters_read(d, limit, a, now, c);
	if (counters_refuse(c, n, a != NULL, now, b)) {
		close(lock);
		return BUDGET_REFUSED;
	}
	text_init(&news, b->why, sizeof(b->why));
	for (i = 0; i < n && result == BUDGET_TAKEN; i++)
		if (counter_raise(d, &c[i], c[i].used + 1, now, &news) != 0 &&
		    limit > 0)
			result = BUDGET_ERROR;
	error = errno;
	close(lock);
	errno = error;
	return result;
}

void
budget_remaining(struct statedir *d, long limit, long remaining, time_t now,
    struct budget_answer *b)
{
	struct counter day;
	struct text news;
	int lock;

	memset(b, 0, sizeof(*b));
	/*
	 * Just after midnight it may still be what remains of the old day; and
	 * when nothing remains, a marker says so.
	 */
	if (limit == 0 || remaining <= 0 || now % DAY < CLOCK_SLACK)
		return;
	counters_read(d, limit, NULL, now, &day);
	if (limit - day.used <= remaining || !statedir_usable(d))
		return;
	lock = statedir_lock(d, STATEDIR_LOCK_BUDGET, 100);
	if (lock < 0)
		return;
	text_init(&news, b->why, sizeof(b->why));
	counter_read(d, &day, now);
	if (limit - day.used > remaining)
		counter_raise(d, &day, limit - remaining, now, &news);
	close(lock);
}

long
budget_used(struct statedir *d, time_t now)
{
	struct counter day;

	counters_read(d, 0, NULL, now, &day);
	return day.used;
}
