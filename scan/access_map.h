/*
 * access_map - the blacklist as an access map that Postfix itself looks up.
 *
 * The offenders are kept as a block of lines above everybody else's lines in
 * the text file of a map (access(5), cidr_table(5)). File and index are built
 * under temporary names in the same directory and renamed, the index first:
 * a process that is killed leaves the old or the new map, and no generation,
 * or the right one. Whose key stands in the file already, or is covered by
 * somebody else's OK, is left out of the block.
 *
 * The index is ours when its time of modification is the file's, to the
 * nanosecond; so whoever edits the file, or runs postmap, has it made anew.
 *
 * Temporary names, beside NAME: .NAME.abichecker-new, that with the suffix of
 * the index, and .NAME.abichecker-lock, which goes with our block.
 */
#ifndef ACCESS_MAP_H
#define ACCESS_MAP_H

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

#define ACCESS_MAP_ERROR_MAX 1024 /* enough for every error below */

struct access_map_entry {
	struct address_block block;
	time_t since; /* listed then: of a cidr map the newest are kept */
};

struct access_map_result {
	size_t lines;   /* in our block */
	size_t others;  /* blocks left out because of somebody else's lines */
	size_t unfit;   /* blocks that the keys say not at all or not wholly */
	size_t cut;     /* entries beyond max */
	bool changed;   /* other lines than before: a cidr map wants a reload */
	bool rewritten; /* the file is a new one */
};

/*
 * Whether the setting is one: TYPE:/ABSOLUTE/PATH with hash, btree, lmdb, cdb
 * or cidr. Else false, and why. Looks at no file.
 */
bool access_map_check(const char *map, char *error, size_t size);

/*
 * Makes our block say these entries, in any order, and that generation (not
 * negative). max: of a cidr map so many at most, the newest. An existing
 * file's other lines, owner, mode, ACL and SELinux label stay, and so do those
 * of its index; a new file is root's, mode 0644. Does nothing when the map is
 * that already. Waits some seconds for another writer. Tells the log what was
 * left out.
 *
 * 0, or -1 with nothing changed and the reason in error.
 */
int access_map_write(const char *map, const struct access_map_entry *entries,
    size_t count, size_t max, int64_t generation,
    struct access_map_result *result, char *error, size_t size);

/*
 * The generation of the block in force; -1 when there is none that is whole,
 * the first in its file and in its index. Cheap: a few system calls, of a cidr
 * map the whole file is read.
 */
int64_t access_map_generation(const char *map);

/*
 * Takes our block out again. A file without other lines stays as an empty one,
 * for Postfix wants it to be there. 0, also when there was none, or -1 as
 * above.
 */
int access_map_remove(const char *map, char *error, size_t size);

/*
 * Has Postfix read its cidr maps anew: `postfix reload`, of the instance that
 * the environment's MAIL_CONFIG names, else of the default one. False and why
 * when that fails.
 */
bool postfix_reload(char *error, size_t size);

#endif
