/*
 * Addresses of a host name, found without blocking the loop: at most one look-up in flight, and
 * the last good list is kept for when a later look-up fails. Numeric addresses need no look-up and
 * no thread.
 */
#ifndef LEADERWRAP_REDIS_RESOLVER_H
#define LEADERWRAP_REDIS_RESOLVER_H

#include <netinet/in.h>
#include <uv.h>

#define RESOLVER_ADDRESSES_MAX 8

struct resolver;

union resolver_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A look-up has ended. `status` is 0 where there are addresses (be they those of an earlier
 * look-up), or the libuv error of this one. */
typedef void resolver_done_fn(void *context, int status);

/* `host` and `port` are borrowed. Returns 0 or -errno; free with resolver_free. */
int resolver_new(struct resolver **out, uv_loop_t *loop, const char *host, const char *port,
                 resolver_done_fn *done, void *context);

/* Asks for fresh addresses. Returns 1 where there are some to use now: a numeric host, or a look-up
 * of an earlier call that still hangs while an older list exists. Returns 0 where `done` will say
 * so from the loop, or a libuv error. */
int resolver_refresh(struct resolver *resolver);

/* The address of try number `turn`, in turn through the list; NULL if there is none. */
const union resolver_address *resolver_pick(const struct resolver *resolver, unsigned turn);
unsigned resolver_count(const struct resolver *resolver);

/* Frees it; a look-up in flight ends unheard. NULL is fine. */
void resolver_free(struct resolver *resolver);

#endif
