/* leaderctl's options, and the words behind them. */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/cli/help.h"
#include "leaderwrap/cli/settings.h"
#include "leaderwrap/redis/store.h"

#define DEFAULT_TIMEOUT_MS 5000
#define DEFAULT_LAST       20
#define DEFAULT_LISTEN     "127.0.0.1:8080"
#define SHOWN_WORD         40 /* of what is no command, in an error message */
#define SHOWN_KEY          80
#define COMMANDS                                                                                   \
    "ls, status, history, watch, doctor, serve, holding, pause, resume, step-down, cordon, "       \
    "uncordon, release or rm"
#define REASON_MOST (LEASE_WISH_SIZE - 1)

enum option_id {
    OPTION_REDIS,
    OPTION_REQUEST_TIMEOUT = OPTION_REDIS + ACCESS_COUNT,
    OPTION_JSON,
    OPTION_LAST,
    OPTION_AT_LEAST,
    OPTION_ALL,
    OPTION_FOR,
    OPTION_REASON,
    OPTION_TO,
    OPTION_WAIT,
    OPTION_FORCE,
    OPTION_YES,
    OPTION_LISTEN,
    OPTION_ALLOW_CONTROL,
    OPTION_TOKEN_FILE,
    OPTION_COUNTER_KEY,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_COUNT,
};

static const struct cli_option rows[OPTION_COUNT] = {
    ACCESS_ROWS(OPTION_REDIS),
    [OPTION_REQUEST_TIMEOUT] = {.name = "request-timeout",
                                .argument = "TIME",
                                .help = "how long the connection, and each answer, is waited for; "
                                        "default 5s"},
    [OPTION_JSON] = {.section = "Output",
                     .name = "json",
                     .letter = 'j',
                     .help = "one JSON document instead of text; times in ms since 1970",
                     .line_only = true},
    [OPTION_LAST] = {.name = "last",
                     .argument = "N",
                     .help = "how many terms history shows; default 20, at most 100",
                     .line_only = true},
    [OPTION_AT_LEAST] = {.name = "at-least",
                         .argument = "TIME",
                         .help = "holding: for how long the term has to be good; default 0",
                         .line_only = true},
    [OPTION_ALL] = {.section = "Acts",
                    .name = "all",
                    .help = "pause, resume, cordon, uncordon: all leases that there are",
                    .line_only = true},
    [OPTION_FOR] = {.name = "for",
                    .argument = "TIME",
                    .help =
                        "pause: ends by itself after that; step-down: how long it is wished, and "
                        "others kept out with --to; default 60s",
                    .line_only = true},
    [OPTION_REASON] = {.name = "reason",
                       .argument = "TEXT",
                       .help = "pause: shown to whoever wonders, at most 128 bytes",
                       .line_only = true},
    [OPTION_TO] = {.name = "to",
                   .argument = "NAME",
                   .help = "step-down: the candidate, or host, that is to lead next",
                   .line_only = true},
    [OPTION_WAIT] = {.name = "wait",
                     .help = "step-down: until another one leads; tells how long each step took",
                     .line_only = true},
    [OPTION_FORCE] = {.name = "force",
                      .help = "release: break a lease whose leader cannot be reached; asks first",
                      .line_only = true},
    [OPTION_YES] = {.name = "yes",
                    .letter = 'y',
                    .help = "release --force: do not ask",
                    .line_only = true},
    [OPTION_LISTEN] = {.section = "Page",
                       .name = "listen",
                       .argument = "ADDRESS",
                       .help = "serve: 127.0.0.1:8080 if nothing is said; or unix:PATH",
                       .line_only = true},
    [OPTION_ALLOW_CONTROL] = {.name = "allow-control",
                              .help =
                                  "serve: whoever has the token, which is printed at the start, "
                                  "may pause, resume and step down from the page",
                              .line_only = true},
    [OPTION_TOKEN_FILE] = {.name = "token-file",
                           .argument = "PATH",
                           .help =
                               "serve --allow-control: the token is the first line of that file",
                           .line_only = true},
    [OPTION_COUNTER_KEY] = {.name = "counter-key",
                            .argument = "KEY",
                            .help = "serve: shows that counter's value, as of leaderwrap without a "
                                    "command",
                            .line_only = true},
    [OPTION_HELP] = {.section = "More",
                     .name = "help",
                     .letter = 'h',
                     .help = "print this text",
                     .line_only = true},
    [OPTION_VERSION] = {.name = "version",
                        .letter = 'V',
                        .help = "print the version",
                        .line_only = true},
};

static const struct cli_table table = {
    .program = "leaderctl",
    .prefix = "LEADERWRAP_",
    .options = rows,
    .count = OPTION_COUNT,
    .usage = "Usage: leaderctl ls | status KEY | history KEY | watch [KEY] | doctor [KEY]\n"
             "       leaderctl serve | holding\n"
             "       leaderctl pause KEY | resume KEY | step-down KEY\n"
             "       leaderctl cordon NAME KEY | uncordon NAME KEY\n"
             "       leaderctl release KEY | rm KEY\n"
             "Shows leases of leaderwrap: which there are, who leads, and who has led; watch tells "
             "each\n"
             "change until it is interrupted; doctor tells what could hurt; serve shows\n"
             "all leases to a browser. holding is for what "
             "runs under leaderwrap --lease-page:\n"
             "whether its term is still good, asked without Redis.\n"
             "\n"
             "pause ends the term and lets nobody lead, resume takes that back; step-down ends the "
             "term\n"
             "for another candidate to lead; cordon keeps one candidate, or the candidates of one "
             "host,\n"
             "from leading. release ends a hold (--hold); rm deletes a lease that nobody holds.\n",
    .notes = "\n"
             "Each option about Redis has an environment variable, as leaderwrap's. KEY is the "
             "whole key,\n"
             "such as leaderwrap:server. Without an act nothing in Redis is changed.\n"
             "\n"
             "Exit status:\n"
             "  0    the lease is led; of ls, one of them at least; of history, there is one;\n"
             "       of holding, the term is good; of watch, it was interrupted\n"
             "  1    it was not done: somebody leads, or the question was not answered with yes\n"
             "  3    nobody leads; of history, there is none; of holding, the term is not good\n"
             "  64   usage: a bad option, value, URL or key\n"
             "  69   Redis could not be reached, or did not answer\n"
             "  77   Redis refuses it: a password, a missing right\n"
             "  125  leaderctl itself failed\n",
};

static int usage(char *error, size_t size, const char *sentence)
{
    snprintf(error, size, "%s", sentence);
    return EXIT_USAGE;
}

/* What a command takes, and which options are its own. */
static const struct command {
    const char *word;
    bool has_name;
    bool has_key;
    bool may_have_key;
    bool has_all; /* instead of a key */
} commands[] = {
    [CTL_LS] = {.word = "ls"},
    [CTL_STATUS] = {.word = "status", .has_key = true},
    [CTL_HISTORY] = {.word = "history", .has_key = true},
    [CTL_WATCH] = {.word = "watch", .may_have_key = true},
    [CTL_HOLDING] = {.word = "holding"},
    [CTL_PAUSE] = {.word = "pause", .has_key = true, .has_all = true},
    [CTL_RESUME] = {.word = "resume", .has_key = true, .has_all = true},
    [CTL_STEP_DOWN] = {.word = "step-down", .has_key = true},
    [CTL_CORDON] = {.word = "cordon", .has_name = true, .has_key = true, .has_all = true},
    [CTL_UNCORDON] = {.word = "uncordon", .has_name = true, .has_key = true, .has_all = true},
    [CTL_RELEASE] = {.word = "release", .has_key = true},
    [CTL_RM] = {.word = "rm", .has_key = true},
    [CTL_DOCTOR] = {.word = "doctor", .may_have_key = true},
    [CTL_SERVE] = {.word = "serve"},
};

const char *ctl_command_word(enum ctl_command command)
{
    return commands[command].word;
}

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int find_command(struct ctl_options *options, const char *word, char *error, size_t size)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].word) == 0) {
            options->command = (enum ctl_command)i;
            return 0;
        }
    /* An address whose option was forgotten may have a password in it. */
    bool plain = strchr(word, '/') == NULL && strlen(word) <= SHOWN_WORD;
    snprintf(error, size, "there is no command%s%s%s: " COMMANDS, plain ? " \"" : "",
             plain ? word : "", plain ? "\"" : " of that name");
    return EXIT_USAGE;
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
        return usage(error, size, "a command is missing: " COMMANDS);
    if (find_command(options, words[0], error, size) != 0)
        return EXIT_USAGE;
    const struct command *command = &commands[options->command];
    if (command->has_name && at == count)
        return usage(error, size, "whose name is it? cordon NAME KEY");
    if (command->has_name)
        options->name = words[at++];
    if (options->name != NULL && check_name("the name", options->name, error, size) != 0)
        return EXIT_USAGE;
    bool wants_key = command->has_key && !(command->has_all && options->all);
    if (wants_key && at == count)
        return usage(error, size, "the key of the lease is missing, such as leaderwrap:server");
    if (wants_key || (command->may_have_key && at < count))
        options->key = words[at++];
    if (at < count) {
        snprintf(error, size, "%s takes no further word%s", command->word,
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

/* Which commands an option is for. */
static const struct owned {
    unsigned option;
    uint32_t commands; /* a bit for each */
    const char *owner;
} owned[] = {
    {OPTION_LAST, 1U << CTL_HISTORY, "history"},
    {OPTION_AT_LEAST, 1U << CTL_HOLDING, "holding"},
    {OPTION_ALL, 1U << CTL_PAUSE | 1U << CTL_RESUME | 1U << CTL_CORDON | 1U << CTL_UNCORDON,
     "pause, resume, cordon and uncordon"},
    {OPTION_FOR, 1U << CTL_PAUSE | 1U << CTL_STEP_DOWN, "pause and step-down"},
    {OPTION_REASON, 1U << CTL_PAUSE, "pause"},
    {OPTION_TO, 1U << CTL_STEP_DOWN, "step-down"},
    {OPTION_WAIT, 1U << CTL_STEP_DOWN, "step-down"},
    {OPTION_FORCE, 1U << CTL_RELEASE, "release"},
    {OPTION_LISTEN, 1U << CTL_SERVE, "serve"},
    {OPTION_ALLOW_CONTROL, 1U << CTL_SERVE, "serve"},
    {OPTION_TOKEN_FILE, 1U << CTL_SERVE, "serve --allow-control"},
    {OPTION_COUNTER_KEY, 1U << CTL_SERVE, "serve"},
    {OPTION_YES, 1U << CTL_RELEASE, "release --force"},
};

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
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        if ((owned[i].commands >> options->command & 1) == 0 &&
            cli_refuse_given(given, &owned[i].option, 1, owned[i].owner, error, size) != 0)
            return EXIT_USAGE;
    if (options->reason != NULL && ctl_check_reason(options->reason, error, size) != 0)
        return EXIT_USAGE;
    if (options->token_file != NULL && !options->allow_control)
        return usage(error, size, "--token-file is for serve --allow-control");
    return options->to != NULL ? check_name("--to", options->to, error, size) : 0;
}

static void place_values(struct cli_place *places, struct ctl_options *options,
                         struct redis_options *redis, unsigned *mode)
{
    redis_options_place(places + OPTION_REDIS, redis);
    places[OPTION_REQUEST_TIMEOUT] = cli_duration_above_0(&options->timeout_ms);
    places[OPTION_JSON] = cli_flag(&options->json);
    places[OPTION_LAST] = cli_count(&options->last, 1, OPTIONS_LAST_MOST);
    places[OPTION_AT_LEAST] = cli_duration(&options->at_least_ms);
    places[OPTION_ALL] = cli_flag(&options->all);
    places[OPTION_FOR] = cli_duration_above_0(&options->span_ms);
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
    options->timeout_ms = DEFAULT_TIMEOUT_MS;
    options->last = DEFAULT_LAST;
    options->listen = DEFAULT_LISTEN;
    place_values(places, options, &redis, &mode);
    cli_begin(&given, &table, places);
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
        cli_mask_values(&table, argc - options->segments[i], argv + options->segments[i],
                        redis_url_mask);
}

int ctl_options_print_help(void)
{
    return cli_print_help(&table, stdout);
}
