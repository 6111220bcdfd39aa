/*
 * The request reader and the walk after it: a whole connection. Property:
 * every reply is one line that begins with "action=" and an empty line.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "policy.h"

static struct config cfg;
static struct policy policy;
static struct policy_stream stream;

static void
prepare(void)
{
	static const char *const options[] = { "log.target=none",
		"whitelist.file=/nonexistent", "filter.abictl=/nonexistent",
		"reputation.cache_dir=", "reputation.token_file=/nonexistent",
		"reputation.action=REJECT $client_address $client_name "
		"$sasl_username $score $country $reason" };
	char error[CONFIG_ERROR_MAX];
	size_t i;

	config_init(&cfg);
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		HOLDS(config_override(&cfg, options[i], error,
			  sizeof(error)));
	policy_init(&policy, &cfg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct policy_answer answer;
	struct request req;
	size_t n;

	if (fd < 0) {
		prepare();
		fd = memfd_create("request", 0);
	}
	HOLDS(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	HOLDS(write(fd, data, size) == (ssize_t)size);
	HOLDS(lseek(fd, 0, SEEK_SET) == 0);
	policy_stream_init(&stream, fd);
	while (policy_read(&stream, &req) == POLICY_REQUEST) {
		request_start(&req, cfg.filter.deadline);
		req.passive = true;
		policy_walk(&policy, &req, &answer);
		n = strlen(answer.reply);
		HOLDS(strncmp(answer.reply, "action=", 7) == 0);
		HOLDS(strchr(answer.reply, '\n') == answer.reply + n - 2);
		HOLDS(answer.reply[n - 1] == '\n');
	}
	return 0;
}
