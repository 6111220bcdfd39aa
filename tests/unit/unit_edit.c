/* What abictl makes of what people write: a whitelist, a list of users. */
#include "unit.h"

#include "ctl/import/import_line.h"
#include "ctl/whitelist_text.h"

/* --- whitelist --- */

static void
forms(void **state)
{
	static const struct {
		const char *entry, *form, *wrong, *doubt;
	} rows[] = {
		{ "example.com", "example.com", NULL, NULL },
		{ "Example.COM.", "example.com", NULL, NULL },
		{ ".example.com", "example.com", NULL, NULL },
		{ "*.example.com", "example.com", NULL, NULL },
		{ "192.0.2.1", "192.0.2.1/32", NULL, NULL },
		{ "192.0.2.1/32", "192.0.2.1/32", NULL, NULL },
		{ "192.0.2.0/24", "192.0.2.0/24", NULL, NULL },
		{ "2001:DB8::/32", "2001:db8::/32", NULL, NULL },
		{ "paypal", "paypal", NULL, "top-level" },
		{ ".protection.", "protection", NULL, "middle" },
		{ "192.0.2.1/24", NULL, "bits set", NULL },
		{ "192.0.2", NULL, "not an address", NULL },
		{ "a b", NULL, "not allowed", NULL },
		{ "a#b", NULL, "not allowed", NULL },
		{ "unknown", NULL, "every client", NULL },
		{ "", NULL, "not a host name", NULL },
	};
	char form[HOSTLIST_NAME_MAX + 1];
	const char *wrong, *doubt;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		wrong = hostlist_entry(rows[i].entry, form, sizeof(form),
		    &doubt);
		if (rows[i].wrong != NULL) {
			assert_non_null(wrong);
			assert_non_null(strstr(wrong, rows[i].wrong));
			continue;
		}
		assert_null(wrong);
		assert_string_equal(form, rows[i].form);
		assert_int_equal(doubt != NULL, rows[i].doubt != NULL);
		if (doubt != NULL)
			assert_non_null(strstr(doubt, rows[i].doubt));
	}
}

static const char file[] = "# ours\n"
			   "  Example.ORG\t# big sender  \r\n"
			   "\n"
			   "wrong name\n"
			   "192.0.2.0/24 ## two\n"
			   ".example.org";

static void
lines(void **state)
{
	static const struct {
		const char *entry, *form, *note;
		bool said;
	} rows[] = {
		{ "", "", "ours", false },
		{ "Example.ORG", "example.org", "big sender", false },
		{ "", "", "", false },
		{ "wrong name", "", "", true },
		{ "192.0.2.0/24", "192.0.2.0/24", "two", false },
		{ ".example.org", "example.org", "", false },
	};
	struct whitelist_line l = { .number = 0 };
	const char *cursor = file, *end = file;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(whitelist_next(&cursor, &l));
		assert_int_equal(l.number, i + 1);
		assert_ptr_equal(l.text, end);
		end += l.len;
		assert_string_equal(l.entry, rows[i].entry);
		assert_string_equal(l.form, rows[i].form);
		assert_string_equal(l.note, rows[i].note);
		assert_int_equal(l.said != NULL, rows[i].said);
	}
	assert_false(whitelist_next(&cursor, &l));
	assert_int_equal(*end, '\0');
}

static void
changes(void **state)
{
	size_t n;
	char *text;

	(void)state;
	text = whitelist_without(file, "example.org", &n);
	assert_int_equal(n, 2);
	assert_string_equal(text,
	    "# ours\n\nwrong name\n192.0.2.0/24 ## two\n");
	free(text);
	text = whitelist_without(file, "example.com", &n);
	assert_int_equal(n, 0);
	assert_string_equal(text, file);
	free(text);
	text = whitelist_with("a.example", "b.example", "new, today");
	assert_string_equal(text, "a.example\nb.example  # new, today\n");
	free(text);
	text = whitelist_with("", "b.example", "");
	assert_string_equal(text, "b.example\n");
	free(text);
}

/* --- users --- */

static void
users(void **state)
{
	static const struct {
		const char *line, *user, *note, *wrong;
	} rows[] = {
		{ "ann\n", "ann", "", NULL },
		{ "ann", "ann", "", NULL },
		{ " ann@example.org \t a note # 1 \r\n", "ann@example.org",
		    "a note # 1", NULL },
		{ "a#b\n", "a#b", "", NULL },
		{ "josé\n", "josé", "", NULL },
		{ "\n", NULL, NULL, NULL },
		{ "", NULL, NULL, NULL },
		{ "# ann\n", NULL, NULL, NULL },
		{ "an\x1bn\n", NULL, NULL, "control character" },
		{ "ann no\x7fte\n", NULL, NULL, "control character" },
	};
	const char *user, *note, *wrong;
	char line[IMPORT_LINE_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "%s", rows[i].line);
		wrong = import_line(line, strlen(line), &user, &note);
		assert_int_equal(wrong != NULL, rows[i].wrong != NULL);
		if (wrong != NULL)
			assert_non_null(strstr(wrong, rows[i].wrong));
		assert_int_equal(user != NULL, rows[i].user != NULL);
		if (user != NULL) {
			assert_string_equal(user, rows[i].user);
			assert_string_equal(note, rows[i].note);
		}
	}
	memcpy(line, "a\0b\n", 5);
	assert_string_equal(import_line(line, 4, &user, &note),
	    "contains a NUL byte");
	memset(line, 'x', sizeof(line));
	line[IMPORT_LINE_MAX - 1] = '\0';
	assert_string_equal(import_line(line, IMPORT_LINE_MAX - 1, &user,
	    &note), "too long");
	line[IMPORT_LINE_MAX - 2] = '\n';
	assert_null(import_line(line, IMPORT_LINE_MAX - 1, &user, &note));
	assert_int_equal(strlen(user), IMPORT_LINE_MAX - 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(lines),
		cmocka_unit_test(changes),
		cmocka_unit_test(users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
