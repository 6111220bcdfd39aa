/*
 * suggest - which of several words was probably meant.
 */
#ifndef SUGGEST_H
#define SUGGEST_H

#include <stddef.h>

#define SUGGEST_WORD_MAX 64

struct suggest {
	char word[SUGGEST_WORD_MAX]; /* "" = too long to be one of ours */
	char best[SUGGEST_WORD_MAX];
	int distance; /* of best */
};

/* Starts with the unknown word. */
void suggest_init(struct suggest *s, const char *word);

/* A valid word; the first of the nearest is kept. */
void suggest_try(struct suggest *s, const char *candidate);

/* The word that was meant, however different; the first is kept. */
void suggest_prefer(struct suggest *s, const char *candidate);

/*
 * Writes what, and if one of the words is near, " (did you mean WORD?)".
 * Returns out.
 */
const char *suggest_say(const struct suggest *s, const char *what, char *out,
    size_t size);

#endif
