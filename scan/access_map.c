/*
 * access_map - the blacklist as an access map that Postfix itself looks up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/tool.h"
#include "scan/access_map_parts.h"

#define ATTEMPTS  3 /* with somebody editing the file meanwhile */
#define OTHER_MAX ((size_t)64 << 20) /* bytes of everybody else's lines */

static int
newest_first(const void *va, const void *vb)
{
	const struct access_map_entry *a = va, *b = vb;

	if (a->since != b->since)
		return a->since > b->since ? -1 : 1;
	return address_compare(&a->block.base, &b->block.base);
}

static int
by_address(const void *va, const void *vb)
{
	const struct access_map_entry *a = va, *b = vb;
	int c = address_compare(&a->block.base, &b->block.base);

	return c != 0 ? c : a->block.bits - b->block.bits;
}

/* Of a cidr map the newest; of all one each, by address. */
static void
list_sort(struct access_map_list *list, bool cidr, size_t *cut)
{
	struct access_map_entry *e = list->entries;
	size_t i, n = 0;

	if (cidr && list->count > list->max) {
		qsort(e, list->count, sizeof(*e), newest_first);
		*cut = list->count - list->max;
		list->count = list->max;
	}
	if (list->count > 1)
		qsort(e, list->count, sizeof(*e), by_address);
	for (i = 0; i < list->count; i++)
		if (n == 0 || by_address(&e[n - 1], &e[i]) != 0)
			e[n++] = e[i];
	list->count = n;
}

/*
 * The new text for these lines of others, of which an OK counts from our first
 * block on, until the override. NULL after a message.
 */
static char *
text_make(struct access_job *j, const struct access_map_list *list,
    const char *other, size_t other_len, struct access_header *h,
    struct access_map_result *r, size_t *len)
{
	bool cidr = j->map->kept == ACCESS_CIDR;
	bool counts = (h->generation < 0 || h->oks) && !list->override;
	struct hostlist *oks = counts ?
	    access_oks_read(other, other_len, cidr) : NULL;
	char *text = NULL;

	if (!counts || oks != NULL)
		text = access_text_make(list, oks, cidr, other, other_len, r,
		    len);
	if (text == NULL)
		access_job_fail(j, "%s", strerror(ENOMEM));
	h->oks = counts && (h->oks || (oks != NULL && hostlist_size(oks) > 0));
	h->generation = list->generation;
	snprintf(h->types, sizeof(h->types), "%s",
	    access_map_types(j->map->kept));
	hostlist_free(oks);
	return text;
}

/* Puts our block with this list above these lines of others. */
static int
block_put(struct access_job *j, const struct access_map_list *list,
    const char *other, size_t other_len, struct access_header *h,
    struct access_map_result *r)
{
	char header[ACCESS_HEADER_MAX];
	struct access_header old;
	size_t len = 0, head = j->old != NULL ?
	    access_header_read(j->old, j->old_len, &old) : 0;
	char *text = text_make(j, list, other, other_len, h, r, &len);
	int rc = -1;

	if (text == NULL)
		return -1;
	r->changed = list->anew || head == 0 || j->old_len - head != len ||
	    memcmp(j->old + head, text, len) != 0 ||
	    !access_map_whole(j->map, j->dir, &old, &j->st);
	if (r->changed)
		clock_gettime(CLOCK_REALTIME, &h->made);
	else
		h->made = old.made;
	access_header_write(h, header);
	if (!r->changed && strncmp(header, j->old, head) == 0)
		rc = 0;
	else {
		rc = access_job_put(j, header, text, len, &h->made,
		    !r->changed);
		r->rewritten = rc == 0;
	}
	free(text);
	return rc;
}

/* One attempt at our block with this list; NULL: at taking it out. */
static int
attempt(struct access_job *j, const struct access_map_list *list,
    struct access_map_result *r)
{
	char *other = malloc(j->old_len + 1);
	size_t len = j->old_len;
	struct access_header h;
	struct timespec now;
	int rc = 0;

	if (other == NULL)
		return access_job_fail(j, "%s", strerror(errno));
	if (len > 0)
		memcpy(other, j->old, len);
	if (!access_text_others(other, &len, &h))
		rc = access_job_fail(j, "its first line begins with white "
		    "space: it would continue one of ours");
	else if (len > OTHER_MAX)
		rc = access_job_fail(j, "too many lines of others");
	else if (list != NULL)
		rc = block_put(j, list, other, len, &h, r);
	else if (len != j->old_len) {
		clock_gettime(CLOCK_REALTIME, &now);
		rc = access_job_put(j, "", other, len, &now, false);
	}
	free(other);
	return rc;
}

/* The whole change; result begins as it is. */
static bool
change(const struct access_map *m, const struct access_map_list *list,
    struct access_map_result *result, char *error, size_t size)
{
	const struct access_map_result first = *result;
	int rc = ACCESS_AGAIN, i;
	struct access_job j;

	for (i = 0; rc == ACCESS_AGAIN && i < ATTEMPTS; i++) {
		*result = first;
		rc = access_job_open(&j, m, error, size);
		if (rc == 0)
			rc = attempt(&j, list, result);
		if (rc == ACCESS_AGAIN)
			access_job_fail(&j, "it changes while it is read");
		access_job_close(&j);
	}
	return rc == 0;
}

void
access_map_left(const char *setting, const struct access_map_result *r,
    char *out, size_t size)
{
	snprintf(out, size, "%s: %zu left out, since OK lines of the file "
	    "cover them; add them to whitelist.txt, and then let the list "
	    "count, with `abictl blacklist map --override':%s", setting,
	    r->left, r->names);
}

static void
result_log(const char *setting, const struct access_map_result *r)
{
	char line[ACCESS_MAP_ERROR_MAX];

	if (!r->changed)
		return;
	log_info("%s: %zu lines", setting, r->lines);
	access_map_left(setting, r, line, sizeof(line));
	if (r->left > 0)
		log_warning("%s", line);
	if (r->unfit > 0)
		log_info("%s: %zu cannot be said, or not wholly, by the keys "
		    "of such a map", setting, r->unfit);
	if (r->cut > 0)
		log_warning("%s: %zu older ones left out, blacklist.map_max",
		    setting, r->cut);
}

bool
access_map_write(const struct access_map *m, struct access_map_list *list,
    struct access_map_result *result, char *error, size_t size)
{
	bool written;

	*result = (struct access_map_result){ 0 };
	list_sort(list, m->kept == ACCESS_CIDR, &result->cut);
	written = change(m, list, result, error, size);
	if (written)
		result_log(m->setting, result);
	else
		*result = (struct access_map_result){ 0 };
	return written;
}

bool
access_map_remove(const struct access_map *m, char *error, size_t size)
{
	struct access_map_result ignored = { 0 };

	return change(m, NULL, &ignored, error, size);
}

int64_t
access_map_generation(const struct access_map *m)
{
	char line[ACCESS_HEADER_MAX];
	int64_t generation = -1;
	struct access_header h;
	struct stat st;
	ssize_t n;
	int fd = -1, dir = open(m->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		fd = openat(dir, m->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		    O_NOCTTY | O_CLOEXEC);
	n = fd >= 0 ? pread(fd, line, sizeof(line), 0) : -1;
	if (n > 0 && fstat(fd, &st) == 0 &&
	    access_header_read(line, (size_t)n, &h) > 0 &&
	    access_map_whole(m, dir, &h, &st))
		generation = h.generation;
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return generation;
}

bool
postfix_reload(char *error, size_t size)
{
	static const char *const argv[] = { "postfix", "reload", NULL };

	return tool_run(argv, -1, -1, ACCESS_TOOL_SECONDS, error, size) == 0;
}
