/* Locks among processes: turns in the order of arrival, time limits, deaths. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"

#define LONG_WAIT 60000 /* milliseconds: for what must come true */

static char path[128];

/* What the processes of a test tell each other. */
static struct shared {
	volatile int count;     /* those that had their turn */
	volatile int order[64];
	volatile int results[64]; /* 0, or errno */
	volatile int inside;    /* processes that think they have the lock */
	volatile int overlaps;
} *shared;

static int
setup(void **state)
{
	if (unit_dir_make(state) != 0)
		return 1;
	snprintf(path, sizeof(path), "%s/lock", unit_dir);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED;
}

static int
teardown(void **state)
{
	munmap(shared, sizeof(*shared));
	return unit_dir_remove(state);
}

static int
lock_open(void)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void
pause_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* The n-th 64-bit number of the lock file. */
static uint64_t
number(int n)
{
	uint64_t numbers[2] = { 0, 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(pread(fd, numbers, sizeof(numbers), 0) >= 0);
	close(fd);
	return numbers[n];
}

static void
wait_until_drawn(uint64_t want)
{
	int64_t end = clock_ms() + LONG_WAIT;

	while (number(0) != want) {
		assert_true(clock_ms() < end);
		pause_ms(1);
	}
}

/*
 * A process that takes the lock, notes its turn and holds it for so long; -1:
 * until it is killed.
 */
static pid_t
taker(int who, long wait_ms, long hold_ms)
{
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	fd = open(path, O_RDWR | O_CLOEXEC);
	shared->results[who] = lock_turn(fd, wait_ms) == 0 ? 0 : errno;
	if (shared->results[who] == 0) {
		if (shared->inside++ != 0)
			shared->overlaps++;
		shared->order[shared->count++] = who;
		if (hold_ms < 0)
			pause();
		pause_ms(hold_ms);
		shared->inside--;
		lock_turn_end(fd);
	}
	_exit(0);
}

static void
reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void
turns_come_in_the_order_of_arrival(void **state)
{
	enum { COUNT_OF_TAKERS = 30 };
	pid_t pids[COUNT_OF_TAKERS];
	int fd = lock_open(), i;

	(void)state;
	assert_int_equal(lock_turn(fd, 0), 0);
	for (i = 0; i < COUNT_OF_TAKERS; i++) {
		pids[i] = taker(i, LONG_WAIT, 1);
		wait_until_drawn((uint64_t)i + 1);
	}
	lock_turn_end(fd);
	for (i = 0; i < COUNT_OF_TAKERS; i++)
		reap(pids[i]);
	assert_int_equal(shared->count, COUNT_OF_TAKERS);
	for (i = 0; i < COUNT_OF_TAKERS; i++)
		assert_int_equal(shared->order[i], i);
	assert_int_equal(shared->overlaps, 0);
	assert_int_equal(number(1), COUNT_OF_TAKERS);
	close(fd);
}

static bool
is_locked(int fd, long byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = byte, .l_len = 1 };

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

/* Newcomers may be quicker than the first in the queue, but not for long. */
static void
nobody_is_overtaken_for_ever(void **state)
{
	int fd = lock_open(), other = lock_open();
	int64_t end = clock_ms() + LONG_WAIT;
	pid_t pid;

	(void)state;
	assert_int_equal(lock_turn(fd, 0), 0);
	pid = taker(0, LONG_WAIT / 100 * 4, 200);
	while (!is_locked(other, 1)) {
		assert_true(clock_ms() < end);
		pause_ms(5);
	}
	lock_turn_end(fd);
	while (shared->count == 0) /* it is still waking up, maybe */
		assert_int_equal(lock_turn(other, 0), -1);
	assert_int_equal(lock_turn(other, LONG_WAIT), 0);
	assert_int_equal(shared->inside, 0);
	assert_int_equal(shared->overlaps, 0);
	reap(pid);
	close(fd);
	close(other);
}

static void
one_has_it_at_a_time(void **state)
{
	enum { TAKERS = 8, TURNS = 300 };
	pid_t pids[TAKERS];
	int fd = lock_open(), i, n;

	(void)state;
	for (i = 0; i < TAKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		fd = open(path, O_RDWR | O_CLOEXEC);
		for (n = 0; n < TURNS; n++) {
			if (lock_turn(fd, LONG_WAIT) != 0)
				_exit(1);
			shared->count++; /* not in one step */
			lock_turn_end(fd);
		}
		_exit(0);
	}
	for (i = 0; i < TAKERS; i++)
		reap(pids[i]);
	assert_int_equal(shared->count, TAKERS * TURNS);
	assert_int_equal(lock_turn(fd, 0), 0);
	close(fd);
}

static void
a_holder_that_stands_still_is_told_from_a_busy_lock(void **state)
{
	int fd = lock_open(), other = lock_open();
	int64_t begun;
	pid_t pids[3];
	int i;

	(void)state;
	assert_int_equal(lock_turn(fd, 0), 0);
	begun = clock_ms();
	assert_int_equal(lock_turn(other, 100), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(clock_ms() - begun >= 100);
	/* Three others are before us, and each needs longer than we wait. */
	for (i = 0; i < 3; i++) {
		pids[i] = taker(i, LONG_WAIT, i == 0 ? 0 : -1);
		wait_until_drawn((uint64_t)i + 2);
	}
	if (fork() == 0) {
		/* The holder lets go once this one waits. */
		wait_until_drawn(5);
		lock_turn_end(fd);
		_exit(0);
	}
	assert_int_equal(lock_turn(other, 500), -1);
	assert_int_equal(errno, EAGAIN);
	for (i = 1; i < 3; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	close(fd);
	close(other);
}

static void
who_gives_up_or_dies_is_passed_over(void **state)
{
	int fd = lock_open(), i;
	pid_t pids[4];

	(void)state;
	assert_int_equal(lock_turn(fd, 0), 0);
	pids[0] = taker(0, 50, 0); /* gives up */
	wait_until_drawn(1);
	pids[1] = taker(1, LONG_WAIT, 0); /* is killed while it waits */
	wait_until_drawn(2);
	pids[2] = taker(2, LONG_WAIT, -1); /* is killed with the lock */
	wait_until_drawn(3);
	pids[3] = taker(3, LONG_WAIT, 0);
	wait_until_drawn(4);
	reap(pids[0]);
	assert_int_equal(shared->results[0], ETIMEDOUT);
	kill(pids[1], SIGKILL);
	reap(pids[1]);
	lock_turn_end(fd);
	for (i = 0; shared->count == 0 && i < LONG_WAIT; i++)
		pause_ms(1);
	assert_int_equal(shared->order[0], 2);
	kill(pids[2], SIGKILL);
	reap(pids[2]);
	reap(pids[3]);
	assert_int_equal(shared->count, 2);
	assert_int_equal(shared->order[1], 3);
	close(fd);
}

static void
nonsense_in_the_file_is_no_obstacle(void **state)
{
	static const char *const contents[] = { "x",
		"\xff\xff\xff\xff\xff\xff\xff\xff",
		"\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
		"\xff\xff\xff\xff\xff\xff\xff\x3f some text that is longer" };
	pid_t pids[2];
	int fd, i;
	size_t n;

	(void)state;
	for (n = 0; n < COUNT(contents); n++) {
		unit_file("lock", contents[n], strlen(contents[n]));
		shared->count = 0;
		fd = lock_open();
		assert_int_equal(lock_turn(fd, 0), 0);
		for (i = 0; i < 2; i++)
			pids[i] = taker(i, LONG_WAIT, 1);
		pause_ms(20);
		assert_int_equal(shared->count, 0);
		lock_turn_end(fd);
		for (i = 0; i < 2; i++)
			reap(pids[i]);
		assert_int_equal(shared->count, 2);
		assert_int_equal(shared->overlaps, 0);
		close(fd);
	}
}

/* The previous release knows only the first byte, and so does it after us. */
static void
who_locks_only_the_first_byte_is_kept_out(void **state)
{
	int fd = lock_open(), other = lock_open();
	pid_t pid;

	(void)state;
	assert_int_equal(lock_turn(fd, 0), 0);
	assert_int_equal(lock_byte(other, 0, 20), -1);
	assert_int_equal(errno, EAGAIN);
	lock_turn_end(fd);
	assert_int_equal(lock_byte(other, 0, 0), 0);
	assert_int_equal(lock_turn(fd, 0), -1);
	pid = taker(0, LONG_WAIT, 0);
	wait_until_drawn(1);
	assert_int_equal(shared->count, 0);
	lock_turn_end(other); /* the child has a copy: closing is not enough */
	reap(pid);
	assert_int_equal(shared->count, 1);
	close(fd);
	close(other);
}

/* However little time there is: it ends, with the lock held by one who stands
 * still and another one in the queue. */
static void
a_moment_is_not_for_ever(void **state)
{
	int fd = lock_open(), other = lock_open();
	pid_t pid;
	long ms;

	(void)state;
	assert_int_equal(lock_turn(fd, 0), 0);
	pid = taker(0, LONG_WAIT, 0);
	wait_until_drawn(1);
	alarm(30); /* else it would never end */
	for (ms = 1; ms <= 8; ms++) {
		assert_int_equal(lock_turn(other, ms), -1);
		assert_int_equal(errno, ETIMEDOUT);
	}
	alarm(0);
	lock_turn_end(fd);
	reap(pid);
	close(fd);
	close(other);
}

/* Signals that are not ours neither end the waiting nor are lost. */
static volatile int alarms;

static void
count_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void
a_signal_does_not_end_the_waiting(void **state)
{
	const struct sigaction act = { .sa_handler = count_alarm };
	struct sigaction old;
	int fd = lock_open(), other = lock_open();
	int64_t begun = clock_ms();

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
	assert_int_equal(lock_turn(fd, 0), 0);
	alarms = 0;
	alarm(1);
	assert_int_equal(lock_turn(other, 1300), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(alarms, 1);
	assert_true(clock_ms() - begun >= 1300);
	sigaction(SIGALRM, &old, NULL);
	close(fd);
	close(other);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(turns_come_in_the_order_of_arrival),
		TEST(nobody_is_overtaken_for_ever),
		TEST(one_has_it_at_a_time),
		TEST(a_holder_that_stands_still_is_told_from_a_busy_lock),
		TEST(who_gives_up_or_dies_is_passed_over),
		TEST(nonsense_in_the_file_is_no_obstacle),
		TEST(who_locks_only_the_first_byte_is_kept_out),
		TEST(a_moment_is_not_for_ever),
		TEST(a_signal_does_not_end_the_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
