/*
 * place - where an address is, by a database in MaxMind's MMDB format.
 *
 * Any database with country.iso_code (GeoLite2, DB-IP) or a flat country_code
 * or country (IPinfo, ip-location-db); coordinates with a City database. The
 * file is opened again when it is replaced. It is mapped, so its size is
 * looked at before each look-up; whatever is wrong with it, the place is only
 * unknown.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

struct place {
	char country[3];   /* as of text_country(), "" = not known */
	bool located;      /* the following are known */
	double latitude;   /* degrees */
	double longitude;
	double radius;     /* accuracy_radius, km */
};

enum place_result {
	PLACE_ERROR = -1, /* the database cannot be used; logged once */
	PLACE_UNKNOWN,
	PLACE_FOUND,
};

/* Looks an address up in the database `path`. *p is set in every case. */
enum place_result place_find(const char *path, const struct address *a,
    struct place *p);

/* Why the last place_find() was an error; "" when it was not. */
const char *place_problem(void);

/* What the database says of itself, "GeoLite2-Country, built 2026-11-20". */
void place_describe(char *out, size_t size);

/*
 * The distance of two places in km along the surface, less what both may be
 * wrong by; never below 0. 0 when one of them is not located.
 */
double place_distance(const struct place *a, const struct place *b);

/* Closes the database. */
void place_close(void);

#endif
