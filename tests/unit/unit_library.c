/*
 * Libraries that are loaded when they are needed.
 */
#include "unit.h"

#include "base/library.h"

static double (*cosine)(double);
static void *nothing;

static void
the_first_that_is_there_is_loaded(void **state)
{
	static const char *const sonames[] = { "libno-such.so.1",
		"libm.so.6", "libno-such.so.2", NULL };
	static const struct library_symbol symbols[] = { { "cos", &cosine } };
	char error[256] = "";

	(void)state;
	if (!library_load(sonames, symbols, COUNT(symbols), error,
		sizeof(error)))
		fail_msg("%s", error);
	assert_true(cosine(0) > 0.99 && cosine(0) < 1.01);
}

static void
none_is_there(void **state)
{
	static const char *const sonames[] = { "libno-such.so.1", NULL };
	static const struct library_symbol symbols[] = { { "x", &nothing } };
	char error[256] = "";

	(void)state;
	assert_false(library_load(sonames, symbols, COUNT(symbols), error,
	    sizeof(error)));
	assert_non_null(strstr(error, "libno-such.so.1"));
	assert_null(nothing);
}

static void
all_symbols_or_none(void **state)
{
	static const char *const sonames[] = { "libm.so.6", NULL };
	static const struct library_symbol symbols[] = { { "sin", &nothing },
		{ "no_such_function", &nothing } };
	char error[256] = "";

	(void)state;
	assert_false(library_load(sonames, symbols, COUNT(symbols), error,
	    sizeof(error)));
	assert_string_equal(error, "libm.so.6: no no_such_function in it");
	assert_null(nothing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_is_there_is_loaded),
		cmocka_unit_test(none_is_there),
		cmocka_unit_test(all_symbols_or_none),
	};

	return cmocka_run_group_tests(tests, unit_dir_make,
	    unit_dir_remove);
}
