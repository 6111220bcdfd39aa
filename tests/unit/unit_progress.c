/* Lines of ctl/cli/progress.c. */
#include "unit.h"

#include "ctl/cli/progress.h"

static void
lines(void **state)
{
	static const struct {
		const char *unit;
		int64_t total, done;
		double seconds;
		const char *line;
	} rows[] = {
		{ "rows", 0, 0, 2, "x: 0 rows, 0/s" },
		{ "rows", 0, 999, 3, "x: 999 rows, 333/s" },
		{ "rows", 1000000, 250000, 5,
		    "x: 250,000 of 1,000,000 rows (25%), 50,000/s, 15s left" },
		{ "rows", 10, 10, 2, "x: 10 of 10 rows (100%), 5/s, 0s left" },
		/* More than there were at the beginning. */
		{ "rows", 10, 11, 2, "x: 11 rows, 5/s" },
		/* Too slow for a guess. */
		{ "rows", 1000, 1, 100, "x: 1 of 1,000 rows (0%), 0/s" },
		{ "bytes", 0, 1500000, 3, "x: 1.5 MB, 0.5 MB/s" },
		{ "bytes", 20000000, 5000000, 2.5,
		    "x: 5.0 MB of 20.0 MB (25%), 2.0 MB/s, 7s left" },
		{ "rows", 0, INT64_MAX, 0,
		    "x: 9,223,372,036,854,775,807 rows, 0/s" },
	};
	char out[160];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		progress_text(out, sizeof(out), "x", rows[i].unit,
		    rows[i].total, rows[i].done, rows[i].seconds);
		assert_string_equal(out, rows[i].line);
	}
}

/* Only in between a signal is kept. */
static void
signals(void **state)
{
	(void)state;
	signal(SIGTERM, SIG_IGN);
	progress_begin("x", "rows", 0);
	assert_true(progress_step(1));
	raise(SIGINT);
	assert_false(progress_step(2));
	assert_true(progress_end());
	assert_false(progress_end());
	raise(SIGTERM); /* ignored, as before */
	progress_begin("x", "rows", 0);
	assert_true(progress_step(1));
	assert_false(progress_end());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
