/* Own limits of single users and domains. */
#include "unit.h"

#include "filter/userlimits.h" /* not the system's */

static int complaints;
static char complained[16384];

static void
note(void *arg, int line, const char *what)
{
	size_t n = strlen(complained);

	(void)arg;
	complaints++;
	snprintf(complained + n, sizeof(complained) - n, "%d: %s\n", line,
	    what);
}

static struct limits *
parse_bytes(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	struct limits *l;

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	complaints = 0;
	complained[0] = '\0';
	l = limits_parse(copy, len, note, NULL);
	free(copy); /* nothing may point into it */
	assert_non_null(l);
	return l;
}

static struct limits *
parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void
a_users_line_counts_before_its_domains(void **state)
{
	static const char list[] =
	    "# comment\n"
	    "\n"
	    "Ann@Example.COM countries=10 addresses=100\n"
	    "@example.com addresses=0\n"
	    "\tbob \t countries=0 \r\n"
	    "carl@example.com countries=3\n"
	    "@countries.test addresses=7 countries=676\n"
	    "@ countries=9\n"
	    "dan addresses=1000000"; /* no newline */
	static const struct {
		const char *user;
		bool found;
		long countries, addresses;
	} rows[] = {
		{ "ann@example.com", true, 10, 100 },
		{ "ANN@example.Com", true, 10, 100 },
		{ "eve@example.com", true, 5, 0 },
		{ "carl@example.com", true, 3, 0 },
		{ "bob", true, 0, 20 }, { "BOB", true, 0, 20 },
		{ " bob\t", true, 0, 20 }, { "eve@example.com ", true, 5, 0 },
		{ "bob@elsewhere.test", false, 5, 20 },
		{ "dan", true, 5, 1000000 },
		{ "x@countries.test", true, 676, 7 },
		{ "x@sub.countries.test", false, 5, 20 },
		{ "x@y@countries.test", true, 676, 7 },
		{ "example.com", false, 5, 20 }, { "", false, 5, 20 },
		{ "@example.com", true, 5, 0 }, { "x@", true, 9, 20 },
		{ "ann", false, 5, 20 }, { "ann@example.co", false, 5, 20 },
		{ "# comment", false, 5, 20 },
	};
	struct limits *l = parse(list);
	struct limits_of of;
	size_t i;

	(void)state;
	assert_string_equal(complained, "");
	assert_int_equal(limits_size(l), 7);
	for (i = 0; i < COUNT(rows); i++) {
		of = (struct limits_of){ 5, 20 };
		if (limits_find(l, rows[i].user, &of) != rows[i].found ||
		    of.countries != rows[i].countries ||
		    of.addresses != rows[i].addresses)
			fail_msg("%s: %ld %ld", rows[i].user, of.countries,
			    of.addresses);
	}
	limits_free(l);
}

static void
a_line_that_is_not_understood_is_told_and_passed_over(void **state)
{
	static const char *const lines[] = {
		"u", "u 5", "u countries", "u countries=", "u countries=-1",
		"u countries=677", "u addresses=1000001", "u addresses=1e3",
		"u countries=5,addresses=3", "u Countries=5", "u =5",
		"u countries =5", "u countries= 5", "u speed=5",
		"u countries=5 speed=5", "u countries=5x", "u countries=+5",
		"u countries=99999999999999999999", "u countries=0x5",
		"u countries=5 7",
	};
	struct limits_of of;
	struct limits *l;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(lines); i++) {
		snprintf(text, sizeof(text), "a countries=1\n%s\nb "
		    "countries=2\n", lines[i]);
		l = parse(text);
		if (complaints != 1 || strncmp(complained, "2: ", 3) != 0)
			fail_msg("%s: %s", lines[i], complained);
		of = (struct limits_of){ 5, 20 };
		if (limits_size(l) != 2 || limits_find(l, "u", &of) ||
		    of.countries != 5 || of.addresses != 20)
			fail_msg("%s: counts", lines[i]);
		assert_true(limits_find(l, "b", &of));
		assert_int_equal(of.countries, 2);
		limits_free(l);
	}
}

static void
of_a_name_that_is_there_twice_the_first_line_counts(void **state)
{
	char text[8192] = "";
	struct limits_of of;
	struct limits *l;
	size_t n = 0;
	int i;

	(void)state;
	for (i = 0; i < 200; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "%s@x.test countries=%d\n", i % 2 == 0 ? "A" : "b", i);
	l = parse(text);
	assert_int_equal(limits_size(l), 2);
	assert_true(complaints >= 1);
	assert_true(limits_find(l, "a@x.test", &of));
	assert_int_equal(of.countries, 0);
	assert_true(limits_find(l, "b@x.test", &of));
	assert_int_equal(of.countries, 1);
	limits_free(l);
}

static void
rubbish_does_not_fill_the_log(void **state)
{
	struct limits *l;
	char *text = malloc(200000);
	size_t i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < 200000; i++)
		text[i] = i % 20 == 19 ? '\n' : (char)(i * 7 % 255 + 1);
	l = parse_bytes(text, 200000);
	assert_true(complaints > 0 && complaints <= 20);
	limits_free(l);
	free(text);
}

static void
odd_bytes_and_sizes_do_no_harm(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, size;
	} rows[] = {
		{ "", 0, 0 }, { "\n\n\n", 3, 0 }, { "\0", 1, 0 },
		{ "a countries=1\n\0b countries=2\n", 29, 1 },
		{ "' OR 1=1 -- countries=1\n", 24, 0 },
		{ "\xff\xfe countries=1\n", 15, 1 },
		{ "jos\xc3\xa9@x countries=1", 20, 1 },
		{ " \t \r\n", 5, 0 }, { "# only", 6, 0 },
	};
	char name[2000];
	struct limits_of of = { 5, 20 };
	struct limits *l;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		l = parse_bytes(rows[i].bytes, rows[i].len);
		if (limits_size(l) != rows[i].size)
			fail_msg("row %zu: %zu", i, limits_size(l));
		limits_free(l);
	}
	/* Names of every length around the limit, in the file and asked for */
	for (i = 490; i < 540; i++) {
		memset(name, 'x', sizeof(name));
		snprintf(name + i, sizeof(name) - i, " countries=1\n");
		l = parse(name);
		name[i] = '\0';
		assert_int_equal(limits_find(l, name, &of), limits_size(l));
		limits_free(l);
	}
	limits_free(NULL);
}

static void
many_users_are_found(void **state)
{
	const int count = 50000;
	char *text = malloc((size_t)count * 48), user[32];
	struct limits_of of;
	struct limits *l;
	size_t n = 0;
	int i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, 48, "user%d@x addresses=%d\n",
		    i * 7919 % count, i * 7919 % count);
	l = parse_bytes(text, n);
	assert_int_equal(complaints, 0);
	assert_int_equal(limits_size(l), count);
	for (i = 0; i < count; i += 11) {
		snprintf(user, sizeof(user), "USER%d@x", i);
		assert_true(limits_find(l, user, &of));
		assert_int_equal(of.addresses, i);
	}
	limits_free(l);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_users_line_counts_before_its_domains),
		cmocka_unit_test(
		    a_line_that_is_not_understood_is_told_and_passed_over),
		cmocka_unit_test(
		    of_a_name_that_is_there_twice_the_first_line_counts),
		cmocka_unit_test(rubbish_does_not_fill_the_log),
		cmocka_unit_test(odd_bytes_and_sizes_do_no_harm),
		cmocka_unit_test(many_users_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
