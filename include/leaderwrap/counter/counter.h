/*
 * The default command: a counter in Redis that only the leader may increment.
 *
 * Each second one script compares the fencing token with the lease's record and increments. It is
 * the smallest example of a resource that is safe even from a leader that a frozen machine brought
 * back.
 */
#ifndef LEADERWRAP_COUNTER_COUNTER_H
#define LEADERWRAP_COUNTER_COUNTER_H

#include "leaderwrap/redis/target.h"

struct counter_config {
    const struct redis_target *target; /* borrowed, as all that follows */
    const char *lease_key;
    const char *counter_key;
    const char *name;
};

/* Counts until TERM or INT (0), or until its token, LEADERWRAP_TOKEN in the environment, is not the
 * newest any more or Redis refuses it (1). Returns the exit status. Unreachable servers are
 * tried again for as long as it lives: how long that is, is the wrapper's business. */
int counter_run(const struct counter_config *config);

#endif
