/*
 * store_sql - the store in an SQL database: every operation, once, over the
 * connections of sqlite/, pgsql/ and mysql/.
 *
 * Statements are in *.sql. A connection runs them, in time, and says what a
 * failure means; it knows nothing of what they are for.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "store/sql/accounts.sql.h"
#include "store/sql/logins.sql.h"
#include "store/sql/offenders.sql.h"
#include "store/driver.h"

#define SQL_STATEMENTS(S) LOGINS_SQL(S) ACCOUNTS_SQL(S) OFFENDERS_SQL(S)

enum sql_name {
#define SQL_NAME(name, ...) SQL_##name,
	SQL_STATEMENTS(SQL_NAME)
#undef SQL_NAME
	SQL_NAMES
};

/* Whose text of a statement. */
enum sql_dialect { SQL_SQLITE, SQL_PGSQL, SQL_MYSQL };

#define SQL_ROWS 32        /* of a statement for many */
#define SQL_MANY SQL_NAMES /* added to a name: the statement for SQL_ROWS */
#define SQL_PREPARED (2 * SQL_NAMES)
#define SQL_CHUNK 256      /* rows that are written at once */
#define SQL_PORTION 10000  /* rows that a statement changes, of very many */
#define SQL_COLUMNS 9      /* of a row, at most */
#define SQL_VALUES (SQL_ROWS * SQL_COLUMNS) /* of a statement, at most */
#define SQL_CELLS 6        /* columns of one row that are wanted, at most */
#define SQL_CELL_MAX 1024  /* bytes of one, as it is in the table */
#define SQL_TEXT_MAX 4096  /* bytes of a statement */
#define SQL_STAMP_MAX 20   /* "2026-11-21 04:20:48" */

enum sql_type {
	SQL_NULL,
	SQL_KEY,  /* valid UTF-8, as it is in the table */
	SQL_TEXT, /* any bytes; coded for a server that will not have them */
	SQL_NUMBER,
};

/* A parameter. A text stays where it is until the statement was run. */
struct sql_value {
	enum sql_type type;
	const char *text;
	int64_t number;
};

/* A statement to be run: a name, or one + SQL_MANY, and its parameters. */
struct sql_step {
	unsigned name;
	const struct sql_value *values;
	size_t count;
};

/* A row: a text for each column, NULL as in SQL. False: no more of them. */
typedef bool sql_row_fn(void *arg, const char *const *columns);

/* What becomes of the rows of the last step. */
struct sql_rows {
	size_t columns; /* so many must it have; 0: it has no rows */
	sql_row_fn *fn;
	void *arg;
};

struct sql_store;

struct sql_connection {
	enum sql_dialect dialect;
	long page;   /* rows that are read at once */
	bool merges; /* one statement for many rows is worth it */

	/* Is it connected? If not, connects, before the deadline. */
	bool (*ready)(struct sql_store *s);
	/*
	 * Runs steps, within a transaction that was begun; if there is none,
	 * all or none of them, where that costs no further round trip. One
	 * round trip, where the server can. The rows that the last one has
	 * changed, -1 on failure.
	 */
	int64_t (*run)(struct sql_store *s, const struct sql_step *steps,
	    size_t count, const struct sql_rows *rows);
	/* Begins a transaction that no two have at once; ends it. */
	bool (*begin)(struct sql_store *s);
	bool (*end)(struct sql_store *s, bool commit);
	/* Came the last failure from others, and may the same succeed now? */
	bool (*transient)(struct sql_store *s);
};

/* The state of a driver begins with this. */
struct sql_store {
	struct store store; /* first */
	const struct sql_connection *connection;
	bool transaction; /* one was begun */
};

/* --- statements --- */

/* The text of a statement in this dialect. Its length. */
size_t sql_text(enum sql_dialect dialect, unsigned name, char *out,
    size_t size);

/* For MySQL: the number of the parameter that the n-th ? is, from 0 on. */
size_t sql_parameter(unsigned name, size_t n);

/* So many ? are there, with so many parameters. */
size_t sql_marks(unsigned name, size_t count);

struct sql_value sql_null(void);
struct sql_value sql_key(const char *text);
struct sql_value sql_bytes(const char *text); /* SQL_TEXT */
struct sql_value sql_number(int64_t number);

/*
 * Begins an operation: from now on it has wait_ms. False, and noted, when
 * there is no connection.
 */
bool sql_begin(struct sql_store *s);

/*
 * Runs steps, and again when others were in the way; see struct
 * sql_connection.
 */
int64_t sql_run(struct sql_store *s, const struct sql_step *steps, size_t count,
    const struct sql_rows *rows);

/* The same with one step and no rows. */
int64_t sql_one(struct sql_store *s, unsigned name,
    const struct sql_value *values, size_t count);

/*
 * The same with rows: 1, 0 there were none, -1 on failure. Waiting for fn is
 * no waiting for the store.
 */
int sql_query(struct sql_store *s, unsigned name,
    const struct sql_value *values, size_t count, const struct sql_rows *rows);

/*
 * The same for one row: so many of its columns, "" for NULL and without it.
 */
struct sql_cells {
	char text[SQL_CELLS][SQL_CELL_MAX];
};

int sql_get(struct sql_store *s, unsigned name, const struct sql_value *values,
    size_t count, size_t columns, struct sql_cells *out);

/* Takes them from a row. */
void sql_cells_take(struct sql_cells *c, const char *const *columns,
    size_t count);

/* An operation of one step: FOUND when it has changed something. */
enum store_result sql_change(struct sql_store *s, unsigned name,
    const struct sql_value *values, size_t count);

/*
 * An operation that does work in a transaction, and again when others were in
 * the way. STORE_ERROR rolls it back.
 */
enum store_result sql_transaction(struct sql_store *s,
    enum store_result (*work)(struct sql_store *s, void *arg), void *arg);

/* --- rows --- */

/* A time of a login, in UTC, and back: 0 when it is none. */
void sql_stamp(time_t t, char out[SQL_STAMP_MAX]);
time_t sql_stamp_parse(const char *text);

/*
 * PostgreSQL refuses what is not UTF-8. Such bytes of a SQL_TEXT become \xNN,
 * and so does a backslash: it can be read in SQL and comes back as it was. The
 * bytes of out that are used.
 */
size_t sql_code(const char *text, char *out, size_t size);

/* A number, 0 for NULL; a text that was SQL_TEXT. */
int64_t sql_integer(const char *column);
void sql_copy(const struct sql_store *s, const char *column, char *out,
    size_t size);

enum sql_kept {
	SQL_KEPT_KEY,     /* SQL_KEY */
	SQL_KEPT_TEXT,    /* SQL_TEXT */
	SQL_KEPT_COUNTRY, /* NULL = not known */
	SQL_KEPT_LOGINS,  /* numbers */
	SQL_KEPT_COUNT,
	SQL_KEPT_TIME,
	SQL_KEPT_BOOL,
	SQL_KEPT_STAMP,   /* a time as people read it */
};

struct sql_column {
	enum sql_kept kept;
	size_t offset, size; /* in struct store_row */
};

/* A kind of row, and its statements. */
struct sql_kind {
	const struct sql_column *columns; /* NULL: it is not copied */
	size_t count;
	size_t keys; /* the first so many columns are the key */
	enum sql_name all, of, restore; /* of: SQL_NAMES = there is none */
};

extern const struct sql_kind sql_kinds[]; /* by enum store_kind */

/* Rows of one kind that are written when there are enough of them. */
struct sql_writer {
	struct sql_store *s;
	enum store_kind kind;
	enum sql_name statement; /* with its columns */
	size_t count;
	bool good;
	struct store_row rows[SQL_CHUNK];
	/* What they are written with. */
	struct sql_step steps[SQL_CHUNK];
	struct sql_value values[SQL_CHUNK * SQL_COLUMNS];
	char stamps[SQL_CHUNK][SQL_STAMP_MAX];
};

/* NULL: no memory, noted. */
struct sql_writer *sql_writer_begin(struct sql_store *s, enum store_kind kind,
    enum sql_name statement);

/* Room for another row. */
struct store_row *sql_writer_add(struct sql_writer *w);

/* Writes what is left. False: not all were written, noted. */
bool sql_writer_end(struct sql_writer *w);

/* The columns of a row of row->kind. */
void sql_row_read(const struct sql_store *s, const char *const *columns,
    struct store_row *row);

/* The list of offenders has changed. False on failure. */
bool sql_generation_next(struct sql_store *s);

/* The first one: a new database's lists are not an old one's. */
int64_t sql_generation_first(void);

/* --- the operations, see struct store_driver --- */

#define SQL_DECLARE(name) STORE_OPERATION(name) sql_##name;
STORE_OPERATIONS(SQL_DECLARE)

/* All of them, for a driver. */
#define SQL_OPERATION(name) .name = sql_##name,
#define SQL_OPERATIONS STORE_OPERATIONS(SQL_OPERATION)

#endif
