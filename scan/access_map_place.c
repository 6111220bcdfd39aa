/*
 * access_map_place - where a map is, from its setting TYPE:/PATH.
 */
#include <stdio.h>
#include <string.h>

#include "scan/access_map_file.h"

const char *
access_place_parse(const char *map, struct access_place *at)
{
	static const struct {
		const char *type, *suffix;
	} types[] = { { "hash", ".db" }, { "btree", ".db" },
		{ "lmdb", ".lmdb" }, { "cdb", ".cdb" }, { "cidr", NULL } };
	const char *colon = strchr(map, ':'), *slash, *c;
	size_t i, n = colon != NULL ? (size_t)(colon - map) : 0;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (n == strlen(types[i].type) &&
		    memcmp(map, types[i].type, n) == 0)
			break;
	if (i == sizeof(types) / sizeof(types[0]))
		return "not TYPE:/PATH with TYPE hash, btree, lmdb, cdb or "
		       "cidr";
	snprintf(at->type, sizeof(at->type), "%s", types[i].type);
	at->suffix = types[i].suffix;
	if (colon[1] != '/')
		return "not an absolute path";
	for (c = colon + 1; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == ',')
			return "blanks, commas and control characters cannot "
			       "be in the name of a map";
	slash = strrchr(colon, '/');
	n = (size_t)(slash - colon);
	if (slash[1] == '\0' || strcmp(slash, "/.") == 0 ||
	    strcmp(slash, "/..") == 0)
		return "not the path of a file";
	if (n >= sizeof(at->dir) || strlen(slash) > sizeof(at->name) - 32)
		return "path too long";
	snprintf(at->dir, sizeof(at->dir), "%.*s", n > 1 ? (int)n - 1 : 1,
	    colon + 1);
	snprintf(at->name, sizeof(at->name), "%s", slash + 1);
	return NULL;
}
