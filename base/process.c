/*
 * process - what a process started by spawn(8) or by root must see to first.
 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef LOCALSTATEDIR
#define LOCALSTATEDIR "/var"
#endif

void
process_guard(int keep_stderr)
{
	int fd, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	for (fd = 0; null >= 0 && fd <= 2; fd++)
		if (null == fd || fcntl(fd, F_GETFD) < 0 ||
		    (fd == 2 && !keep_stderr && !isatty(fd)))
			dup2(null, fd);
	if (null > 2)
		close(null);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit for files is an error, no death */
	umask(027);
}

/* Adds the group `name` to the list, if there is one. */
static void
group_add(const char *name, gid_t *list, size_t *count)
{
	const struct group *g = getgrnam(name);

	if (g != NULL)
		list[(*count)++] = g->gr_gid;
}

/* The last step of root: the user, its group, and those that read logs. */
static int
become(uid_t uid, gid_t gid)
{
	gid_t groups[3];
	size_t count = 0;

	groups[count++] = gid;
	group_add("adm", groups, &count);
	group_add("systemd-journal", groups, &count);
	if (setgroups(count, groups) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return -1;
	return 0;
}

int
process_become(const char *user)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return 0;
	errno = ENOENT;
	pw = getpwnam(user);
	return pw != NULL ? become(pw->pw_uid, pw->pw_gid) : -1;
}

int
process_take_identity(const char *cache_dir, const char *store_url,
    int log_fd)
{
	const char *file = store_url != NULL &&
	    strncmp(store_url, "sqlite:", 7) == 0 ? store_url + 7 : "";
	const char *slash = strrchr(file, '/');
	char store[PATH_MAX];
	const char *const dirs[] = { cache_dir, store,
		LOCALSTATEDIR "/lib/abichecker" };
	const struct passwd *pw;
	struct stat st, log;
	gid_t gid;
	size_t i;

	if (geteuid() != 0)
		return 0;
	snprintf(store, sizeof(store), "%.*s",
	    slash != NULL ? (int)(slash - file) : 0, file);
	for (i = 0; i < 3; i++)
		if (dirs[i] != NULL && stat(dirs[i], &st) == 0)
			break;
	if (i == 3 || st.st_uid == 0)
		return 0;
	pw = getpwuid(st.st_uid);
	gid = pw != NULL ? pw->pw_gid : st.st_gid;
	if (log_fd >= 0 && fstat(log_fd, &log) == 0 && S_ISREG(log.st_mode) &&
	    log.st_uid == 0 && log.st_size == 0 && log.st_nlink == 1 &&
	    fchown(log_fd, st.st_uid, gid) != 0)
		return -1;
	return become(st.st_uid, gid);
}

int
process_sibling(const char *name, char *out, size_t size)
{
	char self[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -1;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL ||
	    (size_t)snprintf(out, size, "%.*s/%s", (int)(slash - self), self,
		name) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

int
process_spawn(pid_t *pid, const char *path, char *const argv[],
    char *const environment[], const struct process_io *io)
{
	static const short apart[] = { [PROCESS_HERE] = 0,
		[PROCESS_GROUP] = POSIX_SPAWN_SETPGROUP,
		[PROCESS_SESSION] = POSIX_SPAWN_SETSID };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGDEF |
		POSIX_SPAWN_SETSIGMASK | apart[io->apart]));
	posix_spawn_file_actions_init(&files);
	if (io->directory >= 0)
		posix_spawn_file_actions_addfchdir_np(&files, io->directory);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&files, io->out >= 0 ? io->out : 0,
	    1);
	posix_spawn_file_actions_adddup2(&files,
	    io->error >= 0 ? io->error : 0, 2);
	if (io->in >= 0)
		posix_spawn_file_actions_adddup2(&files, io->in, 0);
	/* dup2 of a descriptor onto itself only keeps it open over exec. */
	if (io->keep >= 0)
		posix_spawn_file_actions_adddup2(&files, io->keep,
		    PROCESS_KEEP_FD);
	rc = posix_spawn(pid, path, &files, &attr, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc;
}

int
process_start(char *const argv[], int out_fd, int keep_fd,
    char *const environment[])
{
	static char *const fixed[] = { (char *)"PATH=/usr/bin:/bin",
		NULL };
	const struct process_io io = { .in = -1, .out = out_fd, .error = -1,
		.keep = keep_fd, .directory = -1, .apart = PROCESS_SESSION };
	pid_t pid;

	/* Children are nobody's business after their answer: no zombies. */
	signal(SIGCHLD, SIG_IGN);
	return process_spawn(&pid, argv[0], argv,
	    environment != NULL ? environment : fixed, &io);
}
