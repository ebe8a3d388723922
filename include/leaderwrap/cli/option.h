/*
 * A program's options as a table: one row for each, at the place of its number in an enum of the
 * program's own. The row says all that people see of an option, and what its value may be; where
 * the value goes says a struct cli_place (place.h) at the same number. What is read from the
 * command line and the environment, the help text, the man page, the completions of shells and the
 * tables of doc/OPTIONS.md are made of the same rows.
 *
 * A long option has an environment variable: the prefix and the name in capitals. Tables are
 * constants of the program; all strings are borrowed from it.
 */
#ifndef LEADERWRAP_CLI_OPTION_H
#define LEADERWRAP_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_OPTIONS_MOST  64 /* in one table */
#define CLI_COMMANDS_MOST 32 /* in one table */
#define CLI_VARIABLE_SIZE 64 /* of a variable's name, with its NUL */

/* One of the words that an option takes. A list of them ends with a word that is NULL. */
struct cli_word {
    const char *word;
    unsigned value;
};

/* What a value is, and the type of the place that it goes to. */
enum cli_kind {
    CLI_NOTHING, /* a row that does not say is the program's mistake: see cli_begin */
    CLI_TEXT,
    CLI_TEXTS,
    CLI_FLAG,
    CLI_CONSTANT,
    CLI_EITHER,
    CLI_WORD,
    CLI_DURATION,
    CLI_COUNT,
    CLI_NUMBER,
};

/* What a row says of its option's value with one of the macros below. */
struct cli_value {
    enum cli_kind kind;
    bool above_0;  /* CLI_DURATION */
    bool forever;  /* CLI_DURATION */
    int32_t least; /* CLI_COUNT, CLI_NUMBER */
    int32_t most;
    const struct cli_word *words; /* CLI_EITHER, CLI_WORD */
};

/* True where it is given; in the environment 1, yes, true, on, or 0, no, false, off. */
#define CLI_IS_FLAG .value = {.kind = CLI_FLAG}

/* For an option without an argument and without a variable, one of several that exclude each
 * other. */
#define CLI_IS_ONE_OF_SEVERAL .line_only = true, .value = {.kind = CLI_CONSTANT}

/* Of all others, `shown` is the argument as help shows it: FILE, FILE|DIR and PATH are paths, CMD
 * is a command for the shell. Any text: */
#define CLI_TAKES_TEXT(shown) .argument = (shown), .value = {.kind = CLI_TEXT}

/* Any text, and any number of them up to CLI_TEXTS_MOST. Those of the command line replace that of
 * the environment. */
#define CLI_TAKES_TEXTS(shown) .argument = (shown), .value = {.kind = CLI_TEXTS}

/* One of several words, as its value. */
#define CLI_TAKES_WORD(shown, list)                                                                \
    .argument = (shown), .value = {.kind = CLI_WORD, .words = (list)}

/* One of two words, whose values are false and true. */
#define CLI_TAKES_EITHER(shown, list)                                                              \
    .argument = (shown), .value = {.kind = CLI_EITHER, .words = (list)}

/* A duration (duration.h), which may be 0. */
#define CLI_TAKES_TIME(shown) .argument = (shown), .value = {.kind = CLI_DURATION}

/* A duration that cannot be 0. */
#define CLI_TAKES_TIME_ABOVE_0(shown)                                                              \
    .argument = (shown), .value = {.kind = CLI_DURATION, .above_0 = true}

/* A duration, or "forever", which is INT64_MAX. */
#define CLI_TAKES_TIME_OR_FOREVER(shown)                                                           \
    .argument = (shown), .value = {.kind = CLI_DURATION, .forever = true}

/* A whole number; 0 <= least <= most. */
#define CLI_TAKES_COUNT(shown, least_, most_)                                                      \
    .argument = (shown), .value = {.kind = CLI_COUNT, .least = (least_), .most = (most_)}

/* The same, where its place is an int. */
#define CLI_TAKES_NUMBER(shown, least_, most_)                                                     \
    .argument = (shown), .value = {.kind = CLI_NUMBER, .least = (least_), .most = (most_)}

struct cli_option {
    const char *section; /* of the help text, which begins with this option; NULL: the one before */
    const char *name;    /* without its dashes; at most 32 bytes */
    const char *argument; /* as help shows it; NULL: takes none */
    const char *help;
    const char *initial; /* the value it begins with, as it could be given; NULL: the place's own */
    const char *fallback; /* what counts where it is not given, in words; NULL: `initial` */
    const char *single; /* why it cannot stand twice on a command line; NULL: the last one counts */
    struct cli_value value;
    uint32_t commands; /* that it is for, a bit for each; 0: all */
    char letter;       /* of the short option; 0: none */
    bool line_only;    /* has no variable */
};

/* A word of the command line that says what the program is to do. */
struct cli_command {
    const char *word;
    const char *arguments; /* as help shows them; NULL: none */
    const char *help;
};

struct cli_table {
    const char *program;                /* as messages call it */
    const char *prefix;                 /* of the variables: "LEADERWRAP_" */
    const struct cli_option *options;   /* by the program's enum */
    size_t count;                       /* CLI_OPTIONS_MOST at most */
    const char *usage;                  /* of the help text: what stands above the options, ... */
    const char *notes;                  /* ... and what stands below them */
    const struct cli_command *commands; /* by another enum of the program's; NULL: has none */
    size_t command_count;               /* CLI_COMMANDS_MOST at most */
};

/* What counts where the option is not given, as help shows it; NULL: nothing. */
const char *cli_default(const struct cli_option *option);

/* Writes the words of the commands of a set, a bit for each, into `buffer`: "pause, resume and rm",
 * where `and` is what stands before the last one. */
void cli_name_commands(const struct cli_table *table, uint32_t commands, const char *and,
                       char *buffer, size_t size);

/* Writes the name of an option's variable, "LEADERWRAP_TTL", into `buffer`. */
void cli_variable(const struct cli_table *table, size_t number, char *buffer, size_t size);

/* Whether the first `length` bytes of `name` are the variable of an option. */
bool cli_is_variable(const struct cli_table *table, const char *name, size_t length);

/* Writes "; did you mean LEADERWRAP_TTL or LEADERWRAP_RETRY?" into `buffer`: the options near to a
 * variable that is none, whose name, the prefix in front, has `length` bytes. An empty text where
 * none is near. */
void cli_suggest_variables(const struct cli_table *table, const char *name, size_t length,
                           char *buffer, size_t size);

#endif
