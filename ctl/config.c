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

/* An object for each section; secrets are null. */
static int
print_json(const struct config *cfg, bool changed)
{
	cJSON *root = cJSON_CreateObject(), *section;
	const struct config_option *o;
	int row;

	for (row = 0; row < config_option_count; row++) {
		o = &config_options[row];
		if (changed && strcmp(config_get(cfg, row), o->fallback) == 0)
			continue;
		section = cJSON_GetObjectItemCaseSensitive(root, o->section);
		if (section == NULL)
			section = cJSON_AddObjectToObject(root, o->section);
		if (config_hidden(cfg, row))
			cJSON_AddNullToObject(section, o->key);
		else
			cJSON_AddStringToObject(section, o->key,
			    config_get(cfg, row));
	}
	return abictl_json(root);
}

/* The values of the options named, a line each. */
static int
named_print(const struct config *cfg, int argc, char **argv)
{
	int i, row, status = EX_OK;

	for (i = 0; i < argc; i++) {
		row = config_find(argv[i]);
		if (row < 0)
			status = abictl_fail(
			    EX_USAGE, "%s: %s", argv[i],
			    config_unknown(argv[i], "unknown option"));
		else
			puts(config_hidden(cfg, row) ? "(hidden)" :
						       config_get(cfg, row));
	}
	return status == EX_OK ? EX_OK : EX_DATAERR;
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	abictl_fail(0, "warning: %s", text);
}

int
abictl_config(struct abictl *ctl, int argc, char **argv)
{
	const char *section = "";
	int row;

	config_warnings(&ctl->cfg, warn, NULL);
	if (argc > 0)
		return named_print(&ctl->cfg, argc, argv);
	if (ctl->json)
		return print_json(&ctl->cfg, ctl->changed);
	for (row = 0; row < config_option_count; row++) {
		if (ctl->changed && strcmp(config_get(&ctl->cfg, row),
					config_options[row].fallback) == 0)
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
