/*
 * What the command finds in its environment.
 */
#ifndef LEADERWRAP_WRAPPER_ENVIRONMENT_H
#define LEADERWRAP_WRAPPER_ENVIRONMENT_H

#include <stdbool.h>

#include "options.h"

/* The process's environment with LEADERWRAP_KEY, _ID, _NAME and _TTL_MS set, with --lease-page
 * LEADERWRAP_LEASE too (and without a
 * LEADERWRAP_TOKEN: the keeper adds the run's), and without what a service manager told us alone
 * (NOTIFY_SOCKET, WATCHDOG_*) unless --pass-notify, and without LEADERWRAP_PASSWORD,
 * LEADERWRAP_SENTINEL_PASSWORD and LEADERWRAP_REDIS. Returns a NULL-terminated array that belongs
 * to the caller (environment_free), or NULL when memory ran out. */
char **environment_build(const struct options *options, const char *id);

/* Whether an entry ("NAME=VALUE") is one of those that leaderwrap sets for its command. */
bool environment_is_ours(const char *entry);

/* Whether an entry is one of those that hold a password, or may. */
bool environment_is_secret(const char *entry);

void environment_free(char **environment);

#endif
