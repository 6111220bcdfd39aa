/*
 * The URL of a store. Property: a URL that has a password is a secret, and
 * what is shown of it has none but leads to the same place. With an `@' in a
 * parameter it may be a password with `?' in it: then less is shown.
 */
#include "fuzz.h"

#include "config/store_url.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = fuzz_copy(data, size), *shown = malloc(size + 1);
	struct store_url u, again;
	const char *wrong;

	if (shown == NULL)
		abort();
	wrong = store_url_parse(url, &u);
	store_url_text(url, shown, size + 1);
	HOLDS(strlen(shown) <= strlen(url));
	if (wrong == NULL && strncmp(url, "sqlite:", 7) != 0) {
		HOLDS(u.password[0] == '\0' || store_url_secret(url));
		HOLDS(store_url_secret(url) || strcmp(url, shown) == 0);
	}
	if (wrong == NULL && strchr(url + strcspn(url, "?"), '@') == NULL &&
	    strncmp(url, "sqlite:", 7) != 0) {
		HOLDS(store_url_parse(shown, &again) == NULL);
		HOLDS(again.password[0] == '\0');
		HOLDS(strcmp(u.user, again.user) == 0);
		HOLDS(strcmp(u.host, again.host) == 0 && u.port == again.port);
		HOLDS(strcmp(u.name, again.name) == 0);
	}
	free(shown);
	free(url);
	return 0;
}
