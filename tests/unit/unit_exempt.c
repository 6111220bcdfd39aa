/* Who is never put on the blacklist: mynetworks, the whitelist, the others. */
#include "unit.h"

#include "scan/exempt.h"
#include "base/log.h"
#include "base/tool.h"
#include "base/hostlist.h"

static struct exempt e;
static char tools[96], list_path[128], log_path[128];

/* mynetworks as Postfix would tell it. */
static void
own(const char *text)
{
	static char copy[65536];

	snprintf(copy, sizeof(copy), "%s", text);
	exempt_networks(&e, copy);
}

/* Why the block of that many bits around an address is exempt, "" = not. */
static const char *
why(const char *address, int bits, const char *name)
{
	struct address_block b = { .bits = bits };
	struct address a;
	const char *text;

	assert_true(address_parse(address, &a));
	b.base = a;
	if (bits == 0)
		b.bits = address_bits(&a);
	address_mask(&b.base, b.bits);
	text = exempt_why(&e, &a, &b, name);
	return text != NULL ? text : "";
}

static void
only_global_addresses_are_listed(void **state)
{
	static const char *const never[] = { "10.1.2.3", "172.16.0.1",
		"192.168.255.1", "127.0.0.1", "169.254.1.1", "100.64.0.1",
		"192.0.2.1", "198.51.100.7", "203.0.113.9", "0.0.0.0",
		"224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::",
		"fe80::1", "fd00::1", "fc00::1", "2001:db8::1", "ff02::1",
		"::ffff:10.0.0.1", "::ffff:127.0.0.1" };
	static const char *const others[] = { "8.8.4.4", "1.1.1.1",
		"172.32.0.1", "100.128.0.1", "2a03:4000::1",
		"::ffff:8.8.4.4" };
	size_t i;

	(void)state;
	memset(&e, 0, sizeof(e));
	for (i = 0; i < COUNT(never); i++)
		assert_string_equal(why(never[i], 0, ""),
		    "not a global address");
	for (i = 0; i < COUNT(others); i++)
		assert_string_equal(why(others[i], 0, ""), "");
}

static void
mynetworks_in_every_form(void **state)
{
	(void)state;
	memset(&e, 0, sizeof(e));
	own("127.0.0.0/8 [::1]/128, 8.8.4.0/24\n\t1.1.1.1,[2a03:4000::]/32 "
	    "[2606:4700::1]");
	assert_int_equal(e.mynetworks_count, 6);
	assert_string_equal(why("8.8.4.200", 0, ""),
	    "8.8.4.0/24 is in mynetworks");
	assert_string_equal(why("1.1.1.1", 0, ""), "1.1.1.1/32 is in "
	    "mynetworks");
	assert_string_equal(why("1.1.1.2", 0, ""), "");
	assert_string_equal(why("2a03:4000:ffff::1", 0, ""),
	    "2a03:4000::/32 is in mynetworks");
	assert_string_equal(why("2606:4700::1", 0, ""),
	    "2606:4700::1/128 is in mynetworks");
	assert_string_equal(why("2606:4700::2", 0, ""), "");
	/* a block with one of them in it is as good as that */
	assert_string_equal(why("1.1.1.2", 24, ""), "1.1.1.1/32 is in "
	    "mynetworks");
	assert_string_equal(why("2606:4700::2", 64, ""),
	    "2606:4700::1/128 is in mynetworks");
	own("");
	assert_int_equal(e.mynetworks_count, 0);
	assert_string_equal(why("8.8.4.200", 0, ""), "");
}

/* What is not an address is passed over, and all the rest still counts. */
static void
tables_and_rubbish_are_passed_over(void **state)
{
	static const char *const rubbish[] = { "hash:/etc/postfix/networks",
		"!8.8.4.0/24", "/etc/postfix/networks", "[::1", "::1]",
		"8.8.4.0/33", "8.8.4", "8.8.4.4/", "[]", "[", "]", "[]/64",
		"[8.8.4.4", "static:all", "[2a03::]/129", "$mynetworks" };
	char text[256];
	size_t i;

	(void)state;
	memset(&e, 0, sizeof(e));
	for (i = 0; i < COUNT(rubbish); i++) {
		snprintf(text, sizeof(text), "9.9.9.0/24 %s 1.1.1.0/24",
		    rubbish[i]);
		own(text);
		if (e.mynetworks_count != 2)
			fail_msg("%s: %zu", rubbish[i], e.mynetworks_count);
		assert_string_not_equal(why("9.9.9.9", 0, ""), "");
		assert_string_not_equal(why("1.1.1.1", 0, ""), "");
		assert_string_equal(why("8.8.4.4", 0, ""), "");
	}
}

static void
very_many_networks_do_no_harm(void **state)
{
	static char text[65536];
	size_t n = 0;
	int i;

	(void)state;
	memset(&e, 0, sizeof(e));
	for (i = 0; i < 2000; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "9.%d.%d.0/24 ", i / 256, i % 256);
	own(text);
	assert_int_equal(e.mynetworks_count, EXEMPT_MYNETWORKS_MAX);
	assert_string_not_equal(why("9.0.255.1", 0, ""), "");
	assert_string_equal(why("9.1.0.1", 0, ""), "");
}

static void
the_whitelist_by_address_and_verified_name(void **state)
{
	char text[] = "partner.example\n8.8.6.0/24\n2a03:4000:7::1\n";

	(void)state;
	memset(&e, 0, sizeof(e));
	e.list = hostlist_parse(text, sizeof(text) - 1, NULL, NULL);
	assert_non_null(e.list);
	assert_string_equal(why("8.8.6.7", 0, ""),
	    "8.8.6.0/24 is whitelisted");
	assert_string_equal(why("8.8.7.7", 0, ""), "");
	assert_string_not_equal(why("8.8.7.7", 22, ""), "");
	assert_string_not_equal(why("2a03:4000:7::2", 64, ""), "");
	assert_string_equal(why("2a03:4000:7::2", 128, ""), "");
	assert_string_equal(why("8.8.4.4", 0, "mx.partner.example"),
	    "partner.example is whitelisted");
	assert_string_equal(why("8.8.4.4", 0, "mxpartner.example"), "");
	assert_string_equal(why("8.8.4.4", 0, "partner.example.evil.net"), "");
	/* a private address is never listed, whatever else it is */
	assert_string_equal(why("10.0.0.1", 0, "partner.example"),
	    "not a global address");
	exempt_free(&e);
	assert_null(e.list);
	assert_string_equal(why("8.8.6.7", 0, ""), "");
}

/* --- where they come from --- */

static void
postconf_says(const char *script, mode_t mode)
{
	char path[160];

	unit_file("postconf", script, strlen(script));
	snprintf(path, sizeof(path), "%s/postconf", unit_dir);
	assert_int_equal(chmod(path, mode), 0);
}

/* What has been logged since the last call. */
static const char *
logged(void)
{
	static char text[4096];
	FILE *f = fopen(log_path, "r");
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f != NULL)
		fclose(f);
	unlink(log_path);
	return text;
}

static void
both_are_loaded(void **state)
{
	struct config c = { .whitelist.file = list_path };

	(void)state;
	unit_file("whitelist.txt", "8.8.6.0/24\n", 11);
	postconf_says("#!/bin/sh\n[ \"$*\" = '-x -h mynetworks' ] && "
	    "echo 9.9.9.0/24 1.1.1.1\n", 0755);
	logged(); /* by the tests before */
	exempt_load(&e, &c);
	assert_string_equal(why("9.9.9.9", 0, ""), "9.9.9.0/24 is in "
	    "mynetworks");
	assert_string_equal(why("1.1.1.1", 0, ""), "1.1.1.1/32 is in "
	    "mynetworks");
	assert_string_equal(why("8.8.6.9", 0, ""), "8.8.6.0/24 is "
	    "whitelisted");
	assert_string_equal(logged(), "");
	exempt_free(&e);
}

/* Many networks, on many lines, and what postconf complains about. */
static void
long_mynetworks_are_loaded_whole(void **state)
{
	struct config c = { 0 };

	(void)state;
	postconf_says("#!/bin/sh\necho 'postconf: warning: main.cf, line 9: "
	    "overriding earlier entry: mynetworks=' >&2\n"
	    "i=0; while [ $i -lt 200 ]; do printf '9.9.%d.0/24 ' $i; "
	    "i=$((i + 1)); done\necho 8.8.4.0/24\n", 0755);
	exempt_load(&e, &c);
	assert_int_equal(e.mynetworks_count, 201);
	assert_string_not_equal(why("9.9.199.9", 0, ""), "");
	assert_string_not_equal(why("8.8.4.4", 0, ""), "");
	assert_string_equal(why("9.10.0.9", 0, ""), "");
	logged();
	exempt_free(&e);
}

/* A missing or failing postconf, a missing or unreadable whitelist. */
static void
what_cannot_be_loaded_is_passed_over(void **state)
{
	static const struct {
		const char *script;
		mode_t mode;
	} rows[] = {
		{ "#!/bin/sh\necho 9.9.9.0/24\nexit 1\n", 0755 },
		{ "#!/bin/sh\nkill -9 $$\n", 0755 },
		{ "#!/nowhere/sh\n", 0755 },
		{ "#!/bin/sh\necho 9.9.9.0/24\n", 0644 },
	};
	struct config c = { .whitelist.file = list_path };
	size_t i;

	(void)state;
	unit_file("whitelist.txt", "8.8.6.0/24\n", 11);
	for (i = 0; i < COUNT(rows); i++) {
		postconf_says(rows[i].script, rows[i].mode);
		exempt_load(&e, &c);
		assert_int_equal(e.mynetworks_count, 0);
		assert_non_null(strstr(logged(), "cannot read mynetworks"));
		assert_string_not_equal(why("8.8.6.9", 0, ""), "");
		assert_string_equal(why("8.8.4.4", 0, ""), "");
		exempt_free(&e);
	}
	postconf_says("#!/bin/sh\necho 9.9.9.0/24\n", 0755);
	assert_int_equal(unlink(list_path), 0);
	exempt_load(&e, &c); /* not there: nothing to say */
	assert_null(e.list);
	assert_string_equal(logged(), "");
	assert_string_not_equal(why("9.9.9.9", 0, ""), "");
	exempt_free(&e);
	assert_int_equal(mkdir(list_path, 0755), 0);
	exempt_load(&e, &c); /* nobody may be listed without it */
	assert_non_null(strstr(e.problem, "whitelist.txt"));
	assert_string_not_equal(why("9.9.9.9", 0, ""), "");
	exempt_free(&e);
	assert_int_equal(rmdir(list_path), 0);
	c.whitelist.file = NULL;
	exempt_load(&e, &c);
	assert_string_equal(logged(), "");
	exempt_free(&e);
}

static int
group_make(void **state)
{
	if (unit_dir_make(state) != 0)
		return -1;
	snprintf(tools, sizeof(tools), "%s", unit_dir);
	snprintf(list_path, sizeof(list_path), "%s/whitelist.txt", unit_dir);
	snprintf(log_path, sizeof(log_path), "%s/log", unit_dir);
	tool_path = tools;
	log_open("unit", log_path, LOG_LEVEL_INFO);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_global_addresses_are_listed),
		cmocka_unit_test(mynetworks_in_every_form),
		cmocka_unit_test(tables_and_rubbish_are_passed_over),
		cmocka_unit_test(very_many_networks_do_no_harm),
		cmocka_unit_test(the_whitelist_by_address_and_verified_name),
		cmocka_unit_test(both_are_loaded),
		cmocka_unit_test(long_mynetworks_are_loaded_whole),
		cmocka_unit_test(what_cannot_be_loaded_is_passed_over),
	};

	return cmocka_run_group_tests(tests, group_make, unit_dir_remove);
}
