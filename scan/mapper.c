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

#include "store/snapshot.h"

#define ANSWER_SECONDS 300 /* postmap of a very long list takes a while */

#define CHILD_NONE (-1) /* was never started: we do it ourselves */
#define CHILD_DEAD (-2)

static int child = CHILD_NONE; /* our end of the socket to it */

/* --- what is done, in whichever process --- */

struct entries {
	struct access_map_list list;
	size_t room;
	time_t now;
	bool failed;
};

static bool
entry_add(void *arg, const struct snapshot_entry *e)
{
	struct entries *all = arg;

	if (e->expires != 0 && e->expires <= all->now)
		return true;
	if (all->list.count == all->room) {
		all->failed = true; /* more than the snapshot said */
		return false;
	}
	all->list.entries[all->list.count++] =
	    (struct access_map_entry){ e->block, e->since };
	return true;
}

static void
map_write(const struct config *cfg, const struct access_map *m,
    enum mapper_task task, struct snapshot *s, struct mapper_answer *a)
{
	struct entries all = { .now = time(NULL), .room = (size_t)s->count };

	all.list.max = (size_t)cfg->blacklist.map_max;
	all.list.generation = s->generation;
	all.list.override = task == MAPPER_OVERRIDE;
	all.list.anew = task == MAPPER_MAP;
	all.list.entries = calloc(all.room + 1, sizeof(*all.list.entries));
	a->done = false;
	if (all.list.entries == NULL || !snapshot_each(s, entry_add, &all) ||
	    all.failed)
		snprintf(a->error, sizeof(a->error), "%.200s: %s",
		    cfg->blacklist.snapshot, all.list.entries == NULL ?
		    "out of memory" : "damaged");
	else
		a->done = access_map_write(m, &all.list, &a->result,
		    a->error, sizeof(a->error));
	free(all.list.entries);
}

static void
perform(const struct config *cfg, enum mapper_task task,
    struct mapper_answer *a)
{
	static struct access_map m;
	struct snapshot s = { 0 };

	memset(a, 0, sizeof(*a));
	if (task == MAPPER_RELOAD) {
		a->done = postfix_reload(a->error, sizeof(a->error));
		return;
	}
	if (task != MAPPER_REMOVE &&
	    !snapshot_refresh(&s, cfg->blacklist.snapshot)) {
		snprintf(a->error, sizeof(a->error), "%s", s.problem);
		return;
	}
	/* Postfix is asked about the map at first, and before a change. */
	if ((task != MAPPER_WRITE || m.kept == 0 ||
		access_map_generation(&m) != s.generation) &&
	    !access_map_find(cfg->blacklist.map, &m, a->error,
		sizeof(a->error)))
		;
	else if (task == MAPPER_REMOVE)
		a->done = access_map_remove(&m, a->error, sizeof(a->error));
	else if (task == MAPPER_WRITE &&
	    access_map_generation(&m) == s.generation)
		a->done = true;
	else
		map_write(cfg, &m, task, &s, a);
	a->cidr = m.kept == ACCESS_CIDR;
	snapshot_close(&s);
}

/* --- the child --- */

/* Serves until the other end is closed. */
static void
serve(const struct config *cfg, int fd)
{
	static struct mapper_answer a;
	unsigned char task;
	ssize_t n;

	for (;;) {
		n = read(fd, &task, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1 || task > MAPPER_RELOAD)
			_exit(0);
		perform(cfg, (enum mapper_task)task, &a);
		if (write(fd, &a, sizeof(a)) != sizeof(a))
			_exit(1);
	}
}

bool
mapper_start(const struct config *cfg)
{
	int ends[2];
	pid_t pid;

	if (cfg->blacklist.map == NULL || geteuid() != 0)
		return true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return false;
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
	return true;
}

/* --- the other process --- */

bool
mapper_do(const struct config *cfg, enum mapper_task task,
    struct mapper_answer *a)
{
	struct pollfd p = { .fd = child, .events = POLLIN };
	unsigned char byte = (unsigned char)task;
	int rc;

	if (child == CHILD_NONE) {
		perform(cfg, task, a);
		return a->done;
	}
	memset(a, 0, sizeof(*a));
	snprintf(a->error, sizeof(a->error), "%.200s: the process that writes "
	    "it has died or does not answer", cfg->blacklist.map);
	if (child == CHILD_DEAD || write(child, &byte, 1) != 1)
		return false;
	while ((rc = poll(&p, 1, ANSWER_SECONDS * 1000)) < 0 && errno == EINTR)
		;
	if (rc > 0 && read(child, a, sizeof(*a)) == sizeof(*a)) {
		a->error[sizeof(a->error) - 1] = '\0';
		return a->done;
	}
	/* An answer that comes later belongs to no question. */
	close(child);
	child = CHILD_DEAD;
	return false;
}
