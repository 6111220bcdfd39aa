/*
 * store_mysql_connect - connecting to a MySQL or MariaDB server.
 *
 * Nothing but the URL and our configuration decides how: no ~/.my.cnf, no
 * variable of the environment.
 */
#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "store/mysql/mysql.h"

#define GONE 600 /* seconds without a word from us: then we are no more */
#define STACK_BYTES (256 * 1024) /* of a call that is suspended */
#define PACKET_MAX (1024 * 1024) /* bytes, of what a server may send */
#define DEFAULT_PORT 3306
#define DEFAULT_SOCKET "/run/mysqld/mysqld.sock"
#define DEFAULT_CA "/etc/ssl/certs/ca-certificates.crt"
/* No mysql_clear_password: it would tell the password to whoever asks. */
#define AUTHENTICATION "mysql_native_password,caching_sha2_password," \
	"client_ed25519,sha256_password"

#define lib maria_library

static int
infile_refuse(void **handle, const char *name, void *arg)
{
	(void)handle, (void)name, (void)arg;
	return 1;
}

static int
infile_read(void *handle, char *buf, unsigned int size)
{
	(void)handle, (void)buf, (void)size;
	return -1;
}

static void
infile_end(void *handle)
{
	(void)handle;
}

static int
infile_error(void *handle, char *buf, unsigned int size)
{
	(void)handle;
	snprintf(buf, size, "the server asked for a file");
	return CR_UNKNOWN_ERROR;
}

/* What ssl-mode says: is TLS wanted, and the server's certificate? */
static my_bool
tls_wanted(const struct maria_store *s, my_bool *verify)
{
	const char *mode = store_url_parameter(&s->sql.store.url, "ssl-mode");

	*verify = mode != NULL && strncasecmp(mode, "VERIFY_", 7) == 0;
	return *verify || (mode != NULL && strcasecmp(mode, "REQUIRED") == 0);
}

/* What the parameters of the URL say about TLS. */
static void
tls_set(struct maria_store *s)
{
	static const struct {
		const char *name;
		enum mysql_option option;
	} files[] = {
		{ "ssl-ca", MYSQL_OPT_SSL_CA },
		{ "ssl-cert", MYSQL_OPT_SSL_CERT },
		{ "ssl-key", MYSQL_OPT_SSL_KEY },
	};
	my_bool verify, tls = tls_wanted(s, &verify);
	const char *path;
	size_t i;

	for (i = 0; tls && i < sizeof(files) / sizeof(files[0]); i++) {
		path = store_url_parameter(&s->sql.store.url, files[i].name);
		/* Without one the library looks at no name. */
		if (path == NULL && verify && i == 0)
			path = DEFAULT_CA;
		if (path != NULL)
			lib.mysql_options(s->db, files[i].option, path);
	}
	lib.mysql_options(s->db, MYSQL_OPT_SSL_ENFORCE, &tls);
	lib.mysql_options(s->db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

/* A connection is there: is it as encrypted as it must be? */
static bool
tls_good(struct maria_store *s)
{
	int fd = lib.mysql_get_socket(s->db);
	my_bool verify;

	/* After a handshake the library leaves it in blocking mode. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		return maria_failed(s, strerror(errno));
	if (!tls_wanted(s, &verify) || lib.mysql_get_ssl_cipher(s->db) != NULL)
		return true;
	return maria_failed(s, "the server does not offer TLS (SSL)");
}

/* Options of a new handle. */
static void
options_set(struct maria_store *s)
{
	const size_t stack = STACK_BYTES, packet = PACKET_MAX;
	const unsigned off = 0;
	char set[384];
	/* Of a row; that is in seconds, so with a short one MySQL's too late */
	long row = s->timeout > 1 ? s->timeout - 1 : 1;

	lib.mysql_options(s->db, MYSQL_OPT_NONBLOCK, &stack);
	lib.mysql_options(s->db, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	lib.mysql_options(s->db, MYSQL_OPT_LOCAL_INFILE, &off);
	lib.mysql_set_local_infile_handler(s->db, infile_refuse, infile_read,
	    infile_end, infile_error, NULL);
	lib.mysql_options(s->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	lib.mysql_options(s->db, MARIADB_OPT_RESTRICTED_AUTH, AUTHENTICATION);
	/* The same whatever the server's own settings are. */
	snprintf(set, sizeof(set), "SET time_zone = '+00:00', "
	    "sql_mode = 'STRICT_ALL_TABLES,PIPES_AS_CONCAT', autocommit = 1, "
	    "innodb_lock_wait_timeout = %ld, lock_wait_timeout = %ld, "
	    "wait_timeout = %d"
	    "/*M!100101 , max_statement_time = %ld.%03ld */"
	    "/*M!100300 , idle_transaction_timeout = %ld */", row, s->timeout,
	    GONE, s->lock_ms / 1000, s->lock_ms % 1000, s->timeout + 1);
	lib.mysql_options(s->db, MYSQL_INIT_COMMAND, set);
	lib.mysql_options(s->db, MYSQL_INIT_COMMAND,
	    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
}

static void
guard_end(struct maria_store *s)
{
	s->guarded = false;
	if (s->guard > 0) {
		kill(s->guard, SIGKILL);
		/* Where children are reaped there is none to wait for. */
		while (waitpid(s->guard, NULL, 0) < 0 && errno == EINTR)
			;
	}
	s->guard = 0;
}

/* One attempt, at an address; NULL = at a socket. */
static bool
connect_to(struct store *store, const char *address)
{
	struct maria_store *s = (struct maria_store *)store;
	const struct store_url *u = &store->url;
	const char *path = store_url_parameter(u, "socket");
	unsigned protocol = address == NULL ? MYSQL_PROTOCOL_SOCKET :
					      MYSQL_PROTOCOL_TCP;
	MYSQL *connected = NULL;
	my_bool verify;

	s->late = s->broken = false;
	s->db = lib.mysql_init(NULL);
	if (s->db == NULL)
		return maria_failed(s, "out of memory");
	options_set(s);
	tls_set(s);
	lib.mysql_options(s->db, MYSQL_OPT_PROTOCOL, &protocol);
	s->guarded = tls_wanted(s, &verify);
	/* A certificate is for a name. */
	if (verify && address != NULL)
		address = u->host;
	if (address == NULL && path == NULL)
		path = DEFAULT_SOCKET;
	CALL(s, s->db, mysql_real_connect, &connected, s->db, address, u->user,
	    u->password, u->name, (unsigned)(u->port != 0 ? u->port :
	    DEFAULT_PORT), address == NULL ? path : NULL, 0);
	if (connected == NULL) {
		maria_error(s, NULL);
		if (store->failure != STORE_BUSY)
			store->failure = STORE_BROKEN;
	}
	guard_end(s);
	if (connected != NULL && tls_good(s))
		return true;
	maria_disconnect(s);
	return false;
}

bool
maria_connect(struct maria_store *s)
{
	const struct store_url *u = &s->sql.store.url;

	if (u->host[0] == '\0' || store_url_parameter(u, "socket") != NULL)
		return connect_to(&s->sql.store, NULL);
	return store_connect(&s->sql.store, u->host, connect_to);
}

void
maria_disconnect(struct maria_store *s)
{
	int i, fd;

	if (s->db == NULL)
		return;
	fd = lib.mysql_get_socket(s->db);
	/* Saying good-bye must not wait. */
	if (s->broken && fd >= 0)
		shutdown(fd, SHUT_RDWR);
	lib.mysql_close(s->db);
	s->db = NULL;
	for (i = 0; i < MARIA_STATEMENTS; i++)
		if (s->prepared[i] != NULL) {
			lib.mysql_stmt_close(s->prepared[i]);
			s->prepared[i] = NULL;
		}
}
