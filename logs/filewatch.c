/*
 * filewatch - waiting for a file, and for another one to take its name.
 */
#include "logs/filewatch.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int
filewatch_open(int fd, const char *path, const char *real)
{
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char name[PATH_MAX];
	char *slash;

	if (watch < 0)
		return -1;
	if (fd >= 0) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		inotify_add_watch(watch, name, IN_MODIFY);
	}
	inotify_add_watch(watch, path, IN_MODIFY);
	/* Not what is written there: others log into this directory too. */
	snprintf(name, sizeof(name), "%s", real);
	slash = strrchr(name, '/');
	if (slash != NULL)
		slash[slash == name ? 1 : 0] = '\0';
	if (inotify_add_watch(watch, name,
		IN_CREATE | IN_MOVE | IN_DELETE | IN_ONLYDIR) >= 0)
		return watch;
	close(watch);
	return -1;
}

bool
filewatch_take(int watch)
{
	char events[4096] __attribute__((aligned(8)));
	const struct inotify_event *e;
	bool names = false;
	ssize_t n, i;

	while ((n = read(watch, events, sizeof(events))) > 0)
		for (i = 0; i < n; i += (ssize_t)sizeof(*e) + e->len) {
			e = (const void *)(events + i);
			if ((e->mask & IN_MODIFY) == 0)
				names = true;
		}
	return names;
}
