/*
 * store_user - what the drivers share: the key of a user, and how long one of
 * them may have the store for itself.
 */
#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store.h"

#define KEEP_BYTES 35 /* of a name that is too long or not UTF-8 */

void
store_user(const char *name, char *out, size_t size)
{
	char folded[1024], shown[KEEP_BYTES + 1] = "";
	char digest[SHA256_DIGEST_STRING_LENGTH];
	char printable[STORE_USER_MAX];
	SHA2_CTX sha;
	const char *inner;
	size_t n, i;

	inner = text_inner(name, &n);
	if (n > 0)
		name = inner;
	else
		n = strlen(name); /* nobody, or a name of blanks alone */
	if (n < STORE_USER_MAX) {
		snprintf(folded, sizeof(folded), "%.*s", (int)n, name);
		text_lower(folded);
		/* Valid and printable UTF-8 comes out as it went in. */
		text_printable(printable, sizeof(printable), folded);
		if (strcmp(printable, folded) == 0) {
			snprintf(out, size, "%s", folded);
			return;
		}
	}
	SHA256Init(&sha);
	for (i = 0; i < n; i += sizeof(folded) - 1) {
		snprintf(folded, sizeof(folded), "%.*s", (int)(n - i),
		    name + i);
		text_lower(folded);
		if (i == 0)
			text_ascii(shown, sizeof(shown), folded);
		SHA256Update(&sha, (const uint8_t *)folded, strlen(folded));
	}
	SHA256End(&sha, digest);
	snprintf(out, size, "%s#%s", shown, digest);
}

long
store_lock_limit(const struct config *cfg, long wait_ms)
{
	long most = cfg->store.timeout * 1000;
	long request = cfg->filter.deadline * 1000;

	/* Of one that is short of time no more is known than that.
	 */
	if (request < most && wait_ms <= request)
		most = request;
	return most - (most < 4000 ? most / 4 : 1000);
}
