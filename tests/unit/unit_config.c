/* The configuration reader: what is accepted, and every message. */
#include "unit.h"

#include "config/config.h"

static struct config cfg;
static char error[CONFIG_ERROR_MAX];

static int
parse(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	int rc;

	memcpy(copy, text, len);
	copy[len] = '\0';
	config_free(&cfg);
	config_init(&cfg);
	error[0] = '\0';
	rc = config_parse(&cfg, "f.conf", copy, len, error, sizeof(error)) ?
	    0 : -1;
	free(copy);
	return rc;
}

static void
accepted(void **state)
{
	static const char text[] =
	    "# comment\n; comment\n\n"
	    "[reputation]\r\n"
	    "score=71\n"
	    "  action   =  REJECT Bad ; host # here = $score  \n"
	    "timeout = 2m\n"
	    "token =\n"
	    "cache_dir =\n"
	    "min_reporters =\n"
	    "authenticated = YES\n"
	    "url =\n"
	    "[log]\ntarget =\nlevel =\n"
	    "[filter]\nchecks = reputation, whitelist\non_error = defer\n"
	    "[ reputation ]\nmax_age = 1w";

	(void)state;
	if (parse(text, sizeof(text) - 1) != 0)
		fail_msg("%s", error);
	assert_int_equal(cfg.reputation.score, 71);
	assert_string_equal(
	    cfg.reputation.action, "REJECT Bad ; host # here = $score");
	assert_int_equal(cfg.reputation.timeout, 120);
	assert_null(cfg.reputation.token);
	assert_null(cfg.reputation.cache_dir);
	assert_int_equal(cfg.reputation.min_reporters, 0);
	assert_string_equal(cfg.log.target, "syslog");
	assert_string_equal(
	    cfg.reputation.url, "https://api.abuseipdb.com/api/v2");
	assert_true(cfg.reputation.authenticated);
	assert_string_equal(cfg.filter.checks, "reputation, whitelist");
	assert_int_equal(cfg.filter.on_error, ON_ERROR_DEFER);
	assert_int_equal(cfg.reputation.max_age, 7 * 86400);
	/* Untouched ones have their defaults. */
	assert_int_equal(cfg.reputation.cache_ttl, 86400);
	assert_int_equal(cfg.filter.deadline, 10);
}

/* Errors of a section of checks, which are noted. */
static void
noted(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "[reputation]\naction = 521\n", "f.conf:2: "
		  "reputation.action: to Postfix a number alone means permit; "
		  "add a text, as in `521 5.7.1 Bad host'" },
		{ "[reputation]\naction =\n",
		    "f.conf:2: reputation.action: empty action" },
		{ "[reputation]\naction = BANANA\n",
		    "f.conf:2: reputation.action: not an access(5) action" },
		{ "[reputation]\n\nscore = 101\n", "f.conf:3: "
		  "reputation.score: must be a number from 1 to 100" },
		{ "[reputation]\nscore = 7O\n", "f.conf:2: reputation.score: "
		  "must be a number from 1 to 100" },
		{ "[reputation]\nscore = 70\nscore = 71\n",
		    "f.conf:3: reputation.score: already set on line 2" },
		{ "[reputation]\nscore = 70\n[filter]\n[reputation]\nscore=1\n",
		    "f.conf:5: reputation.score: already set on line 2" },
		{ "[reputation]\ntimeout = 5y\n", "f.conf:2: "
		  "reputation.timeout: must be a time from 1 to 300 seconds "
		  "(units: s m h d w)" },
		{ "[reputation]\ntypo = 1\n",
		    "f.conf:2: reputation.typo: unknown key" },
		{ "[reputation]\nscore 70\n",
		    "f.conf:2: expected `key = value'" },
		{ "[whitelist]\nfile = relative\n",
		    "f.conf:2: whitelist.file: must be an absolute path" },
		{ "[geocount]\ndatabase = automatic\n", "f.conf:2: "
		  "geocount.database: must be auto or an absolute path" },
		{ "[reputation]\nurl = ftp://x/\n", "f.conf:2: "
		  "reputation.url: this kind of URL is not supported" },
		{ "[reputation]\nurl = api.example\n",
		    "f.conf:2: reputation.url: not a URL" },
		{ "[reputation]\nurl = http://\n",
		    "f.conf:2: reputation.url: the URL has no host" },
		{ "[reputation]\nurl = http://h/?a\n", "f.conf:2: "
		  "reputation.url: a query or fragment is not allowed here" },
		{ "[reputation]\ntoken = a b\n", "f.conf:2: "
		  "reputation.token: a key contains only letters and digits" },
	};
	const char *section;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse(rows[i].text, strlen(rows[i].text)), 0);
		assert_int_equal(cfg.error_count, 1);
		assert_string_equal(cfg.errors[0].text, rows[i].error);
		section = cfg.errors[0].section;
		assert_memory_equal(rows[i].text + 1, section, strlen(section));
		assert_string_equal(config_error(&cfg, section), rows[i].error);
	}
}

/* Errors after which nothing of the text counts. */
static void
refused(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "[banana]\n", "f.conf:1: [banana]: unknown section" },
		{ "[reputation\n",
		    "f.conf:1: [reputation: a section line must end with `]'" },
		{ "score = 1\n",
		    "f.conf:1: score: key before the first [section]" },
		{ "[filter]\ndry_run = maybe\n",
		    "f.conf:2: filter.dry_run: must be yes or no" },
		{ "[filter]\nchecks = whitelist banana\n",
		    "f.conf:2: filter.checks: unknown word `banana'" },
		{ "[filter]\nchecks = whitelist whitelist\n",
		    "f.conf:2: filter.checks: duplicate word" },
		{ "[filter]\non_error = reject\n", "f.conf:2: filter.on_error: "
		  "not one of the possible values" },
		{ "[log]\ntarget = stdout\n", "f.conf:2: log.target: must be "
		  "syslog, none, stderr or an absolute path" },
		{ "[geocount]\nx = 1\n[log]\ny = 1\n",
		    "f.conf:4: log.y: unknown key" },
		{ "[geocount]\nwhitelist]\nfile =\n", "f.conf:2: "
		  "whitelist]: a section line must be `[name]'" },
		{ "[geocount]\n(whitelist)\nfile =\n", "f.conf:2: "
		  "(whitelist): a section line must be `[name]'" },
		{ "[geocount]\nwhitelist:\nfile =\n", "f.conf:2: "
		  "whitelist:: a section line must be `[name]'" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse(rows[i].text, strlen(rows[i].text)), -1);
		assert_string_equal(error, rows[i].error);
	}
}

/* What is good in the rest of the file counts. */
static void
sections(void **state)
{
	static const char text[] =
	    "[geocount]\ncountries = 3\nspeed = x\naddresses = 4\n"
	    "[store]\nurl = sqlite:/a\nurl\n"
	    "[reputation]\nscore = 12\n"
	    "[geocount]\ndatabase = x\nwindow = 2d\n"
	    "[blacklist]\nsnapshot = relative\n";

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1), 0);
	assert_int_equal(cfg.error_count, 4);
	assert_int_equal(cfg.geocount.countries, 3);
	assert_int_equal(cfg.geocount.addresses, 4);
	assert_int_equal(cfg.geocount.window, 2 * 86400);
	assert_int_equal(cfg.geocount.speed, 0);
	assert_int_equal(cfg.reputation.score, 12);
	assert_ptr_equal(config_error(&cfg, "geocount"), cfg.errors[0].text);
	assert_ptr_equal(config_error(&cfg, "reputation store"),
	    cfg.errors[1].text);
	assert_ptr_equal(config_error(&cfg, CONFIG_ANY), cfg.errors[0].text);
	assert_null(config_error(&cfg, "reputation whitelist"));
	assert_null(config_error(&cfg, "stor tore"));
	assert_null(config_error(&cfg, ""));
	/* Its own line is good; the other one's is not. */
	assert_string_equal(config_certain(&cfg, "store.url"), "sqlite:/a");
	assert_null(config_certain(&cfg, "blacklist.snapshot"));
	assert_string_equal(config_certain(&cfg, "whitelist.file"),
	    config_get(&cfg, config_find("whitelist.file")));
}

/* So many errors: the first of each section is there. */
static void
many(void **state)
{
	static const char *const names[] = { "geocount", "store", "authbl",
		"whitelist", "reputation", "accounts", "blacklist" };
	char text[64 * 1024];
	size_t i, k, len = 0;

	(void)state;
	for (i = 0; i < COUNT(names); i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "[%s]\n", names[i]);
		for (k = 0; k < 1000; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    "x = 1\n");
	}
	assert_int_equal(parse(text, len), 0);
	assert_true(cfg.error_count <= CONFIG_ERRORS_MAX);
	for (i = 0; i < COUNT(names); i++)
		assert_non_null(config_error(&cfg, names[i]));
}

static void
odd_bytes(void **state)
{
	static const char nul[] = "[reputation]\nscore = 1\n\0x\n";
	static const char inside[] = "[reputation]\nsco\0re = 1\ntimeout=7\n";
	static const char begins[] = "[reputation]\n\0[geocount]\nspeed=1\n";
	static const char lost[] = "[reputation]\nscore = 1\0\0\0\n";
	char *line = malloc(CONFIG_LINE_MAX + 64);

	(void)state;
	assert_int_equal(parse(nul, sizeof(nul) - 1), 0);
	assert_string_equal(cfg.errors[0].text, "f.conf:3: NUL byte");
	assert_int_equal(parse(inside, sizeof(inside) - 1), 0);
	assert_string_equal(cfg.errors[0].text, "f.conf:2: NUL byte");
	assert_int_equal(cfg.reputation.timeout, 7);
	/* These may have been the beginning of a section. */
	assert_int_equal(parse(begins, sizeof(begins) - 1), -1);
	assert_string_equal(error, "f.conf:2: NUL byte");
	assert_int_equal(parse(lost, sizeof(lost) - 1), -1);
	assert_string_equal(error, "f.conf:2: NUL byte");
	memset(line, '#', CONFIG_LINE_MAX + 64);
	assert_int_equal(parse(line, CONFIG_LINE_MAX - 1), 0);
	assert_int_equal(parse(line, CONFIG_LINE_MAX + 1), -1);
	assert_string_equal(error, "f.conf:1: line is too long");
	snprintf(line, 8, "[log]\n#");
	line[7] = '#';
	assert_int_equal(parse(line, CONFIG_LINE_MAX + 64), -1);
	snprintf(line, 10, "[store]\n#");
	line[9] = '#';
	assert_int_equal(parse(line, CONFIG_LINE_MAX + 64), 0);
	assert_string_equal(cfg.errors[0].text, "f.conf:2: line is too long");
	line[8] = '[';
	assert_int_equal(parse(line, CONFIG_LINE_MAX + 64), -1);
	free(line);
}

static void
overrides(void **state)
{
	static const struct {
		const char *arg, *error; /* NULL: accepted */
	} rows[] = {
		{ "reputation.score=42", NULL },
		{ "{reputation.action=521 5.7.1 Bad = host}", NULL },
		{ "reputation.action = REJECT", NULL },
		{ "reputation.proxy=http://proxy:3128", NULL },
		{ "reputation.token=abc", "-o: reputation.token: "
		  "secrets are not allowed on the command line" },
		{ "reputation.proxy=http://u:p@proxy:3128",
		    "-o: reputation.proxy: "
		    "secrets are not allowed on the command line" },
		{ "reputation.score=x", "-o: reputation.score: "
		  "must be a number from 1 to 100" },
		{ "score=1", "-o: score: unknown option" },
		{ "reputation.score", "-o: reputation.score: "
		  "expected `section.key=value'" },
		{ "", "-o: : expected `section.key=value'" },
	};
	size_t i;
	bool good;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		good = config_override(&cfg, rows[i].arg, error, sizeof(error));
		assert_int_equal(good, rows[i].error == NULL);
		if (!good)
			assert_string_equal(error, rows[i].error);
	}
	assert_int_equal(cfg.reputation.score, 42);
	assert_string_equal(cfg.reputation.action, "REJECT");
}

static void
hidden(void **state)
{
	static const char text[] = "[reputation]\ntoken = abc\n"
				   "proxy = http://u:p@proxy:3128\n";

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1), 0);
	assert_true(config_hidden(&cfg, config_find("reputation.token")));
	assert_true(config_hidden(&cfg, config_find("reputation.proxy")));
	assert_false(config_hidden(&cfg, config_find("reputation.url")));
	assert_int_equal(config_find("reputation"), -1);
	assert_int_equal(config_find("reputation.scor"), -1);
}

static void
count_warning(void *arg, const char *text)
{
	(void)text;
	*(int *)arg += 1;
}

static void
warnings(void **state)
{
	static const char open_http[] =
	    "[reputation]\ntoken = abc\nurl = http://127.0.0.1.evil.net/\n";
	int n = 0;

	(void)state;
	assert_int_equal(parse(open_http, sizeof(open_http) - 1), 0);
	cfg.file_mode = 0640;
	config_warnings(&cfg, count_warning, &n);
	assert_int_equal(n, 1);
	cfg.file_mode = 0644;
	config_warnings(&cfg, count_warning, &n);
	assert_int_equal(n, 3);
}

/* Every default passes its own rules, so that a dump can be parsed again. */
static void
defaults(void **state)
{
	char arg[512];
	int i;

	(void)state;
	config_free(&cfg);
	config_init(&cfg);
	for (i = 0; i < config_option_count; i++) {
		snprintf(arg, sizeof(arg), "%s.%s=%s",
		    config_options[i].section, config_options[i].key,
		    config_options[i].fallback);
		assert_non_null(config_options[i].help);
		if (config_options[i].type != CONFIG_SECRET &&
		    !config_override(&cfg, arg, error, sizeof(error)))
			fail_msg("%s", error);
	}
}

static void
loaded(void **state)
{
	char path[128];

	(void)state;
	unit_file("a.conf", "[reputation]\nscore = 12\n", 24);
	snprintf(path, sizeof(path), "%s/a.conf", unit_dir);
	config_free(&cfg);
	config_init(&cfg);
	cfg.overrides[cfg.override_count++] = "reputation.ipv6_prefix=64";
	assert_true(config_load(&cfg, path, error, sizeof(error)));
	assert_int_equal(cfg.reputation.score, 12);
	assert_int_equal(cfg.reputation.ipv6_prefix, 64);
	assert_false(config_load(&cfg, "/nonexistent/x", error, sizeof(error)));
	assert_string_equal(
	    error, "/nonexistent/x: No such file or directory");
	assert_false(config_load(&cfg, "/", error, sizeof(error)));
	assert_string_equal(error, "/: Is a directory");
}

/* What editors of another system write. */
static void
encodings(void **state)
{
	static const char marked[] = "\xef\xbb\xbf[reputation]\nscore = 13\n";
	static const char *const wide[] = { "\xff\xfe[\0f\0", "\xfe\xff\0[\0" };
	char path[128], expected[256];
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s/b.conf", unit_dir);
	config_free(&cfg);
	config_init(&cfg);
	unit_file("b.conf", marked, sizeof(marked) - 1);
	assert_true(config_load(&cfg, path, error, sizeof(error)));
	assert_int_equal(cfg.reputation.score, 13);
	unit_file("b.conf", marked, 3);
	assert_true(config_load(&cfg, path, error, sizeof(error)));
	snprintf(expected, sizeof(expected),
	    "%s: is encoded in UTF-16, not UTF-8", path);
	for (i = 0; i < COUNT(wide); i++) {
		unit_file("b.conf", wide[i], 6);
		assert_false(config_load(&cfg, path, error, sizeof(error)));
		assert_string_equal(error, expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(noted),
		cmocka_unit_test(refused),
		cmocka_unit_test(sections),
		cmocka_unit_test(many),
		cmocka_unit_test(odd_bytes),
		cmocka_unit_test(overrides),
		cmocka_unit_test(hidden),
		cmocka_unit_test(warnings),
		cmocka_unit_test(defaults),
		cmocka_unit_test(loaded),
		cmocka_unit_test(encodings),
	};
	int rc;

	config_init(&cfg);
	rc = cmocka_run_group_tests(tests, unit_dir_make, unit_dir_remove);
	config_free(&cfg);
	return rc;
}
