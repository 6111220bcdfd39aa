/*
 * peak - run a command: how long it took, and how much memory.
 *
 *	peak OUTPUT COMMAND [ARGUMENT ...]
 *
 * OUTPUT is where its standard output goes. Whatever it leaves after is
 * waited for, too. Prints "name value" lines: the seconds until the command
 * ended; the most memory of one of its processes, and the sum over those that
 * this process had to wait for, each with the largest of its own children, in
 * units of 1024 bytes. Exit status: that of the command.
 *
 * A small process of its own: the peak of a process begins with the memory of
 * the one that started it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
start(const char *output, char *argv[])
{
	int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd == -1)
		err(127, "%s", output);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	execvp(argv[0], argv);
	err(127, "%s", argv[0]);
}

int
main(int argc, char *argv[])
{
	double began, seconds = 0;
	long most = 0, sum = 0;
	int status, result = 1;
	struct rusage ru;
	pid_t pid, ended;

	if (argc < 3) {
		fprintf(stderr,
		    "usage: peak OUTPUT COMMAND [ARGUMENT ...]\n");
		return 2;
	}
	/* Orphans become our children. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		err(1, "prctl");
	began = now();
	pid = fork();
	if (pid == -1)
		err(1, "fork");
	if (pid == 0)
		start(argv[1], argv + 2);
	while ((ended = wait4(-1, &status, 0, &ru)) > 0 || errno == EINTR) {
		if (ended <= 0)
			continue;
		if (ended == pid) {
			seconds = now() - began;
			result = WIFEXITED(status) ? WEXITSTATUS(status) :
						     128 + WTERMSIG(status);
		}
		if (ru.ru_maxrss > most)
			most = ru.ru_maxrss;
		sum += ru.ru_maxrss;
	}
	printf("seconds %.6f\nmost_kb %ld\nsum_kb %ld\n", seconds, most, sum);
	return result;
}
