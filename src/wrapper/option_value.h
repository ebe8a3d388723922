/*
 * Reads the value of one option into its field.
 */
#ifndef LEADERWRAP_WRAPPER_OPTION_VALUE_H
#define LEADERWRAP_WRAPPER_OPTION_VALUE_H

#include <stddef.h>

#include "option_table.h"

/* Stores `value` (NULL: the option was given without one) where `spec` says. Returns 0, or -1 with
 * what is wrong in `error`: a sentence that begins with the value, "15 has no unit: ...". */
int option_store(const struct option_spec *spec, const char *value, struct options *options,
                 struct raw *raw, char *error, size_t error_size);

/* Writes `value` as messages show it into `buffer`: cut, in quotes where its end could not be told
 * otherwise, and not at all where it looks like an address. Returns `buffer`. */
char *option_show_value(const char *value, char *buffer, size_t size);

#endif
