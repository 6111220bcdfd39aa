/*
 * What is particular to Redis, on a real server: the set that others write,
 * expiry, scripts that are gone, large batches, faults, access, TLS.
 */
#include "unit_redis.h"

static int
redis_begin(void **state)
{
	struct store *s = store_again();

	store_number++;
	redis_say(s, "FLUSHALL", NULL);
	*state = s;
	return 0;
}

static int
redis_finish(void **state)
{
	if (*state != NULL)
		store_end(*state);
	*state = NULL;
	cfg.store.prefix = NULL;
	cfg.store.timeout = 5;
	return 0;
}

static enum store_result
add(struct store *s, const char *user, time_t since, time_t expired)
{
	struct store_account a = { .since = since, .check = "geocount",
		.address = "192.0.2.1", .reason = "why" };

	snprintf(a.user, sizeof(a.user), "%s", user);
	return s->driver->account_add(s, &a, expired);
}

/* --- the set of the Abusix daemon --- */

static void
who_is_taken_out_of_the_set_by_hand_is_released(void **state)
{
	struct store *s = *state;
	struct store_account a;
	time_t now = time(NULL);
	struct rows *r;

	assert_int_equal(add(s, "a", NOW, 0), STORE_ABSENT);
	assert_string_equal(redis_say(s, "SISMEMBER", "compromised_accts", "a",
	    NULL), "1");
	assert_int_equal(s->driver->account_ran(s, "a"), STORE_FOUND);
	assert_string_equal(redis_say(s, "SREM", "compromised_accts", "a",
	    NULL), "1");
	assert_int_equal(s->driver->account_find(s, "a", &a), STORE_FOUND);
	assert_true(a.released >= now && a.released <= time(NULL));
	assert_string_equal(a.reason, "why");
	assert_int_equal(s->driver->account_release(s, "a", NOW + 9),
	    STORE_ABSENT);
	/* Another detection is a new one, with a command of its own. */
	assert_int_equal(add(s, "a", NOW + 10, 0), STORE_ABSENT);
	assert_int_equal(s->driver->account_ran(s, "a"), STORE_FOUND);
	/* Also when nobody has looked meanwhile. */
	redis_say(s, "SREM", "compromised_accts", "a", NULL);
	assert_int_equal(add(s, "a", NOW + 11, 0), STORE_ABSENT);
	/* A list says so too. */
	redis_say(s, "SREM", "compromised_accts", "a", NULL);
	r = rows_of(s, STORE_ACCOUNT, "");
	assert_int_equal(r->count, 1);
	assert_true(r->row[0].u.account.released >= now);
	free(r);
	assert_true(atoi(redis_say(s, "TTL", "abichecker:{a}:account", NULL)) >
	    364 * DAY);
}

static void
who_is_put_into_the_set_by_others_is_on_the_list(void **state)
{
	struct store *s = *state;
	struct store_status status;
	struct store_account a;
	struct rows *r;

	redis_say(s, "SADD", "compromised_accts", "x", "jos\xc3\xa9", NULL);
	memset(&a, 0xee, sizeof(a));
	assert_int_equal(s->driver->account_find(s, "x", &a), STORE_FOUND);
	assert_string_equal(a.user, "x");
	assert_int_equal(a.since, 0);
	assert_int_equal(a.released, 0);
	assert_false(a.command_ran);
	assert_string_equal(a.check, "other");
	assert_non_null(strstr(a.reason, "somebody else"));
	assert_string_equal(a.address, "");
	assert_int_equal(add(s, "x", NOW, 0), STORE_FOUND); /* not new */
	assert_int_equal(rows_count(s, STORE_ACCOUNT, ""), 2);
	assert_int_equal(s->driver->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_ACCOUNT], 2);
	assert_int_equal(s->driver->account_ran(s, "x"), STORE_FOUND);
	assert_int_equal(s->driver->account_ran(s, "x"), STORE_ABSENT);
	assert_int_equal(s->driver->account_release(s, "x", NOW), STORE_FOUND);
	assert_string_equal(redis_say(s, "SISMEMBER", "compromised_accts", "x",
	    NULL), "0");
	assert_int_equal(s->driver->account_find(s, "x", &a), STORE_FOUND);
	assert_int_equal(a.released, NOW);
	/* Again by others: what we know is of the time before. */
	redis_say(s, "SADD", "compromised_accts", "x", NULL);
	assert_int_equal(s->driver->account_find(s, "x", &a), STORE_FOUND);
	assert_int_equal(a.released, 0);
	assert_string_equal(a.check, "other");
	r = rows_of(s, STORE_ACCOUNT, "");
	assert_int_equal(r->count, 2);
	assert_int_equal(r->row[0].u.account.released, 0);
	assert_int_equal(r->row[1].u.account.released, 0);
	free(r);
	assert_int_equal(s->driver->account_ran(s, "x"), STORE_FOUND);
	assert_int_equal(s->driver->account_release(s, "x", NOW + 5),
	    STORE_FOUND);
	assert_int_equal(s->driver->account_find(s, "x", &a), STORE_FOUND);
	assert_int_equal(a.released, NOW + 5);
}

static void
names_that_no_filter_would_write_are_passed_over(void **state)
{
	struct store *s = *state;
	char name[400];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	redis_say(s, "SADD", "compromised_accts", name, "good", NULL);
	assert_int_equal(rows_count(s, STORE_ACCOUNT, ""), 1);
}

/* --- keys and expiry --- */

/* Asserts that a key lasts from..to seconds; -1 = for ever. */
static void
assert_lasts(struct store *s, const char *key, long from, long to)
{
	long ttl = strtol(redis_say(s, "TTL", key, NULL), NULL, 10);

	if (ttl < from || ttl > to)
		fail_msg("%s: TTL %ld", key, ttl);
}

static void
what_ends_has_an_expiry_by_the_callers_time(void **state)
{
	static const struct store_rule rules[] = { { "auth", 3, 10 * DAY },
		{ "other", 3, DAY } };
	const struct store_hit h = { "192.0.2.1/32", "auth", "k", NOW };
	struct store_batch b = { .hits = &h, .hit_count = 1, .rules = rules,
		.rule_count = 2, .ban = 100, .ban_max = 100, .now = NOW,
		.source = "s", .position_old = "", .position_new = "1" };
	struct store *s = *state;
	struct store_counts c;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	assert_lasts(s, "abichecker:{a}:logins", 2 * DAY - 9, 2 * DAY);
	((struct redis_store *)s)->window = 30 * DAY;
	login_at(s, "a", "192.0.2.1", "GB", NOW + 1, &c);
	assert_lasts(s, "abichecker:{a}:logins", 31 * DAY - 9, 31 * DAY);
	s->driver->rate_take(s, "r", 1, 3600, NOW);
	assert_lasts(s, "abichecker:rate:r", 3600, DAY + 3600);
	add(s, "a", NOW, 0);
	assert_lasts(s, "abichecker:{a}:account", -1, -1);
	s->driver->account_release(s, "a", NOW);
	assert_lasts(s, "abichecker:{a}:account", 365 * DAY - 9, 366 * DAY);
	add(s, "a", NOW, 0);
	assert_lasts(s, "abichecker:{a}:account", -1, -1);
	assert_int_equal(s->driver->offenders_apply(s, &b), STORE_FOUND);
	assert_lasts(s, "abichecker:hits:{192.0.2.1/32}", 10 * DAY, 20 * DAY);
	assert_lasts(s, "abichecker:positions", -1, -1);
}

/* All keys of the server, each with the prefix but one. */
static void
all_keys_but_one_have_the_prefix(void **state)
{
	const struct store_hit h = { "192.0.2.1/32", "auth", "k", NOW };
	static const struct store_rule rules[] = { { "auth", 3, DAY } };
	struct store_batch b = { .hits = &h, .hit_count = 1, .rules = rules,
		.rule_count = 1, .ban = 100, .ban_max = 100, .now = NOW,
		.source = "s", .position_old = "", .position_new = "1" };
	struct store_offender o = { .block = "192.0.2.7/32",
		.rule = "manual", .listed = true };
	struct redis_store *redis;
	struct store_counts c;
	struct store *s;
	size_t i, others = 0;
	char key[256];
	int user;

	store_end(*state);
	cfg.store.prefix = "other{}*[";
	*state = s = store_again();
	for (user = 0; user < 2; user++) {
		login_at(s, user == 0 ? "a}:logins" : "{a", "192.0.2.1", "GB",
		    NOW, &c);
		add(s, user == 0 ? "a}:logins" : "{a", NOW, 0);
	}
	s->driver->rate_take(s, "r", 1, 60, NOW);
	s->driver->offender_add(s, &o);
	assert_int_equal(s->driver->offenders_apply(s, &b), STORE_FOUND);
	redis_say(s, "KEYS", "*", NULL);
	redis = (struct redis_store *)s;
	assert_true(redis->reply->elements > 9);
	for (i = 0; i < redis->reply->elements; i++) {
		snprintf(key, sizeof(key), "%s", redis_text(redis->reply, i));
		if (strncmp(key, "other{}*[", 9) != 0) {
			assert_string_equal(key, "compromised_accts");
			others++;
		}
	}
	assert_int_equal(others, 1);
	assert_int_equal(rows_count(s, STORE_LOGIN, "{a"), 1);
	/* Another prefix knows nothing of it, but for the accounts. */
	store_end(s);
	cfg.store.prefix = NULL;
	*state = s = store_again();
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 0);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
	assert_int_equal(rows_count(s, STORE_OFFENDER, ""), 0);
	assert_int_equal(rows_count(s, STORE_ACCOUNT, ""), 2);
}

static void
an_index_outlives_its_rows_without_harm(void **state)
{
	static const char *const gone[] = { "abichecker:{a}:logins",
		"abichecker:rate:r", "abichecker:{b}:account",
		"abichecker:hits:{192.0.2.1/32}" };
	const struct store_hit h = { "192.0.2.1/32", "auth", "k", NOW };
	static const struct store_rule rules[] = { { "auth", 3, DAY } };
	struct store_batch b = { .hits = &h, .hit_count = 1, .rules = rules,
		.rule_count = 1, .ban = 100, .ban_max = 100, .now = NOW,
		.source = "s", .position_old = "", .position_new = "1" };
	struct store_status status;
	struct store *s = *state;
	struct store_counts c;
	size_t i;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	s->driver->rate_take(s, "r", 1, 60, NOW);
	add(s, "b", NOW, 0);
	s->driver->account_release(s, "b", NOW);
	assert_int_equal(s->driver->offenders_apply(s, &b), STORE_FOUND);
	for (i = 0; i < COUNT(gone); i++) /* as an expiry does */
		assert_string_equal(redis_say(s, "DEL", gone[i], NULL), "1");
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 0);
	assert_int_equal(rows_count(s, STORE_ACCOUNT, ""), 0);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
	assert_int_equal(s->driver->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_LOGIN], 0);
	assert_int_equal(status.rows[STORE_ACCOUNT], 0);
	assert_int_equal(status.rows[STORE_HIT], 0);
	store_empty(s);
	assert_string_equal(redis_say(s, "EXISTS", "abichecker:users",
	    "abichecker:rates", "abichecker:accounts", "abichecker:hits",
	    NULL), "0");
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 1);
}

/* --- what others do to the server --- */

static void
scripts_and_data_may_vanish_at_any_time(void **state)
{
	struct store_offender o = { .block = "192.0.2.7/32",
		.rule = "manual", .listed = true };
	struct store *s = *state;
	struct store_counts c;
	int64_t before, after;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	redis_say(s, "SCRIPT", "FLUSH", NULL);
	login_at(s, "a", "192.0.2.2", "GB", NOW, &c);
	assert_int_equal(c.addresses, 2);
	s->driver->offender_add(s, &o);
	assert_int_equal(s->driver->generation(s, &before), STORE_FOUND);
	redis_say(s, "FLUSHALL", NULL);
	login_at(s, "a", "192.0.2.3", "GB", NOW, &c);
	assert_int_equal(c.addresses, 1);
	/* An empty list is another one, and so is the first one after it. */
	assert_int_equal(s->driver->generation(s, &after), STORE_ABSENT);
	assert_int_not_equal(after, before);
	s->driver->offender_add(s, &o);
	assert_int_equal(s->driver->generation(s, &after), STORE_FOUND);
	assert_int_not_equal(after, before);
}

/*
 * Else the snapshots and maps of an old database would pass for those of a new
 * one that has the same number of changes.
 */
static void
no_two_databases_begin_with_the_same_generation(void **state)
{
	int64_t first[4];
	size_t i, j;

	for (i = 0; i < COUNT(first); i++) {
		redis_say(*state, "FLUSHALL", NULL);
		first[i] = generation_first(*state);
		for (j = 0; j < i; j++)
			assert_int_not_equal(first[i], first[j]);
	}
}

static void
a_server_that_comes_back_is_used_at_once(void **state)
{
	struct store *s = *state;
	struct store_counts c;
	double end;

	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	redis_kill();
	redis_start(NULL);
	login_at(s, "a", "192.0.2.2", "GB", NOW, &c);
	assert_int_equal(c.addresses, 1);
	/* A connection that it has closed is opened again, too. */
	assert_string_equal(redis_say(s, "CLIENT", "KILL", "SKIPME", "no",
	    "TYPE", "normal", NULL), "1");
	for (end = seconds() + 10; !redis_stale((struct redis_store *)s);)
		assert_true(seconds() < end);
	login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(c.addresses, 2);
	redis_kill();
	must_fail(s, s->driver->forget(s, "a"), "killed");
	assert_non_null(strstr(s->error, "refused"));
	redis_start(NULL);
	assert_int_equal(s->driver->forget(s, "a"), STORE_ABSENT);
}

static void
a_server_that_stands_still_is_not_waited_for(void **state)
{
	char error[STORE_ERROR_MAX] = "";
	struct store *s = *state;
	double begun;

	s->wait_ms = 200;
	kill(redis_pid, SIGSTOP);
	begun = seconds();
	must_fail(s, s->driver->forget(s, "a"), "stopped");
	assert_true(seconds() - begun > 0.19 && seconds() - begun < 4);
	assert_non_null(strstr(s->error, "timed out"));
	/* Nor by who connects: the kernel does that without the server. */
	begun = seconds();
	must_fail(s, s->driver->forget(s, "a"), "stopped");
	assert_true(seconds() - begun > 0.19 && seconds() - begun < 4);
	cfg.store.timeout = 1;
	begun = seconds();
	assert_null(store_open(&cfg, store_url, error, sizeof(error)));
	assert_true(seconds() - begun > 0.9 && seconds() - begun < 4);
	kill(redis_pid, SIGCONT);
	s->wait_ms = 5000;
	/* Late answers are to questions of a connection that is gone. */
	assert_int_equal(s->driver->forget(s, "a"), STORE_ABSENT);
}

static void
refusals_of_the_server_are_told(void **state)
{
	static const struct {
		const char *set[4], *unset[4], *said;
		enum store_failure failure;
	} rows[] = {
		{ { "CONFIG", "SET", "maxmemory", "1" },
		    { "CONFIG", "SET", "maxmemory", "0" }, "OOM",
		    STORE_REFUSED },
		{ { "REPLICAOF", "127.0.0.1", "1" },
		    { "REPLICAOF", "NO", "ONE" }, "READONLY", STORE_REFUSED },
		{ { "CONFIG", "SET", "min-replicas-to-write", "1" },
		    { "CONFIG", "SET", "min-replicas-to-write", "0" },
		    "NOREPLICAS", STORE_REFUSED },
		{ { "SET", "abichecker:{a}:logins", "x" },
		    { "DEL", "abichecker:{a}:logins" }, "WRONGTYPE",
		    STORE_BAD_DATA },
		{ { "SET", "abichecker:schema", "99" },
		    { "DEL", "abichecker:schema" }, NULL, STORE_BROKEN },
	};
	const struct store_login l = { .user = "a", .block = "192.0.2.1",
		.country = "GB", .now = NOW, .since = NOW - DAY };
	char error[STORE_ERROR_MAX];
	struct store *s = *state;
	struct store_account a;
	struct store_counts c;
	size_t i;
	int fd;

	assert_int_equal(add(s, "stolen", NOW, 0), STORE_ABSENT);
	fd = ((struct redis_store *)s)->fd;
	for (i = 0; i < COUNT(rows); i++) {
		redis_say(s, rows[i].set[0], rows[i].set[1], rows[i].set[2],
		    rows[i].set[3], NULL);
		if (rows[i].said != NULL) {
			must_fail(s, s->driver->login(s, &l, &c),
			    rows[i].said);
			if (strstr(s->error, rows[i].said) == NULL ||
			    s->failure != rows[i].failure)
				fail_msg("%s: kind %d: %s", rows[i].said,
				    s->failure, s->error);
			/* Who is on the list is stopped all the same. */
			assert_int_equal(s->driver->account_find(s, "stolen",
			    &a), STORE_FOUND);
			if (s->failure == STORE_BAD_DATA)
				login_at(s, "b", "192.0.2.1", "GB", NOW, &c);
			assert_int_equal(((struct redis_store *)s)->fd, fd);
		} else {
			assert_null(store_open(&cfg, store_url, error,
			    sizeof(error)));
			assert_non_null(strstr(error, "schema 99"));
		}
		redis_say(s, rows[i].unset[0], rows[i].unset[1],
		    rows[i].unset[2], rows[i].unset[3], NULL);
		assert_int_not_equal(s->driver->login(s, &l, &c), STORE_ERROR);
		s->driver->forget(s, "a");
	}
}

static void
too_many_connections_are_an_error(void **state)
{
	char error[STORE_ERROR_MAX];
	enum store_failure failure;
	struct store *s = *state;

	redis_say(s, "CONFIG", "SET", "maxclients", "1", NULL);
	assert_null(store_open_within(&cfg, store_url, 5000, true, &failure,
	    error, sizeof(error)));
	/* It may close before it has read what we say, and is not heard. */
	if (strstr(error, "max number of clients") != NULL)
		assert_int_equal(failure, STORE_BUSY);
	else if (strstr(error, "closed") == NULL &&
	    strstr(error, "reset") == NULL)
		fail_msg("%s", error);
	redis_say(s, "CONFIG", "SET", "maxclients", "100", NULL);
	store_end(store_again());
}

/* --- much at once --- */

static void
a_large_batch_is_all_or_nothing(void **state)
{
	enum { HITS = 20001 };
	static struct store_hit hits[HITS];
	static char keys[HITS][16], blocks[HITS][32];
	static const struct store_rule rules[] = { { "auth", 3, DAY } };
	struct store_batch b = { .hits = hits, .hit_count = HITS,
		.rules = rules, .rule_count = 1, .ban = 100, .ban_max = 100,
		.now = NOW, .source = "s", .position_old = "wrong",
		.position_new = "1" };
	struct store *s = *state;
	struct store_status status;
	int i;

	for (i = 0; i < HITS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		snprintf(blocks[i], sizeof(blocks[i]), "10.0.%d.%d/32",
		    i / 3 / 256, i / 3 % 256);
		hits[i] = (struct store_hit){ blocks[i], "auth", keys[i],
			NOW + i / 100 };
	}
	assert_int_equal(s->driver->offenders_apply(s, &b), STORE_ABSENT);
	assert_string_equal(redis_say(s, "DBSIZE", NULL), "0");
	b.position_old = "";
	if (s->driver->offenders_apply(s, &b) != STORE_FOUND)
		fail_msg("%s", s->error);
	assert_int_equal(s->driver->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_OFFENDER], HITS / 3);
	assert_int_equal(status.rows[STORE_HIT], 0);
	assert_int_equal(s->driver->offenders_apply(s, &b), STORE_ABSENT);
	redis_say(s, "KEYS", "abichecker:batch*", NULL);
	assert_int_equal(((struct redis_store *)s)->reply->elements, 0);
}

struct walk {
	size_t count;
	bool seen[30000];
};

/* Each comes once, and the store can be used meanwhile. */
static bool
walk_one(void *arg, const struct store_row *row)
{
	const struct store_offender *o = &row->u.offender;
	int a, b;
	struct walk *w = arg;

	assert_int_equal(sscanf(o->block, "10.0.%d.%d/32", &a, &b), 2);
	assert_false(w->seen[a * 256 + b]);
	w->seen[a * 256 + b] = true;
	assert_int_equal(o->hits, a);
	w->count++;
	return true;
}

static void
many_offenders_come_in_portions(void **state)
{
	enum { ALL = 30000, PART = 3000 };
	static struct store_row rows[PART];
	static struct walk w;
	struct store *s = *state;
	struct redis_store *r = *state;
	struct store_offender *o;
	int i, k;

	memset(&w, 0, sizeof(w));
	for (i = 0; i < ALL; i += PART) {
		for (k = 0; k < PART; k++) {
			rows[k].kind = STORE_OFFENDER;
			o = &rows[k].u.offender;
			snprintf(o->block, sizeof(o->block), "10.0.%d.%d/32",
			    (i + k) / 256, (i + k) % 256);
			snprintf(o->rule, sizeof(o->rule), "auth");
			o->hits = (i + k) / 256;
			o->expires = NOW;
			o->listed = true;
		}
		assert_int_equal(s->driver->restore(s, rows, PART),
		    STORE_FOUND);
	}
	assert_int_equal(s->driver->iterate(s, STORE_OFFENDER, "", walk_one,
			     &w), STORE_FOUND);
	assert_int_equal(w.count, ALL);
	assert_int_equal(rows_count(s, STORE_OFFENDER, "10.0.9.9/32"), 1);
	/* No reply was large, and no memory is kept. */
	assert_true(r->fed < 1 << 20 && r->out.size < 1 << 20);
	assert_int_equal(s->driver->offenders_expire(s, NOW), STORE_FOUND);
	assert_int_equal(s->driver->offenders_expire(s, NOW), STORE_ABSENT);
	assert_int_equal(s->driver->offender_remove(s, ""), STORE_FOUND);
	assert_string_equal(redis_say(s, "EXISTS", "abichecker:offenders",
	    "abichecker:listed", "abichecker:past", NULL), "0");
}

/* A user with more blocks than one portion has. */
static void
one_user_may_have_many_blocks(void **state)
{
	enum { ALL = 3500 };
	static struct store_row rows[ALL];
	const struct store_purge all = { .logins_before = FUTURE,
		.hits_before = FUTURE, .accounts_before = FUTURE,
		.now = FUTURE };
	struct store *s = *state;
	struct store_counts c;
	long removed;
	int i;

	for (i = 0; i < ALL; i++) {
		rows[i].kind = STORE_LOGIN;
		snprintf(rows[i].u.login.user, STORE_USER_MAX, "a");
		snprintf(rows[i].u.login.block, ADDRESS_TEXT_MAX,
		    "10.0.%d.%d", i / 256, i % 256);
		snprintf(rows[i].u.login.country, 3, "%c%c", 'A' + i % 26,
		    'A' + i / 26 % 26);
		rows[i].u.login.count = 1;
		rows[i].u.login.last = NOW + i % 1000;
	}
	assert_int_equal(s->driver->restore(s, rows, ALL), STORE_FOUND);
	assert_int_equal(rows_count(s, STORE_LOGIN, "a"), ALL);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), ALL);
	login_at(s, "a", "10.1.0.0", "GB", NOW + 1000, &c);
	assert_int_equal(c.addresses, ALL + 1);
	assert_int_equal(c.countries, 676);
	assert_int_equal(c.elsewhere_count, STORE_ELSEWHERE_MAX);
	for (i = 0; i < c.elsewhere_count; i++)
		assert_true(c.elsewhere[i].time >= NOW + 991);
	assert_int_equal(s->driver->purge(s, &all, &removed), STORE_FOUND);
	assert_int_equal(removed, ALL + 1);
}

/* Counts how often each came, by its last two bytes. */
static bool
row_note(void *arg, const struct store_row *row)
{
	size_t *seen = arg;
	unsigned a, b;

	assert_int_equal(sscanf(row->kind == STORE_LOGIN ? row->u.login.block :
	    row->u.hit.key, "10.0.%u.%u", &a, &b), 2);
	seen[a * 256 + b]++;
	return true;
}

/* Of more users and blocks than one portion has, some with many rows. */
static void
logins_and_hits_come_in_portions(void **state)
{
	enum { ALL = 24000, PART = 3000 };
	static struct store_row rows[PART];
	static size_t seen[2][ALL];
	size_t *const args[] = { seen[0], seen[1] };
	const enum store_kind kinds[] = { STORE_LOGIN, STORE_HIT };
	struct store *s = *state;
	struct store_status status;
	struct store_row *r;
	size_t i, k;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < ALL; i++) {
		r = &rows[i % PART];
		memset(r, 0, sizeof(*r));
		r->kind = kinds[i / (ALL / 2)];
		k = i % (ALL / 2);
		if (r->kind == STORE_LOGIN) {
			/* The first one has a third of them. */
			snprintf(r->u.login.user, STORE_USER_MAX, "u%zu",
			    k < ALL / 6 ? 0 : k);
			snprintf(r->u.login.block, ADDRESS_TEXT_MAX,
			    "10.0.%zu.%zu", k / 256, k % 256);
			r->u.login.last = NOW;
		} else {
			snprintf(r->u.hit.block, STORE_BLOCK_MAX, "10.%zu.0.0",
			    k < ALL / 6 ? 0 : k);
			snprintf(r->u.hit.rule, STORE_RULE_MAX, "auth");
			snprintf(r->u.hit.key, STORE_TEXT_MAX, "10.0.%zu.%zu",
			    k / 256, k % 256);
			r->u.hit.time = NOW + (time_t)k;
		}
		if (i % PART == PART - 1)
			assert_int_equal(s->driver->restore(s, rows, PART),
			    STORE_FOUND);
	}
	for (i = 0; i < COUNT(kinds); i++) {
		assert_int_equal(s->driver->iterate(s, kinds[i], "", row_note,
		    args[i]), STORE_FOUND);
		for (k = 0; k < ALL / 2; k++)
			if (seen[i][k] != 1)
				fail_msg("%zu, %zu: %zu", i, k, seen[i][k]);
	}
	assert_int_equal(s->driver->status(s, &status), STORE_FOUND);
	assert_int_equal(status.rows[STORE_LOGIN], ALL / 2);
	assert_int_equal(status.rows[STORE_HIT], ALL / 2);
	assert_int_equal(s->driver->offender_remove(s, ""), STORE_ABSENT);
	assert_int_equal(rows_count(s, STORE_HIT, ""), 0);
}

static bool
counts_same(const struct store_counts *a, const struct store_counts *b)
{
	int i;

	if (a->countries != b->countries || a->addresses != b->addresses ||
	    a->previous_time != b->previous_time ||
	    (a->previous[0] == '\0') != (b->previous[0] == '\0') ||
	    a->elsewhere_count != b->elsewhere_count)
		return false;
	for (i = 0; i < a->elsewhere_count; i++)
		if (a->elsewhere[i].time != b->elsewhere[i].time ||
		    strcmp(a->elsewhere[i].block, b->elsewhere[i].block) != 0)
			return false;
	return true;
}

/* A random number below n, the same in each run. */
static unsigned
chance(unsigned n)
{
	static unsigned x = 1;

	x = x * 1103515245 + 12345;
	return x / 65536 % n;
}

/* Two users do the same; only one's rows are looked at one by one. */
static void
a_user_with_many_blocks_is_counted_alike(void **state)
{
	static const char *const places[] = { "GB", "SE", "FR", "", "A1", "DE",
		"IT", "ES", "PT", "NO", "FI", "DK" };
	struct store_login l = { .block = "" };
	struct store_purge p = { .now = NOW + 99999 };
	struct store *s = *state;
	struct store_counts c[2];
	enum store_result r[2];
	struct store_row row = { .kind = STORE_LOGIN };
	char block[32];
	long removed;
	int i, k;

	for (i = 0; i < 6000; i++) {
		/* No two at one time: of those either may be the last. */
		l.now = NOW + i * 10 - (chance(9) == 0 ?
			(time_t)chance(900) * 10 + 5 : 0);
		l.since = NOW + (time_t)chance(1000) * 60;
		l.peek = chance(8) == 0;
		snprintf(block, sizeof(block), "192.0.2.%u", chance(60));
		l.block = block;
		l.country = places[chance(20) == 0 ? chance(12) :
		    (unsigned)atoi(block + 8) % 12];
		for (k = 0; k < 2; k++) {
			((struct redis_store *)s)->many = k == 0 ? 3 : 1000;
			l.user = k == 0 ? "a" : "b";
			r[k] = s->driver->login(s, &l, &c[k]);
			if (r[k] == STORE_ERROR)
				fail_msg("%s", s->error);
		}
		if (r[0] != r[1] || !counts_same(&c[0], &c[1]))
			fail_msg("step %d: %s %s%s: %ld/%ld, %ld/%ld, %ld/%ld, "
				 "%d/%d", i, block, l.country,
			    l.peek ? " peek" : "", c[0].countries,
			    c[1].countries, c[0].addresses, c[1].addresses,
			    (long)c[0].previous_time, (long)c[1].previous_time,
			    c[0].elsewhere_count, c[1].elsewhere_count);
		for (k = 0; k < 2; k++)
			switch (i % 500) {
			case 150:
				p.logins_before = NOW + i * 10 - 500;
				s->driver->purge(s, &p, &removed);
				break;
			case 300:
				snprintf(row.u.login.user, STORE_USER_MAX, "%s",
				    k == 0 ? "a" : "b");
				snprintf(row.u.login.block, ADDRESS_TEXT_MAX,
				    "%s", block);
				snprintf(row.u.login.country, 3, "XX");
				row.u.login.last = NOW + i * 10 - 7;
				row.u.login.count = 5;
				s->driver->restore(s, &row, 1);
				break;
			case 450:
				s->driver->forget(s, k == 0 ? "a" : "b");
				break;
			default:
				break;
			}
	}
	assert_int_equal(login_sum(s, "a"), login_sum(s, "b"));
	store_empty(s);
	redis_say(s, "KEYS", "abichecker:{*", NULL);
	assert_int_equal(((struct redis_store *)s)->reply->elements, 0);
}

/* --- access --- */

static void
open_fails(const char *url, const char *said)
{
	char error[STORE_ERROR_MAX] = "";
	struct store *s = store_open(&cfg, url, error, sizeof(error));

	if (s != NULL) {
		store_end(s);
		fail_msg("%s: was opened", url);
	}
	if (strstr(error, said) == NULL)
		fail_msg("%s: %s", url, error);
	if (strstr(error, "se%2dcret") != NULL ||
	    strstr(error, "se-cret") != NULL)
		fail_msg("%s: tells the password: %s", url, error);
}

static void
urls_name_server_database_and_user(void **state)
{
	static const char *const bad[][2] = {
		{ "redis://127.0.0.1/x", "not a number" },
		{ "redis://127.0.0.1/-1", "not a number" },
		{ "redis://127.0.0.1/99999999", "not a number" },
		{ "redis://127.0.0.1/0?what=1", "parameter" },
		{ "redis://127.0.0.1:1/0", "refused" },
		{ "redis://:se%2dcret@/0?socket=/nonexistent/x", "No such" },
	};
	struct store_counts c;
	struct store *s = *state, *other;
	char url[256];
	size_t i;

	for (i = 0; i < COUNT(bad); i++)
		open_fails(bad[i][0], bad[i][1]);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d/999", redis_port);
	open_fails(url, "out of range");
	snprintf(url, sizeof(url), "redis:///3?socket=%s/socket", redis_dir);
	other = store_at(url);
	login_at(other, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(rows_count(s, STORE_LOGIN, ""), 0);
	store_end(other);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d?db=3", redis_port);
	other = store_at(url);
	assert_int_equal(rows_count(other, STORE_LOGIN, ""), 1);
	store_end(other);
	snprintf(url, sizeof(url), "redis://127.1:%d", redis_port);
	store_end(store_at(url));
	cfg.store.prefix = "01234567890123456789012345678901234567890123456789"
			   "01234567890123456789";
	open_fails(store_url, "prefix is too long");
}

static void
passwords_and_users_are_presented(void **state)
{
	struct store *s = *state, *ours;
	struct store_counts c;
	char url[256];

	redis_say(s, "ACL", "SETUSER", "abi", "on", ">se-cret:@/%",
	    "~abichecker:*", "~compromised_accts", "+@all", "-@admin",
	    "-@dangerous", "resetchannels", NULL);
	redis_say(s, "CONFIG", "SET", "requirepass", "se-cret", NULL);
	open_fails(store_url, "NOAUTH");
	snprintf(url, sizeof(url), "redis://:se-cre@127.0.0.1:%d/0",
	    redis_port);
	open_fails(url, "WRONGPASS");
	snprintf(url, sizeof(url), "redis://abi:se-cret@127.0.0.1:%d/0",
	    redis_port);
	open_fails(url, "WRONGPASS");
	snprintf(url, sizeof(url), "redis://:se-cret@127.0.0.1:%d/0",
	    redis_port);
	store_end(store_at(url));
	/* With no more rights than our keys, everything goes. */
	snprintf(url, sizeof(url),
	    "redis://abi:se-cret%%3a%%40%%2f%%25@127.0.0.1:%d/0", redis_port);
	ours = store_at(url);
	login_at(ours, "a", "192.0.2.1", "GB", NOW, &c);
	assert_int_equal(add(ours, "a", NOW, 0), STORE_ABSENT);
	store_empty(ours);
	/* It is told by nobody, not even by the connection that is lost. */
	redis_say(s, "ACL", "SETUSER", "abi", "resetpass", ">other", NULL);
	redis_say(s, "CLIENT", "KILL", "USER", "abi", NULL);
	must_fail(ours, ours->driver->forget(ours, "a"), "forget");
	assert_non_null(strstr(ours->error, "WRONGPASS"));
	assert_null(strstr(ours->error, "se-cret"));
	store_end(ours);
	redis_say(s, "ACL", "DELUSER", "abi", NULL);
	redis_say(s, "CONFIG", "SET", "requirepass", "", NULL);
}

/* --- TLS --- */

/* Runs openssl(1) in the server's directory. */
static void
openssl(const char *arguments)
{
	char command[512];

	snprintf(command, sizeof(command),
	    "cd %s && umask 022 && openssl %s >/dev/null 2>&1 && chmod 644 *",
	    redis_dir, arguments);
	assert_int_equal(system(command), 0);
}

static void
tls_is_for_the_host_and_by_a_known_authority(void **state)
{
	char cert[128], key[128], tls_port[16], url[768], files[448];
	const char *const options[] = { "--tls-port", tls_port,
		"--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, NULL };
	struct store_counts c;
	struct store *s;
	int port = redis_port_free(), i;
	double begun;

	openssl("req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out "
		"cert.pem -days 2 -subj /CN=redis.test -addext "
		"subjectAltName=DNS:127.1,IP:127.0.0.1");
	openssl("req -x509 -newkey rsa:2048 -nodes -keyout other.key -out "
		"other.pem -days 2 -subj /CN=127.1 -addext "
		"subjectAltName=DNS:elsewhere.test");
	snprintf(cert, sizeof(cert), "%s/cert.pem", redis_dir);
	snprintf(key, sizeof(key), "%s/key.pem", redis_dir);
	snprintf(tls_port, sizeof(tls_port), "%d", port);
	store_end(*state);
	*state = NULL;
	redis_kill();
	redis_start(options);
	store_end(store_again()); /* it answers: all its ports are there */
	/* Redis asks for a certificate of ours, too. */
	snprintf(files, sizeof(files), "ca_file=%s&cert_file=%s&key_file=%s",
	    cert, cert, key);
	for (i = 0; i < 2; i++) {
		snprintf(url, sizeof(url), "rediss://%s:%d/0?%s",
		    i == 0 ? "127.0.0.1" : "127.1", port, files);
		s = store_at(url);
		login_at(s, "a", "192.0.2.1", "GB", NOW, &c);
		assert_int_equal(rows_count(s, STORE_LOGIN, ""), 1);
		assert_int_equal(s->driver->forget(s, "a"), STORE_FOUND);
		store_end(s);
	}
	snprintf(url, sizeof(url), "rediss://127.0.0.1:%d/0?ca_file=%s", port,
	    cert);
	open_fails(url, "TLS");
	snprintf(url, sizeof(url), "rediss://127.0.0.1:%d/0", port);
	open_fails(url, "certificate");
	snprintf(url, sizeof(url), "rediss://127.0.0.1:%d/0?ca_file=%s/none",
	    port, redis_dir);
	open_fails(url, "ca_file");
	/* A good certificate of another host */
	snprintf(url, sizeof(url), "rediss://127.0.0.2:%d/0?%s", port, files);
	open_fails(url, "refused"); /* it is not bound to that one */
	redis_say(s = store_again(), "CONFIG", "SET", "tls-cert-file",
	    "other.pem", "tls-key-file", "other.key", "tls-ca-cert-file",
	    cert, NULL);
	store_end(s);
	snprintf(url, sizeof(url),
	    "rediss://127.0.0.1:%d/0?ca_file=%s/other.pem", port, redis_dir);
	open_fails(url, "IP address mismatch");
	snprintf(url, sizeof(url),
	    "rediss://127.1:%d/0?ca_file=%s/other.pem", port, redis_dir);
	open_fails(url, "ostname mismatch");
	/* Not TLS on the other side, or nothing at all */
	cfg.store.timeout = 1;
	begun = seconds();
	snprintf(url, sizeof(url), "rediss://127.0.0.1:%d/0", redis_port);
	open_fails(url, "TLS");
	kill(redis_pid, SIGSTOP);
	snprintf(url, sizeof(url), "rediss://127.0.0.1:%d/0?%s", port, files);
	open_fails(url, "timed out");
	assert_true(seconds() - begun < 8); /* it would never end */
	kill(redis_pid, SIGCONT);
	redis_kill();
	redis_start(NULL);
}

static int
group_begin(void **state)
{
	signal(SIGPIPE, SIG_IGN); /* as the programs do */
	if (store_dir_make(state) != 0)
		return 1;
	redis_start(NULL);
	return 0;
}

static int
group_finish(void **state)
{
	redis_kill();
	return unit_dir_remove(state);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, redis_begin, \
	    redis_finish)
	const struct CMUnitTest tests[] = {
		TEST(who_is_taken_out_of_the_set_by_hand_is_released),
		TEST(who_is_put_into_the_set_by_others_is_on_the_list),
		TEST(names_that_no_filter_would_write_are_passed_over),
		TEST(what_ends_has_an_expiry_by_the_callers_time),
		TEST(all_keys_but_one_have_the_prefix),
		TEST(an_index_outlives_its_rows_without_harm),
		TEST(scripts_and_data_may_vanish_at_any_time),
		TEST(no_two_databases_begin_with_the_same_generation),
		TEST(a_server_that_comes_back_is_used_at_once),
		TEST(a_server_that_stands_still_is_not_waited_for),
		TEST(refusals_of_the_server_are_told),
		TEST(too_many_connections_are_an_error),
		TEST(a_large_batch_is_all_or_nothing),
		TEST(many_offenders_come_in_portions),
		TEST(one_user_may_have_many_blocks),
		TEST(logins_and_hits_come_in_portions),
		TEST(a_user_with_many_blocks_is_counted_alike),
		TEST(urls_name_server_database_and_user),
		TEST(passwords_and_users_are_presented),
		TEST(tls_is_for_the_host_and_by_a_known_authority),
	};

	return cmocka_run_group_tests(tests, group_begin, group_finish);
}
