/*
 * scan_names - the names of clients, kept from one scan to the next.
 *
 * postscreen does not look up names, so the whitelist needs the one with which
 * smtpd has last named an address; but that may be hours ago, in lines that an
 * earlier scan has read. Kept are those that the whitelist has, in the file
 * ".scan-names" of the cache directory, a line for each: the day on which it
 * was seen, the address, the name. Where it is, postscreen is used.
 */
#include "scan/scan.h"

#include <stdio.h>
#include <string.h>

#include "base/statedir.h"
#include "base/text.h"
#include "base/hostlist.h"

#define FILE_NAME ".scan-names"
#define FILE_MAX 65536 /* bytes */
#define KEEP 30        /* days */

static const struct hostlist *
list_of(struct scan *s)
{
	if (!s->names_read && s->cfg->whitelist.file != NULL &&
	    hostlist_load(s->cfg->whitelist.file, &s->names, NULL, NULL,
		NULL) != 0)
		s->names = NULL;
	s->names_read = true;
	return s->names;
}

void
scan_names_forget(struct scan *s)
{
	if (s->names != NULL)
		hostlist_free(s->names);
	s->names = NULL;
	s->names_read = false;
}

/* Only names that the whitelist has are of use. */
bool
scan_name_wanted(void *scan, const char *name, size_t len)
{
	const struct hostlist *list = list_of(scan);
	char copy[MAILLOG_NAME_MAX], entry[128];

	if (list == NULL || len >= sizeof(copy))
		return false;
	memcpy(copy, name, len);
	copy[len] = '\0';
	return hostlist_name(list, copy, entry, sizeof(entry));
}

/* "20421 192.0.2.1 mx.example.org" */
static void
line_read(struct scan *s, char *line)
{
	long day, today = (long)(s->now / 86400);
	char *address = strchr(line, ' '), *name;
	struct address a;

	if (address == NULL)
		return;
	*address++ = '\0';
	name = strchr(address, ' ');
	if (name == NULL)
		return;
	*name++ = '\0';
	if (text_number(line, 1, today, &day) && day > today - KEEP &&
	    address_parse(address, &a))
		maillog_name_set(&s->log, &a, name, strlen(name), day);
}

void
scan_names_load(struct scan *s)
{
	char text[FILE_MAX], *cursor = text, *line;
	struct statedir d;
	bool whole;

	statedir_init(&d, s->cfg->reputation.cache_dir);
	if (statedir_usable(&d) &&
	    statedir_read(&d, FILE_NAME, text, sizeof(text), NULL) == 1) {
		s->log.postscreen = true;
		while ((line = text_line(&cursor, &whole)) != NULL && whole)
			line_read(s, line);
	}
	statedir_close(&d);
}

/* All names that the whitelist has, as many as there is room for. */
static void
names_format(struct scan *s, struct text *t)
{
	char address[ADDRESS_TEXT_MAX];
	const struct maillog_name *n = s->log.names;
	size_t i;

	for (i = 0; i < MAILLOG_NAMES; i++, n++) {
		if (n->len == 0 || t->len + 256 > FILE_MAX)
			continue;
		if (!scan_name_wanted(s, n->name, n->len))
			continue;
		address_text(&n->address, address, sizeof(address));
		text_addf(t, "%ld %s %.*s\n", n->day, address, n->len,
		    n->name);
	}
}

void
scan_names_save(struct scan *s)
{
	static char text[FILE_MAX], there[FILE_MAX];
	struct statedir d;
	struct text t;

	if (!s->log.postscreen || list_of(s) == NULL)
		return;
	text_init(&t, text, sizeof(text));
	names_format(s, &t);
	statedir_init(&d, s->cfg->reputation.cache_dir);
	if (statedir_usable(&d) &&
	    (statedir_read(&d, FILE_NAME, there, sizeof(there), NULL) != 1 ||
		strcmp(text, there) != 0))
		statedir_write(&d, FILE_NAME, text, t.len, 0);
	statedir_close(&d);
}
