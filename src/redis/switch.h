/*
 * Hears at once what a sentinel says of a fail-over (+switch-master). It is a hint, and may be
 * missing, early or forged: whoever gets it asks again where the master is, and nothing else. So it
 * looks after itself: one sentinel at a time, the next one after each that is lost, with a pause.
 * https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#pubsub-messages
 */
#ifndef LEADERWRAP_REDIS_SWITCH_H
#define LEADERWRAP_REDIS_SWITCH_H

#include <uv.h>

#include "leaderwrap/redis/target.h"
#include "place.h"

#define SWITCH_PAUSE_MS 2000 /* from one hint to the next, and before another sentinel is tried */

struct switch_listener;

struct switch_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* of sentinels; borrowed, must outlive the listener */
    int64_t timeout_ms;                /* until the subscription is confirmed */
    /* The master is said to be at `place` now. From the loop; the listener may be freed in it. */
    void (*on_switch)(void *context, const struct place *place);
    void *context;
};

/* Makes one that does not listen yet. Returns 0 or -errno. Free with switch_free. */
int switch_new(struct switch_listener **out, const struct switch_config *config);

/* Begins to listen; repeating it does nothing. */
void switch_start(struct switch_listener *listener);

/* Closes and frees; the memory goes when the loop has run the close callbacks. NULL is fine. */
void switch_free(struct switch_listener *listener);

/* Reads "NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT". Returns 0 and fills `*place` with the new
 * address, or -1 where it is of another master or none at all. Pure. */
int switch_read(const char *payload, const char *service, struct place *place);

#endif
