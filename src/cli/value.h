/*
 * Reads the value of one option into its place.
 */
#ifndef LEADERWRAP_CLI_VALUE_H
#define LEADERWRAP_CLI_VALUE_H

#include <stddef.h>

#include "leaderwrap/cli/option.h"
#include "leaderwrap/cli/place.h"

/* Stores `value` (NULL: the option was given without one) in `place`. Returns 0, or -1 with what is
 * wrong in `error`: a sentence that begins with the value, "15 has no unit: ...", cut, and does not
 * tell it where it looks like an address. */
int cli_store(const struct cli_option *option, const struct cli_place *place, const char *value,
              char *error, size_t error_size);

#endif
