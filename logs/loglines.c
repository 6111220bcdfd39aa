/*
 * loglines - whole lines from a descriptor, in a buffer that does not grow.
 *
 * Of a line that is longer than the buffer the beginning is kept, the rest is
 * passed over until its newline comes: only then is it handed out.
 */
#include "logs/logsource_kind.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Hands out n bytes of the buffer, of which the first may be a mark. */
static int
lines_give(struct loglines *l, size_t n, const char **text, size_t *len)
{
	size_t mark = l->begun ? 0 : text_mark(l->buf, n);

	l->begun = true;
	*text = l->buf + mark;
	*len = n - mark;
	return 1;
}

/* The one long line, cut, up to `end' in the buffer. */
static int
long_give(struct loglines *l, size_t end, const char **text, size_t *len,
    uint64_t *bytes)
{
	l->buf[LOGLINES_CUT - 1] = '\n';
	l->given = end;
	*bytes = l->passed + end;
	l->passed = 0;
	return lines_give(l, LOGLINES_CUT, text, len);
}

int
loglines_read(struct loglines *l, int wait, const char **text, size_t *len,
    uint64_t *bytes)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	const char *nl;
	ssize_t n;

	l->len -= l->given;
	memmove(l->buf, l->buf + l->given, l->len);
	l->given = 0;
	nl = memrchr(l->buf, '\n', l->len);
	while (nl == NULL) {
		if (l->len == LOGLINES_SIZE) {
			l->passed += l->len - LOGLINES_CUT;
			l->len = LOGLINES_CUT;
		}
		errno = EAGAIN;
		if (wait == 0 && poll(&p, 1, 0) == 0)
			return -1;
		n = read(l->fd, l->buf + l->len, LOGLINES_SIZE - l->len);
		if (n <= 0)
			return (int)n;
		nl = memrchr(l->buf + l->len, '\n', (size_t)n);
		l->len += (size_t)n;
	}
	if (l->passed > 0) {
		nl = memchr(l->buf, '\n', l->len);
		return long_give(l, (size_t)(nl - l->buf) + 1, text, len,
		    bytes);
	}
	*bytes = l->given = (size_t)(nl - l->buf) + 1;
	return lines_give(l, l->given, text, len);
}

uint64_t
loglines_rest(const struct loglines *l)
{
	return l->passed + l->len - l->given;
}

int
loglines_last(struct loglines *l, const char **text, size_t *len,
    uint64_t *bytes)
{
	if (loglines_rest(l) == 0)
		return 0;
	if (l->passed > 0)
		return long_give(l, l->len, text, len, bytes);
	*bytes = l->given = l->len;
	l->buf[l->len] = '\n';
	return lines_give(l, l->len + 1, text, len);
}
