/*
 * logfile - a log file that is read on from where it was left, over rotation.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct logfile;

/* As logsource_open() and the others; error has room for size bytes. */
struct logfile *logfile_open(const char *path, const char *position,
    char *error, size_t size);
int logfile_read(struct logfile *f, const char **text, size_t *len,
    char *error, size_t size);
void logfile_position(const struct logfile *f, char *out, size_t size);
time_t logfile_after(const struct logfile *f);
void logfile_counted(struct logfile *f, time_t when);

/*
 * A descriptor that can be read from when the file or its directory changed,
 * -1 if there is none. *look is set when the file must be read before anybody
 * waits. logfile_woken() takes what can be read from it.
 */
int logfile_watch(struct logfile *f, bool *look);
void logfile_woken(struct logfile *f);

void logfile_close(struct logfile *f);

#endif
