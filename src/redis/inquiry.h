/*
 * What routes have in common that must ask others where the server is: sentinels, or the nodes of a
 * cluster. It keeps what came of the asking and leads on to the place that was named, a host's name
 * or a number, by a resolver. Whom to ask, and what their answers mean, is the route's own matter.
 */
#ifndef LEADERWRAP_REDIS_INQUIRY_H
#define LEADERWRAP_REDIS_INQUIRY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "place.h"
#include "route.h"

enum inquiry_state {
    INQUIRY_ASKING,
    INQUIRY_FOUND, /* `onward` has the way */
    INQUIRY_LOST,  /* `problem` says why */
};

/* The first member of such a route, which is one allocation. Read-only to the route. */
struct inquiry {
    struct route route;
    struct route_config config;
    uv_timer_t timer; /* bounds an answer; its data are the route */
    enum inquiry_state state;
    bool waits; /* somebody wants to be told when the state is another one */
    struct route_problem problem;
    struct place place; /* of the last answer */
    struct redis_target target;
    struct route *onward; /* the way to `target` */
};

/* To be called with all zero. */
void inquiry_init(struct inquiry *inquiry, const struct route_functions *functions,
                  const struct route_config *config);

/* A round of asking begins; whoever waited for the last one is forgotten. */
void inquiry_begin(struct inquiry *inquiry);
/* The one who is asked now has `patience_ms`, or else `on_patience` is called. */
void inquiry_await(struct inquiry *inquiry, uv_timer_cb on_patience, uint64_t patience_ms);

/* Notes what came of asking one, in case that it is the last one. */
__attribute__((format(printf, 2, 3))) void inquiry_note(struct inquiry *inquiry, const char *format,
                                                        ...);

/* Nobody is asked any more, and whoever waits is told of a way to `place`. Returns 0 or -errno, and
 * then nothing has happened. */
int inquiry_found(struct inquiry *inquiry, const struct place *place);
/* The same where there is none: `none` says whom that came of. Only where each has answered, and
 * would answer the same again, is it a mistake of somebody's; it has been noted then. */
void inquiry_lost(struct inquiry *inquiry, bool refused_by_all, const char *none);

/* What route_next is for such a route. */
enum route_step inquiry_next(struct route *route, struct route_hop *hop,
                             struct route_problem *problem);

/* Frees what it has, and the route, when the loop has run the timer's close callback. */
void inquiry_free(struct inquiry *inquiry);

#endif
