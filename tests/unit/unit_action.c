/* Which actions are good, and what becomes of them. */
#include "unit.h"

#include "config/action.h"

static void
checked(void **state)
{
	static const char *const good[] = { "REJECT", "reject", "REJECT no",
		"521 5.7.1 Bad host reputation.", "450 4.7.1 Later",
		"550 No", "HOLD", "hold", "log", "LOG", "DISCARD", "DUNNO",
		"DEFER", "DEFER_IF_PERMIT 4.3.0 Later", "DEFER_IF_REJECT",
		"WARN seen $score", "INFO ${reason}", "PREPEND X-Score: $score",
		"REDIRECT abuse@example.com", "BCC abuse@example.com",
		"FILTER smtp:[127.0.0.1]", "REJECT costs 5$$" };
	static const char *const bad[] = { "", "OK", "ok", "Ok text", "PERMIT",
		"permit", "521", "5", "250 fine", "999 x", "99 x", "521x y",
		"5210 text", "521 ", "521 5.7.1", "521 5.7.1 ", "521 4.7.1 no",
		"450 5.7.1 no", "BANANA", "REJECTED", "permit_mynetworks",
		"PREPEND X-Score", "PREPEND $country: x", "REDIRECT nobody",
		"REDIRECT $sasl_username", "BCC a@$client_name", "FILTER x",
		"PREPEND", "REDIRECT", "BCC ", "FILTER", "DUNNO text",
		"log text", "REJECT $unknown", "REJECT ${score", "REJECT $",
		"REJECT a\tb", "REJECT caf\xc3\xa9", "REJECT a\nb", "\"x\"" };
	char long_one[ACTION_MAX + 8] = "REJECT ";
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++)
		if (action_check(good[i]) != NULL)
			fail_msg("%s: %s", good[i], action_check(good[i]));
	for (i = 0; i < COUNT(bad); i++)
		if (action_check(bad[i]) == NULL)
			fail_msg("accepted: %s", bad[i]);
	memset(long_one + 7, 'x', sizeof(long_one) - 8);
	assert_non_null(action_check(long_one));
}

static void
expanded(void **state)
{
	static const struct action_values values = {
		.client_address = "192.0.2.1",
		.client_name = "h\nost\xc3\xa9$score",
		.sasl_username = "user@example.com",
		.score = "71", .country = "CN", .reason = "why",
	};
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "REJECT score $score", "REJECT score 71" },
		{ "REJECT ${score}x", "REJECT 71x" },
		{ "REJECT $client_address/$country", "REJECT 192.0.2.1/CN" },
		{ "REJECT $client_name", "REJECT h?ost??$score" },
		{ "REJECT $$score", "REJECT $score" },
		{ "REJECT $reason, $sasl_username",
		    "REJECT why, user@example.com" },
	};
	char out[ACTION_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		action_expand(out, sizeof(out), rows[i].in, &values);
		assert_string_equal(out, rows[i].out);
	}
}

/* "521 " alone would be something else to Postfix. */
static void
empty_values(void **state)
{
	static const struct action_values none = { "", "", "", "", "", "" };
	char out[ACTION_MAX];

	(void)state;
	action_expand(out, sizeof(out), "521 $country", &none);
	assert_string_equal(out, "521 unknown");
}

static void
expansion_is_bounded(void **state)
{
	char name[4096], out[ACTION_MAX];
	struct action_values values = { name, name, name, name, name, name };

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	action_expand(out, sizeof(out), "REJECT $client_name$reason", &values);
	assert_int_equal(strlen(out), ACTION_MAX - 1);
}

static void
softened(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "521 5.7.1 Bad host", "450 4.7.1 Bad host" },
		{ "550 Bad host", "450 4.7.1 Bad host" },
		{ "REJECT", "450 4.7.1 Access denied" },
		{ "REJECT 5.7.1 Bad", "450 4.7.1 Bad" },
		{ "reject Bad", "450 4.7.1 Bad" },
		{ "450 4.7.1 Later", "450 4.7.1 Later" },
		{ "DEFER Later", "DEFER Later" },
		{ "HOLD", "HOLD" },
	};
	char action[ACTION_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(action, sizeof(action), "%s", rows[i].in);
		action_soften(action, sizeof(action));
		assert_string_equal(action, rows[i].out);
	}
}

static void
kinds(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "521 5.7.1 x", "reject" }, { "REJECT", "reject" },
		{ "reject x", "reject" }, { "450 x", "defer" },
		{ "DEFER_IF_PERMIT x", "defer" }, { "HOLD", "hold" },
		{ "PREPEND X: y", "prepend" },
	};
	char out[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		action_kind(out, sizeof(out), rows[i].in);
		assert_string_equal(out, rows[i].out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checked),
		cmocka_unit_test(expanded),
		cmocka_unit_test(empty_values),
		cmocka_unit_test(expansion_is_bounded),
		cmocka_unit_test(softened),
		cmocka_unit_test(kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
