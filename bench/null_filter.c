/*
 * null_filter - the least that a policy filter can do: read a request up to
 * its empty line, answer action=DUNNO. What abichecker is measured against.
 */
#include <unistd.h>

int
main(void)
{
	static const char reply[] = "action=DUNNO\n\n";
	char buf[8192], last = '\0';
	ssize_t n, i;

	while ((n = read(0, buf, sizeof(buf))) > 0)
		for (i = 0; i < n; last = buf[i++])
			if (buf[i] == '\n' && last == '\n' &&
			    write(1, reply, sizeof(reply) - 1) !=
				sizeof(reply) - 1)
				return 1;
	return 0;
}
