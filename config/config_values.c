/*
 * config_values - what the types of options take as a value.
 */
#include "config/config_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/action.h"
#include "base/address.h"
#include "config/dnszone.h"
#include "config/rules.h"
#include "config/store_url.h"
#include "base/suggest.h"
#include "base/text.h"

#define URL_MAX 1024

static void *
field(struct config *cfg, const struct config_option *o)
{
	return (char *)cfg + o->offset;
}

#define PLACEHOLDER                                                            \
	"replace YOUR_KEY with the key that you were given"

/* As it is in our documentation, or half changed. */
static bool
is_placeholder(const char *v)
{
	return strcasestr(v, "YOUR_KEY") != NULL ||
	    strcasestr(v, "YOUR-KEY") != NULL;
}

/* --- each function returns NULL or what is wrong with v --- */

/* What is wrong with a word, and which of the allowed ones was meant. */
static const char *
word_unknown(const char *allowed, const char *word)
{
	static char wrong[192];
	char what[96], candidate[64];
	struct suggest s;
	size_t n;

	snprintf(what, sizeof(what), "unknown word `%s'", word);
	suggest_init(&s, word);
	for (; *allowed != '\0'; allowed += n + (allowed[n] == ' ')) {
		n = strcspn(allowed, " ");
		snprintf(candidate, sizeof(candidate), "%.*s", (int)n, allowed);
		suggest_try(&s, candidate);
	}
	return suggest_say(&s, what, wrong, sizeof(wrong));
}

static const char *
words_check(const char *allowed, const char *v)
{
	char seen[256] = " ", word[64], padded[66], known[256];
	size_t n;

	snprintf(known, sizeof(known), " %s ", allowed);
	for (v += strspn(v, " \t,"); *v != '\0'; v += strspn(v, " \t,")) {
		n = strcspn(v, " \t,");
		snprintf(word, sizeof(word), "%.*s", n > 60 ? 60 : (int)n, v);
		snprintf(padded, sizeof(padded), " %s ", word);
		if (strstr(known, padded) == NULL)
			return word_unknown(allowed, word);
		if (strstr(seen, padded) != NULL)
			return "duplicate word";
		strncat(seen, padded + 1, sizeof(seen) - strlen(seen) - 1);
		v += n;
	}
	return NULL;
}

/* scheme://[user[:password]@]host[:port][/path], nothing after that. */
static const char *
url_check(const char *v, const char *schemes)
{
	char scheme[16];
	const char *host = strstr(v, "://"), *s;

	for (s = v; *s != '\0'; s++)
		if (*s <= 0x20 || *s >= 0x7f || strchr("\"'<>\\^`{|}", *s))
			return "character not allowed in a URL";
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
		return "a query or fragment is not allowed here";
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
	static const char *const types[] = { "/", "hash:/", "btree:/",
		"lmdb:/", "cdb:/", "cidr:/" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(v, types[i], strlen(types[i])) == 0)
			return NULL;
	return "must be an absolute path, or that after hash:, btree:, lmdb:, "
	       "cdb: or cidr:";
}

/* Stores that this program is built without. */
static const char *const stores_absent[] = {
#ifndef WITH_PGSQL
	"postgresql", "postgres",
#endif
#ifndef WITH_MYSQL
	"mysql", "mariadb",
#endif
#ifndef WITH_REDIS
	"redis", "rediss",
#endif
	NULL
};

/* Which of the schemes a URL has; -1 = none. */
static int
scheme_of(const char *v, const char *const *schemes)
{
	size_t n = strcspn(v, ":");
	int i;

	for (i = 0; schemes[i] != NULL; i++)
		if (v[n] == ':' && strlen(schemes[i]) == n &&
		    memcmp(schemes[i], v, n) == 0)
			return i;
	return -1;
}

static const char *
store_check(const char *const *schemes, const char *v)
{
	int i = scheme_of(v, schemes);
	struct store_url u;

	if (i < 0)
		return "unknown kind of store";
	if (scheme_of(v, stores_absent) >= 0)
		return "this abichecker is built without that kind of store; "
		       "see docs/stores.md";
	if (i > 0) /* a server */
		return store_url_parse(v, &u);
	return v[strcspn(v, ":") + 1] == '/' ?
		   NULL :
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
	case CONFIG_DATABASE:
		return v[0] == '/' || strcmp(v, "auto") == 0 ? NULL :
		    "must be auto or an absolute path";
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
		return is_placeholder(v) ? PLACEHOLDER :
		    dnszone_parse(v, NULL, NULL, &count);
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
		if (is_placeholder(v))
			return PLACEHOLDER;
		if (o->max > 0 && (strlen(v) > (size_t)o->max ||
			strpbrk(v, "_.~+/=") != NULL))
			return "this key becomes a label of a DNS name: "
			       "letters, digits and -, at most 63";
		return v[strspn(v, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_.~+/=")] == '\0' ?
		    NULL : "a key contains only letters and digits";
	default:
		return NULL;
	}
}

const char *
config_value_set(
    struct config *cfg, const struct config_option *o, const char *v)
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
	    type == CONFIG_DATABASE ||
	    type == CONFIG_BLOCKS || type == CONFIG_ZONES ||
	    type == CONFIG_SERVER || type == CONFIG_MAP ||
	    type == CONFIG_RULES;
}

const char *
config_value_assign(struct config *cfg, int row, const char *v)
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
	wrong = config_value_set(cfg, o, copy);
	if (wrong != NULL) {
		free(copy);
		config_value_set(cfg, o,
		    cfg->text[row] != NULL ? cfg->text[row] : o->fallback);
		return wrong;
	}
	free(cfg->text[row]);
	cfg->text[row] = copy;
	return NULL;
}
