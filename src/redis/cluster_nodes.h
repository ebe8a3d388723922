/*
 * The owner of a slot, in what a node answers to CLUSTER NODES, and its config-epoch: the only
 * answer that has it. Pure. https://redis.io/docs/latest/commands/cluster-nodes/
 */
#ifndef LEADERWRAP_REDIS_CLUSTER_NODES_H
#define LEADERWRAP_REDIS_CLUSTER_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "place.h"

struct slot_owner {
    bool found;         /* else nobody owns the slot */
    bool myself;        /* it is the node that answered */
    uint64_t epoch;     /* 0: it was never given one */
    struct place place; /* by its number; nowhere where the node does not know that */
    struct place named; /* by its announced host name; nowhere where it has none */
};

/* Finds the owner of `slot`. Returns 0, or -1 for what is no such answer. */
int slot_owner_read(const char *text, size_t length, unsigned slot, struct slot_owner *owner);

/* Whether the owner is at `place`, as another answer of the same node has it, whose host is `own`:
 * that stands where a host is not told, so that only the port says who is meant. */
bool slot_owner_is_at(const struct slot_owner *owner, const struct place *place, const char *own);

#endif
