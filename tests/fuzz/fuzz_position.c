/*
 * Stored positions, and the export format of the journal. Properties: what is
 * accepted as a position is written again as it was; an entry is one line
 * without other control characters, however its bytes arrive.
 */
#include "fuzz.h"

#include "logs/journal.h"
#include "logs/rotated.h"

static struct journal_export export;
static char line[JOURNAL_LINE_MAX];

static void
line_check(size_t len)
{
	size_t i;

	if (len == 0)
		return;
	HOLDS(len <= sizeof(line) && line[len - 1] == '\n');
	HOLDS(line[4] == '-' && line[19] == '.' && line[32] == ' ');
	for (i = 0; i + 1 < len; i++)
		HOLDS((unsigned char)line[i] >= ' ' || line[i] == '\t');
}

/* Reads data in pieces of so many bytes; a sum of all lines. */
static uint64_t
export_sum(const uint8_t *data, size_t size, size_t piece)
{
	size_t at = 0, used, n, i;
	uint64_t sum = 14695981039346656037u;
	char *part;
	int rc = 0;

	journal_export_init(&export);
	while (rc >= 0 && at < size) {
		n = size - at < piece ? size - at : piece;
		part = fuzz_copy(data + at, n);
		rc = journal_export_read(&export, part, n, &used);
		free(part);
		HOLDS(used > 0 && used <= n);
		at += used;
		n = rc > 0 ? journal_export_line(&export, line, sizeof(line))
			   : 0;
		line_check(n);
		for (i = 0; i < n; i++)
			sum = (sum ^ (unsigned char)line[i]) * 1099511628211u;
	}
	return sum + (rc < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), again[256];
	char cursor[JOURNAL_CURSOR_MAX];
	struct rotated_mark m;
	uint64_t sum;

	if (rotated_mark_parse(text, &m)) {
		HOLDS(m.head <= ROTATED_HEAD_MAX && m.head <= m.offset);
		HOLDS(m.tail.len <= ROTATED_TAIL_MAX &&
		    m.tail.len <= m.offset);
		HOLDS(m.last >= 0 && m.after >= 0);
		rotated_mark_format(&m, again, sizeof(again));
		HOLDS(strcmp(again, text) == 0);
	}
	if (journal_position_parse(text, cursor))
		HOLDS(strcmp(cursor, text + 8) == 0);
	free(text);
	sum = export_sum(data, size, 65536);
	HOLDS(export_sum(data, size, 7) == sum);
	HOLDS(export_sum(data, size, 1) == sum);
	return 0;
}
