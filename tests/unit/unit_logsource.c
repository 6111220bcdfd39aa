/* Log files over every kind of rotation, standard input, waiting. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "logs/logsource.h"
#include "logs/rotated.h"
#include "store/store.h"
#include "base/tool.h"

_Static_assert(LOGSOURCE_POSITION_MAX == STORE_TEXT_MAX, "a position's size");

static char mail[128]; /* path of the log */
static char position[LOGSOURCE_POSITION_MAX];
static char got[4 * 1024 * 1024]; /* what was read */
static size_t got_len;
static int warnings;
static char warning[LOG_LINE_MAX];
static char error[LOGSOURCE_ERROR_MAX];

static void
warned(enum log_level level, const char *line)
{
	if (level == LOG_LEVEL_WARNING) {
		warnings++;
		snprintf(warning, sizeof(warning), "%s", line);
	}
}

static const char *
path(const char *name)
{
	static char out[2][256];
	static int turn;

	turn = !turn;
	snprintf(out[turn], sizeof(out[turn]), "%s/%s", unit_dir, name);
	return out[turn];
}

/* A scratch directory for each test. */
static int
setup(void **state)
{
	if (unit_dir_make(state) != 0)
		return 1;
	snprintf(mail, sizeof(mail), "%s/mail.log", unit_dir);
	position[0] = '\0';
	got_len = 0;
	warnings = 0;
	log_open("unit", "none", LOG_LEVEL_INFO);
	log_handler(warned);
	return 0;
}

static int
teardown(void **state)
{
	log_handler(NULL);
	return unit_dir_remove(state);
}

static void
append_bytes(const char *name, const char *bytes, size_t len)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_APPEND, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void
append(const char *name, const char *text)
{
	append_bytes(name, text, strlen(text));
}

static void
move(const char *from, const char *to)
{
	assert_int_equal(rename(path(from), path(to)), 0);
}

static void
remove_file(const char *name)
{
	assert_int_equal(unlink(path(name)), 0);
}

static void
copy(const char *from, const char *to)
{
	char buf[8192];
	int fd = open(path(from), O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		append_bytes(to, buf, (size_t)n);
	close(fd);
}

static void
copytruncate(const char *to)
{
	copy("mail.log", to);
	assert_int_equal(truncate(mail, 0), 0);
}

/*
 * Waits until a file that is written has a later time than those before: what
 * the kernel gives as such is fine for some writes and coarse for others.
 */
static void
clock_steps(void)
{
	struct timespec begun, now;

	clock_gettime(CLOCK_REALTIME, &begun);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (rotated_time_order(&now, &begun) <= 0);
}

/* Writes to a file, later than to all others. */
static void
append_later(const char *name, const char *text)
{
	clock_steps();
	append(name, text);
}

/* Its last write was so many seconds from now. */
static void
written(const char *name, long seconds)
{
	struct timespec t[2];

	clock_gettime(CLOCK_REALTIME, &t[0]);
	t[0].tv_sec += seconds;
	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, path(name), t, 0), 0);
}

static struct logsource *
source(bool follow)
{
	struct logsource *s = logsource_open(mail, position, 86400, follow,
	    error, sizeof(error));

	if (s == NULL)
		fail_msg("%s", error);
	return s;
}

/* Reads all there is at present, after what was read. */
static void
read_all(struct logsource *s)
{
	const char *text;
	size_t len;
	int rc;

	while ((rc = logsource_read(s, &text, &len)) > 0) {
		assert_true(len > 0 && text[len - 1] == '\n');
		assert_true(got_len + len < sizeof(got));
		memcpy(got + got_len, text, len);
		got_len += len;
	}
	got[got_len] = '\0';
	if (rc < 0)
		fail_msg("%s", logsource_error(s));
}

static void
keep_position(const struct logsource *s)
{
	logsource_position(s, position, sizeof(position));
	assert_true(strlen(position) < sizeof(position) - 1);
	assert_true(position[strspn(position, " ")] == position[0]);
}

/* What a scan reads from the stored position on; it is stored anew. */
static void
scan(const char *expected)
{
	struct logsource *s = source(false);

	got_len = 0;
	read_all(s);
	keep_position(s);
	logsource_close(s);
	assert_string_equal(got, expected);
}

/* --- one file --- */

static void
grows(void **state)
{
	(void)state;
	append("mail.log", "");
	scan("");
	append("mail.log", "one\ntwo\n");
	scan("one\ntwo\n");
	scan("");
	append("mail.log", "three\nfou");
	scan("three\n");
	scan("");
	append("mail.log", "r\n");
	scan("four\n");
	assert_int_equal(warnings, 0);
}

/* Reading changes nothing: an old position gives the same lines. */
static void
again(void **state)
{
	char old[sizeof(position)];

	(void)state;
	append("mail.log", "one\n");
	scan("one\n");
	memcpy(old, position, sizeof(old));
	append("mail.log", "two\nthree\n");
	scan("two\nthree\n");
	memcpy(position, old, sizeof(old));
	scan("two\nthree\n");
	position[0] = '\0';
	scan("one\ntwo\nthree\n");
}

/* A byte order mark is passed over at the beginning of a file, nowhere else. */
static void
byte_order_mark(void **state)
{
	(void)state;
	append("mail.log", "\xef\xbb\xbf" "one\n");
	scan("one\n");
	append("mail.log", "\xef\xbb\xbf" "two\n");
	scan("\xef\xbb\xbf" "two\n");
	move("mail.log", "mail.log.1");
	append("mail.log", "\xef\xbb\xbf");
	scan("");
	append("mail.log", "\nthree\n");
	scan("\nthree\n");
	position[0] = '\0';
	scan("\nthree\n");
	assert_int_equal(warnings, 0);
}

/* While it is read, in one and the same source. */
static void
grows_meanwhile(void **state)
{
	struct logsource *s;

	(void)state;
	append("mail.log", "one\ntw");
	s = source(true);
	read_all(s);
	append("mail.log", "o\nthree");
	read_all(s);
	append("mail.log", "\nfour\n");
	read_all(s);
	keep_position(s);
	logsource_close(s);
	assert_string_equal(got, "one\ntwo\nthree\nfour\n");
	scan("");
}

/* Lines about as long as the buffer, and much longer; each other is whole. */
static void
long_lines(void **state)
{
	static const size_t sizes[] = { 131071, 131072, 262142, 262143, 262144,
		262145, 300000, 1048576 };
	static char line[1048577];
	struct logsource *s;
	const char *p, *nl;
	char mark[16];
	size_t i, cut = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[3] = '\0';
	for (i = 0; i < COUNT(sizes); i++) {
		line[sizes[i] - 1] = '\n';
		append_bytes("mail.log", line, sizes[i]);
		line[sizes[i] - 1] = 'x';
		snprintf(mark, sizeof(mark), "after %zu\n", i);
		append("mail.log", mark);
	}
	s = source(false);
	read_all(s);
	logsource_close(s);
	for (i = 0, p = got; i < COUNT(sizes); i++) {
		nl = memchr(p, '\n', got_len - (size_t)(p - got));
		assert_non_null(nl);
		assert_memory_equal(p, "xxx\0xxx", 7);
		if ((size_t)(nl - p) + 1 != sizes[i]) {
			assert_int_equal(nl - p, 131071);
			assert_true(sizes[i] >= 262144);
			cut++;
		}
		p = nl + 1;
		snprintf(mark, sizeof(mark), "after %zu\n", i);
		assert_memory_equal(p, mark, strlen(mark));
		p += strlen(mark);
	}
	assert_true(cut >= 3 && p == got + got_len);
}

/* A position is never within a line: its rest would be a line of its own. */
static void
long_line_positions(void **state)
{
	static char line[700000];
	struct logsource *s;
	const char *text;
	size_t len, i;

	(void)state;
	memset(line, 'x', sizeof(line));
	append_bytes("mail.log", line, sizeof(line)); /* no end yet */
	scan("");
	append("mail.log", "y\nnext\n");
	for (i = 0; i < 2; i++) {
		s = source(false);
		assert_int_equal(logsource_read(s, &text, &len), 1);
		keep_position(s);
		if (i == 0) {
			assert_int_equal(len, 131072);
			assert_int_equal(text[0], 'x');
		}
		logsource_close(s);
	}
	assert_int_equal(len, 5);
	/* Moved away without its end. */
	append_bytes("mail.log", line, sizeof(line));
	move("mail.log", "mail.log.1");
	append("mail.log", "new\n");
	s = source(false);
	got_len = 0;
	read_all(s);
	assert_int_equal(got_len, 131072 + 4);
	assert_string_equal(got + 131072, "new\n");
	logsource_close(s);
}

/* --- rotation --- */

/* By rename, whatever the new name. */
static void
renamed(void **state)
{
	static const char *const names[] = { "mail.log.1",
		"mail.log-20261121", "mail.log.20261121-042048",
		"mail-20261121.log", "mail.1.log", "old", ".x", "\xff\x01 z" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++) {
		append("mail.log", "one\n");
		position[0] = '\0';
		scan("one\n");
		append("mail.log", "two\n");
		move("mail.log", names[i]);
		scan("two\n"); /* nothing has the name */
		append("mail.log", "");
		append(names[i], "late\n");
		scan("late\n"); /* the writer has not opened the new one yet */
		append("mail.log", "three\n");
		scan("three\n");
		scan("");
		remove_file("mail.log");
		remove_file(names[i]);
	}
	assert_int_equal(warnings, 0);
}

/* A line that had no newline yet when the file was moved away. */
static void
last_line(void **state)
{
	(void)state;
	append("mail.log", "one\ntw");
	scan("one\n");
	move("mail.log", "mail.log.1");
	scan("");
	append("mail.log", "");
	scan("");
	append("mail.log.1", "o");
	append("mail.log", "three\n");
	scan("two\nthree\n");
	scan("");
	/* Until a line of the next was read, it stands at the one before. */
	move("mail.log", "mail.log.0");
	append("mail.log", "fou");
	scan("");
	assert_non_null(strstr(position, " finished"));
	append("mail.log", "r\n");
	scan("four\n");
	assert_null(strstr(position, " finished"));
}

/* Several rotations since the last scan, read in their order. */
static void
rotations(void **state)
{
	(void)state;
	append("mail.log", "0\n");
	scan("0\n");
	append("mail.log", "1\n");
	/* Others that are no part of it, and later; an older one. */
	append("mail.log.12", "older\n");
	written("mail.log.12", -5);
	append_later("mail.err", "x\n");
	append("mail.log.1.gz", "x\n");
	append("mail.log.bak", "x\n");
	append("mail.log1", "x\n");
	append("mail.log.", "x\n");
	append("mail.log.x1", "x\n");
	append("mail.log.1x", "x\n");
	move("mail.log", "mail.log.11");
	append_later("mail.log.10", "2\n");
	append_later("mail.log.9", "");
	append_later("mail.log.2", "3\n");
	append_later("mail.log.1", "4\n");
	append_later("mail.log", "5\n");
	scan("1\n2\n3\n4\n5\n");
	scan("");
	/* By the times of the files, whatever their names. */
	move("mail.log", "mail.log-20261119");
	append_later("mail.log-20261121", "6\n");
	append_later("mail.log-20261120-2", "7\n");
	append_later("mail.20261120-0.log", "8\n");
	append("mail.log-20261122", "older\n");
	written("mail.log-20261122", -5);
	append_later("mail.log", "9\n");
	scan("6\n7\n8\n9\n");
	scan("");
	assert_int_equal(warnings, 0);
}

/* One that is written to now, of a clock that was wrong, is read once. */
static void
in_the_future(void **state)
{
	(void)state;
	append("mail.log", "0\n");
	scan("0\n");
	move("mail.log", "mail.log.3");
	append("mail.log.2", "1\n");
	append("mail.log.1", "2\n");
	append("mail.log", "3\n");
	written("mail.log.2", 500);
	written("mail.log.1", 1000);
	scan("1\n2\n3\n");
	scan("");
	append("mail.log", "4\n");
	move("mail.log", "mail.log.0");
	append("mail.log", "5\n");
	scan("4\n5\n");
	scan("");
	assert_int_equal(warnings, 0);
}

/* By another name it is found, too. */
static void
renamed_oddly(void **state)
{
	(void)state;
	append("mail.log", "0\n");
	scan("0\n");
	move("mail.log", "kept");
	append("mail.log.3", "older\n");
	written("mail.log.3", -5);
	append_later("mail.log.2", "1\n");
	append_later("mail.log.1", "2\n");
	append("mail.log", "3\n");
	scan("1\n2\n3\n");
	/* Whatever its name, what was not written to since is known. */
	append("mail.log.0", "known\n");
	written("mail.log.0", -60);
	move("mail.log", "mail.log.1");
	append("mail.log", "4\n");
	scan("4\n");
	assert_int_equal(warnings, 0);
}

static void
copied(void **state)
{
	(void)state;
	append("mail.log", "one\n");
	scan("one\n");
	append("mail.log", "two\n");
	copytruncate("mail.log.1");
	append("decoy", "other\nother\n");
	scan("two\n");
	append("mail.log", "three\n");
	scan("three\n");
	append("mail.log", "four\n");
	move("mail.log.1", "mail.log.2");
	copytruncate("mail.log.1");
	append("mail.log", "longer than it was before\n");
	scan("four\nlonger than it was before\n");
	/* Twice since the last scan, and the name is odd. */
	append("mail.log", "five\n");
	copytruncate("mail.log.x");
	append("mail.log", "six\n");
	copytruncate("mail.log.0");
	written("mail.log.0", 5);
	append("mail.log", "seven\n");
	scan("five\nsix\nseven\n");
	assert_int_equal(warnings, 0);
}

/* Read to its end, cut, and cut again before anything was read. */
static void
copied_unread(void **state)
{
	(void)state;
	append("mail.log", "one\n");
	copytruncate("mail.log.1");
	written("mail.log.1", -5);
	scan("");
	append("mail.log", "two\n");
	move("mail.log.1", "mail.log.2");
	copytruncate("mail.log.1");
	written("mail.log.1", 5);
	append("mail.log", "three\n");
	scan("two\nthree\n");
	assert_int_equal(warnings, 0);
}

static void
cut_meanwhile(void **state)
{
	struct logsource *s;

	(void)state;
	append("mail.log", "one\ntw");
	s = source(true);
	read_all(s);
	append("mail.log", "o\n");
	copytruncate("mail.log.1");
	read_all(s);
	append("mail.log", "three is more than there was\n");
	read_all(s);
	move("mail.log.1", "mail.log.2");
	copytruncate("mail.log.1");
	append("mail.log", "and this is longer again than it was\n");
	read_all(s);
	logsource_close(s);
	assert_string_equal(got,
	    "one\ntwo\nthree is more than there was\n"
	    "and this is longer again than it was\n");
}

/* What cannot be found is told once. */
static void
gone(void **state)
{
	(void)state;
	append("mail.log", "one\n");
	scan("one\n");
	append("mail.log", "two\n");
	append("mail.log.2.gz", "\x1f\x8b one two");
	remove_file("mail.log");
	append("mail.log.1", "three\n");
	written("mail.log.1", 5);
	append("mail.log.3", "older\n");
	written("mail.log.3", -5);
	append("mail.log", "four\n");
	scan("three\nfour\n");
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warning, "after byte 4 of it is not read"));
	scan("");
	assert_int_equal(warnings, 1);
	/* Cut, without any copy. */
	remove_file("mail.log.1");
	assert_int_equal(truncate(mail, 0), 0);
	scan("");
	assert_int_equal(warnings, 2);
	scan("");
	append("mail.log", "five\n");
	scan("five\n");
	assert_int_equal(warnings, 2);
}

/* Compressed after it was read to its end: nothing is missing. */
static void
compressed_later(void **state)
{
	(void)state;
	append("mail.log", "one\n");
	scan("one\n");
	move("mail.log", "mail.log.1");
	append("mail.log", "");
	scan("");
	remove_file("mail.log.1");
	append("mail.log.1.gz", "\x1f\x8b one");
	scan("");
	append("mail.log", "two\n");
	scan("two\n");
	assert_int_equal(warnings, 0);
}

/* Another file with the same inode number, shorter or longer. */
static void
inode_used_again(void **state)
{
	const char *now[] = { "a\n", "something that is longer than it was\n" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		remove(mail);
		position[0] = '\0';
		append("mail.log", "one line\n");
		scan("one line\n");
		assert_int_equal(truncate(mail, 0), 0);
		append("mail.log", now[i]);
		scan(now[i]);
		assert_int_equal(warnings, (int)i + 1);
	}
}

static void
disappears(void **state)
{
	struct logsource *s;

	(void)state;
	append("mail.log", "one\n");
	s = source(true);
	read_all(s);
	remove_file("mail.log");
	read_all(s);
	append("mail.log", "two\n");
	read_all(s);
	keep_position(s);
	logsource_close(s);
	assert_string_equal(got, "one\ntwo\n");
	/* Not there at the beginning of a scan. */
	remove_file("mail.log");
	assert_null(logsource_open(mail, position, 0, false, error,
	    sizeof(error)));
	assert_non_null(strstr(error, "mail.log: No such file"));
	append("mail.log", "three\n");
	scan("three\n");
}

/* An editor, a backup: another file with what was read at its beginning. */
static void
written_anew(void **state)
{
	char line[301];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line + sizeof(line) - 2, "\n", 2);
	append("mail.log", line);
	scan(line);
	copy("mail.log", "new");
	append("new", "two\n");
	move("mail.log", "backup");
	move("new", "mail.log");
	scan("two\n");
	assert_int_equal(warnings, 0);
}

static void
linked(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path("disk"), 0755), 0);
	append("disk/real", "one\n");
	assert_int_equal(symlink("disk/real", mail), 0);
	scan("one\n");
	append("disk/real", "two\n");
	move("disk/real", "disk/real.1");
	append("disk/real", "three\n");
	scan("two\nthree\n");
}

/* --- edited in place --- */

/* Lines from..to, which are not alike, of a kind. */
static const char *
lines(const char *kind, int from, int to)
{
	static char out[4][8192];
	static int turn;
	char *p = out[turn = (turn + 1) % 4];
	int n = 0;

	*p = '\0';
	for (; from <= to; from++)
		n += snprintf(p + n, sizeof(out[0]) - (size_t)n,
		    "%s %d is a line that is not very long\n", kind, from);
	return p;
}

enum edit { EDIT_RENAME, EDIT_BACKUP, EDIT_COPY, EDIT_REWRITE, EDITS };

/* Writes the log anew, as sed -i, sed -i.bak, or an editor does. */
static void
edit(enum edit how, const char *text)
{
	int fd;

	clock_steps();
	remove(path("mail.log.bak"));
	if (how == EDIT_BACKUP)
		move("mail.log", "mail.log.bak");
	if (how == EDIT_COPY)
		copy("mail.log", "mail.log.bak");
	if (how == EDIT_REWRITE) {
		fd = open(mail, O_WRONLY | O_TRUNC);
		assert_true(fd >= 0);
		close(fd);
		append("mail.log", text);
		return;
	}
	append("sed0x1", text);
	move("sed0x1", "mail.log");
}

/* Begins with so many lines, which are read. */
static void
edit_begin(int n)
{
	remove(mail);
	position[0] = '\0';
	append("mail.log", lines("old", 1, n));
	scan(lines("old", 1, n));
}

static void
edited(void **state)
{
	char text[16384];
	int how, n;

	(void)state;
	for (how = 0; how < EDITS; how++)
		for (n = 3; n <= 60; n += 19) {
			/* At its beginning, twice; nothing is new. */
			edit_begin(n);
			edit((enum edit)how, lines("old", 2, n));
			scan("");
			edit((enum edit)how, lines("old", 3, n));
			scan("");
			append("mail.log", lines("new", 1, 2));
			scan(lines("new", 1, 2));
			scan("");
		}
	for (how = 0; how < EDITS; how++)
		/* Something new came, so that it is shorter, or longer. */
		for (n = 1; n < 40; n += 6) {
			edit_begin(40);
			snprintf(text, sizeof(text), "%s%s",
			    lines("old", 11, 40), lines("new", 1, n));
			edit((enum edit)how, text);
			scan(lines("new", 1, n));
			scan("");
		}
	assert_int_equal(warnings, 0);
}

/* In the middle, so that its beginning is still the same. */
static void
edited_in_the_middle(void **state)
{
	char text[16384];
	int how, n;

	(void)state;
	for (how = 0; how < EDITS; how++)
		for (n = 0; n < 12; n += 3) {
			edit_begin(60);
			snprintf(text, sizeof(text), "%s%s%s",
			    lines("old", 1, 20), lines("old", 25, 60),
			    lines("new", 1, n));
			edit((enum edit)how, text);
			scan(lines("new", 1, n));
			/* And longer than it was, with the same beginning. */
			snprintf(text, sizeof(text), "%s%s%s%s",
			    lines("old", 1, 20), lines("more", 1, 9),
			    lines("old", 25, 60), lines("new", 1, n));
			edit((enum edit)how, text);
			scan("");
		}
	assert_int_equal(warnings, 0);
}

/* Lines that are all alike: the last that can be the one is taken. */
static void
edited_equal(void **state)
{
	char text[8192] = "";
	int how, i;

	(void)state;
	for (i = 0; i < 40; i++)
		strcat(text, "the same line again and again and again\n");
	for (how = 0; how < EDITS; how++) {
		remove(mail);
		position[0] = '\0';
		append("mail.log", text);
		scan(text);
		edit((enum edit)how, text + 40);
		scan("");
		append("mail.log", "another one\n");
		scan("another one\n");
	}
	assert_int_equal(warnings, 0);
}

/* While it is followed. */
static void
edited_meanwhile(void **state)
{
	struct logsource *s;
	int how, first;

	(void)state;
	for (how = 0; how < EDITS; how++) {
		remove(mail);
		position[0] = '\0';
		got_len = 0;
		append("mail.log", lines("old", 1, 60));
		s = source(true);
		read_all(s);
		got_len = 0;
		/* At its beginning; in the middle. */
		for (first = 2; first >= 1; first--) {
			char text[8192];

			snprintf(text, sizeof(text), "%s%s%s",
			    lines("old", first, 20), lines("old", 25, 60),
			    first == 1 ? lines("new", 1, 2) : "");
			edit((enum edit)how, text);
			read_all(s);
			append("mail.log", first == 2 ? "" : "");
			read_all(s);
		}
		keep_position(s);
		logsource_close(s);
		if (strcmp(got, lines("new", 1, 2)) != 0)
			fail_msg("way %d: \"%s\"", how, got);
		scan("");
	}
	assert_int_equal(warnings, 0);
}

/* A copy that was cut, after it was edited: both are found. */
static void
edited_and_rotated(void **state)
{
	int how;

	(void)state;
	for (how = 0; how < EDITS; how++) {
		edit_begin(60);
		edit((enum edit)how, lines("old", 2, 60));
		clock_steps();
		append("mail.log", lines("new", 1, 1));
		move("mail.log", "mail.log.1");
		append("mail.log", lines("new", 2, 2));
		scan(lines("new", 1, 2));
		scan("");
		append("mail.log", lines("new", 3, 3));
		move("mail.log.1", "mail.log.2");
		copytruncate("mail.log.1");
		append("mail.log", lines("new", 4, 4));
		scan(lines("new", 3, 4));
		remove_file("mail.log.1");
		remove_file("mail.log.2");
	}
	assert_int_equal(warnings, 0);
}

/* What was read last is gone, too: only what is newer counts. */
static void
edited_at_the_end(void **state)
{
	const time_t counted = time(NULL) - 100;
	struct logsource *s;
	const char *text;
	size_t len;
	int how;

	(void)state;
	for (how = 0; how < EDITS; how++) {
		if (how == EDIT_BACKUP || how == EDIT_COPY)
			continue; /* is a rotation, as far as one can see */
		remove(path("mail.log.bak"));
		remove(mail);
		position[0] = '\0';
		append("mail.log", lines("old", 1, 60));
		s = source(true);
		read_all(s);
		logsource_counted(s, counted);
		logsource_counted(s, counted - 1);
		logsource_counted(s, time(NULL) + 9999);
		assert_int_equal(logsource_after(s), 0);
		if (how == EDIT_RENAME) { /* as well while it is followed */
			keep_position(s);
			logsource_close(s);
			s = NULL;
		}
		edit((enum edit)how, lines("old", 1, 59));
		s = s == NULL ? source(false) : s;
		assert_int_equal(logsource_read(s, &text, &len), 1);
		assert_int_equal(len, strlen(lines("old", 1, 59)));
		assert_int_equal(logsource_after(s), counted);
		keep_position(s);
		assert_non_null(strstr(position, " after "));
		assert_int_equal(logsource_read(s, &text, &len), 0);
		keep_position(s);
		assert_null(strstr(position, " after "));
		logsource_close(s);
		append("mail.log", "new\n");
		s = source(false);
		assert_int_equal(logsource_read(s, &text, &len), 1);
		assert_int_equal(logsource_after(s), 0);
		logsource_close(s);
		assert_int_equal(warnings, how == EDIT_RENAME ? 1 : 2);
		assert_non_null(strstr(warning, " of it is not read, and "
		    "lines up to 20"));
	}
}

/* Replaced while it is followed, so that the old one has no name any more. */
static void
replaced_meanwhile(void **state)
{
	const time_t counted = time(NULL) - 100;
	struct logsource *s;
	const char *text;
	size_t len;

	(void)state;
	append("mail.log", lines("old", 1, 60));
	s = source(true);
	read_all(s);
	logsource_counted(s, counted);
	edit(EDIT_RENAME, lines("old", 1, 59));
	assert_int_equal(logsource_read(s, &text, &len), 1);
	assert_int_equal(logsource_after(s), counted);
	assert_int_equal(logsource_read(s, &text, &len), 0);
	/* Rotated and compressed at once: what comes then is new. */
	move("mail.log", "mail.log.1");
	assert_int_equal(logsource_read(s, &text, &len), 0);
	remove_file("mail.log.1");
	append("mail.log", "new\n");
	assert_int_equal(logsource_read(s, &text, &len), 1);
	assert_int_equal(logsource_after(s), 0);
	logsource_close(s);
	assert_int_equal(warnings, 0);
}

/* Killed before the end of the file that is read anew. */
static void
edited_and_killed(void **state)
{
	const time_t counted = time(NULL) - 100;
	struct logsource *s;
	const char *text;
	char kept[sizeof(position)];
	size_t len;
	int i;

	(void)state;
	for (i = 0; i < 200; i++)
		append("mail.log", lines("old", i * 100, i * 100 + 99));
	s = source(false);
	read_all(s);
	logsource_counted(s, counted);
	keep_position(s);
	logsource_close(s);
	edit(EDIT_RENAME, "");
	for (i = 0; i < 200; i++)
		append("mail.log", lines("other", i * 100, i * 100 + 99));
	for (i = 0; i < 3; i++) {
		s = source(false);
		assert_int_equal(logsource_read(s, &text, &len), 1);
		assert_int_equal(logsource_after(s), counted);
		logsource_counted(s, counted + 1 + i);
		keep_position(s);
		logsource_close(s);
		assert_int_equal(warnings, 1);
	}
	/* Edited before it came to its end, but where it stands is found. */
	memcpy(kept, position, sizeof(kept));
	copy("mail.log", "copy");
	assert_int_equal(truncate(mail, 0), 0);
	append("mail.log", "first\n");
	copy("copy", "mail.log");
	remove_file("copy");
	s = source(false);
	assert_int_equal(logsource_read(s, &text, &len), 1);
	assert_int_equal(logsource_after(s), counted);
	while (logsource_read(s, &text, &len) > 0)
		;
	assert_int_equal(logsource_after(s), 0);
	logsource_close(s);
	assert_int_equal(warnings, 1);
	/* And if not, what was counted meanwhile is not counted anew. */
	edit(EDIT_REWRITE, "nothing of it\n");
	memcpy(position, kept, sizeof(kept));
	s = source(false);
	assert_int_equal(logsource_read(s, &text, &len), 1);
	assert_int_equal(logsource_after(s), counted + 3);
	logsource_close(s);
	assert_int_equal(warnings, 2);
}

/* A position that an older release has written is as good as it was. */
static void
without_tail(void **state)
{
	char *tail;

	(void)state;
	edit_begin(60);
	tail = strstr(position, " tail ");
	assert_non_null(tail);
	*tail = '\0';
	append("mail.log", lines("new", 1, 1));
	scan(lines("new", 1, 1));
	assert_non_null(strstr(position, " tail "));
	assert_int_equal(warnings, 0);
	*strstr(position, " tail ") = '\0';
	edit(EDIT_RENAME, lines("old", 2, 60));
	scan(lines("old", 2, 60));
	assert_int_equal(warnings, 1);
}

/* --- what is refused --- */

static void
refused(const char *what, const char *why)
{
	assert_null(logsource_open(what, position, 0, false, error,
	    sizeof(error)));
	assert_non_null(strstr(error, what));
	if (strstr(error, why) == NULL)
		fail_msg("%s", error);
}

static void
no_files(void **state)
{
	(void)state;
	refused(unit_dir, "Is a directory");
	refused("/dev/null", "not a regular file");
	assert_int_equal(mkfifo(path("fifo"), 0600), 0);
	refused(path("fifo"), "not a regular file");
	assert_int_equal(symlink("/dev/zero", path("link")), 0);
	refused(path("link"), "not a regular file");
	refused(mail, "No such file");
	refused("mail.log", "not an absolute path");
	refused("", "not an absolute path");
	append("mail.log", "one\n");
	scan("one\n");
	remove_file("mail.log");
	assert_int_equal(mkfifo(mail, 0600), 0);
	refused(mail, "not a regular file");
}

static void
not_readable(void **state)
{
	const uid_t me = geteuid();

	(void)state;
	append("mail.log", "one\n");
	assert_int_equal(chmod(mail, 0), 0);
	assert_int_equal(chmod(unit_dir, 0755), 0);
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	refused(mail, "Permission denied");
	if (me == 0)
		assert_int_equal(seteuid(me), 0);
	assert_int_equal(chmod(mail, 0644), 0);
	scan("one\n");
	/* One between that cannot be read is told, and passed over. */
	move("mail.log", "mail.log.3");
	append_later("mail.log.2", "secret\n");
	append_later("mail.log.1", "two\n");
	append("mail.log", "three\n");
	assert_int_equal(chmod(path("mail.log.2"), 0), 0);
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	scan("two\nthree\n");
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warning, "mail.log.2: Permission denied"));
	scan("");
	assert_int_equal(warnings, 1);
	if (me == 0)
		assert_int_equal(seteuid(me), 0);
}

/* A position is data: what is not exactly what was written is an error. */
static void
positions(void **state)
{
	static const char *const bad[] = { "x", "file", "file ",
		"file 1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000 ",
		" file 1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000",
		"file 1 2 3 2 0123456789abcdef0123456789abcdef 1.000000000",
		"file 1 2 300 257 0123456789abcdef0123456789abcdef 1.000000000",
		"file 1 2 300 255 0123456789abcdef0123456789abcdef 1.000000000",
		"file -1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000",
		"file +1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000",
		"file 01 2 3 3 0123456789abcdef0123456789abcdef 1.000000000",
		"file 1  2 3 3 0123456789abcdef0123456789abcdef 1.000000000",
		"file 18446744073709551616 2 3 3 "
		"0123456789abcdef0123456789abcdef 1.000000000",
		"file 1 2 9223372036854775808 256 "
		"0123456789abcdef0123456789abcdef 1.000000000",
		"file 1 2 3 3 0123456789abcdef0123456789abcde 1.000000000",
		"file 1 2 3 3 0123456789abcdef0123456789abcdefa 1.000000000",
		"file 1 2 3 3 0123456789ABCDEF0123456789abcdef 1.000000000",
		"file 1 2 3 3 0123456789abcdef0123456789abcdef 1.00000000",
		"file 1 2 3 3 0123456789abcdef0123456789abcdef 1.0000000000",
		"file 1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000 f",
		"file 1 2 3 3 0123456789abcdef0123456789abcdef 1",
#define OLD "file 1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000"
#define SUMS " 0123456789abcdef 0123456789abcdef0123456789abcdef"
		OLD " tail", OLD " tail 0" SUMS, OLD " tail 4" SUMS,
		OLD " tail 3 0123456789abcde "
		"0123456789abcdef0123456789abcdef",
		OLD " tail 3" SUMS "0", OLD " tail 3" SUMS " ",
		OLD " last 0", OLD " last", OLD " last -1", OLD " after 0",
		OLD " last 01", OLD " after 1 last 1", OLD " last 1 last 1",
		OLD " last 1 tail 3" SUMS, OLD " finished finished",
		OLD " finished last 1", OLD " last 9223372036854775808",
		"file 1 2 600 256 0123456789abcdef0123456789abcdef 1.000000000"
		" tail 513" SUMS,
		"journal s=1" };
	static const char *const good[] = {
		"file 1 2 3 3 0123456789abcdef0123456789abcdef 1.000000000",
		"file 0 0 0 0 0123456789abcdef0123456789abcdef 0.000000001",
		"file 18446744073709551615 18446744073709551615 "
		"9223372036854775807 256 0123456789abcdef0123456789abcdef "
		"9223372036854775807.999999999 finished",
		OLD " tail 3" SUMS, OLD " last 1", OLD " after 1 finished",
		"file 18446744073709551615 18446744073709551615 "
		"9223372036854775807 256 0123456789abcdef0123456789abcdef "
		"9223372036854775807.999999999 tail 512" SUMS
		" last 9223372036854775807 after 9223372036854775807"
		" finished" };
	char long_one[1000], text[256];
	struct rotated_mark m;
	size_t i;

	(void)state;
	append("mail.log", "one\n");
	for (i = 0; i < COUNT(bad); i++) {
		snprintf(position, sizeof(position), "%s", bad[i]);
		refused(mail, "position cannot be understood");
	}
	for (i = 0; i < COUNT(good); i++) {
		assert_true(rotated_mark_parse(good[i], &m));
		rotated_mark_format(&m, text, sizeof(text));
		assert_string_equal(text, good[i]);
	}
	memset(long_one, '1', sizeof(long_one) - 1);
	long_one[sizeof(long_one) - 1] = '\0';
	memcpy(long_one, "file ", 5);
	assert_false(rotated_mark_parse(long_one, &m));
	/* One that is well formed but of no file: told, then from 0. */
	snprintf(position, sizeof(position), "%s", good[0]);
	scan("one\n");
	assert_int_equal(warnings, 1);
}

/* --- standard input --- */

/* Hands bytes to standard input; -1 closes it. */
static int
stdin_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(dup2(fds[0], 0), 0);
	close(fds[0]);
	return fds[1];
}

static void
standard_input(void **state)
{
	int out = stdin_pipe(), saved_null;
	struct logsource *s;
	struct timespec before, after;

	(void)state;
	assert_int_equal(write(out, "one\ntwo\nthr", 11), 11);
	s = logsource_open("-", "", 0, true, error, sizeof(error));
	assert_non_null(s);
	read_all(s);
	assert_string_equal(got, "one\ntwo\n");
	assert_false(logsource_over(s));
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(logsource_wait(&s, 1, 50, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
		(after.tv_nsec - before.tv_nsec) / 1000000 >= 49);
	assert_int_equal(write(out, "ee\nfour", 7), 7);
	assert_int_equal(logsource_wait(&s, 1, 10000, NULL), 1);
	read_all(s);
	assert_string_equal(got, "one\ntwo\nthree\n");
	close(out);
	read_all(s);
	assert_string_equal(got, "one\ntwo\nthree\nfour\n");
	assert_true(logsource_over(s));
	logsource_position(s, position, sizeof(position));
	assert_string_equal(position, "");
	logsource_close(s);
	saved_null = open("/dev/null", O_RDONLY);
	dup2(saved_null, 0);
	close(saved_null);
}

static void
standard_input_marked(void **state)
{
	int out = stdin_pipe(), null;
	struct logsource *s;

	(void)state;
	assert_int_equal(write(out, "\xef\xbb", 2), 2);
	s = logsource_open("-", "", 0, true, error, sizeof(error));
	assert_non_null(s);
	read_all(s);
	assert_int_equal(write(out, "\xbf" "one\n", 5), 5);
	read_all(s);
	assert_int_equal(write(out, "\xef\xbb\xbf" "two\n", 7), 7);
	close(out);
	read_all(s);
	assert_string_equal(got, "one\n\xef\xbb\xbf" "two\n");
	logsource_close(s);
	null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	close(null);
}

static void *
pipe_writer(void *arg)
{
	const int out = *(int *)arg;
	static char line[600000];
	ssize_t n;
	size_t done;

	memset(line, 'x', sizeof(line));
	memcpy(line, "a\n", 2);
	memcpy(line + sizeof(line) - 5, "\nb\nc", 4);
	line[sizeof(line) - 1] = 'd';
	for (done = 0; done < sizeof(line); done += (size_t)n) {
		n = write(out, line + done, sizeof(line) - done);
		assert_true(n > 0);
	}
	close(out);
	return NULL;
}

/* Not followed, it is waited for its end; a line too long is cut. */
static void
standard_input_long(void **state)
{
	int out = stdin_pipe();
	struct logsource *s;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, pipe_writer, &out), 0);
	s = logsource_open("-", "", 0, false, error, sizeof(error));
	read_all(s);
	pthread_join(writer, NULL);
	assert_true(logsource_over(s));
	logsource_close(s);
	assert_memory_equal(got, "a\nxxx", 5);
	assert_true(got_len > 131072 && got_len < 300000);
	assert_string_equal(got + got_len - 6, "\nb\ncd\n");
}

/* --- compressed --- */

/* Runs a command in the scratch directory. */
static void
shell(const char *command)
{
	char line[512];

	signal(SIGCHLD, SIG_DFL);
	snprintf(line, sizeof(line), "cd %s && { %s; } 2>/dev/null", unit_dir,
	    command);
	assert_int_equal(system(line), 0);
}

/* Reads a compressed file; true when it was read to its end. */
static bool
unpacked(const char *name)
{
	struct logsource *s = logsource_unpack(path(name), error,
	    sizeof(error));
	const char *text;
	size_t len;
	int rc;

	got_len = 0;
	got[0] = '\0';
	if (s == NULL)
		return false;
	while ((rc = logsource_read(s, &text, &len)) > 0) {
		assert_true(len > 0 && text[len - 1] == '\n');
		if (got_len + len < sizeof(got)) {
			memcpy(got + got_len, text, len);
			got_len += len;
		}
	}
	got[got_len] = '\0';
	assert_true(logsource_over(s));
	if (rc < 0)
		snprintf(error, sizeof(error), "%s", logsource_error(s));
	logsource_close(s);
	return rc == 0;
}

static void
compressed(void **state)
{
	static const char *const kinds[][3] = {
		{ "gzip", "mail.log.gz", "gzip" },
		{ "xz", "mail.log.xz", "xz-utils" },
		{ "zstd", "mail.log.zst", "zstd" },
		{ "bzip2", "mail.log.bz2", "bzip2" } };
	const char *paths = tool_path;
	char command[256];
	size_t i;

	(void)state;
	append("mail.log", lines("old", 1, 60));
	append("mail.log", "without end");
	shell("cat mail.log > expected; echo >> expected;"
	      "yes 0123456789abcdef | awk '{print rand(), $0}' | head -30000 "
	      "> large");
	for (i = 0; i < COUNT(kinds); i++) {
		snprintf(command, sizeof(command),
		    "%s -c mail.log > %s; cp %s .odd; %s -c large | "
		    "head -c 60000 > cut",
		    kinds[i][0], kinds[i][1], kinds[i][1], kinds[i][0]);
		shell(command);
		assert_true(unpacked(kinds[i][1]));
		assert_memory_equal(got, lines("old", 1, 60), got_len - 12);
		assert_string_equal(got + got_len - 12, "without end\n");
		/* By what is in it, not by its name. */
		assert_string_equal(logsource_packed(path(".odd")),
		    kinds[i][0]);
		assert_true(unpacked(".odd"));
		refused(path(kinds[i][1]), "only `scan --dry-run' reads it");
		refused(path(".odd"), kinds[i][0]);
		/* What was whole of one that was cut, or is damaged. */
		assert_false(unpacked("cut"));
		assert_non_null(strstr(error, "cut: not all of it could be "
		    "read, damaged or cut short"));
		assert_true(strcmp(kinds[i][0], "bzip2") == 0 ||
		    got_len > 1000);
		snprintf(command, sizeof(command), "head -c 1 %s > cut%s; "
		    "head -c 60 %s > damaged; echo xxxxxxxxxx >> damaged",
		    kinds[i][1], strchr(kinds[i][1] + 5, '.'), kinds[i][1]);
		shell(command);
		snprintf(command, sizeof(command), "cut%s",
		    strchr(kinds[i][1] + 5, '.'));
		assert_false(unpacked(command));
		assert_false(unpacked("damaged"));
		/* The program is not there. */
		tool_path = unit_dir;
		assert_false(unpacked(kinds[i][1]));
		tool_path = paths;
		snprintf(command, sizeof(command), "%s: not found in %s: is "
		    "the package %s installed", kinds[i][0], unit_dir,
		    kinds[i][2]);
		assert_non_null(strstr(error, command));
	}
}

/* Plain text is what it is, whatever its name. */
static void
not_compressed(void **state)
{
	static const char *const texts[] = { "one\n", "BZh9 is a word\n",
		"\x1f", "BZ" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		remove(mail);
		append("mail.log", texts[i]);
		assert_null(logsource_packed(mail));
	}
	append("plain.gz", "one\n");
	assert_null(logsource_packed(path("plain.gz")));
	assert_null(logsource_packed(unit_dir));
	assert_null(logsource_packed(path("none.gz")));
	assert_null(logsource_packed("-"));
	assert_int_equal(mkfifo(path("fifo.gz"), 0600), 0);
	assert_null(logsource_packed(path("fifo.gz")));
	assert_null(logsource_unpack(path("fifo.gz"), error, sizeof(error)));
}

/* Much more in it than memory should be taken for; a line without end. */
static void
compressed_bomb(void **state)
{
	struct rusage before, after;
	struct logsource *s;
	const char *text;
	size_t len;

	(void)state;
	shell("{ echo first; head -c 300000000 /dev/zero; echo; echo last; } |"
	      "gzip -1 > bomb.gz");
	getrusage(RUSAGE_SELF, &before);
	assert_true(unpacked("bomb.gz"));
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 20000); /* kB */
	assert_memory_equal(got, "first\n", 6);
	assert_true(got_len < 400000);
	assert_string_equal(got + got_len - 6, "\nlast\n");
	/* Left in the middle: the program is ended, nothing stays. */
	s = logsource_unpack(path("bomb.gz"), error, sizeof(error));
	assert_non_null(s);
	assert_int_equal(logsource_read(s, &text, &len), 1);
	logsource_close(s);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* On standard input it cannot be looked for, only seen when it comes. */
static void
compressed_input(void **state)
{
	int out = stdin_pipe(), saved_null;
	struct logsource *s;
	const char *text;
	size_t len;

	(void)state;
	assert_int_equal(write(out, "\x1f\x8b\x08 x\n y", 8), 8);
	close(out);
	s = logsource_open("-", "", 0, false, error, sizeof(error));
	assert_non_null(s);
	assert_int_equal(logsource_read(s, &text, &len), -1);
	assert_non_null(strstr(logsource_error(s),
	    "standard input: compressed (gzip)"));
	logsource_close(s);
	saved_null = open("/dev/null", O_RDONLY);
	dup2(saved_null, 0);
	close(saved_null);
}

/* --- waiting --- */

/* Whatever happens to the file, it is noticed; and what does not, is not. */
static void
waits(void **state)
{
	struct logsource *s;
	int rounds;

	(void)state;
	append("mail.log", "one\n");
	s = source(true);
#define WAIT_FOR(text)                                                        \
	do {                                                                  \
		for (rounds = 0; strstr(got, text) == NULL; rounds++) {       \
			assert_true(rounds < 10);                             \
			assert_int_equal(logsource_wait(&s, 1, 10000, NULL),  \
			    1);                                               \
			read_all(s);                                          \
		}                                                             \
		while (logsource_wait(&s, 1, 0, NULL) == 1)                   \
			read_all(s);                                          \
		assert_int_equal(logsource_wait(&s, 1, 20, NULL), 0);         \
	} while (0)
	got[0] = '\0';
	WAIT_FOR("one\n");
	append("mail.log", "two\n");
	WAIT_FOR("two\n");
	append("mail.err", "x\n");
	append("mail.log", "three\n");
	move("mail.log", "mail.log.1");
	WAIT_FOR("three\n");
	append("mail.log", "");
	append("mail.log.1", "late\n");
	WAIT_FOR("late\n");
	append("mail.log", "four\n");
	WAIT_FOR("four\n");
	move("mail.log.1", "mail.log.2");
	copytruncate("mail.log.1");
	append("mail.log", "five\n");
	WAIT_FOR("five\n");
	remove_file("mail.log");
	while (logsource_wait(&s, 1, 20, NULL) == 1)
		read_all(s);
	append("mail.log", "six\n");
	WAIT_FOR("six\n");
	logsource_close(s);
	assert_string_equal(got, "one\ntwo\nthree\nlate\nfour\nfive\nsix\n");
}

static void
on_signal(int sig)
{
	(void)sig;
}

/* A signal ends it, also one that came just before. */
static void
wait_signal(void **state)
{
	struct logsource *s;
	sigset_t block, mask;

	(void)state;
	append("mail.log", "one\n");
	s = source(true);
	read_all(s);
	while (logsource_wait(&s, 1, 0, NULL) == 1)
		read_all(s);
	signal(SIGUSR1, on_signal);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, &mask);
	raise(SIGUSR1);
	assert_int_equal(logsource_wait(&s, 1, 60000, &mask), -1);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	logsource_close(s);
}

/* --- at random --- */

static unsigned seed;

static unsigned
chance(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

/* What writes the log, and how it is rotated. */
static struct {
	long lines; /* written */
	long rotations;
	char partial[64]; /* the rest of a line that was begun */
} writer;

enum way { BY_NUMBER, BY_DATE, BY_COPY, BY_ODD_NAME, WAYS };

static void
shift_numbers(void)
{
	char from[32], to[32];
	long i;

	for (i = writer.rotations; i > 0; i--) {
		snprintf(from, sizeof(from), "mail.log.%ld", i);
		snprintf(to, sizeof(to), "mail.log.%ld", i + 1);
		if (access(path(from), F_OK) == 0)
			move(from, to);
	}
}

static void
rotate(enum way way)
{
	char name[32];

	if (writer.partial[0] != '\0') {
		append("mail.log", writer.partial);
		writer.partial[0] = '\0';
	}
	if (way == BY_NUMBER || way == BY_COPY)
		shift_numbers();
	writer.rotations++;
	snprintf(name, sizeof(name), way == BY_DATE ? "mail.log-%ld" :
		way == BY_ODD_NAME ? "kept as %ld" : "mail.log.1",
	    way == BY_DATE ? 20260000 + writer.rotations : writer.rotations);
	if (way == BY_COPY)
		copytruncate(name);
	else
		move("mail.log", name);
	/* Writers open the new file a little later. */
	if (way != BY_COPY && chance(2)) {
		char line[64];

		snprintf(line, sizeof(line), "line %ld\n", writer.lines++);
		append(name, line);
	}
	clock_steps();
	if (chance(2))
		append("mail.log", "");
}

static void
write_lines(void)
{
	unsigned n = chance(6) == 0 ? 400 : chance(6);
	char line[64];
	size_t cut;

	append("mail.log", writer.partial);
	writer.partial[0] = '\0';
	while (n-- > 0) {
		snprintf(line, sizeof(line), "line %ld\n", writer.lines++);
		if (n == 0 && chance(3) == 0) {
			cut = chance((unsigned)strlen(line));
			snprintf(writer.partial, sizeof(writer.partial), "%s",
			    line + cut);
			line[cut] = '\0';
		}
		append("mail.log", line);
	}
}

/* What has read it: lines that are stored, and those since. */
static struct {
	struct logsource *s;
	char *stored;
	size_t stored_len;
} reader;

static void
reader_store(void)
{
	keep_position(reader.s);
	reader.stored_len = got_len;
}

/* Killed: what was read since is forgotten. */
static void
reader_kill(void)
{
	logsource_close(reader.s);
	got_len = reader.stored_len;
	reader.s = NULL;
	if (access(mail, F_OK) == 0 || position[0] != '\0')
		reader.s = logsource_open(mail, position, 0, true, error,
		    sizeof(error));
}

static void
reader_act(void)
{
	const char *text;
	size_t len;

	if (reader.s == NULL)
		reader_kill();
	if (reader.s == NULL)
		return;
	switch (chance(5)) {
	case 0:
		reader_kill();
		break;
	case 1:
		read_all(reader.s);
		reader_store();
		break;
	case 2:
		reader_store();
		break;
	default:
		if (logsource_read(reader.s, &text, &len) == 1) {
			memcpy(got + got_len, text, len);
			got_len += len;
		}
	}
}

/* Each line was read exactly once, in its order. */
static void
lines_check(unsigned first_seed, int way)
{
	char *p = got, line[64];
	long i;

	got[got_len] = '\0';
	for (i = 0; i < writer.lines; i++) {
		snprintf(line, sizeof(line), "line %ld\n", i);
		if (strncmp(p, line, strlen(line)) != 0)
			fail_msg("seed %u way %d: line %ld of %ld: \"%.20s\"",
			    first_seed, way, i, writer.lines, p);
		p += strlen(line);
	}
	assert_string_equal(p, "");
}

static void
random_rotation(unsigned first_seed, enum way way)
{
	int i;

	seed = first_seed;
	memset(&writer, 0, sizeof(writer));
	memset(&reader, 0, sizeof(reader));
	position[0] = '\0';
	got_len = 0;
	append("mail.log", "");
	reader_kill();
	reader_store();
	for (i = 0; i < 120; i++)
		switch (chance(8)) {
		case 0:
			/* Nobody finds several files of any name. A file
			 * that nothing is known of cannot be told either. */
			if (way == BY_ODD_NAME || way == BY_COPY) {
				if (reader.s == NULL)
					reader_kill();
				append("mail.log", writer.partial);
				writer.partial[0] = '\0';
				if (reader.s == NULL)
					break;
				append("mail.log", "");
				snprintf(writer.partial, sizeof(writer.partial),
				    "line %ld\n", writer.lines++);
				append("mail.log", writer.partial);
				writer.partial[0] = '\0';
				read_all(reader.s);
				reader_store();
				write_lines();
			}
			if (access(mail, F_OK) == 0 && writer.rotations < 60)
				rotate(way);
			break;
		case 1:
		case 2:
		case 3:
			write_lines();
			break;
		default:
			reader_act();
		}
	writer.partial[0] != '\0' ? append("mail.log", writer.partial) :
				    append("mail.log", "");
	if (reader.s == NULL)
		reader_kill();
	read_all(reader.s);
	reader_store();
	reader_kill();
	read_all(reader.s);
	logsource_close(reader.s);
	lines_check(first_seed, (int)way);
}

static void
at_random(void **state)
{
	const char *runs = getenv("UNIT_RUNS");
	const unsigned count = runs != NULL ? (unsigned)strtoul(runs, NULL, 10)
					    : 20;
	unsigned i;
	int way;

	for (i = 1; i <= count; i++)
		for (way = 0; way < WAYS; way++) {
			assert_int_equal(teardown(state), 0);
			assert_int_equal(setup(state), 0);
			random_rotation(i * 7919, (enum way)way);
			assert_int_equal(warnings, 0);
		}
}

/* --- both at once --- */

#define RACE_ROTATIONS 40

static atomic_int race_over;

static void
race_write(int fd, int lines)
{
	char line[64];

	while (lines-- > 0) {
		snprintf(line, sizeof(line), "line %ld\n", writer.lines++);
		if (write(fd, line, strlen(line)) < 0)
			abort();
	}
}

static void *
race_writer(void *arg)
{
	char from[256], to[256];
	int i, k, fd;

	(void)arg;
	writer.lines = 0;
	for (i = 1; i <= RACE_ROTATIONS; i++) {
		fd = open(mail, O_WRONLY | O_CREAT | O_APPEND, 0644);
		race_write(fd, 300);
		for (k = i - 1; k >= 0; k--) {
			snprintf(from, sizeof(from), k > 0 ? "%s.%d" : "%s",
			    mail, k);
			snprintf(to, sizeof(to), "%s.%d", mail, k + 1);
			if (rename(from, to) != 0)
				abort();
		}
		/* Writers go on with the one that they have open. */
		race_write(fd, 20);
		close(fd);
		clock_steps();
	}
	append("mail.log", "line end\n");
	race_over = 1;
	return NULL;
}

static void
race(void **state)
{
	pthread_t thread;
	int turn, over;

	(void)state;
	memset(&reader, 0, sizeof(reader));
	append("mail.log", "");
	seed = 1;
	race_over = 0;
	reader_kill();
	reader_store();
	assert_int_equal(pthread_create(&thread, NULL, race_writer, NULL), 0);
	do {
		over = race_over;
		if (reader.s != NULL)
			read_all(reader.s);
		for (turn = 0; turn < 3; turn++)
			reader_act();
	} while (!over);
	pthread_join(thread, NULL);
	if (reader.s == NULL)
		reader_kill();
	read_all(reader.s);
	logsource_close(reader.s);
	assert_true(got_len > 9);
	got_len -= 9;
	assert_string_equal(got + got_len, "line end\n");
	lines_check(0, -1);
	assert_int_equal(warnings, 0);
}

/* Memory does not grow with the file, and nothing is left open. */
static void
no_leaks(void **state)
{
	int before, after, i;

	(void)state;
	append("mail.log", "one\n");
	before = dup(0);
	close(before);
	for (i = 0; i < 20; i++) {
		struct logsource *s = source(true);

		logsource_wait(&s, 1, 0, NULL);
		read_all(s);
		logsource_close(s);
		logsource_close(NULL);
		assert_null(logsource_open(unit_dir, "", 0, false, error,
		    sizeof(error)));
	}
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(grows), TEST(again), TEST(byte_order_mark),
		TEST(grows_meanwhile),
		TEST(long_lines), TEST(long_line_positions), TEST(renamed),
		TEST(last_line), TEST(rotations), TEST(in_the_future), TEST(renamed_oddly),
		TEST(copied), TEST(copied_unread), TEST(cut_meanwhile),
		TEST(gone), TEST(compressed_later), TEST(inode_used_again),
		TEST(disappears), TEST(written_anew), TEST(linked),
		TEST(edited), TEST(edited_in_the_middle), TEST(edited_equal),
		TEST(edited_meanwhile), TEST(edited_and_rotated),
		TEST(edited_at_the_end), TEST(replaced_meanwhile),
		TEST(edited_and_killed), TEST(without_tail),
		TEST(no_files), TEST(not_readable), TEST(positions),
		TEST(standard_input), TEST(standard_input_marked),
		TEST(standard_input_long),
		TEST(compressed), TEST(not_compressed), TEST(compressed_bomb),
		TEST(compressed_input), TEST(waits),
		TEST(wait_signal), TEST(at_random), TEST(race),
		TEST(no_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
