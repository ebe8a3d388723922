/*
 * The second connection of a store: to the node that a slot is on its way to, where ASK says that
 * the keys are already. Each command that goes this way has ASKING in front of it
 * (https://redis.io/docs/latest/commands/asking/).
 */
#ifndef LEADERWRAP_REDIS_DETOUR_H
#define LEADERWRAP_REDIS_DETOUR_H

#include <uv.h>

#include "leaderwrap/redis/connection.h"
#include "place.h"

struct detour;

struct detour_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, must outlive the detour */
    int64_t timeout_ms;                /* as connection's, like the callbacks */
    struct connection_callbacks callbacks;
    void *context;
};

/* Makes one that leads nowhere. Returns 0 or -errno. Free with detour_free. */
int detour_new(struct detour **out, const struct detour_config *config);

/* Lets it lead to `place`; what was sent to another one is dropped. Returns 1 where it is open, 0
 * where on_open or on_closed follows from the loop, or -errno. */
int detour_to(struct detour *detour, const struct place *place);

/* As connection_send. */
int detour_send(struct detour *detour, int argc, const char *const *argv, const size_t *lengths,
                connection_reply_fn *reply, void *context);

/* It leads nowhere again. NULL is fine, as in the next. */
void detour_close(struct detour *detour);
void detour_free(struct detour *detour);

#endif
