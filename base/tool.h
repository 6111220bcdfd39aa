/*
 * tool - runs programs of the system without a shell.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

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

/*
 * Starts a program that reads the descriptor in and goes on while we read what
 * it prints. Returns the descriptor for that, and its process in *pid; -1 with
 * a message. What it says on descriptor 2 is dropped. SIGCHLD has its default
 * action from then on, or its exit status would be lost.
 */
int tool_open(const char *const argv[], int in, pid_t *pid, char *error,
    size_t size);

/*
 * Waits until it has ended; with stop it is killed. 0 when it exits with 0, or
 * was killed by us; else -1 and how it has ended in error.
 */
int tool_close(const char *name, pid_t pid, bool stop, char *error,
    size_t size);

#endif
