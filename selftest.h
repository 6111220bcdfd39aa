/*
 * selftest - what the parts of `abictl selftest' share.
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "config.h"
#include "statedir.h"

enum selftest_level { OK, SKIP, WARN, FAIL };

/* One finding. A FAIL makes the exit status 1. */
void say(enum selftest_level level, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Can something be tested that relies on these sections of the configuration?
 * Says that it is left out if one is in error, which was told before.
 */
bool selftest_can(const struct config *cfg, const char *sections,
    const char *what);

/* The DNS zones: RFC 5782's test points. d: where the markers are. */
void selftest_zones(const struct config *cfg, struct statedir *d);

/* accounts.command. */
void selftest_command(const struct config *cfg);

/* Logs, snapshot, map. */
void selftest_blacklist(const struct config *cfg, struct statedir *d);

/* main.cf and master.cf. */
void selftest_postfix(void);

#endif
