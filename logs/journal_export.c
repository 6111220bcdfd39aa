/*
 * journal_export - the journal's export format, byte by byte.
 *
 * An entry is a list of fields that ends with an empty line. A field is
 * NAME=text and a newline, or NAME, a newline, the length in 64 bits, least
 * byte first, so many bytes, and a newline. No field needs to fit anywhere.
 */
#include "logs/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIME_MAX_US (UINT64_C(253402300799) * 1000000) /* the year 9999 */

static const char *const names[JOURNAL_NAMES] = {
	[JOURNAL_CURSOR] = "__CURSOR",
	[JOURNAL_TIME] = "__REALTIME_TIMESTAMP",
	[JOURNAL_HOST] = "_HOSTNAME",
	[JOURNAL_IDENT] = "SYSLOG_IDENTIFIER",
	[JOURNAL_PID] = "SYSLOG_PID",
	[JOURNAL_OWN_PID] = "_PID",
	[JOURNAL_MESSAGE] = "MESSAGE",
};

static void
value_init(struct journal_value *v, char *text, size_t size)
{
	v->text = text;
	v->size = size;
}

void
journal_export_init(struct journal_export *e)
{
	memset(e, 0, sizeof(*e));
	value_init(&e->values[JOURNAL_CURSOR], e->cursor, sizeof(e->cursor));
	value_init(&e->values[JOURNAL_TIME], e->time, sizeof(e->time));
	value_init(&e->values[JOURNAL_HOST], e->host, sizeof(e->host));
	value_init(&e->values[JOURNAL_IDENT], e->ident, sizeof(e->ident));
	value_init(&e->values[JOURNAL_PID], e->pid, sizeof(e->pid));
	value_init(&e->values[JOURNAL_OWN_PID], e->own_pid,
	    sizeof(e->own_pid));
	value_init(&e->values[JOURNAL_MESSAGE], e->message,
	    sizeof(e->message));
}

static void
entry_begin(struct journal_export *e)
{
	size_t i;

	for (i = 0; i < JOURNAL_NAMES; i++) {
		e->values[i].len = 0;
		e->values[i].set = e->values[i].cut = false;
		e->values[i].text[0] = '\0';
	}
}

/* A name is complete: where its value goes. Of two the first one counts. */
static void
value_begin(struct journal_export *e)
{
	size_t i;

	if (!e->any)
		entry_begin(e);
	e->any = true;
	e->want = NULL;
	for (i = 0; i < JOURNAL_NAMES; i++)
		if (strlen(names[i]) == e->name_len &&
		    memcmp(names[i], e->name, e->name_len) == 0 &&
		    !e->values[i].set) {
			e->want = &e->values[i];
			e->want->set = true;
		}
	e->name_len = 0;
}

static void
value_add(struct journal_export *e, const char *data, size_t n)
{
	struct journal_value *v = e->want;
	size_t room;

	if (v == NULL)
		return;
	room = v->size - 1 - v->len;
	if (n > room) {
		n = room;
		v->cut = true;
	}
	memcpy(v->text + v->len, data, n);
	v->len += n;
	v->text[v->len] = '\0';
}

/* One byte of a name or of what ends it: 1 end of the entry, 0, -1. */
static int
name_byte(struct journal_export *e, char c)
{
	if ((c >= 'A' && c <= 'Z') || c == '_' ||
	    (c >= '0' && c <= '9' && e->name_len > 0)) {
		if (e->name_len >= sizeof(e->name) - 1)
			return -1;
		e->name[e->name_len++] = c;
		return 0;
	}
	if (c == '\n' && e->name_len == 0) {
		/* An empty line more is no entry. */
		if (!e->any)
			return 0;
		e->any = false;
		return 1;
	}
	if ((c != '=' && c != '\n') || e->name_len == 0)
		return -1;
	value_begin(e);
	e->state = c == '=' ? JOURNAL_IN_TEXT : JOURNAL_IN_LENGTH;
	e->left = 0;
	e->length_bytes = 0;
	return 0;
}

/* Part of a value, as far as it goes: how many bytes. */
static size_t
value_part(struct journal_export *e, const char *data, size_t n)
{
	const char *nl;

	if (e->state == JOURNAL_IN_TEXT) {
		nl = memchr(data, '\n', n);
		if (nl == NULL) {
			value_add(e, data, n);
			return n;
		}
		value_add(e, data, (size_t)(nl - data));
		e->state = JOURNAL_IN_NAME;
		return (size_t)(nl - data) + 1;
	}
	if (n > e->left)
		n = (size_t)e->left;
	value_add(e, data, n);
	e->left -= n;
	if (e->left == 0)
		e->state = JOURNAL_IN_END;
	return n;
}

int
journal_export_read(struct journal_export *e, const char *data, size_t n,
    size_t *used)
{
	size_t i = 0;
	int rc = 0;

	while (rc == 0 && i < n)
		switch (e->state) {
		case JOURNAL_IN_NAME:
			rc = name_byte(e, data[i++]);
			break;
		case JOURNAL_IN_LENGTH:
			e->left |= (uint64_t)(unsigned char)data[i++]
			    << (8 * e->length_bytes);
			if (++e->length_bytes == 8)
				e->state = e->left > 0 ? JOURNAL_IN_DATA :
							 JOURNAL_IN_END;
			break;
		case JOURNAL_IN_END:
			rc = data[i++] == '\n' ? 0 : -1;
			e->state = JOURNAL_IN_NAME;
			break;
		default:
			i += value_part(e, data + i, n - i);
		}
	*used = i;
	return rc;
}

/* A whole number, at most max; 0 when it is anything else. */
static uint64_t
value_number(const struct journal_value *v, uint64_t max)
{
	uint64_t n = 0;
	size_t i;

	if (v->cut || v->len == 0 || v->len > 19)
		return 0;
	for (i = 0; i < v->len; i++) {
		if (v->text[i] < '0' || v->text[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(v->text[i] - '0');
	}
	return n <= max ? n : 0;
}

uint64_t
journal_export_time(const struct journal_export *e)
{
	return value_number(&e->values[JOURNAL_TIME], TIME_MAX_US);
}

/* A word of a line: no blank, no bracket or colon that would end it. */
static size_t
word_put(char *out, const struct journal_value *v, const char *otherwise)
{
	const char *p = v->len > 0 ? v->text : otherwise;
	size_t n = v->len > 0 ? v->len : strlen(otherwise), i;

	for (i = 0; i < n; i++)
		out[i] = (p[i] >= 'a' && p[i] <= 'z') ||
			(p[i] >= 'A' && p[i] <= 'Z') ||
			(p[i] >= '0' && p[i] <= '9') ||
			(p[i] != '\0' && strchr("-._/@+", p[i]) != NULL) ?
		    p[i] : '?';
	return n;
}

size_t
journal_export_line(const struct journal_export *e, char *out, size_t size)
{
	const struct journal_value *message = &e->values[JOURNAL_MESSAGE];
	const uint64_t us = journal_export_time(e);
	const time_t sec = (time_t)(us / 1000000);
	uint64_t pid = value_number(&e->values[JOURNAL_PID], INT32_MAX);
	size_t n, i;
	struct tm tm;

	if (us == 0 || !message->set || size < JOURNAL_LINE_MAX ||
	    gmtime_r(&sec, &tm) == NULL)
		return 0;
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(out + n, size - n, ".%06u+00:00 ",
	    (unsigned)(us % 1000000));
	n += word_put(out + n, &e->values[JOURNAL_HOST], "localhost");
	out[n++] = ' ';
	n += word_put(out + n, &e->values[JOURNAL_IDENT], "unknown");
	if (pid == 0)
		pid = value_number(&e->values[JOURNAL_OWN_PID], INT32_MAX);
	if (pid != 0)
		n += (size_t)snprintf(out + n, size - n, "[%" PRIu64 "]", pid);
	out[n++] = ':';
	out[n++] = ' ';
	for (i = 0; i < message->len; i++) {
		const char c = message->text[i];

		out[n++] = c == '\n' ? ' ' :
		    (unsigned char)c < ' ' && c != '\t' ? '?' : c;
	}
	out[n++] = '\n';
	return n;
}

bool
journal_position_parse(const char *text, char *cursor)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ=;:._-";
	const char *p = text + 8;
	size_t len;

	if (strncmp(text, "journal ", 8) != 0)
		return false;
	len = strlen(p);
	if (len == 0 || len >= JOURNAL_CURSOR_MAX || strspn(p, allowed) != len)
		return false;
	memcpy(cursor, p, len + 1);
	return true;
}
