/*
 * scan_logs - which logs are scanned when none is named.
 */
#include "scan/scan_logs.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE (7 * 86400) /* seconds: a log so old was left by somebody */

void
scan_logs_add(struct scan_logs *logs, const char *what, size_t n)
{
	if (logs->count == SCAN_LOGS_MAX || n >= SCAN_LOG_MAX) {
		logs->dropped = true;
		return;
	}
	snprintf(logs->what[logs->count++], SCAN_LOG_MAX, "%.*s", (int)n,
	    what);
}

/* Is there anything in this directory? */
static bool
holds_something(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e = NULL;

	while (d != NULL && (e = readdir(d)) != NULL && e->d_name[0] == '.')
		;
	if (d == NULL)
		return false;
	closedir(d);
	return e != NULL;
}

bool
scan_logs_journal(void)
{
	return holds_something("/var/log/journal") ||
	    holds_something("/run/log/journal");
}

/* Is this one of the usual files, and in use? */
static bool
in_use(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (!scan_logs_journal() ||
	    time(NULL) - st.st_mtime < STALE);
}

static void
find_usual(struct scan_logs *logs)
{
	static const char *const usual[] = { "/var/log/mail.log",
		"/var/log/maillog" };
	size_t i;

	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (!in_use(usual[i]))
			continue;
		if (access(usual[i], R_OK) == 0 || !scan_logs_journal())
			scan_logs_add(logs, usual[i], strlen(usual[i]));
		else
			logs->passed[logs->passed_count++] = usual[i];
	}
	if (logs->count == 0)
		scan_logs_add(logs, "journal", strlen("journal"));
}

void
scan_logs_find(struct scan_logs *logs, const struct config *cfg)
{
	const char *s = cfg->blacklist.logs;
	size_t n;

	logs->count = logs->passed_count = 0;
	logs->dropped = false;
	if (strcmp(s, "auto") == 0) {
		find_usual(logs);
		return;
	}
	for (s += strspn(s, " \t,"); *s != '\0';
	     s += n, s += strspn(s, " \t,")) {
		n = strcspn(s, " \t,");
		scan_logs_add(logs, s, n);
	}
}
