/*
 * completion - what bash, zsh and fish need to complete the command line of
 * abictl: scripts made from the tables of commands and options.
 *
 * Each script first finds the words of the command among those typed: no
 * options, and no values of options.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/cli/command.h"

static bool
is_first(const struct command *table, const struct command *c)
{
	return c == table || strcmp(c[-1].noun, c->noun) != 0;
}

/* Prints the options that have a value, "-c|-o|--ban". */
static void
valued_print(const char *separator)
{
	int i;

	printf("-c%s-o", separator);
	for (i = 0; i < cli_option_count; i++)
		if (cli_options[i].value != NULL && cli_options[i].help != NULL)
			printf("%s--%s", separator, cli_options[i].name);
}

static bool
is_offered(const struct command *c, const struct cli_option *o)
{
	return o->help != NULL && command_takes(c, o);
}

/* The text within '...' of a shell; `before_colon' goes before each colon. */
static void
quoted_print(const char *text, const char *before_colon)
{
	putchar('\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else {
			if (*text == ':')
				fputs(before_colon, stdout);
			putchar(*text);
		}
	}
	putchar('\'');
}

/* The words to choose from as arguments, NULL at the end. */
static const char *
choice_next(const struct command *c, const char *s, size_t *n)
{
	static const char ends[] = "[]| ";

	if (c->arguments[strcspn(c->arguments, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] !=
	    '\0')
		return NULL;
	s += strspn(s, ends);
	*n = strcspn(s, ends);
	return *n > 0 ? s : NULL;
}

/* Prints a pattern for each word that means the command: "accounts add". */
static void
pattern_print(const struct command *c)
{
	const char *s = c->aliases != NULL ? c->aliases : c->verb;
	size_t n;

	if (c->verb == NULL) {
		printf("'%s '*", c->noun);
		return;
	}
	for (; *s != '\0'; s += n + (s[n] == ' ')) {
		n = strcspn(s, " ");
		printf("%s'%s %.*s'", s != c->aliases && s != c->verb ? "|" :
		    "", c->noun, (int)n, s);
	}
}

/* --- bash and zsh: an arm of `case' for each command --- */

struct shell {
	const char *pattern_begin;
	void (*word)(const char *word, size_t n, const char *help);
};

static void
bash_word(const char *word, size_t n, const char *help)
{
	(void)help;
	printf(" %.*s", (int)n, word);
}

static void
zsh_word(const char *word, size_t n, const char *help)
{
	printf(" %.*s", (int)n, word);
	if (help[0] == '\0')
		return;
	putchar(':');
	quoted_print(help, "\\");
}

static void
options_arm(const struct shell *shell, const struct command *c)
{
	char name[32];
	int i;

	for (i = 0; i < cli_option_count; i++) {
		if (!is_offered(c, &cli_options[i]))
			continue;
		snprintf(name, sizeof(name), "%s%s",
		    cli_dashes(cli_options[i].name), cli_options[i].name);
		shell->word(name, strlen(name), cli_options[i].help);
	}
}

static void
choices_arm(const struct shell *shell, const struct command *c)
{
	const char *s = c->arguments;
	size_t n;

	while ((s = choice_next(c, s, &n)) != NULL) {
		shell->word(s, n, "");
		s += n;
	}
}

static void
nouns_print(const struct shell *shell, const struct command *table)
{
	const struct command *c;

	for (c = table; c->noun != NULL; c++)
		if (is_first(table, c))
			shell->word(c->noun, strlen(c->noun),
			    c->verb == NULL ? c->help : "");
}

/* The arms of one noun, `first' being its first row. */
static void
noun_arms(const struct shell *shell, const struct command *table,
    const struct command *first)
{
	const struct command *c;

	for (c = first; c->noun != NULL && strcmp(c->noun, first->noun) == 0;
	     c++) {
		printf("\t%s", shell->pattern_begin);
		pattern_print(c);
		fputs(")\n\t\tlist=(", stdout);
		if (strcmp(c->noun, "help") == 0)
			nouns_print(shell, table);
		choices_arm(shell, c);
		fputs(" )\n\t\toptions+=(", stdout);
		options_arm(shell, c);
		fputs(" ) ;;\n", stdout);
	}
	if (first->verb == NULL)
		return;
	printf("\t%s'%s '*)\n\t\tlist=(", shell->pattern_begin, first->noun);
	for (c = first; c->noun != NULL && strcmp(c->noun, first->noun) == 0;
	     c++)
		shell->word(c->verb, strlen(c->verb), c->help);
	fputs(" )\n\t\toptions+=(", stdout);
	options_arm(shell, first);
	fputs(" ) ;;\n", stdout);
}

static void
arms_print(const struct shell *shell, const struct command *table)
{
	const struct command *c;

	printf("\t%s' ')\n\t\tlist=(", shell->pattern_begin);
	nouns_print(shell, table);
	fputs(" ) ;;\n", stdout);
	for (c = table; c->noun != NULL; c++)
		if (is_first(table, c))
			noun_arms(shell, table, c);
}

static void
bash_print(const struct command *table)
{
	static const struct shell bash = { "", bash_word };

	fputs("# abictl in bash, as `abictl completion bash' prints it\n"
	      "_abictl()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} word value= words=()\n"
	      "\tlocal list=() options=(-c -o -q --quiet --help)\n"
	      "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	      "\t\tcase $word in\n"
	      "\t\t=) continue ;;\n\t\t", stdout);
	valued_print("|");
	fputs(") value=1; continue ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) [[ $value ]] || words+=(\"$word\") ;;\n"
	      "\t\tesac\n"
	      "\t\tvalue=\n"
	      "\tdone\n"
	      "\tCOMPREPLY=()\n"
	      "\t[[ $value ]] && return\n"
	      "\tcase \"${words[0]-} ${words[1]-}\" in\n", stdout);
	arms_print(&bash, table);
	fputs("\tesac\n"
	      "\t[[ $cur == -* ]] && list=(\"${options[@]}\")\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"${list[*]}\" -- "
	      "\"$cur\")\n"
	      "}\n"
	      "complete -o bashdefault -o default -F _abictl abictl\n", stdout);
}

static void
zsh_print(const struct command *table)
{
	static const struct shell zsh = { "(", zsh_word };

	fputs("#compdef abictl\n"
	      "# abictl in zsh, as `abictl completion zsh' prints it\n"
	      "local word value=\n"
	      "local -a given list options\n"
	      "options=( -c:'a configuration file' -o:'section.key=value' "
	      "-q:'no word about success' --quiet:'the same' --help:'help' )\n"
	      "for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
	      "\tcase $word in\n\t(", stdout);
	valued_print("|");
	fputs(") value=1; continue ;;\n"
	      "\t(-*) ;;\n"
	      "\t(*) [[ -n $value ]] || given+=( \"$word\" ) ;;\n"
	      "\tesac\n"
	      "\tvalue=\n"
	      "done\n"
	      "if [[ -n $value ]]; then\n"
	      "\t_files\n"
	      "\treturn\n"
	      "fi\n"
	      "case \"${given[1]} ${given[2]}\" in\n", stdout);
	arms_print(&zsh, table);
	fputs("esac\n"
	      "if [[ $PREFIX == -* ]]; then\n"
	      "\t_describe -o option options\n"
	      "elif (( $#list )); then\n"
	      "\t_describe command list\n"
	      "else\n"
	      "\t_files\n"
	      "fi\n", stdout);
}

/* --- fish: a line for each word --- */

/* A condition: these words, or others with the same beginning, were typed. */
static void
fish_if(const char *function, const struct command *c, const char *verb,
    size_t n)
{
	printf("complete -c abictl -n '%s %s%s%.*s'", function, c->noun,
	    n > 0 ? " " : "", (int)n, verb);
}

static void
fish_options(const char *function, const struct command *c, const char *verb,
    size_t n)
{
	const struct cli_option *o;
	int i;

	for (i = 0; i < cli_option_count; i++) {
		o = &cli_options[i];
		if (!is_offered(c, o))
			continue;
		fish_if(function, c, verb, n);
		printf(" %s %s%s -d ", o->name[1] != '\0' ? "-l" : "-s",
		    o->name, o->value != NULL ? " -x" : "");
		quoted_print(o->help, "");
		putchar('\n');
	}
}

static void
fish_choices(const struct command *c)
{
	const char *s = c->arguments;
	size_t n, verb = c->verb != NULL ? strlen(c->verb) : 0;

	while ((s = choice_next(c, s, &n)) != NULL) {
		fish_if("__abictl_in", c, c->verb != NULL ? c->verb : "", verb);
		printf(" -f -a %.*s\n", (int)n, s);
		s += n;
	}
}

static void
fish_command(const struct command *table, const struct command *c)
{
	const char *s;
	size_t n;

	if (is_first(table, c)) {
		printf("complete -c abictl -n '__abictl_at' -f -a %s -d ",
		    c->noun);
		quoted_print(c->verb == NULL ? c->help : c->noun, "");
		putchar('\n');
		fish_options(c->verb == NULL ? "__abictl_in" : "__abictl_at", c,
		    "", 0);
	}
	fish_choices(c);
	if (c->verb == NULL)
		return;
	fish_if("__abictl_at", c, "", 0);
	printf(" -f -a %s -d ", c->verb);
	quoted_print(c->help, "");
	putchar('\n');
	s = c->aliases != NULL ? c->aliases : c->verb;
	for (; *s != '\0'; s += n + (s[n] == ' ')) {
		n = strcspn(s, " ");
		fish_options("__abictl_in", c, s, n);
	}
}

static void
fish_print(const struct command *table)
{
	const struct command *c;

	fputs("# abictl in fish, as `abictl completion fish' prints it\n"
	      "function __abictl_words\n"
	      "\tset -l value 0\n"
	      "\tfor word in (commandline -opc)[2..]\n"
	      "\t\tswitch $word\n"
	      "\t\t\tcase ", stdout);
	valued_print(" ");
	fputs("\n\t\t\t\tset value 1\n"
	      "\t\t\t\tcontinue\n"
	      "\t\t\tcase '-*'\n"
	      "\t\t\tcase '*'\n"
	      "\t\t\t\ttest $value = 1; or echo -- $word\n"
	      "\t\tend\n"
	      "\t\tset value 0\n"
	      "\tend\n"
	      "end\n"
	      "function __abictl_at # just these words\n"
	      "\ttest \"$argv\" = (string join ' ' -- (__abictl_words) | "
	      "string collect --allow-empty)\n"
	      "end\n"
	      "function __abictl_in # these, and perhaps others\n"
	      "\tset -l words (__abictl_words)\n"
	      "\ttest \"$argv\" = \"$words[1..\"(count $argv)\"]\"\n"
	      "end\n"
	      "complete -c abictl -s c -r -d 'a configuration file'\n"
	      "complete -c abictl -s o -x -d section.key=value\n"
	      "complete -c abictl -s q -l quiet -d 'no word about success'\n"
	      "complete -c abictl -s h -l help -d help\n", stdout);
	for (c = table; c->noun != NULL; c++)
		fish_command(table, c);
}

int
abictl_completion(struct abictl *ctl, int argc, char **argv)
{
	(void)argc;
	if (strcmp(argv[0], "bash") == 0)
		bash_print(ctl->commands);
	else if (strcmp(argv[0], "zsh") == 0)
		zsh_print(ctl->commands);
	else
		fish_print(ctl->commands);
	return EX_OK;
}
