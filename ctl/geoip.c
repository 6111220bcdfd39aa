/*
 * abictl geoip - the country database DB-IP Lite: fetch it, bring it up to
 * date.
 *
 * A new one appears each month, compressed. It is unpacked on the way into a
 * file beside the old one, examined, and renamed. Whatever fails, the old one
 * stays as it is. Nothing of this needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/replace.h"
#include "base/text.h"
#include "ctl/abictl.h"
#include "ctl/http.h"
#include "filter/geo.h"

#define COUNTRY_MAX (64L << 20) /* bytes unpacked; of 2026: 8 MB */
#define CITY_MAX    (512L << 20) /* 130 MB */

#define STALL_FACTOR 6      /* of reputation.timeout, for a lot of data */
#define STALL_SPEED  1000L  /* bytes a second; less is a stall */
#define TIME_MAX     3600L  /* seconds for all of it */

/* A database is built at the beginning of its month, or a little before. */
#define BUILT_EARLY (3 * 86400)

#define NOT_THERE (-1) /* instead of an exit status: HTTP status 404 */

struct update {
	struct abictl *ctl;
	bool city;
	const char *path;           /* the database */
	char temporary[PATH_MAX];   /* the new one, */
	int fd;                     /* open and locked */
	bool is_there;              /* a usable one; if so: */
	struct geo_about installed;
	struct stat st;
};

/* What comes, being unpacked. */
struct unpacking {
	z_stream z;
	bool complete;
	int fd;
	long left;         /* bytes that may come, of either kind */
	long left_packed;
	int error;         /* errno of the file, */
	const char *wrong; /* or what is wrong with the data */
};

/* Months are counted from year 0. */
static int
month_of(time_t t)
{
	struct tm tm;

	return gmtime_r(&t, &tm) != NULL ?
	    (tm.tm_year + 1900) * 12 + tm.tm_mon : 0;
}

/* --- unpacking --- */

/* Unpacks and writes one piece. False when that must end. */
static bool
unpack(struct unpacking *u)
{
	char out[65536];
	size_t n;
	int rc;

	u->z.next_out = (unsigned char *)out;
	u->z.avail_out = sizeof(out);
	rc = inflate(&u->z, Z_NO_FLUSH);
	n = sizeof(out) - u->z.avail_out;
	u->left -= (long)n;
	u->complete = rc == Z_STREAM_END;
	if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
		u->wrong = rc == Z_MEM_ERROR ? "out of memory" :
					       "not a whole gzip file";
	else if (u->left < 0)
		u->wrong = "too large when unpacked";
	else if (file_write(u->fd, out, n) != 0)
		u->error = errno;
	return u->wrong == NULL && u->error == 0;
}

/* For libcurl: takes what has come. */
static size_t
unpack_more(char *data, size_t size, size_t count, void *arg)
{
	struct unpacking *u = arg;
	size_t n = size * count;

	u->left_packed -= (long)n;
	if (u->left_packed < 0) {
		u->wrong = "too large";
		return 0;
	}
	u->z.next_in = (unsigned char *)data;
	u->z.avail_in = (unsigned)n;
	/* What a full buffer has left over comes with no more input. */
	do {
		if (u->complete && u->z.avail_in > 0)
			u->wrong = "something follows the gzip file";
		if (u->wrong != NULL || (!u->complete && !unpack(u)))
			return 0;
	} while (u->z.avail_in > 0 || (!u->complete && u->z.avail_out == 0));
	return n;
}

/* --- download --- */

static CURLcode
transfer(const struct config *cfg, const char *url, struct unpacking *u,
    long *http_status, char *error)
{
	CURL *curl = http_new(cfg, url, error);
	CURLcode rc;

	if (curl == NULL)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIME_MAX);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
	    STALL_FACTOR * cfg->reputation.timeout);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
	    STALL_FACTOR * cfg->reputation.timeout);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_SPEED);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, unpack_more);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, u);
	rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, http_status);
	curl_easy_cleanup(curl);
	return rc;
}

/* What a transfer has led to: an exit status, told, or NOT_THERE. */
static int
transfer_judge(const struct update *up, const char *name, CURLcode rc,
    long http_status, const struct unpacking *u, const char *error)
{
	if (http_status == 404)
		return NOT_THERE;
	if (http_status >= 300)
		return abictl_fail(EX_UNAVAILABLE, "%s: HTTP status %ld%s",
		    name, http_status, http_status < 400 ?
		    " (redirects are not followed)" : "");
	if (u->error != 0)
		return abictl_fail(EX_CANTCREAT, "%s: %s", up->temporary,
		    strerror(u->error));
	if (u->wrong != NULL)
		return abictl_fail(EX_UNAVAILABLE, "%s: %s", name, u->wrong);
	if (rc != CURLE_OK)
		return abictl_fail(EX_UNAVAILABLE, "%s: %s", name,
		    error[0] != '\0' ? error : curl_easy_strerror(rc));
	if (!u->complete)
		return abictl_fail(EX_UNAVAILABLE,
		    "%s: not a whole gzip file", name);
	return EX_OK;
}

/* Fetches the file of a month. An exit status, or NOT_THERE. */
static int
download(const struct update *up, int month)
{
	const struct config *cfg = &up->ctl->cfg;
	const char *base = cfg->geocount.database_url;
	struct unpacking u = { .fd = up->fd,
		.left = up->city ? CITY_MAX : COUNTRY_MAX };
	char name[64], url[2048], error[CURL_ERROR_SIZE] = "";
	size_t len = strlen(base);
	long http_status = 0;
	CURLcode rc;

	snprintf(name, sizeof(name), "dbip-%s-lite-%04d-%02d.mmdb.gz",
	    up->city ? "city" : "country", month / 12, month % 12 + 1);
	if ((size_t)snprintf(url, sizeof(url), "%.*s/%s",
	    (int)(len - (base[len - 1] == '/')), base, name) >= sizeof(url))
		return abictl_fail(EX_CONFIG,
		    "geocount.database_url: too long");
	u.left_packed = u.left;
	if (inflateInit2(&u.z, 16 + MAX_WBITS) != Z_OK) /* 16: gzip */
		return abictl_fail(EX_OSERR, "out of memory");
	rc = transfer(cfg, url, &u, &http_status, error);
	inflateEnd(&u.z);
	return transfer_judge(up, name, rc, http_status, &u, error);
}

/* --- the file --- */

/* What is wrong with the new one, told as an exit status. */
static int
examine(const struct update *up, struct geo_about *fresh)
{
	const char *wrong = geo_examine(up->temporary, fresh);
	struct stat st;

	if (wrong == NULL && up->city && !fresh->located)
		wrong = "it has no coordinates";
	if (wrong != NULL)
		return abictl_fail(EX_UNAVAILABLE,
		    "what came is no good database: %s", wrong);
	if (!up->is_there || fresh->located != up->installed.located)
		return EX_OK;
	if (fresh->built < up->installed.built)
		return abictl_fail(EX_UNAVAILABLE,
		    "what came is older than %s", up->path);
	if (fstat(up->fd, &st) == 0 && st.st_size < up->st.st_size / 2)
		return abictl_fail(EX_UNAVAILABLE, "what came is less than "
		    "half as large as %s; remove that to have it all the same",
		    up->path);
	return EX_OK;
}

/* The directory, so that the new name is there after a power failure. */
static int
directory_sync(const char *path)
{
	char directory[PATH_MAX];
	int fd, rc;

	snprintf(directory, sizeof(directory), "%.*s",
	    (int)(strrchr(path, '/') - path + 1), path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int
put_in_place(const struct update *up)
{
	if (replace_dress(up->fd, -1, NULL) != 0 || fsync(up->fd) != 0 ||
	    rename(up->temporary, up->path) != 0 ||
	    directory_sync(up->path) != 0)
		return abictl_fail(EX_CANTCREAT, "%s: %s", up->path,
		    strerror(errno));
	return EX_OK;
}

/* --- the command --- */

/* What there is already. An exit status: what is not ours is not replaced. */
static int
look(struct update *up)
{
	const char *wrong = geo_examine(up->path, &up->installed);
	const char *type = up->installed.type;

	if (stat(up->path, &up->st) != 0)
		return EX_OK;
	if (strncasecmp(type, "DBIP", 4) != 0)
		return abictl_fail(EX_CONFIG, "%s: %s: not DB-IP Lite, so it "
		    "is not replaced; move it away, or see geocount.database",
		    up->path, type[0] != '\0' ? type : wrong);
	up->is_there = wrong == NULL;
	/* Who has asked for cities once does not want to lose them. */
	up->city = up->city || up->installed.located;
	return EX_OK;
}

/* Says what there is now. */
static int
done(const struct update *up, const char *what, const struct geo_about *about)
{
	char day[16] = "";
	struct tm tm;

	if (gmtime_r(&about->built, &tm) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	abictl_say(up->ctl, "%s: %s, %s, built %s", up->path, what,
	    about->type, day);
	return EX_OK;
}

/* Is that of a month, or a later one, there already? */
static bool
has(const struct update *up, int month)
{
	return up->is_there && up->installed.located == up->city &&
	    month_of(up->installed.built + BUILT_EARLY) >= month;
}

/* Has that of a month replace the old one. An exit status, or NOT_THERE. */
static int
update_to(const struct update *up, int month)
{
	struct geo_about fresh;
	int status;

	if (ftruncate(up->fd, 0) != 0 || lseek(up->fd, 0, SEEK_SET) != 0)
		return abictl_fail(EX_CANTCREAT, "%s: %s", up->temporary,
		    strerror(errno));
	status = download(up, month);
	if (status == EX_OK)
		status = examine(up, &fresh);
	if (status == EX_OK)
		status = put_in_place(up);
	return status == EX_OK ? done(up, "updated", &fresh) : status;
}

static int
update(struct update *up)
{
	int now = month_of(time(NULL)), back, status = look(up);

	if (status != EX_OK)
		return status;
	for (back = 0; back < 2; back++) {
		if (has(up, now - back))
			return done(up, "up to date", &up->installed);
		status = update_to(up, now - back);
		if (status != NOT_THERE)
			return status;
	}
	return abictl_fail(EX_UNAVAILABLE, "there is no database of this month "
	    "and none of the last one; see geocount.database_url");
}

int
abictl_geoip_update(struct abictl *ctl, int argc, char **argv)
{
	const char *database = ctl->cfg.geocount.database, *slash;
	struct update up = { .ctl = ctl,
		.city = ctl->city || ctl->cfg.geocount.speed > 0 };
	int status;

	(void)argc;
	(void)argv;
	if (database == NULL)
		return abictl_fail(EX_CONFIG, "geocount.database is empty; "
		    "leave it out, or name a file");
	up.path = strcmp(database, GEO_AUTO) == 0 ? geo_places[0] : database;
	slash = strrchr(up.path, '/');
	if ((size_t)snprintf(up.temporary, sizeof(up.temporary),
	    "%.*s.%s.abichecker-new", (int)(slash + 1 - up.path), up.path,
	    slash + 1) >= sizeof(up.temporary))
		return abictl_fail(EX_CONFIG, "%s: %s", up.path,
		    strerror(ENAMETOOLONG));
	up.fd = replace_open(AT_FDCWD, up.temporary, 0);
	if (up.fd < 0 && errno == EAGAIN)
		return abictl_fail(EX_TEMPFAIL, "%s: another process is just "
		    "updating it", up.path);
	if (up.fd < 0)
		return abictl_fail(EX_CANTCREAT, abictl_by_root() ?
		    "%s: %s; the filter's user must be able to write there" :
		    "%s: %s", up.temporary, strerror(errno));
	status = update(&up);
	if (replace_pending(AT_FDCWD, up.temporary, up.fd))
		unlink(up.temporary);
	close(up.fd);
	return status;
}
