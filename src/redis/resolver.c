/* The addresses of a host: uv_getaddrinfo behind a list that outlives failed look-ups. */
#include "resolver.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct lookup {
    uv_getaddrinfo_t request;
    struct resolver *owner; /* NULL once the resolver is gone */
};

struct resolver {
    struct route route;
    struct route_config config;
    bool numeric;
    struct lookup *lookup; /* in flight */
    unsigned count;
    union address addresses[RESOLVER_ADDRESSES_MAX];
    unsigned turn; /* counts addresses tried, over all rounds */
    unsigned left; /* to be tried in this round */
    bool waits;    /* this round needs the look-up */
    int error;     /* of the look-up that this round needed */
};

static void take_list(struct resolver *resolver, const struct addrinfo *list)
{
    unsigned count = 0;

    for (; list != NULL && count < RESOLVER_ADDRESSES_MAX; list = list->ai_next) {
        if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
            continue;
        if (list->ai_addrlen > sizeof resolver->addresses[0])
            continue;
        memcpy(&resolver->addresses[count++], list->ai_addr, list->ai_addrlen);
    }
    if (count > 0)
        resolver->count = count;
}

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup *lookup = request->data;
    struct resolver *resolver = lookup->owner;

    free(lookup);
    if (resolver != NULL) {
        resolver->lookup = NULL;
        take_list(resolver, list);
    }
    uv_freeaddrinfo(list);
    if (resolver == NULL || !resolver->waits)
        return;
    resolver->waits = false;
    resolver->left = resolver->count;
    if (resolver->count == 0)
        resolver->error = status != 0 ? status : UV_EAI_NODATA;
    resolver->config.on_ready(resolver->config.context);
}

/* Returns 0 or a libuv error. */
static int look_up(struct resolver *resolver)
{
    const struct redis_url *url = &resolver->config.target->url;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup = calloc(1, sizeof *lookup);

    if (lookup == NULL)
        return UV_ENOMEM;
    lookup->request.data = lookup;
    lookup->owner = resolver;
    int error = uv_getaddrinfo(resolver->config.loop, &lookup->request, on_lookup, url->host,
                               url->port, &hints);
    if (error != 0)
        free(lookup);
    else
        resolver->lookup = lookup;
    return error;
}

static void begin(struct route *route)
{
    struct resolver *resolver = (struct resolver *)route;
    bool hangs = resolver->lookup != NULL;

    resolver->left = 0;
    resolver->error = 0;
    resolver->waits = false;
    if (resolver->numeric || (hangs && resolver->count > 0)) {
        resolver->left = resolver->count;
        return;
    }
    if (!hangs)
        resolver->error = look_up(resolver);
    resolver->waits = resolver->error == 0;
}

/* Who the host is, and its number where that says something new. */
static void name_hop(const struct resolver *resolver, struct route_hop *hop)
{
    snprintf(hop->host, sizeof hop->host, "%s", resolver->config.target->url.host);
    memcpy(hop->port, resolver->config.target->url.port, sizeof hop->port);
    redis_url_show(&resolver->config.target->url, hop->where, sizeof hop->where);
    if (resolver->numeric)
        return;
    if (hop->address.any.sa_family == AF_INET)
        uv_ip4_name(&hop->address.v4, hop->number, sizeof hop->number);
    else
        uv_ip6_name(&hop->address.v6, hop->number, sizeof hop->number);
}

static enum route_step next(struct route *route, struct route_hop *hop,
                            struct route_problem *problem)
{
    struct resolver *resolver = (struct resolver *)route;
    char where[ROUTE_WHERE_SIZE], text[128];

    if (resolver->waits)
        return ROUTE_WAITS;
    if (resolver->error != 0) {
        problem->failure = LEASE_FAILURE_TRANSIENT;
        snprintf(problem->why, sizeof problem->why, "cannot find the address of redis at %s: %s",
                 redis_url_show(&resolver->config.target->url, where, sizeof where),
                 uv_strerror_r(resolver->error, text, sizeof text));
        return ROUTE_LOST;
    }
    if (resolver->left == 0)
        return ROUTE_OVER;
    resolver->left--;
    memset(hop, 0, sizeof *hop);
    memcpy(&hop->address, &resolver->addresses[resolver->turn++ % resolver->count],
           sizeof resolver->addresses[0]);
    name_hop(resolver, hop);
    return ROUTE_HOP;
}

static void resolver_free(struct route *route)
{
    struct resolver *resolver = (struct resolver *)route;

    if (resolver->lookup != NULL) {
        resolver->lookup->owner = NULL;
        /* Fails where a thread is at it already; then it ends by itself. */
        uv_cancel((uv_req_t *)&resolver->lookup->request);
    }
    free(resolver);
}

int resolver_new(struct route **out, const struct route_config *config)
{
    static const struct route_functions functions = {
        .begin = begin, .next = next, .free = resolver_free};
    struct resolver *resolver = calloc(1, sizeof *resolver);
    const struct redis_url *url = &config->target->url;
    int port = (int)strtol(url->port, NULL, 10);

    if (resolver == NULL)
        return -ENOMEM;
    resolver->route.functions = &functions;
    resolver->config = *config;
    if (uv_ip4_addr(url->host, port, &resolver->addresses[0].v4) == 0 ||
        uv_ip6_addr(url->host, port, &resolver->addresses[0].v6) == 0) {
        resolver->numeric = true;
        resolver->count = 1;
    }
    *out = &resolver->route;
    return 0;
}
