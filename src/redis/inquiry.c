/* Between an answer and the addresses that follow from it. */
#include "inquiry.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver.h"

void inquiry_init(struct inquiry *inquiry, const struct route_functions *functions,
                  const struct route_config *config)
{
    inquiry->route.functions = functions;
    inquiry->config = *config;
    inquiry->state = INQUIRY_LOST;
    /* Cannot fail (uv_timer_init). */
    uv_timer_init(config->loop, &inquiry->timer);
    inquiry->timer.data = inquiry;
}

void inquiry_begin(struct inquiry *inquiry)
{
    inquiry->state = INQUIRY_ASKING;
    inquiry->waits = false;
    uv_timer_stop(&inquiry->timer);
}

void inquiry_await(struct inquiry *inquiry, uv_timer_cb on_patience, uint64_t patience_ms)
{
    /* A timer counts from the loop's idea of now, which is stale inside a callback. */
    uv_update_time(inquiry->config.loop);
    uv_timer_start(&inquiry->timer, on_patience, patience_ms, 0);
}

void inquiry_note(struct inquiry *inquiry, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(inquiry->problem.why, sizeof inquiry->problem.why, format, args);
    va_end(args);
}

static void tell(struct inquiry *inquiry)
{
    bool waits = inquiry->waits;

    inquiry->waits = false;
    if (waits)
        inquiry->config.on_ready(inquiry->config.context);
}

static void on_resolved(void *context)
{
    tell(context);
}

/* The way to `place`; the last one where that is the same, for it has addresses that were good. */
static int lead_to(struct inquiry *inquiry, const struct place *place)
{
    const struct route_config config = {.loop = inquiry->config.loop,
                                        .target = &inquiry->target,
                                        .on_ready = on_resolved,
                                        .context = inquiry};
    int error = 0;

    if (inquiry->onward == NULL || !place_is_same(place, &inquiry->place)) {
        route_free(inquiry->onward);
        inquiry->onward = NULL;
        redis_target_clear(&inquiry->target);
        error = redis_target_one(inquiry->config.target, REDIS_AS_SERVER, place->host, place->port,
                                 &inquiry->target);
        if (error == 0)
            error = resolver_new(&inquiry->onward, &config);
        inquiry->place = *place;
    }
    if (error == 0)
        route_begin(inquiry->onward);
    return error;
}

static void settle(struct inquiry *inquiry, enum inquiry_state state)
{
    inquiry->state = state;
    uv_timer_stop(&inquiry->timer);
    tell(inquiry);
}

int inquiry_found(struct inquiry *inquiry, const struct place *place)
{
    int error = lead_to(inquiry, place);

    if (error == 0)
        settle(inquiry, INQUIRY_FOUND);
    return error;
}

void inquiry_lost(struct inquiry *inquiry, bool refused_by_all, const char *none)
{
    char last[sizeof inquiry->problem.why];

    inquiry->problem.failure =
        refused_by_all ? LEASE_FAILURE_CONFIGURATION : LEASE_FAILURE_TRANSIENT;
    if (!refused_by_all) {
        memcpy(last, inquiry->problem.why, sizeof last);
        inquiry_note(inquiry, "%s; the last one: %.300s", none, last);
    }
    settle(inquiry, INQUIRY_LOST);
}

enum route_step inquiry_next(struct route *route, struct route_hop *hop,
                             struct route_problem *problem)
{
    struct inquiry *inquiry = (struct inquiry *)route;
    enum route_step step = ROUTE_WAITS;

    switch (inquiry->state) {
    case INQUIRY_ASKING:
        break;
    case INQUIRY_FOUND:
        step = route_next(inquiry->onward, hop, problem);
        break;
    case INQUIRY_LOST:
        *problem = inquiry->problem;
        step = ROUTE_LOST;
        break;
    }
    inquiry->waits = step == ROUTE_WAITS;
    return step;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void inquiry_free(struct inquiry *inquiry)
{
    route_free(inquiry->onward);
    redis_target_clear(&inquiry->target);
    uv_close((uv_handle_t *)&inquiry->timer, on_timer_closed);
}
