/*
 * access_map_text - what is in the text file of an access map.
 */
#include "scan/access_map_parts.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MARK "# BEGIN abichecker blacklist, generation "
#define FOR_MARK   ", for "
#define MADE_MARK  ", made "
#define OKS_MARK   ", OK lines count"
#define END_MARK   "# END abichecker blacklist"
#define KEPT_MARK  "# Kept by abictl, which replaces "
#define FIRST_MARK "# Looked up before the lines below; "
#define REMARK                                                   \
	KEPT_MARK "its lines from BEGIN to END: do not edit them.\n" \
	FIRST_MARK "exceptions belong in whitelist.txt.\n"
#define OLD_MARK "# What stands below about an address counts, and keeps "
#define REFUSAL  "\tREJECT " ACCESS_MAP_TEXT

static bool
begins(const char *line, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

size_t
access_header_write(const struct access_header *h,
    char out[ACCESS_HEADER_MAX])
{
	return (size_t)snprintf(out, ACCESS_HEADER_MAX, BEGIN_MARK "%" PRId64
	    FOR_MARK "%s" MADE_MARK "%lld.%09ld%s\n", h->generation, h->types,
	    (long long)h->made.tv_sec, h->made.tv_nsec, h->oks ? OKS_MARK : "");
}

size_t
access_header_read(const char *text, size_t len, struct access_header *h)
{
	char line[ACCESS_HEADER_MAX], again[ACCESS_HEADER_MAX];
	const char *end = len > 0 ? memchr(text, '\n', len) : NULL;
	size_t n = end != NULL ? (size_t)(end - text) + 1 : 0;
	char *p;

	*h = (struct access_header){ .generation = -1 };
	if (n >= sizeof(line) || !begins(text, n, BEGIN_MARK))
		return 0;
	memcpy(line, text, n);
	line[n] = '\0';
	h->oks = strstr(line, OKS_MARK) != NULL;
	h->generation = strtoll(line + strlen(BEGIN_MARK), &p, 10);
	p += begins(p, strlen(p), FOR_MARK) ? strlen(FOR_MARK) : 0;
	snprintf(h->types, sizeof(h->types), "%.*s", (int)strcspn(p, ","), p);
	p += strcspn(p, ",");
	if (begins(p, strlen(p), MADE_MARK))
		h->made.tv_sec = strtoll(p + strlen(MADE_MARK), &p, 10);
	h->made.tv_nsec = strtol(*p == '.' ? p + 1 : p, NULL, 10);
	/* It is ours if it is what we would write. */
	if (h->generation >= 0 && access_header_write(h, again) == n &&
	    strcmp(line, again) == 0)
		return n;
	*h = (struct access_header){ .generation = -1 };
	return 0;
}

/* One line with its newline, if it has one. */
static size_t
line_length(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline != NULL ? (size_t)(newline - at) + 1 :
				 (size_t)(end - at);
}

/* A mark, a remark or a refusal of ours, wherever it stands. */
static bool
line_ours(const char *line, size_t n)
{
	static const char *const marks[] = { BEGIN_MARK, END_MARK, KEPT_MARK,
		FIRST_MARK, OLD_MARK };
	const size_t tail = strlen(REFUSAL);
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (begins(line, n, marks[i]))
			return true;
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	return n >= tail && memcmp(line + n - tail, REFUSAL, tail) == 0;
}

/* Lines that Postfix passes over, also before one that continues another. */
static bool
line_empty(const char *line, size_t n)
{
	size_t i;

	for (i = 0; i < n && isspace((unsigned char)line[i]); i++)
		;
	return i == n || line[i] == '#';
}

bool
access_text_others(char *text, size_t *len, struct access_header *h)
{
	const char *p = text, *end = text + *len;
	bool first = true;
	size_t n, kept = 0;

	*h = (struct access_header){ .generation = -1 };
	for (; p < end; p += n) {
		n = line_length(p, end);
		if (line_ours(p, n)) {
			if (h->generation < 0)
				access_header_read(p, n, h);
			continue;
		}
		if (first && !line_empty(p, n)) {
			if (isspace((unsigned char)*p))
				return false;
			first = false;
		}
		memmove(text + kept, p, n);
		kept += n;
	}
	*len = kept;
	return true;
}

/* A block as people write it: one address without its length. */
static void
block_name(const struct address_block *b, char *out, size_t size)
{
	if (b->bits == address_bits(&b->base))
		address_text(&b->base, out, size);
	else
		address_block_text(b, out, size);
}

static void
block_put(FILE *f, const struct address_block *b, bool cidr,
    struct access_map_result *r)
{
	char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX];
	size_t count = 1, i;
	bool whole = true;

	if (cidr)
		block_name(b, keys[0], sizeof(keys[0]));
	else
		count = access_keys(b, keys, &whole);
	for (i = 0; i < count; i++)
		fprintf(f, "%s" REFUSAL "\n", keys[i]);
	r->lines += count;
	r->unfit += !whole;
}

/* Notes who is left out, as far as there is room for names. */
static void
left_note(const struct address_block *b, struct access_map_result *r)
{
	char name[ADDRESS_BLOCK_TEXT_MAX];
	size_t used = strlen(r->names);

	r->left++;
	block_name(b, name, sizeof(name));
	if (used + strlen(name) + 2 <= sizeof(r->names))
		snprintf(r->names + used, sizeof(r->names) - used, " %s", name);
}

/* Would our line refuse whom an OK lets in? */
static bool
is_covered(const struct hostlist *oks, const struct address_block *b, bool cidr)
{
	char entry[HOSTLIST_NAME_MAX + 1];

	if (oks == NULL)
		return false;
	/* In an indexed map the longer of two keys is found first. */
	return cidr ? hostlist_overlaps(oks, b, entry, sizeof(entry)) :
	    hostlist_address(oks, &b->base, entry, sizeof(entry));
}

/* The lines of one entry. */
static void
entry_put(FILE *f, const struct address_block *b, const struct hostlist *oks,
    bool cidr, struct access_map_result *r)
{
	struct address_block parts[ACCESS_EXPAND_MAX] = { *b };
	size_t count = cidr ? 1 : access_expand(b, parts), i;

	r->unfit += count == 0;
	for (i = 0; i < count; i++)
		if (is_covered(oks, &parts[i], cidr))
			left_note(&parts[i], r);
		else
			block_put(f, &parts[i], cidr, r);
}

char *
access_text_make(const struct access_map_list *list,
    const struct hostlist *oks, bool cidr, const char *other, size_t other_len,
    struct access_map_result *r, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	bool bad;
	size_t i;

	if (f == NULL)
		return NULL;
	fprintf(f, REMARK);
	for (i = 0; i < list->count; i++)
		entry_put(f, &list->entries[i].block, oks, cidr, r);
	fprintf(f, END_MARK "\n");
	fwrite(other, 1, other_len, f);
	bad = ferror(f) != 0;
	if (fclose(f) == 0 && !bad)
		return text;
	free(text);
	return NULL;
}
