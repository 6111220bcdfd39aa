/*
 * array - what grows by doubling, and a hash for tables.
 */
#include "base/array.h"

#include <stdlib.h>

void *
array_room(void *array, size_t *room, size_t need, size_t each, size_t least)
{
	size_t more = *room > 0 ? *room : least;
	void *larger;

	if (array != NULL && need <= *room)
		return array;
	while (more < need && more <= SIZE_MAX / 2)
		more *= 2;
	larger = more >= need ? reallocarray(array, more, each) : NULL;
	if (larger != NULL)
		*room = more;
	return larger;
}

uint32_t
array_hash(uint32_t hash, const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	size_t i;

	for (i = 0; i < n; i++)
		hash = (hash ^ b[i]) * 16777619U;
	return hash;
}
