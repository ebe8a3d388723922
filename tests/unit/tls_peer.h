/*
 * The other end of TLS, in memory: certificates made for the occasion, and a server between two
 * memory BIOs. What goes wrong in here aborts.
 */
#ifndef LEADERWRAP_TEST_TLS_PEER_H
#define LEADERWRAP_TEST_TLS_PEER_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/tls_filter.h"

#define TLS_PEER_PEM_SIZE 4096
#define TLS_PEER_DAY      86400L

/* A certificate with its key. */
struct tls_identity {
    X509 *certificate;
    EVP_PKEY *key;
    char pem[TLS_PEER_PEM_SIZE];     /* the certificate */
    char key_pem[TLS_PEER_PEM_SIZE]; /* the key */
};

static inline void tls_peer_must(bool condition)
{
    if (!condition)
        abort();
}

static inline void tls_peer_write_pem(struct tls_identity *identity)
{
    BIO *bio = BIO_new(BIO_s_mem());

    tls_peer_must(PEM_write_bio_X509(bio, identity->certificate) == 1);
    identity->pem[BIO_read(bio, identity->pem, TLS_PEER_PEM_SIZE - 1)] = '\0';
    tls_peer_must(PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL) == 1);
    identity->key_pem[BIO_read(bio, identity->key_pem, TLS_PEER_PEM_SIZE - 1)] = '\0';
    BIO_free(bio);
}

static inline void tls_peer_extend(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    tls_peer_must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* Makes an identity called `name`, for `alternatives` ("DNS:a,IP:127.0.0.1"; NULL: none), issued by
 * `issuer` (NULL: by itself, an authority), good from `from_s` to `to_s` seconds from now. */
static inline struct tls_identity tls_peer_identity(const char *name, const char *alternatives,
                                                    const struct tls_identity *issuer, long from_s,
                                                    long to_s)
{
    static long serial = 1;
    struct tls_identity made = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_get_subject_name(made.certificate);

    tls_peer_must(made.key != NULL);
    X509_set_version(made.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), to_s);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(made.certificate,
                         issuer == NULL ? subject : X509_get_subject_name(issuer->certificate));
    if (issuer == NULL)
        tls_peer_extend(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (alternatives != NULL)
        tls_peer_extend(made.certificate, NID_subject_alt_name, alternatives);
    tls_peer_must(
        X509_sign(made.certificate, issuer == NULL ? made.key : issuer->key, EVP_sha256()) > 0);
    tls_peer_write_pem(&made);
    return made;
}

static inline void tls_identity_clear(struct tls_identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

struct tls_server {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in;
    BIO *out;
    size_t said; /* bytes of TLS, to the client */
    size_t heard;
};

/* Makes a server with that identity. With `authority` it wants a client certificate of that one. */
static inline void tls_server_begin(struct tls_server *server, const struct tls_identity *identity,
                                    const struct tls_identity *authority, int version)
{
    memset(server, 0, sizeof *server);
    server->context = SSL_CTX_new(TLS_server_method());
    tls_peer_must(server->context != NULL);
    tls_peer_must(SSL_CTX_use_certificate(server->context, identity->certificate) == 1);
    tls_peer_must(SSL_CTX_use_PrivateKey(server->context, identity->key) == 1);
    if (version != 0) {
        tls_peer_must(SSL_CTX_set_min_proto_version(server->context, version) == 1);
        tls_peer_must(SSL_CTX_set_max_proto_version(server->context, version) == 1);
    }
    SSL_CTX_set_session_id_context(server->context, (const unsigned char *)"t", 1);
    if (authority != NULL) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(server->context), authority->certificate);
        SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
    }
}

/* A new client has come to it. */
static inline void tls_server_accept(struct tls_server *server)
{
    SSL_free(server->ssl);
    server->ssl = SSL_new(server->context);
    server->in = BIO_new(BIO_s_mem());
    server->out = BIO_new(BIO_s_mem());
    tls_peer_must(server->ssl != NULL && server->in != NULL && server->out != NULL);
    SSL_set_bio(server->ssl, server->in, server->out);
    SSL_set_accept_state(server->ssl);
    server->said = server->heard = 0;
}

static inline void tls_server_end(struct tls_server *server)
{
    SSL_free(server->ssl);
    SSL_CTX_free(server->context);
}

/* Takes what the client says, and writes what it can read of it into `buffer`. Returns the length
 * of that, 0 or less if there is none. */
static inline int tls_server_hear(struct tls_server *server, struct tls *client, char *buffer,
                                  int size)
{
    char bytes[512];
    size_t length;

    while ((length = tls_take(client, bytes, sizeof bytes)) > 0) {
        server->heard += length;
        BIO_write(server->in, bytes, (int)length);
    }
    return SSL_read(server->ssl, buffer, size);
}

/* Takes at most `size` bytes of what the server has to say. */
static inline int tls_server_take(struct tls_server *server, char *bytes, int size)
{
    int length = BIO_read(server->out, bytes, size);

    server->said += length > 0 ? (size_t)length : 0;
    return length;
}

#endif
