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
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "store/mysql/library.h"

#define CURSOR_ROWS 500 /* fetched at once */
#define RESULTS_MAX 8   /* of a statement */
#define TRY_MS 50       /* what another attempt takes */
#define lib maria_library

/* Others were in the way; nothing was done, and there is time left. */
static bool
again_worth(const struct maria_store *s)
{
	return !s->broken &&
	    (s->code == ER_LOCK_DEADLOCK || s->code == ER_CHECKREAD) &&
	    clock_ms() + TRY_MS < s->deadline;
}

/* Has the server ended the connection, or said something unasked? */
static bool
connection_is_over(const struct maria_store *s)
{
	struct pollfd p = { .events = POLLIN };

	if (s->db == NULL || s->broken)
		return true;
	p.fd = lib.mysql_get_socket(s->db);
	return poll(&p, 1, 0) != 0;
}

bool
maria_begin(struct maria_store *s)
{
	s->store.error[0] = '\0';
	s->store.failure = STORE_BROKEN;
	s->code = 0;
	s->bound = 0;
	s->late = false;
	s->deadline = clock_ms() + s->store.wait_ms;
	if (s->reading != NULL && !maria_finish(s))
		s->broken = true;
	if (!connection_is_over(s))
		return true;
	maria_disconnect(s);
	/* What it had merged is gone: only the plugin's own rows are there. */
	if (s->store.logins_only)
		maria_failed(s, "the connection was lost");
	return !s->store.logins_only && maria_connect(s);
}

/* --- parameters --- */

static MYSQL_BIND *
bind_next(struct maria_store *s, enum enum_field_types type)
{
	MYSQL_BIND *b = &s->bind[s->bound++];

	memset(b, 0, sizeof(*b));
	b->buffer_type = type;
	return b;
}

void
maria_text(struct maria_store *s, const char *text)
{
	/* Bytes, not characters: nothing is converted. */
	MYSQL_BIND *b = bind_next(s, MYSQL_TYPE_BLOB);

	b->buffer = (void *)(uintptr_t)text;
	b->buffer_length = strlen(text);
}

void
maria_number(struct maria_store *s, int64_t number)
{
	int64_t *n = &s->numbers[s->bound];

	*n = number;
	bind_next(s, MYSQL_TYPE_LONGLONG)->buffer = n;
}

void
maria_null(struct maria_store *s)
{
	bind_next(s, MYSQL_TYPE_NULL);
}

/* --- statements --- */

/* The statement, prepared; NULL on failure, told. */
static MYSQL_STMT *
statement(struct maria_store *s, enum maria_statement which)
{
	const unsigned long cursor = CURSOR_TYPE_READ_ONLY, rows = CURSOR_ROWS;
	const char *sql = maria_sql[which].text, *mark;
	unsigned long parameters = 0;
	MYSQL_STMT *st = s->prepared[which];
	int rc = 1;

	if (st != NULL)
		return st;
	st = lib.mysql_stmt_init(s->db);
	if (st == NULL) {
		maria_failed(s, "out of memory");
		return NULL;
	}
	if (maria_sql[which].cursor) {
		lib.mysql_stmt_attr_set(st, STMT_ATTR_CURSOR_TYPE, &cursor);
		lib.mysql_stmt_attr_set(st, STMT_ATTR_PREFETCH_ROWS, &rows);
	}
	CALL(s, st, mysql_stmt_prepare, &rc, st, sql, strlen(sql));
	for (mark = strchr(sql, '?'); mark != NULL;
	     mark = strchr(mark + 1, '?'))
		parameters++;
	if (rc != 0)
		maria_error(s, st);
	else if (lib.mysql_stmt_param_count(st) != parameters) {
		maria_failed(s, "the server counts other parameters");
		s->broken = true;
	} else
		return s->prepared[which] = st;
	if (s->broken)
		shutdown(lib.mysql_get_socket(s->db), SHUT_RDWR);
	lib.mysql_stmt_close(st);
	return NULL;
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
	memcpy(error, s->store.error, sizeof(error));
	for (i = 0; !held && i < sizeof(probes) / sizeof(probes[0]); i++)
		held = !maria_text_run(s, probes[i]) &&
		    (s->broken || s->code == ER_LOCK_WAIT_TIMEOUT ||
		    s->code == ER_STATEMENT_TIMEOUT);
	memcpy(s->store.error, error, sizeof(error));
	s->code = code;
	s->store.failure = held ? STORE_BROKEN : STORE_BUSY;
}

/* Executes it with the parameters; again when others were in the way. */
static MYSQL_STMT *
statement_execute(struct maria_store *s, enum maria_statement which)
{
	MYSQL_STMT *st;
	int rc;

	do {
		st = statement(s, which);
		if (st == NULL || lib.mysql_stmt_bind_param(st, s->bind) != 0)
			break;
		rc = 1;
		CALL(s, st, mysql_stmt_execute, &rc, st);
		if (rc == 0) {
			s->bound = 0;
			return st;
		}
		maria_error(s, st);
	} while (!s->transaction && again_worth(s));
	s->bound = 0;
	lock_judge(s);
	return NULL;
}

int64_t
maria_run(struct maria_store *s, enum maria_statement which)
{
	MYSQL_STMT *st = statement_execute(s, which);

	if (st == NULL)
		return -1;
	if (lib.mysql_stmt_field_count(st) == 0 &&
	    !lib.mysql_stmt_more_results(st))
		return (int64_t)lib.mysql_stmt_affected_rows(st);
	maria_failed(s, "the server sends rows where there are none");
	s->broken = true;
	return -1;
}

bool
maria_text_run(struct maria_store *s, const char *sql)
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
maria_query(struct maria_store *s, enum maria_statement which)
{
	const char *columns = maria_sql[which].columns;
	MYSQL_STMT *st = statement_execute(s, which);
	MYSQL_BIND out[MARIA_COLUMNS];
	size_t i;

	if (st == NULL)
		return false;
	s->reading = st;
	if (lib.mysql_stmt_field_count(st) != strlen(columns)) {
		maria_failed(s, "the server sends other columns");
		s->broken = true;
		return false;
	}
	memset(out, 0, sizeof(out));
	for (i = 0; columns[i] != '\0'; i++) {
		out[i].is_null = &s->row[i].null;
		out[i].error = &s->row[i].error;
		out[i].length = &s->row[i].length;
		if (columns[i] == 't') {
			out[i].buffer_type = MYSQL_TYPE_BLOB;
			out[i].buffer = s->row[i].text;
			out[i].buffer_length = MARIA_VALUE - 1;
		} else {
			out[i].buffer_type = MYSQL_TYPE_LONGLONG;
			out[i].buffer = &s->row[i].number;
		}
	}
	if (lib.mysql_stmt_bind_result(st, out) == 0)
		return true;
	maria_error(s, st);
	s->broken = true;
	return false;
}

int
maria_fetch(struct maria_store *s)
{
	struct maria_value *v;
	int rc = 1, i;

	if (s->reading == NULL)
		return -1;
	for (i = 0; i < MARIA_COLUMNS; i++) {
		s->row[i].null = 1;
		s->row[i].number = 0;
		s->row[i].length = 0;
	}
	CALL(s, s->reading, mysql_stmt_fetch, &rc, s->reading);
	if (rc == MYSQL_NO_DATA)
		return maria_finish(s) ? 0 : -1;
	if (rc != 0 && rc != MYSQL_DATA_TRUNCATED) {
		maria_error(s, s->reading);
		s->broken = true;
		return -1;
	}
	for (i = 0; i < MARIA_COLUMNS; i++) {
		v = &s->row[i];
		if (v->null)
			v->length = 0;
		if (v->length >= MARIA_VALUE)
			v->length = MARIA_VALUE - 1;
		v->text[v->length] = '\0';
	}
	return 1;
}

int
maria_fetch_only(struct maria_store *s)
{
	int rc = maria_fetch(s);

	return rc == 1 && !maria_finish(s) ? -1 : rc;
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

bool
maria_finish(struct maria_store *s)
{
	MYSQL_STMT *st = s->reading;
	int rc, results = 0;
	bool good;

	s->reading = NULL;
	if (st == NULL || s->broken)
		return st == NULL;
	good = result_free(s, st);
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

void
maria_copy(const struct maria_store *s, int column, char *out, size_t size)
{
	snprintf(out, size, "%s", s->row[column].text);
}

/* --- transactions --- */

enum store_result
maria_transaction(struct maria_store *s,
    enum store_result (*work)(struct maria_store *s, void *arg), void *arg)
{
	enum store_result result;
	struct store first;
	unsigned code;

	if (!maria_begin(s))
		return STORE_ERROR;
	do {
		if (!maria_text_run(s, "START TRANSACTION"))
			return STORE_ERROR;
		s->transaction = true;
		result = work(s, arg);
		if (result != STORE_ERROR && !maria_text_run(s, "COMMIT"))
			result = STORE_ERROR;
		s->transaction = false;
		if (result != STORE_ERROR)
			return result;
		/* What went wrong first is worth telling. */
		first = s->store;
		code = s->code;
		if (!s->broken && !maria_finish(s))
			s->broken = true;
		if (!s->broken && !maria_text_run(s, "ROLLBACK"))
			s->broken = true;
		s->store = first;
		s->code = code;
	} while (again_worth(s));
	return STORE_ERROR;
}
