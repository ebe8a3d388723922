/*
 * From the options about Redis to a target: addresses, sentinels, cluster, passwords, TLS. They are
 * the same for each program of the project, which puts ACCESS_ROWS into its table: they stand there
 * together, in this order.
 */
#ifndef LEADERWRAP_ACCESS_REDIS_OPTIONS_H
#define LEADERWRAP_ACCESS_REDIS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/cli/place.h"
#include "leaderwrap/cli/settings.h"
#include "leaderwrap/redis/target.h"

/* What both programs exit with (sysexits.h, and 125 as of env(1)). */
#define EXIT_USAGE       64
#define EXIT_UNREACHABLE 69
#define EXIT_OWN_FAILURE 125

/* Their numbers, counted from the first of them in a table. */
enum access_option {
    ACCESS_REDIS,
    ACCESS_SENTINEL,
    ACCESS_CLUSTER,
    ACCESS_PASSWORD_FILE,
    ACCESS_SENTINEL_USER,
    ACCESS_SENTINEL_PASSWORD_FILE,
    ACCESS_CACERT,
    ACCESS_CERT,
    ACCESS_KEY_FILE,
    ACCESS_TLS_SERVER_NAME,
    ACCESS_TLS_INSECURE,
    ACCESS_COUNT,
};

#define ACCESS_ROW(section_, name_, letter_, takes_, help_, fallback_)                             \
    {                                                                                              \
        .section = (section_), .name = (name_), .letter = (letter_), takes_, .help = (help_),      \
        .fallback = (fallback_)                                                                    \
    }

/* The rows of a table in which the first one has the number `first`. */
#define ACCESS_ROWS(first)                                                                         \
    [(first) +                                                                                     \
        ACCESS_REDIS] =                                                                            \
        ACCESS_ROW("Redis", "redis", 'u', CLI_TAKES_TEXTS("URL"),                                  \
                   "redis://[user:password@]host[:port][/db], rediss:// for TLS, or "              \
                   "unix:///path[?db=N]; again for each further sentinel or node",                 \
                   "$REDIS_URL, then redis://127.0.0.1:6379/0"),                                   \
        [(first) + ACCESS_SENTINEL] =                                                              \
            ACCESS_ROW(NULL, "sentinel", 0, CLI_TAKES_TEXT("NAME"),                                \
                       "--redis names sentinels, which know the server as NAME; or "               \
                       "redis+sentinel://[user:password@]host[:26379][,host]/NAME[/db]",           \
                       NULL),                                                                      \
        [(first) + ACCESS_CLUSTER] =                                                               \
            ACCESS_ROW(NULL, "cluster", 0, CLI_IS_FLAG,                                            \
                       "--redis names nodes of a cluster; some of them are enough", NULL),         \
        [(first) + ACCESS_PASSWORD_FILE] =                                                         \
            ACCESS_ROW(NULL, "password-file", 0, CLI_TAKES_TEXT("FILE"),                           \
                       "the password is the file's first line, read again at each connect", NULL), \
        [(first) + ACCESS_SENTINEL_USER] =                                                         \
            ACCESS_ROW(NULL, "sentinel-user", 0, CLI_TAKES_TEXT("USER"),                           \
                       "who we are to the sentinels; those of a URL are the server's", NULL),      \
        [(first) + ACCESS_SENTINEL_PASSWORD_FILE] =                                                \
            ACCESS_ROW(NULL, "sentinel-password-file", 0, CLI_TAKES_TEXT("FILE"),                  \
                       "as --password-file, for the sentinels", NULL),                             \
        [(first) + ACCESS_CACERT] =                                                                \
            ACCESS_ROW(NULL, "cacert", 0, CLI_TAKES_TEXT("FILE|DIR"),                              \
                       "the certificate authorities of rediss:// servers: PEM, or a directory of " \
                       "openssl rehash",                                                           \
                       "the system's"),                                                            \
        [(first) + ACCESS_CERT] = ACCESS_ROW(                                                      \
            NULL, "cert", 0, CLI_TAKES_TEXT("FILE"),                                               \
            "our own certificate (PEM) for a rediss:// server that asks for one", NULL),           \
        [(first) + ACCESS_KEY_FILE] = ACCESS_ROW(NULL, "key-file", 0, CLI_TAKES_TEXT("FILE"),      \
                                                 "its private key (PEM)", "the file of --cert"),   \
        [(first) + ACCESS_TLS_SERVER_NAME] =                                                       \
            ACCESS_ROW(NULL, "tls-server-name", 0, CLI_TAKES_TEXT("NAME"),                         \
                       "what the server's certificate has to be for", "the host of the URL"),      \
        [(first) + ACCESS_TLS_INSECURE] = ACCESS_ROW(                                              \
            NULL, "tls-insecure", 0, CLI_IS_FLAG,                                                  \
            "verify no certificate of rediss:// servers: anybody in between can be the server",    \
            NULL)

/* What the options say about TLS. Borrowed from argv and the environment. */
struct tls_options {
    const char *cacert;
    const char *cert;
    const char *key_file;
    const char *server_name;
    bool insecure;
};

/* What the options say. Borrowed from argv and the environment. */
struct redis_options {
    struct cli_texts addresses; /* --redis */
    const char *service;        /* --sentinel */
    bool cluster;
    const char *password_file;
    const char *sentinel_user;
    const char *sentinel_password_file;
    struct tls_options tls;
};

/* Says where the values of these options go: `at` is the place of the first one. */
void redis_options_place(struct cli_place *at, struct redis_options *options);

/* Fills the zeroed `*target` with what `options`, whose first one has the number `first` in the
 * table, REDIS_URL, LEADERWRAP_PASSWORD and LEADERWRAP_SENTINEL_PASSWORD say. Returns 0; or an exit
 * status, with a sentence in `error`. The target is to be cleared in both cases. */
int redis_options_take(const struct redis_options *options, const struct cli_settings *given,
                       size_t first, struct redis_target *target, char *error, size_t size);

#endif
