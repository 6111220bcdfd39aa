/*
 * action - what Postfix is told: access(5) actions.
 */
#include "config/action.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* What must follow a verb. */
enum argument { ARG_NONE, ARG_OPTIONAL, ARG_NEEDED };

static const struct verb {
	const char *name;
	enum argument argument;
} verbs[] = {
	{ "REJECT", ARG_OPTIONAL },
	{ "DEFER", ARG_OPTIONAL },
	{ "DEFER_IF_REJECT", ARG_OPTIONAL },
	{ "DEFER_IF_PERMIT", ARG_OPTIONAL },
	{ "HOLD", ARG_OPTIONAL },
	{ "DISCARD", ARG_OPTIONAL },
	{ "DUNNO", ARG_NONE },
	{ "INFO", ARG_OPTIONAL },
	{ "WARN", ARG_OPTIONAL },
	{ "PREPEND", ARG_NEEDED },
	{ "REDIRECT", ARG_NEEDED },
	{ "BCC", ARG_NEEDED },
	{ "FILTER", ARG_NEEDED },
	{ "LOG", ARG_NONE }, /* ours: see action_only_logs() */
};

static const struct variable {
	const char *name;
	size_t offset;
} variables[] = {
	{ "client_address", offsetof(struct action_values, client_address) },
	{ "client_name", offsetof(struct action_values, client_name) },
	{ "sasl_username", offsetof(struct action_values, sasl_username) },
	{ "score", offsetof(struct action_values, score) },
	{ "country", offsetof(struct action_values, country) },
	{ "reason", offsetof(struct action_values, reason) },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Reads "$name" or "${name}" at s, which points at the '$'. Moves *s after
 * it. NULL when no variable has that name.
 */
static const struct variable *
variable_at(const char **s)
{
	const char *name = *s + 1;
	bool braces = *name == '{';
	size_t n, i;

	name += braces;
	n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");
	if (braces && name[n] != '}')
		return NULL;
	for (i = 0; i < COUNT(variables); i++) {
		if (strlen(variables[i].name) != n ||
		    memcmp(variables[i].name, name, n) != 0)
			continue;
		*s = name + n + braces;
		return &variables[i];
	}
	return NULL;
}

static const char *
variables_check(const char *text)
{
	const char *s = text;

	while ((s = strchr(s, '$')) != NULL) {
		if (s[1] == '$')
			s += 2;
		else if (variable_at(&s) == NULL)
			return "unknown variable; use $client_address "
			       "$client_name $sasl_username $score $country "
			       "$reason, or $$ for a dollar sign";
	}
	return NULL;
}

/* The length of an enhanced status code ("5.7.1") at s, 0 if there is none. */
static size_t
status_length(const char *s)
{
	size_t n, digits, part;

	if (*s != '2' && *s != '4' && *s != '5')
		return 0;
	n = 1;
	for (part = 0; part < 2; part++) {
		if (s[n] != '.')
			return 0;
		digits = strspn(s + n + 1, "0123456789");
		if (digits < 1 || digits > 3)
			return 0;
		n += 1 + digits;
	}
	return s[n] == '\0' || s[n] == ' ' ? n : 0;
}

/*
 * What a verb with a needed argument wants to see in it: the form must not
 * depend on what a variable turns out to be.
 */
static const char *
argument_check(const char *verb, const char *argument)
{
	size_t n;

	if (strcmp(verb, "PREPEND") == 0) {
		n = strcspn(argument, ": $");
		return n > 0 && argument[n] == ':' ? NULL :
		    "a header must be `Name: text'";
	}
	if (strchr(argument, '$') != NULL)
		return "a destination cannot contain variables";
	if (strcmp(verb, "FILTER") == 0)
		return strchr(argument, ':') != NULL ? NULL :
		    "a filter must be transport:destination";
	return strchr(argument, '@') != NULL ? NULL :
	    "an address must be user@domain";
}

/* A reply that begins with a number: "521 5.7.1 Text". */
static const char *
code_check(const char *text)
{
	const char *rest;

	if (text[strspn(text, "0123456789")] == '\0')
		return "to Postfix a number alone means permit; add a text, as "
		       "in `521 5.7.1 Bad host'";
	if ((text[0] != '4' && text[0] != '5') ||
	    !isdigit((unsigned char)text[1]) ||
	    !isdigit((unsigned char)text[2]) || text[3] != ' ')
		return "an SMTP code must be 4xx or 5xx, then a text";
	rest = text + 3 + strspn(text + 3, " ");
	if (status_length(rest) > 0) {
		if (rest[0] != text[0])
			return "SMTP code and enhanced status code disagree";
		rest += status_length(rest);
		rest += strspn(rest, " ");
	}
	if (*rest == '\0')
		return "a text must follow the SMTP code";
	return NULL;
}

static const char *
verb_check(const char *text)
{
	size_t n = strcspn(text, " "), i;
	const char *argument = text + n + strspn(text + n, " ");

	if ((n == 2 && strncasecmp(text, "OK", n) == 0) ||
	    (n == 6 && strncasecmp(text, "PERMIT", n) == 0))
		return "would let the client bypass every later restriction; "
		       "DUNNO is the neutral answer";
	for (i = 0; i < COUNT(verbs); i++) {
		if (strlen(verbs[i].name) != n ||
		    strncasecmp(verbs[i].name, text, n) != 0)
			continue;
		if (verbs[i].argument == ARG_NONE && *argument != '\0')
			return "this action takes no text";
		if (verbs[i].argument != ARG_NEEDED)
			return NULL;
		if (*argument == '\0')
			return "this action needs an argument";
		return argument_check(verbs[i].name, argument);
	}
	return "not an access(5) action";
}

const char *
action_check(const char *text)
{
	const char *wrong, *s;

	if (*text == '\0')
		return "empty action";
	if (strlen(text) >= ACTION_MAX)
		return "action is too long";
	for (s = text; *s != '\0'; s++)
		if (*s < 0x20 || *s >= 0x7f)
			return "only printable ASCII can be sent over SMTP";
	if (isdigit((unsigned char)*text))
		wrong = code_check(text);
	else
		wrong = verb_check(text);
	return wrong != NULL ? wrong : variables_check(text);
}

bool
action_only_logs(const char *text)
{
	return strcasecmp(text, "log") == 0;
}

void
action_expand(char *out, size_t size, const char *text,
    const struct action_values *values)
{
	char plain[ACTION_MAX];
	const char *value;
	const struct variable *v;
	struct text t;
	char one[2] = "";

	text_init(&t, out, size < ACTION_MAX ? size : ACTION_MAX);
	while (*text != '\0') {
		if (text[0] == '$' && text[1] != '$' &&
		    (v = variable_at(&text)) != NULL) {
			memcpy(&value, (const char *)values + v->offset,
			    sizeof(value));
			/* A text without words could mean something else. */
			text_ascii(plain, sizeof(plain),
			    value[0] != '\0' ? value : "unknown");
			text_add(&t, plain);
			continue;
		}
		text += text[0] == '$' && text[1] == '$';
		one[0] = *text++;
		text_add(&t, one);
	}
}

void
action_soften(char *action, size_t size)
{
	char softer[ACTION_MAX];
	const char *rest;
	struct text t;

	if (strncasecmp(action, "REJECT", 6) == 0 &&
	    (action[6] == ' ' || action[6] == '\0'))
		rest = action + 6;
	else if (action[0] == '5' && isdigit((unsigned char)action[1]))
		rest = action + 3;
	else
		return;
	rest += strspn(rest, " ");
	rest += status_length(rest);
	rest += strspn(rest, " ");
	text_init(&t, softer, sizeof(softer));
	text_addf(&t, "450 4.7.1 %s", *rest != '\0' ? rest : "Access denied");
	text_init(&t, action, size);
	text_add(&t, softer);
}

void
action_kind(char *out, size_t size, const char *action)
{
	size_t n = strcspn(action, " ");
	struct text t;

	text_init(&t, out, size);
	if (action[0] == '5')
		text_add(&t, "reject");
	else if (action[0] == '4' || strncasecmp(action, "DEFER", 5) == 0)
		text_add(&t, "defer");
	else
		text_addf(&t, "%.*s", (int)n, action);
	text_lower(out);
}
