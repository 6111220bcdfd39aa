/*
 * abictl accounts - the list of compromised accounts.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl/abictl.h"
#include "ctl/cli/table.h"
#include "accounts.h"
#include "store/store.h"
#include "base/text.h"

enum { USER, LISTED, SINCE, RELEASED, BY, ADDRESS, COMMAND, REASON, RAN };

const struct table_column abictl_accounts_columns[] = {
	[USER] = { "USER", NULL, TABLE_TEXT, NULL, 0 },
	[LISTED] = { NULL, "listed", TABLE_BOOL, NULL, 0 },
	[SINCE] = { "SINCE", NULL, TABLE_TIME, NULL, 0 },
	[RELEASED] = { NULL, "released", TABLE_TIME, NULL, 0 },
	[BY] = { "BY", "check", TABLE_TEXT, NULL, 0 },
	[ADDRESS] = { "ADDRESS", NULL, TABLE_TEXT, NULL, 0 },
	[COMMAND] = { "COMMAND", "", TABLE_TEXT, NULL, 0 },
	[REASON] = { "REASON", NULL, TABLE_TEXT, NULL, TABLE_CUT },
	[RAN] = { NULL, "command_ran", TABLE_BOOL, NULL, 0 },
	{ .heading = NULL },
};

struct listing {
	const struct abictl *ctl;
	struct table *table;
	time_t now;
};

/* The store's texts may be anybody's: for terminals, and for JSON. */
static struct store_account
account_printable(const struct store_account *a)
{
	struct store_account p = *a;

	text_printable(p.user, sizeof(p.user), a->user);
	text_printable(p.check, sizeof(p.check), a->check);
	text_printable(p.address, sizeof(p.address), a->address);
	text_printable(p.reason, sizeof(p.reason), a->reason);
	return p;
}

/* False: no more rows are wanted. */
static bool
account_row(const struct listing *l, const struct store_account *account)
{
	const struct store_account a = account_printable(account);
	struct table *t = l->table;

	if (!table_row(t))
		return false;
	table_text(t, USER, a.user);
	table_number(t, LISTED, accounts_listed(&l->ctl->cfg, &a, l->now));
	table_number(t, SINCE, a.since);
	table_number(t, RELEASED, a.released);
	table_text(t, BY, a.check);
	table_text(t, ADDRESS, a.address);
	table_text(t, COMMAND, a.command_ran ? "started" : "");
	table_text(t, REASON, a.reason);
	table_number(t, RAN, a.command_ran);
	return true;
}

static bool
list_row(void *arg, const struct store_row *row)
{
	const struct listing *l = arg;

	return !accounts_listed(&l->ctl->cfg, &row->u.account, l->now) ||
	    account_row(l, &row->u.account);
}

int
abictl_accounts_list(struct abictl *ctl, int argc, char **argv)
{
	struct listing l = { .ctl = ctl, .now = time(NULL) };
	struct store *s = ctl->store;
	int status;

	(void)argc;
	(void)argv;
	l.table = table_new(ctl, abictl_accounts_columns);
	if (l.table == NULL)
		status = abictl_fail(EX_OSERR, "out of memory");
	else if (s->driver->iterate(s, STORE_ACCOUNT, "", list_row, &l) ==
	    STORE_ERROR)
		status = abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	else
		status = table_print(l.table, "no accounts are listed");
	table_free(l.table);
	return status;
}

static int
unknown(const char *user)
{
	return abictl_fail(EXIT_ABSENT, "%s: not on the list", user);
}

static int
account_json(const struct abictl *ctl, const struct store_account *a,
    time_t now)
{
	struct listing l = { .ctl = ctl, .now = now };
	int status = EX_OSERR;

	l.table = table_new(ctl, abictl_accounts_columns);
	if (l.table != NULL && account_row(&l, a))
		status = abictl_json(table_json(l.table));
	table_free(l.table);
	return status;
}

int
abictl_accounts_show(struct abictl *ctl, int argc, char **argv)
{
	struct store *s = ctl->store;
	struct store_account a;
	enum store_result r = s->driver->account_find(s, ctl->user, &a);
	time_t now = time(NULL);
	char when[32];

	(void)argc;
	(void)argv;
	if (r == STORE_ERROR)
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	if (r == STORE_ABSENT)
		return unknown(ctl->user);
	a = account_printable(&a);
	if (ctl->json)
		return account_json(ctl, &a, now);
	printf("%-12s %s\n", "user", a.user);
	printf("%-12s %s\n", "listed", accounts_listed(&ctl->cfg, &a, now) ?
		"yes" : a.released != 0 ? "no, released" :
					  "no, expired (accounts.ttl)");
	text_time(when, sizeof(when), a.since);
	printf("%-12s %s\n", "since", when);
	if (a.released != 0) {
		text_time(when, sizeof(when), a.released);
		printf("%-12s %s\n", "released", when);
	}
	printf("%-12s %s\n", "found by", a.check);
	printf("%-12s %s\n", "address", a.address[0] != '\0' ? a.address : "-");
	printf("%-12s %s\n", "reason", a.reason);
	printf("%-12s %s\n", "command",
	    a.command_ran ? "started" : "not started");
	return EX_OK;
}

int
abictl_accounts_add(struct abictl *ctl, int argc, char **argv)
{
	struct store_account a = { .since = time(NULL),
		.check = ACCOUNTS_BY_HAND };
	struct store *s = ctl->store;

	snprintf(a.user, sizeof(a.user), "%s", ctl->user);
	text_printable(a.reason, sizeof(a.reason), argc > 1 ? argv[1] : "");
	switch (s->driver->account_add(s, &a,
		accounts_expired(&ctl->cfg, a.since))) {
	case STORE_ABSENT:
		abictl_say(ctl, "added %s", a.user);
		break;
	case STORE_FOUND:
		abictl_fail(0, "%s: already on the list", a.user);
		break;
	default:
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
	abictl_warn_idle(&ctl->cfg, "accounts", ctl->cfg.accounts.action);
	return EX_OK;
}

int
abictl_accounts_release(struct abictl *ctl, int argc, char **argv)
{
	struct store *s = ctl->store;

	(void)argc;
	(void)argv;
	switch (s->driver->account_release(s, ctl->user, time(NULL))) {
	case STORE_FOUND:
		abictl_say(ctl, "released %s", ctl->user);
		return EX_OK;
	case STORE_ABSENT:
		return unknown(ctl->user);
	default:
		return abictl_fail(EX_UNAVAILABLE, "%s", s->error);
	}
}
