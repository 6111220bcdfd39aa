/* DNS lists: reading the configuration, names to ask, judging answers. */
#include "unit.h"

#include <arpa/inet.h>

#include "config/dnszone.h"

#define ABUSIX "$apikey.authbl.mail.abusix.zone=127.0.0.4"

static struct dnszone zones[DNSZONE_MAX];
static int count;

/* One zone that must be good. */
static const struct dnszone *
zone(const char *text)
{
	const char *wrong = dnszone_parse(text, "k3y", zones, &count);

	if (wrong != NULL || count != 1)
		fail_msg("%s: %s, %d zones", text, wrong, count);
	return &zones[0];
}

static void
zones_are_read(void **state)
{
	(void)state;
	assert_null(dnszone_parse("", "k3y", zones, &count));
	assert_int_equal(count, 0);
	assert_null(dnszone_parse("  " ABUSIX "\t"
	    "0123456789abcdef0123456789.authbl.dq.spamhaus.net=127.0.0.20 "
	    "auth.spamrats.com=127.0.0.43,127.0.[1;3..4].[0..255] ", "k3y",
	    zones, &count));
	assert_int_equal(count, 3);
	assert_string_equal(zones[0].name, "k3y.authbl.mail.abusix.zone");
	assert_string_equal(zones[0].shown, "authbl.mail.abusix.zone");
	assert_string_equal(zones[1].name,
	    "0123456789abcdef0123456789.authbl.dq.spamhaus.net");
	assert_string_equal(zones[1].shown, "....authbl.dq.spamhaus.net");
	assert_string_equal(zones[2].shown, "auth.spamrats.com");
	assert_int_equal(zones[2].code_count, 2);
	assert_string_equal(zone("a.${apikey}.b=127.0.0.2")->name, "a.k3y.b");
	assert_string_equal(zones[0].shown, "a.b");
}

/* Not a fault: that zone just is not in force. */
static void
a_zone_without_its_key_is_left_out(void **state)
{
	static const char *const keys[] = { NULL, "", "a.b", "a b", "k\xc3\xa9",
		"0123456789012345678901234567890123456789012345678901234567890"
		"123456789" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(keys); i++) {
		assert_null(dnszone_parse(ABUSIX " x.y=127.0.0.2", keys[i],
		    zones, &count));
		assert_int_equal(count, 1);
		assert_string_equal(zones[0].name, "x.y");
	}
}

static void
what_is_no_zone_is_refused(void **state)
{
	static const char *const bad[] = { "x", "=127.0.0.2", "x=", "x=127",
		"x=127.0.0", "x=127.0.0.2.3", "x=127.0.0.256", "x=127.0.0.-1",
		"x=127.0.0.+1", "x=127.0.0.2,", "x=,127.0.0.2", "x=127.0.0.[",
		"x=127.0.0.[]", "x=127.0.0.[3..2]", "x=127.0.0.[1..256]",
		"x=127.0.0.[1..]", "x=127.0.0.[1", "x=127.0.0.[1;]",
		"x=127.0.0.99999999999999999999", "x..y=127.0.0.2",
		".x=127.0.0.2", "x.=127.0.0.2", "x/y=127.0.0.2",
		"x\xc3\xa9=127.0.0.2", "$key.x=127.0.0.2",
		"$apikeyx.y=127.0.0.2", "x=127.0.0.2x", "x = 127.0.0.2",
		"a=127.0.0.2 b=127.0.0.2 c=127.0.0.2 d=127.0.0.2 e=127.0.0.2 "
		"f=127.0.0.2 g=127.0.0.2 h=127.0.0.2 i=127.0.0.2",
		"x=127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.5,127.0.0.6,"
		"127.0.0.7,127.0.0.8,127.0.0.9" };
	char longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		if (dnszone_parse(bad[i], "k", zones, &count) == NULL)
			fail_msg("accepted: %s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	for (i = 50; i < 300; i += 50)
		longest[i] = '.';
	snprintf(longest + 300, 100, "=127.0.0.2");
	assert_non_null(dnszone_parse(longest, "k", zones, &count));
	snprintf(longest + 64, 100, "=127.0.0.2");
	longest[50] = 'a';
	assert_non_null(dnszone_parse(longest, "k", zones, &count));
}

static void
a_key_in_a_zone_is_noticed(void **state)
{
	(void)state;
	assert_false(dnszone_has_key(ABUSIX));
	assert_false(dnszone_has_key(""));
	assert_false(dnszone_has_key("auth.spamrats.com=127.0.0.43"));
	assert_false(dnszone_has_key(
	    "auth.spamrats.com=127.0.0.[1..9],127.0.1.[100..200] x=1.2.3.4"));
	assert_true(dnszone_has_key(
	    "0123456789abcdef0123456789.authbl.dq.spamhaus.net=127.0.0.20"));
	assert_true(dnszone_has_key(
	    "a=127.0.0.1 0123456789abcdef0123456789.authbl.x=127.0.0.20"));
}

static void
names_are_made_as_lists_want_them(void **state)
{
	static const struct {
		const char *address, *name;
	} rows[] = {
		{ "192.0.2.99", "99.2.0.192.z.test" },
		{ "::ffff:192.0.2.99", "99.2.0.192.z.test" },
		{ "2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0."
		    "0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.z.test" },
	};
	const struct dnszone *z = zone("z.test=127.0.0.2");
	char name[DNSZONE_NAME_MAX];
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(address_parse(rows[i].address, &a));
		assert_true(dnszone_address(z, &a, name, sizeof(name)));
		assert_string_equal(name, rows[i].name);
	}
}

/* Expected: printf %s josé@example.com | sha1sum, in UTF-8. */
static void
recipients_are_hashed_in_lower_case(void **state)
{
	static const struct {
		const char *recipient, *hash;
	} rows[] = {
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "ABC", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "jos\xc3\xa9@example.com", "9a854c23ee0d6eaecde5"
		    "9b38649bf584266d483e" },
		{ "JOS\xc3\x89@Example.COM", "9a854c23ee0d6eaecde5"
		    "9b38649bf584266d483e" },
		{ "\xd0\x96@x", "06745731768fb86602cf"
		    "76d446b6a779c9b239b7" }, /* Cyrillic ZHE */
		{ "\xd0\xb6@x", "06745731768fb86602cf"
		    "76d446b6a779c9b239b7" },
		{ "JOS\xe9@X", "7b8a45cff2b316101ac7"
		    "fbfc00fb9f2ed2139145" }, /* not UTF-8: ASCII is folded */
	};
	const struct dnszone *z = zone("z.test=127.0.0.2");
	char name[DNSZONE_NAME_MAX], expected[64], big[2048];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(dnszone_recipient(z, rows[i].recipient, name,
		    sizeof(name)));
		snprintf(expected, sizeof(expected), "%s.z.test", rows[i].hash);
		assert_string_equal(name, expected);
	}
	memset(big, 'A', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_false(dnszone_recipient(z, big, name, sizeof(name)));
}

/* RFC 5782, 5. */
static void
names_of_test_points(void **state)
{
	static const struct {
		enum dnszone_point point;
		const char *shown, *name;
	} rows[] = {
		{ DNSZONE_NEVER_IPV4, "127.0.0.1", "1.0.0.127.z.test" },
		{ DNSZONE_ALWAYS_IPV4, "127.0.0.2", "2.0.0.127.z.test" },
		{ DNSZONE_NEVER_IPV6, "::FFFF:7F00:1", "1.0.0.0.0.0.f.7.f.f.f."
		    "f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.z.test" },
		{ DNSZONE_ALWAYS_IPV6, "::FFFF:7F00:2", "2.0.0.0.0.0.f.7.f.f.f."
		    "f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.z.test" },
	};
	const struct dnszone *z = zone("z.test=127.0.0.2");
	char name[DNSZONE_NAME_MAX], other[DNSZONE_NAME_MAX];
	const char *shown;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		dnszone_point(z, rows[i].point, name, sizeof(name), &shown);
		assert_string_equal(name, rows[i].name);
		assert_string_equal(shown, rows[i].shown);
	}
	dnszone_point(z, DNSZONE_NEVER_RECIPIENT, name, sizeof(name), &shown);
	dnszone_point(z, DNSZONE_NEVER_RECIPIENT, other, sizeof(other),
	    &shown);
	assert_int_equal(strspn(name, "0123456789abcdef"), 40);
	assert_string_equal(name + 40, ".z.test");
	assert_string_not_equal(name, other);
}

/* "127.0.0.4 127.0.0.9" judged by a zone. */
static enum dnszone_verdict
judge(const char *text, const char *answers, char *which)
{
	const struct dnszone *z = zone(text);
	struct in_addr record[8], decided = { 0 };
	char copy[128], *s, *save;
	enum dnszone_verdict verdict;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", answers);
	for (s = strtok_r(copy, " ", &save); s != NULL;
	     s = strtok_r(NULL, " ", &save))
		assert_int_equal(inet_pton(AF_INET, s, &record[n++]), 1);
	verdict = dnszone_judge(z, record, n, &decided);
	inet_ntop(AF_INET, &decided, which, INET_ADDRSTRLEN);
	return verdict;
}

static void
only_configured_answers_are_a_listing(void **state)
{
	static const struct {
		const char *zone, *answers;
		enum dnszone_verdict verdict;
		const char *which;
	} rows[] = {
		{ "z=127.0.0.4", "", DNSZONE_NOT_LISTED, "0.0.0.0" },
		{ "z=127.0.0.4", "127.0.0.4", DNSZONE_LISTED, "127.0.0.4" },
		{ "z=127.0.0.4", "127.0.0.2", DNSZONE_OTHER, "127.0.0.2" },
		{ "z=127.0.0.4", "127.0.0.2 127.0.0.4", DNSZONE_LISTED,
		    "127.0.0.4" },
		{ "z=127.0.0.4", "127.0.0.1", DNSZONE_WRONG, "127.0.0.1" },
		{ "z=127.0.0.4", "127.0.0.0", DNSZONE_WRONG, "127.0.0.0" },
		{ "z=127.0.0.4", "192.0.2.1", DNSZONE_WRONG, "192.0.2.1" },
		{ "z=127.0.0.4", "4.0.0.127", DNSZONE_WRONG, "4.0.0.127" },
		{ "z=127.0.0.4", "127.0.0.2 127.255.255.254", DNSZONE_WRONG,
		    "127.255.255.254" },
		{ "z=127.0.0.4", "192.0.2.1 127.0.0.2", DNSZONE_WRONG,
		    "192.0.2.1" },
		/* Never, even if somebody configures it. */
		{ "z=127.[0..255].[0..255].[0..255]", "127.255.255.252",
		    DNSZONE_WRONG, "127.255.255.252" },
		{ "z=127.0.0.[0..255]", "127.0.0.1", DNSZONE_WRONG,
		    "127.0.0.1" },
		{ "z=192.0.2.1", "192.0.2.1", DNSZONE_WRONG, "192.0.2.1" },
		{ "z=127.0.0.[2..254]", "127.0.0.255", DNSZONE_OTHER,
		    "127.0.0.255" },
		{ "z=127.0.0.[2..254]", "127.0.0.254", DNSZONE_LISTED,
		    "127.0.0.254" },
		{ "z=127.0.0.[2;7..9;255]", "127.0.0.6", DNSZONE_OTHER,
		    "127.0.0.6" },
		{ "z=127.0.0.[2;7..9;255]", "127.0.0.255", DNSZONE_LISTED,
		    "127.0.0.255" },
		{ "z=127.0.0.4,127.0.1.4", "127.0.1.4", DNSZONE_LISTED,
		    "127.0.1.4" },
	};
	char which[INET_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		if (judge(rows[i].zone, rows[i].answers, which) !=
			rows[i].verdict || strcmp(which, rows[i].which) != 0)
			fail_msg("row %zu: %s", i, which);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_are_read),
		cmocka_unit_test(a_zone_without_its_key_is_left_out),
		cmocka_unit_test(what_is_no_zone_is_refused),
		cmocka_unit_test(a_key_in_a_zone_is_noticed),
		cmocka_unit_test(names_are_made_as_lists_want_them),
		cmocka_unit_test(recipients_are_hashed_in_lower_case),
		cmocka_unit_test(names_of_test_points),
		cmocka_unit_test(only_configured_answers_are_a_listing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
