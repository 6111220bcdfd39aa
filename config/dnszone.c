/*
 * dnszone - DNS lists of clients and recipients: names to ask, answers.
 */
#include "config/dnszone.h"

#include <locale.h>
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wchar.h>
#include <wctype.h>

#include "base/text.h"

#define LABEL_MAX 63
#define KEY_LENGTH 16 /* a label this long is no word: it is a key */
#define NAME_LENGTH 253 /* of a DNS name as text, RFC 1035 */

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/* --- the configuration's text --- */

/* A number or a range of one octet at s. The rest, NULL if it is neither. */
static const char *
range_parse(const char *s, unsigned char *set)
{
	char *end;
	long low, high, i;

	if (*s < '0' || *s > '9')
		return NULL;
	low = high = strtol(s, &end, 10);
	s = end;
	if (s[0] == '.' && s[1] == '.') {
		s += 2;
		if (*s < '0' || *s > '9')
			return NULL;
		high = strtol(s, &end, 10);
		s = end;
	}
	if (high > 255 || low > high)
		return NULL;
	for (i = low; i <= high; i++)
		set[i / 8] = (unsigned char)(set[i / 8] | 1 << i % 8);
	return s;
}

/* An octet: a number, or a set in brackets. The rest, NULL if it is none. */
static const char *
octet_parse(const char *s, unsigned char *set)
{
	char *end;
	long value;

	if (*s != '[') {
		value = strtol(s, &end, 10);
		if (*s < '0' || *s > '9' || value > 255)
			return NULL;
		set[value / 8] =
		    (unsigned char)(set[value / 8] | 1 << value % 8);
		return end;
	}
	do
		s = range_parse(s + 1, set);
	while (s != NULL && *s == ';');
	return s != NULL && *s == ']' ? s + 1 : NULL;
}

/* A code at s. The rest, NULL if it is none. */
static const char *
code_parse(const char *s, struct dnszone_code *code)
{
	int i;

	memset(code, 0, sizeof(*code));
	for (i = 0; i < 4; i++) {
		if (i > 0 && *s++ != '.')
			return NULL;
		s = octet_parse(s, code->octet[i]);
		if (s == NULL)
			return NULL;
	}
	return s;
}

/* The codes after the `='. What is wrong with them. */
static const char *
codes_parse(const char *s, const char *end, struct dnszone *z)
{
	for (;; s++) {
		if (z->code_count == DNSZONE_CODES_MAX)
			return "too many codes for a zone";
		s = code_parse(s, &z->code[z->code_count]);
		if (s == NULL || s > end || (s < end && *s != ','))
			return "a code looks like 127.0.0.4 or 127.0.0.[2..9]";
		z->code_count++;
		if (s == end)
			return NULL;
	}
}

/* Is this label the place of the key? */
static bool
label_is_apikey(const char *label, size_t n)
{
	return (n == 7 && memcmp(label, "$apikey", n) == 0) ||
	    (n == 9 && memcmp(label, "${apikey}", n) == 0);
}

static bool
label_good(const char *label, size_t n)
{
	return n > 0 && n <= LABEL_MAX && strspn(label, name_chars) >= n;
}

/*
 * The name before the `=': checks it and puts it together. *left_out: it needs
 * a key that there is not. What is wrong with it.
 */
static const char *
name_parse(const char *s, const char *end, const char *apikey,
    struct dnszone *z, bool *left_out)
{
	struct text name, shown;
	size_t n;

	*left_out = false;
	text_init(&name, z->name, sizeof(z->name));
	text_init(&shown, z->shown, sizeof(z->shown));
	for (;; s += n + 1) {
		n = strcspn(s, ".=");
		if (label_is_apikey(s, n)) {
			if (apikey == NULL ||
			    !label_good(apikey, strlen(apikey)))
				*left_out = true;
			else
				text_addf(&name, "%s.", apikey);
		} else if (!label_good(s, n))
			return "a zone is not a DNS name";
		else {
			text_addf(&name, "%.*s.", (int)n, s);
			text_addf(&shown, "%.*s.", n < KEY_LENGTH ? (int)n : 3,
			    n < KEY_LENGTH ? s : "...");
		}
		if (s + n == end)
			break;
	}
	if (name.cut || name.len > NAME_LENGTH - 2 * 40)
		return "a zone's name is too long";
	/* Each label has left a dot after it. */
	if (name.len > 0)
		z->name[name.len - 1] = '\0';
	if (shown.len > 0)
		z->shown[shown.len - 1] = '\0';
	return NULL;
}

const char *
dnszone_parse(const char *text, const char *apikey, struct dnszone *zones,
    int *count)
{
	const char *s = text, *equals, *end, *wrong;
	struct dnszone z;
	bool left_out;

	*count = 0;
	for (s += strspn(s, " \t"); *s != '\0'; s = end + strspn(end, " \t")) {
		end = s + strcspn(s, " \t");
		equals = memchr(s, '=', (size_t)(end - s));
		if (equals == NULL)
			return "expected zone=code";
		z.code_count = 0;
		wrong = name_parse(s, equals, apikey, &z, &left_out);
		if (wrong == NULL)
			wrong = codes_parse(equals + 1, end, &z);
		if (wrong != NULL)
			return wrong;
		if (left_out)
			continue;
		if (*count == DNSZONE_MAX)
			return "too many zones";
		if (zones != NULL)
			zones[*count] = z;
		++*count;
	}
	return NULL;
}

bool
dnszone_has_key(const char *text)
{
	size_t n;

	for (; *text != '\0'; text += n + (text[n] != '\0')) {
		n = strcspn(text, ".= \t");
		if (n >= KEY_LENGTH && strspn(text, name_chars) >= n)
			return true;
		if (text[n] == '=')
			n += strcspn(text + n, " \t");
	}
	return false;
}

/* --- names to ask --- */

/* A name of what is asked for and the zone. */
static bool
name_join(struct text *t, const struct dnszone *z)
{
	text_add(t, z->name);
	return !t->cut && t->len <= NAME_LENGTH;
}

bool
dnszone_address(const struct dnszone *z, const struct address *a, char *out,
    size_t size)
{
	struct text t;
	int i;

	text_init(&t, out, size);
	for (i = address_bits(a) / 8 - 1; i >= 0; i--) {
		if (a->family == AF_INET)
			text_addf(&t, "%d.", a->bytes[i]);
		else
			text_addf(&t, "%x.%x.", a->bytes[i] & 15,
			    a->bytes[i] >> 4);
	}
	return name_join(&t, z);
}

/*
 * Folds to lower case by Unicode; text that is not UTF-8 only in its ASCII
 * letters. False when it does not fit.
 */
static bool
fold(const char *in, char *out, size_t size)
{
	static locale_t unicode;
	wchar_t wide[1024];
	locale_t old;
	size_t n = (size_t)-1, i;

	if ((size_t)snprintf(out, size, "%s", in) >= size)
		return false;
	text_lower(out);
	for (i = 0; out[i] != '\0' && (unsigned char)out[i] < 0x80; i++)
		;
	if (out[i] == '\0')
		return true;
	if (unicode == (locale_t)0)
		unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (unicode == (locale_t)0)
		return true;
	old = uselocale(unicode);
	n = mbstowcs(wide, in, sizeof(wide) / sizeof(wide[0]));
	if (n != (size_t)-1 && n < sizeof(wide) / sizeof(wide[0])) {
		for (i = 0; i < n; i++)
			wide[i] = (wchar_t)towlower((wint_t)wide[i]);
		n = wcstombs(out, wide, size);
		if (n == (size_t)-1 || n >= size) {
			snprintf(out, size, "%s", in);
			text_lower(out);
		}
	}
	uselocale(old);
	return true;
}

bool
dnszone_recipient(const struct dnszone *z, const char *recipient, char *out,
    size_t size)
{
	char folded[1024], digest[SHA1_DIGEST_STRING_LENGTH];
	struct text t;

	text_init(&t, out, size);
	if (!fold(recipient, folded, sizeof(folded)))
		return false;
	SHA1Data((const uint8_t *)folded, strlen(folded), digest);
	text_addf(&t, "%s.", digest);
	return name_join(&t, z);
}

/*
 * Nobody can have an address under .invalid (RFC 2606); it is random, so that
 * nobody can have put its hash on a list either, or know the answer already.
 */
static void
recipient_invent(char *out, size_t size)
{
	uint64_t r[2] = { 0 };

	(void)!getrandom(r, sizeof(r), GRND_NONBLOCK);
	snprintf(out, size, "%016llx%016llx@test.invalid",
	    (unsigned long long)r[0], (unsigned long long)r[1]);
}

void
dnszone_point(const struct dnszone *z, enum dnszone_point point, char *out,
    size_t size, const char **shown)
{
	static const struct {
		const char *shown;
		struct address address;
	} points[] = {
		[DNSZONE_NEVER_IPV4] = { "127.0.0.1",
		    { AF_INET, { 127, 0, 0, 1 } } },
		[DNSZONE_NEVER_IPV6] = { "::FFFF:7F00:1",
		    { AF_INET6, { [10] = 255, 255, 127, 0, 0, 1 } } },
		[DNSZONE_NEVER_RECIPIENT] = { .shown = "a made-up recipient" },
		[DNSZONE_ALWAYS_IPV4] = { "127.0.0.2",
		    { AF_INET, { 127, 0, 0, 2 } } },
		[DNSZONE_ALWAYS_IPV6] = { "::FFFF:7F00:2",
		    { AF_INET6, { [10] = 255, 255, 127, 0, 0, 2 } } },
	};
	char recipient[64];

	*shown = points[point].shown;
	/* A zone's name leaves room for both. */
	if (point == DNSZONE_NEVER_RECIPIENT) {
		recipient_invent(recipient, sizeof(recipient));
		dnszone_recipient(z, recipient, out, size);
	} else
		dnszone_address(z, &points[point].address, out, size);
}

/* --- answers --- */

/* Answers that are never a listing, whatever is configured. */
static bool
answer_is_error(const unsigned char *octet)
{
	return octet[0] != 127 || (octet[1] == 255 && octet[2] == 255) ||
	    (octet[1] == 0 && octet[2] == 0 && octet[3] <= 1);
}

static bool
code_matches(const struct dnszone_code *code, const unsigned char *octet)
{
	int i;

	for (i = 0; i < 4; i++)
		if ((code->octet[i][octet[i] / 8] >> octet[i] % 8 & 1) == 0)
			return false;
	return true;
}

enum dnszone_verdict
dnszone_judge(const struct dnszone *z, const struct in_addr *records,
    size_t count, struct in_addr *which)
{
	enum dnszone_verdict verdict = DNSZONE_NOT_LISTED;
	unsigned char octet[4];
	size_t i;
	int k;

	for (i = 0; i < count; i++) {
		memcpy(octet, &records[i], sizeof(octet));
		if (answer_is_error(octet)) {
			if (verdict != DNSZONE_WRONG)
				*which = records[i];
			verdict = DNSZONE_WRONG;
			continue;
		}
		for (k = 0; k < z->code_count; k++)
			if (code_matches(&z->code[k], octet)) {
				*which = records[i];
				return DNSZONE_LISTED;
			}
		if (verdict == DNSZONE_NOT_LISTED) {
			verdict = DNSZONE_OTHER;
			*which = records[i];
		}
	}
	return verdict;
}
