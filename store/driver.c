/*
 * driver - what the drivers of the store share.
 */
#include "store/driver.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/resolve.h"
#include "base/text.h"

#define WHERE_MAX 100 /* bytes of it in an error; more would hide the rest */

void
store_begin(struct store *s)
{
	s->error[0] = '\0';
	s->failure = STORE_BROKEN;
	s->deadline = clock_ms() + s->wait_ms;
}

bool
store_failed(struct store *s, enum store_failure failure, const char *fmt, ...)
{
	/* The parameters of a URL say nothing. */
	size_t where = strcspn(s->where, "?");
	char why[STORE_ERROR_MAX * 2], line[STORE_ERROR_MAX * 3], *secret, *c;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	/* A server may say what it has been told. */
	secret = s->url.password[0] != '\0' ? strstr(why, s->url.password) :
					      NULL;
	if (secret != NULL)
		snprintf(secret, sizeof(why) - (size_t)(secret - why),
		    "(hidden)");
	for (c = why; (c = strpbrk(c, "\n\t")) != NULL; c++)
		*c = ' ';
	snprintf(line, sizeof(line), "%.*s%s%s",
	    (int)(where > WHERE_MAX ? WHERE_MAX : where), s->where,
	    where > 0 ? ": " : "", text_trim(why));
	text_printable(s->error, sizeof(s->error), line);
	s->failure = failure;
	return false;
}

/* --- servers --- */

/* The name of a parameter that this driver does not know, or NULL. */
static const char *
parameter_unknown(const struct store *s)
{
	const char *const *known = s->driver->parameters;
	int i, k;

	for (i = 0; i < s->url.parameter_count; i++) {
		for (k = 0; known[k] != NULL; k++)
			if (strcmp(known[k], s->url.parameters[i].name) == 0)
				break;
		if (known[k] == NULL)
			return s->url.parameters[i].name;
	}
	return NULL;
}

bool
store_server_read(struct store *s, const struct config *cfg, const char *url)
{
	const char *wrong = store_url_parse(url, &s->url), *unknown;
	char error[STORE_ERROR_MAX];

	if (wrong != NULL)
		return store_failed(s, STORE_BROKEN, "store.url: %s", wrong);
	unknown = parameter_unknown(s);
	if (unknown != NULL)
		return store_failed(s, STORE_BROKEN,
		    "store.url: there is no parameter `%s'", unknown);
	store_url_text(url, s->where, sizeof(s->where));
	return store_url_password(&s->url, cfg, error, sizeof(error)) ||
	    store_failed(s, STORE_BROKEN, "%s", error);
}

bool
store_wait(const struct store *s, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	do {
		left = s->deadline - clock_ms();
		n = left > 0 ? poll(&p, 1, left < 60000 ? (int)left : 60000) :
			       0;
	} while ((n == 0 && left > 0) || (n < 0 && errno == EINTR));
	return n != 0; /* what is wrong is found by reading or writing */
}

bool
store_stale(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

int64_t
store_share(int64_t end, int left)
{
	int64_t now = clock_ms();

	return now + (end > now ? end - now : 0) / left;
}

bool
store_connect(struct store *s, const char *host,
    bool (*connect_to)(struct store *s, const char *address))
{
	char addresses[RESOLVE_MAX][ADDRESS_TEXT_MAX], why[STORE_ERROR_MAX];
	int64_t end = s->deadline, left = end - clock_ms();
	bool connected = false;
	int count, i;

	count = resolve_host(host, left > 0 ? (long)left : 0, addresses, why,
	    sizeof(why));
	if (count == 0)
		store_failed(s, STORE_BROKEN, "%s", why);
	for (i = 0; i < count && !connected; i++) {
		s->deadline = store_share(end, count - i);
		connected = connect_to(s, addresses[i]);
	}
	s->deadline = end;
	return connected;
}
