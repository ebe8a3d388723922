/* Files as a context of OpenSSL. */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "openssl.h"

/* The latest reason that OpenSSL has for a failure. */
static const char *latest_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    return reason != NULL ? reason : "out of memory";
}

/* A passphrase is never asked for: nobody is there, and the terminal is the command's. */
static int no_passphrase(char *buffer, int size, int writing, void *was_asked)
{
    (void)writing;
    if (size > 0)
        buffer[0] = '\0';
    *(bool *)was_asked = true;
    return -1;
}

static BIO *open_bytes(const struct file_bytes *bytes)
{
    return bytes->length <= INT_MAX ? BIO_new_mem_buf(bytes->bytes, (int)bytes->length) : NULL;
}

/* Reads the next certificate. NULL where there is none any more, or, with `*broken`, none that can
 * be read. */
static X509 *next_certificate(BIO *bio, bool *broken)
{
    bool asked = false;
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked);

    if (certificate == NULL)
        *broken = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
    return certificate;
}

/* Takes the certificate that is at `index` in a file. Returns whether OpenSSL could. */
typedef bool take_fn(void *context, X509 *certificate, int index);

/* Hands on all there are. Returns NULL or what is wrong. */
static const char *take_certificates(const struct file_bytes *bytes, take_fn *take, void *context)
{
    BIO *bio = open_bytes(bytes);
    bool broken = false;
    int count = 0;
    X509 *certificate;

    if (bio == NULL)
        return "out of memory";
    ERR_clear_error();
    while ((certificate = next_certificate(bio, &broken)) != NULL) {
        broken = !take(context, certificate, count);
        X509_free(certificate);
        if (broken)
            break;
        count++;
    }
    BIO_free(bio);
    if (broken)
        return latest_reason();
    return count > 0 ? NULL : "there is no PEM certificate in it";
}

static bool take_authority(void *store, X509 *certificate, int index)
{
    (void)index;
    return X509_STORE_add_cert(store, certificate) == 1;
}

/* Our own comes first, and then those that vouch for it. */
static bool take_link(void *context, X509 *certificate, int index)
{
    return index == 0 ? SSL_CTX_use_certificate(context, certificate) == 1
                      : SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

/* Whose word is taken for who a server is. Returns 0 or -1. */
static int trust(SSL_CTX *context, const struct tls_material *material, char *error, size_t size)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    const char *path = material->files->authorities;
    const char *why = NULL;

    if (material->files->insecure)
        return 0;
    if (path == NULL) {
        if (SSL_CTX_set_default_verify_paths(context) == 1)
            return 0;
        snprintf(error, size, "cannot use the system's certificate authorities: %s",
                 latest_reason());
        return -1;
    }
    /* Whatever is in the file is trusted: an intermediate, or the server's own certificate, too. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (!material->authorities_are_folder)
        why = take_certificates(&material->authorities, take_authority, store);
    else if (X509_STORE_load_path(store, path) != 1)
        why = latest_reason();
    if (why == NULL)
        return 0;
    snprintf(error, size, "cannot use the certificate authorities in %.200s: %s", path, why);
    return -1;
}

/* Returns NULL or what is wrong. */
static const char *use_key(SSL_CTX *context, const struct file_bytes *bytes)
{
    BIO *bio = open_bytes(bytes);
    bool asked = false;
    const char *why = NULL;

    if (bio == NULL)
        return "out of memory";
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    if (key == NULL)
        why = asked ? "it is encrypted, and nobody is there to give the passphrase"
                    : "there is no PEM private key in it";
    else if (SSL_CTX_use_PrivateKey(context, key) != 1)
        why = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH
                  ? "it is not the key of that certificate"
                  : latest_reason();
    EVP_PKEY_free(key);
    BIO_free(bio);
    return why;
}

/* Who we are for the server. Returns 0 or -1. */
static int identify(SSL_CTX *context, const struct tls_material *material, char *error, size_t size)
{
    const struct tls_files *files = material->files;
    const char *why;

    if (material->certificate.bytes == NULL)
        return 0;
    why = take_certificates(&material->certificate, take_link, context);
    if (why != NULL) {
        snprintf(error, size, "cannot use the certificate in %.200s: %s", files->certificate, why);
        return -1;
    }
    why = use_key(context, &material->key);
    if (why == NULL)
        return 0;
    snprintf(error, size, "cannot use the private key in %.200s: %s",
             files->key != NULL ? files->key : files->certificate, why);
    return -1;
}

/* The system's configuration (openssl.cnf(5)) may ask for more than TLS 1.2. */
static int set_versions(SSL_CTX *context)
{
    if (SSL_CTX_get_min_proto_version(context) >= TLS1_2_VERSION)
        return 0;
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 ? 0 : -1;
}

SSL_CTX *openssl_context(const struct tls_material *material, char *error, size_t error_size)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL || set_versions(context) != 0) {
        snprintf(error, error_size, "cannot use OpenSSL: %s", latest_reason());
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (trust(context, material, error, error_size) == 0 &&
        identify(context, material, error, error_size) == 0)
        return context;
    SSL_CTX_free(context);
    return NULL;
}
