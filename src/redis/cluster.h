/*
 * The way to the node of a cluster that has a key's slot. Nodes are asked in turn, a moment each:
 * the seeds first, then those that they told of, so that it does not matter what becomes of the
 * seeds. Each round begins with another one, for a node that is cut off from the others can go on
 * naming a master that is none. What it names, a number or a host's name, is resolved like any
 * other address. Only after route_moved nobody has to be asked.
 */
#ifndef LEADERWRAP_REDIS_CLUSTER_H
#define LEADERWRAP_REDIS_CLUSTER_H

#include "route.h"

#define CLUSTER_PATIENCE_MS 300 /* for a connection and an answer */

/* As route_new, for a target of a cluster. */
int cluster_new(struct route **out, const struct route_config *config);

#endif
