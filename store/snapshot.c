/*
 * snapshot - the list of offenders as a file in which the filter looks
 * addresses up.
 */
#include "store/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/replace.h"
#include "base/text.h"

#define HEADER "abichecker" /* a key that no block has */
#define VERSION_TEXT "2"    /* of the form of the records */
#define LOCK_WAIT 30000 /* milliseconds for another writer */
#define MIX 8               /* bytes of a key's beginning */
#define KEY_MAX (MIX + 18)  /* mix, family, bits, address */

/* The beginning of a value; rule and note follow, each with a NUL. */
struct record {
	int64_t expires, since, hits, times;
};

#define VALUE_MAX                                                             \
	(sizeof(struct record) + STORE_RULE_MAX + SNAPSHOT_NOTE_MAX)

/*
 * Neighbouring addresses have neighbouring hashes in a cdb, whose tables then
 * fill up in heaps. So a key begins with its address, well mixed (the finalizer
 * of SplitMix64).
 */
static uint64_t
mix(const struct address *a, int bits)
{
	uint64_t h = (uint64_t)bits, part;
	int i;

	for (i = 0; i < 16; i += 8) {
		memcpy(&part, a->bytes + i, sizeof(part));
		h = (h ^ part) + 0x9e3779b97f4a7c15ULL;
		h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
		h = (h ^ h >> 27) * 0x94d049bb133111ebULL;
		h ^= h >> 31;
	}
	return h;
}

static unsigned
key_make(const struct address *a, int bits, unsigned char *key)
{
	unsigned size = (unsigned)address_bits(a) / 8;
	uint64_t h = mix(a, bits);

	memcpy(key, &h, MIX);
	key[MIX] = a->family == AF_INET ? 4 : 6;
	key[MIX + 1] = (unsigned char)bits;
	memcpy(key + MIX + 2, a->bytes, size);
	return MIX + 2 + size;
}

/* --- reading --- */

/* Copies a text that ends in a NUL within [*s, end). False if it does not. */
static bool
text_take(const unsigned char **s, const unsigned char *end, char *out,
    size_t size)
{
	size_t n = strnlen((const char *)*s, (size_t)(end - *s));

	if (n == (size_t)(end - *s) || n >= size)
		return false;
	memcpy(out, *s, n + 1);
	*s += n + 1;
	return true;
}

static bool
key_parse(const unsigned char *key, unsigned len, struct address_block *b)
{
	memset(b, 0, sizeof(*b));
	if (len < MIX)
		return false;
	key += MIX;
	len -= MIX;
	if (len == 6 && key[0] == 4 && key[1] <= 32)
		b->base.family = AF_INET;
	else if (len == KEY_MAX - MIX && key[0] == 6 && key[1] <= 128)
		b->base.family = AF_INET6;
	else
		return false;
	b->bits = key[1];
	memcpy(b->base.bytes, key + 2, len - 2);
	return true;
}

static bool
value_parse(const unsigned char *value, unsigned len, struct snapshot_entry *e)
{
	const unsigned char *s = value + sizeof(struct record);
	struct record r;

	if (len < sizeof(r))
		return false;
	memcpy(&r, value, sizeof(r));
	e->expires = (time_t)r.expires;
	e->since = (time_t)r.since;
	e->hits = (long)r.hits;
	e->times = (long)r.times;
	return text_take(&s, value + len, e->rule, sizeof(e->rule)) &&
	    text_take(&s, value + len, e->note, sizeof(e->note));
}

/* "32,24" into a bit set. */
static bool
lengths_parse(char *text, unsigned char *set)
{
	char *word, *save = NULL;
	long bits;

	for (word = strtok_r(text, ",", &save); word != NULL;
	     word = strtok_r(NULL, ",", &save)) {
		if (!text_number(word, 0, 128, &bits))
			return false;
		set[bits / 8] =
		    (unsigned char)(set[bits / 8] | 1 << bits % 8);
	}
	return true;
}

/* "2 GENERATION COUNT LENGTHS4 LENGTHS6 SIGNATURE EARLIEST", words. */
static bool
header_parse(struct snapshot *s, char *text)
{
	char *word[7], *save = NULL;
	long generation, earliest;
	int i;

	for (i = 0; i < 7; i++) {
		word[i] = strtok_r(i == 0 ? text : NULL, " ", &save);
		if (word[i] == NULL)
			return false;
	}
	memset(s->lengths, 0, sizeof(s->lengths));
	if (strcmp(word[0], VERSION_TEXT) != 0 ||
	    !text_number(word[1], 0, 0x7fffffffffffffffL, &generation) ||
	    !text_number(word[2], 0, 0x7fffffffL, &s->count) ||
	    !lengths_parse(word[3] + 1, s->lengths[0]) ||
	    !lengths_parse(word[4] + 1, s->lengths[1]) ||
	    !text_number(word[6], 0, 0x7fffffffffffffffL, &earliest))
		return false;
	s->generation = generation;
	s->earliest = earliest;
	snprintf(s->signature, sizeof(s->signature), "%s", word[5]);
	return true;
}

static bool
header_read(struct snapshot *s)
{
	char text[1024];
	unsigned len;

	if (cdb_find(&s->cdb, HEADER, strlen(HEADER)) <= 0)
		return false;
	len = cdb_datalen(&s->cdb);
	if (len >= sizeof(text) ||
	    cdb_read(&s->cdb, text, len, cdb_datapos(&s->cdb)) != 0)
		return false;
	text[len] = '\0';
	return header_parse(s, text);
}

/* What speaks against using a file; NULL when nothing does. */
static const char *
untrusted(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0 && geteuid() != 0)
		return "belongs to somebody else";
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "others can write it";
	return NULL;
}

static void
snapshot_open(struct snapshot *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *wrong = NULL;
	struct stat st = { 0 };

	if (fd < 0 || fstat(fd, &st) != 0)
		wrong = strerror(errno);
	else if ((wrong = untrusted(&st)) == NULL) {
		if (cdb_init(&s->cdb, fd) != 0)
			wrong = "not a snapshot";
		else if (!header_read(s)) {
			cdb_free(&s->cdb);
			wrong = "not a snapshot of this version";
		}
	}
	if (fd >= 0)
		close(fd); /* the mapping stays */
	s->open = wrong == NULL;
	if (wrong != NULL)
		snprintf(s->problem, sizeof(s->problem), "%.100s: %.50s", path,
		    wrong);
	else
		s->problem[0] = '\0';
	file_was_read(&s->watch, &st);
}

void
snapshot_close(struct snapshot *s)
{
	if (s->open)
		cdb_free(&s->cdb);
	memset(s, 0, sizeof(*s));
}

bool
snapshot_refresh(struct snapshot *s, const char *path)
{
	int error;

	switch (file_look(&s->watch, path)) {
	case FILE_SAME:
		return s->open;
	case FILE_CHANGED:
		snapshot_close(s);
		snapshot_open(s, path);
		return s->open;
	case FILE_ABSENT:
		errno = ENOENT;
		break;
	case FILE_ERROR:
		break;
	}
	error = errno;
	snapshot_close(s);
	s->absent = error == ENOENT;
	snprintf(s->problem, sizeof(s->problem), "%.100s: %.50s", path,
	    strerror(error));
	return false;
}

/* The block of so many bits around an address. */
static bool
block_find(struct snapshot *s, const struct address *a, int bits, time_t now,
    struct snapshot_entry *e)
{
	unsigned char key[KEY_MAX], value[VALUE_MAX];
	struct address base = *a;
	unsigned len;

	address_mask(&base, bits);
	if (cdb_find(&s->cdb, key, key_make(&base, bits, key)) <= 0)
		return false;
	len = cdb_datalen(&s->cdb);
	if (len > sizeof(value) ||
	    cdb_read(&s->cdb, value, len, cdb_datapos(&s->cdb)) != 0 ||
	    !value_parse(value, len, e))
		return false;
	e->block.base = base;
	e->block.bits = bits;
	return e->expires == 0 || e->expires > now;
}

/* Larger blocks are not believed. */
static int
shortest(const struct address *a)
{
	return a->family == AF_INET ? SNAPSHOT_IPV4_MIN : SNAPSHOT_IPV6_MIN;
}

bool
snapshot_find(struct snapshot *s, const struct address *a, time_t now,
    struct snapshot_entry *e)
{
	const unsigned char *set = s->lengths[a->family == AF_INET6];
	int bits;

	for (bits = address_bits(a); s->open && bits >= shortest(a); bits--)
		if ((set[bits / 8] >> bits % 8 & 1) != 0 &&
		    block_find(s, a, bits, now, e))
			return true;
	return false;
}

bool
snapshot_each(struct snapshot *s,
    bool (*fn)(void *arg, const struct snapshot_entry *e), void *arg)
{
	unsigned char key[KEY_MAX], value[VALUE_MAX];
	struct snapshot_entry e;
	unsigned position, klen, len;
	int rc;

	cdb_seqinit(&position, &s->cdb);
	while ((rc = cdb_seqnext(&position, &s->cdb)) > 0) {
		klen = cdb_keylen(&s->cdb);
		len = cdb_datalen(&s->cdb);
		if (klen == strlen(HEADER))
			continue;
		if (klen > sizeof(key) || len > sizeof(value) ||
		    cdb_read(&s->cdb, key, klen, cdb_keypos(&s->cdb)) != 0 ||
		    cdb_read(&s->cdb, value, len, cdb_datapos(&s->cdb)) != 0 ||
		    !key_parse(key, klen, &e.block) ||
		    !value_parse(value, len, &e))
			return false;
		if (e.block.bits < shortest(&e.block.base) ||
		    !address_public(&e.block.base))
			continue;
		if (!fn(arg, &e))
			break;
	}
	return rc >= 0;
}

/* --- writing --- */

int
snapshot_begin(struct snapshot_writer *w, const char *path)
{
	int saved;

	memset(w, 0, sizeof(*w));
	w->fd = -1;
	if ((size_t)snprintf(w->path, sizeof(w->path), "%s", path) >=
	    sizeof(w->path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* One name: what a killed process has left is overwritten. */
	snprintf(w->temporary, sizeof(w->temporary), "%s.new", path);
	w->fd = replace_open(AT_FDCWD, w->temporary, LOCK_WAIT);
	if (w->fd < 0)
		return -1;
	if (fchmod(w->fd, 0644) == 0 &&
	    cdb_make_start(&w->make, w->fd) == 0)
		return 0;
	saved = errno;
	snapshot_abandon(w);
	errno = saved;
	return -1;
}

int
snapshot_add(struct snapshot_writer *w, const struct snapshot_entry *e)
{
	unsigned char key[KEY_MAX], value[VALUE_MAX];
	struct record r = { e->expires, e->since, e->hits, e->times };
	unsigned char *set = w->lengths[e->block.base.family == AF_INET6];
	size_t rule = strlen(e->rule) + 1, note = strlen(e->note) + 1;
	int bits = e->block.bits;

	memcpy(value, &r, sizeof(r));
	memcpy(value + sizeof(r), e->rule, rule);
	memcpy(value + sizeof(r) + rule, e->note, note);
	set[bits / 8] = (unsigned char)(set[bits / 8] | 1 << bits % 8);
	w->count++;
	if (e->expires != 0 && (w->earliest == 0 || e->expires < w->earliest))
		w->earliest = e->expires;
	return cdb_make_add(&w->make, key, key_make(&e->block.base, bits, key),
	    value, (unsigned)(sizeof(r) + rule + note));
}

static void
lengths_add(struct text *t, const unsigned char *set)
{
	const char *before = " :"; /* the colon: never an empty word */
	int bits;

	for (bits = 0; bits <= 128; bits++)
		if ((set[bits / 8] >> bits % 8 & 1) != 0) {
			text_addf(t, "%s%d", before, bits);
			before = ",";
		}
	if (before[0] == ' ')
		text_add(t, before);
}

int
snapshot_finish(struct snapshot_writer *w, int64_t generation)
{
	char header[1024];
	struct text t;
	int saved;

	text_init(&t, header, sizeof(header));
	text_addf(&t, VERSION_TEXT " %lld %ld", (long long)generation,
	    w->count);
	lengths_add(&t, w->lengths[0]);
	lengths_add(&t, w->lengths[1]);
	text_addf(&t, " %s %lld", w->signature[0] != '\0' ? w->signature : "-",
	    (long long)w->earliest);
	if (cdb_make_add(&w->make, HEADER, strlen(HEADER), t.buf,
		(unsigned)t.len) == 0 &&
	    cdb_make_finish(&w->make) == 0 && fsync(w->fd) == 0 &&
	    rename(w->temporary, w->path) == 0) {
		close(w->fd);
		return 0;
	}
	saved = errno;
	snapshot_abandon(w);
	errno = saved;
	return -1;
}

void
snapshot_abandon(struct snapshot_writer *w)
{
	if (w->fd >= 0) {
		unlink(w->temporary);
		close(w->fd);
	}
	w->fd = -1;
}
