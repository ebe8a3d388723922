/*
 * The second connection: hears at once what others do to the lease. What it hears is a hint that
 * shortens a wait or spares a question; no promise depends on it, so it looks after itself: it
 * reconnects with capped back-off (100 ms to 5 s, which only a subscription that lasted for 2 s
 * resets) and pings where it hears nothing, and reports the same trouble at growing intervals, not
 * at each try.
 */
#ifndef LEADERWRAP_REDIS_WATCHER_H
#define LEADERWRAP_REDIS_WATCHER_H

#include <stdint.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"

struct watcher;
struct route_hop;

struct watcher_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, like all that follows */
    const char *key;                   /* NULL: all leases of the database are listened to */
    const char *client; /* what the connection is called (connection.h); NULL: nothing */
    int64_t ping_ms; /* a PING after so long a silence; longer than from one renewal to the next */
    int64_t timeout_ms; /* for the connection with its handshake, and for an answer to a PING */
    void (*on_listening)(void *context); /* subscribed (again); NULL: nobody cares */
    void (*on_event)(void *context, const struct lease_event *event);
    /* In place of it where `key` is NULL. */
    void (*on_event_of)(void *context, const char *key, const struct lease_event *event);
    void *context;
};

/* Makes a watcher that sleeps. Without a key any node of a cluster does: each hears what is
 * published at the others. Returns 0 or -errno. Free with watcher_free. */
int watcher_new(struct watcher **out, const struct watcher_config *config);

/* Begins to listen, or stops and closes the connection. Repeating either does nothing. */
void watcher_start(struct watcher *watcher);
void watcher_stop(struct watcher *watcher);

/* The lease is where `hop` (redis/route.h) leads to: whoever listens anywhere else goes there at
 * once. A master that was replaced goes on to answer pings, and is silent about the lease. Of a
 * target without witnesses there is one way, and nobody has to be told. */
void watcher_follow(struct watcher *watcher, const struct route_hop *hop);

/* Stops and frees; the memory goes when the loop has run the close callbacks. NULL is fine. */
void watcher_free(struct watcher *watcher);

#endif
