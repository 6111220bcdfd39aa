/*
 * import_line - a line of a list of users: a user, and a note after blanks.
 */
#ifndef ABICTL_IMPORT_LINE_H
#define ABICTL_IMPORT_LINE_H

#include <stddef.h>

#define IMPORT_LINE_MAX 4096 /* bytes, with its end */

/*
 * Parses a line of n bytes with a NUL after them, and changes it. *user is NULL
 * if there is none: it is empty or a comment. NULL, or what is wrong.
 */
const char *import_line(char *line, size_t n, const char **user,
    const char **note);

#endif
