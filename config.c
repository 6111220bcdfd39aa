/*
 * config - the configuration: one table of options, one reader.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "action.h"
#include "address.h"
#include "dnszone.h"
#include "file.h"
#include "log.h"
#include "rules.h"
#include "store_url.h"
#include "text.h"

#define DAY 86400L
#define URL_MAX 1024

static const char *const on_error_choices[] = { "dunno", "defer", NULL };
static const char *const store_choices[] = { "sqlite", "postgresql", "postgres",
	"mysql", "mariadb", "redis", "rediss", NULL };
static const char *const level_choices[] = { "error", "warning", "info",
	"debug", NULL };

#define AT(field) offsetof(struct config, field)

/* Name, type, field, default, min, max, choices, help: see config.h. */
const struct config_option config_options[] = {
	{ "filter", "checks", CONFIG_WORDS, AT(filter.checks),
	    "accounts authbl geocount whitelist blacklist reputation", 0, 0,
	    NULL,
	    "the checks to make, in this order" },
	{ "filter", "deadline", CONFIG_DURATION, AT(filter.deadline), "10s", 1,
	    90, NULL, "longest waiting for one request" },
	{ "filter", "dry_run", CONFIG_BOOL, AT(filter.dry_run), "no", 0, 0,
	    NULL, "log what would be done, answer DUNNO" },
	{ "filter", "on_error", CONFIG_CHOICE, AT(filter.on_error), "dunno", 0,
	    0, on_error_choices, "answer when a check could not be made" },
	{ "filter", "abictl", CONFIG_PATH, AT(filter.abictl), "", 0, 0, NULL,
	    "abictl, if not beside abichecker" },

	{ "log", "target", CONFIG_TARGET, AT(log.target), "syslog", 0, 0, NULL,
	    "syslog, none, stderr or a file" },
	{ "log", "level", CONFIG_CHOICE, AT(log.level), "info", 0, 0,
	    level_choices, "error, warning, info or debug" },

	{ "whitelist", "file", CONFIG_PATH, AT(whitelist.file),
	    SYSCONFDIR "/abichecker/whitelist.txt", 0, 0, NULL,
	    "hosts, domains, addresses and blocks that are exempt" },

	{ "reputation", "token", CONFIG_SECRET, AT(reputation.token), "", 0, 0,
	    NULL, "AbuseIPDB key" },
	{ "reputation", "token_file", CONFIG_PATH, AT(reputation.token_file),
	    "", 0, 0, NULL, "file with the AbuseIPDB key" },
	{ "reputation", "url", CONFIG_URL, AT(reputation.url),
	    "https://api.abuseipdb.com/api/v2", 0, 0, NULL,
	    "base of the AbuseIPDB API" },
	{ "reputation", "proxy", CONFIG_PROXY, AT(reputation.proxy), "", 0, 0,
	    NULL, "proxy for the API" },
	{ "reputation", "ca_file", CONFIG_PATH, AT(reputation.ca_file), "", 0,
	    0, NULL, "certificate authorities to trust instead" },
	{ "reputation", "score", CONFIG_NUMBER, AT(reputation.score), "70", 1,
	    100, NULL, "act at this score or above" },
	{ "reputation", "min_reporters", CONFIG_NUMBER,
	    AT(reputation.min_reporters), "0", 0, 1000000, NULL,
	    "and only if so many distinct users reported it" },
	{ "reputation", "ipv6_prefix", CONFIG_NUMBER,
	    AT(reputation.ipv6_prefix), "64", 32, 128, NULL,
	    "IPv6 block that shares a low score" },
	{ "reputation", "max_age", CONFIG_DURATION, AT(reputation.max_age),
	    "30d", DAY, 365 * DAY, NULL, "age of the reports that count" },
	{ "reputation", "action", CONFIG_ACTION, AT(reputation.action),
	    "521 5.7.1 Bad host reputation.", 0, 0, NULL,
	    "answer to a bad client" },
	{ "reputation", "cache_dir", CONFIG_PATH, AT(reputation.cache_dir),
	    LOCALSTATEDIR "/cache/abichecker", 0, 0, NULL,
	    "one file per address, and the shared markers" },
	{ "reputation", "cache_ttl", CONFIG_DURATION, AT(reputation.cache_ttl),
	    "24h", 60, 365 * DAY, NULL, "a score is fresh so long" },
	{ "reputation", "stale_ttl", CONFIG_DURATION, AT(reputation.stale_ttl),
	    "7d", 0, 365 * DAY, NULL,
	    "and used so long when the API cannot answer" },
	{ "reputation", "timeout", CONFIG_DURATION, AT(reputation.timeout),
	    "5s", 1, 300, NULL, "longest API call" },
	{ "reputation", "daily_limit", CONFIG_NUMBER,
	    AT(reputation.daily_limit), "1000", 0, 10000000, NULL,
	    "API calls a day, 0 = no own limit" },
	{ "reputation", "authenticated", CONFIG_BOOL,
	    AT(reputation.authenticated), "no", 0, 0, NULL,
	    "judge authenticated clients too" },

	{ "geocount", "database", CONFIG_PATH, AT(geocount.database),
	    LOCALSTATEDIR "/lib/GeoIP/GeoLite2-Country.mmdb", 0, 0, NULL,
	    "countries of addresses, any MMDB" },
	{ "geocount", "countries", CONFIG_NUMBER, AT(geocount.countries), "5",
	    0, 676, NULL, "act on more countries than this, 0 = off" },
	{ "geocount", "addresses", CONFIG_NUMBER, AT(geocount.addresses), "20",
	    0, 1000000, NULL, "act on more addresses than this, 0 = off" },
	{ "geocount", "window", CONFIG_DURATION, AT(geocount.window), "24h", 60,
	    365 * DAY, NULL, "logins of this time are counted" },
	{ "geocount", "speed", CONFIG_NUMBER, AT(geocount.speed), "0", 0,
	    1000000, NULL, "act on faster journeys, km/h, 0 = off" },
	{ "geocount", "ipv6_prefix", CONFIG_NUMBER, AT(geocount.ipv6_prefix),
	    "64", 32, 128, NULL, "IPv6 block that is one address" },
	{ "geocount", "whitelist", CONFIG_BLOCKS, AT(geocount.whitelist), "", 0,
	    0, NULL, "blocks whose logins do not count" },
	{ "geocount", "whitelist_file", CONFIG_PATH,
	    AT(geocount.whitelist_file), "", 0, 0, NULL,
	    "file of such blocks" },
	{ "geocount", "users_file", CONFIG_PATH, AT(geocount.users_file), "", 0,
	    0, NULL, "file of limits of single users and domains" },
	{ "geocount", "action", CONFIG_ACTION, AT(geocount.action),
	    "554 5.7.1 Your mail account ($sasl_username) was compromised. "
	    "Please change your password immediately after next login.",
	    0, 0, NULL, "answer over a limit" },
	{ "geocount", "address_action", CONFIG_ACTION,
	    AT(geocount.address_action), "", 0, 0, NULL,
	    "over the limit of addresses, if different" },
	{ "geocount", "rate", CONFIG_RATE, AT(geocount.rate), "1/1h", 0, 0,
	    NULL, "messages that pass over a limit" },
	{ "geocount", "mark", CONFIG_BOOL, AT(geocount.mark), "no", 0, 0, NULL,
	    "put the account on the list of compromised ones" },

	{ "authbl", "apikey", CONFIG_SECRET, AT(authbl.apikey), "", 0, 63, NULL,
	    "key that $apikey stands for in a zone" },
	{ "authbl", "zones", CONFIG_ZONES, AT(authbl.zones),
	    "$apikey.authbl.mail.abusix.zone=127.0.0.4", 0, 0, NULL,
	    "where client addresses are looked up" },
	{ "authbl", "recipient_zones", CONFIG_ZONES, AT(authbl.recipient_zones),
	    "$apikey.authbl-rcpt.mail.abusix.zone=127.0.0.[2..254]", 0, 0, NULL,
	    "where recipients are looked up" },
	{ "authbl", "resolver", CONFIG_SERVER, AT(authbl.resolver), "", 0, 0,
	    NULL, "DNS server, if not the system's" },
	{ "authbl", "timeout", CONFIG_DURATION, AT(authbl.timeout), "3s", 1, 60,
	    NULL, "longest waiting for the zones" },

	{ "accounts", "action", CONFIG_ACTION, AT(accounts.action), "log", 0, 0,
	    NULL, "answer to a compromised account" },
	{ "accounts", "ttl", CONFIG_DURATION, AT(accounts.ttl), "0", 0,
	    3650 * DAY, NULL, "it stays on the list so long, 0 = for ever" },
	{ "accounts", "grace", CONFIG_DURATION, AT(accounts.grace), "1d", 0,
	    365 * DAY, NULL,
	    "after a release its old address does not list it again" },
	{ "accounts", "command", CONFIG_PATH, AT(accounts.command), "", 0, 0,
	    NULL, "program to run once for each" },
	{ "accounts", "command_timeout", CONFIG_DURATION,
	    AT(accounts.command_timeout), "60s", 1, 3600, NULL,
	    "longest time for it" },

	{ "blacklist", "logs", CONFIG_LOGS, AT(blacklist.logs), "auto", 0, 0,
	    NULL, "the mail logs: auto, journal, or files" },
	{ "blacklist", "rules", CONFIG_RULES, AT(blacklist.rules),
	    "unknown-recipient=5/1d auth-failure=10/1d relay-denied=3/1d "
	    "protocol-abuse=5/1d pregreet=3/1d", 0, 0, NULL,
	    "how many offences of a kind in which time" },
	{ "blacklist", "ban", CONFIG_DURATION, AT(blacklist.ban), "7d", 60,
	    365 * DAY, NULL, "listed so long after the last offence" },
	{ "blacklist", "ban_max", CONFIG_DURATION, AT(blacklist.ban_max), "30d",
	    60, 3650 * DAY, NULL, "longest ban of who returns" },
	{ "blacklist", "ipv4_prefix", CONFIG_NUMBER, AT(blacklist.ipv4_prefix),
	    "32", 16, 32, NULL, "IPv4 block that is counted and listed" },
	{ "blacklist", "ipv6_prefix", CONFIG_NUMBER, AT(blacklist.ipv6_prefix),
	    "64", 32, 128, NULL, "IPv6 block that is counted and listed" },
	{ "blacklist", "snapshot", CONFIG_PATH, AT(blacklist.snapshot),
	    LOCALSTATEDIR "/lib/abichecker/blacklist.cdb", 0, 0, NULL,
	    "file in which the filter looks addresses up" },
	{ "blacklist", "action", CONFIG_ACTION, AT(blacklist.action), "REJECT",
	    0, 0, NULL, "answer to an offender" },
	{ "blacklist", "authenticated", CONFIG_BOOL,
	    AT(blacklist.authenticated), "no", 0, 0, NULL,
	    "judge authenticated clients too" },
	{ "blacklist", "map", CONFIG_MAP, AT(blacklist.map), "", 0, 0, NULL,
	    "access map of Postfix to keep as well" },
	{ "blacklist", "map_max", CONFIG_NUMBER, AT(blacklist.map_max), "10000",
	    1, 1000000, NULL, "lines of a cidr map" },
	{ "blacklist", "reload", CONFIG_DURATION, AT(blacklist.reload), "0", 0,
	    DAY, NULL, "postfix reload for a cidr map, so often at most" },

	{ "store", "url", CONFIG_STORE, AT(store.url),
	    "sqlite:" LOCALSTATEDIR "/lib/abichecker/abichecker.db", 0, 0,
	    store_choices, "where logins and accounts are remembered" },
	{ "store", "password_file", CONFIG_PATH, AT(store.password_file), "", 0,
	    0, NULL, "file with the password for the store's server" },
	{ "store", "prefix", CONFIG_TEXT, AT(store.prefix), "abichecker:", 0, 0,
	    NULL, "what the keys in Redis begin with" },
	{ "store", "timeout", CONFIG_DURATION, AT(store.timeout), "1s", 1, 60,
	    NULL, "longest waiting for the store" },
	{ "store", "idle", CONFIG_DURATION, AT(store.idle), "60s", 1, 86400,
	    NULL, "an unused connection to a server is kept so long" },
};

const int config_option_count =
    (int)(sizeof(config_options) / sizeof(config_options[0]));

_Static_assert(sizeof(config_options) / sizeof(config_options[0]) <=
	CONFIG_OPTIONS_MAX, "CONFIG_OPTIONS_MAX is too small");

static void *
field(struct config *cfg, const struct config_option *o)
{
	return (char *)cfg + o->offset;
}

/* --- values: each function returns NULL or what is wrong with v --- */

static const char *
words_check(const char *allowed, const char *v)
{
	static char wrong[128];
	char seen[256] = " ", word[64], padded[66], known[256];
	size_t n;

	snprintf(known, sizeof(known), " %s ", allowed);
	for (v += strspn(v, " \t,"); *v != '\0'; v += strspn(v, " \t,")) {
		n = strcspn(v, " \t,");
		snprintf(word, sizeof(word), "%.*s", n > 60 ? 60 : (int)n, v);
		snprintf(padded, sizeof(padded), " %s ", word);
		if (strstr(known, padded) == NULL) {
			snprintf(wrong, sizeof(wrong), "unknown word `%s'",
			    word);
			return wrong;
		}
		if (strstr(seen, padded) != NULL)
			return "a word is there twice";
		strncat(seen, padded + 1, sizeof(seen) - strlen(seen) - 1);
		v += n;
	}
	return NULL;
}

/* scheme://[user[:password]@]host[:port][/path], nothing behind that. */
static const char *
url_check(const char *v, const char *schemes)
{
	char scheme[16];
	const char *host = strstr(v, "://"), *s;

	for (s = v; *s != '\0'; s++)
		if (*s <= 0x20 || *s >= 0x7f || strchr("\"'<>\\^`{|}", *s))
			return "a URL cannot have this character";
	if (host == NULL || host - v > 10)
		return "not a URL";
	if (strlen(v) > URL_MAX)
		return "the URL is too long";
	snprintf(scheme, sizeof(scheme), " %.*s ", (int)(host - v), v);
	if (strstr(schemes, scheme) == NULL)
		return "this kind of URL is not supported";
	host += 3;
	if (*host == '\0' || *host == '/' || *host == ':')
		return "the URL has no host";
	if (strpbrk(host, "?#") != NULL)
		return "a query or fragment has no place here";
	return NULL;
}

static const char *
blocks_check(const char *v)
{
	struct address_block block;
	char word[64];
	size_t n;

	for (v += strspn(v, " \t,"); *v != '\0'; v += strspn(v, " \t,")) {
		n = strcspn(v, " \t,");
		if (n >= sizeof(word))
			return "not an address";
		memcpy(word, v, n);
		word[n] = '\0';
		if (address_block_parse(word, &block) != NULL)
			return address_block_parse(word, &block);
		v += n;
	}
	return NULL;
}

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT */
static const char *
server_check(const char *v)
{
	char host[ADDRESS_TEXT_MAX];
	const char *end = v + strlen(v), *port = end;
	struct address a;
	long number;

	if (*v == '[') {
		end = strchr(++v, ']');
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			return "not an address";
		port = end + 1;
	} else if (strchr(v, ':') == strrchr(v, ':') && strchr(v, ':') != NULL)
		end = port = strchr(v, ':');
	snprintf(host, sizeof(host), "%.*s", (int)(end - v), v);
	if (!address_parse(host, &a))
		return "not an address";
	return *port == '\0' || text_number(port + 1, 1, 65535, &number) ?
	    NULL : "the port must be a number";
}

/* `auto', or `journal' and absolute paths. */
static const char *
logs_check(const char *v)
{
	size_t n;

	if (strcmp(v, "auto") == 0)
		return NULL;
	for (v += strspn(v, " \t,"); *v != '\0'; v += strspn(v, " \t,")) {
		n = strcspn(v, " \t,");
		if (*v != '/' && !(n == 7 && strncmp(v, "journal", n) == 0))
			return "must be auto, or journal and absolute paths";
		v += n;
	}
	return NULL;
}

static const char *
map_check(const char *v)
{
	static const char *const types[] = { "hash:/", "btree:/", "lmdb:/",
		"cdb:/", "cidr:/" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(v, types[i], strlen(types[i])) == 0)
			return NULL;
	return "must be hash:, btree:, lmdb:, cdb: or cidr: and an absolute "
	       "path";
}

static const char *
store_check(const char *const *schemes, const char *v)
{
	size_t n = strcspn(v, ":"), i;
	struct store_url u;

	for (i = 0; schemes[i] != NULL; i++)
		if (v[n] == ':' && strlen(schemes[i]) == n &&
		    memcmp(schemes[i], v, n) == 0)
			break;
	if (schemes[i] == NULL)
		return "there is no such kind of store";
	if (i > 0) /* a server */
		return store_url_parse(v, &u);
	return v[n + 1] == '/' ? NULL :
				 "an absolute path must follow the colon";
}

static const char *
choice_parse(const char *const *choices, const char *v, int *out)
{
	int i;

	for (i = 0; choices[i] != NULL; i++)
		if (strcasecmp(choices[i], v) == 0) {
			*out = i;
			return NULL;
		}
	return "not one of the possible values";
}

static const char *
bool_parse(const char *v, bool *out)
{
	*out = strcasecmp(v, "yes") == 0;
	return *out || strcasecmp(v, "no") == 0 ? NULL : "must be yes or no";
}

/* What is wrong with the value of an option whose field is its text. */
static const char *
text_check(const struct config_option *o, const char *v)
{
	struct rules rules;
	long limit, period;
	int count;

	switch (o->type) {
	case CONFIG_PATH:
		return v[0] == '/' ? NULL : "must be an absolute path";
	case CONFIG_TARGET:
		return v[0] == '/' || strcmp(v, "syslog") == 0 ||
			strcmp(v, "none") == 0 || strcmp(v, "stderr") == 0 ?
		    NULL : "must be syslog, none, stderr or an absolute path";
	case CONFIG_URL:
		return url_check(v, " http https ");
	case CONFIG_PROXY:
		return url_check(v,
		    " http https socks4 socks4a socks5 socks5h ");
	case CONFIG_ACTION:
		return action_check(v);
	case CONFIG_WORDS:
		return words_check(o->fallback, v);
	case CONFIG_BLOCKS:
		return blocks_check(v);
	case CONFIG_ZONES:
		return dnszone_parse(v, NULL, NULL, &count);
	case CONFIG_SERVER:
		return server_check(v);
	case CONFIG_LOGS:
		return logs_check(v);
	case CONFIG_RULES:
		return rules_parse(v, &rules);
	case CONFIG_MAP:
		return map_check(v);
	case CONFIG_STORE:
		return store_check(o->choices, v);
	case CONFIG_RATE:
		return text_rate(v, &limit, &period) ? NULL :
		    "must be N/PERIOD, as in 1/1h, or 0";
	case CONFIG_SECRET:
		if (o->max > 0 && (strlen(v) > (size_t)o->max ||
			strpbrk(v, "_.~+/=") != NULL))
			return "this key is a label of a DNS name: letters, "
			       "digits and -, at most 63";
		return v[strspn(v, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_.~+/=")] == '\0' ?
		    NULL : "a key has letters and digits only";
	default:
		return NULL;
	}
}

/* Sets the field of a row from text that stays valid. */
static const char *
option_set(struct config *cfg, const struct config_option *o, const char *v)
{
	static char wrong[96];
	bool good;

	switch (o->type) {
	case CONFIG_CHOICE:
		return choice_parse(o->choices, v, field(cfg, o));
	case CONFIG_BOOL:
		return bool_parse(v, field(cfg, o));
	case CONFIG_NUMBER:
		good = text_number(v, o->min, o->max, field(cfg, o));
		break;
	case CONFIG_DURATION:
		good = text_duration(v, o->min, o->max, field(cfg, o));
		break;
	default:
		*(const char **)field(cfg, o) = *v != '\0' ? v : NULL;
		return *v != '\0' ? text_check(o, v) : NULL;
	}
	if (good)
		return NULL;
	snprintf(wrong, sizeof(wrong), "must be a %s from %ld to %ld%s",
	    o->type == CONFIG_NUMBER ? "number" : "time", o->min, o->max,
	    o->type == CONFIG_NUMBER ? "" : " seconds (units: s m h d w)");
	return wrong;
}

/* Can an option of this type be without a value? Others have their default. */
static bool
may_be_unset(enum config_type type)
{
	return type == CONFIG_TEXT || type == CONFIG_SECRET ||
	    type == CONFIG_PATH || type == CONFIG_PROXY ||
	    type == CONFIG_BLOCKS || type == CONFIG_ZONES ||
	    type == CONFIG_SERVER || type == CONFIG_MAP ||
	    type == CONFIG_RULES;
}

/* Sets a row from text that somebody wrote: an empty one means not set. */
static const char *
option_assign(struct config *cfg, int row, const char *v)
{
	const struct config_option *o = &config_options[row];
	const char *wrong;
	char *copy;

	if (*v == '\0' && o->type == CONFIG_ACTION && *o->fallback != '\0')
		return action_check(v);
	if (*v == '\0' && !may_be_unset(o->type))
		v = o->fallback;
	copy = strdup(v);
	if (copy == NULL)
		return "out of memory";
	wrong = option_set(cfg, o, copy);
	if (wrong != NULL) {
		free(copy);
		option_set(cfg, o,
		    cfg->text[row] != NULL ? cfg->text[row] : o->fallback);
		return wrong;
	}
	free(cfg->text[row]);
	cfg->text[row] = copy;
	return NULL;
}

/* --- the whole configuration --- */

void
config_init(struct config *cfg)
{
	int i;

	memset(cfg, 0, sizeof(*cfg));
	for (i = 0; i < config_option_count; i++)
		option_set(cfg, &config_options[i], config_options[i].fallback);
}

void
config_free(struct config *cfg)
{
	int i;

	for (i = 0; i < config_option_count; i++)
		free(cfg->text[i]);
	memset(cfg, 0, sizeof(*cfg));
}

int
config_find(const char *name)
{
	const struct config_option *o;
	size_t n = strcspn(name, ".");
	int i;

	for (i = 0; i < config_option_count; i++) {
		o = &config_options[i];
		if (name[n] == '.' && strlen(o->section) == n &&
		    memcmp(o->section, name, n) == 0 &&
		    strcmp(o->key, name + n + 1) == 0)
			return i;
	}
	return -1;
}

static bool
section_known(const char *section)
{
	int i;

	for (i = 0; i < config_option_count; i++)
		if (strcmp(config_options[i].section, section) == 0)
			return true;
	return false;
}

/* "[name]" to name, in place. */
static const char *
section_parse(char *line, char *section, size_t size)
{
	size_t n = strlen(line);

	if (line[n - 1] != ']')
		return "a section line ends in `]'";
	line[n - 1] = '\0';
	snprintf(section, size, "%s", text_trim(line + 1));
	return section_known(section) ? NULL : "unknown section";
}

/* "key = value" in a section. name is set to section.key for messages. */
static const char *
assignment_parse(struct config *cfg, char *line, const char *section,
    int number, struct text *name)
{
	static char wrong[64];
	char *value = strchr(line, '=');
	int row;

	if (value == NULL)
		return "`key = value' expected";
	*value++ = '\0';
	text_addf(name, "%s%s%s", section, *section != '\0' ? "." : "",
	    text_trim(line));
	if (*section == '\0')
		return "key before the first [section]";
	row = config_find(name->buf);
	if (row < 0)
		return "unknown key";
	if (cfg->line[row] != 0) {
		snprintf(wrong, sizeof(wrong), "already set in line %d",
		    cfg->line[row]);
		return wrong;
	}
	cfg->line[row] = number;
	return option_assign(cfg, row, text_trim(value));
}

int
config_parse(struct config *cfg, const char *file, char *text, size_t len,
    char *error, size_t size)
{
	char section[64] = "", name[256], *line;
	const char *wrong = NULL;
	struct text subject;
	bool whole = true;
	size_t used;
	int number = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3; /* a byte order mark */
		len -= 3;
	}
	text_init(&subject, name, sizeof(name));
	while (wrong == NULL && (line = text_line(&text, &whole)) != NULL) {
		number++;
		text_init(&subject, name, sizeof(name));
		if (strlen(line) >= CONFIG_LINE_MAX) {
			wrong = "line is too long";
			break;
		}
		used = (size_t)(text - line);
		len -= used < len ? used : len;
		line = text_trim(line);
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		if (*line == '[') {
			text_addf(&subject, "%.60s", line);
			wrong = section_parse(line, section, sizeof(section));
		} else
			wrong = assignment_parse(
			    cfg, line, section, number, &subject);
	}
	if (wrong == NULL && len > 0) { /* the text went on behind a NUL */
		wrong = "NUL byte";
		name[0] = '\0';
		number += whole;
	}
	if (wrong == NULL)
		return 0;
	snprintf(error, size, "%s:%d: %s%s%s", file, number, name,
	    *name != '\0' ? ": " : "", wrong);
	return -1;
}

int
config_override(struct config *cfg, const char *arg, char *error, size_t size)
{
	char buf[CONFIG_LINE_MAX], *s = buf, *value;
	const char *wrong;
	size_t n;
	int row;

	n = (size_t)snprintf(buf, sizeof(buf), "%s", arg);
	if (n >= sizeof(buf)) {
		snprintf(error, size, "-o: value is too long");
		return -1;
	}
	if (n >= 2 && buf[0] == '{' && buf[n - 1] == '}') {
		buf[n - 1] = '\0';
		s++;
	}
	value = strchr(s, '=');
	if (value != NULL)
		*value++ = '\0';
	s = text_trim(s);
	row = config_find(s);
	if (value == NULL)
		wrong = "`section.key=value' expected";
	else if (row < 0)
		wrong = "unknown option";
	else if (config_options[row].type == CONFIG_SECRET)
		wrong = "a secret has no place on a command line";
	else
		wrong = option_assign(cfg, row, text_trim(value));
	if (wrong == NULL && config_hidden(cfg, row))
		wrong = "a password has no place on a command line";
	if (wrong == NULL)
		return 0;
	snprintf(error, size, "-o: %.100s: %s", s, wrong);
	return -1;
}

int
config_load(struct config *cfg, const char *file, char *error, size_t size)
{
	const char *name = file != NULL ? file : CONFIG_DEFAULT_FILE;
	char *text, ignored[8] = "";
	struct stat st;
	size_t len;
	int i, rc = 0;

	cfg->file = file;
	text = file_slurp(name, CONFIG_FILE_MAX, &len, &st);
	if (text == NULL && (file != NULL || errno != ENOENT)) {
		snprintf(error, size, "%s: %s", name, strerror(errno));
		rc = -1;
	} else if (text != NULL) {
		cfg->file_mode = st.st_mode & 07777;
		rc = config_parse(cfg, name, text, len, error, size);
	}
	free(text);
	/* After an error too: an override may say where to log it. */
	for (i = 0; i < cfg->override_count; i++)
		if (config_override(cfg, cfg->overrides[i],
			rc == 0 ? error : ignored,
			rc == 0 ? size : sizeof(ignored)) != 0)
			rc = -1;
	return rc;
}

const char *
config_get(const struct config *cfg, int row)
{
	return cfg->text[row] != NULL ? cfg->text[row] :
	    config_options[row].fallback;
}

bool
config_hidden(const struct config *cfg, int row)
{
	const char *v = config_get(cfg, row), *host, *at;

	switch (config_options[row].type) {
	case CONFIG_SECRET:
		return *v != '\0';
	case CONFIG_URL:
	case CONFIG_PROXY:
		host = strstr(v, "://");
		at = host != NULL ? strrchr(host, '@') : NULL;
		return at != NULL;
	case CONFIG_ZONES:
		return dnszone_has_key(v);
	case CONFIG_STORE:
		return store_url_secret(v);
	default:
		return false;
	}
}

/* True when url leads to this host: only there is plain HTTP no risk. */
static bool
url_is_loopback(const char *url)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost",
		"[::1]" };
	const char *host = strstr(url, "://") + 3;
	const char *user = memchr(host, '@', strcspn(host, "/"));
	size_t i, n;

	if (user != NULL)
		host = user + 1;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		n = strlen(hosts[i]);
		if (strncasecmp(host, hosts[i], n) == 0 &&
		    (host[n] == '\0' || host[n] == ':' || host[n] == '/'))
			return true;
	}
	return false;
}

void
config_warnings(const struct config *cfg,
    void (*fn)(void *, const char *), void *arg)
{
	char text[512];
	const char *name =
	    cfg->file != NULL ? cfg->file : CONFIG_DEFAULT_FILE;
	const char *v;
	int i;

	if ((cfg->file_mode & S_IWOTH) != 0) {
		snprintf(text, sizeof(text), "%s: everybody can write it",
		    name);
		fn(arg, text);
	}
	for (i = 0; i < config_option_count; i++) {
		v = config_get(cfg, i);
		text[0] = '\0';
		if (config_hidden(cfg, i) && (cfg->file_mode & S_IROTH) != 0)
			snprintf(text, sizeof(text), "%s:%d: %s.%s: "
			    "everybody can read this secret (chmod o-rwx)",
			    name, cfg->line[i], config_options[i].section,
			    config_options[i].key);
		else if (config_options[i].type == CONFIG_URL &&
		    strncasecmp(v, "http:", 5) == 0 && !url_is_loopback(v))
			snprintf(text, sizeof(text),
			    "%s.%s: the key travels unencrypted over http",
			    config_options[i].section, config_options[i].key);
		if (text[0] != '\0')
			fn(arg, text);
	}
	if (cfg->reputation.stale_ttl != 0 &&
	    cfg->reputation.stale_ttl < cfg->reputation.cache_ttl)
		fn(arg, "reputation.stale_ttl: shorter than "
			"reputation.cache_ttl, so it has no effect");
}
