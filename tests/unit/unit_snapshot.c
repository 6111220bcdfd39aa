/* The snapshot of offenders: written, found, damaged, replaced. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "store/snapshot.h"

#define NOW 1800000000
#define DAY 86400

static char path[192], temporary[200];

static int
group_make(void **state)
{
	if (unit_dir_make(state) != 0 || chmod(unit_dir, 0711) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/blacklist.cdb", unit_dir);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	return 0;
}

/* Every test begins without a snapshot. */
static int
nothing_there(void **state)
{
	(void)state;
	unlink(path);
	rmdir(path);
	unlink(temporary);
	rmdir(temporary);
	return 0;
}

static struct snapshot_entry
entry_of(const char *block, time_t expires)
{
	struct snapshot_entry e = { .expires = expires, .since = NOW - 300,
		.hits = 5, .times = 2 };

	assert_null(address_block_parse(block, &e.block));
	snprintf(e.rule, sizeof(e.rule), "unknown-recipient");
	snprintf(e.note, sizeof(e.note), "about %s", block);
	return e;
}

static void
writer_add(struct snapshot_writer *w, const char *block, time_t expires)
{
	struct snapshot_entry e = entry_of(block, expires);

	assert_int_equal(snapshot_add(w, &e), 0);
}

/* A snapshot of blocks that are listed for a day more; NULL-ended. */
static void
write_blocks(const char *const *blocks, int64_t generation)
{
	struct snapshot_writer w;

	assert_int_equal(snapshot_begin(&w, path), 0);
	for (; *blocks != NULL; blocks++)
		writer_add(&w, *blocks, NOW + DAY);
	assert_int_equal(snapshot_finish(&w, generation), 0);
}

static bool
finds(struct snapshot *s, const char *text, struct snapshot_entry *e)
{
	struct snapshot_entry unused;
	struct address a;

	assert_true(address_parse(text, &a));
	return snapshot_find(s, &a, NOW, e != NULL ? e : &unused);
}

/* The block that covers an address, "" = none. */
static const char *
block_of(struct snapshot *s, const char *text)
{
	static char out[ADDRESS_BLOCK_TEXT_MAX];
	struct snapshot_entry e;

	out[0] = '\0';
	if (finds(s, text, &e))
		address_block_text(&e.block, out, sizeof(out));
	return out;
}

static void
what_was_written_is_found(void **state)
{
	struct snapshot s = { 0 };
	struct snapshot_writer w;
	struct snapshot_entry e, wrote;
	struct stat st;

	(void)state;
	assert_int_equal(snapshot_begin(&w, path), 0);
	wrote = entry_of("8.8.4.4", NOW + DAY);
	assert_int_equal(snapshot_add(&w, &wrote), 0);
	writer_add(&w, "2a03:4000:1:2::/64", 0);
	assert_int_equal(snapshot_finish(&w, 0x123456789abLL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(access(temporary, F_OK), -1);

	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(s.problem, "");
	assert_true(s.generation == 0x123456789abLL);
	assert_int_equal(s.count, 2);
	assert_true(finds(&s, "8.8.4.4", &e));
	assert_int_equal(e.expires, NOW + DAY);
	assert_int_equal(e.since, NOW - 300);
	assert_int_equal(e.hits, 5);
	assert_int_equal(e.times, 2);
	assert_string_equal(e.rule, "unknown-recipient");
	assert_string_equal(e.note, "about 8.8.4.4");
	assert_string_equal(block_of(&s, "8.8.4.4"), "8.8.4.4/32");
	assert_string_equal(block_of(&s, "2a03:4000:1:2:ffff::1"),
	    "2a03:4000:1:2::/64");
	assert_string_equal(block_of(&s, "8.8.4.5"), "");
	assert_string_equal(block_of(&s, "8.8.4.0"), "");
	assert_string_equal(block_of(&s, "2a03:4000:1:3::"), "");
	assert_string_equal(block_of(&s, "::8.8.4.4"), "");
	snapshot_close(&s);
	assert_false(s.open);
}

/* The longest texts that a record can hold. */
static void
the_longest_texts_fit(void **state)
{
	struct snapshot_entry e = entry_of("8.8.4.4", 0), found;
	struct snapshot s = { 0 };
	struct snapshot_writer w;

	(void)state;
	memset(e.rule, 'r', sizeof(e.rule) - 1);
	memset(e.note, 'n', sizeof(e.note));
	e.note[sizeof(e.note) - 1] = '\0';
	e.rule[sizeof(e.rule) - 1] = '\0';
	assert_int_equal(snapshot_begin(&w, path), 0);
	assert_int_equal(snapshot_add(&w, &e), 0);
	assert_int_equal(snapshot_finish(&w, 1), 0);
	assert_true(snapshot_refresh(&s, path));
	assert_true(finds(&s, "8.8.4.4", &found));
	assert_string_equal(found.rule, e.rule);
	assert_string_equal(found.note, e.note);
	snapshot_close(&s);
}

/* Of blocks of several lengths the longest counts, to its last address. */
static void
each_prefix_length_is_found(void **state)
{
	struct snapshot s = { 0 };
	struct snapshot_writer w;
	struct address_block b;
	char block[ADDRESS_BLOCK_TEXT_MAX], last[ADDRESS_TEXT_MAX];
	struct address a;
	int bits;

	(void)state;
	for (bits = SNAPSHOT_IPV4_MIN; bits <= 32; bits++) {
		assert_true(address_parse("198.18.77.201", &b.base));
		address_mask(&b.base, b.bits = bits);
		address_block_text(&b, block, sizeof(block));
		assert_int_equal(snapshot_begin(&w, path), 0);
		writer_add(&w, block, 0);
		assert_int_equal(snapshot_finish(&w, bits), 0);
		assert_true(snapshot_refresh(&s, path));
		assert_string_equal(block_of(&s, "198.18.77.201"), block);
		a = b.base;
		if (bits < 32)
			a.bytes[bits / 8] = (unsigned char)(a.bytes[bits / 8] |
			    0xff >> bits % 8);
		for (int i = bits / 8 + 1; i < 4; i++)
			a.bytes[i] = 255;
		address_text(&a, last, sizeof(last));
		assert_string_equal(block_of(&s, last), block);
		if (bits > 0) { /* the neighbour */
			a.bytes[(bits - 1) / 8] = (unsigned char)(
			    a.bytes[(bits - 1) / 8] ^ 0x80 >> (bits - 1) % 8);
			address_text(&a, last, sizeof(last));
			assert_string_equal(block_of(&s, last), "");
		}
		assert_string_equal(block_of(&s, "2a03:4000::1"), "");
	}
	snapshot_close(&s);
}

static void
the_longest_block_counts(void **state)
{
	static const char *const blocks[] = { "9.0.0.0/8", "9.9.0.0/16",
		"9.9.9.0/24", "9.9.9.9", "2a03::/16", "2a03:4000::/32",
		"2a03:4000:1:2::/64", "2a03:4000:1:2::1", NULL };
	struct snapshot s = { 0 };

	(void)state;
	write_blocks(blocks, 1);
	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "9.9.9.9"), "9.9.9.9/32");
	assert_string_equal(block_of(&s, "9.9.9.8"), "9.9.9.0/24");
	assert_string_equal(block_of(&s, "9.9.8.9"), "9.9.0.0/16");
	/* Larger blocks than anybody can configure are not believed. */
	assert_string_equal(block_of(&s, "9.8.9.9"), "");
	assert_string_equal(block_of(&s, "8.9.9.9"), "");
	assert_string_equal(block_of(&s, "2a03:4000:1:2::1"),
	    "2a03:4000:1:2::1/128");
	assert_string_equal(block_of(&s, "2a03:4000:1:2::2"),
	    "2a03:4000:1:2::/64");
	assert_string_equal(block_of(&s, "2a03:4000:1:3::2"),
	    "2a03:4000::/32");
	assert_string_equal(block_of(&s, "2a03:4001::"), "");
	assert_string_equal(block_of(&s, "2a04:4001::"), "");
	snapshot_close(&s);
}

/* A ban ends to the second; a shorter block may hold on. */
static void
a_ban_ends_when_it_says(void **state)
{
	struct snapshot s = { 0 };
	struct snapshot_writer w;
	struct snapshot_entry e;
	struct address a;

	(void)state;
	assert_int_equal(snapshot_begin(&w, path), 0);
	writer_add(&w, "9.9.9.9", NOW + 10);
	writer_add(&w, "9.9.9.0/24", NOW + 20);
	writer_add(&w, "8.8.4.4", 0);
	assert_int_equal(snapshot_finish(&w, 1), 0);
	assert_true(snapshot_refresh(&s, path));
	assert_true(address_parse("9.9.9.9", &a));
	assert_true(snapshot_find(&s, &a, NOW + 9, &e));
	assert_int_equal(e.block.bits, 32);
	assert_true(snapshot_find(&s, &a, NOW + 10, &e));
	assert_int_equal(e.block.bits, 24);
	assert_true(snapshot_find(&s, &a, NOW + 19, &e));
	assert_false(snapshot_find(&s, &a, NOW + 20, &e));
	assert_true(address_parse("8.8.4.4", &a));
	assert_true(snapshot_find(&s, &a, NOW + 1000 * (time_t)DAY, &e));
	snapshot_close(&s);
}

static void
an_empty_one_lists_nobody(void **state)
{
	static const char *const nobody[] = { NULL };
	struct snapshot s = { 0 };

	(void)state;
	write_blocks(nobody, 7);
	assert_true(snapshot_refresh(&s, path));
	assert_int_equal(s.count, 0);
	assert_int_equal(s.generation, 7);
	assert_string_equal(block_of(&s, "9.9.9.9"), "");
	assert_string_equal(block_of(&s, "2a03:4000::1"), "");
	snapshot_close(&s);
}

struct seen {
	long count, stop;
	bool of[1000];
};

static bool
note(void *arg, const struct snapshot_entry *e)
{
	struct seen *seen = arg;
	int i = e->block.base.bytes[2] * 256 + e->block.base.bytes[3];

	assert_true(i < 1000 && !seen->of[i]);
	assert_int_equal(e->hits, i);
	seen->of[i] = true;
	return ++seen->count != seen->stop;
}

static void
each_entry_is_handed_out_once(void **state)
{
	struct seen seen = { 0 }, some = { .stop = 10 };
	struct snapshot s = { 0 };
	struct snapshot_writer w;
	struct snapshot_entry e;
	char text[32];

	(void)state;
	assert_int_equal(snapshot_begin(&w, path), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "9.9.%d.%d", i / 256, i % 256);
		e = entry_of(text, 0);
		e.hits = i;
		assert_int_equal(snapshot_add(&w, &e), 0);
	}
	assert_int_equal(snapshot_finish(&w, 1), 0);
	assert_true(snapshot_refresh(&s, path));
	assert_int_equal(s.count, 1000);
	assert_true(snapshot_each(&s, note, &seen));
	assert_int_equal(seen.count, 1000);
	assert_true(snapshot_each(&s, note, &some));
	assert_int_equal(some.count, 10);
	snapshot_close(&s);
}

/* --- the file changes --- */

static void
a_new_one_is_used_at_once(void **state)
{
	static const char *const before[] = { "9.9.9.9", NULL },
		*const after[] = { "8.8.4.4", "1.1.1.1", NULL };
	struct snapshot s = { 0 };

	(void)state;
	assert_false(snapshot_refresh(&s, path));
	assert_true(s.absent);
	write_blocks(before, 1);
	assert_true(snapshot_refresh(&s, path));
	assert_false(s.absent);
	assert_string_equal(block_of(&s, "9.9.9.9"), "9.9.9.9/32");
	write_blocks(after, 2);
	/* until it is looked at again, the old one is all there */
	assert_string_equal(block_of(&s, "9.9.9.9"), "9.9.9.9/32");
	assert_string_equal(block_of(&s, "8.8.4.4"), "");
	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "9.9.9.9"), "");
	assert_string_equal(block_of(&s, "8.8.4.4"), "8.8.4.4/32");
	assert_int_equal(s.generation, 2);
	/* gone, and back */
	assert_int_equal(unlink(path), 0);
	assert_false(snapshot_refresh(&s, path));
	assert_true(s.absent);
	assert_string_equal(block_of(&s, "8.8.4.4"), "");
	write_blocks(before, 3);
	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "9.9.9.9"), "9.9.9.9/32");
	/* by rubbish, and mended */
	unit_file("blacklist.cdb", "9.9.9.9\n", 8);
	assert_false(snapshot_refresh(&s, path));
	assert_false(s.absent);
	assert_string_equal(block_of(&s, "9.9.9.9"), "");
	assert_int_equal(unlink(path), 0);
	write_blocks(after, 4);
	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "1.1.1.1"), "1.1.1.1/32");
	snapshot_close(&s);
}

/* Nothing is seen of one that is not finished; what was there stays. */
static void
an_unfinished_one_changes_nothing(void **state)
{
	static const char *const before[] = { "9.9.9.9", NULL };
	struct snapshot s = { 0 };
	struct snapshot_writer w, x;

	(void)state;
	write_blocks(before, 1);
	assert_int_equal(snapshot_begin(&w, path), 0);
	writer_add(&w, "8.8.4.4", 0);
	snapshot_abandon(&w);
	assert_int_equal(access(temporary, F_OK), -1);
	/* one that was killed leaves its file to the next one */
	assert_int_equal(snapshot_begin(&x, path), 0);
	writer_add(&x, "8.8.4.4", 0);
	assert_int_equal(access(temporary, F_OK), 0);
	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "9.9.9.9"), "9.9.9.9/32");
	assert_string_equal(block_of(&s, "8.8.4.4"), "");
	close(x.fd);
	assert_int_equal(snapshot_begin(&w, path), 0);
	writer_add(&w, "1.1.1.1", 0);
	assert_int_equal(snapshot_finish(&w, 2), 0);
	assert_true(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "1.1.1.1"), "1.1.1.1/32");
	assert_string_equal(block_of(&s, "8.8.4.4"), "");
	snapshot_close(&s);
}

static void
what_cannot_be_written_leaves_the_old_one(void **state)
{
	static const char *const before[] = { "9.9.9.9", NULL };
	char nowhere[256], longest[600];
	struct snapshot s = { 0 };
	struct snapshot_writer w;

	(void)state;
	write_blocks(before, 1);
	snprintf(nowhere, sizeof(nowhere), "%s/none/x.cdb", unit_dir);
	assert_int_equal(snapshot_begin(&w, nowhere), -1);
	assert_int_equal(errno, ENOENT);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(snapshot_begin(&w, longest), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	/* a directory where the temporary file goes */
	assert_int_equal(mkdir(temporary, 0755), 0);
	assert_int_equal(snapshot_begin(&w, path), -1);
	assert_int_equal(rmdir(temporary), 0);
	/* and a directory where the snapshot goes */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(snapshot_begin(&w, path), 0);
	writer_add(&w, "8.8.4.4", 0);
	assert_int_equal(snapshot_finish(&w, 2), -1);
	assert_int_equal(access(temporary, F_OK), -1);
	assert_false(snapshot_refresh(&s, path));
	assert_non_null(strstr(s.problem, "not a regular file"));
	snapshot_close(&s);
}

/* Links set by somebody else are not followed, neither way. */
static void
links_are_not_followed(void **state)
{
	static const char *const blocks[] = { "9.9.9.9", NULL };
	struct snapshot s = { 0 };
	struct snapshot_writer w;
	char other[200], text[8] = "";
	FILE *f;

	(void)state;
	snprintf(other, sizeof(other), "%s/other", unit_dir);
	unit_file("other", "mine\n", 5);
	assert_int_equal(symlink(other, temporary), 0);
	assert_int_equal(snapshot_begin(&w, path), 0);
	snapshot_abandon(&w);
	f = fopen(other, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "mine\n");

	write_blocks(blocks, 1);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_false(snapshot_refresh(&s, path));
	assert_string_equal(block_of(&s, "9.9.9.9"), "");
	assert_true(s.problem[0] != '\0' && !s.absent);
	snapshot_close(&s);
}

static void
a_full_disk_leaves_the_old_one(void **state)
{
	static const char *const before[] = { "9.9.9.9", NULL };
	struct snapshot s = { 0 };
	struct snapshot_writer w;
	char dir[128], text[32], usual[sizeof(path)];
	int rc = 0;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/small", unit_dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	if (mount("tmpfs", dir, "tmpfs", 0, "size=64k") != 0)
		skip();
	snprintf(usual, sizeof(usual), "%s", path);
	snprintf(path, sizeof(path), "%s/blacklist.cdb", dir);
	write_blocks(before, 1);
	assert_int_equal(snapshot_begin(&w, path), 0);
	for (int i = 0; i < 5000 && rc == 0; i++) {
		struct snapshot_entry e;

		snprintf(text, sizeof(text), "8.8.%d.%d", i / 256, i % 256);
		e = entry_of(text, 0);
		rc = snapshot_add(&w, &e);
	}
	if (rc == 0)
		rc = snapshot_finish(&w, 2);
	else
		snapshot_abandon(&w);
	assert_int_equal(rc, -1);
	assert_true(snapshot_refresh(&s, path));
	assert_int_equal(s.generation, 1);
	assert_string_equal(block_of(&s, "9.9.9.9"), "9.9.9.9/32");
	snapshot_close(&s);
	write_blocks(before, 3); /* nothing of the large one is left */
	umount2(dir, MNT_DETACH);
	snprintf(path, sizeof(path), "%s", usual);
}

/* --- whose file --- */

/* In a child of that user: can a snapshot be used there? 0 yes, 1 no. */
static int
used_by(uid_t uid)
{
	struct snapshot s = { 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setuid(uid) != 0)
			_exit(99);
		_exit(!snapshot_refresh(&s, path));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
	return WEXITSTATUS(status);
}

static void
only_our_own_and_roots_are_used(void **state)
{
	static const char *const blocks[] = { "9.9.9.9", NULL };
	static const mode_t writable[] = { 0664, 0646, 0666, 0620, 0602 };
	struct passwd *user = getpwnam("nobody");
	struct snapshot s = { 0 };
	size_t i;

	(void)state;
	write_blocks(blocks, 1);
	for (i = 0; i < COUNT(writable); i++) {
		assert_int_equal(chmod(path, writable[i]), 0);
		assert_false(snapshot_refresh(&s, path));
		assert_non_null(strstr(s.problem, "others can write it"));
		assert_string_equal(block_of(&s, "9.9.9.9"), "");
	}
	assert_int_equal(chmod(path, 0644), 0);
	assert_true(snapshot_refresh(&s, path));
	snapshot_close(&s);
	if (geteuid() != 0 || user == NULL)
		return;
	assert_int_equal(used_by(user->pw_uid), 0); /* root's */
	assert_int_equal(chown(path, user->pw_uid, (gid_t)-1), 0);
	assert_int_equal(used_by(user->pw_uid), 0);
	assert_int_equal(used_by(0), 0); /* root reads it for the map */
	assert_int_equal(chown(path, user->pw_uid - 1, (gid_t)-1), 0);
	assert_int_equal(used_by(user->pw_uid), 1);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(used_by(user->pw_uid), 1);
}

static void
what_is_no_file_is_not_opened(void **state)
{
	struct snapshot s = { 0 };

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(60); /* opening it must not wait */
	assert_false(snapshot_refresh(&s, path));
	alarm(0);
	assert_non_null(strstr(s.problem, "not a regular file"));
	assert_false(s.absent);
	snapshot_close(&s);
}

/* --- damage --- */

static bool
any(void *arg, const struct snapshot_entry *e)
{
	(void)arg;
	return e->block.bits <= 128 && strnlen(e->rule, STORE_RULE_MAX) <
	    STORE_RULE_MAX && strnlen(e->note, SNAPSHOT_NOTE_MAX) <
	    SNAPSHOT_NOTE_MAX;
}

static const char *const innocent[] = { "1.1.1.1", "9.9.9.8", "9.9.9.10",
	"8.8.8.8", "137.9.9.9", "9.137.9.9", "0.0.0.0", "255.255.255.255",
	"2a03:4000:1:3::", "2a03:4000:1:2::1", "::", "::9.9.9.9" };
static const char *const guilty[] = { "9.9.9.9", "8.8.4.4", "8.8.4.255",
	"2606:4700:1::7" };

/*
 * Opens whatever is there now. Who was not listed is not; how many of the
 * others still are.
 */
static int
look_at_damage(const char *what, size_t where)
{
	struct snapshot s = { 0 };
	size_t i;
	int found = 0;

	if (!snapshot_refresh(&s, path)) {
		assert_string_not_equal(s.problem, "");
		assert_string_equal(block_of(&s, guilty[0]), "");
		return 0;
	}
	for (i = 0; i < COUNT(innocent); i++)
		if (finds(&s, innocent[i], NULL))
			fail_msg("%s at %zu: %s is listed", what, where,
			    innocent[i]);
	for (i = 0; i < COUNT(guilty); i++)
		found += finds(&s, guilty[i], NULL);
	snapshot_each(&s, any, NULL);
	snapshot_close(&s);
	return found;
}

static char *
damage_begin(size_t *len)
{
	static const char *const blocks[] = { "9.9.9.9", "8.8.4.0/24",
		"2606:4700:1::/64", NULL };
	char *whole;

	write_blocks(blocks, 77);
	whole = file_slurp(path, 1 << 20, len, NULL);
	assert_non_null(whole);
	assert_int_equal(look_at_damage("nothing", 0), 4);
	return whole;
}

static void
one_that_is_cut_anywhere_does_no_harm(void **state)
{
	size_t len, i;
	char *whole = damage_begin(&len);

	(void)state;
	for (i = 0; i < len; i++) {
		unlink(path);
		unit_file("blacklist.cdb", whole, i);
		look_at_damage("cut", i);
	}
	for (i = 0; i < len; i += 3) { /* its beginning is lost */
		unlink(path);
		unit_file("blacklist.cdb", whole + i, len - i);
		look_at_damage("without the beginning", i);
	}
	free(whole);
}

static void
a_flipped_bit_lists_nobody_else(void **state)
{
	size_t len, i;
	char *whole = damage_begin(&len);
	int bit, still = 0, looks = 0;

	(void)state;
	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++) {
			whole[i] = (char)(whole[i] ^ 1 << bit);
			unlink(path);
			unit_file("blacklist.cdb", whole, len);
			still += look_at_damage("flipped", i * 8 +
			    (size_t)bit);
			looks++;
			whole[i] = (char)(whole[i] ^ 1 << bit);
		}
	/* and most of such damage keeps nobody off the list */
	assert_true(still > looks * 2);
	free(whole);
}

static void
rubbish_is_not_a_snapshot(void **state)
{
	static char bytes[8192];
	uint32_t x = 1;
	size_t n, i;
	int round;

	(void)state;
	for (round = 0; round < 2000; round++) {
		n = (size_t)round * 4 % sizeof(bytes);
		for (i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			bytes[i] = (char)(round % 4 == 0 ? 0 :
				round % 4 == 1 ? 255 : x >> 24);
		}
		unlink(path);
		unit_file("blacklist.cdb", bytes, n);
		assert_int_equal(look_at_damage("rubbish", (size_t)round), 0);
	}
}

/* A database of somebody else, or of a later version of ours. */
static void
another_database_is_not_a_snapshot(void **state)
{
	static const struct {
		const char *key, *value;
		bool good;
	} rows[] = {
		{ "abichecker", "2 5 0 : : - 0", true },
		{ "abichecker", "2 5 0 : : -", false },
		{ "abichecker", "2 5 0 : : - -1", false },
		{ "abichecker", "2 5 0 : :", false },
		{ "abichecker", "2 5 0 :32 :64 - 0", true },
		{ "abichecker", "2 0 0 :32,24 :128,64,48 - 0", true },
		{ "abichecker", "1 5 0 : : - 0", false },
		{ "abichecker", "", false },
		{ "abichecker", "1", false },
		{ "abichecker", "2 5 0 - 0", false },
		{ "abichecker", "2 5 0 : - 0", false },
		{ "abichecker", "2 -5 0 : : - 0", false },
		{ "abichecker", "2 5 -1 : : - 0", false },
		{ "abichecker", "2 x 0 : : - 0", false },
		{ "abichecker", "2 99999999999999999999 0 : : - 0", false },
		{ "abichecker", "2 5 0 :129 : - 0", false },
		{ "abichecker", "2 5 0 :-1 : - 0", false },
		{ "abichecker", "2 5 0 :x : - 0", false },
		{ "192.0.2.1", "REJECT", false },
	};
	struct snapshot s = { 0 };
	struct cdb_make m;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		unlink(path);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
		assert_int_equal(cdb_make_start(&m, fd), 0);
		assert_int_equal(cdb_make_add(&m, rows[i].key,
		    (unsigned)strlen(rows[i].key), rows[i].value,
		    (unsigned)strlen(rows[i].value)), 0);
		assert_int_equal(cdb_make_finish(&m), 0);
		close(fd);
		if (snapshot_refresh(&s, path) != rows[i].good)
			fail_msg("%s: %s", rows[i].key, rows[i].value);
		assert_string_equal(block_of(&s, "9.9.9.9"), "");
		assert_string_equal(block_of(&s, "2a03:4000::1"), "");
		snapshot_close(&s);
	}
}

/* A header of a value's form but with other lengths than any record. */
static void
records_of_another_size_list_nobody(void **state)
{
	static const unsigned sizes[] = { 0, 1, 31, 32, 33, 40, 128, 129, 200,
		5000 };
	unsigned char key[6] = { 4, 32, 9, 9, 9, 9 };
	static unsigned char value[5000];
	struct snapshot s = { 0 };
	struct cdb_make m;
	size_t i;
	int fd;

	(void)state;
	memset(value, 'x', sizeof(value)); /* no NUL: texts that never end */
	for (i = 0; i < COUNT(sizes); i++) {
		unlink(path);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
		assert_int_equal(cdb_make_start(&m, fd), 0);
		assert_int_equal(cdb_make_add(&m, "abichecker", 10,
		    "2 5 1 :32 : - 0", 15), 0);
		assert_int_equal(cdb_make_add(&m, key, sizeof(key), value,
		    sizes[i]), 0);
		assert_int_equal(cdb_make_finish(&m), 0);
		close(fd);
		assert_true(snapshot_refresh(&s, path));
		assert_string_equal(block_of(&s, "9.9.9.9"), "");
		assert_false(snapshot_each(&s, any, NULL));
		snapshot_close(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup(f, nothing_there)
		TEST(what_was_written_is_found),
		TEST(the_longest_texts_fit),
		TEST(each_prefix_length_is_found),
		TEST(the_longest_block_counts),
		TEST(a_ban_ends_when_it_says),
		TEST(an_empty_one_lists_nobody),
		TEST(each_entry_is_handed_out_once),
		TEST(a_new_one_is_used_at_once),
		TEST(an_unfinished_one_changes_nothing),
		TEST(what_cannot_be_written_leaves_the_old_one),
		TEST(links_are_not_followed),
		TEST(a_full_disk_leaves_the_old_one),
		TEST(only_our_own_and_roots_are_used),
		TEST(what_is_no_file_is_not_opened),
		TEST(one_that_is_cut_anywhere_does_no_harm),
		TEST(a_flipped_bit_lists_nobody_else),
		TEST(rubbish_is_not_a_snapshot),
		TEST(another_database_is_not_a_snapshot),
		TEST(records_of_another_size_list_nobody),
#undef TEST
	};

	return cmocka_run_group_tests(tests, group_make, unit_dir_remove);
}
