/*
 * store_mysql_library - the functions of libmariadb that the driver calls.
 */
#ifndef STORE_MYSQL_LIBRARY_H
#define STORE_MYSQL_LIBRARY_H

#include "base/library.h"
#include "store/mysql/mysql.h"

/* Every function of the library that we call. */
#define FUNCTIONS(F)                                                          \
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
	FUNCTIONS(LIBRARY_POINTER)
} maria_library; /* maria_load() fills it */

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

/*
 * Starts a child that shuts the socket down when the time of the operation is
 * over: within a TLS handshake the library itself waits, without a limit.
 */
void maria_guard(struct maria_store *s, int fd);

/* Notes the error of a statement, or of the connection if it is NULL. */
void maria_error(struct maria_store *s, MYSQL_STMT *st);

#endif
