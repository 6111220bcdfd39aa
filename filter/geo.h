/*
 * geo - where an address is, from a database in MaxMind's MMDB format.
 *
 * Any database with country.iso_code (GeoLite2, DB-IP) or a flat country_code
 * or country (IPinfo, ip-location-db); coordinates with a City database. The
 * file is reopened when it is replaced. It is mapped, so its size is checked
 * before each lookup; whatever is wrong with it, the place is just unknown.
 */
#ifndef GEO_H
#define GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/address.h"

struct geo {
	char country[3];   /* as from text_country(), "" = unknown */
	bool located;      /* the following are known */
	double latitude;   /* degrees */
	double longitude;
	double radius;     /* accuracy_radius, km */
};

enum geo_result {
	GEO_ERROR = -1, /* the database cannot be used; logged once */
	GEO_UNKNOWN,
	GEO_FOUND,
};

/* As geocount.database: the first of geo_places[] that is there. */
#define GEO_AUTO "auto"

/* That of `abictl geoip update', those of geoipupdate(1), and NULL. */
extern const char *const geo_places[];

/* The file of a database; GEO_AUTO: where it is, or else is to come. */
const char *geo_path(const char *database);

/* Looks up an address in a database. *p is always set. */
enum geo_result geo_find(const char *database, const struct address *a,
    struct geo *p);

/* Why the last geo_find() was an error; "" when it was not. */
const char *geo_problem(void);

/* What the database says of itself, "GeoLite2-Country, built 2026-11-20". */
void geo_describe(char *out, size_t size);

/* What a file says of itself, and whether it has coordinates. */
struct geo_about {
	char type[64];
	time_t built;
	bool located;
};

/*
 * Opens a file and looks up addresses that everybody knows the country of.
 * NULL, or what is wrong with it: then it is not worth having.
 */
const char *geo_examine(const char *path, struct geo_about *about);

/*
 * The distance between two places in km along the surface, less the accuracy
 * radius of both; never below 0. 0 when one of them is not located.
 */
double geo_distance(const struct geo *a, const struct geo *b);

/* Closes the database. */
void geo_close(void);

#endif
