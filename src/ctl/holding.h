/*
 * Whether the very term that a command runs in is still good, as the lease page says; without
 * Redis.
 */
#ifndef LEADERWRAP_CTL_HOLDING_H
#define LEADERWRAP_CTL_HOLDING_H

#include <stddef.h>

#include "options.h"

/* Returns 0 where the term of LEADERWRAP_TOKEN and LEADERWRAP_LEASE is good for
 * options->at_least_ms more, EXIT_NOBODY_LEADS where it is not; or another exit status, with a
 * sentence in `error`. */
int holding_run(const struct ctl_options *options, char *error, size_t size);

#endif
