/*
 * store - what is remembered across processes and hosts.
 *
 * Semantic operations, so that an SQL or Redis server can do those for which a
 * client waits in one round trip. A driver is a folder with one const struct
 * store_driver, and a row in store.c; those of SQL share theirs in sql/. All
 * pass the same test, tests/unit/unit_store.c.
 *
 * Results are found, absent or error, never confused. All times are seconds
 * since the epoch and come from the caller: nothing asks a server's clock.
 * Strings handed in are text without NUL; drivers bind them, never quote.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "config/config.h"
#include "config/store_url.h"

#define STORE_USER_MAX 101  /* bytes of a user's key with NUL */
#define STORE_BLOCK_MAX 50  /* "ADDRESS" or "ADDRESS/BITS" */
#define STORE_TEXT_MAX 256  /* reasons, notes */
#define STORE_RULE_MAX 32
#define STORE_ERROR_MAX 256
#define STORE_SCHEMA 1      /* version of what the drivers keep */

enum store_result {
	STORE_ERROR = -1, /* store_error() tells */
	STORE_ABSENT = 0,
	STORE_FOUND = 1,
};

/* Why an operation failed; what follows for other requests. */
enum store_failure {
	STORE_BROKEN,  /* no connection, silence, or nonsense: nobody asks it
	                * again for STORE_BACKOFF seconds, or all would wait */
	STORE_BUSY,    /* others had the lock or the connections all the time,
	                * or were in the way: only this request is the loser */
	STORE_REFUSED, /* the server or file says no, at once: no permission,
	                * read-only, disk full, a table or page that is not as
	                * it should be. What it does not refuse goes on */
	STORE_BAD_DATA, /* a row that cannot be read, a value that does not
	                 * fit: no other user is affected */
	STORE_NOT_YET, /* there is none, and it was not to be made */
};

/* --- logins --- */

struct store_login {
	const char *user;    /* as store_user() made it */
	const char *block;   /* address, or base address of an IPv6 block */
	const char *country; /* ISO 3166-1 alpha-2, "" = not known */
	time_t now;
	time_t since; /* only logins after this count: now - window, or the
	               * release of the account if that is later */
	bool peek;    /* count as if it were recorded, but record nothing */
};

#define STORE_ELSEWHERE_MAX 8

/* The last login of a user from one country. */
struct store_elsewhere {
	char block[ADDRESS_TEXT_MAX];
	char country[3];
	time_t time;
};

struct store_counts {
	long countries; /* distinct known ones, this login included */
	long addresses; /* distinct blocks, this login included */
	char previous[ADDRESS_TEXT_MAX]; /* the last login from another block,
	                                  * "" = none */
	time_t previous_time;
	/* The last login from each other country within the window; of more
	 * than these the latest. */
	struct store_elsewhere elsewhere[STORE_ELSEWHERE_MAX];
	int elsewhere_count;
};

/* A row of logins: one user at one block. */
struct store_login_row {
	char user[STORE_USER_MAX];
	char block[ADDRESS_TEXT_MAX];
	char country[8];
	long count;
	time_t last;
};

/* --- accounts --- */

struct store_account {
	char user[STORE_USER_MAX];
	time_t since;    /* when it was put on the list */
	time_t released; /* 0 = it is on the list */
	bool command_ran;
	char check[STORE_RULE_MAX];      /* who put it there */
	char address[ADDRESS_TEXT_MAX];  /* the client that gave it away */
	char reason[STORE_TEXT_MAX];
};

/* --- offenders --- */

struct store_hit {
	const char *block; /* "192.0.2.1/32" */
	const char *rule;
	const char *key;   /* distinct ones count: a line's fingerprint, or a
	                    * recipient; one key counts once per block and rule
	                    * within the period */
	time_t time;       /* of the log */
};

struct store_rule {
	const char *name;
	long hits;   /* listed at this hit ... */
	long period; /* ... within so many seconds */
};

struct store_batch {
	const struct store_hit *hits;
	size_t hit_count;
	const struct store_rule *rules;
	size_t rule_count;
	long ban, ban_max; /* seconds */
	time_t now;
	const char *source;   /* whose position moves: "HOST PATH" */
	const char *position_old; /* must be what is there; "" = nothing */
	const char *position_new;
};

struct store_offender {
	char block[STORE_BLOCK_MAX];
	char rule[STORE_RULE_MAX]; /* "manual" = added by hand */
	char note[STORE_TEXT_MAX];
	long hits;
	long times; /* how often it was listed */
	time_t since;
	time_t last;    /* offence */
	time_t expires; /* 0 = never */
	bool listed;    /* false: its ban is over; what is known about it
	                 * makes the next one longer */
};

/* --- the whole --- */

/* Numbers of rows are kept within these, so that no sum of ours overflows. */
#define STORE_COUNT_LIMIT 1000000000000L
#define STORE_TIME_LIMIT 253402300799L /* the end of year 9999 */

static inline int64_t
store_within(int64_t value, int64_t limit)
{
	return value < 0 ? 0 : value > limit ? limit : value;
}

enum store_kind {
	STORE_LOGIN,
	STORE_ACCOUNT,
	STORE_OFFENDER,
	STORE_RATE,
	STORE_POSITION,
	STORE_HIT,
};

struct store_position_row {
	char source[STORE_TEXT_MAX];
	char position[STORE_TEXT_MAX];
};

struct store_hit_row {
	char block[STORE_BLOCK_MAX];
	char rule[STORE_RULE_MAX];
	char key[STORE_TEXT_MAX];
	time_t time;
};

/* Any of the above, for iterating and copying. */
struct store_row {
	enum store_kind kind;
	union {
		struct store_login_row login;
		struct store_account account;
		struct store_offender offender;
		struct store_position_row position;
		struct store_hit_row hit;
	} u;
};

/* Called for each row; stops when it returns false. */
typedef bool store_row_fn(void *arg, const struct store_row *row);

struct store_status {
	long schema;
	long rows[STORE_HIT + 1]; /* by kind */
	int64_t bytes;            /* on disk or in memory, -1 = not known */
	char where[STORE_TEXT_MAX]; /* without password */
};

/* What purge() may remove. Rows older than these times are of no use. */
struct store_purge {
	time_t logins_before;
	time_t hits_before;
	time_t accounts_before; /* released before */
	time_t now;             /* rates that have ended */
};

/*
 * The state of a driver begins with this. error: the last failure, for people,
 * without secrets; failure: its kind, set whenever an operation returns
 * STORE_ERROR.
 */
struct store {
	const struct store_driver *driver;
	char error[STORE_ERROR_MAX];
	enum store_failure failure;
	long wait_ms; /* an operation waits no longer, milliseconds */
	int64_t deadline; /* of the operation at hand, clock_ms() */
	char where[STORE_TEXT_MAX]; /* it is, without a password */
	struct store_url url; /* of a server */
	bool logins_only; /* what was opened is the database of the postfwd
	                   * plugin, as it is: iterate() gives its logins in
	                   * our form, and nothing else can be done */
};

struct store_driver {
	const char *scheme; /* "sqlite": of store.url */
	bool server; /* an open one costs somebody a connection */
	size_t size; /* of its state, which begins with struct store */
	const char *const *parameters; /* of a server's URL; the last is NULL */

	/*
	 * Opens it, before the deadline, migrating the schema; a server's URL
	 * was read. One that is not there yet is made if `create` is set, and a
	 * table of the postfwd plugin is brought to our form; without it that
	 * is only read, see logins_only. False as for an operation; then, too,
	 * it is closed.
	 */
	bool (*open)(struct store *s, const struct config *cfg,
	    const char *url, bool create);
	/* Closes it, all but its memory. */
	void (*close)(struct store *s);

	/* Records a login and counts: FOUND. */
	enum store_result (*login)(struct store *s,
	    const struct store_login *login, struct store_counts *counts);
	enum store_result (*forget)(struct store *s, const char *user);

	/*
	 * Takes one of `limit` per fixed period that begins with the first
	 * one. FOUND: there was one left; ABSENT: there was not.
	 */
	enum store_result (*rate_take)(struct store *s, const char *key,
	    long limit, long period, time_t now);

	/*
	 * Puts an account on the list. ABSENT: it is new there, or was
	 * released, or had been put there before `expired` (0 = never).
	 */
	enum store_result (*account_add)(struct store *s,
	    const struct store_account *account, time_t expired);
	/* Also tells about a released one (released != 0). */
	enum store_result (*account_find)(struct store *s, const char *user,
	    struct store_account *account);
	enum store_result (*account_release)(struct store *s, const char *user,
	    time_t now);
	/* Notes that the command was started. ABSENT: it had been before. */
	enum store_result (*account_ran)(struct store *s, const char *user);

	/*
	 * Counts hits, lists offenders and moves the position, all or nothing.
	 * A hit counts with the distinct ones of its block and rule in the
	 * period up to it, or up to the latest one known if that is within the
	 * period after it (two hosts' logs come in any order). When a block is
	 * listed, its hits are spent: they are forgotten, and further ones
	 * until the ban ends only make the ban longer and are counted in the
	 * offender's `hits'. ABSENT: the position was not position_old, so
	 * nothing was done.
	 */
	enum store_result (*offenders_apply)(struct store *s,
	    const struct store_batch *batch);
	enum store_result (*position)(struct store *s, const char *source,
	    char *position, size_t size);
	/* Changes whenever the list of offenders does. */
	enum store_result (*generation)(struct store *s, int64_t *generation);
	enum store_result (*offender_add)(struct store *s,
	    const struct store_offender *offender);
	/* Forgets its hits too. block "" = all. */
	enum store_result (*offender_remove)(struct store *s,
	    const char *block);
	/* Drops those that have expired. FOUND: there were some. */
	enum store_result (*offenders_expire)(struct store *s, time_t now);

	enum store_result (*purge)(struct store *s,
	    const struct store_purge *purge, long *removed);
	/*
	 * All rows of a kind; unless `of' is "", only this user's (logins,
	 * accounts) or this block's (offenders, hits). Rows of one user come
	 * together; offenders that are no longer listed come too. Rates do
	 * not: they are soon over. ABSENT: there are none. While it lasts
	 * nothing else is asked of the store.
	 */
	enum store_result (*iterate)(struct store *s, enum store_kind kind,
	    const char *of, store_row_fn *fn, void *arg);
	/* Writes rows as iterate() gave them, all or none: for copying. */
	enum store_result (*restore)(struct store *s,
	    const struct store_row *rows, size_t count);
	enum store_result (*status)(struct store *s,
	    struct store_status *status);
};

/* --- for everybody --- */

#define STORE_BACKOFF 5 /* seconds without a further attempt after a failure */

/*
 * The store of store.url, opened at the first call and kept for the process.
 * Operations wait at most store.timeout, filter.deadline and left_ms
 * milliseconds. NULL, and why in error, when it cannot be used; if it is
 * broken, all processes leave it alone for STORE_BACKOFF seconds. Without
 * `create` a store that is not there is not made, and nobody is kept from it.
 */
struct store *store_get(const struct config *cfg, time_t now, long left_ms,
    bool create, char *error, size_t size);

/*
 * Report every result here: after STORE_ERROR error says why, and a store that
 * is broken is closed and rests. One that refuses something is closed every
 * STORE_BACKOFF seconds, and may open as another. Returns the result.
 */
enum store_result store_done(const struct config *cfg, struct store *s,
    time_t now, enum store_result result, char *error, size_t size);

/*
 * The same for an operation that only reads: a store is usable again when what
 * was refused, reading or writing, goes.
 */
enum store_result store_done_reading(const struct config *cfg, struct store *s,
    time_t now, enum store_result result, char *error, size_t size);

/* Closes what store_get() has opened. */
void store_close(void);

/*
 * To be called before a process waits for something else: closes a connection
 * to a server that was not used for store.idle. Milliseconds until it wants to
 * be called again, -1 = there is no connection to be closed.
 */
int store_idle(void);

/*
 * Opens a store without the rest and the sharing of store_get(), for abictl
 * and tests; store_free() closes it.
 */
struct store *store_open(const struct config *cfg, const char *url,
    char *error, size_t size);

/*
 * The same, but one that is not there is not made, and one of the postfwd
 * plugin is only read, see logins_only.
 */
struct store *store_open_existing(const struct config *cfg, const char *url,
    char *error, size_t size);

/* Either of them within wait_ms, and what follows when it fails. */
struct store *store_open_within(const struct config *cfg, const char *url,
    long wait_ms, bool create, enum store_failure *failure, char *error,
    size_t size);
void store_free(struct store *s);

/*
 * The key of a user: folded to lower case (ASCII), without blanks at the ends,
 * which mail systems pass over at a login. One that is longer than 100
 * bytes or not valid UTF-8 becomes its first 35 bytes, with '?' for what is
 * not printable ASCII, '#', and the SHA-256 of the folded name in hex.
 */
void store_user(const char *name, char *out, size_t size);

/*
 * How long a server may wait for a lock of others, milliseconds, on a
 * connection for operations that wait so long: somewhat less, so that it tells
 * us what we have waited for.
 */
long store_lock_limit(const struct config *cfg, long wait_ms);

/*
 * What nobody needs any more, by this configuration. With an error in
 * [geocount] its window is not known, and no login is among that.
 */
struct store_purge store_outdated(const struct config *cfg, time_t now);

#endif
