/*
 * wish - what Postfix shall be told, from the command line and abichecker's
 * own configuration.
 */
#include "ctl/postfix/wish.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"
#include "ctl/abictl.h"
#include "scan/access_map.h"

/* The filter's user: who has its cache. */
static const char *
filter_user(const struct config *cfg)
{
	const char *cache = config_certain(cfg, "reputation.cache_dir");
	const struct passwd *pw;
	struct stat st;

	if (cache != NULL && stat(cache, &st) == 0 && st.st_uid != 0 &&
	    (pw = getpwuid(st.st_uid)) != NULL)
		return pw->pw_name;
	return "abichecker";
}

/* The command line of the spawn service; EX_OK, or it is told why not. */
static int
wish_service(struct plan_wish *wish, const struct config *cfg)
{
	static char user[128], command[3 * PATH_MAX];
	char program[PATH_MAX];
	bool elsewhere = cfg->file != NULL &&
			 strcmp(cfg->file, CONFIG_DEFAULT_FILE) != 0;

	snprintf(user, sizeof(user), "%s", filter_user(cfg));
	if (getpwnam(user) == NULL)
		return abictl_fail(EX_NOUSER, "there is no user %s", user);
	if (process_sibling("abichecker", program, sizeof(program)) != 0 ||
	    access(program, X_OK) != 0)
		return abictl_fail(EX_UNAVAILABLE, "abichecker is not beside "
		    "abictl: %s", strerror(errno));
	snprintf(command, sizeof(command), "%s%s%s", program,
	    elsewhere ? " -c " : "", elsewhere ? cfg->file : "");
	if ((elsewhere && cfg->file[0] != '/') ||
	    strpbrk(program, " \t\n{}$,") != NULL ||
	    (elsewhere && strpbrk(cfg->file, " \t\n{}$,") != NULL))
		return abictl_fail(EX_USAGE, "master.cf cannot have this "
		    "command: %s", command);
	wish->user = user;
	wish->command = command;
	return EX_OK;
}

/* Is the map's type one of those that this Postfix has? */
static bool
has_type(const char *directory, const char *type)
{
	char error[256], *types, *rest, *line;
	bool found = false;

	types = rest = postfix_output(directory, "-m", error, sizeof(error));
	while (rest != NULL && !found && (line = strsep(&rest, "\n")) != NULL)
		found = strcmp(line, type) == 0;
	free(types);
	return found;
}

/* The type of a new map: hash, where there is Berkeley DB, or lmdb or cdb. */
static void
default_type(const char *directory, char *out, size_t size)
{
	char error[256], *all;

	all = postfix_output(directory, NULL, error, sizeof(error));
	if (all == NULL ||
	    !postfix_line(all, "default_database_type", out, size) ||
	    strchr(out, '$') != NULL)
		snprintf(out, size, "lmdb");
	free(all);
}

/* The file in which Postfix looks a map up. */
static void
looked_up(const struct access_map *m, const char *type, char *out, size_t size)
{
	bool berkeley = strcmp(type, "hash") == 0 || strcmp(type, "btree") == 0;
	bool plain = strcmp(type, "cidr") == 0;

	snprintf(out, size, "%s/%s%s%s", m->dir, m->name,
	    plain ? "" : ".", plain ? "" : berkeley ? "db" : type);
}

/* Can Postfix look blacklist.map up? EX_OK, or it is told why not. */
static int
wish_map(struct plan_wish *wish, const struct config *cfg,
    const char *directory)
{
	static char item[2 * PATH_MAX];
	const char *map = cfg->blacklist.map, *type, *why;
	char usual[32], path[2 * PATH_MAX];
	struct access_map m;

	default_type(directory, usual, sizeof(usual));
	if (config_error(cfg, "blacklist") != NULL)
		return abictl_fail(EX_CONFIG, "%s",
		    config_error(cfg, "blacklist"));
	if (map == NULL)
		return abictl_fail(EX_CONFIG, "blacklist.map is not set: add "
		    "`map = %s/abichecker' to the section [blacklist] of %s, "
		    "and run abictl scan; its type will be %s", directory,
		    cfg->file != NULL ? cfg->file : CONFIG_DEFAULT_FILE, usual);
	why = access_map_parse(map, &m);
	if (why != NULL)
		return abictl_fail(EX_CONFIG, "%s: %s", map, why);
	type = m.own != 0 ? access_map_types(m.own) : usual;
	if (!has_type(directory, type))
		return abictl_fail(EX_CONFIG, "%s: this Postfix has no %s maps "
		    "(postconf -m); set blacklist.map to %s/%s, and its type "
		    "will be %s", map, type, m.dir, m.name, usual);
	looked_up(&m, type, path, sizeof(path));
	if (access(path, F_OK) != 0)
		return abictl_fail(EX_CONFIG, "%s: %s: Postfix would defer all "
		    "mail; run abictl scan first", path, strerror(errno));
	snprintf(item, sizeof(item), "%s:%s/%s", type, m.dir, m.name);
	wish->map = item;
	return EX_OK;
}

int
wish_read(struct plan_wish *wish, const struct config *cfg,
    const char *directory, int argc, char **argv)
{
	bool map = false;
	int i;

	for (i = 0; i < argc; i++)
		if (strcmp(argv[i], "mx") == 0)
			wish->mx = true;
		else if (strcmp(argv[i], "submission") == 0)
			wish->submission = wish->submission_must = true;
		else
			map = true;
	if (argc == 0)
		wish->mx = wish->submission = true;
	if (wish->mx || wish->submission) {
		i = wish_service(wish, cfg);
		if (i != EX_OK)
			return i;
	}
	return map ? wish_map(wish, cfg, directory) : EX_OK;
}

void
wish_status(struct plan_wish *wish, const struct config *cfg,
    const char *directory)
{
	wish->mx = wish->submission = true;
	if (wish_service(wish, cfg) != EX_OK)
		wish->mx = wish->submission = false;
	if (cfg->blacklist.map != NULL)
		wish_map(wish, cfg, directory);
}
