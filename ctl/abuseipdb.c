/*
 * abuseipdb - the client of the AbuseIPDB API, version 2.
 */
#include "ctl/abuseipdb.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "ctl/http.h"

#define TOKEN_FILE_MAX 65536

#define REST_SHORT 15    /* seconds: out of reach, broken, overloaded */
#define REST_CONFIG 300  /* somebody must fix something: key, url, plan */
#define REST_HOUR 3600   /* what the server does not explain further */

/* --- the key --- */

int
abuseipdb_token(const struct config *cfg, char *token, char *reason,
    size_t size)
{
	const char *path = cfg->reputation.token_file;
	char *text, *line, *cursor;
	size_t len;
	int rc = -1;

	if (cfg->reputation.token != NULL) {
		snprintf(token, ABUSEIPDB_TOKEN_MAX, "%s",
		    cfg->reputation.token);
		return 0;
	}
	if (path == NULL) {
		snprintf(reason, size, "reputation.token is not set");
		return -1;
	}
	text = file_slurp(path, TOKEN_FILE_MAX, &len, NULL);
	if (text == NULL) {
		snprintf(reason, size, "%.100s: %s", path, strerror(errno));
		return -1;
	}
	cursor = text;
	line = text_line(&cursor, NULL);
	line = line != NULL ? text_trim(line) : text;
	if (*line == '\0' || strlen(line) >= ABUSEIPDB_TOKEN_MAX ||
	    strpbrk(line, " \t\r") != NULL)
		snprintf(reason, size, "%.100s: contains no key", path);
	else {
		memcpy(token, line, strlen(line) + 1);
		rc = 0;
	}
	explicit_bzero(text, len);
	free(text);
	return rc;
}

/* --- JSON --- */

/* A whole number in min..max; -1 when it is absent, null or anything else. */
static long
json_count(const cJSON *object, const char *name, long max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
	    !(item->valuedouble <= (double)max) ||
	    floor(item->valuedouble) != item->valuedouble)
		return -1;
	return (long)item->valuedouble;
}

/* Copies a text, made printable; "" when it is absent or not a text. */
static void
json_text(const cJSON *object, const char *name, char *out, size_t size)
{
	const char *s = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(object, name));

	text_printable(out, size, s != NULL ? s : "");
}

static void
json_country(const cJSON *object, struct cache_score *score)
{
	const char *s = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(object, "countryCode"));

	if (s != NULL)
		text_country(s, strlen(s), score->country);
}

/* What both endpoints tell about an address. NULL or what is wrong. */
static const char *
json_score(const cJSON *data, struct cache_score *score)
{
	long n;

	memset(score, 0, sizeof(*score));
	score->reporters = score->reports = score->tor = -1;
	n = json_count(data, "abuseConfidenceScore", 100);
	if (n < 0)
		return "the answer has no score from 0 to 100";
	score->score = (int)n;
	json_country(data, score);
	return NULL;
}

static const char *
data_parse(const cJSON *data, const struct address *a,
    struct cache_score *score)
{
	const cJSON *tor = cJSON_GetObjectItemCaseSensitive(data, "isTor");
	const char *wrong;
	struct address said;
	char text[ADDRESS_TEXT_MAX];

	if (!cJSON_IsObject(data))
		return "the answer has no data";
	json_text(data, "ipAddress", text, sizeof(text));
	if (text[0] != '\0' && (!address_parse(text, &said) ||
	    address_compare(&said, a) != 0))
		return "the answer is about another address";
	wrong = json_score(data, score);
	if (wrong != NULL)
		return wrong;
	score->reporters = json_count(data, "numDistinctUsers", 1000000000);
	score->reports = json_count(data, "totalReports", 1000000000);
	score->tor = cJSON_IsBool(tor) ? cJSON_IsTrue(tor) : -1;
	json_text(data, "isp", score->isp, sizeof(score->isp));
	json_text(data, "usageType", score->usage, sizeof(score->usage));
	return NULL;
}

const char *
abuseipdb_parse_check(const char *body, size_t len, const struct address *a,
    struct cache_score *score)
{
	cJSON *root = cJSON_ParseWithLength(body, len);
	const char *wrong;

	if (root == NULL)
		return "the answer is not JSON";
	wrong = data_parse(
	    cJSON_GetObjectItemCaseSensitive(root, "data"), a, score);
	cJSON_Delete(root);
	return wrong;
}

/* "2026-11-21T03:00:00+00:00" to seconds; now when it is anything else. */
static time_t
generated_parse(const cJSON *root, time_t now)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(root, "meta"), "generatedAt"));
	struct tm tm = { 0 };
	time_t t;
	long offset;

	if (s == NULL || strptime(s, "%Y-%m-%dT%H:%M:%S%z", &tm) == NULL)
		return now;
	offset = tm.tm_gmtoff; /* timegm(3) sets it to 0 */
	t = timegm(&tm) - offset;
	return t > 0 && t < now ? t : now;
}

const char *
abuseipdb_parse_blacklist(const char *body, size_t len, time_t now,
    abuseipdb_entry *fn, void *arg)
{
	cJSON *root = cJSON_ParseWithLength(body, len);
	const cJSON *data, *entry;
	struct cache_score score;
	char text[ADDRESS_TEXT_MAX];
	struct address a;
	time_t generated;

	if (root == NULL)
		return "the answer is not JSON";
	data = cJSON_GetObjectItemCaseSensitive(root, "data");
	if (!cJSON_IsArray(data)) {
		cJSON_Delete(root);
		return "the answer has no list";
	}
	generated = generated_parse(root, now);
	cJSON_ArrayForEach(entry, data) {
		json_text(entry, "ipAddress", text, sizeof(text));
		if (!address_parse(text, &a) ||
		    json_score(entry, &score) != NULL)
			continue;
		if (!fn(arg, &a, &score, generated))
			break;
	}
	cJSON_Delete(root);
	return NULL;
}

/* --- HTTP --- */

struct body {
	char *text;
	size_t len, max;
};

static size_t
body_add(char *data, size_t size, size_t count, void *arg)
{
	struct body *b = arg;
	size_t n = size * count;
	char *more;

	if (n > b->max - b->len)
		return 0; /* curl gives up: the answer is too large */
	more = realloc(b->text, b->len + n + 1);
	if (more == NULL)
		return 0;
	b->text = more;
	memcpy(b->text + b->len, data, n);
	b->len += n;
	b->text[b->len] = '\0';
	return n;
}

/* Keeps the two headers that libcurl does not read for us. */
static size_t
header_line(char *data, size_t size, size_t count, void *arg)
{
	static const char remaining[] = "X-RateLimit-Remaining:";
	static const char reset[] = "X-RateLimit-Reset:";
	struct abuseipdb_answer *answer = arg;
	char line[128];
	long n;

	snprintf(line, sizeof(line), "%.*s", (int)(size * count), data);
	if (strncasecmp(line, remaining, sizeof(remaining) - 1) == 0 &&
	    text_number(text_trim(line + sizeof(remaining) - 1), 0,
		1000000000, &n))
		answer->remaining = n;
	else if (strncasecmp(line, reset, sizeof(reset) - 1) == 0 &&
	    text_number(text_trim(line + sizeof(reset) - 1), 1,
		(long)time(NULL) + 2 * 86400, &n)) /* it is a daily limit */
		answer->reset = (time_t)n;
	return size * count;
}

static void
answer_fail(struct abuseipdb_answer *answer, time_t backoff_until,
    const char *reason)
{
	answer->ok = false;
	answer->backoff_until = backoff_until;
	text_printable(answer->reason, sizeof(answer->reason), reason);
}

/* The API's own words about an error, unless they repeat the key. */
static void
error_detail(const struct body *b, const char *token, char *out, size_t size)
{
	cJSON *root = cJSON_ParseWithLength(b->text != NULL ? b->text : "",
	    b->len);
	char text[100];
	const char *detail = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(
		cJSON_GetObjectItemCaseSensitive(root, "errors"), 0),
		"detail"));

	out[0] = '\0';
	/* Looked for in the whole: a part of the key is too much already. */
	if (detail != NULL && *detail != '\0' &&
	    strstr(detail, token) == NULL) {
		text_printable(text, sizeof(text), detail);
		snprintf(out, size, ": %s", text);
	}
	cJSON_Delete(root);
}

/* When 429 ends: Retry-After, else X-RateLimit-Reset, else in an hour. */
static time_t
quota_end(CURL *curl, const struct abuseipdb_answer *answer, time_t now)
{
	curl_off_t after = 0;

	curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &after);
	if (after > 0)
		return now + 1 + (time_t)(after < REST_HOUR * 24 * 7 ?
			after : REST_HOUR * 24 * 7);
	if (answer->reset > now)
		return answer->reset;
	return now + REST_HOUR;
}

/* What a status other than 200 means. Source: FAQ and docs of AbuseIPDB. */
static void
status_judge(CURL *curl, const struct body *b, const char *token,
    struct abuseipdb_answer *answer)
{
	char detail[128], reason[ABUSEIPDB_REASON_MAX];
	time_t now = time(NULL), until = now + REST_SHORT;
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return;
	error_detail(b, token, detail, sizeof(detail));
	snprintf(reason, sizeof(reason), "HTTP status %ld%s%.99s", status,
	    status == 401 ? " (wrong key)" :
	    status >= 300 && status < 400 ? " (redirects are not followed)" :
					    "", detail);
	if (status == 429)
		until = quota_end(curl, answer, now);
	else if (status == 422)
		until = now + REST_HOUR;
	else if (status >= 300 && status < 500)
		until = now + REST_CONFIG;
	answer->only_this = status == 422;
	answer->budget = status == 429;
	answer_fail(answer, until, reason);
}

/* One GET. The body, for the caller to free, when answer->ok; else NULL. */
static char *
http_get(const struct config *cfg, const char *token, const char *path,
    size_t max, long timeout_ms, size_t *len, struct abuseipdb_answer *answer)
{
	char url[2048], key[ABUSEIPDB_TOKEN_MAX + 8];
	char error[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	struct body body = { .max = max };
	CURL *curl;
	const char *base = cfg->reputation.url;
	size_t n = strlen(base);
	CURLcode rc = CURLE_OUT_OF_MEMORY;

	memset(answer, 0, sizeof(*answer));
	answer->ok = true;
	answer->remaining = -1;
	snprintf(url, sizeof(url), "%.*s%s",
	    (int)(n - (n > 0 && base[n - 1] == '/')), base, path);
	snprintf(key, sizeof(key), "Key: %s", token);
	headers = curl_slist_append(headers, key);
	headers = curl_slist_append(headers, "Accept: application/json");
	curl = http_new(cfg, url, error);
	if (curl != NULL && headers != NULL) {
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		/* The key is for the API, not for the proxy. */
		curl_easy_setopt(curl, CURLOPT_HEADEROPT,
		    (long)CURLHEADER_SEPARATE);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_add);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
		curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_line);
		curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
		rc = curl_easy_perform(curl);
	}
	if (rc != CURLE_OK)
		answer_fail(answer, time(NULL) + REST_SHORT,
		    rc == CURLE_WRITE_ERROR ? "the answer is too large" :
		    error[0] != '\0' ? error : curl_easy_strerror(rc));
	else
		status_judge(curl, &body, token, answer);
	curl_slist_free_all(headers);
	if (curl != NULL)
		curl_easy_cleanup(curl);
	*len = body.len;
	if (answer->ok && body.text != NULL)
		return body.text;
	free(body.text);
	if (answer->ok)
		answer_fail(answer, time(NULL) + REST_SHORT,
		    "the answer is empty");
	return NULL;
}

void
abuseipdb_check(const struct config *cfg, const char *token,
    const struct address *a, long timeout_ms, struct cache_score *score,
    struct abuseipdb_answer *answer)
{
	char path[128], text[ADDRESS_TEXT_MAX], *body, *s;
	struct text t;
	const char *wrong;
	size_t len;

	address_text(a, text, sizeof(text));
	text_init(&t, path, sizeof(path));
	text_add(&t, "/check?ipAddress=");
	for (s = text; *s != '\0'; s++)
		if (*s == ':')
			text_add(&t, "%3A");
		else
			text_addf(&t, "%c", *s);
	text_addf(&t, "&maxAgeInDays=%ld",
	    (cfg->reputation.max_age + 86399) / 86400);
	body = http_get(cfg, token, path, ABUSEIPDB_CHECK_MAX, timeout_ms, &len,
	    answer);
	if (body == NULL)
		return;
	wrong = abuseipdb_parse_check(body, len, a, score);
	free(body);
	if (wrong != NULL)
		answer_fail(answer, time(NULL) + REST_SHORT, wrong);
	else
		score->fetched = time(NULL);
}

void
abuseipdb_blacklist(const struct config *cfg, const char *token, long limit,
    long timeout_ms, abuseipdb_entry *fn, void *arg,
    struct abuseipdb_answer *answer)
{
	char path[64] = "/blacklist", *body;
	const char *wrong;
	size_t len;

	if (limit > 0)
		snprintf(path, sizeof(path), "/blacklist?limit=%ld", limit);
	body = http_get(cfg, token, path, ABUSEIPDB_LIST_MAX, timeout_ms, &len,
	    answer);
	if (body == NULL)
		return;
	wrong = abuseipdb_parse_blacklist(body, len, time(NULL), fn, arg);
	free(body);
	if (wrong != NULL)
		answer_fail(answer, time(NULL) + REST_SHORT, wrong);
}
