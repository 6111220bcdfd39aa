/*
 * The configuration file and one override. Properties: what is accepted can be
 * printed, read again, and is the same; errors are found by their section.
 */
#include "fuzz.h"

#include <stdio.h>

#include "config/action.h"
#include "config/config.h"

/* Sets every option from the printed form of another configuration. */
static void
read_again(const struct config *cfg)
{
	static struct config again;
	static char line[CONFIG_LINE_MAX * 2], error[CONFIG_ERROR_MAX];
	int i;

	for (i = 0; i < config_option_count; i++) {
		if (config_hidden(cfg, i))
			continue;
		config_init(&again);
		snprintf(line, sizeof(line), "[%s]\n%s = %s\n",
		    config_options[i].section, config_options[i].key,
		    config_get(cfg, i));
		HOLDS(config_parse(&again, "again", line, strlen(line), error,
			  sizeof(error)));
		HOLDS(strcmp(config_get(&again, i), config_get(cfg, i)) == 0);
		config_free(&again);
	}
}

/* What is noted names file and line, and is found by its section. */
static void
errors_hold(const struct config *cfg)
{
	int i;

	HOLDS(cfg->error_count >= 0 && cfg->error_count <= CONFIG_ERRORS_MAX);
	for (i = 0; i < cfg->error_count; i++) {
		HOLDS(strncmp(cfg->errors[i].text, "fuzz:", 5) == 0);
		HOLDS(config_error(cfg, cfg->errors[i].section) != NULL);
	}
	HOLDS((config_error(cfg, CONFIG_ANY) != NULL) == (i > 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config cfg;
	char *text = fuzz_copy(data, size), error[CONFIG_ERROR_MAX];
	struct action_values values = { text, text, text, "1", "CN", text };
	char action[ACTION_MAX];

	config_init(&cfg);
	if (config_override(&cfg, text, error, sizeof(error)))
		read_again(&cfg);
	config_free(&cfg);
	config_init(&cfg);
	if (config_parse(&cfg, "fuzz", text, size, error, sizeof(error))) {
		read_again(&cfg);
		errors_hold(&cfg);
		action_expand(action, sizeof(action), cfg.reputation.action,
		    &values);
		HOLDS(strchr(action, '\n') == NULL);
		action_soften(action, sizeof(action));
		HOLDS(strchr(action, '\n') == NULL);
	} else
		HOLDS(error[0] != '\0');
	config_free(&cfg);
	free(text);
	return 0;
}
