/*
 * abictl selftest - looking at Postfix, while we are root.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/abictl.h"
#include "base/address.h"
#include "base/process.h"
#include "ctl/selftest/selftest.h"
#include "ctl/selftest/postfix.h"
#include "base/tool.h"

#define ANSWER_MS 15000 /* the filter has 10 seconds, by default */

struct instance selftest_instances[INSTANCES_MAX];
size_t selftest_instance_count;

static bool
is_running(const struct postfix *p)
{
	char directory[PATH_MAX];
	const char *argv[] = {"postfix", "-c", directory, "status", NULL};
	char error[256];

	/* Without a name it would be asked of all instances. */
	postfix_value(
	    p, NULL, "config_directory", directory, sizeof(directory));
	return tool_run(argv, -1, -1, 10, error, sizeof(error)) == 0;
}

/* A filter host's; on this host it would be a service of master.cf. */
static bool
is_remote(const char *target)
{
	const char *host = target + 5, *port = strrchr(target, ':');

	return strncmp(target, "inet:", 5) == 0 && (port < host ||
	    !address_loopback_host(host, (size_t)(port - host)));
}

/* Does somebody listen? A socket that is left over is nobody's. */
static bool
is_there(const struct instance *in, const char *target, const char *path)
{
	if (!in->root)
		return true;
	if (path != NULL)
		return policy_listens(path, true, ANSWER_MS);
	return strncmp(target, "inet:", 5) != 0 || is_remote(target) ||
	       policy_listens(target + 5, false, ANSWER_MS);
}

bool
selftest_worth_asking(const struct instance *in, const char *target)
{
	const struct postfix_service *s = postfix_listener(&in->conf, target);

	return s != NULL ? postfix_is_ours(s) : !in->ours && is_remote(target);
}

/* What an earlier service got there, if that was no answer: once will do. */
static const struct policy_asked *
silent_before(const struct instance *in, const char *target)
{
	const struct asker *a;
	size_t i;

	for (a = in->askers; a < in->askers + in->count; a++)
		for (i = 0; i < a->count; i++)
			if (strcmp(a->asks[i].target, target) == 0 &&
			    a->answers[i].text[0] != '\0' &&
			    !a->answers[i].answered)
				return &a->answers[i];
	return NULL;
}

static void
asker_ask(const struct instance *in, struct asker *a)
{
	const struct policy_asked *silent;
	char path[PATH_MAX];
	const char *target;
	bool is_socket;
	size_t i;

	for (i = 0; i < a->count; i++) {
		target = a->asks[i].target;
		is_socket =
		    postfix_socket(&in->conf, target, path, sizeof(path));
		a->there[i] = is_there(in, target, is_socket ? path : NULL);
		if (!in->running || !selftest_worth_asking(in, target))
			continue;
		silent = silent_before(in, target);
		if (silent != NULL)
			a->answers[i] = *silent;
		else
			policy_ask(is_socket ? path : target + strlen("inet:"),
			    is_socket, ANSWER_MS, &a->answers[i]);
	}
}

static void
instance_look(struct instance *in, const char *directory)
{
	const struct postfix_service *s;
	struct asker *a;
	size_t i, k;

	in->read =
	    postfix_read(&in->conf, directory, in->error, sizeof(in->error));
	in->askers = calloc(in->conf.count + 1, sizeof(*in->askers));
	if (!in->read || in->askers == NULL)
		return;
	in->root = geteuid() == 0;
	in->running = in->root && is_running(&in->conf);
	for (i = 0; i < in->conf.count; i++)
		in->ours |= postfix_is_ours(&in->conf.services[i]);
	for (i = 0; i < in->conf.count; i++) {
		s = &in->conf.services[i];
		if (strcmp(s->program, "smtpd") != 0)
			continue;
		a = &in->askers[in->count++];
		a->service = s;
		a->count = postfix_asks(&in->conf, s, a->asks);
		for (k = 0; k < a->count; k++) {
			in->part |=
			    selftest_worth_asking(in, a->asks[k].target);
			in->named |=
			    strstr(a->asks[k].target, "abichecker") != NULL;
		}
		asker_ask(in, a);
	}
	in->part |= in->ours;
}

void
selftest_postfix_look(void)
{
	char list[4096], directory[PATH_MAX], *word, *rest = list;

	instance_look(&selftest_instances[0], "");
	selftest_instance_count = 1;
	/* Who names an instance in the environment means that one. */
	if (!selftest_instances[0].read || getenv("MAIL_CONFIG") != NULL)
		return;
	postfix_value(&selftest_instances[0].conf, NULL,
	    "multi_instance_directories", list, sizeof(list));
	while (selftest_instance_count < INSTANCES_MAX &&
	       (word = strsep(&rest, ", \t")) != NULL) {
		if (word[0] == '\0')
			continue;
		snprintf(directory, sizeof(directory), "%s", word);
		instance_look(
		    &selftest_instances[selftest_instance_count++], directory);
	}
}

/* The user of the first service that is ours. */
static bool
service_user(char *name, size_t size)
{
	const struct postfix *p;
	size_t i, k;

	for (k = 0; k < selftest_instance_count; k++) {
		p = &selftest_instances[k].conf;
		for (i = 0; i < p->count; i++)
			if (postfix_is_ours(&p->services[i]) &&
			    postfix_argument(
				&p->services[i], "user", name, size)) {
				name[strcspn(name, ":")] = '\0';
				return true;
			}
	}
	return false;
}

void
selftest_user_take(void)
{
	char user[POSTFIX_NAME_MAX];

	if (geteuid() == 0 && service_user(user, sizeof(user)))
		process_become(user);
}

bool
selftest_is_stranger(const struct config *cfg)
{
	const char *cache = config_certain(cfg, "reputation.cache_dir");
	const struct passwd *pw = NULL;
	char user[POSTFIX_NAME_MAX];
	bool known = false;
	struct stat st;

	/* Who was root is the filter's user by now. */
	if (geteuid() == 0 || abictl_by_root())
		return false;
	if (service_user(user, sizeof(user)) && (pw = getpwnam(user)) != NULL) {
		known = pw->pw_uid != 0;
		if (pw->pw_uid == geteuid())
			return false;
	}
	if (cache != NULL && stat(cache, &st) == 0 && st.st_uid != 0)
		return st.st_uid != geteuid();
	return known;
}
