/*
 * abichecker - the filter that Postfix starts through spawn(8).
 *
 * Reads policy requests on descriptor 0 and writes replies to 1 until the
 * client closes. Whatever is wrong, mail flows: a section in error is logged,
 * and its checks do not act; when the whole configuration cannot be used, every
 * request is answered with DUNNO.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "base/log.h"
#include "policy.h"
#include "base/process.h"
#include "store/store.h"
#include "store/uncounted.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static const char usage[] =
    "usage: abichecker [-c file] [-o section.key=value] ...\n"
    "A Postfix policy filter: requests on standard input, replies on standard\n"
    "output. Postfix starts it by spawn(8); see abichecker(8).\n";

/* The whole reply, or -1 when the client has gone. */
static int
reply_write(const char *reply)
{
	size_t left = strlen(reply);
	ssize_t n;

	while (left > 0) {
		n = write(STDOUT_FILENO, reply, left);
		if (n < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = STDOUT_FILENO,
				 .events = POLLOUT }, 1, -1);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		reply += n;
		left -= (size_t)n;
	}
	return 0;
}

/* What is done while the client is silent; see struct policy_stream. */
static int
idle(void)
{
	int store = store_idle(), uncounted = uncounted_idle();

	return store < 0 || (uncounted >= 0 && uncounted < store) ? uncounted :
								    store;
}

/* Answers requests until there are no more. usable: the configuration is. */
static void
serve(const struct config *cfg, bool usable)
{
	static struct policy_stream stream;
	static struct policy policy;
	struct policy_answer answer;
	struct request req;

	policy_stream_init(&stream, STDIN_FILENO);
	stream.idle = idle;
	policy_init(&policy, cfg);
	if (usable)
		policy_log_errors(&policy);
	while (policy_read(&stream, &req) == POLICY_REQUEST) {
		if (usable) {
			request_start(&req, cfg->filter.deadline);
			policy_walk(&policy, &req, &answer);
		}
		if (reply_write(usable ? answer.reply :
			POLICY_REPLY_DUNNO) != 0)
			break;
	}
}

/*
 * Collects the options in cfg. 0, -1 with error set, or 1 when there is
 * nothing left to do.
 */
static int
options_parse(struct config *cfg, int argc, char **argv, const char **file,
    char *error, size_t size)
{
	int c;

	opterr = 0; /* descriptor 2 is not ours */
	while ((c = getopt(argc, argv, "+c:o:hV-:")) != -1) {
		if (c == 'c')
			*file = optarg;
		else if (c == 'o' &&
		    cfg->override_count < CONFIG_OVERRIDES_MAX)
			cfg->overrides[cfg->override_count++] = optarg;
		else if (c == 'h' ||
		    (c == '-' && strcmp(optarg, "help") == 0)) {
			fputs(usage, stdout);
			return 1;
		} else if (c == 'V' ||
		    (c == '-' && strcmp(optarg, "version") == 0)) {
			puts("abichecker " VERSION);
			return 1;
		} else {
			snprintf(error, size, "command line: bad option -%c%s",
			    c == '?' || c == ':' ? optopt : c,
			    c == '-' ? optarg : "");
			return -1;
		}
	}
	if (optind < argc) {
		snprintf(error, size, "command line: unexpected %s",
		    argv[optind]);
		return -1;
	}
	return 0;
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	log_warning("%s", text);
}

int
main(int argc, char **argv)
{
	static struct config cfg;
	char error[CONFIG_ERROR_MAX];
	const char *file = NULL;
	int rc;

	process_guard(0);
	config_init(&cfg);
	rc = options_parse(&cfg, argc, argv, &file, error, sizeof(error));
	if (rc > 0)
		return 0;
	if (rc == 0)
		rc = config_load(&cfg, file, error, sizeof(error)) ? 0 : -1;
	log_open("abichecker", cfg.log.target, (enum log_level)cfg.log.level);
	if (rc != 0)
		log_error("%s; answering DUNNO to everything", error);
	else
		config_warnings(&cfg, warn, NULL);
	if (process_take_identity(config_certain(&cfg, "reputation.cache_dir"),
	    config_certain(&cfg, "store.url"), log_fd()) != 0) {
		log_error("cannot drop root privileges: %s; answering DUNNO to "
			  "everything", strerror(errno));
		rc = -1;
	}
	serve(&cfg, rc == 0);
	uncounted_close();
	return 0;
}
