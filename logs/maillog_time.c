/*
 * maillog_time - time stamps of log lines.
 *
 * The traditional form has neither year nor zone, others no zone. Their seconds
 * are counted on the wall clock first, as if there were no zones, and the
 * offset of the local zone is applied afterwards: once a day, and for each
 * stamp on the few days on which it changes.
 */
#include "logs/maillog_parse.h"

#define DAY 86400
#define HOUR 3600
#define LATE 10 /* a line may be written so many seconds after a later one */

#define SHORTEST 14 /* "Nov 2 15:41:07" */
#define LONGEST 40

/* How many bytes ".896580" or ",896" has at a place; 0 = no such thing. */
static size_t
fraction(const char *s, size_t len)
{
	size_t n = 1;

	if (len < 2 || (*s != '.' && *s != ','))
		return 0;
	while (n < len && maillog_digit(s[n]))
		n++;
	return n == 1 ? 0 : n;
}

/* Where the time of day of "Nov 20 15:41:07" begins. */
static size_t
traditional_time(const char *s)
{
	return s[5] == ' ' ? 6 : 7;
}

#define NAME(a, b, c) ((a) << 16 | (b) << 8 | (c))

/* 1 to 12; 0 = not the name of a month. */
static int
month_number(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	switch (NAME(u[0], u[1], u[2])) {
	case NAME('J', 'a', 'n'):
		return 1;
	case NAME('F', 'e', 'b'):
		return 2;
	case NAME('M', 'a', 'r'):
		return 3;
	case NAME('A', 'p', 'r'):
		return 4;
	case NAME('M', 'a', 'y'):
		return 5;
	case NAME('J', 'u', 'n'):
		return 6;
	case NAME('J', 'u', 'l'):
		return 7;
	case NAME('A', 'u', 'g'):
		return 8;
	case NAME('S', 'e', 'p'):
		return 9;
	case NAME('O', 'c', 't'):
		return 10;
	case NAME('N', 'o', 'v'):
		return 11;
	case NAME('D', 'e', 'c'):
		return 12;
	default:
		return 0;
	}
}

size_t
maillog_stamp(const char *line, size_t len)
{
	size_t n;

	if (len <= SHORTEST + 1)
		return 0;
	if (line[3] == ' ') {
		n = traditional_time(line);
		if (line[n + 2] != ':' || line[n + 5] != ':' ||
		    line[n - 1] != ' ' || len <= n + 8 ||
		    month_number(line) == 0)
			return 0;
		n += 8;
		n += fraction(line + n, len - n);
	} else if (line[4] == '-' && line[7] == '-' && len > 20 &&
	    (line[10] == 'T' || line[10] == ' ')) {
		for (n = 11; n < len && n <= LONGEST && line[n] != ' '; n++)
			;
		if (n < 19)
			return 0;
	} else
		return 0;
	return n < len && n <= LONGEST && line[n] == ' ' ? n : 0;
}

static bool
leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	return days[month - 1] + (month == 2 && leap(year));
}

/* Days since 1970-01-01. */
static time_t
day_number(int year, int month, int day)
{
	int i, before = year - 1;
	time_t n = (time_t)365 * (year - 1970) + before / 4 - before / 100 +
	    before / 400 - 477;

	for (i = 1; i < month; i++)
		n += days_of_month(year, i);
	return n + day - 1;
}

/* A number of exactly n digits; -1 = none. */
static int
digits(const char *s, int n)
{
	int value = 0;

	for (; n > 0; n--, s++) {
		if (*s < '0' || *s > '9')
			return -1;
		value = value * 10 + (*s - '0');
	}
	return value;
}

/* "15:41:07" as seconds of the day; -1 = none. A leap second is one. */
static long
time_of_day(const char *s)
{
	int hour = digits(s, 2), minute = digits(s + 3, 2);
	int second = digits(s + 6, 2);

	if (s[2] != ':' || s[5] != ':' || hour < 0 || hour > 23 || minute < 0 ||
	    minute > 59 || second < 0 || second > 60)
		return -1;
	return (long)hour * HOUR + minute * 60L + second;
}

/* "Z", "+02:00", "+0200", "+02" as seconds east of UTC. */
static bool
zone_parse(const char *s, size_t len, long *east)
{
	int hours, minutes = 0;

	*east = 0;
	if (len == 1 && s[0] == 'Z')
		return true;
	if ((len != 3 && len != 5 && len != 6) || (*s != '+' && *s != '-') ||
	    (len == 6 && s[3] != ':'))
		return false;
	hours = digits(s + 1, 2);
	if (len > 3)
		minutes = digits(s + len - 2, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*east = (long)hours * HOUR + minutes * 60L;
	if (*s == '-')
		*east = -*east;
	return true;
}

/* Seconds east of UTC at a time. */
static time_t
offset_at(time_t t)
{
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	return (time_t)tm.tm_gmtoff;
}

/* The first moment after `from' and not after `to' with to's offset. */
static time_t
change_between(time_t from, time_t to)
{
	time_t offset = offset_at(to), middle;

	while (to - from > 1) {
		middle = from + (to - from) / 2;
		if (offset_at(middle) == offset)
			to = middle;
		else
			from = middle;
	}
	return to;
}

/*
 * A time of the wall clock on a day on which the zone's offset changes. An
 * hour that never was is the moment of the change. Of an hour that was twice
 * it is the first, unless a line before was later than that; without a line
 * before, the second if that is what the clock shows.
 */
static time_t
wall_changing(const struct maillog_clock *c, time_t wall)
{
	time_t before = offset_at(wall - DAY), after = offset_at(wall + DAY);
	time_t first = wall - before, second = wall - after;
	bool first_is, second_is;

	if (before == after)
		return first;
	first_is = offset_at(first) == before;
	second_is = offset_at(second) == after;
	if (first_is && second_is) {
		if (c->last != 0)
			return first >= c->last - LATE ? first : second;
		return second <= c->now + LATE && c->now - second < HOUR
		    ? second
		    : first;
	}
	if (first_is || second_is)
		return first_is ? first : second;
	return change_between(second - 1, first);
}

/*
 * The time that the wall clock shows on a day; what is known of that day is
 * kept for the next lines. False when it is more than a day ahead.
 */
static bool
day_begin(struct maillog_clock *c, time_t day, long second, time_t *when)
{
	time_t midnight = day * DAY, first;

	*when = wall_changing(c, midnight + second);
	if (*when > c->now + DAY)
		return false;
	first = offset_at(midnight - DAY);
	c->midnight = midnight - first;
	c->plain = first == offset_at(midnight + (time_t)2 * DAY) &&
	    c->midnight + DAY <= c->now + DAY;
	return true;
}

/* Is that the date of which everything is known? If not, it is made so. */
static bool
same_day(struct maillog_clock *c, const char *stamp, size_t len)
{
	if (c->plain && c->date_len == len && memcmp(c->date, stamp, len) == 0)
		return true;
	c->plain = false;
	c->date_len = len;
	memcpy(c->date, stamp, len);
	return false;
}

/*
 * "Nov 20 15:41:07": the latest year in which it is at most a day after now; a
 * 29th of February may be years ago.
 */
static bool
traditional(struct maillog_clock *c, const char *s, time_t *when)
{
	size_t at = traditional_time(s);
	long second = time_of_day(s + at);
	time_t ahead = c->now + DAY;
	int month, year, oldest, day;
	struct tm tm;

	if (second < 0)
		return false;
	if (same_day(c, s, at)) {
		*when = c->midnight + second;
		return true;
	}
	month = month_number(s);
	day = at == 6 ? digits(s + 4, 1) :
	    s[4] == ' ' ? digits(s + 5, 1) : digits(s + 4, 2);
	if (month == 0 || day < 1 || localtime_r(&ahead, &tm) == NULL)
		return false;
	year = tm.tm_year + 1900;
	for (oldest = year - 8; year >= oldest && year >= 1970; year--)
		if (day <= days_of_month(year, month) &&
		    day_begin(c, day_number(year, month, day), second, when))
			return true;
	return false;
}

/* "2026-04-16T23:25:41.896580+02:00"; without a zone it is the local one. */
static bool
rfc3339(struct maillog_clock *c, const char *s, size_t len, time_t *when)
{
	int year = digits(s, 4), month = digits(s + 5, 2);
	int day = digits(s + 8, 2);
	long second = time_of_day(s + 11), east;
	size_t n = 19;

	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    day > days_of_month(year, month) || second < 0)
		return false;
	n += fraction(s + n, len - n);
	if (n < len) {
		if (!zone_parse(s + n, len - n, &east))
			return false;
		*when = day_number(year, month, day) * DAY + second - east;
	} else if (same_day(c, s, 10))
		*when = c->midnight + second;
	else if (!day_begin(c, day_number(year, month, day), second, when))
		*when = wall_changing(c, day_number(year, month, day) * DAY +
		    second); /* the clock was wrong: see scan.c */
	return true;
}

bool
maillog_time(struct maillog_clock *c, const char *stamp, size_t len,
    time_t *when)
{
	if (stamp[3] == ' ' ? !traditional(c, stamp, when) :
			      !rfc3339(c, stamp, len, when))
		return false;
	c->last = *when;
	return true;
}
