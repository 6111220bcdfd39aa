/*
 * Where an address is: every layout of a database, and every way in which a
 * database can be bad. tests/lib/mmdb.pl writes them; without its Perl module
 * those tests are skipped.
 */
#include "unit.h"

#include <fcntl.h>
#include <math.h>
#include <sys/wait.h>

#include "base/log.h"
#include "filter/geo.h"

static char path[192], script[512];
static bool writer; /* mmdb.pl can be used */
static int told;

static void
count(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
	told++;
}

/* Writes a database; lines are as mmdb.pl wants them. */
static bool
write_database(const char *layout, const char *lines)
{
	char command[1024];
	FILE *f;

	snprintf(command, sizeof(command), "%s %s %s 2>/dev/null", script,
	    path, layout);
	f = popen(command, "w");
	assert_non_null(f);
	fputs(lines, f);
	return pclose(f) == 0;
}

static void
database(const char *layout, const char *lines)
{
	if (!writer)
		skip();
	if (!write_database(layout, lines))
		fail_msg("mmdb.pl %s failed", layout);
}

/* tests/lib is beside the directory of this program's build. */
static int
set_up(void **state)
{
	char self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0 || unit_dir_make(state) != 0)
		return 1;
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	snprintf(script, sizeof(script), "%s/../tests/lib/mmdb.pl", self);
	snprintf(path, sizeof(path), "%s/probe.mmdb", unit_dir);
	writer = write_database("nested", "1.0.0.0/8 country=US\n");
	if (!writer)
		fprintf(stderr, "MaxMind::DB::Writer is not there\n");
	log_open("unit", "none", LOG_LEVEL_INFO);
	log_handler(count);
	return 0;
}

static int
tear_down(void **state)
{
	log_handler(NULL);
	geo_close();
	return unit_dir_remove(state);
}

static int
path_new(void **state)
{
	static int number;

	(void)state;
	geo_close();
	snprintf(path, sizeof(path), "%s/%d.mmdb", unit_dir, ++number);
	told = 0;
	return 0;
}

static enum geo_result
find(const char *text, struct geo *p)
{
	struct address a;

	assert_true(address_parse(text, &a));
	memset(p, 0xee, sizeof(*p)); /* it is set in every case */
	return geo_find(path, &a, p);
}

/* What find() must say: a country, "" = unknown, NULL = error. */
static void
expect(const char *address, const char *country)
{
	struct geo p;
	enum geo_result r = find(address, &p);

	if (r != (country == NULL ? GEO_ERROR : country[0] == '\0' ?
	    GEO_UNKNOWN : GEO_FOUND))
		fail_msg("%s: result %d (%s)", address, r, geo_problem());
	if (strcmp(p.country, country != NULL ? country : "") != 0)
		fail_msg("%s: %s", address, p.country);
	if ((country == NULL) != (geo_problem()[0] != '\0'))
		fail_msg("%s: problem `%s'", address, geo_problem());
}

static const char countries[] = "81.2.69.142/32 country=GB\n"
				"89.160.20.112/28 country=SE\n"
				"2a02:d540::/32 country=DE\n"
				"2001:252::/48\n"
				"1.0.0.0/24 country=gb\n"
				"1.0.1.0/24 country=GBR\n"
				"1.0.2.0/24 country=1A\n"
				"1.0.3.0/24 country=\n"
				"1.0.4.0/24 country=ZZ\n"
				"1.0.5.0/24 country=XX\n"
				"1.0.6.0/24 country=EU\n"
				"1.0.7.0/24 country=AP\n"
				"1.0.8.0/24 country=XK\n";

static void
every_layout_gives_the_country(void **state)
{
	static const char *const layouts[] = { "nested", "flat", "plain",
		"city", "nested,bits=28", "flat,bits=32", "plain,bits=28" };
	struct geo p;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(layouts); i++) {
		database(layouts[i], countries);
		expect("81.2.69.142", "GB");
		expect("81.2.69.143", "");
		expect("::ffff:81.2.69.142", "GB");
		expect("89.160.20.127", "SE");
		expect("89.160.20.128", "");
		expect("2a02:d540:1:2:3:4:5:6", "DE");
		expect("2a02:d541::", "");
		/* No country, or what is none */
		expect("2001:252::252", "");
		expect("1.0.0.1", "");
		expect("1.0.1.1", "");
		expect("1.0.2.1", "");
		expect("1.0.3.1", "");
		expect("1.0.4.1", "");
		expect("1.0.5.1", "");
		expect("1.0.6.1", "");
		expect("1.0.7.1", "");
		expect("1.0.8.1", "XK");
		expect("255.255.255.255", "");
		expect("::", "");
		find("81.2.69.142", &p);
		assert_false(p.located);
	}
	assert_int_equal(told, 0);
}

static void
a_database_of_ipv4_knows_no_ipv6(void **state)
{
	(void)state;
	database("nested,ipv4", "81.2.69.142/32 country=GB\n");
	expect("81.2.69.142", "GB");
	expect("2a02:d540::a", "");
	expect("::", "");
	expect("81.2.69.142", "GB");
	assert_int_equal(told, 0);
}

static void
a_city_has_coordinates(void **state)
{
	static const struct {
		const char *address, *country;
		bool located;
		double latitude, longitude, radius;
	} rows[] = {
		{ "1.1.1.1", "GB", true, 51.5074, -0.1278, 50 },
		{ "1.1.2.1", "", true, -33.8688, 151.2093, 0 },
		{ "1.1.3.1", "FR", false, 0, 0, 0 },
		{ "1.1.4.1", "AQ", true, -90, 0, 1000 },
		/* Not on this planet */
		{ "1.1.5.1", "XK", false, 0, 0, 0 },
		{ "1.1.6.1", "XK", false, 0, 0, 0 },
		{ "1.1.7.1", "XK", false, 0, 0, 0 },
	};
	struct geo p;
	size_t i;

	(void)state;
	database("city",
	    "1.1.1.0/24 country=GB lat=51.5074 lon=-0.1278 radius=50\n"
	    "1.1.2.0/24 lat=-33.8688 lon=151.2093\n"
	    "1.1.3.0/24 country=FR\n"
	    "1.1.4.0/24 country=AQ lat=-90 lon=0 radius=1000\n"
	    "1.1.5.0/24 country=XK lat=90.1 lon=0\n"
	    "1.1.6.0/24 country=XK lat=0 lon=-180.5\n"
	    "1.1.7.0/24 country=XK lat=nan lon=0\n");
	for (i = 0; i < COUNT(rows); i++) {
		if (find(rows[i].address, &p) != GEO_FOUND ||
		    strcmp(p.country, rows[i].country) != 0 ||
		    p.located != rows[i].located)
			fail_msg("%s: `%s' %d", rows[i].address, p.country,
			    p.located);
		if (p.located && (fabs(p.latitude - rows[i].latitude) > 1e-9 ||
		    fabs(p.longitude - rows[i].longitude) > 1e-9 ||
		    fabs(p.radius - rows[i].radius) > 1e-9))
			fail_msg("%s: %f %f %f", rows[i].address, p.latitude,
			    p.longitude, p.radius);
	}
}

static void
a_replaced_database_is_noticed(void **state)
{
	char text[128];

	(void)state;
	expect("81.2.69.142", NULL);
	expect("81.2.69.142", NULL);
	assert_int_equal(told, 1); /* once */
	geo_describe(text, sizeof(text));
	assert_string_equal(text, "");
	database("nested,type=One,built=86400", "81.2.69.142/32 country=GB\n");
	expect("81.2.69.142", "GB");
	geo_describe(text, sizeof(text));
	assert_string_equal(text, "One, built 1970-01-02");
	database("flat,type=Two", "81.2.69.142/32 country=SE\n");
	expect("81.2.69.142", "SE");
	geo_describe(text, sizeof(text));
	assert_string_equal(text, "Two, built 2026-11-20");
	assert_int_equal(unlink(path), 0);
	expect("81.2.69.142", NULL);
	database("plain", "81.2.69.142/32 country=FR\n");
	expect("81.2.69.142", "FR");
	assert_int_equal(told, 2);
}

/* Reads the database that is there, for free(). */
static char *
content(size_t *len)
{
	char *bytes = malloc(65536);
	FILE *f = fopen(path, "r");

	assert_non_null(bytes);
	assert_non_null(f);
	*len = fread(bytes, 1, 65536, f);
	fclose(f);
	assert_true(*len > 300);
	return bytes;
}

/* Writes it in place, as cp does it. */
static void
overwrite(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void
what_is_no_database_makes_countries_unknown(void **state)
{
	static const char *const texts[] = { "", "x", "not a database\n",
		"\xab\xcd\xefMaxMind.com", "\xab\xcd\xefMaxMind.com\xe0",
		"\xab\xcd\xefMaxMind.com\xff\xff\xff\xff\xff" };
	size_t i, len;
	char *bytes;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		overwrite(texts[i], strlen(texts[i]));
		expect("81.2.69.142", NULL);
		expect("2a02:d540::a", NULL);
	}
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect("81.2.69.142", NULL);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect("81.2.69.142", NULL); /* and does not wait */
	unlink(path);
	assert_int_equal(symlink("/dev/zero", path), 0);
	expect("81.2.69.142", NULL);
	unlink(path);
	assert_int_equal(symlink(path, path), 0); /* a loop */
	expect("81.2.69.142", NULL);
	unlink(path);
	/* A link to one is fine: geoip packages use them. */
	database("nested", countries);
	bytes = content(&len);
	free(bytes);
	expect("81.2.69.142", "GB");
}

static void
a_database_cut_while_it_is_mapped_does_not_kill(void **state)
{
	size_t len;
	char *bytes;
	int i;

	(void)state;
	database("city", countries);
	bytes = content(&len);
	for (i = 0; i < 5; i++) {
		expect("81.2.69.142", "GB");
		assert_int_equal(truncate(path, i * 100), 0);
		expect("81.2.69.142", NULL);
		expect("2a02:d540::a", NULL);
		overwrite(bytes, len);
		expect("2a02:d540::a", "DE");
	}
	/* It grows: still the same database, with rubbish after it. */
	assert_int_equal(truncate(path, (off_t)len + 8192), 0);
	find("81.2.69.142", &(struct geo){ .located = false });
	overwrite(bytes, len);
	expect("81.2.69.142", "GB");
	free(bytes);
}

/* All addresses of a test; only that they come back. */
static void
look_around(void)
{
	static const char *const addresses[] = { "81.2.69.142",
		"89.160.20.113", "2a02:d540::a", "2001:252::1", "1.0.0.1",
		"1.0.1.1", "0.0.0.0", "255.255.255.255", "::",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
	char text[256];
	struct geo p;
	size_t i;

	for (i = 0; i < COUNT(addresses); i++) {
		if (find(addresses[i], &p) == GEO_FOUND)
			assert_true(p.country[0] != '\0' || p.located);
		if (p.country[0] != '\0')
			assert_true(p.country[0] >= 'A' &&
			    p.country[1] <= 'Z' && p.country[2] == '\0');
		assert_true(!p.located || (fabs(p.latitude) <= 90 &&
		    fabs(p.longitude) <= 180 && p.radius >= 0));
	}
	geo_describe(text, sizeof(text));
}

static void
flipped_bits_and_cuts_never_kill(void **state)
{
	static const char *const layouts[] = { "nested", "flat", "city",
		"nested,ipv4", "city,bits=28" };
	char *good, *bad;
	size_t i, len;
	int round, flips;

	(void)state;
	srandom(3);
	for (i = 0; i < COUNT(layouts); i++) {
		database(layouts[i], strstr(layouts[i], "ipv4") != NULL ?
		    "81.2.69.142/32 country=GB\n" : strncmp(layouts[i], "city",
			4) == 0 ?
		    "81.2.69.142/32 country=GB lat=51.5 lon=-0.1 radius=9\n"
		    "2a02:d540::/32 country=DE lat=52.5 lon=13.4\n" :
		    countries);
		good = content(&len);
		bad = malloc(len);
		assert_non_null(bad);
		for (round = 0; round < 200; round++) {
			memcpy(bad, good, len);
			for (flips = 0; flips <= round % 30; flips++)
				bad[(size_t)random() % len] ^=
				    (char)(1 << random() % 8);
			overwrite(bad, len);
			look_around();
		}
		for (round = 0; round < 100; round++) {
			overwrite(good, (size_t)random() % len);
			look_around();
		}
		overwrite(good, len);
		expect("81.2.69.142", "GB");
		free(good);
		free(bad);
	}
}

/* After an error with one address the next one may be found all the same. */
static void
a_bad_record_is_the_problem_of_its_addresses_only(void **state)
{
	struct geo p;
	size_t len, at, broken = 0;
	char *good, *bad;

	(void)state;
	database("nested", countries);
	good = content(&len);
	bad = malloc(len);
	assert_non_null(bad);
	for (at = 0; at < len; at++) {
		memcpy(bad, good, len);
		bad[at] = (char)0xff;
		overwrite(bad, len);
		if (find("81.2.69.142", &p) != GEO_ERROR)
			continue;
		assert_true(geo_problem()[0] != '\0');
		if (find("2a02:d540::a", &p) != GEO_FOUND)
			continue;
		broken++;
		if (geo_problem()[0] != '\0')
			fail_msg("byte %zu: %s was found, yet `%s'", at,
			    p.country, geo_problem());
	}
	assert_true(broken > 0);
	free(good);
	free(bad);
}

#define AT(lat, lon, km)                                                      \
	{ .located = true, .latitude = (lat), .longitude = (lon),             \
	    .radius = (km) }

static void
distances_are_those_of_a_globe(void **state)
{
	static const struct {
		struct geo a, b;
		double km; /* within 1 % */
	} rows[] = {
		/* London - Paris, New York, Sydney; Berlin - Moscow */
		{ AT(51.5074, -0.1278, 0), AT(48.8566, 2.3522, 0), 343.6 },
		{ AT(51.5074, -0.1278, 0), AT(40.7128, -74.006, 0), 5570 },
		{ AT(51.5074, -0.1278, 0), AT(-33.8688, 151.2093, 0), 16994 },
		{ AT(52.52, 13.405, 0), AT(55.7558, 37.6173, 0), 1609 },
		/* Tokyo - Los Angeles, over the antimeridian */
		{ AT(35.6762, 139.6503, 0), AT(34.0522, -118.2437, 0), 8815 },
		{ AT(0, 179.5, 0), AT(0, -179.5, 0), 111.2 },
		{ AT(10, 180, 0), AT(10, -180, 0), 0 },
		/* Poles */
		{ AT(90, 0, 0), AT(-90, 0, 0), 20015 },
		{ AT(90, 0, 0), AT(90, 135, 0), 0 },
		{ AT(-90, 20, 0), AT(-80, 100, 0), 1112 },
		/* The far side */
		{ AT(0, 0, 0), AT(0, 180, 0), 20015 },
		{ AT(37, 12, 0), AT(-37, -168, 0), 20015 },
		{ AT(51.5074, -0.1278, 0), AT(51.5074, -0.1278, 0), 0 },
		/* Both may be wrong */
		{ AT(51.5074, -0.1278, 43.6), AT(48.8566, 2.3522, 0), 300 },
		{ AT(51.5074, -0.1278, 100), AT(48.8566, 2.3522, 143.6), 100 },
		{ AT(51.5074, -0.1278, 200), AT(48.8566, 2.3522, 200), 0 },
		{ AT(51.5074, -0.1278, 1e300), AT(48.8566, 2.3522, 0), 0 },
		/* Not located */
		{ { .latitude = 50 }, AT(0, 0, 0), 0 },
		{ AT(50, 0, 0), { .country = "GB" }, 0 },
		{ { .country = "" }, { .country = "" }, 0 },
	};
	double km, back;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		km = geo_distance(&rows[i].a, &rows[i].b);
		back = geo_distance(&rows[i].b, &rows[i].a);
		if (!isfinite(km) || fabs(km - back) > 1e-6 ||
		    fabs(km - rows[i].km) > rows[i].km / 100 + 1e-6)
			fail_msg("row %zu: %f km, %f back", i, km, back);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, path_new)
	const struct CMUnitTest tests[] = {
		TEST(every_layout_gives_the_country),
		TEST(a_database_of_ipv4_knows_no_ipv6),
		TEST(a_city_has_coordinates),
		TEST(a_replaced_database_is_noticed),
		TEST(what_is_no_database_makes_countries_unknown),
		TEST(a_database_cut_while_it_is_mapped_does_not_kill),
		TEST(flipped_bits_and_cuts_never_kill),
		TEST(a_bad_record_is_the_problem_of_its_addresses_only),
		TEST(distances_are_those_of_a_globe),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
