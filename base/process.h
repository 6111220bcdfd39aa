/*
 * process - what a process started by spawn(8) or by root must do first.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/*
 * First act of main: makes descriptors 0, 1 and 2 safe. Under spawn(8) all
 * three are the client's socket, so 2 is pointed at the null device unless it
 * is a terminal or keep_stderr is set; missing ones are opened there too.
 * Unblocks all signals, ignores SIGPIPE and SIGXFSZ, takes a umask of 027.
 */
void process_guard(int keep_stderr);

/*
 * When run by root: becomes the owner of the cache directory (NULL: none), or,
 * if that is not there, of the store's (NULL: none), with the groups adm and
 * systemd-journal, so that nothing is created that the filter's own user
 * cannot use later. log_fd (-1: none) is a log file: if it is new, it becomes
 * that user's too. Does nothing if not run by root. 0, or -1 with errno.
 */
int process_take_identity(const char *cache_dir, const char *store_url,
    int log_fd);

/*
 * When run by root: becomes this user, with its group and the same groups. 0,
 * or -1 with errno (ENOENT: there is no such user).
 */
int process_become(const char *user);

/*
 * The path of a program in the directory of the running one. 0, or -1 with
 * errno.
 */
int process_sibling(const char *name, char *out, size_t size);

/* What a program is started with; -1: the null device, or nothing. */
struct process_io {
	int in, out, error; /* its descriptors 0, 1, 2 */
	int keep;           /* its descriptor 3, PROCESS_KEEP_FD */
	int directory;      /* where it begins */
	enum { PROCESS_HERE, PROCESS_GROUP, PROCESS_SESSION } apart;
};

/*
 * posix_spawn(3) with these, no signal blocked and none ignored. 0, or errno.
 */
int process_spawn(pid_t *pid, const char *path, char *const argv[],
    char *const environment[], const struct process_io *io);

/*
 * Starts a program whose descriptor 0 and 2 are the null device and 1 is
 * out_fd (-1: the null device). keep_fd, if not -1, is there as descriptor 3.
 * Its environment is the given one, or with NULL a fixed PATH. It has a session
 * of its own, so that it goes on when spawn(8) kills our process group, and is
 * reaped by itself. 0, or errno.
 */
int process_start(char *const argv[], int out_fd, int keep_fd,
    char *const environment[]);

#define PROCESS_KEEP_FD 3

#endif
