/*
 * access_map - the blacklist as an access map that Postfix itself looks up.
 */
#include "scan/access_map.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan/access_map_file.h"
#include "base/log.h"
#include "base/tool.h"

#define ATTEMPTS 3 /* with somebody editing the file meanwhile */

/* A file is its index's when their times of modification are the same. */
static bool
time_same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool
access_map_check(const char *map, char *error, size_t size)
{
	struct access_place at;
	const char *what = access_place_parse(map, &at);

	if (what != NULL)
		snprintf(error, size, "%s", what);
	return what == NULL;
}

/* Writes the new file; h says afterwards what is in it. */
static int
fresh_write(struct access_job *j, const struct address_block *blocks,
    size_t count, struct access_header *h)
{
	bool cidr = j->at.suffix == NULL;
	struct access_others *o;
	FILE *f = access_job_new(j);
	int rc;

	if (f == NULL)
		return access_job_fail(j, "%s/%s: %s", j->at.dir, j->fresh,
		    strerror(errno));
	o = access_others_read(j->other, j->other_len, cidr);
	rc = o == NULL ? -1 : access_text_write(f, h, blocks, count, cidr, o,
	    j->other, j->other_len, j->result);
	if (rc != 0)
		access_job_fail(j, "%s/%s: %s", j->at.dir, j->fresh,
		    strerror(errno));
	access_others_free(o);
	if (fclose(f) != 0 && rc == 0)
		rc = access_job_fail(j, "%s/%s: %s", j->at.dir, j->fresh,
		    strerror(errno));
	return rc;
}

/* One attempt at our block with these lines. */
static int
block_put(struct access_job *j, const struct address_block *blocks,
    size_t count, int64_t generation)
{
	struct access_header h = { generation, 0 };
	bool same_lines;
	int rc = access_job_read(j);

	if (rc == 0)
		rc = fresh_write(j, blocks, count, &h);
	if (rc == 0) {
		same_lines = j->in_force && j->header.sum == h.sum;
		j->result->changed = !same_lines;
		if (!same_lines || j->header.generation != generation)
			rc = access_job_finish(j, same_lines);
	}
	access_job_clear(j);
	access_job_forget(j);
	return rc;
}

/* One attempt at taking it out. */
static int
block_remove(struct access_job *j)
{
	int rc = access_job_read(j);
	FILE *f;

	if (rc == 0 && j->had_block) {
		f = access_job_new(j);
		if (f == NULL || (fwrite(j->other, 1, j->other_len, f) !=
		    j->other_len) | (fclose(f) != 0))
			rc = access_job_fail(j, "%s/%s: %s", j->at.dir,
			    j->fresh, strerror(errno));
		else
			rc = access_job_finish(j, false);
	}
	access_job_clear(j);
	access_job_forget(j);
	return rc;
}

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
	const struct address_block *a = va, *b = vb;
	int c = address_compare(&a->base, &b->base);

	return c != 0 ? c : a->bits - b->bits;
}

/* Sorts, unless they are, and leaves one of each. */
static size_t
blocks_sort(struct address_block *blocks, size_t count)
{
	size_t i, n = 0;

	for (i = 1; i < count; i++)
		if (by_address(&blocks[i - 1], &blocks[i]) > 0) {
			qsort(blocks, count, sizeof(*blocks), by_address);
			break;
		}
	for (i = 0; i < count; i++)
		if (n == 0 || by_address(&blocks[n - 1], &blocks[i]) != 0)
			blocks[n++] = blocks[i];
	return n;
}

/* The blocks of a cidr map: the newest ones. NULL with errno. */
static struct address_block *
blocks_newest(const struct access_map_entry *entries, size_t *count,
    size_t max, struct access_map_result *r)
{
	struct access_map_entry *copy = NULL;
	struct address_block *blocks;
	size_t i;

	if (*count > max) {
		copy = malloc(*count * sizeof(*copy));
		if (copy == NULL)
			return NULL;
		memcpy(copy, entries, *count * sizeof(*copy));
		qsort(copy, *count, sizeof(*copy), newest_first);
		r->cut = *count - max;
		*count = max;
		entries = copy;
	}
	blocks = malloc((*count + 1) * sizeof(*blocks));
	for (i = 0; blocks != NULL && i < *count; i++)
		blocks[i] = entries[i].block;
	free(copy);
	return blocks;
}

/* The blocks of an indexed map: cut at octets and groups. NULL with errno. */
static struct address_block *
blocks_expanded(const struct access_map_entry *entries, size_t *count,
    struct access_map_result *r)
{
	struct address_block *blocks;
	size_t i, n = 0;

	for (i = 0; i < *count; i++)
		n += access_expand(&entries[i].block, NULL);
	blocks = malloc((n + 1) * sizeof(*blocks));
	if (blocks == NULL)
		return NULL;
	for (n = 0, i = 0; i < *count; i++) {
		size_t made = access_expand(&entries[i].block, blocks + n);

		r->unfit += made == 0;
		n += made;
	}
	*count = n;
	return blocks;
}

static void
result_log(const char *map, const struct access_map_result *r)
{
	if (r->changed)
		log_info("%s: %zu lines", map, r->lines);
	if (r->changed && r->others > 0)
		log_info("%s: %zu left out, other lines of the file are about "
		    "them", map, r->others);
	if (r->changed && r->unfit > 0)
		log_info("%s: %zu cannot be said, or not wholly, by the keys "
		    "of such a map", map, r->unfit);
	if (r->changed && r->cut > 0)
		log_warning("%s: %zu older ones left out, blacklist.map_max",
		    map, r->cut);
}

int
access_map_write(const char *map, const struct access_map_entry *entries,
    size_t count, size_t max, int64_t generation,
    struct access_map_result *result, char *error, size_t size)
{
	struct access_map_result first = { 0 };
	struct address_block *blocks;
	int rc = ACCESS_AGAIN, attempt;
	struct access_job j;

	*result = first;
	rc = access_job_open(&j, map, result, error, size);
	if (rc == 0) {
		blocks = j.at.suffix == NULL ?
		    blocks_newest(entries, &count, max, &first) :
		    blocks_expanded(entries, &count, &first);
		if (blocks == NULL)
			rc = access_job_fail(&j, "%s", strerror(errno));
		else
			count = blocks_sort(blocks, count);
		for (rc = rc == 0 ? ACCESS_AGAIN : rc, attempt = 0;
		    rc == ACCESS_AGAIN && attempt < ATTEMPTS; attempt++) {
			*result = first;
			rc = block_put(&j, blocks, count, generation);
		}
		free(blocks);
	}
	if (rc == ACCESS_AGAIN)
		rc = access_job_fail(&j, "it changes while it is read");
	access_job_close(&j);
	if (rc == 0)
		result_log(map, result);
	else
		*result = (struct access_map_result){ 0 };
	return rc;
}

int
access_map_remove(const char *map, char *error, size_t size)
{
	struct access_map_result ignored;
	struct access_job j;
	int rc, attempt;

	rc = access_job_open(&j, map, &ignored, error, size);
	for (rc = rc == 0 ? ACCESS_AGAIN : rc, attempt = 0;
	    rc == ACCESS_AGAIN && attempt < ATTEMPTS; attempt++)
		rc = block_remove(&j);
	if (rc == ACCESS_AGAIN)
		rc = access_job_fail(&j, "it changes while it is read");
	j.lock_goes = rc == 0;
	access_job_close(&j);
	return rc;
}

/* The generation of a file that is open, if its sum is right. */
static int64_t
generation_whole(int fd, const struct stat *st)
{
	char *text = st->st_size <= ACCESS_FILE_MAX ?
	    malloc((size_t)st->st_size + 1) : NULL;
	size_t len = 0, head;
	struct access_header h;
	int64_t generation = -1;
	ssize_t n;

	while (text != NULL && len < (size_t)st->st_size &&
	    (n = pread(fd, text + len, (size_t)st->st_size - len,
		(off_t)len)) > 0)
		len += (size_t)n;
	head = text != NULL ? access_header_read(text, len, &h) : 0;
	if (head > 0 && len == (size_t)st->st_size &&
	    access_sum(ACCESS_SUM_START, text + head, len - head) == h.sum)
		generation = h.generation;
	free(text);
	return generation;
}

/* The same of an indexed map: what was not touched is whole. */
static int64_t
generation_indexed(int fd, const struct stat *st, const char *index)
{
	char line[ACCESS_HEADER_MAX];
	struct access_header h;
	struct stat of_index;
	ssize_t n = pread(fd, line, sizeof(line), 0);

	if (n <= 0 || access_header_read(line, (size_t)n, &h) == 0 ||
	    lstat(index, &of_index) != 0 || !S_ISREG(of_index.st_mode) ||
	    !time_same(&of_index.st_mtim, &st->st_mtim))
		return -1;
	return h.generation;
}

int64_t
access_map_generation(const char *map)
{
	char path[PATH_MAX + NAME_MAX + 2], index[sizeof(path) + 8];
	struct access_place at;
	struct stat st;
	int64_t generation = -1;
	int fd;

	if (access_place_parse(map, &at) != NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", at.dir, at.name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		snprintf(index, sizeof(index), "%s%s", path,
		    at.suffix != NULL ? at.suffix : "");
		generation = at.suffix == NULL ? generation_whole(fd, &st) :
		    generation_indexed(fd, &st, index);
	}
	close(fd);
	return generation;
}

bool
postfix_reload(char *error, size_t size)
{
	static const char *const argv[] = { "postfix", "reload", NULL };

	return tool_run(argv, -1, -1, ACCESS_TOOL_SECONDS, error, size) == 0;
}
