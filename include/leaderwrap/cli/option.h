/*
 * A program's options as a table: one row for each, at the place of its number in an enum of the
 * program's own. The row says what people see of an option; where its value goes says a struct
 * cli_place (place.h) at the same number.
 *
 * A long option has an environment variable: the prefix and the name in capitals. Tables are
 * constants of the program; all strings are borrowed from it.
 */
#ifndef LEADERWRAP_CLI_OPTION_H
#define LEADERWRAP_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_OPTIONS_MOST  64 /* in one table */
#define CLI_VARIABLE_SIZE 64 /* of a variable's name, with its NUL */

struct cli_option {
    const char *section; /* of the help text, which begins with this option; NULL: the one before */
    const char *name;    /* without its dashes; at most 32 bytes */
    char letter;         /* of the short option; 0: none */
    const char *argument; /* as help shows it; NULL: takes none */
    const char *help;
    const char *single; /* why it cannot stand twice on a command line; NULL: the last one counts */
    bool line_only;     /* has no variable */
};

struct cli_table {
    const char *program;              /* as messages call it */
    const char *prefix;               /* of the variables: "LEADERWRAP_" */
    const struct cli_option *options; /* by the program's enum */
    size_t count;                     /* CLI_OPTIONS_MOST at most */
    const char *usage;                /* of the help text: what stands above the options, ... */
    const char *notes;                /* ... and what stands below them */
};

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
