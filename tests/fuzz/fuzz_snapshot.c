/*
 * A snapshot of offenders. Property: whatever is in the file, an entry that is
 * found covers the address asked for, is in force, and its texts end.
 */
#include "fuzz.h"

#include <stdio.h>
#include <unistd.h>

#include "store/snapshot.h"

#define NOW 1800000000

static void
sound(const struct snapshot_entry *e)
{
	struct address base = e->block.base;

	HOLDS(base.family == AF_INET || base.family == AF_INET6);
	HOLDS(e->block.bits >= 0 && e->block.bits <= address_bits(&base));
	HOLDS(memchr(e->rule, '\0', sizeof(e->rule)) != NULL);
	HOLDS(memchr(e->note, '\0', sizeof(e->note)) != NULL);
}

static bool
each(void *arg, const struct snapshot_entry *e)
{
	long *left = arg;

	sound(e);
	return --*left > 0;
}

static void
look(struct snapshot *s, const char *text)
{
	struct snapshot_entry e;
	struct address a;

	HOLDS(address_parse(text, &a));
	if (!snapshot_find(s, &a, NOW, &e))
		return;
	sound(&e);
	address_mask(&a, e.block.bits);
	HOLDS(address_compare(&a, &e.block.base) == 0);
	HOLDS(e.expires == 0 || e.expires > NOW);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const addresses[] = { "9.9.9.9", "8.8.4.4",
		"0.0.0.0", "255.255.255.255", "1.1.1.1", "::",
		"2606:4700:1::7", "2a03:4000:1:2::1",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
	static char path[64];
	struct snapshot s = { 0 };
	long left = 100000;
	size_t i;
	FILE *f;

	/* A name, not /proc/self/fd: links are not followed. */
	snprintf(path, sizeof(path), "/dev/shm/fuzz-snapshot.%ld",
	    (long)getpid());
	unlink(path);
	f = fopen(path, "w");
	HOLDS(f != NULL);
	HOLDS(fwrite(data, 1, size, f) == size);
	HOLDS(fclose(f) == 0);
	if (snapshot_refresh(&s, path)) {
		HOLDS(s.problem[0] == '\0');
		snapshot_each(&s, each, &left);
	} else
		HOLDS(s.problem[0] != '\0' && !s.absent);
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		look(&s, addresses[i]);
	snapshot_close(&s);
	unlink(path);
	return 0;
}
