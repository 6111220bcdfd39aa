/*
 * abictl postfix - has Postfix consult the filter, or no longer.
 *
 * A plan is made first, from what postconf tells, and printed. It is carried
 * out on copies, which must then be as was wanted, before main.cf and
 * master.cf are replaced; when `postfix check' does not like them, or anything
 * else fails, the old ones are put back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "base/tool.h"
#include "ctl/abictl.h"
#include "ctl/postfix/files.h"
#include "ctl/postfix/plan.h"
#include "ctl/postfix/undo.h"
#include "ctl/postfix/wish.h"

#define INSTANCES_MAX 32
#define TOOL_SECONDS  120 /* a check looks at all files of Postfix */
#define ERROR_MAX     1024

/* What one instance is told to do. */
struct job {
	const struct abictl *ctl;
	struct plan_wish wish;
	char directory[PATH_MAX];
	bool is_default;
};

/* --- talking --- */

/* A word as a shell takes it. */
static void
print_word(const char *word)
{
	static char quoted[5 * POSTFIX_VALUE_MAX];
	struct text t;

	text_init(&t, quoted, sizeof(quoted));
	text_add_quoted(&t, word);
	printf(" %s", quoted);
}

static void
print_command(const struct job *job, const char *tool, const char *option,
    const char *setting)
{
	printf("  %s", tool);
	if (!job->is_default) {
		fputs(" -c", stdout);
		print_word(job->directory);
	}
	printf(" %s", option);
	if (setting != NULL)
		print_word(setting);
	putchar('\n');
}

static void
print_edits(const struct job *job, const struct plan *p)
{
	size_t i;

	for (i = 0; i < p->count; i++) {
		print_command(job, "postconf", p->edits[i].option,
		    p->edits[i].setting);
		printf("      before: %s\n", p->edits[i].before[0] != '\0' ?
			p->edits[i].before : "(nothing)");
	}
}

static void
print_notes(const struct plan *p)
{
	size_t i;

	for (i = 0; i < p->noted; i++)
		printf("  %s\n", p->notes[i]);
}

/* --- Postfix itself --- */

static bool
postfix_do(const struct job *job, const char *what, char *error, size_t size)
{
	const char *argv[] = {"postfix", "-c", job->directory, what, NULL};

	return tool_run(argv, -1, -1, TOOL_SECONDS, error, size) == 0;
}

/* What it does not like, it says only to a terminal and the log. */
static bool
postfix_check(const struct job *job, char *error, size_t size)
{
	char said[ERROR_MAX / 2];

	if (postfix_do(job, "check", said, sizeof(said)))
		return true;
	snprintf(error, size, "`postfix check' fails (%s); the mail log has "
	    "the reason", said);
	return false;
}

/* Has a Postfix that runs read what is new. */
static int
reload(const struct job *job)
{
	char error[ERROR_MAX];

	if (!postfix_do(job, "status", error, sizeof(error))) {
		printf("  Postfix is not running\n");
		return EX_OK;
	}
	print_command(job, "postfix", "reload", NULL);
	if (!postfix_do(job, "reload", error, sizeof(error)))
		return abictl_fail(EX_UNAVAILABLE, "%s: postfix reload: %s",
		    job->directory, error);
	return EX_OK;
}

/* Who is asked goes in first, and goes out last. */
static bool
both_replace(struct files *f, char *const text[CF_FILES], bool master_first,
    char *error, size_t size)
{
	enum cf_kind first = master_first ? CF_MASTER : CF_MAIN;
	enum cf_kind second = master_first ? CF_MAIN : CF_MASTER;

	return files_replace(f, first, text[first], error, size) &&
	       files_replace(f, second, text[second], error, size);
}

/*
 * Replaces the files, and keeps before and after (NULL: nothing is to be kept
 * afterwards). All is as it was when that fails. What `postfix check' does not
 * like keeps nobody from disabling.
 */
static int
carry_out(const struct job *job, struct files *f, char *const text[CF_FILES],
    char *const before[CF_FILES])
{
	char error[ERROR_MAX], again[ERROR_MAX];
	char *old[CF_FILES] = {strdup(f->text[0]), strdup(f->text[1])};
	bool enable = before != NULL, good;

	good = old[0] != NULL && old[1] != NULL;
	if (!good)
		snprintf(error, sizeof(error), "out of memory");
	good = good &&
	       (!enable || files_save(f, before, text, error, sizeof(error))) &&
	       both_replace(f, text, enable, error, sizeof(error)) &&
	       (!enable || postfix_check(job, error, sizeof(error))) &&
	       (enable || files_save(f, NULL, NULL, error, sizeof(error)));
	if (!good) {
		if (old[0] != NULL && old[1] != NULL &&
		    (!both_replace(f, old, !enable, again, sizeof(again)) ||
			!files_save(f, f->saved ? f->before : NULL, f->after,
			    again, sizeof(again))))
			abictl_fail(0, "%s: cannot restore the old files: %s",
			    job->directory, again);
		abictl_fail(0, "%s: nothing was changed: %s", job->directory,
		    error);
	}
	free(old[0]);
	free(old[1]);
	return good ? reload(job) : EX_CANTCREAT;
}

/* --- enable --- */

/* The same plan for what has come of it: nothing may be left to do. */
static bool
is_as_wanted(const struct job *job, struct files *f, const char *main_cf,
    char *error, size_t size)
{
	struct plan *p = plan_make(&job->wish, f->staging, main_cf, error,
	    size);
	bool good = p != NULL && p->count == 0 && p->refused == 0;

	if (p != NULL && !good)
		snprintf(error, size, "postconf does not read the edited "
		    "files as expected: %s", p->refused > 0 ?
		    p->refusals[0] : p->edits[0].setting);
	plan_free(p);
	return good;
}

/* What `disable' shall put back: all that was there before the first time. */
static bool
before_make(struct files *f, char *before[CF_FILES], char *error, size_t size)
{
	struct undo u = {.plan = NULL};
	bool good = true;
	int k;

	if (f->saved)
		good = undo_make(&u, f, error, size);
	for (k = 0; good && k < CF_FILES; k++) {
		before[k] = strdup(f->saved ? u.text[k] : f->text[k]);
		good = before[k] != NULL;
	}
	undo_release(&u);
	return good;
}

static int
enable_planned(const struct job *job, struct files *f, const struct plan *p)
{
	char *result[CF_FILES] = {NULL, NULL}, *before[CF_FILES] = {NULL, NULL};
	char error[ERROR_MAX] = "out of memory";
	int status = EX_OK;

	if (!files_stage(f, f->text, p->edits, p->count, result, error,
		sizeof(error)) ||
	    !is_as_wanted(job, f, result[CF_MAIN], error, sizeof(error)))
		status = abictl_fail(EX_CONFIG, "%s: nothing was changed: %s",
		    job->directory, error);
	else if (!job->ctl->dry_run) {
		if (before_make(f, before, error, sizeof(error)))
			status = carry_out(job, f, result, before);
		else
			status = abictl_fail(EX_OSERR, "%s: %s",
			    job->directory, error);
	}
	free(result[0]);
	free(result[1]);
	free(before[0]);
	free(before[1]);
	return status;
}

static int
enable(const struct job *job)
{
	struct plan *p = NULL;
	char error[ERROR_MAX];
	struct files f = {.dir = -1};
	int status = EX_OK;
	size_t i;

	if (!files_open(&f, job->directory, !job->ctl->dry_run, error,
		sizeof(error)) ||
	    (p = plan_make(&job->wish, job->directory, f.text[CF_MAIN], error,
		 sizeof(error))) == NULL)
		status = abictl_fail(EX_UNAVAILABLE, "%s", error);
	else {
		printf("%s:\n", job->directory);
		print_notes(p);
		for (i = 0; i < p->refused; i++)
			abictl_fail(0, "%s", p->refusals[i]);
		if (p->refused > 0)
			status = abictl_fail(EX_CONFIG,
			    "%s: nothing was changed: please do the above by "
			    "hand",
			    job->directory);
		else if (p->count == 0)
			printf("  nothing to do\n");
		else {
			print_edits(job, p);
			fflush(stdout);
			status = enable_planned(job, &f, p);
		}
	}
	files_close(&f);
	plan_free(p);
	return status;
}

/* --- disable --- */

static void
undo_print(const struct job *job, const struct files *f, const struct undo *u)
{
	int k;

	for (k = 0; k < CF_FILES; k++)
		printf("  %s: %s\n", files_names[k],
		    strcmp(f->text[k], u->text[k]) == 0 ? "unchanged" :
		    strcmp(f->before[k], u->text[k]) == 0 ?
			"as before `enable', byte for byte" :
			"other changes since `enable' stay");
	if (u->keep)
		printf("  abichecker/unix stays: something still asks it\n");
	print_notes(u->plan);
	if (u->plan->count > 0)
		printf("  edited since `enable', so only our items are "
		       "removed:\n");
	print_edits(job, u->plan);
	fflush(stdout);
}

static int
disable(const struct job *job)
{
	char error[ERROR_MAX];
	struct files f = {.dir = -1};
	struct undo u = {.plan = NULL};
	int status = EX_OK;

	if (!files_open(&f, job->directory, !job->ctl->dry_run, error,
		sizeof(error)) ||
	    (f.saved && !undo_make(&u, &f, error, sizeof(error))))
		status = abictl_fail(EX_UNAVAILABLE, "%s", error);
	else if (!f.saved)
		printf("%s:\n  `enable' has changed nothing here\n",
		    job->directory);
	else {
		printf("%s:\n", job->directory);
		undo_print(job, &f, &u);
		if (!job->ctl->dry_run)
			status = carry_out(job, &f, u.text, NULL);
	}
	undo_release(&u);
	files_close(&f);
	return status;
}

/* --- status --- */

/* Is it still what `enable' has made of it? */
static const char *
state_text(const struct files *f)
{
	if (!f->saved)
		return abictl_by_root() ?
		    "`enable' has changed nothing" :
		    "only root can see what `enable' has changed";
	return strcmp(f->text[0], f->after[0]) == 0 &&
		       strcmp(f->text[1], f->after[1]) == 0 ?
	    "as `enable' left it" : "changed since `enable'";
}

static int
status(const struct job *job)
{
	struct plan *p = NULL;
	char error[ERROR_MAX];
	struct files f = {.dir = -1};
	int result = EX_OK;
	size_t i;

	if (!files_open(&f, job->directory, false, error, sizeof(error)) ||
	    (p = plan_make(&job->wish, job->directory, f.text[CF_MAIN], error,
		 sizeof(error))) == NULL)
		result = abictl_fail(EX_UNAVAILABLE, "%s", error);
	else {
		printf("%s: %s\n", job->directory, state_text(&f));
		print_notes(p);
		for (i = 0; i < p->refused; i++)
			printf("  by hand: %s\n", p->refusals[i]);
		if (p->count > 0)
			printf("  `enable' would do:\n");
		print_edits(job, p);
	}
	files_close(&f);
	plan_free(p);
	return result;
}

/* --- instances --- */

/* Those meant, the default one first; NULL-terminated. False, as told. */
static bool
instances_find(const struct abictl *ctl, char directories[][PATH_MAX],
    size_t *count)
{
	char error[ERROR_MAX], list[4096], *all, *rest = list, *word;
	const char *named = ctl->instance != NULL ? ctl->instance : "";

	*count = 0;
	all = postfix_output(named, NULL, error, sizeof(error));
	if (all == NULL) {
		abictl_fail(0, "%s", error);
		return false;
	}
	postfix_line(all, "config_directory", directories[(*count)++],
	    PATH_MAX);
	if (ctl->instance == NULL && getenv("MAIL_CONFIG") == NULL &&
	    postfix_line(
		all, "multi_instance_directories", list, sizeof(list)))
		while (*count < INSTANCES_MAX &&
		       (word = strsep(&rest, ", \t")) != NULL)
			if (word[0] != '\0')
				snprintf(directories[(*count)++], PATH_MAX,
				    "%s", word);
	free(all);
	return true;
}

static void
job_begin(struct job *job, const struct abictl *ctl, const char *directory,
    bool is_first)
{
	job->ctl = ctl;
	snprintf(job->directory, sizeof(job->directory), "%s", directory);
	job->is_default = is_first && ctl->instance == NULL &&
			  getenv("MAIL_CONFIG") == NULL;
}

/* May files be changed? EX_OK, or a failure that has been told. */
static int
change_allowed(const struct abictl *ctl)
{
	if (ctl->dry_run || geteuid() == 0)
		return EX_OK;
	return abictl_fail(EX_NOPERM, "only root can change main.cf and "
	    "master.cf; try sudo, or --dry-run");
}

/* Does something with each; what has gone wrong last is the status. */
static int
instances_each(struct abictl *ctl, int (*run)(const struct job *))
{
	static char directories[INSTANCES_MAX][PATH_MAX];
	static struct job job;
	int result = EX_OK, one;
	size_t count, i;

	if (!instances_find(ctl, directories, &count))
		return EX_UNAVAILABLE;
	if (run == status)
		wish_status(&job.wish, &ctl->cfg, directories[0]);
	for (i = 0; i < count; i++) {
		job_begin(&job, ctl, directories[i], i == 0);
		one = run(&job);
		if (one != EX_OK)
			result = one;
	}
	return result;
}

int
abictl_postfix_status(struct abictl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return instances_each(ctl, status);
}

int
abictl_postfix_disable(struct abictl *ctl, int argc, char **argv)
{
	int result = change_allowed(ctl);

	(void)argc;
	(void)argv;
	return result == EX_OK ? instances_each(ctl, disable) : result;
}

/* Enables the one that is meant. */
int
abictl_postfix_enable(struct abictl *ctl, int argc, char **argv)
{
	static char directories[INSTANCES_MAX][PATH_MAX];
	static struct job job;
	int result = change_allowed(ctl);
	size_t count, i;

	if (result != EX_OK)
		return result;
	if (!instances_find(ctl, directories, &count))
		return EX_UNAVAILABLE;
	if (count > 1) {
		for (i = 0; i < count; i++)
			abictl_fail(0, "--instance %s", directories[i]);
		return abictl_fail(EX_USAGE, "there are several instances of "
		    "Postfix: name one of them");
	}
	job_begin(&job, ctl, directories[0], true);
	result = wish_read(&job.wish, &ctl->cfg, job.directory, argc, argv);
	return result == EX_OK ? enable(&job) : result;
}
