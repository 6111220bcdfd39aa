/*
 * publish - from the store's list of offenders to the snapshot that filters
 * read, and to the access map that Postfix reads.
 */
#ifndef PUBLISH_H
#define PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "config/config.h"
#include "scan/mapper.h"
#include "store/store.h"

#define PUBLISH_ERROR_MAX 1200

struct publish_result {
	int64_t generation;
	long listed;       /* offenders in the snapshot */
	bool snapshot_new; /* it was made anew */
	struct access_map_result map; /* zeros when nothing was to do */
};

/*
 * Drops offenders whose ban is over, makes the snapshot anew unless it is of
 * the store's generation, and then, if there is one, the map: task is
 * MAPPER_WRITE, _MAP or _OVERRIDE. False, and why in error: what could not be
 * made is as it was, and the next time makes it.
 */
bool publish(const struct config *cfg, struct store *s, time_t now,
    enum mapper_task task, struct publish_result *result, char *error,
    size_t size);

#endif
