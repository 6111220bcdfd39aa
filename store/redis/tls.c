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

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/address.h"
#include "base/library.h"

/* Every function of the libraries that we call. */
#define OF_SSL(F)                                                             \
	F(TLS_client_method) F(SSL_CTX_new) F(SSL_CTX_free) F(SSL_CTX_ctrl)   \
	F(SSL_CTX_set_default_verify_paths) F(SSL_CTX_load_verify_locations)  \
	F(SSL_CTX_use_certificate_chain_file) F(SSL_CTX_use_PrivateKey_file)  \
	F(SSL_CTX_set_verify) F(SSL_new) F(SSL_free) F(SSL_ctrl)              \
	F(SSL_set_fd) F(SSL_set1_host) F(SSL_get0_param) F(SSL_connect)       \
	F(SSL_read) F(SSL_write) F(SSL_get_error) F(SSL_get_verify_result)
#define OF_CRYPTO(F)                                                          \
	F(X509_VERIFY_PARAM_set1_ip_asc) F(X509_verify_cert_error_string)     \
	F(ERR_get_error) F(ERR_error_string_n) F(ERR_clear_error)

static struct {
#define POINTER(name) __typeof__(&(name)) (name);
	OF_SSL(POINTER) OF_CRYPTO(POINTER)
#undef POINTER
} tls;

struct redis_tls {
	SSL_CTX *context;
	SSL *ssl;
};

/* Both libraries, once. False: why in error. */
static bool
tls_load(char *error, size_t size)
{
	static const char *const ssl_names[] = { "libssl.so.3", NULL };
	static const char *const crypto_names[] = { "libcrypto.so.3", NULL };
#define SYMBOL(name) { #name, &tls.name },
	static const struct library_symbol of_ssl[] = { OF_SSL(SYMBOL) };
	static const struct library_symbol of_crypto[] = { OF_CRYPTO(SYMBOL) };
#undef SYMBOL

	return (tls.ERR_get_error != NULL ||
		   library_load(crypto_names, of_crypto,
		       sizeof(of_crypto) / sizeof(of_crypto[0]), error,
		       size)) &&
	    (tls.SSL_new != NULL ||
		library_load(ssl_names, of_ssl,
		    sizeof(of_ssl) / sizeof(of_ssl[0]), error, size));
}

/* What the library says of the last failure. */
static void
error_note(const char *what, char *error, size_t size)
{
	unsigned long code = tls.ERR_get_error();
	char text[160];

	if (code == 0)
		snprintf(text, sizeof(text), "%s",
		    errno != 0 ? strerror(errno) : "no reason given");
	else
		tls.ERR_error_string_n(code, text, sizeof(text));
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

	if (ca == NULL ?
		tls.SSL_CTX_set_default_verify_paths(t->context) != 1 :
		tls.SSL_CTX_load_verify_locations(t->context, ca, NULL) != 1)
		error_note("ca_file", error, size);
	else if (cert != NULL &&
	    tls.SSL_CTX_use_certificate_chain_file(t->context, cert) != 1)
		error_note("cert_file", error, size);
	else if (cert != NULL && tls.SSL_CTX_use_PrivateKey_file(t->context,
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
		return tls.X509_VERIFY_PARAM_set1_ip_asc(
		    tls.SSL_get0_param(t->ssl), name) == 1;
	return tls.SSL_set1_host(t->ssl, name) == 1 &&
	    tls.SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
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
	tls.ERR_clear_error();
	t->context = tls.SSL_CTX_new(tls.TLS_client_method());
	if (t->context == NULL)
		error_note("OpenSSL", error, size);
	else if (files_load(t, u, error, size)) {
		tls.SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
		tls.SSL_CTX_ctrl(t->context, SSL_CTRL_SET_MIN_PROTO_VERSION,
		    TLS1_2_VERSION, NULL);
		tls.SSL_CTX_ctrl(t->context, SSL_CTRL_MODE,
		    SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS, NULL);
		t->ssl = tls.SSL_new(t->context);
		if (t->ssl != NULL && host_set(t, u) &&
		    tls.SSL_set_fd(t->ssl, fd) == 1)
			return t;
		error_note("OpenSSL", error, size);
	}
	redis_tls_close(t);
	return NULL;
}

long
redis_tls_step(struct redis_tls *t, enum redis_step step, void *bytes, size_t n,
    char *error, size_t size)
{
	int most = n < 16384 ? (int)n : 16384, done;
	long verified;

	errno = 0;
	tls.ERR_clear_error();
	done = step == REDIS_CONNECT ? tls.SSL_connect(t->ssl) :
	    step == REDIS_READ ? tls.SSL_read(t->ssl, bytes, most) :
				 tls.SSL_write(t->ssl, bytes, most);
	if (done > 0)
		return done;
	switch (tls.SSL_get_error(t->ssl, done)) {
	case SSL_ERROR_WANT_READ:
		return REDIS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return REDIS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		break;
	}
	verified = tls.SSL_get_verify_result(t->ssl);
	if (verified != X509_V_OK)
		snprintf(error, size, "the server's certificate: %s",
		    tls.X509_verify_cert_error_string(verified));
	else
		error_note("OpenSSL", error, size);
	return REDIS_FAILED;
}

void
redis_tls_close(struct redis_tls *t)
{
	if (t->ssl != NULL) {
		tls.ERR_clear_error();
		tls.SSL_free(t->ssl);
	}
	if (t->context != NULL)
		tls.SSL_CTX_free(t->context);
	free(t);
}
