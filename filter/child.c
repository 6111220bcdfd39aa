/*
 * child - the filter's way to abictl, which does what the filter must not.
 */
#include "filter/child.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/process.h"

int
child_start(const struct config *cfg, const char *const args[], int out_fd,
    int keep_fd, char *const environment[], char *reason, size_t size)
{
	char program[PATH_MAX];
	char *argv[2 * CONFIG_OVERRIDES_MAX + CHILD_ARGS_MAX + 4];
	int n = 0, i, rc = 0;

	if (cfg->filter.abictl != NULL)
		snprintf(program, sizeof(program), "%s", cfg->filter.abictl);
	else if (process_sibling("abictl", program, sizeof(program)) != 0)
		rc = errno;
	argv[n++] = program;
	if (cfg->file != NULL) {
		argv[n++] = (char *)"-c";
		argv[n++] = (char *)cfg->file;
	}
	for (i = 0; i < cfg->override_count; i++) {
		argv[n++] = (char *)"-o";
		argv[n++] = (char *)cfg->overrides[i];
	}
	for (i = 0; i < CHILD_ARGS_MAX && args[i] != NULL; i++)
		argv[n++] = (char *)args[i];
	argv[n] = NULL;
	if (rc == 0)
		rc = process_start(argv, out_fd, keep_fd, environment);
	if (rc == 0)
		return 0;
	snprintf(reason, size, "cannot start %.120s: %s", program,
	    strerror(rc));
	return -1;
}
