/*
 * From the options about Redis to a target: addresses, sentinels, cluster, passwords, TLS.
 */
#ifndef LEADERWRAP_WRAPPER_REDIS_OPTIONS_H
#define LEADERWRAP_WRAPPER_REDIS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "leaderwrap/cli/place.h"
#include "leaderwrap/cli/settings.h"
#include "leaderwrap/redis/target.h"
#include "tls_options.h"

/* What the options say. Borrowed from argv and the environment. */
struct redis_options {
    struct cli_texts addresses; /* --redis */
    const char *service;        /* --sentinel */
    bool cluster;
    const char *password_file;
    const char *sentinel_user;
    const char *sentinel_password_file;
    struct tls_options tls;
};

/* Says where the values of these options go. */
void redis_options_place(struct cli_place *at, struct redis_options *options);

/* Fills the zeroed `*target` with what `options`, REDIS_URL, LEADERWRAP_PASSWORD and
 * LEADERWRAP_SENTINEL_PASSWORD say. Returns 0; or an exit status, with a sentence in `error`. The
 * target is to be cleared in both cases. */
int redis_options_take(const struct redis_options *options, const struct cli_settings *given,
                       struct redis_target *target, char *error, size_t size);

#endif
