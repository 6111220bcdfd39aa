/*
 * undo - how the files of an instance are without what `enable' has changed.
 */
#ifndef POSTFIX_UNDO_H
#define POSTFIX_UNDO_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/postfix/files.h"
#include "ctl/postfix/plan.h"

struct undo {
	char *text[CF_FILES]; /* to be freed */
	struct plan *plan; /* its edits and notes are what had to be done where
			      somebody had changed something since */
	bool keep; /* the service stays, since somebody still asks it */
};

/* The files that were saved; u is zeros. To be released in either case. */
bool undo_make(struct undo *u, struct files *f, char *error, size_t size);
void undo_release(struct undo *u);

#endif
