/*
 * exempt - who is never put on the blacklist.
 */
#include "scan/exempt.h"

#include <errno.h>
#include <sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tool.h"
#include "base/hostlist.h"

#define COMPLAINTS 50 /* of a process */
#define POSTCONF_SECONDS 10
#define NETWORKS_MAX 65536 /* bytes of mynetworks */

static int told; /* lines about mynetworks: not again in each round */

static void __attribute__((format(printf, 1, 2)))
complain(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (told++ >= COMPLAINTS)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_warning("%s", line);
}

/* "[2001:db8::]/32" to "2001:db8::/32", in place. */
static void
brackets_remove(char *word)
{
	char *close = strchr(word, ']');

	if (word[0] != '[' || close == NULL)
		return;
	memmove(close, close + 1, strlen(close));
	memmove(word, word + 1, strlen(word));
}

void
exempt_networks(struct exempt *e, char *text)
{
	char *word, *save = NULL;

	e->mynetworks_count = 0;
	for (word = strtok_r(text, " \t\r\n,", &save); word != NULL;
	     word = strtok_r(NULL, " \t\r\n,", &save)) {
		brackets_remove(word);
		if (e->mynetworks_count == EXEMPT_MYNETWORKS_MAX) {
			log_warning("mynetworks: more than %d networks; the "
			    "rest are ignored", EXEMPT_MYNETWORKS_MAX);
			return;
		}
		if (address_block_parse(word,
			&e->mynetworks[e->mynetworks_count]) == NULL)
			e->mynetworks_count++;
		else
			complain("mynetworks: ignoring `%.100s': only "
			    "addresses and blocks are supported", word);
	}
}

static void
file_add(struct text *t, const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		text_add(t, "-;");
	else
		text_addf(t, "%s %llu %lld.%09ld %lld;", path,
		    (unsigned long long)st.st_ino,
		    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		    (long long)st.st_size);
}

void
exempt_signature(const struct config *cfg, char *out, size_t size)
{
	const char *dir = getenv("MAIL_CONFIG");
	char digest[SHA256_DIGEST_STRING_LENGTH], path[512], buf[2048];
	struct text t;

	snprintf(path, sizeof(path), "%.480s/main.cf",
	    dir != NULL ? dir : "/etc/postfix");
	text_init(&t, buf, sizeof(buf));
	file_add(&t, cfg->whitelist.file);
	file_add(&t, path);
	SHA256Data((const uint8_t *)t.buf, t.len, digest);
	snprintf(out, size, "%.16s", digest);
}

/* What Postfix regards as its own. */
static void
networks_load(struct exempt *e)
{
	const char *const argv[] = { "postconf", "-x", "-h", "mynetworks",
		NULL };
	static char text[NETWORKS_MAX];
	char error[512];

	if (tool_read(argv, POSTCONF_SECONDS, text, sizeof(text), error,
		sizeof(error)) == 0)
		exempt_networks(e, text);
	else
		complain("cannot read mynetworks: %.200s", error);
}

void
exempt_load(struct exempt *e, const struct config *cfg)
{
	const char *path = cfg->whitelist.file;

	memset(e, 0, sizeof(*e));
	networks_load(e);
	if (path != NULL &&
	    hostlist_load(path, &e->list, NULL, NULL, NULL) != 0 &&
	    errno != ENOENT)
		snprintf(e->problem, sizeof(e->problem), "%.200s: %.50s", path,
		    strerror(errno));
}

void
exempt_free(struct exempt *e)
{
	if (e->list != NULL)
		hostlist_free(e->list);
	memset(e, 0, sizeof(*e));
}

const char *
exempt_why(const struct exempt *e, const struct address *client,
    const struct address_block *block, const char *name)
{
	static char why[160];
	char entry[128];
	size_t i;

	if (!address_public(client))
		return "not a global address";
	for (i = 0; i < e->mynetworks_count; i++)
		if (address_block_overlap(&e->mynetworks[i], block)) {
			address_block_text(&e->mynetworks[i], entry,
			    sizeof(entry));
			snprintf(why, sizeof(why), "%s is in mynetworks",
			    entry);
			return why;
		}
	if (e->list == NULL)
		return NULL;
	if (hostlist_overlaps(e->list, block, entry, sizeof(entry)) ||
	    (name[0] != '\0' &&
		hostlist_name(e->list, name, entry, sizeof(entry)))) {
		snprintf(why, sizeof(why), "%s is whitelisted", entry);
		return why;
	}
	return NULL;
}
