/*
 * The way to the master that sentinels know by a name. They are asked in turn, a moment each. The
 * one that answered is the first to be asked from then on, unless the way that it named had to be
 * asked for again soon; what it names, a number or a host's name, is resolved like any other
 * address.
 */
#ifndef LEADERWRAP_REDIS_SENTINEL_H
#define LEADERWRAP_REDIS_SENTINEL_H

#include "route.h"

#define SENTINEL_PATIENCE_MS 300 /* for a connection and an answer */

/* As route_new, for a target of sentinels. */
int sentinel_new(struct route **out, const struct route_config *config);

#endif
