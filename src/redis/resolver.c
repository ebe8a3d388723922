/*
 * The address list of a connection: uv_getaddrinfo behind a list that outlives failed look-ups.
 */
#include "resolver.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    uv_getaddrinfo_t request;
    struct resolver *owner; /* NULL once the resolver is gone */
};

struct resolver {
    uv_loop_t *loop;
    const char *host;
    const char *port;
    resolver_done_fn *done;
    void *context;
    bool numeric;
    struct lookup *lookup; /* in flight */
    unsigned count;
    union resolver_address addresses[RESOLVER_ADDRESSES_MAX];
};

int resolver_new(struct resolver **out, uv_loop_t *loop, const char *host, const char *port,
                 resolver_done_fn *done, void *context)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    int number = (int)strtol(port, NULL, 10);

    if (resolver == NULL)
        return -ENOMEM;
    resolver->loop = loop;
    resolver->host = host;
    resolver->port = port;
    resolver->done = done;
    resolver->context = context;
    if (uv_ip4_addr(host, number, &resolver->addresses[0].v4) == 0 ||
        uv_ip6_addr(host, number, &resolver->addresses[0].v6) == 0) {
        resolver->numeric = true;
        resolver->count = 1;
    }
    *out = resolver;
    return 0;
}

static void take_list(struct resolver *resolver, const struct addrinfo *list)
{
    unsigned count = 0;

    for (; list != NULL && count < RESOLVER_ADDRESSES_MAX; list = list->ai_next) {
        if (list->ai_family != AF_INET && list->ai_family != AF_INET6)
            continue;
        if (list->ai_addrlen > sizeof(resolver->addresses[0]))
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
        if (resolver->count > 0)
            status = 0;
        else if (status == 0)
            status = UV_EAI_NODATA;
    }
    uv_freeaddrinfo(list);
    if (resolver != NULL)
        resolver->done(resolver->context, status);
}

int resolver_refresh(struct resolver *resolver)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup;
    int error;

    if (resolver->numeric)
        return 1;
    if (resolver->lookup != NULL)
        return resolver->count > 0;
    lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL)
        return UV_ENOMEM;
    lookup->request.data = lookup;
    lookup->owner = resolver;
    error = uv_getaddrinfo(resolver->loop, &lookup->request, on_lookup, resolver->host,
                           resolver->port, &hints);
    if (error != 0) {
        free(lookup);
        return error;
    }
    resolver->lookup = lookup;
    return 0;
}

const union resolver_address *resolver_pick(const struct resolver *resolver, unsigned turn)
{
    return resolver->count > 0 ? &resolver->addresses[turn % resolver->count] : NULL;
}

unsigned resolver_count(const struct resolver *resolver)
{
    return resolver->count;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (resolver->lookup != NULL) {
        resolver->lookup->owner = NULL;
        /* Fails where a thread is at it already; then it ends by itself. */
        uv_cancel((uv_req_t *)&resolver->lookup->request);
    }
    free(resolver);
}
