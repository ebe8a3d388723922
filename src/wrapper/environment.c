/* The command's environment. */
#include "environment.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leaderwrap/keeper/keeper.h"

static const char *const own_variables[] = {
    "LEADERWRAP_KEY=",   "LEADERWRAP_ID=",    "LEADERWRAP_NAME=",  "LEADERWRAP_TTL_MS=",
    "LEADERWRAP_LEASE=", "LEADERWRAP_TOKEN=", "LEADERWRAP_EVENT=", "LEADERWRAP_REASON=",
};

#define OWN_COUNT (sizeof own_variables / sizeof own_variables[0])

/* A service manager's words to leaderwrap. */
static const char *const manager_variables[] = {
    "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="};

#define MANAGER_COUNT (sizeof manager_variables / sizeof manager_variables[0])

/* They hold our password, or may. An application that needs one has its own, such as REDIS_URL. */
static const char *const secret_variables[] = {
    "LEADERWRAP_PASSWORD=", "LEADERWRAP_REDIS=", "LEADERWRAP_SENTINEL_PASSWORD="};

#define SECRET_COUNT (sizeof secret_variables / sizeof secret_variables[0])

static bool is_one_of(const char *entry, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

bool environment_is_ours(const char *entry)
{
    return is_one_of(entry, own_variables, OWN_COUNT);
}

bool environment_is_secret(const char *entry)
{
    return is_one_of(entry, secret_variables, SECRET_COUNT);
}

static bool is_handed_on(const struct options *options, const char *entry)
{
    return !is_one_of(entry, own_variables, OWN_COUNT) && !environment_is_secret(entry) &&
           (options->pass_notify || !is_one_of(entry, manager_variables, MANAGER_COUNT));
}

char **environment_build(const struct options *options, const char *id)
{
    size_t count = 0;
    size_t used = 0;
    char ttl[24];
    char lease[32];

    while (environ[count] != NULL)
        count++;
    char **environment = calloc(count + OWN_COUNT + 1, sizeof *environment);
    if (environment == NULL)
        return NULL;
    snprintf(ttl, sizeof ttl, "%" PRId64, options->timing.ttl_ms);
    snprintf(lease, sizeof lease, "/proc/self/fd/%d", KEEPER_LEASE_FD);
    const char *const values[] = {options->key, id, options->name, ttl,
                                  options->lease_page ? lease : NULL};
    for (size_t i = 0; i < sizeof values / sizeof values[0] && values[i] != NULL; i++) {
        if (asprintf(&environment[used], "%s%s", own_variables[i], values[i]) < 0) {
            environment[used] = NULL;
            environment_free(environment);
            return NULL;
        }
        used++;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_handed_on(options, environ[i]))
            continue;
        environment[used] = strdup(environ[i]);
        if (environment[used++] == NULL) {
            environment_free(environment);
            return NULL;
        }
    }
    return environment;
}

void environment_free(char **environment)
{
    if (environment == NULL)
        return;
    for (size_t i = 0; environment[i] != NULL; i++)
        free(environment[i]);
    free(environment);
}
