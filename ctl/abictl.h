/*
 * abictl - what the subcommands of the administration command share.
 *
 * A command is one function and one row in ctl/cli/commands.c.
 */
#ifndef ABICTL_H
#define ABICTL_H

#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#include "base/address.h"
#include "base/hostlist.h"
#include "config/config.h"
#include "store/store.h"

struct command;

/* The options given, besides the configuration's own, and what comes of them
 * and of the arguments. */
struct abictl {
	struct config cfg;
	bool quiet;   /* -q */
	bool json;    /* --json */
	bool live;    /* --live */
	bool changed; /* -n */
	bool no_lock; /* --no-lock */
	long lock_fd; /* --lock-fd, -1 = not given */
	long limit;   /* --limit, 0 = not given */
	bool csv;     /* --csv */
	long countries; /* --countries, -1 = not given */
	const char *report; /* --report, NULL = not given */
	bool follow;  /* --follow */
	bool dry_run; /* --dry-run */
	bool override;  /* blacklist map: over OK lines */
	bool all;     /* --all */
	long ban;     /* --ban, seconds, 0 = forever */
	const char *instance; /* --instance, NULL = not given */
	bool city;    /* --city */
	bool noheadings; /* --noheadings */
	const char *sort; /* --sort, NULL = not given */

	const struct command *commands; /* the table */
	struct store *store; /* of commands that use it */

	/* From the arguments, by the functions of their form. */
	struct address_block block; /* an IP */
	char user[STORE_USER_MAX];  /* a USER, as the store has it */
	char entry[HOSTLIST_NAME_MAX + 1]; /* of the whitelist */
	FILE *input; /* of an import */
};

/*
 * A command, or a function that judges the form of its arguments: these are the
 * words after noun and verb. Each returns an exit status: 0 done, 1 for what is
 * not there, else one of sysexits(3).
 */
typedef int abictl_run(struct abictl *ctl, int argc, char **argv);

#define EXIT_ABSENT 1 /* what is asked for is not there */

abictl_run abictl_accounts_list, abictl_accounts_show, abictl_accounts_add,
    abictl_accounts_release, abictl_accounts_import,
    abictl_accounts_import_form;
abictl_run abictl_blacklist_list, abictl_blacklist_show, abictl_blacklist_add,
    abictl_blacklist_remove, abictl_blacklist_remove_form,
    abictl_blacklist_export, abictl_blacklist_map, abictl_blacklist_unmap;
abictl_run abictl_cache_show, abictl_cache_drop, abictl_cache_clean,
    abictl_cache_prefetch, abictl_cache_import, abictl_cache_import_form;
abictl_run abictl_check, abictl_check_form;
abictl_run abictl_command;
abictl_run abictl_completion;
abictl_run abictl_config, abictl_config_form;
abictl_run abictl_fetch, abictl_fetch_form;
abictl_run abictl_geoip_update;
abictl_run abictl_help;
abictl_run abictl_logins_list, abictl_logins_form, abictl_logins_forget;
abictl_run abictl_postfix_status, abictl_postfix_enable,
    abictl_postfix_disable;
abictl_run abictl_scan, abictl_scan_form;
abictl_run abictl_selftest;
abictl_run abictl_store_status, abictl_store_purge, abictl_store_copy;
abictl_run abictl_whitelist_list, abictl_whitelist_add,
    abictl_whitelist_remove, abictl_whitelist_form, abictl_whitelist_test,
    abictl_whitelist_test_form;

/* The first argument, if there is one, is an address: ctl->block; a block, too;
 * a user: ctl->user. */
abictl_run abictl_address_form, abictl_block_form, abictl_user_form;

/* Prints a JSON object or array and deletes it. EX_OK or EX_OSERR. */
struct cJSON;
int abictl_json(struct cJSON *item);

/* The fields of a score, for a JSON object. */
struct cache_score;
void abictl_score_json(struct cJSON *object, const char *address,
    const struct cache_score *s);

/* First act of main: notes whether root runs it. */
void abictl_started(void);

/* Did it? */
bool abictl_by_root(void);

/* There is no configuration file at the default place. */
void abictl_not_set_up(void);

/*
 * Says what is wrong on standard error; returns status. A text that ends with
 * strerror(3) of a missing permission gets the advice to try sudo, unless root
 * runs it; one that ends with that of a missing file says where to begin, and
 * the status is EX_CONFIG, if nothing was set up yet.
 */
int abictl_fail(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Says on standard output what was done, but to a person only: when that is a
 * terminal, and without --json or -q. cron(8) mails whatever is printed.
 */
void abictl_say(const struct abictl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Would abictl_say() print anything? */
bool abictl_talks(const struct abictl *ctl);

/*
 * Warns if what was put on the list of a check blocks nobody, and says why.
 * action: the check's.
 */
void abictl_warn_idle(const struct config *cfg, const char *check,
    const char *action);

/*
 * Removes what is outdated in a store, and notes that this was done. False,
 * with the store's error set, when that fails.
 */
bool abictl_store_tidy(const struct config *cfg, struct store *s, time_t now,
    long *removed);

/* The same with the store of the configuration, if any. An exit status. */
int abictl_store_clean(const struct abictl *ctl);

#endif
