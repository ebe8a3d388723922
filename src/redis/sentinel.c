/* Asks sentinels for an address, and hands it to a resolver. */
#include "sentinel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/connection.h"
#include "resolver.h"
#include "sentinel_ask.h"

/* A way that had to be asked for again so soon led to a server that did not do. */
#define WAY_PROVEN_MS 10000

enum sentinel_state {
    SENTINEL_ASKING,
    SENTINEL_FOUND, /* `master` has the way */
    SENTINEL_LOST,  /* `problem` says why */
};

/* One sentinel; connected to only while it is asked. */
struct asked {
    struct sentinel_route *owner;
    struct redis_target target;
    struct connection *connection;
};

struct sentinel_route {
    struct route route;
    struct route_config config;
    uv_timer_t timer;
    enum sentinel_state state;
    uint64_t found_ms; /* when it was, by the loop's clock */
    bool waits;        /* somebody wants to be told when the state is another one */
    unsigned turn;     /* who is asked, or answered last; over all rounds */
    unsigned left;     /* to be asked in this round */
    unsigned refused;  /* in this round: those that answered, and will do so again */
    struct route_problem problem;
    struct place place; /* of the last answer */
    struct redis_target found;
    struct route *master; /* the way to `found` */
    size_t count;
    struct asked list[];
};

static struct asked *present(struct sentinel_route *route)
{
    return &route->list[route->turn % route->count];
}

static void settle(struct sentinel_route *route, enum sentinel_state state)
{
    bool waits = route->waits;

    route->state = state;
    route->waits = false;
    uv_timer_stop(&route->timer);
    if (waits)
        route->config.on_ready(route->config.context);
}

/* What all of them came to. Only where each has answered, and would answer the same again, is it a
 * mistake of somebody's. */
static void give_up(struct sentinel_route *route)
{
    char last[sizeof route->problem.why];
    bool all = route->refused == route->count;

    route->problem.failure = all ? LEASE_FAILURE_CONFIGURATION : LEASE_FAILURE_TRANSIENT;
    if (!all) {
        memcpy(last, route->problem.why, sizeof last);
        snprintf(route->problem.why, sizeof route->problem.why,
                 "none of %zu sentinels says where %s is; the last one: %.300s", route->count,
                 route->config.target->service, last);
    }
    settle(route, SENTINEL_LOST);
}

static void on_patience(uv_timer_t *timer);

static void ask_next(struct sentinel_route *route)
{
    if (route->left == 0) {
        give_up(route);
        return;
    }
    route->left--;
    uv_update_time(route->config.loop);
    uv_timer_start(&route->timer, on_patience, SENTINEL_PATIENCE_MS, 0);
    connection_open(present(route)->connection);
}

/* The present one is of no use: on to the next. */
static void pass_on(struct sentinel_route *route)
{
    connection_close(present(route)->connection);
    route->turn++;
    ask_next(route);
}

static void on_patience(uv_timer_t *timer)
{
    struct sentinel_route *route = timer->data;
    char where[ROUTE_WHERE_SIZE];

    snprintf(route->problem.why, sizeof route->problem.why,
             "the sentinel at %s does not answer within %d ms",
             redis_target_show(&present(route)->target, where, sizeof where), SENTINEL_PATIENCE_MS);
    pass_on(route);
}

static void on_resolved(void *context)
{
    struct sentinel_route *route = context;

    if (!route->waits)
        return;
    route->waits = false;
    route->config.on_ready(route->config.context);
}

/* The way to where the master is; the last one where that is the same, for it has addresses that
 * were good. Returns 0 or -errno. */
static int lead_to(struct sentinel_route *route, const struct place *place)
{
    const struct redis_target *target = route->config.target;
    struct route_config config = {.loop = route->config.loop,
                                  .target = &route->found,
                                  .on_ready = on_resolved,
                                  .context = route};
    int error = 0;

    if (route->master == NULL || !place_is_same(place, &route->place)) {
        route_free(route->master);
        route->master = NULL;
        redis_target_clear(&route->found);
        error = redis_target_one(target, REDIS_AS_SERVER, place->host, place->port, &route->found);
        if (error == 0)
            error = resolver_new(&route->master, &config);
        route->place = *place;
    }
    if (error == 0)
        route_begin(route->master);
    return error;
}

static void on_answer(void *context, const struct witness_answer *answer)
{
    struct asked *asked = context;
    struct sentinel_route *route = asked->owner;
    char where[ROUTE_WHERE_SIZE];
    int error = 0;

    redis_target_show(&asked->target, where, sizeof where);
    switch (answer->says) {
    case WITNESS_NAMES:
        connection_close(asked->connection);
        error = lead_to(route, &answer->place);
        if (error == 0) {
            route->found_ms = uv_now(route->config.loop);
            settle(route, SENTINEL_FOUND);
            return;
        }
        snprintf(route->problem.why, sizeof route->problem.why, "%s", strerror(-error));
        break;
    case WITNESS_ITSELF: /* no sentinel says so */
    case WITNESS_UNAWARE:
        route->refused++;
        snprintf(route->problem.why, sizeof route->problem.why,
                 "the sentinel at %s knows no master called %s: SENTINEL MASTERS lists those that "
                 "it knows",
                 where, route->config.target->service);
        break;
    case WITNESS_REFUSES:
        route->refused += answer->failure == LEASE_FAILURE_CONFIGURATION;
        snprintf(route->problem.why, sizeof route->problem.why, "the sentinel at %.200s: %s", where,
                 answer->text);
        break;
    }
    pass_on(route);
}

/* Where it cannot be asked no answer comes either, and the timer finds that. */
static void on_open(void *context)
{
    struct asked *asked = context;

    (void)sentinel_ask(asked->connection, asked->owner->config.target->service, on_answer, asked);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct asked *asked = context;
    struct sentinel_route *route = asked->owner;

    route->refused += failure == LEASE_FAILURE_CONFIGURATION;
    snprintf(route->problem.why, sizeof route->problem.why, "asking a sentinel: %.400s", why);
    pass_on(route);
}

static void begin(struct route *base)
{
    struct sentinel_route *route = (struct sentinel_route *)base;

    /* Whoever was not heard out in the last round would not be in this one either. */
    if (route->state == SENTINEL_ASKING) {
        connection_close(present(route)->connection);
        route->turn++;
    }
    /* One that is cut off from the others goes on naming the old master: they know better. */
    if (route->state == SENTINEL_FOUND &&
        uv_now(route->config.loop) - route->found_ms < WAY_PROVEN_MS)
        route->turn++;
    route->state = SENTINEL_ASKING;
    route->waits = false;
    route->left = (unsigned)route->count;
    route->refused = 0;
    ask_next(route);
}

static enum route_step next(struct route *base, struct route_hop *hop,
                            struct route_problem *problem)
{
    struct sentinel_route *route = (struct sentinel_route *)base;
    enum route_step step = ROUTE_WAITS;

    switch (route->state) {
    case SENTINEL_ASKING:
        break;
    case SENTINEL_FOUND:
        step = route_next(route->master, hop, problem);
        break;
    case SENTINEL_LOST:
        *problem = route->problem;
        step = ROUTE_LOST;
        break;
    }
    route->waits = step == ROUTE_WAITS;
    return step;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void sentinel_free(struct route *base)
{
    struct sentinel_route *route = (struct sentinel_route *)base;

    for (size_t i = 0; i < route->count; i++) {
        connection_free(route->list[i].connection);
        redis_target_clear(&route->list[i].target);
    }
    route_free(route->master);
    redis_target_clear(&route->found);
    uv_close((uv_handle_t *)&route->timer, on_timer_closed);
}

/* Returns 0 or -errno; what was made is to be freed in both cases. */
static int make_list(struct sentinel_route *route)
{
    const struct redis_target *target = route->config.target;

    for (; route->count < target->seed_count; route->count++) {
        struct asked *asked = &route->list[route->count];
        const struct redis_seed *seed = &target->seeds[route->count];
        const struct connection_config config = {
            .loop = route->config.loop,
            .target = &asked->target,
            .timeout_ms = SENTINEL_PATIENCE_MS,
            .callbacks = {.on_open = on_open, .on_closed = on_closed},
            .context = asked,
        };

        asked->owner = route;
        int error =
            redis_target_one(target, REDIS_AS_SENTINEL, seed->host, seed->port, &asked->target);
        if (error == 0)
            error = connection_new(&asked->connection, &config);
        if (error != 0) {
            redis_target_clear(&asked->target);
            return error;
        }
    }
    return 0;
}

int sentinel_new(struct route **out, const struct route_config *config)
{
    static const struct route_functions functions = {
        .begin = begin, .next = next, .free = sentinel_free};
    size_t count = config->target->seed_count;
    struct sentinel_route *route = calloc(1, sizeof *route + count * sizeof route->list[0]);

    if (route == NULL)
        return -ENOMEM;
    route->route.functions = &functions;
    route->config = *config;
    route->state = SENTINEL_LOST;
    /* Cannot fail (uv_timer_init). */
    uv_timer_init(config->loop, &route->timer);
    route->timer.data = route;
    int error = make_list(route);
    if (error != 0) {
        sentinel_free(&route->route);
        return error;
    }
    *out = &route->route;
    return 0;
}
