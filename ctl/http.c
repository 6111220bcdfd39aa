/*
 * http - what every request by HTTP begins with.
 */
#include "ctl/http.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static void
protocols_limit(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
	    (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Do not wait for a resolver thread that hangs. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
}

CURL *
http_new(const struct config *cfg, const char *url, char *error)
{
	const char *proxy = cfg->reputation.proxy;
	CURL *curl = curl_easy_init();

	if (curl == NULL)
		return NULL;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "abichecker/" VERSION);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2);
	/* "" keeps curl from looking for one in the environment. */
	curl_easy_setopt(curl, CURLOPT_PROXY, proxy != NULL ? proxy : "");
	if (cfg->reputation.ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, cfg->reputation.ca_file);
	protocols_limit(curl);
	return curl;
}
