/*
 * fuzz - the entry that libFuzzer calls, and a copy of its input that a parser
 * may change. A property that does not hold calls abort().
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input with a NUL after it; for the caller to free. */
static inline char *
fuzz_copy(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

#define HOLDS(condition)                                                      \
	do {                                                                  \
		if (!(condition))                                             \
			abort();                                              \
	} while (0)

#endif
