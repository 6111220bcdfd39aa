/*
 * mapper - the part of abictl that keeps root, for the access map only.
 */
#include "scan/mapper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "scan/access_map.h"
#include "base/log.h"
#include "store/snapshot.h"

#define ANSWER_SECONDS 300 /* postmap of a very long list takes a while */

enum task { TASK_WRITE, TASK_REMOVE, TASK_RELOAD };

struct answer {
	int status; /* 0, or -1 */
	bool changed;
	char error[MAPPER_ERROR_MAX];
};

#define CHILD_NONE (-1) /* was never started: we do it ourselves */
#define CHILD_DEAD (-2)

static int child = CHILD_NONE; /* our end of the socket to it */

/* --- what is done, in whichever process --- */

struct entries {
	struct access_map_entry *list;
	size_t count, room;
	time_t now;
	bool failed;
};

static bool
entry_add(void *arg, const struct snapshot_entry *e)
{
	struct entries *all = arg;

	if (e->expires != 0 && e->expires <= all->now)
		return true;
	if (all->count == all->room) {
		all->failed = true; /* more than the snapshot said */
		return false;
	}
	all->list[all->count++] =
	    (struct access_map_entry){ e->block, e->since };
	return true;
}

static void
map_write(const struct config *cfg, struct answer *a)
{
	struct entries all = { .now = time(NULL) };
	struct access_map_result result = { 0 };
	struct snapshot s = { 0 };

	a->status = -1;
	if (!snapshot_refresh(&s, cfg->blacklist.snapshot)) {
		snprintf(a->error, sizeof(a->error), "%s", s.problem);
		return;
	}
	if (access_map_generation(cfg->blacklist.map) == s.generation) {
		a->status = 0;
		snapshot_close(&s);
		return;
	}
	all.room = (size_t)s.count;
	all.list = calloc(all.room + 1, sizeof(*all.list));
	if (all.list == NULL || !snapshot_each(&s, entry_add, &all) ||
	    all.failed)
		snprintf(a->error, sizeof(a->error), "%.200s: %s",
		    cfg->blacklist.snapshot,
		    all.list == NULL ? "out of memory" : "damaged");
	else
		a->status = access_map_write(cfg->blacklist.map, all.list,
		    all.count, (size_t)cfg->blacklist.map_max, s.generation,
		    &result, a->error, sizeof(a->error));
	a->changed = a->status == 0 && result.changed;
	free(all.list);
	snapshot_close(&s);
}

static void
perform(const struct config *cfg, enum task task, struct answer *a)
{
	memset(a, 0, sizeof(*a));
	switch (task) {
	case TASK_WRITE:
		map_write(cfg, a);
		break;
	case TASK_REMOVE:
		a->status = access_map_remove(cfg->blacklist.map, a->error,
		    sizeof(a->error));
		break;
	case TASK_RELOAD:
		a->status = postfix_reload(a->error, sizeof(a->error)) ? 0 : -1;
		break;
	}
}

/* --- the child --- */

/* Serves until the other end is closed. */
static void
serve(const struct config *cfg, int fd)
{
	static struct answer a;
	unsigned char task;
	ssize_t n;

	for (;;) {
		n = read(fd, &task, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1 || task > TASK_RELOAD)
			_exit(0);
		perform(cfg, (enum task)task, &a);
		if (write(fd, &a, sizeof(a)) != sizeof(a))
			_exit(1);
	}
}

int
mapper_start(const struct config *cfg)
{
	int ends[2];
	pid_t pid;

	if (cfg->blacklist.map == NULL || geteuid() != 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (pid == 0) {
		close(ends[0]);
		/* A Ctrl-C is for the other one; this ends with it. */
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		serve(cfg, ends[1]);
	}
	close(ends[1]);
	child = ends[0];
	return 0;
}

/* --- the other process --- */

static void
ask(const struct config *cfg, enum task task, struct answer *a)
{
	struct pollfd p = { .fd = child, .events = POLLIN };
	unsigned char byte = (unsigned char)task;
	int64_t left = ANSWER_SECONDS * 1000;
	int rc;

	if (child == CHILD_NONE) {
		perform(cfg, task, a);
		return;
	}
	memset(a, 0, sizeof(*a));
	a->status = -1;
	snprintf(a->error, sizeof(a->error), "%.200s: the process that writes "
	    "it has died or does not answer", cfg != NULL ?
	    cfg->blacklist.map : "postfix");
	if (child == CHILD_DEAD || write(child, &byte, 1) != 1)
		return;
	while ((rc = poll(&p, 1, (int)left)) < 0 && errno == EINTR)
		;
	if (rc > 0 && read(child, a, sizeof(*a)) == sizeof(*a)) {
		a->error[sizeof(a->error) - 1] = '\0';
		return;
	}
	/* An answer that comes later belongs to no question. */
	close(child);
	child = CHILD_DEAD;
}

int
mapper_write(const struct config *cfg, bool *changed, char *error, size_t size)
{
	static struct answer a;

	ask(cfg, TASK_WRITE, &a);
	*changed = a.changed;
	snprintf(error, size, "%s", a.error);
	return a.status;
}

int
mapper_remove(const struct config *cfg, char *error, size_t size)
{
	static struct answer a;

	ask(cfg, TASK_REMOVE, &a);
	snprintf(error, size, "%s", a.error);
	return a.status;
}

bool
mapper_reload(char *error, size_t size)
{
	static struct answer a;

	ask(NULL, TASK_RELOAD, &a);
	snprintf(error, size, "%s", a.error);
	return a.status == 0;
}
