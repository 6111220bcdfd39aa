/*
 * mapper - the part of abictl that keeps root, for the access map only.
 *
 * A map in Postfix's directory can be written by root alone. So before abictl
 * takes the identity of the filter's user, it leaves a child after that reads
 * nothing but the published snapshot and writes nothing but the map.
 */
#ifndef MAPPER_H
#define MAPPER_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

#define MAPPER_ERROR_MAX 1024

/*
 * Starts the child, if a map is configured and we are root. Else what follows
 * is done by ourselves, as far as we may. 0, or -1 with errno.
 */
int mapper_start(const struct config *cfg);

/*
 * Brings the map to the generation of the snapshot. *changed: its lines are
 * others now. 0, or -1 and why in error.
 */
int mapper_write(const struct config *cfg, bool *changed, char *error,
    size_t size);

/* Takes our block out of the map. */
int mapper_remove(const struct config *cfg, char *error, size_t size);

/* Has Postfix read its cidr maps anew. False and why when that fails. */
bool mapper_reload(char *error, size_t size);

#endif
