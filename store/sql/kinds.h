/*
 * store_sql_kinds - how rows of store.h are kept in tables.
 */
#ifndef STORE_SQL_KINDS_H
#define STORE_SQL_KINDS_H

#include "store/sql/sql.h"

#define SQL_CHUNK 256 /* rows that are written at once */

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
};

/* NULL: no memory, noted. */
struct sql_writer *sql_writer_begin(struct sql_store *s, enum store_kind kind,
    enum sql_name statement);

/* Room for another row. */
struct store_row *sql_writer_add(struct sql_writer *w);

/* Writes what is left. False: not all were written, noted. */
bool sql_writer_end(struct sql_writer *w);

#endif
