/*
 * store_sqlite - the default store: one SQLite file for all filters of a host.
 *
 * WAL and synchronous=NORMAL: a commit is a write(2) without waiting for the
 * disk, and a killed process loses nothing that it has answered. Processes
 * that write take turns at a lock of our own: SQLite's own busy handler sleeps
 * up to 100 ms at a time. Times of logins are text in UTC, as people query
 * them; all others are seconds since the epoch.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "store/sqlite/sqlite.h"

#define CACHE_KIB 128 /* of pages in a process; others are the kernel's */

extern const struct store_driver store_sqlite;

/* --- opening and closing --- */

static void
sqlite_close(struct store *store)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	int i;

	for (i = 0; i < STATEMENT_COUNT && s->db != NULL; i++)
		sq.sqlite3_finalize(s->prepared[i]);
	if (s->db != NULL)
		sq.sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

/* For who writes without our lock: sqlite3(1), or a checkpoint. */
static int
busy(void *arg, int count)
{
	const struct sqlite_store *s = arg;

	(void)count;
	if (clock_ms() >= s->sql.store.deadline)
		return 0;
	sq.sqlite3_sleep(1);
	return 1;
}

/* Could the file be made where it is not? */
static bool
directory_check(const struct sqlite_store *s)
{
	char directory[sizeof(s->path)];

	snprintf(directory, sizeof(directory), "%.*s",
	    (int)(strrchr(s->path, '/') - s->path) + 1, s->path);
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

/* A link, a FIFO or a device in the place of the database is refused. */
static bool
file_check(struct sqlite_store *s, bool create)
{
	struct stat st;

	if (lstat(s->path, &st) == 0)
		return S_ISREG(st.st_mode) ||
		    store_failed(&s->sql.store, STORE_BROKEN,
		    "not a regular file");
	if (create || errno != ENOENT)
		return true; /* SQLite says what is wrong */
	return store_failed(&s->sql.store, directory_check(s) ? STORE_NOT_YET :
	    STORE_BROKEN, "%s", strerror(ENOENT));
}

/* The lock file beside the database. */
static bool
lock_prepare(struct sqlite_store *s)
{
	char path[sizeof(s->path) + 8];

	snprintf(path, sizeof(path), "%s-lock", s->path);
	s->lock_fd = open(path,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	if (s->lock_fd >= 0)
		return true;
	snprintf(s->sql.store.where, sizeof(s->sql.store.where), "%.250s",
	    path);
	return store_failed(&s->sql.store, STORE_BROKEN, "%s", strerror(errno));
}

/* Is the database in WAL mode? */
static bool
wal_is_on(struct sqlite_store *s)
{
	sqlite3_stmt *st;
	char mode[16] = "";

	if (sq.sqlite3_prepare_v2(s->db, "PRAGMA journal_mode", -1, &st,
		NULL) != SQLITE_OK)
		return false;
	if (sq.sqlite3_step(st) == SQLITE_ROW)
		sql_copy(&s->sql, (const char *)sq.sqlite3_column_text(st, 0),
		    mode, sizeof(mode));
	sq.sqlite3_finalize(st);
	return strcmp(mode, "wal") == 0;
}

/*
 * WAL mode stays with the file, so this is for a new one. Changing to it does
 * not wait for others who do the same at the moment: hence our lock.
 */
static bool
wal_prepare(struct sqlite_store *s)
{
	int rc;

	if (wal_is_on(s))
		return true;
	if (!sqlite_turn_take(s))
		return false;
	rc = sq.sqlite3_exec(s->db, "PRAGMA journal_mode = WAL", NULL, NULL,
	    NULL);
	if (rc != SQLITE_OK)
		sqlite_failed(s);
	lock_turn_end(s->lock_fd);
	return rc == SQLITE_OK;
}

static bool
database_open(struct sqlite_store *s)
{
	char pragmas[192];

	snprintf(pragmas, sizeof(pragmas), "PRAGMA cache_size = -%d;"
	    "PRAGMA synchronous = NORMAL;"
	    "PRAGMA journal_size_limit = 16777216;"
	    "PRAGMA temp_store = MEMORY", CACHE_KIB);
	if (sq.sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE |
		SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sq.sqlite3_busy_handler(s->db, busy, s) != SQLITE_OK)
		return sqlite_failed(s);
	sq.sqlite3_extended_result_codes(s->db, 1);
	/* In the place of SQLite's own, which everybody would wait for. */
	sq.sqlite3_wal_hook(s->db, sqlite_wal_written, s);
	/* A database file is data from outside: trust nothing in its schema. */
	sq.sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sq.sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sq.sqlite3_db_config(s->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
	return (sq.sqlite3_exec(s->db, pragmas, NULL, NULL, NULL) ==
		   SQLITE_OK && wal_prepare(s)) || sqlite_failed(s);
}

/* SQLite's library, once. */
static bool
library_prepare(struct sqlite_store *s)
{
	static bool configured;
	char why[160];

	if (configured)
		return true;
	if (!library_load("libsqlite3.so.0", LIBRARY_NAMES(SQLITE_FUNCTIONS),
		&sq, why, sizeof(why)))
		return store_failed(&s->sql.store, STORE_BROKEN, "%s", why);
	/* One thread, no statistics: less to do and to keep. */
	sq.sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sq.sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	configured = true;
	return true;
}

static bool
sqlite_open(struct store *store, const struct config *cfg, const char *url,
    bool create)
{
	struct sqlite_store *s = (struct sqlite_store *)store;
	const char *path = url + strlen("sqlite:");

	(void)cfg; /* everything is in the URL */
	s->sql.connection = &sqlite_connection;
	s->asked = clock_ms();
	s->lock_fd = -1;
	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(store->where, sizeof(store->where), "%.250s", path);
	if (strlen(path) >= sizeof(s->path) || path[0] != '/')
		return store_failed(store, STORE_BROKEN,
		    "not the absolute path of a file");
	return library_prepare(s) && file_check(s, create) && lock_prepare(s) &&
	    database_open(s) && sqlite_schema_prepare(s, create) &&
	    stat(s->path, &s->file) == 0;
}

const struct store_driver store_sqlite = {
	.scheme = "sqlite",
	.size = sizeof(struct sqlite_store),
	.open = sqlite_open,
	.close = sqlite_close,
	SQL_OPERATIONS
};
