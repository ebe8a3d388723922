/*
 * A program's help text, made from its table of options.
 */
#ifndef LEADERWRAP_CLI_HELP_H
#define LEADERWRAP_CLI_HELP_H

#include <stdio.h>

#include "leaderwrap/cli/option.h"

/* Writes the text to `stream` and flushes it. Returns 0 or -errno. */
int cli_print_help(const struct cli_table *table, FILE *stream);

#endif
