/*
 * abictl scan --dry-run - who would be listed, why, and the lines.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <time.h>

#include "abictl_scan.h"
#include "text.h"

#define BUFFER 65536 /* of standard output: there may be many */

struct print {
	cJSON *json; /* NULL: a table */
	size_t count;
	long by_rule[MAILLOG_RULES];
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

static void
offender_print(void *arg, const struct dryrun_offender *o)
{
	struct print *p = arg;
	char since[32], line[1024];
	struct tm tm;
	int i;

	p->by_rule[o->rule]++;
	if (p->json != NULL) {
		offender_json(p, o);
		return;
	}
	if (p->count++ == 0)
		printf("%-28s %-18s %6s  %s\n", "BLOCK", "RULE", "HITS",
		    "LISTED");
	localtime_r(&o->since, &tm);
	strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%-28s %-18s %6ld  %s\n", o->block, maillog_rule_name(o->rule),
	    o->hits, since);
	for (i = 0; i < DRYRUN_LINES && o->lines[i] != NULL; i++) {
		text_printable(line, sizeof(line), o->lines[i]);
		printf("    %s\n", line);
	}
}

void
abictl_scan_print(const struct abictl *ctl, struct dryrun *dry,
    const struct scan_counts *c)
{
	struct print p = { 0 };
	size_t n;
	int rule;

	setvbuf(stdout, NULL, _IOFBF, BUFFER);
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
