/*
 * abictl whitelist - the entries of whitelist.file: list, add, remove, test.
 *
 * The file is a person's: comments, order, owner and mode stay. It is root's,
 * too, so that root is not given up before it was changed, and it is replaced
 * only where nobody else could have a hand in it.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/replace.h"
#include "base/text.h"
#include "ctl/abictl.h"
#include "ctl/cli/table.h"
#include "ctl/whitelist_text.h"

#define FILE_BYTES (16 * 1024 * 1024)
#define LOCK_WAIT 5000 /* milliseconds */

enum { LINE, ENTRY, NOTE };

const struct table_column abictl_whitelist_columns[] = {
	[LINE] = { "LINE", NULL, TABLE_NUMBER, NULL, 0 },
	[ENTRY] = { "ENTRY", NULL, TABLE_TEXT, NULL, 0 },
	[NOTE] = { "NOTE", NULL, TABLE_TEXT, NULL, TABLE_CUT },
	{ .heading = NULL },
};

/* --- reading --- */

/* The text of the file; NULL, with *status, when that was told. */
static char *
file_read(const struct config *cfg, struct stat *st, int *status)
{
	const char *path = cfg->whitelist.file;
	char *text = NULL;
	size_t len;

	if (path == NULL)
		*status = abictl_fail(EX_CONFIG, "whitelist.file is not set");
	else if ((text = file_slurp(path, FILE_BYTES, &len, st)) == NULL)
		*status = abictl_fail(EX_NOINPUT, "%s: %s", path,
		    strerror(errno));
	else if (strlen(text) == len)
		return text;
	else
		*status = abictl_fail(EX_DATAERR, "%s: contains a NUL byte",
		    path);
	free(text);
	return NULL;
}

int
abictl_whitelist_list(struct abictl *ctl, int argc, char **argv)
{
	struct whitelist_line l = { .number = 0 };
	int status = EX_OK;
	char *text = file_read(&ctl->cfg, NULL, &status);
	const char *cursor = text;
	struct table *t;

	(void)argc;
	(void)argv;
	if (text == NULL)
		return status;
	t = table_new(ctl, abictl_whitelist_columns);
	while (t != NULL && whitelist_next(&cursor, &l)) {
		if (l.said != NULL)
			abictl_fail(0, "warning: %s:%d: %s",
			    ctl->cfg.whitelist.file, l.number, l.said);
		if (l.form[0] == '\0')
			continue;
		if (!table_row(t))
			break;
		table_number(t, LINE, l.number);
		table_text(t, ENTRY, l.entry);
		table_text(t, NOTE, l.note);
	}
	status = t == NULL ? abictl_fail(EX_OSERR, "out of memory") :
	    table_print(t, "nobody is exempt");
	table_free(t);
	free(text);
	return status;
}

/* --- is it covered? --- */

/* Does the entry of one line cover this name or address? */
static bool
line_covers(const struct whitelist_line *l, const char *name)
{
	char copy[sizeof(l->form)], entry[HOSTLIST_NAME_MAX + 1];
	struct hostlist *list;
	struct address a;
	bool covers;

	if (l->form[0] == '\0')
		return false;
	memcpy(copy, l->form, sizeof(copy));
	list = hostlist_parse(copy, strlen(copy), NULL, NULL);
	if (list == NULL)
		return false;
	covers = address_parse(name, &a) ?
	    hostlist_address(list, &a, entry, sizeof(entry)) :
	    hostlist_name(list, name, entry, sizeof(entry));
	hostlist_free(list);
	return covers;
}

int
abictl_whitelist_test_form(struct abictl *ctl, int argc, char **argv)
{
	char form[HOSTLIST_NAME_MAX + 1];
	const char *doubt, *wrong;
	struct address a;

	(void)ctl;
	(void)argc;
	if (address_parse(argv[0], &a))
		return EX_OK;
	wrong = strpbrk(argv[0], ":/*") != NULL ?
	    "not a host name or address" :
	    hostlist_entry(argv[0], form, sizeof(form), &doubt);
	return wrong == NULL ? EX_OK :
	    abictl_fail(EX_DATAERR, "%s: %s", argv[0], wrong);
}

static void
line_json(cJSON *lines, const struct whitelist_line *l)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "line", l->number);
	cJSON_AddStringToObject(o, "entry", l->entry);
	cJSON_AddItemToArray(lines, o);
}

int
abictl_whitelist_test(struct abictl *ctl, int argc, char **argv)
{
	struct whitelist_line l = { .number = 0 };
	int status = EX_OK, count = 0;
	char *text = file_read(&ctl->cfg, NULL, &status);
	const char *cursor = text;
	cJSON *root, *lines;

	(void)argc;
	if (text == NULL)
		return status;
	root = cJSON_CreateObject();
	cJSON_AddStringToObject(root, "name", argv[0]);
	lines = cJSON_AddArrayToObject(root, "lines");
	while (whitelist_next(&cursor, &l)) {
		if (!line_covers(&l, argv[0]))
			continue;
		count++;
		line_json(lines, &l);
		if (!ctl->json)
			printf("%s is exempt: %s:%d: %s\n", argv[0],
			    ctl->cfg.whitelist.file, l.number, l.entry);
	}
	free(text);
	if (ctl->json)
		abictl_json(root);
	else
		cJSON_Delete(root);
	if (count > 0)
		return EX_OK;
	return ctl->json ? EXIT_ABSENT : abictl_fail(EXIT_ABSENT,
	    "%s: not exempt: no line of %s covers it", argv[0],
	    ctl->cfg.whitelist.file);
}

/* --- changing --- */

/* The file that is to be replaced. */
struct edit {
	char path[PATH_MAX]; /* without links on the way */
	char directory[PATH_MAX];
	const char *name; /* in path */
	char fresh[NAME_MAX + 1];
	int dir, fresh_fd;
	char *text;
	struct stat st;
	bool exists;
};

/* The place of the file, which need not be there yet. False with errno. */
static bool
edit_place(struct edit *e, const char *path)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n;

	if (realpath(path, e->path) == NULL) {
		if (errno != ENOENT)
			return false;
		snprintf(parent, sizeof(parent), "%.*s",
		    slash == path ? 1 : (int)(slash - path), path);
		if (realpath(parent, e->directory) == NULL)
			return false;
		n = (size_t)snprintf(e->path, sizeof(e->path), "%s%s",
		    strcmp(e->directory, "/") == 0 ? "" : e->directory, slash);
		if (n >= sizeof(e->path)) {
			errno = ENAMETOOLONG;
			return false;
		}
	}
	e->name = strrchr(e->path, '/') + 1;
	snprintf(e->directory, sizeof(e->directory), "%.*s",
	    e->name - 1 == e->path ? 1 : (int)(e->name - 1 - e->path),
	    e->path);
	return true;
}

/* EX_OK, or a failure that has been told; to be closed in both cases. */
static int
edit_open(struct edit *e, const struct config *cfg)
{
	const char *path = cfg->whitelist.file;
	size_t len;

	*e = (struct edit){ .name = "", .dir = -1, .fresh_fd = -1 };
	if (path == NULL)
		return abictl_fail(EX_CONFIG, "whitelist.file is not set");
	if (!edit_place(e, path))
		return abictl_fail(EX_NOINPUT, "%s: %s", path,
		    strerror(errno));
	if (!replace_safe(e->directory))
		return abictl_fail(EX_NOPERM, "directory %s: others than root "
		    "may write there; change the file by hand", e->directory);
	e->dir = open(e->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(e->fresh, sizeof(e->fresh), ".%.200s.abichecker-new",
	    e->name);
	if (e->dir >= 0)
		e->fresh_fd = replace_open(e->dir, e->fresh, LOCK_WAIT);
	if (e->fresh_fd < 0)
		return abictl_fail(errno == EACCES ? EX_NOPERM : EX_CANTCREAT,
		    "%s/%s: %s", e->directory, e->fresh, strerror(errno));
	e->text = file_slurp(e->path, FILE_BYTES, &len, &e->st);
	e->exists = e->text != NULL;
	if (e->text == NULL && errno == ENOENT) {
		e->text = strdup("");
		len = 0;
	}
	if (e->text == NULL)
		return abictl_fail(EX_NOINPUT, "%s: %s", path,
		    strerror(errno));
	return strlen(e->text) == len ? EX_OK : abictl_fail(EX_DATAERR,
	    "%s: contains a NUL byte", path);
}

static void
edit_close(struct edit *e)
{
	if (e->fresh_fd >= 0 && replace_pending(e->dir, e->fresh, e->fresh_fd))
		unlinkat(e->dir, e->fresh, 0);
	if (e->fresh_fd >= 0)
		close(e->fresh_fd);
	if (e->dir >= 0)
		close(e->dir);
	free(e->text);
}

/* Is the file what was read, or still not there? */
static bool
is_unchanged(const struct edit *e)
{
	struct stat now;

	if (fstatat(e->dir, e->name, &now, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT && !e->exists;
	return e->exists && file_same(&now, &e->st);
}

/* Writes the new file, as the old one in all but its text. */
static bool
fresh_write(const struct edit *e, const char *text)
{
	int old = -1;
	bool done = true;

	if (e->exists) {
		old = openat(e->dir, e->name, O_RDONLY | O_NOFOLLOW |
		    O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		done = old >= 0;
	}
	done = done && file_write(e->fresh_fd, text, strlen(text)) == 0 &&
	    replace_dress(e->fresh_fd, old, e->exists ? &e->st : NULL) == 0 &&
	    fsync(e->fresh_fd) == 0;
	if (old >= 0)
		close(old);
	return done;
}

/* Puts a text into the place of the file. EX_OK, or told. */
static int
edit_commit(const struct edit *e, const char *text)
{
	bool done;

	if (text == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	done = fresh_write(e, text);
	if (done && !is_unchanged(e))
		return abictl_fail(EX_TEMPFAIL, "%s: it has changed in the "
		    "meantime: run this again", e->path);
	if (done && renameat(e->dir, e->fresh, e->dir, e->name) == 0 &&
	    fsync(e->dir) == 0)
		return EX_OK;
	return abictl_fail(EX_IOERR, "%s: %s", e->path, strerror(errno));
}

int
abictl_whitelist_form(struct abictl *ctl, int argc, char **argv)
{
	const char *doubt, *wrong = hostlist_entry(argv[0], ctl->entry,
	    sizeof(ctl->entry), &doubt);

	(void)argc;
	return wrong == NULL ? EX_OK :
	    abictl_fail(EX_DATAERR, "%s: %s", argv[0], wrong);
}

/* The line of an entry, 0 if it has none. */
static int
line_of(const char *text, const char *form)
{
	struct whitelist_line l = { .number = 0 };

	while (whitelist_next(&text, &l))
		if (strcmp(l.form, form) == 0)
			return l.number;
	return 0;
}

int
abictl_whitelist_add(struct abictl *ctl, int argc, char **argv)
{
	char note[256] = "", *changed;
	const char *doubt = NULL;
	struct edit e;
	int line, status = edit_open(&e, &ctl->cfg);

	if (argc > 1)
		text_printable(note, sizeof(note), argv[1]);
	line = status == EX_OK ? line_of(e.text, ctl->entry) : 0;
	if (line > 0)
		abictl_fail(0, "%s: already in line %d", argv[0], line);
	else if (status == EX_OK) {
		hostlist_entry(argv[0], ctl->entry, sizeof(ctl->entry),
		    &doubt);
		if (doubt != NULL)
			abictl_fail(0, "warning: %s", doubt);
		changed = whitelist_with(e.text, argv[0], note);
		status = edit_commit(&e, changed);
		free(changed);
		if (status == EX_OK)
			abictl_say(ctl, "added %s", argv[0]);
	}
	edit_close(&e);
	if (status == EX_OK && !config_makes(&ctl->cfg, "whitelist"))
		abictl_fail(0, "warning: this exempts nobody: whitelist is not "
		    "in filter.checks");
	return status;
}

/* Tells what still covers a name or address whose entry is gone. */
static void
remains_tell(const char *text, const char *form)
{
	struct whitelist_line l = { .number = 0 };
	struct address_block b;
	char name[HOSTLIST_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s", form);
	if (address_block_parse(form, &b) == NULL)
		address_text(&b.base, name, sizeof(name));
	while (whitelist_next(&text, &l))
		if (line_covers(&l, name))
			abictl_fail(0, "warning: %s is still covered by line "
			    "%d: %s", name, l.number, l.entry);
}

int
abictl_whitelist_remove(struct abictl *ctl, int argc, char **argv)
{
	struct edit e;
	int status = edit_open(&e, &ctl->cfg);
	char *changed = NULL;
	size_t lines = 0;

	(void)argc;
	if (status == EX_OK)
		changed = whitelist_without(e.text, ctl->entry, &lines);
	if (status == EX_OK && changed != NULL && lines == 0)
		status = abictl_fail(EXIT_ABSENT, "%s: not in %s", argv[0],
		    ctl->cfg.whitelist.file);
	else if (status == EX_OK)
		status = edit_commit(&e, changed);
	if (status == EX_OK) {
		abictl_say(ctl, "removed %s", argv[0]);
		remains_tell(changed, ctl->entry);
	}
	free(changed);
	edit_close(&e);
	return status;
}
