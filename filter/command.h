/*
 * command - starting accounts.command, without a shell and out of the way.
 *
 * The filter starts `abictl run-command USER' and goes on at once; abictl runs
 * the command, limits it and logs what it says. What the command learns is in
 * its environment: the policy protocol's attributes under their own names,
 * `reason', `check', and a fixed PATH. Names never come from a request.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "filter/request.h"

#define COMMAND_PATH "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * The environment of the command, NULL-ended, for free(); NULL when memory is
 * short. user: the account.
 */
char **command_environment(const struct request *req, const char *check,
    const char *reason);

/*
 * The same made of a process's own environment: what command_environment() has
 * put there, and nothing else. The strings stay those of `from'.
 */
char **command_environment_again(char *const from[]);

/* Starts it for the account `user'. False and why in error when it cannot. */
bool command_start(const struct config *cfg, const struct request *req,
    const char *user, const char *check, const char *reason, char *error,
    size_t size);

#endif
