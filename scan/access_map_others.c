/*
 * access_map_others - everybody else's rules in an access map, and whether
 * they stand against a block of ours.
 *
 * Whose key is there already is theirs. An address that they accept by a
 * shorter key (in a cidr map: by any block that has an address of ours) would
 * be refused by our line, which is looked up before: such a block is left out
 * too.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "scan/access_map_text.h"

/* A rule of an indexed map, inside the text. */
struct key_rule {
	const char *key;
	unsigned len;
	bool accept;
};

struct cidr_rule {
	struct address_block block;
	bool accept, negated;
};

struct access_others {
	bool cidr;
	struct key_rule *keys; /* sorted, the accepting ones of equals first */
	struct cidr_rule *blocks; /* sorted */
	struct cidr_rule *accepted; /* sorted, none inside another */
	size_t count, accepted_count;
	struct cidr_rule *negated; /* those that accept */
	size_t negated_count;
	size_t room;
};

struct token {
	const char *at;
	size_t len;
};

/* The next word before end. len 0: there is none. */
static struct token
token_next(const char *at, const char *end)
{
	struct token t;

	while (at < end && isspace((unsigned char)*at))
		at++;
	t.at = at;
	while (at < end && !isspace((unsigned char)*at))
		at++;
	t.len = (size_t)(at - t.at);
	return t;
}

/* Results by which a client passes: OK, numbers but 4NN, 5NN, DUNNO, permit. */
static bool
accepts(struct token t)
{
	size_t digits;

	for (digits = 0; digits < t.len; digits++)
		if (!isdigit((unsigned char)t.at[digits]))
			break;
	if (t.len == 3 && (t.at[0] == '4' || t.at[0] == '5'))
		digits = 0;
	return t.len > 0 &&
	    (digits == t.len || (t.len == 2 && !strncasecmp(t.at, "OK", 2)) ||
		(t.len == 5 && !strncasecmp(t.at, "DUNNO", 5)) ||
		(t.len >= 6 && !strncasecmp(t.at, "permit", 6)));
}

/* Room for one more; false without memory. */
static bool
room_make(struct access_others *o)
{
	size_t size = o->cidr ? sizeof(*o->blocks) : sizeof(*o->keys);
	void *array = array_room(o->cidr ? (void *)o->blocks : (void *)o->keys,
	    &o->room, o->count + 1, size, 64);

	if (array == NULL)
		return false;
	if (o->cidr)
		o->blocks = array;
	else
		o->keys = array;
	return true;
}

static bool
cidr_read(struct token key, struct cidr_rule *r)
{
	char text[ADDRESS_TEXT_MAX + 8];
	size_t i, n = 0;

	memset(r, 0, sizeof(*r));
	r->negated = key.at[0] == '!';
	/* "[2001:db8::]/32" is another form of it. */
	for (i = r->negated; i < key.len && n + 1 < sizeof(text); i++)
		if (key.at[i] != '[' && key.at[i] != ']')
			text[n++] = key.at[i];
	text[n] = '\0';
	return i == key.len && strlen(text) == n &&
	    address_block_parse(text, &r->block) == NULL;
}

/* Keeps a rule if it is about addresses. False without memory. */
static bool
rule_add(struct access_others *o, struct token key, struct token value)
{
	struct cidr_rule r;
	size_t i;

	if (key.len == 0 || value.len == 0)
		return true;
	if (o->cidr) {
		if (!cidr_read(key, &r))
			return true;
		r.accept = accepts(value);
		if (!room_make(o))
			return false;
		o->blocks[o->count++] = r;
		return true;
	}
	for (i = 0; i < key.len; i++)
		if (!isxdigit((unsigned char)key.at[i]) && key.at[i] != '.' &&
		    key.at[i] != ':')
			return true;
	if (key.len >= ACCESS_KEY_MAX)
		return true;
	if (!room_make(o))
		return false;
	o->keys[o->count].key = key.at;
	o->keys[o->count].len = (unsigned)key.len;
	o->keys[o->count++].accept = accepts(value);
	return true;
}

/* Goes through the lines; a value may be on a line that continues the key's. */
static bool
rules_read(struct access_others *o, const char *text, size_t len)
{
	const char *p = text, *end = text + len, *next;
	struct token key = { text, 0 }, value = { text, 0 }, word;

	for (; p < end; p = next) {
		next = memchr(p, '\n', (size_t)(end - p));
		next = next != NULL ? next + 1 : end;
		word = token_next(p, next);
		if (word.len == 0 || word.at[0] == '#')
			continue;
		if (word.at > p) {
			if (value.len == 0)
				value = word;
			continue;
		}
		if (!rule_add(o, key, value))
			return false;
		key = word;
		value = token_next(word.at + word.len, next);
	}
	return rule_add(o, key, value);
}

static int
key_compare(const struct key_rule *a, const struct key_rule *b)
{
	unsigned n = a->len < b->len ? a->len : b->len;
	int c = strncasecmp(a->key, b->key, n);

	if (c != 0)
		return c;
	return (a->len > b->len) - (a->len < b->len);
}

static int
key_sort(const void *va, const void *vb)
{
	const struct key_rule *a = va, *b = vb;
	int c = key_compare(a, b);

	return c != 0 ? c : b->accept - a->accept;
}

/* By address, the shorter prefix first. */
static int
block_compare(const struct address_block *a, const struct address_block *b)
{
	int c = address_compare(&a->base, &b->base);

	return c != 0 ? c : (a->bits > b->bits) - (a->bits < b->bits);
}

static int
cidr_sort(const void *a, const void *b)
{
	return block_compare(&((const struct cidr_rule *)a)->block,
	    &((const struct cidr_rule *)b)->block);
}

static bool
contains(const struct address_block *outer, const struct address_block *inner)
{
	struct address masked = inner->base;

	if (outer->base.family != inner->base.family ||
	    outer->bits > inner->bits)
		return false;
	address_mask(&masked, outer->bits);
	return address_compare(&masked, &outer->base) == 0;
}

/* The accepting blocks once more, without those that are inside another. */
static bool
accepted_collect(struct access_others *o)
{
	const struct cidr_rule *r;
	size_t n = 0;

	o->accepted = calloc(o->count + 1, sizeof(*o->accepted));
	o->negated = calloc(o->count + 1, sizeof(*o->negated));
	if (o->accepted == NULL || o->negated == NULL)
		return false;
	for (r = o->blocks; r < o->blocks + o->count; r++) {
		if (r->accept && r->negated)
			o->negated[o->negated_count++] = *r;
		else if (r->accept && (n == 0 ||
		    !contains(&o->accepted[n - 1].block, &r->block)))
			o->accepted[n++] = *r;
	}
	o->accepted_count = n;
	return true;
}

struct access_others *
access_others_read(const char *text, size_t len, bool cidr)
{
	struct access_others *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->cidr = cidr;
	if (!rules_read(o, text, len))
		goto fail;
	if (!cidr && o->count > 0)
		qsort(o->keys, o->count, sizeof(*o->keys), key_sort);
	if (cidr && o->count > 0) {
		qsort(o->blocks, o->count, sizeof(*o->blocks), cidr_sort);
		if (!accepted_collect(o))
			goto fail;
	}
	return o;
fail:
	access_others_free(o);
	errno = ENOMEM;
	return NULL;
}

/* The first rule with that key. */
static const struct key_rule *
key_find(const struct access_others *o, const char *key, size_t len)
{
	struct key_rule want = { key, (unsigned)len, false };
	size_t low = 0, high = o->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (key_compare(&o->keys[mid], &want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == o->count || key_compare(&o->keys[low], &want) != 0)
		return NULL;
	return &o->keys[low];
}

/* As smtpd looks for it: the key, then cut from the right. */
static bool
key_wins(const struct access_others *o, const char *key)
{
	const struct key_rule *r;
	size_t n = strlen(key);

	if (key_find(o, key, n) != NULL)
		return true;
	while (n > 0) {
		n--;
		if (key[n] != '.' && key[n] != ':')
			continue;
		r = key_find(o, key, n);
		if (r != NULL && r->accept)
			return true;
	}
	return false;
}

/* The last of sorted rules whose block begins at or before the address. */
static const struct cidr_rule *
cidr_before(const struct cidr_rule *rules, size_t count,
    const struct address_block *b)
{
	size_t low = 0, high = count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (block_compare(&rules[mid].block, b) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 ? &rules[low - 1] : NULL;
}

/* The last address of a block, as a block of its own. */
static struct address_block
last_of(const struct address_block *b)
{
	struct address_block last = *b;
	unsigned char *bytes = last.base.bytes;
	int i;

	last.bits = address_bits(&b->base);
	for (i = b->bits; i < last.bits; i++)
		bytes[i / 8] = (unsigned char)(bytes[i / 8] | 0x80 >> i % 8);
	return last;
}

static bool
cidr_wins(const struct access_others *o, const struct address_block *b)
{
	const struct cidr_rule *r;
	struct address_block last = last_of(b);
	size_t i;

	r = cidr_before(o->blocks, o->count, b);
	if (r != NULL && block_compare(&r->block, b) == 0)
		return true;
	r = cidr_before(o->accepted, o->accepted_count, &last);
	if (r != NULL &&
	    (contains(&r->block, b) || contains(b, &r->block)))
		return true;
	for (i = 0; i < o->negated_count; i++)
		if (o->negated[i].block.base.family == b->base.family &&
		    !contains(&o->negated[i].block, b))
			return true;
	return false;
}

bool
access_others_win(const struct access_others *o,
    const struct address_block *b)
{
	char keys[ACCESS_KEYS_MAX][ACCESS_KEY_MAX];
	size_t count, i;
	bool whole;

	if (o->count == 0)
		return false;
	if (o->cidr)
		return cidr_wins(o, b);
	count = access_keys(b, keys, &whole);
	for (i = 0; i < count; i++)
		if (key_wins(o, keys[i]))
			return true;
	return false;
}

void
access_others_free(struct access_others *o)
{
	if (o == NULL)
		return;
	free(o->keys);
	free(o->blocks);
	free(o->accepted);
	free(o->negated);
	free(o);
}
