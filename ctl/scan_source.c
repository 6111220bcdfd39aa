/*
 * abictl scan - the logs: which, how far they were read, what counts in them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/due.h"
#include "base/log.h"
#include "base/text.h"
#include "ctl/cli/progress.h"
#include "ctl/scan.h"
#include "logs/logsource.h"
#include "scan/scan_logs.h"

#define BATCH_HITS 5000     /* counted in one step */
#define OLD_LOG 86400       /* seconds: who writes it has ended */
#define ODD_MIN 20          /* new lines that nobody knows */
#define TELL_EVERY 3600     /* seconds: that a log is not understood */

volatile sig_atomic_t scan_stopped;

/* A file is known by its real path: by two names it is still one log. */
static void
source_add(struct scan_run *r, const char *what)
{
	struct scan_source *s = &r->sources[r->count];
	char *real = what[0] == '/' ? realpath(what, NULL) : NULL;
	const char *name = real != NULL ? real : what;
	size_t n = strlen(name), i;
	char host[128] = "localhost";

	for (i = 0; i < r->count && strcmp(r->sources[i].what, name) != 0; i++)
		;
	if (i == r->count && n < sizeof(s->what)) {
		gethostname(host, sizeof(host) - 1);
		snprintf(s->what, sizeof(s->what), "%s", name);
		/* A long path is told apart by its end. */
		snprintf(s->name, sizeof(s->name), "%.100s %.150s", host,
		    n < 150 ? s->what : s->what + n - 150);
		r->count++;
	}
	free(real);
}

bool
scan_sources_find(struct scan_run *r, int argc, char **argv)
{
	struct scan_logs logs = { .count = 0 };
	char *path;
	size_t k;
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-") == 0 ||
		    strcmp(argv[i], "journal") == 0 ||
		    strncmp(argv[i], "journal:", 8) == 0) {
			scan_logs_add(&logs, argv[i], strlen(argv[i]));
		} else if ((path = realpath(argv[i], NULL)) != NULL) {
			scan_logs_add(&logs, path, strlen(path));
			free(path);
		} else {
			r->missing = true;
			abictl_fail(EX_NOINPUT, "%s: %s", argv[i],
			    strerror(errno));
		}
	}
	r->named = argc > 0;
	if (argc == 0)
		scan_logs_find(&logs, &r->ctl->cfg);
	for (k = 0; k < logs.count; k++)
		source_add(r, logs.what[k]);
	return !logs.dropped;
}

time_t
scan_source_time(const struct scan_source *s)
{
	time_t now = time(NULL);
	struct stat st;

	if (stat(s->what, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_mtime > now - OLD_LOG)
		return now;
	return st.st_mtime;
}

void
scan_sources_close(struct scan_run *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (r->sources[i].log != NULL)
			logsource_close(r->sources[i].log);
		r->sources[i].log = NULL;
	}
}

/* --- reading --- */

bool
scan_failed(struct scan_run *r, int status, const char *what)
{
	log_error("scan: %s", what);
	r->status = abictl_fail(status, "%s", what);
	return false;
}

/* Is it one of the sources of this run? */
static bool
source_known(const void *arg, const char *name)
{
	const struct scan_run *r = arg;
	size_t i;

	for (i = 0; i < r->count; i++)
		if (strcmp(r->sources[i].name, name) == 0)
			return true;
	return false;
}

bool
scan_source_open(struct scan_run *r, struct scan_source *s)
{
	char error[LOGSOURCE_ERROR_MAX];
	long since = rules_longest(&r->scan.rules);

	s->position[0] = '\0';
	if (r->store != NULL && !r->named &&
	    scan_handover(r->store, s->name, source_known, r, &s->after) ==
		STORE_ERROR)
		return scan_failed(r, EX_UNAVAILABLE, r->store->error);
	if (r->store != NULL && strcmp(s->what, "-") != 0 &&
	    r->store->driver->position(r->store, s->name, s->position,
		sizeof(s->position)) == STORE_ERROR)
		return scan_failed(r, EX_UNAVAILABLE, r->store->error);
	if (r->ctl->dry_run && logsource_packed(s->what) != NULL)
		s->log = logsource_unpack(s->what, error, sizeof(error));
	else
		s->log = logsource_open(s->what, s->position,
		    since > 0 ? since : 86400, r->ctl->follow, error,
		    sizeof(error));
	return s->log != NULL || scan_failed(r, EX_NOINPUT, error);
}

/* Nothing new here; unless somebody else has gone on, or back. */
static bool
source_same(struct scan_run *r, const struct scan_source *s, bool *lost)
{
	char there[STORE_TEXT_MAX] = "";

	if (strcmp(s->what, "-") == 0)
		return true;
	if (r->store->driver->position(r->store, s->name, there,
		sizeof(there)) == STORE_ERROR)
		return scan_failed(r, EX_UNAVAILABLE, r->store->error);
	*lost = strcmp(there, s->position) != 0;
	return true;
}

/*
 * Counts what was read. *lost: somebody else has moved the position, so that
 * it was counted by them.
 */
static bool
source_count(struct scan_run *r, struct scan_source *s, bool *lost)
{
	char to[STORE_TEXT_MAX] = "";
	enum store_result result;

	*lost = false;
	if (strcmp(s->what, "-") != 0)
		logsource_position(s->log, to, sizeof(to));
	if (r->batch.count == 0 && strcmp(to, s->position) == 0)
		return source_same(r, s, lost);
	result = scan_batch_apply(&r->scan, &r->batch, r->store, s->name,
	    s->position, to, time(NULL));
	scan_batch_empty(&r->batch);
	if (result == STORE_ERROR)
		return scan_failed(r, EX_UNAVAILABLE, r->store->error);
	*lost = result == STORE_ABSENT;
	snprintf(s->position, sizeof(s->position), "%s", to);
	return true;
}

static bool
lines_read(
    struct scan_run *r, struct scan_source *s, struct dryrun *dry, bool *lost)
{
	struct scan_hit hit;
	uint64_t before = r->scan.counts.bytes;
	const char *text;
	size_t len, pos;
	int rc = 0;

	*lost = false;
	/* What was handed out is also counted, whatever comes in between. */
	while (!scan_stopped &&
	    progress_step((int64_t)(r->scan.counts.bytes - before)) &&
	    (rc = logsource_read(s->log, &text, &len)) > 0) {
		r->scan.counts.bytes += len;
		r->scan.only_after = logsource_after(s->log);
		if (r->scan.only_after < s->after)
			r->scan.only_after = s->after;
		for (pos = 0; scan_next(&r->scan, text, len, &pos, &hit);) {
			if (!(dry != NULL
				    ? dryrun_add(dry, &hit)
				    : scan_batch_add(&r->batch, &hit)))
				return scan_failed(
				    r, EX_OSERR, "out of memory");
			logsource_counted(s->log, hit.time);
		}
		if (r->batch.count < BATCH_HITS)
			continue;
		if (!source_count(r, s, lost))
			return false;
		if (*lost)
			return true;
	}
	if (r->scan.exempt.problem[0] != '\0')
		return scan_failed(r, EX_NOINPUT, r->scan.exempt.problem);
	return rc >= 0 || scan_failed(r, EX_NOINPUT, logsource_error(s->log));
}

/* How many bytes there are to be read; 0: nobody knows. */
static int64_t
bytes_ahead(const struct scan_source *s)
{
	struct stat st;

	if (s->position[0] != '\0' || logsource_packed(s->what) != NULL ||
	    stat(s->what, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	return st.st_size;
}

bool
scan_source_read(
    struct scan_run *r, struct scan_source *s, struct dryrun *dry, bool *lost)
{
	bool good;

	if (r->ctl->follow)
		return lines_read(r, s, dry, lost);
	progress_begin("reading the log", "bytes", bytes_ahead(s));
	good = lines_read(r, s, dry, lost);
	if (progress_end())
		scan_stopped = 1;
	return good;
}

void
scan_source_judge(struct scan_run *r, const struct scan_source *s)
{
	const struct maillog *m = &r->scan.log;
	char line[sizeof(m->odd_line)];
	char what[BACKOFF_WHAT_MAX], text[512];
	bool tell = r->ctl->dry_run || isatty(STDERR_FILENO);
	time_t now = time(NULL);
	struct statedir d;

	/* A single line may be the rest of another, or come from elsewhere. */
	if (!maillog_strange(m) || (!r->ctl->dry_run && m->odd < ODD_MIN))
		return;
	text_printable(line, sizeof(line), m->odd_line);
	snprintf(text, sizeof(text), "%.150s: %llu of %llu lines have an "
	    "unknown format, such as: %s", s->what, (unsigned long long)m->odd,
	    (unsigned long long)m->lines, line);
	if (!r->ctl->dry_run) {
		backoff_name(DUE_TOLD, s->name, what, sizeof(what));
		statedir_init(&d, r->ctl->cfg.reputation.cache_dir);
		if (due_take(&d, what, now, TELL_EVERY, "told")) {
			log_warning("scan: %s", text);
			tell = true;
		}
		statedir_close(&d);
	}
	if (tell)
		fprintf(stderr, "abictl: %s\n", text);
}

bool
scan_source_look(struct scan_run *r, struct scan_source *s)
{
	bool lost = true, good = true;

	scan_time(&r->scan, scan_source_time(s));
	while (good && lost) {
		if (s->log == NULL && !scan_source_open(r, s))
			return false;
		good = scan_source_read(r, s, NULL, &lost) &&
		    (lost || source_count(r, s, &lost));
		if (!good || lost) {
			scan_batch_empty(&r->batch);
			logsource_close(s->log);
			s->log = NULL;
		}
	}
	scan_source_judge(r, s);
	return good;
}
