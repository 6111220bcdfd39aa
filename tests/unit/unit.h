/*
 * unit - what every unit test includes: cmocka in the order that it wants,
 * and a scratch directory.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* For group setup and teardown: a new directory, removed with its content. */
static char unit_dir[64];

static inline int
unit_dir_make(void **state)
{
	(void)state;
	snprintf(unit_dir, sizeof(unit_dir), "/tmp/abichecker-unit-XXXXXX");
	return mkdtemp(unit_dir) == NULL;
}

static inline int
unit_dir_remove(void **state)
{
	char command[128];

	(void)state;
	signal(SIGCHLD, SIG_DFL); /* process_start() has changed it */
	snprintf(command, sizeof(command), "rm -rf %s", unit_dir);
	return system(command);
}

/* Writes a file below the scratch directory. */
static inline void
unit_file(const char *name, const char *content, size_t len)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", unit_dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(content, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

#endif
