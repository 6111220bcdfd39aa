/*
 * config_parse - the text of a configuration, line by line.
 *
 * An error in the section of a check is that section's alone: it is noted, and
 * reading goes on. After one anywhere else, or where it is not certain to which
 * section the lines that follow belong, nothing of the text can be relied upon.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/config_values.h"
#include "base/suggest.h"
#include "base/text.h"

#define SECTION_ERRORS 8 /* of one section that are noted */

struct reader {
	struct config *cfg;
	const char *section; /* NULL = none yet, or nobody knows */
	int number;          /* of the line */
	char subject[256];   /* what a message is about, "" = the line */
};

/* The name as it is in the table, NULL if there is no such section. */
static const char *
section_find(const char *name, size_t len)
{
	const char *section;
	int i;

	for (i = 0; i < config_option_count; i++) {
		section = config_options[i].section;
		if (strlen(section) == len && memcmp(section, name, len) == 0)
			return section;
	}
	return NULL;
}

/* "unknown section", and which one was meant. */
static const char *
section_unknown(const char *name)
{
	static char wrong[128];
	struct suggest s;
	int i;

	suggest_init(&s, name);
	for (i = 0; i < config_option_count; i++)
		suggest_try(&s, config_options[i].section);
	return suggest_say(&s, "unknown section", wrong, sizeof(wrong));
}

/* "[name]" */
static const char *
section_begin(struct reader *r, char *line)
{
	size_t n = strlen(line);
	char *name;

	r->section = NULL;
	snprintf(r->subject, sizeof(r->subject), "%.60s", line);
	if (line[n - 1] != ']')
		return "a section line must end with `]'";
	line[n - 1] = '\0';
	name = text_trim(line + 1);
	r->section = section_find(name, strlen(name));
	return r->section != NULL ? NULL : section_unknown(name);
}

/* Is a line without `=' one that should have begun a section? */
static bool
section_meant(const char *line)
{
	const char *end = line + strlen(line);

	if (strpbrk(line, "[]") != NULL)
		return true;
	while (*line != '\0' && !isalnum((unsigned char)*line))
		line++;
	while (end > line && !isalnum((unsigned char)end[-1]))
		end--;
	return section_find(line, (size_t)(end - line)) != NULL;
}

/* "key = value" */
static const char *
assignment_parse(struct reader *r, char *line)
{
	static char wrong[64];
	struct config *cfg = r->cfg;
	char *value = strchr(line, '=');
	int row;

	if (value == NULL) {
		if (!section_meant(line))
			return "expected `key = value'";
		r->section = NULL;
		snprintf(r->subject, sizeof(r->subject), "%.60s", line);
		return "a section line must be `[name]'";
	}
	*value++ = '\0';
	snprintf(r->subject, sizeof(r->subject), "%s%s%s",
	    r->section != NULL ? r->section : "",
	    r->section != NULL ? "." : "", text_trim(line));
	if (r->section == NULL)
		return "key before the first [section]";
	row = config_find(r->subject);
	if (row < 0)
		return config_unknown(r->subject, "unknown key");
	if (cfg->line[row] != 0) {
		snprintf(wrong, sizeof(wrong), "already set on line %d",
		    cfg->line[row]);
		return wrong;
	}
	cfg->line[row] = r->number;
	return config_value_assign(cfg, row, text_trim(value));
}

/* A line, with a byte after it that may be written. */
static const char *
line_parse(struct reader *r, char *line, size_t len)
{
	r->number++;
	r->subject[0] = '\0';
	line[len] = '\0';
	if (strlen(line) < len) {
		/* The beginning of a section may be after or under it. */
		if (memchr(line, '[', len) != NULL ||
		    memmem(line, len, "\0\0", 2) != NULL)
			r->section = NULL;
		return "NUL byte";
	}
	line = text_trim(line);
	if (len >= CONFIG_LINE_MAX) {
		if (*line == '[')
			r->section = NULL;
		return "line is too long";
	}
	if (*line == '\0' || *line == '#' || *line == ';')
		return NULL;
	return *line == '[' ? section_begin(r, line) :
			      assignment_parse(r, line);
}

/* Notes an error of a section. False when nobody can go on after it. */
static bool
error_note(struct config *cfg, const char *section, const char *text)
{
	char shown[CONFIG_ERROR_MAX];
	int i, count = 0;
	char *copy;

	if (section == NULL || strcmp(section, "filter") == 0 ||
	    strcmp(section, "log") == 0)
		return false;
	for (i = 0; i < cfg->error_count; i++)
		count += strcmp(cfg->errors[i].section, section) == 0;
	if (count == SECTION_ERRORS)
		return true;
	text_printable(shown, sizeof(shown), text);
	copy = cfg->error_count < CONFIG_ERRORS_MAX ? strdup(shown) : NULL;
	if (copy == NULL)
		return false;
	cfg->errors[cfg->error_count].section = section;
	cfg->errors[cfg->error_count++].text = copy;
	return true;
}

bool
config_parse(struct config *cfg, const char *file, char *text, size_t len,
    char *error, size_t size)
{
	struct reader r = { .cfg = cfg };
	char *line = text, *end = text + len, *newline;
	const char *wrong;

	if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 ||
			    memcmp(text, "\xfe\xff", 2) == 0)) {
		snprintf(error, size, "%s: is encoded in UTF-16, not UTF-8",
		    file);
		return false;
	}
	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (newline == NULL)
			newline = end;
		wrong = line_parse(&r, line, (size_t)(newline - line));
		if (wrong == NULL)
			continue;
		snprintf(error, size, "%s:%d: %s%s%s", file, r.number,
		    r.subject, *r.subject != '\0' ? ": " : "", wrong);
		if (!error_note(cfg, r.section, error))
			return false;
	}
	return true;
}
