/*
 * store_mysql_wire - talking to a MySQL or MariaDB server, with a time limit.
 *
 * libmariadb's non-blocking calls: each is started, and continued when its
 * socket is ready. When the time of an operation is over the socket is shut
 * down and the call continued with a timeout, so that it ends by itself and
 * leaves nothing after. Everything from the server is hostile: the numbers of
 * parameters and columns must be those of our statement, texts are cut to
 * their buffers, and a server that asks for a file gets none.
 */
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "store/mysql/mysql.h"

#define CURSOR_ROWS 500 /* fetched at once */
#define RESULTS_MAX 8   /* of a statement */
#define TRY_MS 50       /* what another attempt takes */
#define lib maria_library

/* Has the server ended the connection, or said something unasked? */
static bool
connection_is_over(const struct maria_store *s)
{
	return s->db == NULL || s->broken ||
	    store_stale(lib.mysql_get_socket(s->db));
}

/* --- parameters --- */

static void
value_bind(struct maria_store *s, const struct sql_value *v)
{
	MYSQL_BIND *b = &s->bind[s->bound++];

	memset(b, 0, sizeof(*b));
	b->buffer_type = MYSQL_TYPE_NULL;
	if (v->type == SQL_NUMBER) {
		b->buffer_type = MYSQL_TYPE_LONGLONG;
		b->buffer = (void *)(uintptr_t)&v->number;
	} else if (v->type != SQL_NULL) {
		/* Bytes, not characters: nothing is converted. */
		b->buffer_type = MYSQL_TYPE_BLOB;
		b->buffer = (void *)(uintptr_t)v->text;
		b->buffer_length = strlen(v->text);
	}
}

static void
step_bind(struct maria_store *s, const struct sql_step *step)
{
	size_t i, marks = step->name < SQL_PREPARED ?
	    sql_marks(step->name, step->count) : step->count;

	for (i = 0; i < marks; i++)
		value_bind(s, &step->values[step->name < SQL_PREPARED ?
			sql_parameter(step->name, i) : i]);
}

/* --- statements --- */

static const char *const own[] = { /* from MARIA_COMPOUND + 1 on */
#define TEXT(name, sqlite, pgsql, mysql, ...) mysql,
	SCHEMA_SQL(TEXT)
};

/* The text of a statement; of two, for MARIA_COMPOUND. */
static void
statement_text(const struct maria_store *s, unsigned name, char *out,
    size_t size)
{
	char put[SQL_TEXT_MAX / 4], count[SQL_TEXT_MAX / 4];

	if (name < SQL_PREPARED)
		sql_text(SQL_MYSQL, name, out, size);
	else if (name == MARIA_COMPOUND) {
		sql_text(SQL_MYSQL, s->compound[0], put, sizeof(put));
		sql_text(SQL_MYSQL, s->compound[1], count, sizeof(count));
		snprintf(out, size, "BEGIN NOT ATOMIC %s; %s; END", put,
		    count);
	} else
		snprintf(out, size, "%s", own[name - MARIA_COMPOUND - 1]);
}

/* The statement, prepared; NULL on failure, told. */
static MYSQL_STMT *
statement(struct maria_store *s, unsigned name)
{
	const unsigned long cursor = CURSOR_TYPE_READ_ONLY, rows = CURSOR_ROWS;
	MYSQL_STMT *st = s->prepared[name];
	char sql[SQL_TEXT_MAX];
	int rc = 1;

	if (st != NULL)
		return st;
	st = lib.mysql_stmt_init(s->db);
	if (st == NULL) {
		maria_failed(s, "out of memory");
		return NULL;
	}
	/* Others are run while its rows are read. */
	if (name == MARIA_PLUGIN_ROWS) {
		lib.mysql_stmt_attr_set(st, STMT_ATTR_CURSOR_TYPE, &cursor);
		lib.mysql_stmt_attr_set(st, STMT_ATTR_PREFETCH_ROWS, &rows);
	}
	statement_text(s, name, sql, sizeof(sql));
	CALL(s, st, mysql_stmt_prepare, &rc, st, sql, strlen(sql));
	if (rc != 0)
		maria_error(s, st);
	else if (lib.mysql_stmt_param_count(st) != s->bound) {
		maria_failed(s, "the server counts other parameters");
		s->broken = true;
	} else
		return s->prepared[name] = st;
	if (s->broken)
		shutdown(lib.mysql_get_socket(s->db), SHUT_RDWR);
	lib.mysql_stmt_close(st);
	return NULL;
}

/* Runs a constant text without parameters and rows. False on failure. */
static bool
text_run(struct maria_store *s, const char *sql)
{
	int rc = 1;

	CALL(s, s->db, mysql_real_query, &rc, s->db, sql, strlen(sql));
	if (rc != 0)
		maria_error(s, NULL);
	else if (lib.mysql_field_count(s->db) != 0 ||
	    lib.mysql_more_results(s->db)) {
		maria_failed(s, "the server sends rows where there are none");
		s->broken = true;
	} else
		return true;
	return false;
}

bool
maria_script(struct maria_store *s, enum maria_name name)
{
	char *copy = strdup(own[name - MARIA_COMPOUND - 1]), *text, *rest;
	bool good = copy != NULL;

	if (copy == NULL)
		return maria_failed(s, "out of memory");
	for (text = strtok_r(copy, ";", &rest); good && text != NULL;
	     text = strtok_r(NULL, ";", &rest))
		good = text_run(s, text);
	free(copy);
	return good;
}

/*
 * A lock that we have waited for was not to be had: of a row, by this request
 * only; or has somebody a table for himself, so that nobody gets on? Then not
 * even a statement that changes nothing gets through. (MySQL tells us nothing
 * in the second case before our own time is over.)
 */
static void
lock_judge(struct maria_store *s)
{
	static const char *const probes[] = {
		"SET STATEMENT lock_wait_timeout = 0 FOR "
		"UPDATE postfwd_logins SET login_count = 0 WHERE FALSE",
		"SET STATEMENT lock_wait_timeout = 0 FOR "
		"UPDATE abichecker_accounts SET since = 0 WHERE FALSE",
	};
	char error[STORE_ERROR_MAX];
	unsigned code = s->code;
	bool held = false;
	size_t i;

	if (s->broken || (code != ER_LOCK_WAIT_TIMEOUT &&
	    code != ER_STATEMENT_TIMEOUT))
		return;
	memcpy(error, s->sql.store.error, sizeof(error));
	for (i = 0; !held && i < sizeof(probes) / sizeof(probes[0]); i++)
		held = !text_run(s, probes[i]) &&
		    (s->broken || s->code == ER_LOCK_WAIT_TIMEOUT ||
		    s->code == ER_STATEMENT_TIMEOUT);
	memcpy(s->sql.store.error, error, sizeof(error));
	s->code = code;
	s->sql.store.failure = held ? STORE_BROKEN : STORE_BUSY;
}

/* Executes it with the parameters that are bound. */
static MYSQL_STMT *
statement_execute(struct maria_store *s, unsigned name)
{
	MYSQL_STMT *st = statement(s, name);
	int rc = 1;

	if (st != NULL && (s->bound == 0 ||
	    lib.mysql_stmt_bind_param(st, s->bind) == 0)) {
		CALL(s, st, mysql_stmt_execute, &rc, st);
		if (rc != 0)
			maria_error(s, st);
	}
	s->bound = 0;
	return rc == 0 ? st : NULL;
}

/* --- rows --- */

/* Sees that it has so many columns, and says where they are to be put. */
static bool
columns_bind(struct maria_store *s, MYSQL_STMT *st, size_t count)
{
	MYSQL_BIND out[SQL_COLUMNS];
	size_t i;

	s->broken = true; /* unless all is well */
	if (lib.mysql_stmt_field_count(st) != count)
		return maria_failed(s, "the server sends other columns");
	memset(out, 0, sizeof(out));
	for (i = 0; i < count; i++) {
		out[i].is_null = &s->row[i].null;
		out[i].error = &s->row[i].error;
		out[i].length = &s->row[i].length;
		out[i].buffer_type = MYSQL_TYPE_STRING;
		out[i].buffer = s->row[i].text;
		out[i].buffer_length = MARIA_VALUE - 1;
	}
	if (lib.mysql_stmt_bind_result(st, out) == 0) {
		s->broken = false;
		return true;
	}
	maria_error(s, st);
	return false;
}

/* The next row: 1, 0 at the end, -1 on failure. */
static int
row_fetch(struct maria_store *s, MYSQL_STMT *st,
    const char *columns[SQL_COLUMNS])
{
	struct maria_value *v;
	int rc = 1, i;

	for (i = 0; i < SQL_COLUMNS; i++) {
		s->row[i].null = 1;
		s->row[i].length = 0;
	}
	CALL(s, st, mysql_stmt_fetch, &rc, st);
	if (rc == MYSQL_NO_DATA)
		return 0;
	if (rc != 0 && rc != MYSQL_DATA_TRUNCATED) {
		maria_error(s, st);
		s->broken = true;
		return -1;
	}
	for (i = 0; i < SQL_COLUMNS; i++) {
		v = &s->row[i];
		if (v->length >= MARIA_VALUE)
			v->length = MARIA_VALUE - 1;
		v->text[v->length] = '\0';
		columns[i] = v->null ? NULL : v->text;
	}
	return 1;
}

/*
 * Lets go of a result. Of one without columns there is nothing to be let go
 * of, and libmariadb 3.4 takes it for an error.
 */
static bool
result_free(struct maria_store *s, MYSQL_STMT *st)
{
	my_bool bad = 1;

	if (lib.mysql_stmt_field_count(st) == 0)
		return true;
	CALL(s, st, mysql_stmt_free_result, &bad, st);
	return bad == 0;
}

/* Lets go of the rows that are left. False on failure. */
static bool
rows_end(struct maria_store *s, MYSQL_STMT *st)
{
	int rc, results = 0;
	bool good = result_free(s, st);

	while (good && lib.mysql_stmt_more_results(st)) {
		rc = 1;
		CALL(s, st, mysql_stmt_next_result, &rc, st);
		good = rc <= 0 && results++ < RESULTS_MAX && result_free(s, st);
	}
	if (good)
		return true;
	maria_error(s, st);
	s->broken = true;
	return false;
}

static bool
rows_read(struct maria_store *s, MYSQL_STMT *st, const struct sql_rows *rows)
{
	const char *columns[SQL_COLUMNS];
	int rc = 0;

	if (!columns_bind(s, st, rows->columns))
		return false;
	while ((rc = row_fetch(s, st, columns)) == 1)
		if (!rows->fn(rows->arg, columns))
			break;
	return rc >= 0 && rows_end(s, st);
}

/* The rows that a statement has changed, -1 on failure. */
static int64_t
bound_run(struct maria_store *s, unsigned name, const struct sql_rows *rows)
{
	MYSQL_STMT *st = statement_execute(s, name);

	if (st == NULL)
		return -1;
	if (rows != NULL)
		return rows_read(s, st, rows) ? 0 : -1;
	if (lib.mysql_stmt_field_count(st) == 0 &&
	    !lib.mysql_stmt_more_results(st))
		return (int64_t)lib.mysql_stmt_affected_rows(st);
	maria_failed(s, "the server sends rows where there are none");
	s->broken = true;
	return -1;
}

/* --- the connection of store_sql --- */

static bool
maria_ready(struct sql_store *sql)
{
	struct maria_store *s = (struct maria_store *)sql;

	s->code = 0;
	s->bound = 0;
	s->late = false;
	if (!connection_is_over(s))
		return true;
	maria_disconnect(s);
	/* What it had merged is gone: only the plugin's own rows are there. */
	if (sql->store.logins_only)
		return maria_failed(s, "the connection was lost");
	return maria_connect(s);
}

/*
 * MariaDB does two in one round trip. 1, 0 this server does not, -1 on failure.
 */
static int
compound_run(struct maria_store *s, const struct sql_step *steps,
    const struct sql_rows *rows)
{
	if (s->plain || (s->prepared[MARIA_COMPOUND] != NULL &&
	    (s->compound[0] != steps[0].name ||
		s->compound[1] != steps[1].name)))
		return 0;
	s->compound[0] = steps[0].name;
	s->compound[1] = steps[1].name;
	step_bind(s, &steps[0]);
	step_bind(s, &steps[1]);
	if (bound_run(s, MARIA_COMPOUND, rows) >= 0)
		return 1;
	s->plain = !s->broken && (s->code == ER_PARSE_ERROR ||
	    s->code == ER_UNSUPPORTED_PS);
	if (!s->plain)
		return -1;
	s->sql.store.error[0] = '\0';
	return 0;
}

/* Outside of a transaction there are two steps at most, those of a login. */
static int64_t
maria_run(struct sql_store *sql, const struct sql_step *steps, size_t count,
    const struct sql_rows *rows)
{
	struct maria_store *s = (struct maria_store *)sql;
	int64_t changed = 0;
	size_t i = 0;

	if (count == 2 && rows->columns > 0 && !sql->transaction) {
		changed = compound_run(s, steps, rows);
		if (changed > 0)
			return 0;
	}
	for (; changed >= 0 && i < count; i++) {
		step_bind(s, &steps[i]);
		changed = bound_run(s, steps[i].name,
		    i + 1 == count && rows->columns > 0 ? rows : NULL);
	}
	if (changed < 0)
		lock_judge(s);
	return changed;
}

static bool
maria_transaction_begin(struct sql_store *sql)
{
	struct maria_store *s = (struct maria_store *)sql;
	const struct sql_value first = sql_number(sql_generation_first());
	const struct sql_step lock = { SQL_LIST_LOCK, &first, 1 };
	const struct sql_rows none = { 0 };

	if (!text_run(s, "START TRANSACTION"))
		return false;
	if (maria_run(sql, &lock, 1, &none) >= 0)
		return true;
	sql->connection->end(sql, false);
	return false;
}

static bool
maria_transaction_end(struct sql_store *sql, bool commit)
{
	struct maria_store *s = (struct maria_store *)sql;
	struct store first;
	unsigned code;

	if (commit && text_run(s, "COMMIT"))
		return true;
	/* What went wrong first is worth telling. */
	first = sql->store;
	code = s->code;
	if (!s->broken && !text_run(s, "ROLLBACK"))
		s->broken = true;
	sql->store = first;
	s->code = code;
	return false;
}

/*
 * Others were in the way; nothing was done, and there is time left. A node of
 * a Galera cluster undoes what another one was first with, and takes nothing
 * while it does not know who belongs to the cluster: that takes seconds.
 */
static bool
maria_transient(struct sql_store *sql)
{
	const struct maria_store *s = (struct maria_store *)sql;
	int64_t left = sql->store.deadline - clock_ms();

	if (s->broken || left <= TRY_MS)
		return false;
	if (s->code == ER_UNKNOWN_COM_ERROR)
		poll(NULL, 0, (int)(left / 10));
	return s->code == ER_LOCK_DEADLOCK || s->code == ER_CHECKREAD ||
	    s->code == ER_ERROR_DURING_COMMIT ||
	    s->code == ER_UNKNOWN_COM_ERROR;
}

const struct sql_connection maria_connection = {
	.dialect = SQL_MYSQL,
	.page = 1000, /* the server gives up a statement that takes long */
	.merges = true,
	.ready = maria_ready,
	.run = maria_run,
	.begin = maria_transaction_begin,
	.end = maria_transaction_end,
	.transient = maria_transient,
};
