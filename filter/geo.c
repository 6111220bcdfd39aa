/*
 * geo - where an address is, by a database in MaxMind's MMDB format.
 */
#include "filter/geo.h"

#include <errno.h>
#include <math.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/library.h"
#include "base/log.h"
#include "base/text.h"

#define EARTH_RADIUS 6371.0 /* km, mean */

#ifndef LOCALSTATEDIR
#define LOCALSTATEDIR "/var"
#endif

/* geoipupdate writes to one of these directories: Debian's, Fedora's, its own.
 * In a City database there are the countries as well. */
const char *const geo_places[] = {
	LOCALSTATEDIR "/lib/abichecker/dbip-lite.mmdb",
	LOCALSTATEDIR "/lib/GeoIP/GeoLite2-City.mmdb",
	LOCALSTATEDIR "/lib/GeoIP/GeoLite2-Country.mmdb",
	"/usr/share/GeoIP/GeoLite2-City.mmdb",
	"/usr/share/GeoIP/GeoLite2-Country.mmdb",
	"/usr/local/share/GeoIP/GeoLite2-City.mmdb",
	"/usr/local/share/GeoIP/GeoLite2-Country.mmdb",
	NULL,
};

/* Every function of libmaxminddb that we call. */
#define FUNCTIONS(F)                                                          \
	F(MMDB_close) F(MMDB_open) F(MMDB_strerror) F(MMDB_aget_value)        \
	F(MMDB_lookup_sockaddr)

static struct {
	FUNCTIONS(LIBRARY_POINTER)
} maxmind = LIBRARY_LINKED(FUNCTIONS);

static struct {
	MMDB_s db;
	bool open;
	struct file_watch watch;
	char problem[256];
} geo;

static void
database_close(void)
{
	if (geo.open)
		maxmind.MMDB_close(&geo.db);
	geo.open = false;
}

void
geo_close(void)
{
	database_close();
	memset(&geo, 0, sizeof(geo));
}

const char *
geo_problem(void)
{
	return geo.problem;
}

/* The database cannot be used: told once, until it can be again. */
static bool
unusable(const char *path, const char *why)
{
	char text[sizeof(geo.problem)];

	snprintf(text, sizeof(text), "%.150s: %.100s", path, why);
	if (strcmp(text, geo.problem) != 0)
		log_warning("%s; countries are unknown", text);
	memcpy(geo.problem, text, sizeof(text));
	return false;
}

/* libmaxminddb, once. False: why in error. */
static bool
maxmind_load(char *error, size_t size)
{
	return library_load("libmaxminddb.so.0", LIBRARY_NAMES(FUNCTIONS),
	    &maxmind, error, size);
}

/*
 * Makes the database ready. A file that was truncated where it is would kill
 * us at a look-up (SIGBUS): then it is closed, and stays so until it changes.
 */
static bool
ready(const char *path)
{
	char error[160];
	struct stat st;
	int rc;

	switch (file_look(&geo.watch, path)) {
	case FILE_SAME:
		return geo.open || geo.problem[0] == '\0';
	case FILE_CHANGED:
		break;
	default:
		rc = errno;
		database_close();
		geo.watch.read = false;
		return unusable(path, strerror(rc));
	}
	database_close();
	if (stat(path, &st) != 0)
		return unusable(path, strerror(errno));
	file_was_read(&geo.watch, &st);
	if (!S_ISREG(st.st_mode))
		return unusable(path, "not a regular file");
	if (!maxmind_load(error, sizeof(error)))
		return unusable(path, error);
	rc = maxmind.MMDB_open(path, MMDB_MODE_MMAP, &geo.db);
	if (rc != MMDB_SUCCESS)
		return unusable(path, maxmind.MMDB_strerror(rc));
	geo.open = true;
	if ((off_t)geo.db.file_size != st.st_size) {
		/* Replaced in between: the next look-up sees that. */
		geo.watch.read = false;
	}
	geo.problem[0] = '\0';
	return true;
}

/* A country code at that path of names. */
static bool
code_at(MMDB_entry_s *entry, const char *const *path, char *out)
{
	MMDB_entry_data_s data;

	if (maxmind.MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS ||
	    !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING)
		return false;
	return text_country(data.utf8_string, data.data_size, out);
}

/* A number of any of the types that are used for numbers. */
static bool
number_at(MMDB_entry_s *entry, const char *name, double *out)
{
	const char *const path[] = { "location", name, NULL };
	MMDB_entry_data_s data;

	/* Flat databases have it without "location". */
	if ((maxmind.MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS ||
		!data.has_data) &&
	    (maxmind.MMDB_aget_value(entry, &data, path + 1) != MMDB_SUCCESS ||
		!data.has_data))
		return false;
	if (data.type == MMDB_DATA_TYPE_DOUBLE)
		*out = data.double_value;
	else if (data.type == MMDB_DATA_TYPE_FLOAT)
		*out = data.float_value;
	else if (data.type == MMDB_DATA_TYPE_UINT16)
		*out = data.uint16;
	else if (data.type == MMDB_DATA_TYPE_UINT32)
		*out = data.uint32;
	else
		return false;
	return isfinite(*out) != 0;
}

static void
entry_read(MMDB_entry_s *entry, struct geo *p)
{
	static const char *const iso[] = { "country", "iso_code", NULL };
	static const char *const flat[] = { "country_code", NULL };
	static const char *const plain[] = { "country", NULL };

	if (!code_at(entry, iso, p->country) &&
	    !code_at(entry, flat, p->country))
		code_at(entry, plain, p->country);
	p->located = number_at(entry, "latitude", &p->latitude) &&
	    number_at(entry, "longitude", &p->longitude) &&
	    fabs(p->latitude) <= 90 && fabs(p->longitude) <= 180;
	if (!number_at(entry, "accuracy_radius", &p->radius) || p->radius < 0)
		p->radius = 0;
}

/* Looks an address up. MMDB_SUCCESS, or the library's error. */
static int
look_up(const MMDB_s *db, const struct address *a, struct geo *p)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)a->family };
	MMDB_lookup_result_s found;
	int error = MMDB_SUCCESS;

	memset(p, 0, sizeof(*p));
	if (a->family == AF_INET)
		memcpy(&((struct sockaddr_in *)&ss)->sin_addr, a->bytes, 4);
	else
		memcpy(&((struct sockaddr_in6 *)&ss)->sin6_addr, a->bytes, 16);
	found = maxmind.MMDB_lookup_sockaddr(db, (struct sockaddr *)&ss,
	    &error);
	if (error == MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR)
		return MMDB_SUCCESS;
	if (error == MMDB_SUCCESS && found.found_entry)
		entry_read(&found.entry, p);
	return error;
}

const char *
geo_path(const char *database)
{
	int i;

	if (strcmp(database, GEO_AUTO) != 0)
		return database;
	for (i = 0; geo_places[i] != NULL; i++)
		if (access(geo_places[i], F_OK) == 0)
			return geo_places[i];
	return geo_places[0];
}

enum geo_result
geo_find(const char *database, const struct address *a, struct geo *p)
{
	const char *path = geo_path(database);
	int error;

	memset(p, 0, sizeof(*p));
	if (!ready(path))
		return GEO_ERROR;
	error = look_up(&geo.db, a, p);
	if (error != MMDB_SUCCESS) {
		unusable(path, maxmind.MMDB_strerror(error));
		return GEO_ERROR;
	}
	geo.problem[0] = '\0';
	return p->country[0] != '\0' || p->located ? GEO_FOUND :
						     GEO_UNKNOWN;
}

/* Public resolvers: no publisher leaves their country out. */
static const char *
known_find(const MMDB_s *db, struct geo_about *about)
{
	static const char *const known[] = { "8.8.8.8",
		"2001:4860:4860::8888" };
	struct address a;
	struct geo p;
	int i, error;

	for (i = 0; i < 2; i++) {
		address_parse(known[i], &a);
		error = look_up(db, &a, &p);
		if (error != MMDB_SUCCESS)
			return maxmind.MMDB_strerror(error);
		if (p.country[0] == '\0')
			return i == 0 ? "it has no country for 8.8.8.8" :
					"it has no countries for IPv6";
		about->located = p.located;
	}
	return NULL;
}

const char *
geo_examine(const char *path, struct geo_about *about)
{
	static char error[160];
	const char *wrong;
	MMDB_s db;
	int rc;

	memset(about, 0, sizeof(*about));
	if (!maxmind_load(error, sizeof(error)))
		return error;
	rc = maxmind.MMDB_open(path, MMDB_MODE_MMAP, &db);
	if (rc != MMDB_SUCCESS)
		return maxmind.MMDB_strerror(rc);
	text_printable(about->type, sizeof(about->type),
	    db.metadata.database_type);
	about->built = (time_t)db.metadata.build_epoch;
	wrong = known_find(&db, about);
	maxmind.MMDB_close(&db);
	return wrong;
}

void
geo_describe(char *out, size_t size)
{
	time_t built;
	char day[16];
	struct tm tm;

	out[0] = '\0';
	if (!geo.open)
		return;
	built = (time_t)geo.db.metadata.build_epoch;
	if (gmtime_r(&built, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%d", &tm) == 0)
		day[0] = '\0';
	snprintf(out, size, "%.100s, built %s",
	    geo.db.metadata.database_type, day);
}

static double
radians(double degrees)
{
	return degrees * M_PI / 180;
}

double
geo_distance(const struct geo *a, const struct geo *b)
{
	double dlat, dlon, h, km;

	if (!a->located || !b->located)
		return 0;
	dlat = radians(b->latitude - a->latitude);
	dlon = radians(b->longitude - a->longitude);
	/* The haversine formula. */
	h = pow(sin(dlat / 2), 2) + cos(radians(a->latitude)) *
	    cos(radians(b->latitude)) * pow(sin(dlon / 2), 2);
	km = 2 * EARTH_RADIUS * asin(fmin(1, sqrt(h)));
	km -= a->radius + b->radius;
	return km > 0 ? km : 0;
}
