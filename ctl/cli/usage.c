/*
 * usage - which command the words of a command line mean, and what people are
 * told about commands.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/cli/command.h"
#include "base/suggest.h"
#include "base/text.h"

#define WIDTH 79 /* of a line of help */
#define COMMAND_WIDTH 29 /* of a command in a list */
#define CHOICE_ENDS "[]| " /* between words to choose from */

static const char *
verb_text(const struct command *c)
{
	return c->verb != NULL ? c->verb : "";
}

static const char *
verb_space(const struct command *c)
{
	return c->verb != NULL ? " " : "";
}

/* --- how it is called --- */

static void
option_add(struct text *t, const struct cli_option *o)
{
	text_addf(t, " [%s%s%s%s]", cli_dashes(o->name), o->name,
	    o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
}

/* "abictl accounts show [--json] USER". */
static void
usage_line(const struct command *c, char *out, size_t size)
{
	struct text t;
	int i;

	text_init(&t, out, size);
	text_addf(&t, "abictl %s%s%s", c->noun, verb_space(c), verb_text(c));
	for (i = 0; i < cli_option_count; i++)
		if (cli_options[i].help != NULL &&
		    command_takes(c, &cli_options[i]))
			option_add(&t, &cli_options[i]);
	if (c->arguments[0] != '\0')
		text_addf(&t, " %s", c->arguments);
}

/* Tells how a command is called, on standard error; returns EX_USAGE. */
static int
usage_wrong(const struct command *c)
{
	char line[512];

	usage_line(c, line, sizeof(line));
	return abictl_fail(EX_USAGE, "usage: %s", line);
}

/* --- which one is meant --- */

/* The first row of a noun, NULL if there is none, which was told. */
static const struct command *
noun_find(const struct command *table, const char *noun)
{
	const struct command *c;
	struct suggest s;
	char text[192];

	for (c = table; c->noun != NULL; c++)
		if (strcmp(c->noun, noun) == 0)
			return c;
	suggest_init(&s, noun);
	for (c = table; c->noun != NULL; c++)
		suggest_try(&s, c->noun);
	abictl_fail(0, "`%.60s' is an %s; see abictl --help", noun,
	    suggest_say(&s, "unknown command", text, sizeof(text)));
	return NULL;
}

static bool
is_of(const struct command *c, const struct command *first)
{
	return c->noun != NULL && strcmp(c->noun, first->noun) == 0;
}

static const struct command *
verb_find(const struct command *first, const char *verb)
{
	const struct command *c;

	if (strpbrk(verb, " ,") != NULL || verb[0] == '\0')
		return NULL;
	for (c = first; is_of(c, first); c++)
		if (c->verb != NULL && (strcmp(c->verb, verb) == 0 ||
		    (c->aliases != NULL &&
			text_listed(c->aliases, verb, strlen(verb)))))
			return c;
	return NULL;
}

static void
verb_unknown(const struct command *first, const char *verb)
{
	const struct command *c;
	struct suggest s;
	char what[64], text[192];

	suggest_init(&s, verb);
	for (c = first; is_of(c, first); c++)
		suggest_try(&s, c->verb);
	snprintf(what, sizeof(what), "unknown verb of `%s'", first->noun);
	abictl_fail(0, "`%.60s' is an %s; see abictl help %s", verb,
	    suggest_say(&s, what, text, sizeof(text)), first->noun);
}

/* How many arguments it takes: at least, at most (-1: any number). */
static void
arguments_count(const struct command *c, int *least, int *most)
{
	const char *s = c->arguments;
	size_t n;

	*least = *most = 0;
	while (*(s += strspn(s, " ")) != '\0') {
		n = strcspn(s, " ");
		if (*s != '[')
			++*least;
		if (n > 3 && strncmp(s + n - 3, "...", 3) == 0)
			*most = -1;
		else if (*most >= 0)
			++*most;
		s += n;
	}
}

const struct command *
command_find(const struct command *table, int *argc, char ***argv)
{
	const struct command *first = noun_find(table, (*argv)[0]), *c = NULL;
	int least, most, words = 1;

	if (first == NULL)
		return NULL;
	if (*argc == 1 && (first->flags & COMMAND_SPELT) != 0) {
		abictl_fail(0, "%s: a verb is missing, such as %s; see abictl "
		    "help %s", first->noun, first->verb, first->noun);
		return NULL;
	}
	if (first->verb != NULL && *argc > 1) {
		c = verb_find(first, (*argv)[1]);
		words = c != NULL ? 2 : 1;
		arguments_count(first, &least, &most);
		if (c == NULL && ((first->flags & COMMAND_OPEN) == 0 ||
		    *argc - 1 > most)) {
			verb_unknown(first, (*argv)[1]);
			return NULL;
		}
	}
	*argc -= words;
	*argv += words;
	return c != NULL ? c : first;
}

/* Is a word one of the arguments, if these are words to choose from? */
static bool
is_choice(const char *arguments, const char *word)
{
	const char *s = arguments;
	size_t n;

	if (s[strcspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
		return true;
	for (; *(s += strspn(s, CHOICE_ENDS)) != '\0'; s += n) {
		n = strcspn(s, CHOICE_ENDS);
		if (strlen(word) == n && strncmp(s, word, n) == 0)
			return true;
	}
	return false;
}

/* Are all arguments among those to choose from? EX_OK, or told. */
static int
choices_check(const struct command *c, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (is_choice(c->arguments, argv[i]))
			continue;
		abictl_fail(0, "%s%s%s: `%.60s' is not one of %s", c->noun,
		    verb_space(c), verb_text(c), argv[i], c->arguments);
		return usage_wrong(c);
	}
	return EX_OK;
}

int
command_count(const struct command *c, int argc, char **argv)
{
	const char *s = c->arguments;
	int least, most, i;

	arguments_count(c, &least, &most);
	if (argc >= least && (most < 0 || argc <= most))
		return choices_check(c, argc, argv);
	if (argc >= least) {
		abictl_fail(0, "%s%s%s: `%.60s' is one argument too many",
		    c->noun, verb_space(c), verb_text(c), argv[most]);
		return usage_wrong(c);
	}
	for (i = 0; i < argc; i++)
		s += strcspn(s, " ") + 1;
	abictl_fail(0, "%s%s%s: %.*s is missing", c->noun, verb_space(c),
	    verb_text(c), (int)strcspn(s, " "), s);
	return usage_wrong(c);
}

/* Tells by which columns a list can be sorted. */
static int
sort_wrong(const struct command *c, const char *name)
{
	const struct table_column *column;
	char text[256], heading[32];
	struct text t;

	text_init(&t, text, sizeof(text));
	for (column = c->columns; column->heading != NULL ||
	     column->field != NULL; column++) {
		if (column->heading == NULL)
			continue;
		snprintf(heading, sizeof(heading), "%s", column->heading);
		text_lower(heading);
		text_addf(&t, " %s", heading);
	}
	return abictl_fail(EX_USAGE, "--sort: `%.60s' is not one of%s", name,
	    text);
}

int
command_options(const struct abictl *ctl, const struct command *c,
    const struct cli_given *given)
{
	const struct cli_option *o;
	int i;

	for (i = 0; i < cli_option_count; i++) {
		o = &cli_options[i];
		if ((given->options & 1ULL << i) == 0 || command_takes(c, o))
			continue;
		abictl_fail(0, "%s%s is not an option of `%s%s%s'",
		    cli_dashes(o->name), o->name, c->noun, verb_space(c),
		    verb_text(c));
		return usage_wrong(c);
	}
	return ctl->sort != NULL && !table_sorts(c->columns, ctl->sort) ?
	    sort_wrong(c, ctl->sort) : EX_OK;
}

/* --- help --- */

/* A text in lines that begin with so many spaces. */
static void
wrapped_print(const char *text, int indent)
{
	int column = 0, n;

	while (*(text += strspn(text, " ")) != '\0') {
		n = (int)strcspn(text, " ");
		if (column > 0 && column + 1 + n > WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += column > 0 ? printf(" %.*s", n, text) :
		    printf("%*s%.*s", indent, "", n, text);
		text += n;
	}
	putchar('\n');
}

static void
options_print(const struct command *c)
{
	const struct cli_option *o;
	char name[64];
	int i;

	for (i = 0; i < cli_option_count; i++) {
		o = &cli_options[i];
		if (o->help == NULL || !command_takes(c, o))
			continue;
		snprintf(name, sizeof(name), "%s%s%s%s", cli_dashes(o->name),
		    o->name, o->value != NULL ? " " : "",
		    o->value != NULL ? o->value : "");
		printf("    %-16s  %s\n", name, o->help);
	}
}

static void
command_print(const struct command *c, bool options)
{
	char line[512];

	usage_line(c, line, sizeof(line));
	wrapped_print(line, 0);
	wrapped_print(c->help, 4);
	if (options)
		options_print(c);
	if (c->aliases != NULL)
		printf("    any of these verbs will do: %s\n", c->aliases);
	printf("    example: %s\n", c->example);
}

/* One command, or all of a noun: how it is called, what for, an example. */
static int
usage_help(const struct command *table, int argc, char **argv)
{
	const struct command *first = noun_find(table, argv[0]), *c;

	if (first == NULL)
		return EX_USAGE;
	c = argc > 1 && first->verb != NULL ? verb_find(first, argv[1]) : NULL;
	if (argc > 1 && c == NULL && first->verb != NULL &&
	    (first->flags & COMMAND_OPEN) == 0) {
		verb_unknown(first, argv[1]);
		return EX_USAGE;
	}
	if (c != NULL || !is_of(first + 1, first))
		command_print(c != NULL ? c : first, true);
	else
		for (c = first; is_of(c, first); c++) {
			if (c != first)
				putchar('\n');
			command_print(c, false);
		}
	return EX_OK;
}

void
usage_all(const struct command *table, FILE *out)
{
	const struct command *c;
	char words[80];

	fputs("usage: abictl [-c FILE] [-o SECTION.KEY=VALUE]... [-q] COMMAND "
	      "[ARGUMENT...]\n\n", out);
	for (c = table; c->noun != NULL; c++) {
		snprintf(words, sizeof(words), "%s%s%s%s%s", c->noun,
		    verb_space(c), verb_text(c),
		    c->arguments[0] != '\0' ? " " : "", c->arguments);
		if (strlen(words) > COMMAND_WIDTH)
			fprintf(out, "  %s\n  %*s", words, COMMAND_WIDTH, "");
		else
			fprintf(out, "  %-*s", COMMAND_WIDTH, words);
		fprintf(out, "  %s\n", c->help);
	}
	fputs("\nThe first verb of a command may be left out; -q: no word about"
	      " success.\n`abictl help COMMAND' has the options, and an "
	      "example; see also abictl(8).\n", out);
}

int
abictl_help(struct abictl *ctl, int argc, char **argv)
{
	if (argc > 0)
		return usage_help(ctl->commands, argc, argv);
	usage_all(ctl->commands, stdout);
	return EX_OK;
}
