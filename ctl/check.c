/*
 * abictl check - what the filter would answer to a request, and why.
 *
 * Runs the same walk as the filter. Unless --live is given, nothing is
 * fetched, learned or changed.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "ctl/abictl.h"
#include "ctl/cli/table.h"
#include "policy.h"
#include "base/text.h"
#include "store/uncounted.h"

/* What a step came to, in a word. */
static const char *
step_word(const struct policy_step *step)
{
	static const char *const words[] = {
		[OUTCOME_NONE] = "no opinion",
		[OUTCOME_EXEMPT] = "exempt",
		[OUTCOME_SOFTEN] = "soften",
		[OUTCOME_ACT] = "act",
		[OUTCOME_ERROR] = "error",
	};

	if (step->skipped != NULL)
		return "skipped";
	if (step->only_log)
		return "would act";
	return words[step->outcome];
}

static const char *
step_reason(const struct policy_step *step)
{
	return step->skipped != NULL ? step->skipped : step->verdict.reason;
}

/* The reply without its line ends, for people. */
static void
reply_text(const struct policy_answer *answer, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)strcspn(answer->reply, "\n"),
	    answer->reply);
}

static int
print_json(const struct policy *p, const struct policy_answer *answer)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *steps = cJSON_AddArrayToObject(root, "checks"), *o;
	char reply[POLICY_REPLY_MAX];
	int i;

	for (i = 0; i < p->count; i++) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "check", p->steps[i].check->name);
		cJSON_AddStringToObject(o, "outcome", step_word(&p->steps[i]));
		cJSON_AddNumberToObject(o, "microseconds",
		    (double)p->steps[i].usec);
		cJSON_AddStringToObject(o, "reason",
		    step_reason(&p->steps[i]));
		if (p->steps[i].skipped == NULL &&
		    p->steps[i].verdict.score >= 0)
			cJSON_AddNumberToObject(o, "score",
			    p->steps[i].verdict.score);
		cJSON_AddItemToArray(steps, o);
	}
	reply_text(answer, reply, sizeof(reply));
	cJSON_AddBoolToObject(root, "softened", answer->softened);
	cJSON_AddBoolToObject(root, "dry_run", answer->dry);
	cJSON_AddStringToObject(root, "decided_by", answer->decided != NULL ?
		answer->decided->check->name : "");
	cJSON_AddStringToObject(root, "answer", reply);
	return abictl_json(root);
}

enum { CHECK, RESULT, TIME, REASON };

static const struct table_column columns[] = {
	[CHECK] = { "CHECK", NULL, TABLE_TEXT, NULL, 0 },
	[RESULT] = { "OUTCOME", NULL, TABLE_TEXT, NULL, 0 },
	[TIME] = { "TIME", NULL, TABLE_TEXT, NULL, TABLE_RIGHT },
	[REASON] = { "REASON", NULL, TABLE_TEXT, NULL, TABLE_WRAP },
	{ .heading = NULL },
};

static void
step_row(struct table *t, const struct policy_step *step)
{
	bool acts = step->skipped == NULL && (step->outcome == OUTCOME_ACT ||
	    step->outcome == OUTCOME_ERROR);
	char time[32] = "";

	if (!table_row(t))
		return;
	if (step->skipped == NULL)
		snprintf(time, sizeof(time), "%.2f ms",
		    (double)step->usec / 1000);
	table_text(t, CHECK, step->check->name);
	table_text(t, RESULT, step_word(step));
	table_text(t, TIME, time);
	table_text(t, REASON, step_reason(step));
	if (acts)
		table_colour(t, RESULT, "red");
	else if (step->skipped == NULL && step->outcome == OUTCOME_EXEMPT)
		table_colour(t, RESULT, "green");
}

static int
print_table(const struct abictl *ctl, const struct policy *p,
    const struct policy_answer *answer)
{
	struct table *t = table_new(ctl, columns);
	char reply[POLICY_REPLY_MAX];
	int i, status;

	if (t == NULL)
		return abictl_fail(EX_OSERR, "out of memory");
	for (i = 0; i < p->count; i++)
		step_row(t, &p->steps[i]);
	status = table_print(t, NULL);
	table_free(t);
	if (status != EX_OK)
		return status;
	reply_text(answer, reply, sizeof(reply));
	printf("answer: %s", reply);
	if (answer->dry)
		printf("  (filter.dry_run; without it: action=%s)",
		    answer->action);
	else if (answer->decided == NULL && answer->failed)
		printf("  (filter.on_error)");
	else if (answer->decided == NULL)
		printf("  (no check objects)");
	else
		printf("  (by %s%s)", answer->decided->check->name,
		    answer->softened ? ", softened" : "");
	printf("\n");
	return EX_OK;
}

/* "name=value", or an address alone. False when it is neither. */
static bool
argument_apply(struct request *r, char *arg)
{
	char *value = strchr(arg, '=');
	struct address a;

	if (value == NULL) {
		r->client_address = arg;
		return address_parse(arg, &a);
	}
	*value++ = '\0';
	return request_attribute(r, arg, value);
}

static struct request req;

int
abictl_check_form(struct abictl *ctl, int argc, char **argv)
{
	int i;

	request_init(&req);
	req.request = "smtpd_access_policy";
	req.protocol_state = "RCPT";
	req.client_name = req.reverse_client_name = "unknown";
	for (i = 0; i < argc; i++)
		if (!argument_apply(&req, argv[i]))
			return abictl_fail(EX_DATAERR, "%s: neither an address "
			    "nor name=value with a policy attribute", argv[i]);
	req.passive = !ctl->live;
	return EX_OK;
}

int
abictl_check(struct abictl *ctl, int argc, char **argv)
{
	static struct policy policy;
	struct policy_answer answer;

	(void)argc;
	(void)argv;
	policy_init(&policy, &ctl->cfg);
	request_start(&req, ctl->cfg.filter.deadline);
	policy_walk(&policy, &req, &answer);
	uncounted_close();
	return ctl->json ? print_json(&policy, &answer) :
			   print_table(ctl, &policy, &answer);
}
