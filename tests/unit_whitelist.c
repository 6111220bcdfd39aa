/* What a whitelist covers. */
#include "unit.h"

#include "whitelist.h"

static int complaints;

static void
count(void *arg, int line, const char *what)
{
	(void)arg;
	(void)line;
	(void)what;
	complaints++;
}

static const char list[] = "# comment\n"
			   "paypal.com\n"
			   "  Example.ORG  # big sender\r\n"
			   ".dotted.example\n"
			   "*.starred.example\n"
			   "trailing.example.\n"
			   "mail-1.single_label.test\n"
			   "192.0.2.0/24\n"
			   "192.0.2.128/25\n"
			   "198.51.100.7\n"
			   "2001:db8:1::/48\n"
			   "\n"
			   "unknown\n"          /* refused from here on */
			   "10.1.2.3/8\n"
			   "10.0.0.0/99\n"
			   "300.1.1.1\n"
			   "-option..x\n"
			   "a b\n"
			   "$(id)\n"
			   "last.example"; /* good again, without newline */

static struct whitelist *
parse(const char *text)
{
	char *copy = strdup(text);
	struct whitelist *w;

	complaints = 0;
	w = whitelist_parse(copy, strlen(copy), count, NULL);
	free(copy);
	assert_non_null(w);
	return w;
}

static void
names(void **state)
{
	static const struct {
		const char *name;
		bool listed;
	} rows[] = {
		{ "paypal.com", true }, { "x.paypal.com", true },
		{ "a.b.c.PayPal.Com", true }, { "paypal.com.", true },
		{ "notpaypal.com", false }, { "paypal.com.evil.net", false },
		{ "xpaypal.com", false }, { "com", false }, { "", false },
		{ ".", false }, { "..", false }, { "paypal.co", false },
		{ "example.org", true }, { "dotted.example", true },
		{ "a.dotted.example", true }, { "a.starred.example", true },
		{ "trailing.example", true }, { "last.example", true },
		{ "x.mail-1.single_label.test", true }, { "unknown", false },
		{ "192.0.2.1", false },
	};
	struct whitelist *w = parse(list);
	char entry[256], longest[600];
	size_t i;

	(void)state;
	assert_int_equal(complaints, 7);
	assert_int_equal(whitelist_size(w), 11);
	for (i = 0; i < COUNT(rows); i++)
		if (whitelist_name(w, rows[i].name, entry, sizeof(entry)) !=
		    rows[i].listed)
			fail_msg("%s", rows[i].name);
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 500, ".paypal.com");
	assert_false(whitelist_name(w, longest, entry, sizeof(entry)));
	whitelist_free(w);
}

static void
addresses(void **state)
{
	static const struct {
		const char *address;
		bool listed;
	} rows[] = {
		{ "192.0.2.0", true }, { "192.0.2.200", true },
		{ "192.0.3.0", false }, { "198.51.100.7", true },
		{ "198.51.100.8", false }, { "2001:db8:1:2::3", true },
		{ "2001:db8:2::", false }, { "::ffff:192.0.2.5", true },
		{ "10.1.2.3", false },
	};
	struct whitelist *w = parse(list);
	struct address a;
	char entry[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(address_parse(rows[i].address, &a));
		if (whitelist_address(w, &a, entry, sizeof(entry)) !=
		    rows[i].listed)
			fail_msg("%s", rows[i].address);
	}
	whitelist_free(w);
}

static void
odd_files(void **state)
{
	char nul[] = "a.example\n\0b.example\n", entry[64];
	struct whitelist *w;

	(void)state;
	w = parse("");
	assert_int_equal(whitelist_size(w), 0);
	assert_false(whitelist_name(w, "a.example", entry, sizeof(entry)));
	whitelist_free(w);
	complaints = 0;
	w = whitelist_parse(nul, sizeof(nul) - 1, count, NULL);
	assert_int_equal(complaints, 1);
	assert_true(whitelist_name(w, "a.example", entry, sizeof(entry)));
	whitelist_free(w);
	assert_int_equal(whitelist_load("/nonexistent", &w, NULL, count, NULL), -1);
	assert_int_equal(whitelist_load("/", &w, NULL, count, NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(addresses),
		cmocka_unit_test(odd_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
