/*
 * store_mysql_library - loading the client library, waiting for its calls.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/mysql/mysql.h"

struct maria_library maria_library;
#define lib maria_library

bool
maria_load(char *error, size_t size)
{
	/* What these say must not change how we connect. */
	unsetenv("LIBMYSQL_PLUGINS");
	unsetenv("LIBMYSQL_PLUGIN_DIR");
	unsetenv("MARIADB_PLUGIN_DIR");
	unsetenv("MYSQL_UNIX_PORT");
	unsetenv("MYSQL_TCP_PORT");
	return library_load("libmariadb.so.3", LIBRARY_NAMES(MARIA_FUNCTIONS),
	    &lib, error, size);
}

/*
 * Starts a child that shuts the socket down when the time of the operation is
 * over: within a TLS handshake the library itself waits, without a limit.
 */
static void
guard(struct maria_store *s, int fd)
{
	int64_t left = s->sql.store.deadline - clock_ms();

	s->guard = fork();
	if (s->guard < 0) /* rather not than for ever */
		shutdown(fd, SHUT_RDWR);
	if (s->guard != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	poll(NULL, 0, left > 0 ? (int)left : 0);
	shutdown(fd, SHUT_RDWR);
	_exit(0);
}

int
maria_wait(struct maria_store *s, int status)
{
	int fd = lib.mysql_get_socket(s->db);
	short events = 0;

	if (s->guarded && s->guard == 0)
		guard(s, fd);
	if (status & MYSQL_WAIT_READ)
		events |= POLLIN;
	if (status & MYSQL_WAIT_WRITE)
		events |= POLLOUT;
	if (status & MYSQL_WAIT_EXCEPT)
		events |= POLLPRI;
	if (s->late || !store_wait(&s->sql.store, fd, events)) {
		if (!s->late && fd >= 0)
			shutdown(fd, SHUT_RDWR);
		s->late = true;
		return MYSQL_WAIT_TIMEOUT;
	}
	/* An error or end of the connection is found by reading or writing. */
	return status & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE |
	    MYSQL_WAIT_EXCEPT);
}
