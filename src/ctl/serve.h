/*
 * serve: a page that shows all leases, live, to browsers.
 *
 * One reader asks Redis once a second, however many look, and nobody while nobody does. It works in
 * another thread, so that a Redis that does not answer holds nobody up.
 */
#ifndef LEADERWRAP_CTL_SERVE_H
#define LEADERWRAP_CTL_SERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/* Listens until a signal ends it. Returns an exit status, with a sentence in `error` where that is
 * not 0. */
int serve_run(const struct ctl_options *options, char *error, size_t size);

/* Whether a client that calls us `host` means us: by a number or as localhost. Any other name may
 * be one that leads a browser here behind its user's back. */
bool serve_knows_host(const char *host);

#endif
