/* Reading the environment and the command line, by the table of options. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "leaderwrap/access/redis_options.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/lease.h"
#include "leaderwrap/cli/help.h"
#include "leaderwrap/cli/settings.h"
#include "leaderwrap/redis/store.h"
#include "option_table.h"

#define DEFAULT_HOLD_MS 30000 /* with --once and without --wait */

#define COUNTER_LEASE_KEY "leaderwrap:counter"
#define COUNT_OF(array)   (sizeof(array) / sizeof(array)[0])

#define SHOWN_VALUE 80 /* of a bad value, in an error message */

/* What the options say before anything is derived from it. */
struct raw {
    struct cli_settings given;
    const char *key;
    const char *name;
    struct redis_options redis;
    struct timing_request timing;
};

/* Says where each option's value goes. */
static void place_values(struct cli_place *at, struct options *options, struct raw *raw)
{
    at[OPTION_KEY] = cli_text(&raw->key);
    at[OPTION_NAME] = cli_text(&raw->name);
    at[OPTION_TTL] = cli_duration(&raw->timing.ttl_ms);
    at[OPTION_RENEW] = cli_duration(&raw->timing.renew_ms);
    at[OPTION_GRACE] = cli_duration(&raw->timing.grace_ms);
    at[OPTION_MARGIN] = cli_duration(&raw->timing.margin_ms);
    at[OPTION_RETRY] = cli_duration(&raw->timing.retry_ms);
    at[OPTION_LOCK_DELAY] = cli_duration(&options->lock_delay_ms);

    at[OPTION_ON_LOST] = cli_either(&options->exit_on_lost);
    at[OPTION_RESTART] = cli_word(&options->restart);
    at[OPTION_MAX_RESTARTS] = cli_count(&options->max_restarts);
    at[OPTION_PENALTY] = cli_duration(&options->penalty_ms);
    at[OPTION_HEALTH_CMD] = cli_text(&options->health_cmd);
    at[OPTION_HEALTH_INTERVAL] = cli_duration(&options->health.interval_ms);
    at[OPTION_HEALTH_TIMEOUT] = cli_duration(&options->health.timeout_ms);
    at[OPTION_HEALTH_RETRIES] = cli_count(&options->health.retries);
    at[OPTION_HEALTH_START_PERIOD] = cli_duration(&options->health.start_period_ms);
    at[OPTION_ON_ACQUIRE] = cli_text(&options->hooks[HOOK_ACQUIRE]);
    at[OPTION_ON_LOSE] = cli_text(&options->hooks[HOOK_LOSE]);
    at[OPTION_HOOK_TIMEOUT] = cli_duration(&options->hook_timeout_ms);
    at[OPTION_STOP_TO] = cli_either(&options->stop_main_only);
    at[OPTION_NO_RELEASE] = cli_flag(&options->no_release);
    at[OPTION_COUNTER_KEY] = cli_text(&options->counter_key);

    at[OPTION_ONCE] = cli_flag(&options->once);
    at[OPTION_WAIT] = cli_duration(&options->wait_ms);
    at[OPTION_HOLD] = cli_duration(&options->hold_ms);
    at[OPTION_MAX_RUNTIME] = cli_duration(&options->max_runtime_ms);
    at[OPTION_CONFLICT_EXIT_CODE] = cli_number(&options->conflict_exit_code);

    redis_options_place(at + OPTION_REDIS, &raw->redis);
    at[OPTION_REQUEST_TIMEOUT] = cli_duration(&raw->timing.request_timeout_ms);
    at[OPTION_WAIT_REPLICAS] = cli_number(&options->wait_replicas);
    at[OPTION_TAKEOVER] = cli_either(&options->server_clock);
    at[OPTION_ASSUME_FRESH] = cli_flag(&options->assume_fresh);

    at[OPTION_LOG_FORMAT] = cli_word(&options->log_format);
    at[OPTION_LOG_LEVEL] = cli_word(&options->log_level);
    at[OPTION_HTTP] = cli_text(&options->http);
    at[OPTION_METRICS_FILE] = cli_text(&options->metrics_file);
    at[OPTION_LEASE_PAGE] = cli_flag(&options->lease_page);
    at[OPTION_PASS_NOTIFY] = cli_flag(&options->pass_notify);
    at[OPTION_CHECK] = cli_constant(&options->mode, MODE_CHECK);
    at[OPTION_HELP] = cli_constant(&options->mode, MODE_HELP);
    at[OPTION_VERSION] = cli_constant(&options->mode, MODE_VERSION);
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
    int rest;

    if (cli_read_line(&raw->given, argc, argv, &rest, error, size) != 0)
        return EXIT_USAGE;
    options->command = rest < argc ? argv + rest : NULL;
    if (options->command == NULL || !is_address(options->command[0]))
        return 0;
    snprintf(error, size, "an address is no command: write --redis in front of it");
    return EXIT_USAGE;
}

/* An empty word comes of a variable that is not set. An address in the place of the command lacks
 * its option; it may hold a password, which would get into the key and the log. */
static int check_command_name(const struct options *options, char *error, size_t size)
{
    const char *name = options->command != NULL ? options->command[0] : "";
    size_t scheme = strcspn(name, ":/");

    if (options->command != NULL && name[0] == '\0') {
        snprintf(error, size, "the command is an empty word");
        return EXIT_USAGE;
    }
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
    cli_complain(&raw->given, OPTION_KEY, error, size, "cannot use the lease key \"%.*s\": %s%s",
                 SHOWN_VALUE, options->key, problem,
                 raw->key == NULL ? "; choose another one with --key" : "");
    return EXIT_USAGE;
}

static int set_name(struct options *options, const struct raw *raw, char *error, size_t size)
{
    if (gethostname(options->host, sizeof options->host) != 0 && errno != ENAMETOOLONG)
        snprintf(options->host, sizeof options->host, "localhost");
    options->host[sizeof options->host - 1] = '\0';
    if (raw->name != NULL)
        options->name = strdup(raw->name);
    else if (asprintf(&options->name, "%s:%d", options->host, (int)getpid()) < 0)
        options->name = NULL;
    if (options->name == NULL)
        return out_of_memory(error, size);
    const char *problem = store_check_name(options->name);
    if (problem == NULL)
        return 0;
    cli_complain(&raw->given, OPTION_NAME, error, size, "the name \"%.*s\" %s", SHOWN_VALUE,
                 options->name, problem);
    return EXIT_USAGE;
}

static int set_about(struct options *options, char *error, size_t size)
{
    options->about = (struct about){
        .host = options->host,
        .command = options->command != NULL ? options->command[0] : NULL,
        .retry_ms = options->timing.retry_ms,
        .since_ms = clock_realtime_ms(),
    };
    options->client = about_client(options->name);
    return options->client != NULL ? 0 : out_of_memory(error, size);
}

/* Whether an option comes from the environment that another leaderwrap has made for its command. */
static bool is_of_outer(const struct raw *raw, enum option_id id)
{
    return cli_source(&raw->given, id) == CLI_ENVIRONMENT && getenv("LEADERWRAP_TOKEN") != NULL;
}

/* A key that comes from the environment of a command we wrap is that command's own lease: asking
 * for it from inside would wait for ever. */
static int check_nesting(const struct raw *raw, char *error, size_t size)
{
    if (!is_of_outer(raw, OPTION_KEY))
        return 0;
    cli_complain(&raw->given, OPTION_KEY, error, size,
                 "this is the command of another leaderwrap, whose lease \"%.*s\" is held already; "
                 "choose a lease of its own with --key",
                 SHOWN_VALUE, raw->key);
    return EXIT_USAGE;
}

static void forget_outer_name(struct raw *raw)
{
    if (is_of_outer(raw, OPTION_NAME))
        raw->name = NULL;
}

/* Refuses the options of `ids`, which make no sense without what they are for. */
static int refuse_given(const struct raw *raw, const unsigned *ids, size_t count,
                        const char *what_for, char *error, size_t size)
{
    return cli_refuse_given(&raw->given, ids, count, what_for, error, size) == 0 ? 0 : EXIT_USAGE;
}

/* What --once implies where nothing else was said, and what makes no sense with or without it. */
static int check_once(struct options *options, const struct raw *raw, char *error, size_t size)
{
    static const unsigned only_once[] = {OPTION_WAIT, OPTION_HOLD, OPTION_MAX_RUNTIME,
                                         OPTION_CONFLICT_EXIT_CODE};
    char shown[CLI_VARIABLE_SIZE];

    if (!options->once)
        return refuse_given(raw, only_once, COUNT_OF(only_once), "--once", error, size);
    if (options->command == NULL) {
        snprintf(error, size, "%s needs a command to run",
                 cli_show(&raw->given, OPTION_ONCE, shown, sizeof shown));
        return EXIT_USAGE;
    }
    if (options->restart != RESTART_NO || options->health_cmd != NULL) {
        enum option_id id = options->health_cmd != NULL ? OPTION_HEALTH_CMD : OPTION_RESTART;
        snprintf(error, size, "%s is not for --once: the job is run once",
                 cli_show(&raw->given, id, shown, sizeof shown));
        return EXIT_USAGE;
    }
    options->exit_on_lost = true;
    /* Who waits wants a lock; who does not wants one run per tick, however much the hosts' clocks
     * differ. */
    if (!cli_is_given(&raw->given, OPTION_HOLD) && options->wait_ms == 0)
        options->hold_ms = DEFAULT_HOLD_MS;
    /* A process that has only just begun could tell by its own observation after a TTL only. */
    if (!cli_is_given(&raw->given, OPTION_TAKEOVER))
        options->server_clock = true;
    /* cron sends mail for each word. */
    if (!cli_is_given(&raw->given, OPTION_LOG_LEVEL))
        options->log_level = LOG_LEVEL_WARNING;
    return 0;
}

static int check_restart(const struct options *options, const struct raw *raw, char *error,
                         size_t size)
{
    static const unsigned only_restart[] = {OPTION_MAX_RESTARTS};
    static const unsigned only_failure[] = {OPTION_PENALTY};
    bool restarts = options->restart != RESTART_NO;
    int status = 0;

    if (!restarts)
        status = refuse_given(raw, only_restart, COUNT_OF(only_restart),
                              "--restart on-failure or always", error, size);
    if (status == 0 && !restarts && options->health_cmd == NULL)
        status = refuse_given(raw, only_failure, COUNT_OF(only_failure),
                              "--restart on-failure or always, or --health-cmd", error, size);
    return status;
}

static int check_companions(const struct options *options, const struct raw *raw, char *error,
                            size_t size)
{
    static const unsigned only_health[] = {OPTION_HEALTH_INTERVAL, OPTION_HEALTH_TIMEOUT,
                                           OPTION_HEALTH_RETRIES, OPTION_HEALTH_START_PERIOD};
    static const unsigned only_hooks[] = {OPTION_HOOK_TIMEOUT};
    const char *const *hooks = options->hooks;
    const char *const commands[] = {options->health_cmd, hooks[HOOK_ACQUIRE], hooks[HOOK_LOSE]};
    static const enum option_id ids[] = {OPTION_HEALTH_CMD, OPTION_ON_ACQUIRE, OPTION_ON_LOSE};
    int status = 0;

    for (int i = 0; i < 3; i++) {
        if (commands[i] != NULL && commands[i][strspn(commands[i], " \t\n")] == '\0') {
            cli_complain(&raw->given, ids[i], error, size, "the command is empty");
            return EXIT_USAGE;
        }
    }
    if (options->health_cmd == NULL)
        status = refuse_given(raw, only_health, COUNT_OF(only_health), "--health-cmd", error, size);
    if (status == 0 && hooks[HOOK_ACQUIRE] == NULL && hooks[HOOK_LOSE] == NULL)
        status = refuse_given(raw, only_hooks, COUNT_OF(only_hooks), "--on-acquire and --on-lose",
                              error, size);
    return status;
}

/* It says nothing to a command: whoever gave both left something else out. The variable is for many
 * candidates at once, and a command may read it. */
static int check_counter(const struct options *options, const struct raw *raw, char *error,
                         size_t size)
{
    if (options->command == NULL || cli_source(&raw->given, OPTION_COUNTER_KEY) != CLI_LINE)
        return 0;
    snprintf(error, size,
             "--counter-key is for the built-in counter, which is run where no command is given");
    return EXIT_USAGE;
}

static int check_serving(struct options *options, const struct raw *raw, char *error, size_t size)
{
    const char *problem = NULL;

    if (options->metrics_file != NULL && options->metrics_file[0] == '\0') {
        cli_complain(&raw->given, OPTION_METRICS_FILE, error, size, "the path is empty");
        return EXIT_USAGE;
    }
    if (options->http != NULL)
        problem = http_address_parse(&options->http_address, options->http);
    if (problem == NULL)
        return 0;
    cli_complain(&raw->given, OPTION_HTTP, error, size, "cannot listen on \"%.*s\": %s",
                 SHOWN_VALUE, options->http, problem);
    return EXIT_USAGE;
}

/* Script and lease have to be in one slot of a cluster. */
static int set_counter_key(struct options *options, const struct raw *raw, char *error, size_t size)
{
    char name[STORE_KEY_SIZE];

    if (options->command != NULL || options->redis.kind != REDIS_CLUSTER)
        return 0;
    store_sibling(options->key, "counter", name, sizeof name);
    if (!cli_is_given(&raw->given, OPTION_COUNTER_KEY)) {
        options->counter_key = options->made_counter_key = strdup(name);
        return options->counter_key != NULL ? 0 : out_of_memory(error, size);
    }
    if (store_slot(options->counter_key) == store_slot(options->key))
        return 0;
    cli_complain(&raw->given, OPTION_COUNTER_KEY, error, size,
                 "in a cluster the counter has to be in the slot of the lease: write %.200s", name);
    return EXIT_USAGE;
}

/* Numbers that do not fit together are told of the one that was given, the TTL first. */
static int derive_timing(struct options *options, const struct raw *raw, char *error, size_t size)
{
    static const enum option_id ids[] = {OPTION_TTL, OPTION_RENEW, OPTION_GRACE, OPTION_MARGIN,
                                         OPTION_REQUEST_TIMEOUT};
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
    while (at < 4 && !cli_is_given(&raw->given, ids[at]))
        at++;
    cli_complain(&raw->given, ids[at], error, size, "%s", problem);
    return EXIT_USAGE;
}

int options_parse(struct options *options, int argc, char **argv, char *error, size_t error_size)
{
    struct raw raw = {.timing = timing_request_of(0)};
    struct cli_place places[OPTION_COUNT] = {0};
    int status = 0;

    memset(options, 0, sizeof *options);
    options->penalty_ms = -1;
    place_values(places, options, &raw);
    cli_begin(&raw.given, &options_table, places);
    if (cli_read_environment(&raw.given, error, error_size) != 0)
        status = EXIT_USAGE;
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
        status = check_serving(options, &raw, error, error_size);
    if (status == 0)
        status = check_counter(options, &raw, error, error_size);
    if (status == 0)
        status = check_command_name(options, error, error_size);
    if (status == 0)
        status = set_key(options, &raw, error, error_size);
    if (status == 0)
        status = set_name(options, &raw, error, error_size);
    if (status == 0)
        status = redis_options_take(&raw.redis, &raw.given, OPTION_REDIS, &options->redis, error,
                                    error_size);
    if (status == 0)
        status = set_counter_key(options, &raw, error, error_size);
    if (status == 0)
        status = derive_timing(options, &raw, error, error_size);
    command_fingerprint(options->command, options->fingerprint);
    if (status == 0 && options->penalty_ms < 0)
        options->penalty_ms = 2 * options->timing.ttl_ms;
    if (status == 0)
        status = set_about(options, error, error_size);
    return status;
}

void options_clear(struct options *options)
{
    free(options->key);
    free(options->name);
    free(options->client);
    free(options->made_counter_key);
    redis_target_clear(&options->redis);
    memset(options, 0, sizeof *options);
}

void options_mask_line(int argc, char **argv)
{
    cli_mask_values(&options_table, argc, argv, redis_url_mask);
}

int options_print_help(void)
{
    return cli_print_help(&options_table, stdout);
}
