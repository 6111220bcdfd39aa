/*
 * replace - a new file for the place of another one.
 */
#ifndef REPLACE_H
#define REPLACE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Opens an empty file under a temporary name and locks it, so that there is one
 * writer at a time, for whom what a killed one has left is overwritten. Waits
 * at most wait_ms milliseconds. The lock is let go when the last copy of the
 * descriptor is closed. dir may be AT_FDCWD. -1 with errno: EAGAIN when others
 * have it, EINVAL when that is not a regular file.
 */
int replace_open(int dir, const char *name, long wait_ms);

/* Has that file still that name: it is neither in its place nor removed? */
bool replace_pending(int dir, const char *name, int fd);

/*
 * Gives a new file the owner, mode, ACL and SELinux label of the one that it
 * replaces; from_fd -1: of nobody, but owner and mode of like or, if that is
 * NULL, our own and 0644. 0, or -1 with errno.
 */
int replace_dress(int fd, int from_fd, const struct stat *like);

/*
 * Can only root (or who runs this) say what is in a directory: links on the way
 * are theirs, nobody else may write in it, nor above it, except where a sticky
 * bit keeps others from what is not theirs?
 */
bool replace_safe(const char *directory);

#endif
