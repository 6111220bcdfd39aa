/*
 * logstream - standard input, and compressed log files as the programs of the
 * system read them.
 *
 * What a compressed file holds may be without end: it is read as it comes, and
 * only so much memory is taken as xz is told to, and zstd takes by itself.
 */
#include "logs/logsource_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tool.h"

#define MAGIC_MAX 10

struct packing {
	const char *package; /* of Debian */
	const char *magic; /* '?' is any byte */
	size_t len;
	const char *argv[5];
};

static const struct packing packings[] = {
	{ "gzip", "\x1f\x8b", 2, { "gzip", "-dc" } },
	{ "xz-utils", "\xfd" "7zXZ\0", 6,
	    { "xz", "-dc", "-T1", "--memlimit-decompress=256MiB" } },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, { "zstd", "-dcq" } },
	/* A number, and what its first block begins with. */
	{ "bzip2", "BZh?1AY&SY", 10, { "bzip2", "-dc" } },
};

struct stream {
	struct logsource source;
	const struct packing *packing; /* NULL: standard input */
	pid_t pid; /* of the program, 0 when it has ended */
	bool follow;
	char name[PATH_MAX];
	struct loglines lines;
};

/* --- what is compressed --- */

static const struct packing *
packing_match(const char *bytes, size_t len)
{
	const struct packing *u;
	size_t i;

	for (u = packings; u < packings + 4; u++) {
		for (i = 0; i < len && i < u->len &&
		    (u->magic[i] == '?' || u->magic[i] == bytes[i]); i++)
			;
		if (i == u->len)
			return u;
	}
	return NULL;
}

/* Opens a compressed file, and nothing that could do something then; or -1. */
static int
packing_open(const char *path, const struct packing **u)
{
	char bytes[MAGIC_MAX];
	struct stat st;
	ssize_t n;
	int fd;

	*u = NULL;
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	n = fd >= 0 ? pread(fd, bytes, sizeof(bytes), 0) : -1;
	if (n >= 0)
		*u = packing_match(bytes, (size_t)n);
	if (*u != NULL)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

const char *
logsource_packed(const char *path)
{
	const struct packing *u = NULL;
	int fd = path[0] == '/' ? packing_open(path, &u) : -1;

	if (fd >= 0)
		close(fd);
	return u != NULL ? u->argv[0] : NULL;
}

/* --- reading --- */

/* The end: of a compressed file it is known only now if that was all. */
static int
unpack_end(struct stream *t)
{
	char why[256];
	pid_t pid = t->pid;

	t->pid = 0;
	if (t->packing == NULL || tool_close(t->packing->argv[0], pid, false,
	    why, sizeof(why)) == 0)
		return 0;
	return logsource_fail(&t->source, t->name,
	    "not all of it could be read, damaged or cut short: %s", why);
}

/* Compressed bytes have no lines, and should not seem to be without offence. */
static int
input_packed(struct stream *t)
{
	const struct packing *u = packing_match(t->lines.buf, t->lines.len);

	return u == NULL ? 0 : logsource_fail(&t->source, t->name,
	    "compressed (%s): let `%s -dc' read it", u->argv[0], u->argv[0]);
}

static int
stream_read(struct logsource *s, const char **text, size_t *len)
{
	struct stream *t = (struct stream *)s;
	bool begun = t->lines.begun;
	uint64_t bytes;
	int rc;

	if (s->over)
		return 0;
	rc = loglines_read(&t->lines, t->follow ? 0 : -1, text, len, &bytes);
	/* Who sits at a terminal may end what has nothing to read. */
	if (rc < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	s->over = rc <= 0;
	if (rc < 0)
		return logsource_fail(s, t->name, "%s", strerror(errno));
	if (!begun && t->packing == NULL && input_packed(t) != 0) {
		s->over = true;
		return -1;
	}
	if (rc > 0)
		return 1;
	return unpack_end(t) != 0 ? -1 :
				    loglines_last(&t->lines, text, len, &bytes);
}

static int
stream_watch(struct logsource *s, bool *look)
{
	*look = false;
	return s->over ? -1 : ((struct stream *)s)->lines.fd;
}

static void
stream_close(struct logsource *s)
{
	struct stream *t = (struct stream *)s;
	char why[64];

	if (t->pid > 0)
		tool_close(t->packing->argv[0], t->pid, true, why, sizeof(why));
	if (t->lines.fd > STDIN_FILENO)
		close(t->lines.fd);
	free(t);
}

static const struct logsource_kind stream_kind = {
	.read = stream_read,
	.watch = stream_watch,
	.close = stream_close,
};

static struct stream *
stream_new(const char *name, bool follow)
{
	struct stream *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->source.kind = &stream_kind;
	t->follow = follow;
	snprintf(t->name, sizeof(t->name), "%s", name);
	return t;
}

struct logsource *
logstream_open(bool follow)
{
	return (struct logsource *)stream_new("standard input", follow);
}

struct logsource *
logstream_unpack(const char *path)
{
	struct stream *t = stream_new(path, false);
	int in = t != NULL ? packing_open(path, &t->packing) : -1;
	char why[256];

	if (t == NULL)
		return NULL;
	if (in < 0) {
		logsource_fail(&t->source, path, "not compressed");
		return &t->source;
	}
	t->lines.fd = tool_open(t->packing->argv, in, &t->pid, why,
	    sizeof(why));
	close(in);
	if (t->lines.fd < 0)
		logsource_fail(&t->source, path,
		    "compressed: %s: is the package %s installed?", why,
		    t->packing->package);
	return &t->source;
}
