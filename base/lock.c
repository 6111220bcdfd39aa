/*
 * lock - locks among processes, with a time limit.
 */
#include "base/clock.h"
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK 20000000 /* nanoseconds between two signals */

static void
wake(int sig)
{
	(void)sig; /* its only purpose is to interrupt fcntl(2) */
}

/* --- a time limit for fcntl(2), which has none of its own --- */

/*
 * A timer interrupts F_OFD_SETLKW when there is something to do, and not
 * before: who is interrupted loses the place in the kernel's queue. It fires
 * again and again from then on, so a signal that comes just before the call is
 * no loss. Timer and signal are our own: alarm(2) goes on undisturbed.
 */
struct limit {
	int64_t end; /* clock_ms() */
	timer_t timer;
	struct sigaction action;
	sigset_t mask;
};

/* The next signal in so many milliseconds; 0 would switch the timer off. */
static int
limit_signal(const struct limit *l, int64_t ms)
{
	const struct itimerspec tick = { { 0, TICK },
		{ ms / 1000, ms % 1000 * 1000000 + 1 } };

	return timer_settime(l->timer, 0, &tick, NULL);
}

/* first_ms: when there is something to do. 0, or -1 with errno. */
static int
limit_begin(struct limit *l, long first_ms, long wait_ms)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN };
	struct sigaction act = { .sa_handler = wake };
	sigset_t ours;

	l->end = clock_ms() + wait_ms;
	if (timer_create(CLOCK_MONOTONIC, &event, &l->timer) != 0)
		return -1;
	sigemptyset(&act.sa_mask);
	sigemptyset(&ours);
	sigaddset(&ours, SIGRTMIN);
	sigaction(SIGRTMIN, &act, &l->action);
	sigprocmask(SIG_UNBLOCK, &ours, &l->mask);
	return limit_signal(l, first_ms);
}

/* Keeps errno. */
static void
limit_end(struct limit *l)
{
	int saved = errno;

	timer_delete(l->timer);
	sigprocmask(SIG_SETMASK, &l->mask, NULL);
	sigaction(SIGRTMIN, &l->action, NULL);
	errno = saved;
}

/* --- bytes --- */

/* Locks or lets go of len bytes (0: all that follow) without waiting. */
static int
range_set(int fd, short type, int64_t from, int64_t len)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET,
		.l_start = from, .l_len = len };
	int rc = fcntl(fd, F_OFD_SETLK, &lock);

	if (rc != 0 && errno == EACCES)
		errno = EAGAIN;
	return rc;
}

/*
 * Waits for one byte until a time. 0, or -1 with errno, EAGAIN when that is
 * over.
 */
static int
byte_wait(int fd, int64_t byte, const struct limit *l, int64_t until)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = byte, .l_len = 1 };
	int64_t now;

	for (;;) {
		now = clock_ms();
		if (now >= until)
			return range_set(fd, F_WRLCK, byte, 1);
		if (fcntl(fd, F_OFD_SETLKW, &lock) == 0)
			return 0;
		if (errno != EINTR)
			return -1;
		now = clock_ms();
		if (now < l->end)
			limit_signal(l, l->end - now);
	}
}

int
lock_byte(int fd, long byte, long wait_ms)
{
	struct limit l;
	int rc;

	if (range_set(fd, F_WRLCK, byte, 1) == 0)
		return 0;
	if (errno != EAGAIN || wait_ms <= 0 ||
	    limit_begin(&l, wait_ms, wait_ms) != 0)
		return -1;
	rc = byte_wait(fd, byte, &l, l.end);
	limit_end(&l);
	return rc;
}

/* --- a queue ---
 *
 * A byte alone is not handed on in turn: all who wait are woken, and whoever
 * comes first takes it. So each who waits draws a number, locks the byte of
 * that number and waits for the byte before it: the first in the queue alone
 * waits for the byte that is the lock itself. Who gives up or dies lets its
 * successor pass.
 *
 * A lock that is free while the first in the queue is still waking up is of
 * use to whoever runs already: to hand it on strictly would cost everybody a
 * wake-up for each turn, which on a busy machine is many times the turn. So
 * newcomers may overtake, until the first has waited for a quarter of its
 * time: then it locks the byte that they need as well.
 */
enum {
	LOCK_ITSELF,     /* bytes of the file */
	LOCK_OVERTAKING, /* held by the first in the queue: it is forbidden */
	LOCK_NUMBERS,    /* held while the numbers are read and written */
	LOCK_QUEUE = 16, /* and on: of the numbers */
};

#define PATIENCE 4 /* part of the time in which newcomers may overtake */

#define NUMBER_MASK 0x3fffffffffffffff

/* What the file holds; nonsense in it only mixes up whose turn it is. */
struct numbers {
	uint64_t drawn;  /* the last one */
	uint64_t served; /* the last one whose turn has come */
};

static int64_t
queue_byte(uint64_t number)
{
	return LOCK_QUEUE + (int64_t)(number & NUMBER_MASK);
}

static bool
numbers_read(int fd, struct numbers *n)
{
	memset(n, 0, sizeof(*n)); /* a new file is empty */
	return pread(fd, n, sizeof(*n), 0) >= 0;
}

/*
 * Draws a number and locks its byte. False when that is not possible, as on a
 * full disk.
 */
static bool
number_draw(int fd, const struct limit *l, uint64_t *number)
{
	struct numbers n;
	bool good;

	if (byte_wait(fd, LOCK_NUMBERS, l, l->end) != 0)
		return false;
	good = numbers_read(fd, &n);
	*number = n.drawn + 1;
	good = good && pwrite(fd, number, sizeof(*number),
		offsetof(struct numbers, drawn)) == (ssize_t)sizeof(*number) &&
	    range_set(fd, F_WRLCK, queue_byte(*number), 1) == 0;
	range_set(fd, F_UNLCK, LOCK_NUMBERS, 1);
	return good;
}

/* Waits as the first in the queue. 0, or -1 with errno. */
static int
first_wait(int fd, const struct limit *l, int64_t patience)
{
	if (byte_wait(fd, LOCK_ITSELF, l, patience) == 0)
		return 0;
	if (errno != EAGAIN)
		return -1;
	byte_wait(fd, LOCK_OVERTAKING, l, l->end);
	return byte_wait(fd, LOCK_ITSELF, l, l->end);
}

/*
 * Waits for the turn, the next one's way being free then. 0, or -1 with errno
 * as lock_turn() has it.
 */
static int
turn_wait(int fd, const struct limit *l, int64_t patience)
{
	struct numbers before, now;
	uint64_t number;
	int rc = 0;
	bool known = numbers_read(fd, &before);
	bool drawn = number_draw(fd, l, &number);

	if (drawn)
		rc = byte_wait(fd, queue_byte(number - 1), l, l->end);
	if (rc == 0)
		rc = first_wait(fd, l, patience);
	if (rc == 0) {
		if (drawn)
			(void)!pwrite(fd, &number, sizeof(number),
			    offsetof(struct numbers, served));
		return range_set(fd, F_UNLCK, LOCK_OVERTAKING, 0);
	}
	if (errno == EAGAIN && known && numbers_read(fd, &now) &&
	    now.served == before.served)
		errno = ETIMEDOUT;
	return -1;
}

int
lock_turn(int fd, long wait_ms)
{
	const long patience = wait_ms / PATIENCE;
	struct limit l;
	int rc, saved;

	if (range_set(fd, F_WRLCK, LOCK_ITSELF, LOCK_OVERTAKING + 1) == 0)
		return range_set(fd, F_UNLCK, LOCK_OVERTAKING, 1);
	if (errno != EAGAIN || wait_ms <= 0 ||
	    limit_begin(&l, patience, wait_ms) != 0)
		return -1;
	rc = turn_wait(fd, &l, l.end - wait_ms + patience);
	limit_end(&l);
	if (rc != 0) {
		saved = errno;
		lock_turn_end(fd);
		errno = saved;
	}
	return rc;
}

void
lock_turn_end(int fd)
{
	range_set(fd, F_UNLCK, 0, 0);
}
