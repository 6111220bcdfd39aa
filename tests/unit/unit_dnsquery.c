/* Answers as the network gives them: which records belong to the question. */
#include "unit.h"

#include <arpa/inet.h>

#include "filter/dnsquery.h"

#define NAME "4.8.zone.test"
#define IN_A "\0\1\0\1"
#define QUESTION "\1" "4" "\1" "8" "\4zone\4test\0" IN_A
#define ASKED "\xc0\x0c" /* the question's name */
#define ALIAS "\1" "a\4test\0"
#define UPPER "\1" "A\4TEST\0"
#define OTHER "\1" "b\4test\0"
#define TTL "\0\0\0\x3c"
#define A(last) IN_A TTL "\0\4\x7f\0\0" last
#define CNAME "\0\5\0\1" TTL "\0\x08" /* the names above are that long */
#define BYTES(s) s, sizeof(s) - 1

static struct in_addr found[DNSQUERY_RECORDS_MAX];
static unsigned char message[70000];

/* An answer to `question' of so many records. Its length. */
static int
build(unsigned count, const char *question, size_t qlen, const char *records,
    size_t len)
{
	const unsigned char head[12] = { 0x12, 0x34, 0x81, 0x80, 0, 1,
		(unsigned char)(count >> 8), (unsigned char)count };

	memcpy(message, head, sizeof(head));
	memcpy(message + sizeof(head), question, qlen);
	memcpy(message + sizeof(head) + qlen, records, len);
	return (int)(sizeof(head) + qlen + len);
}

/* The last octets of what was found, as text; "?": not readable. */
static const char *
parse(const char *name, int len)
{
	static char text[256];
	/* Of its own size, so that reading too far is noticed. */
	unsigned char *copy = malloc((size_t)len + 1);
	int n, i;

	assert_non_null(copy);
	memcpy(copy, message, (size_t)len);
	n = dnsquery_parse(name, copy, len, found, DNSQUERY_RECORDS_MAX);
	free(copy);
	text[0] = '\0';
	for (i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%u", ntohl(found[i].s_addr) & 255);
	return n < 0 ? "?" : text;
}

static const struct row {
	const char *what;
	unsigned count;
	const char *records;
	size_t len;
	const char *found;
} rows[] = {
	{ "nothing", 0, BYTES(""), "" },
	{ "two", 2, BYTES(ASKED A("\4") ASKED A("\5")), "45" },
	{ "name in full", 1, BYTES("\1" "4\1" "8\4zone\4test\0" A("\4")), "4" },
	{ "in upper case", 1, BYTES("\1" "4\1" "8\4ZONE\4Test\0" A("\4")),
	    "4" },
	{ "in part", 1, BYTES("\1" "4\xc0\x0e" A("\4")), "4" },
	{ "another name", 1, BYTES(OTHER A("\4")), "" },
	{ "name above", 1, BYTES("\xc0\x0e" A("\4")), "" },
	{ "name below", 1, BYTES("\1x\xc0\x0c" A("\4")), "" },
	{ "the root", 1, BYTES("\0" A("\4")), "" },
	{ "dot in a label", 1, BYTES("\3" "4.8\4zone\4test\0" A("\4")), "" },
	{ "NUL in a label", 1, BYTES("\2" "4\0\1" "8\4zone\4test\0" A("\4")),
	    "" },
	{ "one of two", 2, BYTES(OTHER A("\4") ASKED A("\5")), "5" },
	{ "alias", 2, BYTES(ASKED CNAME ALIAS ALIAS A("\4")), "4" },
	{ "alias after", 2, BYTES(ALIAS A("\4") ASKED CNAME ALIAS), "4" },
	{ "alias in upper case", 2, BYTES(ASKED CNAME UPPER ALIAS A("\4")),
	    "4" },
	{ "two aliases", 3, BYTES(ALIAS CNAME OTHER OTHER A("\4")
	    ASKED CNAME ALIAS), "4" },
	{ "alias of another", 2, BYTES(ASKED CNAME ALIAS OTHER A("\4")), "" },
	{ "another's alias", 2, BYTES(OTHER CNAME ALIAS ALIAS A("\4")), "" },
	{ "alias of the question", 2, BYTES("\1" "b\4test\0\0\5\0\1" TTL
	    "\0\2" ASKED OTHER A("\4")), "" },
	{ "alias of nothing", 1, BYTES(ASKED CNAME ALIAS), "" },
	{ "circle", 3, BYTES(ASKED CNAME ALIAS ALIAS "\0\5\0\1" TTL "\0\2"
	    ASKED ALIAS A("\4")), "4" },
	{ "alias of itself", 1, BYTES(ASKED "\0\5\0\1" TTL "\0\2" ASKED), "" },
	{ "other class", 1, BYTES(ASKED "\0\1\0\3" TTL "\0\4\x7f\0\0\4"), "" },
	{ "other class, other size", 1, BYTES(ASKED "\0\1\0\3" TTL "\0\1x"),
	    "" },
	{ "other type", 2, BYTES(ASKED "\0\x10\0\1" TTL "\0\4\3abc" ASKED
	    A("\4")), "4" },
	{ "fewer than said", 2, BYTES(ASKED A("\4")), "?" },
	{ "more than said", 1, BYTES(ASKED A("\4") ASKED A("\5")), "4" },
	{ "cut", 1, BYTES(ASKED IN_A TTL "\0\4\x7f\0\0"), "?" },
	{ "cut before its length", 1, BYTES(ASKED IN_A TTL "\0"), "?" },
	{ "no address", 1, BYTES(ASKED IN_A TTL "\0\0"), "?" },
	{ "short address", 1, BYTES(ASKED IN_A TTL "\0\3\x7f\0\0"), "?" },
	{ "long address", 1, BYTES(ASKED IN_A TTL "\0\5\x7f\0\0\4\0"), "?" },
	{ "alias too long", 1, BYTES(ASKED "\0\5\0\1" TTL "\0\x09" ALIAS "x"),
	    "?" },
	{ "alias too short", 1, BYTES(ASKED "\0\5\0\1" TTL "\0\7" ALIAS), "?" },
	{ "alias that is cut", 1, BYTES(ASKED "\0\5\0\1" TTL "\0\2\5x"), "?" },
	{ "pointer to itself", 1, BYTES("\xc0\x1f" A("\4")), "?" },
	{ "pointer forward", 1, BYTES("\xc0\x21" A("\4")), "?" },
	{ "pointer beyond", 1, BYTES("\xff\xff" A("\4")), "?" },
	{ "half a pointer", 1, BYTES("\xc0"), "?" },
	{ "pointer into the header", 1, BYTES("\xc0\x06" A("\4")), "" },
	{ "label of an unknown kind", 1, BYTES("\x41" "a\0" A("\4")), "?" },
	{ "another after what is not readable", 2,
	    BYTES(ASKED A("\4") "\xff\xff" A("\5")), "?" },
};

static void
only_what_belongs_to_the_question(void **state)
{
	const char *text;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		text = parse(NAME, build(rows[i].count, BYTES(QUESTION),
		    rows[i].records, rows[i].len));
		if (strcmp(text, rows[i].found) != 0)
			fail_msg("%s: %s", rows[i].what, text);
	}
}

/* Each beginning of an answer, and each name that is none. */
static void
what_is_cut_is_not_readable(void **state)
{
	int len, i;

	(void)state;
	len = build(2, BYTES(QUESTION), BYTES(ASKED CNAME ALIAS ALIAS A("\4")));
	assert_string_equal(parse(NAME, len), "4");
	for (i = 0; i < len; i++)
		if (strcmp(parse(NAME, i), "?") != 0)
			fail_msg("%d bytes", i);
	assert_string_equal(parse("", len), "");
	assert_string_equal(parse("4..zone.test", len), "?");
	assert_int_equal(dnsquery_parse(NAME, message, -1, found, 1), -1);
}

/* Two questions, or none: not an answer to ours. */
static void
one_question(void **state)
{
	int len;

	(void)state;
	len = build(1, BYTES(QUESTION), BYTES(ASKED A("\4")));
	message[5] = 0;
	assert_string_equal(parse(NAME, len), "?");
	message[5] = 2;
	assert_string_equal(parse(NAME, len), "?");
}

/* The same record so many times. The length of all. */
static size_t
repeat(char *out, size_t times, const char *record, size_t len)
{
	size_t i;

	for (i = 0; i < times; i++)
		memcpy(out + i * len, record, len);
	return times * len;
}

/* As many as there is room for, and chains as long as resolvers follow them. */
static void
there_are_limits(void **state)
{
	char chain[40 * 30], *s;
	unsigned length, i;
	size_t len;

	(void)state;
	len = repeat(chain, 9, BYTES(ASKED A("\4")));
	assert_int_equal(dnsquery_parse(NAME, message,
	    build(9, BYTES(QUESTION), chain, len), found, 3), 3);
	/* Backwards, so that it takes a look at all for each alias. */
	for (length = 1; length <= 30; length++) {
		s = chain;
		for (i = length; i > 0; i--) {
			*s++ = 1;
			*s++ = (char)('a' + i);
			*s++ = '\0';
			if (i == length) {
				memcpy(s, A("\4"), 14);
				s += 14;
			} else {
				memcpy(s, "\0\5\0\1" TTL "\0\3", 10);
				s += 10;
				*s++ = 1;
				*s++ = (char)('a' + i + 1);
				*s++ = '\0';
			}
		}
		memcpy(s, ASKED "\0\5\0\1" TTL "\0\3\1b", 15);
		s += 15;
		assert_string_equal(parse(NAME, build(length + 1,
		    BYTES(QUESTION), chain, (size_t)(s - chain))),
		    length <= 16 ? "4" : "");
	}
}

/* 64 KiB of the worst kind are read in no time. */
static void
a_long_answer(void **state)
{
	static char records[65000];
	const size_t aliases = sizeof(records) / 26;
	const unsigned count = DNSQUERY_RECORDS_MAX - 100;
	size_t len;

	(void)state;
	len = repeat(records, aliases, BYTES(ASKED CNAME ALIAS));
	assert_in_range(len, 50000, sizeof(records));
	assert_string_equal(parse(NAME, build((unsigned)aliases,
	    BYTES(QUESTION), records, len)), "");
	len = repeat(records, count, BYTES(ASKED A("\1")));
	assert_int_equal(dnsquery_parse(NAME, message, build(count,
	    BYTES(QUESTION), records, len), found, DNSQUERY_RECORDS_MAX),
	    count);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_belongs_to_the_question),
		cmocka_unit_test(what_is_cut_is_not_readable),
		cmocka_unit_test(one_question),
		cmocka_unit_test(there_are_limits),
		cmocka_unit_test(a_long_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
