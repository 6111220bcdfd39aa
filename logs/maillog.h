/*
 * maillog - what Postfix's log lines say about abusive clients.
 *
 * A line is read from the left, along text that Postfix itself writes, up to
 * the place where Postfix writes the client's address: right after a fixed
 * phrase, after a client name that can hold only letters, digits, '.', '-'
 * and '_' (Postfix logs no other: valid_hostname()). Names from the DNS, HELO,
 * sender, recipient, SASL user and quoted commands never give an address. What
 * was refused and why, after it, is told from what a client writes by reading
 * from the right, too: see maillog_reject.c.
 *
 * Nothing here allocates, and a line needs no NUL after it.
 */
#ifndef MAILLOG_H
#define MAILLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "config/rules.h"

/* A part of a line, not a copy: good as long as the line is. len 0 = none. */
struct maillog_text {
	const char *s;
	size_t len;
};

/* What an offending line says. */
struct maillog_hit {
	enum maillog_rule rule;

	/*
	 * Not the client's fault for certain: a 4xx reply (but for 454 4.7.1
	 * Relay access denied, Postfix's default refusal), or a resolver, SASL
	 * server or milter in trouble. Whose login fails for want of a SASL
	 * server hangs up: lost-after-auth is temporary for five minutes after
	 * such a line, if the same reader has seen it.
	 */
	bool temporary;

	/* How often: a syslogd can say that a line came N times again. */
	unsigned times;

	time_t when; /* as the line says, in seconds since 1970 */
	struct address client;
	struct maillog_text line;      /* all of it, without its newline */
	struct maillog_text address;   /* the client's, as it stands there */
	/*
	 * Verified by Postfix, no "unknown". postscreen does not know it: of
	 * its clients it is the one with which smtpd has last named them.
	 */
	struct maillog_text name;

	struct maillog_text recipient; /* refused; none if the line is cut */
	struct maillog_text user;      /* auth-failure: what is claimed */

	/*
	 * The reply, after its status codes and "<...>: Helo command
	 * rejected: "; the reason of a failed login or look-up.
	 */
	struct maillog_text text;
};

/* How time stamps are read, and the last one read. For maillog_time.c. */
struct maillog_clock {
	time_t now;      /* the year of a stamp without one follows from it */
	time_t last;     /* 0 = none yet */
};

/* How many addresses have a name that is kept, and how long that may be. */
#define MAILLOG_NAMES 4096
#define MAILLOG_NAME_MAX 128

/* The name with which smtpd has last named an address. */
struct maillog_name {
	struct address address; /* family 0 = none */
	long day; /* since 1970, on which it was seen */
	unsigned char len;
	char name[MAILLOG_NAME_MAX];
};

/* A reader of lines. Large; nothing in it needs to be released. */
struct maillog {
	struct maillog_clock clock;
	time_t trouble; /* when the SASL server was last said to have it */
	uint64_t lines; /* whole lines seen by maillog_next() */
	uint64_t known; /* of them those in a known form */
	uint64_t odd;   /* and those in none; empty ones are neither */
	char odd_line[120]; /* the first of these, as it is */
	uint32_t rows[2][8][256]; /* of the patterns: after "warning: ", by
	                           * service, by first byte */
	bool postscreen;       /* it is used: so names are kept */
	/* Which of them; NULL = all. name has no NUL. */
	bool (*name_wanted)(void *arg, const char *name, size_t len);
	void *name_arg;
	struct maillog_name names[MAILLOG_NAMES]; /* by hash of the address */
};

/*
 * Starts a reader. Lines of rules that are off in wanted may be passed over;
 * NULL = all are wanted.
 */
void maillog_init(struct maillog *m, const struct rules *wanted);

/*
 * Sets the time by which stamps are read. One without a year is taken for the
 * latest such time that is at most a day after now, in the local time zone; so
 * now is the clock's time for a log being written, and the time of its last
 * change for an old file. To be called before the first line, and whenever it
 * has changed.
 */
void maillog_now(struct maillog *m, time_t now);

/*
 * Reads one line, which must be whole, without its newline. False when no rule
 * knows it, or when it has no time; *hit is then garbage. The parts of *hit
 * point into line.
 */
bool maillog_line(struct maillog *m, const char *line, size_t len,
    struct maillog_hit *hit);

/*
 * Finds the next offending line of a buffer of lines from *pos on, and moves
 * *pos after it. False when there is none: *pos is then after the last whole
 * line, and what follows has no newline yet.
 */
bool maillog_next(struct maillog *m, const char *buf, size_t len, size_t *pos,
    struct maillog_hit *hit);

/* Keeps a name for an address, as if smtpd had named it on that day. */
void maillog_name_set(struct maillog *m, const struct address *a,
    const char *name, size_t len, long day);

/* Forgets how many lines there were: to be called before another log. */
void maillog_begin(struct maillog *m);

/*
 * Were there lines, and next to none in a known form? Such a log would look
 * like one without offences.
 */
bool maillog_strange(const struct maillog *m);

/*
 * The length of the time stamp at the beginning of a line, judged by its
 * form; 0 = none. A blank follows. The forms are "Nov 20 15:41:07", with one
 * or two blanks or a 0 before a day of one digit, and "2026-04-16T23:25:41" of
 * RFC 3339, also with a blank for the T. Both can have a fraction of a second;
 * the second can have a zone.
 */
size_t maillog_stamp(const char *line, size_t len);

/* Reads a stamp of that length. False when there is no such time. */
bool maillog_time(struct maillog_clock *c, const char *stamp, size_t len,
    time_t *when);

#endif
