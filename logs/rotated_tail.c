/*
 * rotated_tail - the last lines that were read of a log file, found again
 * when the file was edited: lines that were removed before them have moved
 * them to another place.
 *
 * A sum that is cheap to carry on from byte to byte says where to look closer.
 */
#include "logs/rotated.h"

#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENOUGH 32 /* bytes: a line of Postfix has more, and is like no other */
#define BLOCK 65536
#define BASE UINT64_C(6364136223846793005)

void
rotated_print(char *print, const void *head, size_t len)
{
	char digest[SHA256_DIGEST_STRING_LENGTH];
	SHA2_CTX sha;

	SHA256Init(&sha);
	SHA256Update(&sha, head, len);
	SHA256End(&sha, digest);
	memcpy(print, digest, ROTATED_PRINT_MAX - 1);
	print[ROTATED_PRINT_MAX - 1] = '\0';
}

/* Every byte counts by its place from the end. */
static uint64_t
sum_of(const char *bytes, size_t len)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = sum * BASE + (unsigned char)bytes[i];
	return sum;
}

/* The bytes before end; how many there are. */
static size_t
bytes_before(int fd, uint64_t end, char *bytes, size_t len)
{
	if (len > end)
		len = (size_t)end;
	return pread(fd, bytes, len, (off_t)(end - len)) == (ssize_t)len ? len
									 : 0;
}

void
rotated_tail_take(struct rotated_tail *t, int fd, uint64_t end)
{
	char bytes[ROTATED_TAIL_MAX];
	size_t n = bytes_before(fd, end, bytes, sizeof(bytes)), begin = n;
	const char *nl;

	memset(t, 0, sizeof(*t));
	if (n == 0 || bytes[n - 1] != '\n')
		return;
	/* As few lines as will do: none of them may be missing later. */
	while (begin > 0 && n - begin < ENOUGH) {
		nl = memrchr(bytes, '\n', begin - 1);
		begin = nl != NULL ? (size_t)(nl - bytes) + 1 : 0;
	}
	t->len = n - begin;
	t->sum = sum_of(bytes + begin, t->len);
	rotated_print(t->print, bytes + begin, t->len);
}

/* Are these bytes the ones? */
static bool
tail_same(const struct rotated_tail *t, const char *bytes)
{
	char print[ROTATED_PRINT_MAX];

	rotated_print(print, bytes, t->len);
	return strcmp(print, t->print) == 0;
}

bool
rotated_tail_is(const struct rotated_tail *t, int fd, uint64_t end)
{
	char bytes[ROTATED_TAIL_MAX];

	return t->len == 0 || (bytes_before(fd, end, bytes, t->len) == t->len &&
				  tail_same(t, bytes));
}

bool
rotated_tail_find(const struct rotated_tail *t, int fd, uint64_t *end)
{
	char *buf = calloc(1, ROTATED_TAIL_MAX + BLOCK), *p;
	uint64_t sum = 0, gone = 1, at = 0;
	bool found = false;
	ssize_t n = 0;
	size_t i;

	for (i = 0; i < t->len; i++)
		gone *= BASE;
	/* So many bytes before the block stay there from the one before. */
	while (buf != NULL && t->len > 0 &&
	    (n = pread(fd, buf + t->len, BLOCK, (off_t)at)) > 0) {
		for (p = buf; p < buf + n; p++) {
			sum = sum * BASE + (unsigned char)p[t->len] -
			    gone * (unsigned char)*p;
			if (sum == t->sum && p[t->len] == '\n' &&
			    tail_same(t, p + 1)) {
				*end = at + (uint64_t)(p - buf) + 1;
				found = *end >= t->len;
			}
		}
		memmove(buf, buf + n, t->len);
		at += (uint64_t)n;
	}
	free(buf);
	return found;
}
