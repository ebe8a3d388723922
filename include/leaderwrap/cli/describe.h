/*
 * A program's table as JSON, of which man page, completions and doc/OPTIONS.md are made while the
 * project is built (doc/texts). No part of the installed programs.
 */
#ifndef LEADERWRAP_CLI_DESCRIBE_H
#define LEADERWRAP_CLI_DESCRIBE_H

#include <stdio.h>

#include "leaderwrap/cli/option.h"

/* Writes the table to `stream` and flushes it. Returns 0 or -errno. */
int cli_describe(const struct cli_table *table, FILE *stream);

#endif
