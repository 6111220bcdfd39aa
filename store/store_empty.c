/*
 * store_empty - a store in which nothing is: what a filter would begin with.
 *
 * For explaining only, where none was made yet; it has no operation that
 * changes anything.
 */
#include "store/store_tally.h"

extern const struct store_driver store_empty;

static enum store_result
empty_login(struct store *s, const struct store_login *login,
    struct store_counts *counts)
{
	struct store_tally t;

	(void)s;
	store_tally_begin(&t, login, counts);
	return STORE_FOUND;
}

static enum store_result
empty_account_find(struct store *s, const char *user,
    struct store_account *account)
{
	(void)s;
	(void)user;
	(void)account;
	return STORE_ABSENT;
}

const struct store_driver store_empty = {
	.login = empty_login,
	.account_find = empty_account_find,
};
