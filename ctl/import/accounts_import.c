/*
 * abictl accounts import - many users onto the list of compromised accounts.
 *
 * A line that cannot be read is reported and left out; the others count.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "accounts.h"
#include "base/text.h"
#include "ctl/abictl.h"
#include "ctl/import/import_line.h"

struct import {
	struct abictl *ctl;
	const char *note; /* of lines without one */
	time_t now;
	long added, known, bad;
};

/* Who runs this opens the file: it need not be the filter's to read. */
int
abictl_accounts_import_form(struct abictl *ctl, int argc, char **argv)
{
	(void)argc;
	ctl->input = strcmp(argv[0], "-") == 0 ? stdin : fopen(argv[0], "re");
	return ctl->input != NULL ? EX_OK :
	    abictl_fail(EX_NOINPUT, "%s: %s", argv[0], strerror(errno));
}

/* False with the store's error. */
static bool
user_add(struct import *i, const char *user, const char *note)
{
	struct store_account a = { .since = i->now, .check = ACCOUNTS_BY_HAND };
	struct store *s = i->ctl->store;

	store_user(user, a.user, sizeof(a.user));
	text_printable(a.reason, sizeof(a.reason), *note != '\0' ? note :
	    i->note);
	switch (s->driver->account_add(s, &a,
		accounts_expired(&i->ctl->cfg, i->now))) {
	case STORE_ABSENT:
		i->added++;
		return true;
	case STORE_FOUND:
		i->known++;
		return true;
	default:
		return false;
	}
}

/* The next line, of which the rest is skipped if it is too long. -1 at the
 * end. */
static ssize_t
line_read(FILE *input, char *line)
{
	size_t n = 0;
	int c = EOF;

	while (n < IMPORT_LINE_MAX - 1 && (c = getc(input)) != EOF) {
		line[n++] = (char)c;
		if (c == '\n')
			break;
	}
	line[n] = '\0';
	while (n == IMPORT_LINE_MAX - 1 && c != '\n' && c != EOF)
		c = getc(input);
	return n > 0 ? (ssize_t)n : -1;
}

/* All lines. EX_OK, or a failure that has been told. */
static int
lines_add(struct import *i)
{
	char line[IMPORT_LINE_MAX];
	const char *user, *note, *wrong;
	ssize_t n;
	long number = 0;

	while ((n = line_read(i->ctl->input, line)) >= 0) {
		number++;
		wrong = import_line(line, (size_t)n, &user, &note);
		if (wrong != NULL) {
			i->bad++;
			abictl_fail(0, "line %ld: %s", number, wrong);
		} else if (user != NULL && !user_add(i, user, note))
			return abictl_fail(EX_UNAVAILABLE, "line %ld: %s",
			    number, i->ctl->store->error);
	}
	return ferror(i->ctl->input) == 0 ? EX_OK :
	    abictl_fail(EX_NOINPUT, "line %ld: %s", number, strerror(errno));
}

int
abictl_accounts_import(struct abictl *ctl, int argc, char **argv)
{
	struct import i = { .ctl = ctl, .note = argc > 1 ? argv[1] : "",
		.now = time(NULL) };
	int status = lines_add(&i);

	if (ctl->json)
		printf("{\"added\":%ld,\"known\":%ld,\"bad\":%ld}\n", i.added,
		    i.known, i.bad);
	else
		abictl_say(ctl, "%ld added, %ld already on the list", i.added,
		    i.known);
	if (i.added > 0)
		abictl_warn_idle(&ctl->cfg, "accounts",
		    ctl->cfg.accounts.action);
	if (status == EX_OK && i.bad > 0)
		status = abictl_fail(EX_DATAERR, "%ld bad lines were left out; "
		    "%ld accounts were added", i.bad, i.added);
	return status;
}
