/* Variables that mean nothing, and a command that is not there. */
#include "advice.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "environment.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/redis/password.h"
#include "option_line.h"

#define PREFIX   "LEADERWRAP_"
#define PASSWORD "LEADERWRAP_PASSWORD="

static void show_variable(const struct option_spec *spec, char *text, size_t size)
{
    if (spec->kind == OPTION_MODE)
        snprintf(text, size, "--%s", spec->name);
    else
        option_variable(spec, text, size);
}

static bool is_known(const char *entry, size_t length)
{
    for (size_t i = 0; i < option_count; i++) {
        char variable[64];
        option_variable(&option_specs[i], variable, sizeof variable);
        if (option_specs[i].kind != OPTION_MODE && strlen(variable) == length &&
            memcmp(variable, entry, length) == 0)
            return true;
    }
    return environment_is_ours(entry) || strncmp(entry, PASSWORD, strlen(PASSWORD)) == 0;
}

static void warn_of_variable(const char *entry, size_t length)
{
    char name[40], near[256];
    size_t used = 0;

    for (size_t i = strlen(PREFIX); i < length && used + 1 < sizeof name; i++)
        name[used++] = entry[i] == '_' ? '-' : (char)tolower((unsigned char)entry[i]);
    option_suggest(name, used, show_variable, near, sizeof near);
    log_line(LOG_LEVEL_WARNING, "unknown_variable", "%.*s in the environment means nothing%s",
             length < 80 ? (int)length : 80, entry, near);
}

void advice_give(const struct options *options)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0 && !is_known(*entry, length))
            warn_of_variable(*entry, length);
    }
    if (options->password_file != NULL && password_file_is_exposed(options->password_file))
        log_line(LOG_LEVEL_WARNING, "exposed",
                 "others may read the password file %.200s: chmod 600 takes that from them",
                 options->password_file);
    if (options->mode == MODE_RUN && options->command == NULL)
        log_line(LOG_LEVEL_WARNING, "counter",
                 "no command was given: the built-in counter increments \"%.80s\" where the lease "
                 "\"%.80s\" is held",
                 options->counter_key, options->key);
}
