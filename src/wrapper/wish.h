/*
 * An operator's wish in words. Pure but for the log.
 */
#ifndef LEADERWRAP_WRAPPER_WISH_H
#define LEADERWRAP_WRAPPER_WISH_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"

/* The word for it in fields: "paused", "cordoned", "step-down"; "" for none. */
const char *wish_word(const struct lease_wish *wish);

/* What keeps a candidate from the lease: "paused by root@adm1: db migration". Returns `buffer`. */
char *wish_describe(const struct lease_wish *wish, char *buffer, size_t size);

/* What goes behind that: how long it lasts. Returns `buffer`. */
char *wish_describe_rest(const struct lease_wish *wish, char *buffer, size_t size);

/* Tells that a term ends because of it. */
void wish_tell_ending(const struct lease_wish *wish);

#endif
