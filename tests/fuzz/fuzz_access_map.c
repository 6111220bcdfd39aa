/*
 * The text file of an access map. The first byte of the input says which kind
 * of map, the second which block is ours, the rest is the file. Properties:
 * others' lines have nothing of ours left, taking ours out again changes
 * nothing, a file with our block on top gives the same lines of others and the
 * header that is in it, and our line is there unless somebody else's OK covers
 * it, which is named.
 */
#include "fuzz.h"

#include <string.h>

#include "scan/access_map_parts.h"

static const char *const blocks[] = { "192.0.2.1", "192.0.2.0/24",
	"10.0.0.0/8", "2001:db8:1:2::/64", "2001:db8::/64", "2001:db8::5",
	"2001:db8::/32", "198.51.100.200" };

/* What is written around the lines of others. */
static char *
file_with(const char *other, size_t len, const struct address_block *b,
    bool cidr, const struct access_header *h, size_t *size)
{
	struct hostlist *oks = access_oks_read(other, len, cidr);
	struct access_map_entry entry = { .block = *b };
	struct access_map_list list = { .entries = &entry, .count = 1 };
	struct access_map_result r = { 0 };
	char header[ACCESS_HEADER_MAX], *text, *out;
	size_t n = access_header_write(h, header), made;

	HOLDS(oks != NULL);
	text = access_text_make(&list, oks, cidr, other, len, &r, &made);
	HOLDS(text != NULL);
	HOLDS((r.lines == 0) == (r.left == 1));
	HOLDS((r.names[0] != '\0') == (r.left == 1));
	HOLDS(r.left == 0 || hostlist_size(oks) > 0);
	out = malloc(n + made);
	HOLDS(out != NULL);
	memcpy(out, header, n);
	memcpy(out + n, text, made);
	*size = n + made;
	free(text);
	hostlist_free(oks);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access_header h = { .types = "hash lmdb", .made = { 7, 9 } };
	struct access_header again;
	struct address_block b;
	size_t len, second, head, made;
	char *text, *file;
	bool cidr;

	if (size < 2)
		return 0;
	cidr = data[0] & 1;
	h.oks = data[0] & 2;
	HOLDS(address_block_parse(blocks[data[1] % 8], &b) == NULL);
	h.generation = data[1];
	len = size - 2;
	text = fuzz_copy(data + 2, len);
	access_header_read(text, len, &again);
	if (!access_text_others(text, &len, &again)) {
		free(text);
		return 0;
	}
	HOLDS(len <= size - 2);
	second = len;
	HOLDS(access_text_others(text, &second, &again));
	HOLDS(second == len && again.generation == -1);
	file = file_with(text, len, &b, cidr, &h, &made);
	head = access_header_read(file, made, &again);
	HOLDS(head > 0 && again.generation == h.generation);
	HOLDS(again.oks == h.oks && strcmp(again.types, h.types) == 0);
	HOLDS(access_text_others(file, &made, &again));
	HOLDS(again.generation == h.generation && again.oks == h.oks);
	HOLDS(made == len && memcmp(file, text, len) == 0);
	free(file);
	free(text);
	return 0;
}
