/*
 * Libraries that are loaded when they are needed.
 */
#include "unit.h"

#include "base/library.h"

static void
a_function_is_found_and_stays(void **state)
{
	static const char *const names[] = { "cos", "sin", NULL };
	static const char *const others[] = { "no_such_function", NULL };
	struct {
		double (*cosine)(double);
		double (*sine)(double);
	} lib = { NULL, NULL };
	char error[256] = "";

	(void)state;
	if (!library_load("libm.so.6", names, &lib, error, sizeof(error)))
		fail_msg("%s", error);
	assert_true(lib.cosine(0) > 0.99 && lib.cosine(0) < 1.01);
	assert_true(lib.sine(0) > -0.01 && lib.sine(0) < 0.01);
	/* It is not looked for again. */
	assert_true(library_load("libno-such.so.1", others, &lib, error,
	    sizeof(error)));
	assert_true(lib.cosine(0) > 0.99);
}

static void
none_is_there(void **state)
{
	static const char *const names[] = { "x", NULL };
	char error[256] = "";
	void *nothing = NULL;

	(void)state;
	assert_false(library_load("libno-such.so.1", names, &nothing, error,
	    sizeof(error)));
	assert_non_null(strstr(error, "libno-such.so.1"));
	assert_null(nothing);
}

static void
all_symbols_or_none(void **state)
{
	static const char *const names[] = { "sin", "no_such_function", NULL };
	void *nothing[2] = { NULL, NULL };
	char error[256] = "";

	(void)state;
	assert_false(library_load("libm.so.6", names, nothing, error,
	    sizeof(error)));
	assert_string_equal(error, "libm.so.6: no no_such_function in it");
	assert_null(nothing[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_is_found_and_stays),
		cmocka_unit_test(none_is_there),
		cmocka_unit_test(all_symbols_or_none),
	};

	return cmocka_run_group_tests(tests, unit_dir_make,
	    unit_dir_remove);
}
