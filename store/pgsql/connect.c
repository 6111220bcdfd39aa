/*
 * store_pgsql_connect - loading libpq, and a connection within a time limit.
 *
 * Everything that libpq would look for by itself (environment variables, files
 * in a home directory) is set or taken away: what holds is in store.url.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/resolve.h"
#include "store/pgsql/pgsql.h"

#define NOWHERE "/dev/null/none" /* a path where nothing can ever be */
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define PARAMETERS_MAX (STORE_PARAMETERS_MAX + 16)
#define SQLSTATE_BYTES "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

extern char **environ;

/* libpq takes what is not given from PGHOST, PGPASSFILE, PGSERVICE ... */
static void
environment_clean(void)
{
	char name[64];
	char **e = environ;
	size_t n;

	while (e != NULL && *e != NULL) {
		n = strcspn(*e, "=");
		if (strncmp(*e, "PG", 2) != 0 || n >= sizeof(name)) {
			e++;
			continue;
		}
		memcpy(name, *e, n);
		name[n] = '\0';
		unsetenv(name); /* moves the others up */
	}
}

/* What may stand after ? in a URL: nothing that names files to be read. */
static bool
parameter_known(const char *name)
{
	static const char *const names[] = { "host", "hostaddr", "port", "user",
		"dbname", "application_name", "channel_binding", "gssencmode",
		"keepalives", "keepalives_count", "keepalives_idle",
		"keepalives_interval", "krbsrvname", "prepare", "require_auth",
		"requirepeer", "ssl_max_protocol_version",
		"ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcrl",
		"sslcrldir", "sslkey", "sslmode", "sslnegotiation",
		"sslpassword", "sslrootcert", "sslsni", "target_session_attrs",
		"tcp_user_timeout" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Names and values for PQconnectStartParams(). */
struct parameters {
	const char *name[PARAMETERS_MAX + 1];
	const char *value[PARAMETERS_MAX + 1];
	int count;
};

static const char *
parameter_get(const struct parameters *p, const char *name)
{
	int i;

	for (i = 0; i < p->count; i++)
		if (strcmp(p->name[i], name) == 0)
			return p->value[i];
	return NULL;
}

/* Sets one, unless it is there or has no value. */
static void
parameter_set(struct parameters *p, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0' || p->count == PARAMETERS_MAX ||
	    parameter_get(p, name) != NULL)
		return;
	p->name[p->count] = name;
	p->value[p->count++] = value;
}

/* Puts together what libpq is told. address "" = none, host "" = its default */
static void
parameters_collect(const struct pgsql_store *s, struct parameters *p,
    const char *host, const char *address, const char *port)
{
	const struct store_url *u = &s->url;
	const char *mode;
	int i;

	memset(p, 0, sizeof(*p));
	parameter_set(p, "host", host);
	parameter_set(p, "hostaddr", address);
	parameter_set(p, "port", port);
	parameter_set(p, "user", u->user);
	parameter_set(p, "password", u->password);
	parameter_set(p, "dbname", u->name);
	for (i = 0; i < u->parameter_count; i++)
		if (strcmp(u->parameters[i].name, "prepare") != 0) /* ours */
			parameter_set(p, u->parameters[i].name,
			    u->parameters[i].value);
	mode = parameter_get(p, "sslmode");
	if (mode != NULL && strncmp(mode, "verify-", 7) == 0)
		parameter_set(p, "sslrootcert", SYSTEM_CA);
	parameter_set(p, "sslrootcert", NOWHERE);
	parameter_set(p, "sslcert", NOWHERE);
	parameter_set(p, "sslkey", NOWHERE);
	parameter_set(p, "sslcrl", NOWHERE);
	parameter_set(p, "passfile", NOWHERE);
	parameter_set(p, "gssencmode", "disable");
	parameter_set(p, "client_encoding", "UTF8");
	parameter_set(p, "application_name", "abichecker");
}

const char *
pgsql_url_check(const struct store_url *u)
{
	int i;

	for (i = 0; i < u->parameter_count; i++)
		if (!parameter_known(u->parameters[i].name))
			return u->parameters[i].name;
	return NULL;
}

/* Notices are no errors; libpq would write them to descriptor 2. */
static void
notice_drop(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

/* Waits for the socket while libpq connects. False when time is up. */
static bool
connect_wait(struct pgsql_store *s, PostgresPollingStatusType want)
{
	struct pollfd p = { .fd = pq.PQsocket(s->conn),
		.events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT };
	int64_t left = s->sql.deadline - clock_ms();

	if (left <= 0)
		return false;
	poll(&p, 1, (int)left);
	return true;
}

/*
 * Notes why there is no connection. Only in a verbose message does libpq tell
 * the SQLSTATE, "FATAL:  53300: sorry, ...", and lines about the server's
 * source code.
 */
static void
connect_failed(struct pgsql_store *s)
{
	const char *text = pq.PQerrorMessage(s->conn), *end, *c;
	char shown[STORE_ERROR_MAX * 2];
	int before = 0;

	for (c = strstr(text, ":  "); c != NULL; c = strstr(c + 1, ":  "))
		if (strspn(c + 3, SQLSTATE_BYTES) == 5 &&
		    strncmp(c + 8, ": ", 2) == 0)
			break;
	end = strstr(text, "\nLOCATION:");
	if (end == NULL)
		end = text + strlen(text);
	if (c != NULL && c < end) {
		snprintf(s->state, sizeof(s->state), "%.5s", c + 3);
		before = (int)(c + 3 - text);
		c += 10;
	} else
		c = text;
	snprintf(shown, sizeof(shown), "%.*s%.*s", before, text,
	    (int)(end - c), c);
	pgsql_failed(s, shown);
	if (strcmp(s->state, PGSQL_TOO_MANY) == 0)
		s->sql.store.failure = STORE_BUSY;
}

/* Goes through what libpq does to connect. */
static bool
connect_finish(struct pgsql_store *s)
{
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;

	while (want != PGRES_POLLING_OK) {
		if (want == PGRES_POLLING_FAILED ||
		    pq.PQstatus(s->conn) == CONNECTION_BAD) {
			connect_failed(s);
			return false;
		}
		if (!connect_wait(s, want)) {
			pgsql_failed(s, "no connection within store.timeout");
			return false;
		}
		want = pq.PQconnectPoll(s->conn);
	}
	return true;
}

/* We send UTF-8, and the server must be able to keep every character. */
static bool
encoding_check(struct pgsql_store *s)
{
	const char *e = pq.PQparameterStatus(s->conn, "server_encoding");

	if (e != NULL && (strcmp(e, "UTF8") == 0 ||
			     strcmp(e, "SQL_ASCII") == 0))
		return true;
	pgsql_failed(s, "the database's encoding is neither UTF8 nor "
			"SQL_ASCII");
	return false;
}

/* Connects to one address, before the deadline. */
static bool
address_connect(struct pgsql_store *s, const char *host, const char *address,
    const char *port)
{
	struct parameters p;

	parameters_collect(s, &p, host, address, port);
	s->conn = pq.PQconnectStartParams(p.name, p.value, 0);
	if (s->conn == NULL) {
		pgsql_failed(s, "out of memory");
		return false;
	}
	pq.PQsetNoticeReceiver(s->conn, notice_drop, NULL);
	pq.PQsetErrorVerbosity(s->conn, PQERRORS_VERBOSE);
	if (connect_finish(s) && encoding_check(s)) {
		pq.PQsetErrorVerbosity(s->conn, PQERRORS_DEFAULT);
		if (pq.PQsetnonblocking(s->conn, 1) == 0 &&
		    pq.PQenterPipelineMode(s->conn) == 1)
			return true;
		pgsql_failed(s, pq.PQerrorMessage(s->conn));
	}
	pgsql_drop(s);
	return false;
}

/* An equal part of the time until `end' for each of those that are left. */
static int64_t
share(int64_t end, int left)
{
	int64_t now = clock_ms();

	return now + (end > now ? end - now : 0) / left;
}

/*
 * Connects to a host, whose addresses we look up: libpq would, too, but that
 * could take long.
 */
static bool
host_connect(struct pgsql_store *s, const char *host, const char *port)
{
	char addresses[RESOLVE_MAX][ADDRESS_TEXT_MAX], error[STORE_ERROR_MAX];
	int64_t end = s->sql.deadline, left = end - clock_ms();
	int count, i;

	if (host[0] == '/' || host[0] == '\0' ||
	    store_url_parameter(&s->url, "hostaddr") != NULL)
		return address_connect(s, host, "", port);
	count = resolve_host(host, left > 0 ? (long)left : 0, addresses, error,
	    sizeof(error));
	if (count == 0)
		pgsql_failed(s, error);
	for (i = 0; i < count; i++) {
		s->sql.deadline = share(end, count - i);
		if (address_connect(s, host, addresses[i], port))
			return true;
	}
	return false;
}

/* The n-th of a list with commas, the last one if there are not so many. */
static void
list_nth(const char *list, int n, char *out, size_t size)
{
	size_t len = strcspn(list, ",");

	for (; n > 0 && list[len] != '\0'; n--) {
		list += len + 1;
		len = strcspn(list, ",");
	}
	snprintf(out, size, "%.*s", (int)len, list);
}

/* A row of hosts, as `host' and `port' of the URL have them. */
static bool
hosts_connect(struct pgsql_store *s, const char *hosts, const char *ports)
{
	char host[256], port[16];
	int64_t end = s->sql.deadline;
	bool connected = false;
	int count = 1, i;
	const char *c;

	for (c = hosts; *c != '\0'; c++)
		count += *c == ',';
	for (i = 0; i < count && !connected; i++) {
		list_nth(hosts, i, host, sizeof(host));
		list_nth(ports, i, port, sizeof(port));
		s->sql.deadline = share(end, count - i);
		connected = host_connect(s, host, port);
	}
	s->sql.deadline = end;
	return connected;
}

bool
pgsql_connect(struct pgsql_store *s)
{
	const char *hosts = s->url.host;
	const char *ports = store_url_parameter(&s->url, "port");
	char port[16];

	snprintf(port, sizeof(port), "%ld", s->url.port);
	if (ports == NULL)
		ports = s->url.port != 0 ? port : "5432";
	if (hosts[0] == '\0' && store_url_parameter(&s->url, "host") != NULL)
		hosts = store_url_parameter(&s->url, "host");
	memset(s->prepared, 0, sizeof(s->prepared));
	s->state[0] = '\0';
	environment_clean();
	return hosts_connect(s, hosts, ports);
}
