/* Asks sentinels for an address, and hands it to a resolver. */
#include "sentinel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inquiry.h"
#include "leaderwrap/redis/connection.h"
#include "sentinel_ask.h"

/* A way that had to be asked for again so soon led to a server that did not do. */
#define WAY_PROVEN_MS 10000

/* One sentinel; connected to only while it is asked. */
struct asked {
    struct sentinel_route *owner;
    struct redis_target target;
    struct connection *connection;
};

struct sentinel_route {
    struct inquiry inquiry;
    uint64_t found_ms; /* when it was, by the loop's clock */
    unsigned turn;     /* who is asked, or answered last; over all rounds */
    unsigned left;     /* to be asked in this round */
    unsigned refused;  /* in this round: those that answered, and will do so again */
    size_t count;
    struct asked list[];
};

static struct asked *present(struct sentinel_route *route)
{
    return &route->list[route->turn % route->count];
}

static void give_up(struct sentinel_route *route)
{
    char none[ROUTE_WHY_SIZE];

    snprintf(none, sizeof none, "none of %zu sentinels says where %s is", route->count,
             route->inquiry.config.target->service);
    inquiry_lost(&route->inquiry, route->refused == route->count, none);
}

static void on_patience(uv_timer_t *timer);

static void ask_next(struct sentinel_route *route)
{
    if (route->left == 0) {
        give_up(route);
        return;
    }
    route->left--;
    inquiry_await(&route->inquiry, on_patience, SENTINEL_PATIENCE_MS);
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

    inquiry_note(&route->inquiry, "the sentinel at %s does not answer within %d ms",
                 redis_target_show(&present(route)->target, where, sizeof where),
                 SENTINEL_PATIENCE_MS);
    pass_on(route);
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
        route->found_ms = uv_now(route->inquiry.config.loop);
        error = inquiry_found(&route->inquiry, &answer->place);
        if (error == 0)
            return;
        inquiry_note(&route->inquiry, "%s", strerror(-error));
        break;
    case WITNESS_ITSELF: /* no sentinel says so */
    case WITNESS_UNAWARE:
        route->refused++;
        inquiry_note(
            &route->inquiry,
            "the sentinel at %s knows no master called %s: SENTINEL MASTERS lists those that "
            "it knows",
            where, route->inquiry.config.target->service);
        break;
    case WITNESS_REFUSES:
        route->refused += answer->failure == LEASE_FAILURE_CONFIGURATION;
        inquiry_note(&route->inquiry, "the sentinel at %.200s: %s", where, answer->text);
        break;
    }
    pass_on(route);
}

/* Where it cannot be asked no answer comes either, and the timer finds that. */
static void on_open(void *context)
{
    struct asked *asked = context;

    (void)sentinel_ask(asked->connection, asked->owner->inquiry.config.target->service, on_answer,
                       asked);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct asked *asked = context;
    struct sentinel_route *route = asked->owner;

    route->refused += failure == LEASE_FAILURE_CONFIGURATION;
    inquiry_note(&route->inquiry, "asking a sentinel: %.400s", why);
    pass_on(route);
}

static void begin(struct route *base)
{
    struct sentinel_route *route = (struct sentinel_route *)base;

    /* Whoever was not heard out in the last round would not be in this one either. */
    if (route->inquiry.state == INQUIRY_ASKING) {
        connection_close(present(route)->connection);
        route->turn++;
    }
    /* One that is cut off from the others goes on naming the old master: they know better. */
    if (route->inquiry.state == INQUIRY_FOUND &&
        uv_now(route->inquiry.config.loop) - route->found_ms < WAY_PROVEN_MS)
        route->turn++;
    inquiry_begin(&route->inquiry);
    route->left = (unsigned)route->count;
    route->refused = 0;
    ask_next(route);
}

static void sentinel_free(struct route *base)
{
    struct sentinel_route *route = (struct sentinel_route *)base;

    for (size_t i = 0; i < route->count; i++) {
        connection_free(route->list[i].connection);
        redis_target_clear(&route->list[i].target);
    }
    inquiry_free(&route->inquiry);
}

/* Returns 0 or -errno; what was made is to be freed in both cases. */
static int make_list(struct sentinel_route *route)
{
    const struct redis_target *target = route->inquiry.config.target;

    for (; route->count < target->seed_count; route->count++) {
        struct asked *asked = &route->list[route->count];
        const struct redis_seed *seed = &target->seeds[route->count];
        const struct connection_config config = {
            .loop = route->inquiry.config.loop,
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
        .begin = begin, .next = inquiry_next, .free = sentinel_free};
    size_t count = config->target->seed_count;
    struct sentinel_route *route = calloc(1, sizeof *route + count * sizeof route->list[0]);

    if (route == NULL)
        return -ENOMEM;
    inquiry_init(&route->inquiry, &functions, config);
    int error = make_list(route);
    if (error != 0) {
        sentinel_free(&route->inquiry.route);
        return error;
    }
    *out = &route->inquiry.route;
    return 0;
}
