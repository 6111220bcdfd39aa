/*
 * Defaults of the sanitizers in the build for tests. Under spawn(8) there is
 * no environment and descriptor 2 is not ours, so reports go to files.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "log_path=" SAN_REPORTS ":exitcode=99:detect_leaks=0";
}

const char *
__ubsan_default_options(void)
{
	return "log_path=" SAN_REPORTS ":print_stacktrace=1";
}
