/*
 * text - small, bounded operations on strings.
 */
#include "base/text.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
text_init(struct text *t, char *buf, size_t size)
{
	t->buf = buf;
	t->size = size;
	t->len = 0;
	t->cut = false;
	buf[0] = '\0';
}

void
text_add(struct text *t, const char *s)
{
	size_t n = strlen(s), room = t->size - t->len - 1;

	if (n > room) {
		n = room;
		t->cut = true;
	}
	memcpy(t->buf + t->len, s, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

void
text_add_quoted(struct text *t, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./:=@%+,-";

	if (word[0] != '\0' && word[0] != '-' &&
	    word[strspn(word, plain)] == '\0') {
		text_add(t, word);
		return;
	}
	text_add(t, "'");
	for (; *word != '\0'; word++)
		text_addf(t, *word == '\'' ? "'\\''" : "%c", *word);
	text_add(t, "'");
}

void
text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	size_t room = t->size - t->len;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= room) {
		n = (int)room - 1;
		t->cut = true;
	}
	t->len += (size_t)n;
	t->buf[t->len] = '\0';
}

void
text_add_field(struct text *t, const char *name, const char *value, size_t max)
{
	char shown[256];
	char *s;

	snprintf(shown, sizeof(shown), "%.*s", (int)max, value);
	for (s = shown; (s = strpbrk(s, "<>\"")) != NULL; s++)
		*s = '?';
	text_addf(t, " %s=<%s>", name, shown);
}

size_t
text_utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n, i;
	uint32_t c;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	c = s[0] & (0xffu >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) ||
	    (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	/*
	 * C1 controls and the line and paragraph separators end lines too;
	 * marks of direction make a line look like another.
	 */
	if (c < 0xa0 || c == 0x200e || c == 0x200f ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return n;
}

size_t
text_printable(char *out, size_t size, const char *in)
{
	const unsigned char *s = (const unsigned char *)in;
	size_t len = 0, n;

	while (*s != '\0' && len + 1 < size) {
		if (*s >= 0x20 && *s < 0x7f) {
			out[len++] = (char)*s++;
			continue;
		}
		n = *s < 0x80 ? 0 : text_utf8_length((const char *)s);
		if (n == 0) {
			out[len++] = '?';
			s++;
			continue;
		}
		if (len + n + 1 > size)
			break;
		memcpy(out + len, s, n);
		len += n;
		s += n;
	}
	out[len] = '\0';
	return len;
}

size_t
text_ascii(char *out, size_t size, const char *in)
{
	size_t len;

	for (len = 0; in[len] != '\0' && len + 1 < size; len++)
		out[len] = in[len] >= 0x20 && in[len] < 0x7f ? in[len] : '?';
	out[len] = '\0';
	return len;
}

const char *
text_inner(const char *s, size_t *n)
{
	s += strspn(s, " \t\r\n");
	for (*n = strlen(s); *n > 0; (*n)--)
		if (strchr(" \t\r\n", s[*n - 1]) == NULL)
			break;
	return s;
}

char *
text_trim(char *s)
{
	size_t n;

	s += text_inner(s, &n) - s;
	s[n] = '\0';
	return s;
}

bool
text_listed(const char *list, const char *word, size_t n)
{
	static const char separators[] = ", \t\r\n";
	size_t len;

	for (list += strspn(list, separators); *list != '\0';
	     list += len, list += strspn(list, separators)) {
		len = strcspn(list, separators);
		if (len == n && strncmp(list, word, n) == 0)
			return true;
	}
	return false;
}

void
text_lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

bool
text_country(const char *s, size_t n, char out[3])
{
	static const char unknown[][3] = { "ZZ", "XX", "EU", "AP" };
	size_t i;

	if (n != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z')
		return false;
	memcpy(out, s, 2);
	out[2] = '\0';
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (strcmp(out, unknown[i]) == 0)
			out[0] = '\0';
	return true;
}

/* As text_number, for the digits at the beginning; *end is what follows. */
static bool
leading_number(const char *s, long min, long max, long *out, const char **end)
{
	bool negative = *s == '-';
	long v = 0;

	s += negative;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (LONG_MAX - 9) / 10)
			return false;
		v = v * 10 + (*s - '0');
	}
	if (negative)
		v = -v;
	if (v < min || v > max)
		return false;
	*out = v;
	*end = s;
	return true;
}

bool
text_number(const char *s, long min, long max, long *out)
{
	const char *end;
	long v;

	if (!leading_number(s, min, max, &v, &end) || *end != '\0')
		return false;
	*out = v;
	return true;
}

bool
text_duration(const char *s, long min, long max, long *out)
{
	static const char units[] = "smhdw";
	static const long seconds[] = { 1, 60, 3600, 86400, 604800 };
	const char *end, *unit;
	long v, scale = 1;

	if (!leading_number(s, 0, LONG_MAX, &v, &end))
		return false;
	if (*end != '\0') {
		unit = strchr(units, *end);
		if (unit == NULL || end[1] != '\0')
			return false;
		scale = seconds[unit - units];
	}
	if (v > LONG_MAX / scale)
		return false;
	v *= scale;
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool
text_rate(const char *s, long *limit, long *period)
{
	char number[16];
	const char *slash = strchr(s, '/');
	size_t n;

	*limit = *period = 0;
	if (slash == NULL)
		return strcmp(s, "0") == 0;
	n = (size_t)(slash - s);
	if (n >= sizeof(number))
		return false;
	memcpy(number, s, n);
	number[n] = '\0';
	return text_number(number, 0, 1000000, limit) &&
	    text_duration(slash + 1, 1, 366 * 86400L, period);
}

void
text_time(char *out, size_t size, time_t t)
{
	struct tm tm;

	if (t == 0)
		snprintf(out, size, "-");
	else if (gmtime_r(&t, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
	    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, size, "?");
}

void
text_age(char *out, size_t size, long seconds)
{
	if (seconds >= 2 * 86400)
		snprintf(out, size, "%ldd", seconds / 86400);
	else if (seconds >= 2 * 3600)
		snprintf(out, size, "%ldh", seconds / 3600);
	else if (seconds >= 2 * 60)
		snprintf(out, size, "%ldm", seconds / 60);
	else
		snprintf(out, size, "%lds", seconds);
}

size_t
text_mark(const char *s, size_t n)
{
	return n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

char *
text_line(char **cursor, bool *whole)
{
	char *line = *cursor, *end;

	if (line == NULL || *line == '\0')
		return NULL;
	end = strchr(line, '\n');
	if (whole != NULL)
		*whole = end != NULL;
	if (end == NULL) {
		end = line + strlen(line);
		*cursor = end;
	} else
		*cursor = end + 1;
	*end = '\0';
	if (end > line && end[-1] == '\r')
		end[-1] = '\0';
	return line;
}
