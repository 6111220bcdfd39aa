/*
 * selftest_postfix - what the parts of selftest that look at Postfix share.
 *
 * Looking and judging are apart: only root may talk to a socket of Postfix,
 * and all other tests are those of the filter's user.
 */
#ifndef SELFTEST_POSTFIX_H
#define SELFTEST_POSTFIX_H

#include "config/config.h"
#include "ctl/selftest/policy_ask.h"
#include "ctl/postfix/postfix_conf.h"

#define INSTANCES_MAX 8

/* An smtpd service, whom it asks, and what was answered. */
struct asker {
	const struct postfix_service *service;
	struct postfix_ask asks[POSTFIX_ASKS_MAX];
	struct policy_asked answers[POSTFIX_ASKS_MAX];
	bool there[POSTFIX_ASKS_MAX]; /* somebody listens, whoever */
	size_t count;
};

/* One configuration directory, and what was seen there. */
struct instance {
	struct postfix conf;
	struct asker *askers; /* count of them */
	size_t count;
	bool read;    /* conf is good */
	bool root;    /* we were, so that it could be asked */
	bool running; /* Postfix is, and was asked */
	bool ours;    /* master.cf has a service that is ours */
	bool part;    /* or asks a filter host */
	bool named;   /* a target has our name, whoever is there */
	char error[256];
};

extern struct instance selftest_instances[INSTANCES_MAX];
extern size_t selftest_instance_count;

/* Is this target the filter, or may it be the one of another host? */
bool selftest_worth_asking(const struct instance *in, const char *target);

/* "Postfix", or which of several. Valid until the next call, as are these. */
const char *selftest_subject(const struct instance *in);

/* "-c DIRECTORY ", for a command on another instance; or "". */
const char *selftest_which(const struct instance *in);

/* The commands that show where a target is set, and that edit main.cf. */
const char *selftest_where(const struct instance *in, const char *target);
const char *selftest_edit_postfix(const struct instance *in, const char *name);

/* A postconf command, with a reload so that it takes effect. */
const char *selftest_change(const struct instance *in, const char *option,
    const char *setting);

/* The same for a column of master.cf. */
const char *selftest_change_column(const struct instance *in,
    const struct postfix_service *s, const char *column, const char *value);

/* With blacklist.map: does anything in Postfix read it? */
void selftest_map_read(const struct config *cfg);

/* A service that starts the filter: its line in master.cf, its time limit. */
void selftest_service(const struct instance *in,
    const struct postfix_service *s, const struct config *cfg);

#endif
