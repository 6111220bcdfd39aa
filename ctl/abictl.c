/*
 * abictl - the administration command: a table of subcommands.
 */
#include "ctl/abictl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "scan/mapper.h"
#include "base/process.h"
#include "ctl/selftest/selftest.h"
#include "base/suggest.h"
#include "base/text.h"

#define BAN_MAX (3650 * 86400L) /* seconds */

#ifndef VERSION
#define VERSION "unknown"
#endif

/* Options that not every subcommand takes. */
enum command_option {
	OPTION_JSON = 256,
	OPTION_LIVE,
	OPTION_LIMIT,
	OPTION_LOCK_FD,
	OPTION_NO_LOCK,
	OPTION_CSV,
	OPTION_COUNTRIES,
	OPTION_REPORT,
	OPTION_FOLLOW,
	OPTION_DRY_RUN,
	OPTION_ALL,
	OPTION_OVERRIDE,
	OPTION_BAN,
	OPTION_INSTANCE,
	OPTION_CHANGED = 'n',
};

static const struct command {
	const char *noun;
	int (*run)(struct abictl *ctl, int argc, char **argv);
	enum command_option options[4]; /* that it takes, ended by 0 */

	/*
	 * What it uses of the configuration, as for config_error(): with an
	 * error there it is not run, unless its first argument is `reads`,
	 * which changes nothing. "" = none of it must be right.
	 */
	const char *uses;
	const char *reads;
	const char *usage;
	const char *help;
} commands[] = {
	{ "check", abictl_check, { OPTION_JSON, OPTION_LIVE }, "", NULL,
	    "check [--live] [--json] IP | name=value ...",
	    "what the filter would answer, and why" },
	{ "fetch", abictl_fetch,
	    { OPTION_JSON, OPTION_LOCK_FD, OPTION_NO_LOCK }, "reputation", NULL,
	    "fetch [--json] IP", "look up an address now and fill the cache" },
	{ "cache", abictl_cache, { OPTION_JSON, OPTION_LIMIT }, "reputation",
	    "show",
	    "cache show [IP] | drop IP | clean | prefetch [--limit N]",
	    "the score cache" },
	{ "config", abictl_config, { OPTION_JSON, OPTION_CHANGED }, CONFIG_ANY,
	    NULL,
	    "config [-n] [--json] [section.key ...]",
	    "check the configuration and print what is in force" },
	{ "accounts", abictl_accounts, { OPTION_JSON }, "accounts store", NULL,
	    "accounts list [--json] | show [--json] USER | add USER [NOTE] | "
	    "release USER",
	    "the list of compromised accounts" },
	{ "run-command", abictl_command, { 0 }, "accounts", NULL,
	    "run-command USER",
	    "run accounts.command as the filter does" },
	{ "scan", abictl_scan,
	    { OPTION_JSON, OPTION_FOLLOW, OPTION_DRY_RUN },
	    "blacklist store whitelist", NULL,
	    "scan [--follow | --dry-run] [--json] [FILE ... | - | journal | "
	    "journal:PATH]",
	    "count offences in the mail log" },
	{ "blacklist", abictl_blacklist,
	    { OPTION_JSON, OPTION_ALL, OPTION_BAN, OPTION_OVERRIDE },
	    "blacklist store whitelist", NULL,
	    "blacklist list [--json] | show [--json] IP | add [--ban TIME] IP "
	    "[NOTE] | remove IP | remove --all | export | map [--override] | "
	    "unmap [MAP]",
	    "the list of offenders" },
	{ "logins", abictl_logins,
	    { OPTION_JSON, OPTION_CSV, OPTION_COUNTRIES, OPTION_REPORT },
	    "store", NULL,
	    "logins [--countries N] [--report NAME] [--json | --csv] [USER] | "
	    "forget USER",
	    "where users have logged in from" },
	{ "store", abictl_store, { OPTION_JSON }, "store geocount", "status",
	    "store status [--json] | purge | copy [--json] FROM TO",
	    "the database of logins, accounts and offenders" },
	{ "postfix", abictl_postfix, { OPTION_DRY_RUN, OPTION_INSTANCE }, "",
	    NULL,
	    "postfix enable [--dry-run] [--instance DIR] [mx] [submission] "
	    "[map] | disable [--dry-run] [--instance DIR] | "
	    "status [--instance DIR]",
	    "have Postfix consult the filter, or no longer" },
	{ "selftest", abictl_selftest, { OPTION_JSON }, "", NULL,
	    "selftest [--json]", "check that everything is in place" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *out)
{
	size_t i;

	fputs("usage: abictl [-c file] [-o section.key=value] ... command\n"
	      "commands:\n", out);
	for (i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %s\n      %s\n", commands[i].usage,
		    commands[i].help);
	fputs("See abictl(8).\n", out);
}

static const struct command *
command_find(const char *noun)
{
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].noun, noun) == 0)
			return &commands[i];
	return NULL;
}

/* `blacklist unmap MAP' is about a map that need not be configured. */
static void
map_override(struct abictl *ctl, int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[0], "blacklist") == 0 &&
	    strcmp(argv[1], "unmap") == 0)
		ctl->cfg.blacklist.map = argv[2];
}

/* May it write blacklist.map? Then a part of it keeps root. */
static bool
command_maps(const struct command *c)
{
	return c->run == abictl_scan || c->run == abictl_blacklist;
}

/* Fails, and says which command was probably meant. */
static int
command_unknown(const char *noun)
{
	char text[192];
	struct suggest s;
	size_t i;

	suggest_init(&s, noun);
	for (i = 0; i < COMMAND_COUNT; i++)
		suggest_try(&s, commands[i].noun);
	return abictl_fail(EX_USAGE, "`%.60s' is an %s; see abictl --help",
	    noun, suggest_say(&s, "unknown command", text, sizeof(text)));
}

static bool
command_takes(const struct command *c, int option)
{
	int i;

	for (i = 0; i < 4 && c->options[i] != 0; i++)
		if ((int)c->options[i] == option)
			return true;
	return false;
}

/* One option into ctl. False when its value is wrong. */
static bool
option_apply(struct abictl *ctl, int option)
{
	switch (option) {
	case OPTION_JSON:
		ctl->json = true;
		return true;
	case OPTION_LIVE:
		ctl->live = true;
		return true;
	case OPTION_CHANGED:
		ctl->changed = true;
		return true;
	case OPTION_NO_LOCK:
		ctl->no_lock = true;
		return true;
	case OPTION_CSV:
		ctl->csv = true;
		return true;
	case OPTION_REPORT:
		ctl->report = optarg;
		return true;
	case OPTION_COUNTRIES:
		return text_number(optarg, 0, 676, &ctl->countries);
	case OPTION_FOLLOW:
		ctl->follow = true;
		return true;
	case OPTION_DRY_RUN:
		ctl->dry_run = true;
		return true;
	case OPTION_ALL:
		ctl->all = true;
		return true;
	case OPTION_INSTANCE:
		ctl->instance = optarg;
		return optarg[0] == '/';
	case OPTION_OVERRIDE:
		ctl->override = true;
		return true;
	case OPTION_BAN:
		return text_duration(optarg, 1, BAN_MAX, &ctl->ban);
	case OPTION_LIMIT:
		return text_number(optarg, 1, 1000000, &ctl->limit);
	case OPTION_LOCK_FD:
		return text_number(optarg, 3, 1023, &ctl->lock_fd);
	default:
		return false;
	}
}

static const struct option long_options[] = {
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "live", no_argument, NULL, OPTION_LIVE },
	{ "limit", required_argument, NULL, OPTION_LIMIT },
	{ "lock-fd", required_argument, NULL, OPTION_LOCK_FD },
	{ "no-lock", no_argument, NULL, OPTION_NO_LOCK },
	{ "csv", no_argument, NULL, OPTION_CSV },
	{ "countries", required_argument, NULL, OPTION_COUNTRIES },
	{ "report", required_argument, NULL, OPTION_REPORT },
	{ "follow", no_argument, NULL, OPTION_FOLLOW },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "all", no_argument, NULL, OPTION_ALL },
	{ "override", no_argument, NULL, OPTION_OVERRIDE },
	{ "ban", required_argument, NULL, OPTION_BAN },
	{ "instance", required_argument, NULL, OPTION_INSTANCE },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/*
 * Reads the command line; options stand before or after the noun. The number
 * of options that belong to a subcommand is put into given. -1 to go on, else
 * the exit status.
 */
static int
arguments_parse(struct abictl *ctl, int argc, char **argv, const char **file,
    int *given, int *given_count)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:o:nhV", long_options, NULL)) !=
	    -1) {
		if (c == 'h') {
			usage(stdout);
			return EX_OK;
		}
		if (c == 'V') {
			puts("abictl " VERSION);
			return EX_OK;
		}
		if (c == '?')
			return abictl_fail(EX_USAGE, "see abictl --help; put "
			    "`--' before arguments that begin with `-'");
		if (c == 'c')
			*file = optarg;
		else if (c == 'o') {
			if (ctl->cfg.override_count == CONFIG_OVERRIDES_MAX)
				return abictl_fail(EX_USAGE, "too many -o");
			ctl->cfg.overrides[ctl->cfg.override_count++] = optarg;
		} else {
			if (!option_apply(ctl, c))
				return abictl_fail(EX_USAGE,
				    "bad value: %s", optarg);
			if (*given_count < 16)
				given[(*given_count)++] = c;
		}
	}
	return -1;
}

/*
 * Tells the errors in sections. EX_CONFIG if one stands in the way of the
 * command whose words these are.
 */
static int
sections_verify(const struct config *cfg, const struct command *c, int argc,
    char **argv)
{
	bool reads = c->reads != NULL && argc > 1 &&
	    strcmp(argv[1], c->reads) == 0;
	bool stops = !reads && config_error(cfg, c->uses) != NULL;
	int i;

	/* A command that goes on warns; selftest has its own way to tell. */
	for (i = 0; i < cfg->error_count; i++)
		if (stops || c->run != abictl_selftest)
			abictl_fail(0, "%s%s", stops ? "" : "warning: ",
			    cfg->errors[i].text);
	return stops ? EX_CONFIG : EX_OK;
}

/* Configuration, log, identity: the same steps as in the filter. */
static int
prepare(struct abictl *ctl, const struct command *c, const char *file,
    int argc, char **argv)
{
	char error[CONFIG_ERROR_MAX];
	int status, i;

	if (!config_load(&ctl->cfg, file, error, sizeof(error))) {
		for (i = 0; i < ctl->cfg.error_count; i++)
			abictl_fail(0, "%s", ctl->cfg.errors[i].text);
		return abictl_fail(EX_CONFIG, "%s", error);
	}
	status = sections_verify(&ctl->cfg, c, argc, argv);
	if (status != EX_OK)
		return status;
	if (c->run == abictl_postfix)
		return EX_OK; /* it stays root, and logs nothing */
	log_open("abictl", ctl->cfg.log.target,
	    (enum log_level)ctl->cfg.log.level);
	map_override(ctl, argc, argv);
	if (c->run == abictl_selftest)
		selftest_postfix_look();
	if (command_maps(c) && !ctl->dry_run && !mapper_start(&ctl->cfg))
		return abictl_fail(EX_OSERR, "fork: %s", strerror(errno));
	if (process_take_identity(
		config_certain(&ctl->cfg, "reputation.cache_dir"),
		config_certain(&ctl->cfg, "store.url"), log_fd()) != 0)
		return abictl_fail(EX_OSERR, "cannot drop root privileges: %s",
		    strerror(errno));
	if (c->run == abictl_selftest)
		selftest_user_take();
	return EX_OK;
}

int
main(int argc, char **argv)
{
	static struct abictl ctl = { .lock_fd = -1, .countries = -1 };
	const struct command *command;
	const char *file = NULL;
	int given[16], given_count = 0, status, i;

	process_guard(1);
	abictl_started();
	config_init(&ctl.cfg);
	status = arguments_parse(&ctl, argc, argv, &file, given, &given_count);
	if (status >= 0)
		return status;
	if (optind == argc) {
		usage(stderr);
		return EX_USAGE;
	}
	command = command_find(argv[optind]);
	if (command == NULL)
		return command_unknown(argv[optind]);
	for (i = 0; i < given_count; i++)
		if (!command_takes(command, given[i]))
			return abictl_fail(EX_USAGE,
			    "an option is not valid for this command: %s",
			    command->usage);
	status = prepare(&ctl, command, file, argc - optind, argv + optind);
	if (status != EX_OK)
		return status;
	status = command->run(&ctl, argc - optind - 1, argv + optind + 1);
	if (status == EX_USAGE)
		abictl_fail(status, "usage: abictl %s", command->usage);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = abictl_fail(EX_IOERR, "standard output: %s",
		    strerror(errno));
	return status;
}
