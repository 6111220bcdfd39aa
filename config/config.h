/*
 * config - the configuration: one table of options, one reader.
 *
 * The table drives parsing, ranges, `abictl config` and the test that
 * compares it with abichecker.conf(5). To add an option: a field in struct
 * config, a row in options.c, a paragraph in man/abichecker.conf.5.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_OPTIONS_MAX 96
#define CONFIG_OVERRIDES_MAX 64
#define CONFIG_LINE_MAX 8192
#define CONFIG_FILE_MAX (1024 * 1024)
#define CONFIG_ERROR_MAX 1024
#define CONFIG_ERRORS_MAX 128 /* of all sections that are noted */

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#ifndef LOCALSTATEDIR
#define LOCALSTATEDIR "/var"
#endif
#define CONFIG_DEFAULT_FILE SYSCONFDIR "/abichecker/abichecker.conf"

enum config_on_error { ON_ERROR_DUNNO, ON_ERROR_DEFER };

/*
 * What is in force. Strings belong to this struct. Those of the types text,
 * secret, path, proxy, server, map and blocks are NULL where not set;
 * durations are seconds.
 */
struct config {
	struct {
		const char *checks;
		long deadline;
		bool dry_run;
		int on_error; /* enum config_on_error */
		const char *abictl;
	} filter;
	struct {
		const char *target;
		int level; /* enum log_level */
	} log;
	struct {
		const char *file;
	} whitelist;
	struct {
		const char *token;
		const char *token_file;
		const char *url;
		const char *proxy;
		const char *ca_file;
		long score;
		long min_reporters;
		long ipv6_prefix;
		long max_age;
		const char *action;
		const char *cache_dir;
		long cache_ttl;
		long stale_ttl;
		long timeout;
		long daily_limit;
		bool authenticated;
	} reputation;
	struct {
		const char *database;
		const char *database_url;
		long countries;
		long addresses;
		long window;
		long speed;
		long ipv6_prefix;
		const char *whitelist;
		const char *whitelist_file;
		const char *users_file;
		const char *action;
		const char *address_action; /* NULL: as action */
		const char *rate;
		bool mark;
	} geocount;
	struct {
		const char *apikey;
		const char *zones;
		const char *recipient_zones;
		const char *resolver;
		long timeout;
	} authbl;
	struct {
		const char *action;
		long ttl;
		long grace;
		const char *command;
		long command_timeout;
	} accounts;
	struct {
		const char *logs;
		const char *rules;
		long ban;
		long ban_max;
		long ipv4_prefix;
		long ipv6_prefix;
		const char *snapshot;
		const char *action;
		bool authenticated;
		const char *map;
		long map_max;
		long reload;
	} blacklist;
	struct {
		const char *url;
		const char *password_file;
		const char *prefix;
		long timeout;
		long idle;
	} store;

	/* Where it came from. */
	const char *file; /* as given with -c, NULL = the default place */
	const char *overrides[CONFIG_OVERRIDES_MAX]; /* -o, as given; the
	                                              * caller's */
	int override_count;
	unsigned file_mode; /* permission bits; 0 = there was no file */

	/* Errors in the sections of checks, in the order of the file; of each
	 * section at least the first. */
	struct {
		const char *section; /* of the table */
		char *text; /* "FILE:LINE: section.key: what is wrong" */
	} errors[CONFIG_ERRORS_MAX];
	int error_count;

	/* By row of the table; for config_get(). */
	char *text[CONFIG_OPTIONS_MAX]; /* NULL = the default */
	int line[CONFIG_OPTIONS_MAX];   /* 0 = not in the file */
};

enum config_type {
	CONFIG_TEXT,
	CONFIG_SECRET,   /* never shown, never on a command line */
	CONFIG_PATH,     /* absolute */
	CONFIG_TARGET,   /* syslog, none, stderr or an absolute path */
	CONFIG_URL,      /* http or https; a secret if it has a password */
	CONFIG_PROXY,    /* the same with curl's proxy schemes */
	CONFIG_STORE,    /* a URL whose scheme is one of `choices`; a secret
	                  * if it has a password */
	CONFIG_ZONES,    /* see dnszone.h; a secret if a key is in it */
	CONFIG_SERVER,   /* address, or address:port */
	CONFIG_BLOCKS,   /* addresses and CIDR blocks */
	CONFIG_LOGS,     /* auto, journal, absolute paths */
	CONFIG_DATABASE, /* auto, or absolute */
	CONFIG_RULES,    /* see rules.h */
	CONFIG_MAP,      /* [TYPE:]/PATH of a Postfix map */
	CONFIG_RATE,     /* "N/PERIOD" or "0" */
	CONFIG_ACTION,   /* access(5), see action.h */
	CONFIG_WORDS,    /* words of the default, in any order, each once */
	CONFIG_CHOICE,   /* one of `choices` */
	CONFIG_BOOL,     /* yes, no */
	CONFIG_NUMBER,   /* min..max */
	CONFIG_DURATION, /* min..max seconds, with s m h d w */
};

/* A row of the table. */
struct config_option {
	const char *section;
	const char *key;
	enum config_type type;
	size_t offset;          /* of the field in struct config */
	const char *fallback;   /* the default, "" = not set */
	long min, max;          /* of numbers and durations */
	const char *const *choices; /* of CONFIG_CHOICE, NULL-ended */
	const char *help;       /* one line */
};

/* The table, in the order of the manual. */
extern const struct config_option config_options[];
extern const int config_option_count;

/* Sets every option to its default. Release with config_free(). */
void config_init(struct config *cfg);
void config_free(struct config *cfg);

/*
 * Reads a configuration text; name is the file's name in messages. Errors in
 * the section of a check are noted in cfg->errors, and reading goes on.
 * After any other error false, with error set to "NAME:LINE: section.key: what
 * is wrong". Changes text, which has a byte of room after it.
 */
bool config_parse(struct config *cfg, const char *name, char *text, size_t len,
    char *error, size_t size);

/*
 * One override, "section.key=value" (braces around it are dropped, as Postfix
 * does). Secrets are refused: a command line is public. False with
 * error set.
 */
bool config_override(
    struct config *cfg, const char *arg, char *error, size_t size);

/*
 * Reads file, or the default place if file is NULL; there, a file that does
 * not exist means the defaults. Then the overrides collected in
 * cfg->overrides. Errors in the sections of checks are noted, as by
 * config_parse(); after any other error false, with error set.
 */
bool config_load(
    struct config *cfg, const char *file, char *error, size_t size);

/*
 * The first error in any of these sections, names separated by spaces, or
 * CONFIG_ANY; NULL if there is none. What depends on a section in error must
 * not act: its options may have unwanted defaults.
 */
#define CONFIG_ANY "*"
const char *config_error(const struct config *cfg, const char *sections);

/* True if filter.checks names this check. */
bool config_makes(const struct config *cfg, const char *check);

/*
 * The text of "section.key" if it is certain: NULL if it is not set, or if its
 * section is in error and no good line says what it is.
 */
const char *config_certain(const struct config *cfg, const char *name);

/* The effective value of a row as text that can be parsed again. */
const char *config_get(const struct config *cfg, int row);

/* True when that value must not be shown. */
bool config_hidden(const struct config *cfg, int row);

/* The row of "section.key", -1 if there is none. */
int config_find(const char *name);

/*
 * The message about a name that is not an option: what, and which one was
 * probably meant. Valid until the next call.
 */
const char *config_unknown(const char *name, const char *what);

/*
 * Calls fn for everything that is allowed but probably not meant: secrets
 * that others can read, a key sent over plain HTTP.
 */
void config_warnings(const struct config *cfg,
    void (*fn)(void *arg, const char *text), void *arg);

#endif
