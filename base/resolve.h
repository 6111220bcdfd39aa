/*
 * resolve - the addresses of a server's host name, within a time limit.
 *
 * getaddrinfo(3) has no limit, and database client libraries call it while they
 * connect. So a child process calls it, and is killed if it takes too long; the
 * library gets addresses.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <stddef.h>

#include "base/address.h"

#define RESOLVE_MAX 4 /* addresses of a name that are tried */

/*
 * The addresses of a host name as texts, in the order of getaddrinfo(3),
 * waiting at most wait_ms milliseconds; an address is its own. How many, 0 and
 * why in error when there are none.
 */
int resolve_host(const char *host, long wait_ms,
    char out[RESOLVE_MAX][ADDRESS_TEXT_MAX], char *error, size_t size);

#endif
