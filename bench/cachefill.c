/*
 * cachefill - fill a cache directory of abichecker with many files, quickly:
 * COUNT addresses from FIRST on, all with the same SCORE.
 *
 *	cachefill DIRECTORY FIRST COUNT SCORE
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	char text[256];
	const char *name;
	struct in_addr first, addr;
	unsigned long count, i;
	int fd, len;

	if (argc != 5 || inet_pton(AF_INET, argv[2], &first) != 1) {
		fprintf(stderr,
		    "usage: cachefill DIRECTORY FIRST COUNT SCORE\n");
		return 2;
	}
	count = strtoul(argv[3], NULL, 10);
	len = snprintf(text, sizeof(text),
	    "%s\ncountry=NL\nisp=Example Hosting B.V.\n"
	    "usage=Data Center/Web Hosting/Transit\nreporters=3\nreports=7\n"
	    "tor=0\nfetched=%lld\n", argv[4], (long long)time(NULL));
	if (chdir(argv[1]) == -1)
		err(1, "%s", argv[1]);
	for (i = 0; i < count; i++) {
		addr.s_addr = htonl(ntohl(first.s_addr) + (uint32_t)i);
		name = inet_ntoa(addr);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd == -1 || write(fd, text, (size_t)len) != len ||
		    close(fd) == -1)
			err(1, "%s/%s", argv[1], name);
	}
	return 0;
}
