/*
 * arena - memory that is taken in small parts and freed as a whole.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena {
	struct arena_piece *pieces; /* NULL = nothing was taken yet */
};

/* Zeroed memory, for any type; NULL when memory is short. */
void *arena_take(struct arena *a, size_t size);

/* A copy of a text, with NUL; NULL when memory is short. */
char *arena_text(struct arena *a, const char *text, size_t n);

/* Frees all of it. */
void arena_free(struct arena *a);

#endif
