/*
 * The way to a Unix socket: one address, always the same.
 */
#ifndef LEADERWRAP_REDIS_LOCAL_H
#define LEADERWRAP_REDIS_LOCAL_H

#include "route.h"

/* As route_new, for a target with a path. */
int local_new(struct route **out, const struct route_config *config);

#endif
