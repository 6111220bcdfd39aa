/*
 * access_map_text - what is in the text file of an access map.
 */
#include "scan/access_map_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define BEGIN_MARK "# BEGIN abichecker blacklist, generation "
#define SUM_MARK   ", sum "
#define END_MARK   "# END abichecker blacklist"
#define REMARK                                                                \
	"# Kept by abictl, which replaces all lines from BEGIN to END: do not" \
	" edit them.\n"                                                       \
	"# What stands below about an address counts, and keeps it out of"    \
	" here.\n"
#define REFUSAL "\tREJECT " ACCESS_MAP_TEXT

static bool
begins(const char *line, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

uint64_t
access_sum(uint64_t sum, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* The first line, whose length only depends on the generation. */
static int
header_text(const struct access_header *h, char *out)
{
	return snprintf(out, ACCESS_HEADER_MAX,
	    BEGIN_MARK "%" PRId64 SUM_MARK "%016" PRIx64 "\n", h->generation,
	    h->sum);
}

size_t
access_header_read(const char *text, size_t len, struct access_header *h)
{
	char line[ACCESS_HEADER_MAX], again[ACCESS_HEADER_MAX], *sum;
	const char *end = len > 0 ? memchr(text, '\n', len) : NULL;
	size_t n = end != NULL ? (size_t)(end - text) + 1 : 0;

	if (n < strlen(BEGIN_MARK) || n >= sizeof(line))
		return 0;
	memcpy(line, text, n);
	line[n] = '\0';
	h->generation = strtoll(line + strlen(BEGIN_MARK), &sum, 10);
	if (strncmp(sum, SUM_MARK, strlen(SUM_MARK)) != 0)
		return 0;
	h->sum = strtoull(sum + strlen(SUM_MARK), NULL, 16);
	/* It is ours if it is what we would write. */
	if (h->generation < 0 || (size_t)header_text(h, again) != n ||
	    strcmp(line, again) != 0)
		return 0;
	return n;
}

/* One line with its newline, if it has one. */
static size_t
line_length(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline != NULL ? (size_t)(newline - at) + 1 :
				 (size_t)(end - at);
}

/* Lines that Postfix passes over, also between a line and what continues it. */
static bool
line_empty(const char *line, size_t n)
{
	size_t i;

	for (i = 0; i < n && isspace((unsigned char)line[i]); i++)
		;
	return i == n || line[i] == '#';
}

static bool
line_ours(const char *line, size_t n)
{
	const size_t tail = strlen(REFUSAL);

	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n >= tail && memcmp(line + n - tail, REFUSAL, tail) == 0)
		return true;
	return n > 40 && memmem(REMARK, strlen(REMARK), line, n) != NULL;
}

/*
 * The length of our block at its BEGIN: to its END; if that has gone, as many
 * lines as look like ours.
 */
static size_t
block_length(const char *at, const char *end)
{
	const char *p = at + line_length(at, end);
	size_t n;

	while (p < end) {
		n = line_length(p, end);
		if (begins(p, n, END_MARK))
			return (size_t)(p - at) + n;
		if (begins(p, n, BEGIN_MARK))
			break;
		p += n;
	}
	for (p = at + line_length(at, end); p < end; p += n) {
		n = line_length(p, end);
		if (!line_ours(p, n))
			break;
	}
	return (size_t)(p - at);
}

static long
count_lines(const char *text, const char *to)
{
	long count = 1;

	for (; text < to; text++)
		count += *text == '\n';
	return count;
}

const char *
access_text_others(char *text, size_t *len, long *line)
{
	const char *p = text, *end = text + *len;
	bool loose = true; /* what continues now continues a line of ours */
	size_t n, kept = 0;

	/* Said before anything is moved, so that the number is right. */
	for (; p < end; p += n) {
		n = line_length(p, end);
		if (begins(p, n, BEGIN_MARK)) {
			n = block_length(p, end);
			loose = true;
		} else if (begins(p, n, END_MARK)) {
			continue;
		} else if (!line_empty(p, n)) {
			if (loose && isspace((unsigned char)*p)) {
				*line = count_lines(text, p);
				return "begins with white space and continues "
				       "no line of its own";
			}
			loose = false;
		}
	}
	for (p = text; p < end; p += n) {
		n = line_length(p, end);
		if (begins(p, n, BEGIN_MARK)) {
			n = block_length(p, end);
		} else if (!begins(p, n, END_MARK)) {
			memmove(text + kept, p, n);
			kept += n;
		}
	}
	*len = kept;
	return NULL;
}

/* A file that is written, and the sum of it. */
struct sink {
	FILE *f;
	uint64_t sum;
};

static void
put(struct sink *to, const char *data, size_t len)
{
	if (len == 0)
		return;
	to->sum = access_sum(to->sum, data, len);
	fwrite(data, 1, len, to->f); /* errors stay with the file */
}

static void
put_line(struct sink *to, const char *key, struct access_map_result *r)
{
	put(to, key, strlen(key));
	put(to, REFUSAL "\n", strlen(REFUSAL "\n"));
	r->lines++;
}

static void
put_cidr(struct sink *to, const struct address_block *b,
    struct access_map_result *r)
{
	char text[ADDRESS_TEXT_MAX], key[ADDRESS_TEXT_MAX + 8];

	address_text(&b->base, text, sizeof(text));
	if (b->bits == address_bits(&b->base))
		snprintf(key, sizeof(key), "%s", text);
	else
		snprintf(key, sizeof(key), "%s/%d", text, b->bits);
	put_line(to, key, r);
}

static void
put_keys(struct sink *to, const struct address_block *b,
    struct access_map_result *r)
{
	char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX];
	size_t count, i;
	bool whole;

	count = access_keys(b, keys, &whole);
	for (i = 0; i < count; i++)
		put_line(to, keys[i], r);
	r->unfit += !whole;
}

int
access_text_write(FILE *f, struct access_header *h,
    const struct address_block *blocks, size_t count, bool cidr,
    const struct access_others *o, const char *other, size_t len,
    struct access_map_result *r)
{
	struct sink to = { f, ACCESS_SUM_START };
	char header[ACCESS_HEADER_MAX];
	size_t i;
	int n;

	h->sum = 0;
	n = header_text(h, header);
	fwrite(header, 1, (size_t)n, f);
	put(&to, REMARK, strlen(REMARK));
	for (i = 0; i < count; i++)
		if (access_others_win(o, &blocks[i]))
			r->others++;
		else if (cidr)
			put_cidr(&to, &blocks[i], r);
		else
			put_keys(&to, &blocks[i], r);
	put(&to, END_MARK "\n", strlen(END_MARK "\n"));
	put(&to, other, len);
	/* Only now is the sum known: the same length again. */
	h->sum = to.sum;
	header_text(h, header);
	if (fflush(f) != 0 || fseek(f, 0, SEEK_SET) != 0 ||
	    fwrite(header, 1, (size_t)n, f) != (size_t)n || fflush(f) != 0 ||
	    ferror(f))
		return -1;
	return 0;
}
