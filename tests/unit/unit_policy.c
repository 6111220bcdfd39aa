/* The protocol reader, and the walk over the checks. */
#include "unit.h"

#include <errno.h>

#include "base/log.h"
#include "policy.h"

static const char every_attribute[] =
    "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
    "helo_name=some.domain.tld\nqueue_id=8045F2AB23\n"
    "sender=foo@bar.tld\nrecipient=bar@foo.tld\nrecipient_count=0\n"
    "client_address=192.0.2.4\nclient_name=another.domain.tld\n"
    "reverse_client_name=another.domain.tld\ninstance=123.456.7\n"
    "sasl_method=plain\nsasl_username=you\nsasl_sender=\nsize=12345\n"
    "ccert_subject=solaris9.porcupine.org\nccert_issuer=Wietse+20Venema\n"
    "ccert_fingerprint=C2:9D:F4:87\nencryption_protocol=TLSv1/SSLv3\n"
    "encryption_cipher=DHE-RSA-AES256-SHA\nencryption_keysize=256\n"
    "etrn_domain=\nstress=\nccert_pubkey_fingerprint=68:B3:29:DA\n"
    "client_port=1234\npolicy_context=submission\nserver_address=192.0.2.5\n"
    "server_port=54321\ncompatibility_level=3.8\nmail_version=3.12.0\n"
    "tls_sni=mx.example\nnot_known_yet=x\n";

static void
every_attribute_is_read(void **state)
{
	struct request req;
	char *copy = strdup(every_attribute);

	(void)state;
	assert_null(request_parse(copy, strlen(copy), &req));
	assert_string_equal(req.request, "smtpd_access_policy");
	assert_string_equal(req.client_address, "192.0.2.4");
	assert_string_equal(req.sasl_username, "you");
	assert_string_equal(req.sasl_sender, "");
	assert_string_equal(req.instance, "123.456.7");
	assert_string_equal(req.tls_sni, "mx.example");
	assert_string_equal(req.ccert_pubkey_fingerprint, "68:B3:29:DA");
	assert_string_equal(req.mail_version, "3.12.0");
	free(copy);
}

static void
parsing(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *wrong, *sender;
	} rows[] = {
		{ "", 0, NULL, "" },
		{ "sender=a=b\n", 11, NULL, "a=b" },
		{ "sender=\n", 8, NULL, "" },
		{ "x=\nsender=a\n", 12, NULL, "a" },
		{ "sender=a\nsender=b\n", 18, NULL, "a" },
		{ "=x\nsender=a\n", 12, NULL, "a" },
		{ "SENDER=a\n", 9, NULL, "" },
		{ "sender\n", 7, "line without `='", NULL },
		{ "\r\n", 2, "line without `='", NULL },
		{ "sender=a", 8, "unterminated line", NULL },
		{ "sender=\0\n", 9, "NUL byte", NULL },
	};
	struct request req;
	char *copy;
	const char *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		copy = malloc(rows[i].len + 1);
		memcpy(copy, rows[i].text, rows[i].len);
		wrong = request_parse(copy, rows[i].len, &req);
		if (rows[i].wrong == NULL) {
			assert_null(wrong);
			assert_string_equal(req.sender, rows[i].sender);
		} else
			assert_string_equal(wrong, rows[i].wrong);
		free(copy);
	}
}

static void
too_many_attributes(void **state)
{
	char text[(REQUEST_ATTRIBUTES_MAX + 1) * 4 + 1] = "";
	struct request req;
	int i;

	(void)state;
	for (i = 0; i <= REQUEST_ATTRIBUTES_MAX; i++)
		memcpy(text + 4 * i, "a=b\n", 5);
	assert_non_null(request_parse(text, strlen(text), &req));
	for (i = 0; i <= REQUEST_ATTRIBUTES_MAX; i++)
		memcpy(text + 4 * i, "a=b\n", 5);
	assert_null(request_parse(text, strlen(text) - 4, &req));
}

/* Three requests through a pipe, in pieces of every size. */
static void
every_split(void **state)
{
	static const char text[] = "sender=one\nsize=1\n\n"
				   "\n"
				   "sender=three\n\n";
	static const char *const senders[] = { "one", "", "three" };
	static struct policy_stream s;
	struct request req;
	size_t piece, sent;
	int ends[2], i;

	(void)state;
	for (piece = 1; piece < sizeof(text); piece++) {
		assert_int_equal(pipe(ends), 0);
		policy_stream_init(&s, ends[0]);
		/* The reader wants more than there is: feed it from a child. */
		if (fork() == 0) {
			close(ends[0]);
			for (sent = 0; sent < sizeof(text) - 1; sent += piece)
				if (write(ends[1], text + sent,
					sizeof(text) - 1 - sent < piece ?
					    sizeof(text) - 1 - sent :
					    piece) < 0)
					_exit(1);
			_exit(0);
		}
		close(ends[1]);
		for (i = 0; i < 3; i++) {
			assert_int_equal(policy_read(&s, &req), POLICY_REQUEST);
			assert_string_equal(req.sender, senders[i]);
		}
		assert_int_equal(policy_read(&s, &req), POLICY_END);
		close(ends[0]);
	}
}

static int lines[4];

static void
count_lines(enum log_level level, const char *line)
{
	(void)line;
	lines[level]++;
}

static void
broken_streams(void **state)
{
	static const char *const texts[] = { "sender=a\n", "sender", "x\n\n",
		"\r\n\r\n" };
	static struct policy_stream s;
	struct request req;
	int ends[2];
	size_t i;

	(void)state;
	log_open("unit", "none", LOG_LEVEL_DEBUG);
	log_handler(count_lines);
	for (i = 0; i < COUNT(texts); i++) {
		lines[LOG_LEVEL_WARNING] = 0;
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(write(ends[1], texts[i], strlen(texts[i])),
		    strlen(texts[i]));
		close(ends[1]);
		policy_stream_init(&s, ends[0]);
		assert_int_equal(policy_read(&s, &req), POLICY_BROKEN);
		assert_int_equal(lines[LOG_LEVEL_WARNING], 1);
		close(ends[0]);
	}
	log_handler(NULL);
}

/* Longer than the buffer: refused, not cut. */
static void
too_long(void **state)
{
	static struct policy_stream s;
	static char big[POLICY_REQUEST_MAX + 1];
	struct request req;
	int ends[2];

	(void)state;
	memset(big, 'a', sizeof(big));
	assert_int_equal(pipe(ends), 0);
	if (fork() == 0) {
		close(ends[0]);
		_exit(write(ends[1], big, sizeof(big)) < 0);
	}
	close(ends[1]);
	policy_stream_init(&s, ends[0]);
	assert_int_equal(policy_read(&s, &req), POLICY_BROKEN);
	close(ends[0]);
}

/* --- the walk, with a whitelist and a cache that the test writes --- */

static struct config cfg;
static struct policy policy;

static void
option(const char *arg)
{
	char error[CONFIG_ERROR_MAX];

	if (!config_override(&cfg, arg, error, sizeof(error)))
		fail_msg("%s", error);
}

static int
walk_prepare(void **state)
{
	static char token[] = "[reputation]\ntoken = abc\n";
	char arg[192], error[CONFIG_ERROR_MAX], text[64];

	if (unit_dir_make(state) != 0)
		return 1;
	config_init(&cfg);
	snprintf(text, sizeof(text), "%s", token);
	if (!config_parse(&cfg, "unit", text, strlen(text), error,
		sizeof(error)))
		return 1;
	snprintf(arg, sizeof(arg), "reputation.cache_dir=%s", unit_dir);
	option(arg);
	snprintf(arg, sizeof(arg), "whitelist.file=%s/whitelist", unit_dir);
	option(arg);
	unit_file("whitelist", "good.example\n198.51.100.0/24\n", 30);
	unit_file("192.0.2.71", "71\n", 3);
	unit_file("192.0.2.70", "70\ncountry=CN\n", 14);
	unit_file("192.0.2.69", "69\n", 3);
	unit_file("198.51.100.1", "100\n", 4);
	log_open("unit", "none", LOG_LEVEL_DEBUG);
	log_handler(count_lines);
	return 0;
}

static int
walk_end(void **state)
{
	log_handler(NULL);
	config_free(&cfg);
	return unit_dir_remove(state);
}

/* The reply to a client; NULL stays "". */
static const char *
ask(const char *address, const char *name, const char *reverse,
    const char *user, const char *instance)
{
	static struct policy_answer answer;
	struct request req;

	request_init(&req);
	req.request = "smtpd_access_policy";
	req.client_address = address;
	req.client_name = name;
	req.reverse_client_name = reverse;
	req.sasl_username = user;
	req.instance = instance;
	request_start(&req, cfg.filter.deadline);
	policy_walk(&policy, &req, &answer);
	return answer.reply;
}

#define DUNNO "action=DUNNO\n\n"
#define BAD "action=521 5.7.1 Bad host reputation.\n\n"

static void
verdicts(void **state)
{
	static const struct {
		const char *address, *name, *reverse, *user, *reply;
	} rows[] = {
		{ "192.0.2.71", "unknown", "unknown", "", BAD },
		{ "192.0.2.70", "unknown", "unknown", "", BAD },
		{ "192.0.2.69", "unknown", "unknown", "", DUNNO },
		{ "192.0.2.71", "mx.good.example", "mx.good.example", "",
		    DUNNO },
		{ "192.0.2.71", "notgood.example", "", "", BAD },
		{ "192.0.2.71", "good.example.evil.net", "", "", BAD },
		{ "192.0.2.71", "unknown", "mx.good.example", "",
		    "action=450 4.7.1 Bad host reputation.\n\n" },
		{ "192.0.2.71", "other.example", "mx.good.example", "", BAD },
		{ "198.51.100.1", "unknown", "unknown", "", DUNNO },
		{ "192.0.2.71", "unknown", "unknown", "user", DUNNO },
		{ "192.0.2.1", "unknown", "unknown", "", DUNNO },
		{ "unknown", "unknown", "unknown", "", DUNNO },
		{ "", "", "", "", DUNNO },
		{ "../192.0.2.71", "", "", "", DUNNO },
		{ "::ffff:192.0.2.71", "", "", "", BAD },
	};
	size_t i;

	(void)state;
	policy_init(&policy, &cfg);
	for (i = 0; i < COUNT(rows); i++)
		assert_string_equal(ask(rows[i].address, rows[i].name,
		    rows[i].reverse, rows[i].user, ""), rows[i].reply);
}

static void
once_a_message(void **state)
{
	char name[600];

	(void)state;
	policy_init(&policy, &cfg);
	memset(lines, 0, sizeof(lines));
	assert_string_equal(ask("192.0.2.71", "unknown", "", "", "i.1"), BAD);
	assert_int_equal(lines[LOG_LEVEL_INFO], 1);
	/* The second recipient: the same answer, no second line. */
	unit_file("192.0.2.71", "1\n", 2);
	assert_string_equal(ask("192.0.2.71", "unknown", "", "", "i.1"), BAD);
	assert_int_equal(lines[LOG_LEVEL_INFO], 1);
	assert_string_equal(ask("192.0.2.71", "unknown", "", "", "i.2"), DUNNO);
	/* Never another client's result, even under the same instance. */
	assert_string_equal(ask("192.0.2.70", "unknown", "", "", "i.2"), BAD);
	unit_file("192.0.2.71", "71\n", 3);
	/* Names of any length: the PTR is the client's to choose. */
	lines[LOG_LEVEL_INFO] = 0;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_string_equal(ask("192.0.2.71", name, name, "", "i.3"), BAD);
	assert_string_equal(ask("192.0.2.71", name, name, "", "i.3"), BAD);
	assert_int_equal(lines[LOG_LEVEL_INFO], 1);
	name[0] = 'm';
	assert_string_equal(ask("192.0.2.71", name, name, "", "i.3"), BAD);
	assert_int_equal(lines[LOG_LEVEL_INFO], 2);
	/* Without an instance each request stands for itself. */
	lines[LOG_LEVEL_INFO] = 0;
	assert_string_equal(ask("192.0.2.71", "unknown", "", "", ""), BAD);
	assert_string_equal(ask("192.0.2.71", "unknown", "", "", ""), BAD);
	assert_int_equal(lines[LOG_LEVEL_INFO], 2);
}

static void
settings(void **state)
{
	(void)state;
	option("filter.dry_run=yes");
	policy_init(&policy, &cfg);
	assert_string_equal(ask("192.0.2.71", "", "", "", ""), DUNNO);
	option("filter.dry_run=no");
	option("reputation.action=log");
	assert_string_equal(ask("192.0.2.71", "", "", "", ""), DUNNO);
	option("reputation.action=REJECT $score $country");
	assert_string_equal(
	    ask("192.0.2.70", "", "", "", ""), "action=REJECT 70 CN\n\n");
	option("reputation.authenticated=yes");
	assert_string_equal(
	    ask("192.0.2.70", "", "", "user", ""), "action=REJECT 70 CN\n\n");
	option("reputation.authenticated=no");
	option("filter.checks=reputation");
	policy_init(&policy, &cfg);
	assert_string_equal(ask("198.51.100.1", "", "", "", ""),
	    "action=REJECT 100 unknown\n\n");
	option("filter.checks=whitelist reputation");
	option("reputation.action=521 5.7.1 Bad host reputation.");
}

/* No abictl to ask: an error, which on_error turns into the answer. */
static void
errors(void **state)
{
	(void)state;
	option("filter.abictl=/nonexistent/abictl");
	option("filter.on_error=defer");
	policy_init(&policy, &cfg);
	assert_string_equal(ask("8.8.4.4", "", "", "", ""),
	    "action=DEFER_IF_PERMIT 4.3.0 Service temporarily "
	    "unavailable\n\n");
	/* An exemption or an act is worth more than an error. */
	assert_string_equal(ask("8.8.4.4", "good.example", "", "", ""), DUNNO);
	option("filter.on_error=dunno");
	assert_string_equal(ask("8.8.4.4", "", "", "", ""), DUNNO);
}

/* The table and the default of filter.checks are the same list. */
static void
table(void **state)
{
	char names[256] = "";
	int i;

	(void)state;
	for (i = 0; policy_checks[i] != NULL; i++) {
		strcat(names, i > 0 ? " " : "");
		strcat(names, policy_checks[i]->name);
		assert_non_null(policy_checks[i]->help);
	}
	i = config_find("filter.checks");
	assert_string_equal(names, config_options[i].fallback);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_attribute_is_read),
		cmocka_unit_test(parsing),
		cmocka_unit_test(too_many_attributes),
		cmocka_unit_test(every_split),
		cmocka_unit_test(broken_streams),
		cmocka_unit_test(too_long),
		cmocka_unit_test_setup_teardown(
		    verdicts, walk_prepare, walk_end),
		cmocka_unit_test_setup_teardown(
		    once_a_message, walk_prepare, walk_end),
		cmocka_unit_test_setup_teardown(
		    settings, walk_prepare, walk_end),
		cmocka_unit_test_setup_teardown(errors, walk_prepare, walk_end),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
