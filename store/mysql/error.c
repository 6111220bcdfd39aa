/*
 * store_mysql_error - what went wrong with a MySQL or MariaDB server, and what
 * follows from it.
 */
#include <errmsg.h>
#include <mysqld_error.h>

#include "base/clock.h"
#include "store/mysql/mysql.h"

#define lib maria_library

#ifndef ER_CHECK_CONSTRAINT_VIOLATED
#define ER_CHECK_CONSTRAINT_VIOLATED 3819
#endif

bool
maria_failed(struct maria_store *s, const char *why)
{
	return store_failed(&s->sql.store, STORE_BROKEN, "%s", why);
}

/*
 * What follows from an error of the server. All that is not here was refused:
 * no permission, read-only, disk full, no such table or column.
 */
static const struct {
	unsigned code;
	enum store_failure failure;
} failures[] = {
	{ ER_LOCK_WAIT_TIMEOUT, STORE_BUSY },
	{ ER_LOCK_DEADLOCK, STORE_BUSY },
	{ ER_CHECKREAD, STORE_BUSY },
	{ ER_ERROR_DURING_COMMIT, STORE_BUSY },
	{ ER_UNKNOWN_COM_ERROR, STORE_BROKEN }, /* a node without its cluster */
	{ ER_STATEMENT_TIMEOUT, STORE_BUSY }, /* mostly for a lock */
	{ ER_QUERY_INTERRUPTED, STORE_BUSY }, /* by KILL QUERY */
	{ ER_CON_COUNT_ERROR, STORE_BUSY },
	{ ER_TOO_MANY_USER_CONNECTIONS, STORE_BUSY },
	{ ER_USER_LIMIT_REACHED, STORE_BUSY },
	{ ER_DATA_TOO_LONG, STORE_BAD_DATA },
	{ ER_TOO_LONG_STRING, STORE_BAD_DATA },
	{ ER_WARN_DATA_OUT_OF_RANGE, STORE_BAD_DATA },
	{ ER_DATA_OUT_OF_RANGE, STORE_BAD_DATA },
	{ ER_TRUNCATED_WRONG_VALUE, STORE_BAD_DATA },
	{ ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, STORE_BAD_DATA },
	{ WARN_DATA_TRUNCATED, STORE_BAD_DATA },
	{ ER_DATETIME_FUNCTION_OVERFLOW, STORE_BAD_DATA },
	{ ER_INVALID_CHARACTER_STRING, STORE_BAD_DATA },
	{ ER_BAD_NULL_ERROR, STORE_BAD_DATA },
	{ ER_DUP_ENTRY, STORE_BAD_DATA },
	{ ER_DUP_KEY, STORE_BAD_DATA },
	{ ER_NO_REFERENCED_ROW, STORE_BAD_DATA },
	{ ER_NO_REFERENCED_ROW_2, STORE_BAD_DATA },
	{ ER_ROW_IS_REFERENCED, STORE_BAD_DATA },
	{ ER_ROW_IS_REFERENCED_2, STORE_BAD_DATA },
	{ ER_CONSTRAINT_FAILED, STORE_BAD_DATA }, /* CHECK in MariaDB ... */
	{ ER_CHECK_CONSTRAINT_VIOLATED, STORE_BAD_DATA }, /* and MySQL */
	{ ER_NO_PARTITION_FOR_GIVEN_VALUE, STORE_BAD_DATA },
	{ ER_VIEW_CHECK_FAILED, STORE_BAD_DATA },
	{ ER_SIGNAL_EXCEPTION, STORE_BAD_DATA }, /* a trigger's own */
};

static enum store_failure
failure_of(const struct maria_store *s)
{
	size_t i;

	if (s->broken || s->code == 0)
		return STORE_BROKEN;
	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (failures[i].code == s->code)
			return failures[i].failure;
	return STORE_REFUSED;
}

void
maria_error(struct maria_store *s, MYSQL_STMT *st)
{
	const char *why;

	s->code = st != NULL ? lib.mysql_stmt_errno(st) :
			       lib.mysql_errno(s->db);
	why = st != NULL ? lib.mysql_stmt_error(st) : lib.mysql_error(s->db);
	if (s->late || (s->guard != 0 && clock_ms() >= s->sql.store.deadline)) {
		s->late = true;
		why = "no answer within store.timeout";
	}
	if (!s->late && (s->code == 0 || why[0] == '\0'))
		why = "the server's answer makes no sense";
	/* The client's own errors: nobody knows where it stands. */
	if (s->late || s->code < ER_HASHCHK || s->code > 65535 ||
	    (s->code >= CR_MIN_ERROR && s->code <= CR_MAX_ERROR) ||
	    (s->code >= CER_MIN_ERROR && s->code <= CER_MAX_ERROR))
		s->broken = true;
	maria_failed(s, why);
	s->sql.store.failure = failure_of(s);
}
