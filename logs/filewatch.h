/*
 * filewatch - waiting for a file, and for another one to take its name.
 */
#ifndef FILEWATCH_H
#define FILEWATCH_H

#include <stdbool.h>

/*
 * Watches the open file fd (-1: none), the file that is called path, and the
 * directory of real, which is path without symbolic links. The descriptor can
 * be read from when something has happened; -1: it cannot be watched.
 */
int filewatch_open(int fd, const char *path, const char *real);

/* Takes what has happened; true when names changed: watch anew. */
bool filewatch_take(int watch);

#endif
