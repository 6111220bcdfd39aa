/* Log lines: one line each, whatever is in them; files that move away. */
#include "unit.h"

#include <errno.h>

#include "base/log.h"

static char last[LOG_LINE_MAX];

static void
keep(enum log_level level, const char *line)
{
	(void)level;
	snprintf(last, sizeof(last), "%s", line);
}

static void
lines(void **state)
{
	char long_one[3 * LOG_LINE_MAX];

	(void)state;
	log_open("unit", "none", LOG_LEVEL_INFO);
	log_handler(keep);
	errno = ENOSPC;
	log_info("sender=%s", "a\nb%n%s\x1b[1m");
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(last, "sender=a?b%n%s?[1m");
	log_error("x");
	assert_string_equal(last, "error: x");
	log_debug("not at this level");
	assert_string_equal(last, "error: x");
	memset(long_one, 'x', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	log_info("%s", long_one);
	assert_int_equal(strlen(last), LOG_LINE_MAX - 1);
	log_handler(NULL);
}

/* The number of lines in a file of the scratch directory. */
static int
count_lines(const char *name)
{
	char path[192];
	int c, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", unit_dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void
rotation(void **state)
{
	static char path[128];
	char moved[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/log", unit_dir);
	snprintf(moved, sizeof(moved), "%s/log.1", unit_dir);
	assert_int_equal(log_open("unit", path, LOG_LEVEL_INFO), 0);
	log_info("one");
	log_info("two");
	assert_int_equal(rename(path, moved), 0);
	log_info("three");
	assert_int_equal(count_lines("log.1"), 2);
	assert_int_equal(count_lines("log"), 1);
	assert_int_equal(unlink(path), 0);
	log_info("four");
	assert_int_equal(count_lines("log"), 1);
	assert_int_equal(
	    log_open("unit", "/nonexistent/log", LOG_LEVEL_INFO), -1);
	log_info("nowhere, and no harm");
	log_open("unit", "none", LOG_LEVEL_INFO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(rotation),
	};

	return cmocka_run_group_tests(tests, unit_dir_make, unit_dir_remove);
}
