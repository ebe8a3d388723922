/*
 * The options that somebody may have meant.
 */
#ifndef LEADERWRAP_CLI_NEAR_H
#define LEADERWRAP_CLI_NEAR_H

#include <stddef.h>

#include "leaderwrap/cli/option.h"

#define CLI_NAME_MOST 32 /* of an option, and of what is compared with one */

/* Writes "; did you mean --ttl or --retry?" into `buffer`: the options that are near to the first
 * `length` bytes of `name`, each as `show` writes it; or an empty text where none is near. */
void cli_suggest(const struct cli_table *table, const char *name, size_t length,
                 void (*show)(const struct cli_table *table, size_t number, char *text,
                              size_t size),
                 char *buffer, size_t size);

#endif
