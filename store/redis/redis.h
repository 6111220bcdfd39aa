/*
 * store_redis - what the files of the Redis driver share; nobody else's.
 *
 * The protocol, RESP2, is hiredis's work: its reader and its command writer.
 * The connection is our own, see wire.c.
 */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#if defined(__has_include) && !__has_include(<hiredis/hiredis.h>)
#include <hiredis.h>
#else
#include <hiredis/hiredis.h>
#endif

#include "base/library.h"
#include "store/driver.h"

/* Every function of hiredis that we call. */
#define REDIS_FUNCTIONS(F)                                                    \
	F(redisReaderCreate) F(redisReaderFree) F(redisReaderFeed)            \
	F(redisReaderGetReply) F(freeReplyObject)                             \
	F(redisvFormatCommand) F(redisFreeCommand)

extern struct redis_library {
	REDIS_FUNCTIONS(LIBRARY_POINTER)
} redis_library;

/* Loads hiredis. False: why in error. */
bool redis_load(char *error, size_t size);

#define REDIS_LITTLE 16384U    /* bytes of an ordinary reply, at most */
#define REDIS_MUCH (32U << 20) /* of one with rows */
#define REDIS_ITEM 64U /* bytes of a reply that an item takes, at least */
#define REDIS_PREFIX_MAX 64
#define REDIS_DAY 86400L
#define REDIS_MANY 500
#define REDIS_ACCOUNTS "compromised_accts" /* the Abusix daemon's set */

/* Commands that are being made, to be sent together. */
struct redis_commands {
	char *bytes;
	size_t len, size, count;
	bool failed; /* no memory */
	bool sent;   /* the next one begins anew */
};

struct redis_store {
	struct store store; /* first */
	char prefix[REDIS_PREFIX_MAX];
	long number; /* of the database */
	long window; /* of logins, seconds */
	long many;   /* blocks of a user that are not looked at one by one */
	int fd;      /* -1: not connected */
	struct ssl_st *tls;
	struct redis_commands out;
	size_t awaited;  /* replies */
	bool together;   /* what comes belongs to what was asked before: never
	                  * on another connection */
	bool ending;     /* EXEC was said: no array says that it is not done */
	struct redisReader *parser; /* hiredis's; NULL = nothing was read yet */
	struct redisReply *reply;   /* the last one */
	size_t limit, fed; /* bytes that may come for it, and have */
	size_t items;      /* that it has announced */
	time_t latest;     /* login of the user who is being restored */
};

/* --- the connection: wire.c --- */

/* Notes what has gone wrong, as a broken store. False. */
#define redis_failed(s, ...)                                                  \
	store_failed(&(s)->store, STORE_BROKEN, __VA_ARGS__)

/* Connects within the deadline. False: noted. */
bool redis_connect(struct redis_store *s);

/* Closes; what was to come is lost. */
void redis_disconnect(struct redis_store *s);

/* Has the server closed it, or said what nobody asked? */
bool redis_stale(const struct redis_store *s);

/* Sends bytes within the deadline. False: noted, and disconnected. */
bool redis_send(struct redis_store *s, char *bytes, size_t n);

/*
 * Awaits one reply of at most `limit` bytes within the deadline. False: noted,
 * and disconnected. An error of the server is a reply.
 */
bool redis_receive(struct redis_store *s, size_t limit);

/* --- TLS, by OpenSSL, loaded when it is needed first: tls.c --- */

enum redis_step {
	REDIS_CONNECT,
	REDIS_READ,
	REDIS_WRITE,
};

#define REDIS_WANT_READ (-1)
#define REDIS_WANT_WRITE (-2)
#define REDIS_FAILED (-3)

/* NULL, and why in error. Takes parameters ca_file, cert_file, key_file. */
struct ssl_st *redis_tls_open(const struct store_url *u, int fd,
    char *error, size_t size);
void redis_tls_close(struct ssl_st *t);

/* Of bytes done, 0 at the end, or one of the above; why in error. */
long redis_tls_step(struct ssl_st *t, enum redis_step step, void *bytes,
    size_t n, char *error, size_t size);

/* --- replies: reply.c --- */

/* Forgets the last reply and awaits one; at most `limit` bytes may come. */
void redis_reply_begin(struct redis_store *s, size_t limit);

/*
 * Reads on, in n more bytes; 0: in what is there. False: not a reply, or one
 * over the limit, or no memory. s->reply is not NULL when it is whole.
 */
bool redis_reply_feed(struct redis_store *s, const char *bytes, size_t n);

/* Bytes after the reply. */
size_t redis_reply_rest(const struct redis_store *s);

/* Forgets all bytes, for a new connection; the last reply is kept. */
void redis_reply_drop(struct redis_store *s);

/*
 * Is it of these types? `i' is an integer, `t' a text or nil, `s' a status,
 * and `[' an array whose items the rest is about: there `a' is an array, and
 * `*' whatever follows.
 */
bool redis_reply_fits(const struct redisReply *r, const char *types);

/* Is it an error of the server, or one in it? Then it is noted: error.c. */
bool redis_reply_failed(struct redis_store *s);

/* Item i of an array, or the reply itself: as text, "" if it is none. */
const char *redis_text(const struct redisReply *r, size_t i);

/* The same as a number, also when it is one in a text; else 0. */
int64_t redis_number(const struct redisReply *r, size_t i);

/* Item i if it is an array, else an empty one. */
const struct redisReply *redis_array(const struct redisReply *r, size_t i);

/* --- asking: session.c --- */

/* A script, run by the hash of its text: see redis_hash(). */
struct redis_script {
	const char *text;
	char hash[41]; /* "" = not computed yet */
	bool much;     /* its reply may have rows */
};

const char *redis_hash(struct redis_script *script);

/*
 * Connects, says who we are and looks at the schema, which it writes if there
 * is none and `create` is set. False: noted.
 */
bool redis_session(struct redis_store *s, bool create);

/*
 * Makes a command, after those that were not sent yet; words are divided by the
 * blanks of fmt alone.
 */
void redis_ask(struct redis_store *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Wipes and frees. */
void redis_commands_free(struct redis_commands *c);

/*
 * One round trip: sends what was asked; then each reply is to be taken. False:
 * noted, and for redis_next() disconnected if others were to come.
 */
bool redis_trip(struct redis_store *s);
bool redis_next(struct redis_store *s, size_t limit, const char *types);

/*
 * The same for one command; script, if not NULL, is what it calls, and is made
 * known to the server when it is not.
 */
bool redis_call(struct redis_store *s, const struct redis_script *script,
    const char *types);

/* The same for one that says how much it has changed: FOUND or ABSENT. */
enum store_result redis_change(struct redis_store *s,
    const struct redis_script *script);

/*
 * The same, again and again, for one that gives how much it has changed, which
 * is added, and whether there may be more. False: noted.
 */
bool redis_repeat(struct redis_store *s, const struct redis_script *script,
    long *changed);

/*
 * Ends a transaction that MULTI was asked to begin, and has it all sent: 1, or
 * 0: somebody has changed what is watched; or -1, noted.
 */
int redis_exec(struct redis_store *s);

/*
 * For operations of many round trips: counts one. False, and noted, when a
 * server does not come to an end.
 */
bool redis_goes_on(struct redis_store *s, long *trips);

/* Seconds until `end` and a day, at least a day, at most ten years. */
long redis_keep(time_t end, time_t now);

/* --- the operations, see struct store_driver --- */

#define REDIS_DECLARE(name) STORE_OPERATION(name) redis_##name;
STORE_OPERATIONS(REDIS_DECLARE)

/* --- shared by them --- */

#define REDIS_RELEASED_KEEP (365 * REDIS_DAY)

/* Asks for accounts, see account.lua; and the one from item i on. */
void redis_account_ask(struct redis_store *s, const char *user,
    const char *what, time_t now, const struct store_account *a,
    time_t expired);
bool redis_account_read(const struct redisReply *r, size_t i,
    struct store_account *a);
#define REDIS_ACCOUNT_TEXTS 7

/* Reads a number and the character after it. */
bool redis_number_take(const char **text, char after, long *out);

/* An offender as it is kept: numbers, the length of the rule, both texts. */
void redis_offender_pack(const struct store_offender *o, char *out,
    size_t size);
bool redis_offender_unpack(const char *block, const char *text,
    struct store_offender *o);
#define REDIS_OFFENDER_MAX 512

/* A hit from its name, "LENGTH:RULE:KEY"; rule has STORE_RULE_MAX bytes. */
bool redis_hit_unpack(const char *name, char *rule, const char **key);

/* Within a transaction: writes an offender; another generation. */
void redis_offender_put(struct redis_store *s, const struct store_offender *o);
void redis_generation_next(struct redis_store *s);

#endif
