/*
 * abictl_say - what the subcommands say to people besides their results.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "config/action.h"
#include "base/log.h"
#include "base/text.h"

static bool by_root; /* root has started it; it may be another user now */
static bool not_set_up;

void
abictl_started(void)
{
	by_root = geteuid() == 0;
}

bool
abictl_by_root(void)
{
	return by_root;
}

void
abictl_not_set_up(void)
{
	not_set_up = true;
}

/* Does a text end with the name of this error? */
static bool
ends_with(const char *text, int error)
{
	const char *what = strerror(error);
	size_t n = strlen(what), len = strlen(text);

	return len > n && strcmp(text + len - n, what) == 0;
}

int
abictl_fail(int status, const char *fmt, ...)
{
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_printable(line, sizeof(line), raw);
	if (not_set_up && status != 0 && ends_with(line, ENOENT)) {
		fprintf(stderr, "abictl: not set up yet: " CONFIG_DEFAULT_FILE
		    " is missing; see abichecker(8)\n");
		return EX_CONFIG;
	}
	fprintf(stderr, "abictl: %s%s\n", line, !by_root &&
	    (ends_with(line, EACCES) || ends_with(line, EPERM)) ?
	    "; try sudo" : "");
	return status;
}

bool
abictl_talks(const struct abictl *ctl)
{
	return !ctl->json && !ctl->quiet && isatty(STDOUT_FILENO);
}

void
abictl_say(const struct abictl *ctl, const char *fmt, ...)
{
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	va_list ap;

	if (!abictl_talks(ctl))
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_printable(line, sizeof(line), raw);
	puts(line);
}

void
abictl_warn_idle(const struct config *cfg, const char *check,
    const char *action)
{
	const char *idle = "warning: this blocks nobody:";

	if (cfg->filter.dry_run)
		abictl_fail(0, "%s filter.dry_run is on", idle);
	else if (!config_makes(cfg, check))
		abictl_fail(0, "%s %s is not in filter.checks", idle, check);
	else if (action_only_logs(action))
		abictl_fail(0, "%s %s.action is log", idle, check);
}

int
abictl_json(cJSON *item)
{
	char *text = cJSON_Print(item);

	cJSON_Delete(item);
	if (text == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	puts(text);
	free(text);
	return EX_OK;
}
