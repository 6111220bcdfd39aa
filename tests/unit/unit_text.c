/* Rows of input and expected output for text.c. */
#include "unit.h"

#include "base/text.h"

static void
printable(void **state)
{
	static const struct {
		const char *in, *log, *smtp;
	} rows[] = {
		{ "plain text", "plain text", "plain text" },
		{ "a\nb\r\tc\x7f", "a?b??c?", "a?b??c?" },
		{ "jos\xc3\xa9", "jos\xc3\xa9", "jos??" },
		{ "\xe2\x82\xac", "\xe2\x82\xac", "???" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "????" },
		{ "\xff\xfe", "??", "??" },
		{ "\xc3", "?", "?" },              /* cut */
		{ "\xc0\xaf", "??", "??" },        /* overlong */
		{ "\xed\xa0\x80", "???", "???" },  /* surrogate */
		{ "\xe2\x80\xa8", "???", "???" },  /* line separator */
		{ "\xe2\x80\xae", "???", "???" },  /* right to left */
		{ "\xc2\x85", "??", "??" },        /* next line, C1 */
		{ "\xf4\x90\x80\x80", "????", "????" },
		{ "%n%s$(id)`id`", "%n%s$(id)`id`", "%n%s$(id)`id`" },
	};
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		text_printable(out, sizeof(out), rows[i].in);
		assert_string_equal(out, rows[i].log);
		text_ascii(out, sizeof(out), rows[i].in);
		assert_string_equal(out, rows[i].smtp);
	}
}

static void
printable_cut(void **state)
{
	char out[4];

	(void)state;
	assert_int_equal(text_printable(out, sizeof(out), "abcdef"), 3);
	assert_string_equal(out, "abc");
	/* Never half a character. */
	text_printable(out, sizeof(out), "ab\xc3\xa9");
	assert_string_equal(out, "ab");
}

static void
builder(void **state)
{
	char buf[8];
	struct text t;

	(void)state;
	text_init(&t, buf, sizeof(buf));
	text_add(&t, "abc");
	text_addf(&t, "%d", 42);
	assert_string_equal(buf, "abc42");
	assert_false(t.cut);
	text_addf(&t, "%s", "xyz");
	assert_string_equal(buf, "abc42xy");
	assert_true(t.cut);
	text_add(&t, "more");
	assert_int_equal(t.len, 7);
}

static void
numbers(void **state)
{
	static const struct {
		const char *in;
		bool good;
		long value;
	} rows[] = {
		{ "0", true, 0 }, { "100", true, 100 }, { "007", true, 7 },
		{ "101", false, 0 }, { "-1", false, 0 }, { "", false, 0 },
		{ "-", false, 0 }, { "1x", false, 0 }, { " 1", false, 0 },
		{ "1 ", false, 0 }, { "+1", false, 0 }, { "0x1", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "9223372036854775807", false, 0 },
	};
	long value;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		value = 0;
		assert_int_equal(
		    text_number(rows[i].in, 0, 100, &value), rows[i].good);
		assert_int_equal(value, rows[i].value);
	}
}

static void
durations(void **state)
{
	static const struct {
		const char *in;
		bool good;
		long value;
	} rows[] = {
		{ "0", true, 0 }, { "10", true, 10 }, { "10s", true, 10 },
		{ "2m", true, 120 }, { "24h", true, 86400 },
		{ "30d", true, 2592000 }, { "2w", true, 1209600 },
		{ "1y", false, 0 }, { "1hh", false, 0 }, { "h", false, 0 },
		{ "-1s", false, 0 }, { "1.5h", false, 0 }, { "", false, 0 },
		{ "9999999999999999w", false, 0 }, { "60d", false, 0 },
	};
	long value;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		value = 0;
		assert_int_equal(text_duration(rows[i].in, 0, 31 * 86400,
				     &value), rows[i].good);
		assert_int_equal(value, rows[i].value);
	}
}

static void
countries(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: none at all */
	} rows[] = {
		{ "GB", "GB" }, { "XK", "XK" }, { "AQ", "AQ" }, { "XZ", "XZ" },
		{ "ZZ", "" }, { "XX", "" }, { "EU", "" }, { "AP", "" },
		{ "", NULL }, { "G", NULL }, { "GBR", NULL }, { "gb", NULL },
		{ "A1", NULL }, { "--", NULL }, { "\xc3\x89", NULL },
	};
	char out[3];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		strcpy(out, "no");
		assert_int_equal(text_country(rows[i].in, strlen(rows[i].in),
				     out), rows[i].out != NULL);
		assert_string_equal(out, rows[i].out ? rows[i].out : "no");
	}
}

static void
lines(void **state)
{
	char text[] = "one\ntwo\r\n\nlast", *cursor = text;
	bool whole;

	(void)state;
	assert_string_equal(text_line(&cursor, &whole), "one");
	assert_true(whole);
	assert_string_equal(text_line(&cursor, &whole), "two");
	assert_string_equal(text_line(&cursor, &whole), "");
	assert_string_equal(text_line(&cursor, &whole), "last");
	assert_false(whole);
	assert_null(text_line(&cursor, &whole));
}

static void
ages(void **state)
{
	char out[16];

	(void)state;
	text_age(out, sizeof(out), 0);
	assert_string_equal(out, "0s");
	text_age(out, sizeof(out), 7200);
	assert_string_equal(out, "2h");
	text_age(out, sizeof(out), 3 * 86400 + 5);
	assert_string_equal(out, "3d");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable),
		cmocka_unit_test(printable_cut),
		cmocka_unit_test(builder),
		cmocka_unit_test(numbers),
		cmocka_unit_test(durations),
		cmocka_unit_test(countries),
		cmocka_unit_test(lines),
		cmocka_unit_test(ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
