/*
 * store_mysql - what the files of the MySQL and MariaDB driver share; nobody
 * else's.
 */
#ifndef STORE_MYSQL_H
#define STORE_MYSQL_H

#include <mysql.h>
#include <sys/types.h>

#include "store/mysql/schema.sql.h"
#include "store/sql/sql.h"

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
	bool guarded;        /* waiting needs a guard, see maria_guard() */
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

/* Loads the client library. False, and why in error. */
bool maria_load(char *error, size_t size);

/* Connects to the server of s->url. False on failure, told. */
bool maria_connect(struct maria_store *s);

/* Ends the connection, whatever state it is in. */
void maria_disconnect(struct maria_store *s);

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
