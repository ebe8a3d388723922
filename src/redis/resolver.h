/*
 * The way to a host: its addresses in turn, found without blocking the loop. At most one look-up is
 * in flight, and the last good list is kept for when a later look-up fails or hangs. Each round
 * begins where the one before stopped, so that an address that accepts and never answers, or turns
 * out to be a replica, does not hold anybody for ever. Numeric addresses need no look-up and no
 * thread.
 */
#ifndef LEADERWRAP_REDIS_RESOLVER_H
#define LEADERWRAP_REDIS_RESOLVER_H

#include "route.h"

#define RESOLVER_ADDRESSES_MAX 8

/* As route_new, for a target with a host. */
int resolver_new(struct route **out, const struct route_config *config);

#endif
