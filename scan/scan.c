/*
 * scan - from log lines to hits: which lines count, against which block.
 */
#include "scan/scan.h"

#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "scan/access_map.h"
#include "config/action.h"
#include "base/statedir.h"
#include "base/text.h"

#define REPLY_FIXED 8 /* bytes of an action's text */
#define VARIABLE_MAX 300 /* bytes that a variable may stand for */
#define DAY 86400L
#define KEY_PLAIN 120 /* bytes of a recipient that are kept as they are */
#define SINCE ".scan-since" /* when this release has first scanned */

/* --- our own refusals --- */

/*
 * The text that an action gives to Postfix's log; without a text of ours
 * Postfix says "Access denied".
 */
static void
reply_add(struct scan *s, const char *action)
{
	char *out;
	size_t n;

	if (action == NULL || action_only_logs(action) ||
	    s->reply_count == SCAN_REPLIES_MAX)
		return;
	out = s->our_replies[s->reply_count];
	/* Verb or code, and perhaps an enhanced status code. */
	action += strcspn(action, " ");
	action += strspn(action, " ");
	n = strspn(action, "0123456789.");
	if (n >= 5 && (action[n] == ' ' || action[n] == '\0'))
		action += n + strspn(action + n, " ");
	snprintf(out, sizeof(s->our_replies[0]), "%s", action);
	if (*text_trim(out) == '\0')
		snprintf(out, sizeof(s->our_replies[0]), "Access denied");
	s->reply_count++;
}

/* The end of $name or ${name} at s. */
static const char *
variable_end(const char *s)
{
	if (*++s == '{')
		return s + strcspn(s, "}") + (strchr(s, '}') != NULL);
	return s + strspn(s, "abcdefghijklmnopqrstuvwxyz_");
}

/* Between its variables an action's text has too little to tell it by. */
static bool
reply_is_vague(const char *reply)
{
	size_t fixed = 0, n;

	if (strchr(reply, '$') == NULL)
		return false;
	while (*reply != '\0') {
		if (*reply == '$') {
			reply = variable_end(reply);
			continue;
		}
		n = 1 + strcspn(reply + 1, "$");
		if (n > fixed)
			fixed = n;
		reply += n;
	}
	return fixed < REPLY_FIXED;
}

/* Then our reasons tell: what checks say about a client or an account. */
static bool
reason_matches(const char *text, size_t len)
{
	static const char *const phrases[] = { " is listed for ",
		" is listed on ", "AbuseIPDB score ", "compromised since ",
		"countries " };
	size_t i;

	for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (memmem(text, len, phrases[i], strlen(phrases[i])) != NULL)
			return true;
	return false;
}

/*
 * Is all of a text of the log what an action says? Each variable stands for
 * any text of at most VARIABLE_MAX bytes.
 */
static bool
reply_matches(const char *reply, const char *text, size_t len)
{
	bool anywhere = false;
	const char *found;
	size_t n;

	if (len >= ACTION_MAX)
		return false;
	while (*reply != '\0') {
		if (*reply == '$') {
			reply = variable_end(reply);
			anywhere = true;
			continue;
		}
		n = 1 + strcspn(reply + 1, "$");
		if (reply[n] == '\0' && anywhere) /* the last piece */
			return len >= n && len - n <= VARIABLE_MAX &&
			    memcmp(text + len - n, reply, n) == 0;
		found = anywhere ? memmem(text,
		    len < VARIABLE_MAX + n ? len : VARIABLE_MAX + n, reply, n) :
		    len >= n && memcmp(text, reply, n) == 0 ? text : NULL;
		if (found == NULL)
			return false;
		len -= (size_t)(found - text) + n;
		text = found + n;
		reply += n;
		anywhere = false;
	}
	return len <= (anywhere ? VARIABLE_MAX : 0);
}

/* Never of a milter or HELO: there is no action of ours there. */
static bool
is_own(const struct scan *s, const struct maillog_hit *hit)
{
	const struct maillog_text *t = &hit->text;
	bool free_text = hit->rule == MAILLOG_POLICY_REJECTED ||
	    hit->rule == MAILLOG_SENDER_REJECTED;
	int i;

	if (t->len == 0 || hit->rule == MAILLOG_MILTER_REJECTED ||
	    hit->rule == MAILLOG_HELO_REJECTED)
		return false;
	for (i = 0; i < s->reply_count; i++)
		if (reply_is_vague(s->our_replies[i]) ?
			free_text && reason_matches(t->s, t->len) :
			reply_matches(s->our_replies[i], t->s, t->len))
			return true;
	return false;
}

/*
 * Do the texts that the last release gave by default count as ours? For as
 * long as somebody whom they have refused can be on the list.
 */
static bool
former_holds(const struct config *cfg)
{
	struct statedir d;
	char text[128];
	time_t since = 0;
	int rc;

	statedir_init(&d, cfg->reputation.cache_dir);
	rc = statedir_usable(&d) ?
	    statedir_read(&d, SINCE, text, sizeof(text), &since) : -1;
	statedir_close(&d);
	return rc == 0 ||
	    (rc == 1 && time(NULL) - since < cfg->blacklist.ban_max);
}

void
scan_settle(const struct config *cfg)
{
	static const char text[] = "Texts of former releases count as ours "
	    "for a while from now on.\n";
	struct statedir d;
	char there[sizeof(text)];

	statedir_init(&d, cfg->reputation.cache_dir);
	if (statedir_usable(&d) &&
	    statedir_read(&d, SINCE, there, sizeof(there), NULL) == 0)
		statedir_write(&d, SINCE, text, strlen(text), 0);
	statedir_close(&d);
}

/* --- which lines count --- */

void
scan_init(struct scan *s, const struct config *cfg)
{
	uint64_t nonce;
	int i;

	memset(s, 0, sizeof(*s));
	s->cfg = cfg;
	if (cfg->blacklist.rules != NULL)
		rules_parse(cfg->blacklist.rules, &s->rules);
	snprintf(s->our_replies[s->reply_count++],
	    sizeof(s->our_replies[0]), "%s",
	    ACCESS_MAP_TEXT);
	for (i = 0; i < config_option_count; i++)
		if (config_options[i].type == CONFIG_ACTION)
			reply_add(s, *(const char *const *)((const char *)cfg +
			    config_options[i].offset));
	if (former_holds(cfg))
		reply_add(s, "REJECT");
	maillog_init(&s->log, &s->rules);
	if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) < 0)
		nonce = (uint64_t)time(NULL);
	snprintf(s->nonce, sizeof(s->nonce), "%016llx.",
	    (unsigned long long)nonce);
	s->log.name_wanted = scan_name_wanted;
	s->log.name_arg = s;
	scan_time(s, time(NULL));
}

void
scan_forget(struct scan *s)
{
	exempt_free(&s->exempt);
	s->exempt_known = false;
	scan_names_forget(s);
}

void
scan_free(struct scan *s)
{
	scan_forget(s);
}

void
scan_time(struct scan *s, time_t now)
{
	s->now = now;
	maillog_now(&s->log, now);
	maillog_begin(&s->log);
}

/* A key that no other hit has. There are many: no printf. */
static void
key_number(struct scan *s, char *out)
{
	uint64_t n = ++s->number;

	out = stpcpy(out, s->nonce);
	for (; n > 0; n >>= 4)
		*out++ = "0123456789abcdef"[n & 15];
	*out = '\0';
}

/* Do distinct recipients count, and is there one? */
static bool
is_distinct(const struct maillog_hit *found)
{
	return (found->rule == MAILLOG_UNKNOWN_RECIPIENT ||
	    found->rule == MAILLOG_UNKNOWN_BOUNCE) && found->recipient.len > 0;
}

/* The distinct thing that a hit is about: a recipient, or the line itself. */
static void
key_make(struct scan *s, const struct maillog_hit *found, char *out)
{
	const struct maillog_text *r = &found->recipient;
	char digest[SHA256_DIGEST_STRING_LENGTH];

	if (!is_distinct(found))
		key_number(s, out);
	else if (r->len <= KEY_PLAIN &&
	    memchr(r->s, '\0', r->len) == NULL) {
		char raw[KEY_PLAIN + 1];

		snprintf(raw, sizeof(raw), "%.*s", (int)r->len, r->s);
		text_lower(raw);
		text_printable(out, STORE_TEXT_MAX, raw);
	} else {
		SHA256Data((const uint8_t *)r->s, r->len, digest);
		snprintf(out, STORE_TEXT_MAX, "#%.40s", digest);
	}
}

/* The block of a client that is counted and listed. */
static struct address_block
block_of(const struct config *cfg, const struct address *a)
{
	struct address_block b = { *a, (int)(a->family == AF_INET ?
		cfg->blacklist.ipv4_prefix : cfg->blacklist.ipv6_prefix) };

	address_mask(&b.base, b.bits);
	return b;
}

/* Does an offence count? Makes the hit of it if so. */
static bool
judge(struct scan *s, struct maillog_hit *found, struct scan_hit *hit)
{
	struct address_block block;
	char name[256];
	size_t n = 0;

	if (s->only_after > 0 && found->when <= s->only_after)
		return false;
	if (s->rules.rule[found->rule].hits == 0)
		return false;
	if (is_distinct(found))
		found->times = 1;
	s->counts.offences += found->times;
	if (found->temporary) {
		s->counts.temporary += found->times;
		return false;
	}
	if (is_own(s, found)) {
		s->counts.ours += found->times;
		return false;
	}
	if (!s->exempt_known)
		exempt_load(&s->exempt, s->cfg);
	s->exempt_known = true;
	if (s->exempt.problem[0] != '\0')
		return false; /* the caller gives up */
	block = block_of(s->cfg, &found->client);
	if (found->name.len < sizeof(name))
		n = found->name.len;
	if (n > 0)
		memcpy(name, found->name.s, n);
	name[n] = '\0';
	if (exempt_why(&s->exempt, &found->client, &block, name) != NULL) {
		s->counts.exempt += found->times;
		return false;
	}
	s->counts.hits += found->times;
	s->again = found->times - 1;
	address_block_text(&block, hit->block, sizeof(hit->block));
	hit->rule = found->rule;
	/* A clock that was once wrong must not ban for years. */
	hit->time = found->when < s->now + DAY ? found->when : s->now + DAY;
	hit->line = found->line;
	key_make(s, found, hit->key);
	return true;
}

bool
scan_next(struct scan *s, const char *text, size_t len, size_t *pos,
    struct scan_hit *hit)
{
	struct maillog_hit found;
	uint64_t lines = s->log.lines;
	bool any = false;

	if (s->again > 0) { /* the same line, said to have come again */
		s->again--;
		key_number(s, hit->key);
		return true;
	}
	while (!any && maillog_next(&s->log, text, len, pos, &found))
		any = judge(s, &found, hit);
	s->counts.lines += s->log.lines - lines;
	return any;
}

/* --- counting into the store --- */

/* Appends a string; its place from the beginning. (size_t)-1: no memory. */
static size_t
string_add(struct scan_batch *b, const char *text)
{
	size_t n = strlen(text) + 1, at = b->used;
	char *strings = array_room(b->strings, &b->size, at + n, 1, 65536);

	if (strings == NULL)
		return (size_t)-1;
	b->strings = strings;
	memcpy(b->strings + at, text, n);
	b->used += n;
	return at;
}

bool
scan_batch_add(struct scan_batch *b, const struct scan_hit *hit)
{
	struct store_hit *hits = array_room(b->hits, &b->room, b->count + 1,
	    sizeof(*hits), 1024);
	size_t block, key;

	if (hits == NULL)
		return false;
	b->hits = hits;
	block = string_add(b, hit->block);
	key = block != (size_t)-1 ? string_add(b, hit->key) : block;
	if (key == (size_t)-1)
		return false;
	/* Places for now: the strings may still move. */
	b->hits[b->count++] = (struct store_hit){
		.block = (const char *)block, .key = (const char *)key,
		.rule = maillog_rule_name(hit->rule), .time = hit->time };
	return true;
}

void
scan_batch_empty(struct scan_batch *b)
{
	b->count = b->used = 0;
}

void
scan_batch_free(struct scan_batch *b)
{
	free(b->hits);
	free(b->strings);
	memset(b, 0, sizeof(*b));
}

/* By block, then by time, then as they came: neighbours in the store. */
static int
hit_compare(const void *a, const void *b)
{
	const struct store_hit *x = a, *y = b;
	int order = strcmp(x->block, y->block);

	if (order != 0)
		return order;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->key < y->key ? -1 : 1;
}

enum store_result
scan_batch_apply(const struct scan *s, struct scan_batch *b,
    struct store *store, const char *source, const char *from, const char *to,
    time_t now)
{
	struct store_rule rules[MAILLOG_RULES];
	struct store_batch batch = { .hits = b->hits, .hit_count = b->count,
		.rules = rules, .ban = s->cfg->blacklist.ban,
		.ban_max = s->cfg->blacklist.ban_max, .now = now,
		.source = source, .position_old = from, .position_new = to };
	size_t i;
	int rule;

	for (i = 0; i < b->count; i++) {
		b->hits[i].block = b->strings + (size_t)b->hits[i].block;
		b->hits[i].key = b->strings + (size_t)b->hits[i].key;
	}
	if (b->count > 0)
		qsort(b->hits, b->count, sizeof(b->hits[0]), hit_compare);
	for (rule = 0; rule < MAILLOG_RULES; rule++)
		if (s->rules.rule[rule].hits > 0)
			rules[batch.rule_count++] = (struct store_rule){
				maillog_rule_name((enum maillog_rule)rule),
				s->rules.rule[rule].hits,
				s->rules.rule[rule].period };
	return store->driver->offenders_apply(store, &batch);
}
