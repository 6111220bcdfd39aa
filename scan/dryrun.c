/*
 * dryrun - counting hits in memory: who would be listed, and why.
 */
#include "scan/dryrun.h"

#include <stdlib.h>
#include <string.h>

#include "store/listing.h"

#define LINE_SHOWN 400 /* bytes of a line that are kept */
#define FOR_EVER (100000 * 86400L)

/* What the listing does not keep of a block. */
struct suspect {
	size_t number; /* of its coming */
	enum maillog_rule rule;
	long hits;
	time_t last;
	const char *lines[DRYRUN_LINES];
};

struct dryrun {
	struct store_rule rules[MAILLOG_RULES];
	struct store_batch batch; /* without hits: they come one by one */
	struct listing listing;
};

struct dryrun *
dryrun_new(const struct rules *rules)
{
	struct dryrun *d = calloc(1, sizeof(*d));
	int rule;

	if (d == NULL)
		return NULL;
	for (rule = 0; rule < MAILLOG_RULES; rule++)
		d->rules[rule] = (struct store_rule){
			maillog_rule_name((enum maillog_rule)rule),
			rules->rule[rule].hits, rules->rule[rule].period };
	d->batch = (struct store_batch){ .rules = d->rules,
		.rule_count = MAILLOG_RULES, .ban = FOR_EVER,
		.ban_max = FOR_EVER };
	if (listing_begin(&d->listing, &d->batch))
		return d;
	dryrun_free(d);
	return NULL;
}

void
dryrun_free(struct dryrun *d)
{
	listing_end(&d->listing);
	free(d);
}

/* Keeps the beginning of a line, if it is one of the first. */
static bool
line_keep(struct dryrun *d, struct suspect *s, const struct maillog_text *line)
{
	size_t n = line->len < LINE_SHOWN ? line->len : LINE_SHOWN;
	int i;

	for (i = 0; i < DRYRUN_LINES && s->lines[i] != NULL; i++)
		;
	if (i == DRYRUN_LINES)
		return true;
	s->lines[i] = arena_text(&d->listing.memory, line->s, n);
	return s->lines[i] != NULL;
}

bool
dryrun_add(struct dryrun *d, const struct scan_hit *hit)
{
	const struct store_hit h = { .block = hit->block,
		.rule = d->rules[hit->rule].name, .key = hit->key,
		.time = hit->time };
	struct listing_block *b = listing_block(&d->listing, hit->block);
	struct suspect *s = b != NULL ? b->own : NULL;
	bool listed;

	if (b != NULL && s == NULL) {
		s = b->own = arena_take(&d->listing.memory, sizeof(*s));
		if (s != NULL)
			s->number = d->listing.blocks.count;
	}
	if (s == NULL || !line_keep(d, s, &hit->line))
		return false;
	s->hits++;
	if (hit->time > s->last)
		s->last = hit->time;
	listed = b->listed;
	if (!listing_add(&d->listing, b, &h))
		return false;
	if (!listed && b->listed)
		s->rule = hit->rule;
	return true;
}

static int
block_compare(const void *a, const void *b)
{
	const struct listing_block *x = *(struct listing_block *const *)a;
	const struct listing_block *y = *(struct listing_block *const *)b;
	const struct suspect *s = x->own, *t = y->own;

	/* Those of the same second: as they came. */
	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return s->number < t->number ? -1 : s->number > t->number;
}

size_t
dryrun_each(struct dryrun *d,
    void (*fn)(void *arg, const struct dryrun_offender *o), void *arg)
{
	struct listing_block **all, *b;
	const struct suspect *s;
	struct dryrun_offender o;
	size_t n = 0, i;

	all = calloc(d->listing.blocks.count + 1,
	    sizeof(struct listing_block *));
	if (all == NULL)
		return 0;
	for (b = d->listing.first; b != NULL; b = b->next)
		if (b->listed)
			all[n++] = b;
	qsort(all, n, sizeof(struct listing_block *), block_compare);
	for (i = 0; i < n; i++) {
		s = all[i]->own;
		o = (struct dryrun_offender){ .block = all[i]->name,
			.rule = s->rule, .hits = s->hits,
			.since = all[i]->since, .last = s->last };
		memcpy(o.lines, s->lines, sizeof(o.lines));
		fn(arg, &o);
	}
	free(all);
	return n;
}
