/*
 * The parts of the TLS backend: the only files that know OpenSSL. They are linked into a shared
 * object of their own (see tls.h) and call nothing of the program. They do no input and output, but
 * that OpenSSL itself looks into directories of authorities.
 */
#ifndef LEADERWRAP_REDIS_OPENSSL_H
#define LEADERWRAP_REDIS_OPENSSL_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "tls_filter.h"

/* What the shared object offers. */
extern const struct tls_backend leaderwrap_tls_backend;

/* How a client with these files behaves: versions, authorities, our own certificate. Returns it
 * (SSL_CTX_free), or NULL with a sentence in `error`. */
SSL_CTX *openssl_context(const struct tls_material *material, char *error, size_t error_size);

/* Fills `problem` with why the certificate at which `store` stands does not do for `name`. */
void openssl_explain_certificate(X509_STORE_CTX *store, const char *name, const char *authorities,
                                 struct tls_problem *problem);

/* What is known of our own side of a handshake. */
struct openssl_own {
    const char *certificate; /* the file; NULL: none */
    bool wanted;             /* the peer has asked for one */
};

/* Fills `problem` with what the error at the head of OpenSSL's queue means (ERR_get_error(3)). */
void openssl_explain_error(const struct openssl_own *own, struct tls_problem *problem);

/* Write "CN=redis,O=Example", or "2027-11-26 16:00:00 UTC", without anything that does not belong
 * into a line. */
void openssl_show_name(const X509_NAME *name, char *buffer, size_t size);
void openssl_show_time(const ASN1_TIME *time, char *buffer, size_t size);

#endif
