/*
 * options - the table of all options.
 */
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "config/config.h"

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
	    90, NULL, "longest time spent on one request" },
	{ "filter", "dry_run", CONFIG_BOOL, AT(filter.dry_run), "no", 0, 0,
	    NULL, "log what would be done, answer DUNNO" },
	{ "filter", "on_error", CONFIG_CHOICE, AT(filter.on_error), "dunno", 0,
	    0, on_error_choices, "answer when a check fails" },
	{ "filter", "abictl", CONFIG_PATH, AT(filter.abictl), "", 0, 0, NULL,
	    "abictl, if not next to abichecker" },

	{ "log", "target", CONFIG_TARGET, AT(log.target), "syslog", 0, 0, NULL,
	    "syslog, none, stderr or a file" },
	{ "log", "level", CONFIG_CHOICE, AT(log.level), "info", 0, 0,
	    level_choices, "error, warning, info or debug" },

	{ "whitelist", "file", CONFIG_PATH, AT(whitelist.file),
	    SYSCONFDIR "/abichecker/whitelist.txt", 0, 0, NULL,
	    "hosts, domains, addresses and blocks that are exempt" },

	{ "reputation", "token", CONFIG_SECRET, AT(reputation.token), "", 0, 0,
	    NULL, "AbuseIPDB API key" },
	{ "reputation", "token_file", CONFIG_PATH, AT(reputation.token_file),
	    "", 0, 0, NULL, "file with the AbuseIPDB API key" },
	{ "reputation", "url", CONFIG_URL, AT(reputation.url),
	    "https://api.abuseipdb.com/api/v2", 0, 0, NULL,
	    "base of the AbuseIPDB API" },
	{ "reputation", "proxy", CONFIG_PROXY, AT(reputation.proxy), "", 0, 0,
	    NULL, "proxy for the API" },
	{ "reputation", "ca_file", CONFIG_PATH, AT(reputation.ca_file), "", 0,
	    0, NULL,
	    "certificate authorities to trust instead of the system's" },
	{ "reputation", "score", CONFIG_NUMBER, AT(reputation.score), "70", 1,
	    100, NULL, "act at this score or above" },
	{ "reputation", "min_reporters", CONFIG_NUMBER,
	    AT(reputation.min_reporters), "0", 0, 1000000, NULL,
	    "and only if at least this many users reported it" },
	{ "reputation", "ipv6_prefix", CONFIG_NUMBER,
	    AT(reputation.ipv6_prefix), "64", 32, 128, NULL,
	    "IPv6 blocks of this prefix length share a low score" },
	{ "reputation", "max_age", CONFIG_DURATION, AT(reputation.max_age),
	    "30d", DAY, 365 * DAY, NULL, "how old reports may be to count" },
	{ "reputation", "action", CONFIG_ACTION, AT(reputation.action),
	    "521 5.7.1 Bad host reputation.", 0, 0, NULL,
	    "answer to a bad client" },
	{ "reputation", "cache_dir", CONFIG_PATH, AT(reputation.cache_dir),
	    LOCALSTATEDIR "/cache/abichecker", 0, 0, NULL,
	    "directory of the score cache" },
	{ "reputation", "cache_ttl", CONFIG_DURATION, AT(reputation.cache_ttl),
	    "24h", 60, 365 * DAY, NULL, "how long a score is fresh" },
	{ "reputation", "stale_ttl", CONFIG_DURATION, AT(reputation.stale_ttl),
	    "7d", 0, 365 * DAY, NULL,
	    "how long it is still used when the API cannot answer" },
	{ "reputation", "timeout", CONFIG_DURATION, AT(reputation.timeout),
	    "5s", 1, 300, NULL, "longest time for an API call" },
	{ "reputation", "daily_limit", CONFIG_NUMBER,
	    AT(reputation.daily_limit), "1000", 0, 10000000, NULL,
	    "API calls per day, 0 = no limit of our own" },
	{ "reputation", "authenticated", CONFIG_BOOL,
	    AT(reputation.authenticated), "no", 0, 0, NULL,
	    "judge authenticated clients too" },

	{ "geocount", "database", CONFIG_DATABASE, AT(geocount.database),
	    "auto", 0, 0, NULL, "country database, any MMDB" },
	{ "geocount", "database_url", CONFIG_URL, AT(geocount.database_url),
	    "https://download.db-ip.com/free", 0, 0, NULL,
	    "where `abictl geoip update` finds DB-IP Lite" },
	{ "geocount", "countries", CONFIG_NUMBER, AT(geocount.countries), "5",
	    0, 676, NULL, "act on more countries than this, 0 = off" },
	{ "geocount", "addresses", CONFIG_NUMBER, AT(geocount.addresses), "20",
	    0, 1000000, NULL, "act on more addresses than this, 0 = off" },
	{ "geocount", "window", CONFIG_DURATION, AT(geocount.window), "24h", 60,
	    365 * DAY, NULL, "how long a login counts" },
	{ "geocount", "speed", CONFIG_NUMBER, AT(geocount.speed), "0", 0,
	    1000000, NULL, "act on journeys faster than this, km/h, 0 = off" },
	{ "geocount", "ipv6_prefix", CONFIG_NUMBER, AT(geocount.ipv6_prefix),
	    "64", 32, 128, NULL,
	    "IPv6 blocks of this prefix length are one address" },
	{ "geocount", "whitelist", CONFIG_BLOCKS, AT(geocount.whitelist), "", 0,
	    0, NULL, "blocks whose logins do not count" },
	{ "geocount", "whitelist_file", CONFIG_PATH,
	    AT(geocount.whitelist_file), "", 0, 0, NULL,
	    "file of such blocks" },
	{ "geocount", "users_file", CONFIG_PATH, AT(geocount.users_file), "", 0,
	    0, NULL, "file of limits for single users and domains" },
	{ "geocount", "action", CONFIG_ACTION, AT(geocount.action),
	    "554 5.7.1 Your mail account ($sasl_username) was compromised. "
	    "Please change your password immediately after next login.",
	    0, 0, NULL, "answer over a limit" },
	{ "geocount", "address_action", CONFIG_ACTION,
	    AT(geocount.address_action), "", 0, 0, NULL,
	    "answer over the address limit, if different" },
	{ "geocount", "rate", CONFIG_RATE, AT(geocount.rate), "1/1h", 0, 0,
	    NULL, "messages allowed over a limit" },
	{ "geocount", "mark", CONFIG_BOOL, AT(geocount.mark), "no", 0, 0, NULL,
	    "list the account as compromised" },

	{ "authbl", "apikey", CONFIG_SECRET, AT(authbl.apikey), "", 0, 63, NULL,
	    "key that replaces $apikey in a zone" },
	{ "authbl", "zones", CONFIG_ZONES, AT(authbl.zones),
	    "$apikey.authbl.mail.abusix.zone=127.0.0.4", 0, 0, NULL,
	    "where client addresses are looked up" },
	{ "authbl", "recipient_zones", CONFIG_ZONES, AT(authbl.recipient_zones),
	    "$apikey.authbl-rcpt.mail.abusix.zone=127.0.0.[2..254]", 0, 0, NULL,
	    "where recipients are looked up" },
	{ "authbl", "resolver", CONFIG_SERVER, AT(authbl.resolver), "", 0, 0,
	    NULL, "DNS server, if not the system's" },
	{ "authbl", "timeout", CONFIG_DURATION, AT(authbl.timeout), "3s", 1, 60,
	    NULL, "longest wait for the zones" },

	{ "accounts", "action", CONFIG_ACTION, AT(accounts.action), "log", 0, 0,
	    NULL, "answer to a compromised account" },
	{ "accounts", "ttl", CONFIG_DURATION, AT(accounts.ttl), "0", 0,
	    3650 * DAY, NULL,
	    "how long an account stays on the list, 0 = forever" },
	{ "accounts", "grace", CONFIG_DURATION, AT(accounts.grace), "1d", 0,
	    365 * DAY, NULL,
	    "how long a released account is safe from its old address" },
	{ "accounts", "command", CONFIG_PATH, AT(accounts.command), "", 0, 0,
	    NULL, "program to run once per account found" },
	{ "accounts", "command_timeout", CONFIG_DURATION,
	    AT(accounts.command_timeout), "60s", 1, 3600, NULL,
	    "longest time for this program" },

	{ "blacklist", "logs", CONFIG_LOGS, AT(blacklist.logs), "auto", 0, 0,
	    NULL, "the mail logs: auto, journal, or files" },
	{ "blacklist", "rules", CONFIG_RULES, AT(blacklist.rules),
	    "unknown-recipient=5/1d unknown-bounce=50/1d auth-failure=10/1d "
	    "relay-denied=3/1d protocol-abuse=5/1d pregreet=3/1d", 0, 0, NULL,
	    "how many offences of each kind within what time" },
	{ "blacklist", "ban", CONFIG_DURATION, AT(blacklist.ban), "7d", 60,
	    365 * DAY, NULL,
	    "how long a client is listed after its last offence" },
	{ "blacklist", "ban_max", CONFIG_DURATION, AT(blacklist.ban_max), "30d",
	    60, 3650 * DAY, NULL, "longest ban of a client that returns" },
	{ "blacklist", "ipv4_prefix", CONFIG_NUMBER, AT(blacklist.ipv4_prefix),
	    "32", 16, 32, NULL,
	    "IPv4 blocks of this prefix length are counted and listed" },
	{ "blacklist", "ipv6_prefix", CONFIG_NUMBER, AT(blacklist.ipv6_prefix),
	    "64", 32, 128, NULL,
	    "IPv6 blocks of this prefix length are counted and listed" },
	{ "blacklist", "snapshot", CONFIG_PATH, AT(blacklist.snapshot),
	    LOCALSTATEDIR "/lib/abichecker/blacklist.cdb", 0, 0, NULL,
	    "file in which the filter looks up addresses" },
	{ "blacklist", "action", CONFIG_ACTION, AT(blacklist.action),
	    "REJECT Listed for abuse of this server", 0, 0, NULL,
	    "answer to an offender" },
	{ "blacklist", "authenticated", CONFIG_BOOL,
	    AT(blacklist.authenticated), "no", 0, 0, NULL,
	    "judge authenticated clients too" },
	{ "blacklist", "map", CONFIG_MAP, AT(blacklist.map), "", 0, 0, NULL,
	    "Postfix access map to maintain as well" },
	{ "blacklist", "map_max", CONFIG_NUMBER, AT(blacklist.map_max), "10000",
	    1, 1000000, NULL, "most lines in a cidr map" },
	{ "blacklist", "reload", CONFIG_DURATION, AT(blacklist.reload), "0", 0,
	    DAY, NULL, "least time between postfix reloads for a cidr map" },

	{ "store", "url", CONFIG_STORE, AT(store.url),
	    "sqlite:" LOCALSTATEDIR "/lib/abichecker/abichecker.db", 0, 0,
	    store_choices, "where logins and accounts are stored" },
	{ "store", "password_file", CONFIG_PATH, AT(store.password_file), "", 0,
	    0, NULL, "file with the password of the store's server" },
	{ "store", "prefix", CONFIG_TEXT, AT(store.prefix), "abichecker:", 0, 0,
	    NULL, "prefix of the keys in Redis" },
	{ "store", "timeout", CONFIG_DURATION, AT(store.timeout), "1s", 1, 60,
	    NULL, "longest wait for the store" },
	{ "store", "idle", CONFIG_DURATION, AT(store.idle), "60s", 1, 86400,
	    NULL, "how long an unused connection to a server is kept" },
};

const int config_option_count =
    (int)(sizeof(config_options) / sizeof(config_options[0]));

_Static_assert(sizeof(config_options) / sizeof(config_options[0]) <=
	CONFIG_OPTIONS_MAX, "CONFIG_OPTIONS_MAX is too small");

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
