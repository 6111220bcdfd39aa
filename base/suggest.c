/*
 * suggest - which of several words somebody has probably meant.
 */
#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

#define FAR 3 /* changes that make another word of one */

void
suggest_init(struct suggest *s, const char *word)
{
	memset(s, 0, sizeof(*s));
	s->distance = FAR;
	if (strlen(word) < sizeof(s->word))
		snprintf(s->word, sizeof(s->word), "%s", word);
}

static int
least(int a, int b, int c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* How many bytes must be put in, left out or changed (Levenshtein). */
static int
distance(const char *a, const char *b)
{
	int row[SUGGEST_WORD_MAX], corner, above;
	size_t i, j, n = strlen(b);

	for (j = 0; j <= n; j++)
		row[j] = (int)j;
	for (i = 0; a[i] != '\0'; i++) {
		corner = row[0]++;
		for (j = 1; j <= n; j++) {
			above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1,
			    corner + (a[i] != b[j - 1]));
			corner = above;
		}
	}
	return row[n];
}

void
suggest_try(struct suggest *s, const char *candidate)
{
	int changes, most;

	if (s->word[0] == '\0' || strlen(candidate) >= sizeof(s->best))
		return;
	/* Of a short word not all may be changed. */
	most = (int)(strlen(candidate) + 1) / 3;
	changes = distance(s->word, candidate);
	if (changes > most || changes >= s->distance)
		return;
	s->distance = changes;
	snprintf(s->best, sizeof(s->best), "%s", candidate);
}

void
suggest_prefer(struct suggest *s, const char *candidate)
{
	if (s->distance == 0)
		return;
	s->distance = 0;
	snprintf(s->best, sizeof(s->best), "%s", candidate);
}

const char *
suggest_say(const struct suggest *s, const char *what, char *out, size_t size)
{
	if (s->best[0] != '\0')
		snprintf(out, size, "%s (did you mean %s?)", what, s->best);
	else
		snprintf(out, size, "%s", what);
	return out;
}
