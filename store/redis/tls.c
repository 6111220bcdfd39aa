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
#include <string.h>

#include "store/redis/redis.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/address.h"

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
	OF_SSL(LIBRARY_POINTER)
} tls;

static struct {
	OF_CRYPTO(LIBRARY_POINTER)
} crypto;

/* Those whose headers we were built with. */
#ifdef OPENSSL_SHLIB_VERSION
#define SONAME ".so." LIBRARY_TEXT(OPENSSL_SHLIB_VERSION)
#else
#define SONAME ".so." SHLIB_VERSION_NUMBER
#endif

/* What the library says of the last failure. */
static void
error_note(const char *what, char *error, size_t size)
{
	unsigned long code = crypto.ERR_get_error();
	char text[160];

	if (code == 0)
		snprintf(text, sizeof(text), "%s",
		    errno != 0 ? strerror(errno) : "no reason given");
	else
		crypto.ERR_error_string_n(code, text, sizeof(text));
	snprintf(error, size, "%s: %s", what, text);
}

/* The files of the URL's parameters. */
static bool
files_load(SSL_CTX *context, const struct store_url *u, char *error,
    size_t size)
{
	const char *ca = store_url_parameter(u, "ca_file");
	const char *cert = store_url_parameter(u, "cert_file");
	const char *key = store_url_parameter(u, "key_file");

	if (ca == NULL ?
		tls.SSL_CTX_set_default_verify_paths(context) != 1 :
		tls.SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
		error_note("ca_file", error, size);
	else if (cert != NULL &&
	    tls.SSL_CTX_use_certificate_chain_file(context, cert) != 1)
		error_note("cert_file", error, size);
	else if (cert != NULL && tls.SSL_CTX_use_PrivateKey_file(context,
		     key != NULL ? key : cert, SSL_FILETYPE_PEM) != 1)
		error_note("key_file", error, size);
	else
		return true;
	return false;
}

/* Whose certificate it must be. */
static bool
host_set(SSL *ssl, const struct store_url *u)
{
	struct address a;
	char name[sizeof(u->host)];

	/* A connection to a socket is to this host. */
	snprintf(name, sizeof(name), "%s",
	    u->host[0] != '\0' ? u->host : "localhost");
	if (address_parse(name, &a))
		return crypto.X509_VERIFY_PARAM_set1_ip_asc(
		    tls.SSL_get0_param(ssl), name) == 1;
	return tls.SSL_set1_host(ssl, name) == 1 &&
	    tls.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		TLSEXT_NAMETYPE_host_name, name) == 1;
}

struct ssl_st *
redis_tls_open(const struct store_url *u, int fd, char *error, size_t size)
{
	SSL_CTX *context;
	SSL *ssl = NULL;

	if (!library_load("libcrypto" SONAME, LIBRARY_NAMES(OF_CRYPTO), &crypto,
		error, size) ||
	    !library_load("libssl" SONAME, LIBRARY_NAMES(OF_SSL), &tls, error,
		size))
		return NULL;
	errno = 0;
	crypto.ERR_clear_error();
	context = tls.SSL_CTX_new(tls.TLS_client_method());
	if (context == NULL)
		error_note("OpenSSL", error, size);
	else if (files_load(context, u, error, size)) {
		tls.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		tls.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION,
		    TLS1_2_VERSION, NULL);
		tls.SSL_CTX_ctrl(context, SSL_CTRL_MODE,
		    SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS, NULL);
		ssl = tls.SSL_new(context);
		if (ssl == NULL || !host_set(ssl, u) ||
		    tls.SSL_set_fd(ssl, fd) != 1) {
			error_note("OpenSSL", error, size);
			redis_tls_close(ssl);
			ssl = NULL;
		}
	}
	tls.SSL_CTX_free(context); /* the other one holds it */
	return ssl;
}

long
redis_tls_step(struct ssl_st *ssl, enum redis_step step, void *bytes, size_t n,
    char *error, size_t size)
{
	int most = n < 16384 ? (int)n : 16384, done;
	long verified;

	errno = 0;
	crypto.ERR_clear_error();
	done = step == REDIS_CONNECT ? tls.SSL_connect(ssl) :
	    step == REDIS_READ ? tls.SSL_read(ssl, bytes, most) :
				 tls.SSL_write(ssl, bytes, most);
	if (done > 0)
		return done;
	switch (tls.SSL_get_error(ssl, done)) {
	case SSL_ERROR_WANT_READ:
		return REDIS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return REDIS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		break;
	}
	verified = tls.SSL_get_verify_result(ssl);
	if (verified != X509_V_OK)
		snprintf(error, size, "the server's certificate: %s",
		    crypto.X509_verify_cert_error_string(verified));
	else
		error_note("OpenSSL", error, size);
	return REDIS_FAILED;
}

void
redis_tls_close(struct ssl_st *ssl)
{
	if (ssl == NULL)
		return;
	crypto.ERR_clear_error();
	tls.SSL_free(ssl);
}
