/*
 * Those who say where the master is: all sentinels that are known, configured or told by others; or
 * the masters of a cluster that own slots, as the nodes tell that can be reached.
 * Each is kept a connection to. A poll asks all of them at once, with one small question, and each
 * answer is a vote; what a majority is, and what follows from it, is the election's business.
 *
 * A witness is told from others by its id, whatever address leads to it. One that is lost is
 * connected to again with a capped back-off, and answers the latest poll when it comes up. An
 * answer counts only for the poll that it was asked in.
 */
#ifndef LEADERWRAP_REDIS_WITNESSES_H
#define LEADERWRAP_REDIS_WITNESSES_H

#include <stdint.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"
#include "route.h"

struct witnesses;

struct witnesses_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, must outlive the witnesses */
    const char *key;                   /* borrowed; of a cluster: what the votes are about */
    int64_t timeout_ms;                /* as connection's */
    /* Comes from the loop; the witnesses may be freed in it. */
    void (*on_vote)(void *context, const struct lease_vote *vote);
    /* One of them says that the master is another one now than the link goes to: a hint. As above;
     * NULL: nobody cares. */
    void (*on_hint)(void *context);
    void *context;
};

/* Makes them for a target that has some (redis_target_has_witnesses). Returns 0 or -errno. Free
 * with witnesses_free. */
int witnesses_new(struct witnesses **out, const struct witnesses_config *config);

/* Begins to connect to those that are configured. Repeating it does nothing. */
void witnesses_start(struct witnesses *witnesses);

/* Where the connection goes that the votes are about; borrowed until the next call; NULL: nowhere.
 */
void witnesses_link(struct witnesses *witnesses, const struct route_hop *hop);

/* Asks all of them; `poll` is not 0, and new. The one before is not answered any more. */
void witnesses_poll(struct witnesses *witnesses, uint64_t poll);

/* Closes and frees; the memory goes when the loop has run the close callbacks. NULL is fine. */
void witnesses_free(struct witnesses *witnesses);

#endif
