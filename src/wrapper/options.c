/* Reading the environment and the command line, by the table of options. */
#include "leaderwrap/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leaderwrap/duration.h"
#include "leaderwrap/lease.h"
#include "leaderwrap/store.h"
#include "option_table.h"

#define DEFAULT_REDIS  "redis://127.0.0.1:6379/0"
#define DEFAULT_TTL_MS 15000

/* Of hooks and health checks, as Docker's. */
#define DEFAULT_COMPANION_MS   30000
#define DEFAULT_HEALTH_RETRIES 3

#define DEFAULT_COUNTER_KEY "global_counter"
#define COUNTER_LEASE_KEY   "leaderwrap:counter"
#define SHOWN_VALUE         80 /* of a bad value, in an error message */
#define STATUS_MOST         255
#define COUNT_MOST          1000000

/* Where a value came from, for the error message: "--ttl 15" or "LEADERWRAP_TTL=15". */
struct origin {
    char text[SHOWN_VALUE + 80];
};

static void variable_name(const struct option_spec *spec, char *buffer, size_t size)
{
    snprintf(buffer, size, "LEADERWRAP_%s", spec->name);
    for (char *at = buffer; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static int complain(char *error, size_t size, const struct origin *origin, const char *what)
{
    snprintf(error, size, "%s: %s", origin->text, what);
    return EXIT_USAGE;
}

static bool parse_flag(const char *text, bool *flag)
{
    static const char *const words[2][5] = {{"0", "no", "false", "off", ""},
                                            {"1", "yes", "true", "on", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 5; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *flag = value == 1;
                return true;
            }
        }
    }
    return false;
}

static bool parse_number(const char *text, int64_t least, int64_t most, int64_t *number)
{
    int64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char)*text) || value > most)
            return false;
        value = value * 10 + (*text - '0');
    }
    *number = value;
    return value >= least && value <= most;
}

static bool parse_status(const char *text, int *status)
{
    int64_t value;

    if (!parse_number(text, 0, STATUS_MOST, &value))
        return false;
    *status = (int)value;
    return true;
}

static bool parse_restart(const char *text, enum restart_policy *policy)
{
    static const char *const words[] = {
        [RESTART_NO] = "no", [RESTART_ON_FAILURE] = "on-failure", [RESTART_ALWAYS] = "always"};

    for (int i = RESTART_NO; i <= RESTART_ALWAYS; i++) {
        if (strcmp(text, words[i]) == 0) {
            *policy = (enum restart_policy)i;
            return true;
        }
    }
    return false;
}

/* Returns NULL, or what is wrong. */
static const char *parse_patience(const char *text, int64_t *wait_ms)
{
    if (strcmp(text, "forever") != 0)
        return duration_parse(text, wait_ms);
    *wait_ms = INT64_MAX;
    return NULL;
}

static bool is_given(const struct raw *raw, const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (strcmp(option_specs[i].name, name) == 0)
            return (raw->given >> i & 1) != 0;
    return false;
}

/* Stores one value. `value` is NULL for an option without argument on the command line. */
static int store_value(const struct option_spec *spec, const char *value,
                       const struct origin *origin, struct options *options, struct raw *raw,
                       char *error, size_t size)
{
    void *field = (char *)(spec->raw ? (void *)raw : (void *)options) + spec->offset;
    const char *problem;
    char choices[96];

    raw->given |= UINT64_C(1) << (spec - option_specs);
    if (value == NULL) {
        if (spec->kind == OPTION_MODE)
            options->mode = spec->mode;
        else
            *(bool *)field = true;
        return 0;
    }
    switch (spec->kind) {
    case OPTION_TEXT:
    case OPTION_REDIS:
        *(const char **)field = value;
        return 0;
    case OPTION_DURATION:
        problem = duration_parse(value, field);
        return problem == NULL ? 0 : complain(error, size, origin, problem);
    case OPTION_CHOICE:
        for (int i = 0; i < 2; i++) {
            if (strcmp(value, spec->choices[i]) == 0) {
                *(bool *)field = i == 1;
                return 0;
            }
        }
        break;
    case OPTION_FLAG:
        return parse_flag(value, field) ? 0 : complain(error, size, origin, "must be 1 or 0");
    case OPTION_LEVEL:
        if (log_level_parse(value, field))
            return 0;
        break;
    case OPTION_FORMAT:
        if (log_format_parse(value, field))
            return 0;
        break;
    case OPTION_MODE:
        break;
    case OPTION_PATIENCE:
        problem = parse_patience(value, field);
        return problem == NULL ? 0 : complain(error, size, origin, problem);
    case OPTION_RESTART:
        if (parse_restart(value, field))
            return 0;
        break;
    case OPTION_COUNT:
        return parse_number(value, 1, COUNT_MOST, field)
                   ? 0
                   : complain(error, size, origin, "must be a number from 1 to 1000000");
    case OPTION_STATUS:
        return parse_status(value, field)
                   ? 0
                   : complain(error, size, origin, "must be a number from 0 to 255");
    }
    snprintf(choices, sizeof choices, "must be %s", spec->argument);
    return complain(error, size, origin, choices);
}

static int read_environment(struct options *options, struct raw *raw, char *error, size_t size)
{
    for (size_t i = 0; i < option_count; i++) {
        char variable[64];
        struct origin origin;
        if (option_specs[i].kind == OPTION_MODE)
            continue;
        variable_name(&option_specs[i], variable, sizeof variable);
        const char *value = getenv(variable);
        if (value == NULL)
            continue;
        snprintf(origin.text, sizeof origin.text, "%s=%.*s", variable, SHOWN_VALUE, value);
        int status = store_value(&option_specs[i], value, &origin, options, raw, error, size);
        if (status != 0)
            return status;
    }
    return 0;
}

/* The two forms that getopt_long(3) wants, made from the table. */
static void build_getopt(struct option *long_options, char *letters)
{
    *letters++ = '+'; /* the first word that is no option begins the command */
    *letters++ = ':'; /* a missing argument is told apart from an unknown option */
    for (size_t i = 0; i < option_count; i++) {
        int takes = option_specs[i].argument != NULL ? required_argument : no_argument;
        long_options[i] =
            (struct option){.name = option_specs[i].name, .has_arg = takes, .val = 256 + (int)i};
        if (option_specs[i].letter != 0) {
            *letters++ = option_specs[i].letter;
            if (takes)
                *letters++ = ':';
        }
    }
    long_options[option_count] = (struct option){0};
    *letters = '\0';
}

static const struct option_spec *find_spec(int found)
{
    if (found >= 256)
        return &option_specs[found - 256];
    for (size_t i = 0; i < option_count; i++)
        if (option_specs[i].letter == found)
            return &option_specs[i];
    return NULL;
}

/* What getopt_long(3) did not understand: `optopt` is the option it knows, or 0. */
static int complain_option(bool missing, const char *word, char *error, size_t size)
{
    char shown[SHOWN_VALUE + 1];
    const struct option_spec *spec = optopt != 0 ? find_spec(optopt) : NULL;

    if (spec != NULL && optopt >= 256)
        snprintf(shown, sizeof shown, "--%s", spec->name);
    else if (optopt != 0)
        snprintf(shown, sizeof shown, "-%c", optopt);
    else
        snprintf(shown, sizeof shown, "%.*s", SHOWN_VALUE, word);
    snprintf(error, size, "%s %s; see leaderwrap --help",
             missing        ? "missing value after"
             : spec != NULL ? "no value can be given to"
                            : "unknown or ambiguous option",
             shown);
    return EXIT_USAGE;
}

static int read_line(struct options *options, struct raw *raw, int argc, char **argv, char *error,
                     size_t size)
{
    struct option long_options[OPTIONS_MOST + 1];
    char letters[2 * OPTIONS_MOST + 3];
    int found;

    build_getopt(long_options, letters);
    opterr = 0;
    optind = 0; /* glibc: begin anew, whoever parsed before */
    while ((found = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        struct origin origin;
        if (found == '?' || found == ':')
            return complain_option(found == ':', argv[optind - 1], error, size);
        const struct option_spec *spec = find_spec(found);
        if (spec->kind == OPTION_REDIS) {
            if (raw->redis_from_line) {
                snprintf(error, size, "--redis was given twice: the lease is kept on one server");
                return EXIT_USAGE;
            }
            raw->redis_from_line = true;
        }
        snprintf(origin.text, sizeof origin.text, "--%s %.*s", spec->name, SHOWN_VALUE,
                 optarg != NULL ? optarg : "");
        int status = store_value(spec, optarg, &origin, options, raw, error, size);
        if (status != 0)
            return status;
    }
    options->command = optind < argc ? argv + optind : NULL;
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int out_of_memory(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return EXIT_OWN_FAILURE;
}

static int set_key(struct options *options, const struct raw *raw, char *error, size_t size)
{
    if (raw->key != NULL) {
        options->key = strdup(raw->key);
    } else if (options->command == NULL) {
        options->key = strdup(COUNTER_LEASE_KEY);
    } else if (asprintf(&options->key, "leaderwrap:%s", base_name(options->command[0])) < 0) {
        options->key = NULL;
    }
    if (options->key == NULL)
        return out_of_memory(error, size);
    const char *problem = store_check_key(options->key);
    if (problem == NULL)
        return 0;
    snprintf(error, size, "cannot use the lease key \"%.*s\": %s", SHOWN_VALUE, options->key,
             problem);
    return EXIT_USAGE;
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
    snprintf(error, size, "the name \"%.*s\" %s", SHOWN_VALUE, options->name, problem);
    return EXIT_USAGE;
}

/* Made absolute without resolving links: the keeper leaves the working directory, and whoever
 * rotates the secret may do so by moving a link. */
static int set_password_file(struct options *options, const char *path, char *error, size_t size)
{
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
    int length = asprintf(&options->password_file, "%s%s%s", directory != NULL ? directory : "",
                          directory != NULL ? "/" : "", path);
    free(directory);
    if (length < 0) {
        options->password_file = NULL;
        return out_of_memory(error, size);
    }
    int file = open(options->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file >= 0) {
        close(file);
        return 0;
    }
    snprintf(error, size, "cannot read the password file %.*s: %s", SHOWN_VALUE, path,
             strerror(errno));
    return EXIT_USAGE;
}

static int set_redis(struct options *options, const struct raw *raw, char *error, size_t size)
{
    const char *url = raw->redis != NULL ? raw->redis : getenv("REDIS_URL");
    const char *password = getenv("LEADERWRAP_PASSWORD");

    if (url == NULL)
        url = DEFAULT_REDIS;
    if (redis_url_parse(url, &options->redis, error, size) != 0)
        return EXIT_USAGE;
    if (raw->password_file != NULL)
        return set_password_file(options, raw->password_file, error, size);
    if (options->redis.password == NULL && password != NULL) {
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
    snprintf(error, size,
             "this is the command of another leaderwrap, whose lease \"%.*s\" is held already; "
             "choose a lease of its own with --key",
             SHOWN_VALUE, outer);
    return EXIT_USAGE;
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
            snprintf(error, size, "--%s is for %s", *names, what_for);
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
        snprintf(error, size, "--once needs a command to run");
        return EXIT_USAGE;
    }
    if (options->restart != RESTART_NO || options->health_cmd != NULL) {
        snprintf(error, size, "--%s is not for --once: the job is run once",
                 options->health_cmd != NULL ? "health-cmd" : "restart");
        return EXIT_USAGE;
    }
    options->exit_on_lost = true;
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
        if (commands[i] != NULL && commands[i][strspn(commands[i], " \t\n")] == '\0') {
            snprintf(error, size, "--%s: the command is empty", names[i]);
            return EXIT_USAGE;
        }
    }
    if (options->hook_timeout_ms == 0 || options->health.timeout_ms == 0 ||
        options->health.interval_ms == 0) {
        snprintf(error, size, "--%s must be longer than 0",
                 options->hook_timeout_ms == 0     ? "hook-timeout"
                 : options->health.timeout_ms == 0 ? "health-timeout"
                                                   : "health-interval");
        return EXIT_USAGE;
    }
    if (options->health_cmd == NULL)
        status = refuse_given(raw, only_health, "--health-cmd", error, size);
    if (status == 0 && hooks[HOOK_ACQUIRE] == NULL && hooks[HOOK_LOSE] == NULL)
        status = refuse_given(raw, only_hooks, "--on-acquire and --on-lose", error, size);
    return status;
}

int options_parse(struct options *options, int argc, char **argv, char *error, size_t error_size)
{
    struct raw raw = {.timing = {.ttl_ms = DEFAULT_TTL_MS,
                                 .renew_ms = -1,
                                 .grace_ms = -1,
                                 .margin_ms = -1,
                                 .retry_ms = -1}};
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
        status = set_key(options, &raw, error, error_size);
    if (status == 0)
        status = set_name(options, &raw, error, error_size);
    if (status == 0)
        status = set_redis(options, &raw, error, error_size);
    if (status == 0 && timing_derive(&raw.timing, &options->timing, error, error_size) != 0)
        status = EXIT_USAGE;
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
