/*
 * access_map_others - everybody else's OK lines in an access map.
 *
 * Our lines are looked up before them, so an address that one lets in (by its
 * own key, by a shorter one, or in a cidr map by any block that has an address
 * in common) would be refused by ours. Nothing else is read of others' lines.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scan/access_map_parts.h"

#define WORD_MAX 128 /* longer than any key that counts */
#define HEX      "0123456789abcdefABCDEF"

/* Copies the next word of a line; "" for one that is too long to count. */
static const char *
word_next(const char *at, const char *end, char word[WORD_MAX])
{
	size_t n = 0;

	for (; at < end && isspace((unsigned char)*at); at++)
		;
	for (; at < end && !isspace((unsigned char)*at); at++, n++)
		if (n < WORD_MAX)
			word[n] = *at;
	word[n < WORD_MAX ? n : 0] = '\0';
	return at;
}

/*
 * The block of a key of an indexed map, "192.0.2" or "2001:db8:1", as the
 * address of which it is the beginning, and its length. ("2001:db8:", which is
 * said of some of these addresses only, counts for all.)
 */
static void
key_put(FILE *f, const char *key)
{
	bool v6 = strchr(key, ':') != NULL;
	size_t n = strlen(key), parts = 1, i;

	if (v6 && n > 0 && key[n - 1] == ':' && strstr(key, "::") == NULL)
		n--;
	for (i = 0; i < n; i++)
		parts += key[i] == '.' || key[i] == ':';
	fprintf(f, "%.*s", (int)n, key);
	if (v6 && parts < 8 && strstr(key, "::") == NULL)
		fprintf(f, "::/%zu", 16 * parts);
	else if (!v6 && parts < 4)
		fprintf(f, "%s/%zu", &".0.0.0"[2 * (parts - 1)], 8 * parts);
	fputc('\n', f);
}

/* "[2001:db8::]/32" is another form of a block. */
static void
cidr_put(FILE *f, const char *key)
{
	for (; *key != '\0'; key++)
		if (*key != '[' && *key != ']')
			fputc(*key, f);
	fputc('\n', f);
}

struct hostlist *
access_oks_read(const char *text, size_t len, bool cidr)
{
	const char *end = text + len, *line, *next;
	char key[WORD_MAX] = "", value[WORD_MAX] = "", *keys = NULL;
	struct hostlist *list = NULL;
	size_t size;
	FILE *f = open_memstream(&keys, &size);

	if (f == NULL)
		return NULL;
	for (line = text; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next != NULL ? next + 1 : end;
		if (isspace((unsigned char)*line))
			continue;
		word_next(word_next(line, next, key), next, value);
		/* DUNNO lets a client pass as OK does. */
		if ((strcasecmp(value, "OK") == 0 ||
			strcasecmp(value, "DUNNO") == 0) &&
		    key[strspn(key, cidr ? HEX ".:/[]" : HEX ".:")] == '\0')
			(cidr ? cidr_put : key_put)(f, key);
	}
	if (fclose(f) == 0)
		list = hostlist_parse(keys, size, NULL, NULL);
	free(keys);
	return list;
}
