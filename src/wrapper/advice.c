/* Variables that mean nothing, and a command that is not there. */
#include "advice.h"

#include <string.h>
#include <unistd.h>

#include "environment.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/redis/file.h"
#include "option_table.h"

static bool is_known(const char *entry, size_t length)
{
    return cli_is_variable(&options_table, entry, length) || environment_is_ours(entry) ||
           environment_is_secret(entry);
}

static void warn_of_variable(const char *entry, size_t length)
{
    char near[256];

    cli_suggest_variables(&options_table, entry, length, near, sizeof near);
    log_line(LOG_LEVEL_WARNING, "unknown_variable", "%.*s in the environment means nothing%s",
             length < 80 ? (int)length : 80, entry, near);
}

static void warn_of_file(const char *what, const char *path)
{
    if (path != NULL && file_is_exposed(path))
        log_line(LOG_LEVEL_WARNING, "exposed",
                 "others may read the %s %.200s: chmod 600 takes that from them", what, path);
}

static void advise_on_tls(const struct tls_files *tls)
{
    warn_of_file("private key", tls->key != NULL ? tls->key : tls->certificate);
    if (tls->insecure)
        log_line(LOG_LEVEL_WARNING, "insecure",
                 "--tls-insecure: no certificate is verified, and whoever is in between can be the "
                 "server, learn the password and make two lead");
}

void advice_give(const struct options *options)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, options_table.prefix, strlen(options_table.prefix)) == 0 &&
            !is_known(*entry, length))
            warn_of_variable(*entry, length);
    }
    warn_of_file("password file", options->redis.password_file);
    warn_of_file("password file", options->redis.sentinel_password_file);
    advise_on_tls(&options->redis.tls);
    if (options->mode == MODE_RUN && options->command == NULL)
        log_line(LOG_LEVEL_WARNING, "counter",
                 "no command was given: the built-in counter increments \"%.80s\" where the lease "
                 "\"%.80s\" is held",
                 options->counter_key, options->key);
}
