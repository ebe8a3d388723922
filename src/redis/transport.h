/*
 * A socket with a reply parser behind it, and TLS between them where that is asked for: bytes out,
 * whole RESP replies in. It outlives a drop
 * until libuv has closed the handle; from the drop on nobody hears of it any more.
 */
#ifndef LEADERWRAP_REDIS_TRANSPORT_H
#define LEADERWRAP_REDIS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"

struct redisReply;
struct sockaddr;
struct tls;
struct tls_peer;
struct transport;

/* All run from the loop, and each may drop the transport. */
struct transport_callbacks {
    /* It can be written to: LEASE_FAILURE_NONE; or it could not be connected, or the peer is not
     * who it has to be: `why` is a phrase. Drop it then. */
    void (*on_connect)(void *context, enum lease_failure failure, const char *why);
    void (*on_reply)(void *context, const struct redisReply *reply);
    /* The peer is gone, or does not keep to the protocol; `why` is a phrase. Drop it. */
    void (*on_end)(void *context, enum lease_failure failure, const char *why);
};

/* Begins to connect to an address of IPv4, IPv6 or a Unix socket, and then to talk through `tls`,
 * which is handed over in any case; NULL: in plain. Returns 0 or a libuv error. `callbacks` is
 * borrowed. The kernel ends a TCP connection whose peer has acknowledged nothing for
 * `user_timeout_ms` (TCP_USER_TIMEOUT, tcp(7)). */
int transport_connect(struct transport **out, uv_loop_t *loop, const struct sockaddr *address,
                      unsigned user_timeout_ms, struct tls *tls,
                      const struct transport_callbacks *callbacks, void *context);

/* Writes at once what the socket takes and leaves the rest to the loop. Returns 0 or a libuv
 * error; a later failure shows as on_end. */
int transport_write(struct transport *transport, const char *data, size_t length);

/* Fills `*peer` where there is TLS. Returns whether there is. */
bool transport_describe(const struct transport *transport, struct tls_peer *peer);

/* Closes it. No callback follows; the memory goes from the loop. */
void transport_drop(struct transport *transport);

#endif
