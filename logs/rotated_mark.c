/*
 * rotated_mark - how far which log file was read, as text, and how the file and
 * the last lines that were read are known again.
 *
 * When the file was edited, lines that were removed before them have moved
 * these lines to another place. A sum that is cheap to carry on from byte to
 * byte says where to look closer.
 */
#include "logs/rotated.h"

#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define ENOUGH 32 /* bytes: a line of Postfix has more, and is like no other */
#define BLOCK  65536
#define BASE   UINT64_C(6364136223846793005)

static size_t
min_size(uint64_t n, size_t max)
{
	return n < max ? (size_t)n : max;
}

void
rotated_mark_format(const struct rotated_mark *m, char *out, size_t size)
{
	struct text t;

	text_init(&t, out, size);
	text_addf(&t,
	    "file %" PRIu64 " %" PRIu64 " %" PRIu64 " %zu %s %lld.%09ld",
	    m->dev, m->ino, m->offset, m->head, m->print,
	    (long long)m->newest.tv_sec, m->newest.tv_nsec);
	if (m->tail.len > 0)
		text_addf(&t, " tail %zu %016" PRIx64 " %s", m->tail.len,
		    m->tail.sum, m->tail.print);
	if (m->last > 0)
		text_addf(&t, " last %lld", (long long)m->last);
	if (m->after > 0)
		text_addf(&t, " after %lld", (long long)m->after);
	if (m->finished)
		text_add(&t, " finished");
}

/* Goes on with what a format has read, if it has read all of it. */
#define NEXT(count, wanted) ((count) == (wanted) ? (p += n, true) : false)

bool
rotated_mark_parse(const char *text, struct rotated_mark *m)
{
	long long last = 0, after = 0, sec = 0;
	const char *p = text;
	char again[256];
	int n = 0;

	memset(m, 0, sizeof(*m));
	/* Numbers without a sign or end are found below. NOLINTBEGIN */
	if (!NEXT(sscanf(p, "file %" SCNu64 " %" SCNu64 " %" SCNu64
		" %zu %32[0-9a-f] %lld.%9ld%n", &m->dev, &m->ino, &m->offset,
		&m->head, m->print, &sec, &m->newest.tv_nsec, &n), 7))
		return false;
	NEXT(sscanf(p, " tail %zu %" SCNx64 " %32[0-9a-f]%n", &m->tail.len,
	    &m->tail.sum, m->tail.print, &n), 3);
	NEXT(sscanf(p, " last %lld%n", &last, &n), 1);
	NEXT(sscanf(p, " after %lld%n", &after, &n), 1);
	/* NOLINTEND */
	m->newest.tv_sec = (time_t)sec;
	m->last = (time_t)last;
	m->after = (time_t)after;
	m->finished = strcmp(p, " finished") == 0;
	/* Whatever was overlooked: it must come out as it went in. */
	rotated_mark_format(m, again, sizeof(again));
	return strcmp(again, text) == 0 && m->offset <= INT64_MAX &&
	    m->head == min_size(m->offset, ROTATED_HEAD_MAX) &&
	    strlen(m->print) == ROTATED_PRINT_MAX - 1 && sec >= 0 &&
	    m->newest.tv_nsec >= 0 && m->tail.len <= ROTATED_TAIL_MAX &&
	    m->tail.len <= m->offset && (m->tail.len == 0 ||
		strlen(m->tail.print) == ROTATED_PRINT_MAX - 1);
}

static void
print_make(char *print, const void *bytes, size_t len)
{
	char digest[SHA256_DIGEST_STRING_LENGTH];
	SHA2_CTX sha;

	SHA256Init(&sha);
	SHA256Update(&sha, bytes, len);
	SHA256End(&sha, digest);
	memcpy(print, digest, ROTATED_PRINT_MAX - 1);
	print[ROTATED_PRINT_MAX - 1] = '\0';
}

/* Are these bytes the ones of a fingerprint? */
static bool
print_is(const char *expected, const char *bytes, size_t len)
{
	char print[ROTATED_PRINT_MAX];

	print_make(print, bytes, len);
	return strcmp(print, expected) == 0;
}

/* The fingerprint of the last lines before end. */
static void
tail_take(struct rotated_tail *t, int fd, uint64_t end)
{
	char bytes[ROTATED_TAIL_MAX];
	size_t n = min_size(end, sizeof(bytes)), i = n;
	const char *nl;

	memset(t, 0, sizeof(*t));
	if (n == 0 || pread(fd, bytes, n, (off_t)(end - n)) != (ssize_t)n ||
	    bytes[n - 1] != '\n')
		return;
	/* As few lines as will do: none of them may be missing later. */
	while (i > 0 && n - i < ENOUGH) {
		nl = memrchr(bytes, '\n', i - 1);
		i = nl != NULL ? (size_t)(nl - bytes) + 1 : 0;
	}
	t->len = n - i;
	print_make(t->print, bytes + i, t->len);
	/* Every byte counts by its place from the end. */
	for (; i < n; i++)
		t->sum = t->sum * BASE + (unsigned char)bytes[i];
}

void
rotated_mark_move(struct rotated_mark *m, int fd, uint64_t offset)
{
	const size_t head = min_size(offset, ROTATED_HEAD_MAX);
	char bytes[ROTATED_HEAD_MAX];

	m->offset = offset;
	if (offset == 0 || head != m->head) {
		m->head = head;
		if (pread(fd, bytes, head, 0) == (ssize_t)head)
			print_make(m->print, bytes, head);
	}
	tail_take(&m->tail, fd, offset);
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
			    print_is(t->print, p + 1, t->len)) {
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

bool
rotated_is(int fd, const struct stat *st, const struct rotated_mark *m,
    bool copy)
{
	char bytes[ROTATED_TAIL_MAX];
	const size_t tail = m->tail.len;

	/* Devices may have other numbers after the next boot. */
	if (copy ? m->head == 0 : st->st_ino != m->ino ||
		(st->st_dev != m->dev && m->head == 0))
		return false;
	return (uint64_t)st->st_size >= m->offset &&
	    pread(fd, bytes, m->head, 0) == (ssize_t)m->head &&
	    print_is(m->print, bytes, m->head) &&
	    pread(fd, bytes, tail, (off_t)(m->offset - tail)) ==
		(ssize_t)tail &&
	    (tail == 0 || print_is(m->tail.print, bytes, tail));
}
