/*
 * A database of places. Property: whatever is in the file, a place that is
 * found has a country of two capital letters or is on this planet.
 */
#include "fuzz.h"

#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "filter/geo.h"

/*
 * libmaxminddb 1.7 forgets a list of 4 KiB when the metadata are bad: once for
 * each time that such a file is opened.
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libmaxminddb";
}

static void
look(const char *path, const char *text)
{
	struct geo p, home = { .located = true };
	struct address a;

	HOLDS(address_parse(text, &a));
	switch (geo_find(path, &a, &p)) {
	case GEO_FOUND:
		HOLDS(p.country[0] != '\0' || p.located);
		break;
	case GEO_UNKNOWN:
		HOLDS(p.country[0] == '\0' && !p.located);
		break;
	default:
		HOLDS(geo_problem()[0] != '\0');
	}
	if (p.country[0] != '\0')
		HOLDS(p.country[0] >= 'A' && p.country[0] <= 'Z' &&
		    p.country[1] >= 'A' && p.country[1] <= 'Z' &&
		    p.country[2] == '\0');
	HOLDS(!p.located || (fabs(p.latitude) <= 90 &&
	    fabs(p.longitude) <= 180 && p.radius >= 0));
	HOLDS(geo_distance(&p, &home) >= 0);
	HOLDS(geo_distance(&p, &home) < 20100);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const addresses[] = { "81.2.69.142", "0.0.0.0",
		"255.255.255.255", "2a02:d540::a", "::",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4",
		"::1.2.3.4", "2001:db8::1" };
	char path[64], text[256];
	struct geo_about about;
	size_t i;
	int fd;

	fd = memfd_create("mmdb", MFD_CLOEXEC);
	HOLDS(fd >= 0);
	HOLDS(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	geo_close();
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		look(path, addresses[i]);
	geo_describe(text, sizeof(text));
	HOLDS(memchr(text, '\0', sizeof(text)) != NULL);
	geo_close();
	geo_examine(path, &about);
	HOLDS(memchr(about.type, '\0', sizeof(about.type)) != NULL);
	close(fd);
	return 0;
}
