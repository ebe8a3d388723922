/* Which kind of way leads to a target. */
#include "route.h"

#include <stddef.h>

#include "cluster.h"
#include "local.h"
#include "resolver.h"
#include "sentinel.h"

int route_new(struct route **out, const struct route_config *config)
{
    if (config->target->kind == REDIS_SENTINELS)
        return sentinel_new(out, config);
    if (config->target->kind == REDIS_CLUSTER)
        return cluster_new(out, config);
    return config->target->url.is_unix ? local_new(out, config) : resolver_new(out, config);
}

void route_begin(struct route *route)
{
    route->functions->begin(route);
}

enum route_step route_next(struct route *route, struct route_hop *hop,
                           struct route_problem *problem)
{
    return route->functions->next(route, hop, problem);
}

void route_moved(struct route *route, const struct place *place)
{
    if (route->functions->moved != NULL)
        route->functions->moved(route, place);
}

void route_free(struct route *route)
{
    if (route != NULL)
        route->functions->free(route);
}
