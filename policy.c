/*
 * policy - the Postfix policy protocol, and the walk over the checks.
 */
#include "policy.h"

#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"

extern const struct check accounts_check;
extern const struct check authbl_check;
extern const struct check blacklist_check;
extern const struct check geocount_check;
extern const struct check whitelist_check;
extern const struct check reputation_check;

const struct check *const policy_checks[] = {
	&accounts_check,
	&authbl_check,
	&geocount_check,
	&whitelist_check,
	&blacklist_check,
	&reputation_check,
	NULL,
};

static int64_t
monotonic_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static const struct check *
check_find(const char *name, size_t n)
{
	int i;

	for (i = 0; policy_checks[i] != NULL; i++)
		if (strlen(policy_checks[i]->name) == n &&
		    memcmp(policy_checks[i]->name, name, n) == 0)
			return policy_checks[i];
	return NULL;
}

/* Why a check is not configured; NULL when it is. */
static const char *
inactive(const struct check *check, const struct config *cfg)
{
	return check->inactive != NULL ? check->inactive(cfg) : NULL;
}

static enum audience
audience_of(const struct check *check, const struct config *cfg)
{
	bool both = check->authenticated != 0 &&
	    *(const bool *)((const char *)cfg + check->authenticated);

	return both ? AUDIENCE_ANYONE : check->audience;
}

/*
 * Finds the checks that are in error before anybody is judged: for their own
 * section or, if they are configured, for what they rely on.
 */
static void
steps_verify(struct policy *p)
{
	const char *exempting = NULL, *wrong;
	const struct check *check;
	int i;

	for (i = 0; i < p->count; i++) {
		check = p->steps[i].check;
		wrong = config_error(p->cfg, check->name);
		if (check->exempts && exempting == NULL)
			exempting = wrong;
		if (wrong == NULL && inactive(check, p->cfg) == NULL) {
			if (check->needs != NULL)
				wrong = config_error(p->cfg, check->needs);
			if (wrong == NULL)
				wrong = exempting;
		}
		p->steps[i].wrong = wrong;
	}
}

void
policy_init(struct policy *p, const struct config *cfg)
{
	const char *s = cfg->filter.checks;
	const struct check *check;
	size_t n;

	memset(p, 0, sizeof(*p));
	p->cfg = cfg;
	for (s += strspn(s, " \t,"); *s != '\0'; s += strspn(s, " \t,")) {
		n = strcspn(s, " \t,");
		check = check_find(s, n);
		if (check != NULL && p->count < POLICY_CHECKS_MAX)
			p->steps[p->count++].check = check;
		s += n;
	}
	steps_verify(p);
}

void
policy_log_errors(const struct policy *p)
{
	const char *wrong;
	char names[256];
	struct text t;
	int i, k;

	for (i = 0; i < p->cfg->error_count; i++) {
		wrong = config_error(p->cfg, p->cfg->errors[i].section);
		if (wrong != p->cfg->errors[i].text)
			continue; /* a further one of the section */
		text_init(&t, names, sizeof(names));
		for (k = 0; k < p->count; k++)
			if (p->steps[k].wrong == wrong)
				text_addf(&t, "%s%s", t.len > 0 ? ", " : "",
				    p->steps[k].check->name);
		if (t.len > 0)
			log_error("%s; checks in error: %s; the others still "
			    "run", wrong, names);
		else
			log_error("%s; no other check is affected",
			    wrong);
	}
}

#define PART_COUNT 5

/*
 * Begins the steps anew, unless the request belongs to the same message as
 * the last one: then what was found out holds for this recipient too.
 */
static void
steps_begin(struct policy *p, const struct request *req)
{
	const char *parts[PART_COUNT] = { req->instance, req->sasl_username,
		req->client_address, req->client_name,
		req->reverse_client_name };
	char message[sizeof(p->message)];
	size_t i, n, len = 0;
	bool whole = req->instance[0] != '\0';
	SHA2_CTX sha;

	for (i = 0; whole && i < PART_COUNT; i++) {
		n = strlen(parts[i]) + 1;
		if (len + n > sizeof(message))
			break;
		memcpy(message + len, parts[i], n);
		len += n;
	}
	if (whole && i < PART_COUNT) { /* long names: their hash does */
		SHA256Init(&sha);
		for (i = 0; i < PART_COUNT; i++)
			SHA256Update(&sha, (const uint8_t *)parts[i],
			    strlen(parts[i]) + 1);
		SHA256Final((uint8_t *)message, &sha);
		len = SHA256_DIGEST_LENGTH;
	}
	if (whole && len == p->message_len &&
	    memcmp(message, p->message, len) == 0)
		return;
	p->message_len = whole ? len : 0;
	memcpy(p->message, message, p->message_len);
	for (i = 0; i < (size_t)p->count; i++)
		p->steps[i] = (struct policy_step){ .check =
			p->steps[i].check, .wrong = p->steps[i].wrong,
			.skipped = "not reached" };
}

/* Why a check is not asked about this request; NULL when it is. */
static const char *
step_skip(const struct policy *p, const struct policy_step *step,
    const struct request *req)
{
	bool authenticated = req->sasl_username[0] != '\0';
	enum audience audience = audience_of(step->check, p->cfg);

	if (audience == AUDIENCE_AUTHENTICATED && !authenticated)
		return "only for authenticated clients";
	if (audience == AUDIENCE_UNAUTHENTICATED && authenticated)
		return "not for authenticated clients";
	return step->wrong != NULL ? NULL : inactive(step->check, p->cfg);
}

static enum outcome
check_run(const struct policy *p, struct policy_step *step,
    const struct request *req, bool again, struct verdict *v)
{
	int64_t start = monotonic_usec();
	enum outcome outcome;

	memset(v, 0, sizeof(*v));
	v->score = -1;
	if (step->wrong != NULL) {
		snprintf(v->reason, sizeof(v->reason), "%s", step->wrong);
		return OUTCOME_ERROR;
	}
	outcome = (again ? step->check->run_again : step->check->run)(p->cfg,
	    req, v);
	step->usec = (long)(monotonic_usec() - start);
	return outcome;
}

/* A further recipient: only what is new about it changes the step. */
static void
step_run_again(const struct policy *p, struct policy_step *step,
    const struct request *req)
{
	enum outcome outcome;
	struct verdict v;

	step->remembered = true;
	if (step->check->run_again == NULL || step->wrong != NULL ||
	    step->outcome == OUTCOME_ACT)
		return;
	outcome = check_run(p, step, req, true, &v);
	if (outcome == OUTCOME_NONE || outcome == step->outcome)
		return;
	step->remembered = false;
	step->outcome = outcome;
	step->verdict = v;
}

static void
step_run(struct policy *p, struct policy_step *step, const struct request *req)
{
	if (step->skipped == NULL) {
		step_run_again(p, step, req);
	} else {
		step->remembered = false;
		step->skipped = step_skip(p, step, req);
		if (step->skipped != NULL)
			return;
		step->outcome = check_run(p, step, req, false, &step->verdict);
	}
	step->only_log = step->outcome == OUTCOME_ACT &&
	    action_only_logs(step->verdict.action);
}

/* Writes the action of a step with its variables expanded. */
static void
step_action(const struct policy_step *step, const struct request *req,
    char *out, size_t size)
{
	const struct verdict *v = &step->verdict;
	char score[16] = "";

	if (v->score >= 0)
		snprintf(score, sizeof(score), "%d", v->score);
	action_expand(out, size, v->action,
	    &(struct action_values){ .client_address = req->client_address,
		.client_name = req->client_name,
		.sasl_username = req->sasl_username, .score = score,
		.country = v->country, .reason = v->reason });
}

/*
 * One line about a step, `kind: check=... client=...`. Once per message at
 * `level`, for its further recipients at debug.
 */
static void
step_log(const struct policy_step *step, const struct request *req,
    enum log_level level, const char *kind, const char *action)
{
	const struct verdict *v = &step->verdict;
	char buf[LOG_LINE_MAX];
	struct text t;

	if (step->remembered)
		level = LOG_LEVEL_DEBUG;
	if (req->passive || !log_wants(level))
		return;
	text_init(&t, buf, sizeof(buf));
	text_addf(&t, "%s: check=%s client=%.255s[%.64s]", kind,
	    step->check->name,
	    req->client_name[0] != '\0' ? req->client_name : "unknown",
	    req->client_address);
	if (req->sasl_username[0] != '\0')
		text_add_field(&t, "user", req->sasl_username, 120);
	if (v->score >= 0)
		text_addf(&t, " score=%d", v->score);
	if (v->country[0] != '\0')
		text_addf(&t, " country=%s", v->country);
	text_add_field(&t, "from", req->sender, 254);
	text_add_field(&t, "to", req->recipient, 254);
	text_add_field(&t, "helo", req->helo_name, 128);
	text_addf(&t, " reason=\"%s\"", v->reason);
	if (action != NULL)
		text_addf(&t, " action=\"%s\"", action);
	if (level == LOG_LEVEL_INFO)
		log_info("%s", buf);
	else
		log_debug("%s", buf);
}

/* A step has found something to act upon: what is done about it. */
static void
step_act(const struct policy *p, const struct policy_step *step,
    const struct request *req, struct policy_answer *answer)
{
	char kind[32], would[48];

	step_action(step, req, answer->action, sizeof(answer->action));
	if (answer->softened)
		action_soften(answer->action, sizeof(answer->action));
	action_kind(kind, sizeof(kind), answer->action);
	answer->dry = p->cfg->filter.dry_run;
	snprintf(would, sizeof(would), "%s%s",
	    answer->dry || step->only_log ? "would " : "",
	    step->only_log ? "act" : kind);
	step_log(step, req, LOG_LEVEL_INFO, would,
	    step->only_log ? NULL : answer->action);
}

/* Deals with the outcome of a step. True when the walk ends with it. */
static bool
step_settle(const struct policy *p, const struct policy_step *step,
    const struct request *req, struct policy_answer *answer)
{
	switch (step->outcome) {
	case OUTCOME_EXEMPT:
		answer->decided = step;
		step_log(step, req, LOG_LEVEL_INFO, "exempt", NULL);
		return true;
	case OUTCOME_ACT:
		step_act(p, step, req, answer);
		if (step->only_log)
			return false;
		answer->decided = step;
		return true;
	case OUTCOME_SOFTEN:
		answer->softened = true;
		step_log(step, req, LOG_LEVEL_INFO, "soften", NULL);
		return false;
	case OUTCOME_ERROR:
		answer->failed = true;
		step_log(step, req, LOG_LEVEL_INFO, "error", NULL);
		return false;
	default:
		step_log(step, req, step->verdict.event != NULL ?
		    LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
		    step->verdict.event != NULL ? step->verdict.event : "dunno",
		    NULL);
		return false;
	}
}

/* What Postfix gets to read. */
static void
answer_reply(const struct policy *p, struct policy_answer *answer)
{
	const char *action = "DUNNO";

	if (answer->decided != NULL) {
		answer->failed = false;
		if (answer->decided->outcome == OUTCOME_ACT && !answer->dry)
			action = answer->action;
	} else if (answer->failed && !p->cfg->filter.dry_run &&
	    p->cfg->filter.on_error == ON_ERROR_DEFER)
		action = "DEFER_IF_PERMIT 4.3.0 Service temporarily "
			 "unavailable";
	snprintf(answer->reply, sizeof(answer->reply), "action=%s\n\n", action);
}

void
policy_walk(struct policy *p, const struct request *req,
    struct policy_answer *answer)
{
	struct policy_step *step;
	int i;

	answer->decided = NULL;
	answer->softened = answer->failed = answer->dry = false;
	answer->action[0] = '\0';
	if (req->request[0] != '\0' &&
	    strcmp(req->request, "smtpd_access_policy") != 0) {
		log_warning("unknown type of request: %.64s", req->request);
		answer_reply(p, answer);
		return;
	}
	steps_begin(p, req);
	for (i = 0; i < p->count; i++) {
		step = &p->steps[i];
		step_run(p, step, req);
		if (step->skipped == NULL && step_settle(p, step, req, answer))
			break;
	}
	answer_reply(p, answer);
}
