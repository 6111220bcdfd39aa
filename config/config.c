/*
 * config - the configuration: one table of options, one reader.
 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "config/config_values.h"
#include "config/dnszone.h"
#include "base/file.h"
#include "config/store_url.h"
#include "base/suggest.h"
#include "base/text.h"

#define DAY 86400L

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
	    "unknown-recipient=5/1d unknown-bounce=50/1d auth-failure=10/1d "
	    "relay-denied=3/1d protocol-abuse=5/1d pregreet=3/1d", 0, 0, NULL,
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
	{ "blacklist", "action", CONFIG_ACTION, AT(blacklist.action),
	    "REJECT Listed for abuse of this server", 0, 0, NULL,
	    "answer to an offender" },
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

void
config_init(struct config *cfg)
{
	int i;

	memset(cfg, 0, sizeof(*cfg));
	for (i = 0; i < config_option_count; i++)
		config_value_set(cfg, &config_options[i],
		    config_options[i].fallback);
}

void
config_free(struct config *cfg)
{
	int i;

	for (i = 0; i < config_option_count; i++)
		free(cfg->text[i]);
	for (i = 0; i < cfg->error_count; i++)
		free(cfg->errors[i].text);
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

const char *
config_unknown(const char *name, const char *what)
{
	static char wrong[192];
	const char *dot = strchr(name, '.');
	const struct config_option *o;
	struct suggest s;
	char full[SUGGEST_WORD_MAX];

	suggest_init(&s, name);
	for (o = config_options; o < config_options + config_option_count;
	     o++) {
		snprintf(full, sizeof(full), "%s.%s", o->section, o->key);
		/* The right key in a wrong section comes before others. */
		if (dot != NULL && strcmp(dot + 1, o->key) == 0)
			suggest_prefer(&s, full);
		else
			suggest_try(&s, full);
	}
	return suggest_say(&s, what, wrong, sizeof(wrong));
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
		wrong = config_unknown(s, "unknown option");
	else if (config_options[row].type == CONFIG_SECRET)
		wrong = "a secret has no place on a command line";
	else
		wrong = config_value_assign(cfg, row, text_trim(value));
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
config_error(const struct config *cfg, const char *sections)
{
	int i;

	for (i = 0; i < cfg->error_count; i++)
		if (strcmp(sections, CONFIG_ANY) == 0 ||
		    text_listed(sections, cfg->errors[i].section,
			strlen(cfg->errors[i].section)))
			return cfg->errors[i].text;
	return NULL;
}

bool
config_makes(const struct config *cfg, const char *check)
{
	return text_listed(cfg->filter.checks, check, strlen(check));
}

const char *
config_certain(const struct config *cfg, const char *name)
{
	int row = config_find(name);
	const char *v = config_get(cfg, row);

	if (cfg->text[row] == NULL &&
	    config_error(cfg, config_options[row].section) != NULL)
		return NULL;
	return *v != '\0' ? v : NULL;
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
