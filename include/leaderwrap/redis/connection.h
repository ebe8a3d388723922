/*
 * One connection to one Redis server: hiredis's reader and formatter on a libuv stream.
 *
 * It resolves names without blocking the loop (one look-up in flight, the last good addresses
 * kept, a different address at each try) and connects. Where there is AUTH or SELECT to do, no
 * request is sent before both are answered: a server that refuses them would run it in another
 * database, or as another user. Where there is not, no round trip stands before the first request.
 * It has no timers and decides nothing: when to open, to give up and to try again is its owner's
 * business. Any callback may close, open or free the connection. The process must ignore SIGPIPE
 * (libuv writes with write(2)).
 *
 * Requests are answered in order. A reply without a request, a reply larger or deeper than any that
 * leaderwrap asks for, and bytes that are no RESP close the connection.
 */
#ifndef LEADERWRAP_REDIS_CONNECTION_H
#define LEADERWRAP_REDIS_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/target.h"
#include "leaderwrap/redis/tls.h"

struct redisReply;
struct connection;
struct route_hop;
struct place;

struct connection_callbacks {
    /* The connection is up, user and database are as the URL says; requests may be sent. */
    void (*on_open)(void *context);
    /* The connection is closed, or could not be made: `why` is a phrase that names the address
     * ("cannot connect to redis at 10.0.0.3:6379: connection refused"). Every pending request has
     * been dropped: its outcome is unknown. Not called for connection_close. */
    void (*on_closed)(void *context, enum lease_failure failure, const char *why);
    /* What a subscription brings: an array that begins with message, subscribe, unsubscribe or
     * pong, as it came. NULL: none is expected. Borrowed. */
    void (*on_message)(void *context, const struct redisReply *message);
};

/* The answer to one request; borrowed. NULL: there will be none, for the connection is lost,
 * dropped or freed; then the outcome is unknown, and all there is to do is to let the request's own
 * memory go: the connection must not be touched. */
typedef void connection_reply_fn(void *context, const struct redisReply *reply);

struct connection_config {
    uv_loop_t *loop;
    const struct redis_target *target; /* borrowed, must outlive the connection */
    const char *key; /* borrowed; of a cluster: the connection goes to the node that has it, or to
                        any one where it is NULL */
    /* As CLIENT SETNAME takes it, for CLIENT LIST; borrowed. Nothing depends on it, and who is
     * refused it asks no second time. NULL: none. */
    const char *client_name;
    int64_t timeout_ms; /* how long the owner waits for an answer: the kernel is not to give a peer
                           up before two of these have passed, nor before 5 s */
    struct connection_callbacks callbacks;
    void *context;
};

/* Makes a connection that is closed. Returns 0 or -errno. Free with connection_free. */
int connection_new(struct connection **out, const struct connection_config *config);

/* Starts to connect; an open or half-open connection is dropped first (its requests get NULL,
 * on_closed is not called). on_open or on_closed follows from the loop, never from inside this
 * call. */
void connection_open(struct connection *connection);

/* Drops the connection at once. Its requests get NULL; no other callback follows. */
void connection_close(struct connection *connection);

bool connection_is_open(const struct connection *connection);

/* Where it goes, while it is open (redis/route.h). */
const struct route_hop *connection_hop(const struct connection *connection);

/* A node of a cluster said that the key is at `place` (redis/place.h): the next connection_open
 * goes there. */
void connection_moved(struct connection *connection, const struct place *place);

/* Fills `*peer` where the connection is open and protected by TLS. Returns whether it is. */
bool connection_describe(const struct connection *connection, struct tls_peer *peer);

/* Sends one command. `reply` is called once: with its answer, or with NULL. It is itself NULL where
 * the answer comes through on_message (SUBSCRIBE, and PING after it). Returns 0, or -errno and
 * calls nobody (-ENOTCONN: not open, or AUTH and SELECT are not answered yet). */
int connection_send(struct connection *connection, int argc, const char *const *argv,
                    const size_t *lengths, connection_reply_fn *reply, void *context);

/* Closes and frees; the memory goes when the loop has run the close callbacks. NULL is fine. */
void connection_free(struct connection *connection);

#endif
