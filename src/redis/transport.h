/*
 * A socket with a reply parser behind it: bytes out, whole RESP replies in. It outlives a drop
 * until libuv has closed the handle; from the drop on nobody hears of it any more.
 */
#ifndef LEADERWRAP_REDIS_TRANSPORT_H
#define LEADERWRAP_REDIS_TRANSPORT_H

#include <stddef.h>
#include <uv.h>

struct redisReply;
struct sockaddr;
struct transport;

/* All run from the loop, and each may drop the transport. */
struct transport_callbacks {
    /* The socket is connected, or not: `error` is 0 or a libuv error. */
    void (*on_connect)(void *context, int error);
    void (*on_reply)(void *context, const struct redisReply *reply);
    /* The peer is gone, or does not keep to the protocol; `why` is a phrase. Drop it. */
    void (*on_end)(void *context, const char *why);
};

/* Begins to connect to an address of IPv4, IPv6 or a Unix socket. Returns 0 or a libuv error.
 * `callbacks` is borrowed. The kernel ends a TCP connection whose peer has acknowledged nothing for
 * `user_timeout_ms` (TCP_USER_TIMEOUT, tcp(7)). */
int transport_connect(struct transport **out, uv_loop_t *loop, const struct sockaddr *address,
                      unsigned user_timeout_ms, const struct transport_callbacks *callbacks,
                      void *context);

/* To be called once connected. Returns 0 or a libuv error. */
int transport_start_reading(struct transport *transport);

/* Writes at once what the socket takes and leaves the rest to the loop. Returns 0 or a libuv
 * error; a later failure shows as on_end. */
int transport_write(struct transport *transport, const char *data, size_t length);

/* Closes it. No callback follows; the memory goes from the loop. */
void transport_drop(struct transport *transport);

#endif
