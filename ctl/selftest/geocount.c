/*
 * abictl selftest - what geocount needs: countries, lists, limits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "filter/geo.h"
#include "ctl/selftest/selftest.h"
#include "logs/logsource.h"
#include "filter/userlimits.h"

#define LIMITS_FILE_MAX (16 * 1024 * 1024)

/* A country database that is there, but not one; false: nothing to say. */
static bool
test_packed(const char *path)
{
	const char *packed = logsource_packed(path);

	if (packed == NULL)
		return false;
	say_try(FAIL, "geocount",
	    selftest_command_line("sudo sh -C -c '%s -dc <\"$1\" "
				  ">\"$1.new\" && chmod --reference=\"$1\" "
				  "\"$1.new\" && mv \"$1.new\" \"$1\"' - %s",
		packed, selftest_quote(path)),
	    "%s: still compressed (%s): countries are unknown",
	    path, packed);
	return true;
}

/* A country database that cannot be read. */
static void
database_unreadable(const struct config *cfg, const char *path, int error)
{
	bool configured = strcmp(cfg->geocount.database, GEO_AUTO) != 0;
	const char *command = selftest_readable(error, path);

	/* None need be there: addresses are counted. */
	if (error == ENOENT)
		command = configured ? selftest_edit(cfg) :
				       selftest_abictl("geoip update");
	say_try(error != ENOENT || configured ? FAIL : WARN, "geocount",
	    command, "%s: user %s: %s: countries are unknown", path,
	    selftest_user(), strerror(error));
}

static void
test_database(const struct config *cfg)
{
	const char *path = cfg->geocount.database;
	char text[256];
	struct address a;
	struct geo p;

	address_parse(SELFTEST_ADDRESS, &a);
	if (path != NULL)
		path = geo_path(path);
	if (path == NULL)
		say(WARN, "geocount",
		    "geocount.database is not set: countries are unknown");
	else if (access(path, R_OK) != 0)
		database_unreadable(cfg, path, errno);
	else if (test_packed(path))
		;
	else if (geo_find(path, &a, &p) == GEO_ERROR)
		say_try(FAIL, "geocount", selftest_edit(cfg),
		    "%s: countries are unknown",
		    geo_problem());
	else {
		geo_describe(text, sizeof(text));
		say(OK, "geocount", "%s: %s", path, text);
	}
	geo_close();
}

static void
test_limits(const char *path)
{
	struct selftest_file f = {"geocount", path};
	struct limits *l;
	size_t len;
	char *text;
	int error;

	text = file_slurp(path, LIMITS_FILE_MAX, &len, NULL);
	l = text != NULL ? limits_parse(text, len, selftest_complain, &f)
			 : NULL;
	error = errno;
	if (l == NULL)
		say_try(FAIL, "geocount", selftest_readable(error, path),
		    "%s: %s", path, strerror(error));
	else
		say(OK, "geocount", "%s: %zu lines", path, limits_size(l));
	limits_free(l);
	free(text);
}

void
selftest_geocount(const struct config *cfg)
{
	if (!config_makes(cfg, "geocount") ||
	    !selftest_can(cfg, "geocount", "geocount"))
		return;
	test_database(cfg);
	if (cfg->geocount.whitelist_file != NULL)
		selftest_hostlist("geocount", cfg->geocount.whitelist_file,
		    FAIL);
	if (cfg->geocount.users_file != NULL)
		test_limits(cfg->geocount.users_file);
}
