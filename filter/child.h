/*
 * child - the filter's way to abictl, which does what the filter must not.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stddef.h>

#include "config/config.h"

#define CHILD_ARGS_MAX 4

/*
 * Starts abictl (filter.abictl, or the one next to this program) with the
 * configuration options that we were given and args (NULL-ended, at most
 * CHILD_ARGS_MAX). Descriptors and environment are as for process_start(). 0,
 * or -1 and why in reason.
 */
int child_start(const struct config *cfg, const char *const args[], int out_fd,
    int keep_fd, char *const environment[], char *reason, size_t size);

#endif
