/*
 * tool - programs of the system, run to their end without a shell.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stddef.h>

/* Where they are looked for; only tests change it. */
extern const char *tool_path;

/*
 * Runs argv[0] as found in tool_path, in the directory dir_fd (-1: where we
 * are), for at most so many seconds; then it and what it started are killed.
 * Its environment is PATH and, if there is one, our MAIL_CONFIG, which tells
 * Postfix's programs which instance is meant. keep_fd (-1: none) stays open in
 * it, as a descriptor of another number: with a lock on it, the lock outlives
 * us when we are killed before the program has ended.
 *
 * 0 when it exits with 0, else -1. Afterwards error says what is wrong, or
 * after success holds the first line that it printed on descriptors 1 or 2, if
 * any.
 */
int tool_run(const char *const argv[], int dir_fd, int keep_fd, int seconds,
    char *error, size_t size);

/*
 * The same for what a program prints on descriptor 1: all of it, with a NUL,
 * in `out'. -1 also when it does not fit.
 */
int tool_read(const char *const argv[], int seconds, char *out, size_t room,
    char *error, size_t size);

#endif
