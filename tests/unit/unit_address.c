/* Rows of input and expected output for address.c. */
#include "unit.h"

#include "base/address.h"

static void
canonical(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: not an address */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "2001:DB8::0:1", "2001:db8::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:201", "192.0.2.1" },
		{ "::", "::" },
		{ "unknown", NULL }, { "", NULL }, { "1.2.3", NULL },
		{ "1.2.3.4.5", NULL }, { "256.1.1.1", NULL },
		{ "01.2.3.4", NULL }, { "1.2.3.4 ", NULL },
		{ "[192.0.2.1]", NULL }, { "fe80::1%eth0", NULL },
		{ "2001:db8::1/64", NULL }, { "../etc/passwd", NULL },
		{ "1.2.3.4\n", NULL }, { "0x7f.1", NULL }, { ":::", NULL },
	};
	char out[ADDRESS_TEXT_MAX];
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		if (!address_parse(rows[i].in, &a)) {
			assert_null(rows[i].out);
			continue;
		}
		address_text(&a, out, sizeof(out));
		assert_non_null(rows[i].out);
		assert_string_equal(out, rows[i].out);
	}
}

static void
blocks(void **state)
{
	static const struct {
		const char *in;
		int bits; /* -1: refused */
	} rows[] = {
		{ "192.0.2.0/24", 24 }, { "192.0.2.1", 32 }, { "0.0.0.0/0", 0 },
		{ "2001:db8::/32", 32 }, { "2001:db8::1", 128 },
		{ "192.0.2.1/24", -1 }, { "192.0.2.0/33", -1 },
		{ "192.0.2.0/", -1 }, { "192.0.2.0/-1", -1 },
		{ "192.0.2.0/24x", -1 }, { "2001:db8::1/64", -1 },
		{ "x/8", -1 }, { "/8", -1 }, { "10/8", -1 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -1 },
	};
	struct address_block b;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		if (address_block_parse(rows[i].in, &b) != NULL)
			assert_int_equal(rows[i].bits, -1);
		else
			assert_int_equal(b.bits, rows[i].bits);
}

static void
masks(void **state)
{
	static const struct {
		const char *in;
		int bits;
		const char *out;
	} rows[] = {
		{ "192.0.2.255", 25, "192.0.2.128" },
		{ "192.0.2.255", 0, "0.0.0.0" },
		{ "192.0.2.255", 32, "192.0.2.255" },
		{ "2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::" },
		{ "2001:db8:ffff::", 33, "2001:db8:8000::" },
		{ "2001:db8::6", 128, "2001:db8::6" },
	};
	char out[ADDRESS_TEXT_MAX];
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(address_parse(rows[i].in, &a));
		address_mask(&a, rows[i].bits);
		address_text(&a, out, sizeof(out));
		assert_string_equal(out, rows[i].out);
	}
}

static void
global(void **state)
{
	static const char *const yes[] = { "8.8.8.8", "1.1.1.1", "11.0.0.1",
		"9.255.255.255", "172.15.255.255", "172.32.0.1",
		"100.63.255.255", "100.128.0.1", "192.0.1.1", "198.17.0.1",
		"198.20.0.1", "223.255.255.255", "2a02:d540::a",
		"2001:4860:4860::8888", "2003::1", "2001:200::1" };
	static const char *const no[] = { "0.0.0.0", "10.1.2.3", "127.0.0.1",
		"169.254.1.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"100.64.0.1", "192.0.2.1", "198.51.100.7", "203.0.113.9",
		"198.18.0.1", "198.19.255.255", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
		"fd12::1", "ff02::1", "2001:db8::1", "2002:a00:1::", "3fff::1",
		"::ffff:10.0.0.1", "64:ff9b::808:808", "2001::1", "fec0::1",
		"5f00::1" };
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(yes); i++) {
		assert_true(address_parse(yes[i], &a));
		assert_true(address_public(&a));
	}
	for (i = 0; i < COUNT(no); i++) {
		assert_true(address_parse(no[i], &a));
		assert_false(address_public(&a));
	}
}

static void
loopback_hosts(void **state)
{
	const char *const yes[] = { "localhost", "LocalHost", "127.0.0.1",
		"127.0.1.1", "::1", "[::1]" };
	const char *const no[] = { "", "[]", "[", "localhost.example.com",
		"127.0.0.1.example.com", "128.0.0.1", "::2", "[::1", "0.0.0.0",
		"1270000000000000000000000000000000000000000000.0.0.1" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(yes); i++)
		assert_true(address_loopback_host(yes[i], strlen(yes[i])));
	for (i = 0; i < COUNT(no); i++)
		assert_false(address_loopback_host(no[i], strlen(no[i])));
	assert_true(address_loopback_host("localhost:80", 9));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical),
		cmocka_unit_test(blocks),
		cmocka_unit_test(masks),
		cmocka_unit_test(global),
		cmocka_unit_test(loopback_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
