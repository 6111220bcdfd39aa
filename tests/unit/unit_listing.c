/*
 * unit_listing - when is a block listed: the rule of store.h, by examples and
 * by a naive model of it that random batches are compared with.
 */
#include "unit.h"

#include "store/listing.h"

#define NOW 1800000000L
#define BLOCK "192.0.2.1/32"

static const struct store_rule rules[] = {
	{ "auth", 3, 1000 }, { "once", 1, 1 }, { "slow", 5, 40000 },
};

/* --- what is kept of a few blocks, as a store has it --- */

struct kept {
	struct store_offender offender[16];
	size_t offenders;
	struct {
		char block[STORE_BLOCK_MAX];
		char rule[STORE_RULE_MAX];
		char key[16];
		time_t time;
	} hit[8000];
	size_t hits;
	bool changed;
};

static struct store_offender *
kept_offender(struct kept *k, const char *block)
{
	size_t i;

	for (i = 0; i < k->offenders; i++)
		if (strcmp(k->offender[i].block, block) == 0)
			return &k->offender[i];
	assert_true(k->offenders < COUNT(k->offender));
	memset(&k->offender[i], 0, sizeof(k->offender[i]));
	snprintf(k->offender[i].block, STORE_BLOCK_MAX, "%s", block);
	k->offenders++;
	return &k->offender[i];
}

static void
kept_forget(struct kept *k, const char *block)
{
	size_t i, n = 0;

	for (i = 0; i < k->hits; i++)
		if (strcmp(k->hit[i].block, block) != 0)
			k->hit[n++] = k->hit[i];
	k->hits = n;
}

/* Puts a hit down; one that is there is moved to a later time. */
static void
kept_put(struct kept *k, const char *block, const char *rule, const char *key,
    time_t time)
{
	size_t i;

	for (i = 0; i < k->hits; i++)
		if (strcmp(k->hit[i].block, block) == 0 &&
		    strcmp(k->hit[i].rule, rule) == 0 &&
		    strcmp(k->hit[i].key, key) == 0)
			break;
	assert_true(i < COUNT(k->hit));
	if (i < k->hits && k->hit[i].time >= time)
		return;
	snprintf(k->hit[i].block, STORE_BLOCK_MAX, "%s", block);
	snprintf(k->hit[i].rule, STORE_RULE_MAX, "%s", rule);
	snprintf(k->hit[i].key, sizeof(k->hit[i].key), "%s", key);
	k->hit[i].time = time;
	if (i == k->hits)
		k->hits++;
}

static int
line_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* All of it in lines, in order. */
static void
kept_lines(const struct kept *k, char lines[][160], size_t *count)
{
	const struct store_offender *o;
	size_t i, n = 0;

	for (i = 0; i < k->offenders; i++) {
		o = &k->offender[i];
		if (o->times == 0)
			continue; /* nothing is known of it */
		snprintf(lines[n++], 160, "%s %s %s hits %ld times %ld since "
		    "%ld last %ld expires %ld %d", o->block, o->rule, o->note,
		    o->hits, o->times, (long)o->since, (long)o->last,
		    (long)o->expires, o->listed);
	}
	for (i = 0; i < k->hits; i++)
		snprintf(lines[n++], 160, "hit %s %s %s %ld", k->hit[i].block,
		    k->hit[i].rule, k->hit[i].key, (long)k->hit[i].time);
	qsort(lines, n, 160, line_compare);
	*count = n;
}

/* --- both ways to count --- */

/* As a driver does it. */
static void
by_listing(struct kept *k, const struct store_batch *batch)
{
	struct listing l;
	struct listing_block *b;
	struct listing_hit *h;
	size_t i;

	assert_true(listing_begin(&l, batch));
	for (i = 0; i < k->offenders; i++)
		assert_true(listing_know(&l, &k->offender[i]));
	for (i = 0; i < k->hits; i++)
		assert_true(listing_know_hit(&l, &(struct store_hit){
		    k->hit[i].block, k->hit[i].rule, k->hit[i].key,
		    k->hit[i].time }));
	assert_true(listing_count(&l));
	for (b = l.first; b != NULL; b = b->next) {
		if (b->forget)
			kept_forget(k, b->name);
		for (h = b->first; h != NULL; h = h->next)
			if (h->write)
				kept_put(k, b->name, h->group->rule->name,
				    h->key, h->time);
		if (b->write)
			listing_offender(b, kept_offender(k, b->name));
		assert_true(!b->write || l.changed);
	}
	k->changed = l.changed;
	listing_end(&l);
}

/* How many of a block and rule are in the period up to a time. */
static long
within(const struct kept *k, const struct store_hit *h, time_t end,
    long period)
{
	long n = 0;
	size_t i;

	for (i = 0; i < k->hits; i++)
		n += strcmp(k->hit[i].block, h->block) == 0 &&
		    strcmp(k->hit[i].rule, h->rule) == 0 &&
		    k->hit[i].time <= end && end - k->hit[i].time < period;
	return n;
}

/* The latest of a block and rule in the period after a hit. */
static time_t
latest(const struct kept *k, const struct store_hit *h, long period)
{
	time_t found = h->time;
	size_t i;

	for (i = 0; i < k->hits; i++)
		if (strcmp(k->hit[i].block, h->block) == 0 &&
		    strcmp(k->hit[i].rule, h->rule) == 0 &&
		    k->hit[i].time > found &&
		    k->hit[i].time - h->time < period)
			found = k->hit[i].time;
	return found;
}

/* One hit, as store.h says it. */
static void
model_hit(struct kept *k, const struct store_batch *batch,
    const struct store_rule *rule, const struct store_hit *h)
{
	struct store_offender *o = kept_offender(k, h->block);
	long n, later, ban = batch->ban, i;

	if (o->listed && o->expires == 0)
		return;
	if (!o->listed || o->expires <= h->time) {
		n = 1;
		if (rule->hits > 1) {
			kept_put(k, h->block, h->rule, h->key, h->time);
			n = within(k, h, h->time, rule->period);
			later = within(k, h, latest(k, h, rule->period),
			    rule->period);
			n = later > n ? later : n;
		}
		if (n < rule->hits)
			return;
		kept_forget(k, h->block);
		o->listed = true;
		o->since = h->time;
		o->hits = n;
		o->times++;
		o->note[0] = '\0';
		snprintf(o->rule, sizeof(o->rule), "%s", h->rule);
	} else
		o->hits++;
	o->last = h->time > o->last ? h->time : o->last;
	for (i = 1; i < o->times && ban < batch->ban_max; i++)
		ban *= 2;
	ban = ban > batch->ban_max ? batch->ban_max : ban;
	o->expires = o->last + ban > o->expires ? o->last + ban : o->expires;
	k->changed = true;
}

static void
by_model(struct kept *k, const struct store_batch *batch)
{
	size_t i, r;

	k->changed = false;
	for (i = 0; i < batch->hit_count; i++)
		for (r = 0; r < batch->rule_count; r++)
			if (strcmp(batch->hits[i].rule,
			    batch->rules[r].name) == 0)
				model_hit(k, batch, &batch->rules[r],
				    &batch->hits[i]);
}

/* --- random batches --- */

static uint32_t
rnd(uint32_t *x, uint32_t below)
{
	*x = *x * 1664525 + 1013904223;
	return (*x >> 8) % below;
}

static struct store_batch
batch_of(const struct store_hit *hits, size_t count)
{
	return (struct store_batch){ .hits = hits, .hit_count = count,
		.rules = rules, .rule_count = COUNT(rules), .ban = 100,
		.ban_max = 350, .now = NOW };
}

#define BATCH 40

/* A batch whose times are within `apart' of one that moves on, and its like. */
static void
batch_random(uint32_t *x, time_t when, uint32_t apart, uint32_t keys,
    struct store_hit *hits, char texts[][2][24])
{
	static const char *const names[] = { "auth", "slow", "auth", "slow",
		"other", "auth" };
	uint32_t i;

	for (i = 0; i < BATCH; i++) {
		snprintf(texts[i][0], 24, "192.0.2.%u/32", rnd(x, 9));
		snprintf(texts[i][1], 24, "k%u", rnd(x, keys));
		hits[i] = (struct store_hit){ .block = texts[i][0],
			.key = texts[i][1],
			.rule = rnd(x, 90) == 0 ? "once" : names[rnd(x, 6)],
			.time = when - rnd(x, apart) };
	}
}

static void
kept_same(const struct kept *a, const struct kept *b, const char *what)
{
	static char x[8100][160], y[8100][160];
	size_t n, m, i;

	kept_lines(a, x, &n);
	kept_lines(b, y, &m);
	for (i = 0; i < n && i < m; i++)
		if (strcmp(x[i], y[i]) != 0)
			fail_msg("%s: `%s', the model `%s'", what, x[i], y[i]);
	if (n != m || a->changed != b->changed)
		fail_msg("%s: %zu rows, changed %d; the model %zu, %d", what,
		    n, a->changed, m, b->changed);
}

static void
random_batches_are_counted_as_the_model_does(void **state)
{
	static const struct {
		uint32_t apart, step, keys;
	} rows[] = { { 1, 300, 50 }, { 3000, 400, 9 }, { 3000, 0, 1000 },
		{ 90000, 2000, 200 }, { 90000, 50, 5 } };
	static struct kept counted, model;
	struct store_hit hits[BATCH];
	struct store_batch batch = batch_of(hits, BATCH);
	char texts[BATCH][2][24], what[64];
	uint32_t x, seed, n;
	size_t i, again = 0, unlisted = 0;
	time_t when;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		for (seed = 1; seed <= 12; seed++) {
			memset(&counted, 0, sizeof(counted));
			memset(&model, 0, sizeof(model));
			x = seed + (uint32_t)i * 100;
			when = NOW;
			for (n = 0; n < 15; n++) {
				when += rnd(&x, rows[i].step + 1);
				batch_random(&x, when, rows[i].apart,
				    rows[i].keys, hits, texts);
				by_listing(&counted, &batch);
				by_model(&model, &batch);
				snprintf(what, sizeof(what), "row %zu, seed "
				    "%u, batch %u", i, seed, n);
				kept_same(&counted, &model, what);
				again += model.offenders > 0 &&
				    model.offender[0].times > 1;
				unlisted += model.hits > 0;
			}
		}
	/* else this would compare little */
	assert_true(again > 100 && unlisted > 500);
}

/* --- by example --- */

static void
what_is_not_of_the_batch_is_left_alone(void **state)
{
	const struct store_hit hits[] = { { BLOCK, "auth", "a", NOW } };
	const struct store_batch batch = batch_of(hits, 1);
	struct store_offender o = { .block = "192.0.2.2/32", .listed = true };
	struct listing l;

	(void)state;
	assert_true(listing_begin(&l, &batch));
	assert_true(listing_know(&l, &o));
	assert_true(listing_know_hit(&l, &(struct store_hit){ o.block, "auth",
	    "a", NOW }));
	/* Of a rule that is no more. */
	assert_true(listing_know_hit(&l, &(struct store_hit){ BLOCK, "gone",
	    "a", NOW }));
	assert_true(listing_count(&l));
	assert_null(l.first->next);
	assert_string_equal(l.first->name, BLOCK);
	assert_null(l.first->first->next);
	assert_true(l.first->first->write);
	assert_false(l.first->write || l.first->forget || l.changed);
	listing_end(&l);
}

/* What a hit says anew need not be written again. */
static void
only_what_has_changed_is_marked(void **state)
{
	const struct store_hit hits[] = { { BLOCK, "auth", "a", NOW },
		{ BLOCK, "auth", "b", NOW }, { BLOCK, "auth", "b", NOW - 1 } };
	const struct store_batch batch = batch_of(hits, COUNT(hits));
	const struct listing_hit *h;
	struct listing l;

	(void)state;
	assert_true(listing_begin(&l, &batch));
	assert_true(listing_know_hit(&l, &(struct store_hit){ BLOCK, "auth",
	    "a", NOW }));
	assert_true(listing_know_hit(&l, &(struct store_hit){ BLOCK, "auth",
	    "b", NOW - 5 }));
	assert_true(listing_count(&l));
	for (h = l.first->first; h != NULL; h = h->next) {
		assert_int_equal(h->write, strcmp(h->key, "b") == 0);
		assert_int_equal(h->time, NOW);
	}
	listing_end(&l);
}

/* The rule may be stricter than when these were put down. */
static void
a_hit_does_not_count_with_those_a_period_later(void **state)
{
	const struct store_hit hits[] = { { BLOCK, "auth", "a", NOW } };
	const struct store_batch batch = batch_of(hits, 1);
	struct listing l;
	char key[] = "b";
	int apart;

	(void)state;
	for (apart = 998; apart <= 1001; apart++) {
		assert_true(listing_begin(&l, &batch));
		for (key[0] = 'b'; key[0] <= 'd'; key[0]++)
			assert_true(listing_know_hit(&l, &(struct store_hit){
			    BLOCK, "auth", key, NOW + apart }));
		assert_true(listing_count(&l));
		assert_int_equal(l.first->listed, apart < 1000);
		listing_end(&l);
	}
}

/* One for ever, by hand, stays as it is; another one keeps its note. */
static void
an_offender_by_hand_keeps_what_was_said(void **state)
{
	const struct store_hit hits[] = { { BLOCK, "once", "a", NOW } };
	const struct store_batch batch = batch_of(hits, 1);
	struct store_offender o = { .block = BLOCK, .rule = "manual",
		.note = "a note", .times = 1, .since = NOW - 10,
		.last = NOW - 10, .listed = true };
	struct listing l;

	(void)state;
	assert_true(listing_begin(&l, &batch));
	assert_true(listing_know(&l, &o) && listing_count(&l));
	assert_false(l.first->write || l.first->forget || l.changed);
	listing_end(&l);
	o.expires = NOW + 5;
	assert_true(listing_begin(&l, &batch));
	assert_true(listing_know(&l, &o) && listing_count(&l));
	assert_true(l.first->write && l.changed);
	assert_false(l.first->forget);
	listing_offender(l.first, &o);
	assert_string_equal(o.rule, "manual");
	assert_string_equal(o.note, "a note");
	assert_int_equal(o.expires, NOW + 100);
	assert_int_equal(o.hits, 1);
	listing_end(&l);
}

/* A store may hold what we would never have written. */
static void
nonsense_that_is_kept_does_no_harm(void **state)
{
	const struct store_hit hits[] = { { BLOCK, "auth", "a", NOW },
		{ BLOCK, "once", "a", NOW } };
	const struct store_batch batch = batch_of(hits, COUNT(hits));
	const struct store_offender worst[] = {
		{ .block = BLOCK, .hits = INT64_MAX, .times = INT64_MAX,
		    .since = INT64_MAX, .last = INT64_MAX, .expires = INT64_MAX,
		    .listed = true },
		{ .block = BLOCK, .hits = INT64_MIN, .times = INT64_MIN,
		    .since = INT64_MIN, .last = INT64_MIN, .expires = INT64_MIN,
		    .listed = true },
	};
	struct store_offender o;
	struct listing l;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(worst); i++) {
		assert_true(listing_begin(&l, &batch));
		assert_true(listing_know(&l, &worst[i]));
		assert_true(listing_know_hit(&l, &(struct store_hit){ BLOCK,
		    "auth", "x", i > 0 ? INT64_MIN : INT64_MAX }));
		assert_true(listing_know_hit(&l, &(struct store_hit){ BLOCK,
		    "auth", "x", i > 0 ? INT64_MAX : INT64_MIN }));
		assert_true(listing_count(&l));
		listing_offender(l.first, &o);
		assert_true(o.hits >= 0 && o.times >= 0 && o.expires >= 0);
		listing_end(&l);
	}
}

static void
more_than_can_be_held_is_refused(void **state)
{
	const struct store_hit hits[] = { { BLOCK, "auth", "a", NOW } };
	const struct store_batch batch = batch_of(hits, 1);
	struct listing l;
	char key[24];
	long i;

	(void)state;
	assert_true(listing_begin(&l, &batch));
	for (i = 0; i < LISTING_KNOWN_MAX; i++) {
		snprintf(key, sizeof(key), "%ld", i);
		if (!listing_know_hit(&l, &(struct store_hit){ BLOCK, "auth",
		    key, NOW - i * 7919 % 1000003 }))
			fail_msg("hit %ld", i);
	}
	assert_false(listing_know_hit(&l, &(struct store_hit){ BLOCK, "auth",
	    "one more", NOW }));
	assert_true(listing_count(&l));
	listing_end(&l);
}

#define MANY 200000

/* Of one block, and of as many; the last one lists it. */
static void
a_batch_may_be_large(void **state)
{
	static char texts[MANY][2][20];
	const struct store_rule rule = { "many", MANY, MANY };
	struct store_hit *hits = calloc(MANY, sizeof(*hits));
	struct store_batch batch = batch_of(hits, MANY);
	struct listing l;
	size_t i;

	(void)state;
	assert_non_null(hits);
	batch.rules = &rule;
	batch.rule_count = 1;
	for (i = 0; i < MANY; i++) {
		snprintf(texts[i][1], 20, "k%zu", i);
		/* In pairs that are the wrong way round. */
		hits[i] = (struct store_hit){ BLOCK, "many", texts[i][1],
			NOW + (time_t)(i ^ 1) };
	}
	assert_true(listing_begin(&l, &batch) && listing_count(&l));
	assert_true(l.first->listed);
	assert_int_equal(l.first->hits, MANY);
	assert_int_equal(l.first->since, NOW + MANY - 2);
	listing_end(&l);
	batch.hit_count--;
	assert_true(listing_begin(&l, &batch) && listing_count(&l));
	assert_false(l.first->listed);
	listing_end(&l);
	for (i = 0; i < MANY; i++) {
		snprintf(texts[i][0], 20, "10.%zu.%zu.%zu/32", i >> 16,
		    i >> 8 & 255, i & 255);
		hits[i].block = texts[i][0];
	}
	assert_true(listing_begin(&l, &batch) && listing_count(&l));
	assert_int_equal(l.blocks.count, MANY - 1);
	assert_int_equal(l.hits.count, MANY - 1);
	listing_end(&l);
	free(hits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_batches_are_counted_as_the_model_does),
		cmocka_unit_test(what_is_not_of_the_batch_is_left_alone),
		cmocka_unit_test(only_what_has_changed_is_marked),
		cmocka_unit_test(
		    a_hit_does_not_count_with_those_a_period_later),
		cmocka_unit_test(an_offender_by_hand_keeps_what_was_said),
		cmocka_unit_test(nonsense_that_is_kept_does_no_harm),
		cmocka_unit_test(more_than_can_be_held_is_refused),
		cmocka_unit_test(a_batch_may_be_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
