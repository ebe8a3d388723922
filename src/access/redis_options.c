/* Where Redis is, as options and variables say. */
#include "leaderwrap/access/redis_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/file.h"
#include "leaderwrap/redis/password.h"
#include "tls_options.h"

#define DEFAULT_REDIS "redis://127.0.0.1:6379/0"
#define SHOWN_VALUE   80 /* of a bad value, in an error message */

void redis_options_place(struct cli_place *at, struct redis_options *options)
{
    at[ACCESS_REDIS] = cli_texts(&options->addresses);
    at[ACCESS_SENTINEL] = cli_text(&options->service);
    at[ACCESS_CLUSTER] = cli_flag(&options->cluster);
    at[ACCESS_PASSWORD_FILE] = cli_text(&options->password_file);
    at[ACCESS_SENTINEL_USER] = cli_text(&options->sentinel_user);
    at[ACCESS_SENTINEL_PASSWORD_FILE] = cli_text(&options->sentinel_password_file);
    tls_options_place(at, &options->tls);
}

static int out_of_memory(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return EXIT_OWN_FAILURE;
}

/* Copies a text that may be NULL. Returns 0 or -1. */
static int copy(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL ? 0 : -1;
}

static int set_file(char **file, const char *path, const struct cli_settings *given,
                    enum access_option id, char *error, size_t size)
{
    *file = file_absolute_path(path);
    if (*file == NULL)
        return out_of_memory(error, size);
    const char *problem = password_check_file(*file);
    if (problem == NULL)
        return 0;
    cli_complain(given, id, error, size, "cannot read the password file %.*s: %s", SHOWN_VALUE,
                 path, problem);
    return EXIT_USAGE;
}

/* What leads to the server, and what the sentinels are asked for. */
static int set_kind(const struct redis_options *options, const struct cli_settings *given,
                    struct redis_target *target, char *error, size_t size)
{
    if (options->cluster && options->service != NULL) {
        cli_complain(given, ACCESS_SENTINEL, error, size,
                     "a cluster needs no sentinels: leave out one of --sentinel and --cluster");
        return EXIT_USAGE;
    }
    target->kind = options->cluster           ? REDIS_CLUSTER
                   : options->service != NULL ? REDIS_SENTINELS
                                              : REDIS_SERVER;
    if (options->service == NULL)
        return 0;
    const char *problem = redis_check_service(options->service);
    if (problem != NULL) {
        cli_complain(given, ACCESS_SENTINEL, error, size, "the option %s", problem);
        return EXIT_USAGE;
    }
    return copy(&target->service, options->service) == 0 ? 0 : out_of_memory(error, size);
}

static int set_addresses(const struct redis_options *options, const struct cli_settings *given,
                         struct redis_target *target, char *error, size_t size)
{
    const char *variable = getenv("REDIS_URL");
    const char *usual[] = {variable != NULL ? variable : DEFAULT_REDIS};
    bool own = options->addresses.count > 0;
    const char *const *list = own ? options->addresses.list : usual;
    size_t count = own ? options->addresses.count : 1;
    char problem[300];

    for (size_t i = 0; i < count; i++) {
        if (redis_target_add(target, list[i], problem, sizeof problem) == 0)
            continue;
        cli_complain(given, ACCESS_REDIS, error, size, "%s%s",
                     own                ? ""
                     : variable != NULL ? "REDIS_URL: "
                                        : "the usual address: ",
                     problem);
        return EXIT_USAGE;
    }
    target->password_from = !own                                          ? "REDIS_URL"
                            : cli_source(given, ACCESS_REDIS) == CLI_LINE ? "--redis"
                                                                          : "LEADERWRAP_REDIS";
    return 0;
}

/* Whether the addresses make sense together with what they are said to be of. */
static int check_addresses(const struct cli_settings *given, const struct redis_target *target,
                           char *error, size_t size)
{
    const char *problem = NULL;
    enum access_option id = ACCESS_REDIS;

    if (target->kind == REDIS_SERVER && target->seed_count > 1)
        problem = "several addresses are those of sentinels, with --sentinel NAME, or of the nodes "
                  "of a cluster, with --cluster: say which";
    else if (target->kind == REDIS_SENTINELS && target->service == NULL)
        problem = "the sentinels' name for their master is missing: write "
                  "redis+sentinel://host/NAME, or give --sentinel NAME";
    else if (target->kind == REDIS_CLUSTER && target->url.database != 0)
        problem = "a cluster has the database 0 only";
    if (problem == NULL)
        return 0;
    cli_complain(given, id, error, size, "%s", problem);
    return EXIT_USAGE;
}

static int set_password(const struct redis_options *options, const struct cli_settings *given,
                        struct redis_target *target, char *error, size_t size)
{
    const char *password = getenv("LEADERWRAP_PASSWORD");

    if (options->password_file != NULL)
        return set_file(&target->password_file, options->password_file, given, ACCESS_PASSWORD_FILE,
                        error, size);
    if (target->url.password != NULL || password == NULL)
        return 0;
    target->password_from = "LEADERWRAP_PASSWORD";
    return copy(&target->url.password, password) == 0 ? 0 : out_of_memory(error, size);
}

/* Sentinels have users and passwords of their own. */
static int set_sentinel_password(const struct redis_options *options,
                                 const struct cli_settings *given, struct redis_target *target,
                                 char *error, size_t size)
{
    static const unsigned ids[] = {ACCESS_SENTINEL_USER, ACCESS_SENTINEL_PASSWORD_FILE};

    if (target->kind != REDIS_SENTINELS)
        return cli_refuse_given(given, ids, 2, "sentinels (--sentinel NAME)", error, size) == 0
                   ? 0
                   : EXIT_USAGE;
    target->sentinel_password_from = "LEADERWRAP_SENTINEL_PASSWORD";
    if (copy(&target->sentinel_user, options->sentinel_user) != 0)
        return out_of_memory(error, size);
    if (options->sentinel_password_file != NULL)
        return set_file(&target->sentinel_password_file, options->sentinel_password_file, given,
                        ACCESS_SENTINEL_PASSWORD_FILE, error, size);
    return copy(&target->sentinel_password, getenv("LEADERWRAP_SENTINEL_PASSWORD")) == 0
               ? 0
               : out_of_memory(error, size);
}

static int take(const struct redis_options *options, const struct cli_settings *given,
                struct redis_target *target, char *error, size_t size)
{
    int status = set_kind(options, given, target, error, size);

    if (status == 0)
        status = set_addresses(options, given, target, error, size);
    if (status == 0)
        status = check_addresses(given, target, error, size);
    if (status == 0)
        status = set_password(options, given, target, error, size);
    if (status == 0)
        status = set_sentinel_password(options, given, target, error, size);
    if (status == 0)
        status = tls_options_take(&options->tls, given, target, error, size);
    return status;
}

int redis_options_take(const struct redis_options *options, const struct cli_settings *given,
                       size_t first, struct redis_target *target, char *error, size_t size)
{
    /* The part of the table that is ours. */
    struct cli_table table = *given->table;
    struct cli_settings part = {.table = &table, .places = given->places + first};

    table.options += first;
    table.count = ACCESS_COUNT;
    memcpy(part.sources, given->sources + first, ACCESS_COUNT);
    return take(options, &part, target, error, size);
}
