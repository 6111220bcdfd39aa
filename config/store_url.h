/*
 * store_url - the URL of a store on a server, in parts.
 *
 * SCHEME://[USER[:PASSWORD]@][HOST[:PORT]][/NAME][?PARAMETER=VALUE[&...]]
 * Everything but the scheme may be percent-encoded, and must be where a
 * character would otherwise be a separator. An IPv6 address is in brackets.
 */
#ifndef STORE_URL_H
#define STORE_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

#define STORE_URL_MAX 1024
#define STORE_PARAMETERS_MAX 16

struct store_parameter {
	char name[32];
	char value[256];
};

struct store_url {
	char scheme[16];
	char user[128];     /* "" = not given, as for all below */
	char password[256]; /* also from the parameter `password' */
	char host[256];     /* without brackets */
	long port;          /* 0 = not given */
	char name[256];     /* of the database: what is after the first / */
	struct store_parameter parameters[STORE_PARAMETERS_MAX];
	int parameter_count;
};

/* NULL, or what is wrong with it: a constant text without any part of it. */
const char *store_url_parse(const char *url, struct store_url *out);

/* The value of a parameter, NULL if it is not there. */
const char *store_url_parameter(const struct store_url *u, const char *name);

/*
 * Takes the password from the first line of store.password_file, if that is
 * set and the URL has none. False, and why in error, if it cannot be read.
 */
bool store_url_password(struct store_url *u, const struct config *cfg,
    char *error, size_t size);

/* Does it contain a password? Then it must not be shown. */
bool store_url_secret(const char *url);

/* A URL without its password. */
void store_url_text(const char *url, char *out, size_t size);

#endif
