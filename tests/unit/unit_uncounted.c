/* Logins that were not counted are told once, with their number. */
#include "unit.h"

#include <sys/wait.h>

#include "config/config.h"
#include "base/log.h"
#include "store/uncounted.h"

static struct config cfg;
static char cache[128], marker[160], told[LOG_LINE_MAX];
static int lines;

static void
count(enum log_level level, const char *line)
{
	lines += level == LOG_LEVEL_WARNING;
	snprintf(told, sizeof(told), "%s", line);
}

static int
setup(void **state)
{
	if (unit_dir_make(state) != 0)
		return 1;
	snprintf(cache, sizeof(cache), "%s/cache", unit_dir);
	snprintf(marker, sizeof(marker), "%s/.rest-told-uncounted", cache);
	cfg.reputation.cache_dir = cache;
	lines = 0;
	log_open("unit", "none", LOG_LEVEL_INFO);
	log_handler(count);
	return mkdir(cache, 0700);
}

static int
teardown(void **state)
{
	uncounted_close();
	log_handler(NULL);
	return unit_dir_remove(state);
}

/* A process that loses so many and is killed. */
static void
lose_elsewhere(int n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		while (n-- > 0)
			uncounted_note(&cfg, "busy");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
all_processes_count_together(void **state)
{
	(void)state;
	assert_int_equal(uncounted_idle(), -1);
	lose_elsewhere(20);
	lose_elsewhere(16);
	uncounted_note(&cfg, "locked\nby others");
	assert_in_range(uncounted_idle(), 1, 60000);
	assert_int_equal(lines, 0);
	uncounted_close();
	assert_int_equal(lines, 1);
	assert_string_equal(told, "warning: store: 37 logins not counted in the last "
	    "minute: locked?by others");
	assert_int_equal(uncounted_idle(), -1);
}

static void
it_is_told_once_a_minute_over_all_processes(void **state)
{
	(void)state;
	uncounted_note(&cfg, "busy");
	uncounted_close();
	assert_int_equal(lines, 1);
	lose_elsewhere(3);
	uncounted_note(&cfg, "busy");
	uncounted_close(); /* somebody else will tell */
	assert_int_equal(lines, 1);
	assert_int_equal(unlink(marker), 0); /* a minute later */
	uncounted_note(&cfg, "busy");
	uncounted_close();
	assert_int_equal(lines, 2);
	assert_non_null(strstr(told, "store: 5 logins"));
}

static void
without_a_directory_a_process_counts_for_itself(void **state)
{
	(void)state;
	assert_int_equal(rmdir(cache), 0);
	uncounted_note(&cfg, "busy");
	uncounted_note(&cfg, "busy");
	uncounted_close();
	assert_non_null(strstr(told, "store: 2 logins"));
	assert_int_equal(mkdir(cache, 0700), 0);
}

static void
what_is_no_list_of_times_is_taken_away(void **state)
{
	(void)state;
	unit_file("cache/.uncounted", "some text, and more of it", 25);
	uncounted_note(&cfg, "busy");
	uncounted_close();
	assert_int_equal(lines, 0);
	assert_int_equal(access(marker, F_OK), -1);
	uncounted_note(&cfg, "busy");
	uncounted_close();
	assert_int_equal(lines, 1);
	assert_non_null(strstr(told, "store: 1 login "));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_processes_count_together),
		TEST(it_is_told_once_a_minute_over_all_processes),
		TEST(what_is_no_list_of_times_is_taken_away),
		/* The last one: what it tells rests in this process. */
		TEST(without_a_directory_a_process_counts_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
