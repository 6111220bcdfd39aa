/*
 * store_redis - what the files of the Redis driver share; nobody else's.
 *
 * The protocol, RESP2, is hiredis's work: its reader and its command writer.
 * The connection is our own, see store_redis_wire.c.
 */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include "store/store.h"

/* --- replies --- */

enum redis_type {
	REDIS_NIL,
	REDIS_INTEGER,
	REDIS_TEXT,
	REDIS_ERROR, /* its text is the server's */
};

struct redis_item {
	enum redis_type type;
	int64_t number;
	size_t at, len; /* of a text */
};

struct redisReader; /* hiredis's */

/*
 * Reads replies: one value, or an array of values. A length or number that a
 * reply announces makes nothing grow, only what has come does.
 */
struct redis_reader {
	struct redisReader *parser; /* NULL = nothing was read yet */
	size_t limit, fed;          /* bytes of a reply, at most and so far */
	struct redis_item *items;
	size_t count, room;
	char *text; /* of the items, with NUL each */
	size_t len, size;
	bool array;
};

enum redis_progress {
	REDIS_WRONG, /* not a reply, or one over the limit, or no memory */
	REDIS_MORE,  /* more bytes are needed */
	REDIS_WHOLE, /* it is in items */
};

/* Loads hiredis, once. False: why in error. */
bool redis_load(char *error, size_t size);

/* Forgets the last reply and awaits one of at most `limit` bytes. */
void redis_reader_begin(struct redis_reader *r, size_t limit);

/* How many bytes may still come. */
size_t redis_reader_room(const struct redis_reader *r);

/*
 * Reads on, in n more bytes; 0: in what is there. Not beyond the end of the
 * reply. After REDIS_WRONG, redis_reader_drop().
 */
enum redis_progress redis_reader_feed(struct redis_reader *r,
    const char *bytes, size_t n);

/* Bytes after the reply. */
size_t redis_reader_rest(const struct redis_reader *r);

/* Forgets all bytes, for a new connection; the last reply is kept. */
void redis_reader_drop(struct redis_reader *r);

/* Item i as text with NUL: "" if it is none, or not there. */
const char *redis_text(const struct redis_reader *r, size_t i);

/* Item i as a number, also when it is one in a text; else 0. */
int64_t redis_number(const struct redis_reader *r, size_t i);

void redis_reader_free(struct redis_reader *r);

/* --- TLS, by OpenSSL, loaded when it is needed first --- */

struct redis_tls;

#define REDIS_WANT_READ (-1)
#define REDIS_WANT_WRITE (-2)
#define REDIS_FAILED (-3)

/* NULL, and why in error. Takes parameters ca_file, cert_file, key_file. */
struct redis_tls *redis_tls_open(const struct store_url *u, int fd,
    char *error, size_t size);

/* Of bytes done, 0 at the end, or one of the above; why in error. */
long redis_tls_handshake(struct redis_tls *t, char *error, size_t size);
long redis_tls_read(struct redis_tls *t, char *buf, size_t n, char *error,
    size_t size);
long redis_tls_write(struct redis_tls *t, const char *buf, size_t n,
    char *error, size_t size);

void redis_tls_close(struct redis_tls *t);

/* --- the connection --- */

#define REDIS_LITTLE 16384U       /* bytes of an ordinary reply, at most */
#define REDIS_MUCH (32U << 20)    /* of one with rows */
#define REDIS_PREFIX_MAX 64
#define REDIS_KEY_MAX 512
#define REDIS_DAY 86400L
#define REDIS_MANY 500
#define REDIS_COMMANDS 3 /* in one round trip */

/* Commands that are being made, to be sent together. */
struct redis_commands {
	char *text; /* of all words, with NUL each */
	size_t len, size;
	size_t *lens; /* of the words, without NUL */
	size_t count, room;
	size_t words[REDIS_COMMANDS]; /* of each command */
	size_t commands;
	bool failed; /* no memory, or too many */
};

struct redis_store {
	struct store store; /* first */
	struct store_url url;
	char where[160]; /* the server, for messages */
	char prefix[REDIS_PREFIX_MAX];
	long number;    /* of the database */
	long window;    /* of logins, seconds */
	long many;      /* blocks of a user that are not looked at one by one */
	int fd;         /* -1: not connected */
	struct redis_tls *tls;
	int64_t deadline; /* of the round trip at hand, clock_ms() */
	struct redis_reader reader;
	struct redis_commands out;
};

/* Notes what has gone wrong, as a broken store. STORE_ERROR. */
enum store_result redis_failed(struct redis_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Connects within the deadline. False: noted. */
bool redis_connect(struct redis_store *s);

/* Closes; what was to come is lost. */
void redis_disconnect(struct redis_store *s);

/* Has the server closed it, or said what nobody asked? */
bool redis_stale(const struct redis_store *s);

/* Sends bytes within the deadline. False: noted, and disconnected. */
bool redis_send(struct redis_store *s, const char *bytes, size_t n);

/*
 * Awaits one reply in s->reader within the deadline. False: noted, and
 * disconnected. An error of the server is a reply.
 */
bool redis_receive(struct redis_store *s, size_t limit);

/* --- commands --- */

/* A script, run by the hash of its text. */
struct redis_script {
	const char *text;
	char hash[41]; /* "" = not computed yet */
};

/* Forgets what was being made. */
void redis_command_begin(struct redis_store *s);

/* Begins a command, after those that are there; its words follow. */
void redis_command(struct redis_store *s);
void redis_word(struct redis_store *s, const char *text);
void redis_word_number(struct redis_store *s, int64_t number);

/* Begins a call of a script with so many keys; they and arguments follow. */
void redis_script(struct redis_store *s, struct redis_script *script,
    size_t keys);

/*
 * Sends what was made, within the deadline; it stays. script (may be NULL): the
 * first command carries its text in place of its hash. False: noted, and
 * disconnected if it was the connection's fault.
 */
bool redis_commands_send(struct redis_store *s,
    const struct redis_script *script);

/* Wipes and frees. */
void redis_commands_free(struct redis_commands *c);

/* A word of the prefix and what follows it. */
void redis_key(struct redis_store *s, const char *name);

/* The same for a user: PREFIX{USER}:NAME */
void redis_user_key(struct redis_store *s, const char *user, const char *name);

/* Is the reply an error of the server? Then it is noted. */
bool redis_reply_failed(struct redis_store *s);

/*
 * Connects, says who we are and looks at the schema, which it writes if there
 * is none and `create` is set. False: noted.
 */
bool redis_session(struct redis_store *s, bool create);

/*
 * One round trip: the script that was begun, with all its words. False: noted.
 * The reply is in s->reader: an array of items of these types, `i' an integer,
 * `t' a text or nil, `*' whatever follows; "" = one integer and no array.
 */
bool redis_call(struct redis_store *s, struct redis_script *script,
    size_t limit, const char *types);

/* The same for a script that returns one number; -1 on failure. */
int64_t redis_call_number(struct redis_store *s, struct redis_script *script);

/* What a command is about, when it may be too much for one. */
struct redis_items {
	const void *items;
	size_t count;
	void (*put)(struct redis_store *s, const void *items, size_t i);
};

#define REDIS_INLINE 500 /* items in one command */

/*
 * Lays more items than REDIS_INLINE down in a list on the server, for a script
 * that takes all of them at once; what is not fetched goes after a minute.
 * `key`: of the list, also when it was not needed. False: noted.
 */
bool redis_upload(struct redis_store *s, const struct redis_items *items,
    char *key, size_t size);

/* Seconds until `end` and a day, at least a day, at most ten years. */
long redis_keep(time_t end, time_t now);

/* --- the operations, see struct store_driver --- */

enum store_result redis_login(struct store *store,
    const struct store_login *l, struct store_counts *c);
enum store_result redis_forget(struct store *store, const char *user);
enum store_result redis_rate_take(struct store *store, const char *key,
    long limit, long period, time_t now);
enum store_result redis_account_add(struct store *store,
    const struct store_account *a, time_t expired);
enum store_result redis_account_find(struct store *store, const char *user,
    struct store_account *a);
enum store_result redis_account_release(struct store *store, const char *user,
    time_t now);
enum store_result redis_account_ran(struct store *store, const char *user);
enum store_result redis_offenders_apply(struct store *store,
    const struct store_batch *b);
enum store_result redis_position(struct store *store, const char *source,
    char *position, size_t size);
enum store_result redis_generation(struct store *store, int64_t *generation);
enum store_result redis_offender_add(struct store *store,
    const struct store_offender *o);
enum store_result redis_offender_remove(struct store *store,
    const char *block);
enum store_result redis_offenders_expire(struct store *store, time_t now);
enum store_result redis_purge(struct store *store, const struct store_purge *p,
    long *removed);
enum store_result redis_iterate(struct store *store, enum store_kind kind,
    const char *of, store_row_fn *fn, void *arg);
enum store_result redis_restore(struct store *store,
    const struct store_row *rows, size_t count);
enum store_result redis_status(struct store *store,
    struct store_status *status);

/* --- shared by them --- */

#define REDIS_ACCOUNTS "compromised_accts" /* the Abusix daemon's set */

/* An account from the items at i: since, released, ran, check, ... */
void redis_account_items(const struct redis_reader *r, size_t i,
    struct store_account *a);
#define REDIS_ACCOUNT_ITEMS 6

/* An offender as it is kept: numbers, the length of the rule, both texts. */
void redis_offender_pack(const struct store_offender *o, char *out,
    size_t size);
bool redis_offender_unpack(const char *block, const char *text,
    struct store_offender *o);
#define REDIS_OFFENDER_MAX 512

/* The same of the rule and the key of a hit. */
void redis_hit_pack(const char *rule, const char *key, char *out,
    size_t size);

/*
 * A script with functions that read and write offenders before it; it is put
 * together when first used. Its first keys are redis_offender_keys().
 */
struct redis_long_script {
	struct redis_script script;
	char text[8192];
};

struct redis_script *redis_script_offenders(struct redis_long_script *l,
    const char *body);
void redis_offender_keys(struct redis_store *s);

/* A word: where the generation begins in a store that has none. */
void redis_seed(struct redis_store *s);

/*
 * For operations of many round trips: counts one. False, and noted, when a
 * server does not come to an end.
 */
bool redis_goes_on(struct redis_store *s, long *trips);

#endif
