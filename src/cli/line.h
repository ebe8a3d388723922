/*
 * Splits a command line by the table of options, as getopt_long(3) does but for its abbreviations.
 * No value gets into a message, and of a word that is no option only its name.
 */
#ifndef LEADERWRAP_CLI_LINE_H
#define LEADERWRAP_CLI_LINE_H

#include <stddef.h>

#include "leaderwrap/cli/option.h"

struct cli_line {
    const struct cli_table *table; /* borrowed */
    int argc;
    char **argv;         /* borrowed */
    int at;              /* the next word; behind the last option the first of the rest, or argc */
    const char *letters; /* what is left of a word such as "-hV"; NULL: nothing */
};

struct cli_found {
    size_t number;
    char *value; /* a part of argv; NULL for an option that takes none */
};

/* Begins behind the program's name. */
void cli_line_begin(struct cli_line *line, const struct cli_table *table, int argc, char **argv);

/* Finds the next option. Returns 1 with `*found`, 0 where there is none any more, or -1 with a
 * sentence in `error`. */
int cli_line_next(struct cli_line *line, struct cli_found *found, char *error, size_t error_size);

/* Writes "--ttl" into `text`. */
void cli_show_long(const struct cli_table *table, size_t number, char *text, size_t size);

#endif
