/*
 * maillog - what Postfix's log lines say about abusive clients.
 *
 * A line is read from the left, along text that Postfix itself writes, up to
 * the place where Postfix writes the client's address: right behind a fixed
 * phrase, after a client name that can hold only letters, digits, '.', '-'
 * and '_' (Postfix logs no other: valid_hostname()). Names from the DNS, HELO,
 * sender, recipient, SASL user and quoted commands never give an address.
 *
 * Nothing here allocates, and a line needs no NUL behind it.
 */
#ifndef MAILLOG_H
#define MAILLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "address.h"
#include "rules.h"

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

	time_t when; /* as the line says, in seconds since 1970 */
	struct address client;
	struct maillog_text line;      /* all of it, without its newline */
	struct maillog_text address;   /* the client's, as it stands there */
	struct maillog_text name;      /* verified by Postfix, no "unknown" */
	struct maillog_text recipient; /* of unknown-recipient, relay-denied */
	struct maillog_text user;      /* auth-failure: what is claimed */

	/*
	 * The reply, behind its status codes and "<...>: Helo command
	 * rejected: "; the reason of a failed login or look-up.
	 */
	struct maillog_text text;
};

/* How time stamps are read, and the last one read. For maillog_time.c. */
struct maillog_clock {
	time_t now;      /* the year of a stamp without one follows from it */
	time_t last;     /* 0 = none yet */
	char date[6];    /* "Nov 20", "" = none */
	bool plain;      /* the zone's offset is the same all that day */
	time_t midnight; /* when that day begins, if plain */
};

/* A reader of lines. Large; nothing in it needs to be released. */
struct maillog {
	struct maillog_clock clock;
	time_t trouble; /* when the SASL server was last said to have it */
	uint64_t lines; /* whole lines seen by maillog_next() */
	uint32_t rows[2][3][256]; /* of the patterns: with a queue id before
	                           * them, by service, by first byte */
};

/*
 * Starts a reader. A stamp without a year is taken for the latest such time
 * that is at most a day after now, in the local time zone; so now is the
 * clock's time for a log being written, and the time of its last change for
 * an old file. May be called again, whenever now has changed.
 */
void maillog_init(struct maillog *m, time_t now);

/*
 * Reads one line, which must be whole, without its newline. False when no rule
 * knows it, or when it has no time; *hit is then garbage. The parts of *hit
 * point into line.
 */
bool maillog_line(struct maillog *m, const char *line, size_t len,
    struct maillog_hit *hit);

/*
 * Finds the next offending line of a buffer of lines from *pos on, and moves
 * *pos behind it. False when there is none: *pos is then behind the last whole
 * line, and what follows has no newline yet.
 */
bool maillog_next(struct maillog *m, const char *buf, size_t len, size_t *pos,
    struct maillog_hit *hit);

/*
 * The length of the time stamp at the beginning of a line, judged by its
 * form; 0 = none. A blank follows. The forms are "Nov 20 15:41:07" and, from
 * RFC 3339, "2026-04-16T23:25:41.896580+02:00".
 */
size_t maillog_stamp(const char *line, size_t len);

/* Reads a stamp of that length. False when there is no such time. */
bool maillog_time(struct maillog_clock *c, const char *stamp, size_t len,
    time_t *when);

#endif
