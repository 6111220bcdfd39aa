/*
 * Lines of the mail log. The first byte of the input decides:
 *
 * - a line that Postfix could write, made by choices that the rest of the input
 *   takes (see maillog_lines.h). Property: whatever the client chose, address
 *   and rule are those of the line's form: no stranger, no hidden offender.
 * - the rest of the input as a log, with or without a line's beginning.
 *   Property: an address stands where Postfix writes one, nothing points
 *   outside of its line, and a log gives what its lines give.
 */
#include "fuzz.h"

#include <stdio.h>
#include <time.h>

#include "logs/maillog.h"
#include "../unit/maillog_lines.h"

#define NOW 1795000000

static size_t
append(char *out, size_t n, const char *s)
{
	size_t len = strlen(s);

	memcpy(out + n, s, len);
	return n + len;
}

static void
inside(const struct maillog_text *t, const struct maillog_text *line)
{
	HOLDS(t->len == 0 ||
	    (t->s >= line->s && t->s + t->len <= line->s + line->len));
}

static void
same_address(const struct maillog_hit *hit)
{
	char text[ADDRESS_TEXT_MAX];
	struct address a;

	HOLDS(hit->address.len < sizeof(text));
	memcpy(text, hit->address.s, hit->address.len);
	text[hit->address.len] = '\0';
	HOLDS(address_parse(text, &a));
	HOLDS(address_compare(&a, &hit->client) == 0);
}

static void
written(struct maillog *m, const uint8_t *data, size_t size)
{
	static struct lines_made made;
	struct lines lines = { data, size, 88172645463325252U + size };
	struct maillog_hit hit;
	const char *wrong;
	char *line;
	bool found;

	lines_make(&lines, &made);
	line = malloc(made.len); /* so that reading after it is seen */
	HOLDS(line != NULL);
	memcpy(line, made.text, made.len);
	found = maillog_line(m, line, made.len, &hit);
	if (found)
		same_address(&hit);
	wrong = lines_judge(&made, found, &hit);
	if (wrong != NULL)
		fprintf(stderr, "%s: %s\n", wrong, made.text);
	HOLDS(wrong == NULL);
	free(line);
}

/*
 * What is before the address: a client's name in the DNS at most, never what a
 * client sends, which Postfix writes in <> or after a '='.
 */
static void
stands_right(const struct maillog_hit *hit, const char *head)
{
	static const char phrase[] = " does not resolve to address ";
	const char *line = hit->line.s, *p = hit->address.s;
	const char *end = line + hit->line.len, *after = p + hit->address.len;
	size_t before = (size_t)(p - line), len = sizeof(phrase) - 1;

	HOLDS(before > len);
	if (p[-1] != '[') {
		HOLDS(memcmp(p - len, phrase, len) == 0);
		HOLDS(hit->rule == MAILLOG_HOSTNAME_MISMATCH);
		HOLDS(after == end || *after == ':' || *after == '\r');
		return;
	}
	HOLDS(after < end && *after == ']');
	for (p--; strchr("-._", p[-1]) != NULL ||
	     (p[-1] >= 'a' && p[-1] <= 'z') || (p[-1] >= 'A' && p[-1] <= 'Z') ||
	     (p[-1] >= '0' && p[-1] <= '9');
	     p--)
		;
	HOLDS(memcmp(p - 6, " from ", 6) == 0 ||
	    memcmp(p - 9, "warning: ", 9) == 0 ||
	    (hit->rule == MAILLOG_DNSBL_RANK && memcmp(p - 5, " for ", 5) == 0));
	/* Behind the tag, where the head is ours: nothing of a client's. */
	if (*head == '\0' || memcmp(line, head, strlen(head)) != 0)
		return;
	line += strlen(head);
	line = memmem(line, (size_t)(p - line), "]: ", 3);
	HOLDS(line != NULL);
	for (; line < p; line++)
		HOLDS(*line != '\0' && strchr("<>=@\"", *line) == NULL);
}

static void
raw(struct maillog *m, const uint8_t *data, size_t size, size_t start)
{
	static const char *const before[] = { "", "postfix/smtpd[1]: ",
		"postfix/postscreen[1]: ", "postfix/cleanup[1]: " };
	const char *head = start == 0 ? "" : "Nov 20 15:41:07 mx1 ";
	size_t len = strlen(head) + strlen(before[start]), pos = 0, from = 0;
	char *log = malloc(len + size + 1), *end;
	struct maillog single;
	struct maillog_hit hit, again;

	HOLDS(log != NULL);
	append(log, append(log, 0, head), before[start]);
	if (size > 0)
		memcpy(log + len, data, size);
	len += size;
	maillog_init(&single, NULL);
	maillog_now(&single, NOW);
	while (maillog_next(m, log, len, &pos, &hit)) {
		/* The lines before it are no hits, one by one. */
		while (log + from < hit.line.s) {
			end = memchr(log + from, '\n', len - from);
			HOLDS(end != NULL);
			HOLDS(!maillog_line(&single, log + from,
			    (size_t)(end - log) - from, &again));
			from = (size_t)(end - log) + 1;
		}
		HOLDS(pos <= len && log[pos - 1] == '\n');
		HOLDS(hit.line.s + hit.line.len == log + pos - 1);
		HOLDS(memchr(hit.line.s, '\n', hit.line.len) == NULL);
		inside(&hit.address, &hit.line);
		if (m->postscreen == false) /* else it may be a kept one */
			inside(&hit.name, &hit.line);
		inside(&hit.recipient, &hit.line);
		inside(&hit.user, &hit.line);
		inside(&hit.text, &hit.line);
		HOLDS((int)hit.rule >= 0 && hit.rule < MAILLOG_RULES);
		same_address(&hit);
		stands_right(&hit, head);
		HOLDS(maillog_line(&single, hit.line.s, hit.line.len, &again));
		HOLDS(again.rule == hit.rule && again.when == hit.when);
		HOLDS(again.temporary == hit.temporary);
		from = pos;
	}
	HOLDS(pos <= len && (pos == 0 || log[pos - 1] == '\n'));
	HOLDS(memchr(log + pos, '\n', len - pos) == NULL);
	free(log);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct maillog m;
	size_t kind;

	if (size < 1)
		return 0;
	if (m.clock.now == 0) {
		setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
		tzset();
	}
	maillog_init(&m, NULL);
	maillog_now(&m, NOW);
	kind = data[0];
	if (kind < 128)
		written(&m, data + 1, size - 1);
	else
		raw(&m, data + 1, size - 1, kind % 4);
	return 0;
}
