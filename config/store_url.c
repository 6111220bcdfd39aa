/*
 * store_url - the URL of a store on a server, in parts.
 */
#include "config/store_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"

#define PASSWORD_FILE_MAX 4096

/* The value of a hexadecimal digit, -1 if it is none. */
static int
hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c | 0x20);

	if (c == '\0' || at == NULL || *at == '\0')
		return -1;
	return (int)(at - digits);
}

/* Decodes n bytes. False when they do not fit, or are not well-formed. */
static bool
part_decode(const char *part, size_t n, char *out, size_t size)
{
	size_t i, len = 0;
	int high, low;

	for (i = 0; i < n; i++) {
		if (len + 1 >= size)
			return false;
		if (part[i] != '%') {
			out[len++] = part[i];
			continue;
		}
		if (n - i < 3)
			return false;
		high = hex_value(part[i + 1]);
		low = hex_value(part[i + 2]);
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return false;
		out[len++] = (char)(high * 16 + low);
		i += 2;
	}
	out[len] = '\0';
	return true;
}

/* "user:password" */
static const char *
userinfo_parse(const char *s, size_t n, struct store_url *u)
{
	const char *colon = memchr(s, ':', n);
	size_t user = colon != NULL ? (size_t)(colon - s) : n;

	if (!part_decode(s, user, u->user, sizeof(u->user)))
		return "the user in the URL is too long or badly encoded";
	if (colon != NULL && !part_decode(colon + 1, n - user - 1, u->password,
				 sizeof(u->password)))
		return "the password in the URL is too long or badly encoded";
	return NULL;
}

/* "host:port" or "[address]:port" */
static const char *
host_parse(const char *s, size_t n, struct store_url *u)
{
	const char *end = s + n, *colon = NULL, *close;
	char port[8];

	if (n > 0 && *s == '[') {
		close = memchr(s, ']', n);
		if (close == NULL)
			return "`[' without `]' in the URL";
		if (close + 1 < end && close[1] != ':')
			return "only a port may follow the address in the URL";
		colon = close + 1 < end ? close + 1 : NULL;
		s++;
		n = (size_t)(close - s);
	} else {
		colon = memchr(s, ':', n);
		if (colon != NULL)
			n = (size_t)(colon - s);
	}
	if (!part_decode(s, n, u->host, sizeof(u->host)))
		return "the host in the URL is too long or badly encoded";
	if (colon == NULL)
		return NULL;
	snprintf(port, sizeof(port), "%.*s",
	    end - colon - 1 > 6 ? 6 : (int)(end - colon - 1), colon + 1);
	if (!text_number(port, 1, 65535, &u->port))
		return "the URL's port is not a number from 1 to 65535";
	return NULL;
}

/* "name=value&name=value" */
static const char *
parameters_parse(const char *s, struct store_url *u)
{
	struct store_parameter *p;
	const char *equals;
	size_t n;

	for (; *s != '\0'; s += n + (s[n] == '&')) {
		n = strcspn(s, "&");
		equals = memchr(s, '=', n);
		if (equals == NULL)
			return "a parameter in the URL has no value";
		if (u->parameter_count == STORE_PARAMETERS_MAX)
			return "the URL has too many parameters";
		p = &u->parameters[u->parameter_count];
		if (!part_decode(s, (size_t)(equals - s), p->name,
			sizeof(p->name)) ||
		    !part_decode(equals + 1, n - (size_t)(equals + 1 - s),
			p->value, sizeof(p->value)))
			return "a parameter in the URL is too long or badly "
			       "encoded";
		if (store_url_parameter(u, p->name) != NULL)
			return "duplicate parameter in the URL";
		if (strcmp(p->name, "password") == 0)
			snprintf(u->password, sizeof(u->password), "%s",
			    p->value);
		else
			u->parameter_count++;
	}
	return NULL;
}

/* The last `@' of n bytes. */
static const char *
last_at(const char *s, size_t n)
{
	while (n > 0)
		if (s[--n] == '@')
			return s + n;
	return NULL;
}

const char *
store_url_parse(const char *url, struct store_url *u)
{
	const char *rest = strstr(url, "://"), *at, *wrong = NULL, *s;
	size_t n;

	memset(u, 0, sizeof(*u));
	for (s = url; *s != '\0'; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return "character not allowed in a URL";
	if (strlen(url) > STORE_URL_MAX)
		return "the URL is too long";
	if (rest == NULL || (size_t)(rest - url) >= sizeof(u->scheme) ||
	    url + strspn(url, "abcdefghijklmnopqrstuvwxyz") != rest)
		return "not a URL";
	memcpy(u->scheme, url, (size_t)(rest - url));
	rest += 3;
	n = strcspn(rest, "/?");
	at = last_at(rest, n);
	if (at != NULL) {
		wrong = userinfo_parse(rest, (size_t)(at - rest), u);
		n -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	if (wrong == NULL)
		wrong = host_parse(rest, n, u);
	rest += n;
	if (wrong == NULL && *rest == '/') {
		rest++;
		n = strcspn(rest, "?");
		if (!part_decode(rest, n, u->name, sizeof(u->name)))
			return "the name in the URL is too long or badly "
			       "encoded";
		if (memchr(rest, '@', n) != NULL)
			return "in a password, write `/', `?' and `@' as %2F, "
			       "%3F and %40";
		rest += n;
	}
	if (wrong == NULL && *rest == '?')
		wrong = parameters_parse(rest + 1, u);
	return wrong;
}

const char *
store_url_parameter(const struct store_url *u, const char *name)
{
	int i;

	for (i = 0; i < u->parameter_count; i++)
		if (strcmp(u->parameters[i].name, name) == 0)
			return u->parameters[i].value;
	return NULL;
}

bool
store_url_password(struct store_url *u, const struct config *cfg, char *error,
    size_t size)
{
	const char *path = cfg->store.password_file;
	char *text, *cursor, *line;
	size_t len;
	bool fits;

	if (path == NULL || u->password[0] != '\0')
		return true;
	text = file_slurp(path, PASSWORD_FILE_MAX, &len, NULL);
	if (text == NULL) {
		snprintf(error, size, "%.150s: %s", path, strerror(errno));
		return false;
	}
	cursor = text;
	line = text_line(&cursor, NULL);
	fits = strlen(line != NULL ? line : "") < sizeof(u->password);
	if (fits)
		snprintf(u->password, sizeof(u->password), "%s",
		    line != NULL ? line : "");
	else
		snprintf(error, size, "%.150s: the password is too long", path);
	explicit_bzero(text, len);
	free(text);
	return fits;
}

/* --- what may be shown --- */

/* Behind the userinfo, and where its password begins; NULL: there is none. */
static const char *
password_find(const char *url, const char **after)
{
	const char *host = strstr(url, "://"), *at, *colon;

	if (host == NULL)
		return NULL;
	host += 3;
	/* Whatever it is, it is hidden: also a wrong one with `/' in it. */
	at = last_at(host, strcspn(host, "?"));
	if (at == NULL)
		at = last_at(host, strlen(host));
	colon = strchr(host, ':');
	if (at == NULL || colon == NULL || colon > at)
		return NULL;
	*after = at;
	return colon;
}

/* Is "name=..." a secret? */
static bool
parameter_secret(const char *s, size_t n)
{
	char name[64];

	snprintf(name, sizeof(name), "%.*s", n > 60 ? 60 : (int)n, s);
	name[strcspn(name, "=")] = '\0';
	text_lower(name);
	/* An encoded name may be anything. */
	return strstr(name, "pass") != NULL || strchr(name, '%') != NULL;
}

bool
store_url_secret(const char *url)
{
	const char *after, *s = strchr(url, '?');

	if (strncmp(url, "sqlite:", 7) == 0)
		return false;
	if (password_find(url, &after) != NULL)
		return true;
	for (; s != NULL; s = strchr(s, '&')) {
		s++;
		if (parameter_secret(s, strcspn(s, "&")))
			return true;
	}
	return false;
}

void
store_url_text(const char *url, char *out, size_t size)
{
	const char *after, *colon = password_find(url, &after), *s;
	struct text t;
	char sep = '?';
	size_t n;

	text_init(&t, out, size);
	if (strncmp(url, "sqlite:", 7) == 0) {
		text_add(&t, url);
		return;
	}
	if (colon != NULL) {
		text_addf(&t, "%.*s", (int)(colon - url), url);
		url = after;
	}
	n = strcspn(url, "?");
	text_addf(&t, "%.*s", (int)n, url);
	for (s = url + n; *s != '\0'; s += n) {
		s++;
		n = strcspn(s, "&");
		if (parameter_secret(s, n))
			continue;
		text_addf(&t, "%c%.*s", sep, (int)n, s);
		sep = '&';
	}
}
