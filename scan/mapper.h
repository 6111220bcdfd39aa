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

#include "config/config.h"
#include "scan/access_map.h"

enum mapper_task {
	MAPPER_WRITE,    /* brings the map to the snapshot's generation */
	MAPPER_LOOK,     /* the same, also if it has that already */
	MAPPER_MAP,      /* the same, and makes the indexes anew */
	MAPPER_OVERRIDE, /* the same, and from now on over all OK lines */
	MAPPER_REMOVE,   /* takes our block out */
	MAPPER_RELOAD,   /* has Postfix read its cidr maps anew */
};

struct mapper_answer {
	bool done; /* or why not, in error */
	bool cidr;
	struct access_map_result result; /* zeros when nothing was to do */
	char error[ACCESS_MAP_ERROR_MAX];
};

/*
 * Starts the child, if a map is configured and we are root. Else this process
 * does what follows, as far as it may. False: errno.
 */
bool mapper_start(const struct config *cfg);

/* Has it done, with blacklist.map. Was it? */
bool mapper_do(const struct config *cfg, enum mapper_task task,
    struct mapper_answer *a);

#endif
