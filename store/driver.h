/*
 * driver - what the drivers of the store share: the time of an operation, its
 * failure, and connecting to a server.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/store.h"

/* The operations of struct store_driver. */
#define STORE_OPERATIONS(F)                                                   \
	F(login) F(forget) F(rate_take) F(account_add) F(account_find)        \
	F(account_release) F(account_ran) F(offenders_apply) F(position)      \
	F(generation) F(offender_add) F(offender_remove)                      \
	F(offenders_expire) F(purge) F(iterate) F(restore) F(status)

/* The type of one, for STORE_OPERATIONS. */
#define STORE_OPERATION(name) __typeof__(*((struct store_driver *)0)->name)

/* Begins an operation: from now on it has wait_ms, and nothing has failed. */
void store_begin(struct store *s);

/* Notes a failure, for people, with where it was. False. */
bool store_failed(struct store *s, enum store_failure failure,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- servers --- */

/* Reads the URL of a server, and its password. False: noted. */
bool store_server_read(struct store *s, const struct config *cfg,
    const char *url);

/* Waits for events of a descriptor. False when the time is up. */
bool store_wait(const struct store *s, int fd, short events);

/* Has the other end closed the connection, or said what nobody asked? */
bool store_stale(int fd);

/* An equal part of the time until `end' for each of those that are left. */
int64_t store_share(int64_t end, int left);

/*
 * Looks a host up and tries to connect to one address after the other: each
 * has its share of the time. False: noted.
 */
bool store_connect(struct store *s, const char *host,
    bool (*connect_to)(struct store *s, const char *address));

#endif
