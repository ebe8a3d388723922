/* Reading the environment and the command line, by the table of options. */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/password.h"
#include "leaderwrap/redis/store.h"
#include "option_line.h"
#include "option_table.h"
#include "option_value.h"

#define DEFAULT_REDIS   "redis://127.0.0.1:6379/0"
#define DEFAULT_TTL_MS  15000
#define DEFAULT_HOLD_MS 30000

/* Of hooks and health checks, as Docker's. */
#define DEFAULT_COMPANION_MS   30000
#define DEFAULT_HEALTH_RETRIES 3

#define DEFAULT_COUNTER_KEY "global_counter"
#define COUNTER_LEASE_KEY   "leaderwrap:counter"
#define SHOWN_VALUE         80 /* of a bad value, in an error message */

/* The place of an option in the table. */
static size_t place_of(const char *name)
{
    size_t place = 0;

    while (place + 1 < option_count && strcmp(option_specs[place].name, name) != 0)
        place++;
    return place;
}

static bool is_given(const struct raw *raw, const char *name)
{
    return raw->sources[place_of(name)] != SOURCE_NONE;
}

/* Which setting a value came from: "--ttl" or "LEADERWRAP_TTL". */
static const char *source_of(const struct raw *raw, size_t place, char *buffer, size_t size)
{
    if (raw->sources[place] == SOURCE_ENVIRONMENT)
        option_variable(&option_specs[place], buffer, size);
    else
        snprintf(buffer, size, "--%s", option_specs[place].name);
    return buffer;
}

static int complain(const struct raw *raw, const char *name, char *error, size_t size,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Puts the setting that the option `name` was given by, if it was, in front of a sentence. */
static int complain(const struct raw *raw, const char *name, char *error, size_t size,
                    const char *format, ...)
{
    char source[64];
    va_list arguments;
    int used = 0;

    if (is_given(raw, name))
        used = snprintf(error, size, "%s: ", source_of(raw, place_of(name), source, sizeof source));
    va_start(arguments, format);
    vsnprintf(error + used, size - (size_t)used, format, arguments);
    va_end(arguments);
    return EXIT_USAGE;
}

/* Stores what was said about an option, and where. */
static int store_value(const struct option_spec *spec, const char *value, enum option_source source,
                       struct options *options, struct raw *raw, char *error, size_t size)
{
    char problem[256];

    raw->sources[spec - option_specs] = (unsigned char)source;
    if (option_store(spec, value, options, raw, problem, sizeof problem) == 0)
        return 0;
    return complain(raw, spec->name, error, size, "%s", problem);
}

static int read_environment(struct options *options, struct raw *raw, char *error, size_t size)
{
    for (size_t i = 0; i < option_count; i++) {
        char variable[64];
        if (option_specs[i].kind == OPTION_MODE)
            continue;
        option_variable(&option_specs[i], variable, sizeof variable);
        const char *value = getenv(variable);
        if (value == NULL)
            continue;
        int status =
            store_value(&option_specs[i], value, SOURCE_ENVIRONMENT, options, raw, error, size);
        if (status != 0)
            return status;
    }
    return 0;
}

/* An address whose option was forgotten may have a password in it: nobody shall read of that
 * "command" in a message. */
static bool is_address(const char *word)
{
    return strncasecmp(word, "redis://", 8) == 0 || strncasecmp(word, "rediss://", 9) == 0 ||
           strncasecmp(word, "unix://", 7) == 0;
}

static int read_line(struct options *options, struct raw *raw, int argc, char **argv, char *error,
                     size_t size)
{
    struct option_line line;
    struct option_found found;
    int more;

    option_line_begin(&line, argc, argv);
    while ((more = option_line_next(&line, &found, error, size)) == 1) {
        if (found.spec->kind == OPTION_REDIS) {
            if (raw->redis_from_line) {
                snprintf(error, size, "--redis was given twice: the lease is kept on one server");
                return EXIT_USAGE;
            }
            raw->redis_from_line = true;
        }
        int status = store_value(found.spec, found.value, SOURCE_LINE, options, raw, error, size);
        if (status != 0)
            return status;
    }
    if (more != 0)
        return EXIT_USAGE;
    options->command = line.at < argc ? argv + line.at : NULL;
    if (options->command == NULL || !is_address(options->command[0]))
        return 0;
    snprintf(error, size, "an address is no command: write --redis in front of it");
    return EXIT_USAGE;
}

/* An address in the place of the command lacks its option. It may hold a password, which would get
 * into the key and the log. */
static int check_command_name(const struct options *options, char *error, size_t size)
{
    const char *name = options->command != NULL ? options->command[0] : "";
    size_t scheme = strcspn(name, ":/");

    if (scheme == 0 || strncmp(name + scheme, "://", 3) != 0)
        return 0;
    snprintf(error, size, "the command is an address: write --redis in front of it");
    return EXIT_USAGE;
}

static int out_of_memory(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return EXIT_OWN_FAILURE;
}

/* Two jobs must not share a lease because both are run by a shell: one of them would not be run,
 * and nobody would know. */
static int refuse_nameless(const struct options *options, char *error, size_t size)
{
    const char *name = command_base_name(options->command[0]);
    char key[96];

    snprintf(
        error, size,
        "the name \"%.40s\" does not tell one job from another, and they would share the lease "
        "leaderwrap:%.40s: give this one a lease of its own with --key, such as --key %s",
        name, name, command_propose_key(options->command, key, sizeof key));
    return EXIT_USAGE;
}

static int set_key(struct options *options, const struct raw *raw, char *error, size_t size)
{
    if (raw->key != NULL) {
        options->key = strdup(raw->key);
    } else if (options->command == NULL) {
        options->key = strdup(COUNTER_LEASE_KEY);
    } else if (command_is_nameless(options->command)) {
        return refuse_nameless(options, error, size);
    } else if (asprintf(&options->key, "leaderwrap:%s", command_base_name(options->command[0])) <
               0) {
        options->key = NULL;
    }
    if (options->key == NULL)
        return out_of_memory(error, size);
    const char *problem = store_check_key(options->key);
    if (problem == NULL)
        return 0;
    return complain(raw, "key", error, size, "cannot use the lease key \"%.*s\": %s%s", SHOWN_VALUE,
                    options->key, problem,
                    raw->key == NULL ? "; choose another one with --key" : "");
}

static const char *check_name(const char *name)
{
    if (name[0] == '\0')
        return "is empty";
    if (strlen(name) > LEASE_NAME_MAX)
        return "is longer than 64 bytes";
    for (const char *at = name; *at != '\0'; at++)
        if (*at == '#' || (unsigned char)*at < 0x20 || *at == 0x7F)
            return "may not contain # or control characters";
    return NULL;
}

static int set_name(struct options *options, const struct raw *raw, char *error, size_t size)
{
    if (raw->name != NULL) {
        options->name = strdup(raw->name);
    } else {
        char host[LEASE_NAME_MAX - 11]; /* leaves room for a colon and a pid */
        if (gethostname(host, sizeof host) != 0 && errno != ENAMETOOLONG)
            snprintf(host, sizeof host, "localhost");
        host[sizeof host - 1] = '\0';
        if (asprintf(&options->name, "%s:%d", host, (int)getpid()) < 0)
            options->name = NULL;
    }
    if (options->name == NULL)
        return out_of_memory(error, size);
    const char *problem = check_name(options->name);
    if (problem == NULL)
        return 0;
    return complain(raw, "name", error, size, "the name \"%.*s\" %s", SHOWN_VALUE, options->name,
                    problem);
}

/* Made absolute without resolving links: the keeper leaves the working directory, and whoever
 * rotates the secret may do so by moving a link. */
static int set_password_file(struct options *options, const struct raw *raw, char *error,
                             size_t size)
{
    const char *path = raw->password_file;
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
    int length = asprintf(&options->password_file, "%s%s%s", directory != NULL ? directory : "",
                          directory != NULL ? "/" : "", path);
    free(directory);
    if (length < 0) {
        options->password_file = NULL;
        return out_of_memory(error, size);
    }
    const char *problem = password_check_file(options->password_file);
    if (problem == NULL)
        return 0;
    return complain(raw, "password-file", error, size, "cannot read the password file %.*s: %s",
                    SHOWN_VALUE, path, problem);
}

static int set_redis(struct options *options, const struct raw *raw, char *error, size_t size)
{
    const char *url = raw->redis != NULL ? raw->redis : getenv("REDIS_URL");
    const char *password = getenv("LEADERWRAP_PASSWORD");
    char problem[256];

    if (redis_url_parse(url != NULL ? url : DEFAULT_REDIS, &options->redis, problem,
                        sizeof problem) != 0)
        return complain(raw, "redis", error, size, "%s%s", raw->redis == NULL ? "REDIS_URL: " : "",
                        problem);
    options->redis.password_from = raw->redis == NULL     ? "REDIS_URL"
                                   : raw->redis_from_line ? "--redis"
                                                          : "LEADERWRAP_REDIS";
    if (raw->password_file != NULL)
        return set_password_file(options, raw, error, size);
    if (options->redis.password == NULL && password != NULL) {
        options->redis.password_from = "LEADERWRAP_PASSWORD";
        options->redis.password = strdup(password);
        if (options->redis.password == NULL)
            return out_of_memory(error, size);
    }
    return 0;
}

/* A key that comes from the environment of a command we wrap is that command's own lease: asking
 * for it from inside would wait for ever. */
static int check_nesting(const struct raw *raw, char *error, size_t size)
{
    const char *outer = getenv("LEADERWRAP_KEY");
    if (outer == NULL || raw->key != outer || getenv("LEADERWRAP_TOKEN") == NULL)
        return 0;
    return complain(
        raw, "key", error, size,
        "this is the command of another leaderwrap, whose lease \"%.*s\" is held already; "
        "choose a lease of its own with --key",
        SHOWN_VALUE, outer);
}

static void forget_outer_name(struct raw *raw)
{
    const char *outer = getenv("LEADERWRAP_NAME");
    if (raw->name != NULL && raw->name == outer && getenv("LEADERWRAP_TOKEN") != NULL)
        raw->name = NULL;
}

/* Refuses the options of `names` (NULL-terminated), which make no sense without what they are for.
 */
static int refuse_given(const struct raw *raw, const char *const *names, const char *what_for,
                        char *error, size_t size)
{
    for (; *names != NULL; names++) {
        if (is_given(raw, *names)) {
            char source[64];
            snprintf(error, size, "%s is for %s",
                     source_of(raw, place_of(*names), source, sizeof source), what_for);
            return EXIT_USAGE;
        }
    }
    return 0;
}

/* What --once implies where nothing else was said, and what makes no sense with or without it. */
static int check_once(struct options *options, const struct raw *raw, char *error, size_t size)
{
    static const char *const only_once[] = {"wait", "hold", "max-runtime", "conflict-exit-code",
                                            NULL};

    if (!options->once)
        return refuse_given(raw, only_once, "--once", error, size);
    if (options->command == NULL) {
        char source[64];
        snprintf(error, size, "%s needs a command to run",
                 source_of(raw, place_of("once"), source, sizeof source));
        return EXIT_USAGE;
    }
    if (options->restart != RESTART_NO || options->health_cmd != NULL) {
        const char *name = options->health_cmd != NULL ? "health-cmd" : "restart";
        char source[64];
        snprintf(error, size, "%s is not for --once: the job is run once",
                 source_of(raw, place_of(name), source, sizeof source));
        return EXIT_USAGE;
    }
    options->exit_on_lost = true;
    /* Who waits wants a lock; who does not wants one run per tick, however much the hosts' clocks
     * differ. */
    if (!is_given(raw, "hold") && options->wait_ms == 0)
        options->hold_ms = DEFAULT_HOLD_MS;
    /* A process that has only just begun could tell by its own observation after a TTL only. */
    if (!is_given(raw, "takeover"))
        options->server_clock = true;
    /* cron sends mail for each word. */
    if (!is_given(raw, "log-level"))
        options->log_level = LOG_LEVEL_WARNING;
    return 0;
}

static int check_restart(const struct options *options, const struct raw *raw, char *error,
                         size_t size)
{
    static const char *const only_restart[] = {"max-restarts", NULL};
    static const char *const only_failure[] = {"penalty", NULL};
    bool restarts = options->restart != RESTART_NO;
    int status = 0;

    if (!restarts)
        status = refuse_given(raw, only_restart, "--restart on-failure or always", error, size);
    if (status == 0 && !restarts && options->health_cmd == NULL)
        status = refuse_given(raw, only_failure, "--restart on-failure or always, or --health-cmd",
                              error, size);
    return status;
}

static int check_companions(const struct options *options, const struct raw *raw, char *error,
                            size_t size)
{
    static const char *const only_health[] = {"health-interval", "health-timeout", "health-retries",
                                              "health-start-period", NULL};
    static const char *const only_hooks[] = {"hook-timeout", NULL};
    const char *const *hooks = options->hooks;
    const char *const commands[] = {options->health_cmd, hooks[HOOK_ACQUIRE], hooks[HOOK_LOSE]};
    static const char *const names[] = {"health-cmd", "on-acquire", "on-lose"};
    int status = 0;

    for (int i = 0; i < 3; i++) {
        if (commands[i] != NULL && commands[i][strspn(commands[i], " \t\n")] == '\0')
            return complain(raw, names[i], error, size, "the command is empty");
    }
    if (options->health_cmd == NULL)
        status = refuse_given(raw, only_health, "--health-cmd", error, size);
    if (status == 0 && hooks[HOOK_ACQUIRE] == NULL && hooks[HOOK_LOSE] == NULL)
        status = refuse_given(raw, only_hooks, "--on-acquire and --on-lose", error, size);
    return status;
}

/* Numbers that do not fit together are told of the one that was given, the TTL first. */
static int derive_timing(struct options *options, const struct raw *raw, char *error, size_t size)
{
    static const char *const names[] = {"ttl", "renew", "grace", "margin", "request-timeout"};
    const struct timing_request *request = &raw->timing;
    char problem[400];
    size_t at = 0;

    if (timing_derive(request, &options->timing, problem, sizeof problem) == 0)
        return 0;
    if (request->margin_ms >= 0 && request->margin_ms < TIMING_MARGIN_LEAST_MS)
        at = 3;
    else if (request->request_timeout_ms >= 0 &&
             request->request_timeout_ms < TIMING_REQUEST_TIMEOUT_LEAST_MS)
        at = 4;
    while (at < 4 && !is_given(raw, names[at]))
        at++;
    return complain(raw, names[at], error, size, "%s", problem);
}

int options_parse(struct options *options, int argc, char **argv, char *error, size_t error_size)
{
    struct raw raw = {.timing = {.ttl_ms = DEFAULT_TTL_MS,
                                 .renew_ms = -1,
                                 .grace_ms = -1,
                                 .margin_ms = -1,
                                 .retry_ms = -1,
                                 .request_timeout_ms = -1}};
    int status;

    memset(options, 0, sizeof *options);
    options->log_level = LOG_LEVEL_INFO;
    options->counter_key = DEFAULT_COUNTER_KEY;
    options->conflict_exit_code = EXIT_CONFLICT;
    options->penalty_ms = -1;
    options->hook_timeout_ms = DEFAULT_COMPANION_MS;
    options->health = (struct health_config){.interval_ms = DEFAULT_COMPANION_MS,
                                             .timeout_ms = DEFAULT_COMPANION_MS,
                                             .retries = DEFAULT_HEALTH_RETRIES};
    status = read_environment(options, &raw, error, error_size);
    if (status == 0)
        status = read_line(options, &raw, argc, argv, error, error_size);
    if (status != 0 || options->mode == MODE_HELP || options->mode == MODE_VERSION)
        return status;
    forget_outer_name(&raw);
    status = check_nesting(&raw, error, error_size);
    if (status == 0 && options->mode == MODE_RUN)
        status = check_once(options, &raw, error, error_size);
    if (status == 0)
        status = check_restart(options, &raw, error, error_size);
    if (status == 0)
        status = check_companions(options, &raw, error, error_size);
    if (status == 0)
        status = check_command_name(options, error, error_size);
    if (status == 0)
        status = set_key(options, &raw, error, error_size);
    if (status == 0)
        status = set_name(options, &raw, error, error_size);
    if (status == 0)
        status = set_redis(options, &raw, error, error_size);
    if (status == 0)
        status = derive_timing(options, &raw, error, error_size);
    command_fingerprint(options->command, options->fingerprint);
    if (status == 0 && options->penalty_ms < 0)
        options->penalty_ms = 2 * options->timing.ttl_ms;
    return status;
}

void options_clear(struct options *options)
{
    free(options->key);
    free(options->name);
    free(options->password_file);
    redis_url_clear(&options->redis);
    memset(options, 0, sizeof *options);
}
