/*
 * abictl scan --dry-run - who would be listed, why, and the lines.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/scan.h"
#include "base/text.h"

#define BUFFER 262144 /* of standard output: there may be many */

struct print {
	cJSON *json; /* NULL: a table */
	size_t count;
	long by_rule[MAILLOG_RULES];
	time_t since;        /* of the last one printed */
	char since_text[32]; /* the same */
	char row[4096];
	size_t used;
};

static void
offender_json(struct print *p, const struct dryrun_offender *o)
{
	cJSON *item = cJSON_CreateObject(), *lines;
	char line[1024];
	int i;

	cJSON_AddStringToObject(item, "block", o->block);
	cJSON_AddStringToObject(item, "rule", maillog_rule_name(o->rule));
	cJSON_AddNumberToObject(item, "hits", (double)o->hits);
	cJSON_AddNumberToObject(item, "since", (double)o->since);
	cJSON_AddNumberToObject(item, "last", (double)o->last);
	lines = cJSON_AddArrayToObject(item, "lines");
	for (i = 0; i < DRYRUN_LINES && o->lines[i] != NULL; i++) {
		text_printable(line, sizeof(line), o->lines[i]);
		cJSON_AddItemToArray(lines, cJSON_CreateString(line));
	}
	cJSON_AddItemToArray(p->json, item);
}

/* The time as people read it; many have the same. */
static const char *
since_text(struct print *p, time_t since)
{
	if (since != p->since || p->since_text[0] == '\0') {
		p->since = since;
		text_time(p->since_text, sizeof(p->since_text), since);
	}
	return p->since_text;
}

/* Appends to a row, as far as there is room. */
static void
row_add(struct print *p, const char *text, size_t width)
{
	size_t n = strlen(text), room = sizeof(p->row) - p->used;

	if (n > room)
		n = room;
	memcpy(p->row + p->used, text, n);
	p->used += n;
	for (; n < width && p->used < sizeof(p->row); n++)
		p->row[p->used++] = ' ';
}

/* A line of the log, made safe for a terminal; most of them are. */
static void
line_add(struct print *p, const char *line)
{
	char shown[1024];
	const char *s;

	for (s = line; *s >= 0x20 && *s < 0x7f; s++)
		;
	if (*s != '\0')
		text_printable(shown, sizeof(shown), line);
	row_add(p, "    ", 0);
	row_add(p, *s != '\0' ? shown : line, 0);
	row_add(p, "\n", 0);
}

/* There may be very many: no printf, and one write for each. */
static void
offender_print(void *arg, const struct dryrun_offender *o)
{
	struct print *p = arg;
	char hits[24];
	int i;

	p->by_rule[o->rule]++;
	if (p->json != NULL) {
		offender_json(p, o);
		return;
	}
	p->used = 0;
	if (p->count++ == 0)
		printf("%-28s %-18s %6s  %s\n", "BLOCK", "RULE", "HITS",
		    "LISTED");
	snprintf(hits, sizeof(hits), "%6ld  ", o->hits);
	row_add(p, o->block, 29);
	row_add(p, maillog_rule_name(o->rule), 19);
	row_add(p, hits, 0);
	row_add(p, since_text(p, o->since), 0);
	row_add(p, "\n", 0);
	for (i = 0; i < DRYRUN_LINES && o->lines[i] != NULL; i++)
		line_add(p, o->lines[i]);
	fwrite(p->row, 1, p->used, stdout);
}

void
abictl_scan_print(const struct abictl *ctl, struct dryrun *dry,
    const struct scan_counts *c)
{
	static char buffer[BUFFER];
	static struct print p;
	size_t n;
	int rule;

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	if (ctl->json)
		p.json = cJSON_CreateArray();
	n = dryrun_each(dry, offender_print, &p);
	if (ctl->json) {
		abictl_json(p.json);
		return;
	}
	printf("%s%zu would be listed", n > 0 ? "\n" : "", n);
	for (rule = 0; rule < MAILLOG_RULES; rule++)
		if (p.by_rule[rule] > 0)
			printf(", %ld by %s", p.by_rule[rule],
			    maillog_rule_name((enum maillog_rule)rule));
	printf("\n%llu lines, %llu offences, %llu hits; not counted: "
	    "%llu temporary, %llu of our own refusals, %llu exempt\n",
	    (unsigned long long)c->lines, (unsigned long long)c->offences,
	    (unsigned long long)c->hits, (unsigned long long)c->temporary,
	    (unsigned long long)c->ours, (unsigned long long)c->exempt);
}
