/* leaderctl's options, and the words behind them. */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/cli/help.h"
#include "leaderwrap/cli/settings.h"
#include "leaderwrap/redis/store.h"
#include "option_table.h"

#define SHOWN_WORD  40 /* of what is no command, in an error message */
#define SHOWN_KEY   80
#define REASON_MOST (LEASE_WISH_SIZE - 1)

static int usage(char *error, size_t size, const char *sentence)
{
    snprintf(error, size, "%s", sentence);
    return EXIT_USAGE;
}

const char *ctl_command_word(enum ctl_command command)
{
    return ctl_options_table.commands[command].word;
}

static int find_command(struct ctl_options *options, const char *word, char *error, size_t size)
{
    const struct cli_table *table = &ctl_options_table;
    char known[256];

    for (size_t i = 0; i < table->command_count; i++)
        if (strcmp(word, table->commands[i].word) == 0) {
            options->command = (enum ctl_command)i;
            return 0;
        }
    /* An address whose option was forgotten may have a password in it. */
    bool plain = strchr(word, '/') == NULL && strlen(word) <= SHOWN_WORD;
    cli_name_commands(table, CTL_ALL_COMMANDS, " or ", known, sizeof known);
    snprintf(error, size, "there is no command%s%s%s: %s", plain ? " \"" : "", plain ? word : "",
             plain ? "\"" : " of that name", known);
    return EXIT_USAGE;
}

static int miss_command(char *error, size_t size)
{
    char known[256];

    cli_name_commands(&ctl_options_table, CTL_ALL_COMMANDS, " or ", known, sizeof known);
    snprintf(error, size, "a command is missing: %s", known);
    return EXIT_USAGE;
}

/* Whether the command takes such a word: "NAME", "KEY", or "[KEY]" that may be left out. */
static bool takes(enum ctl_command command, const char *argument)
{
    const char *arguments = ctl_options_table.commands[command].arguments;
    const char *at = arguments != NULL ? strstr(arguments, argument) : NULL;

    return at != NULL && (at == arguments || at[-1] == ' ');
}

static bool is_for(unsigned option, enum ctl_command command)
{
    uint32_t commands = ctl_options_table.options[option].commands;

    return commands == 0 || (commands >> command & 1) != 0;
}

/* As of a candidate or its host, which never contain a line's end. */
static int check_name(const char *what, const char *name, char *error, size_t size)
{
    const char *problem = store_check_name(name);

    if (problem == NULL)
        return 0;
    snprintf(error, size, "%s %s", what, problem);
    return EXIT_USAGE;
}

static int check_key(const char *key, char *error, size_t size)
{
    const char *problem = store_check_key(key);

    if (problem == NULL)
        return 0;
    snprintf(error, size, "\"%.*s\" can be no lease key: %s", SHOWN_KEY, key, problem);
    return EXIT_USAGE;
}

static int take_words(struct ctl_options *options, char **words, size_t count, char *error,
                      size_t size)
{
    size_t at = 1;

    if (count == 0)
        return miss_command(error, size);
    if (find_command(options, words[0], error, size) != 0)
        return EXIT_USAGE;
    enum ctl_command command = options->command;
    if (takes(command, "NAME")) {
        if (at == count)
            return usage(error, size, "whose name is it? cordon NAME KEY");
        options->name = words[at++];
    }
    if (options->name != NULL && check_name("the name", options->name, error, size) != 0)
        return EXIT_USAGE;
    bool wants_key = takes(command, "KEY") && !(is_for(OPTION_ALL, command) && options->all);
    if (wants_key && at == count)
        return usage(error, size, "the key of the lease is missing, such as leaderwrap:server");
    if (wants_key || (takes(command, "[KEY]") && at < count))
        options->key = words[at++];
    if (at < count) {
        snprintf(error, size, "%s takes no further word%s", words[0],
                 wants_key ? ": one key at a time" : "");
        return EXIT_USAGE;
    }
    return options->key != NULL ? check_key(options->key, error, size) : 0;
}

/* The options between the words, which may stand anywhere, are those of the whole line. */
static int read_line(struct ctl_options *options, struct cli_settings *given, int argc, char **argv,
                     char **words, size_t *count, char *error, size_t size)
{
    int at = 0;
    bool all_words = false;

    while (at < argc) {
        int rest = 1;
        if (!all_words) {
            if (*count == OPTIONS_SEGMENTS - 1)
                return usage(error, size, "too many words; see leaderctl --help");
            options->segments[options->segment_count++] = at;
            if (cli_read_line(given, argc - at, argv + at, &rest, error, size) != 0)
                return EXIT_USAGE;
            all_words = rest > 1 && strcmp(argv[at + rest - 1], "--") == 0;
        }
        at += rest;
        if (at < argc && *count == OPTIONS_SEGMENTS - 1)
            return usage(error, size, "too many words; see leaderctl --help");
        if (at < argc)
            words[(*count)++] = argv[at];
    }
    return 0;
}

int ctl_check_reason(const char *reason, char *error, size_t size)
{
    if (strlen(reason) > REASON_MOST)
        return usage(error, size, "--reason: at most 128 bytes");
    for (; *reason != '\0'; reason++)
        if ((unsigned char)*reason < 0x20 || *reason == 0x7F)
            return usage(error, size, "--reason may not contain control characters");
    return 0;
}

static int check(const struct ctl_options *options, const struct cli_settings *given, char *error,
                 size_t size)
{
    if (options->token_file != NULL && !options->allow_control)
        return usage(error, size, "--token-file is for serve --allow-control");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        char owners[128];
        if (is_for(i, options->command) || !cli_is_given(given, i))
            continue;
        cli_name_commands(&ctl_options_table, ctl_options_table.options[i].commands, " and ",
                          owners, sizeof owners);
        cli_refuse_given(given, &i, 1, owners, error, size);
        return EXIT_USAGE;
    }
    if (options->reason != NULL && ctl_check_reason(options->reason, error, size) != 0)
        return EXIT_USAGE;
    return options->to != NULL ? check_name("--to", options->to, error, size) : 0;
}

static void place_values(struct cli_place *places, struct ctl_options *options,
                         struct redis_options *redis, unsigned *mode)
{
    redis_options_place(places + OPTION_REDIS, redis);
    places[OPTION_REQUEST_TIMEOUT] = cli_duration(&options->timeout_ms);
    places[OPTION_JSON] = cli_flag(&options->json);
    places[OPTION_LAST] = cli_count(&options->last);
    places[OPTION_AT_LEAST] = cli_duration(&options->at_least_ms);
    places[OPTION_ALL] = cli_flag(&options->all);
    places[OPTION_FOR] = cli_duration(&options->span_ms);
    places[OPTION_REASON] = cli_text(&options->reason);
    places[OPTION_TO] = cli_text(&options->to);
    places[OPTION_WAIT] = cli_flag(&options->wait);
    places[OPTION_FORCE] = cli_flag(&options->force);
    places[OPTION_YES] = cli_flag(&options->yes);
    places[OPTION_LISTEN] = cli_text(&options->listen);
    places[OPTION_ALLOW_CONTROL] = cli_flag(&options->allow_control);
    places[OPTION_TOKEN_FILE] = cli_text(&options->token_file);
    places[OPTION_COUNTER_KEY] = cli_text(&options->counter_key);
    places[OPTION_HELP] = cli_constant(mode, CTL_HELP);
    places[OPTION_VERSION] = cli_constant(mode, CTL_VERSION);
}

int ctl_options_parse(struct ctl_options *options, int argc, char **argv, char *error, size_t size)
{
    struct redis_options redis = {0};
    struct cli_place places[OPTION_COUNT] = {0};
    struct cli_settings given;
    char *words[OPTIONS_SEGMENTS];
    size_t count = 0;
    unsigned mode = 0;

    memset(options, 0, sizeof *options);
    place_values(places, options, &redis, &mode);
    cli_begin(&given, &ctl_options_table, places);
    if (cli_read_environment(&given, error, size) != 0 ||
        read_line(options, &given, argc, argv, words, &count, error, size) != 0)
        return EXIT_USAGE;
    if (mode != 0) {
        options->command = mode;
        return 0;
    }
    int status = take_words(options, words, count, error, size);
    if (options->command == CTL_STEP_DOWN && options->span_ms == 0)
        options->span_ms = OPTIONS_STEP_DOWN_MS;
    if (status == 0 && options->command != CTL_HOLDING)
        status = redis_options_take(&redis, &given, OPTION_REDIS, &options->redis, error, size);
    return status == 0 ? check(options, &given, error, size) : status;
}

void ctl_options_clear(struct ctl_options *options)
{
    redis_target_clear(&options->redis);
}

void ctl_options_mask_line(const struct ctl_options *options, int argc, char **argv)
{
    for (size_t i = 0; i < options->segment_count; i++)
        cli_mask_values(&ctl_options_table, argc - options->segments[i],
                        argv + options->segments[i], redis_url_mask);
}

int ctl_options_print_help(void)
{
    return cli_print_help(&ctl_options_table, stdout);
}
