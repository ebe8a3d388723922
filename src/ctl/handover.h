/*
 * step-down --wait: asks a leader to go, and listens until another one leads.
 */
#ifndef LEADERWRAP_CTL_HANDOVER_H
#define LEADERWRAP_CTL_HANDOVER_H

#include <stddef.h>

#include "options.h"

/* Prints each step, with how long it took. Returns an exit status, with a sentence in `error` where
 * that is not 0: EXIT_NOBODY_LEADS where nobody led, or nobody leads when the time of the wish is
 * over. */
int handover_run(const struct ctl_options *options, char *error, size_t size);

#endif
