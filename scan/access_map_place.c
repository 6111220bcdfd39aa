/*
 * access_map_place - where a map is, and of which types: as its setting and
 * Postfix's configuration say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/tool.h"
#include "scan/access_map_parts.h"

#define OUTPUT_MAX (1024 * 1024) /* of postconf */

static const char *const type_names[] = { "hash", "btree", "lmdb", "cdb",
	"cidr" };

/* The type of a name of n bytes; 0: not one of ours. */
static unsigned
type_of(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
		if (n == strlen(type_names[i]) &&
		    memcmp(name, type_names[i], n) == 0)
			return 1u << i;
	return 0;
}

const char *
access_map_types(unsigned types)
{
	static char out[64];
	struct text t;
	size_t i;

	text_init(&t, out, sizeof(out));
	for (i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
		if (types & 1u << i)
			text_addf(&t, "%s%s", t.len > 0 ? " " : "",
			    type_names[i]);
	return out;
}

const char *
access_map_parse(const char *setting, struct access_map *m)
{
	const char *path = strchr(setting, '/'), *slash, *c;
	size_t n;

	memset(m, 0, sizeof(*m));
	m->setting = setting;
	if (path != setting) {
		n = strcspn(setting, ":");
		m->own = type_of(setting, n);
		if (m->own == 0)
			return "not a path, nor TYPE:/PATH with TYPE hash, "
			       "btree, lmdb, cdb or cidr";
		path = setting + n + 1;
	}
	m->kept = m->own;
	if (*path != '/')
		return "not an absolute path";
	for (c = path; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == ',')
			return "blanks, commas and control characters cannot "
			       "be in the name of a map";
	slash = strrchr(path, '/');
	n = (size_t)(slash - path);
	if (slash[1] == '\0' || strcmp(slash, "/.") == 0 ||
	    strcmp(slash, "/..") == 0)
		return "not the path of a file";
	if (n >= sizeof(m->dir) || strlen(slash) > sizeof(m->name) - 32)
		return "path too long";
	snprintf(m->dir, sizeof(m->dir), "%.*s", n > 0 ? (int)n : 1, path);
	snprintf(m->name, sizeof(m->name), "%s", slash + 1);
	return NULL;
}

unsigned
access_map_named(const struct access_map *m, const char *text)
{
	const char *path = strchr(m->setting, '/'), *at, *type;
	size_t n = strlen(path);
	unsigned types = 0;

	for (at = text; (at = strstr(at, path)) != NULL; at += n) {
		if (strchr(", \t\r\n}", at[n]) == NULL || at == text ||
		    at[-1] != ':')
			continue;
		for (type = at - 1; type > text && type[-1] >= 'a' &&
		    type[-1] <= 'z'; type--)
			;
		types |= type_of(type, (size_t)(at - 1 - type));
	}
	return types;
}

/* What postconf prints of that kind; "" when it fails, and why in error. */
static const char *
postconf(const char *option, const char *name, char *out, char *error,
    size_t size)
{
	const char *const argv[] = { "postconf", option, name, NULL };

	if (tool_read(argv, ACCESS_TOOL_SECONDS, out, OUTPUT_MAX, error,
		size) != 0)
		out[0] = '\0';
	return out;
}

bool
access_map_find(const char *setting, struct access_map *m, char *error,
    size_t size)
{
	const char *what = access_map_parse(setting, m), *type;
	char said[ACCESS_MAP_ERROR_MAX / 2] = "", *out;

	if (what != NULL) {
		snprintf(error, size, "%s: %s", setting, what);
		return false;
	}
	out = malloc(OUTPUT_MAX);
	if (out == NULL) {
		snprintf(error, size, "%s: out of memory", setting);
		return false;
	}
	m->named = access_map_named(m, postconf("-nx", NULL, out, said,
	    sizeof(said)));
	m->named |= access_map_named(m, postconf("-Px", NULL, out, said,
	    sizeof(said)));
	if ((m->own | m->named) == 0) {
		type = postconf("-hx", "default_database_type", out, said,
		    sizeof(said));
		m->kept = type_of(type, strcspn(type, "\n"));
		if (m->kept == 0)
			snprintf(error, size, "%s: which type? %s%.40s",
			    setting, type[0] != '\0' ?
			    "default_database_type is " : said, type);
	} else if (m->own != ACCESS_CIDR)
		m->kept = (m->own | m->named) & ~(unsigned)ACCESS_CIDR;
	if (m->kept == 0 && m->named != 0)
		m->kept = ACCESS_CIDR;
	/* Both are NAME.db. */
	if ((m->kept & ACCESS_HASH) && (m->kept & ACCESS_BTREE))
		m->kept &= ~(unsigned)(m->own == ACCESS_BTREE ? ACCESS_HASH :
		    ACCESS_BTREE);
	free(out);
	return m->kept != 0;
}
