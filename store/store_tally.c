/*
 * store_tally - the counts of a login, from the rows that a server sends.
 */
#include "store/store_tally.h"

#include <stdio.h>
#include <string.h>

/* Is it a country, and one that was not seen before? */
static bool
country_new(struct store_tally *t, const char *code)
{
	unsigned n;

	if (code == NULL || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' ||
	    code[1] > 'Z' || code[2] != '\0')
		return false;
	n = (unsigned)(code[0] - 'A') * 26 + (unsigned)(code[1] - 'A');
	if ((t->seen[n / 64] >> (n % 64) & 1) != 0)
		return false;
	t->seen[n / 64] |= (uint64_t)1 << (n % 64);
	return true;
}

/* Keeps the latest login of each country, and the latest countries. */
static void
elsewhere_note(struct store_counts *c, const char *block, const char *country,
    time_t when)
{
	struct store_elsewhere *slot = NULL, *oldest = &c->elsewhere[0];
	int i;

	for (i = 0; i < c->elsewhere_count; i++) {
		if (strcmp(c->elsewhere[i].country, country) == 0)
			slot = &c->elsewhere[i];
		if (c->elsewhere[i].time < oldest->time)
			oldest = &c->elsewhere[i];
	}
	if (slot == NULL && c->elsewhere_count < STORE_ELSEWHERE_MAX)
		slot = &c->elsewhere[c->elsewhere_count++];
	else if (slot == NULL)
		slot = oldest;
	if (slot->country[0] != '\0' && slot->time >= when)
		return;
	snprintf(slot->block, sizeof(slot->block), "%s", block);
	snprintf(slot->country, sizeof(slot->country), "%s", country);
	slot->time = when;
}

void
store_tally_begin(struct store_tally *t, const struct store_login *login,
    struct store_counts *counts)
{
	memset(t, 0, sizeof(*t));
	memset(counts, 0, sizeof(*counts));
	t->login = login;
	t->counts = counts;
	counts->addresses = 1;
	counts->countries = country_new(t, login->country);
}

void
store_tally_group(struct store_tally *t, const struct store_tally_group *g)
{
	const struct store_login *l = t->login;
	struct store_counts *c = t->counts;

	if (g->own) {
		/* The country stays if it is not known now. */
		if (l->country[0] == '\0')
			c->countries += country_new(t, g->country);
		return;
	}
	if (c->previous[0] == '\0' || g->last > c->previous_time) {
		snprintf(c->previous, sizeof(c->previous), "%s", g->block);
		c->previous_time = g->last;
	}
	if (g->recent <= 0)
		return;
	c->addresses += g->recent;
	c->countries += country_new(t, g->country);
	if (g->country != NULL && strlen(g->country) == 2 &&
	    strcmp(g->country, l->country) != 0)
		elsewhere_note(c, g->recent_block, g->country, g->recent_last);
}

void
store_tally_row(struct store_tally *t, const char *block, const char *country,
    time_t when)
{
	const struct store_tally_group one = { .country = country,
		.own = strcmp(block, t->login->block) == 0, .block = block,
		.last = when, .recent = when > t->login->since,
		.recent_block = block, .recent_last = when };

	store_tally_group(t, &one);
}
