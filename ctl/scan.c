/*
 * abictl scan - reads what is new in the mail log, counts offences, and
 * publishes who is listed.
 *
 * What was counted and how far the log was read go into the store in one step:
 * killed at any moment, or run twice at once, it counts no line twice and
 * loses none.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/scan.h"
#include "base/clock.h"
#include "base/log.h"
#include "logs/logsource.h"
#include "scan/mapper.h"
#include "scan/publish.h"
#include "base/backoff.h"
#include "scan/scan.h"
#include "scan/scan_logs.h"
#include "base/text.h"

#define BATCH_HITS 5000     /* counted in one step */
#define STORE_WAIT 30000    /* milliseconds: nobody waits for a scan */
#define ROUND_MIN 1000      /* milliseconds between two looks at a log */
#define ROUND_MAX 60000     /* other hosts list offenders, too */
#define RETRY 10000         /* after a failure, when following */
#define OLD_LOG 86400       /* seconds: who writes it has ended */
#define PURGE_EVERY 3600    /* seconds */
#define ODD_MIN 20          /* new lines that nobody knows */
#define TELL_EVERY 3600     /* seconds: that a log is not understood */

/* A log and how far it has been counted. */
struct source {
	char what[SCAN_LOG_MAX];
	char name[STORE_TEXT_MAX]; /* of its position: "HOST PATH" */
	char position[STORE_TEXT_MAX]; /* in the store */
	struct logsource *log;
	time_t after; /* lines up to then were counted from another, 0: none */
};

struct run {
	struct abictl *ctl;
	struct scan scan;
	struct scan_batch batch;
	struct store *store;
	struct source sources[SCAN_LOGS_MAX];
	size_t count;
	bool named;   /* the sources were, in the arguments */
	bool missing; /* a file that was named is not there */
	int status;
};

static volatile sig_atomic_t stopped;

static void
stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* --- which logs --- */

/* A file is known by its real path: by two names it is still one log. */
static void
source_add(struct run *r, const char *what)
{
	struct source *s = &r->sources[r->count];
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
		snprintf(s->name, sizeof(s->name), "%.100s %s", host,
		    n < 150 ? s->what : s->what + n - 150);
		r->count++;
	}
	free(real);
}

/* From the arguments, or else from the configuration. False: too many. */
static bool
sources_find(struct run *r, int argc, char **argv)
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

/* The time by which a log's stamps without a year are read. */
static time_t
source_time(const struct source *s)
{
	time_t now = time(NULL);
	struct stat st;

	if (stat(s->what, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_mtime > now - OLD_LOG)
		return now;
	return st.st_mtime;
}

static void
sources_close(struct run *r)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (r->sources[i].log != NULL)
			logsource_close(r->sources[i].log);
		r->sources[i].log = NULL;
	}
}

/* --- reading --- */

/* Something went wrong: tells and remembers the status. */
static bool
failed(struct run *r, int status, const char *what)
{
	log_error("scan: %s", what);
	r->status = abictl_fail(status, "%s", what);
	return false;
}

/* Is it one of the sources of this run? */
static bool
source_known(const void *arg, const char *name)
{
	const struct run *r = arg;
	size_t i;

	for (i = 0; i < r->count; i++)
		if (strcmp(r->sources[i].name, name) == 0)
			return true;
	return false;
}

static bool
source_open(struct run *r, struct source *s)
{
	char error[LOGSOURCE_ERROR_MAX];
	long since = rules_longest(&r->scan.rules);

	s->position[0] = '\0';
	if (r->store != NULL && !r->named &&
	    scan_handover(r->store, s->name, source_known, r, &s->after) ==
		STORE_ERROR)
		return failed(r, EX_UNAVAILABLE, r->store->error);
	if (r->store != NULL && strcmp(s->what, "-") != 0 &&
	    r->store->driver->position(r->store, s->name, s->position,
		sizeof(s->position)) == STORE_ERROR)
		return failed(r, EX_UNAVAILABLE, r->store->error);
	if (r->ctl->dry_run && logsource_packed(s->what) != NULL)
		s->log = logsource_unpack(s->what, error, sizeof(error));
	else
		s->log = logsource_open(s->what, s->position,
		    since > 0 ? since : 86400, r->ctl->follow, error,
		    sizeof(error));
	return s->log != NULL || failed(r, EX_NOINPUT, error);
}

/* Nothing new here; unless somebody else has gone on, or back. */
static bool
source_same(struct run *r, const struct source *s, bool *lost)
{
	char there[STORE_TEXT_MAX] = "";

	if (strcmp(s->what, "-") == 0)
		return true;
	if (r->store->driver->position(r->store, s->name, there,
		sizeof(there)) == STORE_ERROR)
		return failed(r, EX_UNAVAILABLE, r->store->error);
	*lost = strcmp(there, s->position) != 0;
	return true;
}

/*
 * Counts what was read. *lost: somebody else has moved the position, so that
 * it was counted by them.
 */
static bool
source_count(struct run *r, struct source *s, bool *lost)
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
		return failed(r, EX_UNAVAILABLE, r->store->error);
	*lost = result == STORE_ABSENT;
	snprintf(s->position, sizeof(s->position), "%s", to);
	return true;
}

/*
 * Reads a log to its end, hits into the batch or the dry run. *lost is as for
 * source_count().
 */
static bool
source_read(struct run *r, struct source *s, struct dryrun *dry, bool *lost)
{
	struct scan_hit hit;
	const char *text;
	size_t len, pos;
	int rc = 0;

	*lost = false;
	/* What was handed out is also counted, whatever comes in between. */
	while (!stopped && (rc = logsource_read(s->log, &text, &len)) > 0) {
		r->scan.counts.bytes += len;
		r->scan.only_after = logsource_after(s->log);
		if (r->scan.only_after < s->after)
			r->scan.only_after = s->after;
		for (pos = 0; scan_next(&r->scan, text, len, &pos, &hit);) {
			if ((dry != NULL ? dryrun_add(dry, &hit) :
				    scan_batch_add(&r->batch, &hit)) != 0)
				return failed(r, EX_OSERR, "out of memory");
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
		return failed(r, EX_NOINPUT, r->scan.exempt.problem);
	return rc >= 0 || failed(r, EX_NOINPUT, logsource_error(s->log));
}

/*
 * A log whose lines are not understood looks like a quiet one: that is told,
 * in the log once an hour.
 */
static void
source_judge(struct run *r, const struct source *s)
{
	const struct maillog *m = &r->scan.log;
	char line[sizeof(m->odd_line)], why[BACKOFF_REASON_MAX];
	char what[BACKOFF_WHAT_MAX], text[512];
	bool tell = r->ctl->dry_run || isatty(STDERR_FILENO);
	time_t now = time(NULL);
	struct statedir d;

	/* A single line may be the rest of another, or come from elsewhere. */
	if (!maillog_strange(m) || (!r->ctl->dry_run && m->odd < ODD_MIN))
		return;
	text_printable(line, sizeof(line), m->odd_line);
	snprintf(text, sizeof(text), "%.150s: %llu of %llu lines are in no "
	    "form that is known, as: %s", s->what, (unsigned long long)m->odd,
	    (unsigned long long)m->lines, line);
	if (!r->ctl->dry_run) {
		backoff_name(BACKOFF_TOLD, s->name, what, sizeof(what));
		statedir_init(&d, r->ctl->cfg.reputation.cache_dir);
		if (backoff_until(&d, what, now, why, sizeof(why)) == 0) {
			backoff_set(&d, what, now, now + TELL_EVERY, "told");
			log_warning("scan: %s", text);
			tell = true;
		}
		statedir_close(&d);
	}
	if (tell)
		fprintf(stderr, "abictl: %s\n", text);
}

/* One look at a log: everything that is new in it is counted. */
static bool
source_scan(struct run *r, struct source *s)
{
	bool lost = true, good = true;

	scan_time(&r->scan, source_time(s));
	while (good && lost) {
		if (s->log == NULL && !source_open(r, s))
			return false;
		good = source_read(r, s, NULL, &lost) &&
		    (lost || source_count(r, s, &lost));
		if (!good || lost) {
			scan_batch_empty(&r->batch);
			logsource_close(s->log);
			s->log = NULL;
		}
	}
	source_judge(r, s);
	return good;
}

/* --- the round --- */

/* Old rows go, once an hour over all processes of a host. */
static void
purge_sometimes(struct run *r, time_t now)
{
	const struct config *cfg = &r->ctl->cfg;
	struct store_purge purge = store_outdated(cfg, now);
	char why[BACKOFF_REASON_MAX];
	struct statedir d;
	long removed;

	statedir_init(&d, cfg->reputation.cache_dir);
	if (backoff_until(&d, BACKOFF_PURGE_ALL, now, why, sizeof(why)) == 0) {
		backoff_set(
		    &d, BACKOFF_PURGE_ALL, now, now + PURGE_EVERY, "purged");
		if (r->store->driver->purge(r->store, &purge, &removed) ==
		    STORE_ERROR)
			log_warning("scan: purge: %s", r->store->error);
	}
	statedir_close(&d);
}

static bool
round_publish(struct run *r, struct publish_result *result)
{
	char error[PUBLISH_ERROR_MAX];
	time_t now = time(NULL);

	if (publish(&r->ctl->cfg, r->store, now, result, error,
		sizeof(error)) != 0)
		return failed(r, EX_CANTCREAT, error);
	purge_sometimes(r, now);
	return true;
}

/* What a round has done, in the log and for a person. */
static void
round_tell(struct run *r, const struct publish_result *p, int64_t began)
{
	const struct scan_counts *c = &r->scan.counts;
	char line[512];
	struct text t;

	text_init(&t, line, sizeof(line));
	text_addf(&t, "scan: %llu lines, %llu offences, %llu hits; %ld listed",
	    (unsigned long long)c->lines, (unsigned long long)c->offences,
	    (unsigned long long)c->hits, p->listed);
	if (p->snapshot_new)
		text_add(&t, ", snapshot made anew");
	if (p->map_new)
		text_add(&t, ", map made anew");
	text_addf(&t, "; %lld ms", (long long)(clock_ms() - began));
	/* What says nothing new stays out of the log that is read here. */
	if (c->offences > 0 || p->snapshot_new || p->map_new)
		log_info("%s", line);
	else
		log_debug("%s", line);
	if (r->ctl->json)
		printf("{\"lines\":%llu,\"offences\":%llu,\"hits\":%llu,"
		    "\"temporary\":%llu,\"ours\":%llu,\"exempt\":%llu,"
		    "\"listed\":%ld,\"generation\":%lld}\n",
		    (unsigned long long)c->lines,
		    (unsigned long long)c->offences,
		    (unsigned long long)c->hits,
		    (unsigned long long)c->temporary,
		    (unsigned long long)c->ours,
		    (unsigned long long)c->exempt, p->listed,
		    (long long)p->generation);
	else
		abictl_say(r->ctl, "%s", line + strlen("scan: "));
	if (fflush(stdout) != 0)
		r->status = EX_IOERR;
	memset(&r->scan.counts, 0, sizeof(r->scan.counts));
}

/* Reads all logs once and publishes. What can be done is done. */
static void
round_run(struct run *r)
{
	int64_t began = clock_ms();
	struct publish_result result;
	char error[STORE_ERROR_MAX];
	size_t i;

	r->status = EX_OK;
	scan_forget(&r->scan);
	if (r->store == NULL)
		r->store = store_open(&r->ctl->cfg, r->ctl->cfg.store.url,
		    error, sizeof(error));
	if (r->store == NULL) {
		failed(r, EX_UNAVAILABLE, error);
		return;
	}
	r->store->wait_ms = STORE_WAIT;
	for (i = 0; i < r->count && !stopped; i++)
		source_scan(r, &r->sources[i]);
	scan_settle(&r->ctl->cfg);
	scan_names_save(&r->scan);
	if (round_publish(r, &result))
		round_tell(r, &result, began);
}

static void
store_drop(struct run *r)
{
	if (r->store != NULL)
		r->store->driver->close(r->store);
	r->store = NULL;
}

/* Until a signal comes, or no log can ever have more. */
static void
follow(struct run *r, const sigset_t *ours, const sigset_t *mask)
{
	struct logsource *logs[SCAN_LOGS_MAX];
	int64_t began;
	size_t i, n;
	long pause;

	while (!stopped) {
		began = clock_ms();
		sigprocmask(SIG_SETMASK, mask, NULL);
		round_run(r);
		sigprocmask(SIG_BLOCK, ours, NULL);
		if (r->status != EX_OK) { /* all of it begins anew */
			sources_close(r);
			store_drop(r);
		}
		for (i = n = 0; i < r->count; i++)
			if (r->sources[i].log != NULL &&
			    !logsource_over(r->sources[i].log))
				logs[n++] = r->sources[i].log;
		if (n == 0 && r->status == EX_OK)
			break;
		if (!stopped)
			logsource_wait(logs, n, r->status == EX_OK ?
				ROUND_MAX : RETRY, mask);
		/* A busy log is not looked at for each line. */
		pause = ROUND_MIN - (long)(clock_ms() - began);
		if (!stopped && pause > 0)
			logsource_wait(NULL, 0, pause, mask);
	}
}

/* --- a dry run --- */

static int
dry_run(struct run *r)
{
	struct dryrun *dry = dryrun_new(&r->scan.rules);
	bool lost;
	size_t i;

	if (dry == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	for (i = 0; i < r->count; i++) {
		scan_time(&r->scan, source_time(&r->sources[i]));
		if (source_open(r, &r->sources[i]) &&
		    source_read(r, &r->sources[i], dry, &lost))
			source_judge(r, &r->sources[i]);
	}
	abictl_scan_print(r->ctl, dry, &r->scan.counts);
	dryrun_free(dry);
	return r->status;
}

int
abictl_scan(struct abictl *ctl, int argc, char **argv)
{
	static struct run r;
	struct sigaction act = { .sa_handler = stop };
	sigset_t ours, before;

	r.ctl = ctl;
	if (ctl->dry_run && ctl->follow)
		return EX_USAGE;
	if (!sources_find(&r, argc, argv))
		return abictl_fail(EX_USAGE, "more than %d logs, or a path of "
		    "over %d bytes", SCAN_LOGS_MAX, SCAN_LOG_MAX - 1);
	if (r.count == 0)
		return abictl_fail(EX_NOINPUT, "no log to read");
	scan_init(&r.scan, &ctl->cfg);
	scan_names_load(&r.scan);
	sigemptyset(&act.sa_mask);
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (ctl->dry_run)
		r.status = dry_run(&r);
	else if (ctl->follow) {
		sigprocmask(SIG_BLOCK, &ours, &before);
		follow(&r, &ours, &before);
	} else
		round_run(&r);
	sources_close(&r);
	store_drop(&r);
	scan_batch_free(&r.batch);
	scan_free(&r.scan);
	return r.status == EX_OK && r.missing ? EX_NOINPUT : r.status;
}
