/* OpenSSL's findings as sentences that say what to do. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "openssl.h"

#define NAMES_SIZE 160 /* of those that a certificate is for; a line is read by people */
#define SHOWN_SIZE 120
#define TIME_SIZE  32

/* Whoever made a certificate chose what is in it. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

void openssl_show_name(const X509_NAME *name, char *buffer, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int length = 0;

    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        length = BIO_read(bio, buffer, (int)size - 1);
    buffer[length > 0 ? length : 0] = '\0';
    make_printable(buffer);
    BIO_free(bio);
}

void openssl_show_time(const ASN1_TIME *time, char *buffer, size_t size)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1 ||
        strftime(buffer, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(buffer, size, "an unknown time");
}

/* Appends a name behind those that are there already, as far as there is room. */
static void append(char *names, const char *name, int length)
{
    size_t used = strlen(names);

    snprintf(names + used, NAMES_SIZE - used, "%s%.*s", used > 0 ? ", " : "", length, name);
}

static void append_general_name(char *names, const GENERAL_NAME *general)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(general, &type);
    char number[INET6_ADDRSTRLEN];

    if (type == GEN_DNS) {
        append(names, (const char *)ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
    } else if (type == GEN_IPADD) {
        int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
        if ((family == AF_INET || ASN1_STRING_length(value) == 16) &&
            inet_ntop(family, ASN1_STRING_get0_data(value), number, sizeof number) != NULL)
            append(names, number, (int)strlen(number));
    }
}

/* Writes what a certificate is for. */
static void list_names(const X509 *certificate, char names[NAMES_SIZE])
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    names[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
        append_general_name(names, sk_GENERAL_NAME_value(all, i));
    GENERAL_NAMES_free(all);
    if (names[0] == '\0')
        openssl_show_name(X509_get_subject_name(certificate), names, NAMES_SIZE);
    make_printable(names);
}

__attribute__((format(printf, 3, 4))) static void
tell(struct tls_problem *problem, enum lease_failure failure, const char *format, ...)
{
    va_list args;

    problem->failure = failure;
    va_start(args, format);
    vsnprintf(problem->why, sizeof problem->why, format, args);
    va_end(args);
}

static void tell_of_name(const X509 *certificate, const char *name, struct tls_problem *problem)
{
    char names[NAMES_SIZE];

    list_names(certificate, names);
    tell(problem, LEASE_FAILURE_CONFIGURATION,
         "its certificate is for %s, not for %.200s: use such a name in the URL, or "
         "--tls-server-name",
         names[0] != '\0' ? names : "nobody", name);
}

static void tell_of_authority(const X509 *certificate, const char *authorities,
                              struct tls_problem *problem)
{
    char issuer[SHOWN_SIZE];

    openssl_show_name(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    tell(problem, LEASE_FAILURE_CONFIGURATION,
         "its certificate was issued by %s, which is not among the authorities %s%.200s: give its "
         "own with --cacert",
         issuer[0] != '\0' ? issuer : "nobody", authorities != NULL ? "in " : "of this system",
         authorities != NULL ? authorities : "");
}

/* A clock that is wrong at the boot of a host is set right soon. */
static void tell_of_time(const X509 *certificate, bool expired, struct tls_problem *problem)
{
    char subject[SHOWN_SIZE], when[TIME_SIZE];

    openssl_show_name(X509_get_subject_name(certificate), subject, sizeof subject);
    openssl_show_time(expired ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate),
                      when, sizeof when);
    if (expired)
        tell(problem, LEASE_FAILURE_CONFIGURATION, "the certificate of %s expired at %s: renew it",
             subject, when);
    else
        tell(problem, LEASE_FAILURE_TRANSIENT,
             "the certificate of %s is not valid before %s: is the clock of this host right?",
             subject, when);
}

void openssl_explain_certificate(X509_STORE_CTX *store, const char *name, const char *authorities,
                                 struct tls_problem *problem)
{
    int error = X509_STORE_CTX_get_error(store);
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);

    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        tell_of_name(X509_STORE_CTX_get0_cert(store), name, problem);
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        tell_of_authority(certificate, authorities, problem);
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        tell_of_time(certificate, error == X509_V_ERR_CERT_HAS_EXPIRED, problem);
        return;
    default:
        tell(problem, LEASE_FAILURE_CONFIGURATION, "its certificate does not do: %s",
             X509_verify_cert_error_string(error));
    }
}

/* What the peer may hold against our certificate. */
static bool is_refusal(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: /* all that TLS 1.2 has to say of a missing one */
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

static bool is_about_version(int reason)
{
    return reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION ||
           reason == SSL_R_WRONG_SSL_VERSION;
}

void openssl_explain_error(const struct openssl_own *own, struct tls_problem *problem)
{
    unsigned long error = ERR_get_error();
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);

    ERR_clear_error();
    if (text == NULL)
        text = "unknown error";
    if (own->wanted && own->certificate == NULL && is_refusal(reason))
        tell(problem, LEASE_FAILURE_CONFIGURATION,
             "it asks for a client certificate: give one with --cert and --key-file (%s)", text);
    else if (own->wanted && is_refusal(reason))
        tell(problem, LEASE_FAILURE_CONFIGURATION, "it refuses the certificate in %.200s: %s",
             own->certificate, text);
    else if (is_about_version(reason))
        tell(problem, LEASE_FAILURE_CONFIGURATION, "it does not speak TLS 1.2 or 1.3: %s", text);
    else
        tell(problem, LEASE_FAILURE_TRANSIENT, "TLS does not work: %s", text);
}
