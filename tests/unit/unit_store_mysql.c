/*
 * What is particular to MySQL and MariaDB: how tables come about, those of the
 * postfwd plugin, other people's locks, and servers that do not answer, or
 * answer what no server would. STORE_MYSQL is the URL of a real one; what is in
 * its database is lost.
 */
#include "unit_store.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/library.h"
#include "base/lock.h"
#include "store/mysql/mysql.h"

static char password[256]; /* what no error may tell */

/* --- a client of our own --- */

#define CLIENT(F)                                                             \
	F(mysql_init) F(mysql_real_connect) F(mysql_query)                    \
	F(mysql_store_result) F(mysql_fetch_row) F(mysql_num_fields)          \
	F(mysql_free_result) F(mysql_error) F(mysql_close)

static struct {
	CLIENT(LIBRARY_POINTER)
} client;

static MYSQL *
sql_open(void)
{
	struct store_url u;
	MYSQL *db = client.mysql_init(NULL);

	assert_null(store_url_parse(getenv("STORE_MYSQL"), &u));
	assert_non_null(db);
	if (client.mysql_real_connect(db, u.host, u.user, u.password, u.name,
		(unsigned)u.port, NULL, 0) == NULL)
		STORE_FAIL("%s", client.mysql_error(db));
	return db;
}

/* Runs a statement; its rows, columns with |, a row a line. */
static const char *
sql_on(MYSQL *db, const char *statement)
{
	static char out[4096];
	MYSQL_RES *res;
	MYSQL_ROW row;
	unsigned i;
	size_t len = 0;

	out[0] = '\0';
	if (client.mysql_query(db, statement) != 0)
		STORE_FAIL("%s: %s", statement, client.mysql_error(db));
	res = client.mysql_store_result(db);
	while (res != NULL && (row = client.mysql_fetch_row(res)) != NULL)
		for (i = 0; i < client.mysql_num_fields(res) &&
		     len < sizeof(out); i++)
			len += (size_t)snprintf(out + len, sizeof(out) - len,
			    "%s%s", row[i] != NULL ? row[i] : "NULL",
			    i + 1 == client.mysql_num_fields(res) ? "\n" : "|");
	if (res != NULL)
		client.mysql_free_result(res);
	return out;
}

static const char *
sql(const char *statement)
{
	MYSQL *db = sql_open();
	const char *out = sql_on(db, statement);

	client.mysql_close(db);
	return out;
}

static MYSQL *locker; /* has locks that others wait for */

static void
locker_close(void)
{
	if (locker != NULL)
		client.mysql_close(locker);
	locker = NULL;
}

static void
drop_all(void)
{
	locker_close(); /* of a test that has failed */
	sql("DROP TABLE IF EXISTS postfwd_logins, abichecker_upgrade, "
	    "abichecker_meta, abichecker_rates, abichecker_accounts, "
	    "abichecker_hits, abichecker_offenders, abichecker_positions");
}

/* Every test begins without our tables. */
static int
begin(void **state)
{
	(void)state;
	store_number++;
	cfg.store.timeout = 5;
	snprintf(store_url, sizeof(store_url), "%s", getenv("STORE_MYSQL"));
	drop_all();
	return 0;
}

/* Opening must fail, in time, with this in its text and no password. */
static void
must_not_open(const char *url, const char *why, double limit)
{
	char error[STORE_ERROR_MAX] = "";
	double took = seconds();
	struct store *s = store_open(&cfg, url, error, sizeof(error));
	size_t i;

	took = seconds() - took;
	if (s != NULL || strstr(error, why) == NULL)
		fail_msg("%s: not `%s' but `%s'", url, why, error);
	if (took > limit)
		fail_msg("%s: %.2f s", error, took);
	if (strstr(error, password) != NULL)
		fail_msg("it tells the password: %s", error);
	for (i = 0; error[i] != '\0'; i++)
		if ((unsigned char)error[i] < ' ')
			fail_msg("not printable: %s", error);
}

/* The URL of the server with another port, or other parts. */
static const char *
url_with(const char *user, const char *pass, long port, const char *name)
{
	static char url[512];
	struct store_url u;

	assert_null(store_url_parse(getenv("STORE_MYSQL"), &u));
	snprintf(url, sizeof(url), "mysql://%s:%s@127.0.0.1:%ld/%s",
	    user != NULL ? user : u.user, pass, port != 0 ? port : u.port,
	    name != NULL ? name : u.name);
	return url;
}

/* --- URLs --- */

static void
a_url_that_makes_no_sense_is_told(void **state)
{
	static const struct {
		const char *url, *why;
	} rows[] = {
		{ "mysql://u@127.0.0.1/", "no name of a database" },
		{ "mysql://u@127.0.0.1/x?sslmode=require",
		    "no parameter `sslmode'" },
		{ "mysql://u@127.0.0.1/x?ssl-mode=maybe", "ssl-mode is" },
		{ "mysql://u@127.0.0.1/x?ssl-ca=/x.pem", "without ssl-mode" },
		{ "mysql://u@127.0.0.1/x?local-infile=1",
		    "no parameter `local-infile'" },
		{ "mysql://u@/x?socket=/nonexistent/sock", "/nonexistent/" },
		{ "mysql://u@no-such-host.invalid/x", "no-such-host" },
		{ "mysql://u@127.0.0.1:1/x", "127.0.0.1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		must_not_open(rows[i].url, rows[i].why, 5.5);
}

static void
a_server_that_lets_nobody_in_is_told(void **state)
{
	(void)state;
	must_not_open(url_with(NULL, "wr0ng", 0, NULL), "Access denied", 1);
	must_not_open(url_with("n0body", "wr0ng", 0, NULL), "Access denied", 1);
	snprintf(store_url, sizeof(store_url), "%.200s_not",
	    getenv("STORE_MYSQL"));
	must_not_open(store_url, "denied", 1);
	assert_non_null(strchr(password, '%'));
}

static void
without_create_nothing_is_made(void **state)
{
	char error[STORE_ERROR_MAX] = "";

	(void)state;
	cfg.store.url = store_url;
	cfg.reputation.cache_dir = unit_dir;
	/* An empty one to be looked into */
	assert_non_null(store_get(&cfg, NOW, 5000, false, error,
	    sizeof(error)));
	assert_non_null(strstr(error, "no tables of abichecker"));
	assert_string_equal(sql("SHOW TABLES"), "");
	store_close();
}

/* --- how tables come about --- */

static int
child_opens(int n)
{
	struct store *s = store_again();
	struct store_counts c;
	char user[16];

	snprintf(user, sizeof(user), "u%d", n);
	CHILD_HOLDS(login_at(s, user, "192.0.2.1", "GB", NOW, &c) ==
	    STORE_FOUND, s);
	store_end(s);
	return 1;
}

static void
fifty_who_make_the_tables_at_once_all_succeed(void **state)
{
	(void)state;
	cfg.store.timeout = 60; /* they wait for each other */
	assert_int_equal(in_children(50, child_opens), 50);
	assert_string_equal(sql("SELECT COUNT(*), SUM(login_count) "
	    "FROM postfwd_logins"), "50|50\n");
	assert_string_equal(sql("SELECT value FROM abichecker_meta "
	    "WHERE name = 'schema'"), "1\n");
}

static void
a_schema_of_another_time_is_not_touched(void **state)
{
	static const char *const versions[] = { "2", "0", "-1", "x", "", "1x",
		"99999999999999999999" };
	char set[128];
	size_t i;

	(void)state;
	store_end(store_again());
	for (i = 0; i < COUNT(versions); i++) {
		snprintf(set, sizeof(set), "UPDATE abichecker_meta SET "
		    "value = '%s' WHERE name = 'schema'", versions[i]);
		sql(set);
		must_not_open(store_url, "later version", 1);
	}
}

static void
a_table_that_is_not_ours_is_an_error(void **state)
{
	struct store_login l = { "a", "192.0.2.1", "GB", NOW, NOW - DAY,
		false };
	struct store *s = store_again();
	struct store_account a;
	struct store_counts c;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		sql(i == 0 ? "ALTER TABLE postfwd_logins DROP last_login" :
			     "DROP TABLE postfwd_logins");
		must_fail(s, s->driver->login(s, &l, &c), "login");
		assert_non_null(strstr(s->error, i == 0 ? "last_login" :
							  "postfwd_logins"));
		assert_int_equal(s->failure, STORE_REFUSED);
		assert_int_equal(s->driver->account_find(s, "a", &a),
		    STORE_ABSENT);
	}
	sql("CREATE TABLE postfwd_logins (sasl_username VARBINARY(100), "
	    "ip_address INT, state_code INT, login_count VARCHAR(9), "
	    "last_login VARCHAR(99))");
	sql("INSERT INTO postfwd_logins VALUES ('a', NULL, 7, 'x', 'never'), "
	    "(NULL, 5, NULL, NULL, NULL), ('a', -1, 0, '', '2026-13-45')");
	must_fail(s, s->driver->login(s, &l, &c), "login"); /* not a number */
	l.peek = true;
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	store_end(s);
}

/* --- the plugin's table --- */

#define PLUGIN_TABLE                                                          \
	"CREATE TABLE postfwd_logins (sasl_username varchar(100), "           \
	"ip_address varchar(45), state_code varchar(4), login_count int, "    \
	"last_login timestamp)"

/* In the order in which iterate() gives them. */
static const struct {
	const char *user, *block, *country;
	long count;
	time_t last;
} merged[] = {
	{ "ann", "192.0.2.1", "SE", 7, 1792584300 }, /* the newest's */
	{ "ann", "192.0.2.2", "", 1, 1792584000 },
	{ "bob", "192.0.2.1", "FR", 7, 1792584002 }, /* newest: not known */
	{ "jos\xc3\xa9", "2001:db8::1", "CN", 2, 1792584060 },
	{ "nothing", "192.0.2.9", "", 1, 0 },
};

static void
plugin_fill(void)
{
	MYSQL *db = sql_open();

	sql_on(db, "SET time_zone = '+00:00', NAMES utf8mb4, sql_mode = ''");
	sql_on(db, "INSERT INTO postfwd_logins VALUES "
	    "('ann', '192.0.2.1', 'GB', 2, '2026-10-21 12:00:00'), "
	    "('Ann', '192.0.2.1', 'SE', 4, '2026-10-21 12:05:00'), "
	    "('ann', '192.0.2.1', 'GB', 1, '2026-10-21 12:01:00'), "
	    "('ann', '192.0.2.2', NULL, 1, '2026-10-21 12:00:00'), "
	    "('bob', '192.0.2.1', 'GB', 1, '2026-10-21 12:00:00'), "
	    "('BOB', '192.0.2.1', 'FR', 2, '2026-10-21 12:00:01'), "
	    "('bob', '192.0.2.1', NULL, 3, '2026-10-21 12:00:02'), "
	    "('bob ', '192.0.2.1', 'GB', 1, '2026-10-21 12:00:00'), "
	    "('jos\xc3\xa9', '2001:db8::1', 'CN', 1, '2026-10-21 12:00:00'), "
	    "('jos\xc3\xa9', '2001:db8::1', 'CN', 1, '2026-10-21 12:01:00')");
	/* What does not say who or where is nobody's. */
	sql_on(db, "ALTER TABLE postfwd_logins MODIFY last_login "
	    "timestamp NULL");
	sql_on(db, "INSERT INTO postfwd_logins VALUES "
	    "('nothing', '192.0.2.9', NULL, NULL, NULL), "
	    "(NULL, '192.0.2.9', 'GB', 1, '2026-10-21 12:00:00'), "
	    "('nobody', NULL, 'GB', 1, '2026-10-21 12:00:00')");
	client.mysql_close(db);
}

static void
merged_check(struct store *s, size_t table)
{
	struct rows *r = rows_of(s, STORE_LOGIN, "");
	size_t n;

	if (r->count != COUNT(merged))
		fail_msg("table %zu: %zu rows", table, r->count);
	for (n = 0; n < r->count; n++) {
		const struct store_login_row *l = &r->row[n].u.login;

		if (strcmp(l->user, merged[n].user) != 0 ||
		    strcmp(l->block, merged[n].block) != 0 ||
		    strcmp(l->country, merged[n].country) != 0 ||
		    l->count != merged[n].count || l->last != merged[n].last)
			fail_msg("table %zu: %s %s %s %ld %ld", table,
			    l->user, l->block, l->country, l->count,
			    (long)l->last);
	}
	free(r);
}

/* For copying it: not a row of it changes. */
static void
merged_read(size_t table)
{
	char error[STORE_ERROR_MAX] = "", before[64];
	struct store *s;

	snprintf(before, sizeof(before), "%s",
	    sql("CHECKSUM TABLE postfwd_logins"));
	s = store_open_existing(&cfg, store_url, error, sizeof(error));
	if (s == NULL)
		fail_msg("table %zu: %s", table, error);
	assert_true(s->logins_only);
	merged_check(s, table);
	store_end(s);
	assert_string_equal(sql("CHECKSUM TABLE postfwd_logins"), before);
	assert_string_equal(sql("SHOW TABLES"), "postfwd_logins\n");
}

static void
the_plugins_table_is_converted_without_a_loss(void **state)
{
	static const char *const tables[] = {
		PLUGIN_TABLE, PLUGIN_TABLE " CHARACTER SET latin1",
		PLUGIN_TABLE " ENGINE=MyISAM",
		PLUGIN_TABLE " ENGINE=Aria CHARACTER SET utf8mb3",
		PLUGIN_TABLE " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
		"CREATE TABLE postfwd_logins (sasl_username varchar(100), "
		"ip_address varchar(45), state_code varchar(4), login_count "
		"int, last_login timestamp, INDEX "
		"postfwd_sasl_client_state_index (sasl_username, ip_address, "
		"state_code), INDEX postfwd_sasl_username (sasl_username), "
		"note varchar(20) DEFAULT 'x' INVISIBLE)",
	};
	struct store_counts c;
	struct store *s;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(tables); i++) {
		drop_all();
		sql(tables[i]);
		plugin_fill();
		merged_read(i);
		s = store_again();
		merged_check(s, i);
		login_at(s, "ann", "192.0.2.1", "GB", NOW, &c);
		store_end(s);
		assert_string_equal(sql("SELECT login_count FROM "
		    "postfwd_logins WHERE sasl_username = 'ann' "
		    "AND ip_address = '192.0.2.1'"), "8\n");
		assert_string_equal(sql("SHOW TABLES LIKE '%upgrade'"), "");
	}
}

/* So many rows of the plugin, two of each user and address. */
static void
plugin_fill_many(int count)
{
	char text[256];

	sql(PLUGIN_TABLE);
	snprintf(text, sizeof(text), "INSERT INTO postfwd_logins "
	    "SELECT CONCAT('User', seq DIV 20), CONCAT('192.0.2.', "
	    "(seq DIV 2) MOD 10), 'GB', 1 + seq MOD 3, NOW() "
	    "FROM seq_0_to_%d", count - 1);
	sql(text);
}

static int
child_converts(int n)
{
	struct store *s = store_again();

	(void)n;
	store_end(s);
	return 1;
}

static void
a_conversion_that_is_killed_loses_nothing(void **state)
{
	int round, status, finished = 0;
	double whole_time = seconds();
	char whole[32];
	pid_t pid;

	(void)state;
	plugin_fill_many(3000);
	assert_int_equal(child_converts(0), 1);
	whole_time = seconds() - whole_time;
	srandom(3);
	for (round = 0; round < 20; round++) {
		drop_all();
		plugin_fill_many(3000);
		snprintf(whole, sizeof(whole), "%s",
		    sql("SELECT SUM(login_count) FROM postfwd_logins"));
		pid = store_fork();
		if (pid == 0)
			_exit(child_converts(0));
		usleep((useconds_t)(whole_time * 1e4 *
		    (double)(random() % 100)));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		finished += WIFEXITED(status);
		assert_string_equal(sql("SELECT SUM(login_count) "
		    "FROM postfwd_logins"), whole);
		/* The next ones finish it, and in the end it is ours. */
		assert_int_equal(in_children(3, child_converts), 3);
		assert_string_equal(sql("SELECT SUM(login_count) "
		    "FROM postfwd_logins"), whole);
		assert_string_equal(sql("SELECT COUNT(*), COUNT(DISTINCT "
		    "sasl_username, ip_address) FROM postfwd_logins"),
		    "1500|1500\n");
	}
	if (finished == round)
		fail_msg("none was killed in the middle");
}

/* Who cannot have finished in time does not begin. */
static void
a_table_that_is_too_large_waits_for_somebody_with_time(void **state)
{
	(void)state;
	cfg.store.timeout = 1;
	plugin_fill_many(20000);
	must_not_open(store_url, "store.timeout=60s", 1);
	assert_string_equal(sql("SELECT COUNT(*) FROM postfwd_logins"),
	    "20000\n");
	cfg.store.timeout = 60;
	store_end(store_again());
	assert_string_equal(sql("SELECT COUNT(*) FROM postfwd_logins"),
	    "10000\n");
}

/* --- locks of others --- */

static void
a_lock_of_others_is_waited_for_no_longer_than_the_timeout(void **state)
{
	struct store_login l = { "a", "192.0.2.1", "FR", NOW, NOW - DAY,
		false };
	struct store *s = store_again();
	struct store_counts c;
	MYSQL *other = sql_open();
	double took;
	pid_t pid;

	(void)state;
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	sql_on(other, "START TRANSACTION");
	sql_on(other, "UPDATE postfwd_logins SET login_count = 9");
	s->wait_ms = 700;
	took = seconds();
	must_fail(s, s->driver->login(s, &l, &c), "login");
	took = seconds() - took;
	if (took < 0.6 || took > 4) /* not the 5 of store.timeout */
		fail_msg("%.2f s", took);
	/* Reading does not wait; who fails talks to the server again. */
	login_peek(s, "a", "192.0.2.2", "GB", NOW, NOW - DAY, &c);
	assert_int_equal(c.addresses, 2);
	/* One that ends in time is no error. */
	s->wait_ms = 20000;
	pid = store_fork();
	if (pid == 0) {
		usleep(300000);
		client.mysql_query(other, "COMMIT");
		_exit(0);
	}
	assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	client.mysql_close(other);
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
		{ "LOCK TABLES postfwd_logins WRITE", STORE_BROKEN },
		{ "LOCK TABLES postfwd_logins READ", STORE_BROKEN },
	};
	struct store_login l = { "a", "192.0.2.1", "FR", NOW, NOW - DAY,
		false };
	struct store_counts c;
	struct store *s;
	double took;
	MYSQL *db;
	size_t i;

	(void)state;
	cfg.store.timeout = 3;
	s = store_again();
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	login_at(s, "b", "192.0.2.1", "GB", NOW, &c);
	db = ((struct maria_store *)s)->db;
	for (i = 0; i < COUNT(rows); i++) {
		locker = sql_open();
		sql_on(locker, "START TRANSACTION");
		sql_on(locker, rows[i].lock);
		took = seconds();
		must_fail(s, s->driver->login(s, &l, &c), rows[i].lock);
		took = seconds() - took;
		if (took >= 3)
			fail_msg("%s: %f s: %s", rows[i].lock, took, s->error);
		if (s->failure != rows[i].failure)
			fail_msg("%s: kind %d: %s", rows[i].lock, s->failure,
			    s->error);
		if (s->failure == STORE_BUSY)
			login_at(s, "b", "192.0.2.1", "GB", NOW, &c);
		locker_close();
		assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
		assert_ptr_equal(((struct maria_store *)s)->db, db);
	}
	store_end(s);
}

/* Whatever a statement is answered: what follows from it. */
static void
errors_are_sorted_by_what_follows_from_them(void **state)
{
	static const struct {
		int code;
		enum store_failure failure;
	} rows[] = {
		{ 1406, STORE_BAD_DATA }, { 1062, STORE_BAD_DATA },
		{ 1264, STORE_BAD_DATA }, { 1292, STORE_BAD_DATA },
		{ 1366, STORE_BAD_DATA }, { 1048, STORE_BAD_DATA },
		{ 4025, STORE_BAD_DATA }, { 3819, STORE_BAD_DATA },
		{ 1452, STORE_BAD_DATA }, { 1644, STORE_BAD_DATA },
		{ 1205, STORE_BUSY }, { 1213, STORE_BUSY },
		{ 1969, STORE_BUSY }, { 1203, STORE_BUSY },
		{ 1180, STORE_BUSY }, { 1047, STORE_BROKEN },
		{ 1142, STORE_REFUSED }, { 1290, STORE_REFUSED },
		{ 1114, STORE_REFUSED }, { 1021, STORE_REFUSED },
		{ 1146, STORE_REFUSED }, { 1054, STORE_REFUSED },
		{ 1034, STORE_REFUSED }, { 9999, STORE_REFUSED },
	};
	const struct store_login l = { "bad", "192.0.2.1", "GB", NOW,
		NOW - DAY, false };
	struct store *s;
	struct store_counts c;
	char trigger[512];
	MYSQL *db;
	size_t i;

	(void)state;
	cfg.store.timeout = 1; /* so long is tried again what may succeed */
	s = store_again();
	login_at(s, "good", "192.0.2.1", "GB", NOW, &c);
	db = ((struct maria_store *)s)->db;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(trigger, sizeof(trigger), "CREATE OR REPLACE TRIGGER "
		    "refuse BEFORE INSERT ON postfwd_logins FOR EACH ROW "
		    "IF NEW.sasl_username = 'bad' THEN SIGNAL SQLSTATE "
		    "'45000' SET MESSAGE_TEXT = 'so it is', MYSQL_ERRNO = %d; "
		    "END IF", rows[i].code);
		sql(trigger);
		must_fail(s, s->driver->login(s, &l, &c), "login");
		if (s->failure != rows[i].failure ||
		    strstr(s->error, "so it is") == NULL)
			fail_msg("%d: kind %d: %s", rows[i].code, s->failure,
			    s->error);
		assert_int_equal(login_at(s, "good", "192.0.2.1", "GB", NOW,
		    &c), STORE_FOUND);
		assert_ptr_equal(((struct maria_store *)s)->db, db);
	}
	store_end(s);
}

/* Others were in the way, or a node of Galera is not ready: the third time. */
static void
what_may_succeed_is_tried_again(void **state)
{
	static const int codes[] = { 1213, 1020, 1180, 1047 };
	struct store *s;
	struct store_counts c;
	char trigger[512];
	size_t i;

	(void)state;
	cfg.store.timeout = 8;
	s = store_again();
	for (i = 0; i < COUNT(codes); i++) {
		snprintf(trigger, sizeof(trigger), "CREATE OR REPLACE TRIGGER "
		    "refuse BEFORE INSERT ON postfwd_logins FOR EACH ROW "
		    "IF IFNULL(@tries%d, 0) < 2 THEN "
		    "SET @tries%d = IFNULL(@tries%d, 0) + 1; "
		    "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = %d; END IF",
		    codes[i], codes[i], codes[i], codes[i]);
		sql(trigger);
		assert_int_equal(login_at(s, "a", "192.0.2.1", "GB", NOW, &c),
		    STORE_FOUND);
	}
	sql("DROP TRIGGER refuse");
	store_end(s);
}

/* One row of many that does not fit: all are rolled back, and it goes on. */
static void
a_transaction_that_fails_leaves_nothing_open(void **state)
{
	struct store *s = store_again();
	struct store_row rows[2] = { { .kind = STORE_LOGIN },
		{ .kind = STORE_LOGIN } };
	struct store_counts c;
	MYSQL *db;

	(void)state;
	sql("ALTER TABLE postfwd_logins ADD CHECK (login_count < 100)");
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	db = ((struct maria_store *)s)->db;
	snprintf(rows[0].u.login.user, STORE_USER_MAX, "one");
	snprintf(rows[1].u.login.user, STORE_USER_MAX, "other");
	rows[0].u.login.count = 1;
	rows[1].u.login.count = 100;
	must_fail(s, s->driver->restore(s, rows, 2), "restore");
	assert_int_equal(s->failure, STORE_BAD_DATA);
	assert_ptr_equal(((struct maria_store *)s)->db, db);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 1);
	assert_int_equal(s->driver->restore(s, rows, 1), STORE_FOUND);
	assert_ptr_equal(((struct maria_store *)s)->db, db);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 2);
	store_end(s);
}

/* Two batches of many blocks in opposite order, and others by hand. */
static int
child_applies(int n)
{
	static const struct store_rule rule = { "auth", 2, 1000 };
	struct store_offender o = { .rule = "manual", .listed = true };
	struct store *s = store_again();
	char blocks[100][32], key[32], source[32], old[32] = "", new[32];
	struct store_hit hits[100];
	struct store_batch b = { .hits = hits, .hit_count = 100,
		.rules = &rule, .rule_count = 1, .ban = 60, .ban_max = 600,
		.now = NOW, .source = source, .position_old = old,
		.position_new = new };
	int round, i;

	snprintf(source, sizeof(source), "mx%d journal", n);
	for (round = 0; round < 20; round++) {
		snprintf(key, sizeof(key), "%d", round);
		snprintf(new, sizeof(new), "%d", round + 1);
		for (i = 0; i < 100; i++) {
			snprintf(blocks[i], sizeof(blocks[i]), "192.0.2.%d/32",
			    n % 2 == 0 ? i : 99 - i);
			hits[i] = (struct store_hit){ blocks[i], "auth", key,
				NOW + round * 70 };
		}
		CHILD_HOLDS(s->driver->offenders_apply(s, &b) == STORE_FOUND,
		    s);
		snprintf(o.block, sizeof(o.block), "198.51.100.%d/32", n);
		CHILD_HOLDS(s->driver->offender_add(s, &o) != STORE_ERROR, s);
		CHILD_HOLDS(s->driver->offenders_expire(s, NOW + round) !=
		    STORE_ERROR, s);
		snprintf(old, sizeof(old), "%s", new);
	}
	store_end(s);
	return 1;
}

static void
many_batches_at_once_do_not_lock_each_other_out(void **state)
{
	(void)state;
	cfg.store.timeout = 20;
	store_end(store_again());
	assert_int_equal(in_children(6, child_applies), 6);
}

/* --- statements --- */

/* MySQL has no compound statements: recorded first, counted then. */
static void
a_login_is_counted_the_same_in_two_statements(void **state)
{
	static const struct {
		const char *block, *country;
		long countries, addresses;
		const char *previous;
	} rows[] = {
		{ "192.0.2.1", "GB", 1, 1, "" },
		{ "192.0.2.1", "GB", 1, 1, "" },
		{ "192.0.2.2", "SE", 2, 2, "192.0.2.1" },
		{ "192.0.2.2", "", 2, 2, "192.0.2.1" },
		{ "192.0.2.1", "SE", 1, 2, "192.0.2.2" },
	};
	struct store *s = store_again();
	struct store_counts c;
	size_t i, plain;
	char user[8];

	(void)state;
	for (plain = 0; plain < 2; plain++)
		for (i = 0; i < COUNT(rows); i++) {
			((struct maria_store *)s)->plain = plain == 1;
			snprintf(user, sizeof(user), "u%zu", plain);
			login_at(s, user, rows[i].block, rows[i].country,
			    NOW + (time_t)i, &c);
			if (c.countries != rows[i].countries ||
			    c.addresses != rows[i].addresses ||
			    strcmp(c.previous, rows[i].previous) != 0)
				fail_msg("%zu row %zu: %ld %ld %s", plain, i,
				    c.countries, c.addresses, c.previous);
		}
	store_end(s);
}

/* --- the same as in SQLite --- */

static int
line_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

#define LINE 256

/* What a store has of offenders and hits, a line each, in order. */
static size_t
lines_of(struct store *s, char (*lines)[LINE], size_t max)
{
	struct rows *r = rows_whole(s, STORE_OFFENDER, "");
	const struct store_offender *o;
	const struct store_hit_row *h;
	size_t i, n = 0;

	for (i = 0; i < r->count && n < max; i++) {
		o = &r->row[i].u.offender;
		snprintf(lines[n++], LINE, "%s %s %s %ld %ld %ld %ld %ld %d",
		    o->block, o->rule, o->note, o->hits, o->times,
		    (long)o->since, (long)o->last, (long)o->expires,
		    o->listed);
	}
	free(r);
	r = rows_of(s, STORE_HIT, "");
	for (i = 0; i < r->count && n < max; i++) {
		h = &r->row[i].u.hit;
		snprintf(lines[n++], LINE, "%s %s %s %ld", h->block, h->rule,
		    h->key, (long)h->time);
	}
	free(r);
	qsort(lines, n, LINE, line_compare);
	return n;
}

/* Random batches, large and small, into both. */
static void
batches_have_the_same_outcome_as_in_sqlite(void **state)
{
	static const struct store_rule rules[] = {
		{ "once", 1, 100 }, { "few", 3, 200 }, { "many", 9, 5000 },
	};
	static const char *const names[] = { "once", "few", "many", "other" };
	static char ours[4096][LINE], theirs[4096][LINE];
	char url[128], blocks[150][32], keys[150][16], old[16] = "", new[16];
	struct store_hit hits[150];
	struct store_batch b = { .hits = hits, .rules = rules,
		.rule_count = COUNT(rules), .ban = 60, .ban_max = 500,
		.source = "mx journal", .position_old = old,
		.position_new = new };
	struct store *mysql = store_again(), *sqlite;
	size_t round, i, n, listed = 0;

	(void)state;
	snprintf(url, sizeof(url), "sqlite:%s/%d.db", unit_dir, store_number);
	sqlite = store_at(url);
	srandom(7);
	for (round = 0; round < 150; round++) {
		b.hit_count = (size_t)random() % (round % 5 == 0 ? 150 : 6);
		for (i = 0; i < b.hit_count; i++) {
			snprintf(blocks[i], 32, "192.0.2.%ld/32",
			    random() % (round % 5 == 0 ? 70 : 9));
			snprintf(keys[i], 16, "k%ld", random() % 12);
			hits[i] = (struct store_hit){ blocks[i],
				names[i % 10 == 0 ? 0 : 1 + random() % 3],
				keys[i], NOW + (long)round * 20 +
				random() % 600 };
		}
		snprintf(new, sizeof(new), "%zu", round + 1);
		assert_int_equal(mysql->driver->offenders_apply(mysql, &b),
		    STORE_FOUND);
		assert_int_equal(sqlite->driver->offenders_apply(sqlite, &b),
		    STORE_FOUND);
		snprintf(old, sizeof(old), "%s", new);
		if (round % 10 == 9)
			assert_int_equal(mysql->driver->offenders_expire(mysql,
					     NOW + (long)round * 20),
			    sqlite->driver->offenders_expire(sqlite,
				NOW + (long)round * 20));
		n = lines_of(mysql, ours, COUNT(ours));
		assert_int_equal(lines_of(sqlite, theirs, COUNT(theirs)), n);
		for (i = 0; i < n; i++)
			assert_string_equal(ours[i], theirs[i]);
		listed += n;
	}
	assert_true(listed > 1000);
	store_end(mysql);
	store_end(sqlite);
}

/* --- connections that end --- */

static void
a_connection_that_the_server_has_ended_is_made_anew(void **state)
{
	struct store *s = store_again();
	struct store_counts c;
	char text[64], kill_it[80];
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
		snprintf(text, sizeof(text), "%s", sql("SELECT id FROM "
		    "information_schema.processlist WHERE id <> "
		    "CONNECTION_ID() AND user = "
		    "SUBSTRING_INDEX(USER(), '@', 1) ORDER BY id DESC "
		    "LIMIT 1"));
		assert_int_not_equal(text[0], '\0');
		snprintf(kill_it, sizeof(kill_it), "KILL %s", text);
		sql(kill_it);
		usleep(20000);
	}
	assert_int_equal(login_sum(s, "a"), 3);
	store_end(s);
}

/* A listener on loopback; its port. */
static int
listener(long *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Carries up to so many bytes from the server, then cuts or holds them. */
static void
proxy(int fd, long limit, bool cut)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct store_url u;
	char buf[4096];
	ssize_t n;
	int i;

	(void)store_url_parse(getenv("STORE_MYSQL"), &u);
	a.sin_port = htons((uint16_t)u.port);
	p[0].fd = accept(fd, NULL, NULL);
	p[1].fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(p[1].fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		_exit(1);
	while (poll(p, 2, 10000) > 0)
		for (i = 0; i < 2; i++) {
			if (p[i].revents == 0)
				continue;
			n = read(p[i].fd, buf, i == 1 && limit < 4096 ?
			    (size_t)limit : sizeof(buf));
			if (n <= 0 || write(p[1 - i].fd, buf, (size_t)n) != n)
				_exit(0);
			limit -= i == 1 ? n : 0;
			if (limit > 0)
				continue;
			while (!cut && read(p[0].fd, buf, sizeof(buf)) > 0)
				;
			_exit(0);
		}
	_exit(0);
}

/* Wherever an answer ends, it is an error in time and nothing else. */
static void
an_answer_that_does_not_come_to_its_end_is_an_error(void **state)
{
	struct store_login l = { "a", "192.0.2.1", "FR", NOW, NOW - DAY,
		false };
	char error[STORE_ERROR_MAX], url[512];
	struct store_counts c;
	struct store *s;
	double took;
	long limit, port;
	int fd, opened = 0;
	pid_t pid;

	(void)state;
	store_end(store_again());
	cfg.store.timeout = 1;
	for (limit = 1; limit < 700; limit += limit % 50 == 7 ? 43 : 1) {
		if (limit % 50 > 7)
			continue;
		fd = listener(&port);
		pid = store_fork();
		if (pid == 0)
			proxy(fd, limit, limit % 50 != 7);
		snprintf(url, sizeof(url), "%s", getenv("STORE_MYSQL"));
		snprintf(url, sizeof(url), "%s", url_with(NULL,
		    "se-cret%25%2f%40%3ax", port, NULL));
		error[0] = '\0';
		took = seconds();
		s = store_open(&cfg, url, error, sizeof(error));
		if (s != NULL) {
			opened++;
			s->wait_ms = 1000;
			if (s->driver->login(s, &l, &c) == STORE_ERROR)
				assert_true(s->error[0] != '\0');
			store_end(s);
		} else if (strlen(error) < 10)
			fail_msg("%ld: `%s'", limit, error);
		took = seconds() - took;
		if (took > 6) /* it would never end */
			fail_msg("%ld bytes: %.2f s", limit, took);
		close(fd);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_true(opened > 0);
}

/* Connects, and no word comes; then not even a connection. */
static void
a_server_that_says_nothing_is_left_in_time(void **state)
{
	struct store *s = store_again();
	struct store_counts c;
	long port, i;
	int fd = listener(&port), held[64];

	(void)state;
	cfg.store.timeout = 1;
	must_not_open(url_with(NULL, "x", port, NULL), "store.timeout", 5);
	/* Full: nobody is accepted any more. */
	for (i = 0; i < 64; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET,
			.sin_port = htons((uint16_t)port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		held[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(held[i], (struct sockaddr *)&a, sizeof(a));
	}
	must_not_open(url_with(NULL, "x", port, NULL), "store.timeout", 5);
	for (i = 0; i < 64; i++)
		close(held[i]);
	close(fd);
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	store_end(s);
}

/* --- servers that are none --- */

/* A packet of text that may have NUL in it. */
static void
send_packet(int fd, int number, const void *data, size_t len)
{
	unsigned char head[4] = { (unsigned char)len,
		(unsigned char)(len >> 8), (unsigned char)(len >> 16),
		(unsigned char)number };

	(void)!write(fd, head, 4);
	(void)!write(fd, data, len);
}

/* Reads one; keeps what it was in *all. */
static ssize_t
read_packet(int fd, FILE *all)
{
	unsigned char head[4], buf[4096];
	size_t len;
	ssize_t n;

	if (recv(fd, head, 4, MSG_WAITALL) != 4)
		return -1;
	len = (size_t)(head[0] | head[1] << 8 | head[2] << 16);
	n = len == 0 ? 0 : recv(fd, buf, len < sizeof(buf) ? len : sizeof(buf),
	    MSG_WAITALL);
	if (n > 0)
		fwrite(buf, 1, (size_t)n, all);
	fflush(all);
	return n;
}

#define BYTES(text) text, sizeof(text) - 1
#define GREETING                                                              \
	"\x0a" "5.5.5-10.11.0-MariaDB\0" "\1\0\0\0" "abcdefgh" "\0"            \
	"\x89\xa2\x2d\x02\0\x2e\0\x15" "\0\0\0\0\0\0\0\0\0\0" "ijklmnopqrst\0" \
	"mysql_native_password\0"
#define OK "\0\0\0\2\0\0\0"
#define END "\xfe\0\0\2\0"
#define COLUMN                                                                \
	"\3def\0\0\0\1v\0\x0c\x3f\0\xff\0\0\0\xfd\0\0\0\0\0"
#define INFILE "\xfb" "/etc/passwd"

/* What it says, packets from number 1 on. */
struct lie {
	const char *why; /* in the error */
	struct {
		const char *data;
		size_t len;
	} packet[8];
	bool for_ever; /* the last one again and again */
	/* To the first statement of all, to a prepared one, or the last of
	 * them when it is executed. */
	enum { TO_PREPARE, TO_FIRST, TO_EXECUTE } when;
};

#define PREPARED                                                              \
	{ BYTES("\0\1\0\0\0\1\0\1\0\0\0\0") }, { BYTES(COLUMN) },         \
	{ BYTES(END) }, { BYTES(COLUMN) }, { BYTES(END) }

static const struct lie lies[] = {
	{ "mysql:", { { BYTES(INFILE) } }, .when = TO_FIRST },
	{ "mysql:", { { BYTES("\1") }, { BYTES(COLUMN) }, { BYTES(END) },
	    { BYTES("\1x") } }, .when = TO_FIRST },
	{ "mysql:", { { BYTES(INFILE) } }, .for_ever = false },
	{ "bad?[1m name", { { BYTES("\xff\x1e\4#42S22bad\x1b[1m\nname") } },
	    .for_ever = false },
	{ "other parameters", { { BYTES("\0\1\0\0\0\0\0\0\0\0\0\0") } },
	    .for_ever = false },
	{ "mysql:", { { BYTES("\0\1\0\0\0\xff\xff\xff\xff\0\0\0") } },
	    .for_ever = false },
	{ "mysql:", { { BYTES("") } }, .for_ever = false },
	{ "mysql:", { { BYTES("\0") } }, .for_ever = false },
	{ "mysql:", { { BYTES("\xff") } }, .for_ever = false },
	{ "mysql:", { { BYTES("\0\1\0\0\0\1\0\1\0\0\0\0") },
	    { BYTES(COLUMN) }, { BYTES(END) }, { BYTES("\3de") },
	    { BYTES(END) } }, .for_ever = false },
	{ "mysql:", { PREPARED, { BYTES(INFILE) } },
	    .when = TO_EXECUTE },
	{ "mysql:", { PREPARED, { BYTES("\xfc\xff\xff") } },
	    .when = TO_EXECUTE },
	{ "mysql:", { PREPARED, { BYTES("\xfe\xff\xff\xff\xff\xff") } },
	    .when = TO_EXECUTE },
	{ "mysql:", { PREPARED, { BYTES(OK) } }, .when = TO_EXECUTE },
	{ "mysql:", { PREPARED, { BYTES("\1") } }, .for_ever = true,
	    .when = TO_EXECUTE },
};

/* Everything that it hears goes to the file. */
static void
liar(int fd, const struct lie *lie, const char *plugin, FILE *all)
{
	char switched[64];
	int c = accept(fd, NULL, NULL), i, n;

	signal(SIGPIPE, SIG_DFL);
	send_packet(c, 0, BYTES(GREETING));
	read_packet(c, all);
	if (plugin != NULL) {
		n = snprintf(switched, sizeof(switched), "\xfe%s%c", plugin, 0);
		send_packet(c, 2, switched, (size_t)n);
		read_packet(c, all);
		_exit(0);
	}
	send_packet(c, 2, BYTES(OK));
	for (i = 0; i < 2 && lie->when != TO_FIRST; i++) {
		read_packet(c, all);
		send_packet(c, 1, BYTES(OK));
	}
	read_packet(c, all);
	for (n = 0; n < 8 && lie->packet[n].data != NULL; n++) {
		bool last = n == 7 || lie->packet[n + 1].data == NULL;

		if (last && lie->when == TO_EXECUTE)
			read_packet(c, all);
		send_packet(c, last && lie->when == TO_EXECUTE ? 1 : n + 1,
		    lie->packet[n].data, lie->packet[n].len);
		for (i = 2; last && lie->for_ever; i++)
			send_packet(c, i & 0xff, lie->packet[n].data,
			    lie->packet[n].len);
	}
	while (read_packet(c, all) >= 0)
		;
	_exit(0);
}

/* Does the file have these bytes? */
static bool
was_told(FILE *all, const char *text)
{
	static char buf[65536];
	size_t n;

	rewind(all);
	n = fread(buf, 1, sizeof(buf), all);
	return memmem(buf, n, text, strlen(text)) != NULL;
}

static void
lie_to(const struct lie *lie, const char *plugin, const char *why)
{
	FILE *all = tmpfile();
	long port;
	int fd = listener(&port);
	pid_t pid;

	assert_non_null(all);
	pid = store_fork();
	if (pid == 0)
		liar(fd, lie, plugin, all);
	close(fd);
	must_not_open(url_with("us3r", "se-cret", port, NULL), why, 1.5);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(was_told(all, "us3r"));
	assert_false(was_told(all, "se-cret"));
	assert_false(was_told(all, "root:"));
	fclose(all);
}

static void
a_server_that_lies_gets_neither_file_nor_password(void **state)
{
	static const char *const plugins[] = { "mysql_clear_password",
		"dialog", "../x", "", "auth_gssapi_client" };
	size_t i;

	(void)state;
	cfg.store.timeout = 1;
	snprintf(password, sizeof(password), "se-cret");
	for (i = 0; i < COUNT(lies); i++)
		lie_to(&lies[i], NULL, lies[i].why);
	for (i = 0; i < COUNT(plugins); i++)
		lie_to(NULL, plugins[i], "mysql:");
}

/* --- the queries that people have --- */

static void
the_published_queries_run_on_our_table(void **state)
{
	static const struct {
		const char *sql, *result;
	} rows[] = {
		{ "SELECT sasl_username, SUM(login_count), COUNT(*) AS "
		  "ip_address_count, COUNT(DISTINCT state_code) AS "
		  "country_login_count FROM postfwd_logins "
		  "GROUP BY sasl_username HAVING country_login_count > 1",
		    "wide|4|4|2\n" },
		{ "SELECT SUM(login_count) FROM postfwd_logins "
		  "WHERE sasl_username='wide'", "4\n" },
		{ "SELECT COUNT(DISTINCT ip_address) FROM postfwd_logins "
		  "WHERE sasl_username='wide'", "4\n" },
		{ "SELECT ip_address, state_code, last_login "
		  "FROM postfwd_logins WHERE sasl_username = 'wide' "
		  "ORDER BY last_login LIMIT 2",
		    "192.0.2.0||2027-01-15 08:00:00\n" },
		{ "DELETE FROM postfwd_logins WHERE UNIX_TIMESTAMP(last_login)"
		  " < 1", "" },
	};
	static const char *const countries[] = { "GB", "SE", "GB", "" };
	struct store *s = store_again();
	struct store_counts c;
	char block[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(countries); i++) {
		snprintf(block, sizeof(block), "192.0.2.%zu", i);
		login_at(s, "wide", block, countries[i], NOW + (time_t)i, &c);
	}
	for (i = 0; i < COUNT(rows); i++)
		if (i != 3 && strcmp(sql(rows[i].sql), rows[i].result) != 0)
			fail_msg("%s\ngives\n%s", rows[i].sql,
			    sql(rows[i].sql));
	assert_string_equal(sql(rows[3].sql),
	    "192.0.2.0|GB|2027-01-15 08:00:00\n"
	    "192.0.2.1|SE|2027-01-15 08:00:01\n");
	store_end(s);
}

static int
group_begin(void **state)
{
	struct store_url u;
	char error[256];

	if (!library_load("libmariadb.so.3", LIBRARY_NAMES(CLIENT), &client,
		error, sizeof(error)))
		return 1;
	assert_null(store_url_parse(getenv("STORE_MYSQL"), &u));
	snprintf(password, sizeof(password), "%s", u.password);
	return store_dir_make(state);
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

		assert_int_equal(begin(state), 0);
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
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(a_url_that_makes_no_sense_is_told),
		TEST(a_server_that_lets_nobody_in_is_told),
		TEST(without_create_nothing_is_made),
		TEST(fifty_who_make_the_tables_at_once_all_succeed),
		TEST(a_schema_of_another_time_is_not_touched),
		TEST(a_table_that_is_not_ours_is_an_error),
		TEST(the_plugins_table_is_converted_without_a_loss),
		TEST(a_conversion_that_is_killed_loses_nothing),
		TEST(a_table_that_is_too_large_waits_for_somebody_with_time),
		TEST(a_lock_of_others_is_waited_for_no_longer_than_the_timeout),
		TEST(who_waits_for_a_lock_is_told_whose_it_is),
		TEST(errors_are_sorted_by_what_follows_from_them),
		TEST(what_may_succeed_is_tried_again),
		TEST(a_transaction_that_fails_leaves_nothing_open),
		TEST(many_batches_at_once_do_not_lock_each_other_out),
		TEST(a_login_is_counted_the_same_in_two_statements),
		TEST(batches_have_the_same_outcome_as_in_sqlite),
		TEST(a_connection_that_the_server_has_ended_is_made_anew),
		TEST(an_answer_that_does_not_come_to_its_end_is_an_error),
		TEST(a_server_that_says_nothing_is_left_in_time),
		TEST(a_server_that_lies_gets_neither_file_nor_password),
		TEST(the_published_queries_run_on_our_table),
		TEST(no_two_databases_begin_with_the_same_generation),
	};

	if (getenv("STORE_MYSQL") == NULL) {
		printf("1..0 # skipped: STORE_MYSQL names no server\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, group_begin, unit_dir_remove);
}
