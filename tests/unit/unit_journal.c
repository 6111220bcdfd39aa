/*
 * The journal, by libsystemd: real files, which systemd-journal-remote writes,
 * with whatever may be in them.
 */
#include "unit.h"

#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "logs/logsource.h"
#include "logs/logsource_kind.h"

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
static char error[LOGSOURCE_ERROR_MAX], got[1024 * 1024];
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
#ifdef WITH_JOURNAL
	if (access(REMOTE, X_OK) != 0)
#endif
		skip();
}

/* What writes a journal from its export format, of entries from 10 min ago. */
static FILE *
writer_open(const char *name)
{
	char command[512];
	FILE *f;

	snprintf(command, sizeof(command), "%s -o %s/%s - 2>/dev/null",
	    REMOTE, unit_dir, name);
	snprintf(what, sizeof(what), "journal:%s/%s", unit_dir, name);
	f = popen(command, "w");
	assert_non_null(f);
	return f;
}

/* What each entry begins with. */
static void
entry_begin(FILE *f, int number, int facility)
{
	fprintf(f,
	    "__REALTIME_TIMESTAMP=%lld000000\n"
	    "__MONOTONIC_TIMESTAMP=%d000000\n"
	    "_BOOT_ID=0123456789abcdef0123456789abcdef\n"
	    "SYSLOG_FACILITY=%d\n",
	    (long long)now - 600 + number, number + 1, facility);
}

/* Adds entries [from, to) to a journal, a second apart. */
static void
journal_add(const char *name, int from, int to, int facility)
{
	FILE *f = writer_open(name);
	int i;

	for (i = from; i < to; i++) {
		entry_begin(f, i, facility);
		fprintf(f,
		    "_HOSTNAME=mx\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=%d\n"
		    "MESSAGE=number %d\n\n", i + 1, i);
	}
	assert_int_equal(pclose(f), 0);
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

/* The time stamp of an entry's line. */
static const char *
stamp(int number)
{
	static char out[64];
	time_t at = now - 600 + number;

	strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%S.000000+00:00",
	    gmtime(&at));
	return out;
}

/* The numbers in what was read. */
static void
numbers_check(int from, int to)
{
	char *p = got, line[160];
	int i;

	for (i = from; i < to; i++) {
		snprintf(line, sizeof(line),
		    "%s mx postfix/smtpd[%d]: number %d\n", stamp(i), i + 1,
		    i);
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

/* Entries, and what becomes of them. */
static void
entries(void **state)
{
#define ROW(data, line) { data, sizeof(data) - 1, line }
	static const struct {
		const char *data;
		size_t len;
		const char *line;
	} rows[] = {
		ROW("_HOSTNAME=mx\nSYSLOG_IDENTIFIER=postfix/smtpd\n"
		    "_PID=7\nMESSAGE=hello\n",
		    "mx postfix/smtpd[7]: hello"),
		/* The sender's own number comes first. */
		ROW("_PID=7\nSYSLOG_PID=8\nMESSAGE=a\n",
		    "localhost unknown[8]: a"),
		ROW("_PID=x\nSYSLOG_PID=99999999999\nMESSAGE=\n",
		    "localhost unknown: "),
		ROW("_PID=2147483648\nSYSLOG_PID=-1\nMESSAGE=a\n",
		    "localhost unknown: a"),
		ROW("_PID=2147483647\nSYSLOG_PID=\nMESSAGE=a\n",
		    "localhost unknown[2147483647]: a"),
		ROW("SYSLOG_PID=12\n_PID=1 2\nMESSAGE_ID=c\nMESSAGE=a=b\n",
		    "localhost unknown[12]: a=b"),
		/* No second line, whatever the message is. */
		ROW("MESSAGE\n\x0c\0\0\0\0\0\0\0a\nNov\0 \x1b\t\xff=b\n",
		    "localhost unknown: a Nov? ?\t\xff=b"),
		/* Nor another program or host. */
		ROW("SYSLOG_IDENTIFIER\n\x0d\0\0\0\0\0\0\0a]: b\n[1] c:\0\n"
		    "_HOSTNAME=a b\nMESSAGE=m\n",
		    "a?b a???b??1??c??: m"),
		/* The first of two. */
		ROW("MESSAGE=a\nMESSAGE=b\nX=\nY\n\x02\0\0\0\0\0\0\0\n\n\n",
		    "localhost unknown: a"),
		/* None at all. */
		ROW("_HOSTNAME=h\n_PID=7\n", NULL),
		ROW("MESSAGE=the last\n", "localhost unknown: the last"),
	};
	FILE *f;
	char line[128], *p = got;
	struct logsource *s;
	size_t i;

	(void)state;
	needs_journal();
	f = writer_open("x.journal");
	for (i = 0; i < COUNT(rows); i++) {
		entry_begin(f, (int)i, 2);
		fwrite(rows[i].data, rows[i].len, 1, f);
		fputs("\n", f);
	}
	assert_int_equal(pclose(f), 0);
	s = logsource_open(what, "", 86400, false, error, sizeof(error));
	assert_non_null(s);
	read_all(s);
	logsource_close(s);
	for (i = 0; i < COUNT(rows); i++) {
		if (rows[i].line == NULL)
			continue;
		snprintf(line, sizeof(line), "%s %s\n", stamp((int)i),
		    rows[i].line);
		if (strncmp(p, line, strlen(line)) != 0)
			fail_msg("%zu: \"%.100s\"", i, p);
		p += strlen(line);
	}
	assert_string_equal(p, "");
}

/* So many bytes of a field. */
static void
field_fill(FILE *f, const char *name, int byte, size_t n)
{
	fprintf(f, "%s=", name);
	while (n-- > 0)
		fputc(byte, f);
	fputc('\n', f);
}

/* Values of any length are cut, and so many that they fill what is read. */
static void
long_values(void **state)
{
	char *p = got, *nl;
	struct logsource *s;
	FILE *f;
	int i;

	(void)state;
	needs_journal();
	f = writer_open("x.journal");
	for (i = 0; i < 40; i++) {
		entry_begin(f, i, 2);
		field_fill(f, "_HOSTNAME", 'h', 1000);
		field_fill(f, "SYSLOG_IDENTIFIER", 'i', 1000);
		field_fill(f, "_PID", '1', 1000);
		field_fill(f, "MESSAGE", 'm', i % 2 == 0 ? 1500000 : 16384);
		field_fill(f, "OTHER", 'o', 100000);
		fputs("\n", f);
	}
	assert_int_equal(pclose(f), 0);
	s = logsource_open(what, "", 86400, false, error, sizeof(error));
	assert_non_null(s);
	read_all(s);
	logsource_close(s);
	for (i = 0; i < 40; i++, p = nl + 1) {
		nl = strchr(p, '\n');
		assert_non_null(nl);
		assert_int_equal(nl - p,
		    strlen(stamp(i)) + 1 + 255 + 1 + 255 + 2 + 16383);
		assert_memory_equal(p, stamp(i), strlen(stamp(i)));
		assert_true(nl[-1] == 'm');
	}
	assert_string_equal(p, "");
	assert_int_equal(warnings, 0);
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

/* A position is the cursor of journalctl, as older releases have stored it. */
static void
cursor_of_journalctl(void **state)
{
	char command[256], line[512] = "", last[512] = "";
	FILE *f;

	(void)state;
	needs_journal();
	if (access("/usr/bin/journalctl", X_OK) != 0)
		skip();
	journal_add("x.journal", 0, 5, 2);
	scan(0, 5);
	snprintf(command, sizeof(command),
	    "journalctl -q -o export --file %s/x.journal", unit_dir);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "__CURSOR=", 9) == 0)
			snprintf(last, sizeof(last), "journal %.*s",
			    (int)strcspn(line + 9, "\n"), line + 9);
	assert_int_equal(pclose(f), 0);
	assert_string_equal(position, last);
}

/* Only the facility mail, and not from long ago. */
static void
only_mail(void **state)
{
	struct logsource *s;

	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 5, 2);
	journal_add("x.journal", 400, 405, 2);
	journal_add("x.journal", 405, 407, 3);
	journal_add("x.journal", 407, 409, 2);
	s = logsource_open(what, "", 300, false, error, sizeof(error));
	read_all(s);
	logsource_close(s);
	assert_null(strstr(got, "number 4\n"));
	assert_non_null(strstr(got, "number 404\n"));
	assert_null(strstr(got, "number 405\n"));
	assert_non_null(strstr(got, "number 408\n"));
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

/* One that libsystemd refuses: on by its time, if it has one. */
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
	assert_non_null(strstr(warning, "going on by the time"));
	scan(8, 8);
	assert_int_equal(warnings, 1);
	snprintf(position, sizeof(position), "journal rubbish");
	scan(0, 8);
	assert_int_equal(warnings, 2);
}

static void
refused(const char *why)
{
	assert_null(logsource_open(what, position, 0, false, error,
	    sizeof(error)));
	if (strstr(error, why) == NULL)
		fail_msg("%s", error);
}

static void
no_journal(void **state)
{
	(void)state;
	needs_journal();
	snprintf(what, sizeof(what), "journal:%s/none", unit_dir);
	refused("No such file");
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	refused("no file of it can be read");
	snprintf(position, sizeof(position), "file 1");
	refused("position cannot be understood");
	position[0] = '\0';
	unit_file("bad.journal", "no journal\n", 11);
	snprintf(what, sizeof(what), "journal:%s/bad.journal", unit_dir);
	refused("bad.journal: ");
}

static void
not_readable(void **state)
{
	const uid_t me = geteuid();
	char path[160];

	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 3, 2);
	assert_int_equal(chmod(unit_dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/x.journal", unit_dir);
	assert_int_equal(chmod(path, 0), 0);
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	refused("is this user in the group systemd-journal?");
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	refused("is this user in the group systemd-journal?");
	if (me == 0)
		assert_int_equal(seteuid(me), 0);
}

/* Reads until that has come, and all there is. */
static void
read_until(struct logsource *s, const char *text)
{
	int rounds;

	read_all(s);
	for (rounds = 0; strstr(got, text) == NULL; rounds++) {
		assert_true(rounds < 50);
		assert_int_equal(logsource_wait(&s, 1, 10000, NULL), 1);
		read_all(s);
	}
	while (logsource_wait(&s, 1, 20, NULL) == 1)
		read_all(s);
}

/* Followed, in a directory, over a rotation. */
static void
followed(void **state)
{
	char from[160], to[160];
	struct logsource *s;

	(void)state;
	needs_journal();
	journal_add("x.journal", 0, 3, 2);
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	s = logsource_open(what, "", 86400, true, error, sizeof(error));
	assert_non_null(s);
	read_until(s, "number 2\n");
	assert_int_equal(logsource_wait(&s, 1, 20, NULL), 0);
	assert_false(logsource_over(s));
	logsource_position(s, position, sizeof(position));
	journal_add("x.journal", 3, 6, 2);
	read_until(s, "number 5\n");
	snprintf(from, sizeof(from), "%s/x.journal", unit_dir);
	snprintf(to, sizeof(to), "%s/x@1.journal", unit_dir);
	assert_int_equal(rename(from, to), 0);
	journal_add("x.journal", 6, 9, 2);
	read_until(s, "number 8\n");
	numbers_check(0, 9);
	logsource_close(s);
	/* And from a cursor. */
	snprintf(what, sizeof(what), "journal:%s", unit_dir);
	s = logsource_open(what, position, 86400, true, error, sizeof(error));
	got_len = 0;
	got[0] = '\0';
	read_until(s, "number 8\n");
	numbers_check(3, 9);
	logsource_close(s);
	assert_int_equal(warnings, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(positions), TEST(entries), TEST(long_values),
		TEST(on_from_the_cursor), TEST(cursor_of_journalctl),
		TEST(only_mail), TEST(cursor_gone), TEST(cursor_refused),
		TEST(no_journal), TEST(not_readable), TEST(followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
