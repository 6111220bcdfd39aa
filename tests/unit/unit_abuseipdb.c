/* What the API may answer, and what becomes of it. */
#include "unit.h"

#include "ctl/abuseipdb.h"

#define OPEN "{\"data\":{\"ipAddress\":\"8.8.4.4\",\"abuseConfidenceScore\":"

static void
check_bodies(void **state)
{
	static const struct {
		const char *body;
		int score; /* -1: refused */
	} rows[] = {
		{ OPEN "71}}", 71 },
		{ OPEN "0,\"countryCode\":null,\"isp\":null}}", 0 },
		{ OPEN "100,\"isWhitelisted\":null,\"more\":[1,{}]}}", 100 },
		{ OPEN "7.1e1}}", 71 },
		{ "{\"data\":{\"abuseConfidenceScore\":5}}", 5 },
		{ OPEN "null}}", -1 }, { OPEN "\"71\"}}", -1 },
		{ OPEN "71.5}}", -1 }, { OPEN "-1}}", -1 },
		{ OPEN "101}}", -1 }, { OPEN "1e400}}", -1 },
		{ OPEN "true}}", -1 }, { OPEN "[71]}}", -1 },
		{ OPEN "71", -1 }, { OPEN "}}", -1 },
		{ "{\"data\":null}", -1 }, { "{\"data\":[]}", -1 },
		{ "{}", -1 }, { "[]", -1 }, { "", -1 }, { "null", -1 },
		{ "<html>", -1 }, { "{\"data\":{\"ipAddress\":\"8.8.4.4\"}}",
		    -1 },
		{ "{\"data\":{\"ipAddress\":\"8.8.8.8\","
		  "\"abuseConfidenceScore\":71}}", -1 },
		{ "{\"data\":{\"ipAddress\":\"x\","
		  "\"abuseConfidenceScore\":71}}", -1 },
		{ "{\"errors\":[{\"detail\":\"x\",\"status\":422,"
		  "\"source\":{\"parameter\":\"ipAddress\"}}]}", -1 },
	};
	struct cache_score s;
	struct address a;
	const char *wrong;
	size_t i;

	(void)state;
	address_parse("8.8.4.4", &a);
	for (i = 0; i < COUNT(rows); i++) {
		wrong = abuseipdb_parse_check(
		    rows[i].body, strlen(rows[i].body), &a, &s);
		if ((wrong != NULL ? -1 : s.score) != rows[i].score)
			fail_msg("%s: %s", rows[i].body, wrong);
	}
}

static void
check_fields(void **state)
{
	static const char good[] = OPEN "71,\"countryCode\":\"CN\","
	    "\"isp\":\"A\\nB \\u00e9\",\"usageType\":\"Mobile ISP\","
	    "\"isTor\":true,\"totalReports\":25,\"numDistinctUsers\":9}}";
	static const char odd[] = OPEN "71,\"countryCode\":\"../\","
	    "\"isp\":7,\"usageType\":[],\"isTor\":\"yes\","
	    "\"totalReports\":-5,\"numDistinctUsers\":1e99}}";
	static const char unknown[] = OPEN "71,\"countryCode\":\"ZZ\"}}";
	struct cache_score s;
	struct address a;

	(void)state;
	address_parse("8.8.4.4", &a);
	assert_null(abuseipdb_parse_check(good, sizeof(good) - 1, &a, &s));
	assert_string_equal(s.country, "CN");
	assert_string_equal(s.isp, "A?B \xc3\xa9");
	assert_string_equal(s.usage, "Mobile ISP");
	assert_int_equal(s.tor, 1);
	assert_int_equal(s.reports, 25);
	assert_int_equal(s.reporters, 9);
	assert_null(abuseipdb_parse_check(unknown, sizeof(unknown) - 1, &a,
	    &s));
	assert_string_equal(s.country, "");
	assert_null(abuseipdb_parse_check(odd, sizeof(odd) - 1, &a, &s));
	assert_string_equal(s.country, "");
	assert_string_equal(s.isp, "");
	assert_string_equal(s.usage, "");
	assert_int_equal(s.tor, -1);
	assert_int_equal(s.reports, -1);
	assert_int_equal(s.reporters, -1);
}

static void
deep_nesting(void **state)
{
	char *body = malloc(200001);
	struct cache_score s;
	struct address a;

	(void)state;
	address_parse("8.8.4.4", &a);
	memset(body, '[', 200000);
	body[200000] = '\0';
	assert_non_null(abuseipdb_parse_check(body, 200000, &a, &s));
	free(body);
}

static struct {
	int count;
	time_t generated;
	int score;
} seen;

static bool
entry(void *arg, const struct address *a, const struct cache_score *s,
    time_t generated)
{
	(void)arg;
	(void)a;
	seen.count++;
	seen.generated = generated;
	seen.score = s->score;
	return true;
}

static void
blacklists(void **state)
{
	static const char body[] =
	    "{\"meta\":{\"generatedAt\":\"2026-11-20T02:00:00+01:00\"},"
	    "\"data\":[{\"ipAddress\":\"8.8.4.4\","
	    "\"abuseConfidenceScore\":100,\"countryCode\":\"CN\"},"
	    "{\"ipAddress\":\"banana\",\"abuseConfidenceScore\":100},"
	    "{\"ipAddress\":\"8.8.4.5\",\"abuseConfidenceScore\":900},7]}";
	static const char future[] =
	    "{\"meta\":{\"generatedAt\":\"2999-11-20T02:00:00+00:00\"},"
	    "\"data\":[{\"ipAddress\":\"8.8.4.4\","
	    "\"abuseConfidenceScore\":99}]}";
	const time_t now = 1795250000; /* 2026-11-21 */

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_null(abuseipdb_parse_blacklist(body, sizeof(body) - 1, now,
	    entry, NULL));
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.score, 100);
	assert_int_equal(seen.generated, 1795136400);
	assert_null(abuseipdb_parse_blacklist(future, sizeof(future) - 1, now,
	    entry, NULL));
	assert_int_equal(seen.generated, now);
	assert_non_null(
	    abuseipdb_parse_blacklist("{}", 2, now, entry, NULL));
	assert_non_null(abuseipdb_parse_blacklist("x", 1, now, entry, NULL));
}

static void
tokens(void **state)
{
	static const struct {
		const char *file, *token; /* NULL: refused */
	} rows[] = {
		{ "abc123\n", "abc123" }, { "abc123", "abc123" },
		{ "  abc123 \r\nmore\n", "abc123" }, { "", NULL },
		{ "\n", NULL }, { "a b\n", NULL },
		{ "\xef\xbb\xbf" "abc123\r\n", "abc123" },
		{ "\xef\xbb\xbf", NULL },
	};
	char path[128], token[ABUSEIPDB_TOKEN_MAX], reason[256];
	struct config cfg;
	size_t i;
	int rc;

	(void)state;
	config_init(&cfg);
	assert_int_equal(
	    abuseipdb_token(&cfg, token, reason, sizeof(reason)), -1);
	snprintf(path, sizeof(path), "%s/token", unit_dir);
	cfg.reputation.token_file = path;
	assert_int_equal(
	    abuseipdb_token(&cfg, token, reason, sizeof(reason)), -1);
	for (i = 0; i < COUNT(rows); i++) {
		unit_file("token", rows[i].file, strlen(rows[i].file));
		rc = abuseipdb_token(&cfg, token, reason, sizeof(reason));
		assert_int_equal(rc, rows[i].token == NULL ? -1 : 0);
		if (rc == 0)
			assert_string_equal(token, rows[i].token);
	}
	config_free(&cfg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_bodies),
		cmocka_unit_test(check_fields),
		cmocka_unit_test(deep_nesting),
		cmocka_unit_test(blacklists),
		cmocka_unit_test(tokens),
	};

	return cmocka_run_group_tests(tests, unit_dir_make, unit_dir_remove);
}
