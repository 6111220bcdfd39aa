/*
 * progress - how far a long operation has come, told to a person.
 */
#include "ctl/cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define FIRST 2000 /* milliseconds: what is over by then is not worth a line */
#define EACH 500   /* milliseconds between two lines */

static struct {
	const char *what, *unit;
	int64_t total;
	int64_t began, told; /* clock_ms() */
	bool running, shown;
	struct sigaction before[2];
} now;

static const int signals[2] = { SIGINT, SIGTERM };
static volatile sig_atomic_t stopped;

static void
stop(int sig)
{
	(void)sig;
	stopped = 1;
}

bool
progress_watched(void)
{
	return isatty(STDERR_FILENO);
}

void
progress_begin(const char *what, const char *unit, int64_t total)
{
	struct sigaction act = { .sa_handler = stop };
	int i;

	progress_end();
	now.what = what;
	now.unit = unit;
	now.total = total;
	now.began = now.told = clock_ms();
	now.shown = false;
	now.running = true;
	stopped = 0;
	sigemptyset(&act.sa_mask);
	for (i = 0; i < 2; i++)
		sigaction(signals[i], &act, &now.before[i]);
}

bool
progress_end(void)
{
	int i;

	if (!now.running)
		return false;
	now.running = false;
	if (now.shown)
		fputs("\r\033[K", stderr);
	for (i = 0; i < 2; i++)
		sigaction(signals[i], &now.before[i], NULL);
	return stopped != 0;
}

/* With a comma after each three digits. */
static void
number_text(char *out, size_t size, int64_t n)
{
	char digits[24];
	size_t len, i, used = 0;

	snprintf(digits, sizeof(digits), "%lld", (long long)n);
	len = strlen(digits);
	for (i = 0; i < len && used + 2 < size; i++) {
		out[used++] = digits[i];
		if (i + 1 < len && (len - i - 1) % 3 == 0)
			out[used++] = ',';
	}
	out[used] = '\0';
}

/* Of bytes, megabytes say enough. */
static void
amount_text(char *out, size_t size, int64_t n, const char *unit)
{
	if (strcmp(unit, "bytes") == 0)
		snprintf(out, size, "%.1f MB", (double)n / 1e6);
	else
		number_text(out, size, n);
}

void
progress_text(char *out, size_t size, const char *what,
    const char *unit, int64_t total, int64_t done, double seconds)
{
	char part[32], whole[32], each[32], left[24];
	double rate = seconds > 0 ? (double)done / seconds : 0;
	const char *of = strcmp(unit, "bytes") == 0 ? "" : unit;
	struct text t;

	text_init(&t, out, size);
	amount_text(part, sizeof(part), done, unit);
	amount_text(whole, sizeof(whole), total, unit);
	amount_text(each, sizeof(each), (int64_t)rate, unit);
	text_addf(&t, "%s: %s", what, part);
	if (total >= done && total > 0)
		text_addf(&t, " of %s%s%s (%d%%), %s/s", whole,
		    *of != '\0' ? " " : "", of,
		    (int)(100.0 * (double)done / (double)total), each);
	else
		text_addf(&t, "%s%s, %s/s", *of != '\0' ? " " : "", of, each);
	if (total >= done && total > 0 && rate >= 1) {
		text_age(left, sizeof(left),
		    (long)((double)(total - done) / rate));
		text_addf(&t, ", %s left", left);
	}
}

bool
progress_step(int64_t done)
{
	int64_t ms = clock_ms();
	char line[160];

	if (now.running && ms - now.began >= FIRST && ms - now.told >= EACH &&
	    progress_watched()) {
		progress_text(line, sizeof(line), now.what, now.unit,
		    now.total, done, (double)(ms - now.began) / 1000.0);
		fprintf(stderr, "\r%.78s\033[K", line);
		now.told = ms;
		now.shown = true;
	}
	return stopped == 0;
}
