/* What a whitelist covers. */
#include "unit.h"

#include "base/hostlist.h"

static int complaints;
static char last[256];

static void
count(void *arg, int line, const char *what)
{
	(void)arg;
	(void)line;
	snprintf(last, sizeof(last), "%s", what);
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

static struct hostlist *
parse(const char *text)
{
	char *copy = strdup(text);
	struct hostlist *w;

	complaints = 0;
	last[0] = '\0';
	w = hostlist_parse(copy, strlen(copy), count, NULL);
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
	struct hostlist *w = parse(list);
	char entry[256], longest[600];
	size_t i;

	(void)state;
	assert_int_equal(complaints, 7);
	assert_int_equal(hostlist_size(w), 11);
	for (i = 0; i < COUNT(rows); i++)
		if (hostlist_name(w, rows[i].name, entry, sizeof(entry)) !=
		    rows[i].listed)
			fail_msg("%s", rows[i].name);
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 500, ".paypal.com");
	assert_false(hostlist_name(w, longest, entry, sizeof(entry)));
	hostlist_free(w);
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
	struct hostlist *w = parse(list);
	struct address a;
	char entry[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(address_parse(rows[i].address, &a));
		if (hostlist_address(w, &a, entry, sizeof(entry)) !=
		    rows[i].listed)
			fail_msg("%s", rows[i].address);
	}
	hostlist_free(w);
}

static void
odd_files(void **state)
{
	char nul[] = "a.example\n\0b.example\n", entry[64];
	struct hostlist *w;

	(void)state;
	w = parse("");
	assert_int_equal(hostlist_size(w), 0);
	assert_false(hostlist_name(w, "a.example", entry, sizeof(entry)));
	hostlist_free(w);
	complaints = 0;
	w = hostlist_parse(nul, sizeof(nul) - 1, count, NULL);
	assert_int_equal(complaints, 1);
	assert_true(hostlist_name(w, "a.example", entry, sizeof(entry)));
	hostlist_free(w);
	assert_int_equal(hostlist_load("/nonexistent", &w, NULL, count, NULL), -1);
	assert_int_equal(hostlist_load("/", &w, NULL, count, NULL), -1);
}

/*
 * What matches nothing, or something else than was meant: lists for a script
 * that looked for any part of a name.
 */
static void
not_meant(void **state)
{
	static const char part[] = " is the middle of a name; an entry must "
	    "be the end of one, such as .protection.outlook.com";
	static const char word[] = " is treated as a top-level domain; "
	    "write a whole domain, such as paypal.com";
	static const char hyphen[] = "not a host name: a label begins or "
	    "ends with a hyphen";
	static const char label[] = "not a host name: a label exceeds 63 "
	    "bytes";
	static const struct {
		const char *line, *shown, *why;
		size_t size;
	} rows[] = {
		{ "paypal", "`paypal'", word, 1 },
		{ "PayPal # them", "`paypal'", word, 1 },
		{ ".google", "`google'", word, 1 },
		{ "smtp.", "`smtp'", word, 1 },
		{ "com", "`com'", word, 1 },
		{ ".protection.", "`.protection.'", part, 1 },
		{ ".protection.outlook.", "`.protection.outlook.'", part, 1 },
		{ "*.outlook.", "`.outlook.'", part, 1 },
		{ "-x", "", hyphen, 0 },
		{ "-out.example.com", "", hyphen, 0 },
		{ "mail-", "", hyphen, 0 },
		{ "mail-.example.com", "", hyphen, 0 },
		{ "mx.-example.com", "", hyphen, 0 },
		{ "a123456789012345678901234567890123456789012345678901234567890"
		  "123.example.com", "", label, 0 },
		{ "a12345678901234567890123456789012345678901234567890123456789"
		  "012.example.com", "", "", 1 },
		{ "example.com..", "", "not a host name", 0 },
		{ "localhost", "", "", 1 },
		{ "localhost.", "", "", 1 },
		{ "example.com.", "", "", 1 },
		{ ".example.com", "", "", 1 },
		{ "a-b.x--y.example", "", "", 1 },
		{ "_x_.example.com", "", "", 1 },
		{ "0.0.0.0/0", "", "", 1 },
	};
	char expected[256], entry[64];
	struct hostlist *w;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		w = parse(rows[i].line);
		snprintf(expected, sizeof(expected), "%s%s", rows[i].shown,
		    rows[i].why);
		assert_string_equal(last, expected);
		assert_int_equal(complaints, rows[i].why[0] != '\0');
		assert_int_equal(hostlist_size(w), rows[i].size);
		hostlist_free(w);
	}
	w = parse("com"); /* too wide, but somebody may want it */
	assert_true(hostlist_name(w, "mx.example.com", entry, sizeof(entry)));
	hostlist_free(w);
}

static void
byte_order_mark(void **state)
{
	static const char text[] = "\xef\xbb\xbf" "example.com\r\n";
	struct hostlist *w;
	struct stat st;
	char path[96], entry[64];

	(void)state;
	unit_file("list", text, sizeof(text) - 1);
	snprintf(path, sizeof(path), "%s/list", unit_dir);
	complaints = 0;
	assert_int_equal(hostlist_load(path, &w, &st, count, NULL), 0);
	assert_int_equal(complaints, 0);
	assert_int_equal(st.st_size, sizeof(text) - 1);
	assert_true(hostlist_name(w, "example.com", entry, sizeof(entry)));
	hostlist_free(w);
}

/* Ours has nothing that is not understood. */
static void
shipped(void **state)
{
	struct hostlist *w;
	char entry[64];

	(void)state;
	complaints = 0;
	assert_int_equal(
	    hostlist_load("whitelist.txt", &w, NULL, count, NULL), 0);
	assert_int_equal(complaints, 0);
	assert_true(hostlist_size(w) > 40);
	assert_true(hostlist_name(w, "mx.paypal.com", entry, sizeof(entry)));
	hostlist_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(addresses),
		cmocka_unit_test(odd_files),
		cmocka_unit_test(not_meant),
		cmocka_unit_test(byte_order_mark),
		cmocka_unit_test(shipped),
	};

	return cmocka_run_group_tests(tests, unit_dir_make, unit_dir_remove);
}
