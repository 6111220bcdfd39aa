/*
 * array - what grows by doubling, and a hash for tables.
 */
#ifndef ARRAY_H
#define ARRAY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Makes room for `need` elements of `each` bytes in array (NULL: none yet),
 * which has room for *room; at least for `least`. Returns it, perhaps at
 * another place, for free(); NULL without memory, and array is as it was.
 */
void *array_room(void *array, size_t *room, size_t need, size_t each,
    size_t least);

/* FNV-1a of n bytes more; begin with ARRAY_HASH. Not against attackers. */
#define ARRAY_HASH 2166136261U
uint32_t array_hash(uint32_t hash, const void *bytes, size_t n);

#endif
