/* TLS as a filter, against a peer in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "redis/openssl.h"
#include "redis/tls_filter.h"
#include "unit/tls_peer.h"

#define DAY TLS_PEER_DAY

struct fixture {
    struct tls_identity authority;
    struct tls_identity other_authority;
    struct tls_identity identity; /* of the server */
    struct tls_identity own;      /* ours */
    struct tls_server server;
    struct tls_files files;
    struct tls_material material;
    struct tls_memory *memory;
    struct tls *tls;
    struct tls_problem problem;
    size_t step; /* bytes that arrive at a time; 0: all at once */
    char heard[256];
    size_t heard_length;
    char server_heard[256];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->authority = tls_peer_identity("Authority", NULL, NULL, -DAY, 9 * DAY);
    f->other_authority = tls_peer_identity("Stranger", NULL, NULL, -DAY, 9 * DAY);
    f->own = tls_peer_identity("us", NULL, &f->authority, -DAY, DAY);
    f->files.backend = &leaderwrap_tls_backend;
    f->files.authorities = (char *)"/ca";
    f->material.files = &f->files;
    f->material.authorities.bytes = f->authority.pem;
    f->material.authorities.length = strlen(f->authority.pem);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    tls_free(f->tls);
    tls_forget(&f->files, f->memory);
    tls_server_end(&f->server);
    tls_identity_clear(&f->authority);
    tls_identity_clear(&f->other_authority);
    tls_identity_clear(&f->identity);
    tls_identity_clear(&f->own);
    free(f);
    return 0;
}

static void serve_as(struct fixture *f, struct tls_identity identity, int version)
{
    f->identity = identity;
    tls_server_begin(&f->server, &f->identity, NULL, version);
}

static void serve(struct fixture *f, int version)
{
    serve_as(f,
             tls_peer_identity("redis", "DNS:redis.example,IP:10.0.0.1", &f->authority, -DAY, DAY),
             version);
}

static void show_own(struct fixture *f, const struct tls_identity *own)
{
    f->files.certificate = (char *)"/own";
    f->material.certificate.bytes = (char *)own->pem;
    f->material.certificate.length = strlen(own->pem);
    f->material.key.bytes = (char *)own->key_pem;
    f->material.key.length = strlen(own->key_pem);
}

static void connect_to(struct fixture *f, const char *host)
{
    tls_free(f->tls);
    f->tls = NULL;
    f->heard_length = 0;
    assert_int_equal(
        leaderwrap_tls_backend.make(&f->tls, &f->material, host, &f->memory, &f->problem), 0);
    if (f->server.context != NULL)
        tls_server_accept(&f->server);
}

/* Reads all that there is. Returns 0, or -1 where it is good for nothing any more. */
static int read_all(struct fixture *f)
{
    int length;

    while ((length = tls_read(f->tls, f->heard + f->heard_length, sizeof f->heard - f->heard_length,
                              &f->problem)) > 0)
        f->heard_length += (size_t)length;
    return length;
}

static int feed_in_steps(struct fixture *f, const char *bytes, size_t length)
{
    size_t step = f->step > 0 ? f->step : length;

    for (size_t at = 0; at < length; at += step) {
        tls_feed(f->tls, bytes + at, length - at < step ? length - at : step);
        if (read_all(f) != 0)
            return -1;
    }
    return 0;
}

/* Lets both talk until neither has anything to say. Returns 0, or -1 as read_all. */
static int talk(struct fixture *f)
{
    char bytes[8192];
    int result = read_all(f);
    int length;

    do {
        int heard =
            tls_server_hear(&f->server, f->tls, f->server_heard, (int)sizeof f->server_heard - 1);
        if (heard > 0)
            f->server_heard[heard] = '\0';
        length = tls_server_take(&f->server, bytes, sizeof bytes);
        if (length > 0 && result == 0)
            result = feed_in_steps(f, bytes, length);
    } while (length > 0);
    return result;
}

static void assert_fails(struct fixture *f, enum lease_failure failure, const char *part)
{
    assert_int_equal(talk(f), -1);
    assert_int_equal(f->problem.failure, failure);
    if (strstr(f->problem.why, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", f->problem.why, part);
    assert_int_equal(f->heard_length, 0);
}

static void says_and_hears(struct fixture *f)
{
    assert_int_equal(talk(f), 0);
    assert_true(tls_is_open(f->tls));
    assert_int_equal(tls_write(f->tls, "PING", 4), 0);
    assert_int_equal(SSL_write(f->server.ssl, "PONG", 4), 4);
    assert_int_equal(talk(f), 0);
    assert_string_equal(f->server_heard, "PING");
    assert_int_equal(f->heard_length, 4);
    assert_memory_equal(f->heard, "PONG", 4);
}

static void carries_both_ways_in_whatever_pieces(void **state)
{
    static const size_t steps[] = {0, 1, 7, 1000};
    struct fixture *f = *state;

    serve(f, 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        f->step = steps[i];
        connect_to(f, "redis.example");
        assert_false(tls_is_open(f->tls));
        says_and_hears(f);
    }
}

static void tells_what_protects_it(void **state)
{
    struct fixture *f = *state;
    struct tls_peer peer;

    serve(f, TLS1_2_VERSION);
    connect_to(f, "redis.example");
    says_and_hears(f);
    tls_describe(f->tls, &peer);
    assert_string_equal(peer.version, "TLSv1.2");
    assert_string_equal(peer.subject, "CN=redis");
    assert_string_equal(peer.issuer, "CN=Authority");
    assert_non_null(strstr(peer.expires, " UTC"));
    assert_true(peer.verified);
}

static void accepts_a_name_or_a_number_that_the_certificate_is_for(void **state)
{
    static const char *const good[] = {"redis.example", "REDIS.example.", "10.0.0.1"};
    struct fixture *f = *state;

    serve(f, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        connect_to(f, good[i]);
        says_and_hears(f);
        const char *sni = SSL_get_servername(f->server.ssl, TLSEXT_NAMETYPE_host_name);
        /* A number is none of a name. */
        assert_true((sni == NULL) == (good[i][0] == '1'));
    }
}

static void refuses_a_certificate_for_somebody_else(void **state)
{
    static const char *const bad[] = {"redis2.example", "10.0.0.2", "example", "::1"};
    struct fixture *f = *state;

    serve(f, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        connect_to(f, bad[i]);
        assert_fails(f, LEASE_FAILURE_CONFIGURATION,
                     "its certificate is for redis.example, 10.0.0.1, not for ");
        assert_false(tls_is_open(f->tls));
    }
}

static void a_wildcard_stands_for_a_whole_label(void **state)
{
    struct fixture *f = *state;

    serve_as(
        f,
        tls_peer_identity("w", "DNS:*.one.example,DNS:red*.two.example", &f->authority, -DAY, DAY),
        0);
    connect_to(f, "redis.one.example");
    says_and_hears(f);
    connect_to(f, "redis.two.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION, "not for redis.two.example");
}

static void a_given_name_stands_for_the_host(void **state)
{
    struct fixture *f = *state;

    serve(f, 0);
    f->files.server_name = (char *)"redis.example";
    connect_to(f, "127.0.0.1");
    says_and_hears(f);
    f->files.server_name = (char *)"other.example";
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION, "not for other.example");
}

static void refuses_an_unknown_authority(void **state)
{
    struct fixture *f = *state;

    serve_as(f, tls_peer_identity("r", "DNS:redis.example", &f->other_authority, -DAY, DAY), 0);
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION,
                 "issued by CN=Stranger, which is not among the authorities in /ca");
}

static void a_certificate_that_is_itself_among_the_authorities_will_do(void **state)
{
    struct fixture *f = *state;

    serve_as(f, tls_peer_identity("r", "DNS:redis.example", &f->other_authority, -DAY, DAY), 0);
    f->material.authorities.bytes = f->identity.pem;
    f->material.authorities.length = strlen(f->identity.pem);
    connect_to(f, "redis.example");
    says_and_hears(f);
}

static void refuses_a_certificate_out_of_its_time(void **state)
{
    struct fixture *f = *state;

    serve_as(f, tls_peer_identity("r", "DNS:redis.example", &f->authority, -2 * DAY, -DAY), 0);
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION, "the certificate of CN=r expired at 2");
    tls_server_end(&f->server);
    tls_identity_clear(&f->identity);
    /* A host that has just booted may have no clock yet. */
    serve_as(f, tls_peer_identity("r", "DNS:redis.example", &f->authority, DAY, 2 * DAY), 0);
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_TRANSIENT, "is not valid before 2");
}

static void insecure_is_insecure(void **state)
{
    struct fixture *f = *state;
    struct tls_peer peer;

    serve_as(f, tls_peer_identity("r", NULL, &f->other_authority, -2 * DAY, -DAY), 0);
    f->files.insecure = true;
    connect_to(f, "redis.example");
    says_and_hears(f);
    tls_describe(f->tls, &peer);
    assert_false(peer.verified);
}

static void a_client_certificate_is_asked_for(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct fixture *f = *state;
    struct tls_identity stranger =
        tls_peer_identity("stranger", NULL, &f->other_authority, -DAY, DAY);

    f->identity = tls_peer_identity("r", "DNS:redis.example", &f->authority, -DAY, DAY);
    for (size_t i = 0; i < 2; i++) {
        tls_server_begin(&f->server, &f->identity, &f->authority, versions[i]);
        f->files.certificate = NULL;
        memset(&f->material.certificate, 0, sizeof f->material.certificate);
        connect_to(f, "redis.example");
        assert_fails(f, LEASE_FAILURE_CONFIGURATION,
                     "it asks for a client certificate: give one with --cert and --key-file");
        show_own(f, &stranger);
        connect_to(f, "redis.example");
        assert_fails(f, LEASE_FAILURE_CONFIGURATION, "it refuses the certificate in /own");
        show_own(f, &f->own);
        connect_to(f, "redis.example");
        says_and_hears(f);
        tls_server_end(&f->server);
    }
    memset(&f->server, 0, sizeof f->server);
    tls_identity_clear(&stranger);
}

/* Whoever goes without a word may have meant our certificate. */
static void an_end_without_a_word_is_told_with_what_may_be_behind_it(void **state)
{
    struct fixture *f = *state;
    char bytes[8192];

    f->identity = tls_peer_identity("r", "DNS:redis.example", &f->authority, -DAY, DAY);
    tls_server_begin(&f->server, &f->identity, &f->authority, TLS1_3_VERSION);
    connect_to(f, "redis.example");
    tls_ended(f->tls, "gone", &f->problem);
    assert_string_equal(f->problem.why, "gone in the TLS handshake");
    assert_int_equal(read_all(f), 0);
    tls_server_hear(&f->server, f->tls, f->server_heard, 1);
    int length = tls_server_take(&f->server, bytes, sizeof bytes);
    assert_int_equal(feed_in_steps(f, bytes, length), 0);
    assert_true(tls_is_open(f->tls));
    tls_ended(f->tls, "gone", &f->problem);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_TRANSIENT);
    assert_string_equal(
        f->problem.why,
        "gone; it had asked for a client certificate: give one with --cert and --key-file");
}

static void assert_bytes_fail(struct fixture *f, const void *bytes, size_t length,
                              enum lease_failure failure, const char *part)
{
    connect_to(f, "redis.example");
    assert_int_equal(read_all(f), 0);
    assert_int_equal(feed_in_steps(f, bytes, length), -1);
    /* Now and later. */
    assert_int_equal(read_all(f), -1);
    assert_int_equal(f->problem.failure, failure);
    if (strstr(f->problem.why, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", f->problem.why, part);
}

static void names_a_peer_that_speaks_no_tls(void **state)
{
    static const char redis[] = "-ERR unknown command\r\n";
    struct fixture *f = *state;

    f->step = 1;
    assert_bytes_fail(f, redis, strlen(redis), LEASE_FAILURE_TRANSIENT,
                      "it does not speak TLS, but says \"-\"");
    f->step = 0;
    assert_bytes_fail(f, redis, strlen(redis), LEASE_FAILURE_TRANSIENT,
                      "says \"-ERR unknown command\": is that its port for redis://?");
    assert_bytes_fail(f, "\0\1\2", 3, LEASE_FAILURE_TRANSIENT, "says \"...\"");
}

static void garbage_and_alerts_end_it(void **state)
{
    struct fixture *f = *state;

    assert_bytes_fail(f, "\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9, LEASE_FAILURE_TRANSIENT,
                      "TLS does not work: ");
    assert_bytes_fail(f, "\x16garbage garbage garbage", 24, LEASE_FAILURE_TRANSIENT,
                      "TLS does not work: ");
    assert_bytes_fail(f, "\x15\x03\x01\x00\x02\x02\x46", 7, LEASE_FAILURE_CONFIGURATION,
                      "it does not speak TLS 1.2 or 1.3");
    assert_bytes_fail(f, "\x15\x03\x03\x00\x02\x02\x28", 7, LEASE_FAILURE_TRANSIENT,
                      "TLS does not work: ");
}

/* Connects, and has a record of the server's that was not fed yet. Returns its length. */
static size_t connect_and_take_a_record(struct fixture *f, char *bytes, size_t size)
{
    serve(f, 0);
    connect_to(f, "redis.example");
    says_and_hears(f);
    f->heard_length = 0;
    assert_int_equal(SSL_write(f->server.ssl, "MORE", 4), 4);
    return (size_t)tls_server_take(&f->server, bytes, size);
}

/* Part of a record is nothing; and the end is told as one, whether it was announced or not. */
static void a_record_that_was_cut_says_nothing(void **state)
{
    struct fixture *f = *state;
    char bytes[8192];
    size_t length = connect_and_take_a_record(f, bytes, sizeof bytes);
    assert_int_equal(feed_in_steps(f, bytes, length - 1), 0);
    assert_int_equal(f->heard_length, 0);
    tls_ended(f->tls, "gone", &f->problem);
    assert_string_equal(f->problem.why, "gone");
}

static void a_record_that_was_changed_is_refused(void **state)
{
    struct fixture *f = *state;
    char bytes[8192];
    size_t length = connect_and_take_a_record(f, bytes, sizeof bytes);
    bytes[length - 1] ^= 1;
    assert_int_equal(feed_in_steps(f, bytes, length), -1);
    assert_int_equal(f->heard_length, 0);
}

static void good_byes_are_said_and_heard(void **state)
{
    struct fixture *f = *state;

    serve(f, 0);
    connect_to(f, "redis.example");
    says_and_hears(f);
    tls_close(f->tls);
    assert_int_equal(tls_server_hear(&f->server, f->tls, f->server_heard, 1), 0);
    assert_int_equal(SSL_get_error(f->server.ssl, 0), SSL_ERROR_ZERO_RETURN);
    connect_to(f, "redis.example");
    says_and_hears(f);
    f->heard_length = 0;
    SSL_shutdown(f->server.ssl);
    assert_fails(f, LEASE_FAILURE_TRANSIENT, "the server closed it");
}

static bool is_resumed(struct fixture *f)
{
    struct tls_peer peer;

    connect_to(f, "redis.example");
    says_and_hears(f);
    tls_describe(f->tls, &peer);
    assert_int_equal(peer.resumed, SSL_session_reused(f->server.ssl));
    return peer.resumed;
}

static void a_session_is_taken_up_where_that_spares_a_round_trip(void **state)
{
    struct fixture *f = *state;

    serve(f, TLS1_2_VERSION);
    assert_false(is_resumed(f));
    size_t full = f->server.said;
    assert_true(is_resumed(f));
    assert_true(f->server.said < full);
    assert_true(is_resumed(f));
}

static void a_session_is_of_its_files_and_its_name(void **state)
{
    struct fixture *f = *state;
    char both[2 * TLS_PEER_PEM_SIZE];

    serve_as(f, tls_peer_identity("r", "DNS:redis.example,DNS:b", &f->authority, -DAY, DAY),
             TLS1_2_VERSION);
    assert_false(is_resumed(f));
    f->files.server_name = (char *)"b";
    assert_false(is_resumed(f));
    snprintf(both, sizeof both, "%s%s", f->other_authority.pem, f->authority.pem);
    f->material.authorities.bytes = both;
    f->material.authorities.length = strlen(both);
    assert_false(is_resumed(f));
    /* An authority that is not trusted any more cannot come in through a session. */
    f->material.authorities.length = strlen(f->other_authority.pem);
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION, "not among the authorities");
}

static void tls_1_3_needs_no_session(void **state)
{
    struct fixture *f = *state;

    serve(f, TLS1_3_VERSION);
    assert_false(is_resumed(f));
    assert_false(is_resumed(f));
    assert_null(f->memory);
}

/* Files */

static char folder[] = "/tmp/lw-tls-XXXXXX";

static char *path_of(const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static void put(const char *name, const char *text)
{
    char *path = path_of(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

static void assert_files(struct fixture *f, const char *authorities, const char *certificate,
                         const char *key, const char *problem)
{
    char error[512] = "";

    f->files.authorities = authorities != NULL ? path_of(authorities) : NULL;
    f->files.certificate = certificate != NULL ? path_of(certificate) : NULL;
    f->files.key = key != NULL ? path_of(key) : NULL;
    int result = tls_check_files(&f->files, error, sizeof error);
    if (strstr(error, problem != NULL ? problem : "") == NULL || (problem == NULL) != (result == 0))
        fail_msg("%s/%s/%s: %d \"%s\"", authorities, certificate, key, result, error);
    /* As it is told at each connect. */
    if (problem != NULL) {
        assert_int_equal(tls_new(&f->tls, &f->files, "h", &f->memory, &f->problem), -1);
        assert_int_equal(f->problem.failure, LEASE_FAILURE_CONFIGURATION);
        assert_string_equal(f->problem.why, error);
    }
    free(f->files.authorities);
    free(f->files.certificate);
    free(f->files.key);
}

static void files_are_tried(void **state)
{
    struct fixture *f = *state;
    char both[3 * TLS_PEER_PEM_SIZE], broken[TLS_PEER_PEM_SIZE];
    BIO *bio = BIO_new(BIO_s_mem());

    assert_non_null(mkdtemp(folder));
    put("ca", f->authority.pem);
    put("own", f->own.pem);
    put("key", f->own.key_pem);
    put("other-key", f->authority.key_pem);
    put("text", "no certificate at all\n");
    put("empty", "");
    snprintf(both, sizeof both, "%s%s%s", f->own.key_pem, f->own.pem, f->authority.pem);
    put("both", both);
    snprintf(broken, sizeof broken, "%s", f->authority.pem);
    memset(broken + 100, '*', 20);
    put("broken", broken);
    PEM_write_bio_PrivateKey(bio, f->own.key, EVP_aes_128_cbc(), (const unsigned char *)"x", 1,
                             NULL, NULL);
    both[BIO_read(bio, both, (int)sizeof both - 1)] = '\0';
    BIO_free(bio);
    put("encrypted", both);

    assert_files(f, NULL, NULL, NULL, NULL);
    assert_files(f, "ca", "own", "key", NULL);
    assert_files(f, "ca", "both", NULL, NULL);
    assert_files(f, "nothing", NULL, NULL, "certificate authorities in /tmp/lw-tls-");
    assert_files(f, "nothing", NULL, NULL, "No such file");
    assert_files(f, "text", NULL, NULL, "there is no PEM certificate in it");
    assert_files(f, "empty", NULL, NULL, "there is no PEM certificate in it");
    assert_files(f, "broken", NULL, NULL, "cannot use the certificate authorities in");
    assert_files(f, ".", NULL, NULL, "run openssl rehash on it");
    assert_files(f, "ca", "nothing", "key", "cannot read the certificate in");
    assert_files(f, "ca", "text", "key", "there is no PEM certificate in it");
    assert_files(f, "ca", "own", NULL, "there is no PEM private key in it");
    assert_files(f, "ca", "own", "nothing", "cannot read the private key in");
    assert_files(f, "ca", "own", ".", "it is a directory");
    assert_files(f, "ca", "own", "other-key", "it is not the key of that certificate");
    assert_files(f, "ca", "own", "encrypted", "nobody is there to give the passphrase");

    /* By hash names, as openssl rehash makes them. */
    char hashed[64];
    snprintf(hashed, sizeof hashed, "%08lx.0", X509_subject_name_hash(f->authority.certificate));
    put(hashed, f->authority.pem);
    assert_files(f, ".", NULL, NULL, NULL);
    serve(f, 0);
    f->files.authorities = folder;
    assert_int_equal(tls_new(&f->tls, &f->files, "redis.example", &f->memory, &f->problem), 0);
    tls_server_accept(&f->server);
    says_and_hears(f);

    static const char *const names[] = {"ca",    "own",  "key",    "other-key", "text",
                                        "empty", "both", "broken", "encrypted"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = path_of(names[i]);
        unlink(path);
        free(path);
    }
    char *path = path_of(hashed);
    unlink(path);
    free(path);
    assert_int_equal(rmdir(folder), 0);
}

/* A certificate can say anything of itself. */
static void what_is_shown_fits_into_a_line(void **state)
{
    struct fixture *f = *state;
    char names[2000] = "DNS:a";

    for (int i = 0; i < 100; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), ",DNS:host-%d.example", i);
    serve_as(f, tls_peer_identity("a\nb\x1b[31m", names, &f->authority, -DAY, DAY), 0);
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION, "not for redis.example");
    assert_true(strlen(f->problem.why) < 400);
    tls_server_end(&f->server);
    tls_identity_clear(&f->identity);
    serve_as(f,
             tls_peer_identity("a\nb\x1b[31m", "DNS:redis.example", &f->authority, -2 * DAY, -DAY),
             0);
    connect_to(f, "redis.example");
    assert_fails(f, LEASE_FAILURE_CONFIGURATION, "expired");
    for (const char *at = f->problem.why; *at != '\0'; at++)
        assert_true(*at >= ' ' && *at <= '~');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(carries_both_ways_in_whatever_pieces),
        TEST(tells_what_protects_it),
        TEST(accepts_a_name_or_a_number_that_the_certificate_is_for),
        TEST(refuses_a_certificate_for_somebody_else),
        TEST(a_wildcard_stands_for_a_whole_label),
        TEST(a_given_name_stands_for_the_host),
        TEST(refuses_an_unknown_authority),
        TEST(a_certificate_that_is_itself_among_the_authorities_will_do),
        TEST(refuses_a_certificate_out_of_its_time),
        TEST(insecure_is_insecure),
        TEST(a_client_certificate_is_asked_for),
        TEST(an_end_without_a_word_is_told_with_what_may_be_behind_it),
        TEST(names_a_peer_that_speaks_no_tls),
        TEST(garbage_and_alerts_end_it),
        TEST(a_record_that_was_cut_says_nothing),
        TEST(a_record_that_was_changed_is_refused),
        TEST(good_byes_are_said_and_heard),
        TEST(a_session_is_taken_up_where_that_spares_a_round_trip),
        TEST(a_session_is_of_its_files_and_its_name),
        TEST(tls_1_3_needs_no_session),
        TEST(files_are_tried),
        TEST(what_is_shown_fits_into_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
