/*
 * abictl selftest - are the logs read, the offenders published?
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "scan/access_map.h"
#include "logs/logsource.h"
#include "logs/maillog.h"
#include "base/due.h"
#include "scan/scan_logs.h"
#include "ctl/selftest/selftest.h"
#include "ctl/selftest/postfix.h"
#include "store/snapshot.h"
#include "store/store.h"
#include "base/text.h"
#include "base/tool.h"

#define TOOL_SECONDS 10
#define SAMPLE 65536 /* bytes of a log that are looked at */

/*
 * Reads the end of a log: are its lines understood? If not, line is the first
 * that is not.
 */
static bool
is_understood(const char *path, char *line, size_t size)
{
	static struct maillog m;
	struct maillog_hit hit;
	char buf[SAMPLE];
	const char *from = buf;
	size_t pos = 0;
	ssize_t n = -1;
	off_t at;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return true; /* told elsewhere */
	at = lseek(fd, 0, SEEK_END);
	at = at > SAMPLE ? at - SAMPLE : 0;
	n = pread(fd, buf, sizeof(buf), at);
	close(fd);
	if (n > 0 && at > 0) /* not with the end of a line */
		from = memchr(buf, '\n', (size_t)n - 1);
	if (n <= 0 || from == NULL)
		return true;
	from += at > 0;
	maillog_init(&m, NULL);
	maillog_now(&m, time(NULL));
	while (maillog_next(&m, from, (size_t)(buf + n - from), &pos, &hit))
		;
	text_printable(line, size, m.odd_line);
	return !maillog_strange(&m);
}

/* The command that lets this user read a log, and its own readers still. */
static const char *
log_command(const char *path, int error)
{
	const struct group *g = getgrnam("adm");
	struct stat st;

	if (error != EACCES || g == NULL || stat(path, &st) != 0)
		return selftest_look(path);
	if (st.st_gid == g->gr_gid && (st.st_mode & S_IRGRP) != 0)
		return selftest_command_line("sudo usermod -a -G adm %s",
		    selftest_quote(selftest_user()));
	return selftest_command_line("sudo chgrp adm %s && sudo chmod g+r %s",
	    selftest_quote(path), selftest_quote(path));
}

/* A log that is a file. */
static void
test_file(const char *path)
{
	int error = access(path, R_OK) != 0 ? errno : 0;
	const char *packed;
	char line[120];

	if (error != 0)
		say_try(FAIL, "mail log", log_command(path, error),
		    "%s: user %s: %s", path, selftest_user(), strerror(error));
	else if ((packed = logsource_packed(path)) != NULL)
		say_try(FAIL, "mail log", selftest_command_line("%s %s",
		    "sudo abictl scan --dry-run", selftest_quote(path)),
		    "%s: compressed (%s): only "
		    "`abictl scan --dry-run' reads it", path, packed);
	else if (!is_understood(path, line, sizeof(line)))
		say_try(FAIL, "mail log",
		    selftest_command_line("sudo tail -n 5 %s",
			selftest_quote(path)), "%s: its lines have an unknown "
		    "format, such as: %s", path, line);
	else
		say(OK, "mail log", "%s", path);
}

static void
test_journal(void)
{
	char error[LOGSOURCE_ERROR_MAX];
	struct logsource *s;

	if (!scan_logs_journal()) {
		say_try(FAIL, "mail log", "sudo postconf maillog_file",
		    "found neither a journal nor a log file");
		return;
	}
	s = logsource_open("journal", "", 0, false, error, sizeof(error));
	if (s != NULL)
		say(OK, "mail log", "the journal");
	else if (strstr(error, "group") != NULL)
		say_try(FAIL, "mail log",
		    selftest_command_line("sudo usermod -a -G systemd-journal "
			"%s", selftest_quote(selftest_user())), "%s", error);
	else
		say(FAIL, "mail log", "%s", error);
	logsource_close(s);
}

static void
test_logs(const struct config *cfg)
{
	struct scan_logs logs;
	size_t i;

	scan_logs_find(&logs, cfg);
	for (i = 0; i < logs.count; i++)
		if (logs.what[i][0] == '/')
			test_file(logs.what[i]);
		else
			test_journal();
	/* Else a file of which others think that it is read would be left. */
	for (i = 0; i < logs.passed_count; i++)
		test_file(logs.passed[i]);
}

/* Is the snapshot there, and of the store's list? */
static void
test_snapshot(const struct config *cfg, struct snapshot *s)
{
	char error[STORE_ERROR_MAX];
	struct store *store;
	int64_t generation = -1;

	if (!snapshot_refresh(s, cfg->blacklist.snapshot)) {
		say_try(s->absent ? WARN : FAIL, "blacklist",
		    selftest_abictl("scan"), "%s%s", s->problem,
		    s->absent ?
			": `abictl scan' makes it; is its timer running?" : "");
		return;
	}
	store = store_open(cfg, cfg->store.url, error, sizeof(error));
	if (store == NULL)
		return; /* said by the test of the store */
	store->driver->generation(store, &generation);
	store_free(store);
	if (generation == s->generation)
		say(OK, "blacklist", "%s: %ld listed",
		    cfg->blacklist.snapshot, s->count);
	else
		say(WARN, "blacklist", "%s does not match the store: the next "
		    "scan fixes that", cfg->blacklist.snapshot);
}

/* Does Postfix open an index of that type? False, and what it says. */
static bool
is_opened(const struct access_map *m, unsigned type, char *error, size_t size)
{
	char map[PATH_MAX + NAME_MAX + 16];
	const char *const argv[] = { "postmap", "-q", "0", map, NULL };

	snprintf(map, sizeof(map), "%s:%s/%s", access_map_types(type), m->dir,
	    m->name);
	/* It fails as well, without a word, when it has no such key. */
	return tool_run(argv, -1, -1, TOOL_SECONDS, error, size) == 0 ||
	    strstr(error, "fatal: ") == NULL;
}

static void
test_map(const struct config *cfg, const struct snapshot *s)
{
	const char *map = cfg->blacklist.map;
	char error[ACCESS_MAP_ERROR_MAX];
	struct access_map m;
	unsigned type;

	if (map == NULL)
		return;
	if (!access_map_find(map, &m, error, sizeof(error))) {
		say_try(FAIL, "access map", selftest_edit(cfg), "%s", error);
		return;
	}
	if (!s->open || access_map_generation(&m) != s->generation) {
		say_try(WARN, "access map", selftest_abictl("scan"),
		    "%s does not match the snapshot: the next scan by root "
		    "fixes that, as with map.conf", map);
		return;
	}
	for (type = ACCESS_HASH; type < ACCESS_CIDR; type *= 2)
		if ((m.kept & type) != 0 &&
		    !is_opened(&m, type, error, sizeof(error))) {
			say_try(FAIL, "access map",
			    selftest_abictl("blacklist map"), "%s: %s", map,
			    error);
			return;
		}
	say(OK, "access map", "%s (%s)", map, access_map_types(m.kept));
}

void
selftest_blacklist(const struct config *cfg, struct statedir *d)
{
	static struct snapshot snapshot;

	if (!config_makes(cfg, "blacklist") ||
	    !selftest_can(cfg, "blacklist", "blacklist"))
		return;
	test_logs(cfg);
	test_snapshot(cfg, &snapshot);
	test_map(cfg, &snapshot);
	snapshot_close(&snapshot);
	/* Each scan sees to this marker, which lasts an hour. */
	if (due_in(d, DUE_PURGE, time(NULL)) == 0)
		say(WARN, "blacklist", "no `abictl scan' within the last hour");
}

/*
 * One type must be named everywhere: of another one there is no index, which
 * is a 451 for all mail, unless both are kept.
 */
static void
test_types(const struct config *cfg, const struct access_map *m,
    unsigned named)
{
	unsigned all = m->own | named;
	char types[64];

	if ((all & (all - 1)) == 0)
		return;
	snprintf(types, sizeof(types), "%s", access_map_types(all));
	say_try(FAIL, "access map", m->own != 0 ? selftest_edit(cfg) :
	    selftest_command_line("sudo postconf -nx | grep -n %s",
		selftest_quote(strchr(m->setting, '/'))),
	    "%s: blacklist.map, main.cf and master.cf name it as several "
	    "types: %s; kept: %s", m->setting, types,
	    access_map_types(m->kept));
}

void
selftest_map_read(const struct config *cfg)
{
	const struct instance *first = &selftest_instances[0], *in;
	const char *which = selftest_which(first);
	char error[ACCESS_MAP_ERROR_MAX], map[PATH_MAX + NAME_MAX + 16];
	unsigned named = 0;
	struct access_map m;
	size_t i;

	if (cfg->blacklist.map == NULL || !config_makes(cfg, "blacklist") ||
	    config_error(cfg, "blacklist") != NULL ||
	    !access_map_find(cfg->blacklist.map, &m, error, sizeof(error)))
		return; /* said above */
	for (i = 0; i < selftest_instance_count; i++) {
		in = &selftest_instances[i];
		if (in->read)
			named |= access_map_named(&m, in->conf.parameters) |
			    access_map_named(&m, in->conf.overrides);
	}
	test_types(cfg, &m, named);
	if (named != 0)
		return;
	snprintf(map, sizeof(map), "%s:%s", access_map_types(m.kept),
	    strchr(m.setting, '/'));
	/*
	 * What is there stays in force, as it is written. Users are let
	 * through: it may be the list of submission, too.
	 */
	say_try(WARN, "access map",
	    selftest_command_line(
		"sudo postconf %s-e smtpd_client_restrictions=\"$(sudo "
		"postconf %s-h smtpd_client_restrictions), permit_mynetworks, "
		"permit_sasl_authenticated, check_client_access \"%s && "
		"sudo postfix %sreload",
		which, which, selftest_quote(map), which),
	    "%s: nothing in main.cf or master.cf reads it", m.setting);
}
