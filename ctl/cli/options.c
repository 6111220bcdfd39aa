/*
 * options - the options of abictl's command line: a table, and its reader.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cli/command.h"
#include "base/suggest.h"
#include "base/text.h"

#define BAN_MAX (3650 * 86400L) /* seconds */
#define LIMIT_MAX 1000000

#define FIELD(name) offsetof(struct abictl, name)

const struct cli_option cli_options[] = {
	{ "all", OPTION_FLAG, FIELD(all), 0, 0, NULL, "all of them" },
	{ "ban", OPTION_TIME, FIELD(ban), 1, BAN_MAX, "TIME",
	    "for how long; without it forever" },
	{ "city", OPTION_FLAG, FIELD(city), 0, 0, NULL,
	    "the database with cities, for geocount.speed" },
	{ "countries", OPTION_NUMBER, FIELD(countries), 0, 676, "N",
	    "only users with more than N countries" },
	{ "csv", OPTION_FLAG, FIELD(csv), 0, 0, NULL, "print CSV" },
	{ "dry-run", OPTION_FLAG, FIELD(dry_run), 0, 0, NULL,
	    "only show what would be done" },
	{ "follow", OPTION_FLAG, FIELD(follow), 0, 0, NULL,
	    "go on as the log grows" },
	{ "instance", OPTION_PATH, FIELD(instance), 0, 0, "DIR",
	    "the directory of one instance of Postfix" },
	{ "json", OPTION_FLAG, FIELD(json), 0, 0, NULL, "print JSON" },
	{ "limit", OPTION_NUMBER, FIELD(limit), 1, LIMIT_MAX, "N",
	    "no more than N" },
	{ "live", OPTION_FLAG, FIELD(live), 0, 0, NULL,
	    "fetch, count and log as the filter does" },
	{ "lock-fd", OPTION_NUMBER, FIELD(lock_fd), 3, 1023, "N", NULL },
	{ "n", OPTION_FLAG, FIELD(changed), 0, 0, NULL,
	    "only what differs from the defaults" },
	{ "no-lock", OPTION_FLAG, FIELD(no_lock), 0, 0, NULL, NULL },
	{ "noheadings", OPTION_FLAG, FIELD(noheadings), 0, 0, NULL,
	    "no titles above the columns" },
	{ "override", OPTION_FLAG, FIELD(override), 0, 0, NULL,
	    "refuse whom an OK line lets pass, too" },
	{ "report", OPTION_TEXT, FIELD(report), 0, 0, "NAME",
	    "another report; see abictl(8)" },
	{ "sort", OPTION_TEXT, FIELD(sort), 0, 0, "COLUMN",
	    "in the order of a column; -COLUMN: downwards" },
};

const int cli_option_count = sizeof(cli_options) / sizeof(cli_options[0]);

/* For getopt_long(3): the value of a row. */
#define ROW_FIRST 256

/* The rows, and those that every command takes. */
static const struct option *
long_options(void)
{
	static const struct option common[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	static struct option list[sizeof(cli_options) / sizeof(*cli_options) +
	    sizeof(common) / sizeof(common[0])];
	int i, n = 0;

	for (i = 0; i < cli_option_count; i++)
		if (cli_options[i].name[1] != '\0')
			list[n++] = (struct option){ cli_options[i].name,
				cli_options[i].value != NULL ?
				    required_argument : no_argument,
				NULL, ROW_FIRST + i };
	memcpy(list + n, common, sizeof(common));
	return list;
}

static int
row_of(int c)
{
	int i;

	if (c >= ROW_FIRST)
		return c - ROW_FIRST;
	for (i = 0; i < cli_option_count; i++)
		if (cli_options[i].name[0] == c &&
		    cli_options[i].name[1] == '\0')
			return i;
	return -1;
}

const char *
cli_dashes(const char *name)
{
	return name[1] != '\0' ? "--" : "-";
}

static int
unknown_long(const char *word)
{
	size_t n = strcspn(word, "=");
	char name[SUGGEST_WORD_MAX] = "";
	const struct option *o;
	struct suggest s;

	if (n < sizeof(name))
		snprintf(name, sizeof(name), "%.*s", (int)n, word);
	suggest_init(&s, name);
	for (o = long_options(); o->name != NULL; o++) {
		suggest_try(&s, o->name);
		if (n > 1 && strncmp(o->name, name, n) == 0)
			suggest_prefer(&s, o->name);
	}
	if (s.best[0] != '\0')
		return abictl_fail(EX_USAGE, "unknown option --%s (did you "
		    "mean --%s?)", name, s.best);
	return abictl_fail(EX_USAGE, "unknown option --%.*s; put `--' before "
	    "arguments that begin with `-'", n < 60 ? (int)n : 60, word);
}

/* What getopt_long(3) stumbled over: c is '?' or ':'. */
static int
stumbled(int c, char **argv)
{
	const char *word = argv[optind - 1];
	int row = row_of(optopt);

	if (optopt == 0)
		return unknown_long(word + strspn(word, "-"));
	if (c == ':' && row >= 0)
		return abictl_fail(EX_USAGE, "--%s: a value is missing",
		    cli_options[row].name);
	if (c == ':')
		return abictl_fail(EX_USAGE, "-%c: a value is missing", optopt);
	if (row >= 0 || strncmp(word, "--", 2) == 0)
		return abictl_fail(EX_USAGE, "%.60s: this option has no value",
		    word);
	return abictl_fail(EX_USAGE, "unknown option -%c; put `--' before "
	    "arguments that begin with `-'", optopt);
}

/* Was a long option written out? getopt_long(3) takes a part of one, too. */
static bool
is_whole(const char *name, char **argv)
{
	const char *word = argv[optind - 1];

	if (optarg != NULL && optarg == word)
		word = argv[optind - 2];
	return strncmp(word, "--", 2) != 0 ||
	    (strncmp(word + 2, name, strlen(name)) == 0 &&
		(word[2 + strlen(name)] == '\0' ||
		    word[2 + strlen(name)] == '='));
}

/* The form that is wanted of a value, for people. */
static const char *
form_text(const struct cli_option *o)
{
	static char text[96];

	if (o->type == OPTION_NUMBER)
		snprintf(text, sizeof(text), "a number from %ld to %ld", o->min,
		    o->max);
	else if (o->type == OPTION_TIME)
		snprintf(text, sizeof(text), "a time such as 12h or 7d, up to "
		    "%ldd", o->max / 86400);
	else
		snprintf(text, sizeof(text), "an absolute path");
	return text;
}

/* One option into its field. */
static int
option_apply(struct abictl *ctl, const struct cli_option *o)
{
	void *field = (char *)ctl + o->offset;
	bool good = true;

	switch (o->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		break;
	case OPTION_NUMBER:
		good = text_number(optarg, o->min, o->max, field);
		break;
	case OPTION_TIME:
		good = text_duration(optarg, o->min, o->max, field);
		break;
	case OPTION_TEXT:
		*(const char **)field = optarg;
		break;
	case OPTION_PATH:
		*(const char **)field = optarg;
		good = optarg[0] == '/';
		break;
	}
	return good ? EX_OK : abictl_fail(EX_USAGE, "%s%s: `%.60s' is not %s",
	    cli_dashes(o->name), o->name, optarg, form_text(o));
}

static int
override_add(struct config *cfg)
{
	if (cfg->override_count == CONFIG_OVERRIDES_MAX)
		return abictl_fail(EX_USAGE, "-o: more than %d of them",
		    CONFIG_OVERRIDES_MAX);
	cfg->overrides[cfg->override_count++] = optarg;
	return EX_OK;
}

int
cli_read(struct abictl *ctl, int argc, char **argv, struct cli_given *given)
{
	const struct option *list = long_options();
	int c, index, row, status = EX_OK;

	opterr = 0;
	while (status == EX_OK && (index = -1, c = getopt_long(argc, argv,
	    ":c:o:nqhV", list, &index)) != -1) {
		row = row_of(c);
		if (c == '?' || c == ':')
			status = stumbled(c, argv);
		else if (index >= 0 && !is_whole(list[index].name, argv))
			status = unknown_long(argv[optind - 1 -
			    (optarg != NULL && optarg == argv[optind - 1])] +
			    2);
		else if (row >= 0) {
			given->options |= 1ULL << row;
			status = option_apply(ctl, &cli_options[row]);
		} else if (c == 'c')
			given->file = optarg;
		else if (c == 'o')
			status = override_add(&ctl->cfg);
		else if (c == 'q')
			ctl->quiet = true;
		else if (c == 'h')
			given->help = true;
		else
			given->version = true;
	}
	return status;
}

bool
command_takes(const struct command *c, const struct cli_option *o)
{
	return text_listed(c->options, o->name, strlen(o->name));
}
