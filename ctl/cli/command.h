/*
 * command - the command line of abictl: a row for each command, a row for each
 * option, and what is made of them: usage, help, completion.
 */
#ifndef ABICTL_COMMAND_H
#define ABICTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/abictl.h"
#include "ctl/cli/table.h"

enum command_flag {
	COMMAND_OPEN = 1 << 0,    /* needs no verb even with arguments */
	COMMAND_PURE = 1 << 1,    /* reads no configuration */
	COMMAND_READS = 1 << 2,   /* changes nothing: runs in spite of errors */
	COMMAND_ROOT = 1 << 3,    /* stays root, and logs nothing */
	COMMAND_MAPS = 1 << 4,    /* a part of it stays root, for the map */
	COMMAND_STORE = 1 << 5,   /* uses ctl->store, */
	COMMAND_WAITS = 1 << 6,   /* and waits for it */
	COMMAND_SPELT = 1 << 7,   /* not meant by the noun alone */
};

struct command {
	const char *noun;
	const char *verb;    /* NULL: the noun is a command by itself */
	const char *aliases; /* of the verb, with spaces between; may be NULL */
	abictl_run *run;

	/*
	 * Judges the arguments before anything is read or opened; EX_OK, or a
	 * failure that has been told. NULL: any will do.
	 */
	abictl_run *form;
	const char *options; /* that it takes, with spaces between */

	/*
	 * WORD, [OPTIONAL], WORD... for any number; if none is in capitals,
	 * no other words will do.
	 */
	const char *arguments;

	/* Sections of the configuration that must be right; "" = none. */
	const char *uses;
	unsigned flags; /* enum command_flag */
	const char *help;
	const char *example;
	const struct table_column *columns; /* of a list; else NULL */
};

/*
 * All of them, those of a noun together, the one first that the noun means
 * without a verb; ended by a row without a noun.
 */
extern const struct command abictl_commands[];

/* --- words of the command line --- */

/*
 * Finds the command whose noun and verb these are, and takes them off; NULL
 * when there is none, which was told.
 */
const struct command *command_find(const struct command *table, int *argc,
    char ***argv);

/* Are the arguments as many as it takes? EX_OK, or a failure, told. */
int command_count(const struct command *c, int argc, char **argv);

/* --- options --- */

struct cli_option {
	const char *name; /* without dashes; one letter: a short option */
	enum { OPTION_FLAG, OPTION_NUMBER, OPTION_TIME, OPTION_TEXT,
		OPTION_PATH } type;
	size_t offset;     /* of the field in struct abictl */
	long min, max;     /* of numbers, and of times in seconds */
	const char *value; /* what to call it; NULL: it takes none */
	const char *help;  /* NULL: for the filter, not shown */
};

extern const struct cli_option cli_options[];
extern const int cli_option_count;

/* What a command line says before its words. */
struct cli_given {
	const char *file;       /* -c, NULL = not given */
	bool help, version;
	unsigned long long options; /* bits: rows of cli_options */
};

/*
 * Reads all options into ctl and *given; the words then begin at optind. EX_OK,
 * or a failure that has been told.
 */
int cli_read(struct abictl *ctl, int argc, char **argv,
    struct cli_given *given);

/* "--" or "-", as it is written before the name of an option. */
const char *cli_dashes(const char *name);

/* Does the command take this option? */
bool command_takes(const struct command *c, const struct cli_option *o);

/* Does it take all that were given? EX_OK, or a failure that has been told. */
int command_options(const struct abictl *ctl, const struct command *c,
    const struct cli_given *given);

/* --- help --- */

/* All commands, a line each. */
void usage_all(const struct command *table, FILE *out);

#endif
