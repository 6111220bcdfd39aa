/*
 * The journal: its export format, whatever is in it, as lines; and a real
 * journal through journalctl, for which systemd-journal-remote is needed.
 */
#include "unit.h"

#include <sys/wait.h>
#include <time.h>

#include "logs/journal.h"
#include "base/log.h"
#include "logs/logsource.h"

#define REMOTE "/lib/systemd/systemd-journal-remote"

static int warnings;
static char warning[LOG_LINE_MAX];

static void
warned(enum log_level level, const char *line)
{
	if (level == LOG_LEVEL_WARNING) {
		warnings++;
		snprintf(warning, sizeof(warning), "%s", line);
	}
}

/* --- the format --- */

static struct journal_export export;

/* The lines of an export that comes in pieces of `piece` bytes; -1: bad. */
static int
lines_of(const char *data, size_t n, size_t piece, char *out, size_t size)
{
	char line[JOURNAL_LINE_MAX];
	size_t at = 0, used, len = 0, add, give;
	int rc, entries = 0;

	journal_export_init(&export);
	out[0] = '\0';
	while (at < n) {
		give = n - at < piece ? n - at : piece;
		/* A copy of its own: reading beyond it would be seen. */
		char *part = malloc(give);

		memcpy(part, data + at, give);
		rc = journal_export_read(&export, part, give, &used);
		free(part);
		if (rc < 0)
			return -1;
		assert_true(used > 0 && used <= give);
		at += used;
		if (rc == 0)
			continue;
		entries++;
		add = journal_export_line(&export, line, sizeof(line));
		assert_true(len + add < size);
		memcpy(out + len, line, add);
		len += add;
		out[len] = '\0';
	}
	return entries;
}

#define BEGIN "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795234848123456\n"
#define STAMP "2026-11-21T04:20:48.123456+00:00 "

/* Entries, and what becomes of them; at once and byte by byte. */
static void
entries(void **state)
{
#define ROW(data, line) { data, sizeof(data) - 1, line }
	static const struct {
		const char *data;
		size_t len;
		const char *line;
	} rows[] = {
		ROW(BEGIN "_HOSTNAME=mx\nSYSLOG_IDENTIFIER=postfix/smtpd\n"
			  "_PID=7\nMESSAGE=hello\n\n",
		    STAMP "mx postfix/smtpd[7]: hello\n"),
		/* The sender's own number comes first. */
		ROW(BEGIN "_PID=7\nSYSLOG_PID=8\nMESSAGE=a\n\n",
		    STAMP "localhost unknown[8]: a\n"),
		ROW(BEGIN "_PID=x\nSYSLOG_PID=99999999999\nMESSAGE=\n\n",
		    STAMP "localhost unknown: \n"),
		/* No second line, whatever the message is. */
		ROW(BEGIN "MESSAGE\n\x0c\0\0\0\0\0\0\0a\nNov\0 \x1b\t\xff=b\n\n",
		    STAMP "localhost unknown: a Nov? ?\t\xff=b\n"),
		ROW(BEGIN "MESSAGE\n\0\0\0\0\0\0\0\0\n\n",
		    STAMP "localhost unknown: \n"),
		/* Nor another program or host. */
		ROW(BEGIN "SYSLOG_IDENTIFIER\n\x0c\0\0\0\0\0\0\0a]: b\n[1] c:\n"
			  "_HOSTNAME=a b\nMESSAGE=m\n\n",
		    STAMP "a?b a???b??1??c?: m\n"),
		/* The first of two, names that only begin so, others. */
		ROW("A=B\n" BEGIN "MESSAGE=a\nMESSAGE=b\nMESSAGE_ID=c\nX=\n"
		    "Y\n\x02\0\0\0\0\0\0\0\n\n\n\n",
		    STAMP "localhost unknown: a\n"),
		/* Two of them, and empty lines between. */
		ROW("\n" BEGIN "MESSAGE=a\n\n\n\n" BEGIN "MESSAGE=b\n\n",
		    STAMP "localhost unknown: a\n" STAMP
			  "localhost unknown: b\n"),
		/* Nothing of the last one stays. */
		ROW(BEGIN "_HOSTNAME=h\nMESSAGE=a\n\nMESSAGE=c\n\n",
		    STAMP "h unknown: a\n"),
		ROW(BEGIN "_PID=7\n\n", ""),
		ROW("__REALTIME_TIMESTAMP=0\nMESSAGE=a\n\n", ""),
		ROW("__REALTIME_TIMESTAMP=-1\nMESSAGE=a\n\n", ""),
		ROW("__REALTIME_TIMESTAMP=99999999999999999999\nMESSAGE=a\n\n",
		    ""),
		ROW("__REALTIME_TIMESTAMP=253402300799000001\nMESSAGE=a\n\n",
		    ""),
		/* Not complete. */
		ROW(BEGIN "MESSAGE=a\n", ""),
		ROW(BEGIN "MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff\n\n", ""),
	};
	char out[1024];
	size_t i, piece;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		for (piece = 1; piece <= rows[i].len; piece++) {
			assert_true(lines_of(rows[i].data, rows[i].len, piece,
					out, sizeof(out)) >= 0);
			assert_string_equal(out, rows[i].line);
		}
}

static void
no_export(void **state)
{
	static const char *const rows[] = { "message=a\n\n", "=a\n\n",
		"-- No entries --\n", "1A=b\n\n", "A B=c\n\n", "A\tb\n",
		"MESSAGE\n12345678",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI"
		"JKLM=a\n\n" };
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		if (i != 6)
			assert_int_equal(lines_of(rows[i], strlen(rows[i]),
					     1000, out, sizeof(out)), -1);
	/* Binary data that do not end where they should. */
	assert_int_equal(lines_of("A\n\1\0\0\0\0\0\0\0xy", 12, 1000, out,
			     sizeof(out)), -1);
}

/* Values of any length: the message is cut, the rest passed over. */
static void
long_values(void **state)
{
	static char data[4 * 1024 * 1024], out[2 * JOURNAL_LINE_MAX];
	struct journal_value *cursor = &export.values[JOURNAL_CURSOR];
	size_t n, big = 1500000;
	unsigned char length[8] = { 0x60, 0xe3, 0x16 };

	(void)state;
	n = (size_t)snprintf(data, sizeof(data), "%s_HOSTNAME=", BEGIN);
	memset(data + n, 'h', 1000);
	n += 1000;
	n += (size_t)snprintf(data + n, 100, "\nMESSAGE=");
	memset(data + n, 'm', big);
	n += big;
	n += (size_t)snprintf(data + n, 100, "\nOTHER\n");
	memcpy(data + n, length, 8);
	n += 8;
	memset(data + n, '\n', big);
	n += big;
	n += (size_t)snprintf(data + n, 100, "\n__CURSOR=x\n\n%sMESSAGE=b\n\n",
	    BEGIN);
	assert_int_equal(lines_of(data, n, 4096, out, sizeof(out)), 2);
	assert_int_equal(strchr(out, '\n') - out,
	    strlen(STAMP) + 255 + strlen(" unknown: ") + 16383);
	assert_string_equal(strchr(out, '\n') + 1,
	    STAMP "localhost unknown: b\n");
	assert_string_equal(cursor->text, "s=1;i=2");
}

static void
positions(void **state)
{
	static const char *const bad[] = { "", "journal", "journal ", "file x",
		"journal a b", "journal  a", "journal a\n", "journal \"a",
		"journal a/b", "journal $(x)" };
	char text[300], cursor[JOURNAL_CURSOR_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		assert_false(journal_position_parse(bad[i], cursor));
	assert_true(journal_position_parse("journal s=0a;i=1;t=6", cursor));
	assert_string_equal(cursor, "s=0a;i=1;t=6");
	memset(text, 'a', sizeof(text));
	memcpy(text, "journal ", 8);
	text[8 + JOURNAL_CURSOR_MAX - 1] = '\0';
	assert_true(journal_position_parse(text, cursor));
	text[8 + JOURNAL_CURSOR_MAX - 1] = 'a';
	text[8 + JOURNAL_CURSOR_MAX] = '\0';
	assert_false(journal_position_parse(text, cursor));
}

/* --- a real journal --- */

static char what[160], position[LOGSOURCE_POSITION_MAX];
static char error[LOGSOURCE_ERROR_MAX], got[65536];
static size_t got_len;
static time_t now;

static int
setup(void **state)
{
	if (unit_dir_make(state) != 0)
		return 1;
	position[0] = '\0';
	warnings = 0;
	got_len = 0;
	got[0] = '\0';
	now = time(NULL);
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
needs_journal(void)
{
	if (access(REMOTE, X_OK) != 0 ||
	    access("/usr/bin/journalctl", X_OK) != 0)
		skip();
}

/* Adds entries [from, to) to a journal, a second apart, to 10 min ago. */
static void
journal_add(const char *name, int from, int to, int facility)
{
	char command[512];
	FILE *f;
	int i;

	snprintf(command, sizeof(command), "%s -o %s/%s - 2>/dev/null",
	    REMOTE, unit_dir, name);
	f = popen(command, "w");
	assert_non_null(f);
	for (i = from; i < to; i++)
		fprintf(f,
		    "__REALTIME_TIMESTAMP=%lld000000\n"
		    "__MONOTONIC_TIMESTAMP=%d000000\n"
		    "_BOOT_ID=0123456789abcdef0123456789abcdef\n"
		    "_HOSTNAME=mx\nSYSLOG_FACILITY=%d\n"
		    "SYSLOG_IDENTIFIER=postfix/smtpd\n_PID=%d\n"
		    "MESSAGE=number %d\n\n",
		    (long long)now - 600 + i, i + 1, facility, i + 1, i);
	assert_int_equal(pclose(f), 0);
	snprintf(what, sizeof(what), "journal:%s/%s", unit_dir, name);
}

static void
read_all(struct logsource *s)
{
	const char *text;
	size_t len;
	int rc;

	while ((rc = logsource_read(s, &text, &len)) > 0) {
		assert_true(got_len + len < sizeof(got));
		memcpy(got + got_len, text, len);
		got_len += len;
	}
	got[got_len] = '\0';
	if (rc < 0)
		fail_msg("%s", logsource_error(s));
}

/* The numbers in what was read. */
static void
numbers_check(int from, int to)
{
	char *p = got, line[160], stamp[64];
	time_t at;
	int i;

	for (i = from; i < to; i++) {
		at = now - 600 + i;
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S",
		    gmtime(&at));
		snprintf(line, sizeof(line),
		    "%s.000000+00:00 mx postfix/smtpd[%d]: number %d\n", stamp,
		    i + 1, i);
		if (strncmp(p, line, strlen(line)) != 0)
			fail_msg("expected %s got %.100s", line, p);
		p += strlen(line);
	}
	assert_string_equal(p, "");
}

static void
scan(int from, int to)
{
	struct logsource *s = logsource_open(what, position, 86400, false,
	    error, sizeof(error));

	if (s == NULL)
		fail_msg("%s", error);
	got_len = 0;
	read_all(s);
	assert_true(logsource_over(s));
	logsource_position(s, position, sizeof(position));
	logsource_close(s);
	numbers_check(from, to);
}

static void
on_from_the_cursor(void **state)
{
	char old[sizeof(position)];

	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 3, 2);
	scan(0, 3);
	memcpy(old, position, sizeof(old));
	scan(3, 3);
	assert_string_equal(position, old);
	journal_add("x.journal", 3, 500, 2);
	scan(3, 500);
	scan(500, 500);
	memcpy(position, old, sizeof(position));
	scan(3, 500);
	assert_int_equal(warnings, 0);
}

/* Only the facility mail, and not from long ago. */
static void
only_mail(void **state)
{
	struct logsource *s;

	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 5, 2);
	journal_add("x.journal", 5, 7, 3);
	journal_add("x.journal", 7, 9, 2);
	s = logsource_open(what, "", 597, false, error, sizeof(error));
	read_all(s);
	logsource_close(s);
	assert_null(strstr(got, "number 0\n"));
	assert_non_null(strstr(got, "number 4\n"));
	assert_null(strstr(got, "number 5\n"));
	assert_non_null(strstr(got, "number 8\n"));
}

/* The entry is gone: all that are left are read, and it is told. */
static void
cursor_gone(void **state)
{
	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 3, 2);
	scan(0, 3);
	journal_add("y.journal", 4, 8, 2);
	scan(4, 8);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warning, "is gone"));
	scan(8, 8);
	assert_int_equal(warnings, 1);
}

/* One that journalctl refuses: on by its time, if it has one. */
static void
cursor_refused(void **state)
{
	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 8, 2);
	snprintf(position, sizeof(position), "journal rubbish;t=%llx",
	    ((long long)now - 600 + 4) * 1000000);
	scan(5, 8);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(warning, "journalctl: "));
	scan(8, 8);
	assert_int_equal(warnings, 1);
	snprintf(position, sizeof(position), "journal rubbish");
	scan(0, 8);
	/* Where children are not waited for, too. */
	signal(SIGCHLD, SIG_IGN);
	snprintf(position, sizeof(position), "journal rubbish");
	scan(0, 8);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(warnings, 3);
}

static void
refused(void **state)
{
	struct logsource *s;
	const char *text;
	size_t len;

	(void)state;
	snprintf(what, sizeof(what), "journal:%s/none", unit_dir);
	assert_null(logsource_open(what, "", 0, false, error, sizeof(error)));
	assert_non_null(strstr(error, "No such file"));
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	assert_null(logsource_open(what, "file 1", 0, false, error,
	    sizeof(error)));
	assert_non_null(strstr(error, "position cannot be understood"));
	needs_journal();
	unit_file("bad.journal", "no journal\n", 11);
	snprintf(what, sizeof(what), "journal:%s/bad.journal", unit_dir);
	s = logsource_open(what, "", 0, false, error, sizeof(error));
	assert_non_null(s);
	assert_int_equal(logsource_read(s, &text, &len), -1);
	assert_int_equal(logsource_read(s, &text, &len), -1);
	assert_non_null(strstr(logsource_error(s), "journalctl: Failed"));
	logsource_close(s);
}

/* Followed, in a directory; no child is left. */
static void
followed(void **state)
{
	struct logsource *s;
	int rounds;

	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 3, 2);
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	s = logsource_open(what, "", 86400, true, error, sizeof(error));
	assert_non_null(s);
	for (rounds = 0; strstr(got, "number 2\n") == NULL; rounds++) {
		assert_true(rounds < 50);
		assert_true(logsource_wait(&s, 1, 10000, NULL) == 1);
		read_all(s);
	}
	while (logsource_wait(&s, 1, 20, NULL) == 1)
		read_all(s);
	assert_false(logsource_over(s));
	logsource_position(s, position, sizeof(position));
	journal_add("x.journal", 3, 6, 2);
	for (rounds = 0; strstr(got, "number 5\n") == NULL; rounds++) {
		assert_true(rounds < 50);
		assert_true(logsource_wait(&s, 1, 10000, NULL) == 1);
		read_all(s);
	}
	numbers_check(0, 6);
	logsource_close(s);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	/* And from a cursor. */
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	s = logsource_open(what, position, 86400, true, error, sizeof(error));
	got_len = 0;
	got[0] = '\0';
	for (rounds = 0; strstr(got, "number 5\n") == NULL; rounds++) {
		assert_true(rounds < 50);
		assert_true(logsource_wait(&s, 1, 10000, NULL) == 1);
		read_all(s);
	}
	numbers_check(3, 6);
	logsource_close(s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries), cmocka_unit_test(no_export),
		cmocka_unit_test(long_values), cmocka_unit_test(positions),
		TEST(on_from_the_cursor), TEST(only_mail), TEST(cursor_gone),
		TEST(cursor_refused), TEST(refused), TEST(followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
