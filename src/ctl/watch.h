/*
 * Tells each change of a lease, or of all, as it happens, by their channels.
 */
#ifndef LEADERWRAP_CTL_WATCH_H
#define LEADERWRAP_CTL_WATCH_H

#include <stddef.h>

#include "options.h"

/* Prints a line for how each lease is and one for each change, until INT or TERM; then returns 0.
 * Or an exit status, with a sentence in `error`: at the start alone, for later it waits for Redis.
 */
int watch_run(const struct ctl_options *options, char *error, size_t size);

#endif
