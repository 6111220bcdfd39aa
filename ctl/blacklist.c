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
#include "scan/access_map.h"
#include "scan/exempt.h"
#include "scan/mapper.h"
#include "scan/publish.h"
#include "store/snapshot.h"
#include "store/store.h"
#include "base/text.h"

#define EXIT_UNKNOWN 1   /* no such block on the list */
#define STORE_WAIT 30000 /* milliseconds */
#define BY_HAND "manual"

struct listing {
	const struct abictl *ctl;
	cJSON *json; /* NULL: a table */
	time_t now;
	long count;
	bool all; /* those whose ban is over, too */
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

static cJSON *
offender_json(const struct store_offender *o)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "block", o->block);
	cJSON_AddBoolToObject(item, "listed", o->listed);
	cJSON_AddStringToObject(item, "rule", o->rule);
	cJSON_AddNumberToObject(item, "hits", (double)o->hits);
	cJSON_AddNumberToObject(item, "times", (double)o->times);
	cJSON_AddNumberToObject(item, "since", (double)o->since);
	cJSON_AddNumberToObject(item, "last", (double)o->last);
	cJSON_AddNumberToObject(item, "expires", (double)o->expires);
	cJSON_AddStringToObject(item, "note", o->note);
	return item;
}

static bool
is_listed(const struct store_offender *o, time_t now)
{
	return o->listed && (o->expires == 0 || o->expires > now);
}

/* "2d" that are left, or "for ever". */
static void
left_text(const struct store_offender *o, time_t now, char *out, size_t size)
{
	if (o->expires == 0)
		snprintf(out, size, "forever");
	else
		text_age(out, size, (long)(o->expires - now));
}

static bool
list_row(void *arg, const struct store_row *row)
{
	const struct store_offender p = offender_printable(&row->u.offender);
	const struct store_offender *o = &p;
	struct listing *l = arg;
	char since[20], left[20];

	if (!is_listed(o, l->now))
		return true;
	if (l->json != NULL) {
		cJSON_AddItemToArray(l->json, offender_json(o));
		return true;
	}
	if (l->count++ == 0)
		printf("%-28s %-18s %6s %5s %6s %9s  %s\n", "BLOCK", "RULE",
		    "HITS", "TIMES", "SINCE", "LEFT", "NOTE");
	text_age(since, sizeof(since), (long)(l->now - o->since));
	left_text(o, l->now, left, sizeof(left));
	printf("%-28s %-18s %6ld %5ld %6s %9s  %s\n", o->block, o->rule,
	    o->hits, o->times, since, left, o->note);
	return true;
}

static int
list(struct abictl *ctl, struct store *s)
{
	struct listing l = { .ctl = ctl, .now = time(NULL) };

	if (ctl->json)
		l.json = cJSON_CreateArray();
	if (s->driver->iterate(s, STORE_OFFENDER, "", list_row, &l) ==
	    STORE_ERROR) {
		cJSON_Delete(l.json);
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
	if (ctl->json)
		return abictl_json(l.json);
	if (l.count == 0)
		puts("nobody is listed");
	return EX_OK;
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
static int
export(struct abictl *ctl, struct store *s)
{
	struct listing l = { .ctl = ctl, .now = time(NULL) };

	return s->driver->iterate(s, STORE_OFFENDER, "", export_row, &l) ==
		STORE_ERROR ? abictl_fail(EX_UNAVAILABLE, "%s", s->error) :
	    EX_OK;
}

/* --- one block --- */

/*
 * "ADDRESS" stands for its block of the configured prefix; "ADDRESS/BITS" for
 * itself, and must be of that length to be added. 0, or an exit status.
 */
static int
block_parse(const struct config *cfg, const char *text, bool adds,
    struct address_block *b, char *out, size_t size)
{
	const char *wrong = address_block_parse(text, b);
	int bits;

	if (wrong != NULL)
		return abictl_fail(EX_DATAERR, "%s: %s", text, wrong);
	bits = (int)(b->base.family == AF_INET ? cfg->blacklist.ipv4_prefix :
						 cfg->blacklist.ipv6_prefix);
	if (strchr(text, '/') == NULL)
		b->bits = bits;
	else if (adds && b->bits != bits)
		return abictl_fail(EX_DATAERR, "%s: blocks on this list are "
		    "/%d (blacklist.ipv4_prefix, ipv6_prefix)", text, bits);
	address_mask(&b->base, b->bits);
	address_block_text(b, out, size);
	return 0;
}

struct details {
	cJSON *json;
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

static bool
show_offender(void *arg, const struct store_row *row)
{
	const struct store_offender p = offender_printable(&row->u.offender);
	const struct store_offender *o = &p;
	struct details *d = arg;

	d->any = true;
	if (d->json != NULL) {
		cJSON_AddItemToObject(d->json, "offender", offender_json(o));
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

static int
show(struct abictl *ctl, struct store *s, const char *text)
{
	struct details d = { .now = time(NULL) };
	char block[ADDRESS_BLOCK_TEXT_MAX];
	struct snapshot snapshot = { 0 };
	struct snapshot_entry e;
	struct address_block b;
	bool published;
	int rc = block_parse(&ctl->cfg, text, false, &b, block,
	    sizeof(block));

	if (rc != 0)
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
	    snapshot_find(&snapshot, &b.base, d.now, &e);
	snapshot_close(&snapshot);
	if (d.json != NULL) {
		cJSON_AddBoolToObject(d.json, "published", published);
		rc = abictl_json(d.json);
		return rc != EX_OK ? rc : d.any ? EX_OK : EXIT_UNKNOWN;
	}
	if (!d.any)
		return abictl_fail(EXIT_UNKNOWN, "%s: not listed, no hits",
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
	char left[20];

	left_text(o, o->since, left, sizeof(left));
	abictl_say(ctl, "listed %s %s%s", o->block,
	    o->expires != 0 ? "for " : "", left);
	/* An access map refuses without the filter. */
	if (ctl->cfg.blacklist.map == NULL)
		abictl_warn_idle(&ctl->cfg, "blacklist",
		    ctl->cfg.blacklist.action);
}

static int
add(struct abictl *ctl, struct store *s, const char *text, const char *note)
{
	struct store_offender o = { .rule = BY_HAND, .since = time(NULL),
		.listed = true };
	static struct exempt exempt;
	struct address_block b;
	struct publish_result result;
	const char *why;
	int rc = block_parse(&ctl->cfg, text, true, &b, o.block,
	    sizeof(o.block));

	if (rc != 0)
		return rc;
	exempt_load(&exempt, &ctl->cfg);
	why = exempt_why(&exempt, &b.base, &b, "");
	if (exempt.problem[0] != '\0')
		rc = abictl_fail(EX_NOINPUT, "%s", exempt.problem);
	else if (why != NULL)
		rc = abictl_fail(EX_DATAERR, "%s is never listed: %s", o.block,
		    why);
	exempt_free(&exempt);
	if (rc != 0)
		return rc;
	o.last = o.since;
	if (ctl->ban != 0)
		o.expires = o.since + ctl->ban;
	text_printable(o.note, sizeof(o.note), note);
	if (s->driver->offender_add(s, &o) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	rc = publish_now(ctl, s, MAPPER_WRITE, &result);
	if (rc == EX_OK)
		add_tell(ctl, &o);
	return rc;
}

static int
remove_block(struct abictl *ctl, struct store *s, const char *text)
{
	char block[ADDRESS_BLOCK_TEXT_MAX] = "";
	struct publish_result result;
	struct address_block b;
	enum store_result r;
	int rc = 0;

	if (text != NULL)
		rc = block_parse(&ctl->cfg, text, false, &b, block,
		    sizeof(block));
	if (rc != 0)
		return rc;
	r = s->driver->offender_remove(s, block);
	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	rc = publish_now(ctl, s, MAPPER_WRITE, &result);
	if (rc == EX_OK && r == STORE_ABSENT && text != NULL)
		return abictl_fail(EXIT_UNKNOWN, "%s: not listed", block);
	if (rc == EX_OK && r == STORE_ABSENT)
		abictl_say(ctl, "nobody was listed");
	else if (rc == EX_OK)
		abictl_say(ctl, "removed %s", text != NULL ? block : "all");
	return rc;
}

/* Makes the map anew, and says whom an OK line keeps out of it. */
static int
map(struct abictl *ctl, struct store *s)
{
	char line[ACCESS_MAP_ERROR_MAX];
	struct publish_result result;
	int rc;

	if (ctl->cfg.blacklist.map == NULL)
		return abictl_fail(EX_USAGE, "no map is configured");
	rc = publish_now(ctl, s,
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
static int
unmap(struct abictl *ctl)
{
	static struct mapper_answer a;
	struct access_map m;
	const char *what;

	if (ctl->cfg.blacklist.map == NULL)
		return abictl_fail(EX_USAGE, "no map is configured or named");
	what = access_map_parse(ctl->cfg.blacklist.map, &m);
	if (what != NULL)
		return abictl_fail(EX_DATAERR, "%s: %s",
		    ctl->cfg.blacklist.map, what);
	if (!mapper_do(&ctl->cfg, MAPPER_REMOVE, &a))
		return abictl_fail(EX_CANTCREAT, "%s", a.error);
	abictl_say(ctl, "removed our lines from %s", ctl->cfg.blacklist.map);
	return EX_OK;
}

int
abictl_blacklist(struct abictl *ctl, int argc, char **argv)
{
	const char *verb = argc > 0 ? argv[0] : "list";
	char error[STORE_ERROR_MAX];
	struct store *s;
	int status = EX_USAGE;

	if (strcmp(verb, "unmap") == 0 && argc <= 2)
		return unmap(ctl);
	s = store_open(&ctl->cfg, ctl->cfg.store.url, error, sizeof(error));
	if (s == NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s", error);
	s->wait_ms = STORE_WAIT;
	if (strcmp(verb, "list") == 0 && argc <= 1)
		status = list(ctl, s);
	else if (strcmp(verb, "export") == 0 && argc == 1)
		status = export(ctl, s);
	else if (strcmp(verb, "map") == 0 && argc == 1)
		status = map(ctl, s);
	else if (strcmp(verb, "show") == 0 && argc == 2)
		status = show(ctl, s, argv[1]);
	else if (strcmp(verb, "add") == 0 && (argc == 2 || argc == 3))
		status = add(ctl, s, argv[1], argc == 3 ? argv[2] : "");
	else if (strcmp(verb, "remove") == 0 &&
	    (argc == 2 ? !ctl->all : argc == 1 && ctl->all))
		status = remove_block(ctl, s, argc == 2 ? argv[1] : NULL);
	store_free(s);
	return status;
}
