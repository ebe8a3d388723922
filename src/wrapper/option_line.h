/*
 * Splits a command line by the table of options, as getopt_long(3) does but for its abbreviations:
 * a name that is cut short could become another one, whose value it then is ("--password X").
 * No value gets into a message, and of a word that is no option only its name.
 */
#ifndef LEADERWRAP_WRAPPER_OPTION_LINE_H
#define LEADERWRAP_WRAPPER_OPTION_LINE_H

#include <stddef.h>

#include "option_table.h"

struct option_line {
    int argc;
    char **argv;         /* borrowed */
    int at;              /* the next word; behind the last option the command's first, or argc */
    const char *letters; /* what is left of a word such as "-hV"; NULL: nothing */
};

struct option_found {
    const struct option_spec *spec;
    char *value; /* a part of argv; NULL for an option that takes none */
};

/* Begins behind the program's name. */
void option_line_begin(struct option_line *line, int argc, char **argv);

/* Finds the next option. Returns 1 with `*found`, 0 where there is none any more, or -1 with a
 * sentence in `error`. */
int option_line_next(struct option_line *line, struct option_found *found, char *error,
                     size_t error_size);

/* Writes "; did you mean --ttl or --retry?" into `buffer`: the options that are near to the first
 * `length` bytes of `name`, each as `show` writes it; or an empty text where none is near. */
void option_suggest(const char *name, size_t length,
                    void (*show)(const struct option_spec *spec, char *text, size_t size),
                    char *buffer, size_t size);

#endif
