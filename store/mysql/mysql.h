/*
 * store_mysql - what the files of the MySQL and MariaDB driver share; nobody
 * else's.
 */
#ifndef STORE_MYSQL_H
#define STORE_MYSQL_H

#include <mysql.h>
#include <sys/types.h>

#include "base/library.h"
#include "store/mysql/schema.sql.h"
#include "store/sql/sql.h"

/* Every function of the library that we call. */
#define MARIA_FUNCTIONS(F)                                                    \
	F(mysql_init) F(mysql_options) F(mysql_close) F(mysql_get_socket)     \
	F(mysql_errno) F(mysql_error) F(mysql_set_local_infile_handler)       \
	F(mysql_real_connect_start) F(mysql_real_connect_cont)                \
	F(mysql_real_query_start) F(mysql_real_query_cont)                    \
	F(mysql_field_count) F(mysql_more_results) F(mysql_get_ssl_cipher)    \
	F(mysql_stmt_init) F(mysql_stmt_close) F(mysql_stmt_attr_set)         \
	F(mysql_stmt_prepare_start) F(mysql_stmt_prepare_cont)                \
	F(mysql_stmt_execute_start) F(mysql_stmt_execute_cont)                \
	F(mysql_stmt_fetch_start) F(mysql_stmt_fetch_cont)                    \
	F(mysql_stmt_next_result_start) F(mysql_stmt_next_result_cont)        \
	F(mysql_stmt_free_result_start) F(mysql_stmt_free_result_cont)        \
	F(mysql_stmt_bind_param) F(mysql_stmt_bind_result)                    \
	F(mysql_stmt_param_count) F(mysql_stmt_field_count)                   \
	F(mysql_stmt_more_results) F(mysql_stmt_affected_rows)                \
	F(mysql_stmt_errno) F(mysql_stmt_error)

extern struct maria_library {
	MARIA_FUNCTIONS(LIBRARY_POINTER)
} maria_library; /* maria_load() fills it */

#define MARIA_VALUE 1024 /* bytes of a column that are read, with NUL */

/* After those of store_sql: two of them as one, and those of schema.sql. */
enum maria_name {
	MARIA_COMPOUND = SQL_PREPARED,
#define MARIA_NAME(name, ...) MARIA_##name,
	SCHEMA_SQL(MARIA_NAME)
#undef MARIA_NAME
	MARIA_STATEMENTS
};

/* A column of a row that was read. */
struct maria_value {
	char text[MARIA_VALUE];
	unsigned long length;
	my_bool null, error;
};

struct maria_store {
	struct sql_store sql; /* first */
	long timeout; /* store.timeout, seconds */
	long lock_ms; /* a statement that waits for a lock ends so much later */
	MYSQL *db;
	/* When first used; kept for the connection. */
	MYSQL_STMT *prepared[MARIA_STATEMENTS];
	unsigned compound[2]; /* what MARIA_COMPOUND is made of */
	bool late;           /* the deadline has passed */
	bool broken;         /* the connection is of no more use */
	bool plain;          /* no compound statements there: MySQL */
	bool guarded;        /* waiting needs a guard, see guard() */
	pid_t guard;         /* it is there, unless 0 */
	unsigned code;       /* of the last error */
	/* The parameters of the next statement. */
	MYSQL_BIND bind[SQL_VALUES];
	unsigned bound;
	/* The row that was read last. */
	struct maria_value row[SQL_COLUMNS];
};

extern const struct sql_connection maria_connection;

/* --- store_mysql_connect.c --- */

/* Connects to the server of s->url. False on failure, told. */
bool maria_connect(struct maria_store *s);

/* Ends the connection, whatever state it is in. */
void maria_disconnect(struct maria_store *s);

/* --- store_mysql_library.c: calls of the library --- */

/* Loads it. False, and why in error. */
bool maria_load(char *error, size_t size);

/* The row has changed: begin again. Not every version's header has it. */
#ifndef ER_CHECKREAD
#define ER_CHECKREAD 1020
#endif

#define FORCED_MAX 1000 /* attempts to end a call that is late */

/*
 * Starts a call of the library and waits for its end; out keeps its value if
 * that fails.
 */
#define CALL(s, handle, call, out, ...)                                       \
	do {                                                                  \
		int forced_ = 0, wait_;                                       \
		wait_ = maria_library.call##_start(out, __VA_ARGS__);         \
		while (wait_ != 0 && forced_ < FORCED_MAX) {                  \
			wait_ = maria_wait(s, wait_);                         \
			forced_ += (s)->late;                                 \
			wait_ = maria_library.call##_cont(out, handle,        \
			    wait_);                                           \
		}                                                             \
	} while (0)

/*
 * Waits for what a call waits for, and returns what has come. When the time of
 * the operation is over: shuts the socket down, so that the call must end.
 */
int maria_wait(struct maria_store *s, int status);

/* Notes the error of a statement, or of the connection if it is NULL. */
void maria_error(struct maria_store *s, MYSQL_STMT *st);

/* --- store_mysql_wire.c --- */

/* Notes what went wrong, for people. False. */
bool maria_failed(struct maria_store *s, const char *why);

/*
 * Runs what is in schema.sql under a name: statements without parameters and
 * rows, with ; in between. False on failure.
 */
bool maria_script(struct maria_store *s, enum maria_name name);

/* --- store_mysql_schema.c --- */

/* Brings the tables to our version. False on failure, told. */
bool maria_schema_prepare(struct maria_store *s, bool create);

#endif
