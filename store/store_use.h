/*
 * store_use - the store as a request uses it: getting it, waiting for it and
 * being done with it are one.
 */
#ifndef STORE_USE_H
#define STORE_USE_H

#include "store/store.h"

/* On whose behalf. */
struct store_use {
	const struct config *cfg;
	time_t now;
	int64_t end;  /* of all waiting, milliseconds of the monotonic clock */
	bool passive; /* an explanation: nothing is made, nobody is told */
	char why[STORE_ERROR_MAX]; /* after STORE_ERROR, for people */
};

/* As the operations of struct store_driver. */
enum store_result store_use_login(struct store_use *u,
    const struct store_login *l, struct store_counts *c);
enum store_result store_use_rate(struct store_use *u, const char *key,
    long limit, long period);
enum store_result store_use_account(struct store_use *u, const char *user,
    struct store_account *a);
enum store_result store_use_account_add(struct store_use *u,
    const struct store_account *a, time_t expired);
enum store_result store_use_account_ran(struct store_use *u, const char *user);

/* The command was not run after all: somebody else may try. */
void store_use_account_not_ran(struct store_use *u, const char *user);

#endif
