/*
 * maillog_head - what stands before the message of a log line: priority, time
 * stamp, host, and who wrote it. All of it comes from Postfix and the syslogd;
 * a client has no part in it.
 */
#include "logs/maillog_parse.h"

#define PRIORITY_DIGITS 3 /* "<191>" */

/* Where a word ends; all of them end at a blank. */
static const char *
word_end(const char *p, const char *end)
{
	const char *blank = memchr(p, ' ', (size_t)(end - p));

	return blank != NULL ? blank : end;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	return p;
}

/* Goes after "<22>". */
static const char *
skip_priority(const char *p, const char *end)
{
	const char *from = p;

	if (p == end || *p != '<')
		return p;
	for (p++; p < end && maillog_digit(*p); p++)
		;
	return p == end || *p != '>' || p - from < 2 ||
		p - from > 1 + PRIORITY_DIGITS ? from : p + 1;
}

/* Goes after a word; the blank before the next one is passed, too. */
static const char *
next_word(const char *p, const char *end)
{
	return skip_blanks(word_end(p, end), end);
}

static bool
ends_with(const char *p, const char *end, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(end - p) >= len && memcmp(end - len, with, len) == 0;
}

bool
maillog_submission(const struct maillog_text *program)
{
	static const char *const names[] = { "submission", "submissions",
		"smtps", "ssmtp", "urd", "465", "587", NULL };
	const char *const *name;
	const char *before, *part, *end;

	end = program->len == 0 ? NULL :
	    memrchr(program->s, '/', program->len);
	for (part = end; part != NULL && part > program->s &&
	     part[-1] != '/' && part[-1] != ':';
	     part--)
		;
	for (name = names; end != NULL && *name != NULL; name++) {
		before = end - strlen(*name);
		if (ends_with(program->s, end, *name) &&
		    (before == program->s ||
			strchr("/:-_.", before[-1]) != NULL))
			return true;
		/* "submission-auth", "smtps2" */
		if (maillog_begins(part, end, *name) &&
		    !maillog_letter(part[strlen(*name)]))
			return true;
	}
	return false;
}

static bool
is_text(const char *p, size_t len, const char *text, size_t text_len)
{
	return len == text_len && memcmp(p, text, text_len) == 0;
}

#define IS(p, len, text) is_text(p, len, text, sizeof(text) - 1)

/* Which service "postfix/submission/smtpd" is. This is done for each line. */
static void
read_program(const char *p, const char *end, struct maillog_head *h)
{
	const char *name = end;
	size_t len;

	while (name > p && name[-1] != '/')
		name--;
	if (name - p < 2)
		return;
	len = (size_t)(end - name);
	if (IS(name, len, "smtpd"))
		h->service = MAILLOG_SMTPD;
	else if (IS(name, len, "postscreen"))
		h->service = MAILLOG_POSTSCREEN;
	else if (IS(name, len, "cleanup"))
		h->service = MAILLOG_CLEANUP;
	else
		return;
	h->program = maillog_part(p, end);
}

/*
 * Reads a word like "postfix/[::]:465/smtpd[811]:" or "kernel:"; false when it
 * is none. Only what has a process number can be one of our services.
 */
static bool
read_tag(const char *p, const char *end, struct maillog_head *h)
{
	const char *digits;

	/* An address that stands for a host can end in "::". */
	if (end - p < 2 || end[-1] != ':' || end[-2] == ':')
		return false;
	end--;
	if (end[-1] != ']')
		return true;
	for (digits = --end; digits > p && maillog_digit(digits[-1]); digits--)
		;
	if (digits < end && digits > p && digits[-1] == '[')
		read_program(p, digits - 1, h);
	return true;
}

/* A word like "mail.info", which the syslogd of busybox writes. */
static bool
is_level(const char *p, const char *end)
{
	static const char *const levels[] = { ".emerg", ".alert", ".crit",
		".err", ".error", ".warn", ".warning", ".notice", ".info",
		".debug", NULL };
	const char *const *level;

	if (p == end || *p < 'a' || *p > 'z' || end[-1] == ':')
		return false;
	for (level = levels; *level != NULL; level++)
		if (ends_with(p, end, *level))
			return memchr(p, '.', (size_t)(end - p)) ==
			    end - strlen(*level);
	return false;
}

/* Goes after the structured data of RFC 5424; NULL when it is none. */
static const char *
skip_data(const char *p, const char *end)
{
	const char *from = p;
	bool quoted = false;

	if (p < end && *p == '-')
		return p + 1;
	while (p < end && *p == '[') {
		for (p++; p < end && (quoted || *p != ']'); p++) {
			if (quoted && *p == '\\' && p + 1 < end)
				p++;
			else if (*p == '"')
				quoted = !quoted;
		}
		if (p == end)
			return NULL;
		p++;
	}
	return p == from ? NULL : p;
}

/*
 * "postfix/smtpd 811 - - message", after the host. rsyslog's own template
 * leaves the service out of the program's name: then it may be any.
 */
static const char *
read_5424(const char *p, const char *end, struct maillog_head *h)
{
	const char *program = p, *program_end = word_end(p, end);

	/* Between them the process, and its kind of message. */
	p = next_word(next_word(program_end, end), end);
	p = skip_data(next_word(p, end), end);
	if (p == NULL || (p < end && *p != ' '))
		return NULL;
	p = skip_blanks(p, end);
	if (maillog_begins(p, end, "\xef\xbb\xbf"))
		p += 3;
	read_program(program, program_end, h);
	if (h->service == MAILLOG_OTHER &&
	    maillog_begins(program, program_end, "postfix") &&
	    memchr(program, '/', (size_t)(program_end - program)) == NULL)
		h->service = MAILLOG_ANY;
	return p;
}

/*
 * Finds the tag, which is the first word of "mx1 mail.info postfix/smtpd[1]:"
 * that can be one, but for the host, which may be missing. Returns what is
 * after it; NULL = none.
 */
static const char *
find_tag(const char *p, const char *end, struct maillog_head *h)
{
	const char *word_to = word_end(p, end);

	if (!read_tag(p, word_to, h)) {
		p = skip_blanks(word_to, end);
		word_to = word_end(p, end);
		if (is_level(p, word_to)) {
			p = skip_blanks(word_to, end);
			word_to = word_end(p, end);
		}
		if (!read_tag(p, word_to, h))
			return NULL;
	}
	return skip_blanks(word_to, end);
}

/* Lines that a syslogd writes by itself. */
static bool
is_syslogd(const char *p, const char *end)
{
	p = next_word(p, end);
	return maillog_begins(p, end, "last message repeated ") ||
	    maillog_begins(p, end, "-- MARK --");
}

/* Goes after "Wed ", which journalctl -o short-full writes. */
static const char *
skip_weekday(const char *p, const char *end)
{
	return end - p > 5 && p[3] == ' ' && maillog_digit(p[4]) &&
		maillog_upper(p[0]) && end - p > 9 && p[8] == '-' ? p + 4 : p;
}

/*
 * Goes after what stands between a stamp and what is said: "stdout F " of the
 * container runtime interface, "<mail.info> " of FreeBSD's syslogd -v.
 */
static const char *
skip_stream(const char *p, const char *end)
{
	if (maillog_begins(p, end, "stdout F ") ||
	    maillog_begins(p, end, "stderr F "))
		return p + strlen("stdout F ");
	return p < end && *p == '<' && !maillog_digit(p[1 < end - p]) ?
	    next_word(p, end) : p;
}

bool
maillog_head(const char *line, const char *end, struct maillog_head *h)
{
	const char *p = skip_priority(line, end), *rest, *weekday;
	bool numbered = maillog_begins(p, end, "1 ");

	h->service = MAILLOG_OTHER;
	h->program = (struct maillog_text) { NULL, 0 };
	if (numbered)
		p += 2;
	weekday = skip_weekday(p, end);
	h->stamp = weekday;
	h->stamp_len = maillog_stamp(weekday, (size_t)(end - weekday));
	if (h->stamp_len == 0)
		return false;
	rest = skip_blanks(h->stamp + h->stamp_len, end);
	if (weekday > p) /* after it is the name of the zone */
		rest = next_word(rest, end);
	p = skip_stream(rest, end);
	/* Docker writes its own before that of the program. */
	if (end - p > 4 && (p[3] == ' ' || p[4] == '-'))
		p = skip_blanks(p + maillog_stamp(p, (size_t)(end - p)), end);
	if (numbered) {
		h->message = read_5424(next_word(p, end), end, h);
		return h->message != NULL;
	}
	h->message = find_tag(p, end, h);
	if (h->message != NULL)
		return true;
	h->message = end;
	if (is_syslogd(p, end))
		return true;
	rest = next_word(p, end);
	if (!maillog_begins(rest, end, "postfix"))
		return false;
	h->message = read_5424(rest, end, h);
	return h->message != NULL;
}
