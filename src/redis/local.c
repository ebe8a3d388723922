/* A Unix socket's path as an address. */
#include "local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct local {
    struct route route;
    const char *path;
    bool tried; /* in this round */
};

static void begin(struct route *route)
{
    ((struct local *)route)->tried = false;
}

static enum route_step next(struct route *route, struct route_hop *hop,
                            struct route_problem *problem)
{
    struct local *local = (struct local *)route;

    /* libuv would cut a longer path and connect to some other socket. */
    if (strlen(local->path) >= sizeof hop->address.local.sun_path) {
        problem->failure = LEASE_FAILURE_CONFIGURATION;
        snprintf(problem->why, sizeof problem->why,
                 "the path of the socket %.200s is too long: at most %zu bytes", local->path,
                 sizeof hop->address.local.sun_path - 1);
        return ROUTE_LOST;
    }
    if (local->tried)
        return ROUTE_OVER;
    local->tried = true;
    memset(hop, 0, sizeof *hop);
    hop->address.local.sun_family = AF_UNIX;
    snprintf(hop->address.local.sun_path, sizeof hop->address.local.sun_path, "%s", local->path);
    snprintf(hop->where, sizeof hop->where, "%s", local->path);
    return ROUTE_HOP;
}

static void local_free(struct route *route)
{
    free(route);
}

int local_new(struct route **out, const struct route_config *config)
{
    static const struct route_functions functions = {
        .begin = begin, .next = next, .free = local_free};
    struct local *local = calloc(1, sizeof *local);

    if (local == NULL)
        return -ENOMEM;
    local->route.functions = &functions;
    local->path = config->target->url.path;
    *out = &local->route;
    return 0;
}
