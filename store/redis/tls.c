/*
 * store_redis_tls - TLS for rediss://, by OpenSSL's library, which is loaded
 * when the first such URL is opened. Not every hiredis has TLS, and that which
 * has brings a library of its own for it, which waits by its own rules.
 *
 * The server's certificate must be good and for the host of the URL.
 * Parameters: ca_file (default: the system's), cert_file and key_file (a
 * client's, as Redis asks for by default).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis/redis.h"

#if defined(__has_include)
#if __has_include(<openssl/ssl.h>)
#define HAVE_OPENSSL 1
#endif
#endif

#ifdef HAVE_OPENSSL

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/address.h"
#include "base/library.h"

struct redis_tls {
	SSL_CTX *context;
	SSL *ssl;
};

/* What we use of it, by name. */
static struct {
	const SSL_METHOD *(*method)(void);
	SSL_CTX *(*context_new)(const SSL_METHOD *);
	void (*context_free)(SSL_CTX *);
	long (*context_ctrl)(SSL_CTX *, int, long, void *);
	int (*default_paths)(SSL_CTX *);
	int (*ca_file)(SSL_CTX *, const char *, const char *);
	int (*cert_file)(SSL_CTX *, const char *);
	int (*key_file)(SSL_CTX *, const char *, int);
	void (*verify)(SSL_CTX *, int, SSL_verify_cb);
	SSL *(*ssl_new)(SSL_CTX *);
	void (*ssl_free)(SSL *);
	long (*ssl_ctrl)(SSL *, int, long, void *);
	int (*set_fd)(SSL *, int);
	int (*set_host)(SSL *, const char *);
	X509_VERIFY_PARAM *(*parameters)(SSL *);
	int (*connect)(SSL *);
	int (*read)(SSL *, void *, int);
	int (*write)(SSL *, const void *, int);
	int (*reason)(const SSL *, int);
	long (*verified)(const SSL *);
} tls;

static struct {
	int (*set_ip)(X509_VERIFY_PARAM *, const char *);
	const char *(*verify_text)(long);
	unsigned long (*error)(void);
	void (*error_text)(unsigned long, char *, size_t);
	void (*error_clear)(void);
} crypto;

/* Both libraries, once. False: why in error. */
static bool
tls_load(char *error, size_t size)
{
	static const char *const ssl_names[] = { "libssl.so.3", NULL };
	static const char *const crypto_names[] = { "libcrypto.so.3", NULL };
	static const struct library_symbol of_ssl[] = {
		{ "TLS_client_method", &tls.method },
		{ "SSL_CTX_new", &tls.context_new },
		{ "SSL_CTX_free", &tls.context_free },
		{ "SSL_CTX_ctrl", &tls.context_ctrl },
		{ "SSL_CTX_set_default_verify_paths", &tls.default_paths },
		{ "SSL_CTX_load_verify_locations", &tls.ca_file },
		{ "SSL_CTX_use_certificate_chain_file", &tls.cert_file },
		{ "SSL_CTX_use_PrivateKey_file", &tls.key_file },
		{ "SSL_CTX_set_verify", &tls.verify },
		{ "SSL_new", &tls.ssl_new },
		{ "SSL_free", &tls.ssl_free },
		{ "SSL_ctrl", &tls.ssl_ctrl },
		{ "SSL_set_fd", &tls.set_fd },
		{ "SSL_set1_host", &tls.set_host },
		{ "SSL_get0_param", &tls.parameters },
		{ "SSL_connect", &tls.connect },
		{ "SSL_read", &tls.read },
		{ "SSL_write", &tls.write },
		{ "SSL_get_error", &tls.reason },
		{ "SSL_get_verify_result", &tls.verified },
	};
	static const struct library_symbol of_crypto[] = {
		{ "X509_VERIFY_PARAM_set1_ip_asc", &crypto.set_ip },
		{ "X509_verify_cert_error_string", &crypto.verify_text },
		{ "ERR_get_error", &crypto.error },
		{ "ERR_error_string_n", &crypto.error_text },
		{ "ERR_clear_error", &crypto.error_clear },
	};

	return (crypto.error != NULL ||
		   library_load(crypto_names, of_crypto,
		       sizeof(of_crypto) / sizeof(of_crypto[0]), error,
		       size)) &&
	    (tls.method != NULL ||
		library_load(ssl_names, of_ssl,
		    sizeof(of_ssl) / sizeof(of_ssl[0]), error, size));
}

/* What the library says of the last failure. */
static void
error_note(const char *what, char *error, size_t size)
{
	unsigned long code = crypto.error();
	char text[160];

	if (code == 0)
		snprintf(text, sizeof(text), "%s",
		    errno != 0 ? strerror(errno) : "no reason given");
	else
		crypto.error_text(code, text, sizeof(text));
	snprintf(error, size, "%s: %s", what, text);
}

/* The files of the URL's parameters. */
static bool
files_load(struct redis_tls *t, const struct store_url *u, char *error,
    size_t size)
{
	const char *ca = store_url_parameter(u, "ca_file");
	const char *cert = store_url_parameter(u, "cert_file");
	const char *key = store_url_parameter(u, "key_file");

	if (ca == NULL ? tls.default_paths(t->context) != 1 :
			 tls.ca_file(t->context, ca, NULL) != 1)
		error_note("ca_file", error, size);
	else if (cert != NULL && tls.cert_file(t->context, cert) != 1)
		error_note("cert_file", error, size);
	else if (cert != NULL && tls.key_file(t->context,
		     key != NULL ? key : cert, SSL_FILETYPE_PEM) != 1)
		error_note("key_file", error, size);
	else
		return true;
	return false;
}

/* Whose certificate it must be. */
static bool
host_set(struct redis_tls *t, const struct store_url *u)
{
	struct address a;
	char name[sizeof(u->host)];

	/* A connection to a socket is to this host. */
	snprintf(name, sizeof(name), "%s",
	    u->host[0] != '\0' ? u->host : "localhost");
	if (address_parse(name, &a))
		return crypto.set_ip(tls.parameters(t->ssl), name) == 1;
	return tls.set_host(t->ssl, name) == 1 &&
	    tls.ssl_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		TLSEXT_NAMETYPE_host_name, name) == 1;
}

struct redis_tls *
redis_tls_open(const struct store_url *u, int fd, char *error, size_t size)
{
	struct redis_tls *t;

	if (!tls_load(error, size))
		return NULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	errno = 0;
	crypto.error_clear();
	t->context = tls.context_new(tls.method());
	if (t->context == NULL)
		error_note("OpenSSL", error, size);
	else if (files_load(t, u, error, size)) {
		tls.verify(t->context, SSL_VERIFY_PEER, NULL);
		tls.context_ctrl(t->context, SSL_CTRL_SET_MIN_PROTO_VERSION,
		    TLS1_2_VERSION, NULL);
		tls.context_ctrl(t->context, SSL_CTRL_MODE,
		    SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS, NULL);
		t->ssl = tls.ssl_new(t->context);
		if (t->ssl != NULL && host_set(t, u) &&
		    tls.set_fd(t->ssl, fd) == 1)
			return t;
		error_note("OpenSSL", error, size);
	}
	redis_tls_close(t);
	return NULL;
}

/* What a call has come to. */
static long
outcome(struct redis_tls *t, int n, char *error, size_t size)
{
	long verified;

	if (n > 0)
		return n;
	switch (tls.reason(t->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return REDIS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return REDIS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		verified = tls.verified(t->ssl);
		if (verified != X509_V_OK)
			snprintf(error, size, "the server's certificate: %s",
			    crypto.verify_text(verified));
		else
			error_note("OpenSSL", error, size);
		return REDIS_FAILED;
	}
}

long
redis_tls_handshake(struct redis_tls *t, char *error, size_t size)
{
	errno = 0;
	crypto.error_clear();
	return outcome(t, tls.connect(t->ssl), error, size);
}

long
redis_tls_read(struct redis_tls *t, char *buf, size_t n, char *error,
    size_t size)
{
	errno = 0;
	crypto.error_clear();
	return outcome(t, tls.read(t->ssl, buf, n < 16384 ? (int)n : 16384),
	    error, size);
}

long
redis_tls_write(struct redis_tls *t, const char *buf, size_t n, char *error,
    size_t size)
{
	errno = 0;
	crypto.error_clear();
	return outcome(t, tls.write(t->ssl, buf, n < 16384 ? (int)n : 16384),
	    error, size);
}

void
redis_tls_close(struct redis_tls *t)
{
	if (t->ssl != NULL) {
		crypto.error_clear();
		tls.ssl_free(t->ssl);
	}
	if (t->context != NULL)
		tls.context_free(t->context);
	free(t);
}

#else /* no headers */

struct redis_tls {
	char nothing;
};

struct redis_tls *
redis_tls_open(const struct store_url *u, int fd, char *error, size_t size)
{
	(void)u;
	(void)fd;
	snprintf(error, size,
	    "this abichecker is built without OpenSSL's headers");
	return NULL;
}

long
redis_tls_handshake(struct redis_tls *t, char *error, size_t size)
{
	(void)t;
	snprintf(error, size, "no TLS");
	return REDIS_FAILED;
}

long
redis_tls_read(struct redis_tls *t, char *buf, size_t n, char *error,
    size_t size)
{
	(void)buf;
	(void)n;
	return redis_tls_handshake(t, error, size);
}

long
redis_tls_write(struct redis_tls *t, const char *buf, size_t n, char *error,
    size_t size)
{
	(void)buf;
	(void)n;
	return redis_tls_handshake(t, error, size);
}

void
redis_tls_close(struct redis_tls *t)
{
	free(t);
}

#endif
