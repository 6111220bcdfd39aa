/*
 * access_map - the blacklist as an access map that Postfix itself looks up.
 *
 * The offenders are a block of lines above everybody else's lines in the text
 * file of a map (access(5), cidr_table(5)), and so are looked up first. File
 * and index are built under temporary names (.NAME.abichecker-new and that with
 * the index's suffix) and renamed, the index first: a process that is killed
 * leaves the old or the new map, and no generation, or the right one.
 *
 * Whoever has an OK in the file when our block first comes into it was
 * protected by hand: from then on such lines keep addresses out of the block,
 * until the administrator says otherwise. The block's first line says which of
 * the two it is: it lives and goes with what it is about. It has the file's
 * time of modification, too, which is the index's as well: whoever edits the
 * file, or runs postmap, has it made anew.
 */
#ifndef ACCESS_MAP_H
#define ACCESS_MAP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"

/*
 * The text of our refusals: the log says "Client host rejected: " and this,
 * and whoever reads the log does not count it.
 */
#define ACCESS_MAP_TEXT "Mail server found in the local blacklist"

#define ACCESS_MAP_ERROR_MAX 1024 /* enough for every text below */
#define ACCESS_MAP_NAMES_MAX 512

/* Types of maps, as bits. */
enum access_type {
	ACCESS_HASH = 1,
	ACCESS_BTREE = 2,
	ACCESS_LMDB = 4,
	ACCESS_CDB = 8,
	ACCESS_CIDR = 16,
};

/* Where a map is, and of which types. */
struct access_map {
	const char *setting; /* TYPE:/PATH or /PATH, for messages */
	char dir[PATH_MAX];
	char name[NAME_MAX + 1];
	unsigned own;   /* the type of the setting; 0: it has none */
	unsigned named; /* what Postfix's configuration names for that path */
	unsigned kept;  /* those that are made: cidr alone, or others */
};

struct access_map_entry {
	struct address_block block;
	time_t since; /* listed then: of a cidr map the newest are kept */
};

/* What the block is to say. */
struct access_map_list {
	struct access_map_entry *entries; /* gets another order */
	size_t count;
	size_t max;         /* of a cidr map so many at most, the newest */
	int64_t generation; /* not negative */
	bool override;      /* from now on no OK keeps anybody out */
	bool anew;          /* even if the map is that already */
};

struct access_map_result {
	size_t lines;   /* in our block */
	size_t left;    /* blocks left out because of an OK line */
	char names[ACCESS_MAP_NAMES_MAX]; /* of the first of them */
	size_t unfit;   /* blocks that the keys say not at all or not wholly */
	size_t cut;     /* entries beyond max */
	bool changed;   /* other lines than before: a cidr map wants a reload */
	bool rewritten; /* the file is a new one */
};

/*
 * Takes a setting apart, which must stay. NULL, or what is wrong with it, a
 * constant text. Looks at no file.
 */
const char *access_map_parse(const char *setting, struct access_map *m);

/*
 * The same, and asks Postfix for the types: those that its configuration names
 * for the path; without a type there or in the setting default_database_type.
 * False and why when there is none.
 */
bool access_map_find(const char *setting, struct access_map *m, char *error,
    size_t size);

/* The types that a text, such as postconf's output, names for that path. */
unsigned access_map_named(const struct access_map *m, const char *text);

/* "hash", or "hash lmdb". Valid until the next call. */
const char *access_map_types(unsigned types);

/*
 * Makes our block say what the list does. An existing file's other lines,
 * owner, mode, ACL and SELinux label stay, and so do those of its index; a new
 * file is root's, mode 0644. Does nothing when the map is that already. Waits
 * some seconds for another writer. Tells the log what was left out.
 *
 * False: nothing was changed, and the reason is in error.
 */
bool access_map_write(const struct access_map *m, struct access_map_list *list,
    struct access_map_result *result, char *error, size_t size);

/* Says in one sentence who was left out, if r->left is not 0. */
void access_map_left(const char *setting, const struct access_map_result *r,
    char *out, size_t size);

/*
 * The generation of the block in force; -1 when there is none that is the
 * first in its file and in each index. Cheap: a few system calls.
 */
int64_t access_map_generation(const struct access_map *m);

/*
 * Takes our block out again. A file without other lines stays as an empty one,
 * for Postfix wants it to be there. True, also when there was none; false as
 * above.
 */
bool access_map_remove(const struct access_map *m, char *error, size_t size);

/*
 * Has Postfix read its cidr maps anew: `postfix reload`, of the instance that
 * the environment's MAIL_CONFIG names, else of the default one. False and why
 * when that fails.
 */
bool postfix_reload(char *error, size_t size);

#endif
