/*
 * log - how both programs report what happened.
 *
 * Under spawn(8) descriptor 2 is the client's socket: nothing here writes to
 * it unless the target is "stderr", which the filter only honours on a
 * terminal. Every message is made printable and cut to one line, errno is left
 * as it was, and failing to log is never an error. A syslogd that does not read
 * delays a message by half a second, then no message for a while.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

#define LOG_LINE_MAX 2048 /* bytes of one message; the rest is cut */

/*
 * Opens the log. ident: the program's name. target: "syslog" (facility mail),
 * "none", "stderr" or the path of a file, which is opened again whenever its
 * inode changes. Messages above level are dropped. Before this call, and when
 * a file cannot be opened, messages are dropped; -1 then, else 0. ident and
 * target must stay valid.
 */
int log_open(const char *ident, const char *target, enum log_level level);

/* The descriptor of the log file, -1 when the log is no file. */
int log_fd(void);

/* True when a message of that level would be written: saves building it. */
bool log_wants(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* For tests: hands every message to fn instead; NULL ends that. */
void log_handler(void (*fn)(enum log_level level, const char *line));

#endif
