/*
 * abictl blacklist - the offenders: who is listed, by hand on or off.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/abictl.h"
#include "ctl/cli/table.h"
#include "scan/access_map.h"
#include "scan/exempt.h"
#include "scan/mapper.h"
#include "scan/publish.h"
#include "store/snapshot.h"
#include "store/store.h"
#include "base/text.h"

#define BY_HAND "manual"

enum { BLOCK, LISTED, RULE, HITS, TIMES, SINCE, LAST, UNTIL, NOTE };

const struct table_column abictl_blacklist_columns[] = {
	[BLOCK] = { "BLOCK", NULL, TABLE_TEXT, NULL, 0 },
	[LISTED] = { NULL, "listed", TABLE_BOOL, NULL, 0 },
	[RULE] = { "RULE", NULL, TABLE_TEXT, NULL, 0 },
	[HITS] = { "HITS", NULL, TABLE_NUMBER, NULL, 0 },
	[TIMES] = { "TIMES", NULL, TABLE_NUMBER, NULL, 0 },
	[SINCE] = { "SINCE", NULL, TABLE_TIME, NULL, 0 },
	[LAST] = { NULL, "last", TABLE_TIME, NULL, 0 },
	[UNTIL] = { "UNTIL", "expires", TABLE_TIME, "forever", 0 },
	[NOTE] = { "NOTE", NULL, TABLE_TEXT, NULL, TABLE_CUT },
	{ .heading = NULL },
};

struct listing {
	struct table *table;
	time_t now;
};

/* The store's texts may be anybody's: for terminals, and for JSON. */
static struct store_offender
offender_printable(const struct store_offender *o)
{
	struct store_offender p = *o;

	text_printable(p.block, sizeof(p.block), o->block);
	text_printable(p.rule, sizeof(p.rule), o->rule);
	text_printable(p.note, sizeof(p.note), o->note);
	return p;
}

/* False: no more rows are wanted. */
static bool
offender_row(struct table *t, const struct store_offender *offender)
{
	const struct store_offender o = offender_printable(offender);

	if (!table_row(t))
		return false;
	table_text(t, BLOCK, o.block);
	table_number(t, LISTED, o.listed);
	table_text(t, RULE, o.rule);
	table_number(t, HITS, o.hits);
	table_number(t, TIMES, o.times);
	table_number(t, SINCE, o.since);
	table_number(t, LAST, o.last);
	table_number(t, UNTIL, o.expires);
	table_text(t, NOTE, o.note);
	return true;
}

static bool
is_listed(const struct store_offender *o, time_t now)
{
	return o->listed && (o->expires == 0 || o->expires > now);
}

static bool
list_row(void *arg, const struct store_row *row)
{
	const struct listing *l = arg;

	return !is_listed(&row->u.offender, l->now) ||
	    offender_row(l->table, &row->u.offender);
}

int
abictl_blacklist_list(struct abictl *ctl, int argc, char **argv)
{
	struct listing l = { .now = time(NULL) };
	struct store *s = ctl->store;
	int status;

	(void)argc;
	(void)argv;
	l.table = table_new(ctl, abictl_blacklist_columns);
	if (l.table == NULL)
		status = abictl_fail(EX_OSERR, "out of memory");
	else if (s->driver->iterate(s, STORE_OFFENDER, "", list_row, &l) ==
	    STORE_ERROR)
		status = abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	else
		status = table_print(l.table, "nobody is listed");
	table_free(l.table);
	return status;
}

static bool
export_row(void *arg, const struct store_row *row)
{
	const struct store_offender *o = &row->u.offender;
	const struct listing *l = arg;
	struct address_block b;

	if (is_listed(o, l->now) && address_block_parse(o->block, &b) == NULL)
		printf("%s\n", o->block);
	return true;
}

/* One block a line, for firewalls and other programs. */
int
abictl_blacklist_export(struct abictl *ctl, int argc, char **argv)
{
	struct listing l = { .now = time(NULL) };
	struct store *s = ctl->store;

	(void)argc;
	(void)argv;
	return s->driver->iterate(s, STORE_OFFENDER, "", export_row, &l) ==
		STORE_ERROR ? abictl_fail(EX_UNAVAILABLE, "%s", s->error) :
	    EX_OK;
}

/* --- one block --- */

/*
 * "ADDRESS" stands for its block of the configured prefix; "ADDRESS/BITS" for
 * itself, and must be of that length to be added. EX_OK, or a failure, told.
 */
static int
block_find(struct abictl *ctl, const char *text, bool adds, char *out,
    size_t size)
{
	const struct config *cfg = &ctl->cfg;
	struct address_block *b = &ctl->block;
	int bits;

	bits = (int)(b->base.family == AF_INET ? cfg->blacklist.ipv4_prefix :
						 cfg->blacklist.ipv6_prefix);
	if (strchr(text, '/') == NULL)
		b->bits = bits;
	else if (adds && b->bits != bits)
		return abictl_fail(EX_DATAERR, "%s: blocks on this list are "
		    "/%d (blacklist.ipv4_prefix, ipv6_prefix)", text, bits);
	address_mask(&b->base, b->bits);
	address_block_text(b, out, size);
	return EX_OK;
}

struct details {
	cJSON *json;
	const struct abictl *ctl;
	bool any;
	time_t now;
};

static void
time_print(const char *name, time_t t)
{
	char text[32];

	text_time(text, sizeof(text), t);
	printf("%-10s %s\n", name, text);
}

static cJSON *
offender_json(const struct abictl *ctl, const struct store_offender *o)
{
	struct table *t = table_new(ctl, abictl_blacklist_columns);
	cJSON *item = NULL;

	if (t != NULL && offender_row(t, o))
		item = table_json(t);
	table_free(t);
	return item;
}

static bool
show_offender(void *arg, const struct store_row *row)
{
	const struct store_offender p = offender_printable(&row->u.offender);
	const struct store_offender *o = &p;
	struct details *d = arg;

	d->any = true;
	if (d->json != NULL) {
		cJSON_AddItemToObject(d->json, "offender",
		    offender_json(d->ctl, o));
		return true;
	}
	printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %ld\n%-10s %ld\n", "block",
	    o->block, "listed", is_listed(o, d->now) ? "yes" :
	    "no, its ban has expired", "rule", o->rule, "hits", o->hits,
	    "times", o->times);
	time_print("since", o->since);
	time_print("last", o->last);
	if (o->expires != 0)
		time_print("until", o->expires);
	else
		printf("%-10s forever\n", "until");
	if (o->note[0] != '\0')
		printf("%-10s %s\n", "note", o->note);
	return true;
}

static bool
show_hit(void *arg, const struct store_row *row)
{
	const struct store_hit_row *h = &row->u.hit;
	char key[STORE_TEXT_MAX], rule[STORE_RULE_MAX], when[32];
	struct details *d = arg;
	cJSON *item;

	text_printable(key, sizeof(key), h->key);
	text_printable(rule, sizeof(rule), h->rule);
	if (d->json != NULL) {
		item = cJSON_CreateObject();
		cJSON_AddStringToObject(item, "rule", rule);
		cJSON_AddStringToObject(item, "key", key);
		cJSON_AddNumberToObject(item, "time", (double)h->time);
		cJSON_AddItemToArray(cJSON_GetObjectItem(d->json, "hits"),
		    item);
		d->any = true;
		return true;
	}
	text_time(when, sizeof(when), h->time);
	printf("%-10s %s  %s  %s\n", "hit", when, rule,
	    strcmp(rule, "unknown-recipient") == 0 ? key : "");
	d->any = true;
	return true;
}

int
abictl_blacklist_show(struct abictl *ctl, int argc, char **argv)
{
	struct store *s = ctl->store;
	struct details d = { .ctl = ctl, .now = time(NULL) };
	char block[ADDRESS_BLOCK_TEXT_MAX];
	struct snapshot snapshot = { 0 };
	struct snapshot_entry e;
	bool published;
	int rc = block_find(ctl, argv[0], false, block, sizeof(block));

	(void)argc;
	if (rc != EX_OK)
		return rc;
	if (ctl->json) {
		d.json = cJSON_CreateObject();
		cJSON_AddStringToObject(d.json, "block", block);
		cJSON_AddArrayToObject(d.json, "hits");
	}
	if (s->driver->iterate(s, STORE_OFFENDER, block, show_offender, &d) ==
		STORE_ERROR ||
	    s->driver->iterate(s, STORE_HIT, block, show_hit, &d) ==
		STORE_ERROR) {
		cJSON_Delete(d.json);
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
	published = snapshot_refresh(&snapshot, ctl->cfg.blacklist.snapshot) &&
	    snapshot_find(&snapshot, &ctl->block.base, d.now, &e);
	snapshot_close(&snapshot);
	if (d.json != NULL) {
		cJSON_AddBoolToObject(d.json, "published", published);
		rc = abictl_json(d.json);
		return rc != EX_OK ? rc : d.any ? EX_OK : EXIT_ABSENT;
	}
	if (!d.any)
		return abictl_fail(EXIT_ABSENT, "%s: not listed, no hits",
		    block);
	printf("%-10s %s\n", "published", published ? "yes" : "no");
	return EX_OK;
}

/* --- changes --- */

static int
publish_now(struct abictl *ctl, struct store *s, enum mapper_task task,
    struct publish_result *result)
{
	char error[PUBLISH_ERROR_MAX];

	if (publish(&ctl->cfg, s, time(NULL), task, result, error,
		sizeof(error)))
		return EX_OK;
	return abictl_fail(EX_CANTCREAT, "%s", error);
}

/* What has become of it, and whether it stops anybody. */
static void
add_tell(const struct abictl *ctl, const struct store_offender *o)
{
	char left[20] = "ever";

	if (o->expires != 0)
		text_age(left, sizeof(left), (long)(o->expires - o->since));
	abictl_say(ctl, "listed %s for%s%s", o->block,
	    o->expires != 0 ? " " : "", left);
	/* An access map refuses without the filter. */
	if (ctl->cfg.blacklist.map == NULL)
		abictl_warn_idle(&ctl->cfg, "blacklist",
		    ctl->cfg.blacklist.action);
}

int
abictl_blacklist_add(struct abictl *ctl, int argc, char **argv)
{
	struct store *s = ctl->store;
	struct store_offender o = { .rule = BY_HAND, .since = time(NULL),
		.listed = true };
	static struct exempt exempt;
	const struct address_block *b = &ctl->block;
	struct publish_result result;
	const char *why;
	int rc = block_find(ctl, argv[0], true, o.block, sizeof(o.block));

	if (rc != EX_OK)
		return rc;
	exempt_load(&exempt, &ctl->cfg);
	why = exempt_why(&exempt, &b->base, b, "");
	if (exempt.problem[0] != '\0')
		rc = abictl_fail(EX_NOINPUT, "%s", exempt.problem);
	else if (why != NULL)
		rc = abictl_fail(EX_DATAERR, "%s is never listed: %s", o.block,
		    why);
	exempt_free(&exempt);
	if (rc != EX_OK)
		return rc;
	o.last = o.since;
	if (ctl->ban != 0)
		o.expires = o.since + ctl->ban;
	text_printable(o.note, sizeof(o.note), argc > 1 ? argv[1] : "");
	if (s->driver->offender_add(s, &o) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	rc = publish_now(ctl, s, MAPPER_WRITE, &result);
	if (rc == EX_OK)
		add_tell(ctl, &o);
	return rc;
}

int
abictl_blacklist_remove_form(struct abictl *ctl, int argc, char **argv)
{
	if ((argc == 0) != ctl->all)
		return abictl_fail(EX_USAGE, "blacklist remove: either IP or "
		    "--all is wanted");
	return abictl_block_form(ctl, argc, argv);
}

int
abictl_blacklist_remove(struct abictl *ctl, int argc, char **argv)
{
	char block[ADDRESS_BLOCK_TEXT_MAX] = "";
	struct store *s = ctl->store;
	struct publish_result result;
	enum store_result r;
	int rc = EX_OK;

	if (argc > 0)
		rc = block_find(ctl, argv[0], false, block, sizeof(block));
	if (rc != EX_OK)
		return rc;
	r = s->driver->offender_remove(s, block);
	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	rc = publish_now(ctl, s, MAPPER_WRITE, &result);
	if (rc == EX_OK && r == STORE_ABSENT && argc > 0)
		return abictl_fail(EXIT_ABSENT, "%s: not listed", block);
	if (rc == EX_OK && r == STORE_ABSENT)
		abictl_say(ctl, "nobody was listed");
	else if (rc == EX_OK)
		abictl_say(ctl, "removed %s", argc > 0 ? block : "all");
	return rc;
}

/* Makes the map anew, and says whom an OK line keeps out of it. */
int
abictl_blacklist_map(struct abictl *ctl, int argc, char **argv)
{
	char line[ACCESS_MAP_ERROR_MAX];
	struct publish_result result;
	int rc;

	(void)argc;
	(void)argv;
	if (ctl->cfg.blacklist.map == NULL)
		return abictl_fail(EX_USAGE, "blacklist.map is not set");
	rc = publish_now(ctl, ctl->store,
	    ctl->override ? MAPPER_OVERRIDE : MAPPER_MAP, &result);
	if (rc != EX_OK)
		return rc;
	abictl_say(ctl, "%s: %zu lines", ctl->cfg.blacklist.map,
	    result.map.lines);
	access_map_left(ctl->cfg.blacklist.map, &result.map, line,
	    sizeof(line));
	if (result.map.left > 0)
		puts(line);
	return EX_OK;
}

/* Takes our block out of a map, also of one that is no longer configured. */
int
abictl_blacklist_unmap(struct abictl *ctl, int argc, char **argv)
{
	static struct mapper_answer a;
	struct access_map m;
	const char *what;

	(void)argc;
	(void)argv;
	if (ctl->cfg.blacklist.map == NULL)
		return abictl_fail(EX_USAGE, "blacklist.map is not set: MAP is "
		    "wanted");
	what = access_map_parse(ctl->cfg.blacklist.map, &m);
	if (what != NULL)
		return abictl_fail(EX_DATAERR, "%s: %s",
		    ctl->cfg.blacklist.map, what);
	if (!mapper_do(&ctl->cfg, MAPPER_REMOVE, &a))
		return abictl_fail(EX_CANTCREAT, "%s", a.error);
	abictl_say(ctl, "removed our lines from %s", ctl->cfg.blacklist.map);
	return EX_OK;
}
