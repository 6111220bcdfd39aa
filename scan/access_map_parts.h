/*
 * access_map_parts - what is in the text file of an access map, and its files:
 * read, made anew, replaced. Only access_map's files and the tests use this.
 */
#ifndef ACCESS_MAP_PARTS_H
#define ACCESS_MAP_PARTS_H

#include <sys/stat.h>

#include "base/hostlist.h"
#include "scan/access_map.h"

#define ACCESS_TOOL_SECONDS 60

#define ACCESS_HEADER_MAX 160

/* The first line of our block. */
struct access_header {
	int64_t generation;   /* -1: there is no such line */
	char types[32];       /* of maps: "hash lmdb" */
	struct timespec made; /* the file's time of modification */
	bool oks; /* OK lines of the file keep addresses out of the block */
};

/* Writes the line, with its newline. Its length. */
size_t access_header_write(const struct access_header *h,
    char out[ACCESS_HEADER_MAX]);

/* Reads one from the beginning of text. Its length; 0 when there is none. */
size_t access_header_read(const char *text, size_t len,
    struct access_header *h);

/*
 * Leaves everybody else's lines in text, in place, as they are, sets *len, and
 * reads our header wherever it is. False when the first of the lines would
 * continue a line of ours.
 */
bool access_text_others(char *text, size_t *len, struct access_header *h);

/*
 * The blocks of everybody else's OK lines about addresses. The caller frees it.
 * NULL without memory.
 */
struct hostlist *access_oks_read(const char *text, size_t len, bool cidr);

#define ACCESS_KEYS_MAX 2
#define ACCESS_KEY_MAX  (ADDRESS_TEXT_MAX + 4)

/*
 * The keys under which Postfix finds the addresses of a block in an indexed
 * map; smtpd looks for the address and then, cut at each '.' or ':' from the
 * right, for the rest of it. IPv4 blocks must end at an octet, IPv6 blocks at
 * a group. Returns their number. *whole: false when addresses of the block are
 * left whose text no key stands for without standing for others' as well.
 */
size_t access_keys(const struct address_block *b,
    char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX], bool *whole);

#define ACCESS_EXPAND_MAX 256

/* The block cut into such blocks: their number, 0 when that would be more. */
size_t access_expand(const struct address_block *b,
    struct address_block out[ACCESS_EXPAND_MAX]);

/*
 * The text of a file from the second line on: our block with these entries,
 * which are sorted, except what oks (NULL: none) has, and the other lines. Adds
 * to lines, left, names and unfit of r. The caller frees it. NULL with errno.
 */
char *access_text_make(const struct access_map_list *list,
    const struct hostlist *oks, bool cidr, const char *other, size_t other_len,
    struct access_map_result *r, size_t *len);

#define ACCESS_FILE_MAX ((off_t)512 << 20) /* a million of our lines: 65 MiB */
#define ACCESS_AGAIN 1 /* the map has changed meanwhile: begin anew */

/* One change of a map. */
struct access_job {
	const struct access_map *map;
	char *error;
	size_t error_size;
	int dir, old_fd, fresh_fd; /* -1: not open */
	char fresh[NAME_MAX + 32]; /* has the lock */
	struct stat st;            /* of the old file, if old_fd is open */
	char *old;
	size_t old_len;
};

/* How long another writer is waited for; only tests change it. */
extern long access_lock_wait_ms;

/* -1, after a message that begins with the setting was put into j->error. */
int access_job_fail(struct access_job *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Opens and checks the directory, waits for the lock, removes what a killed
 * run has left, reads the file as it is. All texts stay the caller's. 0, -1 or
 * ACCESS_AGAIN; access_job_close() in any case.
 */
int access_job_open(struct access_job *j, const struct access_map *m,
    char *error, size_t size);
void access_job_close(struct access_job *j);

/*
 * Puts a new file, of that header line and text, in the place of what was
 * read, with that time, and first its indexes, unless those stay. 0, -1 or
 * ACCESS_AGAIN.
 */
int access_job_put(struct access_job *j, const char *header, const char *text,
    size_t len, const struct timespec *made, bool indexes_stay);

/* Are a file of that header and its indexes what was made together? */
bool access_map_whole(const struct access_map *m, int dir,
    const struct access_header *h, const struct stat *text);

#endif
