/*
 * config - the configuration in force: its file, overrides, what is wrong.
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
#include "base/address.h"
#include "base/file.h"
#include "config/store_url.h"
#include "base/text.h"

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

bool
config_override(struct config *cfg, const char *arg, char *error, size_t size)
{
	char buf[CONFIG_LINE_MAX], *s = buf, *value;
	const char *wrong;
	size_t n;
	int row;

	n = (size_t)snprintf(buf, sizeof(buf), "%s", arg);
	if (n >= sizeof(buf)) {
		snprintf(error, size, "-o: value is too long");
		return false;
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
		wrong = "expected `section.key=value'";
	else if (row < 0)
		wrong = config_unknown(s, "unknown option");
	else if (config_options[row].type == CONFIG_SECRET)
		wrong = "secrets are not allowed on the command line";
	else
		wrong = config_value_assign(cfg, row, text_trim(value));
	if (wrong == NULL && config_hidden(cfg, row))
		wrong = "secrets are not allowed on the command line";
	if (wrong == NULL)
		return true;
	snprintf(error, size, "-o: %.100s: %s", s, wrong);
	return false;
}

bool
config_load(struct config *cfg, const char *file, char *error, size_t size)
{
	const char *name = file != NULL ? file : CONFIG_DEFAULT_FILE;
	char *text, ignored[8] = "";
	struct stat st;
	size_t len;
	bool good = true;
	int i;

	cfg->file = file;
	text = file_slurp(name, CONFIG_FILE_MAX, &len, &st);
	if (text == NULL && (file != NULL || errno != ENOENT)) {
		snprintf(error, size, "%s: %s", name, strerror(errno));
		good = false;
	} else if (text != NULL) {
		cfg->file_mode = st.st_mode & 07777;
		good = config_parse(cfg, name, text, len, error, size);
	}
	free(text);
	/* After an error too: an override may say where to log it. */
	for (i = 0; i < cfg->override_count; i++)
		if (!config_override(cfg, cfg->overrides[i],
			good ? error : ignored,
			good ? size : sizeof(ignored)))
			good = false;
	return good;
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
	const char *host = strstr(url, "://") + 3;
	const char *user = memchr(host, '@', strcspn(host, "/"));

	if (user != NULL)
		host = user + 1;
	return address_loopback_host(host, host[0] == '[' ?
	    strcspn(host, "/]") + 1 : strcspn(host, ":/"));
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
		snprintf(text, sizeof(text), "%s: world-writable",
		    name);
		fn(arg, text);
	}
	for (i = 0; i < config_option_count; i++) {
		v = config_get(cfg, i);
		text[0] = '\0';
		if (config_hidden(cfg, i) && (cfg->file_mode & S_IROTH) != 0)
			snprintf(text, sizeof(text), "%s:%d: %s.%s: this "
			    "secret is world-readable (chmod o-rwx)",
			    name, cfg->line[i], config_options[i].section,
			    config_options[i].key);
		else if (config_options[i].type == CONFIG_URL &&
		    strncasecmp(v, "http:", 5) == 0 && !url_is_loopback(v))
			snprintf(text, sizeof(text),
			    "%s.%s: %s over http", config_options[i].section,
			    config_options[i].key,
			    strcmp(config_options[i].section, "reputation") ==
			    0 ? "the API key is sent unencrypted" :
				"anybody on the way can change what comes");
		if (text[0] != '\0')
			fn(arg, text);
	}
	if (cfg->reputation.stale_ttl != 0 &&
	    cfg->reputation.stale_ttl < cfg->reputation.cache_ttl)
		fn(arg, "reputation.stale_ttl: shorter than "
			"reputation.cache_ttl, so it has no effect");
}
