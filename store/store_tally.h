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
};

/*
 * Some of the user's rows: those of one country (NULL or "" = not known), and
 * either of the login's own block or of others.
 */
struct store_tally_group {
	const char *country;
	bool own;
	const char *block; /* of the last login of them ... */
	time_t last;
	long recent;       /* so many are within the window */
	const char *recent_block; /* the last of these, if there are any */
	time_t recent_last;
};

/* Begins with the login at hand alone; both are used until the end. */
void store_tally_begin(struct store_tally *t, const struct store_login *login,
    struct store_counts *counts);

/*
 * Takes a group. That of the own block may be from before or after the login
 * was recorded. A group may come in parts.
 */
void store_tally_group(struct store_tally *t,
    const struct store_tally_group *group);

/* The same of one row. */
void store_tally_row(struct store_tally *t, const char *block,
    const char *country, time_t when);

#endif
