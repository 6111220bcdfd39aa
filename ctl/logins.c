/*
 * abictl logins - the reports on logins, and forgetting them.
 *
 * The store gives the rows of each user together; everything that a report
 * tells of a user is gathered on the way, so that a large store needs no
 * memory here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/suggest.h"
#include "ctl/abictl.h"
#include "ctl/cli/progress.h"
#include "ctl/cli/table.h"
#include "store/store.h"
#include "base/text.h"

enum { USER, BLOCK, COUNTRY, LOGINS, COUNTRIES, ADDRESSES, LAST };

const struct table_column abictl_logins_columns[] = {
	[USER] = { "USER", NULL, TABLE_TEXT, NULL, 0 },
	[BLOCK] = { "ADDRESS", NULL, TABLE_TEXT, NULL, 0 },
	[COUNTRY] = { "COUNTRY", NULL, TABLE_TEXT, NULL, TABLE_NULL },
	[LOGINS] = { "LOGINS", NULL, TABLE_NUMBER, NULL, 0 },
	[COUNTRIES] = { "COUNTRIES", NULL, TABLE_NUMBER, NULL, 0 },
	[ADDRESSES] = { "ADDRESSES", NULL, TABLE_NUMBER, NULL, 0 },
	[LAST] = { "LAST", NULL, TABLE_TIME, NULL, 0 },
	{ .heading = NULL },
};

#define SHOWN(column) (1U << (column))

/* The seven reports of the plugin's query page, and ours. */
static const struct report {
	const char *name;
	unsigned columns; /* that it shows */
	long above; /* only users with more countries; -1 = --countries or 3 */
	enum { EACH_USER, EACH_ROW, EACH_COUNTRY } each;
} reports[] = {
	{ "summary", SHOWN(USER) | SHOWN(LOGINS) | SHOWN(COUNTRIES) |
	    SHOWN(ADDRESSES) | SHOWN(LAST), 0, EACH_USER },
	{ "suspects", SHOWN(USER) | SHOWN(LOGINS) | SHOWN(COUNTRIES) |
	    SHOWN(ADDRESSES), -1, EACH_USER },
	{ "travellers", SHOWN(USER) | SHOWN(COUNTRIES), 1, EACH_USER },
	{ "rows", SHOWN(USER) | SHOWN(BLOCK) | SHOWN(COUNTRY) |
	    SHOWN(LOGINS) | SHOWN(LAST), 1, EACH_ROW },
	{ "totals", SHOWN(USER) | SHOWN(LOGINS), 0, EACH_USER },
	{ "countries", SHOWN(USER) | SHOWN(COUNTRIES), 0, EACH_USER },
	{ "addresses", SHOWN(USER) | SHOWN(ADDRESSES), 0, EACH_USER },
	{ "by-country", SHOWN(USER) | SHOWN(COUNTRY) | SHOWN(ADDRESSES), 0,
	    EACH_COUNTRY },
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
	const struct report *report;
	long above;
	struct table *table;
	long lines;
	int64_t seen; /* rows */
	bool over; /* no more lines are wanted */

	/* Of the user whose rows come at the moment. */
	struct line user;
	struct line country[COUNTRIES_MAX + 1]; /* each with its addresses */
	struct line nowhere; /* addresses whose country is not known */
	struct line *rows; /* kept until the user's countries are known */
	size_t row_count, row_room;
	bool failed;
};

static void
line_out(struct making *m, const struct line *l)
{
	struct table *t = m->table;
	char text[STORE_USER_MAX];

	if (m->over || !table_row(t)) {
		m->over = true;
		return;
	}
	text_printable(text, sizeof(text), l->user);
	table_text(t, USER, text);
	text_printable(text, sizeof(text), l->block);
	table_text(t, BLOCK, text);
	text_printable(text, sizeof(text), l->country);
	table_text(t, COUNTRY, text);
	table_number(t, LOGINS, l->logins);
	table_number(t, COUNTRIES, l->countries);
	table_number(t, ADDRESSES, l->addresses);
	table_number(t, LAST, l->last);
	m->lines++;
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
	if (m->over || !progress_step(++m->seen))
		return false;
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

int
abictl_logins_form(struct abictl *ctl, int argc, char **argv)
{
	struct suggest s;
	char text[128];
	size_t i;

	(void)argc;
	(void)argv;
	if (ctl->json && ctl->csv)
		return abictl_fail(EX_USAGE, "--json or --csv, not both");
	if (ctl->report == NULL || report_find(ctl->report) != NULL)
		return EX_OK;
	suggest_init(&s, ctl->report);
	for (i = 0; i < REPORT_COUNT; i++)
		suggest_try(&s, reports[i].name);
	return abictl_fail(EX_USAGE, "--report: `%.60s' is %s", ctl->report,
	    suggest_say(&s, "no report", text, sizeof(text)));
}

/* What the report is about, and how many countries it takes. */
static void
making_begin(struct making *m, const struct abictl *ctl, bool of_user)
{
	m->report = report_find(ctl->report != NULL ? ctl->report :
		of_user ? "rows" : "summary");
	m->above = m->report->above >= 0 ? m->report->above : 3;
	if (ctl->countries >= 0)
		m->above = ctl->countries;
	else if (of_user || m->above == 0)
		m->above = -1; /* everybody, also without any country */
}

int
abictl_logins_list(struct abictl *ctl, int argc, char **argv)
{
	const char *user = argc > 0 ? argv[0] : NULL;
	struct store *s = ctl->store;
	static struct making m;
	char key[STORE_USER_MAX] = "";
	struct store_status there;
	enum store_result r;
	int status;

	making_begin(&m, ctl, user != NULL);
	if (user != NULL)
		store_user(user, key, sizeof(key));
	m.table = table_new(ctl, abictl_logins_columns);
	if (m.table == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	table_only(m.table, m.report->columns);
	progress_begin("reading logins", "rows", user == NULL &&
	    progress_watched() && s->driver->status(s, &there) != STORE_ERROR ?
	    there.rows[STORE_LOGIN] : 0);
	r = s->driver->iterate(s, STORE_LOGIN, key, row_add, &m);
	if (progress_end())
		status = abictl_fail(EXIT_INTERRUPTED, "interrupted");
	else if (r == STORE_ERROR)
		status = abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	else if (m.failed)
		status = abictl_fail(EX_OSERR, "out of memory");
	else {
		user_end(&m);
		status = table_print(m.table, user != NULL ? NULL :
		    "there are no logins");
	}
	table_free(m.table);
	if (status == EX_OK && user != NULL && m.lines == 0)
		return abictl_fail(EXIT_ABSENT, "%s: no logins", user);
	return status;
}

static bool
row_count(void *arg, const struct store_row *row)
{
	struct line *sum = arg;

	sum->logins += row->u.login.count;
	sum->addresses++;
	return true;
}

int
abictl_logins_forget(struct abictl *ctl, int argc, char **argv)
{
	struct line sum = { .logins = 0 };
	struct store *s = ctl->store;
	char key[STORE_USER_MAX];
	enum store_result r;

	(void)argc;
	store_user(argv[0], key, sizeof(key));
	/* The store does not tell; only a person wants to know. */
	if (abictl_talks(ctl) && s->driver->iterate(s, STORE_LOGIN, key,
		row_count, &sum) == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	r = s->driver->forget(s, key);
	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (r == STORE_ABSENT)
		return abictl_fail(EXIT_ABSENT, "%s: no logins", argv[0]);
	abictl_say(ctl, "forgot %ld %s of %s from %ld %s", sum.logins,
	    sum.logins == 1 ? "login" : "logins", key, sum.addresses,
	    sum.addresses == 1 ? "address" : "addresses");
	return EX_OK;
}
