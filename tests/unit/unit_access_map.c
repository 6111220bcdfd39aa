/* The blacklist as an access map: keys, files, faults. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/tool.h"
#include "scan/access_map_parts.h"

#define REFUSED "\tREJECT " ACCESS_MAP_TEXT "\n"

static char error[ACCESS_MAP_ERROR_MAX];
static struct access_map_result result;
static const char *usual_path;

/* "TYPE:PATH" of a file in the scratch directory. */
static const char *
map_of(const char *type, const char *name)
{
	static char map[256];

	snprintf(map, sizeof(map), "%s:%s/%s", type, unit_dir, name);
	return map;
}

static const char *
path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", unit_dir, name);
	return path;
}

/* The map of a setting with a type. */
static const struct access_map *
at(const char *setting)
{
	static struct access_map m;

	if (access_map_parse(setting, &m) != NULL)
		fail_msg("%s", setting);
	return &m;
}

/* Runs a command with %s as the scratch directory; its exit status. */
static int
shell(const char *command)
{
	char line[1024];
	int status;

	snprintf(line, sizeof(line), "cd %s && ( %s ) >/dev/null 2>&1",
	    unit_dir, command);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The content of a file; the caller frees it. */
static char *
content(const char *name, size_t *len)
{
	FILE *f = fopen(path_of(name), "r");
	char *text = malloc(8 << 20);
	size_t n;

	assert_non_null(f);
	assert_non_null(text);
	n = fread(text, 1, (8 << 20) - 1, f);
	text[n] = '\0';
	fclose(f);
	if (len != NULL)
		*len = n;
	return text;
}

static bool
there(const char *name)
{
	struct stat st;

	return lstat(path_of(name), &st) == 0;
}

/* No temporary file of a map is left. */
static void
assert_tidy(void)
{
	assert_int_equal(shell("! ls -A | grep abichecker-new"), 0);
}

/* Writes a list of blocks, separated by blanks. */
static int
write_list(const char *map, const char *blocks, int64_t generation,
    bool override, bool anew)
{
	struct access_map_entry entries[64] = { 0 };
	struct access_map_list list = { .entries = entries, .max = 5,
		.generation = generation, .override = override, .anew = anew };
	char *copy = strdup(blocks), *word, *rest;
	size_t n = 0;
	int rc;

	for (word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		entries[n].since = (time_t)n;
		assert_null(address_block_parse(word, &entries[n++].block));
	}
	free(copy);
	error[0] = '\0';
	list.count = n;
	rc = access_map_write(at(map), &list, &result, error,
	    sizeof(error)) ? 0 : -1;
	/* What is somebody else's is left there. */
	if (strstr(error, "abichecker-new: ") == NULL)
		assert_tidy();
	return rc;
}

static int
write_blocks(const char *map, const char *blocks, int64_t generation)
{
	return write_list(map, blocks, generation, false, false);
}

/* The lines of our block in a file, and what follows it. */
static void
assert_file(const char *name, const char *lines, const char *others)
{
	char *text = content(name, NULL), *p = text, *end;
	int i;

	assert_memory_equal(text, "# BEGIN abichecker ", 19);
	for (i = 0; i < 3; i++)
		p = strchr(p, '\n') + 1;
	end = strstr(p, "# END abichecker blacklist\n");
	assert_non_null(end);
	assert_string_equal(end + 27, others);
	*end = '\0';
	assert_string_equal(p, lines);
	free(text);
}

static bool
postmap_has(const char *type)
{
	char command[128];

	snprintf(command, sizeof(command),
	    "command -v postmap && postconf -m | grep -qx %s", type);
	return shell(command) == 0;
}

/* What Postfix finds in a map. */
static void
assert_found(const char *map, const char *key, const char *value)
{
	char command[512], out[256] = "";
	FILE *p;

	snprintf(command, sizeof(command), "postmap -q '%s' %s 2>&1", key, map);
	p = popen(command, "r");
	assert_non_null(p);
	if (fgets(out, sizeof(out), p) != NULL)
		out[strcspn(out, "\n")] = '\0';
	pclose(p);
	if (strcmp(out, value) != 0)
		fail_msg("%s in %s: %s", key, map, out);
}

static int
fresh_directory(void **state)
{
	(void)state;
	tool_path = usual_path;
	access_lock_wait_ms = 15000;
	return shell("chmod 755 . && rm -rf ./* ./.[a-z]*");
}

static void
settings(void **state)
{
	static const struct {
		const char *map;
		bool good;
	} rows[] = {
		{ "hash:/etc/postfix/access", true }, { "lmdb:/a", true },
		{ "cdb:/a/b", true }, { "cidr:/a/b", true },
		{ "btree:/a/b", true }, { "", false }, { "hash", false },
		{ "hash:", false }, { "hash:access", false },
		{ "/etc/postfix/access", true }, { "pcre:/a/b", false },
		{ "/", false }, { "/a/", false }, { "/a b", false },
		{ "texthash:/a/b", false }, { "has:/a", false },
		{ "hash:/", false }, { "hash:/a/", false },
		{ "hash:/a/..", false }, { "hash:/a/.", false },
		{ "hash:/a b", false }, { "hash:/a\nb", false },
		{ "hash:/a,b", false }, { ":/a", false },
	};
	char longest[6000];
	struct access_map m;
	const char *what;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		what = access_map_parse(rows[i].map, &m);
		if ((what == NULL) != rows[i].good)
			fail_msg("%s: %s", rows[i].map, what);
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "hash:/", 6);
	longest[sizeof(longest) - 1] = '\0';
	assert_non_null(access_map_parse(longest, &m));
	longest[250] = '\0';
	assert_non_null(access_map_parse(longest, &m));
}

static void
keys(void **state)
{
	static const struct {
		const char *block, *first, *second;
		bool whole;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", NULL, true },
		{ "192.0.2.0/24", "192.0.2", NULL, true },
		{ "10.0.0.0/16", "10.0", NULL, true },
		{ "10.0.0.0/8", "10", NULL, true },
		{ "2001:db8:1:2::/64", "2001:db8:1:2", NULL, true },
		{ "2001:db8:1:0::/64", "2001:db8:1:0", "2001:db8:1:", true },
		{ "2001:db8::/64", "2001:db8:0:0", "2001:db8:", true },
		{ "2001:db8:0:2::/64", "2001:db8:0:2", NULL, true },
		{ "2001:0:0:2::/64", "2001:0:0:2", NULL, false },
		{ "2001::/64", "2001:0:0:0", NULL, false },
		{ "2001:db8::/32", "2001:db8", NULL, true },
		{ "2001:db8::/48", "2001:db8:0", "2001:db8:", true },
		{ "2001:db8::5", "2001:db8::5", NULL, true },
		{ "2001:db8::", "2001:db8::", NULL, true },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", NULL, true },
		{ "2600::5", NULL, NULL, false }, { "2600::", "2600::", NULL, true },
		{ "::5", NULL, NULL, false }, { "::/64", NULL, NULL, false },
	};
	char out[ACCESS_KEYS_MAX][ACCESS_KEY_MAX];
	struct address_block b;
	size_t i, n;
	bool whole;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_null(address_block_parse(rows[i].block, &b));
		n = access_keys(&b, out, &whole);
		if (n != (rows[i].first != NULL) + (size_t)(rows[i].second != NULL) ||
		    whole != rows[i].whole ||
		    (n > 0 && strcmp(out[0], rows[i].first) != 0) ||
		    (n > 1 && strcmp(out[1], rows[i].second) != 0))
			fail_msg("%s: %zu %s", rows[i].block, n, out[0]);
	}
}

static bool
inside(const struct address *a, const struct address_block *b, int bits)
{
	struct address x = *a, y = b->base;

	address_mask(&x, bits);
	address_mask(&y, bits);
	return address_compare(&x, &y) == 0;
}

/* Whether smtpd, cutting the text of an address, comes upon the key. */
static bool
cut_to(const struct address *a, const char *key)
{
	char text[ADDRESS_TEXT_MAX], *cut;

	address_text(a, text, sizeof(text));
	while (strcmp(text, key) != 0) {
		cut = strrchr(text, a->family == AF_INET ? '.' : ':');
		if (cut == NULL)
			return false;
		*cut = '\0';
	}
	return true;
}

/* Addresses with many zeros: where "::" comes to stand differs. */
static void
random_groups(struct address *a, int from)
{
	int i;

	for (i = from; i < 16; i += 2) {
		a->bytes[i] = 0;
		a->bytes[i + 1] = (unsigned char)(rand() % 5 < 3 ? 0 : rand() % 3);
	}
}

/* A key stands for addresses of its block only, all keys for all of them. */
static void
keys_exact(void **state)
{
	char out[ACCESS_KEYS_MAX][ACCESS_KEY_MAX];
	struct address a;
	struct address_block b;
	long round, hits = 0, inner = 0;
	size_t n, i;
	bool whole, found, in;

	(void)state;
	srand(7);
	for (round = 0; round < 400000; round++) {
		memset(&b, 0, sizeof(b));
		b.base.family = AF_INET6;
		random_groups(&b.base, 0);
		b.base.bytes[0] = 0x20;
		b.bits = 16 * (1 + rand() % 8);
		address_mask(&b.base, b.bits);
		a = b.base;
		random_groups(&a, rand() % 2 ? b.bits / 8 : rand() % 4 * 2 + 2);
		n = access_keys(&b, out, &whole);
		for (found = false, i = 0; i < n; i++)
			found = found || cut_to(&a, out[i]);
		in = inside(&a, &b, b.bits);
		hits += found;
		inner += in;
		if ((found && !inside(&a, &b, b.bits > 64 ? 64 : b.bits)) ||
		    (in && whole && !found)) {
			address_text(&a, error, sizeof(error));
			fail_msg("%s/%d: %s", n > 0 ? out[0] : "", b.bits, error);
		}
	}
	assert_true(hits > 50000 && inner > hits);
}

static void
expansion(void **state)
{
	static const struct {
		const char *block, *first, *last;
		size_t count;
		int bits;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.7", "192.0.2.7", 1, 32 },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.255", 128, 32 },
		{ "192.0.0.0/22", "192.0.0.0", "192.0.3.0", 4, 24 },
		{ "10.0.0.0/9", "10.0.0.0", "10.127.0.0", 128, 16 },
		{ "0.0.0.0/1", "0.0.0.0", "127.0.0.0", 128, 8 },
		{ "2001:db8:0:ff00::/56", "2001:db8:0:ff00::",
		    "2001:db8:0:ffff::", 256, 64 },
		{ "2001:db8::/48", "2001:db8::", "2001:db8::", 1, 48 },
	};
	struct address_block b, out[256];
	char text[ADDRESS_TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_null(address_block_parse(rows[i].block, &b));
		assert_int_equal(access_expand(&b, out), rows[i].count);
		assert_int_equal(out[0].bits, rows[i].bits);
		address_text(&out[0].base, text, sizeof(text));
		assert_string_equal(text, rows[i].first);
		address_text(&out[rows[i].count - 1].base, text, sizeof(text));
		assert_string_equal(text, rows[i].last);
	}
	assert_null(address_block_parse("2001:db8::/55", &b));
	assert_int_equal(access_expand(&b, out), 0);
}

/* What stays of a file without our block; NULL: it is refused. */
static void
others_kept(void **state)
{
#define BEGIN "# BEGIN abichecker blacklist, generation 7, sum 0\n"
#define OURS  "# BEGIN abichecker blacklist, generation 7, for hash, made " \
	"5.000000009, OK lines count\n"
#define END   "# END abichecker blacklist\n"
	static const struct {
		const char *file, *kept;
		bool ours;
	} rows[] = {
		{ "", "", false }, { "a OK", "a OK", false },
		{ "\n\n# c\na OK\n", "\n\n# c\na OK\n", false },
		{ BEGIN "1.2.3.4" REFUSED END "a OK\r\n b\n", "a OK\r\n b\n",
		    false },
		{ "a OK\n" OURS "1.2.3.4" REFUSED END "b OK", "a OK\nb OK",
		    true },
		/* Torn, or with a line of somebody else's: only ours goes. */
		{ BEGIN "1.2.3.4" REFUSED "1.2.3.4 REJECT\n",
		    "1.2.3.4 REJECT\n", false },
		{ OURS "1.2.3.4" REFUSED "b OK\n" BEGIN "x OK\n" END "c OK\n",
		    "b OK\nx OK\nc OK\n", true },
		/* The remarks of this release and the one before. */
		{ OURS "# Kept by abictl, which replaces its lines from BEGIN "
		  "to END: do not edit them.\n# Looked up before the lines "
		  "below; exceptions belong in whitelist.txt.\n" END "a OK\n",
		    "a OK\n", true },
		{ BEGIN "# Kept by abictl, which replaces all lines from BEGIN "
		  "to END: do not edit them.\n# What stands below about an "
		  "address counts, and keeps it out of here.\n" END "a OK\n",
		    "a OK\n", false },
		{ END "a OK\n", "a OK\n", false }, { BEGIN, "", false },
		{ "a OK\n# BEGIN something else\n",
		    "a OK\n# BEGIN something else\n", false },
		/* Lines that would continue a line of ours. */
		{ " a OK\n", NULL, false }, { "\n# c\n\ta OK\n", NULL, false },
		{ BEGIN END " x\n", NULL, false },
		/* It continues the administrator's, also across our block. */
		{ "a OK\n" BEGIN END "# c\n x\n", "a OK\n# c\n x\n", false },
		{ "a OK\n# c\n\n x\n", "a OK\n# c\n\n x\n", false },
	};
	struct access_header h;
	size_t i, len;
	char *text;
	bool kept;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		text = strdup(rows[i].file);
		len = strlen(text);
		kept = access_text_others(text, &len, &h);
		text[len] = '\0';
		if (kept != (rows[i].kept != NULL) ||
		    (kept && strcmp(text, rows[i].kept) != 0) ||
		    (kept && (h.generation == 7 && h.oks) != rows[i].ours))
			fail_msg("%zu: %d: %s", i, kept, text);
		free(text);
	}
}

/* A line is a header of ours only as we write it. */
static void
headers(void **state)
{
	static const char *const bad[] = {
		"# BEGIN abichecker blacklist, generation 7, sum 0\n",
		"# BEGIN abichecker blacklist, generation -7, for hash, made "
		"5.000000009\n",
		"# BEGIN abichecker blacklist, generation 7, for hash, made "
		"5.9\n",
		"# BEGIN abichecker blacklist, generation 7, for hash, made "
		"5.000000009, OK lines\n",
		"# BEGIN abichecker blacklist, generation 7, for hash, made "
		"5.000000009",
		" # BEGIN abichecker blacklist, generation 7, for hash, made "
		"5.000000009\n",
		"# BEGIN abichecker blacklist, generation 7\n", "\n", "",
	};
	struct access_header h = { .generation = 123456789012345678,
		.types = "hash lmdb", .made = { 1796054400, 1 }, .oks = true };
	char line[ACCESS_HEADER_MAX];
	struct access_header again;
	size_t i, n;

	(void)state;
	n = access_header_write(&h, line);
	assert_int_equal(n, strlen(line));
	assert_int_equal(access_header_read(line, n, &again), n);
	assert_int_equal(again.generation, h.generation);
	assert_string_equal(again.types, h.types);
	assert_int_equal(again.made.tv_sec, h.made.tv_sec);
	assert_int_equal(again.made.tv_nsec, 1);
	assert_true(again.oks);
	for (i = 0; i < COUNT(bad); i++)
		if (access_header_read(bad[i], strlen(bad[i]), &again) != 0 ||
		    again.generation != -1)
			fail_msg("%s", bad[i]);
}

/* Somebody else's line, a block of ours, and whether an OK covers that. */
static void
oks(void **state)
{
	static const struct {
		const char *line, *block;
		bool hash, cidr;
	} rows[] = {
		{ "192.0.2.1 OK", "192.0.2.1", true, true },
		{ "192.0.2.1 OK thanks", "192.0.2.1", true, true },
		{ "192.0.2.1\tok\r", "192.0.2.1", true, true },
		{ "192.0.2.1 DUNNO", "192.0.2.1", true, true },
		{ "192.0.2.1 REJECT", "192.0.2.1", false, false },
		{ "192.0.2.1 OKAY", "192.0.2.1", false, false },
		{ "192.0.2.1", "192.0.2.1", false, false },
		{ "# 192.0.2.1 OK", "192.0.2.1", false, false },
		{ " 192.0.2.1 OK", "192.0.2.1", false, false },
		{ "192.0.2.2 OK", "192.0.2.1", false, false },
		{ "192.0.2 OK", "192.0.2.1", true, false },
		{ "192.0.2 ok\r", "192.0.2.1", true, false },
		{ "192.0 OK", "192.0.2.1", true, false },
		{ "192 dunno", "192.0.2.1", true, false },
		{ "19 OK", "192.0.2.1", false, false },
		{ "192.0.2 REJECT", "192.0.2.1", false, false },
		{ "192.0.2 4x", "192.0.2.1", false, false },
		{ "2.0.2 OK", "192.0.2.1", false, false },
		/* Of an indexed map smtpd finds the longer key first. */
		{ "192.0.2.1 OK", "192.0.2.0/24", false, true },
		{ "2001:DB8:1:2 OK", "2001:db8:1:2::/64", true, false },
		{ "2001:db8:1 OK", "2001:db8:1:0::/64", true, false },
		{ "2001:db8: OK", "2001:db8::/64", true, false },
		{ "2001:db8::5 OK", "2001:db8::5", true, true },
		{ "2001:db8:1:2:3:4:5:6 OK", "2001:db8:1:2:3:4:5:6", true, true },
		{ "2001:db8:1:3 OK", "2001:db8:1:2::/64", false, false },
		{ "192.0.2.0/24 OK", "192.0.2.1", false, true },
		{ "192.0.2.0/24 REJECT", "192.0.2.1", false, false },
		{ "192.0.2.0/24 REJECT", "192.0.2.0/24", false, false },
		{ "0.0.0.0/0 OK", "2001:db8::/64", false, false },
		{ "[2001:db8::]/32 OK", "2001:db8:1:2::/64", false, true },
		{ "2001:db8:1:2::7 OK", "2001:db8:1:2::/64", false, true },
		{ "2001:db8:1:3::7 OK", "2001:db8:1:2::/64", false, false },
		{ "!192.0.2.0/24 OK", "192.0.3.1", false, false },
		{ "192.0.2.1/24 OK", "192.0.2.1", false, false },
		{ "if 192.0.2.0/24\n192.0.2.1 OK\nendif", "192.0.2.1", true, true },
		{ "10.0.0.0/8 OK\n192.0.0.0/16 OK\n192.0.2.0/24 OK\n"
		  "192.0.9.0/24 OK\n193.0.0.0/8 OK", "192.0.3.1", false, true },
		{ "10.0.0.0/8 OK\n192.0.2.0/24 OK", "192.0.3.1", false, false },
		{ "example.com OK", "192.0.2.1", false, false },
	};
	struct access_map_entry entry = { .since = 1 };
	struct access_map_list list = { .entries = &entry, .count = 1 };
	struct access_map_result r;
	struct hostlist *found;
	bool got[2];
	size_t i, n;
	char *text;
	int cidr;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		assert_null(address_block_parse(rows[i].block, &entry.block));
		for (cidr = 0; cidr < 2; cidr++) {
			found = access_oks_read(rows[i].line,
			    strlen(rows[i].line), cidr);
			memset(&r, 0, sizeof(r));
			text = access_text_make(&list, found, cidr, "", 0, &r,
			    &n);
			got[cidr] = r.left > 0;
			assert_int_equal(r.lines == 0, r.left > 0);
			free(text);
			hostlist_free(found);
		}
		if (got[0] != rows[i].hash || got[1] != rows[i].cidr)
			fail_msg("%s, %s: %d %d", rows[i].line, rows[i].block,
			    got[0], got[1]);
	}
}

/* Whom an OK covers is left out and named, until the override. */
static void
override(void **state)
{
	static const struct {
		const char *type, *oks, *others, *under;
	} rows[] = {
		{ "hash", "192.0.2.1 OK\n198.51.100 OK\n", "",
		    "203.0.113.9" REFUSED },
		{ "cidr", "192.0.2.1 OK\n198.51.100.0/24 OK\n", "",
		    "203.0.113.9" REFUSED },
		/* As the release before has left it. */
		{ "cidr", "192.0.2.1 OK\n198.51.100.0/24 OK\n",
		    BEGIN "203.0.113.9" REFUSED END, "203.0.113.9" REFUSED },
	};
	static const char blocks[] = "192.0.2.1 198.51.100.7 203.0.113.9";
	char file[1024];
	const char *map;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		if (strcmp(rows[i].type, "hash") == 0 && !postmap_has("hash"))
			continue;
		fresh_directory(state);
		map = map_of(rows[i].type, "access");
		snprintf(file, sizeof(file), "%s%s", rows[i].others,
		    rows[i].oks);
		unit_file("access", file, strlen(file));
		assert_int_equal(write_blocks(map, blocks, 1), 0);
		assert_file("access", rows[i].under, rows[i].oks);
		assert_int_equal(result.left, 2);
		assert_string_equal(result.names, " 192.0.2.1 198.51.100.7");
		access_map_left(map, &result, error, sizeof(error));
		assert_non_null(strstr(error, "192.0.2.1 198.51.100.7"));
		assert_non_null(strstr(error, "whitelist.txt"));
		/* And so it goes on, also when one stands above the block. */
		assert_int_equal(shell("sed -i '1i 203.0.113.8 OK' access"), 0);
		assert_int_equal(write_blocks(map, "192.0.2.1 203.0.113.8", 2),
		    0);
		assert_int_equal(result.lines, 0);
		assert_int_equal(result.left, 2);
		/* Until the override, which lasts, wherever the block is. */
		assert_int_equal(write_list(map, blocks, 2, true, false), 0);
		assert_int_equal(result.left, 0);
		assert_int_equal(result.lines, 3);
		assert_found(map, "192.0.2.1", "REJECT " ACCESS_MAP_TEXT);
		assert_found(map, "198.51.100.7", "REJECT " ACCESS_MAP_TEXT);
		assert_int_equal(write_blocks(map, blocks, 3), 0);
		assert_int_equal(result.lines, 3);
		assert_int_equal(shell("sed -i '1i 203.0.113.9 OK' access"), 0);
		assert_int_equal(write_blocks(map, blocks, 3), 0);
		assert_int_equal(result.lines, 3);
		/* What is taken out begins anew. */
		assert_true(access_map_remove(at(map), error, sizeof(error)));
		assert_int_equal(write_blocks(map, blocks, 4), 0);
		assert_int_equal(result.left, 3);
	}
	/* A file without an OK at first: our lines count, whatever comes. */
	fresh_directory(state);
	map = map_of("cidr", "access");
	assert_int_equal(write_blocks(map, blocks, 1), 0);
	assert_int_equal(shell("echo 192.0.2.1 OK >> access"), 0);
	assert_int_equal(write_blocks(map, blocks, 2), 0);
	assert_int_equal(result.lines, 3);
	assert_found(map, "192.0.2.1", "REJECT " ACCESS_MAP_TEXT);
	/* More names than there is room for. */
	fresh_directory(state);
	unit_file("access", "0.0.0.0/0 OK\n", 13);
	memset(file, 0, sizeof(file));
	for (i = 0; i < 60; i++)
		snprintf(file + strlen(file), sizeof(file) - strlen(file),
		    "192.0.2.%zu ", 100 + i);
	map = map_of("cidr", "access");
	assert_int_equal(write_blocks(map, file, 1), 0);
	assert_int_equal(result.left, 5);
	assert_int_equal(result.cut, 55);
}

/* Everything of somebody else's stays, to the byte. */
static void
foreign_lines(void **state)
{
	static const char odd[] = "# head\n\n192.0.2.1 OK\n"
				  "example.com\tREJECT\r\n  go away\n\0\0 x\n"
				  "2001:db8:9 OK\nlast.example OK";
	const char *map = map_of("cidr", "access");
	char big[100000], *text, *end;
	struct stat st;
	size_t len;

	(void)state;
	unit_file("access", odd, sizeof(odd) - 1);
	assert_int_equal(chmod(path_of("access"), 0640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(path_of("access"), 12, 34), 0);
	assert_int_equal(write_blocks(map, "192.0.2.2 192.0.2.1", 5), 0);
	assert_int_equal(result.lines, 1);
	assert_int_equal(result.left, 1);
	assert_true(result.changed && result.rewritten);
	text = content("access", &len);
	end = memmem(text, len, "# END abichecker blacklist\n", 27);
	assert_non_null(end);
	assert_int_equal(len - (size_t)(end + 27 - text), sizeof(odd) - 1);
	assert_memory_equal(end + 27, odd, sizeof(odd) - 1);
	free(text);
	assert_int_equal(stat(path_of("access"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (geteuid() == 0) {
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 34);
	}
	/* And once more when the block goes. */
	assert_true(access_map_remove(at(map), error, sizeof(error)));
	text = content("access", &len);
	assert_int_equal(len, sizeof(odd) - 1);
	assert_memory_equal(text, odd, len);
	free(text);
	assert_int_equal(access_map_generation(at(map)), -1);
	/* A line of any length. */
	memset(big, 'x', sizeof(big));
	memcpy(big + sizeof(big) - 5, " OK\n", 5);
	unit_file("access", big, sizeof(big) - 1);
	assert_int_equal(write_blocks(map, "192.0.2.2", 6), 0);
	assert_file("access", "192.0.2.2" REFUSED, big);
}

static void
forms(void **state)
{
	const char *map = map_of("cidr", "access");

	(void)state;
	/* A new file; sorted, one of each, the newest five. */
	assert_int_equal(write_blocks(map, "1.1.1.1 2001:db8::/64 9.0.0.0/8 "
	    "192.0.2.9 192.0.2.10 192.0.2.9 10.0.0.1", 0), 0);
	assert_file("access", "9.0.0.0/8" REFUSED "10.0.0.1" REFUSED
	    "192.0.2.9" REFUSED "192.0.2.10" REFUSED, "");
	assert_int_equal(result.cut, 2);
	assert_int_equal(access_map_generation(at(map)), 0);
	/* Another list, nothing in it. */
	assert_int_equal(write_blocks(map, "", 1), 0);
	assert_file("access", "", "");
	assert_true(result.changed);
	/* Only another generation: no reload is needed. */
	assert_int_equal(write_blocks(map, "", 123456789012), 0);
	assert_true(!result.changed && result.rewritten);
	assert_int_equal(access_map_generation(at(map)), 123456789012);
	/* The same: nothing is done. */
	assert_int_equal(write_blocks(map, "", 123456789012), 0);
	assert_true(!result.changed && !result.rewritten);
	/* Taken out: an empty file stays; and nothing to take out. */
	assert_true(access_map_remove(at(map), error, sizeof(error)));
	assert_int_equal(shell("test -e access -a ! -s access"), 0);
	assert_true(access_map_remove(at(map), error, sizeof(error)));
	assert_int_equal(unlink(path_of("access")), 0);
	assert_true(access_map_remove(at(map), error, sizeof(error)));
	assert_int_equal(shell("test -z \"$(ls -A)\""), 0);
}

/* The generation is only told of what is whole and untouched. */
static void
generation(void **state)
{
	static const struct {
		const char *type, *spoil;
	} rows[] = {
		{ "cidr", "rm access" }, { "cidr", "echo >> access" },
		{ "cidr", "sed -i 2d access" }, { "cidr", ": > access" },
		{ "cidr", "sed -i s/192/193/ access" },
		{ "cidr", "sed -i 's/generation 3/generation 2/' access" },
		{ "cidr", "sed -i '1i a OK' access" },
		{ "cidr", "sed -i '/END/d' access" },
		{ "cidr", "mv access b; ln -s b access" },
		{ "hash", "rm access.db" }, { "hash", "echo >> access" },
		{ "hash", "touch access" }, { "hash", "touch access.db" },
		{ "hash", "rm access.db; mkdir access.db" },
		{ "hash", "postmap hash:access" },
		{ "hash", "cp access x && postmap hash:x && mv x.db access.db" },
	};
	const char *map;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		if (strcmp(rows[i].type, "hash") == 0 && !postmap_has("hash"))
			continue;
		assert_int_equal(shell("rm -rf ./*"), 0);
		map = map_of(rows[i].type, "access");
		assert_int_equal(access_map_generation(at(map)), -1);
		assert_int_equal(write_blocks(map, "192.0.2.1", 3), 0);
		assert_int_equal(access_map_generation(at(map)), 3);
		shell(rows[i].spoil);
		if (access_map_generation(at(map)) != -1)
			fail_msg("%s: %s", rows[i].type, rows[i].spoil);
		if (strstr(rows[i].spoil, "ln -s") != NULL ||
		    strstr(rows[i].spoil, "mkdir") != NULL)
			continue;
		/* The next time mends it. */
		assert_int_equal(write_blocks(map, "192.0.2.1", 3), 0);
		assert_int_equal(access_map_generation(at(map)), 3);
		assert_true(result.rewritten);
	}
}

/* What Postfix itself finds, in every type that it has. */
static void
indexed(void **state)
{
	static const char *const types[] = { "hash", "btree", "lmdb", "cdb" };
	static const char others[] = "192.0.2.1 OK\n198.51.100 OK\n";
	struct stat text, index;
	char name[64];
	const char *map;
	size_t i, done = 0;

	(void)state;
	for (i = 0; i < COUNT(types); i++) {
		if (!postmap_has(types[i]))
			continue;
		map = map_of(types[i], "access");
		assert_int_equal(shell("rm -rf ./*"), 0);
		unit_file("access", others, strlen(others));
		if (write_blocks(map, "192.0.2.1 192.0.2.2 198.51.100.7 "
		    "203.0.113.0/30 2001:db8:1:0::/64 10.1.0.0/16", 1) != 0)
			fail_msg("%s", error);
		assert_file("access", "10.1" REFUSED "192.0.2.2" REFUSED
		    "203.0.113.0" REFUSED "203.0.113.1" REFUSED
		    "203.0.113.2" REFUSED "203.0.113.3" REFUSED
		    "2001:db8:1:0" REFUSED "2001:db8:1:" REFUSED, others);
		assert_found(map, "192.0.2.1", "OK");
		assert_found(map, "192.0.2.2", "REJECT " ACCESS_MAP_TEXT);
		assert_found(map, "2001:db8:1:", "REJECT " ACCESS_MAP_TEXT);
		assert_found(map, "10.1", "REJECT " ACCESS_MAP_TEXT);
		assert_found(map, "10.2", "");
		/* Owner and mode of the index stay as well. */
		snprintf(name, sizeof(name), "access.%s", i < 2 ? "db" : types[i]);
		assert_int_equal(chmod(path_of(name), 0604), 0);
		if (geteuid() == 0)
			assert_int_equal(chown(path_of(name), 0, 34), 0);
		assert_int_equal(write_blocks(map, "192.0.2.3", 2), 0);
		assert_found(map, "192.0.2.2", "");
		assert_found(map, "192.0.2.3", "REJECT " ACCESS_MAP_TEXT);
		assert_int_equal(stat(path_of("access"), &text), 0);
		assert_int_equal(stat(path_of(name), &index), 0);
		assert_int_equal(text.st_mode & 07777, 0644);
		assert_int_equal(index.st_mode & 07777, 0604);
		if (geteuid() == 0)
			assert_int_equal(index.st_gid, 34);
		assert_true(access_map_remove(at(map), error, sizeof(error)));
		assert_found(map, "192.0.2.3", "");
		assert_found(map, "192.0.2.1", "OK");
		done++;
	}
	if (done == 0)
		skip();
}

/*
 * For the same key our line wins, in every type that this Postfix has, and
 * those that it has and we do not keep are refused.
 */
static void
equal_keys(void **state)
{
	char list[4096] = "", *name, *rest, setting[300];
	struct access_map m;
	int kept = 0;
	FILE *p;

	(void)state;
	p = popen("postconf -m", "r");
	assert_non_null(p);
	list[fread(list, 1, sizeof(list) - 1, p)] = '\0';
	if (pclose(p) != 0)
		skip();
	for (name = strtok_r(list, "\n", &rest); name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		snprintf(setting, sizeof(setting), "%s", map_of(name, "access"));
		if (access_map_parse(setting, &m) != NULL) {
			/* As nobody can have its text file with our keys. */
			if (strcmp(name, "texthash") == 0)
				continue;
			unit_file("other", "192.0.2.1 OK\n", 13);
			snprintf(setting, sizeof(setting), "timeout 20 postmap "
			    "-w %s:other", name);
			if (shell(setting) == 0)
				fail_msg("%s is a type for blacklist.map", name);
			continue;
		}
		assert_int_equal(shell("rm -rf ./*"), 0);
		unit_file("access", "192.0.2.1 OK\n192.0.2.2 OK\n", 26);
		if (write_list(setting, "192.0.2.1", 1, true, false) != 0)
			fail_msg("%s: %s", name, error);
		assert_file("access", "192.0.2.1" REFUSED,
		    "192.0.2.1 OK\n192.0.2.2 OK\n");
		assert_found(setting, "192.0.2.1", "REJECT " ACCESS_MAP_TEXT);
		assert_found(setting, "192.0.2.2", "OK");
		kept++;
	}
	assert_true(kept >= 2);
}

/* A label and an ACL go with the file, where the file system has them. */
static void
attributes(void **state)
{
	static const char label[] = "system_u:object_r:postfix_etc_t:s0";
	const char *map = map_of("cidr", "access");
	char value[100] = "";

	(void)state;
	unit_file("access", "a OK\n", 5);
	if (setxattr(path_of("access"), "security.selinux", label,
		sizeof(label), 0) != 0)
		skip();
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), 0);
	assert_int_equal(getxattr(path_of("access"), "security.selinux", value,
	    sizeof(value)), sizeof(label));
	assert_string_equal(value, label);
}

/* What is refused, with the words of the message. */
static void
refused(void **state)
{
	static const struct {
		const char *make, *type, *name, *says;
	} rows[] = {
		{ "mkdir access", "cidr", "access", "a directory" },
		{ "mkdir access", "hash", "access", "a directory" },
		{ "touch t; ln -s t access", "cidr", "access", "symbolic link" },
		{ "ln -s nowhere access", "cidr", "access", "symbolic link" },
		{ "mkfifo access", "cidr", "access", "not a regular file" },
		{ "mkdir access.db", "hash", "access", "a directory" },
		{ "touch t; ln -s t access.db", "hash", "access", "symbolic" },
		{ "true", "cidr", "none/access", "No such file" },
		{ "touch file", "cidr", "file/access", "Not a directory" },
		{ "mkdir -m 777 d", "cidr", "d/access", "others than root" },
		{ "mkdir -m 775 d", "cidr", "d/access", "others than root" },
		{ "mkdir -m 1777 d", "cidr", "d/access", "others than root" },
		{ "mkdir -m 777 d; mkdir d/e", "cidr", "d/e/access", "others" },
		{ "mkdir d; chown 12 d", "cidr", "d/access", "others than root" },
		{ "mkdir d; ln -s d l; chown -h 12 l", "cidr", "l/access",
		    "others than root" },
		{ "mkdir .access.abichecker-new", "cidr", "access", "new: Is" },
		{ "mkfifo .access.abichecker-new", "cidr", "access", "new: " },
		{ "printf ' x OK\\n' > access", "cidr", "access",
		    "begins with white space" },
		{ "truncate -s 600M access", "cidr", "access", "too large" },
		{ "yes 1.2.3.4 OK | head -c 68000000 > access", "cidr",
		    "access", "too many lines" },
	};
	size_t i;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (i = 0; i < COUNT(rows); i++) {
		fresh_directory(state);
		assert_int_equal(shell(rows[i].make), 0);
		assert_int_equal(write_blocks(map_of(rows[i].type,
		    rows[i].name), "192.0.2.1", 1), -1);
		if (strstr(error, rows[i].says) == NULL ||
		    strstr(error, rows[i].type) != error)
			fail_msg("%s: %s", rows[i].make, error);
		assert_int_equal(result.lines + result.rewritten, 0);
		assert_int_equal(access_map_generation(at(map_of(rows[i].type,
		    rows[i].name))), -1);
	}
	/* A link of root's to a directory is followed. */
	fresh_directory(state);
	assert_int_equal(shell("mkdir d; ln -s d l"), 0);
	assert_int_equal(write_blocks(map_of("cidr", "l/access"), "1.1.1.1", 1), 0);
	assert_true(there("d/access"));
}

/* Puts a program of that name where programs are looked for. */
static void
program(const char *name, const char *script)
{
	static char where[128];
	char relative[64];

	snprintf(where, sizeof(where), "%s/bin", unit_dir);
	mkdir(where, 0755);
	snprintf(relative, sizeof(relative), "bin/%s", name);
	unit_file(relative, script, strlen(script));
	assert_int_equal(chmod(path_of(relative), 0755), 0);
	tool_path = where;
}

/* The types of a map, as its setting and a postconf say that is played. */
static void
types_of_postfix(void **state)
{
	static const struct {
		const char *setting, *main, *master, *type, *kept;
	} rows[] = {
		{ "/m/a", "", "", "lmdb", "lmdb" },
		{ "/m/a", "x = hash:/m/ab, cdb:/n/m/a, :/m/a", "", "cdb", "cdb" },
		{ "/m/a", "x = check_client_access hash:/m/a", "", "lmdb", "hash" },
		{ "/m/a", "x = proxy:btree:/m/a, reject", "", "lmdb", "btree" },
		{ "/m/a", "x = { check_client_access cdb:/m/a}", "", "", "cdb" },
		{ "/m/a", "", "smtp/inet/x = lmdb:/m/a", "hash", "lmdb" },
		{ "/m/a", "x = hash:/m/a", "smtp/inet/x = lmdb:/m/a", "cdb",
		    "hash lmdb" },
		{ "/m/a", "x = hash:/m/a", "smtp/inet/x = cidr:/m/a", "", "hash" },
		{ "/m/a", "x = cidr:/m/a", "", "hash", "cidr" },
		{ "/m/a", "x = pcre:/m/a", "", "hash", "hash" },
		{ "/m/a", "", "", "sdbm", NULL },
		{ "lmdb:/m/a", "", "", "hash", "lmdb" },
		{ "lmdb:/m/a", "x = hash:/m/a", "", "cdb", "hash lmdb" },
		{ "lmdb:/m/a", "x = cidr:/m/a", "", "cdb", "lmdb" },
		{ "cidr:/m/a", "x = hash:/m/a", "", "cdb", "cidr" },
		/* Both would be a.db. */
		{ "/m/a", "x = btree:/m/a hash:/m/a", "", "", "hash" },
		{ "btree:/m/a", "x = hash:/m/a", "", "", "btree" },
	};
	struct access_map m;
	bool found;
	size_t i;

	(void)state;
	program("postconf", "#!/bin/sh\ncase $1 in\n-nx) cat main;;\n"
	    "-Px) cat master;;\n-hx) test $2 = default_database_type && "
	    "cat type;;\nesac\n");
	for (i = 0; i < COUNT(rows); i++) {
		assert_int_equal(chdir(unit_dir), 0);
		unit_file("main", rows[i].main, strlen(rows[i].main));
		unit_file("master", rows[i].master, strlen(rows[i].master));
		unit_file("type", rows[i].type, strlen(rows[i].type));
		found = access_map_find(rows[i].setting, &m, error,
		    sizeof(error));
		if (found != (rows[i].kept != NULL) || (found &&
		    strcmp(access_map_types(m.kept), rows[i].kept) != 0))
			fail_msg("%zu: %s", i, access_map_types(m.kept));
		if (!found)
			assert_non_null(strstr(error, rows[i].type));
	}
	/* Without a Postfix only a type in the setting will do. */
	tool_path = "/nonexistent";
	assert_true(access_map_find("cidr:/m/a", &m, error, sizeof(error)));
	assert_false(access_map_find("/m/a", &m, error, sizeof(error)));
	assert_non_null(strstr(error, "/m/a: "));
	assert_non_null(strstr(error, "postconf: not found"));
}

/* postmap hash: makes a.cdb, as Postfix 3.11 may; then again a.db. */
static void
redirected(void **state)
{
	static const char script[] =
	    "#!/bin/sh\necho index > \"${2#*:}.$(cat suffix)\"\n";
	const char *map = map_of("hash", "access");
	struct stat text, index;

	(void)state;
	assert_int_equal(chdir(unit_dir), 0);
	unit_file("access", "a OK\n", 5);
	unit_file("access.db", "old", 3);
	unit_file("suffix", "cdb", 3);
	program("postmap", script);
	if (write_blocks(map, "192.0.2.1", 1) != 0)
		fail_msg("%s", error);
	assert_int_equal(stat(path_of("access"), &text), 0);
	assert_int_equal(stat(path_of("access.cdb"), &index), 0);
	assert_memory_equal(&text.st_mtim, &index.st_mtim,
	    sizeof(text.st_mtim));
	assert_int_equal(access_map_generation(at(map)), 1);
	assert_int_equal(shell("test \"$(cat access.db)\" = old"), 0);
	/* The same lines: the index stays as it is. */
	assert_int_equal(write_blocks(map, "192.0.2.1", 2), 0);
	assert_false(result.changed);
	assert_int_equal(access_map_generation(at(map)), 2);
	/* Anew, when the type is another one now. */
	unit_file("suffix", "db", 2);
	assert_int_equal(write_list(map, "192.0.2.1", 2, false, true), 0);
	assert_int_equal(shell("test \"$(cat access.db)\" = index"), 0);
	assert_int_equal(access_map_generation(at(map)), 2);
	/* Of lmdb as well; both kinds are kept. */
	unit_file("suffix", "lmdb", 4);
	assert_int_equal(write_blocks(map, "192.0.2.2", 3), 0);
	assert_int_equal(access_map_generation(at(map)), 3);
	assert_true(there("access.lmdb") && there("access.db"));
}

/* Without a postmap that does its work nothing changes. */
static void
postmap_fails(void **state)
{
	static const struct {
		const char *script, *says;
	} rows[] = {
		{ NULL, "postmap: not found in " },
		{ "#!/bin/sh\necho 'postmap: fatal: no' >&2; exit 1\n",
		    "postmap: fatal: no" },
		{ "#!/bin/sh\nexit 3\n", "postmap: exit status 3" },
		{ "#!/bin/sh\nkill -9 $$\n", "postmap: killed by signal 9" },
		{ "#!/bin/sh\nexit 0\n", "postmap has made no " },
		{ "#!/nonexistent\n", "postmap: " },
		{ "#!/bin/sh\nyes no | head -c 300000; exit 1\n", "no" },
		{ "#!/bin/sh\necho half > \"${2#hash:}.db\"; exit 1\n",
		    "postmap: exit status 1" },
		{ "#!/bin/sh\nln -s /etc/passwd \"${2#hash:}.db\"\n",
		    "symbolic link" },
	};
	const char *map = map_of("hash", "access");
	size_t i;

	(void)state;
	unit_file("access", "a OK\n", 5);
	unit_file("access.db", "index", 5);
	tool_path = "/nonexistent:/nowhere";
	for (i = 0; i < COUNT(rows); i++) {
		if (rows[i].script != NULL)
			program("postmap", rows[i].script);
		assert_int_equal(write_blocks(map, "192.0.2.1", 1), -1);
		if (strstr(error, rows[i].says) == NULL)
			fail_msg("%zu: %s", i, error);
		assert_int_equal(shell("test \"$(cat access access.db)\" = "
		    "\"$(printf 'a OK\\nindex')\""), 0);
	}
	/* Not needed for a cidr map. */
	tool_path = "/nonexistent";
	map = map_of("cidr", "access");
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), 0);
}

static void
tools(void **state)
{
	static const char *const argv[] = { "tool", "a b", "$(c)", NULL };
	int64_t start;

	(void)state;
	program("tool", "#!/bin/sh\necho \"$# $1 $2\"\necho second\n");
	assert_int_equal(tool_run(argv, -1, -1, 10, error, sizeof(error)), 0);
	assert_string_equal(error, "2 a b $(c)");
	/* Where children are ignored, too; and that stays so. */
	signal(SIGCHLD, SIG_IGN);
	program("tool", "#!/bin/sh\nexit 7\n");
	assert_int_equal(tool_run(argv, -1, -1, 10, error, sizeof(error)), -1);
	assert_string_equal(error, "tool: exit status 7");
	assert_ptr_equal(signal(SIGCHLD, SIG_DFL), SIG_IGN);
	/* It and what it started are killed. */
	program("tool", "#!/bin/sh\nsleep 1000 & echo $! > \"$0.pid\"; wait\n");
	start = clock_ms();
	assert_int_equal(tool_run(argv, -1, -1, 1, error, sizeof(error)), -1);
	assert_string_equal(error, "tool: not finished within 1s, killed");
	assert_true(clock_ms() - start < 10000);
	assert_int_equal(shell("i=0; while kill -0 $(cat bin/tool.pid) && "
	    "! grep -q '^State:.Z' /proc/$(cat bin/tool.pid)/status; "
	    "do i=$((i + 1)); test $i -lt 100000 || exit 1; done"), 0);
	/* One that leaves somebody after with its output. */
	program("tool", "#!/bin/sh\nsleep 1000 & echo $! > \"$0.pid\"; echo x\n");
	start = clock_ms();
	assert_int_equal(tool_run(argv, -1, -1, 30, error, sizeof(error)), 0);
	assert_true(clock_ms() - start < 10000);
	assert_int_equal(shell("kill $(cat bin/tool.pid)"), 0);
}

static void
reload(void **state)
{
	(void)state;
	setenv("MAIL_CONFIG", "/etc/postfix-out", 1);
	setenv("LD_SOMETHING", "x", 1);
	program("postfix", "#!/bin/sh\n"
	    "test \"$*\" = reload || exit 2\n"
	    "test \"$MAIL_CONFIG\" = /etc/postfix-out || exit 3\n"
	    "test -z \"$LD_SOMETHING\" || exit 4\n");
	if (!postfix_reload(error, sizeof(error)))
		fail_msg("%s", error);
	unsetenv("MAIL_CONFIG");
	program("postfix", "#!/bin/sh\ntest \"${MAIL_CONFIG+set}\" || "
	    "{ echo 'postfix: fatal: not running'; exit 1; }\n");
	assert_false(postfix_reload(error, sizeof(error)));
	assert_string_equal(error, "postfix: fatal: not running");
}

/* What a killed run has left is removed, others' files are not. */
static void
leftovers(void **state)
{
	const char *map = map_of("cidr", "access");

	(void)state;
	unit_file(".access.abichecker-new", "x", 1);
	unit_file("access.abichecker-new.txt", "x", 1);
	assert_int_equal(shell("ln access.abichecker-new.txt keep && "
	    "rm access.abichecker-new.txt"), 0);
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), 0);
	assert_true(there("keep"));
	assert_int_equal(shell("rm -f .access.abichecker-new && "
	    "ln -s keep .access.abichecker-new"), 0);
	assert_int_equal(write_blocks(map, "192.0.2.2", 2), 0);
	assert_int_equal(shell("test \"$(cat keep)\" = x"), 0);
}

/* A second writer waits for the first, but not for ever. */
static void
busy(void **state)
{
	const char *map = map_of("cidr", "access");
	int fd, ends[2], let[2], status;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(let), 0);
	pid = fork();
	if (pid == 0) {
		fd = open(path_of(".access.abichecker-new"), O_RDWR | O_CREAT,
		    0600);
		if (lock_byte(fd, 0, 0) != 0 || write(ends[1], "x", 1) != 1 ||
		    read(let[0], &byte, 1) != 1)
			_exit(1);
		usleep(300000);
		_exit(0);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	access_lock_wait_ms = 20;
	assert_int_equal(write_blocks(map, "192.0.2.2", 2), -1);
	assert_non_null(strstr(error, "busy"));
	assert_int_equal(write(let[1], "x", 1), 1);
	access_lock_wait_ms = 15000;
	if (write_blocks(map, "192.0.2.2", 2) != 0)
		fail_msg("%s", error);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
	close(let[0]);
	close(let[1]);
}

#define MANY 3000

/* Many entries, of which all differ between even and odd generations. */
static int
write_many(const char *map, size_t count, int64_t of)
{
	struct access_map_entry *e = calloc(count, sizeof(*e));
	struct access_map_list list = { .count = count, .max = count,
		.generation = of };
	size_t i;
	int rc;

	for (i = 0; i < count; i++) {
		e[i].block.base.family = AF_INET;
		e[i].block.base.bytes[0] = (unsigned char)(10 + of % 2);
		e[i].block.base.bytes[1] = (unsigned char)(i >> 16);
		e[i].block.base.bytes[2] = (unsigned char)(i >> 8);
		e[i].block.base.bytes[3] = (unsigned char)i;
		e[i].block.bits = 32;
	}
	list.entries = e;
	rc = access_map_write(at(map), &list, &result, error,
	    sizeof(error)) ? 0 : -1;
	free(e);
	return rc;
}

/* Several at once: one after the other, nobody fails. */
static void
writers(void **state)
{
	const char *map = map_of(postmap_has("hash") ? "hash" : "cidr", "access");
	int i, round, status;
	int64_t last;
	pid_t pids[4];

	(void)state;
	unit_file("access", "a OK\n", 5);
	for (i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (round = 0; round < 5; round++)
			if ((round < 4 &&
			    !access_map_remove(at(map), error, sizeof(error))) ||
			    write_many(map, 1, i + 4 * round) != 0)
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	last = access_map_generation(at(map));
	assert_true(last >= 16 && last < 20);
	assert_tidy();
	assert_file("access", last % 2 ? "11.0.0.0" REFUSED :
	    "10.0.0.0" REFUSED, "a OK\n");
}

/* The keys that an index or a file has: "TEN ELEVEN OTHERS". */
static void
counts(const char *command, long *ten, long *eleven, long *foreign)
{
	char line[512];
	FILE *p;

	snprintf(line, sizeof(line), "cd %s && %s 2>/dev/null | awk '/^10[.]/ "
	    "{ t++ } /^11[.]/ { e++ } /^admin/ { f++ } "
	    "END { print t + 0, e + 0, f + 0 }'", unit_dir, command);
	p = popen(line, "r");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%ld %ld %ld", ten, eleven, foreign), 3);
	pclose(p);
}

static bool
whole(const char *command)
{
	long ten, eleven, foreign;

	counts(command, &ten, &eleven, &foreign);
	return foreign == 1 && ((ten == MANY && eleven == 0) ||
	    (ten == 0 && eleven == MANY));
}

/* Killed at any moment: text and index are each old or new, then mended. */
static void
killed(void **state)
{
	const char *map = map_of("hash", "access");
	int64_t before, after;
	int64_t full;
	struct timespec wait = { 0, 0 };
	int round, status, killed_rounds = 0;
	pid_t pid;

	(void)state;
	if (!postmap_has("hash"))
		skip();
	unit_file("access", "admin.example OK\n", 17);
	full = clock_ms();
	assert_int_equal(write_many(map, MANY, 0), 0);
	full = clock_ms() - full + 2;
	srand(11);
	for (round = 1; round <= 50; round++) {
		before = access_map_generation(at(map));
		assert_int_equal(before, round - 1);
		wait.tv_nsec = (long)(rand() % (full * 1000)) * 1000;
		pid = fork();
		if (pid == 0)
			_exit(write_many(map, MANY, round) != 0);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		killed_rounds += WIFSIGNALED(status);
		after = access_map_generation(at(map));
		if (!whole("cat access") || !whole("postmap -s hash:access") ||
		    (after != -1 && after != round && after != round - 1))
			fail_msg("round %d: %ld", round, (long)after);
		if (write_many(map, MANY, round) != 0)
			fail_msg("round %d: %s", round, error);
		assert_tidy();
		assert_true(whole("postmap -s hash:access"));
	}
	assert_true(killed_rounds >= 20);
}

/* A postmap that outlives us has the map for itself until it ends. */
static void
orphan(void **state)
{
	const char *map = map_of("hash", "access");
	pid_t pid;

	(void)state;
	assert_int_equal(shell("mkfifo begun go"), 0);
	program("postmap", "#!/bin/sh\necho > begun; read x < go\n"
	    "echo index > \"${2#hash:}.db\"\n");
	pid = fork();
	if (pid == 0)
		_exit(write_many(map, 1, 1) != 0);
	assert_int_equal(shell("timeout 100 cat begun"), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	access_lock_wait_ms = 20;
	assert_int_equal(write_many(map, 1, 2), -1);
	assert_non_null(strstr(error, "busy"));
	access_lock_wait_ms = 15000;
	assert_int_equal(shell("timeout 100 sh -c 'echo > go'"), 0);
	program("postmap", "#!/bin/sh\necho index > \"${2#hash:}.db\"\n");
	if (write_many(map, 1, 2) != 0)
		fail_msg("%s", error);
	assert_tidy();
	assert_int_equal(access_map_generation(at(map)), 2);
}

/* The moment between the two renames, made by hand. */
static void
between(void **state)
{
	const char *map = map_of("hash", "access");

	(void)state;
	if (!postmap_has("hash"))
		skip();
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), 0);
	assert_int_equal(shell("cp -p access old"), 0);
	assert_int_equal(write_blocks(map, "192.0.2.2", 2), 0);
	assert_int_equal(shell("mv old access"), 0);
	assert_int_equal(access_map_generation(at(map)), -1);
	/* Also when the old list is wanted again: the index is made anew. */
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), 0);
	assert_true(result.rewritten);
	assert_found(map, "192.0.2.1", "REJECT " ACCESS_MAP_TEXT);
	assert_found(map, "192.0.2.2", "");
	assert_int_equal(access_map_generation(at(map)), 1);
}

/* A full disk, first for the file, then for the index. */
static void
disk_full(void **state)
{
	static const char *const sizes[] = { "size=256k", "size=6m" };
	const char *map;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(sizes); i++) {
		fresh_directory(state);
		assert_int_equal(mkdir(path_of("disk"), 0755), 0);
		if (geteuid() != 0 || mount("none", path_of("disk"), "tmpfs", 0,
			sizes[i]) != 0)
			skip();
		/* The mount has a mode of its own. */
		assert_int_equal(chmod(path_of("disk"), 0755), 0);
		map = map_of(postmap_has("hash") ? "hash" : "cidr",
		    "disk/access");
		if (write_many(map, 100, 1) != 0 || write_many(map, 50000, 2) == 0) {
			umount(path_of("disk"));
			fail_msg("%s: %s", sizes[i], error);
		}
		assert_non_null(strstr(error, "No space left"));
		assert_int_equal(shell("test \"$(ls disk | wc -l)\" -le 2 && "
		    "! ls -A disk | grep new"), 0);
		assert_int_equal(access_map_generation(at(map)), 1);
		assert_int_equal(write_many(map, 100, 3), 0);
		assert_int_equal(umount(path_of("disk")), 0);
	}
}

/* Somebody edits the file all the time: an error, or the edit is in. */
static void
edited_meanwhile(void **state)
{
	const char *map = map_of("hash", "access");

	(void)state;
	/* postmap is the moment after reading, before the renames. */
	unit_file("access", "a OK\n", 5);
	program("postmap", "#!/bin/sh\necho \"b$$ OK\" >> access\n"
	    "echo index > \"${2#hash:}.db\"\n");
	assert_int_equal(write_blocks(map, "192.0.2.1", 1), -1);
	assert_non_null(strstr(error, "changes while"));
	assert_false(there("access.db"));
	program("postmap", "#!/bin/sh\ntest -e once || echo \"b OK\" >> access\n"
	    ": > once\necho index > \"${2#hash:}.db\"\n");
	unit_file("access", "a OK\n", 5);
	if (write_blocks(map, "192.0.2.1", 1) != 0)
		fail_msg("%s", error);
	assert_file("access", "192.0.2.1" REFUSED, "a OK\nb OK\n");
}

static int
begin(void **state)
{
	usual_path = tool_path;
	return unit_dir_make(state);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh_directory)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(settings),
		TEST(keys),
		TEST(keys_exact),
		TEST(expansion),
		TEST(others_kept),
		TEST(headers),
		TEST(oks),
		TEST(override),
		TEST(equal_keys),
		TEST(types_of_postfix),
		TEST(redirected),
		TEST(foreign_lines),
		TEST(forms),
		TEST(generation),
		TEST(indexed),
		TEST(attributes),
		TEST(refused),
		TEST(postmap_fails),
		TEST(tools),
		TEST(reload),
		TEST(leftovers),
		TEST(busy),
		TEST(writers),
		TEST(killed),
		TEST(orphan),
		TEST(between),
		TEST(disk_full),
		TEST(edited_meanwhile),
	};

	return cmocka_run_group_tests(tests, begin, unit_dir_remove);
}
