/*
 * store_pgsql_connect - a connection within a time limit.
 *
 * Everything that libpq would look for by itself (environment variables, files
 * in a home directory) is set or taken away: what holds is in store.url.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Names and values for PQconnectStartParams(): the last of a name holds. */
struct parameters {
	const char *name[PARAMETERS_MAX + 1];
	const char *value[PARAMETERS_MAX + 1];
	int count;
};

static void
parameter_set(struct parameters *p, const char *name, const char *value)
{
	if (value[0] == '\0' || p->count == PARAMETERS_MAX)
		return;
	p->name[p->count] = name;
	p->value[p->count++] = value;
}

/* Puts together what libpq is told of the host at hand. */
static void
parameters_collect(const struct pgsql_store *s, struct parameters *p,
    const char *address)
{
	static const char *const defaults[][2] = { { "sslrootcert", NOWHERE },
		{ "sslcert", NOWHERE }, { "sslkey", NOWHERE },
		{ "sslcrl", NOWHERE }, { "passfile", NOWHERE },
		{ "gssencmode", "disable" },
		{ "application_name", "abichecker" } };
	const struct store_url *u = &s->sql.store.url;
	const char *mode = store_url_parameter(u, "sslmode");
	size_t k;
	int i;

	memset(p, 0, sizeof(*p));
	for (k = 0; k < sizeof(defaults) / sizeof(defaults[0]); k++)
		parameter_set(p, defaults[k][0], defaults[k][1]);
	if (mode != NULL && strncmp(mode, "verify-", 7) == 0)
		parameter_set(p, "sslrootcert", SYSTEM_CA);
	for (i = 0; i < u->parameter_count; i++)
		if (strcmp(u->parameters[i].name, "prepare") != 0) /* ours */
			parameter_set(p, u->parameters[i].name,
			    u->parameters[i].value);
	parameter_set(p, "client_encoding", "UTF8");
	parameter_set(p, "host", s->host);
	parameter_set(p, "hostaddr", address);
	parameter_set(p, "port", s->port);
	parameter_set(p, "user", u->user);
	parameter_set(p, "password", u->password);
	parameter_set(p, "dbname", u->name);
}

/* Notices are no errors; libpq would write them to descriptor 2. */
static void
notice_drop(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

/*
 * Notes why there is no connection. Only in a verbose message does libpq tell
 * the SQLSTATE, "FATAL:  53300: sorry, ...", and lines about the server's
 * source code.
 */
static bool
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
	return false;
}

void
pgsql_drop(struct pgsql_store *s)
{
	if (s->conn != NULL)
		pq.PQfinish(s->conn);
	s->conn = NULL;
}

/* Goes through what libpq does to connect. */
static bool
connect_finish(struct pgsql_store *s)
{
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;

	while (want != PGRES_POLLING_OK) {
		if (want == PGRES_POLLING_FAILED ||
		    pq.PQstatus(s->conn) == CONNECTION_BAD)
			return connect_failed(s);
		if (!store_wait(&s->sql.store, pq.PQsocket(s->conn),
			want == PGRES_POLLING_READING ? POLLIN : POLLOUT))
			return pgsql_failed(s,
			    "no connection within store.timeout");
		want = pq.PQconnectPoll(s->conn);
	}
	return true;
}

/* We send UTF-8, and the server must be able to keep every character. */
static bool
encoding_check(struct pgsql_store *s)
{
	const char *e = pq.PQparameterStatus(s->conn, "server_encoding");

	return (e != NULL && (strcmp(e, "UTF8") == 0 ||
	    strcmp(e, "SQL_ASCII") == 0)) ||
	    pgsql_failed(s, "the database's encoding is neither UTF8 nor "
		"SQL_ASCII");
}

/* Connects to the host at hand, before the deadline. */
static bool
address_connect(struct store *store, const char *address)
{
	struct pgsql_store *s = (struct pgsql_store *)store;
	struct parameters p;

	parameters_collect(s, &p, address);
	s->conn = pq.PQconnectStartParams(p.name, p.value, 0);
	if (s->conn == NULL)
		return pgsql_failed(s, "out of memory");
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

/* We look up its addresses: libpq would, too, but that could take long. */
static bool
host_connect(struct pgsql_store *s)
{
	if (s->host[0] == '/' || s->host[0] == '\0' ||
	    store_url_parameter(&s->sql.store.url, "hostaddr") != NULL)
		return address_connect(&s->sql.store, "");
	return store_connect(&s->sql.store, s->host, address_connect);
}

/* The next of a list with commas; the last one stays. */
static void
list_next(const char **list, char *out, size_t size)
{
	size_t len = strcspn(*list, ",");

	snprintf(out, size, "%.*s", (int)len, *list);
	if ((*list)[len] != '\0')
		*list += len + 1;
}

bool
pgsql_connect(struct pgsql_store *s)
{
	const struct store_url *u = &s->sql.store.url;
	const char *hosts = u->host, *c;
	const char *ports = store_url_parameter(u, "port");
	int64_t end = s->sql.store.deadline;
	bool connected = false;
	char port[16] = "5432";
	int left = 1;

	if (u->port != 0)
		snprintf(port, sizeof(port), "%ld", u->port);
	if (ports == NULL)
		ports = port;
	if (hosts[0] == '\0' && store_url_parameter(u, "host") != NULL)
		hosts = store_url_parameter(u, "host");
	memset(s->prepared, 0, sizeof(s->prepared));
	s->state[0] = '\0';
	environment_clean();
	for (c = hosts; *c != '\0'; c++)
		left += *c == ',';
	for (; left > 0 && !connected; left--) {
		list_next(&hosts, s->host, sizeof(s->host));
		list_next(&ports, s->port, sizeof(s->port));
		s->sql.store.deadline = store_share(end, left);
		connected = host_connect(s);
	}
	s->sql.store.deadline = end;
	return connected;
}
