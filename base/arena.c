/*
 * arena - memory that is taken in small parts and freed as a whole.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIECE_MIN (16 * 1024)
#define PIECE_MAX (2 * 1024 * 1024) /* the size of a huge page */
#define ALIGN 16

struct arena_piece {
	_Alignas(ALIGN) struct arena_piece *next;
	size_t size, used; /* this head included */
};

/* Another piece, twice as large as the last one, or as it must be. */
static struct arena_piece *
piece_add(struct arena *a, size_t need)
{
	size_t size = PIECE_MIN;
	struct arena_piece *p;

	if (need > SIZE_MAX / 4)
		return NULL;
	if (a->pieces != NULL && a->pieces->size < PIECE_MAX)
		size = a->pieces->size * 2;
	else if (a->pieces != NULL)
		size = PIECE_MAX;
	while (size - sizeof(*p) < need)
		size *= 2;
	p = aligned_alloc(size, size);
	if (p == NULL)
		return NULL;
	/* One page fault instead of five hundred, where it works. */
	if (size >= PIECE_MAX)
		madvise(p, size, MADV_HUGEPAGE);
	*p = (struct arena_piece){ a->pieces, size, sizeof(*p) };
	a->pieces = p;
	return p;
}

void *
arena_take(struct arena *a, size_t size)
{
	struct arena_piece *p = a->pieces;
	char *at;

	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (p == NULL || p->size - p->used < size)
		p = piece_add(a, size);
	if (p == NULL)
		return NULL;
	at = (char *)p + p->used;
	p->used += size;
	return memset(at, 0, size);
}

char *
arena_text(struct arena *a, const char *text, size_t n)
{
	char *copy = arena_take(a, n + 1);

	return copy != NULL ? memcpy(copy, text, n) : NULL;
}

void
arena_free(struct arena *a)
{
	struct arena_piece *p;

	while ((p = a->pieces) != NULL) {
		a->pieces = p->next;
		free(p);
	}
}
