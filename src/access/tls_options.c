/* TLS, as options and variables say. */
#include "tls_options.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/redis/file.h"
#include "leaderwrap/redis/tls.h"

void tls_options_place(struct cli_place *at, struct tls_options *options)
{
    at[ACCESS_CACERT] = cli_text(&options->cacert);
    at[ACCESS_CERT] = cli_text(&options->cert);
    at[ACCESS_KEY_FILE] = cli_text(&options->key_file);
    at[ACCESS_TLS_SERVER_NAME] = cli_text(&options->server_name);
    at[ACCESS_TLS_INSECURE] = cli_flag(&options->insecure);
}

/* What makes no sense, without TLS or without another option. */
static int check_given(const struct tls_options *options, const struct cli_settings *given,
                       const struct redis_target *target, char *error, size_t size)
{
    static const unsigned ids[] = {ACCESS_CACERT, ACCESS_CERT, ACCESS_KEY_FILE,
                                   ACCESS_TLS_SERVER_NAME, ACCESS_TLS_INSECURE};
    static const unsigned only_cert[] = {ACCESS_KEY_FILE};
    size_t count = options->insecure ? 5 : 4;

    if (!target->url.is_tls)
        return cli_refuse_given(given, ids, count, "addresses with TLS (rediss://)", error, size);
    if (options->cert == NULL)
        return cli_refuse_given(given, only_cert, 1, "the certificate that --cert names", error,
                                size);
    return 0;
}

static int check_name(const struct tls_options *options, const struct cli_settings *given,
                      char *error, size_t size)
{
    if (options->server_name == NULL ||
        (options->server_name[0] != '\0' && strlen(options->server_name) < 254))
        return 0;
    cli_complain(given, ACCESS_TLS_SERVER_NAME, error, size, "the name is %s",
                 options->server_name[0] == '\0' ? "empty" : "longer than 253 bytes");
    return -1;
}

/* Copies what may be NULL. Return 0 or -1. */
static int copy_path(char **to, const char *path)
{
    *to = path != NULL ? file_absolute_path(path) : NULL;
    return path == NULL || *to != NULL ? 0 : -1;
}

static int copy_text(char **to, const char *text)
{
    *to = text != NULL ? strdup(text) : NULL;
    return text == NULL || *to != NULL ? 0 : -1;
}

/* What can be read once only is of no use at the next connect. */
static int check_path(const char *path, const struct cli_settings *given, enum access_option id,
                      char *error, size_t size)
{
    const char *problem = path != NULL ? file_check_path(path) : NULL;

    if (problem == NULL)
        return 0;
    cli_complain(given, id, error, size, "%s", problem);
    return -1;
}

int tls_options_take(const struct tls_options *options, const struct cli_settings *given,
                     struct redis_target *target, char *error, size_t size)
{
    struct tls_files *files = &target->tls;

    if (check_given(options, given, target, error, size) != 0 ||
        check_name(options, given, error, size) != 0 ||
        check_path(options->cacert, given, ACCESS_CACERT, error, size) != 0 ||
        check_path(options->cert, given, ACCESS_CERT, error, size) != 0 ||
        check_path(options->key_file, given, ACCESS_KEY_FILE, error, size) != 0)
        return EXIT_USAGE;
    if (!target->url.is_tls)
        return 0;
    files->insecure = options->insecure;
    if (copy_path(&files->authorities, options->cacert) != 0 ||
        copy_path(&files->certificate, options->cert) != 0 ||
        copy_path(&files->key, options->key_file) != 0 ||
        copy_text(&files->server_name, options->server_name) != 0) {
        snprintf(error, size, "out of memory");
        return EXIT_OWN_FAILURE;
    }
    if (tls_load(&files->backend, error, size) != 0)
        return EXIT_OWN_FAILURE;
    return tls_check_files(files, error, size) == 0 ? 0 : EXIT_USAGE;
}
