/*
 * Runs a loop until something has happened, with a limit that only a broken test reaches.
 */
#ifndef LEADERWRAP_TEST_LOOP_UNTIL_H
#define LEADERWRAP_TEST_LOOP_UNTIL_H

#include <stdbool.h>
#include <uv.h>

#define LOOP_LIMIT_MS 30000

static inline void loop_on_limit(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Runs `loop` until `condition(context)` holds or `ms` have passed; returns whether it holds. */
static inline bool loop_wait(uv_loop_t *loop, bool (*condition)(void *), void *context, uint64_t ms)
{
    bool late = false;
    uv_timer_t timer;

    uv_timer_init(loop, &timer);
    timer.data = &late;
    uv_update_time(loop);
    uv_timer_start(&timer, loop_on_limit, ms, 0);
    while (!late && !condition(context))
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    /* The timer lives on this stack until its close is done. */
    uv_run(loop, UV_RUN_NOWAIT);
    return condition(context);
}

static inline void loop_until(uv_loop_t *loop, bool (*condition)(void *), void *context)
{
    if (!loop_wait(loop, condition, context, LOOP_LIMIT_MS))
        fail_msg("waited in vain");
}

/* Runs what is left and closes the loop; every handle must have been closed before. */
static inline void loop_end(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

#endif
