/*
 * unpack - compressed log files, read by the programs of the system.
 *
 * What they hold may be without end: it is read as it comes, and only so much
 * memory is taken as xz is told to, and zstd takes by itself.
 */
#include "logs/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tool.h"

#define MAGIC_MAX 10
#define NAMED 2 /* bytes that are enough if the name says the same */

struct unpack {
	const char *package; /* of Debian */
	const char *suffix;
	const char *magic; /* '?' is any byte */
	size_t len;
	const char *argv[5];
};

static const struct unpack kinds[] = {
	{ "gzip", ".gz", "\x1f\x8b", 2, { "gzip", "-dc" } },
	{ "xz-utils", ".xz", "\xfd" "7zXZ\0", 6,
	    { "xz", "-dc", "-T1", "--memlimit-decompress=256MiB" } },
	{ "zstd", ".zst", "\x28\xb5\x2f\xfd", 4, { "zstd", "-dcq" } },
	/* A number, and what its first block begins with. */
	{ "bzip2", ".bz2", "BZh?1AY&SY", 10, { "bzip2", "-dc" } },
};

static bool
begins(const char *bytes, const char *magic, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (magic[i] != '?' && bytes[i] != magic[i])
			return false;
	return true;
}

const struct unpack *
unpack_match(const char *bytes, size_t len, const char *name)
{
	const size_t named = len < NAMED ? len : NAMED;
	const struct unpack *u;
	size_t n = strlen(name), k;

	for (u = kinds; u < kinds + sizeof(kinds) / sizeof(kinds[0]); u++) {
		k = strlen(u->suffix);
		if ((len >= u->len && begins(bytes, u->magic, u->len)) ||
		    (n > k && strcmp(name + n - k, u->suffix) == 0 &&
			begins(bytes, u->magic, named)))
			return u;
	}
	return NULL;
}

/* Opens a regular file, and nothing that could do something then. */
static int
regular_open(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

const struct unpack *
unpack_find(const char *path)
{
	const struct unpack *u = NULL;
	char bytes[MAGIC_MAX];
	int fd = regular_open(path);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = pread(fd, bytes, sizeof(bytes), 0);
	if (n >= 0)
		u = unpack_match(bytes, (size_t)n, path);
	close(fd);
	return u;
}

const char *
unpack_name(const struct unpack *u)
{
	return u->argv[0];
}

int
unpack_open(const struct unpack *u, const char *path, pid_t *pid, char *error,
    size_t size)
{
	int in = regular_open(path), out;
	char why[256];

	if (in < 0) {
		snprintf(error, size, "%s: %s", path, strerror(errno));
		return -1;
	}
	out = tool_open(u->argv, in, pid, why, sizeof(why));
	if (out < 0)
		snprintf(error, size,
		    "%.300s: compressed: %s: is the package %s installed?",
		    path, why, u->package);
	close(in);
	return out;
}

int
unpack_close(const struct unpack *u, const char *path, pid_t pid, bool stop,
    char *error, size_t size)
{
	char why[256];

	if (tool_close(u->argv[0], pid, stop, why, sizeof(why)) == 0)
		return 0;
	snprintf(error, size,
	    "%.300s: not all of it could be read, damaged or cut short: %s",
	    path, why);
	return -1;
}
