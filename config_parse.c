/*
 * config_parse - the text of a configuration, line by line.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "config_values.h"
#include "text.h"

static bool
section_known(const char *section)
{
	int i;

	for (i = 0; i < config_option_count; i++)
		if (strcmp(config_options[i].section, section) == 0)
			return true;
	return false;
}

/* "[name]" to name, in place. */
static const char *
section_parse(char *line, char *section, size_t size)
{
	size_t n = strlen(line);

	if (line[n - 1] != ']')
		return "a section line ends in `]'";
	line[n - 1] = '\0';
	snprintf(section, size, "%s", text_trim(line + 1));
	return section_known(section) ? NULL : "unknown section";
}

/* "key = value" in a section. name is set to section.key for messages. */
static const char *
assignment_parse(struct config *cfg, char *line, const char *section,
    int number, struct text *name)
{
	static char wrong[64];
	char *value = strchr(line, '=');
	int row;

	if (value == NULL)
		return "`key = value' expected";
	*value++ = '\0';
	text_addf(name, "%s%s%s", section, *section != '\0' ? "." : "",
	    text_trim(line));
	if (*section == '\0')
		return "key before the first [section]";
	row = config_find(name->buf);
	if (row < 0)
		return "unknown key";
	if (cfg->line[row] != 0) {
		snprintf(wrong, sizeof(wrong), "already set in line %d",
		    cfg->line[row]);
		return wrong;
	}
	cfg->line[row] = number;
	return config_value_assign(cfg, row, text_trim(value));
}

int
config_parse(struct config *cfg, const char *file, char *text, size_t len,
    char *error, size_t size)
{
	char section[64] = "", name[256], *line;
	const char *wrong = NULL;
	struct text subject;
	bool whole = true;
	size_t used;
	int number = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3; /* a byte order mark */
		len -= 3;
	}
	text_init(&subject, name, sizeof(name));
	while (wrong == NULL && (line = text_line(&text, &whole)) != NULL) {
		number++;
		text_init(&subject, name, sizeof(name));
		if (strlen(line) >= CONFIG_LINE_MAX) {
			wrong = "line is too long";
			break;
		}
		used = (size_t)(text - line);
		len -= used < len ? used : len;
		line = text_trim(line);
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		if (*line == '[') {
			text_addf(&subject, "%.60s", line);
			wrong = section_parse(line, section, sizeof(section));
		} else
			wrong = assignment_parse(
			    cfg, line, section, number, &subject);
	}
	if (wrong == NULL && len > 0) { /* the text went on behind a NUL */
		wrong = "NUL byte";
		name[0] = '\0';
		number += whole;
	}
	if (wrong == NULL)
		return 0;
	snprintf(error, size, "%s:%d: %s%s%s", file, number, name,
	    *name != '\0' ? ": " : "", wrong);
	return -1;
}
