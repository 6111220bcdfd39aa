/*
 * abictl - the administration command.
 *
 * Options, then which command is meant and whether its arguments will do, and
 * only then the configuration, the log, the identity, the store.
 */
#include "ctl/abictl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"
#include "ctl/cli/command.h"
#include "ctl/selftest/selftest.h"
#include "scan/mapper.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

#define STORE_WAIT 30000 /* milliseconds, of commands that wait */

/*
 * Tells the errors in sections. EX_CONFIG if one stands in the way of the
 * command.
 */
static int
sections_verify(const struct config *cfg, const struct command *c)
{
	bool stops = (c->flags & COMMAND_READS) == 0 &&
	    config_error(cfg, c->uses) != NULL;
	int i;

	/* A command that goes on warns; selftest has its own way to tell. */
	for (i = 0; i < cfg->error_count; i++)
		if (stops || c->run != abictl_selftest)
			abictl_fail(0, "%s%s", stops ? "" : "warning: ",
			    cfg->errors[i].text);
	return stops ? EX_CONFIG : EX_OK;
}

static int
configuration_read(struct config *cfg, const struct command *c,
    const char *file)
{
	char error[CONFIG_ERROR_MAX];
	int i;

	if (!config_load(cfg, file, error, sizeof(error))) {
		for (i = 0; i < cfg->error_count; i++)
			abictl_fail(0, "%s", cfg->errors[i].text);
		return abictl_fail(EX_CONFIG, "%s", error);
	}
	if (file == NULL && cfg->file_mode == 0)
		abictl_not_set_up();
	return sections_verify(cfg, c);
}

static int
store_prepare(struct abictl *ctl, const struct command *c)
{
	char error[STORE_ERROR_MAX];

	ctl->store = store_open(&ctl->cfg, ctl->cfg.store.url, error,
	    sizeof(error));
	if (ctl->store == NULL)
		return abictl_fail(config_error(&ctl->cfg, "store") != NULL ?
			EX_CONFIG : EX_UNAVAILABLE, "%s", error);
	if ((c->flags & COMMAND_WAITS) != 0)
		ctl->store->wait_ms = STORE_WAIT;
	return EX_OK;
}

/* Configuration, log, identity: the same steps as in the filter. */
static int
prepare(struct abictl *ctl, const struct command *c, const char *file,
    int argc, char **argv)
{
	struct config *cfg = &ctl->cfg;
	int status;

	if ((c->flags & COMMAND_PURE) != 0)
		return EX_OK;
	status = configuration_read(cfg, c, file);
	if (status != EX_OK || (c->flags & COMMAND_ROOT) != 0)
		return status;
	log_open("abictl", cfg->log.target, (enum log_level)cfg->log.level);
	if (c->run == abictl_blacklist_unmap && argc == 1)
		cfg->blacklist.map = argv[0]; /* it need not be configured */
	if (c->run == abictl_selftest)
		selftest_postfix_look();
	if ((c->flags & COMMAND_MAPS) != 0 && !ctl->dry_run &&
	    !mapper_start(cfg))
		return abictl_fail(EX_OSERR, "fork: %s", strerror(errno));
	if (process_take_identity(config_certain(cfg, "reputation.cache_dir"),
		config_certain(cfg, "store.url"), log_fd()) != 0)
		return abictl_fail(EX_OSERR, "cannot drop root privileges: %s",
		    strerror(errno));
	if (c->run == abictl_selftest)
		selftest_user_take();
	return (c->flags & COMMAND_STORE) != 0 ? store_prepare(ctl, c) : EX_OK;
}

/* A command, with the arguments that follow its noun and verb. */
static int
command_run(struct abictl *ctl, const struct command *c,
    const struct cli_given *given, int argc, char **argv)
{
	int status = command_options(ctl, c, given);

	if (status == EX_OK)
		status = command_count(c, argc, argv);
	if (status == EX_OK && c->form != NULL)
		status = c->form(ctl, argc, argv);
	if (status == EX_OK)
		status = prepare(ctl, c, given->file, argc, argv);
	if (status == EX_OK)
		status = c->run(ctl, argc, argv);
	if (ctl->store != NULL)
		store_free(ctl->store);
	return status;
}

static int
words_run(struct abictl *ctl, const struct cli_given *given, int argc,
    char **argv)
{
	const struct command *c;

	if (given->version) {
		puts("abictl " VERSION);
		return EX_OK;
	}
	if (given->help)
		return abictl_help(ctl, argc, argv);
	if (argc == 0) {
		usage_all(ctl->commands, stderr);
		return EX_USAGE;
	}
	c = command_find(ctl->commands, &argc, &argv);
	return c != NULL ? command_run(ctl, c, given, argc, argv) : EX_USAGE;
}

int
main(int argc, char **argv)
{
	static struct abictl ctl = { .commands = abictl_commands,
		.lock_fd = -1, .countries = -1 };
	struct cli_given given = { .file = NULL };
	int status;

	process_guard(1);
	abictl_started();
	config_init(&ctl.cfg);
	status = cli_read(&ctl, argc, argv, &given);
	if (status == EX_OK)
		status = words_run(&ctl, &given, argc - optind, argv + optind);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = abictl_fail(EX_IOERR, "standard output: %s",
		    strerror(errno));
	return status;
}
