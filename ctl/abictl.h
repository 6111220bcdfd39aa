/*
 * abictl - what the subcommands of the administration command share.
 *
 * A subcommand is one function and one row in the table of abictl.c.
 */
#ifndef ABICTL_H
#define ABICTL_H

#include <stdbool.h>
#include <sysexits.h>
#include <time.h>

#include "config/config.h"
#include "store/store.h"

/* The options given, besides the configuration's own. */
struct abictl {
	struct config cfg;
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
};

/* Each returns an exit status of sysexits(3). argv[0] is the first word
 * after the noun. */
int abictl_accounts(struct abictl *ctl, int argc, char **argv);
int abictl_blacklist(struct abictl *ctl, int argc, char **argv);
int abictl_cache(struct abictl *ctl, int argc, char **argv);
int abictl_check(struct abictl *ctl, int argc, char **argv);
int abictl_command(struct abictl *ctl, int argc, char **argv);
int abictl_config(struct abictl *ctl, int argc, char **argv);
int abictl_fetch(struct abictl *ctl, int argc, char **argv);
int abictl_geoip(struct abictl *ctl, int argc, char **argv);
int abictl_logins(struct abictl *ctl, int argc, char **argv);
int abictl_postfix(struct abictl *ctl, int argc, char **argv);
int abictl_scan(struct abictl *ctl, int argc, char **argv);
int abictl_store(struct abictl *ctl, int argc, char **argv);
int abictl_selftest(struct abictl *ctl, int argc, char **argv);

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

/*
 * Says what is wrong on standard error; returns status. A text that ends with
 * strerror(3) of a missing permission gets the advice to try sudo, unless root
 * runs it.
 */
int abictl_fail(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Says on standard output what was done, but to a person only: when that is a
 * terminal, and without --json. cron(8) mails whatever is printed.
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
bool abictl_store_purge(const struct config *cfg, struct store *s, time_t now,
    long *removed);

/* The same with the store of the configuration, if any. An exit status. */
int abictl_store_clean(const struct abictl *ctl);

#endif
