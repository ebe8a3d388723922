/*
 * The last will: after the elector's death, and once the tree is dead, the keeper gives the lease
 * back, so that a killed wrapper costs milliseconds and not a TTL.
 */
#ifndef LEADERWRAP_WRAPPER_WILL_H
#define LEADERWRAP_WRAPPER_WILL_H

#include "leaderwrap/keeper/keeper.h"
#include "options.h"

/* Releases the lease that `id` held in `term`, trying for at most the TTL or 5 s, whichever is
 * shorter. To be called in a process of its own. The result is told in the log: nobody is left to
 * return it to. */
void will_execute(const struct options *options, const char *id, const struct keeper_term *term);

#endif
