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
		path = setting + n + (setting[n] == ':');
	}
	m->kept = m->own;
	if (*path != '/')
		return "not an absolute path";
	for (c = path; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == ',')
			return "spaces, commas and control characters cannot "
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

/* What postconf prints of that kind; "" when it fails, and why in said. */
static const char *
postconf(const char *option, const char *name, char *out,
    char said[ACCESS_MAP_ERROR_MAX])
{
	const char *const argv[] = { "postconf", option, name, NULL };
	char why[ACCESS_MAP_ERROR_MAX / 2];

	if (tool_read(argv, ACCESS_TOOL_SECONDS, out, OUTPUT_MAX, why,
		sizeof(why)) != 0) {
		snprintf(said, ACCESS_MAP_ERROR_MAX, "%s", why);
		out[0] = '\0';
	}
	return out;
}

/* The types that are kept, out of those that are known. */
static unsigned
types_kept(const struct access_map *m)
{
	const unsigned cidr = ACCESS_CIDR;
	unsigned kept = m->own | m->named;

	/* They have other keys. */
	if (m->own == cidr || kept == cidr)
		return cidr;
	kept &= ~cidr;
	/* Both are NAME.db. */
	if ((kept & ACCESS_HASH) != 0 && (kept & ACCESS_BTREE) != 0)
		kept &= m->own == ACCESS_BTREE ? ~(unsigned)ACCESS_HASH :
						 ~(unsigned)ACCESS_BTREE;
	return kept;
}

bool
access_map_find(const char *setting, struct access_map *m, char *error,
    size_t size)
{
	char *out = malloc(OUTPUT_MAX), said[ACCESS_MAP_ERROR_MAX] = "";
	const char *what = access_map_parse(setting, m), *type;

	if (out == NULL)
		what = "out of memory";
	if (what == NULL) {
		m->named = access_map_named(m, postconf("-nx", NULL, out,
		    said)) | access_map_named(m, postconf("-Px", NULL, out,
		    said));
		m->kept = types_kept(m);
	}
	if (what == NULL && m->kept == 0) {
		type = postconf("-hx", "default_database_type", out, said);
		m->kept = type_of(type, strcspn(type, "\n"));
		if (m->kept == 0 && said[0] == '\0')
			snprintf(said, sizeof(said), "of which type? "
			    "default_database_type is %.40s", type);
	}
	/* Without a type of its own, nothing must be missing. */
	if (what == NULL && m->own == 0 && said[0] != '\0')
		what = said;
	if (what != NULL) {
		snprintf(error, size, "%s: %s", setting, what);
		m->kept = 0;
	}
	free(out);
	return what == NULL;
}
