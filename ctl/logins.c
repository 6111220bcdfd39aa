/*
 * abictl logins - the reports on logins, and forgetting them.
 *
 * The store gives the rows of each user together; everything that a report
 * tells of a user is gathered on the way, so that a large store needs no
 * memory here.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "ctl/abictl.h"
#include "store/store.h"
#include "base/text.h"

/* What a report shows, in this order. */
enum column {
	USER = 1 << 0,
	BLOCK = 1 << 1,
	COUNTRY = 1 << 2,
	LOGINS = 1 << 3,
	COUNTRIES = 1 << 4,
	ADDRESSES = 1 << 5,
	LAST = 1 << 6,
};

static const struct column_name {
	enum column column;
	const char *title; /* of the table; in lower case elsewhere */
	int width;
} columns[] = {
	{ USER, "USER", -32 },
	{ BLOCK, "ADDRESS", -24 },
	{ COUNTRY, "COUNTRY", -7 },
	{ LOGINS, "LOGINS", 7 },
	{ COUNTRIES, "COUNTRIES", 9 },
	{ ADDRESSES, "ADDRESSES", 9 },
	{ LAST, "LAST", 20 },
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

/* The seven reports of the plugin's query page, and ours. */
static const struct report {
	const char *name;
	enum column columns;
	long above; /* only users with more countries; -1 = --countries or 3 */
	enum { EACH_USER, EACH_ROW, EACH_COUNTRY } each;
} reports[] = {
	{ "summary", USER | LOGINS | COUNTRIES | ADDRESSES | LAST, 0,
	    EACH_USER },
	{ "suspects", USER | LOGINS | COUNTRIES | ADDRESSES, -1, EACH_USER },
	{ "travellers", USER | COUNTRIES, 1, EACH_USER },
	{ "rows", USER | BLOCK | COUNTRY | LOGINS | LAST, 1, EACH_ROW },
	{ "totals", USER | LOGINS, 0, EACH_USER },
	{ "countries", USER | COUNTRIES, 0, EACH_USER },
	{ "addresses", USER | ADDRESSES, 0, EACH_USER },
	{ "by-country", USER | COUNTRY | ADDRESSES, 0, EACH_COUNTRY },
};

#define REPORT_COUNT (sizeof(reports) / sizeof(reports[0]))
#define COUNTRIES_MAX 676

/* One line of a report. */
struct line {
	char user[STORE_USER_MAX];
	char block[ADDRESS_TEXT_MAX];
	char country[8];
	long logins, countries, addresses;
	time_t last;
};

/* A report in the making. */
struct making {
	const struct abictl *ctl;
	const struct report *report;
	long above;
	cJSON *json;
	long lines;

	/* Of the user whose rows come at the moment. */
	struct line user;
	struct line country[COUNTRIES_MAX + 1]; /* each with its addresses */
	struct line nowhere; /* addresses whose country is not known */
	struct line *rows; /* kept until the user's countries are known */
	size_t row_count, row_room;
	bool failed;
};

/* A cell as text. */
static void
cell(const struct line *l, enum column column, char *out, size_t size)
{
	switch (column) {
	case USER:
		text_printable(out, size, l->user);
		break;
	case BLOCK:
		text_printable(out, size, l->block);
		break;
	case COUNTRY:
		text_printable(out, size, l->country);
		break;
	case LOGINS:
		snprintf(out, size, "%ld", l->logins);
		break;
	case COUNTRIES:
		snprintf(out, size, "%ld", l->countries);
		break;
	case ADDRESSES:
		snprintf(out, size, "%ld", l->addresses);
		break;
	case LAST:
		text_time(out, size, l->last);
		break;
	}
}

static void
title_lower(const struct column_name *c, char *out, size_t size)
{
	snprintf(out, size, "%s", c->title);
	text_lower(out);
}

static void
line_json(struct making *m, const struct line *l)
{
	cJSON *o = cJSON_CreateObject();
	char name[16], value[256];
	size_t i;

	for (i = 0; i < COLUMN_COUNT; i++) {
		if ((m->report->columns & columns[i].column) == 0)
			continue;
		title_lower(&columns[i], name, sizeof(name));
		cell(l, columns[i].column, value, sizeof(value));
		if (columns[i].column == LAST)
			cJSON_AddNumberToObject(o, name, (double)l->last);
		else if (columns[i].column == COUNTRY && *value == '\0')
			cJSON_AddNullToObject(o, name);
		else if (columns[i].width > 0)
			cJSON_AddRawToObject(o, name, value);
		else
			cJSON_AddStringToObject(o, name, value);
	}
	cJSON_AddItemToArray(m->json, o);
}

/* A field of RFC 4180: in quotes when it must be. */
static void
csv_print(const char *value)
{
	if (strpbrk(value, ",\"") == NULL) {
		fputs(value, stdout);
		return;
	}
	putchar('"');
	for (; *value != '\0'; value++) {
		if (*value == '"')
			putchar('"');
		putchar(*value);
	}
	putchar('"');
}

/* A row of the table or of CSV; l NULL: the titles. */
static void
line_print(const struct making *m, const struct line *l)
{
	char value[256];
	bool first = true;
	size_t i;

	for (i = 0; i < COLUMN_COUNT; i++) {
		if ((m->report->columns & columns[i].column) == 0)
			continue;
		if (l != NULL)
			cell(l, columns[i].column, value, sizeof(value));
		else if (m->ctl->csv)
			title_lower(&columns[i], value, sizeof(value));
		else
			snprintf(value, sizeof(value), "%s", columns[i].title);
		if (!m->ctl->csv) {
			printf("%s%*s", first ? "" : "  ", columns[i].width,
			    *value != '\0' ? value : "-");
		} else {
			fputs(first ? "" : ",", stdout);
			csv_print(value);
		}
		first = false;
	}
	putchar('\n');
}

static void
line_out(struct making *m, const struct line *l)
{
	m->lines++;
	if (m->json != NULL)
		line_json(m, l);
	else
		line_print(m, l);
}

/* The slot of a country. */
static struct line *
country_slot(struct making *m, const char *code)
{
	size_t i;

	for (i = 0; i < COUNTRIES_MAX; i++) {
		if (m->country[i].country[0] == '\0') {
			snprintf(m->country[i].country,
			    sizeof(m->country[i].country), "%s", code);
			m->user.countries++;
			return &m->country[i];
		}
		if (strcmp(m->country[i].country, code) == 0)
			return &m->country[i];
	}
	return &m->country[COUNTRIES_MAX];
}

/* All rows of a user were there. */
static void
user_end(struct making *m)
{
	size_t i;

	if (m->user.user[0] == '\0' || m->user.countries <= m->above)
		return;
	if (m->report->each == EACH_USER)
		line_out(m, &m->user);
	for (i = 0; m->report->each == EACH_ROW && i < m->row_count; i++)
		line_out(m, &m->rows[i]);
	for (i = 0; m->report->each == EACH_COUNTRY &&
	     (long)i < m->user.countries; i++) {
		memcpy(m->country[i].user, m->user.user, sizeof(m->user.user));
		line_out(m, &m->country[i]);
	}
	if (m->report->each == EACH_COUNTRY && m->nowhere.addresses > 0) {
		memcpy(m->nowhere.user, m->user.user, sizeof(m->user.user));
		line_out(m, &m->nowhere);
	}
}

static void
user_begin(struct making *m, const char *user)
{
	user_end(m);
	memset(&m->user, 0, sizeof(m->user));
	memset(m->country, 0, sizeof(m->country));
	memset(&m->nowhere, 0, sizeof(m->nowhere));
	m->row_count = 0;
	snprintf(m->user.user, sizeof(m->user.user), "%s", user);
}

static bool
row_keep(struct making *m, const struct line *l)
{
	struct line *rows = array_room(m->rows, &m->row_room, m->row_count + 1,
	    sizeof(*l), 64);

	if (rows == NULL)
		return false;
	m->rows = rows;
	m->rows[m->row_count++] = *l;
	return true;
}

static bool
row_add(void *arg, const struct store_row *row)
{
	const struct store_login_row *r = &row->u.login;
	struct making *m = arg;
	struct line l = { .logins = r->count, .last = r->last };

	if (strcmp(m->user.user, r->user) != 0)
		user_begin(m, r->user);
	m->user.logins += r->count;
	m->user.addresses++;
	if (r->last > m->user.last)
		m->user.last = r->last;
	if (r->country[0] != '\0')
		country_slot(m, r->country)->addresses++;
	else
		m->nowhere.addresses++;
	if (m->report->each != EACH_ROW)
		return true;
	memcpy(l.user, r->user, sizeof(l.user));
	memcpy(l.block, r->block, sizeof(l.block));
	memcpy(l.country, r->country, sizeof(l.country));
	m->failed = !row_keep(m, &l);
	return !m->failed;
}

static const struct report *
report_find(const char *name)
{
	size_t i;

	for (i = 0; i < REPORT_COUNT; i++)
		if (strcmp(reports[i].name, name) == 0)
			return &reports[i];
	return NULL;
}

static int
report_make(struct abictl *ctl, struct store *s, const char *user)
{
	static struct making m;
	char key[STORE_USER_MAX] = "";
	enum store_result r;

	m.ctl = ctl;
	m.report = report_find(ctl->report != NULL ? ctl->report :
		user != NULL ? "rows" : "summary");
	if (m.report == NULL)
		return abictl_fail(EX_USAGE, "%s: no such report",
		    ctl->report);
	m.above = m.report->above >= 0 ? m.report->above : 3;
	if (ctl->countries >= 0)
		m.above = ctl->countries;
	else if (user != NULL || m.above == 0)
		m.above = -1; /* everybody, also without any country */
	if (user != NULL)
		store_user(user, key, sizeof(key));
	if (ctl->json)
		m.json = cJSON_CreateArray();
	else
		line_print(&m, NULL);
	r = s->driver->iterate(s, STORE_LOGIN, key, row_add, &m);
	user_end(&m);
	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (m.failed)
		return abictl_fail(EX_OSERR, "out of memory");
	if (m.json != NULL)
		abictl_json(m.json);
	if (user != NULL && m.lines == 0)
		return abictl_fail(EX_NOUSER, "%s: no logins", user);
	return EX_OK;
}

static bool
row_count(void *arg, const struct store_row *row)
{
	struct line *sum = arg;

	sum->logins += row->u.login.count;
	sum->addresses++;
	return true;
}

static int
forget(struct abictl *ctl, struct store *s, const char *user)
{
	struct line sum = { .logins = 0 };
	char key[STORE_USER_MAX];
	enum store_result r;

	store_user(user, key, sizeof(key));
	/* The store does not tell; only a person wants to know. */
	if (abictl_talks(ctl) && s->driver->iterate(s, STORE_LOGIN, key,
		row_count, &sum) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	r = s->driver->forget(s, key);
	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (r == STORE_ABSENT)
		return abictl_fail(EX_NOUSER, "%s: no logins", user);
	abictl_say(ctl, "forgot %ld %s of %s from %ld %s", sum.logins,
	    sum.logins == 1 ? "login" : "logins", key, sum.addresses,
	    sum.addresses == 1 ? "address" : "addresses");
	return EX_OK;
}

int
abictl_logins(struct abictl *ctl, int argc, char **argv)
{
	bool forgetting = argc > 0 && strcmp(argv[0], "forget") == 0;
	char error[STORE_ERROR_MAX];
	struct store *s;
	int status;

	if (argc > 1 + forgetting || (forgetting && argc != 2))
		return EX_USAGE;
	s = store_open(&ctl->cfg, ctl->cfg.store.url, error, sizeof(error));
	if (s == NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s", error);
	status = forgetting ? forget(ctl, s, argv[1]) :
			      report_make(ctl, s, argc > 0 ? argv[0] : NULL);
	store_free(s);
	return status;
}
