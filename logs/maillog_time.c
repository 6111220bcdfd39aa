/*
 * maillog_time - time stamps of log lines.
 *
 * The traditional form has neither year nor zone, others no zone. Their seconds
 * are counted on the wall clock first, as if there were no zones, and the
 * offset of the local zone is applied afterwards. Only offending lines are read
 * as far as that.
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

/* 1 to 12; 0 = not the name of a month. */
static int
month_number(const char *s)
{
	static const char names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int i;

	for (i = 0; i < 12; i++)
		if (memcmp(s, names[i], 3) == 0)
			return i + 1;
	return 0;
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

/*
 * A date and "15:41:07" as seconds since 1970, as if there were no zones. False
 * when there is no such time; a leap second is one.
 */
static bool
wall_read(int year, int month, int day, const char *clock, time_t *wall)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1,
		.tm_mday = day };
	int hour = digits(clock, 2), minute = digits(clock + 3, 2);
	int second = digits(clock + 6, 2);

	if (clock[2] != ':' || clock[5] != ':' || hour < 0 || hour > 23 ||
	    minute < 0 || minute > 59 || second < 0 || second > 60 ||
	    year < 1970 || month < 1 || month > 12 || day < 1)
		return false;
	*wall = timegm(&tm) + hour * HOUR + minute * 60 + second;
	return tm.tm_mday == day; /* else the month is shorter */
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

/*
 * When the wall clock shows that. An hour that never was, on the day on which
 * the zone's offset changes, goes on from the hour before it. Of an hour that
 * was twice it is the first, unless a line before was later than that; without
 * a line before, the second if that is what the clock shows.
 */
static time_t
wall_time(const struct maillog_clock *c, time_t wall)
{
	time_t before = offset_at(wall - DAY), after = offset_at(wall + DAY);
	time_t first = wall - before, second = wall - after;
	bool second_is = offset_at(second) == after;

	if (before == after || !second_is || offset_at(first) != before)
		return second_is ? second : first;
	if (c->last != 0)
		return first >= c->last - LATE ? first : second;
	return second <= c->now + LATE && c->now - second < HOUR ? second :
								   first;
}

/*
 * "Nov 20 15:41:07": the latest year in which it is at most a day after now; a
 * 29th of February may be years ago.
 */
static bool
traditional(const struct maillog_clock *c, const char *s, time_t *when)
{
	size_t at = traditional_time(s);
	time_t ahead = c->now + DAY, wall;
	int year, oldest, day;
	struct tm tm;

	day = at == 6 ? digits(s + 4, 1) :
	    s[4] == ' ' ? digits(s + 5, 1) : digits(s + 4, 2);
	if (localtime_r(&ahead, &tm) == NULL)
		return false;
	year = tm.tm_year + 1900;
	for (oldest = year - 8; year >= oldest; year--)
		if (wall_read(year, month_number(s), day, s + at, &wall)) {
			*when = wall_time(c, wall);
			if (*when <= ahead)
				return true;
		}
	return false;
}

/* "2026-04-16T23:25:41.896580+02:00"; without a zone it is the local one. */
static bool
rfc3339(const struct maillog_clock *c, const char *s, size_t len, time_t *when)
{
	size_t n = 19 + fraction(s + 19, len - 19);
	time_t wall;
	long east;

	if (!wall_read(digits(s, 4), digits(s + 5, 2), digits(s + 8, 2),
		s + 11, &wall))
		return false;
	if (n == len)
		*when = wall_time(c, wall);
	else if (zone_parse(s + n, len - n, &east))
		*when = wall - east;
	else
		return false;
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
