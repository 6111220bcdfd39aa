/*
 * http - what every request by HTTP begins with.
 */
#ifndef HTTP_H
#define HTTP_H

#include <curl/curl.h>

#include "config/config.h"

/*
 * A GET of this URL: with the configured proxy and certificates, which are
 * checked, and without redirects. error: CURL_ERROR_SIZE bytes for what goes
 * wrong later. NULL: out of memory.
 */
CURL *http_new(const struct config *cfg, const char *url, char *error);

#endif
