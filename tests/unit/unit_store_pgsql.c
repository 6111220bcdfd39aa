/*
 * The store on a real PostgreSQL server, whose URL is in STORE_PGSQL: what is
 * particular to a server, and to this one. What every store does is in
 * unit_store.c. The database is emptied.
 */
#include "unit_store.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "store/pgsql/pgsql.h"

extern const struct store_driver store_pgsql;

static enum store_failure failure; /* of the last opening */

#define QUICK 5000 /* milliseconds: what must not wait takes less */
#define PATIENCE 60 /* seconds, with many processes on a machine under load */

/* --- SQL as our user has it --- */

static struct store *admin;

/* Runs statements of our user's on a connection of their own. */
static void
statements_run(struct store *store, const char *const *sql, size_t count)
{
	struct pgsql_store *s = (struct pgsql_store *)store;

	s->sql.store.deadline = clock_ms() + PATIENCE * 1000;
	if (!pgsql_plain(s, sql, count))
		STORE_FAIL("%s: %s", sql[0], store->error);
}

#define SQL(s, ...)                                                           \
	statements_run(s,                                                     \
	    (const char *const[]){ __VA_ARGS__ },                             \
	    COUNT(((const char *const[]){ __VA_ARGS__ })))

/* No table of ours is left, and the connection for SQL is there. */
static int
tables_drop(void **state)
{
	(void)state;
	cfg.store.timeout = PATIENCE;
	if (admin == NULL)
		admin = store_again();
	SQL(admin, "ROLLBACK"); /* of a test that has failed */
	SQL(admin, "DROP TABLE IF EXISTS postfwd_logins, abichecker_accounts, "
	    "abichecker_hits, abichecker_offenders, abichecker_positions, "
	    "abichecker_rates, abichecker_meta CASCADE");
	cfg.store.timeout = 5;
	cfg.store.password_file = NULL;
	return 0;
}

static int
admin_close(void **state)
{
	(void)state;
	if (admin != NULL)
		store_end(admin);
	admin = NULL;
	return 0;
}

/* Opens a URL that must fail, quickly, with such a text. */
static void
must_not_open(const char *url, long wait_ms, const char *text)
{
	char error[STORE_ERROR_MAX] = "";
	double begun = seconds();
	struct store *s = store_open_within(&cfg, url, wait_ms, true, &failure,
	    error, sizeof(error));

	if (s != NULL)
		fail_msg("%s: could be opened", url);
	if (strstr(error, text) == NULL)
		fail_msg("%s: `%s', not `%s'", url, error, text);
	assert_null(strstr(error, "cret"));
	assert_null(strstr(error, "LOCATION"));
	if (wait_ms > 0)
		assert_int_equal(failure, STORE_BROKEN);
	if (seconds() - begun > (double)(wait_ms + QUICK) / 1000)
		fail_msg("%s: waited %f s", url, seconds() - begun);
}

/* The URL with something else in the place of its address and port. */
static void
url_elsewhere(char *out, size_t size, int port, const char *parameters)
{
	snprintf(out, size, "postgresql://abichecker:se-cret@127.0.0.1:%d/"
	    "abichecker%s", port, parameters);
}

/* --- the tables --- */

static int
child_opens(int n)
{
	struct store *s = store_again();
	struct store_counts c;

	CHILD_HOLDS(login_at(s, "a", "192.0.2.1", "GB", NOW + n, &c) !=
	    STORE_ERROR, s);
	store_end(s);
	return 1;
}

static void
many_may_make_the_tables_at_once(void **state)
{
	struct store *s;

	(void)state;
	admin_close(NULL);
	cfg.store.timeout = PATIENCE;
	assert_int_equal(in_children(50, child_opens), 50);
	s = store_again();
	assert_int_equal(login_sum(s, "a"), 50);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 1);
	store_end(s);
}

static void
nothing_is_made_unless_asked_for(void **state)
{
	char error[STORE_ERROR_MAX] = "";

	(void)state;
	assert_null(store_open_within(&cfg, store_url, 5000, false, &failure,
	    error, sizeof(error)));
	assert_non_null(strstr(error, "no tables of abichecker"));
	assert_int_equal(failure, STORE_NOT_YET);
	SQL(admin, "CREATE TABLE abichecker_rates (x integer)",
	    "DROP TABLE abichecker_rates");
}

#define PLUGIN_TABLE                                                          \
	"CREATE TABLE postfwd_logins (sasl_username varchar(100), "           \
	"ip_address varchar(45), state_code varchar(4), login_count int, "    \
	"last_login timestamp)",                                              \
	"CREATE INDEX postfwd_sasl_client_state_index ON postfwd_logins "     \
	"(sasl_username, ip_address, state_code)",                            \
	"INSERT INTO postfwd_logins VALUES "                                  \
	"('Ann@Example.com', '192.0.2.1', 'GB', 3, '2027-01-15 07:00:00'), "  \
	"('ann@example.com', '192.0.2.1', 'SE', 4, '2027-01-15 07:30:00'), "  \
	"('ann@example.com', '192.0.2.1', NULL, 1, '2027-01-15 07:40:00'), "  \
	"(' ann@example.com', '192.0.2.1', 'FR', 2, NULL), "                  \
	"('ann@example.com', '192.0.2.2', 'GB', 1, '2027-01-15 06:00:00'), "  \
	"('bob''s', '2001:db8::1', 'US', NULL, '2027-01-14 06:00:00'), "      \
	"(NULL, '192.0.2.3', 'US', 1, '2027-01-14 06:00:00')"

static void
plugin_rows_check(struct store *s)
{
	struct rows *r = rows_of(s, STORE_LOGIN, "ann@example.com");
	struct store_counts c;

	assert_int_equal(r->count, 2);
	assert_string_equal(r->row[0].u.login.block, "192.0.2.1");
	assert_int_equal(r->row[0].u.login.count, 10);
	assert_string_equal(r->row[0].u.login.country, "SE");
	assert_int_equal(r->row[0].u.login.last, NOW - 1200);
	assert_int_equal(r->row[1].u.login.count, 1);
	free(r);
	assert_int_equal(login_sum(s, "bob's"), 1);
	assert_int_equal(login_sum(s, ""), 12);
	/* And it goes on from there. */
	login_at(s, "ann@example.com", "192.0.2.9", "FR", NOW, &c);
	assert_int_equal(c.addresses, 3);
	assert_int_equal(c.countries, 3);
	assert_string_equal(c.previous, "192.0.2.1");
	login_at(s, "ann@example.com", "192.0.2.1", "FR", NOW, &c);
	assert_int_equal(login_sum(s, "ann@example.com"), 13);
}

static void
a_table_of_the_plugin_is_upgraded(void **state)
{
	struct store *s;

	(void)state;
	SQL(admin, PLUGIN_TABLE);
	s = store_again();
	plugin_rows_check(s);
	store_end(s);
}

/* For copying it: not a row of it changes. */
static void
a_table_of_the_plugin_can_be_read_only(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	struct store *s;
	struct rows *r;

	(void)state;
	SQL(admin, PLUGIN_TABLE,
	    "CREATE TABLE was AS SELECT * FROM postfwd_logins");
	s = store_open_existing(&cfg, store_url, error, sizeof(error));
	if (s == NULL)
		fail_msg("%s", error);
	assert_true(s->logins_only);
	r = rows_of(s, STORE_LOGIN, "");
	assert_int_equal(r->count, 3);
	assert_string_equal(r->row[0].u.login.user, "ann@example.com");
	assert_int_equal(r->row[0].u.login.count, 10);
	assert_string_equal(r->row[0].u.login.country, "SE");
	assert_int_equal(r->row[0].u.login.last, NOW - 1200);
	free(r);
	/* Never the rows as they are, not even when the server was gone. */
	SQL(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
	    "WHERE usename = current_user AND pid <> pg_backend_pid()");
	usleep(100000);
	must_fail(s, s->driver->iterate(s, STORE_LOGIN, "", rows_keep, NULL),
	    "iterate");
	must_fail(s, s->driver->iterate(s, STORE_LOGIN, "", rows_keep, NULL),
	    "iterate again");
	store_end(s);
	SQL(admin, "SELECT 1 / (NOT EXISTS (SELECT * FROM postfwd_logins "
	    "EXCEPT ALL SELECT * FROM was))::integer",
	    "SELECT 1 / (to_regclass('abichecker_meta') IS NULL)::integer",
	    "SELECT 1 / (count(*) = 7)::integer FROM postfwd_logins",
	    "DROP TABLE was");
}

/* Also when a plugin has made it beside tables of ours. */
static void
a_table_that_lost_its_key_is_upgraded(void **state)
{
	struct store *s = store_again();

	(void)state;
	SQL(admin, "DROP TABLE postfwd_logins", PLUGIN_TABLE);
	store_end(s);
	s = store_again();
	plugin_rows_check(s);
	store_end(s);
}

/* --- tables that are narrower than ours --- */

#define IPV6 "2001:db8:1234:5678::"
#define V1_TABLE(columns) "CREATE TABLE postfwd_logins (" columns ")"
#define V1_ROWS                                                               \
	"INSERT INTO postfwd_logins VALUES "                                  \
	"('ann', '192.0.2.1', 'GB', 32767, '2027-01-15 07:30:00')"
#define V1_KEY                                                                \
	"CREATE UNIQUE INDEX ON postfwd_logins (sasl_username, ip_address)"

/* The types of its columns, as PostgreSQL writes them. */
static void
types_check(const char *expected)
{
	char text[1024];

	snprintf(text, sizeof(text), "SELECT 1 / (string_agg("
	    "format_type(atttypid, atttypmod), ' ' ORDER BY attnum) = '%s')"
	    "::integer FROM pg_attribute "
	    "WHERE attrelid = 'postfwd_logins'::regclass AND attnum > 0",
	    expected);
	SQL(admin, text);
}

/* A login that is told whether it fits, and one of somebody else. */
static void
login_of_ipv6(struct store *s, bool fits)
{
	const struct store_login l = { .user = "bob", .block = IPV6,
		.country = "SE", .now = NOW, .since = NOW - DAY };
	struct store_counts c;
	PGconn *conn;

	assert_int_equal(login_at(s, "ann", "192.0.2.2", "GB", NOW, &c),
	    STORE_FOUND);
	conn = ((struct pgsql_store *)s)->conn;
	if (fits)
		assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	else {
		must_fail(s, s->driver->login(s, &l, &c), "login");
		assert_int_equal(s->failure, STORE_BAD_DATA);
		assert_non_null(strstr(s->error, "too long"));
	}
	assert_int_equal(login_at(s, "ann", "192.0.2.1", "GB", NOW, &c),
	    STORE_FOUND);
	assert_int_equal(c.addresses, 2);
	assert_ptr_equal(((struct pgsql_store *)s)->conn, conn);
}

/* With a key it is one that an earlier release of ours has taken over. */
static void
narrow_columns_are_widened(void **state)
{
	static const struct {
		const char *table, *types;
	} rows[] = {
		{ V1_TABLE("sasl_username varchar(64), ip_address "
		    "varchar(16), state_code char(2), login_count smallint, "
		    "last_login timestamp"),
		    "character varying(100) character varying(45) "
		    "character varying(4) integer timestamp without time "
		    "zone" },
		{ V1_TABLE("sasl_username text, ip_address char(40), "
		    "state_code varchar, login_count bigint, last_login "
		    "timestamp"),
		    "text character varying(45) character varying bigint "
		    "timestamp without time zone" },
		{ V1_TABLE("sasl_username varchar(200), ip_address "
		    "varchar(44), state_code varchar(5), login_count int, "
		    "last_login timestamp"),
		    "character varying(200) character varying(45) character "
		    "varying(5) integer timestamp without time zone" },
	};
	struct store *s;
	size_t i;

	for (i = 0; i < 2 * COUNT(rows); i++) {
		tables_drop(state);
		SQL(admin, rows[i / 2].table, V1_ROWS);
		if (i % 2 == 1)
			SQL(admin, V1_KEY);
		s = store_again();
		types_check(rows[i / 2].types);
		login_of_ipv6(s, true);
		assert_int_equal(login_sum(s, "bob"), 1);
		assert_int_equal(login_sum(s, "ann"), 32769);
		store_end(s);
	}
}

/* It is of use all the same, but for what does not fit. */
static void
a_table_that_cannot_be_widened_is_left_as_it_is(void **state)
{
	static const char *const obstacles[] = {
		"CREATE VIEW seen AS SELECT ip_address FROM postfwd_logins",
		NULL, /* somebody who reads it for long */
		"CREATE TRIGGER t BEFORE UPDATE OF ip_address "
		"ON postfwd_logins FOR EACH ROW "
		"EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	};
	struct store *s;
	size_t i;

	for (i = 0; i < COUNT(obstacles); i++) {
		tables_drop(state);
		SQL(admin, V1_TABLE("sasl_username varchar(100), ip_address "
		    "varchar(16), state_code varchar(4), login_count int, "
		    "last_login timestamp"), V1_ROWS);
		if (i != 1)
			SQL(admin, obstacles[i]);
		else { /* nobody waits for him */
			SQL(admin, V1_KEY);
			store_end(store_again());
			SQL(admin, "ALTER TABLE postfwd_logins "
			    "ALTER ip_address TYPE varchar(16)");
			SQL(admin, "BEGIN",
			    "SELECT count(*) FROM postfwd_logins");
		}
		s = store_again();
		login_of_ipv6(s, false);
		store_end(s);
		if (i == 0)
			SQL(admin, "DROP VIEW seen");
		else if (i == 1)
			SQL(admin, "COMMIT");
		else
			SQL(admin, "DROP TRIGGER t ON postfwd_logins");
		s = store_again();
		login_of_ipv6(s, true);
		store_end(s);
	}
}

static int
child_upgrades(int n)
{
	struct store *s = store_again();
	struct store_counts c;

	CHILD_HOLDS(login_at(s, "bob's", "192.0.2.1", "GB", NOW + n, &c) !=
	    STORE_ERROR, s);
	store_end(s);
	return 1;
}

static void
many_may_upgrade_at_once(void **state)
{
	struct store *s;

	(void)state;
	SQL(admin, PLUGIN_TABLE);
	admin_close(NULL);
	cfg.store.timeout = PATIENCE;
	assert_int_equal(in_children(20, child_upgrades), 20);
	s = store_again();
	assert_int_equal(login_sum(s, "bob's"), 21);
	assert_int_equal(login_sum(s, "ann@example.com"), 11);
	store_end(s);
}

/* A filter does not wait for it, and need not: the server goes on. */
static void
a_large_table_is_upgraded_although_nobody_waits(void **state)
{
	const struct timespec pause = { 0, 10000000 };
	char error[STORE_ERROR_MAX] = "";
	double end = seconds() + 4 * PATIENCE;
	struct store *s;
	bool done = false, waited = false;
	const char *const look = "SELECT 1 FROM abichecker_meta";
	long wait_ms = 50; /* at least for what comes before it */

	(void)state;
	SQL(admin, PLUGIN_TABLE, "INSERT INTO postfwd_logins "
	    "SELECT 'u' || n % 1000, '192.0.2.' || n % 250, 'GB', 1, "
	    "'2027-01-15 07:00:00' FROM generate_series(1, 200000) AS n");
	/* Nobody waits until it is done. */
	while (!done && seconds() < end) {
		wait_ms += wait_ms / 4;
		s = store_open_within(&cfg, store_url, wait_ms, true, &failure,
		    error, sizeof(error));
		if (s != NULL)
			store_end(s);
		else
			waited = waited || strstr(error,
			    "no answer within store.timeout") != NULL;
		nanosleep(&pause, NULL);
		((struct pgsql_store *)admin)->sql.store.deadline =
		    clock_ms() + 60000;
		done = pgsql_plain((struct pgsql_store *)admin, &look, 1);
	}
	assert_true(done);
	assert_true(waited);
	s = store_again();
	assert_int_equal(login_sum(s, "u7"), 200);
	store_end(s);
}

static void
the_queries_people_have_run(void **state)
{
	struct store *s = store_again();
	struct store_counts c;

	(void)state;
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "a", "192.0.2.2", "SE", NOW, &c);
	SQL(admin,
	    "SELECT sasl_username, COUNT(DISTINCT state_code), "
	    "SUM(login_count) FROM postfwd_logins GROUP BY sasl_username "
	    "HAVING COUNT(DISTINCT state_code) > 1",
	    "SELECT 1 / (CASE WHEN count(*) = 2 AND max(last_login) = "
	    "timestamp '2027-01-15 08:00:00' THEN 1 ELSE 0 END) "
	    "FROM postfwd_logins WHERE sasl_username = 'a'");
	store_end(s);
}

static void
a_schema_of_a_later_version_is_left_alone(void **state)
{
	(void)state;
	store_end(store_again());
	SQL(admin, "UPDATE abichecker_meta SET value = '99' "
	    "WHERE name = 'schema'");
	must_not_open(store_url, 5000, "later version");
	SQL(admin, "UPDATE abichecker_meta SET value = 'x' "
	    "WHERE name = 'schema'");
	store_end(store_again()); /* no version: ours again */
}

static void
a_missing_column_or_table_is_an_error(void **state)
{
	struct store *s = store_again();
	struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	struct store_account a;
	struct store_counts c;

	(void)state;
	SQL(admin, "ALTER TABLE abichecker_accounts DROP COLUMN reason");
	must_fail(s, s->driver->account_find(s, "a", &a), "account_find");
	assert_non_null(strstr(s->error, "reason"));
	assert_int_equal(s->failure, STORE_REFUSED);
	SQL(admin, "DROP TABLE postfwd_logins");
	must_fail(s, s->driver->login(s, &l, &c), "login");
	store_end(s);
	/* A table that is not there is made again; no other is touched. */
	s = store_again();
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	must_fail(s, s->driver->account_find(s, "a", &a), "account_find");
	store_end(s);
}

/* --- credentials and parameters --- */

static void
a_wrong_password_is_told_without_it(void **state)
{
	char url[256];
	const char *at = strchr(store_url, '@');

	(void)state;
	snprintf(url, sizeof(url), "postgresql://abichecker:se-cret%s", at);
	must_not_open(url, 2000, "password authentication failed");
}

static void
the_password_may_be_in_a_file(void **state)
{
	char url[256], path[128], lines[512];
	const char *at = strchr(store_url, '@');
	struct store_url u;

	(void)state;
	assert_null(store_url_parse(store_url, &u));
	snprintf(url, sizeof(url), "postgresql://abichecker%s", at);
	snprintf(path, sizeof(path), "%s/password", unit_dir);
	cfg.store.password_file = path;
	must_not_open(url, 2000, "No such file");
	snprintf(lines, sizeof(lines), "%s\nmore\n", u.password);
	unit_file("password", lines, strlen(lines));
	store_end(store_at(url));
	unit_file("password", "x\n", 2);
	must_not_open(url, 2000, "password authentication failed");
	store_end(store_again()); /* the URL's own goes first */
}

static void
nothing_comes_from_the_environment(void **state)
{
	static const char *const names[] = { "PGHOST", "PGPORT", "PGUSER",
		"PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSSLMODE",
		"PGOPTIONS", "PGHOSTADDR", "PGSSLROOTCERT", "PGDATABASE",
		"PGCLIENTENCODING", "PGAPPNAME", "PGTZ", "PGREQUIREPEER" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		setenv(names[i], "nonsense", 1);
	unsetenv("HOME");
	store_end(store_again());
	for (i = 0; i < COUNT(names); i++)
		unsetenv(names[i]);
}

static void
wrong_parameters_are_told(void **state)
{
	static const struct {
		const char *parameters, *text;
	} rows[] = {
		{ "?passfile=/etc/passwd", "no parameter `passfile'" },
		{ "?service=x", "no parameter `service'" },
		{ "?options=-c%20x", "no parameter `options'" },
		{ "?prepare=maybe", "prepare must be yes or no" },
		{ "?sslmode=nonsense", "sslmode" },
		{ "?sslmode=require", "SSL" }, /* this server has none */
		{ "?sslmode", "no value" },
		{ "?target_session_attrs=read-only", "read-only" },
	};
	char url[512];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(url, sizeof(url), "%s%s", store_url,
		    rows[i].parameters);
		must_not_open(url, 2000, rows[i].text);
	}
	snprintf(url, sizeof(url), "%s?sslmode=disable&application_name=x"
	    "&target_session_attrs=read-write", store_url);
	store_end(store_at(url));
}

/* --- a server that does not do what it should --- */

/* A socket that listens on a port of loopback; *port is set. */
static int
listen_at(int *port, int backlog)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void
a_server_that_is_not_there_is_told_at_once(void **state)
{
	char url[256];
	int port, fd = listen_at(&port, -1); /* nobody listens */

	(void)state;
	url_elsewhere(url, sizeof(url), port, "");
	must_not_open(url, 1000, "refused");
	close(fd);
	must_not_open("postgresql://a@no-such-host.invalid/x", 5000,
	    "cannot look up no-such-host.invalid");
	must_not_open("postgresql:///x?host=/nowhere", 1000, "No such file");
}

static void
a_server_that_does_not_answer_is_not_waited_for(void **state)
{
	static const long waits[] = { 0, 1, 50, 400 };
	char url[256];
	int port, fd = listen_at(&port, 8); /* the kernel accepts */
	size_t i;

	(void)state;
	url_elsewhere(url, sizeof(url), port, "");
	for (i = 0; i < COUNT(waits); i++)
		must_not_open(url, waits[i], waits[i] == 0 ?
		    "no time" : "no connection within store.timeout");
	close(fd);
}

/* One of several is enough, also when another one does not even refuse. */
static void
another_host_takes_over(void **state)
{
	char url[512];
	const char *slash = strchr(strchr(store_url, '@'), '/');
	int port, fd = listen_at(&port, 8), i;
	struct store_url u;
	struct store *s;
	double begun;

	(void)state;
	assert_null(store_url_parse(store_url, &u));
	for (i = 0; i < 3; i++) {
		snprintf(url, sizeof(url), "%.*s@%s?host=%s,127.0.0.1"
		    "&port=%d,%ld&target_session_attrs=read-write",
		    (int)(strchr(store_url, '@') - store_url), store_url,
		    slash, i == 2 ? "no-such-host.invalid" : "127.0.0.1",
		    i == 0 ? port : 1, u.port);
		begun = seconds();
		s = store_at(url);
		assert_true(seconds() - begun < 2.5 + QUICK / 1000.0);
		assert_int_equal(rows_count(s, STORE_LOGIN, ""), 0);
		store_end(s);
	}
	close(fd);
}

/*
 * Answers to every connection with this, and to all that it sends on with
 * more; without more it closes.
 */
static pid_t
stub_start(int fd, const void *answer, size_t len, const void *more,
    size_t more_len)
{
	char buf[4096];
	pid_t pid = store_fork();
	int c;

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		c = accept(fd, NULL, NULL);
		if (read(c, buf, sizeof(buf)) < 0 ||
		    (len > 0 && write(c, answer, len) < 0))
			_exit(1);
		/* A client that is told N or S goes on in its own time */
		while (poll(&(struct pollfd){ .fd = c, .events = POLLIN }, 1,
			   more != NULL ? -1 : len == 1 ? 100 : 0) > 0 &&
		    read(c, buf, sizeof(buf)) > 0 &&
		    (more == NULL ||
			write(c, more, more_len) == (ssize_t)more_len))
			;
		close(c);
	}
	return pid;
}

static void
rubbish_is_an_error(void **state)
{
	static const struct {
		const void *answer;
		size_t len;
	} rows[] = {
		{ "", 0 }, { "N", 1 }, { "X", 1 }, { "S", 1 },
		{ "HTTP/1.0 400 Bad\r\n\r\n", 20 },
		{ "NR\xff\xff\xff\xff", 6 }, { "NR\x7f\xff\xff\xff\0\0", 8 },
		{ "NR\0\0\0\4", 6 }, { "NE\0\0\0\5\0", 7 },
		{ "NR\0\0\0\x08\0\0\0\x63", 10 },
		{ "NR\0\0\0\x08\0\0\0\0Z\0\0\0\5I", 16 }, /* let in at once */
	};
	char url[256], error[STORE_ERROR_MAX];
	int port, fd = listen_at(&port, 8);
	struct store *s;
	double begun;
	size_t i;
	pid_t pid;

	(void)state;
	url_elsewhere(url, sizeof(url), port, "");
	for (i = 0; i < COUNT(rows); i++) {
		pid = stub_start(fd, rows[i].answer, rows[i].len, NULL, 0);
		error[0] = '\0';
		begun = seconds();
		s = store_open_within(&cfg, url, 500, true, &failure,
	    error, sizeof(error));
		if (s != NULL || error[0] == '\0')
			fail_msg("row %zu: `%s'", i, error);
		assert_true(seconds() - begun < 0.5 + QUICK / 1000.0);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fd);
}

/* A server that lets us in, and then says what nobody asked for. */
static void
answers_that_were_not_asked_for_are_errors(void **state)
{
#define LET_IN "R\0\0\0\x08\0\0\0\0S\0\0\0\x19server_encoding\0UTF8\0"  \
	"Z\0\0\0\x05I"
#define BOUND "1\0\0\0\4" "2\0\0\0\4"
#define DONE "C\0\0\0\x0dSELECT 1\0" "Z\0\0\0\x05I"
#define ROW_OF_NOTHING "T\0\0\0\6\0\0" "D\0\0\0\6\0\0"
#define A_ROW "T\0\0\0\x1a\0\1x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff" \
	"\xff\xff\0\0" "D\0\0\0\x0b\0\1\0\0\0\1t"
#define ANSWER(text) { text, sizeof(text) - 1 }
	static const struct {
		const char *answer;
		size_t len;
	} rows[] = {
		ANSWER(""), ANSWER("Z\0\0\0\5I"),
		ANSWER(BOUND "n\0\0\0\4" DONE),
		ANSWER(BOUND ROW_OF_NOTHING DONE), ANSWER(BOUND A_ROW DONE),
		ANSWER(BOUND "H\0\0\0\7\0\0\0"),
		ANSWER(BOUND "G\0\0\0\7\0\0\0"),
		ANSWER(BOUND "W\0\0\0\7\0\0\0"),
		ANSWER(BOUND "I\0\0\0\4" "Z\0\0\0\5I"),
		ANSWER(BOUND "D\0\0\0\x0a\0\1\x7f\xff\xff\xff" DONE),
		ANSWER(BOUND "T\0\0\0\6\xff\xff" DONE),
		ANSWER(BOUND "T\0\0\0\6\0\1" DONE),
		ANSWER("E\0\0\0\5\0" "Z\0\0\0\5I"),
		ANSWER("E\0\0\0\xcSFATAL\0\0" "Z\0\0\0\5I"),
		ANSWER("1\0\0\0\4" "1\0\0\0\4" "1\0\0\0\4" DONE),
		ANSWER(DONE DONE DONE DONE),
	};
	char url[256], error[STORE_ERROR_MAX];
	int port, fd = listen_at(&port, 8);
	struct store *s;
	double begun;
	size_t i;
	pid_t pid;

	(void)state;
	url_elsewhere(url, sizeof(url), port, "?sslmode=disable");
	for (i = 0; i < COUNT(rows); i++) {
		pid = stub_start(fd, LET_IN, sizeof(LET_IN) - 1, rows[i].answer,
		    rows[i].len);
		error[0] = '\0';
		begun = seconds();
		s = store_open_within(&cfg, url, 300, true, &failure,
	    error, sizeof(error));
		if (s != NULL || error[0] == '\0')
			fail_msg("row %zu: `%s'", i, error);
		assert_true(seconds() - begun < 0.3 + QUICK / 1000.0);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fd);
}

static int
connect_to(int port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0)
		_exit(1);
	return fd;
}

/*
 * Forwards one connection to the server, and no more than so many bytes of its
 * answers; then it closes both, or is silent.
 */
static void
forward(int listener, int port, size_t limit, bool silent)
{
	int client = accept(listener, NULL, NULL), server = connect_to(port);
	struct pollfd p[2] = { { .fd = client, .events = POLLIN },
		{ .fd = server, .events = POLLIN } };
	char buf[65536];
	ssize_t n;

	while (poll(p, 2, -1) > 0) {
		if (p[0].revents != 0) {
			n = read(client, buf, sizeof(buf));
			if (n <= 0 || write(server, buf, (size_t)n) != n)
				_exit(0);
		}
		if (p[1].revents == 0)
			continue;
		n = read(server, buf, limit < sizeof(buf) ? limit :
							    sizeof(buf));
		if (n <= 0 || write(client, buf, (size_t)n) != n)
			_exit(0);
		limit -= (size_t)n;
		if (limit == 0 && silent)
			pause();
		if (limit == 0)
			_exit(0);
	}
}

/* A login through a proxy; false when it failed, with a text. */
static bool
login_through(int listener, int port, size_t limit, bool silent,
    const char *url)
{
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	char error[STORE_ERROR_MAX] = "";
	struct store_counts c;
	struct store *s;
	bool good = false;
	pid_t pid = store_fork();

	if (pid == 0) {
		forward(listener, port, limit, silent);
		_exit(0);
	}
	s = store_open_within(&cfg, url, silent ? 300 : 20000, true, &failure,
	    error, sizeof(error));
	if (s != NULL) {
		s->wait_ms = silent ? 200 : 20000;
		good = s->driver->login(s, &l, &c) != STORE_ERROR;
		snprintf(error, sizeof(error), "%s", s->error);
		store_end(s);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!good && error[0] == '\0')
		fail_msg("after %zu bytes: no text", limit);
	return good;
}

static void
answers_that_are_cut_anywhere_are_errors(void **state)
{
	char url[512];
	struct store_url u;
	const char *rest = strchr(store_url, '@');
	int port, fd = listen_at(&port, 8);
	size_t limit, step;
	double begun;

	(void)state;
	store_end(store_again());
	assert_null(store_url_parse(store_url, &u));
	rest = strchr(rest, '/');
	snprintf(url, sizeof(url), "%.*s@127.0.0.1:%d%s",
	    (int)(strchr(store_url, '@') - store_url), store_url, port, rest);
	begun = seconds();
	for (limit = 1; limit < 20000; limit += limit < 1600 ? 17 : 3001)
		if (login_through(fd, (int)u.port, limit, false, url) &&
		    limit < 900)
			fail_msg("an answer of %zu bytes", limit);
	assert_true(limit > 20000);
	assert_true(login_through(fd, (int)u.port, 1 << 20, false, url));
	/* The end of the opening, and of the answer to the login */
	for (step = 0; step < 8; step++)
		if (login_through(fd, (int)u.port, 800 + 23 * step, true,
		    url) && step == 0)
			fail_msg("a silent server has answered");
	assert_true(seconds() - begun < 4 * PATIENCE);
	close(fd);
}

static void
a_lock_is_not_waited_for_longer_than_allowed(void **state)
{
	struct store *s = store_again();
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	struct store_counts c;
	double begun;

	(void)state;
	SQL(admin, "BEGIN", "LOCK TABLE postfwd_logins");
	s->wait_ms = 200;
	begun = seconds();
	must_fail(s, s->driver->login(s, &l, &c), "login");
	assert_non_null(strstr(s->error, "no answer"));
	assert_int_equal(s->failure, STORE_BROKEN);
	assert_true(seconds() - begun >= 0.19);
	assert_true(seconds() - begun < 0.2 + QUICK / 1000.0);
	SQL(admin, "ROLLBACK");
	/* The same store connects anew. */
	s->wait_ms = 5000;
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	s->wait_ms = 0;
	must_fail(s, s->driver->login(s, &l, &c), "login");
	s->wait_ms = 5000;
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	store_end(s);
}

/* A lock that others hold, of a row or of all. */
static void
who_waits_for_a_lock_is_told_whose_it_is(void **state)
{
	static const struct {
		const char *lock;
		enum store_failure failure;
	} rows[] = {
		{ "UPDATE postfwd_logins SET login_count = 9 "
		  "WHERE sasl_username = 'a'", STORE_BUSY },
		{ "SELECT 1 FROM postfwd_logins FOR UPDATE", STORE_BUSY },
		{ "LOCK TABLE postfwd_logins", STORE_BROKEN },
		{ "LOCK TABLE postfwd_logins IN SHARE MODE", STORE_BROKEN },
	};
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	struct store_counts c;
	struct store *s;
	char other[16];
	double begun;
	PGconn *conn;
	size_t i;

	(void)state;
	cfg.store.timeout = 3;
	s = store_again();
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	conn = ((struct pgsql_store *)s)->conn;
	for (i = 0; i < COUNT(rows); i++) {
		SQL(admin, "BEGIN", rows[i].lock);
		begun = seconds();
		must_fail(s, s->driver->login(s, &l, &c), rows[i].lock);
		assert_true(seconds() - begun < 3);
		assert_non_null(strstr(s->error, "lock timeout"));
		assert_int_equal(s->failure, rows[i].failure);
		snprintf(other, sizeof(other), "b%zu", i); /* new */
		if (s->failure == STORE_BUSY)
			login_at(s, other, "192.0.2.1", "GB", NOW, &c);
		SQL(admin, "ROLLBACK");
		assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
		assert_ptr_equal(((struct pgsql_store *)s)->conn, conn);
	}
	store_end(s);
}

/* Whatever a statement is answered: what follows from it. */
static void
errors_are_sorted_by_what_follows_from_them(void **state)
{
	static const struct {
		const char *state;
		enum store_failure failure;
	} rows[] = {
		{ "22001", STORE_BAD_DATA }, { "22021", STORE_BAD_DATA },
		{ "23505", STORE_BAD_DATA }, { "23514", STORE_BAD_DATA },
		{ "54000", STORE_BAD_DATA }, { "P0001", STORE_BAD_DATA },
		{ "40001", STORE_BUSY }, { "40P01", STORE_BUSY },
		{ "55P03", STORE_BUSY }, { "57014", STORE_BUSY },
		{ "53300", STORE_BUSY },
		{ "53100", STORE_REFUSED }, { "53200", STORE_REFUSED },
		{ "42501", STORE_REFUSED }, { "25006", STORE_REFUSED },
		{ "42P01", STORE_REFUSED }, { "42703", STORE_REFUSED },
		{ "XX001", STORE_REFUSED }, { "ZZ999", STORE_REFUSED },
		{ "08P01", STORE_BROKEN }, { "57P01", STORE_BROKEN },
		{ "57P03", STORE_BROKEN },
	};
	const struct store_login l = { .user = "bad", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	struct store *s = store_again();
	struct store_counts c;
	char function[512];
	PGconn *conn;
	size_t i;

	(void)state;
	login_at(s, "good", "192.0.2.1", "GB", NOW, &c);
	conn = ((struct pgsql_store *)s)->conn;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(function, sizeof(function),
		    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger "
		    "LANGUAGE plpgsql AS $$BEGIN "
		    "IF NEW.sasl_username = 'bad' THEN RAISE 'so it is' "
		    "USING ERRCODE = '%s'; END IF; RETURN NEW; END$$",
		    rows[i].state);
		SQL(admin, function, "CREATE OR REPLACE TRIGGER refuse "
		    "BEFORE INSERT ON postfwd_logins FOR EACH ROW "
		    "EXECUTE FUNCTION refuse()");
		must_fail(s, s->driver->login(s, &l, &c), rows[i].state);
		assert_non_null(strstr(s->error, "/abichecker: so it is"));
		if (s->failure != rows[i].failure)
			fail_msg("%s: kind %d", rows[i].state, s->failure);
		assert_int_equal(login_at(s, "good", "192.0.2.1", "GB", NOW,
		    &c), STORE_FOUND);
		assert_ptr_equal(((struct pgsql_store *)s)->conn, conn);
	}
	store_end(s);
	SQL(admin, "DROP FUNCTION refuse CASCADE");
}

/* The server gives up by itself what we no longer wait for. */
static void
no_statement_goes_on_for_ever(void **state)
{
	static const char *const one[] = { "SELECT pg_sleep(30)" };
	struct pgsql_store *s;
	double begun;

	(void)state;
	cfg.store.timeout = 1;
	s = (struct pgsql_store *)store_again();
	s->sql.store.deadline = clock_ms() + 10000;
	begun = seconds();
	assert_false(pgsql_plain(s, one, 1));
	assert_non_null(strstr(s->sql.store.error, "statement timeout"));
	assert_true(seconds() - begun < 9);
	store_end(&s->sql.store);
}

static void
a_connection_that_was_ended_is_made_anew(void **state)
{
	struct store *s = store_again();
	struct store_counts c;
	int i;

	(void)state;
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	for (i = 0; i < 3; i++) {
		SQL(admin, "SELECT pg_terminate_backend(pid, 5000) "
		    "FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
		    "AND usename = current_user");
		assert_int_equal(login_at(s, "a", "192.0.2.1", "GB", NOW, &c),
		    STORE_FOUND);
	}
	assert_int_equal(login_sum(s, "a"), 4);
	store_end(s);
}

static void
a_server_that_is_read_only_is_an_error(void **state)
{
	struct store *s;
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	struct store_counts c;

	(void)state;
	store_end(store_again());
	SQL(admin,
	    "ALTER ROLE abichecker SET default_transaction_read_only = on");
	s = store_again();
	must_fail(s, s->driver->login(s, &l, &c), "login");
	assert_non_null(strstr(s->error, "read-only"));
	assert_int_equal(s->failure, STORE_REFUSED);
	store_end(s);
	SQL(admin, "SET default_transaction_read_only = off",
	    "ALTER ROLE abichecker RESET default_transaction_read_only");
}

/* A pooler hands our sessions from one to the other. */
static void
prepared_statements_may_get_lost(void **state)
{
	struct pgsql_store *s = (struct pgsql_store *)store_again();
	struct store_counts c;
	char url[512];

	(void)state;
	login_at(&s->sql.store, "a", "192.0.2.1", "GB", NOW, &c);
	SQL(&s->sql.store, "DEALLOCATE ALL");
	login_at(&s->sql.store, "a", "192.0.2.1", "GB", NOW, &c);
	assert_true(s->unprepared);
	login_at(&s->sql.store, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(login_sum(&s->sql.store, "a"), 3);
	store_end(&s->sql.store);
	/* Or are known to. */
	snprintf(url, sizeof(url), "%s?prepare=no", store_url);
	s = (struct pgsql_store *)store_at(url);
	login_at(&s->sql.store, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(s->prepared[SQL_LOGIN_PUT], 0);
	store_end(&s->sql.store);
	/* Or somebody else has prepared ours. */
	s = (struct pgsql_store *)store_again();
	login_at(&s->sql.store, "a", "192.0.2.1", "GB", NOW, &c);
	memset(s->prepared, 0, sizeof(s->prepared));
	login_at(&s->sql.store, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(login_sum(&s->sql.store, "a"), 6);
	store_end(&s->sql.store);
}

/* A table that is changed under a prepared statement. */
static void
a_plan_may_change(void **state)
{
	struct store *s = store_again();
	struct store_account a;

	(void)state;
	assert_int_equal(s->driver->account_find(s, "a", &a), STORE_ABSENT);
	SQL(admin, "ALTER TABLE abichecker_accounts ALTER reason "
	    "TYPE varchar(300)");
	assert_int_equal(s->driver->account_find(s, "a", &a), STORE_ABSENT);
	store_end(s);
}

/* --- many at once --- */

#define HITS 40

/* Each child's own hits of one block: together they list it. */
static int
child_hits(int n)
{
	const struct store_rule rule = { "auth", 5, 1000 };
	char source[64], old[16] = "", new[16], key[32];
	struct store_hit h = { "192.0.2.1/32", "auth", key, NOW };
	const struct store_batch b = { .hits = &h, .hit_count = 1,
		.rules = &rule, .rule_count = 1, .ban = 100, .ban_max = 100,
		.now = NOW, .source = source, .position_old = old,
		.position_new = new };
	struct store *s = store_again();
	int i;

	snprintf(source, sizeof(source), "host%d %d", n, store_number);
	for (i = 0; i < HITS; i++) {
		snprintf(key, sizeof(key), "%d.%d", n, i);
		snprintf(new, sizeof(new), "%d", i);
		CHILD_HOLDS(s->driver->offenders_apply(s, &b) == STORE_FOUND,
		    s);
		memcpy(old, new, sizeof(old));
	}
	store_end(s);
	return 0;
}

static void
no_hit_is_lost_among_many_hosts(void **state)
{
	struct store *s;
	struct rows *r;

	(void)state;
	admin_close(NULL);
	cfg.store.timeout = PATIENCE; /* they wait for each other */
	store_number++;
	store_end(store_again());
	assert_int_equal(in_children(8, child_hits), 0);
	s = store_again();
	r = rows_of(s, STORE_OFFENDER, "");
	assert_int_equal(r->count, 1);
	assert_int_equal(r->row[0].u.offender.hits, 8 * HITS);
	assert_int_equal(r->row[0].u.offender.times, 1);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
	free(r);
	store_end(s);
}

/*
 * Else the snapshots and maps of an old database would pass for those of a new
 * one that has the same number of changes.
 */
static void
no_two_databases_begin_with_the_same_generation(void **state)
{
	int64_t first[4];
	size_t i, j;

	for (i = 0; i < COUNT(first); i++) {
		struct store *s;

		assert_int_equal(tables_drop(state), 0);
		s = store_again();
		first[i] = generation_first(s);
		store_end(s);
		for (j = 0; j < i; j++)
			assert_int_not_equal(first[i], first[j]);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, tables_drop)
	const struct CMUnitTest tests[] = {
		TEST(many_may_make_the_tables_at_once),
		TEST(nothing_is_made_unless_asked_for),
		TEST(a_table_of_the_plugin_is_upgraded),
		TEST(a_table_of_the_plugin_can_be_read_only),
		TEST(a_table_that_lost_its_key_is_upgraded),
		TEST(narrow_columns_are_widened),
		TEST(a_table_that_cannot_be_widened_is_left_as_it_is),
		TEST(many_may_upgrade_at_once),
		TEST(a_large_table_is_upgraded_although_nobody_waits),
		TEST(the_queries_people_have_run),
		TEST(a_schema_of_a_later_version_is_left_alone),
		TEST(a_missing_column_or_table_is_an_error),
		TEST(a_wrong_password_is_told_without_it),
		TEST(the_password_may_be_in_a_file),
		TEST(nothing_comes_from_the_environment),
		TEST(wrong_parameters_are_told),
		TEST(a_server_that_is_not_there_is_told_at_once),
		TEST(a_server_that_does_not_answer_is_not_waited_for),
		TEST(another_host_takes_over),
		TEST(rubbish_is_an_error),
		TEST(answers_that_were_not_asked_for_are_errors),
		TEST(answers_that_are_cut_anywhere_are_errors),
		TEST(a_lock_is_not_waited_for_longer_than_allowed),
		TEST(who_waits_for_a_lock_is_told_whose_it_is),
		TEST(errors_are_sorted_by_what_follows_from_them),
		TEST(no_statement_goes_on_for_ever),
		TEST(a_connection_that_was_ended_is_made_anew),
		TEST(a_server_that_is_read_only_is_an_error),
		TEST(prepared_statements_may_get_lost),
		TEST(a_plan_may_change),
		TEST(no_hit_is_lost_among_many_hosts),
		TEST(no_two_databases_begin_with_the_same_generation),
	};
	const char *url = getenv("STORE_PGSQL");
	int failed;

	if (url == NULL) {
		puts("there is no PostgreSQL server (STORE_PGSQL)");
		return 77;
	}
	snprintf(store_url, sizeof(store_url), "%s", url);
	if (store_dir_make(NULL) != 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, admin_close);
	unit_dir_remove(NULL);
	return failed;
}
