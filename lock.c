/*
 * lock - one byte of a file, locked among processes, with a time limit.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

static void
wake(int sig)
{
	(void)sig; /* its only purpose is to interrupt fcntl(2) */
}

static int64_t
monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * F_OFD_SETLKW has no time limit of its own. The timer fires again and again,
 * so a signal that arrives just before the call is no loss.
 */
static int
lock_wait(int fd, struct flock *lock, long wait_ms)
{
	struct itimerval tick = { { 0, 20000 }, { 0, 20000 } }, off = { 0 };
	struct sigaction act = { .sa_handler = wake }, old;
	int64_t end = monotonic_ms() + wait_ms;
	int rc, saved;

	sigemptyset(&act.sa_mask);
	sigaction(SIGALRM, &act, &old);
	setitimer(ITIMER_REAL, &tick, NULL);
	do
		rc = fcntl(fd, F_OFD_SETLKW, lock);
	while (rc != 0 && errno == EINTR && monotonic_ms() < end);
	saved = errno;
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old, NULL);
	errno = saved == EINTR ? EAGAIN : saved;
	return rc;
}

int
lock_byte(int fd, long byte, long wait_ms)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EACCES)
		errno = EAGAIN;
	if (errno != EAGAIN || wait_ms <= 0)
		return -1;
	return lock_wait(fd, &lock, wait_ms);
}

void
lock_release(int fd, long byte)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET,
		.l_start = byte, .l_len = 1 };

	fcntl(fd, F_OFD_SETLK, &lock);
}
