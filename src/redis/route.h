/*
 * The way to a Redis: which address to connect to next. A connection asks for it and knows nothing
 * of names, paths, sentinels or nodes: each kind of way is a file of its own that fills in the
 * functions.
 *
 * One attempt of a connection to open is a round: route_begin, then route_next after each address
 * that did not do, until one does or the round is over.
 */
#ifndef LEADERWRAP_REDIS_ROUTE_H
#define LEADERWRAP_REDIS_ROUTE_H

#include <netinet/in.h>
#include <sys/un.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"
#include "place.h"

#define ROUTE_WHERE_SIZE 256
#define ROUTE_HOST_SIZE  256 /* a DNS name has 253 bytes at most */
#define ROUTE_WHY_SIZE   512

/* One address, and what it is called. */
struct route_hop {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } address;
    char host[ROUTE_HOST_SIZE]; /* name or number, which a certificate has to be for; or empty */
    char port[6];
    char where[ROUTE_WHERE_SIZE];  /* "redis.example:6379", "/run/redis.sock" */
    char number[INET6_ADDRSTRLEN]; /* the address, where `where` has a name; else empty */
};

/* Why there is no address. */
struct route_problem {
    enum lease_failure failure;
    char why[ROUTE_WHY_SIZE]; /* a phrase that says what was looked for */
};

enum route_step {
    ROUTE_HOP,   /* `*hop` is the next to try */
    ROUTE_WAITS, /* it is not known yet: on_ready will say when to ask again */
    ROUTE_OVER,  /* there is none left in this round */
    ROUTE_LOST,  /* none can be found, `*problem` says why */
};

struct route;

struct route_functions {
    void (*begin)(struct route *route);
    enum route_step (*next)(struct route *route, struct route_hop *hop,
                            struct route_problem *problem);
    void (*free)(struct route *route);
    void (*moved)(struct route *route, const struct place *place); /* NULL: of no interest */
};

/* The first member of each kind. */
struct route {
    const struct route_functions *functions;
};

/* Called from the loop, and only after ROUTE_WAITS; anything may be done then. */
typedef void route_ready_fn(void *context);

struct route_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, must outlive the route */
    const char *key; /* borrowed; of a cluster: leads to the node that has it, or to any one where
                        it is NULL */
    route_ready_fn *on_ready;
    void *context;
};

/* Makes the way that the target asks for. Returns 0 or -errno; free with route_free. */
int route_new(struct route **out, const struct route_config *config);

/* Begins a round; one that was under way is forgotten. */
void route_begin(struct route *route);
enum route_step route_next(struct route *route, struct route_hop *hop,
                           struct route_problem *problem);

/* Where the last address led to, it was said that the key is at `place` now: the next round, and no
 * other, begins and ends there. */
void route_moved(struct route *route, const struct place *place);

/* Frees it; nothing is called back any more. NULL is fine. */
void route_free(struct route *route);

#endif
