/*
 * Reading a program's options from its environment and its command line, by a table (option.h) and
 * into places (place.h) that the program hands in.
 *
 * Names are never abbreviated: a name that is cut short could become another one, whose value it
 * then is ("--password X"). What is wrong is told in one sentence, which names the setting as it
 * was given, "--ttl" or "LEADERWRAP_TTL". A value is told in it only where it cannot be a secret,
 * and of a word that is no option only what could be its name.
 */
#ifndef LEADERWRAP_CLI_SETTINGS_H
#define LEADERWRAP_CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/cli/option.h"
#include "leaderwrap/cli/place.h"

enum cli_source {
    CLI_NOT_GIVEN,
    CLI_ENVIRONMENT,
    CLI_LINE,
};

/* Which options were given, and where. Owns nothing. */
struct cli_settings {
    const struct cli_table *table;
    const struct cli_place *places;
    unsigned char sources[CLI_OPTIONS_MOST]; /* enum cli_source; of the last time */
};

/* Nothing is given yet, and the places have the initial values of the rows that have one. Both,
 * borrowed, have to last as long as `settings` is read into; the program ends here (check.h) where
 * they do not fit together. */
void cli_begin(struct cli_settings *settings, const struct cli_table *table,
               const struct cli_place *places);

/* Reads the variables of all options. Returns 0, or -1 with a sentence in `error`. */
int cli_read_environment(struct cli_settings *settings, char *error, size_t error_size);

/* Reads the options of a command line, whose first word is the program's name. Returns 0, and in
 * `*rest` the place in `argv` of the first word that is no option any more, argc if there is none;
 * or -1 with a sentence in `error`. */
int cli_read_line(struct cli_settings *settings, int argc, char **argv, int *rest, char *error,
                  size_t error_size);

/* Calls `mask` with the value of each option on a command line that cli_read_line took, so that it
 * can overwrite in place what is secret in it. */
void cli_mask_values(const struct cli_table *table, int argc, char **argv,
                     void (*mask)(char *value));

/* Where an option was given the last time. */
enum cli_source cli_source(const struct cli_settings *settings, size_t number);

bool cli_is_given(const struct cli_settings *settings, size_t number);

/* Writes what the option was given as, "--ttl" or "LEADERWRAP_TTL", into `buffer`; as an option
 * where it was not. Returns `buffer`. */
const char *cli_show(const struct cli_settings *settings, size_t number, char *buffer, size_t size);

/* Writes a sentence about an option into `error`, behind what it was given as, if it was:
 * "LEADERWRAP_TTL: 15 has no unit". */
void cli_complain(const struct cli_settings *settings, size_t number, char *error,
                  size_t error_size, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Refuses the first one of `count` options that was given, "--wait is for --once", since what they
 * are for was not. Returns -1 with that in `error`, or 0 where none was given. */
int cli_refuse_given(const struct cli_settings *settings, const unsigned *numbers, size_t count,
                     const char *what_for, char *error, size_t error_size);

#endif
