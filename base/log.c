/*
 * log - the one way in which both programs tell what happened.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define SYSLOG_WAIT 500000 /* microseconds, when syslogd has no room */
#define SYSLOG_REST 5   /* seconds without waiting afterwards */

enum target { TARGET_NONE, TARGET_SYSLOG, TARGET_FILE, TARGET_STDERR };

static struct {
	const char *ident;
	const char *path;
	enum target target;
	enum log_level level;
	int fd; /* of the file or of syslogd's socket */
	time_t stuck_until; /* syslogd does not read: no waiting for it */
	void (*handler)(enum log_level, const char *);
} logger = { .ident = "abichecker", .fd = -1 };

/* Opens the file, or opens it again after somebody has moved it away. */
static void
file_follow(void)
{
	struct stat there, ours;
	int fd;

	if (logger.fd >= 0 && stat(logger.path, &there) == 0 &&
	    fstat(logger.fd, &ours) == 0 && there.st_ino == ours.st_ino &&
	    there.st_dev == ours.st_dev)
		return;
	fd = open(logger.path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY, 0640);
	if (fd < 0)
		return; /* the old file is better than none */
	if (logger.fd >= 0)
		close(logger.fd);
	logger.fd = fd;
}

int
log_open(const char *ident, const char *target, enum log_level level)
{
	logger.ident = ident;
	logger.level = level;
	if (logger.fd >= 0)
		close(logger.fd);
	logger.fd = -1;
	if (strcmp(target, "syslog") == 0) {
		logger.target = TARGET_SYSLOG;
	} else if (strcmp(target, "stderr") == 0)
		logger.target = TARGET_STDERR;
	else if (strcmp(target, "none") == 0)
		logger.target = TARGET_NONE;
	else {
		logger.target = TARGET_FILE;
		logger.path = target;
		file_follow();
		return logger.fd < 0 ? -1 : 0;
	}
	return 0;
}

int
log_fd(void)
{
	return logger.target == TARGET_FILE ? logger.fd : -1;
}

void
log_handler(void (*fn)(enum log_level, const char *))
{
	logger.handler = fn;
}

bool
log_wants(enum log_level level)
{
	return level <= logger.level &&
	    (logger.target != TARGET_NONE || logger.handler != NULL);
}

/* The socket of syslogd. */
static void
syslog_connect(void)
{
	static const struct sockaddr_un there = { .sun_family = AF_UNIX,
		.sun_path = "/dev/log" };
	static const struct timeval wait = { .tv_usec = SYSLOG_WAIT };

	if (logger.fd >= 0)
		close(logger.fd);
	logger.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (logger.fd < 0)
		return;
	setsockopt(logger.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(logger.fd, (const struct sockaddr *)&there,
		sizeof(there)) != 0) {
		close(logger.fd);
		logger.fd = -1;
	}
}

/*
 * Sends a datagram. A reader that is only busy is waited for a moment; one
 * that hangs costs log lines, not mail: then nobody waits for a while.
 */
static bool
syslog_send(const struct text *t, time_t now)
{
	bool stuck = now < logger.stuck_until;

	if (logger.fd < 0)
		return false;
	if (send(logger.fd, t->buf, t->len,
		MSG_NOSIGNAL | (stuck ? MSG_DONTWAIT : 0)) >= 0)
		return true;
	if (errno == EAGAIN && !stuck)
		logger.stuck_until = now + SYSLOG_REST;
	return errno == EAGAIN || errno == EMSGSIZE;
}

/*
 * What syslog(3) does, but without waiting for ever. (A datagram as in RFC
 * 3164, which journald, rsyslog and syslog-ng read at /dev/log.)
 */
static void
syslog_line(int priority, const char *line)
{
	char buf[LOG_LINE_MAX + 128], stamp[32];
	struct text t;
	struct tm tm;
	time_t now = time(NULL);

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	text_init(&t, buf, sizeof(buf));
	text_addf(&t, "<%d>%s %s[%d]: %s", LOG_MAIL | priority, stamp,
	    logger.ident, (int)getpid(), line);
	if (syslog_send(&t, now))
		return;
	syslog_connect(); /* not yet, or it was started anew */
	syslog_send(&t, now);
}

/* One write(2) a line, so that lines of several processes never mix. */
static void
file_line(const char *line)
{
	char buf[LOG_LINE_MAX + 256], stamp[32], zone[8];
	struct text t;
	struct tm tm;
	time_t now = time(NULL);
	ssize_t n;

	file_follow();
	if (logger.fd < 0)
		return;
	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	text_init(&t, buf, sizeof(buf));
	text_addf(&t, "%s%.3s:%s %s[%d]: %s\n", stamp, zone, zone + 3,
	    logger.ident, (int)getpid(), line);
	n = write(logger.fd, t.buf, t.len);
	(void)n; /* a full disk must not stop the mail */
}

static void
stderr_line(const char *line)
{
	char buf[LOG_LINE_MAX + 64];
	struct text t;
	ssize_t n;

	text_init(&t, buf, sizeof(buf));
	text_addf(&t, "%s: %s\n", logger.ident, line);
	n = write(STDERR_FILENO, t.buf, t.len);
	(void)n;
}

static void
log_line(enum log_level level, const char *fmt, va_list ap)
{
	static const int priority[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
		LOG_DEBUG };
	/* The priority is not in every log file, so it is in the text. */
	static const char *const prefix[] = { "error: ", "warning: ", "", "" };
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	struct text t;
	int saved = errno;

	if (!log_wants(level))
		return;
	text_init(&t, raw, sizeof(raw));
	text_add(&t, prefix[level]);
	vsnprintf(raw + t.len, sizeof(raw) - t.len, fmt, ap);
	text_printable(line, sizeof(line), raw);
	if (logger.handler != NULL)
		logger.handler(level, line);
	else if (logger.target == TARGET_SYSLOG)
		syslog_line(priority[level], line);
	else if (logger.target == TARGET_FILE)
		file_line(line);
	else
		stderr_line(line);
	errno = saved;
}

#define LOG_FUNCTION(name, level)                                             \
	void name(const char *fmt, ...)                                       \
	{                                                                     \
		va_list ap;                                                   \
                                                                              \
		va_start(ap, fmt);                                            \
		log_line(level, fmt, ap);                                     \
		va_end(ap);                                                   \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
