/*
 * Stored positions. What is accepted is written again as it was.
 */
#include "fuzz.h"

#include "logs/logsource_kind.h"
#include "logs/rotated.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size), again[256];
	char cursor[JOURNAL_CURSOR_MAX];
	struct rotated_mark m;

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
	return 0;
}
