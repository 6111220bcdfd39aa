/*
 * table - a list for people, for programs as JSON, for spreadsheets as CSV: one
 * description of its columns makes all three.
 */
#ifndef ABICTL_TABLE_H
#define ABICTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/abictl.h"

#define TABLE_COLUMNS_MAX 10

enum table_type {
	TABLE_TEXT,
	TABLE_NUMBER,
	TABLE_TIME, /* a point in time; 0 = none */
	TABLE_BOOL,
};

enum table_flag {
	TABLE_CUT = 1 << 0,   /* cut where a terminal is too narrow */
	TABLE_WRAP = 1 << 1,  /* or goes on in the next line */
	TABLE_RIGHT = 1 << 2, /* at the right, as numbers are */
	TABLE_NULL = 1 << 3,  /* null in JSON when it is empty */
};

struct table_column {
	const char *heading; /* NULL: only in JSON */
	const char *field;   /* of JSON; NULL: the heading in lower case, "":
			      * not there */
	enum table_type type;
	const char *empty; /* shown when there is nothing; NULL: "-" */
	unsigned flags;    /* enum table_flag */
};

/* Those of the lists that commands print. */
extern const struct table_column abictl_accounts_columns[],
    abictl_blacklist_columns[], abictl_logins_columns[],
    abictl_whitelist_columns[];

struct table;
struct cJSON;

/* Can --sort be by this? "-NAME" is the other way round. */
bool table_sorts(const struct table_column *columns, const char *name);

/*
 * Begins a table with the form, order and length that the options ask for.
 * columns end with an empty row. NULL when memory is short. Release with
 * table_free().
 */
struct table *table_new(const struct abictl *ctl,
    const struct table_column *columns);
void table_free(struct table *t);

/* Only the columns whose bits are set. */
void table_only(struct table *t, unsigned columns);

/*
 * Begins a row, whose cells follow in any order. Rows that need not be sorted
 * are printed from time to time. False: there are enough, or memory is short.
 */
bool table_row(struct table *t);

/* A cell. The text must be printable, and is copied. */
void table_text(struct table *t, int column, const char *text);
void table_number(struct table *t, int column, long long number);

/* Colours a text cell, if there are colours: "red", "green" and so on. */
void table_colour(struct table *t, int column, const char *colour);

/* The row begun last as a JSON object, for the caller to delete. */
struct cJSON *table_json(const struct table *t);

/* Prints what was not printed yet. none: said to a person if that is all. */
int table_print(struct table *t, const char *none);

#endif
