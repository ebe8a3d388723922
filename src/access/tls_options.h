/*
 * From the options about TLS to the part of a target that says how connections are encrypted.
 */
#ifndef LEADERWRAP_ACCESS_TLS_OPTIONS_H
#define LEADERWRAP_ACCESS_TLS_OPTIONS_H

#include <stddef.h>

#include "leaderwrap/access/redis_options.h"
#include "leaderwrap/cli/place.h"
#include "leaderwrap/cli/settings.h"
#include "leaderwrap/redis/target.h"

/* Says where the values of these options go. */
void tls_options_place(struct cli_place *at, struct tls_options *options);

/* Fills `target->tls`, where the address in it asks for TLS: loads what does it, and tries the
 * files. Returns 0; or an exit status, with a sentence in `error`. The target is to be cleared in
 * both cases. */
int tls_options_take(const struct tls_options *options, const struct cli_settings *given,
                     struct redis_target *target, char *error, size_t size);

#endif
