/*
 * abictl cache import - the scores that the shell script abichecker.sh has
 * fetched: a file for each address, whose time is that of the score.
 *
 * They are taken only from a directory of our own, where nobody else can have
 * put any.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "ctl/cache_keep.h"
#include "fetch.h"
#include "base/text.h"

struct import {
	struct abictl *ctl;
	struct statedir from;
	struct cache_keeping keeping;
	time_t now;
	long old, bad;
};

int
abictl_cache_import_form(struct abictl *ctl, int argc, char **argv)
{
	(void)ctl;
	(void)argc;
	return argv[0][0] == '/' ? EX_OK :
	    abictl_fail(EX_USAGE, "%s: not an absolute path", argv[0]);
}

/* One file. What is no score of an address is reported. */
static void
file_import(struct import *i, const char *name)
{
	struct cache_policy policy = fetch_policy(&i->ctl->cfg);
	char text[CACHE_TEXT_MAX];
	struct cache_score s;
	struct address a;
	time_t mtime;
	long age;

	if (!address_parse(name, &a)) {
		i->bad++;
		abictl_fail(0, "%s: not an address", name);
		return;
	}
	errno = EINVAL;
	if (statedir_read(&i->from, name, text, sizeof(text), &mtime) != 1) {
		i->bad++;
		abictl_fail(0, "%s: %s", name, strerror(errno));
		return;
	}
	age = (long)(i->now - mtime);
	if (!cache_parse(text, &s)) {
		i->bad++;
		abictl_fail(0, "%s: not a score", name);
	} else if (age < 0 || (age > policy.cache_ttl &&
	    age > policy.stale_ttl))
		i->old++;
	else
		cache_keep_newest(&i->keeping, &a, &s, mtime);
}

/* Everything in the directory. EX_OK, or a failure that has been told. */
static int
directory_import(struct import *i)
{
	struct dirent *e;
	DIR *dir;
	int fd;

	if (!statedir_usable(&i->from))
		return abictl_fail(EX_NOINPUT, "%s", i->from.problem);
	fd = openat(i->from.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return abictl_fail(EX_NOINPUT, "%s: %s", i->from.path,
		    strerror(errno));
	}
	while ((e = readdir(dir)) != NULL && i->keeping.failed == 0)
		if (e->d_name[0] != '.')
			file_import(i, e->d_name);
	closedir(dir);
	return i->keeping.failed == 0 ? EX_OK : abictl_fail(EX_IOERR,
	    "%s: cannot write (%s)", i->keeping.dir->path, strerror(errno));
}

int
abictl_cache_import(struct abictl *ctl, int argc, char **argv)
{
	struct statedir to;
	struct import i = { .ctl = ctl, .now = time(NULL),
		.keeping = { .cfg = &ctl->cfg, .dir = &to } };
	int status;

	(void)argc;
	if (ctl->cfg.reputation.min_reporters > 0)
		return abictl_fail(EX_CONFIG, "the script's scores do not say "
		    "how many users reported an address: cannot import with "
		    "reputation.min_reporters");
	status = cache_keep_open(&ctl->cfg, &to);
	if (status != EX_OK)
		return status;
	statedir_init(&i.from, argv[0]);
	status = directory_import(&i);
	if (ctl->json)
		printf("{\"written\":%ld,\"newer\":%ld,\"old\":%ld,"
		    "\"bad\":%ld}\n", i.keeping.written, i.keeping.newer,
		    i.old, i.bad);
	else if (status == EX_OK)
		abictl_say(ctl, "%ld written, %ld newer ones kept, %ld too old",
		    i.keeping.written, i.keeping.newer, i.old);
	if (status == EX_OK && i.bad > 0)
		status = abictl_fail(EX_DATAERR, "%ld files are no scores",
		    i.bad);
	return status;
}
