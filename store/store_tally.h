/*
 * store_tally - the counts of a login, from the rows that a server sends.
 */
#ifndef STORE_TALLY_H
#define STORE_TALLY_H

#include "store/store.h"

struct store_tally {
	const struct store_login *login;
	struct store_counts *counts;
	uint64_t seen[11]; /* a bit for each pair of letters */
	bool known;
};

/* Begins with the login at hand alone; both are used until the end. */
void store_tally_begin(struct store_tally *t, const struct store_login *login,
    struct store_counts *counts);

/*
 * Takes a row of the user: its block, country (NULL or "" = not known) and
 * time. It may be the login's own, before or after it was recorded.
 */
void store_tally_row(struct store_tally *t, const char *block,
    const char *country, time_t when);

/* FOUND: there were rows; ABSENT: none. */
enum store_result store_tally_end(const struct store_tally *t);

#endif
