/*
 * files - main.cf and master.cf of one instance, and what they were before.
 *
 * Nobody ever sees half a file: a new one is written beside the old one, with
 * its owner, mode, ACL and SELinux label, and renamed. What both were before
 * `enable' and how it left them is kept in SAVED beside them, root's alone.
 */
#ifndef POSTFIX_FILES_H
#define POSTFIX_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "ctl/postfix/cf.h"
#include "ctl/postfix/plan.h"

#define FILES_SAVED "abichecker.saved"

struct files {
	char directory[PATH_MAX];
	int dir; /* -1 when not open */
	char *text[CF_FILES];
	struct stat st[CF_FILES];
	bool saved; /* both of these are there */
	char *before[CF_FILES], *after[CF_FILES];
	char staging[64]; /* a directory of ours; "" = none */
};

/* Their names. */
extern const char *const files_names[CF_FILES];

/*
 * Reads them. change: they may be replaced, which needs a directory that only
 * root may write, and a lock that is waited for. To be closed in either case.
 */
bool files_open(struct files *f, const char *directory, bool change,
    char *error, size_t size);
void files_close(struct files *f);

/*
 * Copies texts into a directory of our own, f->staging, and has postconf edit
 * them there. Into result what they are then, to be freed.
 */
bool files_stage(struct files *f, char *const text[CF_FILES],
    const struct plan_edit *edits, size_t count, char *result[CF_FILES],
    char *error, size_t size);

/*
 * Replaces one; nothing happens when it is that already. False and why, with
 * the old one in its place.
 */
bool files_replace(struct files *f, enum cf_kind which, const char *text,
    char *error, size_t size);

/* Keeps what was before and what is after; before NULL: nothing any more. */
bool files_save(struct files *f, char *const before[CF_FILES],
    char *const after[CF_FILES], char *error, size_t size);

#endif
