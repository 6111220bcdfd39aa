/*
 * lock - one byte of a file, locked among processes, with a time limit.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

static void
wake(int sig)
{
	(void)sig; /* its only purpose is to interrupt fcntl(2) */
}

int64_t
lock_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits while the timer runs. */
static int
lock_until(int fd, struct flock *lock, int64_t end)
{
	int rc;

	do
		rc = fcntl(fd, F_OFD_SETLKW, lock);
	while (rc != 0 && errno == EINTR && lock_clock_ms() < end);
	if (rc != 0 && errno == EINTR)
		errno = EAGAIN;
	return rc;
}

/*
 * F_OFD_SETLKW has no time limit of its own: a timer interrupts it. It fires
 * again and again, so a signal that comes just before the call is no loss.
 * Timer and signal are our own: alarm(2) goes on undisturbed.
 */
static int
lock_wait(int fd, struct flock *lock, long wait_ms)
{
	struct itimerspec tick = { { 0, 20000000 }, { 0, 20000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGRTMIN };
	struct sigaction act = { .sa_handler = wake }, old_act;
	int64_t end = lock_clock_ms() + wait_ms;
	sigset_t ours, old_mask;
	timer_t timer;
	int rc = -1, saved;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
		return -1;
	sigemptyset(&act.sa_mask);
	sigemptyset(&ours);
	sigaddset(&ours, SIGRTMIN);
	sigaction(SIGRTMIN, &act, &old_act);
	sigprocmask(SIG_UNBLOCK, &ours, &old_mask);
	if (timer_settime(timer, 0, &tick, NULL) == 0)
		rc = lock_until(fd, lock, end);
	saved = errno;
	timer_delete(timer);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	sigaction(SIGRTMIN, &old_act, NULL);
	errno = saved;
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
