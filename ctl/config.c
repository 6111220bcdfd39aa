/*
 * abictl config - the configuration in force.
 *
 * What it prints can be parsed again; secrets are comments.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "ctl/abictl.h"

static void
option_print(const struct config *cfg, int row)
{
	const struct config_option *o = &config_options[row];

	if (config_hidden(cfg, row))
		printf("# %s = (hidden, %zu characters)\n", o->key,
		    strlen(config_get(cfg, row)));
	else
		printf("%s =%s%s\n", o->key,
		    *config_get(cfg, row) != '\0' ? " " : "",
		    config_get(cfg, row));
}

/* Is the row one of those named, by section or whole name, or are none? */
static bool
is_named(int row, int argc, char **argv)
{
	const struct config_option *o = &config_options[row];
	int i;

	for (i = 0; i < argc; i++)
		if (strcmp(argv[i], o->section) == 0 ||
		    config_find(argv[i]) == row)
			return true;
	return argc == 0;
}

static bool
is_shown(const struct abictl *ctl, int row, int argc, char **argv)
{
	return is_named(row, argc, argv) && !(ctl->changed &&
	    strcmp(config_get(&ctl->cfg, row), config_options[row].fallback) ==
		0);
}

/* An object for each section; secrets are null. */
static int
print_json(const struct abictl *ctl, int argc, char **argv)
{
	cJSON *root = cJSON_CreateObject(), *section;
	const struct config_option *o;
	int row;

	for (row = 0; row < config_option_count; row++) {
		o = &config_options[row];
		if (!is_shown(ctl, row, argc, argv))
			continue;
		section = cJSON_GetObjectItemCaseSensitive(root, o->section);
		if (section == NULL)
			section = cJSON_AddObjectToObject(root, o->section);
		if (config_hidden(&ctl->cfg, row))
			cJSON_AddNullToObject(section, o->key);
		else
			cJSON_AddStringToObject(section, o->key,
			    config_get(&ctl->cfg, row));
	}
	return abictl_json(root);
}

/* The values of the options named, a line each. */
static void
values_print(const struct config *cfg, int argc, char **argv)
{
	int i, row;

	for (i = 0; i < argc; i++) {
		row = config_find(argv[i]);
		puts(config_hidden(cfg, row) ? "(hidden)" :
					       config_get(cfg, row));
	}
}

static bool
is_section(const char *name)
{
	int row;

	for (row = 0; row < config_option_count; row++)
		if (strcmp(config_options[row].section, name) == 0)
			return true;
	return false;
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	abictl_fail(0, "warning: %s", text);
}

int
abictl_config_form(struct abictl *ctl, int argc, char **argv)
{
	int i, sections = 0, status = EX_OK;

	for (i = 0; i < argc; i++)
		if (is_section(argv[i]))
			sections++;
		else if (config_find(argv[i]) < 0)
			status = abictl_fail(EX_DATAERR, "%s: %s", argv[i],
			    config_unknown(argv[i],
				"unknown section or option"));
	if (status == EX_OK && (ctl->changed || sections > 0) &&
	    sections < argc)
		status = abictl_fail(EX_USAGE, "config: options, whose values "
		    "are printed, do not go with %s", ctl->changed ? "-n" :
		    "sections");
	return status;
}

int
abictl_config(struct abictl *ctl, int argc, char **argv)
{
	const char *section = "";
	int row;

	config_warnings(&ctl->cfg, warn, NULL);
	if (ctl->json)
		return print_json(ctl, argc, argv);
	if (argc > 0 && !is_section(argv[0])) {
		values_print(&ctl->cfg, argc, argv);
		return EX_OK;
	}
	for (row = 0; row < config_option_count; row++) {
		if (!is_shown(ctl, row, argc, argv))
			continue;
		if (strcmp(section, config_options[row].section) != 0) {
			printf("%s[%s]\n", *section != '\0' ? "\n" : "",
			    config_options[row].section);
			section = config_options[row].section;
		}
		option_print(&ctl->cfg, row);
	}
	return EX_OK;
}
