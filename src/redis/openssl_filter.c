/* One connection's TLS: an SSL between two memory BIOs. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openssl.h"

#define FIRST_WORDS_SIZE 32
#define NAME_SIZE        256
#define DIGEST_SIZE      32

/* Servers made with OpenSSL forget a session after as long. */
#define SESSION_SECONDS 300

/* A session of TLS 1.2, which spares a round trip when it is taken up; TLS 1.3 has no more of them
 * without. It is good only for the files that its server was verified with. */
struct tls_memory {
    SSL_SESSION *session;
    unsigned char digest[DIGEST_SIZE];
};

struct filter {
    struct tls tls;
    SSL *ssl;
    BIO *in;  /* of ssl */
    BIO *out; /* of ssl */
    struct tls_memory **memory;
    unsigned char digest[DIGEST_SIZE];
    char name[NAME_SIZE]; /* that the certificate has to be for */
    char *authorities;    /* for messages; NULL: the system's */
    char *certificate;    /* our own, for messages; NULL: none */
    bool wanted;          /* the peer asked for it */
    bool insecure;
    bool spoke; /* something of its was decrypted */
    size_t heard;
    char first_words[FIRST_WORDS_SIZE]; /* of a peer that speaks no TLS; else empty */
    struct tls_problem problem;         /* that ended it; or empty */
};

static struct filter *filter_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* Says why before OpenSSL makes an alert of it. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct filter *filter = filter_of(ssl);

    if (filter->insecure)
        return 1;
    if (good == 0 && filter->problem.why[0] == '\0')
        openssl_explain_certificate(store, filter->name, filter->authorities, &filter->problem);
    return good;
}

/* Called where the server asks for our certificate (SSL_set_cert_cb(3)). */
static int on_wanted(SSL *ssl, void *unused)
{
    (void)unused;
    filter_of(ssl)->wanted = true;
    return 1;
}

static void forget(struct tls_memory *memory)
{
    SSL_SESSION_free(memory->session);
    free(memory);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct filter *filter = filter_of(ssl);
    struct tls_memory *memory = *filter->memory;

    if (SSL_SESSION_get_protocol_version(session) != TLS1_2_VERSION)
        return 0;
    if (memory == NULL)
        memory = *filter->memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return 0;
    SSL_SESSION_free(memory->session);
    memory->session = session;
    memcpy(memory->digest, filter->digest, sizeof memory->digest);
    return 1;
}

/* Deprecated is what ends in 2038; what does not is newer than the OpenSSL of Debian 12. See
 * SSL_SESSION_get_time(3). */
static time_t begin_of(const SSL_SESSION *session)
{
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
    return SSL_SESSION_get_time_ex(session);
#else
    return SSL_SESSION_get_time(session);
#endif
}

/* Whether the certificate of a session would be accepted again, as far as its time goes. */
static bool is_fresh(const SSL_SESSION *session)
{
    const X509 *certificate = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);

    return certificate != NULL && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0 &&
           time(NULL) - begin_of(session) < SESSION_SECONDS;
}

static int take_up_session(struct filter *filter)
{
    const struct tls_memory *memory = *filter->memory;

    if (memory == NULL || memory->session == NULL || !is_fresh(memory->session) ||
        memcmp(memory->digest, filter->digest, sizeof memory->digest) != 0)
        return 0;
    return SSL_set_session(filter->ssl, memory->session) == 1 ? 0 : -1;
}

static int digest_bytes(EVP_MD_CTX *digest, const void *bytes, size_t length)
{
    return EVP_DigestUpdate(digest, &length, sizeof length) == 1 &&
                   (length == 0 || EVP_DigestUpdate(digest, bytes, length) == 1)
               ? 0
               : -1;
}

/* Of all that decides who a server may be, and who we are. */
static int make_digest(const struct tls_material *material, const char *name,
                       unsigned char digest[DIGEST_SIZE])
{
    const struct file_bytes *const files[] = {&material->authorities, &material->certificate,
                                              &material->key};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int result = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 ? 0 : -1;

    for (size_t i = 0; result == 0 && i < sizeof files / sizeof files[0]; i++)
        result = digest_bytes(context, files[i]->bytes, files[i]->length);
    if (result == 0)
        result = digest_bytes(context, name, strlen(name));
    if (result == 0 && EVP_DigestFinal_ex(context, digest, NULL) != 1)
        result = -1;
    EVP_MD_CTX_free(context);
    return result;
}

static bool is_number(const char *name)
{
    struct in6_addr address;

    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* The host without what is no part of its name: the zone of a link-local address, the dot of a
 * rooted name. */
static void take_name(struct filter *filter, const char *host)
{
    size_t length;

    snprintf(filter->name, sizeof filter->name, "%s", host);
    if (strchr(filter->name, ':') != NULL)
        filter->name[strcspn(filter->name, "%")] = '\0';
    length = strlen(filter->name);
    if (length > 1 && filter->name[length - 1] == '.')
        filter->name[length - 1] = '\0';
}

/* Returns 0 or -1. */
static int expect_name(const struct filter *filter)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(filter->ssl);

    if (is_number(filter->name))
        return filter->insecure || X509_VERIFY_PARAM_set1_ip_asc(parameters, filter->name) == 1
                   ? 0
                   : -1;
    /* RFC 6066: numbers are not sent. */
    if (SSL_set_tlsext_host_name(filter->ssl, filter->name) != 1)
        return -1;
    SSL_set_hostflags(filter->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return filter->insecure || SSL_set1_host(filter->ssl, filter->name) == 1 ? 0 : -1;
}

/* Returns 0 or -1. */
static int set_up(struct filter *filter, SSL_CTX *context)
{
    filter->ssl = SSL_new(context);
    if (filter->ssl == NULL)
        return -1;
    SSL_set_app_data(filter->ssl, filter);
    filter->in = BIO_new(BIO_s_mem());
    filter->out = BIO_new(BIO_s_mem());
    if (filter->in == NULL || filter->out == NULL) {
        BIO_free(filter->in);
        BIO_free(filter->out);
        return -1;
    }
    SSL_set_bio(filter->ssl, filter->in, filter->out);
    SSL_set_connect_state(filter->ssl);
    SSL_set_cert_cb(filter->ssl, on_wanted, NULL);
    SSL_set_verify(filter->ssl, filter->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, on_verify);
    return expect_name(filter) == 0 ? take_up_session(filter) : -1;
}

static bool is_open(const struct tls *tls)
{
    return SSL_is_init_finished(((const struct filter *)tls)->ssl) == 1;
}

static void filter_free(struct tls *tls)
{
    struct filter *filter = (struct filter *)tls;

    /* A connection that was cut is no reason not to take up its session: that is what it is for. */
    if (filter->ssl != NULL && is_open(tls))
        SSL_set_shutdown(filter->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(filter->ssl);
    free(filter->authorities);
    free(filter->certificate);
    free(filter);
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

/* Returns it, or NULL with why in `error`. */
static struct filter *make_filter(const struct tls_material *material, const char *host,
                                  struct tls_memory **memory, SSL_CTX *context)
{
    const struct tls_files *files = material->files;
    struct filter *filter = calloc(1, sizeof *filter);

    if (filter == NULL)
        return NULL;
    filter->tls.backend = &leaderwrap_tls_backend;
    filter->memory = memory;
    filter->insecure = files->insecure;
    filter->authorities = copy(files->authorities);
    filter->certificate = copy(files->certificate);
    take_name(filter, files->server_name != NULL ? files->server_name : host);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    if (make_digest(material, filter->name, filter->digest) == 0 && set_up(filter, context) == 0)
        return filter;
    filter_free(&filter->tls);
    return NULL;
}

static int make(struct tls **out, const struct tls_material *material, const char *host,
                struct tls_memory **memory, struct tls_problem *problem)
{
    SSL_CTX *context = openssl_context(material, problem->why, sizeof problem->why);

    if (context == NULL) {
        problem->failure = LEASE_FAILURE_CONFIGURATION;
        return -1;
    }
    struct filter *filter = make_filter(material, host, memory, context);
    SSL_CTX_free(context);
    if (filter != NULL) {
        *out = &filter->tls;
        return 0;
    }
    problem->failure = LEASE_FAILURE_TRANSIENT;
    snprintf(problem->why, sizeof problem->why, "cannot begin with TLS: %s",
             ERR_peek_last_error() != 0 ? ERR_reason_error_string(ERR_peek_last_error())
                                        : "out of memory");
    ERR_clear_error();
    return -1;
}

static int check(const struct tls_material *material, char *error, size_t error_size)
{
    SSL_CTX *context = openssl_context(material, error, error_size);

    ERR_clear_error();
    SSL_CTX_free(context);
    return context != NULL ? 0 : -1;
}

/* A record of TLS begins with its type (RFC 8446, 5.1): all that a server can begin with are a
 * handshake and an alert. What begins otherwise is kept, fit to be shown. */
static void note_first_words(struct filter *filter, const char *bytes, size_t length)
{
    if (filter->heard == 0 && (bytes[0] == 0x15 || bytes[0] == 0x16))
        return;
    for (size_t i = 0; i < length && i < sizeof filter->first_words - 1; i++) {
        if (bytes[i] == '\r' || bytes[i] == '\n')
            break;
        filter->first_words[i] = (char)(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
    }
}

static void feed(struct tls *tls, const char *bytes, size_t length)
{
    struct filter *filter = (struct filter *)tls;

    if (length == 0)
        return;
    if (filter->heard == 0)
        note_first_words(filter, bytes, length);
    filter->heard += length;
    /* Only memory can be lacking; then a record is not whole, and nobody believes it. */
    (void)BIO_write(filter->in, bytes, (int)length);
}

static void refuse_plain(struct filter *filter)
{
    filter->problem.failure = LEASE_FAILURE_TRANSIENT;
    snprintf(filter->problem.why, sizeof filter->problem.why,
             "it does not speak TLS, but says \"%s\": is that its port for redis://?",
             filter->first_words);
}

/* What became of a read that brought nothing. What was said of a certificate is the reason for all
 * that follows. */
static void explain(struct filter *filter, int error)
{
    const struct openssl_own own = {.certificate = filter->certificate, .wanted = filter->wanted};

    if (filter->problem.why[0] != '\0') {
        ERR_clear_error();
    } else if (error == SSL_ERROR_ZERO_RETURN) {
        filter->problem.failure = LEASE_FAILURE_TRANSIENT;
        snprintf(filter->problem.why, sizeof filter->problem.why, "the server closed it");
    } else {
        openssl_explain_error(&own, &filter->problem);
    }
}

/* Returns as tls_read, with the problem in the filter. */
static int read_some(struct filter *filter, char *buffer, size_t size)
{
    int length, error;

    if (filter->problem.why[0] != '\0')
        return -1;
    if (filter->first_words[0] != '\0') {
        refuse_plain(filter);
        return -1;
    }
    ERR_clear_error();
    length = SSL_read(filter->ssl, buffer, (int)size);
    if (length > 0) {
        filter->spoke = true;
        return length;
    }
    error = SSL_get_error(filter->ssl, length);
    if (error == SSL_ERROR_WANT_READ)
        return 0;
    explain(filter, error);
    return -1;
}

static int read_or_explain(struct tls *tls, char *buffer, size_t size, struct tls_problem *problem)
{
    struct filter *filter = (struct filter *)tls;
    int length = read_some(filter, buffer, size);

    if (length < 0)
        *problem = filter->problem;
    return length;
}

static int write_all(struct tls *tls, const char *bytes, size_t length)
{
    struct filter *filter = (struct filter *)tls;
    size_t written;

    ERR_clear_error();
    return SSL_write_ex(filter->ssl, bytes, length, &written) == 1 && written == length ? 0
                                                                                        : -ENOMEM;
}

static size_t take(struct tls *tls, char *buffer, size_t size)
{
    int length = BIO_read(((struct filter *)tls)->out, buffer, (int)size);

    return length > 0 ? (size_t)length : 0;
}

/* A server need not say why it goes. */
static void ended(const struct tls *tls, const char *how, struct tls_problem *problem)
{
    const struct filter *filter = (const struct filter *)tls;
    const char *hint = "";

    if (filter->wanted && !filter->spoke)
        hint = filter->certificate == NULL
                   ? "; it had asked for a client certificate: give one with --cert and --key-file"
                   : "; it may have refused our certificate";
    problem->failure = LEASE_FAILURE_TRANSIENT;
    snprintf(problem->why, sizeof problem->why, "%s%s%s", how,
             is_open(tls) ? "" : " in the TLS handshake", hint);
}

static void describe(const struct tls *tls, struct tls_peer *peer)
{
    const struct filter *filter = (const struct filter *)tls;
    const X509 *certificate = SSL_get0_peer_certificate(filter->ssl);

    memset(peer, 0, sizeof *peer);
    snprintf(peer->version, sizeof peer->version, "%s", SSL_get_version(filter->ssl));
    snprintf(peer->cipher, sizeof peer->cipher, "%s", SSL_get_cipher_name(filter->ssl));
    peer->verified = !filter->insecure;
    peer->resumed = SSL_session_reused(filter->ssl) == 1;
    if (certificate == NULL)
        return;
    openssl_show_name(X509_get_subject_name(certificate), peer->subject, sizeof peer->subject);
    openssl_show_name(X509_get_issuer_name(certificate), peer->issuer, sizeof peer->issuer);
    openssl_show_time(X509_get0_notAfter(certificate), peer->expires, sizeof peer->expires);
}

static void say_good_bye(struct tls *tls)
{
    ERR_clear_error();
    if (is_open(tls))
        (void)SSL_shutdown(((struct filter *)tls)->ssl);
    ERR_clear_error();
}

__attribute__((visibility("default"))) const struct tls_backend leaderwrap_tls_backend = {
    .version = LEADERWRAP_VERSION,
    .check = check,
    .make = make,
    .feed = feed,
    .read = read_or_explain,
    .write = write_all,
    .take = take,
    .is_open = is_open,
    .ended = ended,
    .describe = describe,
    .close = say_good_bye,
    .free = filter_free,
    .forget = forget,
};
