/*
 * The text file of an access map. The first byte of the input says which kind
 * of map, the second which block is ours, the rest is the file. Properties:
 * others' lines have nothing of ours left, taking ours out again changes
 * nothing, a file with our block on top gives the same lines of others and the
 * generation and sum that are in it, and our line is there unless somebody
 * else's stands against it.
 */
#include "fuzz.h"

#include <stdio.h>

#include "scan/access_map_text.h"

static const char *const blocks[] = { "192.0.2.1", "192.0.2.0/24",
	"10.0.0.0/8", "2001:db8:1:2::/64", "2001:db8::/64", "2001:db8::5",
	"2001:db8::/32", "198.51.100.200" };

/* What is written around the lines of others. */
static char *
file_with(const char *other, size_t len, const struct address_block *b,
    bool cidr, struct access_header *h, struct access_map_result *r,
    size_t *size)
{
	struct access_others *o = access_others_read(other, len, cidr);
	char *out = calloc(1, len + 4096);
	FILE *f = fmemopen(out, len + 4096, "w");

	HOLDS(o != NULL && out != NULL && f != NULL);
	HOLDS(access_text_write(f, h, b, 1, cidr, o, other, len, r) == 0);
	/* The header was written last: the stream's end is elsewhere. */
	HOLDS(fseek(f, 0, SEEK_END) == 0);
	*size = (size_t)ftell(f);
	HOLDS(fclose(f) == 0);
	HOLDS(r->others == (access_others_win(o, b) ? 1u : 0u));
	HOLDS((r->lines == 0) == (r->others == 1));
	access_others_free(o);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access_map_result r = { 0 };
	struct access_header h = { 0, 0 }, again;
	struct address_block b;
	size_t len, second, head, made;
	bool cidr;
	long line = 0;
	char *text, *file;

	if (size < 2)
		return 0;
	cidr = data[0] & 1;
	HOLDS(address_block_parse(blocks[data[1] % 8], &b) == NULL);
	h.generation = data[1];
	len = size - 2;
	text = fuzz_copy(data + 2, len);
	access_header_read(text, len, &again);
	if (access_text_others(text, &len, &line) != NULL) {
		HOLDS(line > 0);
		free(text);
		return 0;
	}
	HOLDS(len <= size - 2);
	second = len;
	HOLDS(access_text_others(text, &second, &line) == NULL);
	HOLDS(second == len);
	file = file_with(text, len, &b, cidr, &h, &r, &made);
	head = access_header_read(file, made, &again);
	HOLDS(head > 0 && again.generation == h.generation);
	HOLDS(again.sum ==
	    access_sum(ACCESS_SUM_START, file + head, made - head));
	HOLDS(access_text_others(file, &made, &line) == NULL);
	HOLDS(made == len && memcmp(file, text, len) == 0);
	free(file);
	free(text);
	return 0;
}
