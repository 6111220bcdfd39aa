/*
 * rotated - what became of a log file that is not where it was: its new name,
 * its copy, and the files that came after it.
 *
 * A directory that is read while its files are renamed can show one of them
 * twice or not at all. So it is read until it says the same thing twice.
 */
#include "logs/rotated.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define ATTEMPTS 20
#define SLACK 10 /* seconds by which times of files may be out of order */

/* How the name of a rotated file tells its age. */
enum scheme {
	SCHEME_NONE,
	SCHEME_COUNTER, /* mail.log.1, mail.1.log: the higher the older */
	SCHEME_DATE,    /* mail.log-20261121, mail.log.20261121-042048 */
};

struct candidate {
	char name[NAME_MAX + 1];
	char age[NAME_MAX + 1]; /* the part that tells it */
	enum scheme scheme;
	struct stat st;
};

/* A path's directory, and its last part. */
struct place {
	char dir[PATH_MAX];
	const char *base;
};

bool
rotated_is(int fd, const struct stat *st, const struct rotated_mark *m,
    bool copy)
{
	char head[ROTATED_HEAD_MAX], print[ROTATED_PRINT_MAX];

	/* Devices may have other numbers after the next boot. */
	if (!copy && (st->st_ino != m->ino ||
			 (st->st_dev != m->dev && m->head == 0)))
		return false;
	if ((uint64_t)st->st_size < m->offset || (copy && m->head == 0))
		return false;
	if (pread(fd, head, m->head, 0) != (ssize_t)m->head)
		return false;
	rotated_print(print, head, m->head);
	return strcmp(print, m->print) == 0 &&
	    rotated_tail_is(&m->tail, fd, m->offset);
}

void
rotated_mark_format(const struct rotated_mark *m, char *out, size_t size)
{
	struct text t;

	text_init(&t, out, size);
	text_addf(&t,
	    "file %" PRIu64 " %" PRIu64 " %" PRIu64 " %zu %s %lld.%09ld",
	    m->dev, m->ino, m->offset, m->head, m->print,
	    (long long)m->newest.tv_sec, m->newest.tv_nsec);
	if (m->tail.len > 0)
		text_addf(&t, " tail %zu %016" PRIx64 " %s", m->tail.len,
		    m->tail.sum, m->tail.print);
	if (m->last > 0)
		text_addf(&t, " last %lld", (long long)m->last);
	if (m->after > 0)
		text_addf(&t, " after %lld", (long long)m->after);
	if (m->finished)
		text_add(&t, " finished");
}

/* A decimal number as printf writes it, and the end or a blank after it. */
static bool
number_read(const char **text, char end, uint64_t max, uint64_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	while (*p >= '0' && *p <= '9') {
		if (n > (max - (uint64_t)(*p - '0')) / 10)
			return false;
		n = n * 10 + (uint64_t)(*p++ - '0');
	}
	if (p == *text || (*p != end && (end != ' ' || *p != '\0')))
		return false;
	*out = n;
	*text = p + (*p != '\0');
	return true;
}

/* Hexadecimal digits, so many, and the end or a blank after them. */
static bool
hex_read(const char **text, size_t len, char *out)
{
	const char *p = *text + len;

	if (strspn(*text, "0123456789abcdef") != len ||
	    (*p != ' ' && *p != '\0'))
		return false;
	memcpy(out, *text, len);
	out[len] = '\0';
	*text = p + (*p != '\0');
	return true;
}

/* Is this word the next? Moves after it and a blank. */
static bool
word_read(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0 ||
	    ((*text)[len] != ' ' && (*text)[len] != '\0'))
		return false;
	*text += len + ((*text)[len] != '\0');
	return true;
}

/* What older releases have not written. */
static bool
additions_read(const char **p, struct rotated_mark *m)
{
	uint64_t len, last = 0, after = 0;
	char sum[17];

	if (word_read(p, "tail")) {
		if (!number_read(p, ' ', ROTATED_TAIL_MAX, &len) ||
		    !hex_read(p, 16, sum) ||
		    !hex_read(p, ROTATED_PRINT_MAX - 1, m->tail.print) ||
		    len == 0 || len > m->offset)
			return false;
		m->tail.len = len;
		m->tail.sum = strtoull(sum, NULL, 16);
	}
	if ((word_read(p, "last") &&
		!number_read(p, ' ', INT64_MAX, &last)) ||
	    (word_read(p, "after") &&
		!number_read(p, ' ', INT64_MAX, &after)))
		return false;
	m->last = (time_t)last;
	m->after = (time_t)after;
	m->finished = word_read(p, "finished");
	return true;
}

bool
rotated_mark_parse(const char *text, struct rotated_mark *m)
{
	uint64_t head, sec, nsec;
	const char *p = text;
	char again[256];

	memset(m, 0, sizeof(*m));
	if (strlen(text) >= sizeof(again) || !word_read(&p, "file") ||
	    !number_read(&p, ' ', UINT64_MAX, &m->dev) ||
	    !number_read(&p, ' ', UINT64_MAX, &m->ino) ||
	    !number_read(&p, ' ', INT64_MAX, &m->offset) ||
	    !number_read(&p, ' ', ROTATED_HEAD_MAX, &head) ||
	    !hex_read(&p, ROTATED_PRINT_MAX - 1, m->print) ||
	    !number_read(&p, '.', INT64_MAX, &sec) ||
	    !number_read(&p, ' ', 999999999, &nsec))
		return false;
	m->head = head;
	m->newest.tv_sec = (time_t)sec;
	m->newest.tv_nsec = (long)nsec;
	if (m->head != (m->offset < ROTATED_HEAD_MAX ? m->offset :
						       ROTATED_HEAD_MAX) ||
	    !additions_read(&p, m))
		return false;
	/* Whatever was overlooked: it must come out as it went in. */
	rotated_mark_format(m, again, sizeof(again));
	return strcmp(again, text) == 0;
}

static void
place_of(const char *path, struct place *p)
{
	const char *slash = strrchr(path, '/');

	p->base = slash != NULL ? slash + 1 : path;
	snprintf(p->dir, sizeof(p->dir), "%.*s",
	    slash != NULL ? (int)(slash - path) + 1 : 1,
	    slash != NULL ? path : ".");
}

/* Opens a regular file; never waits for a FIFO. */
static int
regular_open(int dir, const char *name, struct stat *st)
{
	int fd = openat(dir, name,
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

/* What lies between prefix and suffix in name, as an age. */
static enum scheme
age_read(const char *name, const char *prefix, size_t prefix_len,
    const char *suffix, char *age, size_t size)
{
	size_t len = strlen(name), suffix_len = strlen(suffix), digits = 0;
	size_t n, i;

	if (len < prefix_len + 1 + suffix_len + 1 ||
	    strncmp(name, prefix, prefix_len) != 0 ||
	    strcmp(name + len - suffix_len, suffix) != 0 ||
	    strchr(".-_", name[prefix_len]) == NULL)
		return SCHEME_NONE;
	name += prefix_len + 1;
	n = len - prefix_len - 1 - suffix_len;
	for (i = 0; i < n; i++) {
		if (isdigit((unsigned char)name[i]))
			digits++;
		else if (strchr(".-_:T", name[i]) == NULL)
			return SCHEME_NONE;
	}
	if (digits == 0 || n >= size)
		return SCHEME_NONE;
	memcpy(age, name, n);
	age[n] = '\0';
	return digits == n && n <= 3 ? SCHEME_COUNTER : SCHEME_DATE;
}

/* BASE.1, BASE-20261121, and with the extension after: mail-20261121.log. */
static void
candidate_scheme(struct candidate *c, const char *base)
{
	const char *dot = strrchr(base, '.');

	c->scheme = age_read(c->name, base, strlen(base), "", c->age,
	    sizeof(c->age));
	if (c->scheme == SCHEME_NONE && dot != NULL && dot != base)
		c->scheme = age_read(c->name, base, (size_t)(dot - base), dot,
		    c->age, sizeof(c->age));
}

int
rotated_time_order(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

/* Which of two rotated files is the older one: it comes first. */
static int
age_order(const struct candidate *a, const struct candidate *b)
{
	if (a->scheme == SCHEME_NONE || a->scheme != b->scheme)
		return rotated_time_order(&a->st.st_mtim, &b->st.st_mtim);
	if (a->scheme == SCHEME_COUNTER && strlen(a->age) != strlen(b->age))
		return strlen(a->age) > strlen(b->age) ? -1 : 1;
	return a->scheme == SCHEME_COUNTER ? strcmp(b->age, a->age) :
					     strcmp(a->age, b->age);
}

static bool
later(const struct candidate *c, const struct candidate *than)
{
	return age_order(c, than) > 0;
}

/* The next regular file of a directory. */
static bool
candidate_read(DIR *dir, const char *base, struct candidate *c)
{
	const struct dirent *e;

	while ((e = readdir(dir)) != NULL) {
		if ((e->d_type != DT_REG && e->d_type != DT_UNKNOWN) ||
		    (size_t)snprintf(c->name, sizeof(c->name), "%s",
			e->d_name) >= sizeof(c->name))
			continue;
		if (fstatat(dirfd(dir), c->name, &c->st,
			AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(c->st.st_mode)) {
			candidate_scheme(c, base);
			return true;
		}
	}
	return false;
}

/* Opens it if it is the mark's file or its copy. */
static int
candidate_match(DIR *dir, struct candidate *c, const struct rotated_mark *m,
    bool copy)
{
	int fd;

	if ((!copy && c->st.st_ino != m->ino) ||
	    (uint64_t)c->st.st_size < m->offset)
		return -1;
	fd = regular_open(dirfd(dir), c->name, &c->st);
	if (fd < 0 && !copy && errno != ENOENT)
		log_warning("%s: %s", c->name, strerror(errno));
	if (fd >= 0 && !rotated_is(fd, &c->st, m, copy)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Among copies, one that is called like one, then the latest. */
static bool
better_copy(const struct candidate *c, const struct candidate *best)
{
	if ((c->scheme != SCHEME_NONE) != (best->scheme != SCHEME_NONE))
		return c->scheme != SCHEME_NONE;
	return rotated_time_order(&c->st.st_mtim, &best->st.st_mtim) > 0;
}

/* One look through the directory. */
static int
find_once(DIR *dir, const struct place *p, const struct rotated_mark *m,
    struct stat *st)
{
	struct candidate c, best;
	int copy, fd, found = -1;

	for (copy = 0; copy <= 1 && found < 0; copy++) {
		rewinddir(dir);
		while (candidate_read(dir, p->base, &c)) {
			/* With nothing read, only the name tells it from
			 * another file that got its inode. */
			if (strcmp(c.name, p->base) == 0 ||
			    (m->head == 0 && c.scheme == SCHEME_NONE &&
				strncmp(c.name, p->base, strlen(p->base)) != 0))
				continue;
			fd = candidate_match(dir, &c, m, copy);
			if (fd < 0)
				continue;
			if (found < 0 || better_copy(&c, &best)) {
				if (found >= 0)
					close(found);
				found = fd;
				best = c;
			} else
				close(fd);
		}
	}
	if (found >= 0)
		*st = best.st;
	return found;
}

int
rotated_find(const char *path, const struct rotated_mark *m, struct stat *st)
{
	struct place p;
	DIR *dir;
	int fd, i;

	place_of(path, &p);
	dir = opendir(p.dir);
	if (dir == NULL)
		return -1;
	fd = find_once(dir, &p, m, st);
	for (i = 0; fd < 0 && i < 2; i++)
		fd = find_once(dir, &p, m, st);
	closedir(dir);
	return fd;
}

/* The mark's file as a candidate: what is known of it. */
static void
standing_find(DIR *dir, const struct place *p, const struct rotated_mark *m,
    struct candidate *standing)
{
	int fd = -1;

	rewinddir(dir);
	while (fd < 0 && candidate_read(dir, p->base, standing))
		if (strcmp(standing->name, p->base) != 0)
			fd = candidate_match(dir, standing, m, false);
	if (fd >= 0)
		close(fd);
	else
		memset(standing, 0, sizeof(*standing));
	if (rotated_time_order(&standing->st.st_mtim, &m->newest) < 0)
		standing->st.st_mtim = m->newest;
}

/*
 * The oldest one that is later than `standing`. By whatever name, one that was
 * not written to since has been read, or is none of these.
 */
static bool
next_once(DIR *dir, const struct place *p, const struct candidate *standing,
    const struct rotated_mark *m, struct candidate *best)
{
	struct candidate c;
	bool found = false;

	rewinddir(dir);
	while (candidate_read(dir, p->base, &c)) {
		if (c.scheme == SCHEME_NONE || c.st.st_size == 0 ||
		    !later(&c, standing) ||
		    c.st.st_mtim.tv_sec + SLACK < m->newest.tv_sec)
			continue;
		if (!found || later(best, &c))
			*best = c;
		found = true;
	}
	return found;
}

/* The same, when two looks at the directory agree; and it is opened. */
static int
next_open(DIR *dir, const struct place *p, const struct candidate *passed,
    const struct rotated_mark *m, struct candidate *best)
{
	struct candidate standing;
	ino_t last = 0, ino;
	bool found, agree = false;
	int fd, i;

	for (i = 0; i < ATTEMPTS && !agree; i++) {
		standing_find(dir, p, m, &standing);
		found = next_once(dir, p, passed != NULL ? passed : &standing,
		    m, best);
		ino = found ? best->st.st_ino : 0;
		agree = i > 0 && ino == last;
		last = ino;
		if (!agree || !found)
			continue;
		ino = best->st.st_ino;
		fd = regular_open(dirfd(dir), best->name, &best->st);
		if (fd >= 0 && best->st.st_ino == ino)
			return fd;
		if (fd < 0 && errno != ENOENT)
			return -1;
		if (fd >= 0)
			close(fd);
		agree = false; /* renamed meanwhile */
	}
	best->name[0] = '\0';
	return -1;
}

int
rotated_next(const char *path, const struct rotated_mark *m, struct stat *st)
{
	struct candidate best, passed;
	struct place p;
	DIR *dir;
	int fd;

	place_of(path, &p);
	dir = opendir(p.dir);
	if (dir == NULL)
		return -1;
	fd = next_open(dir, &p, NULL, m, &best);
	while (fd < 0 && best.name[0] != '\0') {
		log_warning("%s%s: %s: passed over", p.dir, best.name,
		    strerror(errno));
		passed = best;
		fd = next_open(dir, &p, &passed, m, &best);
	}
	closedir(dir);
	*st = best.st;
	return fd;
}
