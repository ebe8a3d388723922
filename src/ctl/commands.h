/*
 * What leaderctl does: each command asks, and prints a text or JSON to standard output.
 */
#ifndef LEADERWRAP_CTL_COMMANDS_H
#define LEADERWRAP_CTL_COMMANDS_H

#include <stddef.h>

#include "options.h"

/* Returns the exit status; a sentence is in `error` where that is above 3. */
int ctl_run(const struct ctl_options *options, char *error, size_t size);

#endif
