/*
 * hostlist - a list of host names, domains, addresses and blocks in a file.
 *
 * A name in the list stands for itself and everything below it, cut at a label
 * boundary.
 */
#include "base/hostlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"

#define HOSTLIST_FILE_MAX (16 * 1024 * 1024)
#define LABEL_MAX_BYTES 63

struct hostlist {
	char **names; /* sorted, each its own allocation */
	size_t name_count, name_room;
	struct address_block *blocks; /* sorted by family, bits, base */
	size_t block_count, block_room;
	/* Prefix lengths that occur, plus 1, longest first; 0 ends a row. */
	unsigned char ipv4_bits[34], ipv6_bits[130];
};

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
block_compare(const void *a, const void *b)
{
	const struct address_block *x = a, *y = b;

	if (x->base.family != y->base.family || x->bits == y->bits)
		return address_compare(&x->base, &y->base);
	return x->bits < y->bits ? -1 : 1;
}

/* NULL, or what is wrong with the labels of a name: Postfix takes none such. */
static const char *
labels_check(const char *s)
{
	size_t n;

	for (; *s != '\0'; s += n + (s[n] == '.')) {
		n = strcspn(s, ".");
		if (n > LABEL_MAX_BYTES)
			return "not a host name: a label exceeds 63 bytes";
		if (s[0] == '-' || s[n - 1] == '-')
			return "not a host name: a label begins or ends with a "
			       "hyphen";
	}
	return NULL;
}

/* NULL, or why a text cannot be the name of a host or domain. */
static const char *
name_check(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > HOSTLIST_NAME_MAX)
		return "not a host name";
	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] != '\0')
		return "character not allowed in a host name";
	if (strstr(s, "..") != NULL || s[0] == '.' || s[n - 1] == '.')
		return "not a host name";
	if (s[strspn(s, "0123456789.")] == '\0')
		return "not an address";
	if (strcmp(s, "unknown") == 0)
		return "would exempt every client without a verified name";
	return labels_check(s);
}

/*
 * NULL, or what is to be said of a name that is good but probably not meant.
 * Those who had a script that looked for any part of a name have such ones.
 */
static const char *
name_doubt(const char *s, bool dots)
{
	static char text[160];

	if (dots)
		snprintf(text, sizeof(text), "`.%.60s.' is the middle of a "
		    "name; an entry must be the end of one, such as "
		    ".protection.outlook.com",
		    s);
	else if (strchr(s, '.') == NULL && strcmp(s, "localhost") != 0)
		snprintf(text, sizeof(text), "`%.60s' is treated as a "
		    "top-level domain; write a whole domain, such as "
		    "paypal.com", s);
	else
		return NULL;
	return text;
}

/*
 * Finds the name in an entry, in place: in lower case, without dots around it.
 * NULL, or what is wrong with it. *dots: one was before and one behind it.
 */
static const char *
name_find(char **entry, bool *dots)
{
	char *s = *entry;
	size_t n;

	text_lower(s);
	*dots = s[0] == '.' || strncmp(s, "*.", 2) == 0;
	s += *dots ? strcspn(s, ".") + 1 : 0;
	n = strlen(s);
	*dots = *dots && n > 0 && s[n - 1] == '.';
	if (n > 0 && s[n - 1] == '.')
		s[n - 1] = '\0';
	*entry = s;
	return name_check(s);
}

const char *
hostlist_entry(const char *text, char *out, size_t size, const char **doubt)
{
	char copy[HOSTLIST_NAME_MAX + 8], *s = copy;
	struct address_block block;
	const char *wrong = address_block_parse(text, &block);
	bool dots;

	*doubt = NULL;
	if (wrong == NULL) {
		address_block_text(&block, out, size);
		return NULL;
	}
	if (strpbrk(text, ":/") != NULL)
		return wrong;
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return "not a host name";
	wrong = name_find(&s, &dots);
	if (wrong != NULL)
		return wrong;
	*doubt = name_doubt(s, dots);
	snprintf(out, size, "%s", s);
	return NULL;
}

/* Adds one entry. NULL, or what is to be said of it: it may be wrong. */
static const char *
entry_add(struct hostlist *w, char *s)
{
	struct address_block block, *blocks;
	const char *wrong;
	char **names;
	bool dots;

	wrong = address_block_parse(s, &block);
	if (wrong == NULL) {
		blocks = array_room(w->blocks, &w->block_room,
		    w->block_count + 1, sizeof(block), 32);
		if (blocks == NULL)
			return "out of memory";
		w->blocks = blocks;
		w->blocks[w->block_count++] = block;
		return NULL;
	}
	if (strpbrk(s, ":/") != NULL)
		return wrong;
	wrong = name_find(&s, &dots);
	if (wrong != NULL)
		return wrong;
	names = array_room(w->names, &w->name_room, w->name_count + 1,
	    sizeof(*w->names), 32);
	if (names == NULL)
		return "out of memory";
	w->names = names;
	s = strdup(s);
	if (s == NULL)
		return "out of memory";
	w->names[w->name_count++] = s;
	return name_doubt(s, dots);
}

/* Sorts the entries and notes which prefix lengths there are. */
static void
list_finish(struct hostlist *w)
{
	unsigned char *ipv4 = w->ipv4_bits, *ipv6 = w->ipv6_bits, **row;
	unsigned char bits;
	size_t i;

	if (w->name_count > 0)
		qsort(w->names, w->name_count, sizeof(*w->names), name_compare);
	if (w->block_count > 0)
		qsort(w->blocks, w->block_count, sizeof(*w->blocks),
		    block_compare);
	for (i = w->block_count; i-- > 0;) {
		row = w->blocks[i].base.family == AF_INET ? &ipv4 : &ipv6;
		bits = (unsigned char)(w->blocks[i].bits + 1);
		if (**row == bits)
			continue;
		if (**row != 0)
			++*row;
		**row = bits;
	}
}

struct hostlist *
hostlist_parse(char *text, size_t len,
    void (*complain)(void *, int, const char *), void *arg)
{
	struct file_complaints complaints = { complain, arg, 0 };
	struct hostlist *w = calloc(1, sizeof(*w));
	const char *wrong;
	char *line, *comment;
	int number = 0;

	if (w == NULL)
		return NULL;
	if (memchr(text, '\0', len) != NULL)
		file_complain(&complaints, 0,
		    "contains a NUL byte; the rest is ignored");
	while ((line = text_line(&text, NULL)) != NULL) {
		number++;
		comment = strchr(line, '#');
		if (comment != NULL)
			*comment = '\0';
		line = text_trim(line);
		if (*line == '\0')
			continue;
		wrong = entry_add(w, line);
		if (wrong != NULL)
			file_complain(&complaints, number, wrong);
	}
	file_complain_end(&complaints);
	list_finish(w);
	return w;
}

void
hostlist_free(struct hostlist *w)
{
	size_t i;

	if (w == NULL)
		return;
	for (i = 0; i < w->name_count; i++)
		free(w->names[i]);
	free(w->names);
	free(w->blocks);
	free(w);
}

size_t
hostlist_size(const struct hostlist *w)
{
	return w->name_count + w->block_count;
}

bool
hostlist_name(const struct hostlist *w, const char *name, char *entry,
    size_t size)
{
	char folded[HOSTLIST_NAME_MAX + 1], *s = folded;
	size_t n = strlen(name);
	char **found;

	if (w->name_count == 0 || n == 0 || n > HOSTLIST_NAME_MAX)
		return false;
	memcpy(folded, name, n + 1);
	text_lower(folded);
	if (folded[n - 1] == '.')
		folded[n - 1] = '\0';
	for (;;) {
		found = bsearch(&s, w->names, w->name_count, sizeof(*w->names),
		    name_compare);
		if (found != NULL) {
			snprintf(entry, size, "%s", *found);
			return true;
		}
		s = strchr(s, '.');
		if (s == NULL)
			return false;
		s++;
	}
}

bool
hostlist_address(const struct hostlist *w, const struct address *a,
    char *entry, size_t size)
{
	const unsigned char *bits =
	    a->family == AF_INET ? w->ipv4_bits : w->ipv6_bits;
	char text[ADDRESS_TEXT_MAX];
	struct address_block key;

	/* One search for each prefix length that occurs. */
	for (; *bits != 0; bits++) {
		key.base = *a;
		key.bits = *bits - 1;
		address_mask(&key.base, key.bits);
		if (bsearch(&key, w->blocks, w->block_count,
			sizeof(*w->blocks), block_compare) == NULL)
			continue;
		address_text(&key.base, text, sizeof(text));
		snprintf(entry, size, "%s/%d", text, key.bits);
		return true;
	}
	return false;
}

bool
hostlist_overlaps(const struct hostlist *w, const struct address_block *b,
    char *entry, size_t size)
{
	char text[ADDRESS_TEXT_MAX];
	size_t i;

	if (hostlist_address(w, &b->base, entry, size))
		return true;
	if (b->bits == address_bits(&b->base))
		return false;
	for (i = 0; i < w->block_count; i++) {
		if (!address_block_overlap(&w->blocks[i], b))
			continue;
		address_text(&w->blocks[i].base, text, sizeof(text));
		snprintf(entry, size, "%s/%d", text, w->blocks[i].bits);
		return true;
	}
	return false;
}

int
hostlist_load(const char *path, struct hostlist **w, struct stat *st,
    void (*complain)(void *, int, const char *), void *arg)
{
	size_t len;
	char *text = file_slurp(path, HOSTLIST_FILE_MAX, &len, st);

	if (text == NULL)
		return -1;
	*w = hostlist_parse(text, len, complain, arg);
	free(text);
	return *w == NULL ? -1 : 0;
}
