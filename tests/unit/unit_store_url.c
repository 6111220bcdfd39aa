/*
 * The URL of a store on a server: its parts, its secrets; and the addresses of
 * its host.
 */
#include "unit.h"

#include "config/config.h"
#include "base/clock.h"
#include "base/resolve.h"
#include "config/store_url.h"

static void
urls_are_taken_apart(void **state)
{
	static const struct {
		const char *url;
		const char *user, *password, *host;
		long port;
		const char *name;
		int parameters;
	} rows[] = {
		{ "postgresql://u:p@h:5432/db", "u", "p", "h", 5432, "db", 0 },
		{ "mysql://h", "", "", "h", 0, "", 0 },
		{ "redis://:p@h/0", "", "p", "h", 0, "0", 0 },
		{ "redis://", "", "", "", 0, "", 0 },
		{ "a:///db?host=/run", "", "", "", 0, "db", 1 },
		{ "a://?x=1&y=2", "", "", "", 0, "", 2 },
		{ "a://u@", "u", "", "", 0, "", 0 },
		{ "a://u:@:7/", "u", "", "", 7, "", 0 },
		{ "a://[2001:db8::1]:7/d", "", "", "2001:db8::1", 7, "d", 0 },
		{ "a://[::1]", "", "", "::1", 0, "", 0 },
		{ "a://u@x:p@y@h", "u@x", "p@y", "h", 0, "", 0 },
		{ "a://u:a:b@h", "u", "a:b", "h", 0, "", 0 },
		{ "a://u%40x:%3a%2F%25@h%2e/%2Ftmp", "u@x", ":/%", "h.", 0,
		    "/tmp", 0 },
		{ "a://h1,h2:7/x", "", "", "h1,h2", 7, "x", 0 },
		{ "a://h/d?password=q&x=1", "", "q", "h", 0, "d", 1 },
		{ "a://u:p@h/d?password=q", "u", "q", "h", 0, "d", 0 },
		{ "a://h/a/b", "", "", "h", 0, "a/b", 0 },
	};
	struct store_url u;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		if (store_url_parse(rows[i].url, &u) != NULL)
			fail_msg("%s: %s", rows[i].url,
			    store_url_parse(rows[i].url, &u));
		if (strcmp(u.user, rows[i].user) != 0 ||
		    strcmp(u.password, rows[i].password) != 0 ||
		    strcmp(u.host, rows[i].host) != 0 ||
		    u.port != rows[i].port ||
		    strcmp(u.name, rows[i].name) != 0 ||
		    u.parameter_count != rows[i].parameters)
			fail_msg("%s: `%s' `%s' `%s' %ld `%s' %d", rows[i].url,
			    u.user, u.password, u.host, u.port, u.name,
			    u.parameter_count);
	}
	assert_null(store_url_parse("a://h?x%3d=%26&y=", &u));
	assert_string_equal(store_url_parameter(&u, "x="), "&");
	assert_string_equal(store_url_parameter(&u, "y"), "");
	assert_null(store_url_parameter(&u, "x"));
}

static void
wrong_urls_are_refused(void **state)
{
	static const struct {
		const char *url, *wrong;
	} rows[] = {
		{ "", "not a URL" }, { "a:/h", "not a URL" },
		{ "a?b://h", "not a URL" }, { "A://h", "not a URL" },
		{ "a23456789012345678://h", "not a URL" },
		{ "a://h:0", "port" }, { "a://h:65536", "port" },
		{ "a://h:", "port" }, { "a://h:7x", "port" },
		{ "a://h:-7", "port" }, { "a://h:1234567890", "port" },
		{ "a://[::1", "without `]'" }, { "a://[::1]x", "port" },
		{ "a://h%", "badly encoded" }, { "a://h%4", "badly encoded" },
		{ "a://h%4g", "badly encoded" }, { "a://h%00", "badly" },
		{ "a://u%00:p@h", "badly" }, { "a://u:p%0@h", "badly" },
		{ "a://h/%zz", "badly" }, { "a://h?x", "no value" },
		{ "a://h?x=1&", NULL }, { "a://h?x=1&x=2", "duplicate" },
		{ "a://h?x=%", "badly" }, { "a://h ", "character" },
		{ "a://h\n", "character" }, { "a://\x80", "character" },
		{ "a://u:p/w@h/d", NULL }, { "a://u:1/w@h", "%2F" },
	};
	const char *wrong;
	struct store_url u;
	char url[2048];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		wrong = store_url_parse(rows[i].url, &u);
		if (rows[i].wrong == NULL)
			continue; /* either way, but not a crash */
		if (wrong == NULL || strstr(wrong, rows[i].wrong) == NULL)
			fail_msg("%s: %s", rows[i].url,
			    wrong != NULL ? wrong : "accepted");
	}
	memset(url, 'x', sizeof(url));
	memcpy(url, "a://", 4);
	for (i = 300; i < sizeof(url); i += 100) {
		url[i] = '\0';
		assert_non_null(store_url_parse(url, &u));
		url[4] = '/';
		assert_non_null(store_url_parse(url, &u));
		url[4] = '?';
		assert_non_null(store_url_parse(url, &u));
		url[4] = url[i] = 'x';
	}
	snprintf(url, sizeof(url), "a://h?a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&"
	    "m=&n=&o=&p=");
	assert_null(store_url_parse(url, &u));
	strncat(url, "&q=", sizeof(url) - strlen(url) - 1);
	assert_non_null(store_url_parse(url, &u));
}

static void
secrets_are_known_and_not_shown(void **state)
{
	static const struct {
		const char *url, *shown; /* NULL: as it is, no secret */
	} rows[] = {
		{ "sqlite:/var/lib/x.db", NULL },
		{ "sqlite:/var/lib/a:b@c?password=x", NULL },
		{ "postgresql://u@h:5432/db?sslmode=require", NULL },
		{ "redis://h:6379", NULL }, { "redis://[::1]:6379/0", NULL },
		{ "postgresql://u:s@h/db?sslmode=x",
		    "postgresql://u@h/db?sslmode=x" },
		{ "a://h/db?password=s", "a://h/db" },
		{ "a://h/db?x=1&password=s&y=2", "a://h/db?x=1&y=2" },
		{ "a://h/db?PassWord=s&y=2", "a://h/db?y=2" },
		{ "a://h?sslpassword=s", "a://h" },
		{ "a://h?passphrase=s", "a://h" },
		{ "a://h?%70assword=s", "a://h" },
		{ "a://u:s/s@h/d", "a://u@h/d" }, /* wrong, but hidden */
		{ "a://u:s?s@h/d", "a://u@h/d" },
		{ "a://:s@h", "a://@h" },
	};
	char shown[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		store_url_text(rows[i].url, shown, sizeof(shown));
		if (strcmp(shown, rows[i].shown != NULL ? rows[i].shown :
							  rows[i].url) != 0)
			fail_msg("%s: %s", rows[i].url, shown);
		if (store_url_secret(rows[i].url) != (rows[i].shown != NULL))
			fail_msg("%s: a secret or not?", rows[i].url);
	}
	store_url_text("a://user:secret@host/database", shown, 10);
	assert_string_equal(shown, "a://user@");
}

static void
a_password_file_is_read(void **state)
{
	static const struct {
		const char *text, *password; /* NULL: cannot be used */
	} rows[] = {
		{ "secret\n", "secret" }, { "secret", "secret" },
		{ "secret\r\nmore\n", "secret" }, { " a b \n", " a b " },
		{ "", "" }, { "\n", "" }, { "%2F", "%2F" },
		{ "\xef\xbb\xbf" "secret\r\n", "secret" },
	};
	struct config cfg = { 0 };
	char path[96], error[256], text[400];
	struct store_url u;
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s/password", unit_dir);
	cfg.store.password_file = path;
	for (i = 0; i < COUNT(rows); i++) {
		unit_file("password", rows[i].text, strlen(rows[i].text));
		memset(&u, 0, sizeof(u));
		assert_true(store_url_password(&u, &cfg, error,
		    sizeof(error)));
		assert_string_equal(u.password, rows[i].password);
	}
	snprintf(u.password, sizeof(u.password), "own");
	assert_true(store_url_password(&u, &cfg, error, sizeof(error)));
	assert_string_equal(u.password, "own");
	memset(text, 'x', sizeof(text));
	unit_file("password", text, sizeof(text));
	memset(&u, 0, sizeof(u));
	assert_false(store_url_password(&u, &cfg, error, sizeof(error)));
	assert_non_null(strstr(error, "too long"));
	assert_null(strstr(error, "xxx"));
	unlink(path);
	assert_false(store_url_password(&u, &cfg, error, sizeof(error)));
	assert_non_null(strstr(error, "No such file"));
}

static void
hosts_have_addresses(void **state)
{
	char out[RESOLVE_MAX][ADDRESS_TEXT_MAX], error[256] = "";
	int64_t begun = clock_ms();
	int count;

	(void)state;
	assert_int_equal(resolve_host("192.0.2.1", 0, out, error,
			     sizeof(error)), 1);
	assert_string_equal(out[0], "192.0.2.1");
	assert_int_equal(resolve_host("2001:db8::1", 0, out, error,
			     sizeof(error)), 1);
	assert_string_equal(out[0], "2001:db8::1");
	/* No address to us, and one to the resolver, which asks nobody. */
	count = resolve_host("127.1", 5000, out, error, sizeof(error));
	assert_true(count >= 1);
	assert_string_equal(out[count - 1], "127.0.0.1");
	/* Hardly anybody starts a program and hears from it in no time. */
	count = resolve_host("127.1", 0, out, error, sizeof(error));
	if (count == 0)
		assert_non_null(strstr(error, "no answer in time"));
	/* Where children are reaped by themselves */
	signal(SIGCHLD, SIG_IGN);
	assert_true(resolve_host("127.1", 5000, out, error,
			sizeof(error)) >= 1);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(resolve_host("not..a..name", 5000, out, error,
			     sizeof(error)), 0);
	assert_non_null(strstr(error, "cannot look up not..a..name"));
	assert_true(clock_ms() - begun < 16000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_taken_apart),
		cmocka_unit_test(wrong_urls_are_refused),
		cmocka_unit_test(secrets_are_known_and_not_shown),
		cmocka_unit_test(a_password_file_is_read),
		cmocka_unit_test(hosts_have_addresses),
	};

	return cmocka_run_group_tests(tests, unit_dir_make, unit_dir_remove);
}
