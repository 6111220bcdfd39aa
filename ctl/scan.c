/*
 * abictl scan - reads what is new in the mail log, counts offences, and
 * publishes who is listed.
 *
 * What was counted and how far the log was read go into the store in one step:
 * killed at any moment, or run twice at once, it counts no line twice and
 * loses none.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/cli/progress.h"
#include "ctl/scan.h"
#include "base/clock.h"
#include "base/log.h"
#include "logs/logsource.h"
#include "scan/mapper.h"
#include "scan/publish.h"
#include "base/due.h"
#include "scan/scan.h"
#include "scan/scan_logs.h"
#include "base/text.h"

#define STORE_WAIT 30000    /* milliseconds: nobody waits for a scan */
#define ROUND_MIN 1000      /* milliseconds between two looks at a log */
#define ROUND_MAX 60000     /* other hosts list offenders, too */
#define RETRY 10000         /* after a failure, when following */
#define PURGE_EVERY 3600    /* seconds */

static void
stop(int sig)
{
	(void)sig;
	scan_stopped = 1;
}

/* --- the round --- */

/* Old rows go, once an hour over all processes of a host. */
static void
purge_sometimes(struct scan_run *r, time_t now)
{
	const struct config *cfg = &r->ctl->cfg;
	struct statedir d;
	long removed;

	statedir_init(&d, cfg->reputation.cache_dir);
	if (due_take(&d, DUE_PURGE, now, PURGE_EVERY, "purged") &&
	    !abictl_store_tidy(cfg, r->store, now, &removed))
		log_warning("scan: purge: %s", r->store->error);
	statedir_close(&d);
}

static bool
round_publish(struct scan_run *r, struct publish_result *result)
{
	char error[PUBLISH_ERROR_MAX];
	time_t now = time(NULL);

	if (!publish(&r->ctl->cfg, r->store, now, MAPPER_WRITE, result, error,
		sizeof(error)))
		return scan_failed(r, EX_CANTCREAT, error);
	purge_sometimes(r, now);
	return true;
}

/* What a round has done, in the log and for a person. */
static void
round_tell(struct scan_run *r, const struct publish_result *p, int64_t began)
{
	const struct scan_counts *c = &r->scan.counts;
	char line[512];
	struct text t;

	text_init(&t, line, sizeof(line));
	text_addf(&t, "scan: %llu lines, %llu offences, %llu hits; %ld listed",
	    (unsigned long long)c->lines, (unsigned long long)c->offences,
	    (unsigned long long)c->hits, p->listed);
	if (p->snapshot_new)
		text_add(&t, ", snapshot rebuilt");
	if (p->map.changed)
		text_add(&t, ", map rebuilt");
	text_addf(&t, "; %lld ms", (long long)(clock_ms() - began));
	/* What says nothing new stays out of the log that is read here. */
	if (c->offences > 0 || p->snapshot_new || p->map.changed)
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
round_run(struct scan_run *r)
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
		scan_failed(r, EX_UNAVAILABLE, error);
		return;
	}
	r->store->wait_ms = STORE_WAIT;
	for (i = 0; i < r->count && !scan_stopped; i++)
		scan_source_look(r, &r->sources[i]);
	scan_settle(&r->ctl->cfg);
	scan_names_save(&r->scan);
	if (round_publish(r, &result))
		round_tell(r, &result, began);
}

static void
store_drop(struct scan_run *r)
{
	if (r->store != NULL)
		store_free(r->store);
	r->store = NULL;
}

/* Until a signal comes, or no log can ever have more. */
static void
follow(struct scan_run *r, const sigset_t *ours, const sigset_t *mask)
{
	struct logsource *logs[SCAN_LOGS_MAX];
	int64_t began;
	size_t i, n;
	long pause;

	while (!scan_stopped) {
		began = clock_ms();
		sigprocmask(SIG_SETMASK, mask, NULL);
		round_run(r);
		sigprocmask(SIG_BLOCK, ours, NULL);
		if (r->status != EX_OK) { /* all of it begins anew */
			scan_sources_close(r);
			store_drop(r);
		}
		for (i = n = 0; i < r->count; i++)
			if (r->sources[i].log != NULL &&
			    !logsource_over(r->sources[i].log))
				logs[n++] = r->sources[i].log;
		if (n == 0 && r->status == EX_OK)
			break;
		if (!scan_stopped)
			logsource_wait(logs, n, r->status == EX_OK ?
				ROUND_MAX : RETRY, mask);
		/* A busy log is not looked at for each line. */
		pause = ROUND_MIN - (long)(clock_ms() - began);
		if (!scan_stopped && pause > 0)
			logsource_wait(NULL, 0, pause, mask);
	}
}

/* --- a dry run --- */

static int
dry_run(struct scan_run *r)
{
	struct dryrun *dry = dryrun_new(&r->scan.rules);
	bool lost;
	size_t i;

	if (dry == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	for (i = 0; i < r->count; i++) {
		scan_time(&r->scan, scan_source_time(&r->sources[i]));
		if (scan_source_open(r, &r->sources[i]) &&
		    scan_source_read(r, &r->sources[i], dry, &lost))
			scan_source_judge(r, &r->sources[i]);
	}
	abictl_scan_print(r->ctl, dry, &r->scan.counts);
	dryrun_free(dry);
	return r->status;
}

int
abictl_scan_form(struct abictl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (ctl->dry_run && ctl->follow)
		return abictl_fail(EX_USAGE, "--dry-run or --follow, not both");
	return EX_OK;
}

int
abictl_scan(struct abictl *ctl, int argc, char **argv)
{
	static struct scan_run r;
	struct sigaction act = { .sa_handler = stop };
	sigset_t ours, before;

	r.ctl = ctl;
	if (!scan_sources_find(&r, argc, argv))
		return abictl_fail(EX_USAGE, "more than %d logs, or a path "
		    "longer than %d bytes", SCAN_LOGS_MAX, SCAN_LOG_MAX - 1);
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
	scan_sources_close(&r);
	store_drop(&r);
	scan_batch_free(&r.batch);
	scan_free(&r.scan);
	if (scan_stopped && !ctl->follow && r.status == EX_OK)
		return abictl_fail(EXIT_INTERRUPTED, ctl->dry_run ?
		    "interrupted: there is more in the log" :
		    "interrupted: what was read is counted, the next scan "
		    "goes on there");
	return r.status == EX_OK && r.missing ? EX_NOINPUT : r.status;
}
