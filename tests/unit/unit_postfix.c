/*
 * abictl postfix: lists of restrictions, and the text of main.cf and master.cf.
 */
#include "unit.h"

#include "ctl/postfix/cf.h"
#include "ctl/postfix/list.h"

/* --- lists --- */

static void
test_places(void **state)
{
	static const struct {
		const char *list, *stop, *users, *odd; /* what begins there */
		bool stopped;
		size_t permits;
	} rows[] = {
	    {"", "", "", "", false, 0},
	    {" ,\t", " ,\t", " ,\t", "", false, 0},
	    {"permit_mynetworks, reject", "reject", "reject", "", true, 17},
	    {"warn_if_reject reject, a", "", "", "", false, 0},
	    {"reject_unauth_destination , permit_sasl_authenticated,", ",",
		"permit_sasl_authenticated,", "", false, 53},
	    {"check_policy_service { unix:x, permit, reject }, y", "", "", "",
		false, 0},
	    {"a, mine, permit", "permit", "permit", "mine", true, 0},
	};
	struct list_places l;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		list_look(rows[i].list, "other mine", &l);
		assert_string_equal(rows[i].list + l.stop, rows[i].stop);
		assert_string_equal(rows[i].list + l.users, rows[i].users);
		assert_string_equal(l.odd, rows[i].odd);
		assert_int_equal(l.stopped, rows[i].stopped);
		assert_int_equal(l.permits, rows[i].permits);
	}
}

static void
test_with_and_without(void **state)
{
	static const struct {
		const char *list;
		size_t at;
		const char *with, *without;
	} rows[] = {
	    {"", 0, "X { u:y, z }", ""},
	    {"a", 1, "a, X { u:y, z }", "a"},
	    {"a", 0, "X { u:y, z }, a", "a"},
	    {" a , b,", 4, "a, X { u:y, z }, b", "a, b"},
	    {"a b", 2, "a, X { u:y, z }, b", "a, b"},
	    {"X u:other", 9, "X u:other, X { u:y, z }", "X u:other"},
	};
	char *with, *without;
	int count;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		with = list_with(rows[i].list, rows[i].at, "X { u:y, z }");
		assert_string_equal(with, rows[i].with);
		assert_true(list_has(with, "X", "u:y"));
		without = list_without(with, "X", "u:y", &count);
		assert_int_equal(count, 1);
		assert_string_equal(without, rows[i].without);
		assert_false(list_has(without, "X", "u:y"));
		free(with);
		free(without);
	}
}

static void
test_squeeze(void **state)
{
	char plain[] = "a, b \t c", braces[] = "a { b }";

	(void)state;
	assert_true(list_squeeze(plain));
	assert_string_equal(plain, "a,b,c");
	assert_false(list_squeeze(braces));
}

/* --- files --- */

static void
test_entries(void **state)
{
	static const char text[] =
	    " lost\n# c\na = 1\n\n# in a\n  2\n#after\nb=\nc\t=  3";
	static const struct {
		const char *key;
		size_t len;
	} rows[] = {{"a", 18}, {"b", 3}, {"c", 6}};
	const char *s = text;
	struct cf_entry e;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_true(cf_next(CF_MAIN, &s, &e));
		assert_string_equal(e.key, rows[i].key);
		assert_int_equal(e.len, rows[i].len);
	}
	assert_false(cf_next(CF_MAIN, &s, &e));
	assert_int_equal(cf_find(CF_MASTER, "x\tinet n\nx unix n\nx inet m\n",
			     "x/inet", &e), 2);
	assert_int_equal(e.len, 9);
}

static char edited[64];

static void
edited_note(void *arg, enum cf_kind kind, const char *key)
{
	size_t n = strlen(edited);

	(void)arg;
	(void)kind;
	snprintf(edited + n, sizeof(edited) - n, "%s;", key);
}

static bool
keeps_b(void *arg, enum cf_kind kind, const char *key)
{
	(void)arg;
	(void)kind;
	return strcmp(key, "b") == 0;
}

static void
test_undo(void **state)
{
	static const struct {
		enum cf_kind kind;
		const char *before, *after, *now, *result, *edited;
	} rows[] = {
	    /* as it was left, and as before */
	    {CF_MAIN, "a = 1", "a = 2\n", "a = 2\n", "a = 1", ""},
	    {CF_MAIN, "a = 1", "a = 2\n", "a = 1", "a = 1", ""},
	    /* beside something else */
	    {CF_MAIN, "a = 1", "a = 2\nb = 3\n", "x = y\na = 2\nb = 3\n# z\n",
		"x = y\na = 1\n# z\n", ""},
	    {CF_MAIN, "a =\n 1\n# c\n 2\n# d\n", "a = 2\n# c\n# d\n",
		"a = 2\n# c\n# d\n# e\n", "a =\n 1\n# c\n 2\n# d\n# e\n", ""},
	    {CF_MAIN, "a =\n 1\n# c\n 2\n", "a = 2\n# c\n",
		"a = 2\n# other\n", "a =\n 1\n 2\n# other\n", ""},
	    {CF_MASTER, "s inet n\n# c\n -o x\n# d\np unix\n",
		"# c\n# d\ns inet n -o y\np unix\n",
		"# c\n# d\ns inet n -o y\np unix m\n",
		"s inet n\n# c\n -o x\n# d\np unix m\n", ""},
	    /* changed since, or gone */
	    {CF_MAIN, "a = 1\n", "a = 2\nb = 3\n", "a = 4\nb = 3\n", "a = 4\n",
		"a;"},
	    {CF_MAIN, "a = 1\n", "a = 2\nb = 3\n", "c = 5\nb = 3", "c = 5\n",
		""},
	};
	struct cf_undo u = {.edited = edited_note};
	char *result;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		edited[0] = '\0';
		result = cf_undo(rows[i].kind, rows[i].before, rows[i].after,
		    rows[i].now, &u);
		assert_string_equal(result, rows[i].result);
		assert_string_equal(edited, rows[i].edited);
		free(result);
	}
	u.keep = keeps_b;
	result =
	    cf_undo(CF_MAIN, "a = 1\n", "a = 2\nb = 3\n", "a = 2\nb = 3\n", &u);
	assert_string_equal(result, "a = 1\nb = 3\n");
	free(result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_with_and_without),
		cmocka_unit_test(test_squeeze),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_undo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
